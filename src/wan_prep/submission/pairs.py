"""A folder that `wan-prep fix` wrote, as the pair to submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wan_prep.errors import InputPathError
from wan_prep.normalizers.write import published_plan
from wan_prep.profile import Mode, Resolution


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
    report: Path
    """Of the written files."""
    target: Target


def fixed_pair(folder: str | Path) -> FixedPair:
    """The pair in a folder, once all of it was found as `fix` wrote it.

    Raises:
        InputPathError, SourceChanged: see `published_plan`. InputPathError: a clip in parts.
    """
    where = Path(folder)
    plan = published_plan(where)
    parts = [span.name for span in plan.video.spans]
    if len(parts) != 1:
        raise InputPathError(
            f"{folder}: the clip is split; submit its parts one by one: {', '.join(parts)}"
        )
    return FixedPair(
        where / plan.image.name,
        where / parts[0],
        where / "report.json",
        Target(plan.mode, plan.resolution),
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
