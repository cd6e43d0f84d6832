"""What a clip's own index claims, read before libav makes memory for it.

libav believes some counts: two boxes of twenty bytes make it fill gigabytes with an index of
samples that are not there. So the counts and sizes of MP4, QuickTime and Matroska are added up
first, and the texts of a PNG, which libav unpacks without a bound, are measured.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from wan_prep.errors import MediaUnreadable
from wan_prep.media.boxes import Span, box, boxes, elements, read
from wan_prep.media.codecs import within_png
from wan_prep.media.limits import ClipLimits

_MATROSKA = b"\x1aE\xdf\xa3"
_SEGMENT, _TRACKS, _TRACK = 0x18538067, 0x1654AE6B, 0xAE
_CLUSTER, _VOID = 0x1F43B675, 0xEC
_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER_BOXES = (b"moov", b"meta", b"uuid", b"sidx", b"moof")


def check_index(path: Path, head: bytes, limits: ClipLimits) -> None:
    """Refuse a file whose index claims too much, whatever it is; head: its first bytes.

    What is damaged passes: libav says better what is wrong.
    Raises MediaUnreadable(too_large).
    """
    if head.startswith(_PNG):
        if not within_png(path.read_bytes()):
            _raise("little text", "text that unpacks into megabytes")
        return
    with path.open("rb") as file:
        whole = (0, file.seek(0, 2))
        try:
            if head.startswith(_MATROSKA):
                _check_matroska(file, whole, limits)
            else:
                _check_movie(file, whole, limits)
        except (struct.error, ValueError):
            return


def _check_matroska(file: BinaryIO, whole: Span, limits: ClipLimits) -> None:
    size = 0
    for kind, segment in elements(file, whole):
        if kind != _SEGMENT:
            continue
        # To the end of the file: libav does not believe the size of the segment either.
        for name, (start, end) in elements(file, (segment[0], whole[1])):
            if name == _TRACKS:
                tracks = [part for part, _ in elements(file, (start, end)) if part == _TRACK]
                _check_streams(len(tracks), limits)
            if name not in (_CLUSTER, _VOID):
                size += end - start
                _check_size(size, limits)


def _check_movie(file: BinaryIO, whole: Span, limits: ClipLimits) -> None:
    size, samples, has_movie = 0, 0, False
    for kind, content in boxes(file, whole):
        if kind in _HEADER_BOXES:
            size += content[1] - content[0]
            _check_size(size, limits)
        if kind == b"meta" and has_movie:
            _refuse_pictures(file, content)
        if kind == b"moov":
            has_movie = True
            for count in _claimed_by_movie(file, content, limits):
                samples = _added(samples, count, limits)
        elif kind == b"moof":
            for count in _claimed_by_fragment(file, content):
                samples = _added(samples, count, limits)


def _refuse_pictures(file: BinaryIO, meta: Span) -> None:
    """Refuse still pictures behind a movie, as of two files in one: libav may read them for ever.

    Picture sequences (HEIF, AVIF) have theirs before the movie.
    """
    if any(kind == b"iloc" for kind, _ in boxes(file, (meta[0] + 4, meta[1]))):
        raise MediaUnreadable(
            "corrupt",
            "expected one clip, found a clip with still pictures behind it in one file; give the "
            "clip alone",
        )


def _claimed_by_movie(file: BinaryIO, movie: Span, limits: ClipLimits) -> Iterator[int]:
    """How many samples each track says it has."""
    tracks = 0
    for kind, content in boxes(file, movie):
        if kind == b"cmov":  # an index packed by zlib, of the nineties
            start, _ = box(file, content, b"cmvd")
            _check_size(int.from_bytes(read(file, start, 4), "big"), limits)
        if kind == b"trak":
            tracks += 1
            _check_streams(tracks, limits)
            yield from _claimed_by_track(file, content)


def _claimed_by_track(file: BinaryIO, track: Span) -> Iterator[int]:
    for kind, media in boxes(file, track):
        if kind != b"mdia":
            continue
        is_sound, tables = False, []
        for name, content in boxes(file, media):
            if name == b"hdlr":
                is_sound = read(file, content[0] + 8, 4) == b"soun"
            if name == b"minf":
                tables += [span for part, span in boxes(file, content) if part == b"stbl"]
        for table in tables:
            counts, is_by_chunks = [], False
            for name, (start, _) in boxes(file, table):
                if name in (b"stsz", b"stz2"):
                    counts.append(int.from_bytes(read(file, start + 8, 4), "big"))
                if name == b"stts":
                    entries, _, ticks = struct.unpack(">III", read(file, start + 4, 12))
                    # Plain sound counts single samples, of which libav keeps the chunks alone.
                    is_by_chunks = is_sound and (entries, ticks) == (1, 1)
            if not is_by_chunks:
                yield from counts


def _claimed_by_fragment(file: BinaryIO, fragment: Span) -> Iterator[int]:
    for kind, run in boxes(file, fragment):
        if kind != b"traf":
            continue
        for name, (start, _) in boxes(file, run):
            if name == b"trun":
                yield int.from_bytes(read(file, start + 4, 4), "big")


def _added(samples: int, more: int, limits: ClipLimits) -> int:
    samples += more
    if samples > limits.samples:
        _raise(f"at most {limits.samples} samples in its index", f"{samples} claimed")
    return samples


def _check_streams(count: int, limits: ClipLimits) -> None:
    if count > limits.streams:
        _raise(f"at most {limits.streams} streams", "more")


def _check_size(size: int, limits: ClipLimits) -> None:
    if size > limits.header_bytes:
        _raise(
            f"at most {limits.header_bytes} bytes of index, texts and attachments",
            f"{size} or more",
        )


def _raise(expected: str, found: str) -> NoReturn:
    raise MediaUnreadable(
        "too_large",
        f"expected a clip with {expected}, found {found}; write it again, for example with "
        "ffmpeg -map 0:v -map 0:a? -c copy",
    )
