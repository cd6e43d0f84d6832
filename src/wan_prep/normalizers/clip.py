"""Write one span of the driving video as one file, in one run of ffmpeg."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from wan_prep.errors import NormalizeFailed
from wan_prep.media.colors import ColorTags, color_tags
from wan_prep.media.frames import decode
from wan_prep.media.limits import ClipLimits
from wan_prep.media.sound import mixes_down
from wan_prep.media.types import VideoInfo
from wan_prep.normalizers import ffmpeg, resample, trim
from wan_prep.normalizers.crop_pad import window_steps
from wan_prep.normalizers.filters import Filter
from wan_prep.normalizers.verify import ExpectedVideo
from wan_prep.planning.model import Geometry, Span, VideoOperations

# FFmpeg reads no animated WebP: its pictures are decoded here and piped in.
_PIPED = ("webp",)


def write_clip(
    work: VideoOperations,
    geometry: Geometry,
    span: Span,
    source: Path,
    info: VideoInfo,
    target: Path,
    *,
    on_share: Callable[[float], None],
) -> ExpectedVideo:
    """Write one span; returns what the file must be.

    on_share: called with the share written, 0 … 1.

    Raises:
        NormalizeFailed, DependencyMissing: see `ffmpeg.run`; and the source has no sound, although
            the plan says so.
        MediaUnreadable: the source does not decode.
    """
    assert work.fps is not None
    cut = trim.cut(source, info, span, resample.written_rate(work.fps))
    is_piped = info.container in _PIPED
    tags = ColorTags(is_rgb=True) if is_piped else color_tags(source)
    colors = resample.source_colors(tags, info, is_hdr=work.tone_map)
    written = resample.written_colors(colors, is_hdr=work.tone_map)
    times = () if is_piped else trim.video_steps(cut, info)
    steps = (
        *(() if is_piped else resample.one_form_steps(info, tags)),
        *(resample.deinterlace_steps() if work.deinterlace else ()),
        *resample.tag_steps(colors, tags),
        *times,
        *window_steps(geometry, info, tags),
        *resample.written_steps(geometry, colors, written, is_hdr=work.tone_map),
    )
    audio = _audio(work, cut, source, info)
    arguments = ffmpeg.command(
        ffmpeg.piped_input(info.width, info.height, cut.fps)
        if is_piped
        else ffmpeg.file_input(
            source,
            info.container,
            trim.seek_s(cut, info),
            is_cropped=any(info.hidden_ltrb),
            max_pixels=max(info.coded_width * info.coded_height, ClipLimits.shipped().pixels),
        ),
        target,
        steps,
        audio,
        fps=cut.fps,
        colors=written,
        video_index=0 if is_piped else info.video_index,
        audio_index=info.audio_index,
    )
    ffmpeg.run(
        arguments,
        on_frame=lambda count: on_share(min(1.0, count / cut.frames)),
        pictures=_pictures(source, info, cut) if is_piped else None,
    )
    return ExpectedVideo(
        width=geometry.width,
        height=geometry.height,
        fps=cut.fps,
        frames=cut.frames,
        has_audio=audio != "none",
    )


def _audio(
    work: VideoOperations, cut: trim.FrameRange, source: Path, info: VideoInfo
) -> tuple[Filter, ...] | Literal["none", "copy"]:
    if work.audio != "none" and not info.has_audio:
        raise NormalizeFailed(
            f"expected sound in {source}, as the plan says, found none that decodes; plan again"
        )
    if work.audio == "none" or not trim.has_sound(cut, info):
        return "none"
    if work.audio == "copy" and trim.sound_fits(cut, info):
        return "copy"
    assert info.audio_index is not None
    return trim.audio_steps(cut, info, mixes_down=mixes_down(source, info.audio_index))


def _pictures(source: Path, info: VideoInfo, cut: trim.FrameRange) -> Iterator[bytes]:
    frames = decode(source, info, start=cut.begin)
    for frame in trim.paced(((f.time, f) for f in frames), cut):
        yield frame.rgb().tobytes()
