from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from wan_prep.media.cuts import mark_cuts
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video
from wan_prep.media.stillness import FreezeDetector, FreezeLimits

LIMITS = FreezeLimits(neighbour=3, drift=10, redrawn=30, shortest_s=Fraction(1))
GREY = np.full((48, 64, 3), 128, np.uint8)
RNG = np.random.default_rng(0)


def measured(
    pictures: Iterable[np.ndarray], times: Iterable[float] | None = None, end: float | None = None
) -> list[tuple[float, float]]:
    """Still stretches of pictures at 10 frames a second, or at `times`."""
    shown = list(pictures)
    at = [k / 10 for k in range(len(shown))] if times is None else list(times)
    meter = FreezeDetector(LIMITS)
    for time, picture in zip(at, shown, strict=True):
        meter.add(Fraction(str(time)), picture)
    spans = meter.spans(Fraction(str(len(shown) / 10 if end is None else end)))
    return [(float(a), float(b)) for a, b in spans]


def other(level: int = 60) -> np.ndarray:
    """A picture of which everything differs by so many levels, this way or that."""
    return (GREY + RNG.choice([-level, level], (48, 64, 1))).astype(np.uint8)


def moving(count: int) -> list[np.ndarray]:
    return [other() for _ in range(count)]


def test_nothing_is_nothing() -> None:
    assert measured([]) == []


def test_a_frame_that_is_held_is_a_stretch() -> None:
    assert measured([GREY], end=5) == [(0, 5)]
    assert measured(moving(3), [0, 0.1, 0.2], end=30) == [(0.2, 30)]
    assert measured(moving(3), [0, 0.1, 3], end=3.1) == [(0.1, 3)]


def test_a_picture_that_is_repeated_is_a_stretch() -> None:
    assert measured([*moving(5), *[GREY] * 10, *moving(5)]) == [(0.5, 1.5)]
    assert measured([*moving(5), *[GREY] * 9, *moving(5)]) == []
    assert measured([*[GREY] * 12, *moving(5), *[GREY] * 12]) == [(0, 1.2), (1.7, 2.9)]


def test_single_cells_are_no_motion() -> None:
    clock = [GREY.copy() for _ in range(20)]
    for k, picture in enumerate(clock):
        picture[0, :3] = k * 10
    assert measured(clock) == [(0, 2)]
    for k, picture in enumerate(clock):
        picture[0, :4] = k * 10
    assert measured(clock) == []


def test_the_noise_of_a_camera_is_no_stillness() -> None:
    noisy = [(GREY + RNG.normal(0, 1.5, GREY.shape)).astype(np.uint8) for _ in range(30)]
    assert measured(noisy) == []


def test_what_is_drawn_anew_goes_on() -> None:
    coded = [other(12) for _ in range(4)]
    assert measured([coded[k // 6] for k in range(24)]) == [(0, 2.4)]
    # The drawing may take a frame or two.
    assert measured([*[coded[0]] * 6, other(6), *[coded[1]] * 6]) == [(0, 1.3)]
    # Another picture is another stretch, and one of half a second is none.
    assert measured([*[GREY] * 6, *[GREY + 40] * 6]) == []
    assert measured([*[GREY] * 12, *[GREY + 40] * 12]) == [(0, 1.2), (1.2, 2.4)]


def test_what_changes_little_by_little_moves() -> None:
    assert measured([GREY + 2 * k for k in range(40)]) == []


def test_a_change_of_size_is_no_stillness() -> None:
    assert measured([*[GREY] * 12, *[GREY[:40]] * 12]) == [(0, 1.2), (1.2, 2.4)]


# ---- coded pictures

CODINGS = {
    "still_28.mp4": ("-c:v", "libx264", "-crf", "28", "-g", "30", "-pix_fmt", "yuv420p"),
    "still_32.mp4": ("-c:v", "libx264", "-crf", "32", "-g", "30", "-pix_fmt", "yuv420p"),
    "still.hevc.mp4": ("-c:v", "libx265", "-x265-params", "log-level=0", "-pix_fmt", "yuv420p"),
    "still.mpeg4.avi": ("-c:v", "mpeg4", "-q:v", "6", "-g", "12"),
    "still.mjpeg.avi": ("-c:v", "mjpeg", "-q:v", "6", "-pix_fmt", "yuvj420p"),
    "still.webm": ("-c:v", "libvpx-vp9", "-crf", "34", "-b:v", "0", "-cpu-used", "8"),
    "still.gif": (),
}


def still_spans(path: Path) -> list[tuple[float, float]]:
    info = probe_video(path)
    meter = FreezeDetector(LIMITS)
    for _ in mark_cuts(decode(path, info), on_glance=meter.add):
        pass
    return [(float(a), float(b)) for a, b in meter.spans(info.duration)]


@pytest.mark.media
@pytest.mark.parametrize("name", CODINGS)
def test_one_picture_is_still_in_every_coding(
    ffmpeg: Callable[..., None], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    picture = "testsrc2=s=320x240:r=25,loop=loop=-1:size=1,trim=end_frame=75"
    ffmpeg("-f", "lavfi", "-i", picture, *CODINGS[name], path)
    (span,) = still_spans(path)
    assert span == pytest.approx((0, 3), abs=0.2)  # a coder may begin roughly


@pytest.mark.media
def test_motion_and_grain_are_not_still(ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    x264 = ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p")
    picture = "testsrc2=s=320x240:r=25,loop=loop=-1:size=1,trim=end_frame=75"
    for name, source in (
        ("moving.mp4", "testsrc2=s=320x240:r=25:d=3"),
        ("grain.mp4", f"{picture},noise=alls=12:allf=t"),
    ):
        ffmpeg("-f", "lavfi", "-i", source, *x264, tmp_path / name)
        assert still_spans(tmp_path / name) == []


@pytest.mark.media
def test_a_pause_a_head_and_a_tail_are_found(ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "pauses.mp4"
    pauses = "tpad=start=30:start_mode=clone:stop=50:stop_mode=clone"
    source = f"testsrc2=s=320x240:r=25:d=2,{pauses}"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-pix_fmt", "yuv420p", path)
    assert still_spans(path) == [(0, 1.24), (pytest.approx(3.16), pytest.approx(5.2))]
