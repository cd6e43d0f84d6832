from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.profile import Tolerance, default_profile
from wan_prep.visual.series import TimelineSample
from wan_prep.visual.timeline import Axis, cells, curve, limits

SEVERITY = default_profile().severity
# A warning begins at sqrt(10 * 40) = 20, between both anchors in the logarithm.
ANGLE = Tolerance(fine=10, worthless=40, unit="deg", source="test")
SIZE = Tolerance(fine=40, worthless=10, unit="px", source="test")


def sample(time_s: float, pose: float | None = None, scene: int = 0) -> TimelineSample:
    return TimelineSample(time_s, scene, pose is not None, 1, pose_deg=pose)


def drawn(*seen: TimelineSample, tolerance: Tolerance = ANGLE, is_signed: bool = False):  # type: ignore[no-untyped-def]
    axis = Axis(0.0, 10.0)
    return curve(seen, axis, lambda s: s.pose_deg, tolerance, SEVERITY, is_signed=is_signed)


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0.0, 2.57), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]),
        (Axis(1.2, 3.0), [1.5, 2.0, 2.5, 3.0]),
        (Axis(0.0, 120.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0]),
        (Axis(0.0, 0.04), [0.0]),
    ],
)
def test_ticks(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks_s() == ticks


def test_shares_stay_on_the_axis() -> None:
    axis = Axis(2.0, 4.0)
    assert [axis.share(t) for t in (0.0, 2.0, 3.5, 9.0)] == [0.0, 0.0, 0.75, 1.0]
    assert Axis(1.0, 1.0).share(1.0) == 0.0


def test_limits() -> None:
    note, warning, error = limits(ANGLE, SEVERITY)
    assert (note, warning) == pytest.approx((10.0, 20.0))
    assert 20.0 < error < 40.0
    assert limits(SIZE, SEVERITY)[2] < 20.0 < 40.0


def test_a_curve_joins_neighbours_only() -> None:
    track = drawn(sample(0.0, 0.0), sample(5.0, 20.0), sample(6.0), sample(10.0, 10.0))
    reach = 1.08 * 20.0
    assert track.path == f"M0.0 100.0L500.0 {100 - 100 * 20 / reach:.1f}"
    assert track.dots == ((1.0, pytest.approx(1 - 10 / reach)),)


def test_a_cut_ends_a_line() -> None:
    track = drawn(sample(0.0, 5.0), sample(1.0, 5.0), sample(2.0, 9.0, 1), sample(3.0, 9.0, 1))
    assert track.path.count("M") == 2
    assert track.dots == ()


def test_nothing_measured() -> None:
    track = drawn(sample(0.0), sample(1.0))
    assert (track.path, track.dots) == ("", ())
    assert [b.state for b in track.bands] == ["fine", "info"], "what is fine is shown all the same"


def test_bands_tile_the_lane() -> None:
    for tolerance, order in ((ANGLE, ["fine", "info", "warning", "error"]),
                             (SIZE, ["error", "warning", "info", "fine"])):  # fmt: skip
        track = drawn(sample(0.0, 50.0), tolerance=tolerance)
        assert [b.state for b in track.bands] == order
        assert track.bands[0].bottom == 1.0
        assert track.bands[-1].top == 0.0
        assert [b.top for b in track.bands[:-1]] == [b.bottom for b in track.bands[1:]]


def test_signed_lanes_run_both_ways() -> None:
    track = drawn(sample(0.0, -10.0), sample(10.0, 10.0), is_signed=True)
    reach = 1.08 * 12.5
    low, high = 50 + 50 * 10 / reach, 50 - 50 * 10 / reach
    assert track.path == f"M0.0 {low:.1f}L1000.0 {high:.1f}"
    assert {(b.state, b.top < 0.5, b.bottom > 0.5) for b in track.bands} == {
        ("fine", True, False), ("fine", False, True), ("info", True, False), ("info", False, True)
    }  # fmt: skip


TIMES = st.lists(st.floats(0, 100), min_size=1, max_size=30, unique=True).map(sorted)


@given(TIMES)
def test_cells_tile_the_axis(times: list[float]) -> None:
    made = cells([sample(t) for t in times], Axis(0.0, 100.0))
    assert made[0].left == 0.0
    assert made[-1].left + made[-1].width == pytest.approx(1.0)
    for before, after in pairwise(made):
        assert before.left + before.width == pytest.approx(after.left)


@given(st.lists(st.one_of(st.none(), st.floats(-500, 500)), min_size=1, max_size=30), st.booleans())
def test_curves_stay_in_their_lane(values: list[float | None], is_signed: bool) -> None:
    seen = [sample(k / 3, v) for k, v in enumerate(values)]
    track = drawn(*seen, is_signed=is_signed)
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", track.path)]
    assert all(0 <= x <= 1000 for x in numbers[::2])
    assert all(0 <= y <= 100 for y in numbers[1::2]) or not is_signed
    assert all(0 <= b.top <= b.bottom <= 1 for b in track.bands)
