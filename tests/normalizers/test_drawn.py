"""Pictures that were drawn here, written as a clip and decoded again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from wan_prep.errors import InputPathError, NormalizeFailed
from wan_prep.geometry import Size
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video
from wan_prep.normalizers.drawn import write_drawn

SIZE = Size(64, 32)


def pictures(count: int) -> list[bytes]:
    """A red block that moves 4 px a frame."""
    drawn = np.zeros((count, 32, 64, 3), np.uint8)
    for k in range(count):
        drawn[k, 8:24, 4 * k : 4 * k + 8] = (255, 0, 0)
    return [picture.tobytes() for picture in drawn]


def write(target: Path, frames: list[bytes], count: int | None = None) -> list[float]:
    shares: list[float] = []
    number = len(frames) if count is None else count
    write_drawn(frames, SIZE, number, Fraction(30), target, on_share=shares.append)
    return shares


@pytest.mark.media
@pytest.mark.parametrize(
    "name", ["drawn.mp4", "%03d.mp4", "-y", "a b'c\"$(x);|&.mov", "ü\n\u202e:x.mp4", "no suffix"]
)
def test_what_was_drawn_is_what_is_decoded(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    assert write(target, pictures(12))[-1] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    info = probe_video(target)
    assert (info.width, info.height, info.fps, info.frame_count) == (64, 32, Fraction(30), 12)
    assert info.duration == Fraction(12, 30)
    for k, frame in enumerate(decode(target, info)):
        picture = frame.rgb().astype(int)
        assert np.abs(picture[16, 4 * k + 4] - (255, 0, 0)).max() < 16
        reds = np.flatnonzero(picture[16, :, 0] > 128)
        assert (reds.min(), reds.max()) == pytest.approx((4 * k, 4 * k + 7), abs=1)
        assert frame.time == Fraction(k, 30)


@pytest.mark.media
def test_a_file_that_is_not_whole_gets_no_name(tmp_path: Path) -> None:
    target = tmp_path / "drawn.mp4"
    target.write_bytes(b"what was here before")
    with pytest.raises(NormalizeFailed, match="frames 9"):
        write(target, pictures(8), count=9)
    assert target.read_bytes() == b"what was here before"
    assert [path.name for path in tmp_path.iterdir()] == ["drawn.mp4"]
    write(target, pictures(8))
    assert probe_video(target).frame_count == 8


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(InputPathError, match="not a regular file"):
        write(tmp_path, pictures(2))
