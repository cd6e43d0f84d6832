"""The sound of a clip, as far as this project cares: is there any that can be heard?"""

from __future__ import annotations

from os import PathLike

import av.error

from wan_prep.media import libav
from wan_prep.media.files import open_check
from wan_prep.media.libav import DecodeLog

# Sound of which this many packets in a row fail is taken for broken throughout.
_FAILURES_MAX = 50


def sound_decodes(path: str | PathLike[str]) -> bool:
    """Whether the first sound stream yields anything; raises InputPathError."""
    checked = open_check(path)
    try:
        with libav.open_container(checked) as container:
            stream = libav.audio_stream(container)
            if stream is None:
                return False
            failures = 0
            for packet in libav.packets(container, (stream,), DecodeLog()):
                try:
                    if packet.decode():
                        return True
                except (av.error.FFmpegError, ValueError):
                    failures += 1
                if failures == _FAILURES_MAX:
                    return False
    except av.error.FFmpegError:
        return False  # what does not open has no sound either; the pictures will say so
    return False
