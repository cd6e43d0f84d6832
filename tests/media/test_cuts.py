from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from wan_prep.media.cuts import mark_cuts
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video

RATE = 30


@dataclass(frozen=True)
class Tiny:
    """A frame of one colour."""

    time: Fraction
    level: int

    def glance(self) -> np.ndarray:
        return np.full((48, 64, 3), self.level, np.uint8)


def cuts(levels: list[int], rate: int = RATE) -> list[int]:
    """The numbers of the frames that begin a shot."""
    frames = [Tiny(Fraction(k, rate), level) for k, level in enumerate(levels)]
    marked = list(mark_cuts(frames))
    assert [frame for frame, _ in marked] == frames
    return [k for k, (_, cut) in enumerate(marked) if cut]


def test_no_frames_no_cuts() -> None:
    assert cuts([]) == []
    assert cuts([90]) == []


def test_a_shot_begins_with_the_first_frame_that_differs() -> None:
    assert cuts([60] * 40 + [200] * 40 + [20] * 40) == [40, 80]


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_cut_next_to_either_end_is_one(first: int) -> None:
    assert cuts([60] * first + [200] * 40) == [first]
    assert cuts([60] * 40 + [200] * first) == [40]


def test_a_slow_fade_is_none() -> None:
    assert cuts([60] * 20 + list(range(60, 200, 4)) + [200] * 20) == []


@pytest.mark.parametrize(("later", "found"), [(8, [40]), (14, [40]), (15, [40, 55])])
def test_a_second_cut_within_half_a_second_belongs_to_the_first(
    later: int, found: list[int]
) -> None:
    """A card is cut to and fades in: the cut counts, at its time, and once."""
    assert cuts([60] * 40 + [10] * later + [200] * 40) == found


def test_half_a_second_is_time_not_frames() -> None:
    levels = [60] * 40 + [10] * 15 + [200] * 40
    assert cuts(levels, rate=60) == [40]
    assert cuts(levels, rate=30) == [40, 55]


def test_it_counts_from_the_last_cut_that_was_kept() -> None:
    """0.4 s each: every second one is left."""
    levels = [60] * 40 + [200] * 12 + [20] * 12 + [150] * 12 + [60] * 40
    assert cuts(levels) == [40, 64]


@pytest.mark.shared_data
def test_an_end_card_that_fades_in_is_one_cut(shared_data: Path) -> None:
    path = shared_data / "pairs" / "steadydancer_1" / "video.mp4"
    marked = mark_cuts(decode(path, probe_video(path)))
    assert [float(frame.time) for frame, cut in marked if cut] == [pytest.approx(7.533, abs=0.02)]
