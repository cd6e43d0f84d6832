"""Write one span of a clip at a constant rate: which frames, and the filters that choose them.

Times of the source count ticks from its own zero, those of a plan s from its first displayed frame,
and those of the written file s from the beginning of the span.
"""

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

# Rounding times to milliseconds may shorten a clip of whole frames by this much.
_ROUNDING_FRAMES = Fraction(1, 20)
# Where the index is reliable, decoding begins this long before the span: the keyframe before that
# is early enough.
_SEEK_LEAD_S = Fraction(10)
_SEEKABLE = ("mp4", "mov", "matroska")
# AVI stores times of decoding only, which older versions of FFmpeg take for those of display.
_COUNTED = ("avi",)
# The last frame of a damaged clip may be repeated for this long; if more is missing, writing fails.
_STILL_MAX_S = Fraction(1, 2)
# Sound: the rate of every file, how much it may be stretched to follow its time stamps, and the
# difference from which on it is cut or filled with silence instead.
_AUDIO_RATE = 48000
_STRETCH_MAX_SAMPLES_PER_S = 1000
_OFF_MAX_S = "0.02"
# Frames of sound may overlap through rounding by less than this share of a frame.
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
    """The frames to write of `span` at `fps`: as many as fit, from the one displayed at its start.

    Where that first frame is displayed for less than one written frame, the range begins earlier by
    what is lacking, but not before that frame's own time: it is seen, and displaces no later one.
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

    A little is allowed for rounding, but never beyond a whole second, because seconds are billed.

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
    """Filters that give exactly `cut.frames` frames at `cut.fps`, chosen by their time stamps.

    Times count from `cut.begin`. Output frame k is the last one whose time, rounded to output
    frames, is not after k. The first is the one displayed at the beginning, even if another one
    follows within half a frame.
    """
    ticks_per_s = 1 / info.time_base
    begin = round(cut.begin * ticks_per_s)
    stamped = f"PTS-({info.first_pts + begin})"
    # The same rate as in `media.libav` for frames without a time stamp.
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
    """Whether every frame is displayed for the same time."""
    return not info.is_vfr and info.duration * info.fps == info.frame_count


def has_sound(cut: FrameRange, info: VideoInfo) -> bool:
    """Whether any sound lies in the frames that are written."""
    if info.audio_codec is None or info.audio_start is None or info.audio_duration is None:
        return False
    end = info.audio_start + info.audio_duration
    return info.audio_start < cut.begin + cut.length and end > cut.begin


def sound_fits(cut: FrameRange, info: VideoInfo) -> bool:
    """Whether the packets of the sound can be copied; asked only where `has_sound`.

    Copied sound can be neither moved nor cut: it must be AAC on the same clock, start at or after
    the first frame, and end within the written frames.
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
    """Filters for the sound of the same span, on the same clock.

    mixes_down: the channels can be mixed to stereo. If not, the first one is used: of a sound field
    (ambisonics) that is the sound from all directions.
    """
    first_s = info.first_pts * info.time_base + cut.begin
    now = f"PTS-({_ratio(first_s)})/TB"
    if info.unstamped_audio:
        assert info.audio_start is not None
        # Until its first time stamp, sound is timed by counting samples.
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
    """Continue time stamps without a gap where they start again, as `media.libav.Splices` does.

    Variable 0 of the expression holds the current offset.
    """
    if not info.splices:
        return ()
    step = step_ticks(info.fps_from_header, info.time_base)
    more = f"if(gt(N,0),if(lte(PTS,PREV_INPTS),PREV_INPTS+{step}-PTS,0),0)"
    return (Filter("setpts", {"expr": f"PTS+st(0,ld(0)+{more})"}),)


def _joined_sound(info: VideoInfo) -> tuple[Filter, ...]:
    """The same for sound, with the offsets of the pictures.

    Time stamps start again where a frame begins clearly before the end of its predecessor; variable
    0 of the expression counts these places.
    """
    if not info.splices:
        return ()
    again = f"lt(PTS+NB_SAMPLES*{_OVERLAP_MIN}/(SR*TB),PREV_INPTS+NB_SAMPLES/(SR*TB))"
    steps = (later - before for before, later in pairwise((Fraction(0), *info.splices)))
    added = "".join(f"+gte(ld(0),{k})*({_ratio(s)})/TB" for k, s in enumerate(steps, start=1))
    return (Filter("asetpts", {"expr": f"PTS+0*st(0,ld(0)+if(gt(N,0),{again},0)){added}"}),)


def paced(timed: Iterable[tuple[Fraction, T]], cut: FrameRange) -> Iterator[T]:
    """The pictures of `cut`, chosen as `video_steps` chooses them.

    timed: (time in s, picture), beginning with the picture displayed at `cut.begin`. The last one
    is repeated to the end.
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
