"""What somebody wants to submit, before anything leaves the machine: files hashed, cost estimated,
limits and gate applied. No socket is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from wan_prep.cost import Cost, estimate
from wan_prep.errors import CostTooHigh, GateRefused, SubmissionError, UploadNotAllowed
from wan_prep.media.files import open_check, sha256_of
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.report.model import Report, Verdict
from wan_prep.submission.addresses import canonical
from wan_prep.submission.jobs import JobCost
from wan_prep.submission.schema import Parameters, body, checked_parameters

Kind = Literal["image", "video"]
_MB = 1_000_000


def is_url(source: str | Path) -> bool:
    """Whether an input is an address that the service fetches by itself."""
    return isinstance(source, str) and re.match(r"(?i)https?://", source) is not None


def shown_url(url: str) -> str:
    """An address without its query and its user: those may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


@dataclass(frozen=True)
class Input:
    """One of the two inputs: a local file, or a URL."""

    kind: Kind
    source: str
    path: Path | None = None
    """The local file; None for a URL."""
    sha256: str | None = None
    """None for a URL whose content was not looked at."""
    size_bytes: int | None = None

    @property
    def url(self) -> str | None:
        return self.source if self.path is None else None

    @property
    def placeholder(self) -> str:
        """Stands for the address in a request that has none yet."""
        return self.source if self.path is None else f"upload:sha256:{self.sha256}"


def local_input(path: str | Path, kind: Kind) -> Input:
    """Raises InputPathError: not a regular, readable file."""
    checked = open_check(path)
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    return Input(kind, shown, checked, sha256_of(checked), checked.stat().st_size)


def url_input(url: str, kind: Kind, *, sha256: str | None = None) -> Input:
    """An address in its one spelling, which is the one that is sent; see `canonical`.

    sha256: of what was fetched for the check, if it was.

    Raises:
        SubmissionError: not a usable address.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        raise SubmissionError(f"{kind}: not a usable address ({exc})") from exc
    if not parts.hostname or re.search(r"[\s\x00-\x1f\x7f\ud800-\udfff]", url):
        raise SubmissionError(
            f"{kind}: expected an address such as https://example.com/clip.mp4, without spaces"
        )
    return Input(kind, canonical(url), sha256=sha256)


def must_be_allowed(inputs: Iterable[Input], *, upload: bool) -> None:
    """Raises UploadNotAllowed: a local file would go up, and nobody said that it may."""
    local = [given.source for given in inputs if given.path is not None]
    if local and not upload:
        raise UploadNotAllowed(
            f"{' and '.join(local)} would leave this machine: allow it with --upload "
            "(upload=True), or give URLs"
        )


@dataclass(frozen=True)
class Checked:
    """What the gate judges by: a report's verdict, and which files it is about."""

    verdict: Verdict
    score: float
    errors: tuple[str, ...]
    mode: Mode
    resolution: Resolution
    image_sha256: str | None
    video_sha256: str | None

    @classmethod
    def of(cls, report: Report) -> Checked:
        return cls(
            verdict=report.verdict,
            score=report.score,
            errors=tuple(finding.code for finding in report.errors),
            mode=report.mode,
            resolution=report.resolution,
            image_sha256=report.image.sha256,
            video_sha256=report.video.sha256,
        )


@dataclass(frozen=True)
class Intent:
    """Everything a submission needs but the addresses of files that are not uploaded yet."""

    image: Input
    video: Input
    parameters: Parameters
    count: int
    """Wanted variations. With a seed of one's own they take the seeds that follow it."""
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

    def job_cost(self) -> JobCost | None:
        if self.cost is None:
            return None
        return JobCost(
            seconds=float(self.cost.seconds),
            usd_low=self.cost.usd_low,
            usd_high=self.cost.usd_high,
        )

    def fits(self, checked: Checked) -> bool:
        """Whether a report is about these files, in this mode, at this resolution."""
        return (
            checked.image_sha256 is not None
            and checked.video_sha256 is not None
            and checked.image_sha256 == self.image.sha256
            and checked.video_sha256 == self.video.sha256
            and checked.mode == self.parameters.mode
            and checked.resolution == self.parameters.resolution
        )

    def document(self, checked: Checked | None = None) -> dict[str, Any]:
        """What `--dry-run` prints: the request as it would be sent, once per seed, and the cost
        of all together."""
        cost = None
        if self.cost is not None and self.total_usd is not None:
            low, high = self.total_usd
            cost = {
                "seconds": float(self.cost.seconds),
                "usd_low": float(low),
                "usd_high": float(high),
            }
        return {
            "schema_version": 1,
            "model": self.model,
            "request": body(self.image.placeholder, self.video.placeholder, self.parameters),
            "seeds": [parameters.seed for parameters in self.variations()],
            "cost": cost,
            "verdict": None if checked is None else checked.verdict,
            "notes": list(self.notes),
        }


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
    """Put an intent together and hold it to the service's ranges and sizes.

    duration: of the driving clip in s, or None where it is not known.

    Raises:
        SubmissionError: a parameter out of range. GateRefused: a file too large to be uploaded.
    """
    figures = profile or default_profile()
    submission = figures.submission
    chosen = submission.seed.default if seed is None else seed
    parameters = checked_parameters(mode=mode, resolution=resolution, prompt=prompt, seed=chosen)
    last = chosen + count - 1 if chosen >= 0 else chosen
    most = int(submission.limit("variations_max"))
    if not 1 <= count <= most or last > submission.seed.high:
        raise SubmissionError(
            f"count: expected 1 to {most} variations, with seeds up to {submission.seed.high}, "
            f"found {count} from seed {chosen}"
        )
    notes = [note for given in (image, video) if (note := _size_note(given, figures))]
    return Intent(
        image=image,
        video=video,
        parameters=parameters,
        count=count,
        cost=None if duration is None else estimate(duration, resolution, figures),
        model=figures.service.model_path,
        notes=tuple(notes),
    )


def priced(intent: Intent, duration: Fraction, profile: Profile | None = None) -> Intent:
    """The intent with its cost, once the length of its clip (s) is known."""
    resolution = intent.parameters.resolution
    return replace(intent, cost=estimate(duration, resolution, profile or default_profile()))


def pass_gate(
    intent: Intent,
    checked: Checked | None,
    *,
    allow_not_ready: bool = False,
    max_cost: Decimal | None = None,
    strict: bool = False,
    warnings: Sequence[str] = (),
) -> None:
    """Let an intent through, or say why not.

    checked: None only where the user gave up the check (`--no-check`).
    strict: warnings count as errors: those of the check, and `warnings`.
    max_cost: US dollars that all variations together may cost, by the high estimate.

    Raises:
        GateRefused: the pair is not ready, or the report is about something else.
        CostTooHigh: above `max_cost`, or of unknown cost.
    """
    if checked is not None:
        if not intent.fits(checked):
            raise GateRefused(
                "the report is about other files, another mode or another resolution; "
                "check this pair again"
            )
        if checked.verdict == "not_ready" and not allow_not_ready:
            raise GateRefused(
                f"the pair is not ready ({checked.score:.1f} of 100; "
                f"{', '.join(checked.errors) or 'see its report'}): `wan-prep fix` mends what can "
                "be mended; --allow-not-ready pays for it as it is"
            )
    if strict and not allow_not_ready:
        is_risky = checked is not None and checked.verdict == "risky"
        grave = [*warnings, *(["the pair is risky; `wan-prep check` says why"] if is_risky else [])]
        if grave:
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
            f"this may cost up to ${high}, above --max-cost {max_cost}; shorten the clip, choose "
            "480p, or allow more"
        )


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
