from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wan_prep.media.bars import BarDetector, Bars

NONE = Bars(0.0, 0.0, 0.0, 0.0)


def picture(height: int = 200, width: int = 400, level: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def bars_of(*frames: np.ndarray) -> Bars:
    meter = BarDetector()
    for frame in frames:
        meter.add(frame)
    return meter.bars()


def noisy(frame: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def test_nothing_added_has_no_bars() -> None:
    assert bars_of() == NONE


def test_a_plain_picture_has_no_bars() -> None:
    assert bars_of(picture()) == NONE


def test_letterbox_and_pillarbox_are_measured_exactly() -> None:
    letter = picture()
    letter[:20] = 0
    letter[-10:] = 0
    assert bars_of(letter) == Bars(0.0, 0.1, 0.0, 0.05)
    pillar = picture()
    pillar[:, :100] = 16
    pillar[:, -60:] = 16
    assert bars_of(pillar) == Bars(0.25, 0.0, 0.15, 0.0)


def test_one_sided_and_all_round() -> None:
    one = picture()
    one[:, -40:] = 3
    assert bars_of(one) == Bars(0.0, 0.0, 0.1, 0.0)
    around = picture(level=0)
    around[40:160, 100:300] = 90
    assert bars_of(around) == Bars(0.25, 0.2, 0.25, 0.2)


def test_compression_noise_does_not_hide_bars() -> None:
    frames = []
    for seed in range(12):
        frame = picture()
        frame[:, :40] = 4
        frames.append(noisy(frame, 3.0, seed))
    assert bars_of(*frames) == Bars(0.1, 0.0, 0.0, 0.0)


def test_a_blurred_edge_belongs_to_the_bar_within_two_pixels() -> None:
    frame = picture()
    frame[:, :40] = 0
    frame[:, 38:42] = np.array([6, 18, 60, 100], np.uint8)[None, :, None]
    assert bars_of(frame).left == pytest.approx(0.1, abs=2 / 400)


def test_bars_must_last_through_all_frames() -> None:
    dark_left = picture()
    dark_left[:, :40] = 0
    assert bars_of(dark_left, picture()) == NONE


def test_black_frames_are_no_evidence() -> None:
    boxed = picture()
    boxed[:20] = 0
    black = picture(level=0)
    assert bars_of(black, boxed, black) == bars_of(boxed) == Bars(0.0, 0.1, 0.0, 0.0)
    fading = [(boxed * share).astype(np.uint8) for share in (0.0, 0.2, 0.6, 1.0)]
    assert bars_of(*fading) == bars_of(boxed)


def test_entirely_black_has_no_bars() -> None:
    assert bars_of(picture(level=0)) == NONE
    assert bars_of(noisy(picture(level=5), 2)) == NONE


def test_dark_sky_is_no_bar() -> None:
    night = picture()
    night[:100] = np.linspace(8, 60, 100).astype(np.uint8)[:, None, None]
    assert bars_of(noisy(night, 2)) == NONE


def test_vignette_is_no_bar() -> None:
    x = np.abs(np.linspace(-1, 1, 400))[None, :, None]
    fade = np.clip(200 * (1 - x), 0, 255)
    assert bars_of(np.broadcast_to(fade, (200, 400, 3)).astype(np.uint8)) == NONE


def test_a_figure_on_black_has_no_bars() -> None:
    y, x = np.mgrid[:200, :400]
    frames = []
    for shift in range(-20, 21, 10):
        inside = ((x - 200 - shift) / 80) ** 2 + ((y - 100) / 90) ** 2 < 1
        frames.append(np.repeat((inside * 180).astype(np.uint8)[:, :, None], 3, axis=2))
    assert bars_of(*frames) == NONE


def test_a_title_on_black_has_no_bars() -> None:
    title = picture(level=0)
    title[90:110, 150:250:2] = 255
    assert bars_of(title) == NONE


def test_a_small_overlay_on_the_bar_is_forgiven() -> None:
    frame = picture()
    frame[:, :40] = 0
    frame[100:104, 20:40] = 200
    assert bars_of(frame) == Bars(0.1, 0.0, 0.0, 0.0)


def test_a_single_black_line_is_no_bar() -> None:
    frame = picture()
    frame[:, :1] = 0
    assert bars_of(frame) == NONE


def test_sizes_must_agree() -> None:
    meter = BarDetector()
    meter.add(picture())
    with pytest.raises(ValueError, match="expected frames of"):
        meter.add(picture(width=300))
    with pytest.raises(ValueError, match="shape"):
        meter.add(np.zeros((4, 4), np.uint8))


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("animatex_2", Bars(4 / 512, 0, 10 / 512, 0)),
        ("animatex_3", Bars(43 / 512, 4 / 758, 50 / 512, 2 / 758)),
        ("steadydancer_m1", NONE),
        ("wan22_animate", NONE),
        ("mimicmotion_hb1", NONE),
    ],
)
def test_real_clips(shared_data: Path, name: str, expected: Bars) -> None:
    from wan_prep.media.frames import decode
    from wan_prep.media.probe import probe_video

    path = shared_data / "pairs" / name / "video.mp4"
    info = probe_video(path)
    meter = BarDetector()
    for index, frame in enumerate(decode(path, info)):
        if index % 10 == 0:
            meter.add(frame.rgb())
    found = meter.bars()
    assert found.left == pytest.approx(expected.left, abs=2 / info.width)
    assert found.right == pytest.approx(expected.right, abs=2 / info.width)
    assert found.top == pytest.approx(expected.top, abs=3 / info.height)
    assert found.bottom == pytest.approx(expected.bottom, abs=3 / info.height)


@pytest.mark.shared_data
def test_a_dark_background_is_no_bar(shared_data: Path) -> None:
    from wan_prep.media.images import probe_image, read_image

    path = shared_data / "pairs" / "wan22_animate" / "image.jpeg"
    info = probe_image(path, max_pixels=10**8)
    assert bars_of(read_image(path, info, max_pixels=10**8)) == NONE
