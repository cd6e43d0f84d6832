from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from proposing import proposals_of
from wan_prep import api
from wan_prep.geometry import Box
from wan_prep.pose import body as bodies
from wan_prep.pose import people
from wan_prep.pose.body import Body
from wan_prep.pose.estimator import Proposal, RawPose
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.pose.people import people_in_still
from wan_prep.pose.track import Candidate, OtherPerson

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
SHARED = ROOT.parent / "shared" / "data"


SIZE = (256, 256)


class Detector:
    """A detector that sees these bodies, in px of a 256 x 256 picture, in any picture of that size;
    in smaller ones, which are closer looks, `closer`."""

    def __init__(self, wide: list[Proposal], closer: list[Proposal] | None = None) -> None:
        self.wide, self.closer = wide, closer or []
        self.sides: list[int] = []

    def proposals(self, rgb: np.ndarray, side_px: int) -> list[Proposal]:
        self.sides.append(side_px)
        return self.wide if side_px == people.WIDE_SIDE_PX else self.closer

    def poses(self, _rgb: np.ndarray) -> list[RawPose]:
        return []


def raw(body: Body) -> RawPose:
    return RawPose(body.keypoints_xy, body.visibility, body.local_xyz)


def proposal(body: Body, score: float = 0.6) -> Proposal:
    return proposals_of([raw(body)], score)[0]


PICTURE = np.zeros((256, 256, 3), np.uint8)


def test_one_person_proposed_twice_is_one(make: Any) -> None:
    """130 px tall; 0.1 of it are 13 px."""
    body, near, apart = (
        make.body(hips=(x, 128.0), px_per_m=70.0, size=SIZE) for x in (100.0, 110.0, 116.0)
    )
    proposals = [proposal(body), proposal(near, 0.5), proposal(apart, 0.4)]
    found = people.proposed(PICTURE, Detector(proposals), people.WIDE_SIDE_PX)  # type: ignore[arg-type]
    assert [p.score for p in found] == [0.6, 0.4]


def test_proposals_below_the_least_score_and_outside_the_picture_are_dropped(make: Any) -> None:
    body = make.body(hips=(128.0, 128.0), px_per_m=70.0, size=SIZE)
    outside = make.body(hips=(-200.0, 128.0), px_per_m=70.0, size=SIZE)
    faint = [proposal(body, 0.079), proposal(outside, 0.9)]
    assert people.proposed(PICTURE, Detector(faint), people.WIDE_SIDE_PX) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("x", "same"), [(128.0, True), (139.0, True), (160.0, False)])
def test_a_proposal_shows_the_body_whose_joints_are_where_its_are(
    make: Any, x: float, same: bool
) -> None:
    body = make.body(hips=(128.0, 128.0), px_per_m=70.0, size=SIZE)
    other = make.body(hips=(x, 128.0), px_per_m=70.0, size=SIZE)
    assert people.shows(proposal(other), body) is same


def test_somebody_confirmed_has_the_detectors_box(make: Any) -> None:
    """It is drawn around the joints that the detector sees, grown by a tenth of its longer side."""
    body = make.body(hips=(128.0, 128.0), px_per_m=70.0, size=SIZE)
    seen = proposal(body)
    (sure,) = people.confirmed([Candidate(body)], [seen])
    assert sure.confirmed
    assert OtherPerson.of(sure).box == pytest.approx(seen.box.scaled(1 / 256, 1 / 256))
    assert people.confirmed([Candidate(body)], []) == []
    own = people.confirmed([Candidate(body, confirmed=True)], [])[0]
    box = bodies.body_box(body).scaled(1 / 256, 1 / 256)
    assert OtherPerson.of(own).box == pytest.approx(box)


def test_in_a_close_up_the_head_decides(make: Any) -> None:
    """The box of a close-up is a guess of the detector's, and so are all joints below the head."""
    body = make.body(hips=(128.0, 128.0), px_per_m=70.0, size=SIZE)
    true = proposal(body)
    points = true.keypoints_xy.copy()
    points[5:] += (90.0, -60.0)
    assert people.shows(replace(true, keypoints_xy=points), body)
    points[:5] += (12.0, 0.0)
    assert not people.shows(replace(true, keypoints_xy=points), body)


def test_whoever_stood_there_a_moment_ago_is_looked_for_closer(make: Any) -> None:
    """The wide look misses them; the closer one sees them where the neighbour did."""
    subject = make.body(hips=(60.0, 128.0), px_per_m=70.0, size=SIZE)
    near = Box(0.7, 0.3, 0.9, 0.8)
    # In the closer look, a square of 1.2 x 0.5 of the picture around the middle of that box.
    place = proposal(make.body(hips=(128.0, 128.0), px_per_m=110.0, size=SIZE), 0.4)
    detector = Detector([proposal(subject)], [place])
    found = people.find_unmeasured(PICTURE, [subject], detector.wide, detector, [near])  # type: ignore[arg-type]
    assert len(found) == 1
    assert found[0].box.iou(near) > 0.3
    assert found[0].confidence == pytest.approx(0.5)
    assert people.find_unmeasured(PICTURE, [subject], detector.wide, detector) == []  # type: ignore[arg-type]


def test_whom_the_neighbour_shows_and_who_is_measured_here_is_not_looked_for(make: Any) -> None:
    subject = make.body(hips=(60.0, 128.0), px_per_m=70.0, size=SIZE)
    other = make.body(hips=(200.0, 128.0), px_per_m=70.0, size=SIZE)
    detector = Detector([proposal(subject), proposal(other)])
    box = bodies.body_box(other).scaled(1 / 256, 1 / 256)
    both = [subject, other]
    assert people.find_unmeasured(PICTURE, both, detector.wide, detector, [box]) == []  # type: ignore[arg-type]
    assert detector.sides == []


# ------------------------------------------------------------------ the real network


def reference() -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(FIXTURES / "reference.png"))[:, :, ::-1])


@pytest.mark.model
def test_one_person_is_alone(network: MediapipeEstimator) -> None:
    body, others = people_in_still(reference(), network)
    assert body is not None
    assert others == []


@pytest.mark.model
def test_a_smaller_person_beside_a_larger_one_is_found(network: MediapipeEstimator) -> None:
    """The same one twice, at 0.7 of the size at the right."""
    large = reference()
    small = cv2.resize(large, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    height, width = large.shape[:2]
    both = np.full((height, width + small.shape[1], 3), large.mean(axis=(0, 1)), np.uint8)
    both[:, :width] = large
    both[height - small.shape[0] :, width:] = small
    alone, _ = people_in_still(large, network)
    body, others = people_in_still(both, network)
    assert alone is not None
    assert body is not None
    np.testing.assert_allclose(bodies.neck_xy(body), bodies.neck_xy(alone), atol=0.03 * height)
    (other,) = others
    box = bodies.body_box(alone)
    left, top = width + 0.7 * box.left, height - 0.7 * (height - box.top)
    assert other.box.left * both.shape[1] == pytest.approx(left, abs=0.05 * width)
    assert other.box.top * height == pytest.approx(top, abs=0.05 * height)


@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real media of ../shared/data are not here")
@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("pairs/steadydancer_m1/image.png", 1),
        ("keypoints/coco/000000000785.jpg", 0),
        ("keypoints/coco/000000040083.jpg", 1),
        ("keypoints/coco/000000196141.jpg", 3),
        ("keypoints/coco/000000197388.jpg", 4),
        ("pairs/wan22_animate/image.jpeg", 0),
        ("pairs/mimicmotion_hb1/image.png", 0),
    ],
)
def test_people_in_photographs(name: str, others: int, network: MediapipeEstimator) -> None:
    """As many as a person counts."""
    seen = api.observe(SHARED / name, estimator=network)
    assert seen.first is not None
    assert seen.first.subject is not None
    assert len(seen.first.others) == others


@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real media of ../shared/data are not here")
@pytest.mark.parametrize(
    ("who", "side"),
    [("left", 0), ("right", 1), ("2", 1), ("0.4,0.6", 0), ("0.7,0.6", 1)],
)
def test_the_one_asked_for_of_two_at_night(
    who: str, side: int, network: MediapipeEstimator
) -> None:
    """She stands at the left, he at the right, he is the larger; she waves, he reaches over."""
    image = api.observe(SHARED / "pairs/steadydancer_m1/image.png", person=who, estimator=network)
    video = api.observe(
        SHARED / "pairs/steadydancer_m1/video.mp4", person=who, end=2, estimator=network
    )
    for seen in (image, video):
        for o in seen.observations:
            assert o.subject is not None
            (other,) = o.others
            assert (o.subject.box.center[0] > other.center[0]) == bool(side)


@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real media of ../shared/data are not here")
@pytest.mark.parametrize("who", ["3", "0.05,0.05"])
def test_nobody_is_taken_for_one_who_is_not_there(who: str, network: MediapipeEstimator) -> None:
    seen = api.observe(SHARED / "pairs/steadydancer_m1/image.png", person=who, estimator=network)
    assert (seen.found, len(seen.bystanders)) == ((), 2)


@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real media of ../shared/data are not here")
def test_two_people_full_body_at_night(network: MediapipeEstimator) -> None:
    seen = api.observe(SHARED / "pairs/steadydancer_m1/video.mp4", end=3, estimator=network)
    assert [len(o.others) for o in seen.observations] == [1] * len(seen.observations)
