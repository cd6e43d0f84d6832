"""One decoded picture: as the decoder stores it, converted to upright RGB with square pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av.error
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from wan_prep.errors import MediaUnreadable
from wan_prep.media.types import VideoInfo

Rgb = npt.NDArray[np.uint8]

_GLANCE_WIDTH = 64
_GLANCE_HEIGHT = 48
# Averaging more columns costs little, since their row is in memory anyway; more rows cost more.
_GLANCE_ROWS_AVERAGED = 2
_GLANCE_COLUMNS_AVERAGED = 4
_SAR_MAX = 16


def square_pixel_size(
    coded_width: int, coded_height: int, sample_aspect_ratio: Fraction
) -> tuple[int, int]:
    """(width, height) in px with square pixels, before rotation.

    One side grows and none shrinks, so that no detail is lost: wide pixels (ratio > 1) make the
    picture wider, tall ones higher.
    """
    if sample_aspect_ratio >= 1:
        return round(coded_width * sample_aspect_ratio), coded_height
    return coded_width, round(coded_height / sample_aspect_ratio)


def sane_aspect_ratio(ratio: Fraction | None) -> Fraction:
    """The sample aspect ratio; 1 where it is missing or beyond 16:1 (a damaged header)."""
    if ratio is None or ratio <= 0 or not Fraction(1, _SAR_MAX) <= ratio <= _SAR_MAX:
        return Fraction(1)
    return Fraction(ratio)


def fit_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """(width, height) with the long side at most `max_side`, aspect kept, never enlarged."""
    long_side = max(width, height)
    if max_side is None or long_side <= max_side:
        return width, height
    return (
        max(1, round(Fraction(width * max_side, long_side))),
        max(1, round(Fraction(height * max_side, long_side))),
    )


class Picture(Protocol):
    """What a decoder backend returns for each frame."""

    def rgb(self, max_side: int | None = None) -> Rgb: ...

    def glance(self) -> Rgb: ...


@dataclass(frozen=True)
class ArrayPicture:
    """A picture that is upright RGB already: `pixels` (h, w, 3) uint8."""

    pixels: Rgb

    def rgb(self, max_side: int | None = None) -> Rgb:
        height, width = self.pixels.shape[:2]
        size_wh = fit_size(width, height, max_side)
        if size_wh == (width, height):
            return self.pixels.copy()
        return _as_uint8(cv2.resize(self.pixels, size_wh, interpolation=cv2.INTER_AREA))

    def glance(self) -> Rgb:
        return np.ascontiguousarray(_tiny(self.pixels)[:, :, ::-1])


@dataclass(frozen=True)
class AvPicture:
    """A libav frame, and how frames of its stream are shown."""

    frame: VideoFrame
    info: VideoInfo

    def rgb(self, max_side: int | None = None) -> Rgb:
        """(h, w, 3) uint8 RGB, upright, square pixels; colour space and range as tagged."""
        info = self.info
        upright_wh = fit_size(info.width, info.height, max_side)
        turned = info.rotation_deg in (90, 270)
        pixels = self._visible(*(upright_wh[::-1] if turned else upright_wh))
        if info.rotation_deg:
            pixels = np.rot90(pixels, k=-info.rotation_deg // 90)
        if info.is_mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)

    def glance(self) -> Rgb:
        """(<= 48, <= 64, 3) uint8 BGR as stored, not turned, not exact: for finding cuts."""
        planes = _yuv_planes(self.frame)
        if planes is None:
            tiny = self._swscaled(_GLANCE_WIDTH, _GLANCE_HEIGHT, "bgr24", Interpolation.AREA)
            return np.ascontiguousarray(tiny)
        luma, *chroma = (_tiny(plane) for plane in planes)
        size_wh = (luma.shape[1], luma.shape[0])
        channels = [
            plane if plane.shape == luma.shape else cv2.resize(plane, size_wh) for plane in chroma
        ]
        return _as_uint8(cv2.cvtColor(cv2.merge([luma, *channels]), cv2.COLOR_YUV2BGR))

    def _visible(self, width: int, height: int) -> Rgb:
        """(height, width, 3) of what the container does not hide, as stored otherwise."""
        coded_wh = (self.info.coded_width, self.info.coded_height)
        left, top, right, bottom = self.info.hidden_ltrb
        if not any(self.info.hidden_ltrb):
            return self._converted(width, height)
        whole = self._converted(*coded_wh)
        shown = whole[top : coded_wh[1] - bottom, left : coded_wh[0] - right]
        if shown.shape[:2] == (height, width):
            return shown
        shrinks = width * height < shown.shape[0] * shown.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return _as_uint8(cv2.resize(shown, (width, height), interpolation=how))

    def _converted(self, width: int, height: int) -> Rgb:
        shrinks = width * height < self.frame.width * self.frame.height
        how = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        # Transparency is dropped, as everywhere (docs/limits.md): swscale does not blend.
        return self._swscaled(width, height, "rgb24", how)

    def _swscaled(self, width: int, height: int, pixel_format: str, how: Interpolation) -> Rgb:
        # One thread: swscale's own would fight the decoder's for the same cores.
        try:
            shown = self.frame.reformat(
                width=width, height=height, format=pixel_format, interpolation=how, threads=1
            )
        except av.error.FFmpegError as exc:
            raise unconverted(self.frame, exc) from exc
        return _as_uint8(shown.to_ndarray())


def unconverted(frame: VideoFrame, exc: av.error.FFmpegError) -> MediaUnreadable:
    """The error of a frame whose colours libav does not convert (ICtCp and other rare codings)."""
    if isinstance(exc, av.error.MemoryError):
        return MediaUnreadable(
            "too_large", "expected a frame that fits into memory, found none; scale the video down"
        )
    return MediaUnreadable(
        "unsupported",
        f"expected colours that can be converted, found {frame.format.name} with the matrix "
        f"{int(frame.colorspace)}; convert the clip to BT.709",
    )


def _yuv_planes(frame: VideoFrame) -> list[npt.NDArray[np.uint8]] | None:
    """Views of the Y, U and V planes of an 8-bit planar frame, no copy; None for the rest."""
    name = frame.format.name
    if not name.startswith(("yuv4", "yuvj4")) or not name.endswith("p"):
        return None
    views = []
    for plane in frame.planes[:3]:
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
        views.append(rows.reshape(plane.height, plane.line_size)[:, : plane.width])
    return views


def _tiny(plane: npt.NDArray[Any]) -> Rgb:
    """The plane at most 48 rows high and 64 columns wide: strided, which is fast, then averaged."""
    rows, height = _samples(plane.shape[0], _GLANCE_HEIGHT, _GLANCE_ROWS_AVERAGED)
    columns, width = _samples(plane.shape[1], _GLANCE_WIDTH, _GLANCE_COLUMNS_AVERAGED)
    coarse = np.ascontiguousarray(plane[rows, columns])
    return _as_uint8(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_AREA))


def _samples(length: int, target: int, averaged: int) -> tuple[slice, int]:
    """(the lines to use, how many they become): `averaged` or more for each of `target` lines, if
    there are that many.

    Each stands for a whole number of lines, which is 5 times faster; lines left over at both ends
    are not used.
    """
    if length <= target:
        return slice(None), length
    stride = max(1, length // (target * averaged))
    per_target = length // (target * stride)
    used = target * per_target * stride
    first = (length - used) // 2
    return slice(first, first + used, stride), target


def _as_uint8(pixels: npt.NDArray[Any]) -> Rgb:
    # Only for the type checker, since OpenCV and PyAV type their arrays loosely; copies nothing.
    return np.asarray(pixels, dtype=np.uint8)
