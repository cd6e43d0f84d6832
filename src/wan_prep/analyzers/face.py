"""WP508-WP511, WP514: can the face be seen, how large is it, and does the model find it?"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, StrEnum, auto

import numpy as np

from wan_prep.analyzers.spans import Spans, spans_in_words, spans_where
from wan_prep.evidence import Face, Subject
from wan_prep.findings import (
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
    as_far_as,
    by_tolerance,
)
from wan_prep.geometry import Box, Size, view_angles
from wan_prep.measures.face import face_crop, face_crop_share, face_px
from wan_prep.pose.body import face_by_head
from wan_prep.sizing import output_size

# ------------------------------------------------------------------ size


def face_size_image(context: PairContext) -> Answer:
    framed = context.image_subject
    if framed is None:
        return NotApplicable("nobody is recognised in the image")
    face = framed.subject.face
    if face is None:
        return Inconclusive(
            "the size of the face could not be measured: it lies outside the image", required=False
        )
    px = face_px(face, framed.size) * _to_output(context, framed.size)
    return _face_size(px, "image", "at the output's size", context, [face])


def face_size_video(context: PairContext) -> Answer:
    """In the file's own pixels for animate, at the output's size for replace (facts)."""
    info = context.video.video_info
    faces = [o.subject.face for o in context.video.found if o.subject and o.subject.face]
    if info is None or not faces:
        return NotApplicable("no face is seen in the video")
    size = Size(info.width, info.height)
    faces = [face for face in faces if face.is_sure] or faces
    px = float(np.median([face_px(face, size) for face in faces]))
    if context.mode == "animate":
        return _face_size(px, "video", "in the file's own pixels", context, faces)
    return _face_size(
        px * _to_output(context, size), "video", "at the output's size", context, faces
    )


def _face_size(
    px: float, which: str, where: str, context: PairContext, faces: Sequence[Face]
) -> Answer:
    judged = by_tolerance(
        context.tolerance("face_px"),
        px,
        f"the face in the {which} is only {px:.0f} px across {where}; the model enlarges it to "
        "512 px",
        fix=Fix(applicability=Applicability.MANUAL, title=f"use a closer {which}"),
    )
    # A tiny head has a tiny face, recognised or not.
    known = min(1.0 if face.is_tiny else face.recognised for face in faces)
    if known > 0.0 or judged.score >= context.profile.severity.pass_from:
        return as_far_as(judged, known, context.profile, required=False)
    return Inconclusive(
        f"no face is recognised in the {which}; by the head's size it would be {px:.0f} px across",
        required=False,
    )


def _to_output(context: PairContext, size: Size) -> float:
    """By how much the service scales a picture of this size."""
    output = output_size(size.width, size.height, context.resolution, context.profile)
    return min(output.width / size.width, output.height / size.height)


# ------------------------------------------------------------------ direction


def face_turned(context: PairContext) -> Answer:
    framed = context.image_subject
    if framed is None:
        return NotApplicable("nobody is recognised in the image")
    face = framed.subject.face
    fix = Fix(applicability=Applicability.MANUAL, title="use a picture with a clear face")
    if face is not None and face.is_tiny:
        return Inconclusive("the face in the image is too small to tell where it looks", fix=fix)
    if face is None or face.yaw_deg is None or face.pitch_deg is None:
        return Inconclusive(
            "no face is recognised in the image; stylised faces are often missed",
            fix=fix,
        )
    turned = abs(face.yaw_deg)
    judged = by_tolerance(
        context.tolerance("face_turn"),
        turned,
        f"the face in the image is turned {turned:.0f} deg away from the camera",
        fix=Fix(applicability=Applicability.MANUAL, title="use a picture from the front"),
    )
    return as_far_as(judged, face.recognised, context.profile)


# ------------------------------------------------------------------ over time


class Sight(StrEnum):
    """What is seen of the main person's face in one sample, as messages say it."""

    SEEN = "seen"
    OUTSIDE = "outside the frame"
    BACK = "the back turned"
    TINY = "too small to tell"
    HIDDEN = "turned away, hidden or not recognised"


def face_seen(context: PairContext) -> Answer:
    video = context.video
    if not video.found:
        return NotApplicable("nobody is in the video")
    sights = {o.time: _sight(o.subject, context) for o in video.found if o.subject is not None}

    def when(*wanted: Sight) -> Spans:
        return spans_where(video, lambda o: sights.get(o.time) in wanted)

    told = [s for s in sights.values() if s not in (None, Sight.TINY)]
    if 2 * len(told) < len(sights):
        tiny = spans_in_words(when(Sight.TINY))
        return Inconclusive(
            f"the face is too small to tell whether it is seen, at {tiny}"
            if tiny
            else "no face was looked for in most of the samples",
            required=False,
        )
    unseen = (Sight.BACK, Sight.OUTSIDE, Sight.HIDDEN)
    share = sum(s in unseen for s in told) / len(told)
    if share == 0:
        return PASSED
    reasons = "; ".join(f"{s}: {spans_in_words(when(s))}" for s in unseen if when(s))
    return by_tolerance(
        context.tolerance("face_absence"),
        share,
        f"no face is recognised in {share:.0%} of the looked-at frames ({reasons})",
        fix=Fix(
            applicability=Applicability.MANUAL, title="use a clip in which the face stays in view"
        ),
        spans_s=when(*unseen),
    )


def _sight(subject: Subject, context: PairContext) -> Sight | None:
    """None where no face was looked for."""
    face = subject.face
    if face is None:
        return Sight.OUTSIDE if _is_outside(subject, context) else None
    if face.is_sure:
        return Sight.SEEN
    back = context.profile.limit("back_turned")
    if subject.view_matrix is not None and abs(view_angles(subject.view_matrix).yaw) >= back:
        return Sight.BACK
    return Sight.TINY if face.is_tiny else Sight.HIDDEN


# ------------------------------------------------------------------ the model's own crop


def face_crop_empty(context: PairContext) -> Answer:
    """Simulates the model's face crop at every sample."""
    video = context.video
    if not video.found:
        return NotApplicable("nobody is in the video")
    states = {o.time: _crop_state(o.subject, context) for o in video.found if o.subject is not None}

    found = set(states.values())

    def when(state: CropState) -> Spans:
        return spans_where(video, lambda o: states.get(o.time) is state) if state in found else ()

    empty, doubtful = when(CropState.EMPTY), when(CropState.DOUBTFUL)
    if empty:
        flaw = context.profile.flaws["face_crop_empty"]
        return Judged(
            score=flaw.score,
            message="the face lies outside the frame, or most of it does, at "
            f"{spans_in_words(empty)}; if the service runs the official preprocessing, its face "
            "crop is squeezed or empty there, and an empty one stops the run",
            measured=sum(state is CropState.EMPTY for state in states.values()),
            limit=0,
            unit="samples",
            source=flaw.source,
            fix=Fix(
                applicability=Applicability.MANUAL,
                title="use a clip, or a part of it, that keeps the face in the frame",
            ),
            spans_s=empty,
        )
    if doubtful:
        return Inconclusive(
            "no face is recognised where the head reaches beyond the frame or is a few px large, "
            f"at {spans_in_words(doubtful)}: whether the model's crop holds one cannot be told",
            required=False,
        )
    return PASSED


class CropState(Enum):
    """What the model's face crop of one sample holds."""

    FACE = auto()
    DOUBTFUL = auto()
    EMPTY = auto()


def _crop_state(subject: Subject, context: PairContext) -> CropState:
    if _is_outside(subject, context):
        return CropState.EMPTY
    if subject.face is None:
        return CropState.FACE  # no face was looked for, and the head is in the frame
    box, size = _in_models_frame(subject, context)
    crop, share = face_crop(box, size), face_crop_share(box, size)
    least = context.profile.limit("face_crop_side_min")
    is_small = crop is None or min(crop.width, crop.height) < least
    if subject.face.is_sure:
        is_empty = is_small or share < context.profile.limit("face_crop_share_min")
        return CropState.EMPTY if is_empty else CropState.FACE
    return CropState.DOUBTFUL if is_small or share < 1.0 else CropState.FACE


def _is_outside(subject: Subject, context: PairContext) -> bool:
    """The head itself lies outside the frame, so that no face could be looked for."""
    if subject.face is not None:
        return False
    share = face_crop_share(*_in_models_frame(subject, context))
    return share < context.profile.limit("face_crop_share_min")


def _in_models_frame(subject: Subject, context: PairContext) -> tuple[Box, Size]:
    """The face's box and the frame, in px of the frames that the model cuts the face from."""
    info = context.video.video_info
    if info is None:
        raise ValueError("an unreadable video has no subject")
    size = Size(info.width, info.height)
    if context.mode == "replace":
        scale = _to_output(context, size)
        size = Size(round(info.width * scale), round(info.height * scale))
    if subject.face is None:
        return face_by_head(subject.keypoints_xy * size), size
    return subject.face.box.scaled(*size), size


# ------------------------------------------------------------------ the rules

RULES = (
    Rule("WP508", "face-small-in-image", "subject", "image", face_size_image, cap=Severity.WARNING),
    Rule("WP509", "face-small-in-video", "subject", "video", face_size_video, cap=Severity.WARNING),
    Rule("WP510", "face-turned-in-image", "subject", "image", face_turned, cap=Severity.WARNING),
    Rule("WP511", "face-unseen-in-video", "subject", "video", face_seen, cap=Severity.WARNING),
    Rule("WP514", "face-crop-empty", "subject", "video", face_crop_empty, cap=Severity.WARNING),
)
