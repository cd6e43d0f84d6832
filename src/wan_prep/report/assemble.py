"""One report from two pieces of evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wan_prep import cost as costing
from wan_prep.analyzers import RULES, edit_prompt
from wan_prep.analyzers.subject import absent_spans, presence_share
from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import (
    Applicability,
    Finding,
    Inconclusive,
    NotApplicable,
    PairContext,
    Severity,
)
from wan_prep.geometry import view_angles
from wan_prep.measures.face import face_px
from wan_prep.measures.model import Measures
from wan_prep.measures.pair import aspect_gap
from wan_prep.measures.side import (
    SubjectInFrame,
    anchor_xy,
    cut_edges,
    frame_height_m,
    headroom,
    shot_class,
    subject_in_frame,
    view_matrix,
)
from wan_prep.profile import Mode, Profile, Resolution
from wan_prep.report.model import (
    CostFigures,
    ImageFacts,
    ImageSubject,
    MeasuresOverTime,
    PoseModelId,
    ProfileId,
    Report,
    Scores,
    Subjects,
    Tool,
    Verdict,
    VideoFacts,
    VideoSubject,
)
from wan_prep.report.prediction import predicted_output
from wan_prep.report.scoring import (
    Result,
    effects,
    judge,
    overall,
    tally,
)


@dataclass(frozen=True)
class Selection:
    """Which rules count: codes or their beginnings (`WP3`), or names."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def validated(self) -> Selection:
        """Raises WanPrepError for an entry that no rule answers to."""
        for entry in (*self.select, *self.ignore):
            if not any(_matches(entry, rule.code, rule.name) for rule in RULES):
                raise WanPrepError(
                    f"no check is called {entry!r}; `wan-prep rules` lists codes and names"
                )
        return self

    def wants(self, code: str, name: str) -> bool:
        chosen = not self.select or any(_matches(e, code, name) for e in self.select)
        return chosen and not any(_matches(e, code, name) for e in self.ignore)

    def deselected(self) -> tuple[str, ...]:
        """The codes of the checks that do not count."""
        return tuple(rule.code for rule in RULES if not self.wants(rule.code, rule.name))


def _matches(entry: str, code: str, name: str) -> bool:
    return bool(entry) and (code.startswith(entry.upper()) or entry.lower() == name)


def build_report(
    image: Evidence,
    video: Evidence,
    *,
    mode: Mode,
    resolution: Resolution,
    profile: Profile,
    tool: Tool,
    selection: Selection | None = None,
) -> Report:
    """Judge a pair. Pure: the same evidence and settings give the same report."""
    chosen = (selection or Selection()).validated()
    rules = [rule for rule in RULES if chosen.wants(rule.code, rule.name)]
    if not rules:
        raise WanPrepError("no check is left by this selection; `wan-prep rules` lists them")
    context = PairContext(image, video, mode, resolution, profile)
    context, results = judge(context, rules)
    best = context.best
    told = tally(results, mode, profile)
    found = _by_weight(results, mode, profile)
    model = image.pose_model or video.pose_model
    return Report(
        tool=tool,
        profile=ProfileId(name=profile.name, version=profile.version, sha256=profile.sha256),
        pose_model=PoseModelId(
            name=model.name if model else "none", sha256=model.sha256 if model else ""
        ),
        mode=mode,
        resolution=resolution,
        verdict=_verdict(r.finding.severity for r in found if r.finding is not None)
        if context.readable
        else "not_ready",  # whatever was asked of the pair, there is nothing to submit
        score=overall(told.scores, mode, profile, told.asked),
        score_at_best_start=None if best is None else best.score,
        scores=Scores(**{name: _rounded(score) for name, score in told.scores.items()}),
        image=image_facts(image),
        video=video_facts(video),
        subject=Subjects(image=image_subject(image), video=video_subject(video)),
        measures=_measures(context, best.observation if best else None),
        best_start_s=None if best is None else round(float(best.observation.time), 4),
        cuts_s=tuple(round(float(t), 4) for t in video.cuts),
        output=predicted_output(context),
        findings=_with_prompt([r.finding for r in found if r.finding is not None], context),
        passed=tuple(
            r.rule.code
            for r in results
            if r.finding is None and not isinstance(r.answer, NotApplicable)
        ),
        not_applicable=tuple(r.rule.code for r in results if isinstance(r.answer, NotApplicable)),
        deselected=chosen.deselected(),
        cost=_cost(context),
        image_evidence=image,
        video_evidence=video,
    )


def _by_weight(results: Sequence[Result], mode: Mode, profile: Profile) -> list[Result]:
    found = [r for r in results if r.finding is not None]
    costs = effects(results, mode, profile)
    return sorted(
        found,
        key=lambda r: (
            -r.finding.severity.rank if r.finding else 0,
            isinstance(r.answer, Inconclusive),  # what is certain comes first
            -costs[r.rule.code],
            r.rule.code,
        ),
    )


def _with_prompt(findings: Sequence[Finding], context: PairContext) -> tuple[Finding, ...]:
    """The findings, the first of those that only another picture mends with the line for it."""
    for k, finding in enumerate(findings):
        fix = finding.fix
        is_left_to_people = fix is not None and fix.applicability is Applicability.MANUAL
        is_grave = finding.severity is not Severity.INFO and finding.status == "fail"
        if fix is None or not (
            is_left_to_people and is_grave and finding.code in edit_prompt.CODES
        ):
            continue
        prompt = edit_prompt.edit_prompt(context)
        asked = finding.model_copy(update={"fix": fix.model_copy(update={"prompt": prompt})})
        return (*findings[:k], asked, *findings[k + 1 :])
    return tuple(findings)


def _verdict(severities: Iterable[Severity]) -> Verdict:
    seen = set(severities)
    if Severity.ERROR in seen:
        return "not_ready"
    return "risky" if Severity.WARNING in seen else "ready"


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def image_facts(image: Evidence) -> ImageFacts:
    info = image.image_info
    if info is None:
        return ImageFacts(path=image.path)
    return ImageFacts(
        path=image.path,
        sha256=info.sha256,
        size_bytes=info.size_bytes,
        width=info.width,
        height=info.height,
        format=info.format,
        color_mode=info.color_mode,
        exif_orientation=info.exif_orientation,
        frame_count=info.frame_count,
    )


def video_facts(video: Evidence) -> VideoFacts:
    info = video.video_info
    if info is None:
        return VideoFacts(path=video.path)
    return VideoFacts(
        path=video.path,
        sha256=info.sha256,
        size_bytes=info.size_bytes,
        width=info.width,
        height=info.height,
        duration_s=round(float(info.duration), 4),
        fps=round(float(info.fps), 4),
        frame_count=info.frame_count,
        is_vfr=info.is_vfr,
        rotation_deg=info.rotation_deg,
        is_mirrored=info.is_mirrored,
        sample_aspect_ratio=round(float(info.sample_aspect_ratio), 6),
        is_interlaced=info.is_interlaced,
        is_hdr=info.is_hdr,
        is_truncated=info.is_truncated,
        container=info.container,
        codec=info.codec,
        has_audio=info.has_audio,
    )


def _subject_of(evidence: Evidence) -> SubjectInFrame | None:
    first = evidence.first
    if first is None or first.subject is None:
        return None
    return subject_in_frame(evidence, first.subject)


def _seen(s: SubjectInFrame) -> dict[str, object]:
    """What is reported of one subject, alike for image and video."""
    view, face = view_matrix(s), s.subject.face
    x, y = (round(float(share), 4) for share in anchor_xy(s))
    return {
        "shot": shot_class(s),
        "frame_height_m": _rounded(frame_height_m(s)),
        "head_xy" if s.subject.is_head else "neck_xy": (x, y),
        "headroom": round(headroom(s), 4),
        "cut_edges": cut_edges(s),
        "yaw_deg": None if view is None else round(view_angles(view).yaw, 2),
        "face_px": None if face is None else round(face_px(face, s.size), 1),
        "face_yaw_deg": None if face is None else _rounded(face.yaw_deg, 2),
        "face_confidence": None if face is None else face.confidence,
    }


def image_subject(image: Evidence) -> ImageSubject:
    found = _subject_of(image)
    if found is None or image.first is None:
        others = len(image.first.others) if image.first else 0
        return ImageSubject(found=False, person=image.person, others=others)
    return ImageSubject.model_validate(
        {
            "found": True,
            "person": image.person,
            "others": len(image.first.others),
            **_seen(found),
        }
    )


def video_subject(video: Evidence) -> VideoSubject:
    people = [len(o.others) + (o.subject is not None) for o in video.observations]
    faces = [o.subject.face for o in video.found if o.subject is not None]
    seen = [f for f in faces if f is not None and f.is_sure]
    found = _subject_of(video)
    return VideoSubject.model_validate(
        {
            "found": bool(video.found),
            "person": video.person,
            "presence": round(presence_share(video), 4),
            "people_max": max(people, default=0) if video.found or video.bystanders else 0,
            "absent_s": tuple((round(a, 3), round(b, 3)) for a, b in absent_spans(video)),
            "face_seen": round(len(seen) / len(faces), 4) if faces else None,
            **(_seen(found) if found is not None else {}),
        }
    )


def _measures(context: PairContext, best: Observation | None) -> MeasuresOverTime:
    gap = aspect_gap(context.image, context.video)
    at_best = None if best is None else context.starting_at(best).first
    return MeasuresOverTime(
        first=(context.first or Measures()).reported(gap),
        typical=(context.typical or Measures()).reported(gap),
        best=(at_best or Measures()).reported(gap),
    )


def _cost(context: PairContext) -> CostFigures | None:
    if context.video.video_info is None:
        return None
    figures = costing.estimate(context.video.span, context.resolution, context.profile)
    return CostFigures(
        seconds=round(float(figures.seconds), 3),
        usd_low=float(figures.usd_low),
        usd_high=float(figures.usd_high),
    )
