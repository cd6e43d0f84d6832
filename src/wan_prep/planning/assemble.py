"""One plan from one report with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from wan_prep import cost as costing
from wan_prep.analyzers import BY_CODE, RULES
from wan_prep.errors import MediaUnreadable, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import About, PairContext, Severity
from wan_prep.planning.best_start import ObserveAt, StartSearch
from wan_prep.planning.foresee import foresee_image, foresee_video, part_of
from wan_prep.planning.model import Foreseen, ImageOperations, Plan, VideoOperations
from wan_prep.planning.operations import (
    PlannedChange,
    image_operations,
    plan_steps,
    video_operations,
    written_fps,
)
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.search import (
    FramingProblem,
    best_framing,
    framing_kept_whole,
    offered_framing,
)
from wan_prep.planning.trim import Clip, Interval, counting_interval, trim_clip
from wan_prep.profile import Profile
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import CostFigures, Report


def make_plan(
    report: Report,
    options: PlanOptions | None = None,
    *,
    profile: Profile,
    observe_at: ObserveAt | None = None,
    keep_framing: Mapping[About, str] = MappingProxyType({}),
) -> Plan:
    """What `fix` will do to a pair, and why; nothing is touched.

    profile: the one the report was made with.
    observe_at: looks at further frames of the clip where the best start is sought, and at the one
        displayed at a start that was asked for; without it starts are samples.
    keep_framing: which media ("image", "video") stay whole, neither cropped nor padded nor
        scaled, and why.

    Raises:
        EvidenceMissing: the report carries no evidence.
        MediaUnreadable: a file of the pair cannot be read, so nothing can be made of it.
        WanPrepError: options that leave nothing, or another profile.
    """
    options = options or PlanOptions()
    context = _context(report, profile)
    info = context.video.video_info
    assert info is not None
    assert report.cost is not None
    rules = [rule for rule in RULES if rule.code not in report.deselected]
    fps = written_fps(info, options, profile)

    start_search = StartSearch(context, rules, observe_at)
    trim = trim_clip(
        Clip(
            video=context.video,
            whole=counting_interval(context.video, options),
            fps=fps,
            resolution=report.resolution,
            profile=profile,
            score_at_first=start_search.score_at_first,
            scored_starts=start_search.starts,
            failing_at_start=_failing_at_start(report),
        ),
        options,
    )
    context = replace(context, video=start_search.video_from(trim.intervals[0].start))

    kept = replace(context, video=_only(trim.intervals, context.video))
    problem = FramingProblem(kept, rules, trim.intervals, fps, options)
    safe = best_framing(problem)
    cutting = offered_framing(problem, safe)
    framing = cutting if cutting is not None and options.unsafe_fixes else safe
    if keep_framing:
        framing, cutting = framing_kept_whole(framing, context, keep_framing), None

    image = image_operations(context.image, framing.image, options, profile)
    video = video_operations(context.video, framing.video, trim.intervals, fps, profile)
    after = _foreseen(report, context, image, video, profile)
    assert after.output is not None
    change = PlannedChange(
        report, after, context, image, video, framing, trim.steps, cutting, keep_framing
    )
    return Plan(
        tool=report.tool,
        profile=report.profile,
        mode=report.mode,
        resolution=report.resolution,
        pose_model=report.pose_model,
        deselected=report.deselected,
        checked_from=context.video.start,
        checked_until=context.video.end,
        image_person=context.image.person,
        video_person=context.video.person,
        options=options,
        image=image,
        video=video,
        steps=plan_steps(change),
        score=report.score,
        verdict=report.verdict,
        foreseen=Foreseen(score=after.score, verdict=after.verdict),
        output=after.output,
        cost_before=report.cost,
        cost=_cost(trim.intervals, report, profile),
        before=report,
    )


def _context(report: Report, profile: Profile) -> PairContext:
    image, video = report.evidence()
    for evidence in (image, video):
        if evidence.info is None:
            defect = evidence.defects[0]
            raise MediaUnreadable(
                defect.kind,
                f"{evidence.path}: no plan can be made for a file that cannot be read: "
                f"{defect.message}",
            )
    if profile.sha256 != report.profile.sha256:
        raise WanPrepError(
            f"the report was made with other figures (profile {report.profile.name!r}) than those "
            f"of profile {profile.name!r}; check again with this one, or plan with that one"
        )
    return PairContext(image, video, report.mode, report.resolution, profile)


def _failing_at_start(report: Report) -> tuple[str, ...]:
    """Codes of the checks of the first frame that say more than a note."""
    return tuple(
        f.code
        for f in report.findings
        if BY_CODE[f.code].at_start and f.severity is not Severity.INFO
    )


def _only(intervals: tuple[Interval, ...], video: Evidence) -> Evidence:
    """The evidence from the first interval's start to the last one's end, without the samples
    between two intervals."""
    hull = part_of(video, intervals[0].start, intervals[-1].end)
    if len(intervals) == 1:
        return hull
    kept = (o for o in hull.observations if any(i.start <= o.time < i.end for i in intervals))
    return hull.changed(observations=tuple(kept))


def _foreseen(
    report: Report,
    context: PairContext,
    image: ImageOperations,
    video: VideoOperations,
    profile: Profile,
) -> Report:
    """The report that the written image and the first written clip are expected to get."""
    seen_image, seen_video = context.image, context.video
    if image.geometry is not None:
        seen_image = foresee_image(seen_image, image.geometry, image.format)
    if video.geometry is not None and video.fps is not None:
        first = video.spans[0]
        seen_video = foresee_video(
            seen_video, video.geometry, first.start, first.end, video.fps, profile
        )
    return build_report(
        seen_image,
        seen_video,
        mode=report.mode,
        resolution=report.resolution,
        profile=profile,
        tool=report.tool,
        selection=Selection(ignore=report.deselected),
    )


def _cost(intervals: tuple[Interval, ...], report: Report, profile: Profile) -> CostFigures:
    """Of all written clips together, each billed by itself."""
    figures = [costing.estimate(i.length, report.resolution, profile) for i in intervals]
    return CostFigures(
        seconds=round(float(sum(f.seconds for f in figures)), 3),
        usd_low=float(sum(f.usd_low for f in figures)),
        usd_high=float(sum(f.usd_high for f in figures)),
    )
