"""What a person may decide about a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, get_args

from wan_prep.errors import WanPrepError

PadMethod = Literal["edge", "blur", "color"]
"""What fills the part of a window beyond the picture: the edge's own pixels drawn out, a blurred
continuation, or one colour."""
ImageFormat = Literal["png", "jpeg"]
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class PlanOptions:
    """Every default is that of `wan-prep fix` without options; times in s, money in US dollars.

    unsafe_fixes: also do what cuts a visible joint or more than half of the clip.
    keep_start: the clip's first frame stays the first.
    max_seconds, max_cost: the clip is no longer, or no dearer, than this (all parts together).
    start, end: the part of the clip to keep, whatever is in it.
    split: one file a shot, and no file over the service's limit.
    fps: the rate to write; None keeps a constant rate in the profile's range.
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
        for name in ("max_seconds", "max_cost", "fps"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise WanPrepError(f"{name} is {value}; expected more than 0")
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
