"""Steps of a video filter graph, as values: named and joined here, built in `ffmpeg` alone."""

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
    """The picture laid over a backdrop that is made of itself, its corner at (left, top) px."""

    backdrop: tuple[Filter, ...]
    left: int = 0
    top: int = 0


Step = Filter | Over


def pixels_as(pixel_format: str) -> Filter:
    """Convert to `pixel_format`; placed behind a scaler, that scaler does it."""
    return Filter("format", {"pix_fmts": pixel_format})
