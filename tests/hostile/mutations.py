"""Media files made wrong in the ways that files go wrong, and in those that people try.

A case is a number: the same seed and number give the same bytes on every machine that makes the
same seed files.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from PIL import Image

from hostile.bombs import apng_frames, mp4

Role = Literal["image", "video"]

INTERESTING = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF,
               0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
SIDE = 64
FRAMES = 6
# Where headers lie; what is flipped beyond it is mostly pixels.
HEADER_BYTES = 800


@dataclass(frozen=True)
class Seed:
    """A whole file that cases are made from."""

    name: str
    role: Role
    content: bytes

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix


@dataclass(frozen=True)
class Part:
    """A stretch of a file that states its own length: a box, chunk, segment or block.

    start, end: with its header, in bytes.  length_at: where the length stands, None for none.
    """

    start: int
    end: int
    length_at: int | None = None
    length_format: str = ">I"


# ---- seeds


def made_seeds(folder: Path) -> list[Seed]:
    """Small files of every kind that is read, made here."""
    return [*_pictures(), *_clips(folder)]


def files_in(folder: Path, most_bytes: int) -> list[Seed]:
    """The files below a folder that are not larger than this, as seeds; none where it is absent."""
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix]
    return [
        Seed(path.name, role, path.read_bytes())
        for path in found
        if 0 < path.stat().st_size <= most_bytes
        for role in _roles(path.suffix.lower())
    ]


def _roles(suffix: str) -> tuple[Role, ...]:
    if suffix in (".gif", ".webp", ".apng"):
        return ("image", "video")
    stills = (".png", ".jpg", ".jpeg", ".heic", ".avif", ".tif", ".tiff", ".bmp", ".jp2")
    return ("image",) if suffix in stills else ("video",)


def _gradient(k: int = 0) -> Image.Image:
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    rgb = np.stack([4 * x, 4 * y, 2 * (x + y) + 20 * k], axis=2)
    return Image.fromarray((rgb % 256).astype(np.uint8))


def _pictures() -> list[Seed]:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    still, alpha = _gradient(), _gradient().convert("RGBA")
    frames = [_gradient(k) for k in range(FRAMES)]
    more = {"save_all": True, "append_images": frames[1:], "duration": 100}
    made: tuple[tuple[str, Image.Image, dict[str, object]], ...] = (
        ("plain.png", still, {"exif": exif}),
        ("alpha.png", alpha, {}),
        ("palette.png", still.quantize(16), {}),
        ("plain.jpg", still, {"exif": exif, "icc_profile": bytes(200)}),
        ("progressive.jpg", still, {"progressive": True}),
        ("cmyk.jpg", still.convert("CMYK"), {}),
        ("plain.webp", still, {"exif": exif}),
        ("lossless.webp", alpha, {"lossless": True}),
        ("plain.bmp", still, {}),
        ("plain.tiff", still, {}),
        ("lzw.tiff", still, {"compression": "tiff_lzw"}),
        ("plain.jp2", still, {}),
        ("plain.heic", still, {}),
        ("plain.avif", still, {}),
        ("animated.gif", frames[0], more),
        ("animated.webp", frames[0], more),
        ("animated.png", frames[0], more),
    )
    seeds = []
    for name, image, options in made:
        buffer = io.BytesIO()
        kind = Image.registered_extensions()[Path(name).suffix]
        image.save(buffer, kind, **options)  # type: ignore[arg-type]
        seeds.append(Seed(name, "image", buffer.getvalue()))
        if name.startswith("animated"):
            seeds.append(Seed(name, "video", buffer.getvalue()))
    seeds.append(Seed("pixels.apng", "video", apng_frames(FRAMES, SIDE)))
    return seeds


def _clips(folder: Path) -> list[Seed]:
    kinds = (
        ("a.mp4", "mp4", "libx264", {"bf": "2", "g": "3"}),
        ("b.mp4", "mp4", "mpeg4", {}),
        ("c.mp4", "mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("d.mov", "mov", "mjpeg", {}),
        ("e.mkv", "matroska", "libx264", {}),
        ("f.webm", "webm", "libvpx-vp9", {"cpu-used": "8"}),
        ("g.avi", "avi", "mpeg4", {}),
        ("h.ts", "mpegts", "mpeg2video", {}),
        ("i.flv", "flv", "flv1", {}),
        ("j.asf", "asf", "wmv2", {}),
        ("k.h264", "h264", "libx264", {}),
        ("l.mov", "mov", "png", {}),
    )
    seeds = []
    for name, container, codec, options in kinds:
        path = folder / name
        _write_clip(path, container, codec, options)
        seeds.append(Seed(name, "video", path.read_bytes()))
    seeds.append(Seed("m.mp4", "video", mp4(folder / "m.mp4")))
    return seeds


def _write_clip(path: Path, container: str, codec: str, options: dict[str, str]) -> None:
    muxing = {k: v for k, v in options.items() if k == "movflags"}
    coding = {k: v for k, v in options.items() if k != "movflags"}
    with av.open(str(path), "w", format=container, options=muxing) as out:
        stream = out.add_stream(codec, rate=25, options=coding)
        stream.width = stream.height = SIDE
        formats = {"mjpeg": "yuvj420p", "png": "rgb24"}
        stream.pix_fmt = formats.get(codec, "yuv420p")
        for k in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.asarray(_gradient(k)), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


# ---- parts


def parts_of(content: bytes) -> list[Part]:
    """The parts of a file of a kind whose structure is known here, nested ones too."""
    if content.startswith(b"\x89PNG"):
        return _chunks(content, 8, len(content), ">I", 12)
    if content.startswith(b"\xff\xd8"):
        return _segments(content)
    if content.startswith(b"RIFF"):
        return [Part(0, len(content), 4, "<I"), *_riff_chunks(content, 12, len(content))]
    if content.startswith(b"GIF8"):
        return _gif_blocks(content)
    if content[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp"):
        return _iso_boxes(content, 0, len(content))
    if content.startswith(b"\x1aE\xdf\xa3"):
        return [Part(at, min(at + 40, len(content))) for at in range(0, min(400, len(content)), 4)]
    return []


def _chunks(content: bytes, start: int, end: int, form: str, extra: int) -> list[Part]:
    parts = []
    while start + extra <= end:
        length = struct.unpack(form, content[start : start + 4])[0] + extra
        parts.append(Part(start, min(start + length, end), start, form))
        start += length
    return parts


def _riff_chunks(content: bytes, start: int, end: int) -> list[Part]:
    parts = []
    while start + 8 <= end:
        kind, length = struct.unpack("<4sI", content[start : start + 8])
        stop = min(start + 8 + length, end)
        parts.append(Part(start, stop, start + 4, "<I"))
        inside = {b"LIST": 12, b"ANMF": 24}.get(kind)
        if inside:
            parts += _riff_chunks(content, start + inside, stop)
        start += 8 + length + length % 2
    return parts


def _segments(content: bytes) -> list[Part]:
    parts, at = [], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xD9:
        length = struct.unpack(">H", content[at + 2 : at + 4])[0]
        parts.append(Part(at, min(at + 2 + length, len(content)), at + 2, ">H"))
        if content[at + 1] == 0xDA:
            break
        at += 2 + length
    return parts


def _gif_blocks(content: bytes) -> list[Part]:
    at = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    parts = [Part(6, 13), Part(13, at)]
    while at < len(content) and content[at] in (0x21, 0x2C):
        start = at
        if content[at] == 0x2C:
            packed = content[at + 9]
            at += 10 + (3 << (packed & 7) + 1 if packed & 0x80 else 0) + 1
        else:
            at += 2
        while at < len(content) and content[at]:
            at += 1 + content[at]
        at += 1
        parts.append(Part(start, min(at, len(content))))
    return parts


_NESTED = {b"moov": 8, b"trak": 8, b"mdia": 8, b"minf": 8, b"stbl": 8, b"dinf": 8, b"edts": 8,
           b"udta": 8, b"moof": 8, b"traf": 8, b"mvex": 8, b"meta": 12, b"iprp": 8, b"ipco": 8,
           b"stsd": 16, b"avc1": 86, b"mp4v": 86, b"dref": 16}  # fmt: skip


def _iso_boxes(content: bytes, start: int, end: int) -> list[Part]:
    parts = []
    while start + 8 <= end:
        length, kind = struct.unpack(">I4s", content[start : start + 8])
        stop = end if length < 8 else min(start + length, end)
        parts.append(Part(start, stop, start, ">I"))
        if kind in _NESTED:
            parts += _iso_boxes(content, start + _NESTED[kind], stop)
        start = stop
    return parts


# ---- ways to change a file


def _flipped(rng: random.Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    out = bytearray(content)
    within = min(len(out), HEADER_BYTES if rng.random() < 0.7 else len(out))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        out[rng.randrange(within)] = rng.choice((rng.randrange(256), 0, 255))
    return bytes(out)


def _numbered(rng: random.Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """A number of two or four bytes somewhere in a part becomes an interesting one."""
    parts = parts_of(content) or [Part(0, min(len(content), HEADER_BYTES))]
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 2))):
        part = rng.choice(parts)
        at = rng.randrange(part.start, max(part.start + 1, min(part.end - 4, part.start + 100)))
        form = rng.choice((">I", "<I", ">H", "<H"))
        size = struct.calcsize(form)
        value = rng.choice(INTERESTING) & ((1 << 8 * size) - 1)
        out[at : at + size] = struct.pack(form, value)
    return bytes(out)


def _cut(rng: random.Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    return content[: rng.randrange(1, len(content))]


def _resized(rng: random.Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """A part states another length than it has."""
    sized = [part for part in parts_of(content) if part.length_at is not None]
    if not sized:
        return _numbered(rng, content, ())
    part = rng.choice(sized)
    size = struct.calcsize(part.length_format)
    at = part.length_at or 0
    old = int(struct.unpack(part.length_format, content[at : at + size])[0])
    near = (old + rng.randrange(-16, 17), old * 2, old // 2)
    value = rng.choice((*near, *INTERESTING)) & ((1 << 8 * size) - 1)
    return content[:at] + struct.pack(part.length_format, value) + content[at + size :]


def _moved(rng: random.Random, content: bytes, _others: Sequence[bytes]) -> bytes:
    """A part is dropped, doubled, many times there, or trades places with another one."""
    parts = parts_of(content)
    if len(parts) < 2:
        return _flipped(rng, content, ())
    one, two = sorted(rng.sample(parts, 2), key=lambda p: p.start)
    body = content[one.start : one.end]
    how = rng.randrange(4)
    if how == 0:
        return content[: one.start] + content[one.end :]
    if how == 3 and one.end <= two.start:
        between = content[one.end : two.start]
        other = content[two.start : two.end]
        return content[: one.start] + other + between + body + content[two.end :]
    return content[: one.end] + body * (1 if how == 1 else 20) + content[one.end :]


def _spliced(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """The beginning of one file and the end of another."""
    other = rng.choice(others)
    if rng.random() < 0.3:
        return content + other
    return content[: rng.randrange(1, len(content))] + other[rng.randrange(len(other)) :]


WAYS: dict[str, Callable[[random.Random, bytes, Sequence[bytes]], bytes]] = {
    "bytes changed": _flipped,
    "numbers changed": _numbered,
    "cut off": _cut,
    "lengths changed": _resized,
    "parts moved": _moved,
    "spliced": _spliced,
}


@dataclass(frozen=True)
class Case:
    """One file to look at; its number makes it again."""

    number: int
    way: str
    seed: Seed
    content: bytes


def case(seeds: Sequence[Seed], seed: int, number: int) -> Case:
    """The case of this number."""
    rng = random.Random(f"{seed}/{number}")
    way = rng.choice(list(WAYS))
    source = rng.choice(seeds)
    content = WAYS[way](rng, source.content, [s.content for s in seeds])
    if content.startswith(b"\x89PNG") and rng.random() < 0.8:
        content = with_checks(content)
    return Case(number, way, source, content)


def with_checks(content: bytes) -> bytes:
    """A PNG whose checksums fit again, so that more than the first check of a reader is reached."""
    out, at = bytearray(content), 8
    while at + 12 <= len(out):
        length = int.from_bytes(out[at : at + 4], "big")
        stop = at + 8 + length
        if stop + 4 > len(out):
            break
        out[stop : stop + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : stop]))
        at = stop + 4
    return bytes(out)
