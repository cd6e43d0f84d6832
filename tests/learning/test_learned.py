"""Tolerances learned from outcomes whose truth is known."""

from __future__ import annotations

import math
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.learning.fit import Design, fitted, widened, widths
from wan_prep.learning.intervals import auc, auc_interval, mean_interval, share_interval
from wan_prep.learning.judgement import TOLERANCE_OF, Judgement
from wan_prep.learning.learned import learned_from, profile_text
from wan_prep.profile import Profile, Tolerance, default_profile, load_profile

PROFILE = default_profile()
TODAY = date(2026, 11, 22)
NAMES = sorted(set(TOLERANCE_OF.values()))
TRUTH = {"view": 0.35, "pose": 0.4, "zoom": 2.5, "placement": 2.5}


def scores(judgements: list[Judgement], profile: Profile) -> np.ndarray:
    return np.array([judgement.score_by(profile) for judgement in judgements])


def concordance(a: np.ndarray, b: np.ndarray) -> float:
    """Share of pairs of values that stand in one order in both."""
    first, second = np.sign(a[:, None] - a), np.sign(b[:, None] - b)
    above = np.triu_indices(len(a), 1)
    return float((first[above] == second[above]).mean())


# ------------------------------------------------------------------ what is known by hand


def test_auc_by_hand() -> None:
    values, is_good = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, True, False, True])
    # good 2 against bad 1 and 2: 1.5; good 3 against both: 2.
    assert auc(values, is_good) == 3.5 / 4


def test_a_perfect_auc_of_few_is_not_sure() -> None:
    few, many = auc_interval(1.0, 5, 5), auc_interval(1.0, 200, 200)
    assert few.low == pytest.approx(0.643, abs=0.001)
    assert few.high == 1.0
    assert many.low > 0.97
    assert auc_interval(0.8, 15, 15)[1:] == pytest.approx((0.594, 0.911), abs=0.001)


def test_a_share_has_its_wilson_interval() -> None:
    # Wilson (1927) for 8 of 10, as textbooks print it.
    assert share_interval(8, 10)[1:] == pytest.approx((0.490, 0.943), abs=0.001)
    assert share_interval(0, 4).low == 0.0


def test_the_interval_of_a_mean_is_the_same_each_time_and_draws_pairs_as_wholes() -> None:
    values, apart = np.array([1.0, 1.0, -1.0, -1.0]), np.arange(4)
    together = np.array([0, 0, 1, 1])
    assert mean_interval(values, apart, 1) == mean_interval(values, apart, 1)
    assert mean_interval(values, together, 1)[1:] == (-1.0, 1.0)


def test_anchors_move_to_where_more_is_let_pass() -> None:
    much = Tolerance(fine=10, worthless=100, unit="deg", source="here")
    little = Tolerance(fine=60, worthless=12, unit="px", source="here")
    assert widened(much, 2.0, "x").model_dump() == {
        "fine": 20.0, "worthless": 200.0, "unit": "deg", "source": "x"
    }  # fmt: skip
    assert widened(little, 2.0, "x").fine == 30.0
    assert widened(little, 2.0, "x").score(20.0) > little.score(20.0)


# ------------------------------------------------------------------ scores of the fit


@given(
    theta=st.lists(st.floats(-1.5, 1.5), min_size=len(NAMES), max_size=len(NAMES)),
    seed=st.integers(0, 50),
)
def test_the_fit_scores_pairs_as_check_does_with_the_profile_it_writes(
    drawn: Any, theta: list[float], seed: int
) -> None:
    pairs = drawn.pairs(6, seed)
    design = Design.of(pairs, PROFILE)
    moved = {name: math.exp(x) for name, x in zip(design.names, theta, strict=True)}
    foreseen = 100.0 * np.exp(design.log_scores(np.array(theta)))
    # Anchors are written with four digits, scores with two decimals.
    assert foreseen == pytest.approx(scores(pairs, drawn.profile(**moved)), rel=0.01, abs=0.03)


def test_the_gradient_is_that_of_the_scores(drawn: Any) -> None:
    design = Design.of(drawn.pairs(8, 3), PROFILE)
    theta, step = np.linspace(-0.4, 0.5, len(design.names)), 1e-5
    for k in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[k] += step
        down[k] -= step
        slope = (design.log_scores(up) - design.log_scores(down)) / (2 * step)
        assert design.gradient(theta)[:, k] == pytest.approx(slope, abs=1e-6)
    assert (design.gradient(theta) >= 0).all(), "a wider tolerance never lowers a score"


@given(
    widths_=st.lists(st.floats(0.2, 5.0), min_size=len(NAMES), max_size=len(NAMES)),
    name=st.sampled_from(NAMES),
    share=st.floats(0.01, 3.0),
    worse=st.floats(1.0, 3.0),
    mode=st.sampled_from(["animate", "replace"]),
)
def test_a_worse_measured_pair_never_scores_higher(
    drawn: Any, widths_: list[float], name: str, share: float, worse: float, mode: str
) -> None:
    learned = drawn.profile(**dict(zip(NAMES, widths_, strict=True)))
    tolerance = PROFILE.tolerance(name, mode)  # type: ignore[arg-type]
    at = share * tolerance.fine
    beyond = at * worse if tolerance.worthless > tolerance.fine else at / worse
    near, far = (drawn.judgement({name: x}, mode=mode) for x in (at, beyond))
    assert far.score_by(learned) <= near.score_by(learned)


# ------------------------------------------------------------------ learning


@pytest.fixture(scope="module")
def learned_profile(drawn: Any, tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """From 400 outcomes of the known truth."""
    outcomes = drawn.outcomes(drawn.pairs(400, 1), drawn.profile(**TRUTH), 2)
    found = learned_from(outcomes, PROFILE, TODAY)
    assert found.refusal is None
    assert found.validation is not None
    assert found.validation.gain.low > 0.0
    assert found.validation.auc_after > found.validation.auc_before
    path = tmp_path_factory.mktemp("learned") / "mine.toml"
    path.write_text(found.text or "", "utf-8")
    return load_profile(path)


def test_the_ranking_of_the_truth_is_recovered(drawn: Any, learned_profile: Profile) -> None:
    fresh = drawn.pairs(300, 77)
    true = scores(fresh, drawn.profile(**TRUTH))
    shipped = concordance(scores(fresh, PROFILE), true)
    learned = concordance(scores(fresh, learned_profile), true)
    assert learned > 0.93
    assert 1.0 - learned < 0.5 * (1.0 - shipped)


def test_the_learned_profile_says_where_it_comes_from(learned_profile: Profile) -> None:
    view = learned_profile.tolerances["view"]
    assert view.fine < PROFILE.tolerances["view"].fine
    assert view.source.startswith(
        "learned from 400 outcomes on 2026-11-22, starting from version 1 of wan2.2-animate, 0."
    )
    assert learned_profile.name == "mine"
    assert learned_profile.version.startswith("1, learned from 400 outcomes")
    for mode in ("animate", "replace"):
        shipped, learned = (p.tolerance("zoom", mode) for p in (PROFILE, learned_profile))
        assert learned.fine / shipped.fine == pytest.approx(
            learned_profile.tolerances["zoom"].fine / PROFILE.tolerances["zoom"].fine, rel=1e-3
        )
        assert learned.fine > shipped.fine


def test_limits_weights_and_what_the_service_decides_stay(learned_profile: Profile) -> None:
    for part in ("limits", "flaws", "family_weights", "check_weights", "service", "severity"):
        assert getattr(learned_profile, part) == getattr(PROFILE, part)
    moved = {n for n, t in learned_profile.tolerances.items() if t != PROFILE.tolerances[n]}
    assert moved <= set(TOLERANCE_OF.values())


def test_what_was_never_measured_does_not_move(drawn: Any, learned_profile: Profile) -> None:
    assert learned_profile.tolerances["clip_drift"] == PROFILE.tolerances["clip_drift"]


@pytest.mark.parametrize("seed", range(5))
def test_few_outcomes_stay_near_the_shipped_profile(drawn: Any, seed: int) -> None:
    outcomes = drawn.outcomes(drawn.pairs(8, seed), drawn.profile(**TRUTH), seed)
    design = Design.of([o.judgement for o in outcomes], PROFILE)
    is_good = np.array([o.is_good for o in outcomes])
    few = np.abs(fitted(design, is_good, PROFILE.limit("learned_spread")).theta)
    assert few.max() < 0.5, "within one spread"
    assert np.abs(fitted(design, is_good, 0.1).theta).max() < few.max(), "a tighter prior holds"


def test_more_outcomes_move_it_further(drawn: Any) -> None:
    truth, away = drawn.profile(**TRUTH), []
    for count in (10, 50, 400):
        outcomes = drawn.outcomes(drawn.pairs(count, 1), truth, 2)
        design = Design.of([o.judgement for o in outcomes], PROFILE)
        fit = fitted(design, np.array([o.is_good for o in outcomes]), 0.5)
        away.append(float(np.linalg.norm(fit.theta)))
    assert away == sorted(away)


def test_without_a_spread_nothing_moves(drawn: Any) -> None:
    outcomes = drawn.outcomes(drawn.pairs(40, 1), PROFILE, 2)
    design = Design.of([o.judgement for o in outcomes], PROFILE)
    fit = fitted(design, np.array([o.is_good for o in outcomes]), 0.0)
    assert set(widths(design, fit).values()) == {1.0}


# ------------------------------------------------------------------ refusals


def test_below_thirty_it_only_reports(drawn: Any) -> None:
    truth = drawn.profile(**TRUTH)
    found = learned_from(drawn.outcomes(drawn.pairs(29, 1), truth, 2), PROFILE, TODAY)
    assert found.refusal is not None
    assert "29 outcomes with a score are too few, 30 are needed" in found.refusal
    assert found.text is None
    assert found.validation is not None, "the gain is told all the same"


@pytest.mark.parametrize("result", ["good", "bad"])
def test_where_all_are_alike_nothing_is_told_apart(drawn: Any, result: str) -> None:
    outcomes = [drawn.outcome(j, result) for j in drawn.pairs(50, 1)]
    found = learned_from(outcomes, PROFILE, TODAY)
    other = "bad" if result == "good" else "good"
    assert f"also of the {other} ones" in (found.refusal or "")
    assert (found.text, found.validation, found.widths) == (None, None, {})


def test_where_the_shipped_profile_is_right_nothing_is_written(drawn: Any) -> None:
    found = learned_from(drawn.outcomes(drawn.pairs(60, 1), PROFILE, 2), PROFILE, TODAY)
    assert "not surely better" in (found.refusal or "")
    assert found.text is None


def test_outcomes_that_are_chance_teach_nothing(drawn: Any) -> None:
    pairs = drawn.pairs(80, 5)
    rng = np.random.default_rng(6)
    outcomes = [drawn.outcome(j, "good" if rng.random() < 0.5 else "bad") for j in pairs]
    assert learned_from(outcomes, PROFILE, TODAY).text is None


def test_outcomes_of_one_pair_do_not_vouch_for_each_other(drawn: Any) -> None:
    """One pair submitted forty times is one pair."""
    good, bad = drawn.judgement({"view": 5.0}, pair=1), drawn.judgement({"view": 80.0}, pair=2)
    outcomes = [drawn.outcome(good, "good")] * 40 + [drawn.outcome(bad, "bad")] * 40
    assert learned_from(outcomes, PROFILE, TODAY).text is None


def test_outcomes_without_a_judgement_do_not_count(drawn: Any) -> None:
    found = learned_from([drawn.outcome(None, "good")] * 100, PROFILE, TODAY)
    assert found.count == 0
    assert "0 outcomes with a score are too few" in (found.refusal or "")


def test_the_same_outcomes_give_the_same_answer(drawn: Any) -> None:
    outcomes = drawn.outcomes(drawn.pairs(40, 1), drawn.profile(**TRUTH), 2)
    assert learned_from(outcomes, PROFILE, TODAY) == learned_from(outcomes, PROFILE, TODAY)


def test_extreme_measures_do_not_break_the_fit(drawn: Any) -> None:
    pairs = [
        drawn.judgement({"view": v, "face_px": f, "zoom": z}, pair=(v, f, z))
        for v, f, z in [(0.0, 0.0, 0.0), (180.0, 1e9, 1e9), (1e-300, 1e-300, 5.0)] * 12
    ]
    outcomes = [drawn.outcome(j, "good" if k % 3 else "bad") for k, j in enumerate(pairs)]
    found = learned_from(outcomes, PROFILE, TODAY)
    assert all(math.isfinite(width) and width > 0 for width in found.widths.values())


def test_a_profile_is_toml_whatever_it_is_called(tmp_path: Path) -> None:
    odd = PROFILE.model_copy(update={"name": 'a "name"\nwith = signs', "version": "\x07"})
    text = profile_text(odd, {"view": 0.5, "zoom": 1.5, "pose": 1.001}, 31, TODAY)
    given_ = tomllib.loads(text)
    assert set(given_["tolerances"]) == {"view", "zoom"}, "what hardly moves stays as it is"
    path = tmp_path / "p.toml"
    path.write_text(text, "utf-8")
    assert load_profile(path).tolerances["view"].fine == 6.25
