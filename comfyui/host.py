"""What is asked of ComfyUI while a node runs; nothing of it is needed to load the nodes."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy.typing as npt

from .pairs import Progress

_STEPS = 1000


def new_folder() -> Path:
    """A folder that is not there yet, for files that outlive the node.

    It lies in ComfyUI's temporary directory, which ComfyUI empties when it starts and ends: while
    it runs, the results that it caches find their files.
    """
    return _temporary() / uuid.uuid4().hex


def cache_folder() -> Path:
    """Where what was seen in files is kept as long as ComfyUI runs: numbers, no pictures.

    So Fix Pair behind Check Pair does not look at the same files a second time.
    """
    return _temporary() / "seen"


def _temporary() -> Path:
    try:
        import folder_paths
    except ImportError:
        return _own_temporary()
    return Path(folder_paths.get_temp_directory()) / "wan-prep"


@cache
def _own_temporary() -> Path:
    """Outside ComfyUI: one folder for the life of this process."""
    return Path(mkdtemp(prefix="wan-prep-"))


def progress_bar() -> Progress:
    """Shows each stage of the work on the node, from empty to full.

    ComfyUI's bar also raises where the person pressed Cancel; that ends the work.
    """
    try:
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda _what, _share: None
    bar = ProgressBar(_STEPS)
    return lambda _what, share: bar.update_absolute(round((share or 0.0) * _STEPS), _STEPS)


def image_tensor(batch: npt.NDArray[Any]) -> Any:
    """A B x H x W x C array as an IMAGE."""
    import torch

    return torch.from_numpy(batch)


def video_of(path: Path) -> Any:
    """A file as a VIDEO; it is read when something asks for its frames."""
    try:
        from comfy_api.latest import InputImpl
    except ImportError:
        from comfy_api.input_impl import VideoFromFile  # ComfyUI before the versioned API

        return VideoFromFile(str(path))
    return InputImpl.VideoFromFile(str(path))
