"""Second looks at a window of consecutive samples, while their pictures are in memory.

`repair` looks again where neighbours saw the subject, `confirm` confirms subjects and looks for
other people, `with_transitions` finds out when the subject appears or disappears, `find_faces`
looks for faces. `before` holds the last sample of the previous window, without its picture, if
there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol

from wan_prep.geometry import Box, Size
from wan_prep.pose import inference
from wan_prep.pose.body import FaceBox
from wan_prep.pose.estimator import PoseEstimator, Proposal, Rgb
from wan_prep.pose.people import (
    WIDE_SIDE_PX,
    confirmed,
    find_large_head,
    find_people,
    find_unmeasured,
    found_by,
    proposed,
)
from wan_prep.pose.search import (
    REFERENCE_LOOKS,
    candidate,
    look_until,
    merge,
    refine,
    seen_again,
)
from wan_prep.pose.track import (
    CONTINUOUS_COST,
    Candidate,
    OtherPerson,
    PersonTrack,
    TrackSample,
    choose_subject,
    jumps,
    move_cost,
)


class Frame(Protocol):
    """The part of `media.frames.DecodedFrame` that is used here."""

    @property
    def time(self) -> Fraction: ...

    def rgb(self, max_side: int | None = None) -> Rgb: ...


@dataclass
class WindowSample:
    """A sample while its picture is in memory; afterwards `rgb` is empty."""

    sample: TrackSample
    rgb: Rgb
    intermediate_frames: Sequence[Frame] = ()
    """Decoded frames between the sample before and this one; dropped where the first looks at all
    samples near it agree on whether somebody is there."""
    others_due: bool = False
    """Whether the picture is to be searched for other people."""
    detector_px: int = WIDE_SIDE_PX
    """Longer side in which the detector is shown the picture."""
    proposed: list[Proposal] | None = None
    """Whom the detector proposes; None as long as it was not asked."""
    repaired: bool = False
    between: bool = False
    """An intermediate frame, looked at because the subject appears or disappears here."""
    faces: list[Future[FaceBox | None]] = field(default_factory=list)
    """One for each candidate, in the same order."""

    def proposals(self, estimator: PoseEstimator) -> list[Proposal]:
        """Whom the detector proposes, asked once."""
        if self.proposed is None:
            self.proposed = proposed(self.rgb, estimator, self.detector_px)
        return self.proposed


def repair(before: list[WindowSample], held: list[WindowSample], estimator: PoseEstimator) -> None:
    """Look again at samples without a subject, or with one that jumps away and back.

    Candidates of `held` are changed in place, and `repaired` is set where a body was added.
    """
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
        regions = _neighbour_regions(samples, chosen, i, inference.size_of(h.rgb))
        # Only the template is searched for very small people; later samples have neighbours.
        is_template = not before and i == 0
        found = look_until(h.rgb, regions, estimator, enough=1)
        known = [c.body for c in h.sample.candidates]
        added = [candidate(h.rgb, body) for body in merge(known, found)[len(known) :]]
        if not found and not known:
            proposals = h.proposals(estimator)
            if regions:
                added = found_by(h.rgb, [], proposals, estimator)
            else:
                added = find_people(h.rgb, proposals, estimator, thoroughly=is_template)
        h.sample.candidates += added
        h.repaired = bool(added)


def _neighbour_regions(
    samples: list[TrackSample], chosen: list[int | None], i: int, size: Size
) -> list[Box]:
    """Squares around the subject's place in the nearest two samples of the same shot, in px of a
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
            seen = samples[k].candidates[index]
            regions += [_around(seen, factor, size) for factor in (1.4, 1.0, 2.0)]
    return regions


def _around(seen: Candidate, factor: float, size: Size) -> Box:
    """A square around somebody seen in another sample, in px of a picture of this size."""
    enlarge = size.width / seen.body.size.width
    return inference.square_around_body(seen.body, factor).scaled(enlarge, enlarge)


class _WindowTrack:
    """Samples in the order of time, with the candidate that is chosen as the subject of each."""

    def __init__(self, held: list[WindowSample], track: PersonTrack | None = None) -> None:
        self.held, self._track = held, track or PersonTrack()
        self.choose()

    def choose(self) -> None:
        self._chosen = self._track.choose([h.sample for h in self.held])

    def subject(self, i: int) -> Candidate | None:
        index = self._chosen[i]
        return None if index is None else self.held[i].sample.candidates[index]

    def others(self, i: int) -> list[Candidate]:
        return [c for k, c in enumerate(self.held[i].sample.candidates) if k != self._chosen[i]]

    def put(self, i: int, subject: Candidate, others: list[Candidate]) -> None:
        self.held[i].sample.candidates = [subject, *others]
        self._chosen[i] = 0

    def has_others(self, i: int) -> bool:
        return bool(self.others(i) or self.held[i].sample.unmeasured)

    def boxes_of_others(self, i: int) -> list[Box]:
        """Boxes as fractions of the picture."""
        measured = [OtherPerson.of(c) for c in self.others(i) if c.confirmed]
        return [other.box for other in (*measured, *self.held[i].sample.unmeasured)]

    def drop_subject(self, i: int) -> None:
        self.held[i].sample.candidates = self.others(i)
        self.choose()

    def seconds(self, i: int, k: int) -> float:
        return float(abs(self.held[i].sample.time - self.held[k].sample.time))

    def one_shot(self, i: int, k: int) -> bool:
        return self.held[i].sample.scene == self.held[k].sample.scene


def confirm(
    before: list[WindowSample],
    held: list[WindowSample],
    estimator: PoseEstimator,
    looks: int,
    *,
    is_start: bool,
) -> None:
    """Confirm or drop the subject and the others of each sample, and look for more people.

    looks: how many the subject gets.  is_start: the first sample is the template, which gets as
    many as a still.  Candidates of `held` are changed in place; only confirmed ones remain.
    """
    line = _WindowTrack([*before, *held])
    position = len(before)
    while position < len(line.held):
        h, subject = line.held[position], line.subject(position)
        if subject is None:
            position += 1
            continue
        is_template = is_start and position == 0
        goes_on = _goes_on(line, position)
        body = refine(h.rgb, subject.body, estimator, REFERENCE_LOOKS if is_template else looks)
        if not (goes_on or body.looks > 1) and not seen_again(h.rgb, body, estimator):
            # Found by one look only, so no person. Another candidate may be the subject, or a head
            # that the network added a body to.
            line.drop_subject(position)
            if line.subject(position) is None:
                head = find_large_head(h.rgb, h.proposals(estimator), estimator)
                h.sample.candidates += [] if head is None else [head]
                line.choose()
            continue
        line.put(position, replace(subject, body=body, confirmed=True), line.others(position))
        h.others_due = h.others_due or is_template or not goes_on
        _find_others(line, position, position - 1, estimator)
        position += 1
    # People found late are looked for in the samples before, too.
    for i in range(len(line.held) - 2, len(before) - 1, -1):
        if line.held[i].proposed is None and line.has_others(i + 1):
            _find_others(line, i, i + 1, estimator)
    for h in held:
        h.sample.candidates = [c for c in h.sample.candidates if c.confirmed]
    if is_start:
        _refine_template(line, estimator)


def _goes_on(line: _WindowTrack, i: int) -> bool:
    """Whether this subject is the confirmed subject of the sample before, by place, size and
    clothes; over a cut, too."""
    last, subject = line.subject(i - 1) if i > 0 else None, line.subject(i)
    if last is None or subject is None or not last.confirmed:
        return False
    return move_cost(last, subject, line.seconds(i - 1, i)) < CONTINUOUS_COST


def _find_others(line: _WindowTrack, i: int, neighbour: int, estimator: PoseEstimator) -> None:
    """Confirm the other people of a sample and look for more: where the sample is due, or shows
    more than the subject, or its neighbour does."""
    h, subject, others = line.held[i], line.subject(i), line.others(i)
    if subject is None:
        return
    near = 0 <= neighbour < len(line.held) and line.one_shot(i, neighbour)
    if not (h.others_due or others or (near and line.has_others(neighbour))):
        return
    proposals = h.proposals(estimator)
    sure = confirmed(others, proposals)
    sure += found_by(h.rgb, [subject, *sure], proposals, estimator)
    known = [c.body for c in (subject, *sure)]
    seen_near = line.boxes_of_others(neighbour) if near else []
    h.sample.unmeasured = find_unmeasured(h.rgb, known, proposals, estimator, seen_near)
    line.put(i, subject, sure)
    if len(sure) != len(others):
        line.choose()


def _refine_template(line: _WindowTrack, estimator: PoseEstimator) -> None:
    """Choose the template's subject again now that all people are known, and refine a new one."""
    line.choose()
    subject = line.subject(0)
    if subject is not None and subject.body.looks == 1:
        body = refine(line.held[0].rgb, subject.body, estimator, REFERENCE_LOOKS)
        line.put(0, replace(subject, body=body), line.others(0))


def refine_meant(
    held: list[WindowSample],
    estimator: PoseEstimator,
    looks: int,
    track: PersonTrack,
    *,
    is_start: bool,
) -> None:
    """Give the person one means the looks that a subject gets, once everybody is known.

    Candidates of `held` are changed in place; with nobody asked for, nothing is.
    """
    if track.person.is_largest:
        return
    line = _WindowTrack(held, track)
    for i, h in enumerate(held):
        subject = line.subject(i)
        if subject is not None and subject.body.looks == 1:
            wanted = REFERENCE_LOOKS if is_start and i == 0 else looks
            body = refine(h.rgb, subject.body, estimator, wanted)
            line.put(i, replace(subject, body=body), line.others(i))


def with_transitions(
    before: list[WindowSample],
    held: list[WindowSample],
    estimator: PoseEstimator,
    track: PersonTrack,
) -> list[WindowSample]:
    """The samples, with those intermediate frames that tell when the subject appears or disappears.

    They are found by bisection: of n frames between two samples about log2(n) are looked at.
    """
    line = _WindowTrack([*before, *held], track)
    result: list[WindowSample] = []
    for i in range(len(before), len(line.held)):
        h = line.held[i]
        if i > 0 and line.one_shot(i - 1, i):
            was, now = line.subject(i - 1), line.subject(i)
            if was is not None and now is None:
                time = line.held[i - 1].sample.time
                result += _bisected(h, was, time, estimator, leaves=True)
            elif was is None and now is not None:
                result += _bisected(h, now, h.sample.time, estimator, leaves=False)
        h.intermediate_frames = ()
        result.append(h)
    return result


def _bisected(
    h: WindowSample, seen: Candidate, time: Fraction, estimator: PoseEstimator, *, leaves: bool
) -> list[WindowSample]:
    """The intermediate frames before sample `h` that bisection looks at, in the order of time.

    seen, time: the subject on the side of them where it was found; leaves: the earlier side.
    """
    looked_at: list[WindowSample] = []
    low, high = 0, len(h.intermediate_frames)
    while low < high:
        middle = (low + high) // 2
        frame = h.intermediate_frames[middle]
        rgb = frame.rgb(max(h.rgb.shape))
        found = _found_near(rgb, seen, float(abs(frame.time - time)), estimator)
        looked_at.append(
            WindowSample(TrackSample(frame.time, h.sample.scene, found), rgb, between=True)
        )
        if found:
            (seen,), time = found, frame.time
        if bool(found) == leaves:
            low = middle + 1
        else:
            high = middle
    return sorted(looked_at, key=lambda one: one.sample.time)


def _found_near(
    rgb: Rgb, seen: Candidate, seconds: float, estimator: PoseEstimator
) -> list[Candidate]:
    """The person `seen` at a distance of `seconds`, looked for in that place, then in the whole
    picture; an empty list where they are not there."""
    size = inference.size_of(rgb)
    for region in (_around(seen, 1.5, size), inference.whole_square(size)):
        for body in look_until(rgb, [region], estimator, enough=1):
            found = replace(candidate(rgb, body), confirmed=True)
            if move_cost(seen, found, seconds) < CONTINUOUS_COST:
                return [found]
    return []


def find_faces(
    held: list[WindowSample], beside: Executor, estimator: PoseEstimator, *, is_start: bool
) -> None:
    """Start looking for the faces of all candidates in `beside`, another thread.

    Any of them may yet be chosen as the subject.  The template's are looked for as in a still.
    """
    for i, h in enumerate(held):
        thoroughly = is_start and i == 0
        h.faces = [
            beside.submit(inference.find_face, h.rgb, c.body, estimator, thoroughly=thoroughly)
            for c in h.sample.candidates
        ]
