"""WP5: who is in the pictures, for how long, and does the first frame show them well?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from wan_prep.analyzers.spans import (
    Spans,
    in_words,
    nobody_in_words,
    spans_in_words,
    spans_where,
    times_in_words,
)
from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import (
    HEADS_ONLY,
    PASSED,
    Answer,
    Applicability,
    Fix,
    Inconclusive,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
    by_tolerance,
)
from wan_prep.geometry import bounding_box, box_leaving_out
from wan_prep.measures.parts import limbs_in_content, limbs_out_of_plane_deg, limbs_visible
from wan_prep.measures.side import SubjectInFrame, larger_others, ramp_at, view
from wan_prep.profile import Profile

_UNREADABLE = NotApplicable("a file cannot be read")
_TRIM = Fix(applicability=Applicability.SAFE, title="trim to the part with the person in it")
_SOMEBODY_ELSE = NotApplicable("there are people, but not the one asked for")
_LEAVE_OUT = Fix(
    applicability=Applicability.SAFE, title="crop so that whoever is larger is left out"
)
_ALONE = Fix(
    applicability=Applicability.MANUAL,
    title="use material in which the person asked for is the largest",
)
# Half the width of the range between stretched and foreshortened, in deg: the noise of one limb.
FORESHORTENED_EDGE_DEG = 10.0


def person_in_image(context: PairContext) -> Answer:
    if context.image.info is None:
        return _UNREADABLE
    if context.image_subject is not None:
        return PASSED
    if context.image.bystanders:
        return _SOMEBODY_ELSE
    return Inconclusive(
        "no human body is recognised in the image; stylised characters are often missed",
        fix=Fix(
            applicability=Applicability.MANUAL, title="use a picture that shows the whole person"
        ),
    )


def person_in_video(context: PairContext) -> Answer:
    if context.video.info is None:
        return _UNREADABLE
    if context.video.found:
        return PASSED
    if context.video.bystanders:
        return _SOMEBODY_ELSE
    flaw = context.profile.flaws["no_person_in_video"]
    return Judged(
        score=flaw.score,
        message="nobody is recognised in the video",
        measured=0,
        limit=1,
        unit="frames with a person",
        source=flaw.source,
        fix=Fix(applicability=Applicability.MANUAL, title="choose a clip that shows a person"),
    )


def meant_person_in_image(context: PairContext) -> Answer:
    return _meant_person(context.image, context)


def meant_person_in_video(context: PairContext) -> Answer:
    return _meant_person(context.video, context)


def _meant_person(evidence: Evidence, context: PairContext) -> Answer:
    """Somebody was asked for; nobody else is ever taken instead."""
    if evidence.info is None:
        return _UNREADABLE
    if evidence.person.is_largest:
        return NotApplicable("nobody in particular was asked for")
    if evidence.found:
        return PASSED
    if not evidence.bystanders:
        return NotApplicable(f"nobody is in the {evidence.kind}")
    flaw = context.profile.flaws["person_asked_for_missing"]
    return Judged(
        score=flaw.score,
        message=evidence.person.missing(evidence.bystanders, evidence.kind),
        measured=len(evidence.bystanders),
        unit="people",
        source=flaw.source,
        fix=Fix(
            applicability=Applicability.MANUAL,
            title="ask for somebody who is there, with --person, or use other material",
        ),
    )


def presence(context: PairContext) -> Answer:
    video = context.video
    if not video.found:
        return NotApplicable("nobody is in the video")
    share = absent_share(video)
    if share == 0:
        return PASSED
    first = video.first
    tolerance = context.tolerance("absence")
    spans = absent_spans(video)
    judged = by_tolerance(
        tolerance,
        share,
        f"{nobody_in_words(video)} in {share:.0%} of the clip: {spans_in_words(spans)}",
        fix=_TRIM,
        spans_s=spans,
    )
    flaws = context.profile.flaws
    if first is not None and first.subject is None and share > 0.5:
        # Neither the first frame nor most of the clip: an error by definition.
        score = min(judged.score, flaws["absent_mostly"].score)
        return replace(judged, score=score, deviation=None)
    # With the person in the first frame or most of the clip it is a part that fails, not all.
    score = max(judged.score, flaws["absent_in_part"].score)
    return replace(judged, score=score, deviation=None)


def late_entry(context: PairContext) -> Answer:
    if not context.video.found:
        return NotApplicable("nobody is in the video")
    template = context.template
    if template is not None and template.subject is not None:
        return PASSED
    begins = float(context.video.found[0].time)
    flaw = context.profile.flaws["late_entry"]
    return Judged(
        score=flaw.score,
        message=f"{_first_frame(context.video)}; the person appears at {begins:.2f} s",
        measured=begins,
        limit=0,
        unit="s",
        source=flaw.source,
        fix=_TRIM,
        spans_s=((float(context.video.start), begins),),
    )


def _first_frame(video: Evidence) -> str:
    if video.person.is_largest:
        return "the first frame, which the model takes as its template, shows nobody"
    return f"{nobody_in_words(video)} in the first frame, which the model takes as its template"


def others_in_image(context: PairContext) -> Answer:
    first = context.image.first
    if first is None:
        return _UNREADABLE
    return _others([first], "image", context)


def others_in_video(context: PairContext) -> Answer:
    if context.video.info is None:
        return _UNREADABLE
    return _others(context.video.observations, "video", context)


def _others(observations: Iterable[Observation], which: str, context: PairContext) -> Answer:
    """The largest other person, by area relative to the subject; specks are left out."""
    least = context.profile.limits["other_person_share"]
    worst, share, count, when = 0.0, 0.0, 0, 0.0
    for o in observations:
        big = [box.area for box in o.others if box.area >= least.value]
        if o.subject is None or not big:
            continue
        ratio = max(big) / max(o.subject.person_area, 1e-6)
        count = max(count, len(big))
        if ratio > worst:
            worst, share, when = ratio, max(big), float(o.time)
    if worst == 0:
        return PASSED
    whom = (context.image if which == "image" else context.video).person
    main = "the main person" if whom.is_largest else f"the one asked for ({whom})"
    people = "another person is" if count == 1 else f"{count} other people are"
    at = "" if which == "image" else f" (most at {when:.2f} s)"
    return by_tolerance(
        context.tolerance("other_person"),
        worst,
        f"{people} in the {which}, up to {worst:.0%} as large as {main} and {share:.0%} "
        f"of the frame{at}; the model expects one",
        fix=Fix(applicability=Applicability.UNSAFE, title="crop to the main person"),
    )


def largest_box(context: PairContext) -> Answer:
    """Simulates the model: per frame, independently, the largest box."""
    if not context.video.found:
        return NotApplicable("nobody is in the video")
    times = [float(o.time) for o in context.video.found if _is_outgrown(o)]
    if not times:
        return PASSED
    if not context.video.person.is_largest:
        return _larger_than_meant(context.video, context)
    flaw = context.profile.flaws["largest_person_swap"]
    return Judged(
        score=flaw.score,
        message="the model follows the largest person of each frame; at "
        f"{times_in_words(times)} that is not the main one",
        measured=len(times),
        limit=0,
        unit="samples",
        source=flaw.source,
        fix=Fix(applicability=Applicability.UNSAFE, title="crop to the main person"),
        spans_s=tuple((t, t) for t in times[:20]),
    )


def largest_in_image(context: PairContext) -> Answer:
    """In the image the model takes the largest box, too, whoever was asked for."""
    image = context.image
    if image.person.is_largest:
        return NotApplicable("nobody in particular was asked for")
    if not image.found:
        return NotApplicable("the person asked for is not in the image")
    return _larger_than_meant(image, context)


def _larger_than_meant(evidence: Evidence, context: PairContext) -> Judged:
    spans = spans_where(evidence, _is_outgrown)
    if not spans:
        return PASSED
    when = "" if evidence.kind == "image" else f" at {spans_in_words(spans)}"
    flaw = context.profile.flaws["largest_person_swap"]
    return Judged(
        score=flaw.score,
        message="the model takes the largest person of each picture, and not the one asked for "
        f"({evidence.person}): in the {evidence.kind} somebody else is larger{when}",
        measured=sum(_is_outgrown(o) for o in evidence.observations),
        limit=0,
        unit="samples",
        source=flaw.source,
        fix=_LEAVE_OUT if _may_be_left_out(evidence, context.profile) else _ALONE,
        spans_s=() if evidence.kind == "image" else spans,
    )


def _is_outgrown(observation: Observation) -> bool:
    """Whether somebody else takes more of the picture than the subject."""
    subject = observation.subject
    return subject is not None and any(b.area > subject.person_area for b in observation.others)


def _may_be_left_out(evidence: Evidence, profile: Profile) -> bool:
    """Whether one crop over all samples holds the subject and leaves out whoever is larger."""
    boxes = np.array([o.subject.box for o in evidence.found if o.subject is not None])
    keep = bounding_box(boxes.reshape(-1, 2)).clipped(evidence.content)
    larger = larger_others(evidence, profile.limit("left_over_max"))
    return box_leaving_out(evidence.content, keep, larger) is not None


def template_hidden(context: PairContext) -> Answer:
    """Limbs that the template hides or foreshortens distort every frame."""
    framed = context.template_subject
    if framed is None:
        return NotApplicable("the first frame shows nobody")
    if context.by_head:
        return HEADS_ONLY
    shown = limbs_in_content(framed)
    # A limb on the frame's edge weighs as much as the part of it that lies inside.
    if not any(shown.values()):
        return NotApplicable("no limb lies in the first frame")
    hidden = {
        name.replace("_", " "): shown[name] * _hiddenness(framed, name, context) for name in shown
    }
    named = [name for name, share in hidden.items() if share >= 0.5] or [
        name for name, share in hidden.items() if share == max(hidden.values())
    ]
    return by_tolerance(
        context.tolerance("template_hidden"),
        sum(hidden.values()) / max(1.0, sum(shown.values())),
        f"the first frame, the model's template, hides or foreshortens the {in_words(named)}",
        fix=Fix(
            applicability=Applicability.MANUAL,
            title="start the clip where arms and legs are visible and stretched",
        ),
    )


def _hiddenness(framed: SubjectInFrame, limb: str, context: PairContext) -> float:
    """0 for a limb that is seen and stretched, 1 for a hidden or foreshortened one.

    Between them by degrees, so that a joint at the edge of being seen does not decide.
    """
    limit_deg = context.profile.limit("foreshortened")
    short = ramp_at(limbs_out_of_plane_deg(framed)[limb], limit_deg, FORESHORTENED_EDGE_DEG)
    return max(1.0 - limbs_visible(framed)[limb], short)


def template_turned(context: PairContext) -> Answer:
    framed = context.template_subject
    if framed is None:
        return NotApplicable("the first frame shows nobody")
    if context.by_head:
        return HEADS_ONLY
    facing = view(framed)
    if facing is None:
        return Inconclusive(
            "which way the body faces in the first frame could not be measured: the torso is "
            "hardly visible",
            required=False,
        )
    turned = abs(facing.yaw)
    return by_tolerance(
        context.tolerance("template_turn"),
        turned,
        f"the body is turned {turned:.0f} deg away from the camera in the first frame, the model's "
        "template; the makers ask for a front view there",
        fix=Fix(
            applicability=Applicability.MANUAL,
            title="start the clip where the person faces the camera",
        ),
    )


# ------------------------------------------------------------------ presence over time


def presence_share(video: Evidence) -> float:
    """Share of the part that counts in which the person is seen; of the frames that were asked
    for, where single times were."""
    if video.sample_interval is None:
        return len(video.found) / max(len(video.observations), 1)
    return 1.0 - absent_share(video)


def absent_share(video: Evidence) -> float:
    """Share of the part that counts, in which nobody is seen; each sample stands for its time."""
    total = float(video.span)
    if total <= 0:
        return 0.0 if video.found else 1.0
    return min(1.0, sum(end - start for start, end in absent_spans(video)) / total)


def absent_spans(video: Evidence) -> Spans:
    """Spans [start, end] in s from the first sample without the person to the next one with; none
    where single times were asked for instead of the clip."""
    if video.sample_interval is None:
        return ()
    return spans_where(video, lambda o: o.subject is None)


RULES = (
    Rule("WP501", "no-person-in-image", "subject", "image", person_in_image, cap=Severity.WARNING),
    Rule("WP502", "no-person-in-video", "subject", "video", person_in_video),
    Rule("WP503", "person-absent-in-part", "subject", "video", presence),
    Rule(
        "WP504",
        "first-frame-empty",
        "subject",
        "video",
        late_entry,
        cap=Severity.WARNING,
        at_start=True,
    ),
    Rule(
        "WP505",
        "several-people-in-image",
        "subject",
        "image",
        others_in_image,
        cap=Severity.WARNING,
    ),
    Rule(
        "WP506",
        "several-people-in-video",
        "subject",
        "video",
        others_in_video,
        cap=Severity.WARNING,
    ),
    Rule(
        "WP507", "largest-person-is-another", "subject", "video", largest_box, cap=Severity.WARNING
    ),
    Rule(
        "WP512",
        "template-limbs-hidden",
        "subject",
        "video",
        template_hidden,
        cap=Severity.WARNING,
        at_start=True,
    ),
    Rule(
        "WP513",
        "template-turned",
        "subject",
        "video",
        template_turned,
        cap=Severity.WARNING,
        at_start=True,
    ),
    Rule("WP515", "person-asked-for-not-in-image", "subject", "image", meant_person_in_image),
    Rule("WP516", "person-asked-for-not-in-video", "subject", "video", meant_person_in_video),
    Rule(
        "WP517",
        "largest-in-image-is-another",
        "subject",
        "image",
        largest_in_image,
        cap=Severity.WARNING,
    ),
)
