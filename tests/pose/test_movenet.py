from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wan_prep.errors import PoseModelError
from wan_prep.geometry import Box
from wan_prep.pose.movenet import JOINTS, MoveNet, _import_onnxruntime
from wan_prep.pose.skeleton import Joint

FIXTURES = Path(__file__).parents[2] / "fixtures"


class Recorded:
    """A runtime session that keeps its inputs and always answers the same six rows."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.given = rows, [np.zeros(0)]

    def run(self, _names: None, inputs: dict[str, Any]) -> list[np.ndarray]:
        self.given.append(inputs["input"])
        return [self.rows[None]]


@pytest.fixture
def movenet() -> MoveNet:
    return MoveNet()


def answering(movenet: MoveNet, rows: np.ndarray) -> Recorded:
    session = Recorded(rows.astype(np.float32))
    movenet._session = session
    return session


def row(score: float) -> np.ndarray:
    """Joint k at x = 0.01 k, y = 0.02 k with a score of 0.03 k; a box from 0.1, 0.2 to 0.3, 0.4."""
    joints = [value for k in range(17) for value in (0.02 * k, 0.01 * k, 0.03 * k)]
    return np.array([*joints, 0.2, 0.1, 0.4, 0.3, score])


def test_rows_become_px_of_the_picture_given_the_best_first(movenet: MoveNet) -> None:
    """400 x 300 is shown as 256 x 192, which is a multiple of 32 either way."""
    session = answering(movenet, np.array([row(0.2), row(0.5), *[row(0.0)] * 4]))
    found = movenet.proposals(np.full((300, 400, 3), 7, np.uint8))
    assert [round(p.score, 3) for p in found] == [0.5, 0.2, 0.0, 0.0, 0.0, 0.0]
    assert session.given[-1].shape == (1, 192, 256, 3)
    assert session.given[-1].dtype == np.int32
    assert found[0].box == pytest.approx(Box(40.0, 60.0, 120.0, 120.0), abs=1e-3)
    np.testing.assert_allclose(found[0].keypoints_xy[10], (40.0, 60.0), atol=1e-3)
    np.testing.assert_allclose(found[0].keypoint_scores[10], 0.3, atol=1e-6)


def test_a_picture_is_filled_up_with_black_and_places_do_not_move(movenet: MoveNet) -> None:
    """500 x 230 is shown as 256 x 118 and filled up to 256 x 128: a share of 128 rows is px of
    128 / 0.512 = 250 rows of the picture."""
    session = answering(movenet, np.array([row(0.5)] * 6))
    (first, *_) = movenet.proposals(np.full((230, 500, 3), 9, np.uint8))
    shown = session.given[-1][0]
    assert shown.shape == (128, 256, 3)
    assert (shown[:118] == 9).all()
    assert (shown[118:] == 0).all()
    assert first.box == pytest.approx(Box(50.0, 50.0, 150.0, 100.0), abs=1e-3)


def test_joints_are_named_in_the_order_of_coco() -> None:
    assert len(set(JOINTS)) == 17
    assert (JOINTS[0], JOINTS[5], JOINTS[16]) == (
        Joint.NOSE,
        Joint.LEFT_SHOULDER,
        Joint.RIGHT_ANKLE,
    )


def test_a_file_that_is_no_network_says_so_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(PoseModelError, match=r"broken\.onnx: onnxruntime cannot use this network"):
        MoveNet(broken)
    with pytest.raises(PoseModelError, match=r"missing\.onnx"):
        MoveNet(tmp_path / "missing.onnx")


def test_what_fails_while_looking_is_an_error_of_the_model(movenet: MoveNet) -> None:
    class Failing:
        def run(self, _names: None, _inputs: Any) -> None:
            raise RuntimeError("out of memory\nsomewhere")

    movenet._session = Failing()
    with pytest.raises(PoseModelError, match=r"out of memory$"):
        movenet.proposals(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.model
@pytest.mark.parametrize("side_px", [256, 384])
def test_two_people_are_proposed_where_they_are(movenet: MoveNet, side_px: int) -> None:
    """The fixture's person, and mirrored beside it."""
    one = np.ascontiguousarray(cv2.imread(str(FIXTURES / "reference.png"))[:, :, ::-1])
    (alone, *_) = movenet.proposals(one, side_px)
    found = movenet.proposals(np.hstack([one, one[:, ::-1]]), side_px)[:2]
    noses = sorted(float(p.keypoints_xy[0, 0]) for p in found)
    nose, width = float(alone.keypoints_xy[0, 0]), one.shape[1]
    assert noses == pytest.approx([nose, 2 * width - nose], abs=0.02 * width)
    assert min(p.score for p in found) > 0.2


@pytest.mark.model
def test_nobody_is_proposed_in_nothing(movenet: MoveNet) -> None:
    for shape in ((512, 512), (1, 1), (2, 700), (700, 2)):
        assert max(p.score for p in movenet.proposals(np.zeros((*shape, 3), np.uint8))) < 0.05


def test_a_runtime_that_would_report_its_use_is_told_not_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before it is loaded, as releases from 1.29 on ask for; the installed one sends nothing."""
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    runtime = _import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    major, minor, *_ = (int(part) for part in runtime.__version__.split(".")[:2])
    assert (major, minor) < (1, 29)
