"""Facts of a video file: what its header claims, and what its packets and first frames show."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from os import PathLike
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wan_prep.errors import MediaUnreadable
from wan_prep.media import libav, webp
from wan_prep.media.apertures import hidden_ltrb, shown_size
from wan_prep.media.colors import is_hdr, transfer_of
from wan_prep.media.display import has_alpha_layer, is_transparent, orientation_of
from wan_prep.media.files import head_of, open_check, sha256_of
from wan_prep.media.index import check_index
from wan_prep.media.libav import DecodeLog, OrderClock, PtsClock, time_base_of
from wan_prep.media.limits import ClipLimits
from wan_prep.media.matroska import times_below_zero
from wan_prep.media.picture import sane_aspect_ratio, square_pixel_size
from wan_prep.media.refusals import raise_not_media, raise_still, raise_unopened
from wan_prep.media.sniff import sniff
from wan_prep.media.sound import find_sound
from wan_prep.media.timing import Timing, measured_timing
from wan_prep.media.types import VideoInfo

# Containers whose header states a duration; for others libav estimates it.
_WITH_DURATION = ("mov", "matroska", "avi", "flv", "asf", "mxf", "nut")
_ANIMATIONS = ("gif", "apng")  # every frame is a whole canvas, however few bytes it has
_FRAMES_LOOKED_AT = 5  # the very first ones may be progressive
_TRUNCATED_FRAMES = 3  # a difference at the end that muxers may cause …
_TRUNCATED_SHARE = Fraction(1, 100)  # … and the share of a clip that is clearly more than that


@dataclass(frozen=True)
class _Look:
    """What the first decoded frames show."""

    first_pts: int
    frame: VideoFrame
    is_interlaced: bool
    has_alpha: bool
    unstamped: int
    """Frames before the first one with a time stamp."""
    has_stamps: bool
    below_zero: Mapping[int, int]
    """See `matroska.times_below_zero`."""


@dataclass(frozen=True)
class _Content:
    """What a pass over all packets found; times in ticks of the stream's time base."""

    pts: Sequence[int]
    last_duration: int | None
    """Ticks that the container gives the last frame."""
    end_s: Fraction
    """End of the last packet of any stream on the container's own clock, in s."""
    audio_start_s: Fraction | None
    audio_end_s: Fraction | None
    splices: tuple[Fraction, ...]
    """See `VideoInfo.splices`."""
    lead: int
    """Ticks from the first packet to the first frame that is shown."""
    is_cut: bool
    """The last packet is marked as corrupt: shorter than the container says."""


def probe_video(path: str | PathLike[str], *, limits: ClipLimits | None = None) -> VideoInfo:
    """The facts of a video file: header, all packets, a few decoded frames.

    Takes 8 bytes of memory per frame. A stream that decodes in parts only is described, too.
    limits: what is accepted; None means the shipped ones.
    Raises InputPathError, and MediaUnreadable: empty, not_media, wrong_kind (a still),
    no_video_stream, no_frames, truncated, corrupt, unsupported, too_large (over a limit).
    """
    checked = open_check(path)
    head = head_of(checked)
    limits = limits or ClipLimits.shipped()
    if not head:
        raise MediaUnreadable("empty", "expected a video, found an empty file; export it again")
    if webp.is_animated(head):
        return webp.probe(checked, limits)
    known = sniff(head)
    if known is not None and known[0] == "heif":
        raise_still(known[1])
    try:
        check_index(checked, head, limits)
        look = _look(checked, limits)
        return _described(checked, look, limits)
    except MediaUnreadable:
        raise
    except (av.error.FFmpegError, MemoryError, UnicodeError) as exc:
        raise_unopened(checked, exc)


def _look(path: Path, limits: ClipLimits) -> _Look:
    """Decode the first frames."""
    log = DecodeLog()
    with libav.open_container(path) as container:
        stream = _the_video_stream(path, container)
        if len(container.streams) > limits.streams:
            raise MediaUnreadable(
                "too_large",
                f"expected at most {limits.streams} streams, found {len(container.streams)}; keep "
                "the pictures and one sound",
            )
        limits.check_size(stream.codec_context.width, stream.codec_context.height)
        below = times_below_zero(path, stream.index)
        begins = min(below.values(), default=None)
        clock = libav.clock_for(container, stream, begins, len(below))
        coming = libav.timed_frames(container, stream, log, clock=clock, max_pixels=limits.pixels)
        frames = list(islice(coming, _FRAMES_LOOKED_AT))
        name = container.format.name
        has_layer = has_alpha_layer(stream)
        first_pts, unstamped, has_stamps = frames[0][0] if frames else 0, 0, True
        if isinstance(clock, OrderClock):
            has_stamps = False
        elif below:
            unstamped = len(below)
        elif isinstance(clock, PtsClock) and clock.lead:
            while clock.first_stamp is None and next(coming, None) is not None:
                pass  # counted by the clock
            begins_at = clock.begins_at()
            has_stamps = begins_at is not None
            if begins_at is not None:
                first_pts, unstamped = begins_at, clock.lead
    if not frames:
        if sniff(head_of(path)) is None and name in libav.WEAK_DEMUXERS:
            raise_not_media(None)
        raise MediaUnreadable(
            "no_frames",
            f"expected a video, found a {name.split(',')[0]} file of which no frame decodes "
            f"({log.errors} errors); export it again",
        )
    if name in _ANIMATIONS and len(frames) == 1:
        raise_still(name.upper())
    return _Look(
        first_pts,
        frames[0][1],
        is_interlaced=any(frame.interlaced_frame for _, frame in frames),
        has_alpha=has_layer or any(is_transparent(frame) for _, frame in frames),
        unstamped=unstamped,
        has_stamps=has_stamps,
        below_zero=below,
    )


def _described(path: Path, look: _Look, limits: ClipLimits) -> VideoInfo:
    """The facts from header, packets and first frames."""
    frame = look.frame
    sound = find_sound(path)
    with libav.open_container(path) as container:
        stream = _the_video_stream(path, container)
        audio = None if sound.index is None else container.streams[sound.index]
        time_base = time_base_of(stream)
        early = {} if audio is None else times_below_zero(path, audio.index)
        content = _content(container, stream, audio, look, early, limits)
        if not content.pts:
            content = _content_from_decode(path, content, look.first_pts, limits)
        if container.format.name in _ANIMATIONS:
            limits.check_animation(len(content.pts), frame.width, frame.height)
        rate = libav.header_rate(stream)
        timing = measured_timing(content.pts, content.last_duration, time_base, rate)
        if len(content.pts) > 1:
            limits.check_times(timing.duration, timing.fps)
        first_s = look.first_pts * time_base
        ratio = sane_aspect_ratio(
            stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
        )
        orientation = orientation_of(frame)
        hidden = hidden_ltrb(
            path,
            container.format.name.split(",")[0],
            track_id=stream.id,
            video_index=list(container.streams.video).index(stream),
            coded_wh=(frame.width, frame.height),
        )
        size_wh = square_pixel_size(*shown_size(frame.width, frame.height, hidden), ratio)
        limits.check_size(*size_wh)
        width, height = size_wh[::-1] if orientation.rotation_deg in (90, 270) else size_wh
        transfer = transfer_of(frame)
        claimed = _claimed_duration(container, stream)
        return VideoInfo(
            path=str(path),
            sha256=sha256_of(path),
            size_bytes=path.stat().st_size,
            container=_container_name(container),
            codec=libav.codec_name(stream) or "",
            pixel_format=frame.format.name,
            bit_depth=max(component.bits for component in frame.format.components),
            width=width,
            height=height,
            coded_width=frame.width,
            coded_height=frame.height,
            sample_aspect_ratio=ratio,
            rotation_deg=orientation.rotation_deg,
            is_mirrored=orientation.is_mirrored,
            matrix_left_undone=orientation.left_undone,
            hidden_ltrb=hidden,
            has_alpha=look.has_alpha,
            is_full_range=libav.is_full_range(frame),
            is_interlaced=look.is_interlaced,
            color_transfer=transfer,
            is_hdr=is_hdr(transfer),
            duration=timing.duration,
            duration_from_header=claimed,
            fps=timing.fps,
            fps_from_header=rate,
            is_vfr=timing.is_vfr,
            frame_count=len(content.pts),
            frame_count_from_header=stream.frames or None,
            first_pts=look.first_pts,
            time_base=time_base,
            splices=content.splices,
            is_truncated=content.is_cut or _ends_early(container, stream, timing, content),
            has_audio=audio is not None,
            audio_codec=libav.codec_name(audio),
            audio_start=None if content.audio_start_s is None else content.audio_start_s - first_s,
            audio_duration=None
            if content.audio_start_s is None or content.audio_end_s is None
            else content.audio_end_s - content.audio_start_s,
            video_index=stream.index,
            other_videos=len(libav.video_streams(container)) - 1,
            audio_index=sound.index,
            undecodable_audio=sound.undecodable,
            has_time_stamps=look.has_stamps,
            unstamped_frames=look.unstamped,
            unstamped_audio=-min(early.values()) * time_base_of(audio)
            if audio is not None and early
            else Fraction(0),
        )


def _the_video_stream(path: Path, container: InputContainer) -> VideoStream:
    stream = libav.video_stream(container)
    name = container.format.name
    if stream is None:
        if name in libav.WEAK_DEMUXERS and sniff(head_of(path)) is None:
            raise_not_media(None)
        found = "sound only" if container.streams.audio else "no stream that shows anything"
        raise MediaUnreadable(
            "no_video_stream",
            f"expected moving pictures, found {found} ({name.split(',')[0]}); give a video file",
        )
    if libav.codec_name(stream) is None:
        raise MediaUnreadable(
            "unsupported",
            "expected a video that can be decoded, found a codec without a decoder here; "
            "convert it to H.264 in MP4",
        )
    return stream


def _content(
    container: InputContainer,
    stream: VideoStream,
    audio: Stream | None,
    look: _Look,
    early_audio: Mapping[int, int],
    limits: ClipLimits,
) -> _Content:
    """Read all packets of pictures and sound, and decode none.

    early_audio: times of sound below zero, by byte position in the file.
    """
    first_pts = look.first_pts
    in_order = libav.reads_in_order(container, stream)
    step = libav.step_of(stream)
    time_base = time_base_of(stream)
    splices = libav.TimestampJoiner(round(step), round(1 / time_base))
    stamps = array("q")
    unstamped = 0
    newest: int | None = None
    next_dts = Fraction(0)
    end_pts, last_duration, is_cut = first_pts, None, False
    audio_start: int | None = None
    audio_end = min(early_audio.values(), default=0)
    watched = (stream,) if audio is None else (stream, audio)
    for packet in libav.packets(container, watched, DecodeLog()):
        if packet.stream_index != stream.index:
            heard = early_audio.get(packet.pos or -1, packet.pts)
            if heard is not None and not packet.is_discard:
                heard += round(splices.offset * time_base / time_base_of(packet.stream))
                audio_start = heard if audio_start is None else min(audio_start, heard)
                audio_end = max(audio_end, heard + (packet.duration or 0))
            continue
        if packet.pos in look.below_zero:
            continue  # counted
        is_cut = packet.is_corrupt
        dts = packet.dts
        if packet.is_discard:  # before the edit: decoded, never shown
            continue
        if in_order:
            next_dts = next_dts if dts is None else Fraction(dts)
            pts: int | None = round(next_dts)
            next_dts += step
        else:
            pts = packet.pts
        if pts is None:
            unstamped += 1
            limits.check_frames(unstamped)
            continue
        if not in_order:
            pts = splices.joined(pts, newest, is_key=packet.is_keyframe)
            newest = pts if newest is None else max(newest, pts)
        stamps.append(pts)
        limits.check_frames(len(stamps))
        if pts >= end_pts:
            end_pts, last_duration = pts, packet.duration
    shown = _shown(container, stream, np.unique(np.array(stamps, np.int64)), look)
    # Frames before the first time stamp are timed by counting.
    trusted = len(stamps) + look.unstamped > unstamped
    audio_base = time_base_of(audio) if audio is not None else Fraction(0)
    end_s = (end_pts + (last_duration or 0)) * time_base
    return _Content(
        pts=array("q", shown.tobytes()) if trusted else array("q"),
        last_duration=last_duration,
        end_s=max(end_s, audio_end * audio_base) if audio_start is not None else end_s,
        audio_start_s=None if audio_start is None else audio_start * audio_base,
        audio_end_s=None if audio_start is None else audio_end * audio_base,
        splices=tuple(offset * time_base for offset in splices.offsets),
        lead=max(0, first_pts - min(stamps, default=first_pts)),
        is_cut=is_cut,
    )


def _shown(
    container: InputContainer, stream: VideoStream, stamps: npt.NDArray[np.int64], look: _Look
) -> npt.NDArray[np.int64]:
    """Times at which frames are shown, in ticks, from the sorted time stamps of all packets."""
    # Leading frames that refer to nothing are never shown.
    shown = stamps[stamps >= look.first_pts]
    if libav.times_by_decoding(container, stream) and len(shown):
        # Every frame comes out the same number of packets late, some after the last packet.
        late = range(1, len(stamps) - len(shown) + 1)
        distance = int(stamps[-1] - stamps[-2]) if late else 0
        more = [int(shown[-1]) + k * distance for k in late]
    else:
        step = libav.step_of(stream)
        more = [look.first_pts + round(k * step) for k in range(look.unstamped)]
    return np.unique(np.concatenate([shown, np.array(more, np.int64)]))


def _content_from_decode(
    path: Path, content: _Content, first_pts: int, limits: ClipLimits
) -> _Content:
    """The content with the times of all decoded frames, for streams whose packets have none."""
    log = DecodeLog()
    with libav.open_container(path) as container:
        stream = _the_video_stream(path, container)
        timed = libav.timed_frames(container, stream, log, max_pixels=limits.pixels)
        shown = {pts for pts, _ in timed}
    shown.add(first_pts)
    return replace(content, pts=array("q", sorted(shown)), last_duration=None)


def _claimed_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """The duration that the header claims for the pictures, or else for the whole file, in s."""
    if stream.duration:
        return stream.duration * time_base_of(stream)
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + Fraction(tag[3])
    return Fraction(container.duration, av.time_base) if container.duration else None


def _ends_early(
    container: InputContainer, stream: VideoStream, timing: Timing, content: _Content
) -> bool:
    """Whether the content ends clearly before the header says it does."""
    if container.format.name.split(",")[0] not in _WITH_DURATION:
        return False
    if stream.duration:
        claimed = stream.duration * time_base_of(stream)
        found = timing.duration + content.lead * time_base_of(stream)
    elif container.duration:
        claimed = Fraction(container.duration, av.time_base)
        found = content.end_s - Fraction(container.start_time or 0, av.time_base)
    else:
        return False
    return claimed - found > max(_TRUNCATED_FRAMES / timing.fps, claimed * _TRUNCATED_SHARE)


def _container_name(container: InputContainer) -> str:
    """The demuxer's first name; of MP4 and QuickTime, which share one, the brand decides."""
    name = container.format.name.split(",")[0]
    brand = container.metadata.get("major_brand", "qt").strip()
    return "mp4" if name == "mov" and brand != "qt" else name
