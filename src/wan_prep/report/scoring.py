"""From answers to severities, family scores and one overall score."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from wan_prep.analyzers import RULES
from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import (
    Answer,
    BestStart,
    Finding,
    Inconclusive,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
)
from wan_prep.profile import Family, Mode, Profile

FAMILIES: tuple[Family, ...] = ("media", "aspect", "framing", "pose", "subject", "clip")
MOST_LOST = 50.0
"""The most that one family's flaws take of its score's natural logarithm."""


@dataclass(frozen=True)
class Result:
    """A rule's answer, and the finding it makes (None: passed or not applicable)."""

    rule: Rule
    answer: Answer
    finding: Finding | None

    @property
    def score(self) -> float | None:
        return self.answer.score if isinstance(self.answer, Judged) else None


def evaluate(context: PairContext, rules: Iterable[Rule] = RULES) -> list[Result]:
    """Every rule's answer for a pair; nothing is judged twice, nothing is left out."""
    return [_result(rule, rule.check(context), context.profile) for rule in rules]


def _result(rule: Rule, answer: Answer, profile: Profile) -> Result:
    severity = _severity(rule, answer, profile)
    if severity is None:
        return Result(rule, answer, None)
    judged = answer if isinstance(answer, Judged) else None
    spans = judged.spans_s if judged else ()
    finding = Finding(
        code=rule.code,
        name=rule.name,
        severity=severity,
        status="fail" if judged else "inconclusive",
        subject=rule.about,
        message=answer.message if isinstance(answer, Judged | Inconclusive) else "",
        measured=judged.measured if judged else None,
        limit=judged.limit if judged else None,
        unit=judged.unit if judged else None,
        source=judged.source if judged else "",
        # Of several spans the longest is named; scattered moments have no span.
        span_s=max(spans, key=lambda s: s[1] - s[0])
        if spans and (len(spans) == 1 or any(b > a for a, b in spans))
        else None,
        fix=answer.fix if isinstance(answer, Judged | Inconclusive) else None,
    )
    return Result(rule, answer, finding)


def _severity(rule: Rule, answer: Answer, profile: Profile) -> Severity | None:
    if isinstance(answer, NotApplicable):
        return None
    if isinstance(answer, Inconclusive):
        severity = Severity.WARNING if answer.required else Severity.INFO
    elif answer.score >= profile.severity.pass_from - 1e-9:
        return None
    elif answer.score >= profile.severity.warning_below:
        severity = Severity.INFO
    elif answer.score >= profile.severity.error_below:
        severity = Severity.WARNING
    else:
        severity = Severity.ERROR
    return min(severity, rule.cap, key=lambda s: s.rank)


def family_scores(
    results: Sequence[Result],
    mode: Mode,
    profile: Profile,
    families: Collection[Family] = FAMILIES,
) -> dict[Family, float | None]:
    """Product of each family's checks, to the power of their weights; None where nothing was
    measured.

    Where something was, what could not be enters at the profile's unknown score: not knowing is
    neither a pass nor a failure.
    """
    return {family: _family(results, family, mode, profile) for family in families}


def _family(
    results: Sequence[Result], family: Family, mode: Mode, profile: Profile
) -> float | None:
    loss, is_measured = family_loss(results, family, mode, profile)
    # Never exactly 0, however many flaws come together.
    return math.exp(-min(loss, MOST_LOST)) if is_measured else None


def family_loss(
    results: Iterable[Result], family: Family, mode: Mode, profile: Profile
) -> tuple[float, bool]:
    """What a family's checks take of its score's natural logarithm, 0 or more; and whether any of
    them was measured."""
    entering = [r for r in results if r.rule.family == family and _weight(r, mode, profile) > 0]
    loss = sum(_weight(r, mode, profile) * -math.log(_score(r, profile)) for r in entering)
    return loss, any(isinstance(r.answer, Judged) for r in entering)


def families_asked(results: Sequence[Result], mode: Mode, profile: Profile) -> set[Family]:
    """The families that the overall score is made of: all that were asked, without those whose
    questions do not arise for what the pair shows."""
    weighty = [r for r in results if profile.check_weight(mode, r.rule.code) > 0]
    moot = {r.rule.family for r in weighty if _is_moot(r)}
    open_ = {r.rule.family for r in weighty if not _is_moot(r)}
    return {r.rule.family for r in results} - (moot - open_)


def _is_moot(result: Result) -> bool:
    return isinstance(result.answer, NotApplicable) and result.answer.by_nature


def _weight(result: Result, mode: Mode, profile: Profile) -> float:
    """With which weight an answer enters its family; 0 for what was neither measured nor due."""
    answer = result.answer
    enters = isinstance(answer, Judged) or (isinstance(answer, Inconclusive) and answer.required)
    return profile.check_weight(mode, result.rule.code) if enters else 0.0


def _score(result: Result, profile: Profile) -> float:
    return profile.severity.unknown_score if result.score is None else result.score


def overall(
    scores: dict[Family, float | None],
    mode: Mode,
    profile: Profile,
    asked: Collection[Family] = FAMILIES,
) -> float:
    """0 … 100, two decimals: the weighted geometric mean of the families that were asked."""
    unknown = profile.severity.unknown_score
    terms = [
        (weight, unknown if (score := scores[family]) is None else score)
        for family, weight in profile.family_weights[mode].items()
        if family in asked
    ]
    if not sum(weight for weight, _ in terms):
        return round(100.0 * unknown, 2)
    return round(100.0 * geometric_mean(terms), 2)


def geometric_mean(terms: Sequence[tuple[float, float]]) -> float:
    """exp(sum w ln s / sum w) of (weight, score) terms with scores in (0, 1]."""
    total = sum(weight for weight, _ in terms)
    return math.exp(sum(weight * math.log(score) for weight, score in terms) / total)


def log_loss(profile: Profile, mode: Mode, family: Family, code: str, score: float) -> float:
    """What one check with this score takes of the overall score's natural logarithm, 0 or more."""
    families = profile.family_weights[mode]
    weight = families[family] / sum(families.values()) * profile.check_weight(mode, code)
    return -weight * math.log(score)


def effects(results: Sequence[Result], mode: Mode, profile: Profile) -> dict[str, float]:
    """By code, the `log_loss` of each check: what to mend first."""
    return {
        result.rule.code: log_loss(
            profile, mode, result.rule.family, result.rule.code, _score(result, profile)
        )
        if _weight(result, mode, profile) > 0
        else 0.0
        for result in results
    }


class PairScorer:
    """The overall score of one pair, as the report would have it, for any start of its clip.

    The checks whose answer does not depend on the start are asked only once.

    context: the pair; rules: the checks that count; repaired: families that count as perfect
    because the edits of a plan will repair what they speak of.
    """

    def __init__(
        self,
        context: PairContext,
        rules: Sequence[Rule] = RULES,
        *,
        repaired: Collection[Family] = (),
    ) -> None:
        self._mode, self._profile = context.mode, context.profile
        self._repaired = repaired
        self._at_start = [rule for rule in rules if rule.at_start]
        self._settled = evaluate(context, [rule for rule in rules if not rule.at_start])

    def score(self, candidate: PairContext) -> float:
        """0 … 100 for the same pair, or for it `starting_at` another sample."""
        results = [*self._settled, *evaluate(candidate, self._at_start)]
        scores = family_scores(results, self._mode, self._profile)
        scores.update(dict.fromkeys(self._repaired, 1.0))
        asked = families_asked(results, self._mode, self._profile)
        return overall(scores, self._mode, self._profile, asked)


def best_start(context: PairContext, rules: Sequence[Rule] = RULES) -> BestStart | None:
    """The sampled frame at which the pair would score best if the clip began there.

    None where the person is in no sample, or not in the image.
    """
    if not context.moments:
        return None
    scorer = PairScorer(context, rules)
    at_first = scorer.score(context)
    scored = [
        BestStart(observation, scorer.score(context.starting_at(observation)), at_first)
        for observation in possible_starts(context.video, context.profile)
    ]
    return max(scored, key=lambda start: (start.score, -start.observation.time))


def possible_starts(video: Evidence, profile: Profile) -> tuple[Observation, ...]:
    """The samples that a clip could begin with: the first that shows the person, and every other
    one that leaves enough to be worth a submission, half of the clip or what hosts ask for."""
    end = video.start + video.span
    least = min(video.span / 2, Fraction(str(profile.limit("video_s_min"))))
    return tuple(o for k, o in enumerate(video.found) if k == 0 or end - o.time >= least)
