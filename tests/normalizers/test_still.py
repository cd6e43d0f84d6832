from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from wan_prep.errors import MediaUnreadable, NormalizeFailed
from wan_prep.normalizers.still import write_still
from wan_prep.planning.model import Geometry, ImageOperations, Window

WHOLE = Geometry(window=Window(left=0, top=0, width=40, height=20), width=40, height=20)
MANY_PX = 10**9


@pytest.fixture
def written(tmp_path: Path, work):
    """Write the image at a path in a geometry; its pixels come back as RGB."""

    def write(path: Path, geometry: Geometry = WHOLE, **changes: object) -> np.ndarray:
        target = tmp_path / ("written.jpg" if changes.get("format") == "jpeg" else "written.png")
        job = work.image(path, geometry=geometry, **changes)
        write_still(job, geometry, path, target, max_pixels=MANY_PX)
        return np.array(Image.open(target).convert("RGB"))

    return write


def plain(color: object = (200, 30, 60), mode: str = "RGB", size: tuple = (40, 20)) -> Image.Image:
    return Image.new(mode, size, color)


def test_a_png_keeps_every_pixel(tmp_path: Path, written) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (20, 40, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "in.png")
    assert np.array_equal(written(tmp_path / "in.png"), rgb)


def test_a_jpeg_keeps_its_colours(tmp_path: Path, written) -> None:
    plain().save(tmp_path / "in.png")
    rgb = written(tmp_path / "in.png", format="jpeg", name="reference.jpg", jpeg_quality=95)
    assert np.abs(rgb.astype(int) - (200, 30, 60)).max() <= 3
    with Image.open(tmp_path / "written.jpg") as image:
        assert image.format == "JPEG"
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # full chroma


def test_exif_is_turned_and_forgotten(tmp_path: Path, written) -> None:
    stored = plain(size=(20, 40))
    stored.paste((0, 0, 0), (0, 0, 20, 10))  # the stored top is the upright right side
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / "in.jpg", exif=exif, quality=100, subsampling=0)
    rgb = written(tmp_path / "in.jpg")
    assert rgb.shape == (20, 40, 3)
    assert rgb[10, 36].max() < 20
    assert rgb[10, 4, 0] > 180
    with Image.open(tmp_path / "written.png") as image:
        assert image.getexif() == {}


@pytest.mark.parametrize(
    ("background", "seen"),
    [(None, (9, 9, 9)), ("#ffffff", (255, 255, 255)), ("#0a141e", (10, 20, 30))],
)
def test_transparency_shows_the_background(
    tmp_path: Path, written, background: str | None, seen: tuple
) -> None:
    image = plain((200, 30, 60, 255), "RGBA")
    image.paste((9, 9, 9, 0), (0, 0, 20, 20))
    image.save(tmp_path / "in.png")
    rgb = written(tmp_path / "in.png", background=background)
    assert tuple(rgb[10, 10]) == seen
    assert tuple(rgb[10, 30]) == (200, 30, 60)


def test_a_colour_profile_is_applied(tmp_path: Path, written) -> None:
    plain((128, 128, 128)).save(tmp_path / "in.png", icc_profile=_linear_profile())
    # Half of linear light is 188 in sRGB.
    assert np.abs(written(tmp_path / "in.png").astype(int) - 188).max() <= 2


def _linear_profile() -> bytes:
    """sRGB's primaries with a linear curve, under another name."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(content[128:132], "big")
    for index in range(count):
        entry = 132 + 12 * index
        if content[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            offset = int.from_bytes(content[entry + 4 : entry + 8], "big")
            content[offset : offset + 12] = b"curv" + bytes(8)  # no points: the identity
            content[entry + 8 : entry + 12] = (12).to_bytes(4, "big")
    return bytes(content).replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("cmyk.jpg", plain((0, 0, 0, 128), "CMYK")),
        ("deep.png", Image.fromarray(np.full((20, 40), 32639, np.uint16))),
        ("grey.png", plain(127, "L")),
    ],
)
def test_other_pixels_become_rgb(tmp_path: Path, written, name: str, image: Image.Image) -> None:
    image.save(tmp_path / name)
    assert np.abs(written(tmp_path / name).astype(int) - 127).max() <= 1


def test_the_first_frame_of_an_animation_counts(tmp_path: Path, written) -> None:
    first, second = plain((255, 0, 0)), plain((0, 0, 255))
    first.save(tmp_path / "in.gif", save_all=True, append_images=[second])
    assert tuple(written(tmp_path / "in.gif")[10, 20]) == (255, 0, 0)


def test_the_window_is_cut_padded_and_sized(tmp_path: Path, written) -> None:
    plain().save(tmp_path / "in.png")
    window = Window(left=-20, top=0, width=80, height=20)
    shape = Geometry(window=window, width=160, height=40, pad="color", pad_color="#000000")
    rgb = written(tmp_path / "in.png", shape)
    assert rgb.shape == (40, 160, 3)
    assert tuple(rgb[20, 10]) == (0, 0, 0)
    assert tuple(rgb[20, 80]) == (200, 30, 60)


def test_a_picture_cut_short_is_refused(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (20, 40, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "in.png")
    content = (tmp_path / "in.png").read_bytes()
    (tmp_path / "in.png").write_bytes(content[: len(content) // 2])
    job = _job(tmp_path / "in.png")
    with pytest.raises(MediaUnreadable, match="whole picture"):
        write_still(job, WHOLE, tmp_path / "in.png", tmp_path / "out.png", max_pixels=MANY_PX)


def test_a_target_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    plain().save(tmp_path / "in.png")
    source, target = tmp_path / "in.png", tmp_path / "nowhere" / "out.png"
    with pytest.raises(NormalizeFailed, match="could not be written"):
        write_still(_job(source), WHOLE, source, target, max_pixels=MANY_PX)


def _job(path: Path) -> ImageOperations:
    return ImageOperations(source=str(path), sha256="a" * 64, name="reference.png", geometry=WHOLE)


def test_what_opencv_cannot_hold_is_said(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), np.zeros((2, 40000, 3), np.uint8))
    window = Window(left=0, top=0, width=40000, height=2)
    shape = Geometry(window=window, width=40000, height=2, rotate_deg=1.0)
    with pytest.raises(NormalizeFailed, match="scale the source down"):
        write_still(
            _job(tmp_path / "in.png"),
            shape,
            tmp_path / "in.png",
            tmp_path / "out.png",
            max_pixels=MANY_PX,
        )
