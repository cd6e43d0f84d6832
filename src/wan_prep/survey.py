"""Samples in, one subject out: how each sample is looked at, and how failures are mended.

The pictures live in a window of a few samples, so memory does not grow with the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import numpy as np

from wan_prep.geometry import Box, Size
from wan_prep.pose import look as looking
from wan_prep.pose.body import Body, FaceBox
from wan_prep.pose.estimator import PoseEstimator, Rgb
from wan_prep.pose.look import follow
from wan_prep.pose.plausible import doubts
from wan_prep.pose.search import (
    KEY_LOOKS,
    candidate,
    find_bodies,
    first_look,
    look_until,
    merge,
    refine,
    seen_again,
)
from wan_prep.pose.track import (
    CONTINUOUS_COST,
    Candidate,
    Sample,
    choose_subject,
    facing_steadily,
    isolated,
    jumps,
    move_cost,
)
from wan_prep.sampling import Picked

WINDOW = 12
"""Samples whose pictures are held at once; repairs may use any neighbour among them."""


@dataclass(frozen=True)
class Seen:
    """The subject of one sampled frame, the others in it, and how often it was looked at."""

    time: Fraction
    scene: int
    subject: Body | None
    others: tuple[Body, ...]
    repaired: bool


@dataclass
class _Held:
    """A sample while its picture is in memory."""

    sample: Sample
    rgb: Rgb
    repaired: bool = False
    subject: int | None = None
    """Which candidate the face below belongs to."""
    face: Future[FaceBox | None] | None = None


def survey(
    samples: Iterable[Picked],
    estimator: PoseEstimator,
    *,
    looks: int,
    full_look_every: int = 1,
    on_picture: Callable[[Rgb], None] = lambda _rgb: None,
    on_progress: Callable[[Fraction], None] = lambda _time: None,
) -> list[Seen]:
    """Follow one subject through the samples of a clip.

    `looks` > 1 looks closer at every sample; with `full_look_every` > 1 only every so many
    samples are searched whole, and between them the one body is followed, as long as it is alone
    and plausible.  The first sample, the model's template, is refined like a still.
    """
    history: list[_Held] = []  # without pictures
    visit = _Visitor(estimator, full_look_every)
    coming = iter(samples)
    # Faces are found beside the bodies of the next window, on another core.
    with ThreadPoolExecutor(1, thread_name_prefix="wan-prep-face") as beside:
        while True:
            held: list[_Held] = []  # and the window before lets go of its pictures
            for sample, rgb in islice(coming, WINDOW):
                on_picture(rgb)
                held.append(visit(sample, rgb))
                on_progress(sample.time)
            # At most one window of pictures waits for its faces.
            wait(h.face for h in history[-WINDOW:] if h.face is not None)
            if not held:
                break
            _mend(history[-1:], held, estimator)
            _finish(history[-1:], held, estimator, looks, beside, is_start=not history)
            history += [replace(h, rgb=_NO_PICTURE) for h in held]
    samples_seen = [h.sample for h in history]
    chosen = choose_subject(samples_seen)
    seen = [_seen(h, index) for h, index in zip(history, chosen, strict=True)]
    for i in isolated(samples_seen, chosen):
        if not _has_sure_face(seen[i].subject):
            seen[i] = replace(seen[i], subject=None)
    return steadied(seen)


def _has_sure_face(body: Body | None) -> bool:
    return body is not None and body.face is not None and body.face.yaw_deg is not None


def steadied(seen: list[Seen]) -> list[Seen]:
    """The same samples, backs that were taken for fronts turned round, shot by shot."""
    result = list(seen)
    for scene in sorted({s.scene for s in seen}):
        places = [i for i, s in enumerate(seen) if s.scene == scene and s.subject is not None]
        track = [(seen[i].time, s) for i in places if (s := seen[i].subject) is not None]
        for i, body in zip(places, facing_steadily(track), strict=True):
            result[i] = replace(result[i], subject=body)
    return result


_NO_PICTURE: Rgb = np.zeros((0, 0, 3), np.uint8)


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
        regions = _neighbour_regions(samples, chosen, i, looking.size_of(h.rgb))
        found = look_until(h.rgb, regions, estimator, enough=1)
        if not found and not regions and not h.sample.candidates:
            found = [c.body for c in find_bodies(h.rgb, estimator)]
        if found:
            known = [c.body for c in h.sample.candidates]
            added = merge(known, found)[len(known) :]
            h.sample.candidates += [candidate(h.rgb, body) for body in added]
            h.repaired = bool(added)


def _neighbour_regions(
    samples: list[Sample], chosen: list[int | None], i: int, size: Size
) -> list[Box]:
    """Squares around where the nearest samples of the same shot saw the subject, in px of a
    picture of this size."""
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
            share = size.width / body.size.width
            regions += [
                looking.around(body, factor).scaled(share, share) for factor in (1.4, 1.0, 2.0)
            ]
    return regions


def _finish(
    before: list[_Held],
    held: list[_Held],
    estimator: PoseEstimator,
    looks: int,
    beside: Executor,
    *,
    is_start: bool,
) -> None:
    """What still needs the pictures: closer looks, the template's refinement, faces."""
    line = [*before, *held]
    samples = [h.sample for h in line]
    chosen, position = choose_subject(samples), 0
    while position < len(line):
        h, index = line[position], chosen[position]
        if index is None or not h.rgb.size:
            position += 1
            continue
        candidate = h.sample.candidates[index]
        is_template = is_start and position == 0
        body = refine(h.rgb, candidate.body, estimator, KEY_LOOKS if is_template else looks)
        known = body.looks > 1 or (position > 0 and _goes_on(line[position - 1], h, candidate))
        if not known and not seen_again(h.rgb, body, estimator):
            # A person is seen by every look; what one look alone saw is nobody. Whom else?
            del h.sample.candidates[index]
            chosen = choose_subject(samples)
            continue
        h.sample.candidates[index] = Candidate(body, candidate.colour)
        h.subject, h.face = index, beside.submit(looking.find_face, h.rgb, body, estimator)
        position += 1


def _goes_on(before: _Held, h: _Held, candidate: Candidate) -> bool:
    """Whether the confirmed subject of the sample before can have moved to this place.

    Over a cut too: the same clothes, place and size are the same person.
    """
    last = before.sample
    if before.subject is None:
        return False
    seconds = float(h.sample.time - last.time)
    return move_cost(last.candidates[before.subject], candidate, seconds) < CONTINUOUS_COST


def _seen(h: _Held, index: int | None) -> Seen:
    candidates = h.sample.candidates
    subject = None if index is None else candidates[index].body
    if subject is not None and h.face is not None and h.subject == index:
        subject = subject.with_face(h.face.result())
    return Seen(
        time=h.sample.time,
        scene=h.sample.scene,
        subject=subject,
        others=tuple(c.body for k, c in enumerate(candidates) if k != index),
        repaired=h.repaired,
    )
