"""Stretches of a clip in which nothing moves, from the tiny pictures that cuts are found with.

A live recording of somebody who stands still has noise in every frame; a picture that was held
or frozen has none, but its coding may change it: it is refined from frame to frame, and drawn
anew at every keyframe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np

from wan_prep.media.picture import Rgb

# Cells that may differ more: neither noise of single ones nor a clock in a corner is motion.
_CELLS_LEFT_OUT = 3
# A run of this many frames counts as still though it is short, if it goes on behind a keyframe:
# codecs draw a held picture anew every 0.4 s or more, and take up to so many frames for it.
_RUN_FRAMES_MIN = 5
_REDRAWN_FRAMES_MAX = 2


@dataclass(frozen=True)
class StillLimits:
    """What may change in a picture that stands still."""

    neighbour: float
    """Levels (8 bit) from one frame to the next: between rounding and the noise of a camera."""
    drift: float
    """Levels since the stretch began: what refinement adds up to."""
    redrawn: float
    """Levels over a keyframe."""
    shortest_s: Fraction
    """Stretches shorter than this, in s, are not told."""


@dataclass(frozen=True)
class _Run:
    """Frames in a row that do not differ."""

    start: Fraction
    end: Fraction
    first: int
    last: int
    """Numbers of its frames."""
    begins_as: Rgb
    ends_as: Rgb
    is_drifting: bool = False
    """It was over because of what had added up since it began."""


class StillMeter:
    """Takes frame by frame and tells the stretches in which nothing moved.

    Memory does not grow with the clip but for the stretches found.
    """

    def __init__(self, limits: StillLimits) -> None:
        self._limits = limits
        self._found: list[_Run] = []
        self._run: _Run | None = None
        self._count = 0

    def add(self, time: Fraction, glance: Rgb) -> None:
        """Take the next frame, shown from `time` s on, as a tiny (h, w, 3) picture."""
        run = self._run
        if run is not None:
            is_alike = _are_alike(glance, run.ends_as, self._limits.neighbour)
            is_drifting = not _are_alike(glance, run.begins_as, self._limits.drift)
            if is_alike and not is_drifting:
                self._run = replace(run, last=self._count, ends_as=glance)
                self._count += 1
                return
            # What changes little by little moves; only what changes at once may be drawn anew.
            self._found = self._with(replace(run, is_drifting=is_alike), time)
        self._run = _Run(time, time, self._count, self._count, glance, glance)
        self._count += 1

    def spans(self, end: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
        """[start, end) in s of every stretch, in order; the last frame is shown until `end`."""
        runs = self._found if self._run is None else self._with(self._run, end)
        shortest = self._limits.shortest_s
        return tuple((r.start, r.end) for r in runs if r.end - r.start >= shortest)

    def _with(self, run: _Run, end: Fraction) -> list[_Run]:
        """What was found, and a run that is over at `end` s."""
        run = replace(run, end=end)
        is_long = run.end - run.start >= self._limits.shortest_s
        if not is_long and run.last - run.first + 1 < _RUN_FRAMES_MIN:
            return self._found
        before = self._found[-1] if self._found else None
        if before is not None and self._goes_on(before, run):
            whole = replace(run, start=before.start, first=before.first, begins_as=before.begins_as)
            return [*self._found[:-1], whole]
        # A short run that nothing followed is no stretch.
        kept = self._found
        if before is not None and before.end - before.start < self._limits.shortest_s:
            kept = kept[:-1]
        return [*kept, run]

    def _goes_on(self, before: _Run, run: _Run) -> bool:
        """Whether only the coding parts two runs."""
        return (
            not before.is_drifting
            and run.first - before.last - 1 <= _REDRAWN_FRAMES_MAX
            and _are_alike(before.ends_as, run.begins_as, self._limits.redrawn)
        )


def _are_alike(a: Rgb, b: Rgb, levels: float) -> bool:
    """Whether two tiny pictures differ by no more than so many levels, but for a few cells."""
    if a.shape != b.shape:
        return False
    odd = cv2.absdiff(a, b) > levels
    cells = odd[:, :, 0] | odd[:, :, 1] | odd[:, :, 2]
    return int(np.count_nonzero(cells)) <= _CELLS_LEFT_OUT
