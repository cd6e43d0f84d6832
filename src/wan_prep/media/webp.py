"""Read animated WebP, which FFmpeg does not: times from its chunks, pixels through Pillow."""

from __future__ import annotations

import struct
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from wan_prep.errors import MediaUnreadable
from wan_prep.media.boxes import PARTS_MAX
from wan_prep.media.files import sha256_of
from wan_prep.media.images import flat_rgb, opened_image, pillow_guard
from wan_prep.media.libav import DecodeLog
from wan_prep.media.limits import ClipLimits
from wan_prep.media.picture import ArrayPicture, Picture
from wan_prep.media.timing import measured_timing
from wan_prep.media.types import VideoInfo

TIME_BASE = Fraction(1, 1000)
# What browsers assume where a frame's duration is 0.
_DEFAULT_DURATION_MS = 100
_ANIMATION_FLAG = 0x02


def is_animated(head: bytes) -> bool:
    """Whether a file that begins with these bytes, at least 21, is an animated WebP."""
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return is_extended and len(head) > 20 and bool(head[20] & _ANIMATION_FLAG)


def probe(path: Path, limits: ClipLimits) -> VideoInfo:
    """The facts of an animated WebP; raises MediaUnreadable."""
    starts_ms, durations_ms, is_truncated = _chunk_times(path)
    with opened_image(path, max_pixels=limits.pixels) as image:
        width, height = image.size
        limits.check_animation(len(starts_ms), width, height)
        image.load()
        has_alpha = image.mode == "RGBA"
        is_transparent = has_alpha and np.asarray(image)[:, :, 3].min() < 255
        frame_count_from_header = int(getattr(image, "n_frames", 1))
    if not starts_ms:
        raise MediaUnreadable(
            "no_frames", "expected an animation, found no frame in it; export it again"
        )
    timing = measured_timing(starts_ms, durations_ms[-1], TIME_BASE, None)
    limits.check_times(timing.duration, timing.fps)
    return VideoInfo(
        path=str(path),
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        container="webp",
        codec="webp",
        pixel_format="rgba" if has_alpha else "rgb24",
        bit_depth=8,
        width=width,
        height=height,
        coded_width=width,
        coded_height=height,
        sample_aspect_ratio=Fraction(1),
        rotation_deg=0,
        has_alpha=bool(is_transparent),
        is_interlaced=False,
        color_transfer=None,
        is_hdr=False,
        duration=timing.duration,
        duration_from_header=None,
        fps=timing.fps,
        fps_from_header=None,
        is_vfr=timing.is_vfr,
        frame_count=len(starts_ms),
        frame_count_from_header=frame_count_from_header,
        first_pts=0,
        time_base=TIME_BASE,
        is_truncated=is_truncated,
        has_audio=False,
        audio_codec=None,
        audio_start=None,
        audio_duration=None,
    )


def pictures(path: Path, log: DecodeLog) -> Generator[tuple[Fraction, Picture]]:
    """(time in s, picture) of every frame, up to the first one that does not decode."""
    starts_ms, _, _ = _chunk_times(path)
    with path.open("rb") as file:
        with pillow_guard(path):
            image = Image.open(file, formats=("WEBP",))
        for index, start_ms in enumerate(starts_ms):
            try:
                with pillow_guard(path):
                    image.seek(index)
                    pixels = flat_rgb(image)
            except MediaUnreadable:  # later frames build on this one
                log.errors += 1
                return
            yield start_ms * TIME_BASE, ArrayPicture(pixels)


def _chunk_times(path: Path) -> tuple[list[int], list[int], bool]:
    """(start of each frame in ms, duration of each in ms, whether the file ends too early)."""
    starts_ms: list[int] = []
    durations_ms: list[int] = []
    clock_ms = 0
    size_bytes = path.stat().st_size
    parts = 0
    with path.open("rb") as file:
        end = 8 + int.from_bytes(file.read(8)[4:8], "little")
        position = 12
        while position + 8 <= min(end, size_bytes):
            parts += 1
            if parts > PARTS_MAX:
                raise MediaUnreadable(
                    "too_large",
                    f"expected an animation of at most {PARTS_MAX} parts, found more; convert it "
                    "to MP4",
                )
            file.seek(position)
            chunk, length = struct.unpack("<4sI", file.read(8))
            position += 8 + length + length % 2
            if chunk != b"ANMF":
                continue
            if position - length % 2 > size_bytes:
                break
            # ANMF: x, y, width, height, duration, 3 bytes each.
            duration_ms = int.from_bytes(file.read(15)[12:15], "little") or _DEFAULT_DURATION_MS
            starts_ms.append(clock_ms)
            durations_ms.append(duration_ms)
            clock_ms += duration_ms
    return starts_ms, durations_ms, size_bytes < end
