"""What a check is given, and what it may answer.

A check is one function `(PairContext) -> Answer`.  It never decides how severe a thing is: it
gives a score, and the profile's severities do the rest, the same way for every check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from wan_prep.evidence import Evidence, Observation
from wan_prep.fragments import badge, card, inert
from wan_prep.measures.model import Measures, typical
from wan_prep.measures.pair import measure
from wan_prep.measures.side import SubjectInFrame, subject_in_frame
from wan_prep.profile import Family, Mode, Profile, Resolution, Tolerance


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for a note, 1 for a warning, 2 for an error."""
        return (Severity.INFO, Severity.WARNING, Severity.ERROR).index(self)


class Applicability(StrEnum):
    """safe: an edit that loses nothing shown · unsafe: one that may · manual: by a person."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    MANUAL = "manual"


class Fix(BaseModel):
    """prompt: where another picture is the remedy, what an image editor could be asked for; in a
    report it stands in one finding, the gravest that it mends."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    applicability: Applicability
    title: str
    prompt: str | None = None


About = Literal["image", "video", "pair"]


class Finding(BaseModel):
    """One thing that stands between a pair and a good result."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    code: str
    name: str
    severity: Severity
    status: Literal["fail", "inconclusive"]
    subject: About
    message: str
    measured: float | str | None
    limit: float | str | None
    unit: str | None
    source: str
    span_s: tuple[float, float] | None
    fix: Fix | None

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        kind = "unknown" if self.status == "inconclusive" else self.severity.value
        cells = [f"{badge(kind)} <b>{inert(self.code)}</b> {inert(self.message)}"]
        if self.fix is not None:
            cells.append(f"<div>→ {inert(self.fix.title)}</div>")
            if self.fix.prompt is not None:
                cells.append(f"<div>→ or ask an image editor: “{inert(self.fix.prompt)}”</div>")
        return card(*cells)


# ------------------------------------------------------------------ answers of a check


@dataclass(frozen=True)
class Deviation:
    """What a tolerance was applied to: enough to apply another one.

    measured: in the tolerance's own unit; share: of it that is believed, 0 … 1; unknown: the score
    that stands for the rest.
    """

    measured: float
    share: float = 1.0
    unknown: float = 1.0

    def score(self, tolerance: Tolerance) -> float:
        return float(tolerance.score(self.measured) ** self.share * self.rest)

    @property
    def rest(self) -> float:
        """The factor of the score that no tolerance changes."""
        return float(self.unknown ** (1.0 - self.share))


@dataclass(frozen=True)
class Judged:
    """Measured. `score` in (0, 1]; from the profile's `pass_from` on it is a pass."""

    score: float
    message: str
    measured: float | str | None = None
    limit: float | str | None = None
    unit: str | None = None
    source: str = ""
    fix: Fix | None = None
    spans_s: tuple[tuple[float, float], ...] = ()
    deviation: Deviation | None = None
    """Where the score is that of a tolerance and nothing else."""


@dataclass(frozen=True)
class Inconclusive:
    """Could not be measured; `required` measures then warn, others inform."""

    message: str
    required: bool = True
    fix: Fix | None = None


class NotApplicable(NamedTuple):
    """The question does not arise for this pair.

    by_nature: the pair shows nothing that could be asked about, so that nothing is left open.
    """

    reason: str
    by_nature: bool = False


HEADS_ONLY = NotApplicable("heads are compared, and a head has no limbs", by_nature=True)
Answer = Judged | Inconclusive | NotApplicable
PASSED = Judged(1.0, "")


def by_tolerance(
    tolerance: Tolerance,
    measured: float,
    message: str,
    *,
    shown: float | None = None,
    limit: float | None = None,
    unit: str | None = None,
    fix: Fix | None = None,
    spans_s: tuple[tuple[float, float], ...] = (),
) -> Judged:
    """A measure judged by a tolerance of the profile.

    shown, limit and unit replace what is printed where the tolerance's own unit (say, a log
    ratio) is not what a person reads.
    """
    return Judged(
        score=tolerance.score(measured),
        message=message,
        measured=round(measured if shown is None else shown, 4),
        limit=round(tolerance.fine if limit is None else limit, 4),
        unit=unit or tolerance.unit,
        source=tolerance.source,
        fix=fix,
        spans_s=spans_s,
        deviation=Deviation(measured),
    )


def believed(
    answer: Answer,
    confidence: float | None,
    profile: Profile,
    unknown: Callable[[], Inconclusive],
) -> Answer:
    """The answer as far as enough is seen to stand by it, `unknown` where too little is.

    From `confidence_full` down to `confidence_min` the score goes over from the measured one to
    that of an inconclusive answer, so that a joint which is seen a little better or worse moves the
    score a little. confidence: 0 … 1; None where the measure has none, and is believed.
    """
    least, full = profile.limit("confidence_min"), profile.limit("confidence_full")
    if not isinstance(answer, Judged) or confidence is None or confidence >= full:
        return answer
    if confidence < least:
        return unknown()
    share = (confidence - least) / (full - least)
    return as_far_as(answer, share, profile, required=unknown().required)


def as_far_as(answer: Judged, share: float, profile: Profile, *, required: bool = True) -> Judged:
    """The answer with a score between its own, at share 1, and an inconclusive one's, at 0."""
    unknown = profile.severity.unknown_score if required else 1.0
    score = answer.score**share * unknown ** (1.0 - share)
    message = answer.message
    if answer.score >= profile.severity.pass_from > score:
        message += "; too little is visible to be sure that this is close enough"
    deviation = answer.deviation and replace(answer.deviation, share=share, unknown=unknown)
    return replace(answer, score=score, message=message, deviation=deviation)


# ------------------------------------------------------------------ what a check is given


@dataclass(frozen=True)
class Moment:
    """The image held against one sample of the video."""

    observation: Observation
    measures: Measures


@dataclass(frozen=True)
class BestStart:
    """A sampled frame as the clip's start: overall score there and at the first, 0 … 100."""

    observation: Observation
    score: float
    score_at_first: float


@dataclass(frozen=True)
class MeasuredPair:
    """The image held against every sample of the video: what does not depend on the start.

    Computed when it is first asked for, and once.
    """

    image: Evidence
    video: Evidence
    profile: Profile

    @cached_property
    def image_subject(self) -> SubjectInFrame | None:
        first = self.image.first
        if first is None or first.subject is None:
            return None
        return subject_in_frame(self.image, first.subject)

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """The image against every sample in which the subject was found."""
        image = self.image_subject
        if image is None:
            return ()
        return tuple(
            Moment(o, measure(image, subject_in_frame(self.video, o.subject), self.profile))
            for o in self.video.observations
            if o.subject is not None
        )

    @cached_property
    def measures_at(self) -> dict[Fraction, Measures]:
        """Measures by the sample's time, in s."""
        return {m.observation.time: m.measures for m in self.moments}

    @cached_property
    def typical(self) -> Measures | None:
        """Median measures over the clip."""
        return typical([m.measures for m in self.moments]) if self.moments else None


@dataclass(frozen=True)
class PairContext:
    """Both files' evidence, how they would be submitted, and the start that is judged."""

    image: Evidence
    video: Evidence
    mode: Mode
    resolution: Resolution
    profile: Profile
    start: Observation | None = None
    """The sample taken as the model's template; None stands for the first."""
    best: BestStart | None = None
    """The start that would score best, where it was looked for."""
    measured: MeasuredPair | None = field(default=None, repr=False, compare=False)
    """Of the same evidence and profile, where it was measured before; of others it is not used."""

    def tolerance(self, name: str) -> Tolerance:
        """The profile's tolerance in this mode."""
        return self.profile.tolerance(name, self.mode)

    @property
    def readable(self) -> bool:
        return self.image.info is not None and self.video.info is not None

    @cached_property
    def pair(self) -> MeasuredPair:
        known = self.measured
        mine = (self.image, self.video, self.profile)
        if known is not None and all(
            a is b for a, b in zip((known.image, known.video, known.profile), mine, strict=True)
        ):
            return known
        return MeasuredPair(*mine)

    @property
    def image_subject(self) -> SubjectInFrame | None:
        return self.pair.image_subject

    @property
    def moments(self) -> tuple[Moment, ...]:
        return self.pair.moments

    @property
    def measures_at(self) -> dict[Fraction, Measures]:
        return self.pair.measures_at

    @property
    def typical(self) -> Measures | None:
        return self.pair.typical

    @property
    def template(self) -> Observation | None:
        """The sample that the model would take as its template."""
        return self.start or self.video.first

    @cached_property
    def template_subject(self) -> SubjectInFrame | None:
        if self.template is None or self.template.subject is None:
            return None
        return subject_in_frame(self.video, self.template.subject)

    @cached_property
    def by_head(self) -> bool:
        """The image or the template shows nothing but a head, so that heads are compared."""
        sides = (self.image_subject, self.template_subject)
        return any(side is not None and side.subject.is_head for side in sides)

    @cached_property
    def first(self) -> Measures | None:
        """Measures at the template; None where either side shows nobody there."""
        return None if self.template is None else self.measures_at.get(self.template.time)

    def starting_at(self, observation: Observation) -> PairContext:
        """The same pair judged as if the clip began with this sample."""
        return replace(self, start=observation, measured=self.pair)

    def knowing(self, best: BestStart) -> PairContext:
        """The same pair, its best start known."""
        return replace(self, best=best, measured=self.pair)


Check = Callable[[PairContext], Answer]


@dataclass(frozen=True)
class Rule:
    """One line of the rule table.

    name states the problem; cap is the gravest severity the check may reach; `at_start` tells
    that the answer depends on which sample is the template, `at_best` that it does on the best one.
    """

    code: str
    name: str
    family: Family
    about: About
    check: Check
    cap: Severity = Severity.ERROR
    at_start: bool = False
    at_best: bool = False
