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
from wan_prep.measures.pair import zoom_ratio
from wan_prep.measures.side import anchor_xy, frame_height_m, subject_in_frame
from wan_prep.media.types import Form
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


unit = st.floats(0.0, 1.0).map(lambda value: round(value, 5))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """A box that meets the picture, as a look at it may report."""
    left, top = draw(unit.filter(lambda v: v < 0.99)), draw(unit.filter(lambda v: v < 0.99))
    return Box(
        left, top, left + draw(st.floats(1e-4, 1 - left)), top + draw(st.floats(1e-4, 1 - top))
    )


faces = st.builds(
    Face,
    box=st.tuples(unit, unit, unit, unit).map(
        lambda v: Box(*(round(x, 5) for x in (v[0] - 0.2, v[1] - 0.2, v[0] + v[2], v[1] + v[3])))
    ),
    yaw_deg=st.floats(-90, 90),
    pitch_deg=st.none() | st.floats(-90, 90),
    confidence=st.sampled_from([0.1, 0.3, 1.0]),
    span_px=st.none() | st.floats(5, 500).map(lambda v: round(v, 3)),
)


@st.composite
def seen(draw: st.DrawFn, make: Any) -> Subject:
    """A subject in which every field has a value of its own."""
    return make.subject().changed(
        box=draw(boxes()),
        crown_y=draw(st.floats(-0.2, 1.2)),
        px_per_m=draw(st.none() | st.floats(20, 2000)),
        face=draw(st.none() | faces),
        looks=draw(st.integers(1, 6)),
        agreement=draw(unit),
        turned=draw(st.booleans()),
        repaired=draw(st.booleans()),
    )


@given(data=st.data())
def test_the_whole_picture_foresees_exactly_what_was_seen(make: Any, data: st.DataObject) -> None:
    others = data.draw(st.lists(boxes(), max_size=2))
    before = make.image(
        data.draw(seen(make)), others=others, evidence={"content": data.draw(boxes())}
    )
    after = foresee_image(before, WHOLE, "png")
    assert after.changed(info=before.info) == before


@given(data=st.data())
def test_the_whole_clip_foresees_exactly_what_was_seen(make: Any, data: st.DataObject) -> None:
    subjects = data.draw(st.lists(st.none() | seen(make), min_size=1, max_size=4))
    before = make.video(subjects, evidence={"cuts": (Fraction(1, 3),)})
    info = before.video_info
    after = foresee_video(before, WHOLE, Fraction(0), info.duration, info.fps, PROFILE)
    assert after.changed(info=info) == before
    assert after.video_info.duration == info.duration


@given(data=st.data())
def test_what_a_geometry_cannot_change_stays(make: Any, data: st.DataObject) -> None:
    before = data.draw(seen(make))
    size = st.integers(100, 3000)
    crop = geometry(
        data.draw(st.integers(-200, 500)),
        data.draw(st.integers(-200, 900)),
        data.draw(size),
        data.draw(size),
        rotate_deg=data.draw(st.sampled_from([0.0, 7.5])),
    )
    after = subject_through(before, crop, SIZE)
    moved = {"keypoints_xy", "visibility", "px_per_m", "box", "crown_y", "face"}
    if crop.rotate_deg:
        moved |= {"world_xyz", "view_matrix"}
    assert after.model_dump(mode="json", exclude=moved) == before.model_dump(
        mode="json", exclude=moved
    )


@pytest.mark.parametrize(
    ("window", "pad", "content"),
    [
        # A picture of 720 x 1280 px with bars of 72 px at the left and 128 px at the top.
        ((0, 0, 720, 1280), "edge", (0.1, 0.1, 1.0, 1.0)),
        ((72, 128, 648, 1152), "edge", (0.0, 0.0, 1.0, 1.0)),
        ((36, 0, 720, 1280), "edge", (0.05, 0.1, 1.0, 1.0)),
        # 80 px more at each side: black goes on where a bar was, the picture where none was.
        ((-80, 0, 880, 1280), "edge", (152 / 880, 0.1, 1.0, 1.0)),
        ((-80, 0, 880, 1280), "blur", (152 / 880, 0.1, 1.0, 1.0)),
        ((-80, 0, 880, 1280), "white", (0.0, 0.1, 1.0, 1.0)),
        ((-80, 0, 880, 1280), "black", (152 / 880, 0.1, 800 / 880, 1.0)),
    ],
)
def test_bars_are_foreseen(
    make: Any, window: tuple[int, ...], pad: str, content: tuple[float, ...]
) -> None:
    colors = {"white": "#ffffff", "black": "#000000"}
    padded = {"pad": "color", "pad_color": colors[pad]} if pad in colors else {"pad": pad}
    before = make.image(evidence={"content": Box(0.1, 0.1, 1.0, 1.0)})
    assert foresee_image(before, geometry(*window, **padded), "png").content == pytest.approx(
        content
    )


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
    one, two = (subject_in_frame(e, e.first.subject) for e in (before, after))
    assert zoom_ratio(two, one) == pytest.approx(1280 / height, rel=1e-4)
    assert frame_height_m(two) == pytest.approx(frame_height_m(one) * height / 1280, rel=1e-4)
    x, y = anchor_xy(one) * SIZE - (left, top)
    assert anchor_xy(two) == pytest.approx(np.array([x / width, y / height]), abs=2e-5)


# ---- files


def test_facts_of_the_written_image(make: Any) -> None:
    before = make.image(format="WEBP", exif_orientation=6, has_alpha=True, frame_count=3)
    info = foresee_image(before, geometry(written=(464, 832)), "jpeg").image_info
    assert (info.format, info.width, info.height, info.stored_height) == ("JPEG", 464, 832, 832)
    assert (info.exif_orientation, info.has_alpha, info.frame_count) == (1, False, 1)


def test_facts_of_the_written_clip(make: Any) -> None:
    odd = {"is_mirrored": True, "matrix_left_undone": "a turn", "hidden_ltrb": (2, 2, 2, 2)}
    before = make.video(
        is_vfr=True, is_hdr=True, rotation_deg=90, codec="hevc", container="mov", has_alpha=True,
        **odd,
    )  # fmt: skip
    after = foresee_video(
        before, geometry(written=(464, 832)), Fraction(1), Fraction(4), Fraction(30), PROFILE
    )
    info = after.video_info
    assert (info.codec, info.container, info.rotation_deg) == ("h264", "mp4", 0)
    assert (info.is_mirrored, info.matrix_left_undone, info.has_alpha) == (False, None, False)
    assert info.hidden_ltrb == (0, 0, 0, 0)
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


def test_a_part_is_stored_as_its_own_frames_are(make: Any) -> None:
    facts = {"height": 540, "pixel_format": "yuv420p", "is_full_range": False, "matrix": 1}
    forms = tuple(Form(time=Fraction(t), width=900 + t, **facts) for t in (0, 2, 5))
    video = make.video(evidence={"forms": forms})
    inside = part_of(video, Fraction(3), Fraction(6))
    assert [form.time for form in inside.forms] == [2, 5]
    assert [form.time for form in part_of(video, Fraction(2), Fraction(5)).forms] == [2]
    after = foresee_video(video, WHOLE, Fraction(1), Fraction(4), Fraction(30), PROFILE)
    assert (after.forms, after.video_info.splices) == ((), ())


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
    seen = before.observations[0].changed(others_confidence=(0.6, 0.9))
    after = foresee_image(before.changed(observations=(seen,)), geometry(360, 0, 360, 640), "png")
    assert after.observations[0].others == (Box(0.0, 0.0, 1.0, 1.0),)
    assert after.observations[0].others_confidence == (0.9,)


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
