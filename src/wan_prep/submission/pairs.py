"""A folder that `wan-prep fix` wrote, as the pair to submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wan_prep.errors import InputPathError

_IMAGES = ("reference.png", "reference.jpg")
_VIDEO = "driving.mp4"
_PARTS = "driving-*.mp4"
_REPORT = "report.json"


@dataclass(frozen=True)
class FixedPair:
    image: Path
    video: Path
    report: Path | None
    """Of the written files; counts only if its hashes are theirs."""


def fixed_pair(folder: str | Path) -> FixedPair:
    """The pair in a folder.

    Raises:
        InputPathError: no such folder, or one without exactly one image and one video of `fix`.
    """
    where = Path(folder)
    if not where.is_dir():
        raise InputPathError(
            f"expected a folder written by `wan-prep fix`, found none at {folder}; "
            "or give IMAGE and VIDEO"
        )
    images = [where / name for name in _IMAGES if (where / name).is_file()]
    video = where / _VIDEO
    if len(images) != 1 or not video.is_file():
        parts = sorted(part.name for part in where.glob(_PARTS))
        hint = f"submit its parts one by one: {', '.join(parts)}" if parts else "give IMAGE VIDEO"
        raise InputPathError(
            f"{folder}: expected one of {' and '.join(_IMAGES)}, and {_VIDEO}; {hint}"
        )
    report = where / _REPORT
    return FixedPair(images[0], video, report if report.is_file() else None)
