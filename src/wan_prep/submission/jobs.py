"""A job is one paid task as the journal keeps it; a prediction is how it ended."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer

from wan_prep.addresses import is_same_address, service_root
from wan_prep.profile import Mode, Resolution
from wan_prep.submission.schema import Prompt

State = Literal[
    "submitting",  # on disk before the POST: it may or may not have been sent
    "unknown",  # sent, perhaps accepted, and the service's id is not known or not certain
    "submitted",  # accepted; `status` is the service's latest word
    "not_sent",  # no byte left the machine
    "rejected",  # refused by the service
    "completed",
    "failed",
    "cancelled",
    "timeout",
    "deleted",
]
OPEN: frozenset[State] = frozenset({"submitting", "unknown", "submitted"})
UNCLEAR: frozenset[State] = frozenset({"submitting", "unknown"})
ENDED: frozenset[State] = frozenset({"completed", "failed", "cancelled", "timeout", "deleted"})

# Money is a JSON number with two decimals outside, and Decimal everywhere inside.
Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


class _JournalModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JobCost(_JournalModel):
    """What one task is estimated to cost, in US dollars."""

    seconds: float
    usd_low: Usd
    usd_high: Usd


class JobInput(_JournalModel):
    """One of the two inputs. `sha256` is None for a URL whose content was not fetched."""

    source: str
    """Path as it was given, or URL."""
    url: str
    """What the service was told."""
    sha256: str | None = None
    path: str | None = None
    """Where a local file was, absolute; None for a URL."""

    def is_same_as(self, other: JobInput) -> bool:
        if self.sha256 is not None and other.sha256 is not None:
            return self.sha256 == other.sha256
        return is_same_address(self.url, other.url)


class JobOutput(_JournalModel):
    """One result file. `path` and `sha256` are None until it was downloaded."""

    url: str
    nsfw: bool | None = None
    path: str | None = None
    sha256: str | None = None


class Job(_JournalModel):
    """The journal's entry; `id` is local, `service_id` the service's own."""

    schema_version: Literal[1] = 1
    id: str
    batch: str
    """Shared by the wanted variations of one call."""
    state: State
    service_id: str | None = None
    is_found: bool = False
    """Whether `service_id` was found in the service's history, not told by the POST itself."""
    status: str | None = None
    """The service's latest status, known here or not."""
    error: str | None = None
    note: str | None = None
    """What else its reader must know, such as another task that was taken for this one."""
    base_url: Annotated[str, AfterValidator(service_root)]
    model: str
    image: JobInput
    video: JobInput
    mode: Mode
    resolution: Resolution
    prompt: Prompt = None
    seed: int
    cost: JobCost | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    resubmits: str | None = None
    """The earlier job for the same work, where it was submitted again on purpose."""
    outputs: tuple[JobOutput, ...] = ()

    def is_same_work_as(self, other: Job) -> bool:
        """Same inputs, same parameters, same service."""
        return (
            self.image.is_same_as(other.image)
            and self.video.is_same_as(other.video)
            and all(getattr(self, name) == getattr(other, name) for name in _PARAMETERS)
        )

    @property
    def is_unfinished(self) -> bool:
        """Whether there is something to wait for, or to download."""
        is_here = all(output.path is not None for output in self.outputs)
        return self.state in OPEN or (self.state == "completed" and not is_here)

    def summary(self) -> str:
        """What became of it, in a few words."""
        said = self.status if self.state == "submitted" and self.status else self.state
        when = self.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        error = f" ({self.error})" if self.error else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.id} of {when}: {said}{error}{note}"


_PARAMETERS = ("base_url", "model", "mode", "resolution", "prompt", "seed")


class Prediction(_JournalModel):
    """How a task ended, and its outputs on disk."""

    schema_version: Literal[1] = 1
    job: Job
    status: Literal["completed", "failed", "cancelled", "timeout", "deleted"]
    error: str | None = None
    outputs: tuple[JobOutput, ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.status == "completed"

    @classmethod
    def of(cls, job: Job) -> Prediction:
        """The prediction of a job whose state is an ended one."""
        return cls.model_validate(
            {"job": job, "status": job.state, "error": job.error, "outputs": job.outputs}
        )


def new_id() -> str:
    """A local name for a job, or for a call's batch of jobs."""
    return f"wp-{uuid.uuid4().hex[:12]}"


def utc_now() -> datetime:
    return datetime.now(UTC)
