"""A pair to submit, as it is handed over: two files, a folder of `fix`, or a normalized pair."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from wan_prep.errors import InputPathError, WanPrepError
from wan_prep.profile import Mode, Resolution
from wan_prep.report.model import Report


class Target(NamedTuple):
    """What a pair is prepared for, or submitted as."""

    mode: Mode = "animate"
    resolution: Resolution = "480p"

    def __str__(self) -> str:
        return f"{self.mode} at {self.resolution}"


class Pair(Protocol):
    """What `normalize` returns, as far as a submission needs it."""

    @property
    def image(self) -> Path: ...
    @property
    def videos(self) -> tuple[Path, ...]: ...
    @property
    def after(self) -> Report: ...


@dataclass(frozen=True)
class SourcePair:
    """The two inputs, each a path or a URL, and what is known of them."""

    image: str | Path
    video: str | Path
    report: Report | None = None
    """Of a check that was made before; it may be about other files by now."""
    target: Target | None = None
    """What the pair was prepared for, if it was."""


def source_pair(pair: str | Path | Pair, video: str | Path | None = None) -> SourcePair:
    """The inputs of `submit`, told apart.

    Raises:
        WanPrepError: both a pair and a video. InputPathError: a clip in parts, or see
            `fixed_pair`.
    """
    if isinstance(pair, (str, Path)):
        return fixed_pair(pair) if video is None else SourcePair(pair, video)
    if video is not None:
        raise WanPrepError("expected a pair alone, or an image and a video; found both")
    if len(pair.videos) != 1:
        raise InputPathError(
            f"the clip was split in {len(pair.videos)}: submit its parts one by one, "
            "submit(pair.image, part)"
        )
    target = Target(pair.after.mode, pair.after.resolution)
    return SourcePair(pair.image, pair.videos[0], pair.after, target)


def fixed_pair(folder: str | Path) -> SourcePair:
    """The pair in a folder that `wan-prep fix` wrote, once all of it was found unchanged.

    Raises:
        InputPathError, SourceChanged: see `published_plan`. InputPathError: a clip in parts.
    """
    # Here, because it loads what reads and writes media, which a pair that is known has no need of.
    from wan_prep.normalizers.write import published_plan

    where = Path(folder)
    plan = published_plan(where)
    parts = [span.name for span in plan.video.spans]
    if len(parts) != 1:
        raise InputPathError(
            f"{folder}: the clip is split; submit its parts one by one: {', '.join(parts)}"
        )
    return SourcePair(
        where / plan.image.name,
        where / parts[0],
        Report.load(where / "report.json"),
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
