"""Find everybody in one picture.

A detector of several people proposes, the pose network measures in the place proposed, and somebody
counts when both agree.  Whom the pose network does not measure, for instance because half of them
is hidden, still counts as another person if closer looks of the detector are sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from wan_prep.geometry import UNIT_BOX, Box, Floats, Size, square_around
from wan_prep.pose import body as bodies
from wan_prep.pose import heads, inference, skeleton
from wan_prep.pose.body import Body
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import PoseEstimator, Proposal, Rgb
from wan_prep.pose.movenet import JOINTS
from wan_prep.pose.plausible import doubts
from wan_prep.pose.search import (
    REFERENCE_LOOKS,
    bodies_in_thirds,
    candidate,
    first_look,
    refine,
    search_further,
    share,
)
from wan_prep.pose.track import Candidate, OtherPerson, TrackSample, choose_subject, facing_steadily

WIDE_SIDE_PX = 384
"""Longer side in which the detector is shown a whole picture: people of a fourth of its height are
seen in this and not in less (docs/calibration.md)."""
CLOSE_SIDE_PX = 256
"""Side in which it is shown the place of one person."""
PROPOSAL_LEAST = 0.08
"""Least score of a proposal. It is low, because the score of one look is not calibrated."""
AGREEMENT = 0.1
"""Mean distance between the joints of a proposal and those of a body, as a share of the proposal's
longer side, up to which both show the same person (docs/calibration.md)."""
SAME_HEAD = 0.2
"""The same for the points of two heads, as a share of the head's longer side."""
JOINT_SEEN = 0.15
"""Least score of a joint that a proposal is compared by."""
PROPOSED_FACTORS = (1.5, 1.25)
"""Squares in which the pose network looks at somebody proposed, as multiples of the longer side."""
CLOSER_LOOKS = ((1.2, False), (1.3, True))
"""The detector's own closer looks at a proposal: the square's side as a multiple of the box's, and
whether it is mirrored."""
CLOSER_SCORE, CLOSER_SURE = 0.28, 0.56
"""Mean score of those looks from which on somebody counts, and from which on that is sure. Animals
stay below 0.24, people half hidden have 0.31 and more (docs/calibration.md)."""
OTHER_LEAST_SHARE = 0.005
"""Smallest share of the picture's area that counts as a person: half of what checks ask for."""
MOST_OTHERS = 5
"""More people than these are not looked for; they would change no finding."""
AGREEMENT_LEAST = 0.4
"""Share of all looks at a still that must find a body. Animals and things are found by fewer,
people by more (docs/calibration.md)."""
AGREEMENT_PROPOSED = 0.2
"""The same for a body whose joints the detector sees as well: a second witness."""
LARGE_SHARE = 0.25
"""Share of the picture from which on a body leaves no room for a larger head beside it."""

SAME_PLACE_IOU = 0.3
"""Boxes of neighbouring samples with at least this intersection over union are one person's."""
HEAD_LOOKS = ((2.2, False), (2.2, True))
HEAD_AGREEMENT = 0.09
"""Mean distance between a head's landmarks and those that the detector sees in these looks, as a
share of the head's longer side, up to which it is a person's. That of a dog, whose face the face
network takes for a person's, is above 0.11; of people's, cut by the frame, below 0.075
(docs/calibration.md)."""

_PARTNERS = [JOINTS.index(skeleton.Joint(skeleton.MIRROR[joint])) for joint in JOINTS]
"""Index of each of the 17 joints' partner on the body's other side."""


def proposed(rgb: Rgb, estimator: PoseEstimator, side_px: int) -> list[Proposal]:
    """The detector's proposals, the best first, each person once, boxes clipped to the picture.

    side_px: longer side in which the detector is shown the picture.
    """
    size = inference.size_of(rgb)
    frame = Box(0.0, 0.0, float(size.width), float(size.height))
    found: list[Proposal] = []
    for raw in estimator.proposals(rgb, side_px):
        one = replace(raw, box=raw.box.clipped(frame))
        if one.score < PROPOSAL_LEAST or one.box.area <= 0.0:
            continue
        if not any(_distance(one, p.keypoints_xy, p.keypoint_scores) <= AGREEMENT for p in found):
            found.append(one)
    return found


def shows(proposal: Proposal, body: Body) -> bool:
    """Whether a proposal and a body are the same person: their joints agree, or their heads do,
    which decides in a close-up."""
    if _distance_to(proposal, body) <= AGREEMENT:
        return True
    points = proposal.keypoints_xy[: heads.HEAD_POINTS]
    seen = proposal.keypoint_scores[: heads.HEAD_POINTS] >= JOINT_SEEN
    head = bodies.head_box(body)
    if not seen.any():
        return bodies.body_box(body).iou(proposal.box) > 0.7
    own = body.keypoints_xy[list(JOINTS)][: heads.HEAD_POINTS]
    apart = np.linalg.norm(points[seen] - own[seen], axis=1).mean()
    return bool(apart <= SAME_HEAD * max(head.width, head.height))


def _distance_to(proposal: Proposal, body: Body) -> float:
    return _distance(proposal, body.keypoints_xy[list(JOINTS)], np.ones(len(JOINTS)))


def _distance(proposal: Proposal, keypoints_xy: Floats, scores: Floats) -> float:
    """Mean distance of the joints both show, as a share of the proposal's longer side; infinite
    where they have less than half a joint in common."""
    weights = np.minimum(proposal.keypoint_scores, scores)
    weights = weights * (proposal.keypoint_scores >= JOINT_SEEN)
    if weights.sum() < 0.5:
        return float("inf")
    apart = np.linalg.norm(proposal.keypoints_xy - keypoints_xy, axis=1)
    return float(np.average(apart, weights=weights)) / _side(proposal)


def _side(proposal: Proposal) -> float:
    return max(proposal.box.width, proposal.box.height, 1.0)


def measured(rgb: Rgb, proposal: Proposal, estimator: PoseEstimator) -> Body | None:
    """The body that the pose network sees where somebody is proposed; None where it sees another
    or nobody."""
    for factor in PROPOSED_FACTORS:
        region = square_around(proposal.box.center, factor * _side(proposal))
        for body in inference.infer_region(rgb, region, estimator):
            if not doubts(body) and _distance_to(proposal, body) <= AGREEMENT:
                return body
    return None


def looked_at_closer(rgb: Rgb, proposal: Proposal, estimator: PoseEstimator) -> OtherPerson | None:
    """Somebody proposed, whom the detector sees again in closer looks; None where it does not."""
    boxes, scores = [], []
    for factor, mirror in CLOSER_LOOKS:
        region = square_around(proposal.box.center, factor * _side(proposal))
        seen = _proposed_in(rgb, region, estimator, mirror)
        same = [p for p in seen if _distance(proposal, p.keypoints_xy, p.keypoint_scores) < 0.2]
        best = max(same, key=lambda p: p.score, default=None)
        scores.append(0.0 if best is None else best.score)
        boxes += [] if best is None else [best.box]
    score = float(np.mean(scores))
    if score < CLOSER_SCORE:
        return None
    return OtherPerson(
        _as_fractions(boxes[0], inference.size_of(rgb)), min(1.0, score / CLOSER_SURE)
    )


def _proposed_in(rgb: Rgb, region: Box, estimator: PoseEstimator, mirror: bool) -> list[Proposal]:
    """Proposals in a square region, in px of the whole picture."""
    picture = inference.crop_square(rgb, region, CLOSE_SIDE_PX)
    if not mirror:
        return [_placed(p, region) for p in estimator.proposals(picture, CLOSE_SIDE_PX)]
    picture = np.ascontiguousarray(picture[:, ::-1])
    return [_placed(_unmirrored(p), region) for p in estimator.proposals(picture, CLOSE_SIDE_PX)]


def _placed(proposal: Proposal, region: Box) -> Proposal:
    scale = region.width / CLOSE_SIDE_PX
    box = proposal.box.scaled(scale, scale)
    return replace(
        proposal,
        keypoints_xy=proposal.keypoints_xy * scale + (region.left, region.top),
        box=Box(
            box.left + region.left,
            box.top + region.top,
            box.right + region.left,
            box.bottom + region.top,
        ),
    )


def _unmirrored(proposal: Proposal) -> Proposal:
    return replace(
        proposal,
        keypoints_xy=proposal.keypoints_xy[_PARTNERS] * (-1.0, 1.0) + (float(CLOSE_SIDE_PX), 0.0),
        keypoint_scores=proposal.keypoint_scores[_PARTNERS],
        box=Box(
            CLOSE_SIDE_PX - proposal.box.right,
            proposal.box.top,
            CLOSE_SIDE_PX - proposal.box.left,
            proposal.box.bottom,
        ),
    )


def found_by(
    rgb: Rgb, known: Sequence[Candidate], proposals: Iterable[Proposal], estimator: PoseEstimator
) -> list[Candidate]:
    """Candidates beside those known: people proposed whom the pose network can measure."""
    found: list[Candidate] = []
    for proposal in proposals:
        people = [c.body for c in (*known, *found)]
        if any(shows(proposal, body) for body in people):
            continue
        body = measured(rgb, proposal, estimator)
        if body is not None and not any(_same_person(body, other) for other in people):
            box = _as_fractions(proposal.box, body.size)
            one = replace(candidate(rgb, body), beside=bool(known), confirmed=True, detected=box)
            found.append(one)
    return found


def _same_person(a: Body, b: Body) -> bool:
    """Whether two bodies of one picture have their joints in the same places."""
    joints = list(skeleton.BODY)
    apart = np.linalg.norm(a.keypoints_xy[joints] - b.keypoints_xy[joints], axis=1).mean()
    box = bodies.widest_box(a)
    return bool(apart <= AGREEMENT * max(box.width, box.height, 1.0))


def find_unmeasured(
    rgb: Rgb,
    known: Sequence[Body],
    proposals: Iterable[Proposal],
    estimator: PoseEstimator,
    near: Sequence[Box] = (),
) -> list[OtherPerson]:
    """People proposed who are none of those known and whom the pose network does not measure.

    near: where a neighbouring sample shows other people, as fractions of the picture.  They are
    looked for in these places, and need no confirmation there; others must be seen again by closer
    looks.
    """
    size = inference.size_of(rgb)
    fractions = [_as_fractions(bodies.body_box(body), size) for body in known]
    new = [p for p in proposals if not any(shows(p, body) for body in known)]
    for box in near:
        places = [*fractions, *(_as_fractions(p.box, size) for p in new)]
        if not any(box.iou(place) >= SAME_PLACE_IOU for place in places):
            new += _proposed_near(rgb, box, estimator)
    found: list[OtherPerson] = []
    for proposal in new:
        box = _as_fractions(proposal.box, size)
        if box.area < OTHER_LEAST_SHARE:
            continue
        if any(box.iou(other) >= SAME_PLACE_IOU for other in near):
            found.append(OtherPerson(box, CLOSER_SCORE / CLOSER_SURE))
        elif one := looked_at_closer(rgb, proposal, estimator):
            found.append(one)
    return found


def _proposed_near(rgb: Rgb, box: Box, estimator: PoseEstimator) -> list[Proposal]:
    """The proposal, if any, of a closer look at this box, which is given as fractions."""
    size = inference.size_of(rgb)
    place = box.scaled(float(size.width), float(size.height))
    region = square_around(place.center, CLOSER_LOOKS[0][0] * max(place.width, place.height))
    seen = [
        p
        for p in _proposed_in(rgb, region, estimator, mirror=False)
        if p.score >= CLOSER_SCORE and _as_fractions(p.box, size).iou(box) >= SAME_PLACE_IOU
    ]
    return seen[:1]


def find_persons_head(rgb: Rgb, regions: Iterable[Box], estimator: PoseEstimator) -> Body | None:
    """The first head in these squares, if the detector sees its landmarks where the face network
    does: that alone takes the faces of some animals for a person's."""
    head = heads.find_head(rgb, regions, estimator)
    return head if head is not None and _is_persons(rgb, head, estimator) else None


def find_large_head(
    rgb: Rgb, proposals: Sequence[Proposal], estimator: PoseEstimator
) -> Candidate | None:
    """The head that fills much of a picture, if there is one."""
    size = inference.size_of(rgb)
    regions = [*heads.whole_regions(size), *heads.proposed_regions(proposals[:2])]
    head = find_persons_head(rgb, regions, estimator)
    return None if head is None else candidate(rgb, head)


def _is_persons(rgb: Rgb, head: Body, estimator: PoseEstimator) -> bool:
    box = bodies.head_box(head)
    side = max(box.width, box.height)
    own = head.keypoints_xy[list(JOINTS)][: heads.HEAD_POINTS]
    apart = []
    for factor, mirror in HEAD_LOOKS:
        region = square_around(box.center, factor * side)
        seen = [
            float(np.linalg.norm(p.keypoints_xy[: heads.HEAD_POINTS] - own, axis=1).mean())
            for p in _proposed_in(rgb, region, estimator, mirror)
        ]
        apart.append(min(seen, default=side))
    return float(np.mean(apart)) <= HEAD_AGREEMENT * side


def _as_fractions(box: Box, size: Size) -> Box:
    return box.scaled(1.0 / size.width, 1.0 / size.height).clipped(UNIT_BOX)


def find_people(
    rgb: Rgb, proposals: Sequence[Proposal], estimator: PoseEstimator, *, thoroughly: bool = False
) -> list[Candidate]:
    """Everybody in a picture whom a network can measure, as candidates.

    proposals: of this picture.  thoroughly: where nobody is found, also search for people of a
    tenth of the picture's height, which takes about fifty looks.
    """
    seen, doubted = first_look(rgb, estimator)
    found = [candidate(rgb, body) for body in seen]
    found += found_by(rgb, found, proposals, estimator)
    if not any(share(c.body) >= LARGE_SHARE for c in found):
        head = find_large_head(rgb, proposals, estimator)
        if head is not None and not any(heads.is_head_of(head.body, c.body) for c in found):
            found.append(head)
    known = [c.body for c in found]
    more = search_further(rgb, known, doubted, estimator, thoroughly=thoroughly)
    return found + [candidate(rgb, body) for body in more]


def people_in_still(
    rgb: Rgb, estimator: PoseEstimator, person: PersonChoice = LARGEST
) -> tuple[Body | None, list[OtherPerson]]:
    """(main person, others) of a still; the main person refined and with its face.

    The main person is the one asked for; None where there are people, but not that one.

    A body that few of the closer looks find again is dropped: the network sees a person in almost
    every look, but one in a cat only now and then.
    """
    proposals = proposed(rgb, estimator, WIDE_SIDE_PX)
    candidates = find_people(rgb, proposals, estimator, thoroughly=True)
    main, rest = _main(rgb, candidates, proposals, estimator)
    if main is None and candidates:
        # The first look found nobody real, and may have missed a person because of that.
        known = [c.body for c in candidates]
        more = [candidate(rgb, body) for body in bodies_in_thirds(rgb, known, estimator)]
        main, rest = _main(rgb, more, proposals, estimator)
    if main is None and any(share(c.body) >= LARGE_SHARE for c in candidates):
        # To a face that fills the picture the pose network adds a body that no look finds again,
        # and which was large enough for no head to be looked for.
        main = find_large_head(rgb, proposals, estimator)
    if main is None:
        return None, []
    people = [main, *confirmed(rest, proposals)]
    unmeasured = find_unmeasured(rgb, [c.body for c in people], proposals, estimator)
    index = choose_subject([TrackSample(Fraction(0), 0, people)], person)[0]
    if index is None and not person.is_largest:
        return None, [*(OtherPerson.of(c) for c in people), *unmeasured][:MOST_OTHERS]
    if index:
        better = _refined(rgb, people[index], proposals, estimator)
        if better is not None or not person.is_largest:
            people[0], people[index] = better or people[index], people[0]
    body = people[0].body
    others = [*(OtherPerson.of(c) for c in people[1:]), *unmeasured]
    body = body.with_face(inference.find_face(rgb, body, estimator, thoroughly=True))
    (facing,) = facing_steadily([(Fraction(0), heads.as_seen(body))])
    return facing, others[:MOST_OTHERS]


def confirmed(others: Iterable[Candidate], proposals: Sequence[Proposal]) -> list[Candidate]:
    """Those whom the detector proposes as well, with the box in which it does."""
    sure = []
    for other in others:
        proposal = next((p for p in proposals if shows(p, other.body)), None)
        if share(other.body) < OTHER_LEAST_SHARE or not (other.confirmed or proposal):
            continue
        box = other.detected
        if proposal is not None and not other.body.is_head:
            box = _as_fractions(proposal.box, other.body.size)
        sure.append(replace(other, confirmed=True, detected=box))
    return sure


def _main(
    rgb: Rgb,
    candidates: Sequence[Candidate],
    proposals: Sequence[Proposal],
    estimator: PoseEstimator,
) -> tuple[Candidate | None, list[Candidate]]:
    """The most prominent candidate that closer looks confirm, and those not looked at yet."""
    main, others = None, list(candidates)
    while main is None and (index := _prominent(others)) is not None:
        main = _refined(rgb, others.pop(index), proposals, estimator)
    return main, others


def _prominent(candidates: list[Candidate]) -> int | None:
    return choose_subject([TrackSample(Fraction(0), 0, candidates)])[0]


def _refined(
    rgb: Rgb, found: Candidate, proposals: Sequence[Proposal], estimator: PoseEstimator
) -> Candidate | None:
    """The candidate refined by all closer looks; None where too few of them find it."""
    if found.body.is_head:
        return found
    body = refine(rgb, found.body, estimator)
    least = AGREEMENT_PROPOSED if any(shows(p, body) for p in proposals) else AGREEMENT_LEAST
    seen = body.looks / body.agreement
    return replace(found, body=body) if seen >= least * REFERENCE_LOOKS else None
