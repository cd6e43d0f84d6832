"""The joints in the forms of other tools, on literal arrays: every keypoint by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.evidence import Evidence, Subject
from wan_prep.geometry import Box, Size
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import default_profile
from wan_prep.report.keypoints import (
    Canvas,
    PoseFormat,
    decides_shape,
    export,
    file_canvas,
    model_canvas,
)
from wan_prep.sizing import letterboxed

PROFILE = default_profile()
SIZE = Size(1000, 2000)


@pytest.fixture
def subject(make: Any) -> Callable[..., Subject]:
    """Landmark number k stands at x = 10 (k + 1), y = 20 (k + 1) px of 1000 x 2000."""

    def build(**changes: Any) -> Subject:
        steps = np.arange(1, 34) / 100
        facts = {
            "keypoints_xy": np.column_stack([steps, steps]),
            "visibility": np.ones(33),
            "box": Box(0.1, 0.2, 0.5, 0.8),
        }
        changed: Subject = make.subject(**facts | changes)
        return changed

    return build


def of_video(make: Any, subjects: list[Subject | None], **changes: Any) -> Evidence:
    seen: Evidence = make.video(subjects, width=1000, height=2000, **changes)
    return seen


def openpose(evidence: Evidence, canvas: Canvas | None = None) -> Any:
    return json.loads(export(evidence, "openpose", canvas or file_canvas(evidence)))


def coco(evidence: Evidence, canvas: Canvas | None = None) -> Any:
    return json.loads(export(evidence, "coco", canvas or file_canvas(evidence)))


def table(evidence: Evidence, canvas: Canvas | None = None) -> list[dict[str, str]]:
    text = export(evidence, "csv", canvas or file_canvas(evidence))
    return list(csv.DictReader(io.StringIO(text)))


# ---- OpenPose


def test_the_eighteen_keypoints_of_openpose(make: Any, subject: Any) -> None:
    (frame,) = openpose(of_video(make, [subject()]))
    assert frame["people"][0]["pose_keypoints_2d"] == [
        10.0, 20.0, 1.0,  # nose, landmark 0
        125.0, 250.0, 1.0,  # neck, between 11 and 12
        130.0, 260.0, 1.0,  # right shoulder, 12
        150.0, 300.0, 1.0,  # right elbow, 14
        170.0, 340.0, 1.0,  # right wrist, 16
        120.0, 240.0, 1.0,  # left shoulder, 11
        140.0, 280.0, 1.0,  # left elbow, 13
        160.0, 320.0, 1.0,  # left wrist, 15
        250.0, 500.0, 1.0,  # right hip, 24
        270.0, 540.0, 1.0,  # right knee, 26
        290.0, 580.0, 1.0,  # right ankle, 28
        240.0, 480.0, 1.0,  # left hip, 23
        260.0, 520.0, 1.0,  # left knee, 25
        280.0, 560.0, 1.0,  # left ankle, 27
        60.0, 120.0, 1.0,  # right eye, 5
        30.0, 60.0, 1.0,  # left eye, 2
        90.0, 180.0, 1.0,  # right ear, 8
        80.0, 160.0, 1.0,  # left ear, 7
    ]  # fmt: skip
    assert (frame["canvas_width"], frame["canvas_height"], frame["time_s"]) == (1000, 2000, 0.0)


def test_a_person_has_the_lists_that_openpose_has(make: Any, subject: Any) -> None:
    """Those of face and hands are empty: they were not measured."""
    (frame,) = openpose(of_video(make, [subject(face=make.face)]))
    (person,) = frame["people"]
    assert (person["face_keypoints_2d"], person["hand_left_keypoints_2d"]) == ([], [])
    assert person["hand_right_keypoints_2d"] == []
    assert person["face_box_xyxy"] == [420.0, 280.0, 580.0, 460.0]


def test_times_are_those_of_the_samples_and_nobody_is_nobody(make: Any, subject: Any) -> None:
    frames = openpose(of_video(make, [subject(), None, subject()], every=Fraction(1, 3)))
    assert [len(frame["people"]) for frame in frames] == [1, 0, 1]
    assert [frame["time_s"] for frame in frames] == [0.0, 1 / 3, 2 / 3]


def test_a_still_is_a_list_of_one(make: Any, subject: Any) -> None:
    frames = openpose(make.image(subject(), width=1000, height=2000))
    assert [len(frame["people"]) for frame in frames] == [1]


# ---- COCO


def test_the_seventeen_keypoints_of_coco(make: Any, subject: Any) -> None:
    (person,) = coco(of_video(make, [subject()]))["annotations"]
    assert person["keypoints"] == [
        10.0, 20.0, 2,  # nose, landmark 0
        30.0, 60.0, 2,  # left eye, 2
        60.0, 120.0, 2,  # right eye, 5
        80.0, 160.0, 2,  # left ear, 7
        90.0, 180.0, 2,  # right ear, 8
        120.0, 240.0, 2,  # left shoulder, 11
        130.0, 260.0, 2,  # right shoulder, 12
        140.0, 280.0, 2,  # left elbow, 13
        150.0, 300.0, 2,  # right elbow, 14
        160.0, 320.0, 2,  # left wrist, 15
        170.0, 340.0, 2,  # right wrist, 16
        240.0, 480.0, 2,  # left hip, 23
        250.0, 500.0, 2,  # right hip, 24
        260.0, 520.0, 2,  # left knee, 25
        270.0, 540.0, 2,  # right knee, 26
        280.0, 560.0, 2,  # left ankle, 27
        290.0, 580.0, 2,  # right ankle, 28
    ]  # fmt: skip
    assert person["num_keypoints"] == 17
    assert person["bbox"] == [100.0, 400.0, 400.0, 1200.0]
    assert person["area"] == 480_000.0
    assert (person["face_box"], person["face_valid"]) == ([420.0, 280.0, 160.0, 180.0], True)


def test_a_coco_document_keeps_the_rules_of_its_schema(make: Any, subject: Any) -> None:
    hidden = np.ones(33)
    hidden[[0, 15]] = 0.2
    seen = [subject(), None, subject(visibility=hidden)]
    document = coco(of_video(make, seen).changed(path="clips/dance.v2.mp4"))
    assert set(document) == {"info", "licenses", "categories", "images", "annotations"}
    (category,) = document["categories"]
    names = category["keypoints"]
    assert (category["name"], len(names), len(set(names))) == ("person", 17, 17)
    assert {number for line in category["skeleton"] for number in line} == set(range(1, 18))
    by_name = [{names[a - 1], names[b - 1]} for a, b in category["skeleton"]]
    assert {"left_shoulder", "left_elbow"} in by_name
    assert {"right_knee", "right_ankle"} in by_name
    assert not [pair for pair in by_name if {"left_knee", "right_ankle"} == pair]
    assert [image["id"] for image in document["images"]] == [1, 2, 3]
    assert [image["file_name"] for image in document["images"]] == [
        "dance.v2-00000.png", "dance.v2-00001.png", "dance.v2-00002.png"
    ]  # fmt: skip
    assert [image["time_s"] for image in document["images"]] == [0.0, 0.5, 1.0]
    assert [person["image_id"] for person in document["annotations"]] == [1, 3]
    assert len({person["id"] for person in document["annotations"]}) == 2
    for person in document["annotations"]:
        flags = person["keypoints"][2::3]
        assert len(person["keypoints"]) == 51
        assert all(type(flag) is int for flag in flags)
        assert person["num_keypoints"] == sum(flag > 0 for flag in flags)
        assert (person["category_id"], person["iscrowd"], person["segmentation"]) == (1, 0, [])
    last = document["annotations"][1]
    assert last["num_keypoints"] == 15
    assert last["keypoints"][:3] == [0.0, 0.0, 0]
    assert last["keypoints"][27:30] == [0.0, 0.0, 0], "the left wrist"


def test_a_still_keeps_its_own_name(make: Any, subject: Any) -> None:
    still = make.image(subject(), width=1000, height=2000).changed(path='a\\b/"ü, x\n.png')
    assert coco(still)["images"][0]["file_name"] == '"ü, x\n.png'


# ---- a table


def test_a_row_for_each_landmark_of_each_picture(make: Any, subject: Any) -> None:
    rows = table(of_video(make, [subject(), None]))
    assert len(rows) == 66
    assert rows[16] == {
        "time_s": "0.0", "frame": "0", "joint": "right_wrist", "x_px": "170.0", "y_px": "340.0",
        "visibility": "1.0", "found": "true",
    }  # fmt: skip
    assert rows[33] == {
        "time_s": "0.5", "frame": "1", "joint": "nose", "x_px": "", "y_px": "", "visibility": "",
        "found": "false",
    }  # fmt: skip
    assert [row["joint"] for row in rows[:33]] == [joint.name.lower() for joint in Joint]


def test_a_table_keeps_where_hidden_joints_are_thought_to_be(make: Any, subject: Any) -> None:
    dim = np.ones(33)
    dim[16] = 0.2
    wrist = table(of_video(make, [subject(visibility=dim)]))[16]
    assert (wrist["x_px"], wrist["visibility"]) == ("170.0", "0.2")


# ---- what is not seen is not given


@pytest.mark.parametrize(
    ("landmark", "place", "visibility", "openpose_gone", "coco_gone"),
    [
        (0, (0.5, 0.5), 0.49, ["nose"], 1),
        (16, (1.01, 0.5), 1.0, ["right_wrist"], 1),
        (16, (0.5, -0.01), 1.0, ["right_wrist"], 1),
        (12, (0.5, 0.5), 0.49, ["neck", "right_shoulder"], 1),
        (31, (0.5, 0.5), 0.0, [], 0),
    ],
)
def test_a_joint_that_is_hidden_or_outside(
    make: Any,
    subject: Any,
    landmark: int,
    place: tuple[float, float],
    visibility: float,
    openpose_gone: list[str],
    coco_gone: int,
) -> None:
    order = ["nose", "neck", "right_shoulder", "right_elbow", "right_wrist"]
    xy, sight = np.array(subject().keypoints_xy), np.ones(33)
    xy[landmark], sight[landmark] = place, visibility
    seen = of_video(make, [subject(keypoints_xy=xy, visibility=sight)])
    given = np.array(openpose(seen)[0]["people"][0]["pose_keypoints_2d"]).reshape(18, 3)
    gone = np.flatnonzero(given[:, 2] == 0)
    assert [order[k] for k in gone] == openpose_gone
    assert (given[gone] == 0).all()
    assert coco(seen)["annotations"][0]["num_keypoints"] == 17 - coco_gone


def test_a_head_alone_has_its_face_and_no_other_joint(make: Any) -> None:
    seen = make.video([make.head()])
    (person,) = openpose(seen)[0]["people"]
    given = np.array(person["pose_keypoints_2d"]).reshape(18, 3)
    assert list(np.flatnonzero(given[:, 2])) == [0, 14, 15, 16, 17], "nose, eyes, ears"
    # 300 px around the middle of 720 x 1280, at 0.4 of its height
    assert person["face_box_xyxy"] == pytest.approx([210.0, 362.0, 510.0, 662.0], abs=0.02)
    (annotation,) = coco(seen)["annotations"]
    assert annotation["num_keypoints"] == 5
    # Even where a network claims to have seen them.
    sure = make.video([make.head(visibility=np.ones(33))])
    for clip in (seen, sure):
        below = table(clip)[11:33]
        assert {(row["x_px"], row["y_px"], row["visibility"]) for row in below} == {("", "", "0.0")}
    again = np.array(openpose(sure)[0]["people"][0]["pose_keypoints_2d"]).reshape(18, 3)
    assert list(np.flatnonzero(again[:, 2])) == [0, 14, 15, 16, 17]


def test_the_back_of_a_head_has_ears_and_no_face(make: Any) -> None:
    """The network is sure of eyes and nose there, too."""
    from_behind = make.body(make.turned("y", 180.0))
    unsure = make.face.changed(confidence=0.3, yaw_deg=None)
    for face, expected in ((unsure, [16, 17]), (None, [16, 17]), (make.face, [0, 14, 15, 16, 17])):
        seen = make.video([make.subject(from_behind, face=face)])
        given = np.array(openpose(seen)[0]["people"][0]["pose_keypoints_2d"]).reshape(18, 3)
        head = [k for k in np.flatnonzero(given[:, 2]) if k in (0, 14, 15, 16, 17)]
        assert head == expected
        assert given[1, 2] == 1.0, "the neck is seen"
    front = make.video([make.subject(face=unsure)])
    given = np.array(openpose(front)[0]["people"][0]["pose_keypoints_2d"]).reshape(18, 3)
    assert given[0, 2] == 1.0


def test_no_face_no_box(make: Any, subject: Any) -> None:
    outside = make.face.changed(box=Box(1.1, 0.2, 1.3, 0.4))
    for face in (None, outside):
        seen = of_video(make, [subject(face=face)])
        assert openpose(seen)[0]["people"][0]["face_box_xyxy"] is None
        (person,) = coco(seen)["annotations"]
        assert (person["face_box"], person["face_valid"]) == ([0.0, 0.0, 0.0, 0.0], False)


def test_boxes_end_at_the_edge_of_the_picture(make: Any, subject: Any) -> None:
    cut = subject(
        box=Box(-0.2, 0.5, 0.5, 1.4), face=make.face.changed(box=Box(-0.1, 0.9, 0.1, 1.1))
    )
    seen = of_video(make, [cut])
    (person,) = coco(seen)["annotations"]
    assert person["bbox"] == [0.0, 1000.0, 500.0, 1000.0]
    assert openpose(seen)[0]["people"][0]["face_box_xyxy"] == [0.0, 1800.0, 100.0, 2000.0]


def test_an_unreadable_file_has_no_pictures(make: Any) -> None:
    for kind in ("image", "video"):
        nothing = make.unreadable(kind)
        assert export(nothing, "openpose", None) == "[]"
        document = json.loads(export(nothing, "coco", None))
        assert (document["images"], document["annotations"]) == ([], [])
        assert export(nothing, "csv", None) == "time_s,frame,joint,x_px,y_px,visibility,found"


# ---- the picture that the model is shown


def test_a_letterbox_by_hand() -> None:
    # 832 / 1000 = 0.832 < 464 / 500: the width decides, 500 · 0.832 = 416, 48 px are left.
    assert letterboxed(Size(1000, 500), Size(832, 464)) == (0, 24, 832, 440)
    # 624 / 520 of 416 = 499.2, cut to 499: 125 px are left, of which 62 come first.
    assert letterboxed(Size(416, 520), Size(624, 624)) == (62, 0, 561, 624)
    assert letterboxed(Size(1280, 720), Size(1280, 720)) == (0, 0, 1280, 720)
    assert letterboxed(Size(4000, 1), Size(640, 640)) == (0, 319, 640, 320)


def test_who_decides_the_shape() -> None:
    assert decides_shape("image", "animate")
    assert decides_shape("video", "replace")
    assert not decides_shape("video", "animate")
    assert not decides_shape("image", "replace")


def test_the_canvas_of_each_mode(make: Any) -> None:
    clip = make.video(["adult"], width=416, height=520)
    square = Size(520, 520)
    animate = model_canvas(clip, "animate", "480p", PROFILE, partner=square)
    assert animate == Canvas(Size(624, 624), Box(62, 0, 561, 624))
    # 416 x 520 itself becomes 560 x 704, with 563 px for the width: 4 px of bars above and below.
    own = Canvas(Size(560, 704), Box(0, 2, 560, 702))
    assert model_canvas(clip, "replace", "480p", PROFILE, partner=square) == own
    assert model_canvas(clip, "animate", "480p", PROFILE) == own
    still = make.image("adult", width=520, height=520)
    assert model_canvas(still, "animate", "480p", PROFILE).size == (624, 624)
    shown = model_canvas(still, "replace", "480p", PROFILE, partner=Size(416, 520))
    assert shown == Canvas(Size(560, 704), Box(0, 72, 560, 632))


def test_joints_move_with_the_letterbox(make: Any, subject: Any) -> None:
    # 1000 x 2000 on 100 x 100: 50 px wide, from 25 on; a px of it is 20 of the file.
    canvas = Canvas(Size(100, 100), letterboxed(SIZE, Size(100, 100)))
    seen = of_video(make, [subject()])
    (frame,) = openpose(seen, canvas)
    assert (frame["canvas_width"], frame["canvas_height"]) == (100, 100)
    assert frame["people"][0]["pose_keypoints_2d"][:6] == [25.5, 1.0, 1.0, 31.25, 12.5, 1.0]
    document = coco(seen, canvas)
    assert (document["images"][0]["width"], document["images"][0]["height"]) == (100, 100)
    assert document["annotations"][0]["bbox"] == [30.0, 20.0, 20.0, 60.0]
    assert table(seen, canvas)[16]["x_px"] == "33.5"


@given(
    size=st.tuples(st.integers(64, 4096), st.integers(64, 4096)),
    partner=st.tuples(st.integers(64, 4096), st.integers(64, 4096)),
    mode=st.sampled_from(["animate", "replace"]),
    resolution=st.sampled_from(["480p", "720p"]),
    places=st.lists(st.floats(-0.5, 1.5), min_size=66, max_size=66),
)
def test_whatever_is_given_lies_inside_the_canvas(
    size: tuple[int, int],
    partner: tuple[int, int],
    mode: Any,
    resolution: Any,
    places: list[float],
    make: Any,
) -> None:
    someone = make.subject(keypoints_xy=np.array(places).reshape(33, 2))
    seen = make.video([someone], width=size[0], height=size[1])
    canvas = model_canvas(seen, mode, resolution, PROFILE, partner=Size(*partner))
    left, top, right, bottom = canvas.place
    assert 0 <= left < right <= canvas.size.width
    assert 0 <= top < bottom <= canvas.size.height
    (frame,) = openpose(seen, canvas)
    given = np.array(frame["people"][0]["pose_keypoints_2d"]).reshape(18, 3)
    inside = given[given[:, 2] > 0, :2]
    assert (inside >= (left, top)).all()
    assert (inside <= (right, bottom)).all()


def test_formats_are_deterministic_and_plain(make: Any, subject: Any) -> None:
    formats: tuple[PoseFormat, ...] = ("openpose", "coco", "csv")
    seen = of_video(make, [subject(), None])
    for format in formats:
        first = export(seen, format, file_canvas(seen))
        assert first == export(seen, format, file_canvas(seen))
        assert "NaN" not in first
        assert "-0.0" not in first
