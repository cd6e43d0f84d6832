"""Black bars: borders that stay black through a whole clip, and end in a straight edge.

Levels are those of the brightest channel in 8-bit RGB. Every line of the picture is cut into 64
segments, each averaged, which removes compression noise. A border is a bar if it is:

1. **Black**: 95 of 100 of its segments never rise above 20 (the others may hold a logo, or a hand
   that an editor laid over the border).
2. **Flat**: among those, no line is brighter than the border's median by more than 12.
3. **Sharp**: within 3 px (0.6 % of the side) behind it, at least half of the segments that ever
   show content are brighter than its last line by 12 or more, each in some frame. A dark scene, a
   vignette or a figure on black fades in over more lines, or touches the edge at few places.
4. **Beside a picture**: content spans at least a quarter of the height and of the width, and fills
   half of the box that it spans; a title on black has no bars.

Only the highest level of each segment counts, so black frames (fades) change nothing. Each side is
judged on its own. A single black line is no bar: encoders pad with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_SEGMENTS = 64
_BLACK_MAX = 20.0
_BLACK_SHARE = 0.95
_FLAT_RANGE = 12.0
_EDGE_RISE = 12.0
_EDGE_SHARE = 0.5
_EDGE_PX = 3
_EDGE_SIDE_SHARE = 0.006
_EDGE_SMALL_SIDE = 100  # one px of reach for each 100 px, in pictures under 300 px
_CONTENT_SPAN = 0.25
_CONTENT_FILL = 0.5
_LINES_MIN = 2

Levels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Bars:
    """Widths of the bars as fractions of the picture's width (left, right) and height."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


class BarDetector:
    """Collects, over frames of one size, how bright each segment of each line ever gets."""

    def __init__(self) -> None:
        self._size_wh: tuple[int, int] | None = None
        self._columns: Levels | None = None  # (width, segments), the highest level so far
        self._rows: Levels | None = None  # (height, segments)

    def add(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Take in one frame, (h, w, 3) uint8 RGB; ValueError where its size is another one."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise ValueError(f"expected an (h, w, 3) picture, found shape {rgb.shape}")
        height, width = rgb.shape[:2]
        if self._size_wh not in (None, (width, height)):
            raise ValueError(f"expected frames of {self._size_wh}, found {(width, height)}")
        self._size_wh = (width, height)
        red, green, blue = cv2.split(rgb)
        brightest = cv2.max(cv2.max(red, green), blue).astype(np.float32)
        columns = _averaged(brightest, (width, min(_SEGMENTS, height))).T
        rows = _averaged(brightest, (min(_SEGMENTS, width), height))
        self._columns = columns if self._columns is None else np.maximum(self._columns, columns)
        self._rows = rows if self._rows is None else np.maximum(self._rows, rows)

    def bars(self) -> Bars:
        """What was found so far; no bars where no frame, or only black ones, were added."""
        if self._columns is None or self._rows is None:
            return Bars()
        if not (_leaves_a_picture(self._columns) and _leaves_a_picture(self._rows)):
            return Bars()
        width, height = len(self._columns), len(self._rows)
        return Bars(
            left=_border(self._columns) / width,
            top=_border(self._rows) / height,
            right=_border(self._columns[::-1]) / width,
            bottom=_border(self._rows[::-1]) / height,
        )


def _border(levels: Levels) -> int:
    """Lines of the bar at the start of `levels`, (lines, segments), the highest over time."""
    has_content = levels.max(axis=0) > _BLACK_MAX
    line_levels = np.quantile(levels, _BLACK_SHARE, axis=1)
    is_black = line_levels <= _BLACK_MAX
    dark_lines = len(is_black) if is_black.all() else int(np.argmin(is_black))
    if dark_lines == 0 or dark_lines == len(levels):
        return 0
    level = float(np.median(line_levels[:dark_lines]))
    is_flat = line_levels[:dark_lines] <= level + _FLAT_RANGE
    if not is_flat.all():  # the blurred edge of a very black bar: the picture begins there
        dark_lines = int(np.argmin(is_flat))
    # Against the last black line, not the middle of them: a slow gradient is no edge.
    edge_level = float(line_levels[dark_lines - 1])
    reach = max(min(_EDGE_PX, len(levels) // _EDGE_SMALL_SIDE), _EDGE_SIDE_SHARE * len(levels), 1)
    behind = levels[dark_lines : dark_lines + round(reach), has_content] >= edge_level + _EDGE_RISE
    bright_share = behind.mean(axis=1)
    if bright_share.size == 0 or bright_share.max() < _EDGE_SHARE:
        return 0
    # A soft edge belongs to the bar: the picture begins at the first line that is bright.
    lines = dark_lines + int(np.argmax(bright_share >= _EDGE_SHARE))
    return lines if lines >= _LINES_MIN else 0


def _leaves_a_picture(levels: Levels) -> bool:
    bright = levels > _BLACK_MAX
    lines = np.flatnonzero(bright.any(axis=1))
    segments = np.flatnonzero(bright.any(axis=0))
    if lines.size == 0:
        return False
    box = bright[lines[0] : lines[-1] + 1, segments[0] : segments[-1] + 1]
    span = min(box.shape[0] / bright.shape[0], box.shape[1] / bright.shape[1])
    return span >= _CONTENT_SPAN and float(box.mean()) >= _CONTENT_FILL


def _averaged(plane: Levels, size_wh: tuple[int, int]) -> Levels:
    averaged: Any = cv2.resize(plane, size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(averaged, dtype=np.float32)
