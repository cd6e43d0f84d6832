"""A span of a clip on three clocks: the source's, the plan's, and that of the file written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeVar

from wan_prep.media.frames import decode
from wan_prep.media.timing import UNKNOWN_RATE, step_ticks
from wan_prep.media.types import VideoInfo
from wan_prep.normalizers.filters import Filter, Step
from wan_prep.planning.model import Span

# A container that rounds times to milliseconds may take this much from a clip of whole frames.
_ROUNDING_FRAMES = Fraction(1, 20)
# Where the index is reliable, decoding begins this long before the span instead of at the start
# of the file; the keyframe before that moment is never too late.
_SEEK_LEAD_S = Fraction(10)
_SEEKABLE = ("mp4", "mov", "matroska")
# AVI has only time stamps of storage, which older releases of FFmpeg take for those of display.
_COUNTED = ("avi",)
# The end of a damaged clip may stand still for so long; beyond that it is a failure to report.
_STILL_MAX_S = Fraction(1, 2)
# Sound: one rate for every file, and how far it may be off its time stamps before it is cut or
# filled with silence instead of stretched unnoticeably.
_AUDIO_RATE = 48000
_STRETCH_MAX_SAMPLES_PER_S = 1000
_OFF_MAX_S = "0.02"
# Share of a frame of sound by which two may overlap through rounding.
_OVERLAP_MIN = 0.25


T = TypeVar("T")


@dataclass(frozen=True)
class FrameRange:
    """What is written of one span."""

    begin: Fraction
    """The moment of the source that the file begins with, s from its first displayed frame."""
    frames: int
    fps: Fraction

    @property
    def length(self) -> Fraction:
        """Duration of the file written, in s."""
        return self.frames / self.fps


def cut(path: Path, info: VideoInfo, span: Span, fps: Fraction) -> FrameRange:
    """Begin `span` where it starts, and count what fits before its end.

    The frame displayed at the start is written first, and only for as long as it is still
    displayed. Where that is less than one frame written, the cut begins that much earlier, though
    not before that frame: so it is seen, and displaces none of those that follow.
    """
    begin = span.start
    if begin > 0:
        with closing(decode(path, info, start=begin)) as frames:
            times = [frame.time for frame in islice(frames, 2)]
        if len(times) > 1:
            begin = min(begin, times[1] - 1 / fps)
        begin = max([begin, *times[:1]])
    return FrameRange(begin, frame_count(span.end - span.start, fps), fps)


def frame_count(length: Fraction, fps: Fraction) -> int:
    """Frames of 1 / `fps` s that end within `length` s, at least one.

    What rounding took away is given back, but never beyond a whole second: seconds are billed.

    >>> frame_count(Fraction("3.333"), Fraction(30)), frame_count(Fraction(120), Fraction(30))
    (100, 3600)
    """
    whole_seconds = math.floor(math.ceil(length) * fps)
    return max(1, min(math.floor(length * fps + _ROUNDING_FRAMES), whole_seconds))


def seek_s(cut: FrameRange, info: VideoInfo) -> Fraction | None:
    """Where reading may begin, in s from the start of the file; None: at its beginning."""
    is_stamped = info.has_time_stamps and not (info.unstamped_frames or info.unstamped_audio)
    is_seekable = info.container in _SEEKABLE and is_stamped and not info.splices
    if not is_seekable or cut.begin <= 2 * _SEEK_LEAD_S:
        return None
    return cut.begin - _SEEK_LEAD_S


def video_steps(cut: FrameRange, info: VideoInfo) -> tuple[Step, ...]:
    """Exactly `cut.frames` frames at `cut.fps`, chosen by their time stamps.

    Times count from `cut.begin`. Frame k is the last whose time, rounded to frames of the output,
    is not after k; the first is the one displayed at the beginning, even if another
    follows within half a frame.
    """
    ticks_per_s = 1 / info.time_base
    begin = round(cut.begin * ticks_per_s)
    stamped = f"PTS-({info.first_pts + begin})"
    # As `media.libav` steps over frames without a time stamp.
    rate = (info.fps_from_header or UNKNOWN_RATE) if info.unstamped_frames else info.fps
    counted = f"N*{_ratio(ticks_per_s / rate)}-({begin})"
    if not info.has_time_stamps or (info.container in _COUNTED and _is_even(info)):
        now = counted
    elif info.unstamped_frames:
        now = f"if(lt(N,{info.unstamped_frames}),{counted},{stamped})"
    else:
        now = stamped
    soonest = math.ceil(ticks_per_s / cut.fps / 2)
    return (
        Filter("settb", {"expr": _ratio(info.time_base)}),
        *_joined_pictures(info),
        Filter("setpts", {"expr": f"if(gt({now},0),max({now},{soonest}),{now})"}),
        Filter("fps", {"fps": _ratio(cut.fps), "start_time": 0, "round": "near"}),
        Filter("tpad", {"stop": math.ceil(_STILL_MAX_S * cut.fps), "stop_mode": "clone"}),
        Filter("trim", {"end_frame": cut.frames}),
    )


def _is_even(info: VideoInfo) -> bool:
    """Whether every frame takes exactly its turn."""
    return not info.is_vfr and info.duration * info.fps == info.frame_count


def has_sound(cut: FrameRange, info: VideoInfo) -> bool:
    """Whether anything of the sound falls into what is written."""
    if info.audio_codec is None or info.audio_start is None or info.audio_duration is None:
        return False
    end = info.audio_start + info.audio_duration
    return info.audio_start < cut.begin + cut.length and end > cut.begin


def sound_fits(cut: FrameRange, info: VideoInfo) -> bool:
    """Whether the packets of the sound can be taken over as they are: AAC on the same clock.

    Copied sound can be neither moved nor cut, so it must start with the first frame or after it
    and end within what is written. Only where `has_sound`.
    """
    assert info.audio_start is not None
    assert info.audio_duration is not None
    return (
        info.container in ("mp4", "mov")
        and info.audio_codec == "aac"
        and info.has_time_stamps
        and info.first_pts == 0
        and cut.begin == 0
        and info.audio_start >= 0
        and info.audio_start + info.audio_duration <= cut.length
    )


def audio_steps(cut: FrameRange, info: VideoInfo, *, mixes_down: bool = True) -> tuple[Filter, ...]:
    """The sound of the same span, on the same clock.

    mixes_down: otherwise no place is known of its channels, or they are those of a sound field;
    the first one, which of a field is what comes from everywhere, is then taken.
    """
    first_s = info.first_pts * info.time_base + cut.begin
    now = f"PTS-({_ratio(first_s)})/TB"
    if info.unstamped_audio:
        assert info.audio_start is not None
        # Sound without time stamps is counted in samples, up to a tick before the first of them.
        counted = f"NB_CONSUMED_SAMPLES/SR/TB+({_ratio(info.audio_start - cut.begin)})/TB"
        until = f"({_ratio(info.unstamped_audio - info.time_base)})*SR"
        now = f"if(lt(NB_CONSUMED_SAMPLES,{until}),{counted},{now})"
    return (
        *_joined_sound(info),
        Filter("asetpts", {"expr": now}),
        Filter("atrim", {"start": 0}),
        *(() if mixes_down else (Filter("pan", {"args": "mono|c0=c0"}),)),
        Filter(
            "aresample",
            {
                "sample_rate": _AUDIO_RATE,
                "async": _STRETCH_MAX_SAMPLES_PER_S,
                "min_hard_comp": _OFF_MAX_S,
                "first_pts": 0,
            },
        ),
        Filter("aformat", {"channel_layouts": "mono|stereo"}),
        Filter("atrim", {"end_sample": math.floor(cut.length * _AUDIO_RATE)}),
    )


def _joined_pictures(info: VideoInfo) -> tuple[Filter, ...]:
    """Times that go on without a gap where stamps start again, as `media.libav.Splices` joins them.

    Variable 0 holds what is added by now.
    """
    if not info.splices:
        return ()
    step = step_ticks(info.fps_from_header, info.time_base)
    more = f"if(gt(N,0),if(lte(PTS,PREV_INPTS),PREV_INPTS+{step}-PTS,0),0)"
    return (Filter("setpts", {"expr": f"PTS+st(0,ld(0)+{more})"}),)


def _joined_sound(info: VideoInfo) -> tuple[Filter, ...]:
    """The same for sound, which is moved by as much as the pictures are.

    Stamps start again where a frame begins clearly before the one before it ends; variable 0
    counts how often they have.
    """
    if not info.splices:
        return ()
    again = f"lt(PTS+NB_SAMPLES*{_OVERLAP_MIN}/(SR*TB),PREV_INPTS+NB_SAMPLES/(SR*TB))"
    steps = (later - before for before, later in pairwise((Fraction(0), *info.splices)))
    added = "".join(f"+gte(ld(0),{k})*({_ratio(s)})/TB" for k, s in enumerate(steps, start=1))
    return (Filter("asetpts", {"expr": f"PTS+0*st(0,ld(0)+if(gt(N,0),{again},0)){added}"}),)


def paced(timed: Iterable[tuple[Fraction, T]], cut: FrameRange) -> Iterator[T]:
    """What `video_steps` does, for pictures that are at hand: `cut.frames` of (time, picture).

    `timed` begins with the picture displayed at `cut.begin`; its last one stands to the end.
    """
    written = 0
    shown: T | None = None
    for time, item in timed:
        tick = math.floor((time - cut.begin) * cut.fps + Fraction(1, 2))
        due = max(tick, 1) if shown is not None else 0
        while shown is not None and written < min(due, cut.frames):
            yield shown
            written += 1
        shown = item
        if written == cut.frames:
            return
    while shown is not None and written < cut.frames:
        yield shown
        written += 1


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"
