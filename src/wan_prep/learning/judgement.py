"""How a pair was judged, kept so that it can be judged again when its files are gone."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wan_prep.analyzers import BY_CODE, RULES
from wan_prep.findings import (
    Answer,
    Deviation,
    Inconclusive,
    Judged,
    NotApplicable,
    PairContext,
)
from wan_prep.profile import Mode, Profile, Resolution
from wan_prep.report.model import ProfileId, Report, Tool, Verdict
from wan_prep.report.scoring import Result, evaluate, overall, tally

TOLERANCE_OF: dict[str, str] = {
    "WP301": "zoom",
    "WP302": "placement",
    "WP303": "shot",
    "WP304": "view",
    "WP305": "roll",
    "WP306": "cut_edges",
    "WP307": "typical_zoom",
    "WP401": "pose",
    "WP402": "typical_pose",
    "WP404": "proportions",
    "WP505": "other_person",
    "WP506": "other_person",
    "WP508": "face_px",
    "WP509": "face_px",
    "WP510": "face_turn",
    "WP511": "face_absence",
    "WP512": "template_hidden",
    "WP513": "template_turn",
    "WP603": "clip_drift",
}
"""The checks whose tolerance may be learned. Those of files, shapes, rates and the longest clip
follow from the service and the model's source, and stay as they are."""

_Status = Literal["judged", "unknown", "open", "moot", "not_applicable"]


class KeptAnswer(BaseModel):
    """What one check answered.

    status: judged · unknown or open (could not be measured, and had to be or not) · moot (nothing
    to ask about, by nature) · not_applicable. measured: in the unit of the check's tolerance.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    code: str
    status: _Status
    score: float | None = Field(default=None, gt=0, le=1)
    measured: float | None = None
    share: float = Field(default=1.0, ge=0, le=1)
    unknown: float = Field(default=1.0, gt=0, le=1)

    @classmethod
    def of(cls, code: str, answer: Answer) -> KeptAnswer:
        if isinstance(answer, Inconclusive):
            return cls(code=code, status="unknown" if answer.required else "open")
        if isinstance(answer, NotApplicable):
            return cls(code=code, status="moot" if answer.by_nature else "not_applicable")
        deviation = answer.deviation if code in TOLERANCE_OF else None
        if deviation is None:
            return cls(code=code, status="judged", score=answer.score)
        return cls(
            code=code,
            status="judged",
            score=answer.score,
            measured=deviation.measured,
            share=deviation.share,
            unknown=deviation.unknown,
        )

    @property
    def deviation(self) -> Deviation | None:
        """What a tolerance applies to; None where the score stands."""
        if self.measured is None or self.code not in TOLERANCE_OF:
            return None
        return Deviation(self.measured, self.share, self.unknown)

    def answer(self, profile: Profile, mode: Mode) -> Answer:
        """As the check would answer with the tolerances of a profile."""
        if self.status in ("unknown", "open"):
            return Inconclusive("", required=self.status == "unknown")
        if self.status in ("moot", "not_applicable") or self.score is None:
            return NotApplicable("", by_nature=self.status == "moot")
        deviation = self.deviation
        if deviation is None:
            return Judged(self.score, "")
        tolerance = profile.tolerance(TOLERANCE_OF[self.code], mode)
        return Judged(deviation.score(tolerance), "", deviation=deviation)


class Judgement(BaseModel):
    """What every check answered about a pair, without pictures, names or paths."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    schema_version: Literal[1] = 1
    tool: Tool
    profile: ProfileId
    mode: Mode
    resolution: Resolution
    score: float
    verdict: Verdict
    image_sha256: str | None
    video_sha256: str | None
    answers: tuple[KeptAnswer, ...]

    @classmethod
    def of(cls, report: Report, profile: Profile) -> Judgement:
        """What a report's evidence is judged as by a profile.

        Raises:
            EvidenceMissing: the report carries no evidence.
        """
        image, video = report.evidence()
        context = PairContext(image, video, report.mode, report.resolution, profile)
        results = evaluate(context, [r for r in RULES if r.code not in report.deselected])
        return cls(
            tool=report.tool,
            profile=ProfileId(name=profile.name, version=profile.version, sha256=profile.sha256),
            mode=report.mode,
            resolution=report.resolution,
            score=_score(results, report.mode, profile),
            verdict=report.verdict,
            image_sha256=report.image.sha256,
            video_sha256=report.video.sha256,
            answers=tuple(KeptAnswer.of(r.rule.code, r.answer) for r in results),
        )

    def results(self, profile: Profile) -> list[Result]:
        """The answers under the tolerances of a profile; checks that are no more are left out."""
        return [
            Result(BY_CODE[kept.code], kept.answer(profile, self.mode), profile)
            for kept in self.answers
            if kept.code in BY_CODE
        ]

    def score_by(self, profile: Profile) -> float:
        """The overall score, 0 … 100, with the tolerances and weights of a profile."""
        return _score(self.results(profile), self.mode, profile)

    @property
    def pair(self) -> tuple[str | None, str | None, Mode, Resolution]:
        """Alike for outcomes of one pair."""
        return self.image_sha256, self.video_sha256, self.mode, self.resolution


def _score(results: list[Result], mode: Mode, profile: Profile) -> float:
    counted = tally(results, mode, profile)
    return overall(counted.scores, mode, profile, counted.asked)
