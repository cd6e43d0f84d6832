"""The people beside the main one.

A network made for one person answers with the most evident one, and often with nobody else.  So
whoever is known is covered, and the rest of the picture is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil

import cv2

from wan_prep.geometry import Box, Size
from wan_prep.pose import body as bodies
from wan_prep.pose import inference
from wan_prep.pose.body import Body
from wan_prep.pose.estimator import PoseEstimator, Rgb
from wan_prep.pose.plausible import doubts
from wan_prep.pose.search import (
    KEY_LOOKS,
    bodies_in_thirds,
    candidate,
    find_bodies,
    merge,
    refine,
    seen_again,
    share,
    thirds,
)
from wan_prep.pose.track import Candidate, TrackSample, choose_subject, facing_steadily

SPECK = 0.005
"""Below this share of the picture nobody is counted: half of what the profile asks about."""
MOST_OTHERS = 5
"""As many as the network answers with at once; more would not change a finding."""

SEEN_AGAIN = 0.4
"""Share of all looks at a still that must find a body for it to be one. Measured: of 11 that one
look saw in 35 pictures of cats, a dog and things no more than 0.3 did; of people 0.9 and more, of
one in a crowd, who is missed for others, 0.4 to 0.7."""

Believed = Callable[[Candidate], bool]


def nobody_expected(_candidate: Candidate) -> bool:
    """A still has no neighbours that would say who is there."""
    return False


def people_in_still(rgb: Rgb, estimator: PoseEstimator) -> tuple[Body | None, list[Body]]:
    """The main person of a still, refined and with its face, and the others.

    A body that few of the closer looks find again is none: a network sees one in a cat now and
    then, a person it sees every time.
    """
    candidates = find_bodies(rgb, estimator, thoroughly=True)
    main, others = _main(rgb, candidates, estimator)
    if main is None and candidates:
        # One look was wrong about somebody; who is really there may have been missed for them.
        main, others = _main(rgb, bodies_in_thirds(rgb, candidates, estimator), estimator)
    if main is None:
        return None, []
    people = [main, *confirmed_others(rgb, main.body, others, estimator)]
    regions = still_regions(inference.size_of(rgb))
    people += find_others(rgb, [p.body for p in people], regions, estimator)
    if (index := _prominent(people)) and (better := _refined(rgb, people[index], estimator)):
        people[0], people[index] = better, people[0]
    body = people[0].body
    body = body.with_face(inference.find_face(rgb, body, estimator, thoroughly=True))
    (facing,) = facing_steadily([(Fraction(0), body)])
    return facing, [other.body for other in people[1:]]


def _main(
    rgb: Rgb, candidates: Sequence[Candidate], estimator: PoseEstimator
) -> tuple[Candidate | None, list[Candidate]]:
    """The most prominent candidate that closer looks confirm, and those not asked yet."""
    main, others = None, list(candidates)
    while main is None and (index := _prominent(others)) is not None:
        main = _refined(rgb, others.pop(index), estimator)
    return main, others


def _prominent(candidates: list[Candidate]) -> int | None:
    return choose_subject([TrackSample(Fraction(0), 0, candidates)])[0]


def _refined(rgb: Rgb, found: Candidate, estimator: PoseEstimator) -> Candidate | None:
    """The candidate after all closer looks; None where too few find it again."""
    body = refine(rgb, found.body, estimator)
    seen = body.looks / body.agreement
    return replace(found, body=body) if seen >= SEEN_AGAIN * KEY_LOOKS else None


def masked(rgb: Rgb, people: Iterable[Body]) -> Rgb:
    """A copy of the picture with these people's boxes in its own mean colour.

    Measured: black hides a second, larger person from the network, and covering the outline or
    the torso alone lets parts of the covered one pass for another.
    """
    hidden = rgb.copy()
    mean = cv2.mean(rgb)
    for body in people:
        box = bodies.body_box(body)
        corner = (ceil(box.right), ceil(box.bottom))
        cv2.rectangle(hidden, (int(box.left), int(box.top)), corner, mean, cv2.FILLED)
    return hidden


def still_regions(size: Size) -> list[Box]:
    """Squares that show a whole still: all of it, and both its ends closer."""
    return list(dict.fromkeys([inference.whole_square(size), *thirds(size)[1:3]]))


def confirmed_others(
    rgb: Rgb,
    subject: Body,
    seen: Iterable[Candidate],
    estimator: PoseEstimator,
    expected: Believed = nobody_expected,
) -> list[Candidate]:
    """Those seen beside the subject who are `expected`, or found again with it covered."""
    hidden = masked(rgb, [subject])
    return [
        replace(other, confirmed=True)
        for other in seen
        if share(other.body) >= SPECK
        and (expected(other) or seen_again(hidden, other.body, estimator))
    ]


def find_others(
    rgb: Rgb,
    people: Sequence[Body],
    regions: Iterable[Box],
    estimator: PoseEstimator,
    expected: Believed = nobody_expected,
) -> list[Candidate]:
    """Who else is seen, one look a region, when `people` and those found so far are covered.

    Whoever is not `expected` has to be found again by closer looks.
    """
    known, found = list(people), []
    hidden = masked(rgb, known)
    for region in regions:
        is_settled = False
        while not is_settled and len(known) <= MOST_OTHERS:
            seen = [b for b in inference.infer_region(hidden, region, estimator) if not doubts(b)]
            new = [b for b in merge(known, seen)[len(known) :] if share(b) >= SPECK]
            others = [candidate(rgb, body) for body in new]
            there = [c for c in others if expected(c) or seen_again(hidden, c.body, estimator)]
            found += [replace(other, beside=True, confirmed=True) for other in there]
            known += [other.body for other in there]
            hidden = masked(rgb, known)
            # Looks at a smaller one answer with a larger one, until that is covered as well.
            is_settled = not there or len(there) == len(new)
    return found
