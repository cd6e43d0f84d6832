"""A camera whose every move is known: zoom, shift and roll of the pair measures against it.

`fixtures/moved/` is the reference under a moving camera (see fixtures/README.md). Its frame maps
a pixel p of the reference to A p + b, so the video's subject is `zoom` times larger, and its neck
stands where the image's neck is mapped to.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pytest

from wan_prep import api
from wan_prep.measures.model import Measures
from wan_prep.measures.pair import measure
from wan_prep.measures.side import anchor_xy, subject_in_frame
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.profile import default_profile

pytestmark = pytest.mark.model
FIXTURES = Path(__file__).parents[1] / "fixtures"
TRUTH = json.loads((FIXTURES / "moved" / "truth.json").read_text("utf-8"))
LOOKED_AT = range(0, len(TRUTH["frames"]), 4)


class Case(NamedTuple):
    """One frame: what is true, and what was measured."""

    zoom: float
    roll_deg: float
    offset_xy: np.ndarray
    measured: Measures


@pytest.fixture(scope="module")
def cases(network: MediapipeEstimator) -> list[Case]:
    frames = [TRUTH["frames"][k] for k in LOOKED_AT]
    image = api.observe(FIXTURES / "reference.png", estimator=network)
    video = api.observe(
        FIXTURES / "moved" / "driving.mp4",
        at=[frame["time_s"] for frame in frames],
        estimator=network,
    )
    assert [float(o.time) for o in video.observations] == [frame["time_s"] for frame in frames]
    assert image.first is not None
    assert image.first.subject is not None
    still = subject_in_frame(image, image.first.subject)
    size = np.array(TRUTH["size_wh"], dtype=float)
    neck_px = anchor_xy(still) * size - 0.5  # pixel centres stand at integers
    found = []
    for frame, observation in zip(frames, video.observations, strict=True):
        assert observation.subject is not None
        matrix = np.array(frame["matrix"])
        moved_px = matrix[:, :2] @ neck_px + matrix[:, 2]
        found.append(
            Case(
                zoom=frame["zoom"],
                roll_deg=frame["roll_deg"],
                offset_xy=(neck_px - moved_px) / size,
                measured=measure(
                    still, subject_in_frame(video, observation.subject), default_profile()
                ),
            )
        )
    return found


def test_zoom_is_right(cases: list[Case]) -> None:
    """zoom_ratio > 1: larger in the image; the camera makes the video's subject larger."""
    wrong = [abs((c.measured.zoom_ratio or 0.0) * c.zoom - 1.0) for c in cases]
    assert max(c.zoom for c in cases) > 1.4
    assert median(wrong) <= 0.03
    assert np.quantile(wrong, 0.9) <= 0.08


def test_shift_is_right(cases: list[Case]) -> None:
    wrong = [
        float(np.hypot(*((c.measured.offset_x, c.measured.offset_y) - c.offset_xy))) for c in cases
    ]
    assert max(abs(c.offset_xy).max() for c in cases) > 0.03
    assert median(wrong) <= 0.01
    assert np.quantile(wrong, 0.9) <= 0.02


def test_roll_is_right(cases: list[Case]) -> None:
    """image - video: where the camera turned the video clockwise, the difference is negative."""
    wrong = [
        abs((c.measured.roll or 0.0) + c.roll_deg) for c in cases if c.measured.roll is not None
    ]
    assert len(wrong) == len(cases)
    assert max(abs(c.roll_deg) for c in cases) > 8
    assert median(wrong) <= 2.0


def test_the_identity_measures_nothing(cases: list[Case]) -> None:
    same = cases[0].measured
    assert same.zoom_ratio == pytest.approx(1.0, abs=0.02)
    assert abs(same.offset_x or 0.0) <= 0.005
    assert abs(same.offset_y or 0.0) <= 0.005
    assert same.view_angle is not None
    assert same.view_angle <= 4
    assert same.pose_angle is not None
    assert same.pose_angle <= 5
