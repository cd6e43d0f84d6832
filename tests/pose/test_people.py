from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from wan_prep import api
from wan_prep.pose import body as bodies
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.pose.people import people_in_still

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
SHARED = ROOT.parent / "shared" / "data"


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
