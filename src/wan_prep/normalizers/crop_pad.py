"""Crop, pad and turn: as filter steps for a clip, and on the pixels of an image.

Both give the same window of the same upright picture with square pixels (see `media.picture`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from wan_prep.media.apertures import shown_size
from wan_prep.media.colors import ColorTags
from wan_prep.media.types import VideoInfo
from wan_prep.normalizers.filters import Filter, Over, Step, pixels_as
from wan_prep.planning.model import Geometry, Window

Rgb = npt.NDArray[np.uint8]

# Sigma of the blur of a border, as a share of the shorter side: hides faces and limbs.
_BLUR_SHARE = 0.04
_BLUR_STEPS = 2
# A larger blur is made on a smaller picture, which looks the same.
_BLUR_SIGMA_PX = 6.0
# In H.264 and similar codecs chroma lies at the left luma sample, halfway between two rows. By
# default swscale assumes the middle of four samples, which would shift colours by half a pixel.
_FULL_CHROMA = Filter(
    "scale",
    {"flags": "bicubic+accurate_rnd+full_chroma_int", "in_h_chr_pos": 0, "in_v_chr_pos": 128},
)


@dataclass(frozen=True)
class _CropBox:
    """The part of a window that lies in the picture, and the padding around it, in px."""

    left: int
    top: int
    width: int
    height: int
    pad_left: int
    pad_top: int
    pad_right: int
    pad_bottom: int

    @property
    def is_padded(self) -> bool:
        return any((self.pad_left, self.pad_top, self.pad_right, self.pad_bottom))

    @property
    def is_even(self) -> bool:
        """Whether every edge lies between two chroma samples of 4:2:0."""
        edges = (self.left, self.top, self.width, self.height, self.pad_left, self.pad_top)
        return not any(edge % 2 for edge in (*edges, self.pad_right, self.pad_bottom))


def _cut(window: Window, width: int, height: int) -> _CropBox:
    # Of a window entirely outside, the nearest line of the picture is used.
    left = min(max(window.left, 0), width - 1)
    top = min(max(window.top, 0), height - 1)
    right = max(min(window.right, width), left + 1)
    bottom = max(min(window.bottom, height), top + 1)
    pad_left = min(max(0, left - window.left), window.width - 1)
    pad_top = min(max(0, top - window.top), window.height - 1)
    return _CropBox(
        left=left,
        top=top,
        width=right - left,
        height=bottom - top,
        pad_left=pad_left,
        pad_top=pad_top,
        pad_right=window.width - pad_left - (right - left),
        pad_bottom=window.height - pad_top - (bottom - top),
    )


# ---- a clip


def window_steps(geometry: Geometry, info: VideoInfo, tags: ColorTags) -> tuple[Step, ...]:
    """From frames as stored to the window of the upright picture, not yet scaled.

    Raises ValueError where the geometry turns the picture: clips are not turned.
    """
    if geometry.rotate_deg:
        raise ValueError("a clip is not rotated")
    cut = _cut(geometry.window, info.width, info.height)
    return (
        *_exact_pixels(info, tags, cut),
        *_visible(info),
        *_upright(info),
        *_windowed(geometry, info, cut),
    )


def _exact_pixels(info: VideoInfo, tags: ColorTags, cut: _CropBox) -> tuple[Step, ...]:
    """Steps after which any pixel can be an edge: no chroma shared by pixels, no transparency."""
    deep = "" if info.bit_depth <= 8 else "16le"
    if tags.is_rgb:
        return (pixels_as(f"gbrp{deep}"),)
    is_turned = info.rotation_deg != 0 or info.is_mirrored
    is_plain = not is_turned and info.sample_aspect_ratio == 1
    edges = (info.coded_width, info.coded_height, *info.hidden_ltrb)
    is_even = not any(edge % 2 for edge in edges) and cut.is_even
    # ffmpeg may decode transparency that PyAV's decoder ignores (HEVC).
    is_yuv = info.pixel_format.startswith(("yuv4", "yuvj4")) and not info.has_alpha
    if is_plain and is_even and is_yuv:
        return ()
    return _FULL_CHROMA, pixels_as(f"yuv444p{deep}")


def _visible(info: VideoInfo) -> tuple[Step, ...]:
    if not any(info.hidden_ltrb):
        return ()
    left, top, _, _ = info.hidden_ltrb
    width, height = shown_size(info.coded_width, info.coded_height, info.hidden_ltrb)
    return (Filter("crop", {"w": width, "h": height, "x": left, "y": top, "exact": 1}),)


def _upright(info: VideoInfo) -> tuple[Step, ...]:
    width, height = info.width, info.height
    if info.rotation_deg in (90, 270):
        width, height = height, width
    steps: list[Step] = []
    if (width, height) != shown_size(info.coded_width, info.coded_height, info.hidden_ltrb):
        steps.append(Filter("zscale", {"w": width, "h": height, "f": "lanczos"}))
    turns: dict[int, tuple[Step, ...]] = {
        0: (),
        90: (Filter("transpose", {"dir": "clock"}),),
        180: (Filter("hflip"), Filter("vflip")),
        270: (Filter("transpose", {"dir": "cclock"}),),
    }
    mirror = (Filter("hflip"),) if info.is_mirrored else ()
    return (*steps, *turns[info.rotation_deg], *mirror)


def _windowed(geometry: Geometry, info: VideoInfo, cut: _CropBox) -> tuple[Step, ...]:
    steps: list[Step] = []
    if (cut.width, cut.height) != (info.width, info.height):
        steps.append(
            Filter(
                "crop", {"w": cut.width, "h": cut.height, "x": cut.left, "y": cut.top, "exact": 1}
            )
        )
    if not cut.is_padded:
        return tuple(steps)
    window = geometry.window
    canvas = Filter(
        "pad",
        {
            "w": window.width,
            "h": window.height,
            "x": cut.pad_left,
            "y": cut.pad_top,
            "color": geometry.pad_color,
        },
    )
    if geometry.pad == "color":
        return (*steps, canvas)
    borders = {
        "left": cut.pad_left,
        "top": cut.pad_top,
        "right": cut.pad_right,
        "bottom": cut.pad_bottom,
    }
    drawn_out = (canvas, Filter("fillborders", {**borders, "mode": "smear"}))
    if geometry.pad == "edge":
        return (*steps, *drawn_out)
    blurred = Filter("gblur", {"sigma": f"{_blur_px(window):.2f}", "steps": _BLUR_STEPS})
    return (*steps, Over((*drawn_out, blurred), cut.pad_left, cut.pad_top))


def _blur_px(window: Window) -> float:
    return _BLUR_SHARE * min(window.width, window.height)


# ---- a still


def picture(rgb: Rgb, geometry: Geometry) -> Rgb:
    """Carry out the geometry on an upright (h, w, 3) uint8 picture: (geometry.height,
    geometry.width, 3) uint8."""
    size_wh = (geometry.width, geometry.height)
    seen = _turned(rgb, geometry) if geometry.rotate_deg else _framed(rgb, geometry)
    if size_wh == (geometry.window.width, geometry.window.height):
        return seen
    shrinks = geometry.width * geometry.height < geometry.window.width * geometry.window.height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    return _as_uint8(cv2.resize(seen, size_wh, interpolation=how))


def _framed(rgb: Rgb, geometry: Geometry) -> Rgb:
    height, width = rgb.shape[:2]
    cut = _cut(geometry.window, width, height)
    inside = rgb[cut.top : cut.top + cut.height, cut.left : cut.left + cut.width]
    if not cut.is_padded:
        return np.ascontiguousarray(inside)
    how, color = _border(geometry)
    pads = (cut.pad_top, cut.pad_bottom, cut.pad_left, cut.pad_right)
    padded = _as_uint8(cv2.copyMakeBorder(inside, *pads, how, value=color))
    if geometry.pad == "blur":
        padded = _blurred(padded, geometry.window)
        rows = slice(cut.pad_top, cut.pad_top + cut.height)
        padded[rows, cut.pad_left : cut.pad_left + cut.width] = inside
    return padded


def _turned(rgb: Rgb, geometry: Geometry) -> Rgb:
    """Turned about the picture's centre and cut to the window, in one warp."""
    height, width = rgb.shape[:2]
    window = geometry.window
    # OpenCV counts pixel centres from 0 and turns counter-clockwise.
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, -geometry.rotate_deg, 1.0)
    matrix[:, 2] -= (window.left, window.top)
    size_wh = (window.width, window.height)
    how, color = _border(geometry)
    warped = _as_uint8(
        cv2.warpAffine(
            rgb, matrix, size_wh, flags=cv2.INTER_LANCZOS4, borderMode=how, borderValue=color
        )
    )
    if geometry.pad == "blur":
        whole = np.full((height, width), 255, np.uint8)
        inside = cv2.warpAffine(whole, matrix, size_wh, flags=cv2.INTER_NEAREST)
        warped = np.where(inside[:, :, None] > 0, warped, _blurred(warped, window))
    return warped


def _border(geometry: Geometry) -> tuple[int, tuple[int, int, int]]:
    """OpenCV's border mode, and the colour as (red, green, blue)."""
    if geometry.pad != "color":
        return cv2.BORDER_REPLICATE, (0, 0, 0)
    red, green, blue = bytes.fromhex(geometry.pad_color[1:])
    return cv2.BORDER_CONSTANT, (red, green, blue)


def _blurred(rgb: Rgb, window: Window) -> Rgb:
    height, width = rgb.shape[:2]
    sigma_px = _blur_px(window)
    shrink = max(1.0, sigma_px / _BLUR_SIGMA_PX)
    small_wh = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    small = cv2.resize(rgb, small_wh, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / shrink, borderType=cv2.BORDER_REPLICATE)
    return _as_uint8(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _as_uint8(pixels: Any) -> Rgb:
    # OpenCV types its arrays loosely; nothing is copied here.
    return np.asarray(pixels, dtype=np.uint8)
