"""Clips with exact ground truth, made once per run by ffmpeg's lavfi.

Frame k of a clip carries k as six black or white blocks, lowest bit leftmost, so that a decoded
picture says which frame it is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

BITS = 6
BLOCKS = f"geq=lum='255*mod(floor(N/pow(2\\,floor(X*{BITS}/W)))\\,2)':cb=128:cr=128"
SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"

Ffmpeg = Callable[..., None]


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    """Run ffmpeg with these arguments; its stderr is the failure's text."""
    binary = imageio_ffmpeg.get_ffmpeg_exe()

    def run(*arguments: object) -> None:
        command = [binary, "-v", "error", "-y", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture(scope="session")
def numbered(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make `name`: `frames` numbered frames, encoder options after the source; cached by name."""
    folder = tmp_path_factory.mktemp("clips")

    def make(
        name: str,
        *options: object,
        size: str = "96x64",
        rate: str = "25",
        frames: int = 30,
        filters: str = "",
    ) -> Path:
        path = folder / name
        if not path.exists():
            source = f"color=black:s={size}:r={rate},format=yuv444p,{BLOCKS}{filters}"
            ffmpeg("-f", "lavfi", "-i", source, "-frames:v", frames, *options, path)
        return path

    return make


@pytest.fixture(scope="session")
def number_of() -> Callable[[np.ndarray], int]:
    """The number that the blocks of an upright (h, w, 3) picture spell."""

    def read(rgb: np.ndarray) -> int:
        height, width = rgb.shape[:2]
        grey = rgb[height // 4 : height * 3 // 4].mean(axis=(0, 2))
        return sum(int(grey[round((bit + 0.5) * width / BITS)] > 128) << bit for bit in range(BITS))

    return read


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real media beside the repository; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real media of ../shared/data are not on this machine")
    return SHARED_DATA
