"""An outcome: what a person says of the result of a paid pair."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from wan_prep.errors import JournalError
from wan_prep.learning.judgement import Judgement
from wan_prep.profile import Mode, Resolution

Result = Literal["good", "bad"]
Why = Literal["face", "limbs", "identity", "drift", "background", "other"]


class JobOutcome(BaseModel):
    """name: the job's id, or one made of an imported pair. judgement: None where the pair was not
    checked when it was submitted; such an outcome is listed, and nothing is learned from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: Literal[1] = 1
    name: str
    result: Result
    why: Why | None = None
    noted_at: AwareDatetime
    image: str
    video: str
    mode: Mode
    resolution: Resolution
    judgement: Judgement | None = None

    @property
    def is_good(self) -> bool:
        return self.result == "good"


def parsed_outcome(text: str) -> JobOutcome:
    """Raises JournalError: not an outcome that this version writes."""
    try:
        return JobOutcome.model_validate_json(text)
    except ValidationError as exc:
        raise JournalError(
            "the journal: an outcome cannot be read; it may come from a newer wan-prep"
        ) from exc


def parsed_judgement(text: str) -> Judgement | None:
    """None: it cannot be read, as one of another version; the outcome counts all the same."""
    try:
        return Judgement.model_validate_json(text)
    except ValidationError:
        return None
