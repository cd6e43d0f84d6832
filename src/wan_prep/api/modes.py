"""A pair judged in both modes, its files looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from wan_prep.api.judging import check
from wan_prep.api.looking import PathLike, PersonLike, Progress, RemoteLike, quiet
from wan_prep.evidence import Evidence
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Profile, Resolution, default_profile
from wan_prep.report.modes import ModeComparison, compare

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike


def compare_modes(
    image: PathLike | Evidence,
    video: PathLike | Evidence,
    *,
    resolution: Resolution = "480p",
    start: float | Fraction = 0,
    end: float | Fraction | None = None,
    person: PersonLike | None = None,
    image_person: PersonLike | None = None,
    video_person: PersonLike | None = None,
    profile: Profile | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    pose_model: PathLike | None = None,
    estimator: PoseEstimator | None = None,
    cache: CacheLike | None = None,
    remote: RemoteLike | None = None,
    isolated: bool = False,
    time_limit_s: float | None = None,
    progress: Progress = quiet,
) -> ModeComparison:
    """Judge a pair in mode animate and in mode replace, and say which fits better, and why.

    Each file is looked at once. Takes what `check` takes, and raises as it does.
    """
    animate = check(
        image,
        video,
        mode="animate",
        resolution=resolution,
        start=start,
        end=end,
        person=person,
        image_person=image_person,
        video_person=video_person,
        profile=profile,
        select=select,
        ignore=ignore,
        pose_model=pose_model,
        estimator=estimator,
        cache=cache,
        remote=remote,
        isolated=isolated,
        time_limit_s=time_limit_s,
        progress=progress,
    )
    replace = check(
        *animate.evidence(),
        mode="replace",
        resolution=resolution,
        profile=profile,
        select=select,
        ignore=ignore,
    )
    return compare(animate, replace, profile or default_profile())
