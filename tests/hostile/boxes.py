"""The parts that media files are made of: boxes, chunks and elements, as bytes."""

from __future__ import annotations

import struct
import zlib


def box(kind: bytes, content: bytes) -> bytes:
    """A box of MP4 and QuickTime."""
    return struct.pack(">I", 8 + len(content)) + kind + content


def full_box(kind: bytes, content: bytes) -> bytes:
    """A box that begins with version 0 and no flags."""
    return box(kind, bytes(4) + content)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def riff(form: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A RIFF file: AVI or WebP."""
    body = form + b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def ebml(kind: bytes, content: bytes) -> bytes:
    """An element of Matroska, its size in eight bytes."""
    return kind + (1 << 56 | len(content)).to_bytes(8, "big") + content
