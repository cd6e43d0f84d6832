"""What a person may decide about a plan."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, get_args

from wan_prep.errors import WanPrepError

PadMethod = Literal["edge", "blur", "color"]
"""What fills the part of a window beyond the picture: the edge's own pixels drawn out, a blurred
continuation, or one colour."""
PAD_WORDS: dict[PadMethod, str] = {
    "edge": "its edge drawn out",
    "blur": "a blurred continuation",
    "color": "one colour",
}
ImageFormat = Literal["png", "jpeg"]
# Rates that moving pictures have: from a slide a second to what slow-motion cameras record.
_FPS_MIN, _FPS_MAX = 1, 240
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
# Field → its type, what is expected of it, and whether a finite value can be.
_NUMBERS: dict[str, tuple[type[Fraction | Decimal], str, Callable[[Any], bool]]] = {
    "fps": (
        Fraction,
        f"{_FPS_MIN} to {_FPS_MAX} frames a second",
        lambda fps: _FPS_MIN <= fps <= _FPS_MAX,
    ),
    "max_seconds": (Fraction, "more than 0", lambda seconds: seconds > 0),
    "max_cost": (Decimal, "more than 0", lambda usd: usd > 0),
    "start": (Fraction, "a time in seconds", lambda _: True),
    "end": (Fraction, "a time in seconds", lambda _: True),
}


@dataclass(frozen=True)
class PlanOptions:
    """Every default is that of `wan-prep fix` without options; times in s, money in US dollars.

    Numbers of other types are taken as they are written: 0.1 is a tenth.

    unsafe_fixes: also do what cuts a visible joint or more than half of the clip.
    keep_start: the clip's first frame stays the first.
    max_seconds, max_cost: the clip is no longer, or no dearer, than this (all parts together).
    start, end: the part of the clip to keep, whatever is in it.
    split: one file a shot, and no file over the service's limit.
    fps: the rate to write, 1 to 240; None keeps a constant rate in the profile's range.
    pad, pad_color: what fills windows that reach beyond the picture.
    image_format: None copies a PNG or JPEG that needs nothing, and writes PNG otherwise.
    background: what shows through transparent parts of the image; None: the colours stored
        under them, which decoders that drop transparency see.

    Raises:
        WanPrepError: a value that cannot be.
    """

    unsafe_fixes: bool = False
    keep_start: bool = False
    max_seconds: Fraction | None = None
    max_cost: Decimal | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    split: bool = False
    fps: Fraction | None = None
    pad: PadMethod = "edge"
    pad_color: str = "#000000"
    image_format: ImageFormat | None = None
    jpeg_quality: int = 95
    background: str | None = None

    def __post_init__(self) -> None:
        for name, (kind, expected, can_be) in _NUMBERS.items():
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _number(name, given, kind, expected, can_be))
        begin = self.start or Fraction(0)
        if begin < 0 or (self.end is not None and self.end <= begin):
            until = "its end" if self.end is None else f"{float(self.end):g} s"
            raise WanPrepError(
                f"the part from {float(begin):g} s to {until} is empty; expected 0 <= start < end"
            )
        for name, kinds in (("pad", PadMethod), ("image_format", ImageFormat)):
            value = getattr(self, name)
            if value is not None and value not in get_args(kinds):
                raise WanPrepError(f"{name} is {value!r}; expected {', '.join(get_args(kinds))}")
        for name in ("pad_color", "background"):
            color = getattr(self, name)
            if color is not None and not _COLOR.fullmatch(color):
                raise WanPrepError(f"{name} is {color!r}; expected #rrggbb")
        if not 95 <= self.jpeg_quality <= 100:
            raise WanPrepError(f"jpeg_quality is {self.jpeg_quality}; expected 95 to 100")


def _number(
    name: str,
    given: Any,
    kind: type[Fraction | Decimal],
    expected: str,
    can_be: Callable[[Any], bool],
) -> Fraction | Decimal:
    """A number as it was written; raises WanPrepError where it is not finite, or cannot be."""
    try:
        size = float(given)
        value = given if isinstance(given, kind) else kind(str(given))
    except (TypeError, ValueError, ArithmeticError) as exc:
        raise WanPrepError(f"{name} is {given!r}; expected {expected}") from exc
    if not math.isfinite(size) or not can_be(value):
        raise WanPrepError(f"{name} is {size:g}; expected {expected}")
    return value
