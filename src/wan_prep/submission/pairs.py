"""A folder that `wan-prep fix` wrote, as the pair to submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wan_prep.errors import InputPathError
from wan_prep.profile import Mode, Resolution

_IMAGES = ("reference.png", "reference.jpg")
_VIDEO = "driving.mp4"
_PARTS = "driving-*.mp4"
_REPORT = "report.json"
_PLAN = "plan.json"


class Target(NamedTuple):
    """What a pair is prepared for, or submitted as."""

    mode: Mode = "animate"
    resolution: Resolution = "480p"

    def __str__(self) -> str:
        return f"{self.mode} at {self.resolution}"


@dataclass(frozen=True)
class FixedPair:
    image: Path
    video: Path
    report: Path | None
    """Of the written files; counts only if its hashes are theirs."""
    plan: Path | None
    """What was done to them, and for which mode and resolution."""


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
    report, plan = where / _REPORT, where / _PLAN
    return FixedPair(
        images[0],
        video,
        report if report.is_file() else None,
        plan if plan.is_file() else None,
    )


def other_target(prepared: Target, chosen: Target) -> str | None:
    """A warning where a pair is submitted as something else than it was prepared for.

    The output's size follows from both: most sizes without bars at one resolution have some at
    the other.
    """
    if prepared == chosen:
        return None
    return (
        f"prepared for {prepared}, submitted as {chosen}: the service scales it again and may add "
        "bars; submit it as it was prepared, or let `wan-prep fix` prepare it anew"
    )
