"""Track one subject through the samples of a clip, window by window.

Only the pictures of one window are in memory, so that memory does not grow with the clip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import cv2
import numpy as np

from wan_prep.pose import body as bodies
from wan_prep.pose.body import Body
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import Floats, PoseEstimator, PoseFollower, Rgb
from wan_prep.pose.heads import as_seen, find_head, region_around, whole_regions
from wan_prep.pose.inference import infer_followed, size_of
from wan_prep.pose.people import MOST_OTHERS, WIDE_SIDE_PX, find_persons_head
from wan_prep.pose.plausible import doubts
from wan_prep.pose.search import candidate, first_look
from wan_prep.pose.track import OtherPerson, PersonTrack, choose_subject, facing_steadily, isolated
from wan_prep.pose.window import (
    WindowSample,
    confirm,
    find_faces,
    refine_meant,
    repair,
    with_transitions,
)
from wan_prep.sampling import SampledFrame

THUMBNAIL_PX = 64
CHANGED = 10.0
"""Mean difference, of 255, of 3 by 3 points of two thumbnails from which on a picture has changed
(docs/calibration.md)."""
REACH = 0.2
"""How far hands, hair and shadow reach beyond a person's box, as a share of its longer side."""
WINDOW = 12
"""Samples whose pictures are in memory at once, as neighbours that a repair can use: 2.4 to 6 s of
the clip, about 33 MB."""


@dataclass(frozen=True)
class TrackedSample:
    """One sampled frame in the end: its subject, if any, and the other people.

    time: s.  scene: number of the shot.  repaired: the first look missed the subject.
    """

    time: Fraction
    scene: int
    subject: Body | None
    others: tuple[OtherPerson, ...]
    repaired: bool


def track_subject(
    samples: Iterable[SampledFrame],
    estimator: PoseEstimator,
    *,
    looks: int,
    person: PersonChoice = LARGEST,
    full_look_every: int = 1,
    others_every: int = 1,
    detector_px: int = WIDE_SIDE_PX,
    on_picture: Callable[[Rgb], None] = lambda _rgb: None,
    on_progress: Callable[[Fraction], None] = lambda _time: None,
) -> list[TrackedSample]:
    """The subject and the other people of every sample of a clip, in the order of time.

    looks: how many looks at the subject of each sample are taken for its consensus.
    person: whom to follow; everybody else is among the others.
    full_look_every: whole pictures are searched in every so many samples only; between them one
    body is followed, as long as it is alone and plausible.
    others_every: other people are looked for in every so many samples at least; before that, where
    the picture changes beside those known, and where a neighbouring sample shows others.
    detector_px: longer side in which the detector is shown pictures after the first.
    on_picture: given the picture of every sample.  on_progress: given the time of every sample, s.

    The first sample, the model's template, is refined and searched for others like a still.
    """
    history: list[WindowSample] = []  # without pictures
    coming, track = iter(samples), PersonTrack(person)
    # Faces are found beside the bodies of the next window, on another core.
    with (
        _FirstLook(estimator, full_look_every, others_every, detector_px) as visit,
        ThreadPoolExecutor(1, thread_name_prefix="wan-prep-face") as beside,
    ):
        while True:
            held: list[WindowSample] = []  # and the window before lets go of its pictures
            for sampled in islice(coming, WINDOW):
                on_picture(sampled.rgb)
                held.append(visit(sampled))
                on_progress(sampled.sample.time)
            # At most one window of pictures waits for its faces.
            wait(face for h in history[-2 * WINDOW :] for face in h.faces)
            if not held:
                break
            repair(history[-1:], held, estimator)
            confirm(history[-1:], held, estimator, looks, is_start=not history)
            refine_meant(held, estimator, looks, track, is_start=not history)
            held = with_transitions(history[-1:], held, estimator, track)
            track.settle([h.sample for h in held])
            find_faces(held, beside, estimator, is_start=not history)
            history += [replace(h, rgb=_NO_PICTURE) for h in held]
            last = history[-1].sample
            visit.has_others = len(last.candidates) > 1 or bool(last.unmeasured)
    return with_steady_facing(_chosen(history, person))


def _chosen(history: list[WindowSample], person: PersonChoice) -> list[TrackedSample]:
    """Every sample with the subject chosen over the whole clip.

    A subject seen in one sample only, and in neither of its neighbours, needs a recognised face.
    """
    samples = [h.sample for h in history]
    chosen = choose_subject(samples, person)
    seen = [_seen(h, index) for h, index in zip(history, chosen, strict=True)]
    own = [i for i, h in enumerate(history) if not h.between]
    for k in isolated([samples[i] for i in own], [chosen[i] for i in own]):
        if _has_sure_face(seen[own[k]].subject):
            continue
        # Intermediate frames were looked at because of this sample: they lose the subject, too.
        begin = own[k - 1] + 1 if k > 0 else 0
        end = own[k + 1] if k + 1 < len(own) else len(seen)
        seen[begin:end] = [replace(s, subject=None) for s in seen[begin:end]]
    return seen


def _has_sure_face(body: Body | None) -> bool:
    return body is not None and body.face is not None and body.face.is_sure


def with_steady_facing(seen: list[TrackedSample]) -> list[TrackedSample]:
    """The same samples, shot by shot with subjects corrected where front and back were confused."""
    result = list(seen)
    for scene in sorted({s.scene for s in seen}):
        places = [i for i, s in enumerate(seen) if s.scene == scene and s.subject is not None]
        track = [(seen[i].time, s) for i in places if (s := seen[i].subject) is not None]
        for i, body in zip(places, facing_steadily(track), strict=True):
            result[i] = replace(result[i], subject=body)
    return result


_NO_PICTURE: Rgb = np.zeros((0, 0, 3), np.uint8)


class Surroundings:
    """Tells whether the picture beside the people known has changed, so that somebody may be new.

    Compared are thumbnails, one point for each square that is 1/64 of the longer side wide.
    """

    def __init__(self) -> None:
        self._seen: Rgb | None = None
        self._known = np.zeros((0, 0), np.bool_)

    def changed(self, rgb: Rgb, known: Iterable[Body], is_due: bool = False) -> bool:
        """Whether anything beside the people known looks other than it last did when this was true.

        is_due: what is seen now is looked at in any case, and becomes what later pictures are
        compared with.
        """
        height, width = rgb.shape[:2]
        scale = THUMBNAIL_PX / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        thumbnail = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        covered = np.zeros((size[1], size[0]), np.bool_)
        for body in known:
            box = bodies.widest_box(body).scaled(scale, scale)
            reach = REACH * max(box.width, box.height)
            left, top = int(max(box.left - reach, 0.0)), int(max(box.top - reach, 0.0))
            covered[top : int(box.bottom + reach) + 1, left : int(box.right + reach) + 1] = True
        is_new = is_due or self._seen is None or self._seen.shape != thumbnail.shape
        if not is_new and self._seen is not None:
            apart = cv2.blur(_beyond(thumbnail, self._seen), (3, 3))
            is_new = bool((np.asarray(apart)[~(covered | self._known)] > CHANGED).any())
        if is_new:
            self._seen, self._known = thumbnail, covered
        return is_new


def _beyond(thumbnail: Rgb, seen: Rgb) -> Floats:
    """(h, w): how far each point lies, 0 … 255, beyond the values that its 3 by 3 neighbourhood had
    in `seen`, so that a camera that drifts by less than a point changes nothing."""
    around = np.ones((3, 3), np.uint8)
    above = cv2.subtract(thumbnail, cv2.dilate(seen, around))
    below = cv2.subtract(cv2.erode(seen, around), thumbnail)
    beyond: Floats = np.asarray(cv2.max(above, below), np.float64).mean(axis=2)
    return beyond


class _FirstLook(ExitStack):
    """Takes the first look at each sample: searches it, or follows the one body seen before."""

    def __init__(
        self,
        estimator: PoseEstimator,
        full_look_every: int,
        others_every: int,
        detector_px: int,
    ) -> None:
        super().__init__()
        self._follower: PoseFollower | None = None
        self._estimator, self._every = estimator, full_look_every
        self._others_every, self._detector_px = others_every, detector_px
        self._surroundings = Surroundings()
        self._since_search = 0
        self._visits = 0
        self._alone_in: int | None = None  # the scene in which one body alone was seen
        self._head: Body | None = None  # the head that was seen alone in the last sample
        self._last: WindowSample | None = None
        self._found: deque[bool] = deque(maxlen=4)
        self.has_others = False
        """Whether the last window ended with more than one person."""

    def __call__(self, sampled: SampledFrame) -> WindowSample:
        sample, rgb, intermediate_frames = sampled
        self._since_search += 1
        found: list[Body] = []
        alone = self._alone_in == sample.scene and not self.has_others
        if alone and self._since_search < self._every:
            found = self._followed(rgb)
        if not found:
            found, _ = first_look(rgb, self._estimator)
            if not found:
                regions = whole_regions(size_of(rgb))
                head = find_persons_head(rgb, regions, self._estimator)
                found = [] if head is None else [head]
            self._since_search = 0
            self._alone_in = sample.scene if len(found) == 1 else None
        self._head = found[0] if len(found) == 1 and found[0].is_head else None
        sample.candidates = [candidate(rgb, body) for body in found]
        self._visits += 1
        others_due = self._visits % self._others_every == 0
        others_due = self._surroundings.changed(rgb, found, others_due)
        self._found.append(bool(found))
        if self._last is not None and len(set(self._found)) == 1:
            # Nobody came or left nearby, so the frames between are not needed.
            self._last.intermediate_frames = ()
        side_px = self._detector_px if self._last else WIDE_SIDE_PX
        self._last = WindowSample(sample, rgb, intermediate_frames, others_due, side_px)
        return self._last

    def _followed(self, rgb: Rgb) -> list[Body]:
        """The one who was seen alone in the last sample, if they are still there."""
        if self._head is not None:
            head = find_head(rgb, [region_around(self._head, size_of(rgb))], self._estimator)
            return [] if head is None else [head]
        if self._follower is None:
            self._follower = self.enter_context(self._estimator.follower())
        return [b for b in infer_followed(rgb, self._follower) if not doubts(b)]


def _seen(h: WindowSample, index: int | None) -> TrackedSample:
    candidates = h.sample.candidates
    subject = None
    if index is not None:
        subject = as_seen(candidates[index].body.with_face(h.faces[index].result()))
    measured = tuple(OtherPerson.of(c) for k, c in enumerate(candidates) if k != index)
    return TrackedSample(
        time=h.sample.time,
        scene=h.sample.scene,
        subject=subject,
        others=(*measured, *h.sample.unmeasured)[:MOST_OTHERS],
        repaired=h.repaired,
    )
