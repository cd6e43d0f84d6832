"""Steps of an FFmpeg filter graph as values; the `ffmpeg` module builds the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Options = Mapping[str, str | int]


@dataclass(frozen=True)
class Filter:
    """One FFmpeg filter with its options."""

    name: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Over:
    """Lays the picture over a backdrop that filters make of it, at (left, top) px."""

    backdrop: tuple[Filter, ...]
    left: int = 0
    top: int = 0


Step = Filter | Over


def pixels_as(pixel_format: str) -> Filter:
    """Convert to `pixel_format`; directly after a scaler, that scaler converts."""
    return Filter("format", {"pix_fmts": pixel_format})
