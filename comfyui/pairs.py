"""What the nodes do, as functions of pictures and videos; knows no ComfyUI.

Files that are only needed while a function runs stand in a folder of their own, which is removed
when it ends, however it ends.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import wan_prep

from .media import Batch, Clip, driver_clip, read_batch, write_picture, write_reference

Mode = Literal["animate", "replace"]
Resolution = Literal["480p", "720p"]
Progress = Callable[[str, float | None], None]
"""Called with what is being done, and the share of it that is done, 0 ... 1."""

# The overlay is read at arm's length in a preview: text of 8 points comes out 18 px high.
_OVERLAY_DPI = 160


@dataclass(frozen=True)
class Settings:
    """What a person chooses beside the media.

    person: whom to look at, as for `wan_prep.check`; None: the main one.
    cache: where to keep what was seen in a file, so that it is looked at once; None: nowhere.
    """

    mode: Mode
    resolution: Resolution
    person: str | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Driver:
    """The driving video as it comes: a VIDEO, or an IMAGE batch with its frames a second."""

    video: Any = None
    frames: Any = None
    fps: float = 30.0


@dataclass(frozen=True)
class CheckedPair:
    verdict: str
    score: float
    report: str
    overlay: Batch


@dataclass(frozen=True)
class FixedPair:
    reference: Batch
    driver: Path
    report: str
    score_before: float
    score_after: float


@dataclass(frozen=True)
class RankedReferences:
    """index: of the best reference in its batch, from 0; score: 0 ... 100 at its best start."""

    index: int
    score: float
    report: str


def check_pair(
    reference: Any, driver: Driver, settings: Settings, progress: Progress
) -> CheckedPair:
    """Judge a pair. What is wrong with it is in the report; a clip that cannot be read, too.

    Raises WanPrepError: the inputs are not those of one pair, or a setting cannot be.
    """
    with _files(driver, progress) as (folder, clip):
        report = _checked(write_reference(reference, folder), clip, settings, progress)
        return CheckedPair(
            report.verdict, report.score, wan_prep.as_text(report), overlay_of(report)
        )


def fix_pair(
    reference: Any, driver: Driver, settings: Settings, folder: Path, progress: Progress
) -> FixedPair:
    """Make a pair fit, and check it again. `folder` gets both files and the report as a page.

    Raises WanPrepError, with the reason: the pair cannot be read, or nothing that can be written
    is as good as what was given. `folder` is left as it was then.
    """
    with _files(driver, progress) as (scratch, clip):
        report = _checked(write_reference(reference, scratch), clip, settings, progress)
        plan = wan_prep.plan(report, progress=progress)
        pair = wan_prep.normalize(plan, folder, progress=progress)
    return FixedPair(
        read_batch(pair.image),
        pair.video,
        f"{wan_prep.as_text(pair)}\n\nWith pictures: {folder / 'report.html'}",
        pair.before.score,
        pair.after.score,
    )


def rank_references(
    references: Any, driver: Driver, settings: Settings, progress: Progress
) -> RankedReferences:
    """Which of several reference pictures goes best with a driving video.

    Raises WanPrepError, with the reasons: none of them can be ranked.
    """
    with _files(driver, progress) as (folder, clip):
        if clip.start or clip.end is not None:
            video: Any = wan_prep.observe(
                clip.path, start=clip.start, end=clip.end, **_looking(settings, progress)
            )
        else:
            video = clip.path
        images = [
            write_picture(picture, folder / f"reference-{k:03d}.png")
            for k, picture in enumerate(references)
        ]
        ranking = wan_prep.rank(
            images,
            [video],
            top=len(images),
            mode=settings.mode,
            resolution=settings.resolution,
            **_looking(settings, progress),
        )
    if not ranking.pairs:
        reasons = "; ".join(dict.fromkeys(file.reason for file in ranking.set_aside))
        raise wan_prep.WanPrepError(f"none of these references can be ranked: {reasons}")
    index = [str(path) for path in images].index(ranking[0].image)
    return RankedReferences(index, ranking[0].score_at_best_start, wan_prep.as_text(ranking))


def overlay_of(report: wan_prep.Report) -> Batch:
    """Both pictures side by side with what was seen in them, as an IMAGE of one."""
    page = io.BytesIO()
    wan_prep.figures.overlay(report).savefig(page, format="png", dpi=_OVERLAY_DPI)
    return read_batch(page.getvalue())


@contextmanager
def _files(driver: Driver, progress: Progress) -> Iterator[tuple[Path, Clip]]:
    """A folder for the time of one call, and the driving video as a file."""
    with TemporaryDirectory(prefix="wan-prep-") as name:
        folder = Path(name)
        yield folder, driver_clip(driver.video, driver.frames, driver.fps, folder, progress)


def _checked(image: Path, clip: Clip, settings: Settings, progress: Progress) -> wan_prep.Report:
    return wan_prep.check(
        image,
        clip.path,
        start=clip.start,
        end=clip.end,
        mode=settings.mode,
        resolution=settings.resolution,
        **_looking(settings, progress),
    )


def _looking(settings: Settings, progress: Progress) -> dict[str, Any]:
    return {"person": settings.person, "cache": settings.cache, "progress": progress}
