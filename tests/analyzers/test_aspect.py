from __future__ import annotations

import math
from typing import Any

import pytest

from wan_prep.findings import NotApplicable, Severity
from wan_prep.geometry import Box
from wan_prep.profile import default_profile

TOLERANCE = default_profile().tolerances["aspect_gap"]


def test_equal_ratios_pass(make: Any) -> None:
    for code in ("WP201", "WP202", "WP203", "WP204", "WP205"):
        result = make.result(code, make.pair())
        assert result.finding is None
        assert result.score == 1.0


@pytest.mark.parametrize(
    ("width", "height", "gap", "severity"),
    [
        (720, 1270, 1280 / 1270, None),  # 0.8 %: within the tolerance
        (720, 1200, 1280 / 1200, Severity.INFO),
        (1080, 1350, 0.8 / 0.5625, Severity.WARNING),  # 4:5 against 9:16
        (1280, 720, (16 / 9) ** 2, Severity.ERROR),
    ],
)
def test_aspect_mismatch(
    make: Any, width: int, height: int, gap: float, severity: Severity | None
) -> None:
    result = make.result("WP201", make.pair(make.image(width=width, height=height)))
    assert result.score == pytest.approx(TOLERANCE.score(math.log(gap)))
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert result.finding.measured == pytest.approx(gap, abs=1e-4)
        assert result.finding.limit == pytest.approx(math.exp(0.01), abs=1e-4)
        assert f"{width / height:.3f}:1" in result.finding.message
        assert "0.562:1" in result.finding.message


def test_the_message_says_who_decides(make: Any) -> None:
    image = make.image(width=1080, height=1350)
    animate = make.result("WP201", make.pair(image)).finding.message
    replace = make.result("WP201", make.pair(image, mode="replace")).finding.message
    assert "in animate mode the result gets the image's shape" in animate
    assert "in replace mode the result gets the video's shape" in replace


def test_bars_are_excluded_from_the_ratio(make: Any) -> None:
    """9:16 inside a square."""
    barred = make.image(
        width=1280, height=1280, evidence={"content": Box(280 / 1280, 0.0, 1000 / 1280, 1.0)}
    )
    assert make.result("WP201", make.pair(barred)).finding is None


@pytest.mark.parametrize(
    ("mode", "image", "video", "words"),
    [
        ("animate", (1440, 1080), (720, 1280), ["the image into", "1104 x 816", "16 px"]),
        ("replace", (720, 1280), (1440, 1080), ["the video into", "1104 x 816", "16 px"]),
    ],
)
def test_predicted_bars(make: Any, mode: str, image: tuple, video: tuple, words: list[str]) -> None:
    pair = make.pair(
        make.image(width=image[0], height=image[1]),
        make.video(width=video[0], height=video[1]),
        mode=mode,
    )
    finding = make.result("WP202", pair).finding
    assert finding.severity is Severity.INFO
    assert (finding.measured, finding.unit) == (16, "px")
    assert all(word in finding.message for word in words)
    assert finding.message.startswith(
        "the result gets 16 px of black bars in all, if the service runs"
    )


def test_a_prediction_is_never_an_error(make: Any) -> None:
    """31.9 px wide becomes 16: half of the height is bars."""
    result = make.result("WP202", make.pair(make.image(width=10, height=9057)))
    assert result.score < 0.1
    assert result.finding.severity is Severity.WARNING


@pytest.mark.parametrize(("code", "kind"), [("WP203", "image"), ("WP204", "video")])
def test_black_bars_are_named_with_their_sides(make: Any, code: str, kind: str) -> None:
    content = {"content": Box(0.0, 0.1, 1.0, 0.95)}
    barred = make.image(evidence=content) if kind == "image" else make.video(evidence=content)
    finding = make.result(code, make.pair(**{kind: barred})).finding
    assert finding.severity is Severity.WARNING
    assert finding.subject == kind
    assert "128 px top, 64 px bottom" in finding.message
    assert "left" not in finding.message
    assert finding.measured == pytest.approx(0.15)


def test_a_line_of_a_pixel_is_no_bar(make: Any) -> None:
    barred = make.image(evidence={"content": Box(0.0, 1 / 1280, 1.0, 1.0)})
    assert make.result("WP203", make.pair(barred)).finding is None


@pytest.mark.parametrize(
    ("width", "height", "found"),
    [(900, 300, False), (300, 900, False), (901, 300, True), (300, 960, True)],
)
def test_extreme_ratios(make: Any, width: int, height: int, found: bool) -> None:
    result = make.result("WP205", make.pair(make.image(width=width, height=height)))
    assert (result.finding is not None) == found
    if result.finding is not None:
        assert result.finding.severity is Severity.WARNING
        assert f"{width / height:.2f}:1" in result.finding.message
        assert result.finding.source == "alibaba"


def test_an_extreme_video_counts_too(make: Any) -> None:
    finding = make.result("WP205", make.pair(video=make.video(width=2000, height=400))).finding
    assert finding.message.startswith("the video is very wide (5.00:1)")


@pytest.mark.parametrize("code", ["WP201", "WP202", "WP205"])
@pytest.mark.parametrize("kind", ["image", "video"])
def test_with_one_file_there_is_no_pair(make: Any, code: str, kind: str) -> None:
    result = make.result(code, make.pair(**{kind: make.unreadable(kind)}))
    assert isinstance(result.answer, NotApplicable)


def test_bars_of_an_unreadable_file_are_not_asked_for(make: Any) -> None:
    assert isinstance(
        make.result("WP203", make.pair(make.unreadable("image"))).answer, NotApplicable
    )
    assert isinstance(
        make.result("WP204", make.pair(video=make.unreadable("video"))).answer, NotApplicable
    )
