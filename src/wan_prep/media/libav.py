"""FFmpeg's libraries through PyAV: open a file safely, read its packets, time its frames.

Shared by `probe` and `frames`, so that both see the same stream and the same times.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import av.error
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# Self-contained media only. Playlists and scripts (hls, concat, dash, sdp, …), which open other
# files or sockets, picture sequences (image2 reads % in a name as a pattern) and demuxers that
# accept any text (tty) are left out. PyAV itself keeps libav's log lines off stderr.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,gif,apng,"
    "mxf,nut,ivf,rm,dv,wtv,gxf,h264,hevc,vvc,m4v,av1,obu,vc1,yuv4mpegpipe,"
    "mp3,wav,w64,flac,aac,ac3,eac3,dts,aiff,amr,caf,au,ape,tta,wv"
)
_ELEMENTARY = frozenset({"h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1", "av1", "obu"})
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


def open_container(path: Path) -> InputContainer:
    """Open one self-contained media file; raises av.error.FFmpegError and what PyAV adds."""
    return av.open(
        f"file:{path}",
        mode="r",
        container_options={"protocol_whitelist": "file", "format_whitelist": _DEMUXERS},
        metadata_errors="replace",
    )


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is a moving picture, not cover art or a thumbnail."""
    art = Disposition.attached_pic | Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & art:
            return stream
    return None


def audio_stream(container: InputContainer) -> Stream | None:
    """The first audio stream, if any."""
    return container.streams.audio[0] if container.streams.audio else None


def time_base_of(stream: Stream) -> Fraction:
    """Seconds per tick; a stream that does not say gets libav's own microseconds."""
    return stream.time_base or Fraction(1, 1_000_000)


def header_rate(stream: VideoStream) -> Fraction | None:
    """The frame rate the header claims, in 1/s."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate:
            return Fraction(rate)
    return None


def reads_in_order(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the pts of this stream cannot be trusted and frames are timed by their order.

    Elementary streams have no time stamps. AVI stores none but the place in the file (dts):
    with B-frames, pts are a guess of libavformat that does not follow the display order, but
    the k-th frame shown has the k-th smallest dts.
    """
    name = container.format.name
    return name in _ELEMENTARY or (name == "avi" and bool(stream.codec_context.has_b_frames))


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


class PtsClock:
    """Trusts the packets' pts; a frame without one follows its predecessor by one step."""

    def __init__(self, step_ticks: int, second_ticks: int) -> None:
        self._step = step_ticks
        self._second = second_ticks
        self._pending: set[int] = set()
        self._last: int | None = None
        self._offset = 0

    def sent(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None:
            self._pending.add(packet.pts)
        if len(self._pending) > _PENDING_MAX:  # frames that never came: discarded or broken
            self._pending = set(sorted(self._pending)[_PENDING_MAX // 2 :])

    def pts_of(self, frame: VideoFrame) -> int:
        # PyAV puts the frame's number where a frame has no pts: only what was sent is believed.
        if frame.pts is not None and frame.pts in self._pending:
            self._pending.discard(frame.pts)
            pts = frame.pts + self._offset
            if self._last is not None and pts < self._last - self._second:
                # Time stamps start again (spliced transport streams): go on without a gap.
                self._offset += self._last + self._step - pts
                pts = self._last + self._step
        else:
            pts = 0 if self._last is None else self._last + self._step
        self._last = pts
        return pts


class OrderClock:
    """Trusts the order: the k-th frame shown gets the k-th smallest dts of the packets."""

    def __init__(self, step_ticks: int) -> None:
        self._step = step_ticks
        self._heap: list[int] = []
        self._next_dts = 0
        self._last: int | None = None

    def sent(self, packet: Packet[Stream]) -> None:
        dts = self._next_dts if packet.dts is None else packet.dts
        self._next_dts = dts + self._step
        heapq.heappush(self._heap, dts)

    def pts_of(self, frame: VideoFrame) -> int:  # noqa: ARG002 (the order alone counts)
        if self._heap:
            self._last = heapq.heappop(self._heap)
        else:
            self._last = 0 if self._last is None else self._last + self._step
        return self._last


def step_ticks(stream: VideoStream) -> int:
    """One frame at the claimed rate (25/s where nothing is claimed), in ticks, at least 1."""
    return max(1, round(1 / ((header_rate(stream) or Fraction(25)) * time_base_of(stream))))


def clock_for(container: InputContainer, stream: VideoStream) -> Clock:
    """The clock that fits this stream."""
    if reads_in_order(container, stream):
        return OrderClock(step_ticks(stream))
    return PtsClock(step_ticks(stream), round(1 / time_base_of(stream)))


def timed_frames(
    container: InputContainer, stream: VideoStream, log: DecodeLog, *, skip_nonref: bool = False
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from where the container stands: (pts in ticks, frame), in presentation order.

    Packets and frames that fail are counted in `log.errors` and skipped.
    """
    context = stream.codec_context
    context.thread_type = ThreadType.AUTO
    clock = clock_for(container, stream)
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
