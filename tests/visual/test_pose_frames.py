"""Where joints are between samples, and where their colours stand in a drawing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from wan_prep.evidence import Evidence, Subject
from wan_prep.geometry import Box, Size
from wan_prep.report.keypoints import Canvas, Joints
from wan_prep.visual.pose_frames import draw_pose, frame_count, joints_at, pose_frames

FRAME_S = Fraction(1, 30)
NOSE, LEFT_WRIST, RIGHT_WRIST = 0, 15, 16
RED, RIGHT_WRIST_COLOR, LEFT_WRIST_COLOR = (255, 0, 0), (170, 255, 0), (0, 255, 85)
FLAT = Canvas(Size(320, 320), Box(0, 0, 320, 320))


def at_x(make: Any, x: float, **changes: Any) -> Subject:
    """Everything at one height, at x."""
    facts = {"keypoints_xy": np.full((33, 2), (x, 0.5)), "visibility": np.ones(33)}
    subject: Subject = make.subject(**facts | changes)
    return subject


def nose_x(evidence: Evidence, time: str) -> float | None:
    joints = joints_at(evidence.observations, Fraction(time), FRAME_S)
    return None if joints is None else float(joints.xy[NOSE, 0])


def with_scenes(evidence: Evidence, *scenes: int) -> Evidence:
    seen = zip(evidence.observations, scenes, strict=True)
    return evidence.changed(observations=tuple(o.changed(scene=scene) for o, scene in seen))


# ---- between samples


def test_joints_move_in_a_straight_line_between_samples(make: Any) -> None:
    clip = make.video([at_x(make, 0.2), at_x(make, 0.4), at_x(make, 0.3)])
    assert [nose_x(clip, t) for t in ("0", "1/4", "0.4", "0.5", "3/4", "1")] == pytest.approx(
        [0.2, 0.3, 0.36, 0.4, 0.35, 0.3]
    )


def test_times_are_those_of_the_samples_and_not_their_numbers(make: Any) -> None:
    clip = make.video([at_x(make, 0.2), at_x(make, 0.4), at_x(make, 0.8)])
    late = clip.observations[1].changed(time=Fraction(9, 10))
    clip = clip.changed(observations=(clip.observations[0], late, clip.observations[2]))
    assert nose_x(clip, "0.45") == pytest.approx(0.3)
    assert nose_x(clip, "0.95") == pytest.approx(0.6)


def test_nothing_moves_across_a_cut(make: Any) -> None:
    clip = make.video([at_x(make, 0.2), at_x(make, 0.4), at_x(make, 0.9)])
    clip = with_scenes(clip, 0, 0, 1)
    assert nose_x(clip, "0.4") == pytest.approx(0.36)
    assert [nose_x(clip, t) for t in ("0.5", "0.75", "0.99")] == [0.4, 0.4, 0.4]
    assert nose_x(clip, "1") == 0.9


def test_the_last_sample_stays_to_the_end(make: Any) -> None:
    assert nose_x(make.video([at_x(make, 0.2), at_x(make, 0.4)]), "0.9") == 0.4


def test_nobody_is_drawn_where_nobody_was_found(make: Any) -> None:
    clip = make.video([None, at_x(make, 0.2), None, at_x(make, 0.4)])
    found = {t: nose_x(clip, t) for t in ("0", "0.49", "0.5", "0.53", "0.54", "0.99", "1", "1.49")}
    assert found == {
        "0": None, "0.49": None, "0.5": 0.2, "0.53": 0.2, "0.54": None, "0.99": None, "1": None,
        "1.49": None,
    }  # fmt: skip
    assert nose_x(clip, "1.5") == 0.4
    assert joints_at((), Fraction(0), FRAME_S) is None


def test_a_joint_that_comes_to_light_does_so_half_way(make: Any) -> None:
    dim = np.ones(33)
    dim[RIGHT_WRIST] = 0.0
    clip = make.video([at_x(make, 0.2, visibility=dim), at_x(make, 0.4)])
    shown = []
    for time in ("0", "0.2", "0.3", "0.5"):
        joints = joints_at(clip.observations, Fraction(time), FRAME_S)
        assert joints is not None
        shown.append((bool(joints.is_seen[RIGHT_WRIST]), bool(joints.is_seen[NOSE])))
    assert shown == [(False, True), (False, True), (True, True), (True, True)]


def test_no_joint_moves_to_where_a_head_has_none(make: Any) -> None:
    clip = make.video([make.subject(), make.head()])
    joints = joints_at(clip.observations, Fraction(1, 10), FRAME_S)
    assert joints is not None
    assert joints.is_seen[:11].all()
    assert not joints.is_seen[11:].any()


# ---- the frames of a clip


def test_frames_are_those_of_the_part_that_counts(make: Any) -> None:
    clip = make.video([at_x(make, 0.25), at_x(make, 0.75)], every=Fraction(1))
    part = clip.changed(start=Fraction(1, 2), end=Fraction(19, 10))
    frames = list(pose_frames(part, FLAT, Fraction(10)))
    assert len(frames) == frame_count(part, Fraction(10)) == 14
    columns = [int(np.flatnonzero(frame.any(axis=(0, 2))).mean()) for frame in frames]
    # 0.25 … 0.75 of 320 px in 10 frames, from the middle on, and then at rest
    assert columns[:5] == pytest.approx([160, 176, 192, 208, 224], abs=1)
    assert columns[5:] == pytest.approx([240] * 9, abs=1)
    assert frame_count(clip.changed(end=Fraction(1, 100)), Fraction(30)) == 1


def test_a_clip_with_nobody_is_black(make: Any) -> None:
    clip = make.video([None, None], duration=Fraction(1))
    assert not any(frame.any() for frame in pose_frames(clip, FLAT, Fraction(5)))


# ---- a drawing


def test_joints_stand_in_their_colours_where_they_were_measured(make: Any) -> None:
    xy = np.full((33, 2), -1.0)
    xy[NOSE], xy[LEFT_WRIST], xy[RIGHT_WRIST] = (0.25, 0.125), (0.75, 0.5), (0.25, 0.875)
    # 160 px wide, beginning at 80
    canvas = Canvas(Size(320, 320), Box(80, 0, 240, 320))
    picture = draw_pose(Joints.of(at_x(make, 0.5, keypoints_xy=xy)), canvas)
    assert picture.shape == (320, 320, 3)
    assert tuple(picture[40, 120]) == RED
    assert tuple(picture[160, 200]) == LEFT_WRIST_COLOR
    assert tuple(picture[280, 120]) == RIGHT_WRIST_COLOR
    lit_yx = np.argwhere(picture.any(axis=2))
    away = np.array([(40, 120), (160, 200), (280, 120)])[:, None] - lit_yx
    assert np.linalg.norm(away, axis=2).min(axis=0).max() < 5.0, "three dots, and nothing else"


def test_a_limb_is_a_darker_line_between_its_joints(make: Any) -> None:
    xy = np.full((33, 2), -1.0)
    xy[14], xy[16] = (0.25, 0.5), (0.75, 0.5)  # right elbow and wrist
    picture = draw_pose(Joints.of(at_x(make, 0.5, keypoints_xy=xy)), FLAT)
    # The fourth line of OpenPose has its fourth colour, (255, 255, 0), at 0.6.
    assert tuple(picture[160, 160]) == (153, 153, 0)
    lit = np.flatnonzero(picture[:, 160, 0] > 76)
    assert (lit[0], lit[-1]) == pytest.approx((157, 162), abs=1), "5 px, a 64th of 320"


def test_a_joint_outside_or_hidden_is_not_drawn(make: Any) -> None:
    assert not draw_pose(None, FLAT).any()
    assert not draw_pose(Joints.of(at_x(make, 1.2)), FLAT).any()
    assert not draw_pose(Joints.of(at_x(make, 0.5, visibility=np.zeros(33))), FLAT).any()
