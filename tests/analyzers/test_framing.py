from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wan_prep.findings import Applicability, Inconclusive, NotApplicable, Severity
from wan_prep.profile import default_profile

AT_FIRST = ["WP301", "WP302", "WP303", "WP304", "WP305", "WP306"]
SCORES = {name: t.score for name, t in default_profile().tolerances.items()}


@pytest.mark.parametrize("code", [*AT_FIRST, "WP307"])
def test_the_same_framing_passes(make: Any, code: str) -> None:
    result = make.result(code, make.pair())
    assert result.finding is None
    assert result.score == 1.0


@pytest.mark.parametrize("code", AT_FIRST)
def test_nobody_in_the_image_is_inconclusive(make: Any, code: str) -> None:
    result = make.result(code, make.pair(make.image(None)))
    assert isinstance(result.answer, Inconclusive)
    assert (result.finding.status, result.finding.severity) == ("inconclusive", Severity.WARNING)
    assert "in the image" in result.finding.message
    assert result.finding.measured is None


@pytest.mark.parametrize("code", AT_FIRST)
def test_nobody_in_the_first_frame_is_inconclusive(make: Any, code: str) -> None:
    result = make.result(code, make.pair(video=make.video([None, "adult", "adult"])))
    assert result.finding.status == "inconclusive"
    assert "in the first frame" in result.finding.message


@pytest.mark.parametrize("code", [*AT_FIRST, "WP307"])
@pytest.mark.parametrize("kind", ["image", "video"])
def test_an_unreadable_file_has_no_framing(make: Any, code: str, kind: str) -> None:
    result = make.result(code, make.pair(**{kind: make.unreadable(kind)}))
    assert isinstance(result.answer, NotApplicable)


def test_without_anybody_nothing_is_typical(make: Any) -> None:
    for pair in (make.pair(make.image(None)), make.pair(video=make.video([None, None]))):
        assert isinstance(make.result("WP307", pair).answer, NotApplicable)


# ------------------------------------------------------------------ zoom


@pytest.mark.parametrize(
    ("ratio", "severity"),
    [
        (1.08, None),
        (1.15, Severity.INFO),
        (1.6, Severity.WARNING),
        (0.6, Severity.WARNING),
        (3.0, Severity.ERROR),
        (1 / 3, Severity.ERROR),
    ],
)
def test_zoom(make: Any, ratio: float, severity: Severity | None) -> None:
    image = make.image(make.subject(px_per_m=500.0 * ratio))
    result = make.result("WP301", make.pair(image))
    assert result.score == pytest.approx(SCORES["zoom"](abs(math.log(ratio))))
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert result.finding.measured == pytest.approx(ratio, abs=1e-4)
        factor, side = max(ratio, 1 / ratio), "image" if ratio > 1 else "video"
        assert f"{factor:.2f} times larger in the {side}" in result.finding.message
        # The limit lies on the measured side of 1.
        assert (result.finding.limit > 1) == (ratio > 1)


def test_zoom_without_a_scale_is_inconclusive(make: Any) -> None:
    result = make.result("WP301", make.pair(make.image(make.subject(px_per_m=None))))
    assert result.finding.status == "inconclusive"
    assert result.finding.severity is Severity.WARNING


def test_typical_zoom_is_the_median_and_never_an_error(make: Any) -> None:
    near = make.subject(px_per_m=4000.0)
    one_of_five = make.video(["adult", "adult", near, "adult", "adult"])
    assert make.result("WP307", make.pair(video=one_of_five)).finding is None
    most = make.video(["adult", near, near, near, "adult"])
    result = make.result("WP307", make.pair(video=most))
    assert result.score < 0.1
    assert result.finding.severity is Severity.WARNING
    assert result.finding.measured == pytest.approx(0.125)
    assert "8.00 times larger in the video over most of the clip" in result.finding.message


# ------------------------------------------------------------------ placement


@pytest.mark.parametrize(
    ("hips", "severity", "words"),
    [
        ((374.0, 600.0), None, []),
        ((432.0, 600.0), Severity.INFO, ["10% further right"]),
        ((180.0, 856.0), Severity.WARNING, ["25% further left", "20% lower"]),
        ((360.0, 472.0), Severity.INFO, ["10% higher"]),
    ],
)
def test_placement(make: Any, hips: tuple, severity: Severity | None, words: list[str]) -> None:
    result = make.result("WP302", make.pair(make.image(make.body(hips=hips))))
    distance = math.hypot((hips[0] - 360) / 720, (hips[1] - 600) / 1280)
    assert result.score == pytest.approx(SCORES["placement"](distance), abs=1e-3)
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert result.finding.measured == pytest.approx(distance, abs=1e-3)
        assert all(word in result.finding.message for word in words)
        # The crown is 428 px above the hips.
        assert (
            f"above the head are {(hips[1] - 428) / 1280:.0%} of the image and 13%"
            in result.finding.message
        )


# ------------------------------------------------------------------ shot and edges


@pytest.mark.parametrize(
    ("hips_y", "px_per_m", "severity", "words", "fix"),
    [
        (900.0, 500.0, Severity.INFO, ["down to the knees", "left ankle and right ankle"], "safe"),
        (850.0, 1000.0, Severity.WARNING, ["down to the hips", "left knee"], "manual"),
        (2050.0, 1500.0, Severity.ERROR, ["the face alone", "left shoulder", "more"], "manual"),
    ],
)
def test_shots(
    make: Any, hips_y: float, px_per_m: float, severity: Severity, words: list[str], fix: str
) -> None:
    closer = make.image(make.body(hips=(360.0, hips_y), px_per_m=px_per_m))
    finding = make.result("WP303", make.pair(closer)).finding
    assert finding.severity is severity
    assert "the first frame the whole body; only the video shows" in finding.message
    assert all(word in finding.message for word in words)
    assert finding.fix.applicability == Applicability(fix)
    assert finding.unit == "classes"


def test_an_image_that_shows_more_says_so(make: Any) -> None:
    video = make.video([make.body(hips=(360.0, 850.0), px_per_m=1000.0)] * 3)
    finding = make.result("WP303", make.pair(video=video)).finding
    assert "the image shows the whole body" in finding.message
    assert "only the image shows" in finding.message


def test_edges_that_cut_on_one_side_only(make: Any) -> None:
    lower = make.image(make.body(hips=(360.0, 900.0)))
    finding = make.result("WP306", make.pair(lower)).finding
    assert (finding.severity, finding.measured, finding.unit) == (Severity.INFO, 1, "edges")
    assert "different edges: the image at the bottom" in finding.message
    worse = make.image(make.body(hips=(650.0, 1000.0)))
    finding = make.result("WP306", make.pair(worse)).finding
    assert (finding.severity, finding.measured) == (Severity.WARNING, 2)
    back = make.result("WP306", make.pair(make.image(), make.video([worse.first.subject])))
    assert "different edges: the first frame at the bottom and right" in back.finding.message


def test_edges_are_never_an_error(make: Any) -> None:
    image = make.image(make.body(px_per_m=3000.0))
    result = make.result("WP306", make.pair(image))
    assert result.finding.measured == 4
    assert result.score == pytest.approx(SCORES["cut_edges"](4.0))
    assert result.finding.severity is Severity.WARNING


# ------------------------------------------------------------------ view and tilt


@pytest.mark.parametrize(
    ("yaw", "severity"),
    [
        (10.0, None),
        (30.0, Severity.INFO),
        (-60.0, Severity.WARNING),
        (100.0, Severity.ERROR),
        (180.0, Severity.ERROR),
    ],
)
def test_views(make: Any, yaw: float, severity: Severity | None) -> None:
    image = make.image(make.body(make.turned("y", -yaw)))
    result = make.result("WP304", make.pair(image))
    assert result.score == pytest.approx(SCORES["view"](abs(yaw)), abs=1e-3)
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert result.finding.measured == pytest.approx(abs(yaw), abs=0.3)
        assert f"{abs(yaw):.0f} deg apart" in result.finding.message
        assert result.finding.fix.applicability is Applicability.MANUAL


def test_views_that_degenerate_are_inconclusive(make: Any) -> None:
    image = make.image(make.subject(view_matrix=None))
    for code in ("WP304", "WP305"):
        finding = make.result(code, make.pair(image)).finding
        assert (finding.status, finding.severity) == ("inconclusive", Severity.WARNING)


@pytest.mark.parametrize(
    ("roll", "severity", "side"),
    [
        (3.0, None, ""),
        (10.0, Severity.INFO, "right"),
        (-20.0, Severity.WARNING, "left"),
        (50.0, Severity.ERROR, "right"),
    ],
)
def test_tilt(make: Any, roll: float, severity: Severity | None, side: str) -> None:
    image = make.image(make.body(make.turned("z", roll)))
    result = make.result("WP305", make.pair(image))
    assert result.score == pytest.approx(SCORES["roll"](abs(roll)), abs=1e-3)
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert f"{abs(roll):.0f} deg more to the {side}" in result.finding.message


def test_framing_is_judged_at_the_start_that_is_asked_for(make: Any) -> None:
    turned = make.body(make.turned("y", 70.0))
    pair = make.pair(video=make.video([turned, "adult", "adult"]))
    assert make.result("WP304", pair).finding.severity is Severity.WARNING
    later = pair.starting_at(pair.video.observations[1])
    assert make.result("WP304", later).finding is None
    np.testing.assert_array_equal(later.template_subject.subject.view_matrix, np.diag([1, -1, -1]))


def test_another_clip_is_measured_anew(make: Any) -> None:
    pair = make.pair()
    later = pair.starting_at(pair.video.observations[1])
    smaller = make.video([make.body(px_per_m=250.0)] * 3)
    assert replace(later, video=smaller).typical.zoom_ratio == pytest.approx(2.0, rel=0.02)
    assert later.typical.zoom_ratio == pytest.approx(1.0)


@pytest.mark.parametrize("code", ["WP304", "WP305", "WP401"])
def test_what_is_hardly_seen_is_not_judged(make: Any, code: str) -> None:
    pair = make.pair()
    subject = pair.image.first.subject.model_copy(update={"agreement": 0.3})
    seen = pair.image.first.model_copy(update={"subject": subject})
    doubtful = pair.image.model_copy(update={"observations": (seen,)})
    result = make.result(code, make.pair(doubtful, pair.video))
    assert (result.finding.status, result.finding.severity) == ("inconclusive", Severity.WARNING)
    assert "are hardly visible there or in the image" in result.finding.message
