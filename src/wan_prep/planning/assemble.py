"""One plan from one report with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from wan_prep import cost as costing
from wan_prep.analyzers import BY_CODE, RULES
from wan_prep.errors import MediaUnreadable, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import About, PairContext, Rule, Severity
from wan_prep.planning.clips import Clip, Part, whole_part
from wan_prep.planning.foresee import (
    foresee_image,
    foresee_video,
    part_of,
    with_observations,
)
from wan_prep.planning.framing import Chosen, Task, best_framing, kept_whole
from wan_prep.planning.model import Foreseen, ImageWork, Plan, VideoWork
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.spans import keep
from wan_prep.planning.starts import ObserveAt, Start, refined, score_as_it_begins, scored_starts
from wan_prep.planning.steps import Change, all_steps
from wan_prep.planning.works import image_work, video_work, written_fps
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
    rules = [rule for rule in RULES if rule.code not in report.deselected]
    info = context.video.video_info
    assert info is not None
    fps = written_fps(info, options, profile)
    search = _StartSearch(context, rules, observe_at)
    kept = keep(
        Clip(
            video=context.video,
            whole=whole_part(context.video, options),
            fps=fps,
            resolution=report.resolution,
            profile=profile,
            first_score=search.first_score,
            starts=search.starts,
            start_fails=_failing_at_start(report),
        ),
        options,
    )
    context = replace(context, video=search.video_from(kept.parts[0].start))
    task = Task(
        replace(context, video=_parts_of(context.video, kept.parts)),
        rules,
        kept.parts,
        fps,
        options,
    )
    safe = best_framing(task)
    cutting = _cutting(task, safe)
    framing = cutting if cutting is not None and options.unsafe_fixes else safe
    if keep_framing:
        framing, cutting = kept_whole(framing, context, keep_framing), None
    image = image_work(context.image, framing.image, options, profile)
    video = video_work(context.video, framing.video, kept.parts, fps, profile)
    after = _foreseen(report, context, image, video, profile)
    assert after.output is not None
    assert report.cost is not None
    change = Change(
        report, after, context, image, video, framing, kept.steps, cutting, keep_framing
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
        options=options,
        image=image,
        video=video,
        steps=all_steps(change),
        score=report.score,
        verdict=report.verdict,
        foreseen=Foreseen(score=after.score, verdict=after.verdict),
        output=after.output,
        cost_before=report.cost,
        cost=_cost(kept.parts, report, profile),
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


class _StartSearch:
    """The starts of a clip, and the frames that were looked at for them."""

    def __init__(
        self, context: PairContext, rules: Sequence[Rule], observe_at: ObserveAt | None
    ) -> None:
        self._context, self._rules, self._observe_at = context, rules, observe_at
        self._given = context.video
        self._scored: tuple[Start, ...] = ()
        self._scored_for: PairContext | None = None

    def first_score(self) -> float:
        return score_as_it_begins(self._context, self._rules)

    def starts(self, around: Sequence[Start]) -> tuple[Start, ...]:
        if self._observe_at is not None:
            for start in dict.fromkeys(around):
                self._context = refined(self._context, self._rules, start, self._observe_at)
        if self._scored_for is not self._context:
            self._scored, self._scored_for = (
                scored_starts(self._context, self._rules),
                self._context,
            )
        return self._scored

    def video_from(self, start: Fraction) -> Evidence:
        """The given evidence with the frame displayed at `start`, where it can be looked at."""
        seen = self._context.video.observations
        found = [o for o in seen if o.time == start]
        if not found and self._observe_at is not None:
            scene = max((o.scene for o in seen if o.time < start), default=0)
            # It may have come earlier; in what is written it comes first.
            first = {"time": start, "scene": scene}
            found = [o.model_copy(update=first) for o in self._observe_at([start])]
        return with_observations(self._given, found)


def _parts_of(video: Evidence, parts: tuple[Part, ...]) -> Evidence:
    """The evidence of all parts, from the first one's start to the last one's end."""
    hull = part_of(video, parts[0].start, parts[-1].end)
    if len(parts) == 1:
        return hull
    kept = (o for o in hull.observations if any(p.start <= o.time < p.end for p in parts))
    return hull.changed(observations=tuple(kept))


def _cutting(task: Task, safe: Chosen) -> Chosen | None:
    """Windows that cut joints, where that gains enough to be offered."""
    if task.context.image_seat is None or task.context.template_seat is None:
        return None
    cutting = best_framing(task, cutting_joints=True)
    gain = cutting.score - safe.score
    is_better = gain >= task.context.profile.limit("offered_gain") and cutting.worth > safe.worth
    return cutting if is_better else None


def _foreseen(
    report: Report, context: PairContext, image: ImageWork, video: VideoWork, profile: Profile
) -> Report:
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


def _cost(parts: tuple[Part, ...], report: Report, profile: Profile) -> CostFigures:
    """Of all parts together, each billed by itself."""
    figures = [costing.estimate(part.length, report.resolution, profile) for part in parts]
    return CostFigures(
        seconds=round(float(sum(f.seconds for f in figures)), 3),
        usd_low=float(sum(f.usd_low for f in figures)),
        usd_high=float(sum(f.usd_high for f in figures)),
    )
