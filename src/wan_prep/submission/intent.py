"""What is to be submitted, before anything leaves the machine: files hashed, cost estimated, limits
and gate applied. No socket is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from wan_prep.addresses import canonical, split_url
from wan_prep.cost import Cost, estimate
from wan_prep.errors import CostTooHigh, GateRefused, SubmissionError, UploadNotAllowed
from wan_prep.media.files import open_check, sha256_of
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.report.model import Report
from wan_prep.submission.jobs import Job, JobCost, JobInput, new_id
from wan_prep.submission.schema import Parameters, body, checked_parameters

InputKind = Literal["image", "video"]
_MB = 1_000_000


@dataclass(frozen=True)
class Input:
    """One of the two inputs: a local file, or a URL."""

    kind: InputKind
    source: str
    path: Path | None = None
    """The local file; None for a URL."""
    sha256: str | None = None
    """None for a URL whose content was not fetched."""
    size_bytes: int | None = None

    @property
    def placeholder(self) -> str:
        """Stands for the address of a file that is not uploaded yet."""
        return self.source if self.path is None else f"upload:sha256:{self.sha256}"


def local_input(path: str | Path, kind: InputKind) -> Input:
    """Raises InputPathError: not a regular, readable file."""
    checked = open_check(path)
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    return Input(kind, shown, checked, sha256_of(checked), checked.stat().st_size)


def url_input(url: str, kind: InputKind, *, sha256: str | None = None) -> Input:
    """An input given by URL. It is sent in its `canonical` spelling.

    sha256: of what was fetched for the check, if it was.

    Raises:
        SubmissionError: not a usable address.
    """
    try:
        parts = split_url(url)
    except ValueError as exc:
        raise SubmissionError(f"{kind}: not a usable address ({exc})") from exc
    if not parts.hostname or re.search(r"[\s\x00-\x1f\x7f\ud800-\udfff]", url):
        raise SubmissionError(
            f"{kind}: expected an address such as https://example.com/clip.mp4, without spaces"
        )
    return Input(kind, canonical(url), sha256=sha256)


def must_be_allowed(inputs: Iterable[Input], *, upload: bool) -> None:
    """Raises UploadNotAllowed: there are local files, and `upload` is False."""
    local = [given.source for given in inputs if given.path is not None]
    if local and not upload:
        raise UploadNotAllowed(
            f"{' and '.join(local)} would leave this machine: allow it with --upload "
            "(upload=True), or give URLs"
        )


@dataclass(frozen=True)
class Intent:
    """All that a submission needs except the addresses of files that are not uploaded yet."""

    image: Input
    video: Input
    parameters: Parameters
    count: int
    """Wanted variations. From a given seed on, each takes the next one."""
    cost: Cost | None
    """Of one variation; None where the clip's length is not known."""
    model: str
    notes: tuple[str, ...] = ()
    """What the user should know before paying."""

    def variations(self) -> tuple[Parameters, ...]:
        """The parameters of each submission."""
        seed = self.parameters.seed
        if seed < 0:
            return (self.parameters,) * self.count
        return tuple(
            self.parameters.model_copy(update={"seed": seed + k}) for k in range(self.count)
        )

    @property
    def total_usd(self) -> tuple[Decimal, Decimal] | None:
        """Low and high for all variations together."""
        if self.cost is None:
            return None
        return self.cost.usd_low * self.count, self.cost.usd_high * self.count

    def entry(
        self,
        parameters: Parameters,
        *,
        base_url: str,
        now: datetime,
        batch: str = "",
        image_url: str | None = None,
        video_url: str | None = None,
    ) -> Job:
        """The journal's entry for one variation, not written yet.

        image_url, video_url: where the service finds the inputs; None for their placeholders.
        """
        return Job(
            id=new_id(),
            batch=batch,
            state="submitting",
            base_url=base_url,
            model=self.model,
            image=_job_input(self.image, image_url),
            video=_job_input(self.video, video_url),
            mode=parameters.mode,
            resolution=parameters.resolution,
            prompt=parameters.prompt,
            seed=parameters.seed,
            cost=self.job_cost(),
            created_at=now,
            updated_at=now,
        )

    def job_cost(self) -> JobCost | None:
        if self.cost is None:
            return None
        return JobCost(
            seconds=float(self.cost.seconds),
            usd_low=self.cost.usd_low,
            usd_high=self.cost.usd_high,
        )

    def fits(self, report: Report) -> bool:
        """Whether a report is about these files, in this mode, at this resolution."""
        ours = self.image.sha256, self.video.sha256
        return (
            None not in ours
            and ours == (report.image.sha256, report.video.sha256)
            and report.mode == self.parameters.mode
            and report.resolution == self.parameters.resolution
        )


def _job_input(given: Input, url: str | None) -> JobInput:
    path = None if given.path is None else str(given.path.absolute())
    return JobInput(
        source=given.source, url=url or given.placeholder, sha256=given.sha256, path=path
    )


def intend(
    image: Input,
    video: Input,
    *,
    mode: Mode,
    resolution: Resolution,
    prompt: str | None = None,
    seed: int | None = None,
    count: int = 1,
    duration: Fraction | None = None,
    profile: Profile | None = None,
) -> Intent:
    """Put an intent together, within the service's ranges and sizes.

    duration: of the driving clip in s, or None where it is not known.

    Raises:
        SubmissionError: a parameter out of range. GateRefused: a file too large to be uploaded.
    """
    profile = profile or default_profile()
    config = profile.submission
    chosen = config.seed.default if seed is None else seed
    parameters = checked_parameters(mode=mode, resolution=resolution, prompt=prompt, seed=chosen)
    last = chosen + count - 1 if chosen >= 0 else chosen
    most = int(config.limit("variations_max"))
    if not 1 <= count <= most or last > config.seed.high:
        raise SubmissionError(
            f"count: expected 1 to {most} variations, with seeds up to {config.seed.high}, "
            f"found {count} from seed {chosen}"
        )
    notes = [note for given in (image, video) if (note := _size_note(given, profile))]
    return Intent(
        image=image,
        video=video,
        parameters=parameters,
        count=count,
        cost=None if duration is None else estimate(duration, resolution, profile),
        model=profile.service.model_path,
        notes=tuple(notes),
    )


def priced(intent: Intent, duration: Fraction, profile: Profile | None = None) -> Intent:
    """The intent with its cost, once the length of its clip (s) is known."""
    resolution = intent.parameters.resolution
    return replace(intent, cost=estimate(duration, resolution, profile or default_profile()))


@dataclass(frozen=True)
class PreparedSubmission:
    """An intent with its check, ready for the gate."""

    intent: Intent
    report: Report | None = None
    """None where nothing was checked."""
    warnings: tuple[str, ...] = ()
    """What `strict` refuses besides the report's own warnings; in the intent's notes, too."""
    judgement: str | None = None
    """What every check answered, as the journal keeps it; None where nothing was checked."""

    def pass_gate(
        self,
        *,
        allow_not_ready: bool = False,
        max_cost: Decimal | None = None,
        strict: bool = False,
    ) -> None:
        """Return if the submission may be paid for.

        strict: warnings count as errors.
        max_cost: US dollars that all variations together may cost, by the high estimate.

        Raises:
            GateRefused: the pair is not ready, or the report is about something else.
            CostTooHigh: above `max_cost`, or of unknown cost.
        """
        intent, report = self.intent, self.report
        if report is not None:
            if not intent.fits(report):
                raise GateRefused(
                    "the report is about other files, another mode or another resolution; "
                    "check this pair again"
                )
            if report.verdict == "not_ready" and not allow_not_ready:
                errors = ", ".join(finding.code for finding in report.errors)
                raise GateRefused(
                    f"the pair is not ready ({report.score:.1f} of 100; "
                    f"{errors or 'see its report'}): `wan-prep fix` mends what can be mended; "
                    "--allow-not-ready pays for it as it is"
                )
        if strict and not allow_not_ready:
            is_risky = report is not None and report.verdict == "risky"
            risky = ("the pair is risky; `wan-prep check` says why",) if is_risky else ()
            if grave := self.warnings + risky:
                raise GateRefused(f"refused by --strict: {'; '.join(grave)}")
        if max_cost is None:
            return
        if intent.total_usd is None:
            raise CostTooHigh(
                f"--max-cost {max_cost}: the length of the clip is not known, so its cost is not; "
                "give --duration"
            )
        high = intent.total_usd[1]
        if high > max_cost:
            raise CostTooHigh(
                f"this may cost up to ${high}, above --max-cost {max_cost}; shorten the clip, "
                "choose 480p, or allow more"
            )

    def document(self) -> dict[str, Any]:
        """What `--dry-run` prints: the request as it would be sent, the seed of each variation,
        and the cost of all together."""
        intent = self.intent
        cost = None
        if intent.cost is not None and intent.total_usd is not None:
            low, high = intent.total_usd
            cost = {
                "seconds": float(intent.cost.seconds),
                "usd_low": float(low),
                "usd_high": float(high),
            }
        return {
            "schema_version": 1,
            "model": intent.model,
            "request": body(intent.image.placeholder, intent.video.placeholder, intent.parameters),
            "seeds": [parameters.seed for parameters in intent.variations()],
            "cost": cost,
            "verdict": None if self.report is None else self.report.verdict,
            "notes": list(intent.notes),
        }


def dollars(given: str | Decimal | float | int) -> Decimal:
    """An amount of money as it was written.

    Raises:
        SubmissionError: not a number, negative, or not finite.
    """
    try:
        amount = Decimal(str(given))
    except InvalidOperation as exc:
        raise SubmissionError(f"max cost {given!r}: expected US dollars such as 2.00") from exc
    if not amount.is_finite() or amount < 0:
        raise SubmissionError(f"max cost {given!r}: expected US dollars of 0 or more")
    return amount


def _size_note(given: Input, profile: Profile) -> str | None:
    if given.path is None or given.size_bytes is None:
        return None
    warn, most = (profile.submission.limit(name) for name in ("upload_warn", "upload_max"))
    size = f"the {given.kind} is {given.size_bytes / _MB:.0f} MB"
    if given.size_bytes > most:
        raise GateRefused(
            f"{size}, and uploads end at {most / _MB:.0f} MB; shorten or re-encode it "
            "(wan-prep fix), or give the URL of a copy"
        )
    if given.size_bytes > warn:
        return f"{size}; the service names caps from {warn / _MB:.0f} MB on and may refuse it"
    return None
