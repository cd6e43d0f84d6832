"""Choose the subject among the candidates of all samples: whom a viewer would call the main person.

The subject is the path through the candidates with the least cost, found by dynamic programming.
It is prominent (large, central) and continuous (place, size and clothes change no faster than a
person's do); being out of the picture is a state of its own.

Where somebody else was asked for, everybody is told apart from sample to sample, and that person is
the subject, however prominent others are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property

import numpy as np

from wan_prep.geometry import Box, Floats, view_angle_deg, view_angles, wrap_deg
from wan_prep.pose import body as bodies
from wan_prep.pose.body import Body
from wan_prep.pose.choice import LARGEST, PersonChoice

# Costs are in nats: a cost of 1 makes a path e times less likely. docs/calibration.md says what the
# figures rest on.
# In a sample without a subject. Only a body of less than 5e-5 of the picture costs more.
ABSENT_COST = 5.0
# Most that a move costs: the subject cannot have moved like this. More than a sample without it.
BREAK_COST = 7.0
# Moves that cost less are the same person's.
CONTINUOUS_COST = 2.0
APPEAR_COST = 1.5  # to enter or leave the picture
WALK_M_PER_S = 2.0  # a quick walk across the picture
SLACK_M = 0.35  # how far the neck moves, and is misplaced, between two samples at any rate
SCALE_PER_S = 0.5  # change of log scale of somebody who walks up to the camera
SCALE_SLACK = 0.20  # change of log scale between two samples at any rate
COLOUR_SLACK = 22.0  # CIELAB distance of the same clothes in two samples
# For somebody found only where a detector proposed it: of two people of like size, the one whom the
# pose network finds first stays the main one. The other one has to be 1.65 times as large.
BESIDE_COST = 0.25
# Where all are told apart together, the same person may cost more from one sample to the next: an
# arm before the body gives it other colours, which alone cost up to 3.
HELD_COST = 3.5
NEW_COST = 4.0  # to be somebody not seen before; more than to be anybody who was
# For somebody who was out of sight longer than this, s, the place says little: clothes must agree.
REMEMBERED_S = 2.0


@dataclass(frozen=True)
class Candidate:
    """A plausible body of one frame.

    colour: (3,) median CIELAB of the torso; None if that is out of the picture.
    beside: the network saw it only where a detector of several people proposed it.
    confirmed: closer looks, or a neighbouring sample, say that it is a person.
    detected: the box of the detector that proposed it, as fractions of the picture, which is more
    exact than one around joints.
    """

    body: Body
    colour: Floats | None = None
    beside: bool = False
    confirmed: bool = False
    detected: Box | None = None

    @cached_property
    def prominence(self) -> float:
        return prominence(self.body) + BESIDE_COST * self.beside

    # What every comparison with another sample's candidates asks for.

    @cached_property
    def px_per_m(self) -> float | None:
        return bodies.px_per_m(self.body)

    @cached_property
    def neck_xy(self) -> Floats:
        return bodies.neck_xy(self.body)


@dataclass(frozen=True)
class OtherPerson:
    """Somebody beside the subject: box as fractions of the picture, confidence 0 … 1."""

    box: Box
    confidence: float

    @classmethod
    def of(cls, candidate: Candidate) -> OtherPerson:
        """Somebody on whom two networks agree."""
        return cls(candidate.detected or _share_box(candidate.body), 1.0)


@dataclass
class TrackSample:
    """The candidates of one sampled frame; `time` in s, `scene` the number of its shot.

    unmeasured: people who cannot be candidates, since no network measures them.
    """

    time: Fraction
    scene: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    unmeasured: list[OtherPerson] = field(default_factory=list)


def prominence(body: Body) -> float:
    """Cost of choosing this body as the subject: it grows with smallness and with the distance from
    the picture's vertical middle line."""
    box = bodies.body_box(body)
    share = box.area / (body.size.width * body.size.height)
    off_center = abs(box.center[0] / body.size.width - 0.5)
    return -math.log(max(share, 1e-5)) / 2.0 + 1.5 * off_center**2


def move_cost(a: Candidate, b: Candidate, seconds: float) -> float:
    """Cost 0 … BREAK_COST of `a` and, `seconds` later, `b` being the same person."""
    # The samples of one clip may differ in size: b's px are converted to a's.
    enlarge = a.body.size.width / b.body.size.width
    scale_a, scale_b = a.px_per_m, b.px_per_m
    if scale_a is None or scale_b is None:
        scale_a = scale_b = _size_px(a.body)
    else:
        scale_b *= enlarge
    neck_a, neck_b = a.neck_xy, b.neck_xy * enlarge
    distance_m = float(np.linalg.norm(neck_b - neck_a)) / math.sqrt(scale_a * scale_b)
    place = distance_m / (SLACK_M + WALK_M_PER_S * seconds)
    scale = abs(math.log(scale_b / scale_a)) / (SCALE_SLACK + SCALE_PER_S * seconds)
    return min(BREAK_COST, place**2 + scale**2 + _colour_cost(a, b))


def _size_px(body: Body) -> float:
    box = bodies.body_box(body)
    return max(box.width, box.height, 1.0)


def _colour_cost(a: Candidate, b: Candidate) -> float:
    if a.colour is None or b.colour is None:
        return 0.0
    return min(3.0, (float(np.linalg.norm(a.colour - b.colour)) / COLOUR_SLACK) ** 2)


def _transition(a: Candidate | None, b: Candidate | None, seconds: float, cut: bool) -> float:
    if a is None and b is None:
        return 0.0
    if a is None or b is None:
        return 0.0 if cut else APPEAR_COST
    if cut:
        return _colour_cost(a, b)
    return move_cost(a, b, seconds)


def choose_subject(
    samples: Sequence[TrackSample], person: PersonChoice = LARGEST
) -> list[int | None]:
    """For each sample the index of the subject among its candidates, or None.

    Viterbi's algorithm over candidates and absence: the least sum of `prominence` and `move_cost`.
    person: whom to follow instead of the most prominent one: whoever this is in the first sample
    that shows such a person, by identity in all others.
    """
    if not samples:
        return []
    if not person.is_largest:
        return PersonTrack(person).choose(samples)
    costs: list[list[float]] = []
    came_from: list[list[int]] = []
    previous: TrackSample | None = None
    for sample in samples:
        states: list[Candidate | None] = [*sample.candidates, None]
        own = [ABSENT_COST if s is None else s.prominence for s in states]
        if previous is None:
            costs.append(own)
            came_from.append([0] * len(states))
        else:
            seconds = float(sample.time - previous.time)
            cut = sample.scene != previous.scene
            before: list[Candidate | None] = [*previous.candidates, None]
            row, origin = [], []
            for state, cost in zip(states, own, strict=True):
                reach = [
                    c + _transition(b, state, seconds, cut)
                    for b, c in zip(before, costs[-1], strict=True)
                ]
                best = int(np.argmin(reach))
                row.append(cost + reach[best])
                origin.append(best)
            costs.append(row)
            came_from.append(origin)
        previous = sample
    path = [int(np.argmin(costs[-1]))]
    for origin in reversed(came_from[1:]):
        path.append(origin[path[-1]])
    path.reverse()
    return [
        index if index < len(sample.candidates) else None
        for index, sample in zip(path, samples, strict=True)
    ]


class PersonTrack:
    """Chooses the person one means window by window: who was seen before is remembered."""

    def __init__(self, person: PersonChoice = LARGEST) -> None:
        self.person = person
        self._seen: list[_LastSeen] = []
        self._meant: int | None = None
        """The number of the person one means, once they were seen."""

    def choose(self, samples: Sequence[TrackSample]) -> list[int | None]:
        """As `choose_subject` does, in samples that follow those that are settled."""
        if self.person.is_largest:
            return choose_subject(samples)
        _, chosen = self._followed(samples, list(self._seen))
        return chosen

    def settle(self, samples: Sequence[TrackSample]) -> None:
        """Remember who is in these samples, which will not change any more."""
        if not self.person.is_largest:
            self._meant, _ = self._followed(samples, self._seen)

    def _followed(
        self, samples: Sequence[TrackSample], seen: list[_LastSeen]
    ) -> tuple[int | None, list[int | None]]:
        """(the number of the person one means, their index in each sample); None where they are
        not seen. Adds to `seen`."""
        numbers, meant = identities(samples, seen), self._meant
        for sample, present in zip(samples, numbers, strict=True):
            if meant is None:
                boxes = [_share_box(c.body) for c in sample.candidates]
                index = self.person.index_among(boxes)
                meant = None if index is None else present[index]
        return meant, [here.index(meant) if meant in here else None for here in numbers]


def _share_box(body: Body) -> Box:
    return bodies.body_box(body).scaled(1.0 / body.size.width, 1.0 / body.size.height)


@dataclass(frozen=True)
class _LastSeen:
    candidate: Candidate
    time: Fraction
    scene: int


def identities(
    samples: Sequence[TrackSample], seen: list[_LastSeen] | None = None
) -> list[list[int]]:
    """For each sample a number for each of its candidates; one number is one person.

    Everybody seen so far is held against everybody in the sample, together, so that nobody takes
    the place of somebody who is still there. Who is unlike all of them is somebody new.

    seen: everybody seen before, by number; brought up to date.
    """
    seen = [] if seen is None else seen
    result = []
    for sample in samples:
        numbers = _recognised(sample, seen)
        for k, candidate in enumerate(sample.candidates):
            last = _LastSeen(candidate, sample.time, sample.scene)
            if (number := numbers.get(k)) is None:
                numbers[k] = len(seen)
                seen.append(last)
            else:
                seen[number] = last
        result.append([numbers[k] for k in range(len(sample.candidates))])
    return result


def _recognised(sample: TrackSample, seen: Sequence[_LastSeen]) -> dict[int, int]:
    """{index of a candidate: number of the person} with the least sum of costs.

    Whoever was in the sample before is recognised at up to HELD_COST, others at CONTINUOUS_COST.
    To come back costs APPEAR_COST more, and to be somebody new more than that: so who left takes
    nobody for themselves who was there all the time.
    """
    is_alone = len(seen) == len(sample.candidates) == 1
    latest = max((last.time for last in seen), default=sample.time)
    likely = [
        {
            number: cost + (APPEAR_COST if last.time < latest else 0.0)
            for number, last in enumerate(seen)
            if (cost := _recognition_cost(last, sample, candidate, is_alone))
            < (CONTINUOUS_COST if last.time < latest or last.scene != sample.scene else HELD_COST)
        }
        for candidate in sample.candidates
    ]

    wanted_from = [frozenset[int]().union(*likely[k:]) for k in range(len(likely) + 1)]

    @cache  # in a crowd most choices come back to the same ones
    def best(k: int, taken: frozenset[int]) -> tuple[float, dict[int, int]]:
        """Of the candidates from the k-th on, while some numbers are taken."""
        if k == len(likely):
            return 0.0, {}
        rest_cost, rest = best(k + 1, taken & wanted_from[k + 1])
        least = (NEW_COST + rest_cost, rest)
        for number in sorted(likely[k].keys() - taken):
            rest_cost, rest = best(k + 1, (taken | {number}) & wanted_from[k + 1])
            cost = likely[k][number] + rest_cost
            if cost < least[0]:
                least = (cost, {k: number, **rest})
        return least

    return best(0, frozenset())[1]


def _recognition_cost(
    last: _LastSeen, sample: TrackSample, candidate: Candidate, is_alone: bool
) -> float:
    """Cost of the candidate being the person last seen so; is_alone: there is nobody else.

    Over a cut, and after a long absence, unknown clothes tell nobody apart.
    """
    seconds = float(sample.time - last.time)
    cut = sample.scene != last.scene
    unknown = last.candidate.colour is None or candidate.colour is None
    if unknown and not is_alone and (cut or seconds > REMEMBERED_S):
        return BREAK_COST
    return _transition(last.candidate, candidate, seconds, cut)


def isolated(samples: Sequence[TrackSample], chosen: Sequence[int | None]) -> list[int]:
    """Indexes of the samples whose subject continues neither the sample before nor in the next one.

    Only in shots of three or more samples; in shorter ones that is no evidence.
    """

    def linked(i: int, k: int) -> bool:
        a, b = chosen[i], chosen[k]
        if a is None or b is None or samples[i].scene != samples[k].scene:
            return False
        seconds = float(samples[k].time - samples[i].time)
        cost = move_cost(samples[i].candidates[a], samples[k].candidates[b], seconds)
        return cost < BREAK_COST / 2

    last = len(samples) - 1
    return [
        i
        for i, index in enumerate(chosen)
        if index is not None
        and sum(s.scene == samples[i].scene for s in samples) >= 3
        and not (i > 0 and linked(i - 1, i))
        and not (i < last and linked(i, i + 1))
    ]


TURN_DEG_PER_S = 200.0  # a dancer's turn
TURN_SLACK_DEG = 25.0  # the noise of two views
ROUND_COST_DEG = 20.0  # of exchanging a body's sides in one sample
NECK_DEG = 100.0  # how far a head turns on its shoulders, with the noise of both views
FRONTAL_FACE_DEG = 60.0  # a face turned further away says little about the body


def facing_steadily(bodies_at: Sequence[tuple[Fraction, Body]]) -> list[Body]:
    """The same bodies, with left and right exchanged where the network confused front and back.

    bodies_at: (time in s, body) of one shot, in order.  For each the choice is between the body and
    `body.turned_round` of it.  Dynamic programming finds the sequence that turns least beyond what
    a person can and that agrees best with the faces.
    """
    if not bodies_at:
        return []
    states = [(b, b if b.is_head else bodies.turned_round(b)) for _, b in bodies_at]
    views = [tuple(bodies.view_matrix(b) for b in pair) for pair in states]
    own = [
        (_face_cost(body, pair[0]), ROUND_COST_DEG + _face_cost(body, pair[1]))
        for (_, body), pair in zip(bodies_at, views, strict=True)
    ]
    costs = [list(own[0])]
    origins: list[list[int]] = [[0, 0]]
    for i in range(1, len(states)):
        seconds = float(bodies_at[i][0] - bodies_at[i - 1][0])
        allowed = TURN_SLACK_DEG + TURN_DEG_PER_S * seconds
        row, origin = [], []
        for k in (0, 1):
            reach = [
                costs[-1][j] + _turn_cost(views[i - 1][j], views[i][k], allowed) for j in (0, 1)
            ]
            best = int(np.argmin(reach))
            row.append(own[i][k] + reach[best])
            origin.append(best)
        costs.append(row)
        origins.append(origin)
    path = [int(np.argmin(costs[-1]))]
    for origin in reversed(origins[1:]):
        path.append(origin[path[-1]])
    path.reverse()
    return [pair[k] for pair, k in zip(states, path, strict=True)]


def _face_cost(body: Body, view: Floats | None) -> float:
    """Degrees by which a body's yaw contradicts that of its face; 0 where no face was recognised,
    since it may be small, hidden or blurred."""
    face = body.face
    if view is None or face is None or face.yaw_deg is None:
        return 0.0
    if abs(face.yaw_deg) > FRONTAL_FACE_DEG:
        return 0.0
    return max(0.0, abs(wrap_deg(view_angles(view).yaw - face.yaw_deg)) - NECK_DEG)


def _turn_cost(a: Floats | None, b: Floats | None, allowed_deg: float) -> float:
    if a is None or b is None:
        return 0.0
    return max(0.0, view_angle_deg(a, b) - allowed_deg)


def jumps(samples: Sequence[TrackSample], chosen: Sequence[int | None]) -> list[int]:
    """Indexes of the samples whose subject jumps away and back in place or scale.

    Its two neighbours agree with each other, and it agrees with neither: a wrong answer of the
    network's, and no movement.
    """
    found = []
    for i in range(1, len(samples) - 1):
        triple = [
            samples[k].candidates[index]
            for k in (i - 1, i, i + 1)
            if (index := chosen[k]) is not None and samples[k].scene == samples[i].scene
        ]
        if len(triple) < 3:
            continue
        before, here, after = triple
        dt_in = float(samples[i].time - samples[i - 1].time)
        dt_out = float(samples[i + 1].time - samples[i].time)
        if (
            move_cost(before, here, dt_in) >= BREAK_COST / 2
            and move_cost(here, after, dt_out) >= BREAK_COST / 2
            and move_cost(before, after, dt_in + dt_out) < BREAK_COST / 4
        ):
            found.append(i)
    return found
