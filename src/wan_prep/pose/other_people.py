"""Find the people beside the main one.

The network often answers with the most prominent person alone.  So those found are masked out, and
the picture is looked at again.
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
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import PoseEstimator, Rgb
from wan_prep.pose.plausible import doubts
from wan_prep.pose.search import (
    REFERENCE_LOOKS,
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

OTHER_LEAST_SHARE = 0.005
"""Smallest share of the picture's area that counts as a person: half of what checks ask for."""
MOST_OTHERS = 5
"""More people than these are not looked for; they would change no finding."""

AGREEMENT_LEAST = 0.4
"""Share of all looks at a still that must find a body. Animals and things are found by fewer,
people by more (docs/calibration.md)."""

Believed = Callable[[Candidate], bool]
"""Whether a candidate needs no confirmation, since a neighbouring sample shows the same person."""


def nobody_expected(_candidate: Candidate) -> bool:
    """For a still, which has no neighbouring samples."""
    return False


def people_in_still(
    rgb: Rgb, estimator: PoseEstimator, person: PersonChoice = LARGEST
) -> tuple[Body | None, list[Body]]:
    """(main person, others) of a still; the main person refined and with its face.

    The main person is the one asked for; None where there are people, but not that one.

    A body that few of the closer looks find again is dropped: the network sees a person in almost
    every look, but one in a cat only now and then.
    """
    candidates = find_bodies(rgb, estimator, thoroughly=True)
    main, others = _main(rgb, candidates, estimator)
    if main is None and candidates:
        # The first look found nobody real, and may have missed a person because of that.
        main, others = _main(rgb, bodies_in_thirds(rgb, candidates, estimator), estimator)
    if main is None:
        return None, []
    people = [main, *confirmed_others(rgb, main.body, others, estimator)]
    regions = still_regions(inference.size_of(rgb))
    people += find_others(rgb, [p.body for p in people], regions, estimator)
    index = choose_subject([TrackSample(Fraction(0), 0, people)], person)[0]
    if index is None and not person.is_largest:
        return None, [other.body for other in people]
    if index:
        better = _refined(rgb, people[index], estimator)
        if better is not None or not person.is_largest:
            people[0], people[index] = better or people[index], people[0]
    body = people[0].body
    body = body.with_face(inference.find_face(rgb, body, estimator, thoroughly=True))
    (facing,) = facing_steadily([(Fraction(0), body)])
    return facing, [other.body for other in people[1:]]


def _main(
    rgb: Rgb, candidates: Sequence[Candidate], estimator: PoseEstimator
) -> tuple[Candidate | None, list[Candidate]]:
    """The most prominent candidate that closer looks confirm, and those not looked at yet."""
    main, others = None, list(candidates)
    while main is None and (index := _prominent(others)) is not None:
        main = _refined(rgb, others.pop(index), estimator)
    return main, others


def _prominent(candidates: list[Candidate]) -> int | None:
    return choose_subject([TrackSample(Fraction(0), 0, candidates)])[0]


def _refined(rgb: Rgb, found: Candidate, estimator: PoseEstimator) -> Candidate | None:
    """The candidate refined by all closer looks; None where too few of them find it."""
    body = refine(rgb, found.body, estimator)
    seen = body.looks / body.agreement
    return replace(found, body=body) if seen >= AGREEMENT_LEAST * REFERENCE_LOOKS else None


def masked(rgb: Rgb, people: Iterable[Body]) -> Rgb:
    """A copy of the picture with these people's boxes filled with its mean colour.

    Black would hide other people from the network, too; filling less than the box would leave parts
    of a person that it takes for another (docs/calibration.md).
    """
    hidden = rgb.copy()
    mean = cv2.mean(rgb)
    for body in people:
        box = bodies.body_box(body)
        corner = (ceil(box.right), ceil(box.bottom))
        cv2.rectangle(hidden, (int(box.left), int(box.top)), corner, mean, cv2.FILLED)
    return hidden


def still_regions(size: Size) -> list[Box]:
    """The regions that a still is searched in: all of it, then a square at either end."""
    return list(dict.fromkeys([inference.whole_square(size), *thirds(size)[1:3]]))


def confirmed_others(
    rgb: Rgb,
    subject: Body,
    seen: Iterable[Candidate],
    estimator: PoseEstimator,
    expected: Believed = nobody_expected,
) -> list[Candidate]:
    """Those of `seen` who are `expected`, or found again once the subject is masked out."""
    hidden = masked(rgb, [subject])
    return [
        replace(other, confirmed=True)
        for other in seen
        if share(other.body) >= OTHER_LEAST_SHARE
        and (expected(other) or seen_again(hidden, other.body, estimator))
    ]


def find_others(
    rgb: Rgb,
    people: Sequence[Body],
    regions: Iterable[Box],
    estimator: PoseEstimator,
    expected: Believed = nobody_expected,
) -> list[Candidate]:
    """People found in these regions while `people`, and those found so far, are masked out.

    Whoever is not `expected` must be found again by closer looks.
    """
    known, found = list(people), []
    hidden = masked(rgb, known)
    for region in regions:
        is_settled = False
        while not is_settled and len(known) <= MOST_OTHERS:
            seen = [b for b in inference.infer_region(hidden, region, estimator) if not doubts(b)]
            new = [b for b in merge(known, seen)[len(known) :] if share(b) >= OTHER_LEAST_SHARE]
            others = [candidate(rgb, body) for body in new]
            there = [c for c in others if expected(c) or seen_again(hidden, c.body, estimator)]
            found += [replace(other, beside=True, confirmed=True) for other in there]
            known += [other.body for other in there]
            hidden = masked(rgb, known)
            # The network may answer with a larger person instead of the new one; once that one is
            # masked out too, the region is looked at again.
            is_settled = not there or len(there) == len(new)
    return found
