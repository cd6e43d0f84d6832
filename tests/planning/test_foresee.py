from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.evidence import Face, Subject
from wan_prep.geometry import UNIT_BOX, Box, Size, view_angles
from wan_prep.measures import frame_height_m, neck_xy, seat, zoom_ratio
from wan_prep.planning.foresee import (
    bytes_per_px,
    foresee_image,
    foresee_video,
    moved_points,
    part_of,
    subject_through,
    with_observations,
)
from wan_prep.planning.model import Geometry, Window
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import default_profile

PROFILE = default_profile()
SIZE = Size(720, 1280)


def geometry(
    left: int = 0,
    top: int = 0,
    width: int = 720,
    height: int = 1280,
    written: tuple[int, int] | None = None,
    **more: Any,
) -> Geometry:
    window = Window(left=left, top=top, width=width, height=height)
    wide, tall = written or (width, height)
    return Geometry(window=window, width=wide, height=tall, **more)


WHOLE = geometry()


def of_image(make: Any, given: Geometry) -> Any:
    return foresee_image(make.image(), given, "png")


# ---- geometry


def test_nothing_changes_through_the_whole_picture(make: Any) -> None:
    before = make.image(others=[Box(0.1, 0.2, 0.3, 0.7)])
    after = foresee_image(before, WHOLE, "png")
    one, two = before.first.subject, after.first.subject
    for name in ("keypoints_xy", "visibility", "world_xyz", "view_matrix"):
        assert getattr(two, name).tolist() == getattr(one, name).tolist()
    assert (two.px_per_m, two.face, two.looks) == (one.px_per_m, one.face, one.looks)
    assert two.box == pytest.approx(one.box)
    assert two.crown_y == pytest.approx(one.crown_y)
    assert after.first.others[0] == pytest.approx(before.first.others[0])
    assert after.content == UNIT_BOX


def test_a_crop_and_a_scale_by_hand() -> None:
    # A window of 600 x 1024 px, 60 px from the left and 128 px from the top, written half as large.
    cut = geometry(60, 128, 600, 1024, (300, 512))
    points = np.array([[0.5, 0.5], [60 / 720, 128 / 1280], [660 / 720, 1152 / 1280]])
    assert moved_points(points, cut, SIZE) == pytest.approx(
        np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 1.0]])
    )


def test_scales_shrink_with_the_picture(make: Any) -> None:
    face = Face(
        box=Box(0.5, 0.25, 0.6, 0.35), yaw_deg=3.0, pitch_deg=0.0, confidence=1.0, span_px=80.0
    )
    subject = make.subject(face=face)
    after = subject_through(subject, geometry(0, 128, 720, 1024, (360, 512)), SIZE)
    assert after.px_per_m == pytest.approx(subject.px_per_m / 2)
    assert after.face is not None
    assert after.face.span_px == 40.0
    # 0.25 of 1280 px is 320 px, 192 px under the window's top, of 1024.
    assert after.face.box == Box(0.5, 0.1875, 0.6, 0.3125)
    assert after.crown_y == pytest.approx((subject.crown_y * 1280 - 128) / 1024)
    assert after.world_xyz.tolist() == subject.world_xyz.tolist()


def test_a_face_that_is_cut_off_is_no_face(make: Any) -> None:
    after = subject_through(make.subject(), geometry(0, 640, 720, 640), SIZE)
    assert after.face is None


def test_joints_in_added_borders_are_unseen(make: Any) -> None:
    # Ankles at 0.9 m below hips that stand at 1000 px: 1450 px, under the edge of the picture.
    body = make.body(hips=(360.0, 1000.0))
    after = subject_through(make.subject(body), geometry(0, 0, 720, 1600), SIZE)
    ankle, hip = after.visibility[Joint.LEFT_ANKLE], after.visibility[Joint.LEFT_HIP]
    assert (ankle, hip) == (0.0, 1.0)
    assert after.keypoints_xy[Joint.LEFT_ANKLE][1] == pytest.approx(1450 / 1600, abs=1e-5)


def test_a_quarter_turn_by_hand() -> None:
    square = geometry(0, 0, 100, 100, rotate_deg=90.0)
    # What lies right of the middle comes to lie below it.
    assert moved_points(np.array([[0.9, 0.5]]), square, Size(100, 100)) == pytest.approx(
        np.array([[0.5, 0.9]])
    )


@pytest.mark.parametrize("degrees", [-12.0, 7.5])
def test_a_turn_adds_to_the_roll(make: Any, degrees: float) -> None:
    subject = make.subject()
    after = subject_through(subject, geometry(rotate_deg=degrees), SIZE)
    before, now = view_angles(subject.view_matrix), view_angles(after.view_matrix)
    assert now.roll - before.roll == pytest.approx(degrees, abs=1e-3)
    assert now.yaw == pytest.approx(before.yaw, abs=1e-3)
    spine = after.keypoints_xy[Joint.NOSE] * SIZE - (
        after.keypoints_xy[[Joint.LEFT_HIP, Joint.RIGHT_HIP]].mean(axis=0) * SIZE
    )
    assert math.degrees(math.atan2(spine[0], -spine[1])) == pytest.approx(degrees, abs=0.1)
    assert after.crown_y == pytest.approx(subject.crown_y, abs=0.02)


@given(
    left=st.integers(-200, 200),
    top=st.integers(-200, 100),
    height=st.integers(900, 1500),
    written=st.integers(100, 1500),
)
def test_zoom_and_placement_follow_the_window(
    make: Any, left: int, top: int, height: int, written: int
) -> None:
    width = round(height * 720 / 1280)
    cut = geometry(left, top, width, height, (round(written * width / height), written))
    before, after = make.image(), of_image(make, cut)
    one, two = (seat(e, e.first.subject) for e in (before, after))
    assert zoom_ratio(two, one) == pytest.approx(1280 / height, rel=1e-4)
    assert frame_height_m(two) == pytest.approx(frame_height_m(one) * height / 1280, rel=1e-4)
    x, y = neck_xy(one) * SIZE - (left, top)
    assert neck_xy(two) == pytest.approx(np.array([x / width, y / height]), abs=2e-5)


# ---- files


def test_facts_of_the_written_image(make: Any) -> None:
    before = make.image(format="WEBP", exif_orientation=6, has_alpha=True, frame_count=3)
    info = foresee_image(before, geometry(written=(464, 832)), "jpeg").image_info
    assert (info.format, info.width, info.height, info.stored_height) == ("JPEG", 464, 832, 832)
    assert (info.exif_orientation, info.has_alpha, info.frame_count) == (1, False, 1)


def test_facts_of_the_written_clip(make: Any) -> None:
    before = make.video(is_vfr=True, is_hdr=True, rotation_deg=90, codec="hevc", container="mov")
    after = foresee_video(
        before, geometry(written=(464, 832)), Fraction(1), Fraction(4), Fraction(30), PROFILE
    )
    info = after.video_info
    assert (info.codec, info.container, info.rotation_deg) == ("h264", "mp4", 0)
    assert (info.is_vfr, info.is_hdr, info.duration, info.fps) == (False, False, 3, 30)
    assert (info.width, info.height, info.frame_count) == (464, 832, 90)
    # 3 MB in 240 frames of 720 x 1280 are 0.1085 bits/px; 0.1 more for 90 of 464 x 832.
    assert info.size_bytes == pytest.approx((0.108507 + 0.1) / 8 * 464 * 832 * 90, rel=1e-4)


def test_the_guess_of_a_file_s_weight_has_a_limit(make: Any) -> None:
    info = make.video_info(size_bytes=10**9)
    assert bytes_per_px(info, PROFILE) == PROFILE.limit("written_bits_max") / 8


def test_a_span_begins_at_zero(make: Any) -> None:
    before = make.video(evidence={"cuts": (Fraction(1), Fraction(5, 2), Fraction(6))})
    after = foresee_video(before, WHOLE, Fraction(1), Fraction(4), Fraction(30), PROFILE)
    assert [o.time for o in after.observations] == [Fraction(k, 2) for k in range(6)]
    assert after.cuts == (Fraction(3, 2),)
    assert (after.start, after.end, after.span) == (0, None, 3)


def test_a_part_without_a_sample_has_the_one_shown_at_its_start(make: Any) -> None:
    part = part_of(make.video(), Fraction(13, 10), Fraction(14, 10))
    assert [o.time for o in part.observations] == [Fraction(13, 10)]


def test_what_was_derived_from_the_whole_clip_is_not_kept(make: Any) -> None:
    video = make.video()
    assert len(video.found) == 16
    assert len(part_of(video, Fraction(1), Fraction(3)).found) == 4


def test_further_samples_find_their_place(make: Any) -> None:
    video = make.video()
    more = video.observations[0].model_copy(update={"time": Fraction(3, 4)})
    times = [o.time for o in with_observations(video, [more]).observations]
    assert times[:4] == [0, Fraction(1, 2), Fraction(3, 4), 1]


def test_black_borders_are_bars(make: Any) -> None:
    # 80 px added above and below a picture of 1280.
    padded = {"pad": "color", "pad_color": "#0a0a0a"}
    after = of_image(make, geometry(0, -80, 720, 1440, **padded))
    assert after.content == pytest.approx(Box(0.0, 80 / 1440, 1.0, 1360 / 1440))
    green = of_image(make, geometry(0, -80, 720, 1440, pad="color", pad_color="#00ff00"))
    assert green.content == UNIT_BOX
    assert of_image(make, geometry(0, -80, 720, 1440)).content == UNIT_BOX


def test_other_people_move_too_and_fall_away_outside(make: Any) -> None:
    before = make.image(others=[Box(0.0, 0.0, 0.1, 0.5), Box(0.5, 0.0, 1.0, 0.5)])
    after = foresee_image(before, geometry(360, 0, 360, 640), "png")
    assert after.observations[0].others == (Box(0.0, 0.0, 1.0, 1.0),)


def test_unreadable_files_have_no_future(make: Any) -> None:
    with pytest.raises(ValueError, match="readable image"):
        foresee_image(make.unreadable("image"), WHOLE, "png")
    with pytest.raises(ValueError, match="readable video"):
        foresee_video(
            make.unreadable("video"), WHOLE, Fraction(0), Fraction(1), Fraction(30), PROFILE
        )


def test_an_unknown_torso_stays_unknown(make: Any) -> None:
    bare: Subject = make.subject(view_matrix=None, px_per_m=None, face=None)
    after = subject_through(bare, geometry(rotate_deg=5.0), SIZE)
    assert (after.view_matrix, after.px_per_m, after.face) == (None, None, None)


def test_stillness_goes_with_its_part(make: Any) -> None:
    still = ((Fraction(0), Fraction(2)), (Fraction(3), Fraction(5)))
    video = make.video(evidence={"still": still})
    seen = foresee_video(video, WHOLE, Fraction(2), Fraction(4), Fraction(30), PROFILE)
    assert seen.still == ((1, 2),)
