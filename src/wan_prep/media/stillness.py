"""Find stretches of a clip in which the picture is frozen, from tiny pictures of its frames.

A recording of somebody who stands still has camera noise in every frame. A frozen picture has none,
but its coding still changes it: codecs refine it from frame to frame, and start over at keyframes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np

from wan_prep.media.picture import Rgb

# Pixels of a tiny picture that may differ by more: single noisy ones, or a clock in a corner.
_CELLS_LEFT_OUT = 3
# Shorter runs of this many frames are kept if they go on after a keyframe: keyframes come every 0.4
# s or more, and the picture may change during the next number of frames.
_RUN_FRAMES_MIN = 5
_REDRAWN_FRAMES_MAX = 2


@dataclass(frozen=True)
class FreezeLimits:
    """How much a frozen picture may change."""

    neighbour: float
    """Levels (8 bit) from one frame to the next: more than rounding, less than a camera's noise."""
    drift: float
    """Levels since the stretch began, which refinement by the codec adds up to."""
    redrawn: float
    """Levels from before a keyframe to after it."""
    shortest_s: Fraction
    """Shorter stretches, in s, are not reported."""


@dataclass(frozen=True)
class _Run:
    """Consecutive frames that do not differ; `start` and `end` in s."""

    start: Fraction
    end: Fraction
    first: int
    last: int
    """Numbers of its frames."""
    begins_as: Rgb
    ends_as: Rgb
    is_drifting: bool = False
    """It ended because small changes had added up since it began."""


class FreezeDetector:
    """Finds the stretches without motion while frames are added one by one.

    Memory grows with the number of stretches only.
    """

    def __init__(self, limits: FreezeLimits) -> None:
        self._limits = limits
        self._found: list[_Run] = []
        self._run: _Run | None = None
        self._count = 0

    def add(self, time: Fraction, glance: Rgb) -> None:
        """Add the next frame, shown from `time` s on, as a tiny (h, w, 3) uint8 picture."""
        run = self._run
        if run is not None:
            is_alike = _are_alike(glance, run.ends_as, self._limits.neighbour)
            is_drifting = not _are_alike(glance, run.begins_as, self._limits.drift)
            if is_alike and not is_drifting:
                self._run = replace(run, last=self._count, ends_as=glance)
                self._count += 1
                return
            # Slow change is motion, and ends the stretch; a sudden change may be a keyframe.
            self._found = self._with(replace(run, is_drifting=is_alike), time)
        self._run = _Run(time, time, self._count, self._count, glance, glance)
        self._count += 1

    def spans(self, end: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
        """[start, end) in s of every stretch, in order; the last frame is shown until `end`."""
        runs = self._found if self._run is None else self._with(self._run, end)
        shortest = self._limits.shortest_s
        return tuple((r.start, r.end) for r in runs if r.end - r.start >= shortest)

    def _with(self, run: _Run, end: Fraction) -> list[_Run]:
        """The runs found so far, and `run`, which ends at `end` s."""
        run = replace(run, end=end)
        is_long = run.end - run.start >= self._limits.shortest_s
        if not is_long and run.last - run.first + 1 < _RUN_FRAMES_MIN:
            return self._found
        before = self._found[-1] if self._found else None
        if before is not None and self._goes_on(before, run):
            whole = replace(run, start=before.start, first=before.first, begins_as=before.begins_as)
            return [*self._found[:-1], whole]
        # A short run that does not go on is dropped.
        kept = self._found
        if before is not None and before.end - before.start < self._limits.shortest_s:
            kept = kept[:-1]
        return [*kept, run]

    def _goes_on(self, before: _Run, run: _Run) -> bool:
        """Whether a keyframe alone separates two runs."""
        return (
            not before.is_drifting
            and run.first - before.last - 1 <= _REDRAWN_FRAMES_MAX
            and _are_alike(before.ends_as, run.begins_as, self._limits.redrawn)
        )


def _are_alike(a: Rgb, b: Rgb, levels: float) -> bool:
    """Whether two tiny pictures differ by at most `levels`, but for a few pixels."""
    if a.shape != b.shape:
        return False
    odd = cv2.absdiff(a, b) > levels
    cells = odd[:, :, 0] | odd[:, :, 1] | odd[:, :, 2]
    return int(np.count_nonzero(cells)) <= _CELLS_LEFT_OUT
