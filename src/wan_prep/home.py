"""Where this program keeps what it must remember, and folders that only their owner may enter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

HOME_VARIABLE = "WAN_PREP_HOME"


def home_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where journal and cache live: WAN_PREP_HOME, else the system's place for such data."""
    given = environ.get(HOME_VARIABLE, "")
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("wan-prep", appauthor=False))


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, which only their owner may enter.

    A folder that is there already stays as it is. Raises OSError: it cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    if not missing and not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))
