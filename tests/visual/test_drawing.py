from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wan_prep.geometry import UNIT_BOX, Box, Size
from wan_prep.visual.drawing import Placed, canvas_of, draw, fitted

SIZE = Size(360, 640)  # half of the adult's 720 x 1280


def test_the_adult(make: Any) -> None:
    # Hips at (360, 600), 500 px a metre: shoulders 250 px above, 100 px to each side.
    drawn = draw(make.framed(), SIZE)
    assert drawn.anchor_xy == pytest.approx((180.0, 175.0), abs=0.01)
    assert drawn.anchor_share == pytest.approx((0.5, 175 / 640), abs=1e-4)
    assert drawn.shot == "full"
    assert tuple(drawn.face) == pytest.approx((0.42 * 360, 0.14 * 640, 0.58 * 360, 0.23 * 640))
    assert drawn.face_is_sure
    assert drawn.guessed == ()
    bones = {tuple(np.round([b.x1, b.y1, b.x2, b.y2])) for b in drawn.seen}
    assert (230.0, 175.0, 230.0, 250.0) in bones, "the left upper arm"
    assert drawn.shot_frame.left < 130 < 230 < drawn.shot_frame.right
    assert drawn.other_frame is None


def test_hidden_joints_are_guesses(make: Any) -> None:
    body = make.body()
    body.visibility[:] = 1.0
    body.visibility[15] = 0.2  # the left wrist
    drawn = draw(make.framed(body), SIZE)
    assert len(drawn.guessed) == 1
    assert (drawn.guessed[0].x1, drawn.guessed[0].y1) == pytest.approx((230.0, 250.0), abs=0.01)
    assert len(drawn.joints_xy) == len(draw(make.framed(), SIZE).joints_xy) - 1


def test_no_face_and_an_unsure_one(make: Any) -> None:
    assert draw(make.framed(face=None), SIZE).face is None
    unsure = make.face.model_copy(update={"confidence": 0.3})
    assert not draw(make.framed(face=unsure), SIZE).face_is_sure


def test_the_other_frame_of_the_same_picture_is_its_own(make: Any) -> None:
    drawn = draw(make.framed(), SIZE, make.framed())
    assert drawn.other_frame is not None
    assert tuple(drawn.other_frame) == pytest.approx((0.0, 0.0, 360.0, 640.0))


def test_the_other_frame_tells_zoom_and_place(make: Any) -> None:
    # There the person is half as large, 90 px further right and 100 px further down of 720 x 1280:
    # drawn over this picture, that frame is twice as large, its neck on this neck.
    far = make.body(hips=(450.0, 575.0), px_per_m=250.0)
    frame = draw(make.framed(face=None), SIZE, make.framed(far, face=None)).other_frame
    assert frame is not None
    assert (frame.width, frame.height) == pytest.approx((720.0, 1280.0), rel=1e-3)
    # Its neck at (450, 450) of 720 x 1280 lies on (180, 175).
    assert frame.left == pytest.approx(180 - 450 / 720 * 720, abs=1.0)
    assert frame.top == pytest.approx(175 - 450 / 1280 * 1280, abs=1.0)


def test_no_scale_no_other_frame(make: Any) -> None:
    assert draw(make.framed(), SIZE, make.framed(px_per_m=None, face=None)).other_frame is None


def test_black_bars_count_for_nothing(make: Any) -> None:
    content = Box(0.0, 0.1, 1.0, 0.9)
    drawn = draw(make.framed(content=content), SIZE)
    assert tuple(drawn.content) == pytest.approx((0.0, 64.0, 360.0, 576.0))
    assert drawn.anchor_xy == pytest.approx((180.0, 175.0), abs=0.01), (
        "a place in the whole picture"
    )
    assert drawn.anchor_share[1] == pytest.approx((175 - 64) / 512, abs=1e-4)


def test_canvas_and_fit() -> None:
    assert canvas_of(Size(100, 100), UNIT_BOX) == (720, 720)
    assert canvas_of(Size(1600, 900), UNIT_BOX) == (720, 405)
    assert canvas_of(Size(200, 100), Box(0.25, 0.0, 0.75, 1.0)) == (720, 720), "without its bars"
    # 4:5 in a square: as high as it, centred.
    assert fitted(Size(400, 500), UNIT_BOX, Size(720, 720)) == Placed(72.0, 0.0, 576.0, 720.0)
    # Bars hang over the canvas' edges.
    assert fitted(Size(200, 100), Box(0.25, 0.0, 0.75, 1.0), Size(720, 720)) == Placed(
        -360.0, 0.0, 1440.0, 720.0
    )
