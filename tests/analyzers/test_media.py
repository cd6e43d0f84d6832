from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from wan_prep.findings import Applicability, Judged, NotApplicable, Severity
from wan_prep.media.types import Form

OF_IMAGE = ["WP103", "WP104", "WP105", "WP106", "WP107"]
OF_VIDEO = [
    *("WP111", "WP112", "WP113", "WP114", "WP115", "WP116", "WP117", "WP118"),
    *("WP124", "WP125", "WP126"),
]


@pytest.mark.parametrize("code", ["WP101", "WP102", *OF_IMAGE, *OF_VIDEO])
def test_good_files_pass(make: Any, code: str) -> None:
    result = make.result(code, make.pair())
    assert isinstance(result.answer, Judged)
    assert result.answer.score == 1.0
    assert result.finding is None


@pytest.mark.parametrize(
    ("code", "info", "words", "measured", "score"),
    [
        ("WP103", {"frame_count": 12}, ["12 frames"], 12, 0.4),
        ("WP104", {"format": "TIFF"}, ["TIFF"], "TIFF", 0.4),
        ("WP105", {"width": 199}, ["199 x 1280", "200 to 4096"], "199x1280", 0.4),
        ("WP105", {"height": 4097}, ["720 x 4097", "200 to 4096"], "720x4097", 0.4),
        ("WP105", {"size_bytes": 5_100_000}, ["5.1 MB", "5 MB"], 5_100_000, 0.4),
        ("WP106", {"has_alpha": True, "color_mode": "RGBA"}, ["transparent"], "RGBA", 0.4),
        ("WP106", {"color_mode": "CMYK"}, ["CMYK"], "CMYK", 0.7),
        ("WP106", {"color_mode": "I;16", "bit_depth": 16}, ["16 bits"], "I;16", 0.7),
        ("WP107", {"exif_orientation": 6}, ["EXIF orientation (6)"], 6, 0.4),
    ],
)
def test_what_is_odd_about_an_image(
    make: Any, code: str, info: dict, words: list[str], measured: Any, score: float
) -> None:
    result = make.result(code, make.pair(make.image(**info)))
    finding = result.finding
    assert finding is not None
    assert result.score == score
    assert finding.severity is (Severity.INFO if score >= 0.5 else Severity.WARNING)
    assert (finding.status, finding.subject) == ("fail", "image")
    assert finding.measured == measured
    assert all(word in finding.message for word in words)
    assert finding.source


@pytest.mark.parametrize(
    ("code", "info", "words", "measured", "score"),
    [
        ("WP111", {"codec": "vp9", "container": "matroska"}, ["vp9", "matroska"], None, 0.4),
        ("WP111", {"container": "matroska"}, ["h264 in matroska"], "h264/matroska", 0.4),
        ("WP112", {"width": 2100}, ["2100 x 1280", "200 to 2048"], "2100x1280", 0.4),
        ("WP112", {"height": 150}, ["720 x 150"], "720x150", 0.4),
        ("WP112", {"size_bytes": 250_000_000}, ["250.0 MB", "200 MB"], 250_000_000, 0.4),
        ("WP113", {"rotation_deg": 90}, ["90 deg"], 90, 0.4),
        ("WP113", {"is_mirrored": True}, ["mirrored"], 0, 0.4),
        (
            "WP113",
            {"rotation_deg": 270, "is_mirrored": True},
            ["mirrored and turned by 270 deg"],
            270,
            0.4,
        ),
        (
            "WP124",
            {"matrix_left_undone": "a turn of 10 deg clockwise"},
            ["a turn of 10 deg clockwise", "it was ignored here"],
            "a turn of 10 deg clockwise",
            0.4,
        ),
        (
            "WP125",
            {"hidden_ltrb": (8, 0, 24, 2), "coded_width": 752, "coded_height": 1282},
            ["left 8, top 0, right 24, bottom 2 px of 752 x 1282"],
            "8,0,24,2",
            0.4,
        ),
        ("WP126", {"has_alpha": True, "pixel_format": "bgra"}, ["transparent"], "bgra", 0.4),
        (
            "WP114",
            {"sample_aspect_ratio": Fraction(4, 3), "coded_width": 540},
            ["4:3", "720 x 1280", "540 x 1280"],
            1.3333,
            0.6,
        ),
        ("WP115", {"is_hdr": True, "color_transfer": "smpte2084"}, ["smpte2084"], "smpte2084", 0.4),
        ("WP116", {"is_interlaced": True}, ["interlaced"], "interlaced", 0.4),
    ],
)
def test_what_is_odd_about_a_video(
    make: Any, code: str, info: dict, words: list[str], measured: Any, score: float
) -> None:
    result = make.result(code, make.pair(video=make.video(**info)))
    finding = result.finding
    assert finding is not None
    assert result.score == score
    assert finding.severity is (Severity.INFO if score >= 0.5 else Severity.WARNING)
    assert (finding.status, finding.subject) == ("fail", "video")
    assert measured is None or finding.measured == measured
    assert all(word in finding.message for word in words)
    assert finding.source


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_the_documented_image_formats_pass(make: Any, kind: str) -> None:
    assert make.result("WP104", make.pair(make.image(format=kind))).finding is None


@pytest.mark.parametrize("container", ["mp4", "mov", "avi"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_documented_video_forms_pass(make: Any, container: str, codec: str) -> None:
    video = make.video(container=container, codec=codec)
    assert make.result("WP111", make.pair(video=video)).finding is None


@pytest.mark.parametrize("info", [{"width": 200, "height": 4096}, {"size_bytes": 5_000_000}])
def test_at_the_limit_is_within_it(make: Any, info: dict) -> None:
    assert make.result("WP105", make.pair(make.image(**info))).finding is None


def test_what_is_too_large_can_be_scaled_what_is_too_small_cannot(make: Any) -> None:
    large = make.result("WP105", make.pair(make.image(width=5000))).finding
    small = make.result("WP105", make.pair(make.image(width=100))).finding
    assert large.fix.applicability is Applicability.SAFE
    assert small.fix.applicability is Applicability.MANUAL


def test_pixels_a_hair_from_square_are_square(make: Any) -> None:
    """Less than a pixel and a half across the whole picture."""
    video = make.video(sample_aspect_ratio=Fraction(1281, 1280))
    assert make.result("WP114", make.pair(video=video)).finding is None


def test_a_damaged_video_says_what_is_missing(make: Any) -> None:
    cut = make.video(is_truncated=True, duration=Fraction(8), duration_from_header=Fraction(12))
    finding = make.result("WP117", make.pair(video=cut)).finding
    assert (finding.severity, finding.measured) == (Severity.WARNING, 0)
    assert "8.00 s of 12.00 s" in finding.message
    broken = make.video(evidence={"decode_errors": 3})
    finding = make.result("WP117", make.pair(video=broken)).finding
    assert finding.measured == 3
    assert "3 parts" in finding.message
    assert finding.fix.applicability is Applicability.MANUAL


def form(seconds: int, width: int, height: int, **changes: Any) -> Form:
    facts = {"pixel_format": "yuv420p", "is_full_range": False, "matrix": 1} | changes
    return Form(time=Fraction(seconds), width=width, height=height, **facts)


def test_a_change_of_size_is_told_with_its_time(make: Any) -> None:
    forms = (form(0, 960, 540), form(2, 640, 360), form(5, 960, 540))
    finding = make.result("WP118", make.pair(video=make.video(evidence={"forms": forms}))).finding
    assert (finding.severity, finding.measured) == (Severity.WARNING, 2)
    assert "from 960 x 540 to 640 x 360 px at 2.00 s, and 1 times more" in finding.message
    assert finding.fix.applicability is Applicability.SAFE


@pytest.mark.parametrize("changes", [{"pixel_format": "yuv444p"}, {"is_full_range": True}])
def test_other_pixels_of_the_same_size_are_no_change_of_size(make: Any, changes: dict) -> None:
    forms = (form(0, 960, 540), form(2, 960, 540, **changes))
    video = make.video(evidence={"forms": forms})
    assert make.result("WP118", make.pair(video=video)).finding is None


@pytest.mark.parametrize(("code", "kind"), [("WP101", "image"), ("WP102", "video")])
def test_an_unreadable_file_is_an_error(make: Any, code: str, kind: str) -> None:
    finding = make.result(code, make.pair(**{kind: make.unreadable(kind)})).finding
    assert finding.severity is Severity.ERROR
    assert (finding.subject, finding.measured) == (kind, "empty")
    assert "the file has 0 bytes" in finding.message
    assert finding.fix.applicability is Applicability.MANUAL


def test_of_an_unreadable_file_nothing_else_is_asked(make: Any) -> None:
    no_image = make.pair(make.unreadable("image"))
    no_video = make.pair(video=make.unreadable("video"))
    for code in OF_IMAGE:
        assert isinstance(make.result(code, no_image).answer, NotApplicable)
        assert make.result(code, no_video).finding is None
    for code in OF_VIDEO:
        assert isinstance(make.result(code, no_video).answer, NotApplicable)
        assert make.result(code, no_image).finding is None


# ---- streams and time


def test_other_streams_of_pictures_are_a_note(make: Any) -> None:
    assert make.result("WP131", make.pair()).finding is None
    video = make.video(other_videos=1, video_index=2)
    finding = make.result("WP131", make.pair(video=video)).finding
    assert (finding.severity, finding.measured, finding.limit) == (Severity.INFO, 2, 1)
    assert "(720 x 1280 px, stream 2) was checked" in finding.message


@pytest.mark.parametrize(
    ("stated", "words"),
    [(Fraction(30), "as its own headers state"), (None, "which is assumed, as FFmpeg does")],
)
def test_a_video_without_time_stamps(make: Any, stated: Fraction | None, words: str) -> None:
    assert make.result("WP132", make.pair()).finding is None
    video = make.video(has_time_stamps=False, fps_from_header=stated)
    finding = make.result("WP132", make.pair(video=video)).finding
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        f"the video has no time stamps; it is taken at 30 frames a second, {words}"
    )


def test_sound_that_does_not_decode(make: Any) -> None:
    assert make.result("WP133", make.pair()).finding is None
    passed_over = make.video(undecodable_audio=("unknown codec",))
    finding = make.result("WP133", make.pair(video=passed_over)).finding
    assert finding.severity is Severity.INFO
    assert (
        "(unknown codec) cannot be decoded; the next one that can (aac) is used" in finding.message
    )
    facts = {"has_audio": False, "audio_codec": None, "audio_start": None}
    silent = make.video(undecodable_audio=("eac3", "aac"), audio_duration=None, **facts)
    finding = make.result("WP133", make.pair(video=silent)).finding
    assert finding.message == (
        "the audio (eac3, aac) cannot be decoded; fix writes the clip without sound"
    )
