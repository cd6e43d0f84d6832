"""Still pictures through Pillow: facts of the header, then upright sRGB pixels."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

from wan_prep.errors import MediaUnreadable
from wan_prep.media.files import head_of, open_check, sha256_of
from wan_prep.media.sniff import sniff
from wan_prep.media.types import ImageInfo

# Formats with a signature of their own, decoded inside this process (EPS would run Ghostscript).
# JPEG stands for MPO too, AVIF comes before HEIF because both may call themselves mif1.
_FORMATS = (
    *("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO"),
    *("PSD", "QOI", "DDS", "SGI"),
)
_HEIF = "HEIF"
# Formats whose further frames are an animation, or pictures of equal rank (HEIF, of which the main
# one is used); elsewhere they are pages, layers or gain maps.
_MANY = ("GIF", "WEBP", "PNG", "AVIF", _HEIF)
_ORIENTATION_TAG = 0x0112
# Formats that are upright once loaded: Pillow applies the orientation of a TIFF, and the decoder
# that of HEIF, which stands in its own boxes and not in EXIF.
_UPRIGHT_WHEN_LOADED = ("TIFF", _HEIF)
# Pillow's warnings (odd EXIF, large sizes) are silenced, because the caller may treat warnings as
# errors. Warning filters are global, so they are changed under a lock and restored at once.
_PILLOW_LOCK = threading.RLock()

Rgb = npt.NDArray[np.uint8]


def probe_image(path: str | PathLike[str], *, max_pixels: int) -> ImageInfo:
    """The facts of a still picture; only a PNG is decoded, whose EXIF may follow the pixels.

    Raises InputPathError, and MediaUnreadable: empty, not_media, wrong_kind, unsupported,
    too_large (over `max_pixels`, or Pillow's own ceiling of about 179 megapixels; both before
    any allocation), truncated, corrupt.
    """
    checked = open_check(path)
    with opened_image(checked, max_pixels=max_pixels) as image:
        image_format = image.format or ""
        stored_wh = image.size
        mode, bit_depth = image.mode, _bit_depth(image)
        orientation = _orientation(image)
        turned = orientation >= 5
        if turned and image_format in _UPRIGHT_WHEN_LOADED:
            stored_wh = stored_wh[::-1]  # Pillow states the upright size
        return ImageInfo(
            path=str(checked),
            sha256=sha256_of(checked),
            size_bytes=checked.stat().st_size,
            format=image_format,
            width=stored_wh[1] if turned else stored_wh[0],
            height=stored_wh[0] if turned else stored_wh[1],
            stored_width=stored_wh[0],
            stored_height=stored_wh[1],
            exif_orientation=orientation,
            color_mode=mode,
            bit_depth=bit_depth,
            has_alpha=_is_transparent(image),
            has_icc_profile=bool(image.info.get("icc_profile")),
            frame_count=_frame_count(image) if image_format in _MANY else 1,
        )


def read_image(
    path: str | PathLike[str], info: ImageInfo, *, max_pixels: int, background: str | None = None
) -> Rgb:
    """(info.height, info.width, 3) uint8 sRGB, upright, laid over `background`.

    background: a colour; None drops transparency and shows the colours stored under it, as OpenCV
    and Pillow's conversion to RGB do.

    16-bit and float greys are scaled, not clipped. Of an animation it is the first frame.
    Raises as `probe_image`; for a picture that ends early MediaUnreadable("truncated").
    """
    checked = open_check(path)
    with opened_image(checked, max_pixels=max_pixels) as image:
        image.load()
        orientation = 1 if image.format in _UPRIGHT_WHEN_LOADED else info.exif_orientation
        pixels = upright(flat_rgb(image, background), orientation)
    if pixels.shape != (info.height, info.width, 3):
        raise MediaUnreadable(
            "corrupt",
            f"expected {info.width}x{info.height} px as the header says, found "
            f"{pixels.shape[1]}x{pixels.shape[0]}; save the picture again as PNG",
        )
    return pixels


@contextmanager
def opened_image(path: Path, *, max_pixels: int | None) -> Iterator[Image.Image]:
    """An open Pillow image whose size is within `max_pixels`, guarded as by `pillow_guard`."""
    if path.stat().st_size == 0:
        raise MediaUnreadable("empty", "expected a picture, found an empty file; export it again")
    # Opened by file object, because Pillow may map a file given by name into memory, and then does
    # not apply the orientation of a TIFF.
    with (
        pillow_guard(path),
        path.open("rb") as file,
        Image.open(file, formats=_formats_for(path)) as image,
    ):
        _check_size(image, max_pixels)
        yield image


def _formats_for(path: Path) -> tuple[str, ...]:
    """The formats that Pillow tries; the reader of HEIF is loaded for likely files only."""
    if head_of(path, 12)[4:8] != b"ftyp":
        return _FORMATS
    from pillow_heif import register_heif_opener

    if _HEIF not in Image.OPEN:
        register_heif_opener()
    return (*_FORMATS, _HEIF)


@contextmanager
def pillow_guard(path: Path) -> Iterator[None]:
    """Silence Pillow's warnings, and raise its exceptions as MediaUnreadable."""
    with _PILLOW_LOCK, warnings.catch_warnings():
        # By module, because other threads may warn meanwhile and filters are global.
        warnings.filterwarnings("ignore", module=r"PIL\.|pillow_heif")
        try:
            yield
        except MediaUnreadable:
            raise
        except Exception as exc:  # decoders of hostile bytes throw anything
            _raise_mapped(path, exc)


def flat_rgb(image: Image.Image, background: str | None = None) -> Rgb:
    """(H, W, 3) uint8 sRGB of a loaded image, over `background` or without alpha; not turned."""
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_scaled_grey(image)[:, :, None], 3, axis=2)
    if background is None or not image.has_transparency_data:
        return np.array(_to_srgb(image), dtype=np.uint8)
    with_alpha = image.convert("RGBA")
    flat = Image.new("RGB", image.size, background)
    opaque = with_alpha.convert("RGB")
    opaque.info["icc_profile"] = image.info.get("icc_profile")
    flat.paste(_to_srgb(opaque), mask=with_alpha.getchannel("A"))
    return np.array(flat, dtype=np.uint8)


def upright(pixels: Rgb, orientation: int) -> Rgb:
    """Undo one of the 8 EXIF orientations of (H, W, 3) pixels."""
    if orientation >= 5:  # 5 … 8 are 1, 4, 3, 2 mirrored along the main diagonal
        pixels = pixels.transpose(1, 0, 2)
        orientation = {5: 1, 6: 2, 7: 3, 8: 4}[orientation]
    if orientation in (2, 3):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _check_size(image: Image.Image, max_pixels: int | None) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise MediaUnreadable(
            "corrupt", f"expected a picture, found a size of {width}x{height}; export it again"
        )
    if max_pixels is not None and width * height > max_pixels:
        raise MediaUnreadable(
            "too_large",
            f"expected at most {max_pixels} px, found {width}x{height} = {width * height} px; "
            "scale the picture down",
        )


def _orientation(image: Image.Image) -> int:
    found: Any = 1
    # Broken EXIF is common and harmless: the picture is then shown as stored. A PNG is decoded
    # here, because its EXIF may follow the pixels; if that fails, `read_image` will say why.
    with suppress(Exception):
        found = image.getexif().get(_ORIENTATION_TAG, 1)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _frame_count(image: Image.Image) -> int:
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # a damaged animation still has its first frame
        return 1


def _is_transparent(image: Image.Image) -> bool:
    """Whether any pixel is transparent, which an alpha channel alone does not tell."""
    if not image.has_transparency_data:
        return False
    if image.mode.startswith("I"):  # one of its greys is transparent
        return bool((np.asarray(image) == image.info["transparency"]).any())
    with_alpha = image if "A" in image.getbands() else image.convert("RGBA")
    return bool(np.asarray(with_alpha.getchannel("A")).min() < 255)


def _bit_depth(image: Image.Image) -> int:
    """Bits per channel as stored; of 16-bit colour, which Pillow reads as 8, the raw mode tells."""
    if image.format == _HEIF:
        return int(image.info.get("bit_depth", 8))
    if image.mode == "1":
        return 1
    if image.mode in ("I", "F"):
        return 32
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return 16 if "16" in image.mode or (isinstance(raw_mode, str) and "16" in raw_mode) else 8


def _scaled_grey(image: Image.Image) -> npt.NDArray[np.uint8]:
    """(H, W) uint8 of a 16- or 32-bit or float grey picture, its range kept."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0 and image.mode == "I" and high <= 65535:
        low, high = 0.0, 65535.0 if high > 255 else 255.0
    elif low >= 0 and image.mode == "F" and high <= 255:
        low, high = 0.0, 1.0 if high <= 1 else 255.0
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - low) * (255.0 / (high - low))).astype(np.uint8)


def _to_srgb(image: Image.Image) -> Image.Image:
    """The image in sRGB; a colour profile that is broken or of another colour space is ignored."""
    icc = image.info.get("icc_profile")
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if icc:
        with suppress(Exception):  # a faulty profile counts as none
            profile = ImageCms.ImageCmsProfile(BytesIO(icc))
            space = profile.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            is_srgb = ImageCms.getProfileDescription(profile).strip().startswith("sRGB")
            if {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space) == image.mode and not is_srgb:
                converted = ImageCms.profileToProfile(
                    image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                if converted is not None:
                    return converted
    return image.convert("RGB")


def _raise_mapped(path: Path, exc: Exception) -> NoReturn:
    """Raise MediaUnreadable with what Pillow's exception means for the user."""
    if isinstance(exc, UnidentifiedImageError):
        _raise_unidentified(path, exc)
    text = " ".join(str(exc).split())
    if isinstance(exc, Image.DecompressionBombError):
        pixels = re.search(r"\d+", text)
        raise MediaUnreadable(
            "too_large",
            f"expected a picture of a size that can be decoded, found one of "
            f"{pixels[0] if pixels else 'too many'} px; scale it down",
        ) from exc
    if isinstance(exc, MemoryError):
        raise MediaUnreadable(
            "too_large", "expected a picture that fits into memory, found none; scale it down"
        ) from exc
    if "too large for PngImagePlugin" in text or "in text chunks" in text:
        raise MediaUnreadable(
            "too_large",
            "expected a picture, found texts or a colour profile beside it that unpack into "
            "megabytes; save it again without metadata",
        ) from exc
    if isinstance(exc, EOFError) or "truncated" in text.lower() or "unexpected end" in text:
        raise MediaUnreadable(
            "truncated",
            f"expected a whole picture, found one that ends early ({text}); "
            "copy or download it again",
        ) from exc
    raise MediaUnreadable(
        "corrupt",
        f"expected a picture, found damaged data ({text or type(exc).__name__}); export it again",
    ) from exc


def _raise_unidentified(path: Path, exc: Exception) -> NoReturn:
    family, name = sniff(head_of(path)) or (None, "")
    if family in ("media", "audio"):
        found = "a video file" if family == "media" else "a sound file"
        raise MediaUnreadable(
            "wrong_kind",
            f"expected a still picture, found {found} ({name}); give an image here, "
            "for example a PNG",
        ) from exc
    if family == "unread":
        raise MediaUnreadable(
            "unsupported",
            f"expected PNG, JPEG, WebP or HEIC, found {name}, which is not read here; open it in "
            "any program that shows it and save it as PNG",
        ) from exc
    if family in ("image", "heif"):
        raise MediaUnreadable(
            "corrupt",
            f"expected a picture, found a damaged {name} file; export it again as PNG",
        ) from exc
    raise MediaUnreadable(
        "not_media", "expected a picture, found no known image format; give a PNG or JPEG"
    ) from exc
