"""Frames in, samples out: which frames are looked at, how, and what is tried before giving up.

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

import cv2
import numpy as np

from wan_prep.geometry import Box, Floats, Size, square_around
from wan_prep.pose import body as bodies
from wan_prep.pose import look as looking
from wan_prep.pose.body import Body, FaceBox
from wan_prep.pose.estimator import PoseEstimator, Rgb
from wan_prep.pose.plausible import doubts
from wan_prep.pose.skeleton import HIPS, SHOULDERS
from wan_prep.pose.track import Candidate, Sample, choose_subject, jumps

WORK_SIDE_PX = 1280
"""Longest side of the pictures looked at: the endpoint's own 720p class."""
WINDOW = 12
"""Samples whose pictures are held at once; repairs may use any neighbour among them."""
KEY_FACTORS = (1.1, 1.3, 1.5)
SMALL_BODY = 0.35
"""Below this share of the picture's longer side a body is looked at again, closer."""
SAME_BODY_IOU = 0.45
CONFIRMING_FACTORS = (1.2, 1.6, 2.4)
CONFIRMING_SCALE = 0.15


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


# ------------------------------------------------------------------ one picture


def find_bodies(rgb: Rgb, estimator: PoseEstimator) -> list[Candidate]:
    """The plausible bodies of a picture, after second looks where the first is not enough."""
    found, doubted = _first_look(rgb, estimator)
    if not found:
        for body in doubted:
            found = _merge(found, _looks(rgb, retry_regions(body), estimator, enough=1))
    if not found:
        small = _looks(rgb, tiles(looking.size_of(rgb)), estimator, enough=1)
        found = [body for body in small if _confirmed(rgb, body, estimator)]
    return [_candidate(rgb, body) for body in _closer(rgb, found, estimator)]


def refine(rgb: Rgb, body: Body, estimator: PoseEstimator) -> Body:
    """The same body from several looks of different extent and one mirrored: their consensus."""
    seen = [body]
    for factor in KEY_FACTORS:
        seen += _same(body, looking.look(rgb, looking.around(body, factor), estimator))
    seen += _same(body, looking.look(rgb, looking.around(body, 1.5), estimator, mirror=True))
    return bodies.consensus(seen)


def _confirmed(rgb: Rgb, body: Body, estimator: PoseEstimator) -> bool:
    """Whether looks of different extent agree on a body that the whole picture did not show.

    A face on a poster or an icon makes the network add a body that changes with each look.
    """
    scale = bodies.px_per_m(body)
    if scale is None:
        return False
    for factor in CONFIRMING_FACTORS:
        again = _same(body, looking.look(rgb, looking.around(body, factor), estimator))
        scales = [s for b in again if (s := bodies.px_per_m(b)) is not None]
        if not any(abs(s / scale - 1.0) < CONFIRMING_SCALE for s in scales):
            return False
    return True


def _first_look(rgb: Rgb, estimator: PoseEstimator) -> tuple[list[Body], list[Body]]:
    """Plausible and doubtful bodies of the whole picture."""
    found: list[Body] = []
    doubted: list[Body] = []
    for body in looking.look(rgb, looking.whole(looking.size_of(rgb)), estimator):
        if doubts(body):
            doubted.append(body)
        else:
            found = _merge(found, [body])
    return found, doubted


def _looks(
    rgb: Rgb, regions: Iterable[Box], estimator: PoseEstimator, *, enough: int
) -> list[Body]:
    """Plausible bodies of several regions, until there are `enough`."""
    found: list[Body] = []
    for region in regions:
        found = _merge(found, [b for b in looking.look(rgb, region, estimator) if not doubts(b)])
        if len(found) >= enough:
            break
    return found


def _merge(found: list[Body], more: Iterable[Body]) -> list[Body]:
    """One entry a person: the first look at each stays."""
    merged = list(found)
    for body in more:
        box = bodies.body_box(body)
        if all(bodies.body_box(other).iou(box) < SAME_BODY_IOU for other in merged):
            merged.append(body)
    return merged


def _same(body: Body, seen: Iterable[Body]) -> list[Body]:
    """Those of other looks that are plausible and show the same person."""
    box = bodies.body_box(body)
    return [
        other
        for other in seen
        if not doubts(other) and bodies.body_box(other).iou(box) >= SAME_BODY_IOU
    ]


def _closer(rgb: Rgb, found: list[Body], estimator: PoseEstimator) -> list[Body]:
    """Small bodies looked at again on a crop, where the network sees them larger."""
    closer = []
    for body in found:
        if bodies.body_box(body).height < SMALL_BODY * max(body.size):
            near = _same(body, looking.look(rgb, looking.around(body, 1.6), estimator))
            closer.append(near[0] if near else body)
        else:
            closer.append(body)
    return closer


def retry_regions(body: Body) -> list[Box]:
    """Where to look again for a person whose body came out wrong: squares around the head,
    which even a hallucinated body mostly has in the right place."""
    short = float(min(body.size))
    nose = np.clip(body.keypoints_xy[0], (0.0, 0.0), tuple(map(float, body.size)))
    below = nose + (0.0, 0.15 * short)
    return [square_around(below, factor * short) for factor in (1.0, 0.75, 0.55)]


def tiles(size: Size) -> list[Box]:
    """Overlapping squares for people too small for one look at the whole picture."""
    side = 0.6 * float(min(size))
    columns = max(2, round(1.5 * size.width / side))
    rows = max(2, round(1.5 * size.height / side))
    xs = np.linspace(side / 2, size.width - side / 2, columns)
    ys = np.linspace(side / 2, size.height - side / 2, rows)
    return [square_around((x, y), side) for y in ys for x in xs]


def _candidate(rgb: Rgb, body: Body) -> Candidate:
    return Candidate(body, _torso_colour(rgb, body))


def _torso_colour(rgb: Rgb, body: Body) -> Floats | None:
    """(3,) median CIELAB of the upper torso: the clothes, steadier than a face."""
    neck = bodies.midpoint(body.keypoints_xy, SHOULDERS)
    hips = bodies.midpoint(body.keypoints_xy, HIPS)
    across = abs(float(body.keypoints_xy[11, 0] - body.keypoints_xy[12, 0]))
    half = max(2.0, 0.25 * across)
    center = neck + 0.3 * (hips - neck)
    x0, x1 = int(center[0] - half), int(center[0] + half) + 1
    y0, y1 = int(center[1] - half), int(center[1] + half) + 1
    patch = rgb[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if patch.size == 0:
        return None
    lab = cv2.cvtColor(patch.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    colour: Floats = np.median(lab.reshape(-1, 3), axis=0).astype(np.float64)
    return colour


# ------------------------------------------------------------------ many pictures


def survey(
    frames: Iterable[tuple[Frame, bool]],
    estimator: PoseEstimator,
    *,
    interval_s: Fraction,
    looks: int,
    on_picture: Callable[[Rgb], None] = lambda _rgb: None,
    on_progress: Callable[[Fraction], None] = lambda _time: None,
) -> Survey:
    """Follow one subject through a clip; each frame comes with whether a shot begins there.

    A frame is looked at before more than `interval_s` has gone by since the last one, at the
    beginning of every shot, and at the end.  `looks` > 1 looks closer at every sample.
    The first sample, the model's template, is refined like a still.
    """
    result = Survey()
    history: list[_Held] = []  # without pictures
    picked = _ahead(_pick(frames, interval_s, result))
    while window := list(islice(picked, WINDOW)):
        held = [_first_visit(s, rgb, estimator, on_picture, on_progress) for s, rgb in window]
        _mend(history[-1:], held, estimator)
        _finish(history[-1:], held, estimator, looks, is_start=not history)
        history += [_Held(h.sample, _NO_PICTURE, h.repaired, h.faces) for h in held]
    chosen = choose_subject([h.sample for h in history])
    for h, index in zip(history, chosen, strict=True):
        result.seen.append(_seen(h, index))
    return result


_NO_PICTURE: Rgb = np.zeros((0, 0, 3), np.uint8)


def _pick(
    frames: Iterable[tuple[Frame, bool]], interval_s: Fraction, result: Survey
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
            yield Sample(waiting.time, scene), waiting.rgb(WORK_SIDE_PX)
            last_picked, waiting = waiting.time, None
            due = frame.time - last_picked > interval_s
        if due or cut:
            yield Sample(frame.time, scene), frame.rgb(WORK_SIDE_PX)
            last_picked, waiting = frame.time, None
        else:
            waiting = frame
    if waiting is not None:
        yield Sample(waiting.time, scene), waiting.rgb(WORK_SIDE_PX)


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


def _first_visit(
    sample: Sample,
    rgb: Rgb,
    estimator: PoseEstimator,
    on_picture: Callable[[Rgb], None],
    on_progress: Callable[[Fraction], None],
) -> _Held:
    on_picture(rgb)
    found, _ = _first_look(rgb, estimator)
    sample.candidates = [_candidate(rgb, body) for body in found]
    on_progress(sample.time)
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
        found = _looks(h.rgb, regions, estimator, enough=1)
        if not found and not regions and not h.sample.candidates:
            found = [c.body for c in find_bodies(h.rgb, estimator)]
        if found:
            known = [c.body for c in h.sample.candidates]
            added = [b for b in _merge(known, found) if b not in known]
            h.sample.candidates += [_candidate(h.rgb, body) for body in added]
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
            near = _same(body, looking.look(h.rgb, looking.around(body, 1.5), estimator))
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
