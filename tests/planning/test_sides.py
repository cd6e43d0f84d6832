from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wan_prep.geometry import Box, Size
from wan_prep.planning.sides import (
    EVERY_JOINT,
    image_side,
    joints_of,
    union,
    video_side,
    whole_content,
)
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import default_profile

PROFILE = default_profile()


def image(make: Any, *args: Any, **info: Any) -> Any:
    return image_side(make.image(*args, **info), PROFILE, is_shown=True)


def test_every_joint_is_kept_with_a_little_room(make: Any) -> None:
    # Hips at (360, 600), 500 px/m: wrists 0.2 m beside, toes 0.95 m under, the nose 0.68 m over.
    side = image(make)
    assert side.keep.left < 260
    assert side.keep.right > 460
    assert side.keep.bottom > 1075
    assert side.keep.top < 260
    assert side.neck_xy == pytest.approx((360.0, 350.0), abs=0.1)
    assert side.closed == frozenset()


def test_the_eased_box_holds_hair_and_finger_tips(make: Any) -> None:
    side = image(make)
    assert side.ease.left < side.keep.left - 20
    assert side.ease.top < side.keep.top - 10
    assert union([side.keep, side.ease]) == side.ease


def test_the_window_of_a_clip_holds_every_sample(make: Any) -> None:
    left, right = (make.body(hips=(x, 600.0)) for x in (250.0, 500.0))
    side = video_side(make.video([left, right]), PROFILE, is_shown=False)
    assert side.keep.left < 150
    assert side.keep.right > 600
    # The template is the first sample.
    assert side.neck_xy == pytest.approx((250.0, 350.0), abs=0.1)


def test_joints_that_are_not_seen_are_not_kept(make: Any) -> None:
    visibility = np.ones(33)
    visibility[[Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE, *range(29, 33)]] = 0.1
    side = image(make, make.subject(visibility=visibility))
    assert 825 < side.keep.bottom < 870


def test_a_body_cut_by_an_edge_closes_it(make: Any) -> None:
    assert image(make, make.body(hips=(360.0, 1000.0))).closed == {"bottom"}
    assert image(make, make.body(hips=(60.0, 600.0))).closed == {"left"}


def test_an_edge_that_cuts_the_body_for_a_moment_stays_open(make: Any) -> None:
    inside, out = make.body(), make.body(hips=(60.0, 600.0))
    rarely = video_side(make.video([inside] * 9 + [out]), PROFILE, is_shown=False)
    often = video_side(make.video([inside] * 3 + [out]), PROFILE, is_shown=False)
    assert (rarely.closed, often.closed) == (frozenset(), {"left"})


def test_bars_close_every_edge_and_take_a_line_more(make: Any) -> None:
    barred = make.image(evidence={"content": Box(0.1, 0.0, 0.9, 1.0)})
    side = image_side(barred, PROFILE, is_shown=True)
    # 72 px on both sides of 720 x 1280.
    assert side.content == Box(73, 1, 647, 1279)
    assert side.closed == {"left", "top", "right", "bottom"}
    assert side.is_barred


def test_content_is_whole_px_inwards() -> None:
    box = Box(0.0837, 0.0053, 0.9023, 1.0)
    assert whole_content(box, Size(512, 758), 2) == Box(44, 6, 460, 758)
    assert whole_content(Box(0.0, 0.0, 1.0, 1.0), Size(541, 959), 2) == Box(0, 0, 540, 958)


def test_what_is_unknown_is_kept_nearly_whole(make: Any) -> None:
    side = image(make, None)
    assert side.neck_xy is None
    assert side.keep == pytest.approx(Box(21.6, 38.4, 698.4, 1241.6))


def test_above_an_unrecognised_face_nothing_is_cut(make: Any) -> None:
    doubtful = make.face.model_copy(update={"confidence": 0.3})
    assert image(make, make.subject(face=doubtful)).keep.top == 0
    video = make.video([make.subject(face=doubtful), "adult"])
    assert video_side(video, PROFILE, is_shown=False).keep.top > 0


@pytest.mark.parametrize(
    ("shot", "lowest", "kept", "not_kept"),
    [
        ("bust", 350, Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW),
        ("half", 600, Joint.LEFT_HIP, Joint.LEFT_WRIST),
        ("three_quarter", 825, Joint.LEFT_KNEE, Joint.LEFT_ANKLE),
    ],
)
def test_a_shot_asks_for_its_joints_only(
    make: Any, shot: Any, lowest: float, kept: Joint, not_kept: Joint
) -> None:
    mask = joints_of(shot)
    assert (mask[kept], mask[not_kept]) == (True, False)
    side = image_side(make.image(), PROFILE, is_shown=True, joints=mask)
    assert lowest <= side.keep.bottom < lowest + 20


def test_a_full_shot_asks_for_everything() -> None:
    assert joints_of("full") is EVERY_JOINT


def test_unreadable_files_have_no_side(make: Any) -> None:
    with pytest.raises(ValueError, match="readable"):
        image_side(make.unreadable("image"), PROFILE, is_shown=True)
