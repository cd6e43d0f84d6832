"""Poses of real files: what is exported and drawn is what was seen, where it was seen."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wan_prep
from wan_prep.errors import InputPathError, MediaUnreadable, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE, VIDEO = FIXTURES / "reference.png", FIXTURES / "driving.mp4"
# Full colours of joints that no other joint is near to.
COLORS = {4: (170, 255, 0), 7: (0, 255, 85), 10: (0, 170, 255), 13: (85, 0, 255)}


@pytest.fixture
def seen(looked_at_once: None) -> Evidence:
    return wan_prep.observe(VIDEO)


@pytest.mark.model
@pytest.mark.media
def test_a_skeleton_stands_where_the_body_was_seen(seen: Evidence, tmp_path: Path) -> None:
    """The clip, 416 x 520, in the square of its image: 499 of 624 px, from 62 on."""
    target = tmp_path / "skeleton.mp4"
    wan_prep.write_skeleton(seen, target, partner=IMAGE)
    info = probe_video(target)
    assert (info.width, info.height, info.fps) == (624, 624, Fraction(30))
    assert seen.video_info is not None
    assert info.frame_count == int(seen.video_info.duration * 30)
    exported = wan_prep.export_poses(seen, as_model=True, partner=IMAGE)
    frames = {round(frame["time_s"] * 30): frame for frame in json.loads(exported)}
    on_the_grid = {k: f for k, f in frames.items() if abs(f["time_s"] * 30 - k) < 1e-6}
    assert len(on_the_grid) >= 5
    for k, frame in enumerate(decode(target, info)):
        picture = frame.rgb().astype(int)
        assert picture[:, :60].max() < 24, "black beside the clip"
        assert picture[:, 564:].max() < 24
        if k not in on_the_grid:
            continue
        joints = np.array(on_the_grid[k]["people"][0]["pose_keypoints_2d"]).reshape(18, 3)
        for number, color in COLORS.items():
            if joints[number, 2] == 1.0:
                x, y = joints[number, :2].astype(int)
                near = picture[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))
                assert np.abs(near - color).max() < 60, (k, number)
                assert 62 <= x <= 561


@pytest.mark.model
@pytest.mark.media
def test_a_part_has_its_own_length_and_shape(seen: Evidence, tmp_path: Path) -> None:
    part = seen.changed(start=Fraction(1), end=Fraction(2))
    target = tmp_path / "part.mp4"
    wan_prep.write_skeleton(part, target, mode="replace", resolution="720p", partner=IMAGE)
    info = probe_video(target)
    assert info.frame_count == 30
    assert (info.width, info.height) == (848, 1072), "that of the clip, 4:5"


@pytest.mark.model
@pytest.mark.media
@pytest.mark.usefixtures("looked_at_once")
def test_each_format_of_a_real_still(tmp_path: Path) -> None:
    still = wan_prep.observe(IMAGE)
    (frame,) = json.loads(wan_prep.export_poses(still))
    assert (frame["canvas_width"], frame["canvas_height"]) == (520, 520)
    joints = np.array(frame["people"][0]["pose_keypoints_2d"]).reshape(18, 3)
    nose, neck, right_shoulder, left_shoulder = joints[[0, 1, 2, 5], :2]
    assert nose[1] < neck[1]
    assert right_shoulder[0] < neck[0] < left_shoulder[0], "facing the camera"
    left, top, right, bottom = frame["people"][0]["face_box_xyxy"]
    assert left < nose[0] < right
    assert top < nose[1] < bottom
    assert json.loads(wan_prep.export_poses(still, "coco"))["images"][0]["file_name"] == IMAGE.name
    assert wan_prep.export_poses(still, "csv").count("\n") == 33


def test_what_cannot_be_drawn(make: Any, tmp_path: Path) -> None:
    target = tmp_path / "s.mp4"
    clip = make.video()
    single = clip.changed(sample_interval=None)
    for evidence, told in ((make.image(), "is a still"), (single, "looked at as a whole")):
        with pytest.raises(WanPrepError, match=told):
            wan_prep.write_skeleton(evidence, target)
    with pytest.raises(MediaUnreadable, match="0 bytes"):
        wan_prep.write_skeleton(make.unreadable("video"), target)
    with pytest.raises(WanPrepError, match="expected the pair's image"):
        wan_prep.write_skeleton(clip, target, partner=clip)
    with pytest.raises(MediaUnreadable, match="0 bytes"):
        wan_prep.write_skeleton(clip, target, partner=make.unreadable("image"))
    with pytest.raises(WanPrepError, match="expected animate or replace"):
        wan_prep.write_skeleton(clip, target, mode="dance")  # type: ignore[arg-type]
    with pytest.raises(WanPrepError, match="expected openpose, coco, csv"):
        wan_prep.export_poses(clip, "bvh")  # type: ignore[arg-type]
    with pytest.raises(InputPathError, match="no such folder"):
        wan_prep.write_skeleton(clip, tmp_path / "gone" / "s.mp4")
    assert list(tmp_path.iterdir()) == []


def test_no_input_is_replaced(make: Any, tmp_path: Path) -> None:
    source, image = tmp_path / "dance.mp4", tmp_path / "hero.png"
    source.write_bytes(b"a clip")
    image.write_bytes(b"a picture")
    link = tmp_path / "link.mp4"
    os.link(source, link)
    clip = make.video().changed(path=str(source))
    for target in (source, link, image):
        with pytest.raises(InputPathError, match="would replace the input"):
            wan_prep.write_skeleton(clip, target, partner=image)
    assert (source.read_bytes(), image.read_bytes()) == (b"a clip", b"a picture")


def test_an_unreadable_file_has_no_poses(make: Any) -> None:
    assert wan_prep.export_poses(make.unreadable("video"), as_model=True) == "[]"


@pytest.mark.media
@pytest.mark.parametrize("name", ["-s.mp4", "%d.mp4", "a b'$(x);.mp4", "ü\n:x.mp4"])
def test_any_name_can_be_written(make: Any, tmp_path: Path, name: str) -> None:
    clip = make.video(["adult", "adult"], duration=Fraction(1, 5))
    wan_prep.write_skeleton(clip, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert probe_video(tmp_path / name).frame_count == 6
