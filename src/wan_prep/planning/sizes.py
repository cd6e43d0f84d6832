"""Sizes that the service leaves as they are, and windows that have exactly their shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from wan_prep.geometry import Size
from wan_prep.profile import Profile, Resolution
from wan_prep.sizing import output_size

# Of a size's own shape; below it the service would add less than a pixel of bars.
_SHAPE_ERROR_MAX = 0.001
_REACH_PX = 12


def fixed_points(resolution: Resolution, profile: Profile) -> tuple[Size, ...]:
    """Every size that the service's sizing rule gives back without bars, from tall to wide.

    Those whose aspect is within the profile's `aspect_max`; an area close under the budget comes
    of itself, because a smaller picture would be enlarged.
    """
    budget = profile.service.pixel_budget[resolution]
    multiple = int(profile.limit("size_multiple"))
    aspect_max = profile.limit("aspect_max")
    narrowest = _floored(math.sqrt(budget / aspect_max), multiple)
    widest = _floored(math.sqrt(budget * aspect_max), multiple)
    found = []
    for width in range(narrowest, widest + 1, multiple):
        highest = _floored(budget / width, multiple)
        # One step under the budget still floors to the same size, three never do.
        for height in range(highest, max(0, highest - 3 * multiple), -multiple):
            if not 1.0 / aspect_max <= width / height <= aspect_max:
                continue
            size = output_size(width, height, resolution, profile)
            if (size.width, size.height, size.bars_px) == (width, height, 0):
                found.append(Size(width, height))
    return tuple(sorted(found, key=lambda size: (size.width / size.height, size.width)))


def is_fixed_point(size: Size, resolution: Resolution, profile: Profile) -> bool:
    given = output_size(size.width, size.height, resolution, profile)
    return (given.width, given.height, given.bars_px) == (*size, 0)


def _floored(value: float, multiple: int) -> int:
    return int(value // multiple) * multiple


def even_unit(shape: Size) -> Size:
    """The smallest even size of exactly this shape: 832 x 464 → 104 x 58."""
    divisor = math.gcd(*shape)
    return Size(2 * shape.width // divisor, 2 * shape.height // divisor)


@dataclass(frozen=True)
class Cut:
    """What is cut out of a clip's frames, and the size it is written in."""

    window: Size
    written: Size

    @property
    def shrink(self) -> float:
        """Written px per px of the source: 1 keeps every pixel."""
        return self.written.height / self.window.height


def native_cuts(shape: Size, heights: list[float], *, within: Size) -> Iterator[Cut]:
    """Windows of exactly this shape that are written pixel by pixel: for each height the next
    smaller and the next larger one, as far as a side is not over `within`."""
    unit = even_unit(shape)
    most = min(within.width // unit.width, within.height // unit.height)
    for height in heights:
        below = math.floor(height / unit.height)
        for times in (below, below + 1):
            if 1 <= times <= most:
                size = Size(unit.width * times, unit.height * times)
                yield Cut(size, size)


def scaled_cuts(
    shape: Size, heights: list[float], *, within: Size, as_shape: bool = False
) -> Iterator[Cut]:
    """Windows of this shape to 0.1 %, scaled to exactly this shape.

    as_shape: to `shape` itself. Otherwise to the largest size that enlarges nothing and is not
    over `within`; to the smallest there is where even that one enlarges (the service would
    enlarge it more).
    """
    unit = even_unit(shape)
    for height in heights:
        window = near_window(shape, height)
        if window is None:
            continue
        if as_shape:
            yield Cut(window, shape)
            continue
        sides = (min(window.width, within.width), min(window.height, within.height))
        times = max(1, min(sides[0] // unit.width, sides[1] // unit.height))
        yield Cut(window, Size(unit.width * times, unit.height * times))


def near_window(shape: Size, height: float) -> Size | None:
    """The even size at or a little under this height that has the shape to 0.1 %, or to whole
    px where the picture is too small for that; None where there is none at all."""
    highest = int(height // 2) * 2
    sizes = [
        Size(2 * round(tall * shape.width / shape.height / 2.0), tall)
        for tall in range(highest, max(0, highest - _REACH_PX), -2)
    ]

    def error(size: Size) -> float:
        return abs(size.width * shape.height / (size.height * shape.width) - 1.0)

    sizes = [size for size in sizes if size.width > 0]
    exact = (size for size in sizes if error(size) <= _SHAPE_ERROR_MAX)
    return next(exact, min(sizes, key=error, default=None))
