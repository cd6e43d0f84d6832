"""FFmpeg's libraries through PyAV: open a file safely, read its packets, time its frames.

Shared by `probe` and `frames`, so that both see the same stream and the same times.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import av.error
from av.codec.context import ThreadType
from av.container import Container, InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wan_prep.errors import MediaUnreadable
from wan_prep.media import codecs
from wan_prep.media.limits import ClipLimits
from wan_prep.media.timing import UNKNOWN_RATE
from wan_prep.media.types import Form

# Self-contained media only. Playlists and scripts (hls, concat, dash, sdp, …), which open other
# files or sockets, picture sequences (image2 reads % in a name as a pattern) and demuxers that
# accept any text (tty) are left out. PyAV itself keeps libav's log lines off stderr.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,gif,apng,"
    "mxf,nut,ivf,rm,dv,wtv,gxf,h264,hevc,vvc,m4v,av1,obu,vc1,yuv4mpegpipe,"
    "mp3,wav,w64,flac,aac,ac3,eac3,dts,aiff,amr,caf,au,ape,tta,wv"
)
_ELEMENTARY = frozenset({"h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1", "av1", "obu"})
# Containers that store when a packet is decoded instead of when its picture is shown.
_STORE_DECODING = frozenset({"avi", "asf"})
# Demuxers that need only a few bytes to recognise their format, so that noise may pass as it.
WEAK_DEMUXERS = _ELEMENTARY | {"mp3", "aac", "ac3", "eac3", "dts", "amr", "tta", "mpegts", "mpeg"}
_READ_ERRORS_MAX = 32
_FLUSH_ERRORS_MAX = 64
_PENDING_MAX = 4096


@dataclass
class DecodeLog:
    """What happened while decoding, updated while it goes on."""

    frames: int = 0
    """Frames handed out."""
    errors: int = 0
    """Packets and frames that failed and were skipped."""
    last_time: Fraction | None = None
    """Time of the last frame handed out, in s."""
    forms: list[Form] = field(default_factory=list)
    """How frames are stored: of the first one, and of each that differs from the one before."""

    def note_form(self, frame: VideoFrame, time: Fraction) -> None:
        """Add how a frame is stored to `forms` if it differs from the frame before; time in s."""
        last = self.forms[-1] if self.forms else None
        now = (
            frame.width,
            frame.height,
            frame.format.name,
            is_full_range(frame),
            int(frame.colorspace),
        )
        if last is None or now != (
            last.width,
            last.height,
            last.pixel_format,
            last.is_full_range,
            last.matrix,
        ):
            width, height, pixel_format, is_full, matrix = now
            self.forms.append(
                Form(
                    time=time,
                    width=width,
                    height=height,
                    pixel_format=pixel_format,
                    is_full_range=is_full,
                    matrix=matrix,
                )
            )


def open_container(path: Path) -> InputContainer:
    """Open one self-contained media file; raises av.error.FFmpegError, or what PyAV adds.

    Only what is listed here may read it, and nothing that it names is opened: QuickTime's
    references to other files stay unfollowed, which is libav's default, too.
    """
    return av.open(
        f"file:{path}",
        mode="r",
        container_options={
            "protocol_whitelist": "file",
            "format_whitelist": DEMUXERS,
            "codec_whitelist": codecs.ON_OPENING,
            "enable_drefs": "0",
            "use_absolute_path": "0",
        },
        metadata_errors="replace",
    )


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures, without cover art and thumbnails, the one to show first.

    Sorted as players choose: streams that decode first, then default, larger and earlier ones.
    """
    aside = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
    moving = [s for s in container.streams.video if not s.disposition & aside]
    return sorted(moving, key=_rank)


def _rank(stream: VideoStream) -> tuple[bool, bool, int, int]:
    decodes = codec_name(stream) is not None
    pixels = stream.codec_context.width * stream.codec_context.height if decodes else 0
    return not decodes, not stream.disposition & Disposition.default, -pixels, stream.index


def video_stream(container: InputContainer) -> VideoStream | None:
    """The stream of moving pictures that is shown, if any."""
    return next(iter(video_streams(container)), None)


def audio_streams(container: InputContainer) -> list[Stream]:
    """The streams of sound: first those flagged as default, each kind in the order of the file."""
    return sorted(
        container.streams.audio,
        key=lambda s: (not s.disposition & Disposition.default, s.index),
    )


_FULL_RANGE = 2


def is_full_range(frame: VideoFrame) -> bool:
    return int(frame.color_range) == _FULL_RANGE or frame.format.name.startswith("yuvj")


def codec_name(stream: Stream | None) -> str | None:
    """The stream's codec; None where there is no stream, or no decoder that may run."""
    # PyAV's types promise a codec context; a stream without a decoder has none.
    context = getattr(stream, "codec_context", None)
    if context is None or context.codec.name not in codecs.ALLOWED:
        return None
    return str(context.codec.canonical_name)


def time_base_of(stream: Stream) -> Fraction:
    """Seconds per tick; a stream that does not say gets libav's own microseconds."""
    return stream.time_base or Fraction(1, 1_000_000)


def header_rate(stream: VideoStream) -> Fraction | None:
    """The frame rate the header claims, in 1/s.

    For an elementary stream only its own headers count: what the demuxer states is a default.
    """
    rates: tuple[Fraction | None, ...] = (stream.average_rate, stream.guessed_rate)
    if _is_elementary(stream.container):
        rates = (stream.codec_context.framerate,)
    return next((Fraction(rate) for rate in rates if rate), None)


def _is_elementary(container: Container) -> bool:
    return container.format.name in _ELEMENTARY


def reads_in_order(container: InputContainer, stream: VideoStream) -> bool:
    """Whether frames are timed by their order, because the pts of this stream cannot be trusted.

    Elementary streams have no time stamps, and their demuxers make some up. AVI and ASF store when
    frames are decoded; where there are B-frames, libavformat's guess of pts does not follow the
    order of display.
    """
    return _is_elementary(container) or times_by_decoding(container, stream)


def times_by_decoding(container: InputContainer, stream: VideoStream) -> bool:
    """Whether each frame is timed by the packet that was decoded when it came out (AVI, ASF)."""
    stores_decoding = container.format.name in _STORE_DECODING
    return stores_decoding and bool(stream.codec_context.has_b_frames)


def packets(
    container: InputContainer, streams: tuple[Stream, ...], log: DecodeLog
) -> Iterator[Packet[Stream]]:
    """Every packet in file order. Read errors are counted and skipped, up to many in a row."""
    failures = 0
    while failures < _READ_ERRORS_MAX:
        try:
            for packet in container.demux(*streams):
                failures = 0
                if packet.size or packet.dts is not None:
                    yield packet
        except av.error.FFmpegError:
            failures += 1
            log.errors += 1
        else:
            return


class Clock(Protocol):
    """Gives each decoded frame its pts, in ticks of the stream's time base."""

    def sent(self, packet: Packet[Stream]) -> None:
        """Note a packet that goes to the decoder."""

    def pts_of(self, frame: VideoFrame) -> int:
        """The pts of a frame that came out, in presentation order."""


class TimestampJoiner:
    """Continues time stamps without a gap where they start again, as in joined transport streams.

    They start again where they fall back by more than a second, or where a group of pictures begins
    at or before the latest time so far.
    """

    def __init__(self, step_ticks: int, second_ticks: int) -> None:
        self._step = step_ticks
        self._second = second_ticks
        self._was_key = True
        self.offset = 0
        """Ticks to add to the current time stamps."""
        self.offsets: list[int] = []
        """One entry for each place where they started again: the offset from there on."""

    def joined(self, stamp: int, newest: int | None, *, is_key: bool) -> int:
        """A stamp as continued, in ticks; newest: the latest continued stamp so far."""
        begins = is_key and not self._was_key
        self._was_key = is_key
        joined = stamp + self.offset
        if newest is not None and (joined < newest - self._second or (begins and joined <= newest)):
            self.offset += newest + self._step - joined
            self.offsets.append(self.offset)
            joined = newest + self._step
        return joined


class PtsClock:
    """Times frames by the packets' pts; a frame without one follows its predecessor by one step.

    The first `unstamped` frames are counted from `first_pts`: they may have no pts, or, where
    Matroska's reader makes them up for times below zero, wrong ones.
    """

    def __init__(
        self, step: Fraction, second_ticks: int, first_pts: int | None, unstamped: int
    ) -> None:
        self._step = step
        self._splices = TimestampJoiner(round(step), second_ticks)
        self._first = 0 if first_pts is None else first_pts
        self._unstamped = unstamped
        self._pending: Counter[int] = Counter()  # where files are joined, times come twice
        self._last: int | None = None
        self._distance = round(step)
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faults = 0  # of pts that are not later than the one before, less those of dts
        self.lead = 0
        """Number of frames before the first one with a time stamp."""
        self.first_stamp: int | None = None
        """The first time stamp of a frame."""

    def sent(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None:
            self._pending[packet.pts] += 1
        if len(self._pending) > _PENDING_MAX:  # of frames that were discarded or broken
            for pts in sorted(self._pending)[: _PENDING_MAX // 2]:
                del self._pending[pts]

    def pts_of(self, frame: VideoFrame) -> int:
        stamp = self._stamp_of(frame)
        if stamp is not None and self.lead >= self._unstamped:
            newest = None if self.first_stamp is None else self._last
            pts = self._splices.joined(stamp, newest, is_key=bool(frame.key_frame))
            if self.first_stamp is None:
                self.first_stamp = pts
        elif self.first_stamp is None:
            pts = self._first + round(self.lead * self._step)
            self.lead += 1
        else:
            assert self._last is not None
            pts = self._last + self._distance
        if self._last is not None and pts <= self._last and self._faults > 0:
            pts = self._last + 1  # out of order, but not to be lost
        elif self._last is not None and pts > self._last:
            # The claimed rate is a mean: one frame shown for long makes it too low for the others.
            self._distance = min(self._distance, pts - self._last)
        self._last = pts
        return pts

    def _stamp_of(self, frame: VideoFrame) -> int | None:
        """The frame's pts; or its dts, once pts have gone backwards more often than dts.

        FFmpeg chooses in the same way, because some writers store one as the other.
        """
        # PyAV fills a missing pts with the frame's number: only pts that were sent count.
        pts = frame.pts if frame.pts in self._pending else None
        if pts is not None:
            self._pending -= Counter((pts,))
            self._faults += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        dts = frame.dts
        if dts is not None:
            self._faults -= self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        return dts if self._faults > 0 else pts

    def begins_at(self) -> int | None:
        """The first frame's pts if the frames without time stamps end where time stamps begin; None
        where there are none at all."""
        if self.first_stamp is None:
            return None
        return self.first_stamp - round(self.lead * self._step)


class OrderClock:
    """Times frames by their order: the k-th frame gets the k-th smallest dts of the packets."""

    def __init__(self, step: Fraction) -> None:
        self._step = step
        self._heap: list[Fraction] = []
        self._next_dts = Fraction(0)
        self._last = -step

    def sent(self, packet: Packet[Stream]) -> None:
        dts = self._next_dts if packet.dts is None else Fraction(packet.dts)
        self._next_dts = dts + self._step
        heapq.heappush(self._heap, dts)

    def pts_of(self, frame: VideoFrame) -> int:  # noqa: ARG002 (the order alone counts)
        self._last = heapq.heappop(self._heap) if self._heap else self._last + self._step
        return round(self._last)


class DecodingClock:
    """Times each frame by the packet that was decoded when it came out, as FFmpeg does.

    Frames that come out after the last packet follow at the last distance.
    """

    def __init__(self, step: Fraction) -> None:
        self._step = round(step)
        self._last: int | None = None

    def sent(self, packet: Packet[Stream]) -> None:
        """Nothing to note: a frame carries the dts of its packet."""

    def pts_of(self, frame: VideoFrame) -> int:
        if self._last is None:
            self._last = frame.dts or 0
        elif frame.dts is not None and frame.dts > self._last:
            self._last, self._step = frame.dts, frame.dts - self._last
        else:
            self._last += self._step
        return self._last


def step_of(stream: VideoStream) -> Fraction:
    """One frame at the claimed rate (UNKNOWN_RATE where none is), in ticks, at least 1."""
    return max(Fraction(1), 1 / ((header_rate(stream) or UNKNOWN_RATE) * time_base_of(stream)))


def clock_for(
    container: InputContainer,
    stream: VideoStream,
    first_pts: int | None = None,
    unstamped: int = 0,
) -> Clock:
    """The clock that fits this stream.

    first_pts, unstamped: the first frame's pts, and how many frames are counted from it, where that
    is known and reading begins with that frame.
    """
    if times_by_decoding(container, stream):
        return DecodingClock(step_of(stream))
    if reads_in_order(container, stream):
        return OrderClock(step_of(stream))
    return PtsClock(step_of(stream), round(1 / time_base_of(stream)), first_pts, unstamped)


def timed_frames(
    container: InputContainer,
    stream: VideoStream,
    log: DecodeLog,
    *,
    clock: Clock | None = None,
    skip_nonref: bool = False,
    max_pixels: int | None = None,
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from where the container stands: (pts in ticks, frame), in presentation order.

    Packets and frames that fail are counted in `log.errors` and skipped.
    clock: of `clock_for`, for callers that read it afterwards; None makes one.
    max_pixels: of one frame, whatever the header says; larger ones fail. None: as shipped.

    Raises MediaUnreadable(too_large): a packet that unpacks into more than it may.
    """
    context = stream.codec_context
    context.thread_type = ThreadType.AUTO
    # Twice, because decoders compare sizes that are rounded up to their blocks.
    options = {"max_pixels": str(2 * (max_pixels or ClipLimits.shipped().pixels))}
    is_png = context.codec.name in codecs.PNG
    if is_png:
        _check_png(context.extradata or b"")
    clock = clock or clock_for(container, stream)
    if skip_nonref and isinstance(clock, PtsClock):  # counting needs every frame
        context.skip_frame = "NONREF"
        # Remaining frames that are predicted from both sides are reference of left-out ones only.
        # Without the loop filter they look a little blocky, but no error adds up.
        options["skip_loop_filter"] = "bidir"
    context.options = options
    for packet in packets(container, (stream,), log):
        clock.sent(packet)
        if is_png:
            _check_png(bytes(packet))
        try:
            decoded = cast("list[VideoFrame]", packet.decode())
        except av.error.EOFError:
            break
        except (av.error.FFmpegError, ValueError):
            log.errors += 1
            continue
        for frame in decoded:
            yield clock.pts_of(frame), frame
    for frame in _flushed(stream, log):
        yield clock.pts_of(frame), frame


def _check_png(content: bytes) -> None:
    if not codecs.within_png(content):
        raise MediaUnreadable(
            "too_large",
            "expected pictures, found text in them that unpacks into megabytes; write the clip "
            "again without metadata",
        )


def _flushed(stream: VideoStream, log: DecodeLog) -> Iterator[VideoFrame]:
    """The frames still in the decoder. With frame threads an error may come before more frames."""
    for _ in range(_FLUSH_ERRORS_MAX):
        try:
            decoded = stream.codec_context.decode(None)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, ValueError):
            log.errors += 1
            continue
        yield from decoded
        return
