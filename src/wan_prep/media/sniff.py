"""The format that the first bytes of a file suggest: for wording errors, never for reading it."""

from __future__ import annotations

from typing import Literal

Family = Literal["image", "heif", "media", "audio", "unread"]
"""`heif`: a still picture in a container like MP4's; `unread`: one that is not supported."""

_HEIF_STILLS = (b"heic", b"heix", b"heim", b"heis", b"mif1")
_AVIF_STILLS = (b"avif",)

# (offset, bytes, family, what a person calls it)
_SIGNATURES: tuple[tuple[int, bytes, Family, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image", "PNG"),
    (0, b"\xff\xd8\xff", "image", "JPEG"),
    (0, b"GIF8", "image", "GIF"),
    (0, b"BM", "image", "BMP"),
    (0, b"II*\0", "image", "TIFF"),
    (0, b"MM\0*", "image", "TIFF"),
    (0, b"8BPS", "image", "Photoshop"),
    (0, b"qoif", "image", "QOI"),
    (0, b"\0\0\0\x0cJXL ", "unread", "JPEG XL"),
    (0, b"\xff\x0a", "unread", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "image", "JPEG 2000"),
    (8, b"WEBP", "image", "WebP"),
    (0, b"%PDF", "unread", "PDF"),
    (0, b"%!PS", "unread", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "unread", "PostScript"),
    (0, b"<svg", "unread", "SVG"),
    (8, b"AVI ", "media", "AVI"),
    (8, b"WAVE", "audio", "WAV"),
    (0, b"\x1aE\xdf\xa3", "media", "Matroska or WebM"),
    (0, b"FLV", "media", "FLV"),
    (0, b"OggS", "media", "Ogg"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "media", "ASF or WMV"),
    (0, b"\0\0\x01\xba", "media", "MPEG program stream"),
    (0, b"\0\0\x01\xb3", "media", "MPEG video"),
    (0, b"ID3", "audio", "MP3"),
    (0, b"\xff\xfb", "audio", "MP3"),
    (0, b"fLaC", "audio", "FLAC"),
    (0, b"\xff\xf1", "audio", "AAC"),
    (0, b"\xff\xf9", "audio", "AAC"),
    (4, b"moov", "media", "QuickTime"),
    (4, b"mdat", "media", "QuickTime"),
)


def sniff(head: bytes) -> tuple[Family, str] | None:
    """(family, name) of a known signature in the first bytes of a file, else None."""
    if head[4:8] == b"ftyp":
        return _sniff_ftyp(head[8:12])
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "media", "MPEG transport stream"
    for offset, magic, family, name in _SIGNATURES:
        if head.startswith(magic, offset):
            return family, name
    return None


def _sniff_ftyp(brand: bytes) -> tuple[Family, str]:
    if brand in _HEIF_STILLS:
        return "heif", "HEIC"
    if brand in _AVIF_STILLS:
        return "heif", "AVIF"
    return "media", "MP4 or QuickTime"
