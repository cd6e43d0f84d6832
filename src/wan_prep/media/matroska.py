"""Time stamps below zero in Matroska, which FFmpeg's reader drops, read from the blocks themselves.

A block stores its time as a signed 16-bit number, counted from its cluster, so that times up to
half a minute before zero can be stored.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from av.packet import Packet
from av.stream import Stream

from wan_prep.media import libav
from wan_prep.media.libav import DecodeLog

# Packets after the first one at or after zero among which an earlier picture may still come.
_REORDERED_MAX = 32


def times_below_zero(path: Path, index: int) -> dict[int, int]:
    """Byte position in the file → time in ticks, for packets of one stream before zero.

    Empty for other containers. Where the first packet lies at zero or later, no more is read.
    Raises av.error.FFmpegError.
    """
    times: dict[int, int] = {}
    later = 0
    with libav.open_container(path) as container:
        if not container.format.name.startswith("matroska"):
            return {}
        with path.open("rb") as file:
            for packet in libav.packets(container, (container.streams[index],), DecodeLog()):
                ticks = _block_time(file, packet)
                is_untimed = packet.pts is None or not later
                if ticks is not None and ticks < 0 and is_untimed and packet.pos is not None:
                    if not times and (packet.pts or 0) > 0:
                        return {}  # counted from a later cluster, so not before zero
                    times[packet.pos] = ticks
                    continue
                later += 1
                if not times or later > _REORDERED_MAX:
                    break
    return times


def _block_time(file: BinaryIO, packet: Packet[Stream]) -> int | None:
    """The signed time that follows the track number at the head of a block; None if unreadable."""
    if packet.pos is None or packet.pos < 0:
        return None
    file.seek(packet.pos)
    head = file.read(10)
    if not head or not head[0]:
        return None
    length = 9 - head[0].bit_length()  # leading zero bits give its length
    return int.from_bytes(head[length : length + 2], "big", signed=True)
