from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wan_prep.analyzers import BY_CODE, RULES
from wan_prep.findings import (
    Answer,
    Applicability,
    Fix,
    Inconclusive,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
)
from wan_prep.measures import confidence, parts, side
from wan_prep.pose import body
from wan_prep.profile import Profile, default_profile
from wan_prep.report.scoring import (
    FAMILIES,
    PairScorer,
    Result,
    best_start,
    effects,
    evaluate,
    family_scores,
    geometric_mean,
    judge,
    log_loss,
    overall,
)

PROFILE = default_profile()
SCORE = st.floats(1e-6, 1.0)


def answering(answer: Answer, code: str = "WP302", cap: Severity = Severity.ERROR) -> Rule:
    """A rule of the table with another answer."""
    return replace(BY_CODE[code], check=lambda _context: answer, cap=cap)


def finding_of(make: Any, answer: Answer, cap: Severity = Severity.ERROR) -> Any:
    return evaluate(make.pair(), [answering(answer, cap=cap)])[0].finding


def weighing(check_weights: dict[str, float], **family_weights: float) -> Profile:
    """The profile with only these weights; families that are not named weigh nothing."""
    families = {family: family_weights.get(family, 0.0) for family in FAMILIES}
    return PROFILE.model_copy(
        update={
            "check_weights": {"animate": check_weights, "replace": {}},
            "family_weights": {"animate": families, "replace": families},
        }
    )


def results(*answers: tuple[str, Answer]) -> list[Result]:
    return [Result(BY_CODE[code], answer, PROFILE) for code, answer in answers]


# ------------------------------------------------------------------ severities


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (1.0, None),
        (0.95, None),
        (0.9499, Severity.INFO),
        (0.5, Severity.INFO),
        (0.4999, Severity.WARNING),
        (0.1, Severity.WARNING),
        (0.0999, Severity.ERROR),
        (1e-12, Severity.ERROR),
    ],
)
def test_severity_follows_the_score(make: Any, score: float, severity: Severity | None) -> None:
    finding = finding_of(make, Judged(score, "so it is"))
    assert (finding and finding.severity) == severity


def test_what_the_profile_says_decides(make: Any) -> None:
    levels = PROFILE.severity.model_copy(update={"warning_below": 0.9, "error_below": 0.8})
    strict = PROFILE.model_copy(update={"severity": levels})
    for score, severity in ((0.92, "info"), (0.85, "warning"), (0.79, "error")):
        rule = answering(Judged(score, "so it is"))
        assert evaluate(make.pair(profile=strict), [rule])[0].finding.severity == severity


def test_a_cap_holds_a_finding_back_and_never_raises_it(make: Any) -> None:
    ruined, small = Judged(0.01, "ruined"), Judged(0.8, "small")
    assert finding_of(make, ruined, Severity.WARNING).severity is Severity.WARNING
    assert finding_of(make, ruined, Severity.INFO).severity is Severity.INFO
    assert finding_of(make, small, Severity.WARNING).severity is Severity.INFO


def test_not_knowing_warns_where_it_is_required(make: Any) -> None:
    required, optional = Inconclusive("unseen"), Inconclusive("unseen", required=False)
    assert finding_of(make, required).severity is Severity.WARNING
    assert finding_of(make, required).status == "inconclusive"
    assert finding_of(make, optional).severity is Severity.INFO
    assert finding_of(make, required, Severity.INFO).severity is Severity.INFO
    assert finding_of(make, NotApplicable("no question")) is None


def test_a_finding_carries_the_whole_answer(make: Any) -> None:
    fix = Fix(applicability=Applicability.SAFE, title="mend it")
    answer = Judged(
        0.3,
        "so it is",
        measured=2.5,
        limit=1.5,
        unit="ratio",
        source="here",
        fix=fix,
        spans_s=((1.0, 2.0), (5.0, 7.0)),
    )
    finding = finding_of(make, answer)
    assert finding.model_dump(mode="json") == {
        "code": "WP302",
        "name": "placement-mismatch",
        "severity": "warning",
        "status": "fail",
        "subject": "pair",
        "message": "so it is",
        "measured": 2.5,
        "limit": 1.5,
        "unit": "ratio",
        "source": "here",
        "span_s": [5.0, 7.0],
        "fix": {"applicability": "safe", "title": "mend it", "prompt": None},
    }


@pytest.mark.parametrize(
    ("spans", "named"),
    [
        ((), None),
        (((3.0, 3.0),), (3.0, 3.0)),
        (((3.0, 3.0), (5.0, 5.0)), None),
        (((3.0, 3.0), (5.0, 5.5)), (5.0, 5.5)),
        (((1.0, 2.0), (50.0, 50.5)), (1.0, 2.0)),
    ],
)
def test_the_longest_span_is_named_and_scattered_moments_are_not(
    make: Any, spans: tuple[tuple[float, float], ...], named: tuple[float, float] | None
) -> None:
    answer = Judged(0.3, "so", measured=1, limit=1, unit="s", source="here", spans_s=spans)
    assert finding_of(make, answer).span_s == named


def test_the_unknown_has_neither_source_nor_figures(make: Any) -> None:
    finding = finding_of(make, Inconclusive("nothing is seen", required=True))
    assert (finding.message, finding.source) == ("nothing is seen", "")
    assert (finding.measured, finding.limit, finding.unit) == (None, None, None)


def test_a_pass_begins_exactly_at_its_score(make: Any) -> None:
    passing = Judged(PROFILE.severity.pass_from, "so", 1, 1, "s", "here")
    assert finding_of(make, passing) is None


# ------------------------------------------------------------------ means


def test_geometric_means_by_hand() -> None:
    assert geometric_mean([(1.0, 0.25), (1.0, 1.0)]) == pytest.approx(0.5)
    assert geometric_mean([(3.0, 0.5), (1.0, 1.0)]) == pytest.approx(0.5**0.75)
    assert geometric_mean([(2.0, 0.1), (1.0, 0.8), (0.0, 0.001)]) == pytest.approx(
        (0.01 * 0.8) ** (1 / 3)
    )


@given(st.lists(st.tuples(st.floats(0.1, 10), SCORE), min_size=1, max_size=6))
def test_a_mean_lies_between_the_best_and_the_worst(terms: list[tuple[float, float]]) -> None:
    scores = [score for _, score in terms]
    assert min(scores) * (1 - 1e-9) <= geometric_mean(terms) <= max(scores) * (1 + 1e-9)


def test_a_family_is_the_product_of_its_checks_to_the_power_of_their_weights() -> None:
    profile = weighing({"WP301": 3.0, "WP302": 1.0, "WP303": 0.0})
    scored = results(
        ("WP301", Judged(0.5, "")),
        ("WP302", Judged(1.0, "")),
        ("WP303", Judged(0.001, "")),
        ("WP401", Judged(0.2, "")),
    )
    families = family_scores(scored, "animate", profile)
    assert families["framing"] == pytest.approx(0.5**3 * 1.0)
    assert families["pose"] == pytest.approx(0.2)
    assert families["media"] is None
    assert list(families) == list(FAMILIES)


def test_in_a_family_the_unknown_enters_at_a_half_where_it_was_required() -> None:
    profile = weighing({"WP301": 1.0, "WP302": 1.0, "WP303": 1.0, "WP304": 1.0})
    measured = ("WP301", Judged(0.8, ""))
    unknown, optional = Inconclusive("unseen"), Inconclusive("unseen", required=False)

    def framing(*answers: tuple[str, Answer]) -> float | None:
        return family_scores(results(*answers), "animate", profile)["framing"]

    assert framing(measured, ("WP302", unknown)) == pytest.approx(0.8 * 0.5)
    assert framing(measured, ("WP302", optional)) == pytest.approx(0.8)
    assert framing(measured, ("WP302", NotApplicable("no question"))) == pytest.approx(0.8)
    assert framing(("WP301", unknown), ("WP302", unknown)) is None
    assert framing(("WP301", NotApplicable("no question"))) is None


def test_the_overall_score_by_hand() -> None:
    profile = weighing({}, media=1.0, framing=3.0)
    scores: dict[Any, float | None] = dict.fromkeys(FAMILIES, 1.0)
    assert overall(scores, "animate", profile) == 100.0
    assert overall({**scores, "framing": 0.5}, "animate", profile) == round(100 * 0.5**0.75, 2)
    assert overall({**scores, "media": 0.5}, "animate", profile) == round(100 * 0.5**0.25, 2)


def test_an_unknown_family_enters_at_a_half() -> None:
    for family in FAMILIES:
        known: dict[Any, float | None] = dict.fromkeys(FAMILIES, 0.9)
        unknown, half = {**known, family: None}, {**known, family: 0.5}
        for mode in ("animate", "replace"):
            assert overall(unknown, mode, PROFILE) == overall(half, mode, PROFILE)
            assert overall(unknown, mode, PROFILE) < overall(known, mode, PROFILE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_a_ruined_family_cannot_be_bought_back(family: Any, mode: Any) -> None:
    """Perfect everywhere else, it still ends below a pair that is middling everywhere."""
    ruined = {**dict.fromkeys(FAMILIES, 1.0), family: 0.0001}
    middling = dict.fromkeys(FAMILIES, 0.5)
    assert overall(ruined, mode, PROFILE) < overall(middling, mode, PROFILE)


@pytest.mark.parametrize("family", FAMILIES)
@given(others=SCORE, better=SCORE, factor=st.floats(0.1, 0.9))
def test_a_worse_family_is_a_worse_pair(
    family: Any, others: float, better: float, factor: float
) -> None:
    scores: dict[Any, float | None] = dict.fromkeys(FAMILIES, others)
    high = overall({**scores, family: better}, "animate", PROFILE)
    low = overall({**scores, family: better * factor}, "animate", PROFILE)
    assert low <= high
    assert 0.0 <= low <= high <= 100.0


def test_an_effect_is_what_the_overall_score_would_gain_without_it(make: Any) -> None:
    pair = make.pair(
        make.image(
            make.body(hips=(450.0, 700.0), px_per_m=700.0), exif_orientation=3, format="GIF"
        ),
        make.video(evidence={"cuts": (1,)}, is_vfr=True),
    )
    answered = evaluate(pair)
    costs = effects(answered, "animate", PROFILE)
    assert set(costs) == {r.rule.code for r in answered}
    found = [r for r in answered if r.finding is not None and r.rule.code != "WP403"]
    assert len(found) > 5
    for missing in found:
        mended = [replace(r, answer=Judged(1.0, "")) if r is missing else r for r in answered]
        gain = math.log(full_score(mended) / full_score(answered))
        assert costs[missing.rule.code] == pytest.approx(gain, rel=1e-6), missing.rule.code


def full_score(answered: list[Result]) -> float:
    """The overall score before rounding."""
    scores = family_scores(answered, "animate", PROFILE)
    weights = PROFILE.family_weights["animate"]
    return geometric_mean([(w, 0.5 if (s := scores[f]) is None else s) for f, w in weights.items()])


def test_the_loss_of_one_check_by_hand() -> None:
    profile = weighing({"WP301": 2.0}, framing=3.0, pose=1.0)
    loss = log_loss(profile, "animate", "framing", "WP301", 0.25)
    assert loss == pytest.approx(math.log(4.0) * 2 * 3 / 4)


def test_what_enters_no_score_costs_nothing() -> None:
    profile = weighing({"WP301": 2.0, "WP302": 1.0, "WP403": 0.0}, framing=3.0, pose=1.0)
    costs = effects(
        results(
            ("WP301", Judged(0.25, "")),
            ("WP302", Inconclusive("unseen")),
            ("WP303", Inconclusive("unseen", required=False)),
            ("WP304", NotApplicable("no question")),
            ("WP403", Judged(0.6, "")),
        ),
        "animate",
        profile,
    )
    assert costs == pytest.approx(
        {
            "WP301": -math.log(0.25) * 2 * 3 / 4,
            "WP302": -math.log(0.5) * 1 * 3 / 4,
            "WP303": 0.0,
            "WP304": 0.0,
            "WP403": 0.0,
        }
    )


# ------------------------------------------------------------------ the pair as a whole


def score_of(pair: PairContext) -> float:
    return overall(family_scores(evaluate(pair), pair.mode, pair.profile), pair.mode, pair.profile)


def test_a_pair_that_matches_scores_full_marks(make: Any) -> None:
    assert score_of(make.pair()) > 99.5


def test_what_passed_beside_a_failure_does_not_soften_it() -> None:
    profile = weighing({"WP101": 1.0, "WP103": 0.5})
    failed = ("WP101", Judged(0.01, ""))
    passed = ("WP103", Judged(1.0, ""))
    alone = family_scores(results(failed), "animate", profile)["media"]
    beside = family_scores(results(failed, passed), "animate", profile)["media"]
    assert alone == beside == pytest.approx(0.01)


def test_a_deselected_family_does_not_count() -> None:
    scores = dict.fromkeys(FAMILIES) | {"aspect": 0.8}
    assert overall(scores, "animate", PROFILE, {"aspect"}) == 80.0
    assert overall(scores, "animate", PROFILE, set()) == 50.0


DEGRADE: dict[str, Callable[[Any, float], Any]] = {
    "zoom": lambda make, x: make.subject(px_per_m=500.0 * (1 + 0.3 * x)),
    "shift": lambda make, x: make.body(hips=(360.0 + 12.0 * x, 600.0)),
    "turn": lambda make, x: make.body(make.turned("y", 14.0 * x)),
    "roll": lambda make, x: make.body(make.turned("z", 4.0 * x)),
    "face": lambda make, x: make.subject(
        face=make.face.model_copy(update={"yaw_deg": 20.0 + 10.0 * x})
    ),
}


@pytest.mark.parametrize("kind", sorted(DEGRADE))
@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_each_step_of_degradation_costs_points(make: Any, kind: str, mode: str) -> None:
    scores = [
        score_of(make.pair(make.image(DEGRADE[kind](make, float(step))), mode=mode))
        for step in range(1, 9)
    ]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


@settings(max_examples=30)
@given(width=st.integers(400, 2400))
def test_a_further_aspect_never_scores_more(make: Any, width: int) -> None:
    further = width + 100 if width >= 720 else width - 100
    near, far = (
        evaluate(make.pair(make.image(width=w)), [BY_CODE["WP201"]])[0] for w in (width, further)
    )
    assert far.score < near.score


def test_nobody_in_the_image_leaves_framing_and_pose_open(make: Any) -> None:
    pair = make.pair(make.image(None))
    scores = family_scores(evaluate(pair), "animate", PROFILE)
    assert (scores["framing"], scores["pose"]) == (None, None)
    assert all(scores[name] is not None for name in ("media", "aspect", "subject", "clip"))


# ------------------------------------------------------------------ one pair at several starts


def test_a_scorer_gives_what_the_report_would(make: Any) -> None:
    turned = make.body(make.turned("y", 70.0))
    pair = make.pair(make.image(width=900), make.video([turned, "adult"], is_vfr=True))
    moved = pair.starting_at(pair.moments[1].observation)
    scorer = PairScorer(pair)
    assert scorer.score(pair) == pytest.approx(score_of(pair))
    assert scorer.score(moved) == pytest.approx(score_of(moved))
    assert scorer.score(moved) > scorer.score(pair) + 5


def test_repaired_families_count_as_perfect(make: Any) -> None:
    pair = make.pair(make.image(width=1280, height=1280))
    scores = family_scores(evaluate(pair), "animate", PROFILE)
    assert scores["aspect"] is not None
    assert scores["aspect"] < 0.5
    scores["aspect"] = 1.0
    assert PairScorer(pair, repaired=["aspect"]).score(pair) == overall(scores, "animate", PROFILE)


def test_a_scorer_asks_for_the_families_of_its_rules(make: Any) -> None:
    pair = make.pair(make.image(width=1280, height=1280))
    media = [rule for rule in RULES if rule.family == "media"]
    assert PairScorer(pair, media).score(pair) > PairScorer(pair).score(pair) + 10


# ------------------------------------------------------------------ the best start


def test_a_sample_that_matches_better_is_found(make: Any) -> None:
    turned = make.body(make.turned("y", 70.0))
    pair = make.pair(video=make.video([turned, turned, turned, "adult", turned, turned]))
    best = best_start(pair)
    assert best is not None
    assert float(best.observation.time) == 1.5
    assert best.score_at_first == pytest.approx(score_of(pair))
    assert best.score > best.score_at_first + 5
    moved = pair.starting_at(best.observation)
    assert best.score == pytest.approx(score_of(moved))


@pytest.mark.parametrize(
    ("matching", "duration", "best_s"),
    [
        # Samples every half second. Of 8 s, the 2 s that hosts ask for must be left.
        (12, Fraction(8), 6.0),
        (13, Fraction(8), None),
        # Of 3 s, half.
        (3, Fraction(3), 1.5),
        (4, Fraction(3), None),
    ],
)
def test_enough_of_the_clip_is_left_behind_the_best_start(
    make: Any, matching: int, duration: Fraction, best_s: float | None
) -> None:
    turned = make.body(make.turned("y", 70.0))
    bodies: list[Any] = [turned] * int(2 * duration)
    bodies[matching] = "adult"
    best = best_start(make.pair(video=make.video(bodies, duration=duration)))
    assert best is not None
    if best_s is None:
        assert float(best.observation.time) < matching / 2
    else:
        assert float(best.observation.time) == best_s


def test_a_match_at_the_first_sample_is_taken_however_late(make: Any) -> None:
    found_late = [None] * 15 + ["adult"]
    best = best_start(make.pair(video=make.video(found_late)))
    assert best is not None
    assert best.observation.time == Fraction(15, 2)


def test_of_equals_the_earliest_is_the_best_start(make: Any) -> None:
    best = best_start(make.pair())
    assert best is not None
    assert best.observation.time == 0
    assert best.score == best.score_at_first


def test_the_best_start_is_sought_although_the_first_frame_is_empty(make: Any) -> None:
    pair = make.pair(video=make.video([None, None, "adult", "adult"]))
    best = best_start(pair)
    assert best is not None
    assert float(best.observation.time) == 1.0
    assert best.score > best.score_at_first


def test_without_anybody_there_is_no_best_start(make: Any) -> None:
    assert best_start(make.pair(make.image(None))) is None
    assert best_start(make.pair(video=make.video([None, None]))) is None
    assert best_start(make.pair(video=make.unreadable("video"))) is None


def test_the_best_start_asks_again_only_what_depends_on_it(make: Any) -> None:
    asked: dict[str, int] = {}

    def counting(rule: Rule) -> Rule:
        def check(context: PairContext) -> Answer:
            asked[rule.code] = asked.get(rule.code, 0) + 1
            return rule.check(context)

        return replace(rule, check=check)

    best_start(make.pair(video=make.video(["adult"] * 4)), [counting(rule) for rule in RULES])
    for rule in RULES:
        # At the first frame, and at each of four samples.
        assert asked[rule.code] == (5 if rule.at_start else 1), rule.code


def test_a_judged_pair_has_the_answers_that_it_would_give_with_its_best_start_known(
    make: Any,
) -> None:
    turned = make.body(make.turned("y", 70.0))
    pair, results = judge(make.pair(video=make.video([turned, turned, turned, "adult", turned])))
    assert pair.best == best_start(pair)
    assert [r.answer for r in results] == [r.answer for r in evaluate(pair)]
    assert [r.rule for r in results] == list(RULES)
    assert "WP403" in {r.rule.code for r in results if r.finding is not None}


# ------------------------------------------------------------------ many pairs


@contextmanager
def counting_calls(*functions: Callable[..., Any]) -> Iterator[Counter[str]]:
    """How often the bodies of these functions run, by name."""
    names = {getattr(f, "__wrapped__", f).__code__: f.__name__ for f in functions}
    counts: Counter[str] = Counter()

    def see(frame: Any, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in names:
            counts[names[frame.f_code]] += 1

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        yield counts
    finally:
        sys.setprofile(before)


def test_what_one_side_shows_is_derived_once_a_subject_and_not_once_a_pair(make: Any) -> None:
    """3 images and 2 clips of 5 samples: 13 subjects, and 30 times an image against a sample."""

    def bodies(count: int, turn: float) -> list[Any]:
        return [make.body(make.turned("y", turn + k)) for k in range(count)]

    images = [make.image(each) for each in bodies(3, 0.0)]
    videos = [make.video(bodies(5, turn)) for turn in (10.0, 20.0)]
    kept = {
        function
        for module in (side, parts, confidence)
        for function in vars(module).values()
        if hasattr(function, "__wrapped__")
    }
    with counting_calls(*kept, body.sight_in) as counts:
        for image in images:
            for video in videos:
                for mode in ("animate", "replace"):
                    judge(make.pair(image, video, mode=mode))
    assert counts["sight_in"] == counts["body_parts"] == counts["limbs_in_torso_frame"] == 13
    assert max(counts.values()) == 13


def test_heads_are_made_once_a_subject_too(make: Any) -> None:
    """Whoever is held against a head is compared by their own."""
    images = [make.image(make.head(yaw=yaw)) for yaw in (0.0, 20.0, 40.0)]
    video = make.video([make.body(make.turned("y", turn)) for turn in (10.0, 20.0)])
    with counting_calls(side._head_of) as counts:
        for image in images:
            judge(make.pair(image, video))
    assert counts["_head_of"] == 2
