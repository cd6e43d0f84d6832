"""Times of a file's packets: when each picture is shown, and when each stream ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike

import av
import av.error

from wan_prep.errors import MediaUnreadable
from wan_prep.media import libav
from wan_prep.media.files import open_check
from wan_prep.media.libav import DecodeLog, time_base_of
from wan_prep.media.refusals import brief


@dataclass(frozen=True)
class Stamps:
    """Times in s on the container's own clock."""

    pictures: Sequence[Fraction]
    """When each frame is shown, in order."""
    ends: tuple[Fraction, ...]
    """End of the last packet of every stream, including parts that an edit hides."""
    container: Fraction
    """The duration that the header gives the whole file."""


def read_stamps(path: str | PathLike[str]) -> Stamps:
    """Read all packets, decode none.

    Raises InputPathError, and MediaUnreadable: the file does not open or has no pictures.
    """
    checked = open_check(path)
    try:
        with libav.open_container(checked) as container:
            video = libav.video_stream(container)
            if video is None:
                raise MediaUnreadable("no_video_stream", f"expected moving pictures in {path}")
            ends = dict.fromkeys((s.index for s in container.streams), Fraction(0))
            pictures = []
            for packet in libav.packets(container, tuple(container.streams), DecodeLog()):
                if packet.pts is None:
                    continue
                time = packet.pts * time_base_of(packet.stream)
                length = (packet.duration or 0) * time_base_of(packet.stream)
                index = packet.stream_index
                ends[index] = max(ends[index], time + length)
                if index == video.index and not packet.is_discard:
                    pictures.append(time)
            return Stamps(
                pictures=sorted(pictures),
                ends=tuple(ends.values()),
                container=Fraction(container.duration or 0, av.time_base),
            )
    except av.error.FFmpegError as exc:
        raise MediaUnreadable(
            "corrupt", f"expected a video, but {path} does not open ({brief(exc)})"
        ) from exc
