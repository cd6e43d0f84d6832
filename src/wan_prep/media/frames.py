"""Frames with exact times, upright and with square pixels, from every kind of video file."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path

import av.error
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation

from wan_prep.errors import MediaUnreadable
from wan_prep.media import libav, webp
from wan_prep.media.files import open_check
from wan_prep.media.libav import DecodeLog, PtsClock
from wan_prep.media.limits import ClipLimits
from wan_prep.media.picture import AvPicture, Picture, Rgb, unconverted
from wan_prep.media.refusals import brief
from wan_prep.media.types import VideoInfo

__all__ = ["DecodeLog", "DecodedFrame", "decode", "each_frame_at", "frames_at"]

_RANGES = {False: ColorRange.MPEG, True: ColorRange.JPEG}
# Below this distance decoding on is cheaper than opening, seeking and decoding from a keyframe.
_SEEK_WORTH_S = Fraction(4)
# Rounding to ticks may put a time stamp one tick after its moment. Where a tick is as long as a
# frame time stamps are exact, so the tolerance is also bounded by a share of a frame.
_ROUNDED_TICKS = 1
_ROUNDED_FRAMES_MAX = Fraction(1, 20)
# A seek may land behind its target (no index, open groups of pictures): then further back.
_SEEK_MARGINS_S = (Fraction(0), Fraction(10))


@dataclass(frozen=True)
class DecodedFrame:
    """A frame and its time. It holds a buffer of the decoder: keep few of them."""

    time: Fraction
    """Seconds from the first displayed frame of the file."""
    _picture: Picture

    def rgb(self, max_side: int | None = None) -> Rgb:
        """(h, w, 3) uint8 RGB, upright, square pixels.

        The size is exactly (info.height, info.width); where the long side exceeds `max_side`
        px it is averaged down to it, the aspect kept.
        """
        return self._picture.rgb(max_side)

    def glance(self) -> Rgb:
        """A tiny picture, (<= 48, <= 64, 3) uint8 BGR, as stored (not turned): for finding cuts."""
        return self._picture.glance()


def decode(
    path: str | PathLike[str],
    info: VideoInfo,
    *,
    start: Fraction | int = 0,
    end: Fraction | int | None = None,
    skip_nonref: bool = False,
    log: DecodeLog | None = None,
    max_pixels: int | None = None,
) -> Generator[DecodedFrame]:
    """Every frame displayed in [start, end) s, in order, with strictly increasing times.

    The first one is the frame displayed at `start`, whose own time may be earlier; at or after the
    end of the clip it is the last frame. Single decode errors are counted in `log` and skipped; a
    truncated file ends early. Closing the iterator closes the file.

    skip_nonref: leave out frames that no other frame needs, which is faster and leaves gaps.
    max_pixels: of one frame; those that grow beyond it are errors. None: as large as the first one,
        or as shipped.

    Raises InputPathError and MediaUnreadable (the file no longer opens) at the first frame.
    """
    log = DecodeLog() if log is None else log
    checked = open_check(path)
    if end is not None and end <= start:
        return
    if info.container == "webp":
        pictures: Generator[tuple[Fraction, Picture]] = webp.pictures(checked, log)
    else:
        # Times after the end are bounded by it, because a seek takes 64-bit ticks.
        begin = min(Fraction(start), info.duration)
        first = info.coded_width * info.coded_height
        most = max_pixels or max(first, ClipLimits.shipped().pixels)
        pictures = _av_pictures(checked, info, begin, skip_nonref, log, most)
    with closing(pictures):
        for time, picture in _window(pictures, start, end, _rounding_s(info)):
            log.frames += 1
            log.last_time = time
            yield DecodedFrame(time, picture)


def frames_at(
    path: str | PathLike[str], info: VideoInfo, times: Sequence[Fraction | int]
) -> list[DecodedFrame]:
    """The frame displayed at each time (s), in the order asked, all in memory at once.

    For many or large frames use `each_frame_at`, which is the same otherwise. Asking for one frame
    twice costs nothing.
    """
    shown = dict(each_frame_at(path, info, times))
    return [shown[index] for index in range(len(times))]


def each_frame_at(
    path: str | PathLike[str], info: VideoInfo, times: Sequence[Fraction | int]
) -> Generator[tuple[int, DecodedFrame]]:
    """(index into `times`, the frame displayed then), in the order of time, one at a time.

    That is the last frame at or before the time in s, or the first frame for earlier times; it
    keeps its own time. Times near each other share one forward pass.
    Raises as `decode`, and MediaUnreadable("no_frames") where nothing decodes.
    """
    order = sorted(range(len(times)), key=lambda index: times[index])
    run: list[int] = []
    for index in order:
        if run and times[index] - times[run[-1]] > _SEEK_WORTH_S:
            yield from _run(path, info, run, times)
            run = []
        run.append(index)
    if run:
        yield from _run(path, info, run, times)


def _run(
    path: str | PathLike[str],
    info: VideoInfo,
    indexes: list[int],
    times: Sequence[Fraction | int],
) -> Generator[tuple[int, DecodedFrame]]:
    """The frames at times[indexes], sorted by time, from one forward pass."""
    waiting = list(reversed(indexes))
    late = _rounding_s(info)
    current: DecodedFrame | None = None
    frames = decode(path, info, start=max(Fraction(0), Fraction(times[indexes[0]])))
    with closing(frames):
        for frame in frames:
            while current is not None and waiting and times[waiting[-1]] + late < frame.time:
                yield waiting.pop(), current
            if not waiting:
                return
            current = frame
    if current is None:
        raise MediaUnreadable(
            "no_frames", "expected a frame, found none that decodes; encode the clip again"
        )
    while waiting:
        yield waiting.pop(), current


def _rounding_s(info: VideoInfo) -> Fraction:
    """How much later than its moment a time stamp may be through rounding, in s."""
    return min(_ROUNDED_TICKS * info.time_base, _ROUNDED_FRAMES_MAX / info.fps)


def _window(
    pictures: Iterator[tuple[Fraction, Picture]],
    start: Fraction | int,
    end: Fraction | int | None,
    late: Fraction,
) -> Generator[tuple[Fraction, Picture]]:
    """The pictures displayed in [start, end) s, with strictly increasing times.

    late: how much later than its moment a time may be through rounding, in s.
    """
    held: tuple[Fraction, Picture] | None = None
    last: Fraction | None = None
    for time, picture in pictures:
        if last is not None and time <= last:
            continue
        last = time
        if time <= start + late:
            held = (time, picture)
            continue
        if held is not None:
            yield held
            held = None
        if end is not None and time + late >= end:
            return
        yield time, picture
    if held is not None:
        yield held


def _av_pictures(
    path: Path,
    info: VideoInfo,
    start: Fraction,
    skip_nonref: bool,
    log: DecodeLog,
    max_pixels: int,
) -> Generator[tuple[Fraction, Picture]]:
    """Decode from a keyframe before `start` where that is faster, else from the beginning."""
    targets: list[Fraction | None] = [
        start - margin for margin in _SEEK_MARGINS_S if start - margin > _SEEK_WORTH_S
    ]
    targets.append(None)
    for target in targets:
        errors_before = log.errors
        landed = False
        with closing(_from(path, info, target, skip_nonref, log, max_pixels)) as timed:
            for time, picture in timed:
                if not landed and target is not None and time > start:
                    break
                landed = True
                yield time, picture
        if landed:
            return
        log.errors = errors_before  # this attempt is repeated from further back


def _from(
    path: Path,
    info: VideoInfo,
    target: Fraction | None,
    skip_nonref: bool,
    log: DecodeLog,
    max_pixels: int,
) -> Generator[tuple[Fraction, Picture]]:
    """Decode from the keyframe at or before `target` s (None: from the beginning)."""
    try:
        container = libav.open_container(path)
    except av.error.FFmpegError as exc:
        raise MediaUnreadable(
            "corrupt",
            f"expected the video that was probed, but it no longer opens ({brief(exc)}); "
            "has it changed?",
        ) from exc
    with container:
        stream = libav.video_stream(container)
        if stream is None:
            raise MediaUnreadable(
                "no_video_stream", "expected the video that was probed, found no video stream"
            )
        if target is not None:
            is_counted = libav.reads_in_order(container, stream) or info.unstamped_frames
            if is_counted or info.splices:
                return  # frames are counted from the first one: begin at the beginning instead
            try:
                container.seek(info.first_pts + int(target / info.time_base), stream=stream)
            except av.error.FFmpegError:
                return
        known = (info.first_pts, info.unstamped_frames) if target is None else ()
        clock = libav.clock_for(container, stream, *known)
        timed = libav.timed_frames(
            container, stream, log, clock=clock, skip_nonref=skip_nonref, max_pixels=max_pixels
        )
        for pts, frame in timed:
            if target is not None and isinstance(clock, PtsClock) and clock.first_stamp is None:
                return  # no time stamp tells where this is: begin at the beginning instead
            time = (pts - info.first_pts) * info.time_base
            log.note_form(frame, time)
            alike = _as_the_first(frame, info)
            yield time, AvPicture(alike, info)


def _as_the_first(frame: VideoFrame, info: VideoInfo) -> VideoFrame:
    """The frame in the size, pixel format and levels of the stream's first one."""
    is_full = libav.is_full_range(frame)
    stored = (frame.width, frame.height, frame.format.name, is_full)
    if stored == (info.coded_width, info.coded_height, info.pixel_format, info.is_full_range):
        return frame
    try:
        return frame.reformat(
            width=info.coded_width,
            height=info.coded_height,
            format=info.pixel_format,
            interpolation=Interpolation.BICUBIC,
            src_color_range=_RANGES[is_full],
            dst_color_range=_RANGES[info.is_full_range],
            threads=1,
        )
    except av.error.FFmpegError as exc:
        raise unconverted(frame, exc) from exc
