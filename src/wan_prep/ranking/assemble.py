"""One ranking from many pieces of evidence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wan_prep.analyzers import RULES
from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import Finding, Severity
from wan_prep.profile import Mode, Profile, Resolution
from wan_prep.ranking.bounds import Bounds, Judge
from wan_prep.ranking.model import RankedPair, Ranking, SetAside, TopPer
from wan_prep.ranking.search import Found, best_pairs
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import PoseModelId, ProfileId, Report, Tool

TOP = 20
"""How many pairs are wanted where nothing is said; for each image or video one."""


def build_ranking(
    images: Sequence[Evidence],
    videos: Sequence[Evidence],
    *,
    mode: Mode,
    resolution: Resolution,
    profile: Profile,
    tool: Tool,
    selection: Selection | None = None,
    top: int | None = None,
    top_per: TopPer | None = None,
    set_aside: Sequence[SetAside] = (),
    progress: Callable[[float], None] = lambda _share: None,
) -> Ranking:
    """The best pairs by `score_at_best_start`, each as `check` judges it.

    set_aside: files that could not be looked at; those that show nobody are added to them.
    progress: called with the share done, 0 … 1.

    Raises:
        WanPrepError: no check is left by the selection.
    """
    chosen = (selection or Selection()).validated()
    rules = [rule for rule in RULES if chosen.wants(rule.code, rule.name)]
    if not rules:
        raise WanPrepError("no check is left by this selection; `wan-prep rules` lists them")
    wanted = top or (1 if top_per else TOP)
    pictures, clips = ([e for e in side if _why_not(e) is None] for side in (images, videos))
    aside = [
        SetAside(kind=e.kind, path=e.path, reason=reason)
        for e in (*images, *videos)
        if (reason := _why_not(e)) is not None
    ]
    reports: dict[tuple[int, int], RankedPair] = {}

    def score(image: int, video: int) -> float:
        report = build_report(
            pictures[image],
            clips[video],
            mode=mode,
            resolution=resolution,
            profile=profile,
            tool=tool,
            selection=chosen,
        )
        reports[image, video] = _ranked(report, profile)
        progress(min(0.99, len(reports) / expected))
        return reports[image, video].score_at_best_start

    found: list[Found] = []
    expected = _expected(len(pictures), len(clips), wanted, top_per)
    if expected:
        bounds = Bounds(pictures, clips, Judge(mode, resolution, profile, rules))
        if top_per is None:
            found = best_pairs(bounds, score, wanted)
        for image in range(len(pictures)) if top_per == "image" else ():
            found += best_pairs(bounds, score, wanted, images=np.array([image]))
        for video in range(len(clips)) if top_per == "video" else ():
            found += best_pairs(bounds, score, wanted, videos=np.array([video]))
        found.sort()
    pairs = tuple(
        reports[f.image, f.video].model_copy(update={"rank": rank})
        for rank, f in enumerate(found, start=1)
    )
    model = next((e.pose_model for e in (*pictures, *clips) if e.pose_model), None)
    return Ranking(
        tool=tool,
        profile=ProfileId(name=profile.name, version=profile.version, sha256=profile.sha256),
        pose_model=PoseModelId(
            name=model.name if model else "none", sha256=model.sha256 if model else ""
        ),
        mode=mode,
        resolution=resolution,
        image_count=len(pictures),
        video_count=len(clips),
        top=wanted,
        top_per=top_per,
        pairs=pairs,
        set_aside=(*set_aside, *aside),
        files=(*pictures, *clips),
    )


def _expected(images: int, videos: int, wanted: int, top_per: TopPer | None) -> int:
    """How many pairs are going to be listed."""
    if top_per == "image":
        return images * min(wanted, videos)
    if top_per == "video":
        return videos * min(wanted, images)
    return min(wanted, images * videos)


def _why_not(evidence: Evidence) -> str | None:
    """Why a file can be in no pair; None where it can."""
    if evidence.info is None:
        return evidence.defects[0].message if evidence.defects else "it cannot be read"
    if evidence.found:
        return None
    if evidence.bystanders:
        return evidence.person.missing(evidence.bystanders, evidence.kind)
    return f"nobody is recognised in the {evidence.kind}"


def _ranked(report: Report, profile: Profile) -> RankedPair:
    assert report.score_at_best_start is not None
    assert report.best_start_s is not None
    serious = [f for f in report.findings if f.severity is not Severity.INFO]
    return RankedPair(
        rank=0,
        image=report.image.path,
        video=report.video.path,
        score_at_best_start=report.score_at_best_start,
        best_start_s=report.best_start_s,
        score=report.score,
        verdict=report.verdict,
        codes=tuple(f.code for f in serious),
        to_do=_to_do(report, serious, profile),
        usd_low=0.0 if report.cost is None else report.cost.usd_low,
        usd_high=0.0 if report.cost is None else report.cost.usd_high,
    )


def _to_do(report: Report, serious: Sequence[Finding], profile: Profile) -> str | None:
    """A better start, where there is one that is worth it: the rank counts on it. Else the fix of
    the gravest finding."""
    gain = (report.score_at_best_start or 0.0) - report.score
    if gain >= profile.limit("best_start_gain"):
        return f"start the clip at {report.best_start_s:.2f} s"
    return next((f.fix.title for f in serious if f.fix is not None), None)
