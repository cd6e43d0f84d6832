from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from proposing import proposals_of
from wan_prep import api
from wan_prep.geometry import Box, Size, square_around, view_angles
from wan_prep.pose import body as bodies
from wan_prep.pose import heads
from wan_prep.pose.body import Body, FaceBox
from wan_prep.pose.estimator import Proposal, RawFace, RawPose
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.pose.people import find_persons_head, people_in_still
from wan_prep.pose.plausible import doubts
from wan_prep.pose.skeleton import HEAD, MIRROR, SHOULDERS, Joint

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
SHARED = ROOT.parent / "shared" / "data"
SIZE = Size(400, 300)


def mesh_at(x: float, y: float, unit: float) -> np.ndarray:
    """A (468, 3) face that looks into the camera: eye corners 2 units apart, forehead to chin 4."""
    mesh = np.tile((x, y, 0.0), (468, 1))
    for index, dx, dy in (
        *((33, -1.0, -0.5), (133, -0.4, -0.5), (362, 0.4, -0.5), (263, 1.0, -0.5)),
        *((10, 0.0, -2.0), (152, 0.0, 2.0), (1, 0.0, 0.2), (61, -0.5, 1.0), (291, 0.5, 1.0)),
        *((234, -1.6, 0.0), (454, 1.6, 0.0), (127, -1.6, -0.5), (356, 1.6, -0.5)),
    ):
        mesh[index, :2] += (dx * unit, dy * unit)
    return mesh


class OneFace:
    """Sees a face at 200, 150 of a painted 400 x 300 picture, wherever it is shown it, and the
    detector sees its head `astray` px off."""

    name, sha256 = "one face", "1" * 64

    def __init__(self, unit: float, astray: float = 0.0) -> None:
        self.unit, self.astray = unit, astray
        self.faces = 0

    def _shown(self, rgb: np.ndarray) -> tuple[float, float, float] | None:
        """Scale and offset of the region, read off the picture: red says x, green y."""
        clear = np.argwhere(rgb[..., 2] == 200)
        if len(clear) < 50:
            return None
        (y0, x0), (_, x1) = clear.min(axis=0) + 2, clear.max(axis=0) - 2
        red, green = rgb[y0, :, 0].astype(float), rgb[:, x0, 1].astype(float)
        scale = (x1 - x0) / (red[x1] - red[x0]) / 2.0  # below 0 in a mirrored region
        return scale, x0 - scale * 2.0 * red[x0], y0 - abs(scale) * 2.0 * green[y0]

    def face(self, rgb: np.ndarray) -> RawFace | None:
        self.faces += 1
        shown = self._shown(rgb)
        if shown is None:
            return None
        scale, dx, dy = shown
        mesh = mesh_at(200.0, 150.0, self.unit)
        return RawFace(mesh * (scale, abs(scale), abs(scale)) + (dx, dy, 0.0))

    def poses(self, _rgb: np.ndarray) -> list[RawPose]:
        return []

    def proposals(self, rgb: np.ndarray, side_px: int) -> list[Proposal]:
        shown = self._shown(rgb)
        if shown is None:
            return []
        scale, dx, dy = shown
        head = heads.body_of(mesh_at(200.0 + self.astray, 150.0, self.unit), SIZE)
        points = head.keypoints_xy * (scale, abs(scale)) + (dx, dy)
        points = points if scale > 0 else points[MIRROR]
        return proposals_of([RawPose(points, head.visibility, head.world_xyz)])


@pytest.fixture
def picture() -> np.ndarray:
    rgb = np.full((SIZE.height, SIZE.width, 3), 200, np.uint8)
    rgb[..., 0] = np.arange(SIZE.width)[None, :] // 2
    rgb[..., 1] = np.arange(SIZE.height)[:, None] // 2
    return rgb


def test_a_mesh_becomes_a_head_with_a_body_hidden_below_it() -> None:
    """Eye corners 40 px apart and forehead to chin 80: 56.6 px are an adult's 0.127 m."""
    head = heads.body_of(mesh_at(200.0, 100.0, 20.0), SIZE)
    assert head.is_head
    np.testing.assert_array_equal(np.flatnonzero(head.visibility), list(HEAD))
    np.testing.assert_allclose(head.keypoints_xy[Joint.NOSE], (200.0, 104.0))
    np.testing.assert_allclose(head.keypoints_xy[Joint.LEFT_EYE], (214.0, 90.0))
    np.testing.assert_allclose(head.keypoints_xy[Joint.MOUTH_RIGHT], (190.0, 120.0))
    scale = 20.0 * 8.0**0.5 / 0.127
    neck = bodies.midpoint(head.keypoints_xy, SHOULDERS)
    np.testing.assert_allclose(neck, (200.0, 90.0 + 0.215 * scale), atol=0.1)
    assert doubts(head) == ()


def test_the_standing_body_is_the_same_on_both_sides() -> None:
    world = heads.STANDING_M
    np.testing.assert_allclose(world[Joint.LEFT_ANKLE] * (-1, 1, 1), world[Joint.RIGHT_ANKLE])
    assert np.ptp(world[:, 1]) == pytest.approx(1.625, abs=0.01)
    np.testing.assert_allclose(world[[Joint.LEFT_HIP, Joint.RIGHT_HIP]].mean(axis=0), 0.0)


def test_a_face_that_fills_the_picture_is_a_head(picture: np.ndarray) -> None:
    head = heads.find_head(picture, heads.whole_regions(SIZE), OneFace(40.0))  # type: ignore[arg-type]
    assert head is not None
    assert head.face is not None
    assert (head.looks, head.face.confidence) == (2, 1.0)
    assert head.face.span_px == pytest.approx(40.0 * 8.0**0.5, rel=0.02)
    assert head.px_per_m == pytest.approx(head.face.span_px / 0.127)
    angles = view_angles(head.view_matrix)  # type: ignore[arg-type]
    assert angles == pytest.approx((0.0, 0.0, 0.0), abs=1.0)
    box = head.face.box
    assert (box.left, box.right, box.bottom) == pytest.approx((136.0, 264.0, 230.0), abs=2.0)


def test_a_small_face_is_no_head_of_its_own(picture: np.ndarray) -> None:
    """4 units of 5 px are 20 px, less than 0.08 of 300."""
    assert heads.find_head(picture, heads.whole_regions(SIZE), OneFace(5.0)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("astray", "found"), [(0.0, True), (10.0, True), (40.0, False)])
def test_a_head_needs_the_detector_to_see_it_in_the_same_place(
    picture: np.ndarray, astray: float, found: bool
) -> None:
    """Its longer side is some 280 px, of which 0.09 are 25."""
    network = OneFace(40.0, astray)
    head = find_persons_head(picture, heads.whole_regions(SIZE), network)  # type: ignore[arg-type]
    assert (head is not None) is found


def test_a_still_of_a_face_shows_a_head_and_nobody_else(picture: np.ndarray) -> None:
    body, others = people_in_still(picture, OneFace(40.0))  # type: ignore[arg-type]
    assert body is not None
    assert (body.is_head, others) == (True, [])
    assert body.face is not None
    assert body.face.agreement == 1.0


def in_sight_below(body: Body, *joints: Joint) -> Body:
    """The same body with these joints alone seen below its head."""
    visibility = np.zeros(33)
    visibility[[*HEAD, *joints]] = 1.0
    return replace(body, visibility=visibility)


FACE = FaceBox(Box(100.0, 40.0, 150.0, 100.0), 5.0, 0.0, 1.0, 40.0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("joints", "is_head"),
    [
        ((), True),
        ((Joint.LEFT_SHOULDER,), True),
        ((Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER), False),
        ((Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW), False),
    ],
)
def test_a_body_of_which_hardly_more_than_a_face_is_seen_is_a_head(
    make: Any, joints: tuple[Joint, ...], is_head: bool
) -> None:
    body = in_sight_below(make.body(hips=(128.0, 128.0), px_per_m=70.0, size=(256, 256)), *joints)
    seen = heads.as_seen(body.with_face(FACE))
    assert seen.is_head is is_head
    if is_head:
        assert not seen.visibility[len(HEAD) :].any()
        assert seen.px_per_m == pytest.approx(40.0 / 0.127)
        assert view_angles(seen.view_matrix) == pytest.approx((5.0, 0.0, 2.0))  # type: ignore[arg-type]


def test_without_a_recognised_face_a_body_stays_a_body(make: Any) -> None:
    body = in_sight_below(make.body(hips=(128.0, 128.0), px_per_m=70.0, size=(256, 256)))
    guessed = FaceBox(FACE.box, None, None, 0.3)
    assert heads.as_seen(body.with_face(guessed)).is_head is False
    assert heads.as_seen(body).is_head is False


def test_proposed_heads_are_looked_at_around_their_points() -> None:
    points = np.zeros((17, 2))
    points[:5] = [(100.0, 60.0), (110.0, 50.0), (90.0, 50.0), (120.0, 55.0), (80.0, 55.0)]
    scores = np.zeros(17)
    scores[:5] = 0.5
    regions = heads.proposed_regions([Proposal(Box(0.0, 0.0, 9.0, 9.0), points, scores, 0.4)])
    assert regions == [square_around((100.0, 55.0), 200.0), square_around((100.0, 55.0), 120.0)]
    unseen = Proposal(Box(0.0, 0.0, 9.0, 9.0), points, np.zeros(17), 0.4)
    assert heads.proposed_regions([unseen]) == []


# ------------------------------------------------------------------ the real networks


@pytest.mark.model
@pytest.mark.parametrize("zoom", [1.0, 1.6])
def test_a_portrait_cut_from_a_photograph_is_a_head(
    zoom: float, network: MediapipeEstimator, tmp_path: Path
) -> None:
    """The astronaut's face, cut so that her shoulders are out of the picture."""
    path = next((FIXTURES / "astronaut").glob("*.png"))
    rgb = np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])
    whole, _ = people_in_still(rgb, network)
    assert whole is not None
    assert whole.face is not None
    assert not whole.is_head
    (x, y), side = whole.face.box.center, 1.5 * whole.face.box.height / zoom
    left, top = int(x - side / 2), int(y - side / 2)
    cut = np.ascontiguousarray(rgb[top : top + int(side), left : left + int(side)])
    cut = cv2.resize(cut, None, fx=3.0, fy=3.0, interpolation=cv2.INTER_CUBIC)
    head, others = people_in_still(cut, network)
    assert head is not None
    assert head.face is not None
    assert (head.is_head, others) == (True, [])
    assert head.face.span_px == pytest.approx(3.0 * (whole.face.span_px or 0.0), rel=0.06)
    assert head.face.yaw_deg == pytest.approx(whole.face.yaw_deg, abs=5.0)
    assert head.px_per_m == pytest.approx(3.0 * (whole.px_per_m or 0.0), rel=0.15)


@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real media of ../shared/data are not here")
@pytest.mark.parametrize("name", ["camera.png", "cat.jpg"])
def test_no_head_where_nobody_is(name: str, network: MediapipeEstimator) -> None:
    assert api.observe(SHARED / "absent" / name, estimator=network).found == ()


@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real media of ../shared/data are not here")
def test_a_dogs_face_is_nobodys_head(network: MediapipeEstimator) -> None:
    """The face network recognises a person's in most frames of this clip."""
    seen = api.observe(SHARED / "absent/dog.mp4", end=2, estimator=network)
    assert seen.found == ()
