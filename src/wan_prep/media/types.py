"""Facts of a media file; what its header claims and what was measured stand in separate fields.

Sizes are of the *upright, square-pixel* picture unless a name says `coded` or `stored`.
Times are exact: `Fraction` seconds from the first displayed frame.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

from wan_prep.documents import DocumentPath


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageInfo(_Facts):
    """A still picture, or the first frame of an animated one."""

    kind: Literal["image"] = "image"
    path: DocumentPath
    sha256: str
    size_bytes: int
    format: str
    """Pillow's name of the container: `PNG`, `JPEG`, `WEBP`, …"""
    width: int
    height: int
    """Upright size in px, EXIF orientation applied."""
    stored_width: int
    stored_height: int
    exif_orientation: int
    """1 … 8 as EXIF numbers them; 1 where the file says nothing."""
    color_mode: str
    """Pillow's mode: `RGB`, `RGBA`, `L`, `CMYK`, `I;16`, `P`, …"""
    bit_depth: int
    has_alpha: bool
    """Whether any pixel is transparent."""
    has_icc_profile: bool
    frame_count: int
    """1 for a still; more for an animation, of which only the first frame counts, and for several
    pictures in one HEIF, of which only the main one counts."""


class Form(_Facts):
    """How the frames of a clip are stored from some time on."""

    time: Fraction
    """Of the first frame stored so, in s."""
    width: int
    height: int
    """Coded size in px."""
    pixel_format: str
    is_full_range: bool
    matrix: int
    """Of luma and chroma, as ISO/IEC 23091-2 numbers them."""


class VideoInfo(_Facts):
    """A video file. `…_from_header` is a claim, the rest was measured on the packets."""

    kind: Literal["video"] = "video"
    path: DocumentPath
    sha256: str
    size_bytes: int
    container: str
    """The demuxer's first name: `mp4`, `matroska`, `avi`, `gif`, `webp`, …"""
    codec: str
    pixel_format: str
    bit_depth: int
    width: int
    height: int
    """Upright, square-pixel size in px: rotation and sample aspect ratio applied."""
    coded_width: int
    coded_height: int
    """Size of a decoded frame as stored, with what is hidden."""
    sample_aspect_ratio: Fraction
    rotation_deg: int
    """Clockwise turn that shows the picture upright: 0, 90, 180 or 270."""
    is_mirrored: bool = False
    """The picture is mirrored left to right, after it was turned."""
    matrix_left_undone: str | None = None
    """What the display matrix asks for beyond turn and mirror, in words; it is not done."""
    hidden_ltrb: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Px at the left, top, right and bottom of stored frames that are not to be shown."""
    has_alpha: bool = False
    """A pixel of the first frames is transparent, or the stream carries an alpha layer."""
    is_full_range: bool = False
    """Luma codes of the first frame reach from 0 to the maximum; else from 16 to 235 (of 255)."""
    is_interlaced: bool
    color_transfer: str | None
    """`bt709`, `smpte2084` (PQ), `arib-std-b67` (HLG), …; None where untagged."""
    is_hdr: bool
    duration: Fraction
    """From the first frame's time to the end of the last one, in s."""
    duration_from_header: Fraction | None
    fps: Fraction
    """Mean rate over the content: (frames - 1) / (last time - first time); the header's rate
    where the two differ by no more than the time base's rounding."""
    fps_from_header: Fraction | None
    is_vfr: bool
    """Frame distances differ by more than the time base's rounding explains."""
    frame_count: int
    """Frames found in the content (packets that will be shown)."""
    frame_count_from_header: int | None
    first_pts: int
    """Time stamp of the first displayed frame, in units of `time_base`."""
    time_base: Fraction
    splices: tuple[Fraction, ...] = ()
    """Where time stamps start again, as in files joined end to end: what every later one needs so
    that times go on without a gap, in s; one entry for each such place, in order."""
    is_truncated: bool
    """The content ends clearly before the header says it does."""
    has_audio: bool
    """Whether any sound decodes; the rest is of that stream."""
    audio_codec: str | None
    audio_start: Fraction | None
    """Start of the sound relative to the first displayed frame, in s."""
    audio_duration: Fraction | None
    video_index: int = 0
    """Number of the stream of pictures in its file."""
    other_videos: int = 0
    """Further streams of moving pictures, which are not looked at."""
    audio_index: int | None = None
    """Number of the stream of sound in its file."""
    undecodable_audio: tuple[str, ...] = ()
    """Codecs of the streams of sound that would have come before it, but do not decode."""
    has_time_stamps: bool = True
    """Otherwise the k-th frame is shown at k / fps."""
    unstamped_frames: int = 0
    """Frames at the beginning of which readers tell no time, although they tell that of those
    after them; they follow the first one, at the rate of the header."""
    unstamped_audio: Fraction = Fraction(0)
    """Seconds of sound at the beginning of which that is true."""
