"""The boxes of MP4 and QuickTime and the elements of Matroska, read without trusting a length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from wan_prep.errors import MediaUnreadable

Span = tuple[int, int]
"""(start, end) of the content of a box or an element, in bytes from the file's beginning."""

# Of a list; more are refused, because to read each takes longer than to write it. Ten hours of
# fragments of a second are 72,000.
PARTS_MAX = 300_000


def box(file: BinaryIO, inside: Span, name: bytes) -> Span:
    """The content of the first box of this name; raises ValueError where there is none."""
    for kind, content in boxes(file, inside):
        if kind == name:
            return content
    raise ValueError(f"no {name!r}")


def boxes(file: BinaryIO, inside: Span) -> Iterator[tuple[bytes, Span]]:
    """(kind, content) of each box. Raises ValueError: the file ends within
    one; and MediaUnreadable(too_large): there are more than PARTS_MAX."""
    position, end = inside
    parts = 0
    while position + 8 <= end:
        size, kind = struct.unpack(">I4s", read(file, position, 8))
        begin = position + 8
        if size == 1:
            size = int.from_bytes(read(file, begin, 8), "big")
            begin += 8
        following = end if size == 0 else position + size
        if not begin <= following <= end:
            return
        parts = _counted(parts)
        yield kind, (begin, following)
        position = following


def elements(file: BinaryIO, inside: Span) -> Iterator[tuple[int, Span]]:
    """(id, content) of each element. Raises ValueError: it is none; and
    MediaUnreadable(too_large): there are more than PARTS_MAX."""
    position, end = inside
    parts = 0
    while position < end:
        kind, position = _number(file, position, keeps_marker=True)
        size, position = _number(file, position, keeps_marker=False)
        # All ones: the size is unknown, as in live streams, and reaches to the end.
        following = end if size is None else position + size
        if kind is None or following > end:
            following = end
        parts = _counted(parts)
        yield kind or 0, (position, following)
        position = following


def read(file: BinaryIO, position: int, size: int) -> bytes:
    """Exactly so many bytes; raises ValueError where the file ends before."""
    file.seek(position)
    found = file.read(size)
    if len(found) < size:
        raise ValueError("the file ends")
    return found


def _counted(parts: int) -> int:
    if parts == PARTS_MAX:
        raise MediaUnreadable(
            "too_large",
            f"expected a clip with at most {PARTS_MAX} parts in a row, found more; write it again, "
            "for example with ffmpeg -map 0:v -map 0:a? -c copy",
        )
    return parts + 1


def _number(file: BinaryIO, position: int, *, keeps_marker: bool) -> tuple[int | None, int]:
    """An EBML number of 1 to 8 bytes (None: all its bits are ones), and where it ends."""
    first = read(file, position, 1)[0]
    length = 9 - first.bit_length()
    if length > 8:
        raise ValueError("no EBML number")
    number = int.from_bytes(read(file, position, length), "big")
    if keeps_marker:
        return number, position + length
    number &= (1 << 7 * length) - 1
    return (None if number == (1 << 7 * length) - 1 else number), position + length
