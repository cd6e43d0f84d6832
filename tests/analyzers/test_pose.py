from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wan_prep.findings import (
    Applicability,
    BestStart,
    Inconclusive,
    Judged,
    NotApplicable,
    Severity,
)
from wan_prep.pose.skeleton import HEAD, Joint
from wan_prep.profile import default_profile

SCORES = {name: t.score for name, t in default_profile().tolerances.items()}
ARMS = [Joint.LEFT_ELBOW, Joint.LEFT_WRIST, Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST]
SIZE = {"hips": (360.0, 600.0), "px_per_m": 400.0}


def arms_forward(make: Any, angle: float) -> Any:
    """Both arms raised towards the camera; four of eight limbs are off by `angle`."""
    world = make.adult()
    for shoulder, arm in (
        (Joint.LEFT_SHOULDER, ARMS[:2]),
        (Joint.RIGHT_SHOULDER, ARMS[2:]),
    ):
        world[arm] = world[shoulder] + (world[arm] - world[shoulder]) @ make.rotation("x", -angle).T
    return make.body(world, **SIZE)


@pytest.mark.parametrize("code", ["WP401", "WP402", "WP404"])
def test_the_same_pose_passes(make: Any, code: str) -> None:
    result = make.result(code, make.pair())
    assert result.finding is None
    assert result.score == 1.0


@pytest.mark.parametrize(
    ("angle", "severity"),
    [(28.0, None), (50.0, Severity.INFO), (100.0, Severity.WARNING), (180.0, Severity.WARNING)],
)
def test_pose_mismatch(make: Any, angle: float, severity: Severity | None) -> None:
    result = make.result("WP401", make.pair(make.image(arms_forward(make, angle))))
    assert result.score == pytest.approx(SCORES["pose"](angle / 2), abs=1e-3)
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert result.finding.measured == pytest.approx(angle / 2, abs=0.3)
        assert f"{angle / 2:.0f} deg apart on average" in result.finding.message
        assert f"({angle:.0f} deg)" in result.finding.message
        assert "arm" in result.finding.message.split("most of all")[1]


def test_an_opposite_pose_is_an_error(make: Any) -> None:
    """Upside down below the shoulders: every limb points the other way."""
    world = make.adult()
    limbs = [*ARMS, Joint.LEFT_KNEE, Joint.RIGHT_KNEE, Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE]
    for joint in limbs:
        root = Joint.LEFT_SHOULDER if joint in ARMS else Joint.LEFT_HIP
        world[joint, 1] = 2 * world[root, 1] - world[joint, 1]
    finding = make.result("WP401", make.pair(make.image(make.body(world)))).finding
    assert finding.severity is Severity.ERROR
    assert finding.measured == pytest.approx(180.0)


def test_without_a_common_limb_the_pose_is_unknown(make: Any) -> None:
    face = make.image(make.body(hips=(360.0, 2050.0), px_per_m=1500.0))
    finding = make.result("WP401", make.pair(face)).finding
    assert (finding.status, finding.severity) == ("inconclusive", Severity.WARNING)
    assert isinstance(make.result("WP402", make.pair(face)).answer, NotApplicable)


def test_nobody_in_the_image(make: Any) -> None:
    pair = make.pair(make.image(None))
    assert isinstance(make.result("WP401", pair).answer, Inconclusive)
    for code in ("WP402", "WP403", "WP404"):
        assert isinstance(make.result(code, pair).answer, NotApplicable)


def test_an_unreadable_file_has_no_pose(make: Any) -> None:
    pair = make.pair(video=make.unreadable("video"))
    for code in ("WP401", "WP402", "WP403", "WP404"):
        assert isinstance(make.result(code, pair).answer, NotApplicable)


def test_the_typical_pose_is_the_median_and_never_an_error(make: Any) -> None:
    far = arms_forward(make, 180.0)
    once = make.video(["adult", far, "adult"])
    assert make.result("WP402", make.pair(video=once)).finding is None
    result = make.result("WP402", make.pair(video=make.video(["adult", far, far])))
    assert result.score == pytest.approx(SCORES["typical_pose"](90.0), abs=1e-3)
    assert result.finding.severity is Severity.WARNING
    assert "90 deg away" in result.finding.message


# ------------------------------------------------------------------ proportions


def large_headed(make: Any, factor: float) -> Any:
    world = make.adult()
    chin = world[[Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT]].mean(axis=0)
    world[list(HEAD)] = chin + factor * (world[list(HEAD)] - chin)
    return make.body(world)


@pytest.mark.parametrize(
    ("factor", "severity"), [(1.2, None), (1.4, Severity.INFO), (2.5, Severity.WARNING)]
)
def test_proportions(make: Any, factor: float, severity: Severity | None) -> None:
    result = make.result("WP404", make.pair(make.image(large_headed(make, factor))))
    assert (result.finding and result.finding.severity) == severity
    assert result.score == pytest.approx(SCORES["proportions"](float(np.log(factor))), abs=5e-3)
    if result.finding is not None:
        assert f"the head is {factor:.2f} times larger in the image" in result.finding.message


def test_proportions_name_the_worst_part_and_the_mode(make: Any) -> None:
    world = make.adult()
    world[[Joint.LEFT_KNEE, Joint.RIGHT_KNEE], 1] = 0.18
    world[[Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE], 1] = 0.36
    video = make.video([make.body(world)] * 3)
    finding = make.result("WP404", make.pair(video=video, mode="replace")).finding
    assert finding.message.endswith(
        "the legs are 2.50 times longer in the image; replace mode does not adapt them"
    )
    assert finding.fix.applicability is Applicability.MANUAL
    assert finding.severity is Severity.WARNING


def test_a_wide_body_is_told_from_a_narrow_one(make: Any) -> None:
    """Shoulders and hips 1.6 times as wide, and as long as ever."""
    world = make.adult()
    world[:, 0] *= 1.6
    finding = make.result("WP404", make.pair(make.image(make.body(world)))).finding
    assert finding.severity is Severity.WARNING
    assert finding.measured == pytest.approx(1.6, abs=1e-3)
    assert finding.message.startswith(
        "the proportions differ: compared with the rest of the body, the "
    )
    assert "1.60 times wider in the image" in finding.message


def test_proportions_that_nothing_shows_are_unknown_but_not_required(make: Any) -> None:
    face = make.image(make.body(hips=(360.0, 2050.0), px_per_m=1500.0))
    finding = make.result("WP404", make.pair(face)).finding
    assert (finding.status, finding.severity) == ("inconclusive", Severity.INFO)


# ------------------------------------------------------------------ a better start


def test_a_better_start_is_told_and_is_never_more_than_a_hint(make: Any) -> None:
    pair = make.pair()
    later = pair.video.observations[3]
    finding = make.result("WP403", pair.knowing(BestStart(later, 88.0, 70.0))).finding
    assert finding.severity is Severity.INFO
    assert "a clip that starts at 1.50 s would score 88 instead of 70" in finding.message
    assert "6.5 s of it are left" in finding.message
    assert (finding.measured, finding.limit, finding.span_s) == (18.0, 5.0, (1.5, 1.5))
    assert finding.fix.applicability is Applicability.SAFE


def test_a_start_that_costs_more_than_half_the_clip_is_unsafe(make: Any) -> None:
    pair = make.pair()
    late = pair.video.observations[9]
    finding = make.result("WP403", pair.knowing(BestStart(late, 88.0, 70.0))).finding
    assert finding.fix.applicability is Applicability.UNSAFE
    assert "3.5 s of it are left" in finding.message


def test_a_gain_below_the_limit_is_a_pass(make: Any) -> None:
    pair = make.pair()
    result = make.result("WP403", pair.knowing(BestStart(pair.video.observations[3], 74.9, 70.0)))
    assert isinstance(result.answer, Judged)
    assert result.finding is None


def test_proportions_that_agree_at_first_are_not_differing_ones(make: Any) -> None:
    bent = make.body(make.adult())
    wide = large_headed(make, 1.6)
    pair = make.pair(make.image(bent), make.video([bent, wide, wide]))
    assert pair.typical.proportions["head"] < 0.7
    assert make.result("WP404", pair).finding is None
