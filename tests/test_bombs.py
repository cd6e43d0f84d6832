"""Files that ask for more than anybody has: each is answered soon, and in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from hostile.bombs import BOMBS, Bomb, growing, wide_pixels
from hostile.looking import Look, looked_at
from wan_prep.isolation import Workers
from wan_prep.media.probe import probe_video
from wan_prep.normalizers import ffmpeg
from wan_prep.normalizers.filters import Filter
from wan_prep.normalizers.resample import Colors
from wan_prep.submission.transfer import not_a_clip

pytestmark = [pytest.mark.media, pytest.mark.slow]

# The pictures that are let through are of up to 120 megapixels, 360 MB as RGB; what is refused
# takes less. Time is measured nowhere: a bomb that is not noticed takes minutes.
GROWN_MB_MAX = 500
TIME_LIMIT_S = 60


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with Workers(1, Look(str(tmp_path_factory.mktemp("scratch")))) as workers:
        yield workers


def test_a_download_is_held_to_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "wide_pixels.mov"
    wide_pixels(path)
    assert "px per frame" in str(not_a_clip(path))


def test_frames_that_grow_are_errors_of_ffmpeg_too(tmp_path: Path) -> None:
    path = tmp_path / "growing.avi"
    growing(2000)(path)
    assert [f.codec for f in (probe_video(path),)] == ["mjpeg"]
    small = write_with_ffmpeg(path, max_pixels=1000 * 1000)
    assert small < write_with_ffmpeg(path, max_pixels=4000 * 4000)


def write_with_ffmpeg(path: Path, *, max_pixels: int) -> int:
    """How many frames the command that writes clips gets out of it."""
    source = ffmpeg.file_input(path, "avi", None, max_pixels=max_pixels)
    target, counts = path.with_suffix(".mp4"), [0]
    arguments = ffmpeg.command(
        source, target, (Filter("scale", {"w": 64, "h": 64}),), "none", fps=Fraction(25),
        colors=Colors("bt709", "bt709", "bt709"),
    )  # fmt: skip
    ffmpeg.run(arguments, on_frame=counts.append)
    return counts[-1]


@pytest.mark.parametrize("bomb", BOMBS, ids=[f"{bomb.role}-{bomb.name}" for bomb in BOMBS])
def test_a_bomb_does_not_go_off(bomb: Bomb, workers: Workers, tmp_path: Path) -> None:
    path = tmp_path / bomb.name
    bomb.make(path)
    looked = looked_at(workers, bomb.role, path, TIME_LIMIT_S)
    assert not looked.is_lost, looked
    assert looked.grown_mb < GROWN_MB_MAX
    if bomb.is_refused:
        assert looked.codes["WP101" if bomb.role == "image" else "WP102"] == "error"
        assert looked.verdict == "not_ready"
        assert "; " in looked.said, "what was expected, what was found, and what to do"
    else:
        assert looked.kind == "seen"
