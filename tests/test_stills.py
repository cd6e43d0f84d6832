from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wan_prep.errors import InputPathError, MediaUnreadable
from wan_prep.media.frames import frames_at
from wan_prep.media.images import probe_image
from wan_prep.media.probe import probe_video
from wan_prep.stills import Still, image_still, video_stills

FIXTURES = Path(__file__).parents[1] / "fixtures"
CLIP = FIXTURES / "driving.mp4"
pytestmark = pytest.mark.media


def halves(path: Path, orientation: int = 1) -> Path:
    """60 x 40 px, its left half white."""
    image = Image.new("RGB", (60, 40))
    image.paste((255, 255, 255), (0, 0, 30, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def size_of(still: Still) -> tuple[int, int]:
    assert still.jpeg.startswith(b"\xff\xd8")
    assert still.rgb().shape == (still.height, still.width, 3)
    return still.width, still.height


def test_an_image_fits_and_is_never_enlarged(tmp_path: Path) -> None:
    path = halves(tmp_path / "a.png")
    info = probe_image(path, max_pixels=10_000)
    assert size_of(image_still(path, info, 30)) == (30, 20)
    assert size_of(image_still(path, info, 720)) == (60, 40)
    assert image_still(path, info, 30).time_s == 0.0


def test_an_image_is_upright(tmp_path: Path) -> None:
    # Orientation 6: shown a quarter turn clockwise, so the left half comes to lie on top.
    path = halves(tmp_path / "a.jpg", orientation=6)
    still = image_still(path, probe_image(path, max_pixels=10_000), 720)
    assert size_of(still) == (40, 60)
    assert still.rgb()[:25].min() > 200
    assert still.rgb()[35:].max() < 55


def test_frames_come_in_the_order_asked_with_their_own_times() -> None:
    info = probe_video(CLIP)
    stills = video_stills(
        CLIP, info, [Fraction(2), Fraction(0), Fraction(1, 50), Fraction(99)], 150
    )
    assert [round(s.time_s, 4) for s in stills] == [2.0, 0.0, 0.0, 2.5333]
    assert [size_of(s) for s in stills] == [(120, 150)] * 4
    full = frames_at(CLIP, info, [Fraction(2)])[0].rgb(150)
    assert np.abs(full.astype(int) - stills[0].rgb()).mean() < 6, "JPEG's loss"
    assert video_stills(CLIP, info, [], 150) == ()


def test_a_thumbnail_is_small() -> None:
    still = video_stills(CLIP, probe_video(CLIP), [Fraction(1)], 150)[0]
    assert len(still.jpeg) < 12_000


def test_files_that_are_gone_or_others(tmp_path: Path) -> None:
    path = halves(tmp_path / "a.png")
    info = probe_image(path, max_pixels=10_000)
    Image.new("RGB", (61, 40)).save(path)
    with pytest.raises(MediaUnreadable):
        image_still(path, info, 720)
    path.unlink()
    with pytest.raises(InputPathError):
        image_still(path, info, 720)
    with pytest.raises(InputPathError):
        video_stills(path, probe_video(CLIP), [Fraction(0)], 720)
