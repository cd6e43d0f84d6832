"""From answers to severities, family scores and one overall score."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

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
    """A rule's answer, and the finding it makes by the profile's severities."""

    rule: Rule
    answer: Answer
    profile: Profile = field(repr=False)

    @cached_property
    def finding(self) -> Finding | None:
        """None where the check passed or does not apply; made when it is first asked for, because
        most answers are only scored."""
        return _finding(self.rule, self.answer, self.profile)

    @property
    def score(self) -> float | None:
        return self.answer.score if isinstance(self.answer, Judged) else None


def evaluate(context: PairContext, rules: Iterable[Rule] = RULES) -> list[Result]:
    """Every rule's answer for a pair; nothing is judged twice, nothing is left out."""
    return [Result(rule, rule.check(context), context.profile) for rule in rules]


def _finding(rule: Rule, answer: Answer, profile: Profile) -> Finding | None:
    severity = _severity(rule, answer, profile)
    if severity is None:
        return None
    judged = answer if isinstance(answer, Judged) else None
    spans = judged.spans_s if judged else ()
    return Finding(
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


@dataclass(frozen=True)
class Tally:
    """What answers add up to, family by family; more answers can be added to those counted before.

    loss: what they take of a family's score's natural logarithm, 0 or more; measured: the families
    of which anything was; families: all that were asked, moot and open those with checks whose
    question does not arise for what the pair shows, and with others.
    """

    mode: Mode
    profile: Profile
    loss: Mapping[Family, float] = field(default_factory=lambda: dict.fromkeys(FAMILIES, 0.0))
    measured: frozenset[Family] = frozenset()
    families: frozenset[Family] = frozenset()
    moot: frozenset[Family] = frozenset()
    open: frozenset[Family] = frozenset()

    def plus(self, results: Iterable[Result]) -> Tally:
        """The tally of these answers, too."""
        loss = dict(self.loss)
        measured, families, moot, open_ = (set[Family]() for _ in range(4))
        for result in results:
            family = result.rule.family
            families.add(family)
            weight = self.profile.check_weight(self.mode, result.rule.code)
            if weight <= 0:
                continue
            (moot if _is_moot(result) else open_).add(family)
            if not _enters(result):
                continue
            loss[family] += weight * -math.log(_score(result, self.profile))
            if isinstance(result.answer, Judged):
                measured.add(family)
        return replace(
            self,
            loss=loss,
            measured=self.measured | measured,
            families=self.families | families,
            moot=self.moot | moot,
            open=self.open | open_,
        )

    @property
    def asked(self) -> frozenset[Family]:
        """The families that the overall score is made of: without those in which no question
        arises for what the pair shows."""
        return self.families - (self.moot - self.open)

    @property
    def scores(self) -> dict[Family, float | None]:
        """As `family_scores` tells."""
        return {
            # Never exactly 0, however many flaws come together.
            family: math.exp(-min(loss, MOST_LOST)) if family in self.measured else None
            for family, loss in self.loss.items()
        }


def tally(results: Iterable[Result], mode: Mode, profile: Profile) -> Tally:
    return Tally(mode, profile).plus(results)


def family_scores(
    results: Iterable[Result], mode: Mode, profile: Profile
) -> dict[Family, float | None]:
    """Product of each family's checks, to the power of their weights; None where nothing was
    measured.

    Where something was, what could not be enters at the profile's unknown score: not knowing is
    neither a pass nor a failure.
    """
    return tally(results, mode, profile).scores


def _is_moot(result: Result) -> bool:
    return isinstance(result.answer, NotApplicable) and result.answer.by_nature


def _enters(result: Result) -> bool:
    """Whether an answer counts in its family; not if it was neither measured nor due."""
    answer = result.answer
    return isinstance(answer, Judged) or (isinstance(answer, Inconclusive) and answer.required)


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
        if _enters(result) and profile.check_weight(mode, result.rule.code) > 0
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
        self._rules = rules
        self._settled = {
            result.rule.code: result
            for result in evaluate(context, [rule for rule in rules if not rule.at_start])
        }
        self._tally = tally(self._settled.values(), self._mode, self._profile)

    def score(self, candidate: PairContext) -> float:
        """0 … 100 for the same pair, or for it `starting_at` another sample."""
        told = self._tally.plus(evaluate(candidate, self._at_start))
        scores = told.scores | dict.fromkeys(self._repaired, 1.0)
        return overall(scores, self._mode, self._profile, told.asked)

    def results(self, candidate: PairContext) -> list[Result]:
        """Every rule's answer for such a pair, whose best start may be known by now."""
        return [
            Result(rule, rule.check(candidate), candidate.profile)
            if rule.at_start or rule.at_best
            else self._settled[rule.code]
            for rule in self._rules
        ]


def judge(context: PairContext, rules: Sequence[Rule] = RULES) -> tuple[PairContext, list[Result]]:
    """The pair with its best start known, and every rule's answer for it."""
    scorer = PairScorer(context, rules)
    best = _best_start(context, scorer)
    if best is not None:
        context = context.knowing(best)
    return context, scorer.results(context)


def best_start(context: PairContext, rules: Sequence[Rule] = RULES) -> BestStart | None:
    """The sampled frame at which the pair would score best if the clip began there.

    None where the person is in no sample, or not in the image.
    """
    return _best_start(context, PairScorer(context, rules)) if context.moments else None


def _best_start(context: PairContext, scorer: PairScorer) -> BestStart | None:
    if not context.moments:
        return None
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
