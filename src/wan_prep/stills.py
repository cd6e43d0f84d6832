"""Small pictures of a file, for people to look at; evidence never holds pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from wan_prep.media.frames import each_frame_at
from wan_prep.media.images import read_image
from wan_prep.media.picture import ArrayPicture, Rgb
from wan_prep.media.types import ImageInfo, VideoInfo

# Fine enough to judge a face by; a picture of 720 px weighs about 60 kB.
_JPEG_QUALITY = 70


@dataclass(frozen=True)
class Still:
    """One upright picture with square pixels, as a JPEG of width x height px."""

    time_s: float
    """s from the first displayed frame; 0 for an image."""
    width: int
    height: int
    jpeg: bytes

    def rgb(self) -> Rgb:
        """(height, width, 3) uint8 RGB."""
        bgr = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None, "a JPEG of our own decodes"
        return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def image_still(path: str | Path, info: ImageInfo, max_side: int) -> Still:
    """The image, its long side at most `max_side` px.

    Raises:
        InputPathError, MediaUnreadable: the file is no longer what was probed.
    """
    stored_pixels = info.stored_width * info.stored_height
    rgb = read_image(path, info, max_pixels=stored_pixels)
    return _still(Fraction(0), ArrayPicture(rgb).rgb(max_side))


def video_stills(
    path: str | Path, info: VideoInfo, times: Sequence[Fraction], max_side: int
) -> tuple[Still, ...]:
    """The frames displayed at `times` (s), in the order asked; each has its own time.

    They are reached by seeking; one frame is in memory in full size at a time.

    Raises:
        InputPathError, MediaUnreadable: the file is no longer what was probed.
    """
    stills = {
        index: _still(frame.time, frame.rgb(max_side))
        for index, frame in each_frame_at(path, info, times)
    }
    return tuple(stills[index] for index in range(len(times)))


def _still(time: Fraction, rgb: Rgb) -> Still:
    height, width = rgb.shape[:2]
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Still(float(time), width, height, jpeg.tobytes())
