from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from wan_prep.errors import InputPathError, MediaUnreadable
from wan_prep.media.images import pillow_guard, probe_image, read_image, upright

LIMIT = 50_000_000
# Four quadrants: red, green / blue, white; wider than high.
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants() -> np.ndarray:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16], pixels[:8, 16:], pixels[8:, :16], pixels[8:, 16:] = RED, GREEN, BLUE, WHITE
    return pixels


def read(path: Path) -> np.ndarray:
    info = probe_image(path, max_pixels=LIMIT)
    pixels = read_image(path, info, max_pixels=LIMIT)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (info.height, info.width, 3)
    assert pixels.flags.c_contiguous
    return pixels


def refused(path: Path) -> MediaUnreadable:
    with pytest.raises(MediaUnreadable) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return caught.value


# EXIF orientation → what has to be done to the upright picture to store it so.
STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),  # the camera stood on its right side: stored turned left
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff", ".avif"])
def test_every_orientation_is_shown_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](quadrants())))
    path = tmp_path / f"picture{suffix}"
    options = {} if suffix in (".png", ".tiff") else {"quality": 95}
    stored.save(path, exif=exif, **options)
    info = probe_image(path, max_pixels=LIMIT)
    assert (info.width, info.height, info.exif_orientation) == (32, 16, orientation)
    assert (info.stored_width, info.stored_height) == stored.size
    pixels = read_image(path, info, max_pixels=LIMIT).astype(int)
    for y, x in ((4, 8), (4, 24), (12, 8), (12, 24)):
        assert np.abs(pixels[y, x] - quadrants()[y, x].astype(int)).max() < 40


def test_upright_undoes_each_orientation() -> None:
    for orientation, store in STORED.items():
        stored = np.ascontiguousarray(store(quadrants()))
        assert np.array_equal(upright(stored, orientation), quadrants())


# A square shows a turn that was forgotten; raw greys and RGBA are what Pillow maps into memory.
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16", "F", "CMYK", "1"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("side", [16, 32])
def test_every_kind_of_tiff_is_turned_once(
    tmp_path: Path, orientation: int, mode: str, compression: str | None, side: int
) -> None:
    pixels = quadrants()[:, : 32 if side == 32 else 16].copy()
    pixels[:8] = WHITE
    pixels[8:, :4] = WHITE
    pixels[8:, 4:] = (0, 0, 0)
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](pixels)))
    if mode == "I;16":
        grey = np.asarray(stored.convert("L")).astype(np.uint16) * 257
        stored = Image.fromarray(grey)
    else:
        stored = stored.convert(mode)
    path = tmp_path / "picture.tif"
    stored.save(path, compression=compression, tiffinfo={0x0112: orientation})
    info = probe_image(path, max_pixels=LIMIT)
    assert info.exif_orientation == orientation
    assert (info.stored_width, info.stored_height) == stored.size
    assert np.abs(read(path).astype(int) - pixels).max() < 4


def heic(path: Path, pixels: np.ndarray, **options: object) -> None:
    from pillow_heif import from_pillow

    from_pillow(Image.fromarray(pixels)).save(path, quality=-1, chroma=444, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """Its own boxes say how (`irot`, `imir`); what its EXIF says is not to be obeyed again."""
    from pillow_heif import from_pillow

    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](quadrants())))
    stored = stored.resize((stored.width * 8, stored.height * 8), Image.Resampling.NEAREST)
    path = tmp_path / "picture.heic"
    from_pillow(stored).save(path, quality=-1, chroma=444, exif=exif.tobytes())
    info = probe_image(path, max_pixels=LIMIT)
    assert (info.format, info.width, info.height) == ("HEIF", 256, 128)
    assert info.exif_orientation == 1
    pixels = read(path).astype(int)
    for y, x in ((4, 8), (4, 24), (12, 8), (12, 24)):
        assert np.abs(pixels[8 * y, 8 * x] - quadrants()[y, x].astype(int)).max() < 8


def test_a_heic_tells_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "x.heic"
    clear = np.full((64, 96, 4), (10, 20, 30, 255), np.uint8)
    heic(path, clear)
    assert not probe_image(path, max_pixels=LIMIT).has_alpha
    clear[:32, :, 3] = 0
    heic(path, clear)
    info = probe_image(path, max_pixels=LIMIT)
    assert (info.color_mode, info.bit_depth, info.has_alpha) == ("RGBA", 8, True)
    assert np.abs(read(path)[8, 8].astype(int) - (10, 20, 30)).max() < 6
    with pytest.raises(MediaUnreadable, match="96x64") as caught:
        probe_image(path, max_pixels=96 * 64 - 1)
    assert caught.value.kind == "too_large"


def test_of_several_pictures_in_a_heic_the_main_one_counts(tmp_path: Path) -> None:
    from pillow_heif import HeifFile

    path = tmp_path / "x.heic"
    several = HeifFile()
    for colour in (RED, GREEN, BLUE):
        several.add_from_pillow(Image.new("RGB", (64, 64), colour))
    several.save(path, quality=-1, chroma=444, primary_index=1)
    assert probe_image(path, max_pixels=LIMIT).frame_count == 3
    assert np.abs(read(path)[4, 4].astype(int) - GREEN).max() < 6


def test_a_wide_gamut_in_a_heic_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "x.heic"
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    heic(path, np.full((64, 64, 3), (200, 100, 50), np.uint8),
         icc_profile=swap_red_and_blue(plain))  # fmt: skip
    assert probe_image(path, max_pixels=LIMIT).has_icc_profile
    assert np.abs(read(path)[4, 4].astype(int) - (50, 100, 200)).max() <= 6


def test_the_reader_of_heic_is_loaded_when_one_comes(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    code = (
        "import sys\n"
        "from wan_prep.media.images import probe_image\n"
        "probe_image(sys.argv[1], max_pixels=99)\n"
        "print('pillow_heif' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, WHITE),
        ("L", 100, (100, 100, 100)),
        ("LA", (100, 0), (100, 100, 100)),
        ("LA", (100, 255), (100, 100, 100)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBA", (10, 20, 30, 0), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 128), (10, 20, 30)),
        ("I;16", 0x8080, (128, 128, 128)),
        ("I;16", 0xFFFF, WHITE),
        ("I;16", 0x00FF, (1, 1, 1)),
    ],
)
def test_modes(tmp_path: Path, mode: str, value: object, expected: tuple[int, ...]) -> None:
    path = tmp_path / "mode.png"
    Image.new(mode, (5, 4), value).save(path)
    info = probe_image(path, max_pixels=LIMIT)
    assert info.color_mode == mode
    opaque = mode not in ("LA", "RGBA") or (isinstance(value, tuple) and value[-1] == 255)
    assert info.has_alpha == (not opaque)
    assert info.bit_depth == {"I;16": 16, "1": 1}.get(mode, 8)
    assert read(path).tolist() == [[list(expected)] * 5] * 4


def test_cmyk_without_profile(tmp_path: Path) -> None:
    path = tmp_path / "ink.tiff"
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(path)
    assert read(path)[0, 0].tolist() == [255, 0, 0]


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "p.png", transparency=0)
    pixels = read(tmp_path / "p.png")
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[0, 1].tolist() == [200, 100, 50]


@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.avif", "x.tif", "x.gif", "x.heic"])
def test_transparency_is_dropped_unless_a_background_is_given(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pixels = np.full((64, 64, 4), (200, 40, 60, 255), np.uint8)
    pixels[:, :32] = (20, 180, 40, 0)
    image = Image.fromarray(pixels)
    if name == "x.heic":
        heic(path, pixels)
    elif name == "x.gif":
        indexed = image.convert("RGB").quantize(2)
        indexed.save(path, transparency=indexed.getpixel((8, 8)))
    else:
        options = {
            "x.webp": {"lossless": True, "exact": True},
            "x.avif": {"quality": 100, "subsampling": "4:4:4"},
        }
        image.save(path, **options.get(name, {}))
    info = probe_image(path, max_pixels=LIMIT)
    assert info.has_alpha
    assert np.abs(read(path)[32, 8].astype(int) - (20, 180, 40)).max() < 12
    over = read_image(path, info, max_pixels=LIMIT, background="#0000ff").astype(int)
    assert np.abs(over[32, 8] - (0, 0, 255)).max() < 12
    assert np.abs(over[32, 56] - (200, 40, 60)).max() < 12


def test_a_picture_that_is_clear_everywhere_shows_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    pixels = np.dstack([quadrants(), np.zeros((16, 32), np.uint8)])
    Image.fromarray(pixels).save(path)
    assert probe_image(path, max_pixels=LIMIT).has_alpha
    assert np.array_equal(read(path), quadrants())


@pytest.mark.parametrize(
    ("mode", "key", "is_used"),
    [
        ("P", 1, False), ("P", 0, True), ("P", b"\xff\x00", False), ("P", b"\x80", True),
        ("L", 7, False), ("L", 0, True), ("RGB", (7, 8, 9), False), ("RGB", (0, 0, 0), True),
        ("I;16", 7, False), ("I;16", 0, True),
    ],
    ids=str,
)  # fmt: skip
def test_alpha_means_that_a_pixel_is_transparent(
    tmp_path: Path, mode: str, key: object, is_used: bool
) -> None:
    image = Image.new(mode, (6, 5), 0)
    if mode == "P":
        image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "keyed.png", transparency=key)
    with Image.open(tmp_path / "keyed.png") as keyed:
        assert keyed.has_transparency_data
    assert probe_image(tmp_path / "keyed.png", max_pixels=LIMIT).has_alpha == is_used


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.0, 200.0], [0, 100, 200])],
)
def test_float_greys_keep_their_range(
    tmp_path: Path, values: list[float], expected: list[int]
) -> None:
    path = tmp_path / "f.tiff"
    Image.fromarray(np.array([values], np.float32)).save(path)
    assert read(path)[0, :, 0].tolist() == expected


def test_16_bit_colour_is_noted(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">6H", 0xFFFF, 0x8080, 0, 0, 0, 0xFFFF) for _ in range(2))
    path = tmp_path / "deep.png"
    path.write_bytes(png(2, 2, 16, 2, zlib.compress(rows)))
    assert probe_image(path, max_pixels=LIMIT).bit_depth == 16
    assert read(path)[0].tolist() == [[255, 128, 0], [0, 0, 255]]


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_profiles_are_converted_and_broken_ones_ignored(tmp_path: Path) -> None:
    lab_free = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    image.save(tmp_path / "srgb.png", icc_profile=lab_free)
    image.save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    swapped = swap_red_and_blue(lab_free)
    image.save(tmp_path / "other.png", icc_profile=swapped)
    image.convert("L").save(tmp_path / "mismatch.png", icc_profile=lab_free)
    assert read(tmp_path / "srgb.png")[0, 0].tolist() == [200, 100, 50]
    assert read(tmp_path / "broken.png")[0, 0].tolist() == [200, 100, 50]
    assert np.abs(read(tmp_path / "other.png")[0, 0].astype(int) - (50, 100, 200)).max() <= 3
    assert probe_image(tmp_path / "broken.png", max_pixels=LIMIT).has_icc_profile
    assert read(tmp_path / "mismatch.png").shape == (8, 8, 3)


def swap_red_and_blue(profile: bytes) -> bytes:
    """The same profile with the red and blue colorants exchanged, under another name."""
    renamed = profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))
    renamed = renamed.replace(b"sRGB built-in", b"xRGB built-in")
    return renamed.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    for name in ("a.gif", "a.webp", "a.png"):
        path = tmp_path / name
        options = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, **options)
        assert probe_image(path, max_pixels=LIMIT).frame_count == 3
        assert read(path)[4, 4].tolist() == list(RED)


def test_huge_pictures_are_refused_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(30000, 30000, 8, 2, zlib.compress(b"\0" * 1000)))
    with pytest.raises(MediaUnreadable) as caught:
        probe_image(path, max_pixels=LIMIT)
    assert caught.value.kind == "too_large"
    path.write_bytes(png(10000, 9800, 8, 2, zlib.compress(b"\0" * 1000)))  # Pillow only warns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MediaUnreadable, match="10000x9800") as caught:
            probe_image(path, max_pixels=LIMIT)
    assert caught.value.kind == "too_large"
    path.write_bytes(png(100, 100, 8, 2, zlib.compress(b"\0" * 1000)))
    with pytest.raises(MediaUnreadable, match="at most 9999 px"):
        probe_image(path, max_pixels=9999)


def test_pillow_globals_stay_as_they_are(tmp_path: Path) -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    path = tmp_path / "x.png"
    Image.new("RGB", (3, 3)).save(path)
    read(path)
    after = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    assert after == before


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tiff", "bmp"])
def test_cut_and_damaged_pictures_never_raise_anything_else(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(1)
    whole = io.BytesIO()
    noise = Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))
    noise.save(whole, {"jpg": "JPEG", "tiff": "TIFF"}.get(suffix, suffix.upper()))
    data = whole.getvalue()
    path = tmp_path / f"x.{suffix}"
    for cut in range(1, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:cut])
        read_or_refused(path)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(0, min(len(broken), 400), 6):
            broken[place] = rng.integers(0, 256)
        path.write_bytes(bytes(broken))
        read_or_refused(path)


def read_or_refused(path: Path) -> None:
    try:
        read(path)
    except MediaUnreadable as exc:
        assert str(exc).startswith("expected")  # noqa: PT017


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_half_a_picture_is_truncated(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = refused(path)
    assert error.kind == "truncated"
    assert "again" in str(error)
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"hello, this is no picture\n" * 50, "not_media"),
        (bytes(range(256)) * 20, "not_media"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + b"\0" * 100, "wrong_kind"),
        (b"\x1aE\xdf\xa3" + b"\0" * 100, "wrong_kind"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100, "corrupt"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 100, "unsupported"),
        (b"\xff\x0a" + b"\0" * 100, "unsupported"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "corrupt"),
    ],
)
def test_what_is_no_picture_says_what_it_is(tmp_path: Path, data: bytes, kind: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    assert refused(path).kind == kind


def test_a_missing_path_is_another_error(tmp_path: Path) -> None:
    with pytest.raises(InputPathError):
        probe_image(tmp_path / "none.png", max_pixels=LIMIT)


def test_importing_the_package_loads_no_codec() -> None:
    code = "import sys, wan_prep.media; print(*({'av', 'PIL', 'cv2'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.shared_data
def test_hostile_and_odd_real_files(shared_data: Path) -> None:
    kinds = {}
    for folder in ("pillow", "torchcodec", "exif"):
        for path in sorted((shared_data / "robustness" / folder).iterdir()):
            try:
                read(path)
                kinds[path.name] = "read"
            except MediaUnreadable as exc:
                kinds[path.name] = exc.kind
    assert kinds["truncated_jpeg.jpg"] == "truncated"
    assert kinds["truncated_image.png"] == "truncated"
    assert kinds["broken.png"] == "corrupt"
    assert kinds["gradient.heic"] == "read"
    assert kinds["h265_video.mp4"] == "wrong_kind"
    assert kinds["heapbof.png"] == "not_media"
    for name in ("hopper_bad_exif.jpg", "cmyk.jpg", "gradient_16bit.png", "rgba.webp"):
        assert kinds[name] == "read"


@pytest.mark.shared_data
def test_real_orientations_agree(shared_data: Path) -> None:
    folder = shared_data / "robustness" / "exif"
    small = {
        n: np.asarray(Image.fromarray(read(folder / f"Portrait_{n}.jpg")).resize((30, 45)), float)
        for n in (1, 3, 6, 8)
    }
    for pixels in small.values():
        assert np.abs(pixels - small[1]).mean() < 12


def test_only_the_warnings_of_pillow_are_silent(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pillow_guard(tmp_path):
            warnings.warn("somebody else's", stacklevel=1)
            warnings.warn_explicit("Pillow's", UserWarning, "Image.py", 1, module="PIL.Image")
    assert [str(one.message) for one in seen] == ["somebody else's"]
