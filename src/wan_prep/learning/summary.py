"""Scores held against outcomes: a table, how well they tell good from bad, and a curve."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict

from wan_prep.fragments import badge, card, csv_cell, inert, table
from wan_prep.learning.fit import Design, fitted
from wan_prep.learning.intervals import Estimate, auc, auc_interval, share_interval
from wan_prep.learning.outcome import JobOutcome, Result, Why
from wan_prep.profile import Mode, Profile, Resolution
from wan_prep.report.model import ProfileId

BINS_MAX, BIN_LEAST = 5, 5


class _SummaryModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ScoredOutcome(_SummaryModel):
    """score: by the profile of the summary; None where the pair was never checked."""

    name: str
    noted_at: AwareDatetime
    image: str
    video: str
    mode: Mode
    resolution: Resolution
    score: float | None
    outcome: Result
    why: Why | None


class Bin(_SummaryModel):
    """Outcomes of neighbouring scores: how many, and the share of good ones with its interval."""

    score_low: float
    score_high: float
    count: int
    good: int
    share_good: Estimate


class CalibrationCurve(_SummaryModel):
    """A result is good with probability 1 / (1 + exp(-(alpha + beta ln(score / 100))))."""

    alpha: float
    beta: float

    def probability(self, score: float) -> float:
        """score: above 0, to 100."""
        return float(1.0 / (1.0 + np.exp(-(self.alpha + self.beta * np.log(score / 100.0)))))


class OutcomeSummary(_SummaryModel):
    """auc, bins and curve are of the outcomes that have a score; auc and curve are None where these
    are all good or all bad. few: below what the profile asks for to learn from."""

    schema_version: Literal[1] = 1
    profile: ProfileId
    count: int
    scored: int
    good: int
    bad: int
    enough: int
    auc: Estimate | None
    bins: tuple[Bin, ...]
    curve: CalibrationCurve | None
    outcomes: tuple[ScoredOutcome, ...]

    @property
    def headline(self) -> str:
        """What the outcomes tell, in a sentence or two."""
        if not self.count:
            return "no outcomes yet: `wan-prep outcome JOB good` or `bad` notes what came of a job"
        said = f"{self.count} outcome{'' if self.count == 1 else 's'}, {self.good} good"
        said += f" and {self.bad} bad"
        if self.scored < self.count:
            said += f"; {self.count - self.scored} of pairs that were never checked have no score"
        return said

    @property
    def verdict(self) -> str:
        """How well the score tells good from bad, and how sure that is."""
        if self.auc is None:
            if not self.count:
                return ""
            return "good and bad ones are needed to tell whether the score tells them apart"
        value, low, high = self.auc
        said = (
            f"a good one scores higher than a bad one in {value:.0%} of cases (AUC {value:.2f}, "
            f"95 % interval {low:.2f} to {high:.2f})"
        )
        if low <= 0.5 <= high:
            said += "; by these outcomes the score may as well tell nothing"
        if self.scored < self.enough:
            said += f"; {self.scored} outcomes tell little, {self.enough} are what learning takes"
        return said

    def to_csv(self) -> str:
        """The outcomes as a table; what a spreadsheet would take for a formula begins with '."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(ScoredOutcome.model_fields), lineterminator="\n")
        writer.writeheader()
        for each in self.outcomes:
            row = each.model_dump(mode="json")
            writer.writerow({name: csv_cell(value) for name, value in row.items()})
        return text.getvalue()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = [
            (
                f"{each.score_low:.0f} to {each.score_high:.0f}",
                f"{each.good} of {each.count} good",
            )
            for each in self.bins
        ]
        kind = "info" if self.scored < self.enough else "ready"
        head = f"{badge(kind, f'{self.count} outcomes')} {inert(self.headline)}"
        return card(head, f"<div>{inert(self.verdict)}</div>", table(rows) if rows else "")


def summarize(outcomes: Sequence[JobOutcome], profile: Profile) -> OutcomeSummary:
    """Hold the scores of pairs by a profile against what became of them."""
    scores = [None if o.judgement is None else o.judgement.score_by(profile) for o in outcomes]
    known = [(o, s) for o, s in zip(outcomes, scores, strict=True) if s is not None]
    is_good = np.array([o.is_good for o, _ in known], dtype=bool)
    values = np.array([s for _, s in known])
    both = 0 < is_good.sum() < len(is_good)
    curve = None
    if both:
        design = Design.of([o.judgement for o, _ in known if o.judgement], profile)
        found = fitted(design, is_good, spread=0.0).curve
        curve = CalibrationCurve(alpha=found.alpha, beta=found.beta)
    return OutcomeSummary(
        profile=ProfileId(name=profile.name, version=profile.version, sha256=profile.sha256),
        count=len(outcomes),
        scored=len(known),
        good=sum(o.is_good for o in outcomes),
        bad=sum(not o.is_good for o in outcomes),
        enough=int(profile.limit("learned_from_min")),
        auc=auc_interval(auc(values, is_good), int(is_good.sum()), int((~is_good).sum()))
        if both
        else None,
        bins=_bins(values, is_good),
        curve=curve,
        outcomes=tuple(
            ScoredOutcome(
                name=o.name,
                noted_at=o.noted_at,
                image=o.image,
                video=o.video,
                mode=o.mode,
                resolution=o.resolution,
                score=score,
                outcome=o.result,
                why=o.why,
            )
            for o, score in zip(outcomes, scores, strict=True)
        ),
    )


def _bins(scores: np.ndarray, is_good: np.ndarray) -> tuple[Bin, ...]:
    """As many outcomes in each as in the others, lowest scores first."""
    if not len(scores):
        return ()
    count = min(BINS_MAX, max(1, len(scores) // BIN_LEAST))
    order = np.argsort(scores, kind="stable")
    return tuple(
        Bin(
            score_low=float(scores[part].min()),
            score_high=float(scores[part].max()),
            count=len(part),
            good=int(is_good[part].sum()),
            share_good=share_interval(int(is_good[part].sum()), len(part)),
        )
        for part in np.array_split(order, count)
    )
