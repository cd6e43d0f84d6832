"""WP5: who is in the pictures, for how long, and does the first frame show them well?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from wan_prep.analyzers.spans import Spans, in_words, spans_in_words, spans_where, times_in_words
from wan_prep.evidence import Evidence, Observation, Subject
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
from wan_prep.geometry import view_angles
from wan_prep.pose.body import ramp, sight, sight_in
from wan_prep.pose.skeleton import LIMBS, Joint

_UNREADABLE = NotApplicable("a file cannot be read")
_TRIM = Fix(applicability=Applicability.SAFE, title="trim to the part with the person in it")
# Half the width of the range between stretched and foreshortened, in deg: the noise of one limb.
_EDGE_DEG = 10.0


def person_in_image(context: PairContext) -> Answer:
    if context.image.info is None:
        return _UNREADABLE
    if context.image_subject is not None:
        return PASSED
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
        f"nobody is recognised in {share:.0%} of the clip: {spans_in_words(spans)}",
        fix=_TRIM,
        spans_s=spans,
    )
    flaws = context.profile.flaws
    if first is not None and first.subject is None and share > 0.5:
        # Neither the first frame nor most of the clip: an error by definition.
        return replace(judged, score=min(judged.score, flaws["absent_mostly"].score))
    # With the person in the first frame or most of the clip it is a part that fails, not all.
    return replace(judged, score=max(judged.score, flaws["absent_in_part"].score))


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
        message="the first frame, which the model takes as its template, shows nobody; the "
        f"person appears at {begins:.2f} s",
        measured=begins,
        limit=0,
        unit="s",
        source=flaw.source,
        fix=_TRIM,
        spans_s=((float(context.video.start), begins),),
    )


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
        ratio = max(big) / max(o.subject.box.area, 1e-6)
        count = max(count, len(big))
        if ratio > worst:
            worst, share, when = ratio, max(big), float(o.time)
    if worst == 0:
        return PASSED
    people = "another person is" if count == 1 else f"{count} other people are"
    at = "" if which == "image" else f" (most at {when:.2f} s)"
    return by_tolerance(
        context.tolerance("other_person"),
        worst,
        f"{people} in the {which}, up to {worst:.0%} as large as the main person and {share:.0%} "
        f"of the frame{at}; the model expects one",
        fix=Fix(applicability=Applicability.UNSAFE, title="crop to the main person"),
    )


def largest_box(context: PairContext) -> Answer:
    """Simulates the model: per frame, independently, the largest box."""
    if not context.video.found:
        return NotApplicable("nobody is in the video")
    times = [
        float(o.time)
        for o in context.video.found
        if o.subject is not None and any(b.area > o.subject.box.area for b in o.others)
    ]
    if not times:
        return PASSED
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


def template_hidden(context: PairContext) -> Answer:
    """Limbs that the template hides or foreshortens distort every frame."""
    framed = context.template_subject
    if framed is None:
        return NotApplicable("the first frame shows nobody")
    if context.by_head:
        return HEADS_ONLY
    inside = sight_in(framed.content, framed.subject.keypoints_xy)
    shown = {name: float(min(inside[near], inside[far])) for name, (near, far) in LIMBS.items()}
    # A limb on the frame's edge weighs as much as the part of it that lies inside.
    if not any(shown.values()):
        return NotApplicable("no limb lies in the first frame")
    hidden = {
        name.replace("_", " "): shown[name] * _hiddenness(framed.subject, near, far, context)
        for name, (near, far) in LIMBS.items()
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


def _hiddenness(subject: Subject, near: Joint, far: Joint, context: PairContext) -> float:
    """0 for a limb that is seen and stretched, 1 for a hidden or foreshortened one.

    Between them by degrees, so that a joint at the edge of being seen does not decide.
    """
    seen = float(sight(subject.visibility[[near, far]]).min())
    along = subject.world_xyz[far] - subject.world_xyz[near]
    length = float(np.linalg.norm(along))
    out_deg = math.degrees(math.asin(min(1.0, abs(float(along[2])) / length))) if length else 0.0
    limit_deg = context.profile.limit("foreshortened")
    short = float(ramp(np.asarray(out_deg), limit_deg, _EDGE_DEG))
    return max(1.0 - seen, short)


def template_turned(context: PairContext) -> Answer:
    framed = context.template_subject
    if framed is None:
        return NotApplicable("the first frame shows nobody")
    if context.by_head:
        return HEADS_ONLY
    if framed.subject.view_matrix is None:
        return Inconclusive(
            "which way the body faces in the first frame could not be measured: the torso is "
            "hardly visible",
            required=False,
        )
    turned = abs(view_angles(framed.subject.view_matrix).yaw)
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
)
