"""Frames in, samples out: which frames are looked at, how, and how failures are mended.

The pictures live in a window of a few samples, so memory does not grow with the clip.
Decoding runs ahead in a thread of its own; both it and the inference leave the interpreter
lock, so they share the machine's cores.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Protocol

import numpy as np

from wan_prep.geometry import Box
from wan_prep.pose import body as bodies
from wan_prep.pose import look as looking
from wan_prep.pose.body import Body, FaceBox
from wan_prep.pose.estimator import PoseEstimator, Rgb
from wan_prep.pose.look import follow
from wan_prep.pose.plausible import doubts
from wan_prep.pose.search import (
    SMALL_BODY,
    candidate,
    find_bodies,
    first_look,
    look_until,
    merge,
    refine,
    same,
)
from wan_prep.pose.track import Candidate, Sample, choose_subject, jumps

WORK_SIDE_PX = 1280
"""Longest side of the pictures looked at: the endpoint's own 720p class."""
WINDOW = 12
"""Samples whose pictures are held at once; repairs may use any neighbour among them."""


class Frame(Protocol):
    """What is needed of a decoded frame (see `media.frames.DecodedFrame`)."""

    @property
    def time(self) -> Fraction: ...

    def rgb(self, max_side: int | None = None) -> Rgb: ...


@dataclass(frozen=True)
class Seen:
    """The subject of one sampled frame, the others in it, and how often it was looked at."""

    time: Fraction
    scene: int
    subject: Body | None
    others: tuple[Body, ...]
    repaired: bool


@dataclass
class Survey:
    seen: list[Seen] = field(default_factory=list)
    cuts: list[Fraction] = field(default_factory=list)
    last_time: Fraction | None = None
    frames: int = 0


@dataclass
class _Held:
    """A sample while its picture is in memory."""

    sample: Sample
    rgb: Rgb
    repaired: bool = False
    faces: dict[int, FaceBox | None] = field(default_factory=dict)


def survey(
    frames: Iterable[tuple[Frame, bool]],
    estimator: PoseEstimator,
    *,
    interval_s: Fraction,
    looks: int,
    full_look_every: int = 1,
    work_side_px: int = WORK_SIDE_PX,
    on_picture: Callable[[Rgb], None] = lambda _rgb: None,
    on_progress: Callable[[Fraction], None] = lambda _time: None,
) -> Survey:
    """Follow one subject through a clip; each frame comes with whether a shot begins there.

    A frame is looked at before more than `interval_s` has gone by since the last one, at the
    beginning of every shot, and at the end.  `looks` > 1 looks closer at every sample; with
    `full_look_every` > 1 only every so many samples are searched whole, and between them the one
    body is followed, as long as it is alone and plausible.  Pictures are `work_side_px` long;
    the first sample, the model's template, is WORK_SIDE_PX long and refined like a still.
    """
    result = Survey()
    history: list[_Held] = []  # without pictures
    picked = _ahead(_pick(frames, interval_s, work_side_px, result))
    visit = _Visitor(estimator, full_look_every)
    while window := list(islice(picked, WINDOW)):
        held = []
        for sample, rgb in window:
            on_picture(rgb)
            held.append(visit(sample, rgb))
            on_progress(sample.time)
        _mend(history[-1:], held, estimator)
        _finish(history[-1:], held, estimator, looks, is_start=not history)
        history += [_Held(h.sample, _NO_PICTURE, h.repaired, h.faces) for h in held]
    chosen = choose_subject([h.sample for h in history])
    for h, index in zip(history, chosen, strict=True):
        result.seen.append(_seen(h, index))
    return result


_NO_PICTURE: Rgb = np.zeros((0, 0, 3), np.uint8)


def _pick(
    frames: Iterable[tuple[Frame, bool]], interval_s: Fraction, side_px: int, result: Survey
) -> Iterator[tuple[Sample, Rgb]]:
    """Choose the frames to look at while all of them pass by once."""
    last_picked: Fraction | None = None
    waiting: Frame | None = None
    scene = 0
    for frame, cut in frames:
        result.frames += 1
        result.last_time = frame.time
        if cut:
            scene += 1
            result.cuts.append(frame.time)
        due = last_picked is None or frame.time - last_picked > interval_s
        if due and waiting is not None and not cut:
            # The frame before this one is the last that keeps the interval.
            yield Sample(waiting.time, scene), waiting.rgb(side_px)
            last_picked, waiting = waiting.time, None
            due = frame.time - last_picked > interval_s
        if due or cut:
            yield (
                Sample(frame.time, scene),
                frame.rgb(WORK_SIDE_PX if last_picked is None else side_px),
            )
            last_picked, waiting = frame.time, None
        else:
            waiting = frame
    if waiting is not None:
        yield Sample(waiting.time, scene), waiting.rgb(side_px)


def _ahead(items: Iterator[tuple[Sample, Rgb]], depth: int = 4) -> Iterator[tuple[Sample, Rgb]]:
    """Run an iterator in a thread, at most `depth` items ahead; its errors arrive in order."""
    waiting: queue.Queue[tuple[Sample, Rgb] | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def offer(item: tuple[Sample, Rgb] | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
            offer(None)
        except BaseException as exc:  # handed to the consumer, which raises it
            offer(exc)

    thread = threading.Thread(target=run, name="wan-prep-decode", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


class _Visitor:
    """The first look at each sample: a search, or a follow of the one body seen before."""

    def __init__(self, estimator: PoseEstimator, full_look_every: int) -> None:
        self._estimator, self._every = estimator, full_look_every
        self._since_search = 0
        self._alone_in: int | None = None  # the scene in which one body alone was seen

    def __call__(self, sample: Sample, rgb: Rgb) -> _Held:
        self._since_search += 1
        found: list[Body] = []
        if self._alone_in == sample.scene and self._since_search < self._every:
            found = [b for b in follow(rgb, self._estimator) if not doubts(b)]
        if not found:
            found, _ = first_look(rgb, self._estimator)
            self._since_search = 0
            self._alone_in = sample.scene if len(found) == 1 else None
        sample.candidates = [candidate(rgb, body) for body in found]
        return _Held(sample, rgb)


def _mend(before: list[_Held], held: list[_Held], estimator: PoseEstimator) -> None:
    """Second visits: samples without the subject, or with one that jumped away."""
    line = [*before, *held]
    samples = [h.sample for h in line]
    chosen = choose_subject(samples)
    for i in jumps(samples, chosen):
        index = chosen[i]
        if index is not None and line[i].rgb.size:
            del samples[i].candidates[index]
            chosen[i] = None
    for i, h in enumerate(line):
        if chosen[i] is not None or not h.rgb.size:
            continue
        regions = _neighbour_regions(samples, chosen, i)
        found = look_until(h.rgb, regions, estimator, enough=1)
        if not found and not regions and not h.sample.candidates:
            found = [c.body for c in find_bodies(h.rgb, estimator)]
        if found:
            known = [c.body for c in h.sample.candidates]
            added = [b for b in merge(known, found) if b not in known]
            h.sample.candidates += [candidate(h.rgb, body) for body in added]
            h.repaired = bool(added)


def _neighbour_regions(samples: list[Sample], chosen: list[int | None], i: int) -> list[Box]:
    """Squares around where the nearest samples of the same shot saw the subject."""
    near = sorted(
        (abs(samples[k].time - samples[i].time), k)
        for k, index in enumerate(chosen)
        if index is not None and samples[k].scene == samples[i].scene
    )[:2]
    regions = []
    for _, k in near:
        index = chosen[k]
        if index is not None:
            body = samples[k].candidates[index].body
            regions += [looking.around(body, factor) for factor in (1.4, 1.0, 2.0)]
    return regions


def _finish(
    before: list[_Held], held: list[_Held], estimator: PoseEstimator, looks: int, *, is_start: bool
) -> None:
    """What still needs the pictures: closer looks, the template's refinement, faces."""
    line = [*before, *held]
    chosen = choose_subject([h.sample for h in line])
    for position, (h, index) in enumerate(zip(line, chosen, strict=True)):
        if index is None or not h.rgb.size:
            continue
        candidate = h.sample.candidates[index]
        body = candidate.body
        if is_start and position == 0:
            body = refine(h.rgb, body, estimator)
        elif looks > 1 or bodies.body_box(body).height < SMALL_BODY * max(body.size):
            near = same(body, looking.look(h.rgb, looking.around(body, 1.5), estimator))
            body = bodies.consensus([body, *near])
        body = body.with_face(looking.find_face(h.rgb, body, estimator))
        h.sample.candidates[index] = Candidate(body, candidate.colour)


def _seen(h: _Held, index: int | None) -> Seen:
    candidates = h.sample.candidates
    return Seen(
        time=h.sample.time,
        scene=h.sample.scene,
        subject=None if index is None else candidates[index].body,
        others=tuple(c.body for k, c in enumerate(candidates) if k != index),
        repaired=h.repaired,
    )
