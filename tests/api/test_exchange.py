"""Pictures in memory become clips, and answers become words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wan_prep
from wan_prep.errors import InputPathError, WanPrepError
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video
from wan_prep.report.model import Report


class Ramps(Sequence[Any]):
    """Frame k is a ramp in its red channel and 10 k in its blue one; remembers what was asked."""

    def __init__(self, count: int, width: int, height: int) -> None:
        self._shape, self._count = (height, width), count
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        self.asked.append(index)
        frame = np.zeros((*self._shape, 3), np.uint8)
        frame[..., 0] = np.linspace(0, 255, self._shape[1])
        frame[..., 2] = 10 * index
        return frame


@pytest.mark.media
@pytest.mark.parametrize(
    "fps", [30, 12.5, Fraction(30000, 1001), Fraction(24000, 1001), Fraction(2997, 100)]
)
def test_frames_become_a_clip_of_exactly_that_rate(tmp_path: Path, fps: Any) -> None:
    frames = Ramps(12, 64, 48)
    wan_prep.write_frames(frames, tmp_path / "clip.mp4", fps)
    info = probe_video(tmp_path / "clip.mp4")
    assert (info.width, info.height, info.frame_count) == (64, 48, 12)
    assert info.fps == Fraction(str(fps)) if isinstance(fps, float) else Fraction(fps)
    for k, frame in enumerate(decode(tmp_path / "clip.mp4", info)):
        assert frame.time == k / Fraction(fps)
        assert np.abs(frame.rgb().astype(int) - frames[k]).mean() < 2.0, "nearly lossless"


@pytest.mark.media
def test_the_last_column_and_row_of_odd_sides_are_written_twice(tmp_path: Path) -> None:
    frames = Ramps(3, 63, 47)
    wan_prep.write_frames(frames, tmp_path / "clip.mp4", 30)
    info = probe_video(tmp_path / "clip.mp4")
    assert (info.width, info.height) == (64, 48)
    first = next(iter(decode(tmp_path / "clip.mp4", info))).rgb().astype(int)
    assert np.abs(first[:47, :63] - frames[0]).mean() < 2.0
    assert np.abs(first[:, 63] - first[:, 62]).max() < 8
    assert np.abs(first[47] - first[46]).max() < 8


@pytest.mark.media
def test_frames_are_asked_for_one_after_the_other(tmp_path: Path) -> None:
    frames = Ramps(5, 16, 16)
    shares: list[float | None] = []
    wan_prep.write_frames(
        frames, tmp_path / "clip.mp4", 30, progress=lambda _, share: shares.append(share)
    )
    assert frames.asked == [0, 0, 1, 2, 3, 4], "the first one tells the size"
    assert shares[-1] == 1.0


@pytest.mark.media
def test_frames_that_are_no_clip_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    even, odd = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)
    for frames, fps, words in (
        ([], 30, "found 0 frames"),
        ([even], 0, "found 1 frames at 0 a second"),
        ([even], float("nan"), "not a time"),
        ([even, odd], 30, "frame 1 is uint8 of shape"),
        ([even, even.astype(np.float32)], 30, "frame 1 is float32"),
    ):
        with pytest.raises(WanPrepError, match=words):
            wan_prep.write_frames(frames, target, fps)
    with pytest.raises(InputPathError, match="no such folder"):
        wan_prep.write_frames([even], tmp_path / "nowhere" / "clip.mp4", 30)
    assert list(tmp_path.iterdir()) == []


def test_a_report_in_words(report: Callable[..., Report]) -> None:
    text = wan_prep.as_text(report("not_ready"), width=60)
    assert text.startswith("NOT READY")
    assert "\x1b" not in text, "no colours"
    assert max(len(line) for line in text.splitlines()) <= 60
    assert "not applicable" in wan_prep.as_text(report("not_ready"), verbose=True)


def test_a_plan_in_words(a_plan: Callable[..., Any]) -> None:
    assert "of 100 expected" in wan_prep.as_text(a_plan())
