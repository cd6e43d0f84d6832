"""Where a window over one picture may lie, and where it lies best; one axis at a time."""

from __future__ import annotations

import math

from wan_prep.geometry import Box, Size
from wan_prep.planning.model import Window
from wan_prep.planning.sides import Side

# How much larger than the picture a window is tried, for a person who is too large in it.
_PAD_REACH = 1.3
_LEAST_PX = 2.0
_EDGES = (("left", "right"), ("top", "bottom"))


def heights(side: Side, shape: Size) -> tuple[float, float]:
    """(least, most) height in px of a window of this shape: the least holds what must be kept,
    the most needs nothing added; where least is over most, borders must be added."""
    aspect = shape.width / shape.height
    return (
        max(side.keep.height, side.keep.width / aspect, _LEAST_PX),
        min(side.content.height, side.content.width / aspect),
    )


def highest(side: Side, shape: Size) -> float:
    """The greatest height worth trying: borders are added where the shape needs them; to make a
    person smaller only around a whole body, and not in the picture that the result shows."""
    least, most = heights(side, shape)
    may_grow = side.neck_xy is not None and not side.closed and not side.is_shown
    return max(least, most) * (_PAD_REACH if may_grow else 1.0)


def _ends(box: Box, axis: int) -> tuple[float, float]:
    return (box.left, box.right) if axis == 0 else (box.top, box.bottom)


def reach(side: Side, axis: int, size: int) -> tuple[int, int] | None:
    """First and last px at which a window of this size may begin; None where there is no place.

    Inside the content where it is large enough; otherwise around it, but not beyond an edge that
    cuts the body or a bar. With the margin that the person should have, if there is room for it.
    """
    low, high = _ends(side.content, axis)
    for box in (side.ease, side.keep):
        keep_low, keep_high = _ends(box, axis)
        first, last = keep_high - size, keep_low
        if size <= high - low:
            first, last = max(low, first), min(high - size, last)
        else:
            before, after = (name in side.closed for name in _EDGES[axis])
            if before and after:
                return None
            first, last = (low if before else high - size), (high - size if after else low)
        first = math.ceil(first / side.grid - 1e-9) * side.grid
        last = math.floor(last / side.grid + 1e-9) * side.grid
        if first <= last:
            return first, last
    return None


def shares(side: Side, axis: int, within: tuple[int, int], size: int) -> tuple[float, float]:
    """The least and the greatest fraction of the window at which the person can stand."""
    if side.neck_xy is None:
        return (-math.inf, math.inf)
    neck = side.neck_xy[axis]
    return ((neck - within[1]) / size, (neck - within[0]) / size)


def share_now(side: Side, axis: int) -> float:
    if side.neck_xy is None:
        return 0.5
    low, high = _ends(side.content, axis)
    return (side.neck_xy[axis] - low) / (high - low)


def share(side: Side, axis: int, window: Window) -> float:
    assert side.neck_xy is not None
    first, size = (window.left, window.width) if axis == 0 else (window.top, window.height)
    return (side.neck_xy[axis] - first) / size


def begin(side: Side, axis: int, within: tuple[int, int], size: int, wanted_share: float) -> int:
    """The place within reach at which the person stands nearest to this fraction; the middle of the
    content where nobody is known."""
    if side.neck_xy is None:
        low, high = _ends(side.content, axis)
        wanted = (low + high - size) / 2.0
    else:
        wanted = side.neck_xy[axis] - wanted_share * size
    return min(max(round(wanted / side.grid) * side.grid, within[0]), within[1])


def tightness(side: Side, window: Window) -> float:
    """How much of the margins the window takes away: 0 none, 1 one side's whole margin; the first
    px of a margin count least."""
    edges = (window.left, window.top, -window.right, -window.bottom)
    eased = (side.ease.left, side.ease.top, -side.ease.right, -side.ease.bottom)
    kept = (side.keep.left, side.keep.top, -side.keep.right, -side.keep.bottom)
    return sum(
        (max(0.0, edge - ease) / max(1.0, keep - ease)) ** 2
        for edge, ease, keep in zip(edges, eased, kept, strict=True)
    )


def covered_px(side: Side, window: Window) -> float:
    """The part of a window, in px, that shows the picture; at least one px."""
    box = Box(window.left, window.top, window.right, window.bottom)
    return max(1.0, box.clipped(side.content).area)
