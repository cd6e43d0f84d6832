from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from wan_prep.errors import NormalizeFailed
from wan_prep.evidence import Defect
from wan_prep.normalizers.verify import (
    ExpectedVideo,
    verify_copy,
    verify_decoding,
    verify_evidence,
    verify_image,
    verify_subject,
    verify_video,
)
from wan_prep.planning.model import Geometry, Window

WHOLE = Geometry(window=Window(left=0, top=0, width=64, height=48), width=64, height=48)
EXPECTED = ExpectedVideo(width=176, height=64, fps=Fraction(25), frames=40, has_audio=False)
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")

# Frame 9 comes a quarter of a frame late.
UNEVEN = ("-vf", r"settb=1/100,setpts=4*N+eq(N\,9)", "-enc_time_base", "1:100")

# ---- facts


@pytest.mark.media
def test_a_clip_as_planned_passes(media) -> None:
    verify_video(media.numbered("good.mp4", *X264), EXPECTED)
    verify_decoding(media.numbered("good.mp4", *X264), EXPECTED)


@pytest.mark.media
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 178}, "expected px 178x64, found 176x64"),
        ({"frames": 41}, "expected frames 41, found 40"),
        ({"fps": Fraction(24)}, "expected a frame every 0.041667 s"),
        ({"has_audio": True}, "expected sound aac, found none"),
    ],
)
def test_a_clip_that_came_out_otherwise_is_refused(media, changes: dict, said: str) -> None:
    with pytest.raises(NormalizeFailed, match=rf"good\.mp4: {said}"):
        verify_video(media.numbered("good.mp4", *X264), replace(EXPECTED, **changes))


@pytest.mark.media
@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("lossless.mp4", ("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p"), "coding"),
        ("box.mkv", X264, "coding"),
        ("uneven.mp4", (*X264, *UNEVEN), "frame every"),
    ],
)
def test_a_clip_of_another_kind_is_refused(media, name: str, options: tuple, said: str) -> None:
    source = media.numbered(name, *(*options, "-fps_mode", "passthrough"))
    with pytest.raises(NormalizeFailed, match=said):
        verify_video(source, EXPECTED)


@pytest.mark.media
def test_sound_that_outlasts_the_pictures_is_refused(media) -> None:
    path = media.folder / "outlasting.mp4"
    media.ffmpeg(
        *("-i", media.numbered("good.mp4", *X264), "-f", "lavfi", "-i", "sine=d=1.7"),
        *("-c:v", "copy", "-c:a", "aac", path),
    )
    with pytest.raises(NormalizeFailed, match=r"expected an end at 1\.6000 s, found 1\.7"):
        verify_video(path, replace(EXPECTED, has_audio=True))


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "driving.mp4"
    path.write_bytes(b"")
    with pytest.raises(NormalizeFailed, match=r"driving\.mp4 does not open again"):
        verify_video(path, EXPECTED)


@pytest.mark.media
def test_frames_that_do_not_decode_are_counted(media) -> None:
    good = media.numbered("noisy.mp4", *X264, filters=",noise=alls=30:allf=t")
    content = bytearray(good.read_bytes())
    begin = content.index(b"mdat") + len(content) // 3
    content[begin : begin + len(content) // 4] = bytes(len(content) // 4)
    bad = good.with_name("holed.mp4")
    bad.write_bytes(bytes(content))
    with pytest.raises(NormalizeFailed, match="expected every frame to decode"):
        verify_decoding(bad, EXPECTED)


def test_a_picture_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "reference.png"
    cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
    verify_image(path, WHOLE, max_pixels=10**9)
    with pytest.raises(NormalizeFailed, match="expected px 66x48, found 64x48"):
        verify_image(path, WHOLE.model_copy(update={"width": 66}), max_pixels=10**9)
    path.write_bytes(b"")
    with pytest.raises(NormalizeFailed, match="does not open again"):
        verify_image(path, WHOLE, max_pixels=10**9)


def test_a_copy_is_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "driving.mp4"
    path.write_bytes(b"abc")
    verify_copy(path, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    path.write_bytes(b"abd")
    with pytest.raises(NormalizeFailed, match="other bytes"):
        verify_copy(path, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


# ---- the word of the re-check


def test_a_clean_decode_passes(make) -> None:
    verify_evidence(make.image())
    # 240 frames at 30/s: the last one is shown at 239 / 30 s.
    verify_evidence(make.video(evidence={"decoded_until": Fraction(239, 30)}))


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ({"decoded_until": Fraction(239, 30), "decode_errors": 1}, "1 errors and 0 frames missing"),
        ({"decoded_until": Fraction(237, 30)}, "0 errors and 2 frames missing"),
        ({"decoded_until": None}, "0 errors and 239 frames missing"),
        ({"defects": (Defect(kind="corrupt", message="it is damaged"),)}, "it is damaged"),
    ],
)
def test_a_decode_with_faults_is_refused(make, evidence: dict, said: str) -> None:
    with pytest.raises(NormalizeFailed, match=said):
        verify_evidence(make.video(evidence=evidence))


# ---- the subject


def geometry(left: int, top: int, width: int, height: int, turn: float = 0.0) -> Geometry:
    window = Window(left=left, top=top, width=width, height=height)
    return Geometry(window=window, width=width, height=height, rotate_deg=turn)


def test_a_subject_where_the_plan_puts_it_passes(make) -> None:
    before = make.video([make.body(hips=(360, 600))] * 4)
    after = make.video([make.body(hips=(310, 520), size=(600, 1100))] * 4, width=600, height=1100)
    verify_subject(before, after, geometry(50, 80, 600, 1100), Fraction(0))


def test_a_subject_elsewhere_is_refused(make) -> None:
    before = make.video([make.body(hips=(360, 600))] * 4)
    after = make.video([make.body(hips=(160, 600))] * 4)
    with pytest.raises(NormalizeFailed, match=r"found it 14% of the picture away"):
        verify_subject(before, after, None, Fraction(0))


def test_times_are_those_of_the_part_that_was_written(make) -> None:
    # The person walks 100 px to the right every half second.
    bodies = [make.body(hips=(100 + 100 * k, 600)) for k in range(6)]
    before, after = make.video(bodies), make.video(bodies[3:])
    verify_subject(before, after, None, Fraction(3, 2))
    with pytest.raises(NormalizeFailed, match="20%"):
        verify_subject(before, after, None, Fraction(0))


def test_a_turned_picture_turns_its_subject(make) -> None:
    world = make.turned("z", 20.0)
    upright = make.image(make.body(hips=(360, 640)))
    turned = make.image(make.body(world, hips=(360, 640)))
    verify_subject(upright, turned, geometry(0, 0, 720, 1280, turn=20.0), Fraction(0))
    with pytest.raises(NormalizeFailed, match="away"):
        verify_subject(upright, turned, geometry(0, 0, 720, 1280, turn=-20.0), Fraction(0))


def test_nobody_is_not_judged(make) -> None:
    verify_subject(make.video([None] * 3), make.video(), None, Fraction(0))
    verify_subject(make.video(), make.video([None] * 3), None, Fraction(0))
