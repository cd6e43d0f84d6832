from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from wan_prep.errors import InputPathError, MediaUnreadable
from wan_prep.media.sound import Sound, find_sound
from wan_prep.media.stamps import read_stamps

pytestmark = pytest.mark.media

Ffmpeg = Callable[..., None]
PICTURES = ("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=0.4")
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "2")


def test_times_are_those_of_the_packets(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    ffmpeg(*PICTURES, "-f", "lavfi", "-i", "sine=d=0.6:r=48000", *X264, "-c:a", "aac", path)
    stamps = read_stamps(path)
    assert stamps.pictures == [Fraction(k, 25) for k in range(10)]
    pictures_end, sound_end = stamps.ends
    assert pictures_end == Fraction(2, 5)
    assert 0.6 <= sound_end < 0.6 + 1024 / 48000
    assert abs(stamps.container - sound_end) <= Fraction(1, 1000)


def test_a_clip_that_begins_later_says_so(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    ffmpeg(*PICTURES, *X264, "-output_ts_offset", "3", "-f", "mpegts", tmp_path / "clip.ts")
    stamps = read_stamps(tmp_path / "clip.ts")
    assert stamps.pictures[0] >= 3
    assert stamps.pictures[-1] - stamps.pictures[0] == Fraction(9, 25)


def test_what_has_no_pictures_is_refused(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    with pytest.raises(InputPathError):
        read_stamps(tmp_path / "nowhere.mp4")
    (tmp_path / "noise.mp4").write_bytes(bytes(100))
    with pytest.raises(MediaUnreadable, match="does not open"):
        read_stamps(tmp_path / "noise.mp4")
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", "-c:a", "aac", tmp_path / "sound.mp4")
    with pytest.raises(MediaUnreadable, match="moving pictures"):
        read_stamps(tmp_path / "sound.mp4")


def test_sound_that_can_be_heard(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    good, broken, silent = (tmp_path / f"{name}.mp4" for name in ("good", "broken", "silent"))
    ffmpeg(*PICTURES, "-f", "lavfi", "-i", "sine=d=2", *X264, "-c:a", "aac", good)
    ffmpeg("-i", good, "-c", "copy", "-bsf:a", "noise=amount=1", broken)
    ffmpeg("-i", good, "-c", "copy", "-an", silent)
    assert find_sound(good) == Sound(1, ())
    assert find_sound(broken) == Sound(None, ("aac",))
    assert find_sound(silent) == Sound(None, ())
    (tmp_path / "noise.mp4").write_bytes(bytes(100))
    assert find_sound(tmp_path / "noise.mp4") == Sound(None, ())
