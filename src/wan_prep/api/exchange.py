"""What passes between this and other programs: their pictures as a clip, our answers as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from wan_prep.api.fixing import NormalizedPair
from wan_prep.api.looking import PathLike, Progress, exact_s, quiet
from wan_prep.errors import InputPathError, WanPrepError
from wan_prep.planning.model import Plan
from wan_prep.ranking.model import Ranking
from wan_prep.report.model import Report

if TYPE_CHECKING:
    from wan_prep.geometry import Size
    from wan_prep.media.picture import Rgb


def write_frames(
    frames: Sequence[Rgb],
    path: PathLike,
    fps: float | Fraction,
    *,
    progress: Progress = quiet,
) -> None:
    """Write pictures that are in memory as a clip that every other function takes.

    It is an MP4, nearly lossless, verified before it gets its name; a file of that name is
    replaced. Where a side is odd, its last row or column is written twice, because the coding has
    even sides only.

    frames: (height, width, 3) uint8 RGB each, all of one size. They are asked for one after the
        other, so a sequence that makes each when it is asked for needs memory for a few only.
    fps: frames a second; 30000/1001 is a Fraction.

    Raises:
        WanPrepError: there are no frames, they are of several sizes or no such arrays, or the rate
            is not above 0.
        InputPathError: the file cannot be written there.
        NormalizeFailed, DependencyMissing: ffmpeg could not write it.
    """
    from wan_prep.geometry import Size
    from wan_prep.normalizers.drawn import write_drawn

    rate = exact_s(fps)
    if rate <= 0 or not len(frames):
        raise WanPrepError(
            f"expected one frame or more and a rate above 0, found {len(frames)} frames at "
            f"{float(rate):g} a second"
        )
    if not Path(path).parent.is_dir():
        raise InputPathError(f"{path}: there is no such folder to write into")
    height, width = frames[0].shape[:2]
    try:
        write_drawn(
            _even(frames, Size(width, height)),
            Size(width + width % 2, height + height % 2),
            len(frames),
            rate,
            Path(path),
            on_share=lambda share: progress("writing the frames", share),
        )
    except OSError as exc:
        raise InputPathError(f"{path}: cannot write this video ({exc.strerror})") from exc


def _even(frames: Sequence[Rgb], size: Size) -> Iterator[bytes]:
    """The pixels of each frame, with even sides."""
    import numpy as np

    expected = (size.height, size.width, 3)
    beyond = ((0, size.height % 2), (0, size.width % 2), (0, 0))
    for k in range(len(frames)):
        frame = frames[k]
        if frame.shape != expected or frame.dtype != np.uint8:
            raise WanPrepError(
                f"frame {k} is {frame.dtype} of shape {frame.shape}; expected uint8 of {expected}"
            )
        yield np.pad(frame, beyond, mode="edge").tobytes()


def as_text(
    result: Report | Plan | NormalizedPair | Ranking, *, width: int = 100, verbose: bool = False
) -> str:
    """What the command line prints of an answer of `check`, `plan`, `normalize` or `rank`.

    width: columns that a line has at most. verbose: all notes of a report, as with `-v`.
    """
    from wan_prep.planning.text import render_fixed, render_plan
    from wan_prep.ranking.text import render_ranking
    from wan_prep.report.text import plain_text, render_report

    if isinstance(result, Report):
        report = result
        return plain_text(lambda console: render_report(report, console, verbose=verbose), width)
    if isinstance(result, Plan):
        plan = result
        return plain_text(lambda console: render_plan(plan, console), width)
    if isinstance(result, Ranking):
        ranking = result
        return plain_text(lambda console: render_ranking(ranking, console), width)
    pair = result
    return plain_text(
        lambda console: render_fixed(pair.plan, pair.before, pair.reports, console), width
    )
