"""A clip as the choice of its spans sees it: its shots, and where in them the person is.

A *run* is a stretch of one shot in which the person stays in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence, Observation
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.starts import Start
from wan_prep.profile import Profile, Resolution


@dataclass(frozen=True)
class Part:
    """[start, end) in s of the clip."""

    start: Fraction
    end: Fraction

    @property
    def length(self) -> Fraction:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{float(self.start):.2f}-{float(self.end):.2f} s"


@dataclass(frozen=True)
class Clip:
    """What the choice is made from.

    whole: the part that counts. fps: the rate that will be written. first_score: with the
    first frame as it is. starts: scores every start,
    having looked closer around those given; asked only where the start is in question.
    start_fails: codes of the checks of the first frame that say more than a note.
    """

    video: Evidence
    whole: Part
    fps: Fraction
    resolution: Resolution
    profile: Profile
    first_score: Callable[[], float]
    starts: Callable[[Sequence[Start]], Sequence[Start]]
    start_fails: tuple[str, ...] = ()


def whole_part(video: Evidence, options: PlanOptions) -> Part:
    """The part that was checked, narrowed by what was asked; ends where decoding did.

    Raises:
        WanPrepError: nothing of the clip is left.
    """
    info = video.video_info
    if info is None:
        raise ValueError(f"{video.path}: evidence of a readable video is needed")
    end = info.duration if video.end is None else min(video.end, info.duration)
    damaged = info.is_truncated or video.decode_errors
    if damaged and video.decoded_until is not None:
        end = min(end, video.decoded_until + 1 / info.fps)
    part = Part(
        max(video.start, options.start or Fraction(0)),
        end if options.end is None else min(end, options.end),
    )
    if part.length <= 0:
        raise WanPrepError(
            f"{video.path}: the part {part} is empty; what was checked lasts from "
            f"{float(video.start):.2f} to {float(end):.2f} s"
        )
    return part


def shortened(part: Part, limit: Fraction, fps: Fraction) -> Part:
    """Cut to the limit, in whole frames so that the last one does not reach over it."""
    if part.length <= limit:
        return part
    return replace(part, end=part.start + max(1, math.floor(limit * fps)) / fps)


def runs(clip: Clip) -> list[Part]:
    """The stretches of one shot with the person in the picture, in order of time.

    A run begins with its shot, or with the first sample that shows the person; it ends with its
    shot, or with the frame of the last such sample. Short absences belong to it; of stretches at
    its ends in which nothing moves only the frame next to the motion does.
    """
    gap = Fraction(str(clip.profile.limit("absence_in_run_max")))
    edges = [clip.whole.start, *(c for c in clip.video.cuts if within(c, clip.whole))]
    shots = [Part(a, b) for a, b in pairwise([*edges, clip.whole.end])]
    return [_moving(run, clip) for shot in shots for run in _runs_of(shot, clip, gap)]


def _moving(run: Part, clip: Clip) -> Part:
    """A run without the stillness at its ends; as it is where nothing would be left."""
    frame = 1 / clip.fps
    start, end = run.start, run.end
    for begin, until in clip.video.still:
        if begin <= start < until:
            start = max(start, until - frame)
        elif begin < end <= until:
            end = begin + frame
    least = Fraction(str(clip.profile.limit("motion_min")))
    return Part(start, end) if end - start >= least else run


def within(time: Fraction, part: Part) -> bool:
    return part.start < time < part.end


def _runs_of(shot: Part, clip: Clip, gap: Fraction) -> Iterator[Part]:
    samples = [o for o in clip.video.observations if shot.start <= o.time < shot.end]
    begins = last = None
    for k, sample in enumerate(samples):
        if sample.subject is None:
            continue
        if begins is None:
            begins = shot.start if k == 0 else sample.time
        elif last is not None and _absent(samples[:k], last) and sample.time - last > gap:
            yield Part(begins, last + 1 / clip.fps)
            begins = sample.time
        last = sample.time
    if begins is None or last is None:
        return
    yield Part(begins, min(shot.end, last + 1 / clip.fps) if _absent(samples, last) else shot.end)


def _absent(samples: Sequence[Observation], after: Fraction) -> bool:
    """Whether a sample after this time shows nobody."""
    return any(o.subject is None and o.time > after for o in samples)
