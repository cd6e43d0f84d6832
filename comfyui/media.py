"""ComfyUI's pictures and videos as files that wan_prep takes, and back; knows no ComfyUI.

An IMAGE is B x H x W x C, floats 0 ... 1: a torch tensor on any device, or whatever numpy can take.
A VIDEO is read where it comes from, so that frame rate, rotation and sound are those of its file.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import wan_prep

Pixels = npt.NDArray[np.uint8]
"""(H, W, 1, 3 or 4) uint8."""
Batch = npt.NDArray[np.float32]
"""(B, H, W, 3) float32, 0 ... 1."""

# Rates of film and television have no larger denominator: 24000/1001, 30000/1001.
_DENOMINATOR_MOST = 1001


@dataclass(frozen=True)
class Clip:
    """A file, and the part of it that counts, in s from its start; `end` None: until its end."""

    path: Path
    start: float = 0.0
    end: float | None = None


class Frames(Sequence[Pixels]):
    """The frames of an IMAGE batch as RGB, each converted when it is asked for.

    The batch itself is ComfyUI's and stays where it is; no second copy of all of it is made.
    """

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return len(self._batch)

    def __getitem__(self, index: Any) -> Any:
        pixels = pixels_of(self._batch[index])
        return np.ascontiguousarray(rgb_of(pixels))


def pixels_of(picture: Any) -> Pixels:
    """One H x W x C picture as bytes, rounded to the nearest: what was k / 255 is k again.

    Raises:
        WanPrepError: it has another shape, or values that are no numbers.
    """
    if hasattr(picture, "detach"):  # a torch tensor, perhaps on a GPU or in half precision
        picture = picture.detach().cpu().float().numpy()
    values = np.asarray(picture, np.float32)
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        raise wan_prep.WanPrepError(
            f"expected a picture of height x width x 1, 3 or 4 channels, found {values.shape}"
        )
    if not np.isfinite(values).all():
        raise wan_prep.WanPrepError(
            "a picture holds values that are no numbers, as a failed decode leaves them; mend the "
            "node that it comes from"
        )
    pixels: Pixels = np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
    return pixels


def rgb_of(pixels: Pixels) -> Pixels:
    """Grey as RGB; RGB with transparency without it."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]


def write_picture(picture: Any, path: Path) -> Path:
    """One H x W x C picture as a PNG, lossless; four channels keep their transparency."""
    pixels = pixels_of(picture)
    if pixels.shape[2] == 1:
        pixels = rgb_of(pixels)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def write_reference(batch: Any, folder: Path) -> Path:
    """The one picture of an IMAGE as reference.png.

    Raises WanPrepError: there are several, and which one is meant is not ours to guess.
    """
    if len(batch) != 1:
        raise wan_prep.WanPrepError(
            f"expected one reference picture, found {len(batch)}; take one of them out of the "
            "batch, or let Rank References choose"
        )
    return write_picture(batch[0], folder / "reference.png")


def driver_clip(video: Any, frames: Any, fps: float, folder: Path, progress: Any) -> Clip:
    """The driving video as a file: that of a VIDEO itself, or one written of an IMAGE batch.

    A VIDEO in memory, or one with edits that its file does not have yet, is written into `folder`.

    Raises WanPrepError: neither or both are connected.
    """
    if (video is None) == (frames is None):
        found = "neither" if video is None else "both"
        raise wan_prep.WanPrepError(
            f"expected a video in `driver`, or a batch of images in `driver_frames`; found {found}"
        )
    if video is None:
        path = folder / "driver.mp4"
        rate = Fraction(str(fps)).limit_denominator(_DENOMINATOR_MOST)
        wan_prep.write_frames(Frames(frames), path, rate, progress=progress)
        return Clip(path)
    if _call(video, "has_pending_frame_edits"):  # cropped or resized by another node
        path = folder / "driver.mp4"
        video.save_to(str(path))  # applies its trim as well
        return Clip(path)
    start, length = _call(video, "get_active_trim_window") or (0.0, 0.0)
    end = start + length if length else None
    return Clip(_source_file(video.get_stream_source(), folder), start, end)


def _call(video: Any, name: str) -> Any:
    """What a method says that came with later releases of ComfyUI; None in earlier ones."""
    method = getattr(video, name, None)
    return None if method is None else method()


def _source_file(source: Any, folder: Path) -> Path:
    if not hasattr(source, "read"):
        return Path(source)
    # Without a suffix, so that nothing but the content says what it is.
    path = folder / "driver"
    source.seek(0)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    return path


def read_batch(source: Path | bytes) -> Batch:
    """A picture file, or its bytes, as an IMAGE of one."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.float32)
    return pixels[np.newaxis] / np.float32(255.0)
