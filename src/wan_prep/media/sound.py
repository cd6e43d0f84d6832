"""Find the stream of sound in a clip that can be decoded."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import cast

import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from wan_prep.media import libav
from wan_prep.media.files import open_check
from wan_prep.media.libav import DecodeLog

# A stream of which the first packets fail, this many of them, counts as undecodable.
_FAILURES_MAX = 50


@dataclass(frozen=True)
class Sound:
    """The stream of sound that is used, and those that come before it but do not decode."""

    index: int | None
    """Number of the stream in its file; None where none decodes."""
    undecodable: tuple[str, ...]
    """Codecs of the streams before it that do not decode."""


def find_sound(path: str | PathLike[str]) -> Sound:
    """The first stream of sound that decodes, those flagged as default first.

    Raises InputPathError. A file that does not open has no sound; probing its pictures says why.
    """
    checked = open_check(path)
    failed: list[str] = []
    try:
        with libav.open_container(checked) as container:
            streams = [(s.index, libav.codec_name(s)) for s in libav.audio_streams(container)]
        for index, codec in streams:
            if _first_frame(checked, index) is not None:
                return Sound(index, tuple(failed))
            failed.append(codec or "unknown codec")
    except av.error.FFmpegError:
        return Sound(None, tuple(failed))
    return Sound(None, tuple(failed))


def mixes_down(path: str | PathLike[str], index: int) -> bool:
    """Whether the channels of this stream can be mixed into stereo.

    Those of a sound field (ambisonics) stand for no loudspeakers, and the place of some is unknown.
    Raises InputPathError.
    """
    frame = _first_frame(open_check(path), index)
    if frame is None:
        return False
    try:
        AudioResampler(format="fltp", layout="stereo", rate=48000).resample(frame)
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _first_frame(path: Path, index: int) -> AudioFrame | None:
    """The first frame of the stream that decodes; None where none does."""
    with libav.open_container(path) as container:
        stream = container.streams[index]
        if libav.codec_name(stream) is None:
            return None
        failures = 0
        for packet in libav.packets(container, (stream,), DecodeLog()):
            try:
                frames = cast("list[AudioFrame]", packet.decode())
            except (av.error.FFmpegError, ValueError):
                frames = []
                failures += 1
            if frames:
                return frames[0]
            if failures == _FAILURES_MAX:
                return None
    return None
