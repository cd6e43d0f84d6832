"""From time stamps to duration, rate, and whether the rate varies. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

# A rate varies if more than this share of the frame distances differ from the median …
_ODD_SHARE_MAX = 1 / 250
# … by more than one tick, which rounding to the time base explains, and by this share of a frame …
_ODD_DISTANCE = 0.02
# … or if a frame is further from its place at the mean rate than this many frames.
_DRIFT_MAX_FRAMES = 1.5
UNKNOWN_RATE = Fraction(25)
"""Frames per second assumed where a stream states none: FFmpeg's default."""


@dataclass(frozen=True)
class Timing:
    """Duration and rate of a clip, from its time stamps."""

    duration: Fraction
    """From the first frame to the end of the last one, in s."""
    fps: Fraction
    """(frames - 1) / (last - first), or the claimed rate where the two differ by rounding to ticks
    only; of a single frame 1 / its duration."""
    is_vfr: bool
    """Frame distances differ, or the last frame lasts clearly longer than the others."""


def measured_timing(
    pts: Sequence[int], last_duration: int | None, time_base: Fraction, rate: Fraction | None
) -> Timing:
    """Duration and rate of at least one frame.

    pts: strictly increasing, in ticks of `time_base` s.
    last_duration: of the last frame as the container states it, in ticks; None or 0 if it does not.
    rate: as the header claims it, in 1/s.

    At a constant rate the last frame lasts as long as the others, although containers with coarse
    ticks round its duration.

    >>> measured_timing([0, 33, 67, 100], 33, Fraction(1, 1000), None)
    Timing(duration=Fraction(2, 15), fps=Fraction(30, 1), is_vfr=False)
    """
    if len(pts) == 1:
        duration = last_duration * time_base if last_duration else 1 / (rate or UNKNOWN_RATE)
        return Timing(duration, 1 / duration, is_vfr=False)
    span = int(pts[-1]) - int(pts[0])
    fps = Fraction(len(pts) - 1) / (span * time_base)
    is_uneven = varies(pts)
    if rate and not is_uneven and abs((len(pts) - 1) / rate - span * time_base) <= time_base:
        fps = rate
    step = 1 / (fps * time_base)
    if not last_duration or (not is_uneven and abs(last_duration - step) <= 1):
        last = Fraction(int(np.median(np.diff(pts)))) if is_uneven else step
    else:
        last = Fraction(last_duration)
    # A last frame that lasts longer counts as a varying rate: readers divide frames by duration.
    is_held = last - step > _DRIFT_MAX_FRAMES * step
    return Timing((span + last) * time_base, fps, is_vfr=is_uneven or is_held)


def step_ticks(rate: Fraction | None, time_base: Fraction) -> int:
    """One frame at the claimed rate (1/s; 25 where nothing is claimed), in ticks, at least 1."""
    return max(1, round(1 / ((rate or UNKNOWN_RATE) * time_base)))


def varies(pts: Sequence[int]) -> bool:
    """Whether the distances of `pts` (ticks) differ by more than rounding explains.

    One frame in 250 may be lost or doubled.
    """
    if len(pts) < 3:
        return False
    stamps = np.asarray(pts, dtype=np.float64)
    distances = np.diff(stamps)
    usual = float(np.median(distances))
    odd = np.abs(distances - usual) > max(1.0, usual * _ODD_DISTANCE)
    if odd.mean() > _ODD_SHARE_MAX:
        return True
    even = np.linspace(stamps[0], stamps[-1], len(stamps))
    return bool(np.abs(stamps - even).max() > _DRIFT_MAX_FRAMES * usual)
