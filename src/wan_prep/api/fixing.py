"""Plan and fix: a report becomes a plan, a plan a pair of files that is checked again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from wan_prep.api.judging import check, tool
from wan_prep.api.looking import Estimating, PathLike, Progress, RemoteLike, quiet
from wan_prep.api.showing import page
from wan_prep.errors import NormalizeFailed, WanPrepError
from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import About
from wan_prep.planning.model import Geometry, Plan, Span
from wan_prep.planning.options import PlanOptions
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Profile, default_profile
from wan_prep.remote.scratch import Scratch, scratch_of
from wan_prep.remote.sources import is_remote
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import Report

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike
    from wan_prep.normalizers.write import PreparedFolder
    from wan_prep.planning.best_start import ObserveAt

_MEDIA: tuple[About, ...] = ("image", "video")


class NormalizedPair(BaseModel):
    """What `normalize` wrote, and what the check says of the pair before and after."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    folder: Path
    image: Path
    videos: tuple[Path, ...]
    """One, or the parts of a clip that was split, in order."""
    plan: Plan
    before: Report = Field(repr=False)
    reports: tuple[Report, ...] = Field(repr=False)
    """Of the image with each of `videos`."""

    @property
    def video(self) -> Path:
        return self.videos[0]

    @property
    def after(self) -> Report:
        """Of the image with the first video."""
        return self.reports[0]


def plan(
    report: Report,
    options: PlanOptions | None = None,
    *,
    video: PathLike | None = None,
    profile: Profile | None = None,
    pose_model: PathLike | None = None,
    estimator: PoseEstimator | None = None,
    remote: RemoteLike | None = None,
    progress: Progress = quiet,
) -> Plan:
    """What would be changed to make a pair fit, and why. Nothing is touched.

    Where a better start is sought, or one was asked for, and the clip is still at its path, frames
    between the report's samples are looked at, too; otherwise starts are samples. A clip with an
    address is fetched again for that.

    video: where the clip is, if elsewhere than the report says; a report keeps no signature and no
        user of an address, so one that needs them is handed over again.
    remote: as for `check`.

    Raises:
        EvidenceMissing: the report carries no evidence.
        FetchFailed, FetchRefused: the clip cannot, or may not, be fetched again.
        SourceChanged: its address holds another clip by now.
        MediaUnreadable: a file of the pair cannot be read, so nothing can be made of it.
        WanPrepError: options that leave nothing, or figures other than the report's.
    """
    from wan_prep.planning.assemble import make_plan

    figures = profile or default_profile()
    _, seen = report.evidence()
    clip = seen.path if video is None else video
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_of(remote, figures))
        observe_at = _looking_at(
            seen, clip, scratch, figures, stack, pose_model, estimator, progress
        )
        return make_plan(report, options, profile=figures, observe_at=observe_at)


def _looking_at(
    video: Evidence,
    path: PathLike,
    scratch: Scratch,
    figures: Profile,
    stack: ExitStack,
    pose_model: PathLike | None,
    estimator: PoseEstimator | None,
    progress: Progress,
) -> ObserveAt | None:
    """Looks at frames of the clip at `path`, for the person whom its evidence shows there; the
    network is loaded, and an address fetched, when it is first asked."""
    if not is_remote(path) and not Path(path).is_file():
        return None
    sha256 = None if video.info is None else video.info.sha256
    networks: list[PoseEstimator] = []

    @cache  # whoever plans again asks for the same frames
    def seen_at(times: tuple[Fraction, ...]) -> tuple[Observation, ...]:
        from wan_prep.observing import observe_video_at

        if not networks:
            progress("looking for the best start", 0.0)
            networks.append(stack.enter_context(Estimating(estimator, pose_model, needed=True)))
        clip = scratch.local(path, sha256=sha256, progress=progress)
        seen = observe_video_at(clip, networks[0], times, figures, person_at=video.person_at)
        return seen.observations

    return lambda times: seen_at(tuple(times))


def normalize(
    plan: Plan,
    folder: PathLike,
    *,
    image: PathLike | None = None,
    video: PathLike | None = None,
    overwrite: bool = False,
    profile: Profile | None = None,
    pose_model: PathLike | None = None,
    estimator: PoseEstimator | None = None,
    cache: CacheLike | None = None,
    remote: RemoteLike | None = None,
    progress: Progress = quiet,
) -> NormalizedPair:
    """Carry out a plan: write the pair, verify it, check it again.

    Writes the image, the video or its parts, plan.json, before.json, report.json
    (report-02.json … for further parts) and report.html into `folder`; all of them appear, or none.

    Files that come out worse than the ones given, by more than the measurement's noise, are not
    published: the framing of the image, of the clip, or of both is then left as it is, at last the
    start as well, and a step of the returned plan says so.

    image, video: where the sources are, if elsewhere than the plan says; a plan keeps no signature
        and no user of an address, so one that needs them is handed over again.
    profile, pose_model, estimator: those the plan was made with.
    cache: as for `check`, where the plan does not bring along what was seen in the sources. What
        was written is always looked at.
    remote: as for `check`; sources with an address are fetched again.

    Raises:
        InputPathError: a source is missing, or would be replaced.
        FetchFailed, FetchRefused: an address that cannot, or may not, be fetched.
        SourceChanged: a source is not the one planned for.
        OutputExists: a file is there already; `overwrite` allows to replace it.
        NormalizeFailed: a file cannot be written, did not come out as planned, or nothing that can
            be written scores as high as what was given.
        DependencyMissing: there is no ffmpeg that can do it.
    """
    from wan_prep.normalizers.carry_out import prepare
    from wan_prep.normalizers.write import refuse_sources

    figures = profile or default_profile()
    if figures.sha256 != plan.profile.sha256:
        raise WanPrepError(
            f"the plan was made with other figures (profile {plan.profile.name!r}) than those of "
            f"profile {figures.name!r}; plan again with this one, or hand over that one"
        )
    sources = (image or plan.image.source, video or plan.video.source)
    refuse_sources(Path(folder), [each for each in sources if not is_remote(each)])
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_of(remote, figures))
        network = stack.enter_context(Estimating(estimator, pose_model, needed=True))
        if network.sha256 != plan.pose_model.sha256:
            raise WanPrepError(
                f"the plan was made with another pose model ({plan.pose_model.name}) than "
                f"{network.name}; plan again with this one, or hand over that one"
            )
        before = plan.before
        if before is None or before.image_evidence is None or before.video_evidence is None:
            before = check(
                *sources,
                mode=plan.mode,
                resolution=plan.resolution,
                start=plan.checked_from,
                end=plan.checked_until,
                image_person=plan.image_person,
                video_person=plan.video_person,
                ignore=plan.deselected,
                profile=figures,
                estimator=network,
                cache=cache,
                remote=scratch,
                progress=progress,
            )
        _, seen = before.evidence()
        observe_at = _looking_at(
            seen, sources[1], scratch, figures, stack, pose_model, network, progress
        )
        files = (
            scratch.local(sources[0], sha256=plan.image.sha256, progress=progress),
            scratch.local(sources[1], sha256=plan.video.sha256, progress=progress),
        )
        attempts = _Attempts(plan, before, observe_at, figures)
        for attempt in attempts:
            with prepare(
                _with_sources(attempt, *files),
                Path(folder),
                overwrite=overwrite,
                also=("before.json", *_report_names(attempt), "report.html"),
                profile=figures,
                progress=progress,
            ) as prepared:
                reports = _checked_again(attempt, before, prepared, network, figures, progress)
                if attempts.is_enough(reports[0].score) or not attempt.changes_anything:
                    return _published(attempt, before, reports, prepared, files, figures, progress)
    raise NormalizeFailed(
        f"expected a pair that scores at least as high as the one given, but it measures "
        f"{max(attempts.measured):.1f} points at best, and {before.score:.1f} as it is; nothing "
        "was written: submit the pair as it is, or choose the part to keep with --start and --end"
    )


class _Attempts:
    """A plan; and, should its files measure worse than what was given, plans that change less.

    Of a clip that is split, the first part is measured.
    """

    def __init__(
        self, plan: Plan, before: Report, observe_at: ObserveAt | None, figures: Profile
    ) -> None:
        self._plan, self._before = plan, before
        self._observe_at, self._figures = observe_at, figures
        self.measured: list[float] = []
        """The scores of the attempts so far, 0 … 100."""

    def __iter__(self) -> Iterator[Plan]:
        yield self._plan
        # Those that are foreseen to be no better need not be written; the best one comes first.
        framed = (self._keeping("image"), self._keeping("video"))
        hopeful = [p for p in framed if p.foreseen.score >= self._least]
        yield from sorted((*hopeful, self._unframed), key=lambda p: -p.foreseen.score)
        if self._plan.options.start is None and not self._plan.options.keep_start:
            yield self._keeping(*_MEDIA, keep_start=True)

    def is_enough(self, score: float) -> bool:
        """Whether this score is as high as that of what was given, but for the noise; noted."""
        self.measured.append(score)
        return score >= self._before.score - self._noise or score >= self._least

    @property
    def _noise(self) -> float:
        return self._figures.limit("score_noise")

    @cached_property
    def _least(self) -> float:
        """What a person asked for (a part, a rate) may cost points by itself."""
        return min(self._before.score, self._unframed.foreseen.score) - self._noise

    @cached_property
    def _unframed(self) -> Plan:
        return self._keeping(*_MEDIA)

    def _keeping(self, *media: About, keep_start: bool | None = None) -> Plan:
        from wan_prep.planning.assemble import make_plan

        asked = self._plan.options
        why = (
            f"changed as planned, the pair measures {self.measured[0]:.1f} points, and "
            f"{self._before.score:.1f} as it was given"
        )
        made = make_plan(
            self._before,
            asked if keep_start is None else replace(asked, keep_start=keep_start),
            profile=self._figures,
            observe_at=self._observe_at,
            keep_framing=dict.fromkeys(media, why),
        )
        return made.model_copy(update={"options": asked})


def _published(
    plan: Plan,
    before: Report,
    reports: tuple[Report, ...],
    prepared: PreparedFolder,
    files: tuple[PathLike, PathLike],
    figures: Profile,
    progress: Progress,
) -> NormalizedPair:
    """The pair under its names, with the reports and the page beside it.

    files: the sources as they are at hand.
    """
    beside = prepared.image.parent
    before.save(beside / "before.json")
    for name, report in zip(_report_names(plan), reports, strict=True):
        report.save(beside / name)
    progress("writing the page", 0.0)
    _write(
        beside / "report.html",
        page(
            before,
            *files,
            plan=plan,
            after=(reports[0], prepared.image, prepared.videos[0]),
            profile=figures,
        ),
    )
    written = prepared.publish(_with_sources(plan, plan.image.source, plan.video.source))
    return NormalizedPair(
        folder=prepared.folder,
        image=written.image,
        videos=written.videos,
        plan=written.plan,
        before=before,
        reports=reports,
    )


def _report_names(plan: Plan) -> list[str]:
    """report.json for the first written clip, report-02.json … for the others."""
    count = len(plan.video.spans)
    return ["report.json", *(f"report-{k:02d}.json" for k in range(2, count + 1))]


def _with_sources(plan: Plan, image: PathLike, video: PathLike) -> Plan:
    """The plan with these sources. Paths become absolute, so that its plan.json can be carried out
    from any folder."""
    works = {
        name: work.model_copy(
            update={"source": str(source if is_remote(source) else Path(source).absolute())}
        )
        for name, work, source in (("image", plan.image, image), ("video", plan.video, video))
    }
    return plan.model_copy(update=works)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise NormalizeFailed(
            f"{path.name} could not be written ({exc.strerror}); free some space, or choose "
            "another folder"
        ) from exc


def _checked_again(
    plan: Plan,
    before: Report,
    prepared: PreparedFolder,
    network: PoseEstimator,
    figures: Profile,
    progress: Progress,
) -> tuple[Report, ...]:
    """The reports of the written pair; its decode is also the proof that all of it decodes."""
    from wan_prep.observing import observe_image
    from wan_prep.planning.foresee import foresee_image

    source_image, source_video = before.evidence()
    image = source_image
    if not plan.image.copy_bytes:
        progress("checking what was written", 0.0)
        assert plan.image.geometry is not None
        person = foresee_image(source_image, plan.image.geometry, plan.image.format).person
        image = observe_image(prepared.image, network, figures, person=person)
        _verify(source_image, image, plan.image.geometry, Fraction(0))
    reports = []
    for span, path in zip(plan.video.spans, prepared.videos, strict=True):
        video = source_video
        if not plan.video.copy_bytes or _is_part(source_video):
            person = _person_in(plan, span, source_video, figures)
            video = _observed_whole(path, network, figures, progress, person)
        if not plan.video.copy_bytes:
            _verify(source_video, video, plan.video.geometry, span.start)
        reports.append(
            build_report(
                _named(image, prepared.folder / plan.image.name),
                _named(video, prepared.folder / span.name),
                mode=plan.mode,
                resolution=plan.resolution,
                profile=figures,
                tool=tool(),
                selection=Selection(ignore=plan.deselected),
            )
        )
    return tuple(reports)


def _person_in(plan: Plan, span: Span, video: Evidence, figures: Profile) -> PersonChoice:
    """Whom the clip written of this span is looked at for: the same person, by place."""
    from wan_prep.planning.foresee import foresee_video, part_of

    geometry, fps = plan.video.geometry, plan.video.fps
    if geometry is None or fps is None:
        return part_of(video, span.start, span.end).person_at(span.start)
    return foresee_video(video, geometry, span.start, span.end, fps, figures).person


def _is_part(video: Evidence) -> bool:
    return video.start > 0 or video.end is not None


def _observed_whole(
    path: Path,
    network: PoseEstimator,
    figures: Profile,
    progress: Progress,
    person: PersonChoice,
) -> Evidence:
    from wan_prep.observing import VideoReader, observe_video

    with VideoReader(path, figures, every_frame=True) as opened:
        return observe_video(
            opened,
            network,
            person=person,
            progress=lambda share: progress("checking what was written", share),
        )


def _verify(
    source: Evidence, written: Evidence, geometry: Geometry | None, start: Fraction
) -> None:
    from wan_prep.normalizers.verify import verify_evidence, verify_subject

    verify_evidence(written)
    verify_subject(source, written, geometry, start)


def _named(evidence: Evidence, path: Path) -> Evidence:
    """The evidence with the path that its file gets when it is published."""
    info = evidence.info
    named = None if info is None else info.model_copy(update={"path": str(path)})
    return evidence.model_copy(update={"path": str(path), "info": named})
