"""Frame rate, interlacing, dynamic range and colours of written clips.

They are 8-bit 4:2:0 in limited range, with square pixels and all colour tags. A matrix that SDR
video uses is kept, so that colours are not converted; HDR and wide gamut become BT.709.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from wan_prep.media.colors import ColorTags
from wan_prep.media.types import VideoInfo
from wan_prep.normalizers.filters import Filter, Step, pixels_as
from wan_prep.planning.model import Geometry

# MP4 and H.264 count ticks in 32 bits, too few for some rates measured on coarse time stamps. The
# rounded rate differs by less than 1 / 1001² frames per second: 4 µs in 120 s at 30 fps.
_RATE_DENOMINATOR_MAX = 1001
# Matrices of SDR video → the primaries and the transfer that go with them (ITU-T H.273).
_SDR_MATRICES = {
    "bt709": ("bt709", "bt709"),
    "smpte170m": ("smpte170m", "smpte170m"),
    "bt470bg": ("bt470bg", "smpte170m"),
    "smpte240m": ("smpte240m", "smpte240m"),
    "fcc": ("bt470m", "bt470m"),
}
# Players show untagged video from this size on as BT.709, smaller video as BT.601 (mpv).
_HD_WIDTH_PX = 1280
_HD_HEIGHT_PX = 577
# Diffuse white of HDR (ITU-R BT.2408), which becomes the white of SDR; and the brightest light that
# stays distinct from it: most HDR is graded on displays of 1000 nits.
_WHITE_NITS = 203
_PEAK_NITS = 1000


@dataclass(frozen=True)
class Colors:
    """Names of a colour coding, as FFmpeg's filters and encoders take them."""

    matrix: str
    primaries: str
    transfer: str


def written_rate(fps: Fraction) -> Fraction:
    """The rate as a ratio that containers can store."""
    return fps.limit_denominator(_RATE_DENOMINATOR_MAX)


def one_form_steps(info: VideoInfo, tags: ColorTags) -> tuple[Filter, ...]:
    """Convert frames to the size, pixel format and levels of the first one, where a stream changes.

    These steps come first, because most filters assume that all frames are like the first one.
    Frames that are pass unchanged.
    """
    form: dict[str, str | int] = {"w": info.coded_width, "h": info.coded_height}
    if not tags.is_rgb:
        form["out_range"] = "pc" if tags.is_full_range else "tv"
    form["flags"] = "bicubic+accurate_rnd+full_chroma_int"
    return (Filter("scale", form), pixels_as(info.pixel_format))


def deinterlace_steps() -> tuple[Filter, ...]:
    """One progressive frame for each pair of fields."""
    return (Filter("bwdif", {"mode": "send_frame", "deint": "all"}),)


def source_colors(tags: ColorTags, info: VideoInfo, *, is_hdr: bool) -> Colors:
    """The colour coding of the source; where it is untagged, the one that players assume."""
    if tags.is_rgb:
        return Colors("gbr", tags.primaries or "bt709", tags.transfer or "bt709")
    is_hd = info.coded_width >= _HD_WIDTH_PX or info.coded_height >= _HD_HEIGHT_PX
    matrix = tags.matrix or ("bt2020nc" if is_hdr else "bt709" if is_hd else "smpte170m")
    if is_hdr:
        primaries, transfer = "bt2020", "smpte2084"
    elif matrix.startswith("bt2020"):
        primaries, transfer = "bt2020", "bt2020-10"
    else:
        primaries, transfer = _SDR_MATRICES.get(matrix, ("bt709", "bt709"))
    return Colors(matrix, tags.primaries or primaries, tags.transfer or transfer)


def written_colors(source: Colors, *, is_hdr: bool) -> Colors:
    """The written colour coding: the source's if SDR video uses its matrix, else BT.709."""
    if source.matrix in _SDR_MATRICES and not is_hdr:
        return source
    return Colors("bt709", "bt709", "bt709")


def tag_steps(source: Colors, tags: ColorTags) -> tuple[Filter, ...]:
    """Tag the frames with the colour coding of the source, for all later filters."""
    return (_tagged(source, "pc" if tags.is_full_range or tags.is_rgb else "tv"),)


def written_steps(
    geometry: Geometry, source: Colors, written: Colors, *, is_hdr: bool
) -> tuple[Step, ...]:
    """From the window to the size, colours and pixel format of the file."""
    sized: dict[str, str | int] = {
        "w": geometry.width,
        "h": geometry.height,
        "f": "lanczos",
        # Named again: some versions lose a frame's tags when they convert its pixels.
        "min": source.matrix,
        "pin": source.primaries,
        "tin": source.transfer,
    }
    target: dict[str, str | int] = {
        "m": written.matrix,
        "p": written.primaries,
        "t": written.transfer,
        "r": "limited",
        "c": "left",
    }
    return (
        *((Filter("zscale", sized | target),) if not is_hdr else _tone_mapped(sized, target)),
        pixels_as("yuv420p"),
        Filter("setsar", {"sar": "1"}),
        _tagged(written, "tv"),
        # Rotation that has been applied, mastering data that no longer apply, captions, time codes.
        Filter("sidedata", {"mode": "delete"}),
    )


def _tone_mapped(sized: dict[str, str | int], target: dict[str, str | int]) -> tuple[Filter, ...]:
    """Convert HDR to SDR: middle tones stay, highlights are compressed."""
    linear: dict[str, str | int] = {"m": "gbr", "p": "bt709", "t": "linear", "npl": _WHITE_NITS}
    peak = f"{_PEAK_NITS / _WHITE_NITS:.3f}"
    return (
        Filter("zscale", sized | linear),
        pixels_as("gbrpf32le"),
        Filter("tonemap", {"tonemap": "mobius", "peak": peak, "desat": 0}),
        Filter("zscale", target),
    )


def _tagged(colors: Colors, color_range: str) -> Filter:
    return Filter(
        "setparams",
        {
            "range": color_range,
            "colorspace": colors.matrix,
            "color_primaries": colors.primaries,
            "color_trc": colors.transfer,
            "field_mode": "prog",
        },
    )
