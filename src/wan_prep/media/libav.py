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

from wan_prep.media.timing import UNKNOWN_RATE
from wan_prep.media.types import Form

# Self-contained media only. Playlists and scripts (hls, concat, dash, sdp, …), which open other
# files or sockets, picture sequences (image2 reads % in a name as a pattern) and demuxers that
# accept any text (tty) are left out. PyAV itself keeps libav's log lines off stderr.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,gif,apng,"
    "mxf,nut,ivf,rm,dv,wtv,gxf,h264,hevc,vvc,m4v,av1,obu,vc1,yuv4mpegpipe,"
    "mp3,wav,w64,flac,aac,ac3,eac3,dts,aiff,amr,caf,au,ape,tta,wv"
)
_ELEMENTARY = frozenset({"h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1", "av1", "obu"})
# Containers that store when a packet is decoded, and not when its picture is shown.
_STORE_DECODING = frozenset({"avi", "asf"})
# Demuxers that take a few likely bytes for a signature: noise may pass.
WEAK_DEMUXERS = _ELEMENTARY | {"mp3", "aac", "ac3", "eac3", "dts", "amr", "tta", "mpegts", "mpeg"}
_READ_ERRORS_MAX = 32
_FLUSH_ERRORS_MAX = 64
_PENDING_MAX = 4096


@dataclass
class DecodeLog:
    """What happened while decoding; updated as it goes."""

    frames: int = 0
    """Frames handed out."""
    errors: int = 0
    """Isolated failures (a packet, a frame) that were skipped."""
    last_time: Fraction | None = None
    """Time of the last frame handed out, in s."""
    forms: list[Form] = field(default_factory=list)
    """How frames are stored: of the first one decoded, and of each unlike the one before."""

    def note_form(self, frame: VideoFrame, time: Fraction) -> None:
        """Keep how a frame is stored, where that is new; time in s."""
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
    """Open one self-contained media file; raises av.error.FFmpegError and what PyAV adds."""
    return av.open(
        f"file:{path}",
        mode="r",
        container_options={"protocol_whitelist": "file", "format_whitelist": _DEMUXERS},
        metadata_errors="replace",
    )


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures, neither cover art nor thumbnails; first the one to show.

    Chosen as players do: what decodes, then what is flagged as default, then the larger picture,
    then the earlier one.
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
    """What the stream is coded with; None where there is no stream, or no decoder for it."""
    # PyAV's types promise a codec context; a stream without a decoder has none.
    context = getattr(stream, "codec_context", None)
    return None if context is None else str(context.codec.canonical_name)


def time_base_of(stream: Stream) -> Fraction:
    """Seconds per tick; a stream that does not say gets libav's own microseconds."""
    return stream.time_base or Fraction(1, 1_000_000)


def header_rate(stream: VideoStream) -> Fraction | None:
    """The frame rate the header claims, in 1/s.

    That of an elementary stream stands in its own headers, if anywhere; what its demuxer says is
    a default.
    """
    rates: tuple[Fraction | None, ...] = (stream.average_rate, stream.guessed_rate)
    if _is_elementary(stream.container):
        rates = (stream.codec_context.framerate,)
    return next((Fraction(rate) for rate in rates if rate), None)


def _is_elementary(container: Container) -> bool:
    return container.format.name in _ELEMENTARY


def reads_in_order(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the pts of this stream cannot be trusted, and frames are timed in their order.

    Elementary streams have no time stamps; what their demuxers make up is worth as much. Of
    streams with B-frames, AVI and ASF store the times of decoding; pts are a guess of libavformat
    that does not follow the display order.
    """
    return _is_elementary(container) or times_by_decoding(container, stream)


def times_by_decoding(container: InputContainer, stream: VideoStream) -> bool:
    """Whether a frame is shown when the packet is decoded that lets it out."""
    stores_decoding = container.format.name in _STORE_DECODING
    return stores_decoding and bool(stream.codec_context.has_b_frames)


def packets(
    container: InputContainer, streams: tuple[Stream, ...], log: DecodeLog
) -> Iterator[Packet[Stream]]:
    """Every packet in file order. Read errors are counted and read over, until many in a row."""
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


class Splices:
    """Joins time stamps that start again (joined transport streams): they go on without a gap.

    They do where they fall back by more than a second, or where a group of pictures begins no later
    than the one before has come.
    """

    def __init__(self, step_ticks: int, second_ticks: int) -> None:
        self._step = step_ticks
        self._second = second_ticks
        self._was_key = True
        self.offset = 0
        """Ticks to add to the stamps that come now."""
        self.offsets: list[int] = []
        """The same after each place where they started again."""

    def joined(self, stamp: int, newest: int | None, *, is_key: bool) -> int:
        """A stamp on the clock that goes on; newest: of all before it on that clock."""
        begins = is_key and not self._was_key
        self._was_key = is_key
        joined = stamp + self.offset
        if newest is not None and (joined < newest - self._second or (begins and joined <= newest)):
            self.offset += newest + self._step - joined
            self.offsets.append(self.offset)
            joined = newest + self._step
        return joined


class PtsClock:
    """Trusts the packets' pts; a frame without one follows its predecessor by one step.

    A stream may begin with frames that have none, or, as Matroska's reader makes them up for those
    below zero, wrong ones: the first `unstamped` frames are counted from `first_pts`.
    """

    def __init__(
        self, step: Fraction, second_ticks: int, first_pts: int | None, unstamped: int
    ) -> None:
        self._step = step
        self._splices = Splices(round(step), second_ticks)
        self._first = 0 if first_pts is None else first_pts
        self._unstamped = unstamped
        self._pending: Counter[int] = Counter()  # where files are joined, times come twice
        self._last: int | None = None
        self._distance = round(step)
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faults = 0  # of pts that are not later than the one before, less those of dts
        self.lead = 0
        """Frames that came before the first one with a time stamp."""
        self.first_stamp: int | None = None
        """The first time stamp of a frame."""

    def sent(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None:
            self._pending[packet.pts] += 1
        if len(self._pending) > _PENDING_MAX:  # frames that never came: discarded or broken
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
            pts = self._last + 1  # a frame out of its place is no frame less
        elif self._last is not None and pts > self._last:
            # A frame that is held makes the claimed rate, a mean, say little of the others.
            self._distance = min(self._distance, pts - self._last)
        self._last = pts
        return pts

    def _stamp_of(self, frame: VideoFrame) -> int | None:
        """The frame's pts, or its dts once pts have gone back more often, as FFmpeg guesses: some
        writers give frames the times of decoding for those of display."""
        # PyAV puts the frame's number where a frame has no pts: only what was sent is believed.
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
        """The time that the first frame would need, so that the lead ends where time stamps begin;
        None where there are no time stamps at all."""
        if self.first_stamp is None:
            return None
        return self.first_stamp - round(self.lead * self._step)


class OrderClock:
    """Trusts the order: the k-th frame shown gets the k-th smallest dts of the packets."""

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
    """A frame is shown when the packet is decoded that lets it out, as FFmpeg takes it.

    What comes out last, after the end of the packets, follows at the distance last seen.
    """

    def __init__(self, step: Fraction) -> None:
        self._step = round(step)
        self._last: int | None = None

    def sent(self, packet: Packet[Stream]) -> None:
        """A frame knows its packet's dts itself."""

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

    first_pts, unstamped: the first frame's time, and how many frames are counted from it; for
    reading that begins with it, where that is known.
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
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from where the container stands: (pts in ticks, frame), in presentation order.

    Packets and frames that fail are counted in `log.errors` and skipped. `clock` is `clock_for`
    this stream, where more is asked of it than the pts.
    """
    context = stream.codec_context
    context.thread_type = ThreadType.AUTO
    clock = clock or clock_for(container, stream)
    if skip_nonref and isinstance(clock, PtsClock):  # counting needs every frame
        context.skip_frame = "NONREF"
        # Of the frames that are left, those predicted from both sides serve only the ones left
        # out: unfiltered they look a little blocky, and nothing drifts.
        context.options = {"skip_loop_filter": "bidir"}
    for packet in packets(container, (stream,), log):
        clock.sent(packet)
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


def _flushed(stream: VideoStream, log: DecodeLog) -> Iterator[VideoFrame]:
    """The frames still inside the decoder; with frame threads a late error may hide several."""
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
