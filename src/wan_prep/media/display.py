"""How stored pictures are to be shown: turned, mirrored, partly transparent."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# A display matrix holds, row by row, a b u / c d v / x y w; a pixel at (x, y) is shown at
# (a x + c y, b x + d y), y down. The last column is 2.30 fixed point, the others are 16.16.
_ONE = 1 << 16
_ONE_LAST = 1 << 30
# FFmpeg rounds angles to whole degrees; a smaller stretch moves no pixel by more than ten.
_ANGLE_TOLERANCE_DEG = 0.5
_SCALE_TOLERANCE = 0.01

# A message on alpha channels (SEI 165, ITU-T H.265 F.14.2.8) among the headers of an HEVC stream.
_HEVC_ALPHA = re.compile(rb"\x00[\x01-\xff]\x4e[\x01\x09]\xa5", re.DOTALL)


@dataclass(frozen=True)
class Orientation:
    """The picture is turned clockwise, then mirrored left to right: one of eight."""

    rotation_deg: int = 0
    is_mirrored: bool = False
    left_undone: str | None = None
    """What the matrix asks for beyond that, in words; None: nothing."""


UPRIGHT = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """What the display matrix of a decoded frame asks for, from the container or the stream."""
    found = cast("SideData | None", frame.side_data.get("DISPLAYMATRIX"))
    if found is None:
        return UPRIGHT
    return orientation([int(entry) for entry in np.frombuffer(memoryview(found), np.int32)])


def orientation(matrix: Sequence[int]) -> Orientation:
    """The turn and the mirroring that a display matrix of nine fixed-point numbers asks for.

    As in FFmpeg's autorotate, quarter turns and mirroring are done even if the matrix also scales,
    shears or tilts the picture, and translation is ignored. Other angles are not done: FFmpeg turns
    by them and cuts the corners off, but OpenCV and decord show the frame as stored, and so does
    this project.
    """
    a, b, u, c, d, v, _, _, w = matrix
    is_mirrored = a * d - b * c < 0
    if is_mirrored:
        a, c = -a, -c
    # Each axis is normalised by itself, so that a stretch of one does not look like a turn.
    wide, high = math.hypot(a, c), math.hypot(b, d)
    if not wide or not high:
        return Orientation(left_undone="a picture without a width or a height")
    angle_deg = math.degrees(math.atan2(b / high, a / wide)) % 360
    turn_deg = round(angle_deg / 90) * 90
    if abs(angle_deg - turn_deg) > _ANGLE_TOLERANCE_DEG:
        return Orientation(left_undone=_odd_turn(angle_deg, is_mirrored))
    sine, cosine = math.sin(math.radians(turn_deg)), math.cos(math.radians(turn_deg))
    exact = np.array([cosine, sine, -sine, cosine]) * _ONE
    changes_shape = np.abs(np.array([a, b, c, d]) - exact).max() > _SCALE_TOLERANCE * _ONE
    is_flat = u == v == 0 and abs(w - _ONE_LAST) <= _SCALE_TOLERANCE * _ONE_LAST
    is_exact = is_flat and not changes_shape
    undone = None if is_exact else "a scaled, sheared or tilted picture"
    return Orientation(turn_deg % 360, is_mirrored, undone)


def _odd_turn(angle_deg: float, is_mirrored: bool) -> str:
    way, angle_deg = ("", angle_deg) if angle_deg <= 180 else ("counter-", 360 - angle_deg)
    mirrored = ", mirrored" if is_mirrored else ""
    return f"a turn of {angle_deg:.0f} deg {way}clockwise{mirrored}"


def is_transparent(frame: VideoFrame) -> bool:
    """Whether any pixel of a decoded frame is transparent."""
    if not any(component.is_alpha for component in frame.format.components):
        return False
    rgba = frame.reformat(format="rgba", threads=1).to_ndarray()
    return bool(rgba[:, :, 3].min() < 255)


def has_alpha_layer(stream: VideoStream) -> bool:
    """Whether the stream stores transparency that its decoder ignores: in VP8 and VP9 (a second
    stream in WebM) or HEVC (a second layer)."""
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1":
        return True
    context = stream.codec_context
    headers = context.extradata or b""
    return context.codec.canonical_name == "hevc" and bool(_HEVC_ALPHA.search(headers))
