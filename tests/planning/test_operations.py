from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from wan_prep.planning.model import Geometry, ImageOperations, VideoOperations, Window
from wan_prep.planning.operations import image_operations, video_operations, written_fps
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.trim import Interval
from wan_prep.profile import default_profile

PROFILE = default_profile()
WHOLE = Geometry(window=Window(left=0, top=0, width=720, height=1280), width=720, height=1280)
SMALLER = WHOLE.model_copy(update={"width": 464, "height": 832})
ALL = Interval(Fraction(0), Fraction(8))


def of_image(
    make: Any, geometry: Geometry = WHOLE, options: PlanOptions | None = None, **info: Any
) -> ImageOperations:
    return image_operations(make.image(**info), geometry, options or PlanOptions(), PROFILE)


def of_video(
    make: Any, *intervals: Interval, geometry: Geometry = WHOLE, **info: Any
) -> VideoOperations:
    fps = written_fps(make.video_info(**info), PlanOptions(), PROFILE)
    return video_operations(make.video(**info), geometry, intervals or (ALL,), fps, PROFILE)


# ---- the rate


@pytest.mark.parametrize(
    ("fps", "is_vfr", "written"),
    [
        (Fraction(30000, 1001), False, Fraction(30000, 1001)),
        (Fraction(16), False, Fraction(16)),
        (Fraction(60), False, Fraction(60)),
        (Fraction(15), False, Fraction(30)),
        (Fraction(120), False, Fraction(30)),
        (Fraction(25), True, Fraction(30)),
    ],
)
def test_a_constant_rate_is_kept_in_its_range(
    make: Any, fps: Fraction, is_vfr: bool, written: Fraction
) -> None:
    info = make.video_info(fps=fps, is_vfr=is_vfr)
    assert written_fps(info, PlanOptions(), PROFILE) == written


def test_a_rate_that_was_asked_for_is_written(make: Any) -> None:
    info = make.video_info()
    assert written_fps(info, PlanOptions(fps=Fraction(24)), PROFILE) == 24


def test_one_frame_has_no_rate(make: Any) -> None:
    info = make.video_info(frame_count=1, fps=Fraction(50))
    assert written_fps(info, PlanOptions(), PROFILE) == 30


# ---- the image


@pytest.mark.parametrize(("kind", "name"), [("PNG", "reference.png"), ("JPEG", "reference.jpg")])
def test_an_image_that_needs_nothing_is_copied(make: Any, kind: str, name: str) -> None:
    operations = of_image(make, format=kind)
    assert (operations.copy_bytes, operations.name, operations.geometry) == (True, name, None)


@pytest.mark.parametrize(
    "info",
    [
        {"format": "WEBP"},
        {"format": "HEIF"},
        {"format": "TIFF"},
        {"exif_orientation": 6},
        {"has_alpha": True},
        {"color_mode": "RGBA"},
        {"bit_depth": 16},
        {"has_icc_profile": True},
        {"frame_count": 2},
        {"size_bytes": 6_000_000},
    ],
)
def test_an_image_that_needs_anything_is_written_as_png(make: Any, info: dict[str, Any]) -> None:
    operations = of_image(make, **info)
    assert (operations.copy_bytes, operations.name, operations.format) == (
        False,
        "reference.png",
        "png",
    )
    assert operations.geometry == WHOLE


def test_an_image_in_another_size_is_written(make: Any) -> None:
    assert of_image(make, SMALLER).geometry == SMALLER


def test_the_format_that_was_asked_for(make: Any) -> None:
    jpeg = PlanOptions(image_format="jpeg", jpeg_quality=97, background="#102030")
    operations = of_image(make, options=jpeg)
    assert (operations.name, operations.format, operations.jpeg_quality) == (
        "reference.jpg",
        "jpeg",
        97,
    )
    assert operations.background == "#102030"
    assert of_image(make, options=jpeg, format="JPEG").copy_bytes


# ---- the clip


def test_a_clip_that_needs_nothing_is_copied(make: Any) -> None:
    operations = of_video(make)
    assert (operations.copy_bytes, operations.geometry, operations.fps) == (True, None, None)
    assert [(s.name, s.start, s.end) for s in operations.spans] == [("driving.mp4", 0, 8)]


@pytest.mark.parametrize(
    "info",
    [
        {"container": "mov"},
        {"codec": "hevc"},
        {"pixel_format": "yuv444p"},
        {"pixel_format": "yuvj420p"},
        {"rotation_deg": 90},
        {"is_mirrored": True},
        {"matrix_left_undone": "a turn of 10 deg clockwise"},
        {"hidden_ltrb": (0, 0, 16, 0)},
        {"coded_width": 360},
        {"is_interlaced": True},
        {"is_hdr": True},
        {"is_vfr": True},
        {"is_truncated": True},
        {"splices": (Fraction(2),)},
        {"fps": Fraction(12)},
        {"size_bytes": 300_000_000},
        {"audio_codec": "mp3"},
        {"audio_start": Fraction(1, 5)},
        {"audio_duration": Fraction(9)},
    ],
)
def test_a_clip_that_needs_anything_is_encoded(make: Any, info: dict[str, Any]) -> None:
    operations = of_video(make, **info)
    assert not operations.copy_bytes
    assert operations.geometry == WHOLE
    assert operations.deinterlace is info.get("is_interlaced", False)
    assert operations.tone_map is info.get("is_hdr", False)


def test_a_part_is_encoded(make: Any) -> None:
    operations = of_video(make, Interval(Fraction(1), Fraction(8)))
    assert (operations.copy_bytes, operations.audio) == (False, "aac")


def test_several_parts_are_numbered(make: Any) -> None:
    operations = of_video(
        make, Interval(Fraction(0), Fraction(3)), Interval(Fraction(4), Fraction(8))
    )
    assert [s.name for s in operations.spans] == ["driving-01.mp4", "driving-02.mp4"]


@pytest.mark.parametrize(
    ("info", "audio"),
    [
        ({}, "copy"),
        ({"has_audio": False, "audio_codec": None, "audio_start": None}, "none"),
        ({"audio_codec": "opus"}, "aac"),
        ({"audio_start": Fraction(1, 5)}, "aac"),
        ({"audio_start": None}, "aac"),
    ],
)
def test_sound_is_taken_over_where_nothing_moves(
    make: Any, info: dict[str, Any], audio: str
) -> None:
    assert of_video(make, geometry=SMALLER, **info).audio == audio


def test_sound_over_the_limit_is_not_taken_over(make: Any) -> None:
    lasting = {"duration": Fraction(120), "audio_duration": Fraction(120) + Fraction(1, 50)}
    whole = Interval(Fraction(0), Fraction(120))
    assert of_video(make, whole, frame_count=3600, **lasting).audio == "aac"
