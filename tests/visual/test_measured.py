from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.findings import Severity
from wan_prep.profile import Tolerance, default_profile
from wan_prep.report.model import Measures, Report
from wan_prep.visual import measured
from wan_prep.visual.measured import (
    Limb,
    Row,
    degrees,
    gauge_edges,
    gauge_share,
    limbs,
    px,
    rows,
    state_of,
    times,
    tolerance_words,
)
from wan_prep.visual.series import context_of

PROFILE = default_profile()
ANGLE = Tolerance(fine=10, worthless=40, unit="deg", source="test")
SIZE = Tolerance(fine=40, worthless=10, unit="px", source="test")

Check = Callable[..., Report]


def test_tolerances_in_words() -> None:
    # Between the anchors the score is one half at their geometric mean, 20.
    assert tolerance_words(ANGLE, PROFILE, degrees) == (
        "fine to 10°, warning from 20°, error from 34°"
    )
    assert tolerance_words(SIZE, PROFILE, px, Severity.WARNING) == (
        "fine from 40 px, warning below 20 px"
    )
    assert tolerance_words(ANGLE, PROFILE, degrees, Severity.INFO) == "fine to 10°"
    ratio = Tolerance(fine=math.log(1.1), worthless=math.log(3), unit="abs log ratio", source="x")
    assert tolerance_words(ratio, PROFILE, times, Severity.INFO) == "fine to 1.10×"


def test_states() -> None:
    assert [state_of(ANGLE, PROFILE, x) for x in (0, 10, 11, 19, 21, 33, 36)] == [
        "fine", "fine", "info", "info", "warning", "warning", "error"
    ]  # fmt: skip


def test_the_gauge() -> None:
    assert gauge_share(1.0) == 0.0
    assert gauge_share(0.5) == 0.5
    assert gauge_share(1e-12) == 1.0
    # ln 19 = 2.944 of 4.5 to the left of the middle.
    note, warning, error = gauge_edges(PROFILE)
    assert (note, warning) == pytest.approx((0.5 - 2.944 / 9, 0.5), abs=1e-3)
    assert warning < error < 1.0


@given(st.floats(1e-12, 1.0), st.floats(1e-12, 1.0))
def test_the_gauge_falls_with_the_score(a: float, b: float) -> None:
    assert 0.0 <= gauge_share(a) <= 1.0
    assert (a <= b) <= (gauge_share(a) >= gauge_share(b))


@pytest.mark.parametrize(
    ("function", "facts", "words"),
    [
        ("zoom", {"zoom_ratio": 1.254}, "1.25× larger in the image"),
        ("zoom", {"zoom_ratio": 0.5}, "2.00× larger in the video"),
        ("zoom", {"zoom_ratio": 1.001}, "equally large"),
        ("zoom", {}, "not measured"),
        ("placement", {"offset_x": 0.1, "offset_y": -0.05},
         "10% further right, 5% higher in the image"),
        ("placement", {"offset_x": -0.1, "offset_y": 0.001}, "10% further left in the image"),
        ("placement", {"offset_x": 0.0, "offset_y": 0.0}, "in the same place"),
        ("placement", {}, "not measured"),
        ("shot", {"shot": {"image": "full", "video": "full"}}, "the whole body in both"),
        ("shot", {"shot": {"image": "bust", "video": "three_quarter"}},
         "image head and shoulders, video the body down to the knees"),
        ("shot", {}, "not measured"),
        ("view", {"view_angle": 12.3, "yaw": -11.6, "pitch": 0.2},
         "12° apart (turned -12°, tipped 0°)"),
        ("view", {"view_angle": 12.3}, "12° apart"),
        ("lean", {"roll": -3.4}, "3° further left in the image"),
        ("lean", {"roll": -0.4}, "alike"),
        ("pose", {"pose_angle": 40.6}, "limbs 41° apart on average"),
        ("proportion", {"proportions": {"head": 1.1, "legs": 0.5}},
         "legs 2.00× larger in the video"),
        ("proportion", {"proportions": {"head": 1.0}}, "alike"),
        ("proportion", {}, "not measured"),
    ],
)  # fmt: skip
def test_words(function: str, facts: dict[str, Any], words: str) -> None:
    assert getattr(measured, f"{function}_words")(Measures.model_validate(facts)) == words


def by_code(report: Report) -> dict[str, Row]:
    found = rows(report, context_of(report))
    assert len({row.code for row in found}) == len(found)
    return {row.code: row for row in found}


def test_a_pair_that_matches(check: Check) -> None:
    found = by_code(check())
    assert {row.state for row in found.values()} == {"fine"}
    assert found["WP301"].words == "equally large"
    assert found["WP301"].over_time == "typical 1.00×"
    assert found["WP301"].tolerance.startswith("fine to 1.08×, warning from ")
    assert found["WP201"].words == "0.56 : 1 in both"
    assert found["WP503"].words == "0% of the clip"
    assert found["WP506"].words == "nobody else of any size"
    assert found["WP508"].words == "115 px across"
    assert found["WP508"].over_time == ""
    assert all(row.tolerance.startswith("fine ") for row in found.values())


def test_states_are_those_of_the_findings(check: Check, make: Any) -> None:
    turned = make.body(make.turned("y", 70.0))
    report = check(make.image(width=1280), make.video([turned, "adult", "adult"]))
    found = by_code(report)
    severities = {f.code: f.severity.value for f in report.findings if f.status == "fail"}
    assert {"WP201", "WP304"} <= set(severities)
    for code, row in found.items():
        assert row.state == severities.get(code, "fine") or row.state == "unknown", code
        assert row.gauge is None or 0.0 <= row.gauge <= 1.0
    assert found["WP201"].words == "image 1.00 : 1, video 0.56 : 1, a gap of 1.78×"
    assert found["WP304"].words.startswith("70° apart (turned")
    assert found["WP304"].over_time == "typical 0°"


def test_what_could_not_be_measured(check: Check, make: Any) -> None:
    found = by_code(check(make.image(None)))
    assert found["WP401"].state == "unknown"
    assert found["WP401"].words == "not measured"
    assert found["WP401"].gauge is None
    assert found["WP503"].state == "fine"


def test_what_was_not_asked(check: Check) -> None:
    from wan_prep.report.assemble import Selection

    found = by_code(check(selection=Selection(ignore=("WP3",))))
    assert (found["WP301"].state, found["WP301"].gauge) == ("unasked", None)
    assert found["WP401"].state == "fine"


def test_limbs_farthest_first(check: Check, make: Any) -> None:
    raised = make.adult()
    raised[[15, 17, 19, 21]] = raised[13] + [0.25, 0.0, 0.0]  # the left forearm points sideways
    report = check(video=make.video([make.body(raised), "adult", "adult"]))
    found = limbs(report, context_of(report))
    assert len(found) == 8
    assert found[0] == Limb("left forearm", 90.0, 90.0, 0.0, 0.0, "warning")
    assert [limb.first for limb in found[1:]] == [0.0] * 7
    assert {limb.state for limb in found[1:]} == {"fine"}


def test_no_limbs_without_a_body(check: Check, make: Any) -> None:
    report = check(make.image(None))
    assert limbs(report, context_of(report)) == ()
