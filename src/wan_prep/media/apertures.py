"""The border that a container hides: `clap` of MP4 and QuickTime, PixelCrop of Matroska.

libav reads both, but PyAV passes on neither, and libav's log of them could only be read by
switching it on for the whole process. So the few bytes are read here.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from wan_prep.media.boxes import Span, box, boxes, elements, read

Ltrb = tuple[int, int, int, int]
"""Left, top, right, bottom; px."""
NOTHING_HIDDEN: Ltrb = (0, 0, 0, 0)

_ISO_SAMPLES = (b"mdia", b"minf", b"stbl", b"stsd")
# Bytes before the boxes in a list of sample entries, and in a visual sample entry.
_ENTRIES_AT = 8
_ENTRY_BOXES_AT = 78

_SEGMENT, _TRACKS, _TRACK, _VIDEO, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
_CROPS = {0x54CC: 0, 0x54BB: 1, 0x54DD: 2, 0x54AA: 3}
"""Ids of PixelCropLeft, …Top, …Right and …Bottom → their index in `Ltrb`."""


def hidden_ltrb(
    path: Path, container: str, *, track_id: int, video_index: int, coded_wh: tuple[int, int]
) -> Ltrb:
    """Px at each side of decoded frames that are not to be shown.

    container: the demuxer's first name. track_id: of the track, in MP4. video_index: number of the
    track among those with pictures, in Matroska. A border that is damaged, leaves nothing or lies
    outside the frame counts as none.
    """
    width, height = coded_wh
    found = None
    with path.open("rb") as file:
        end = file.seek(0, 2)
        try:
            if container == "mov":
                found = _clean_aperture(file, (0, end), track_id, width, height)
            elif container == "matroska":
                found = _pixel_crop(file, (0, end), video_index)
        except (struct.error, IndexError, ValueError, ZeroDivisionError):
            return NOTHING_HIDDEN  # damaged: libav decides whether the file plays
    if found is None:
        return NOTHING_HIDDEN
    is_inside = min(found) >= 0 and min(shown_size(width, height, found)) > 0
    return found if is_inside else NOTHING_HIDDEN


def shown_size(coded_width: int, coded_height: int, hidden: Ltrb) -> tuple[int, int]:
    """(width, height) in px of the part of a decoded frame that is shown, before it is turned."""
    left, top, right, bottom = hidden
    return coded_width - left - right, coded_height - top - bottom


# ---- MP4 and QuickTime


def _clean_aperture(
    file: BinaryIO, whole: Span, track_id: int, width: int, height: int
) -> Ltrb | None:
    movie = box(file, whole, b"moov")
    for kind, track in boxes(file, movie):
        if kind != b"trak" or _track_id(file, track) != track_id:
            continue
        at = track
        for name in _ISO_SAMPLES:
            at = box(file, at, name)
        entries = (content for _, content in boxes(file, (at[0] + _ENTRIES_AT, at[1])))
        entry = next(entries, None)
        if entry is None:
            return None
        for name, content in boxes(file, (entry[0] + _ENTRY_BOXES_AT, entry[1])):
            if name == b"clap":
                return _hidden_by(struct.unpack(">8i", read(file, content[0], 32)), width, height)
    return None


def _hidden_by(clap: tuple[int, ...], width: int, height: int) -> Ltrb:
    """The border that a `clap` box asks for; ValueError where it asks for nothing sensible.

    clap: numerators and denominators of width, height, and of how far the middle lies to the right
    of and below the picture's. Parts of a pixel stay in the picture, as in FFmpeg.
    """
    wide, high, right, down = (Fraction(clap[k], clap[k + 1]) for k in range(0, 8, 2))
    if wide <= 0 or high <= 0:
        raise ValueError("an aperture without a size")
    left_px, top_px = (width - wide) / 2 + right, (height - high) / 2 + down
    if min(left_px, top_px, width - wide - left_px, height - high - top_px) < 0:
        raise ValueError("an aperture beyond the picture")
    return (int(left_px), int(top_px), int(width - wide - left_px), int(height - high - top_px))


def _track_id(file: BinaryIO, track: Span) -> int:
    start, _ = box(file, track, b"tkhd")
    is_long = read(file, start, 1)[0] == 1  # times of 64 bits
    return int.from_bytes(read(file, start + (20 if is_long else 12), 4), "big")


# ---- Matroska


def _pixel_crop(file: BinaryIO, whole: Span, video_index: int) -> Ltrb | None:
    found = 0
    for kind, segment in elements(file, whole):
        if kind != _SEGMENT:
            continue
        for name, tracks in elements(file, segment):
            if name == _CLUSTER:
                return None
            if name != _TRACKS:
                continue
            for track_name, track in elements(file, tracks):
                videos = [
                    video
                    for part, video in (elements(file, track) if track_name == _TRACK else ())
                    if part == _VIDEO
                ]
                if videos and found == video_index:
                    return _crops(file, videos[0])
                found += len(videos)
    return None


def _crops(file: BinaryIO, video: Span) -> Ltrb:
    hidden = [0, 0, 0, 0]
    for kind, (start, end) in elements(file, video):
        if kind in _CROPS and end - start <= 8:
            hidden[_CROPS[kind]] = int.from_bytes(read(file, start, end - start), "big")
    left, top, right, bottom = hidden
    return (left, top, right, bottom)
