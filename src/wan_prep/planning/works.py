"""The operations themselves: which files are copied, and how the others are written."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from wan_prep.evidence import Evidence
from wan_prep.geometry import Size
from wan_prep.media.types import ImageInfo, VideoInfo
from wan_prep.planning.clips import Part
from wan_prep.planning.model import Geometry, ImageWork, Span, VideoWork, Window
from wan_prep.planning.options import PlanOptions
from wan_prep.profile import Profile

_IMAGE_SUFFIX = {"png": "png", "jpeg": "jpg"}


def written_fps(info: VideoInfo, options: PlanOptions, profile: Profile) -> Fraction:
    """The rate to write: as asked; a constant one in the profile's range as it is; its default."""
    if options.fps is not None:
        return options.fps
    low, high = (profile.limit(name) for name in ("kept_fps_min", "kept_fps_max"))
    if not info.is_vfr and info.frame_count > 1 and low <= info.fps <= high:
        return info.fps
    return Fraction(str(profile.limit("resampled_fps")))


def image_work(
    image: Evidence, geometry: Geometry, options: PlanOptions, profile: Profile
) -> ImageWork:
    info = image.image_info
    assert info is not None
    kind = options.image_format
    if is_untouched(geometry, info) and _is_ready_image(info, kind, profile):
        suffix = _IMAGE_SUFFIX[info.format.lower()]
        return ImageWork(
            source=image.path, sha256=info.sha256, name=f"reference.{suffix}", copy_bytes=True
        )
    kind = kind or "png"
    return ImageWork(
        source=image.path,
        sha256=info.sha256,
        name=f"reference.{_IMAGE_SUFFIX[kind]}",
        geometry=geometry,
        format=kind,
        jpeg_quality=options.jpeg_quality,
        background=options.background,
    )


def video_work(
    video: Evidence,
    geometry: Geometry,
    parts: tuple[Part, ...],
    fps: Fraction,
    profile: Profile,
) -> VideoWork:
    info = video.video_info
    assert info is not None
    spans = tuple(
        Span(
            name="driving.mp4" if len(parts) == 1 else f"driving-{k:02d}.mp4",
            start=part.start,
            end=part.end,
        )
        for k, part in enumerate(parts, start=1)
    )
    is_whole = len(parts) == 1 and parts[0].start == 0 and parts[0].end >= info.duration
    if is_whole and is_untouched(geometry, info) and _is_ready_video(video, info, fps, profile):
        return VideoWork(source=video.path, sha256=info.sha256, spans=spans, copy_bytes=True)
    return VideoWork(
        source=video.path,
        sha256=info.sha256,
        spans=spans,
        geometry=geometry,
        fps=fps,
        deinterlace=info.is_interlaced,
        tone_map=info.is_hdr,
        audio=_audio(info, is_whole, fps, profile),
    )


def is_untouched(geometry: Geometry, info: ImageInfo | VideoInfo) -> bool:
    """Whether the geometry leaves every pixel where it is."""
    whole = Window(left=0, top=0, width=info.width, height=info.height)
    written = Size(geometry.width, geometry.height)
    return not geometry.rotate_deg and geometry.window == whole and written == whole_size(info)


def whole_size(info: ImageInfo | VideoInfo) -> Size:
    return Size(info.width, info.height)


def _is_ready_image(info: ImageInfo, asked: str | None, profile: Profile) -> bool:
    return (
        info.format in ("PNG", "JPEG")
        and asked in (None, info.format.lower())
        and info.color_mode == "RGB"
        and info.bit_depth == 8
        and info.exif_orientation == 1
        and info.frame_count == 1
        and not info.has_alpha
        # Whether the profile is sRGB is not known here; written without loss it is in any case.
        and not info.has_icc_profile
        and info.size_bytes <= profile.limit("image_bytes_max")
    )


def _is_ready_video(video: Evidence, info: VideoInfo, fps: Fraction, profile: Profile) -> bool:
    return (
        info.container == "mp4"
        and info.codec == "h264"
        and info.pixel_format == "yuv420p"
        and info.rotation_deg == 0
        and not info.is_mirrored
        and info.matrix_left_undone is None
        and not any(info.hidden_ltrb)
        and (info.coded_width, info.coded_height) == (info.width, info.height)
        and not (info.is_interlaced or info.is_hdr or info.is_vfr or info.is_truncated)
        and not (video.decode_errors or info.splices or len(video.forms) > 1)
        and not (info.other_videos or info.undecodable_audio)
        and info.fps == fps
        and info.size_bytes <= profile.limit("video_bytes_max")
        and (not info.has_audio or (info.audio_codec == "aac" and _sound_fits(info, fps, profile)))
    )


def _audio(
    info: VideoInfo, is_whole: bool, fps: Fraction, profile: Profile
) -> Literal["none", "copy", "aac"]:
    """Packets of sound can be taken over only where nothing is cut off or moved."""
    if not info.has_audio:
        return "none"
    return (
        "copy"
        if is_whole and info.audio_codec == "aac" and _sound_fits(info, fps, profile)
        else "aac"
    )


def _sound_fits(info: VideoInfo, fps: Fraction, profile: Profile) -> bool:
    """Sound that begins with the picture, ends within a frame of it, and not over the limit."""
    if info.audio_start is None or info.audio_duration is None:
        return False
    frame_s = 1 / fps
    ends = info.audio_start + info.audio_duration
    most = min(info.duration + frame_s, Fraction(str(profile.limit("clip_max"))))
    return abs(info.audio_start) <= frame_s and ends <= most
