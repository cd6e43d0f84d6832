"""Time stamps below zero in Matroska, which FFmpeg's reader drops, read from the blocks themselves.

A block stores its time as 16 bits with a sign, counted from its cluster, and clusters begin at zero
or later: what lies before zero is in the file, as far as half a minute.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from av.packet import Packet
from av.stream import Stream

from wan_prep.media import libav
from wan_prep.media.libav import DecodeLog

# Packets behind the first one at zero among which an earlier picture may still come.
_REORDERED_MAX = 32


def times_below_zero(path: Path, index: int) -> dict[int, int]:
    """Place in the file → time in ticks, of all packets of one stream that lie before zero.

    Empty for every other container, and read no further than the first packet where that one lies
    at zero or later. Raises av.error.FFmpegError.
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
                        return {}  # its cluster begins later than it lies before that
                    times[packet.pos] = ticks
                    continue
                later += 1
                if not times or later > _REORDERED_MAX:
                    break
    return times


def _block_time(file: BinaryIO, packet: Packet[Stream]) -> int | None:
    """The time that stands behind the track number at the head of a block."""
    if packet.pos is None or packet.pos < 0:
        return None
    file.seek(packet.pos)
    head = file.read(10)
    if not head or not head[0]:
        return None
    length = 9 - head[0].bit_length()  # leading zeros tell how long the track number is
    return int.from_bytes(head[length : length + 2], "big", signed=True)
