"""Small files that ask for much: each claims, or unpacks into, more than anybody has memory for."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal

import av
import numpy as np
from PIL import Image

from hostile.boxes import box, ebml, full_box, png, png_chunk, riff

SIDE = 60_000


@dataclass(frozen=True)
class Bomb:
    """One file that asks for much.

    is_refused: whether it has to be; else it is read, as long as that costs little.
    """

    role: Literal["image", "video"]
    name: str
    make: Callable[[Path], object]
    is_refused: bool = True


def _data(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


# ---- pictures that claim a size


def png_claim() -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 1, 0, 0, 0, 0)
    return png(png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(bytes(10**5))))


def gif_claim() -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0x80, 0, 0) + bytes(6) + frame + b"\x3b"


def jpeg_claim() -> bytes:
    content = _saved("JPEG", Image.new("L", (16, 16)))
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", SIDE, SIDE) + content[at + 4 :]


def bmp_claim() -> bytes:
    content = bytearray(_saved("BMP", Image.new("RGB", (16, 16))))
    content[18:26] = struct.pack("<ii", SIDE, SIDE)
    return bytes(content)


def tiff(*entries: tuple[int, int, int, int], following: int = 0, rest: bytes = b"") -> bytes:
    """A little-endian TIFF with one directory of (tag, type, count, value or offset)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return (
        b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body
        + struct.pack("<I", following) + rest
    )  # fmt: skip


def tiff_entries(width: int, height: int) -> tuple[tuple[int, int, int, int], ...]:
    """The tags of an uncompressed grey picture whose pixels begin at byte 200."""
    return (
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height),
    )  # fmt: skip


def tiff_claim() -> bytes:
    return tiff(*tiff_entries(SIDE, SIDE), rest=bytes(4096))


def jpeg2000_claim() -> bytes:
    content = bytearray(_saved("JPEG2000", Image.new("RGB", (64, 64))))
    for mark, at in ((b"ihdr", 4), (b"\xff\x51", 6)):
        begin = content.index(mark) + at
        content[begin : begin + 8] = struct.pack(">II", SIDE, SIDE)
    return bytes(content)


def webp_claim() -> bytes:
    bits = (16383 - 1) | (16383 - 1) << 14
    return riff(b"WEBP", (b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(64)))


def webp_canvas() -> bytes:
    """An animation on a canvas of 2^14 by 2^14 px, its one frame a single px."""
    one = _saved("WEBP", Image.new("RGB", (1, 1)), lossless=True)[12:]
    canvas = struct.pack("<I", 2) + (16384 - 1).to_bytes(3, "little") * 2
    frame = bytes(6) + bytes(6) + (40).to_bytes(3, "little") + b"\0" + one
    return riff(b"WEBP", (b"VP8X", canvas), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * 50)


def heif_claim(kind: str) -> bytes:
    if kind == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    content = bytearray(_saved(kind, Image.new("RGB", (64, 64))))
    at = content.index(b"ispe") + 8
    content[at : at + 8] = struct.pack(">II", SIDE, SIDE)
    return bytes(content)


def ico_claim() -> bytes:
    inside = png_claim()
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inside), 22) + inside


def psd_claim() -> bytes:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, SIDE // 2, SIDE // 2, 8, 3)
    return head + bytes(12) + struct.pack(">H", 0) + bytes(64)


# ---- pictures with much beside them


def png_text(kind: bytes, unpacked: int) -> bytes:
    """A small PNG with a compressed text of zeros, `unpacked` bytes long."""
    packed = _deflated_zeros(unpacked)
    before = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"icc\0\0"}[kind]
    return _png_with(png_chunk(kind, before + packed))


def many_texts(count: int) -> bytes:
    return _png_with(png_chunk(b"zTXt", b"k\0\0" + _deflated_zeros(900_000)) * count)


def jpeg_profile() -> bytes:
    """A JPEG of which 255 segments of 64 kB are a colour profile, ten times over."""
    content = _saved("JPEG", Image.new("RGB", (16, 16)))
    part = b"ICC_PROFILE\0"
    segments = b"".join(
        b"\xff\xe2" + struct.pack(">H", 65535) + part + bytes((k, 255)) + bytes(65519)
        for k in range(1, 256)
    )
    return content[:2] + segments * 10 + content[2:]


def exif_bomb() -> bytes:
    """A JPEG whose EXIF points 2^32 values of eight bytes each at the same place, many times."""
    tags = b"".join(struct.pack("<HHII", 0x9000 + k, 12, 0x0FFFFFFF, 8) for k in range(4000))
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 4000) + tags + bytes(4)
    content = _saved("JPEG", Image.new("RGB", (16, 16)))
    body = b"Exif\0\0" + exif
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]


def exif_cycle() -> bytes:
    """A JPEG whose EXIF directories point at each other."""
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 2)
    exif += struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x8825, 4, 1, 8)
    exif += struct.pack("<I", 8)
    content = _saved("JPEG", Image.new("RGB", (16, 16)))
    body = b"Exif\0\0" + exif
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]


def tiff_cycle() -> bytes:
    return tiff(*tiff_entries(16, 16), following=8, rest=bytes(400))


def tiff_pages(count: int) -> bytes:
    """A TIFF of many directories, each of one tag."""
    first = tiff(*tiff_entries(16, 16), rest=bytes(400))
    start = len(first)
    pages = b"".join(
        struct.pack("<HHHIII", 1, 256, 4, 1, 16, 0 if k + 1 == count else start + 18 * (k + 1))
        for k in range(count)
    )
    at = 10 + 12 * 9
    return first[:at] + struct.pack("<I", start) + first[at + 4 :] + pages


def tiff_count() -> bytes:
    return tiff(*tiff_entries(16, 16), (34675, 7, 0x7FFFFFFF, 8), rest=bytes(400))


# ---- animations


def gif_frames(count: int, side: int) -> bytes:
    """A GIF of `count` frames of one px each, on a canvas of side x side px."""
    control = b"\x21\xf9\x04\x04\x02\0\0\0"
    frame = control + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + frame * count + b"\x3b"


def apng_frames(count: int, side: int) -> bytes:
    """An APNG of `count` frames of one px each, on a canvas of side x side px."""
    pixel = zlib.compress(b"\0\0")
    rows = zlib.compress(bytes((side + 1) * side), 1)
    parts = [
        png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        png_chunk(b"acTL", struct.pack(">II", count, 0)),
        png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 50, 0, 0)),
        png_chunk(b"IDAT", rows),
    ]
    for k in range(1, count):
        number = 2 * k - 1
        parts.append(png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 1, 1, 0, 0, 1, 50, 0, 0)))
        parts.append(png_chunk(b"fdAT", struct.pack(">I", number + 1) + pixel))
    return png(*parts)


def webp_frames(count: int, side: int) -> bytes:
    """An animated WebP of `count` frames of one px each, on a canvas of side x side px."""
    one = _saved("WEBP", Image.new("RGB", (1, 1)), lossless=True)[12:]
    canvas = struct.pack("<I", 2) + (side - 1).to_bytes(3, "little") * 2
    frame = bytes(6) + bytes(6) + (20).to_bytes(3, "little") + b"\0" + one
    return riff(b"WEBP", (b"VP8X", canvas), (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * count)


def webp_chunks(count: int) -> bytes:
    """An animated WebP followed by very many empty chunks."""
    content = webp_frames(3, 16)
    body = content[8:] + b"JUNK\0\0\0\0" * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


# ---- clips


def mp4(path: Path, *, frames: int = 10, rate: int = 25, scale: int = 1, side: int = 64) -> bytes:
    """A small MP4 of an MPEG-4 clip; `scale` stretches its time base."""
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for k in range(frames):
            picture = np.full((side, side, 3), 20 * k % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path.read_bytes()


def changed_box(content: bytes, kind: bytes, body: Callable[[bytes], bytes]) -> bytes:
    """The file with the content of its first box of this kind written over, at equal length."""
    at = content.index(kind) + 4
    size = struct.unpack(">I", content[at - 8 : at - 4])[0] - 8
    new = body(content[at : at + size])
    assert len(new) == size
    return content[:at] + new + content[at + size :]


def million_fps(path: Path) -> object:
    content = mp4(path, rate=25)
    return path.write_bytes(
        changed_box(content, b"mdhd", lambda b: b[:12] + struct.pack(">I", 512 * 10**6) + b[16:])
    )


def ten_years(path: Path) -> object:
    """Ten frames, each shown for a year."""
    content = mp4(path, rate=25)
    content = content.replace(b"edts", b"free")
    content = changed_box(content, b"mdhd", lambda b: b[:12] + struct.pack(">I", 1) + b[16:])
    year = 31_536_000
    return path.write_bytes(
        changed_box(content, b"stts", lambda b: b[:12] + struct.pack(">I", year))
    )


def huge_index(path: Path) -> object:
    """85 million samples of one byte each, said in twenty bytes."""
    content = mp4(path).replace(b"edts", b"free")
    count = 85_000_000
    stbl = content.index(b"stbl") - 4
    size = struct.unpack(">I", content[stbl : stbl + 4])[0]
    table = content[stbl + 8 : stbl + size]
    stsd = table[: struct.unpack(">I", table[:4])[0]]
    new = box(
        b"stbl",
        stsd
        + full_box(b"stts", struct.pack(">III", 1, count, 512))
        + full_box(b"stsz", struct.pack(">II", 1, count))
        + full_box(b"stsc", struct.pack(">IIII", 1, 1, count, 1))
        + full_box(b"stco", struct.pack(">II", 1, 48)),
    )
    return path.write_bytes(with_box(content, stbl, size, new))


def claimed_count(kind: bytes) -> Callable[[Path], object]:
    """One table of the index claims four billion entries."""

    def make(path: Path) -> object:
        content = mp4(path)
        at = content.index(kind) + 8 + (4 if kind == b"stsz" else 0)
        return path.write_bytes(content[:at] + b"\xff\xff\xff\xf0" + content[at + 4 :])

    return make


def with_box(content: bytes, at: int, size: int, new: bytes) -> bytes:
    """The file with the box at `at` replaced, the sizes of those around it corrected."""
    out = bytearray(content)
    grown = len(new) - size
    position = content.index(b"moov") - 4
    while position < at:  # moov, trak, mdia, minf hold it
        length, kind = struct.unpack(">I4s", out[position : position + 8])
        if position + length > at:
            out[position : position + 4] = struct.pack(">I", length + grown)
            position += 16 if kind == b"stsd" else 8
        else:
            position += length
    out[at : at + size] = new
    return bytes(out)


def many_streams(count: int, side: int = 64) -> Callable[[Path], object]:
    def make(path: Path) -> object:
        content = mp4(path, side=side, frames=2)
        trak = content.index(b"trak") - 4
        size = struct.unpack(">I", content[trak : trak + 4])[0]
        return path.write_bytes(with_box(content, trak, size, content[trak : trak + size] * count))

    return make


def many_runs(path: Path) -> object:
    """Fragments that claim 80 million samples each, of default size and length."""
    content = mp4(path)
    header = full_box(b"tfhd", struct.pack(">I", 1))[:9] + b"\x02\0\0" + struct.pack(">I", 1)
    run = full_box(b"trun", struct.pack(">I", 80_000_000))
    defaults = box(b"mvex", full_box(b"trex", struct.pack(">IIIII", 1, 1, 512, 1, 0)))
    moov = content.index(b"moov") - 4
    size = struct.unpack(">I", content[moov : moov + 4])[0]
    fragment = box(b"moof", full_box(b"mfhd", bytes(4)) + box(b"traf", header + run))
    whole = box(b"moov", content[moov + 8 : moov + size] + defaults)
    return path.write_bytes(content[:moov] + whole + fragment + box(b"mdat", bytes(1000)))


def deep_atoms(path: Path) -> object:
    content = mp4(path)
    inside = b""
    for _ in range(20_000):
        inside = box(b"moov", inside)
    return path.write_bytes(content[: content.index(b"moov") - 4] + inside)


def many_atoms(path: Path) -> object:
    """Very many empty boxes before the pictures' index."""
    content = mp4(path)
    moov = content.index(b"moov") - 4
    return path.write_bytes(content[:moov] + b"\0\0\0\x08free" * 400_000 + content[moov:])


def packed_index(path: Path) -> object:
    """An index that unpacks into 256 MB of zeros."""
    content = mp4(path)
    inside = struct.pack(">I", 2**28) + _deflated_zeros(2**28)
    cmov = box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", inside))
    return path.write_bytes(content[: content.index(b"moov") - 4] + box(b"moov", cmov))


def metadata(path: Path) -> object:
    """An MP4 with a title of 40 MB."""
    content = mp4(path)
    text = box(b"\xa9nam", box(b"data", struct.pack(">II", 1, 0) + b"x" * 40_000_000))
    handler = full_box(b"hdlr", bytes(4) + b"mdir" + bytes(13))
    meta = full_box(b"meta", handler + box(b"ilst", text))
    udta = box(b"udta", meta)
    moov = content.index(b"moov") - 4
    size = struct.unpack(">I", content[moov : moov + 4])[0]
    grown = box(b"moov", content[moov + 8 : moov + size] + udta)
    return path.write_bytes(content[:moov] + grown + content[moov + size :])


def matroska(*parts: tuple[str, int]) -> Callable[[Path], object]:
    """A Matroska clip with elements put before its pictures: a void or an attachment, in bytes."""

    def make(path: Path) -> object:
        with av.open(str(path), "w", format="matroska") as out:
            stream = out.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for k in range(10):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), k, np.uint8))
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        content = path.read_bytes()
        at = content.index(b"\x1f\x43\xb6\x75")  # the first cluster
        more = b""
        for kind, size in parts:
            if kind == "void":
                more += b"\xec" + (1 << 56 | size).to_bytes(8, "big")
            elif kind == "void of its size":
                more += ebml(b"\xec", bytes(size))
            elif kind == "attachment":
                file = ebml(b"\x46\x6e", b"a.bin") + ebml(b"\x46\x60", b"application/x")
                file += ebml(b"\x46\x5c", bytes(size)) + ebml(b"\x46\xae", b"\x01")
                more += ebml(b"\x19\x41\xa4\x69", ebml(b"\x61\xa7", file))
            elif kind == "empty":
                more += b"\xec\x80" * size
        return path.write_bytes(content[:at] + more + content[at:])

    return make


def growing(side: int) -> Callable[[Path], object]:
    """An MJPEG stream in AVI that begins at 64 px and goes on at side x side px."""

    def make(path: Path) -> object:
        small, large = (_saved("JPEG", Image.new("L", (s, s)), quality=1) for s in (64, side))
        return path.write_bytes(_avi([small] * 8 + [large] * 20))

    return make


def changing(path: Path) -> object:
    """An MJPEG stream of which every frame has another size."""
    sides = [64 + 16 * (k * 37 % 101) for k in range(200)]
    return path.write_bytes(_avi([_saved("JPEG", Image.new("L", (s, s))) for s in sides]))


def wide_pixels(path: Path) -> object:
    """A clip of 8192 x 4096 px whose pixels are said to be sixteen times as wide as high."""
    picture = _saved("JPEG", Image.new("L", (8192, 4096)), quality=1)
    content = _matroska_of(path, picture, 8192, 4096)
    return path.write_bytes(content)


def _matroska_of(path: Path, picture: bytes, width: int, height: int) -> bytes:
    with av.open(str(path), "w", format="mov") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.codec_context.sample_aspect_ratio = 16
        for k in range(3):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = stream, k, k
            packet.time_base = Fraction(1, 25)
            out.mux(packet)
    return path.read_bytes()


def fast_sound(path: Path) -> object:
    """A clip with sound of two thousand million samples a second in 255 channels."""
    with av.open(str(path), "w", format="mov") as out:
        pictures = out.add_stream("mpeg4", rate=25)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=48000, layout="stereo")
        for k in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), k, np.uint8))
            out.mux(pictures.encode(frame))
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 3840), np.int16), layout="stereo")
            heard.sample_rate, heard.pts = 48000, k * 1920
            out.mux(sound.encode(heard))
        out.mux(pictures.encode(None))
    content = path.read_bytes()
    at = content.index(b"sowt") + 4
    body = bytearray(content)
    body[at + 16 : at + 18] = struct.pack(">H", 255)
    body[at + 24 : at + 28] = struct.pack(">I", 0xFFFF0000)
    return path.write_bytes(bytes(body))


def _avi(pictures: list[bytes]) -> bytes:
    """An AVI of JPEG pictures, 25 a second; its header says 64 x 64 px."""
    rate = struct.pack("<II", 1, 25)
    main = struct.pack("<10I16x", 40000, 0, 0, 0x10, len(pictures), 0, 1, 0, 64, 64)
    head = b"vidsMJPG" + bytes(12) + rate + struct.pack("<II", 0, len(pictures)) + bytes(20)
    form = struct.pack("<IiiHH4sIiiII", 40, 64, 64, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    stream = b"LIST" + struct.pack("<I", 4 + 8 + len(head) + 8 + len(form)) + b"strl"
    stream += b"strh" + struct.pack("<I", len(head)) + head
    stream += b"strf" + struct.pack("<I", len(form)) + form
    header = b"hdrl" + b"avih" + struct.pack("<I", len(main)) + main + stream
    data = b"movi" + b"".join(
        b"00dc" + struct.pack("<I", len(p)) + p + b"\0" * (len(p) % 2) for p in pictures
    )
    return riff(b"AVI ", (b"LIST", header), (b"LIST", data))


def png_clip(path: Path) -> object:
    """A QuickTime clip of PNG pictures, each with a text that unpacks into 256 MB."""
    picture = png_text(b"zTXt", 2**28)
    with av.open(str(path), "w", format="mov") as out:
        stream = out.add_stream("png", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb24"
        for k in range(3):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = stream, k, k
            packet.time_base = Fraction(1, 25)
            out.mux(packet)
    return path


def apng_text(path: Path) -> object:
    """An animation before whose pictures a text stands that unpacks into 256 MB."""
    content = apng_frames(3, 16)
    text = png_chunk(b"zTXt", b"k\0\0" + _deflated_zeros(2**28))
    return path.write_bytes(content[:33] + text + content[33:])


# ----


def _saved(kind: str, image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _png_with(chunk: bytes) -> bytes:
    content = _saved("PNG", Image.new("RGB", (16, 16)))
    return content[:33] + chunk + content[33:]


@cache
def _deflated_zeros(size: int) -> bytes:
    packer = zlib.compressobj(1)
    block = bytes(2**20)
    parts = [packer.compress(block[: min(2**20, size - at)]) for at in range(0, size, 2**20)]
    return b"".join(parts) + packer.flush()


BOMBS: tuple[Bomb, ...] = (
    *(
        Bomb(role, f"{name}.{suffix}", lambda p, make=make: p.write_bytes(make()))
        for name, suffix, make in (
            ("claim", "png", png_claim), ("claim", "gif", gif_claim), ("claim", "jpg", jpeg_claim),
            ("claim", "bmp", bmp_claim), ("claim", "tiff", tiff_claim),
            ("claim", "jp2", jpeg2000_claim), ("claim", "webp", webp_claim),
            ("canvas", "webp", webp_canvas), ("claim", "heic", lambda: heif_claim("HEIF")),
            ("claim", "avif", lambda: heif_claim("AVIF")), ("claim", "ico", ico_claim),
            ("claim", "psd", psd_claim),
        )
        for role in ("image", "video")
    ),
    Bomb("image", "ztxt.png", lambda p: p.write_bytes(png_text(b"zTXt", 2**28))),
    Bomb("image", "itxt.png", lambda p: p.write_bytes(png_text(b"iTXt", 2**28))),
    Bomb("image", "texts.png", lambda p: p.write_bytes(many_texts(2000))),
    Bomb("image", "iccp.png", lambda p: p.write_bytes(png_text(b"iCCP", 200_000_000))),
    Bomb("image", "icc.jpg", lambda p: p.write_bytes(jpeg_profile()), False),
    Bomb("image", "exif.jpg", lambda p: p.write_bytes(exif_bomb()), False),
    Bomb("image", "cycle.jpg", lambda p: p.write_bytes(exif_cycle()), False),
    Bomb("image", "cycle.tiff", lambda p: p.write_bytes(tiff_cycle()), False),
    Bomb("image", "pages.tiff", lambda p: p.write_bytes(tiff_pages(1_000_000)), False),
    Bomb("image", "count.tiff", lambda p: p.write_bytes(tiff_count()), False),
    *(
        Bomb(role, f"{name}.{suffix}", lambda p, make=make, n=n, s=s: p.write_bytes(make(n, s)),
             role == "video")
        for name, n, s in (("frames", 100_000, 16), ("frames_wide", 10_000, 4000))
        for suffix, make in (("gif", gif_frames), ("png", apng_frames), ("webp", webp_frames))
        for role in ("image", "video")
    ),
    Bomb("video", "chunks.webp", lambda p: p.write_bytes(webp_chunks(400_000))),
    Bomb("video", "million_fps.mp4", million_fps),
    Bomb("video", "ten_years.mp4", ten_years),
    Bomb("video", "index.mp4", huge_index),
    *(Bomb("video", f"{kind.decode()}.mp4", claimed_count(kind), refused)
      for kind, refused in ((b"stsz", True), (b"stts", True), (b"stsc", True), (b"stsd", True),
                            (b"stco", False), (b"elst", False))),
    Bomb("video", "streams.mp4", many_streams(1000)),
    Bomb("video", "streams_wide.mp4", many_streams(64, 2048), False),
    Bomb("video", "runs.mp4", many_runs),
    Bomb("video", "deep.mp4", deep_atoms),
    Bomb("video", "atoms.mp4", many_atoms),
    Bomb("video", "cmov.mov", packed_index),
    Bomb("video", "title.mp4", metadata, False),
    Bomb("video", "void.mkv", matroska(("void", 2**55)), False),
    Bomb("video", "voids.mkv", matroska(("empty", 1_000_000))),
    Bomb("video", "attached.mkv", matroska(("attachment", 70_000_000))),
    Bomb("video", "growing.avi", growing(12_000), False),
    Bomb("video", "changing.avi", changing, False),
    Bomb("video", "wide_pixels.mov", wide_pixels),
    Bomb("video", "sound.mov", fast_sound, False),
    Bomb("video", "png.mov", png_clip),
    Bomb("video", "ztxt.apng", apng_text),
)  # fmt: skip
