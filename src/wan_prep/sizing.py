"""The size and the frames that the service's own preprocessing gives a pair, predicted.

Source: Wan2.2's open preprocessing code ("wan source"); whether the endpoint runs it is not
documented.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from wan_prep.geometry import Box, Size
from wan_prep.profile import Profile, Resolution


@dataclass(frozen=True)
class OutputSize:
    """width, height in px; bars_x and bars_y: black px added in all beside or above and below."""

    width: int
    height: int
    bars_x: int
    bars_y: int

    @property
    def bars_px(self) -> int:
        return max(self.bars_x, self.bars_y)

    @property
    def bars_share(self) -> float:
        """Share of the side that the bars lie along, 0 … 1."""
        return max(self.bars_x / self.width, self.bars_y / self.height)


def output_size(width: int, height: int, resolution: Resolution, profile: Profile) -> OutputSize:
    """Size and bars for a picture of width x height px.

    h = sqrt(A / ar), w = A / h, both floored to a multiple of 16; the picture is fitted inside
    and the rest is black.  The order of the float operations is the model's own: with another
    one 480 x 832 would be free of bars, which it is not.
    """
    budget = profile.service.pixel_budget[resolution]
    multiple = int(profile.limit("size_multiple"))
    aspect = width / height
    exact_height = math.sqrt(budget / aspect)
    exact_width = budget / exact_height
    out_width = max(multiple, int(exact_width // multiple) * multiple)
    out_height = max(multiple, int(exact_height // multiple) * multiple)
    # Compared as integers, so that an exact fit is one.
    if width * out_height >= height * out_width:
        return OutputSize(out_width, out_height, 0, out_height - height * out_width // width)
    return OutputSize(out_width, out_height, out_width - width * out_height // height, 0)


def letterboxed(size: Size, canvas: Size) -> Box:
    """Where a whole picture of `size` lies on a canvas, in px: fitted inside, in whole px, and in
    the middle, an odd px of the bars after it. The rest is black."""
    if size.width * canvas.height >= size.height * canvas.width:
        width, height = canvas.width, max(1, size.height * canvas.width // size.width)
    else:
        width, height = max(1, size.width * canvas.height // size.height), canvas.height
    left, top = (canvas.width - width) // 2, (canvas.height - height) // 2
    return Box(float(left), float(top), float(left + width), float(top + height))


@dataclass(frozen=True)
class Frames:
    """How a clip is rendered: in `segments` of `segment_frames` that share `overlap` frames.

    filler: frames that are rendered to fill the last segment, and cut off.
    """

    count: int
    segments: int
    segment_frames: int
    overlap: int
    filler: int


def rendered_frames(duration_s: Fraction, fps: Fraction, profile: Profile) -> int:
    """Frames of the result for a clip of this length and rate, at the model's own rate.

    Frames / fps * 30, rounded down, in the float operations of the source; at least one.
    """
    rate = profile.limit("model_fps")
    frame_count = round(duration_s * fps)
    return max(1, int(frame_count / float(fps) * rate) if fps > 0 else int(duration_s * rate))


def in_segments(frames: int, profile: Profile, *, overlap: int | None = None) -> Frames:
    """The segments that so many frames are rendered in.

    overlap: frames shared by two segments; None for what the source does unless it is told
    otherwise.
    """
    length = int(profile.limit("segment_frames"))
    shared = int(profile.limit("segment_overlap")) if overlap is None else overlap
    count = max(1, math.ceil((frames - shared) / (length - shared)))
    filler = shared + count * (length - shared) - frames
    return Frames(frames, count, length, shared, filler)
