"""WP6: how long is the clip, does it hold together, and is its time regular?"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from wan_prep import cost as costing
from wan_prep.analyzers.spans import spans_in_words
from wan_prep.evidence import Evidence
from wan_prep.findings import (
    PASSED,
    Answer,
    Applicability,
    Fix,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
    by_tolerance,
)
from wan_prep.media.types import VideoInfo
from wan_prep.sizing import in_segments, rendered_frames

_TRIM = Fix(applicability=Applicability.SAFE, title="trim the clip")


def _of_clip(
    judge: Callable[[VideoInfo, Evidence, PairContext], Answer],
) -> Callable[[PairContext], Answer]:
    def check(context: PairContext) -> Answer:
        info = context.video.video_info
        if info is None:
            return NotApplicable("the video cannot be read")
        return judge(info, context.video, context)

    return check


def over_length(_info: VideoInfo, video: Evidence, context: PairContext) -> Answer:
    limit = context.profile.limits["clip_max"]
    length = float(video.span)
    if length <= limit.value:
        return PASSED
    return by_tolerance(
        context.profile.tolerances["clip_overlength"],
        # Every length over the limit is an error; by how much only orders them.
        math.log(length / limit.value) + context.profile.tolerances["clip_overlength"].worthless,
        f"the clip lasts {length:.2f} s; the service takes {limit.value:.0f} s at most",
        shown=length,
        limit=limit.value,
        unit="s",
        fix=_TRIM,
    )


def too_short(_info: VideoInfo, video: Evidence, context: PairContext) -> Answer:
    limit = context.profile.limits["video_s_min"]
    billed = context.profile.limits["billed_min"]
    length = float(video.span)
    if length >= limit.value:
        return PASSED
    flaw = context.profile.flaws["too_short"]
    return Judged(
        score=flaw.score,
        message=f"the clip lasts {length:.2f} s; {billed.value:.0f} s are billed in any case, and "
        f"another host of this model asks for {limit.value:.0f} s",
        measured=round(length, 3),
        limit=limit.value,
        unit="s",
        source=flaw.source,
        fix=Fix(applicability=Applicability.MANUAL, title="use a longer clip"),
    )


def drift(info: VideoInfo, video: Evidence, context: PairContext) -> Answer:
    length = float(video.span)
    frames = rendered_frames(video.span, info.fps, context.profile)
    segments = in_segments(frames, context.profile).segments
    tolerance = context.profile.tolerances["clip_drift"]
    return by_tolerance(
        tolerance,
        length,
        f"the clip lasts {length:.0f} s; users report that colours and shapes drift after "
        f"{tolerance.fine:.0f} to 30 s ({segments} segments are rendered)",
        fix=Fix(
            applicability=Applicability.UNSAFE, title="trim the clip to what you need, or split it"
        ),
    )


def cuts(_info: VideoInfo, video: Evidence, context: PairContext) -> Answer:
    if not video.cuts:
        return PASSED
    flaw = context.profile.flaws["shot_cuts"]
    times = [float(t) for t in video.cuts]
    said = ", ".join(f"{t:.2f}" for t in times[:5]) + (" and more" if len(times) > 5 else "")
    plural = "s" if len(times) > 1 else ""
    return Judged(
        score=flaw.score,
        message=f"the clip has {len(times)} cut{plural}, at {said} s; the model treats it as one "
        "shot",
        measured=len(times),
        limit=0,
        unit="cuts",
        source=flaw.source,
        fix=Fix(applicability=Applicability.SAFE, title="trim the clip to one shot"),
        spans_s=tuple((t, t) for t in times[:20]),
    )


def low_rate(info: VideoInfo, _video: Evidence, context: PairContext) -> Answer:
    limit = context.profile.limits["video_fps_min"]
    rate = float(info.fps)
    if rate <= 0 or info.frame_count < 2:
        return NotApplicable("a single frame has no rate")
    if rate >= limit.value:
        return PASSED
    tolerance = context.profile.tolerances["clip_rate"]
    return by_tolerance(
        tolerance,
        math.log(limit.value / rate),
        f"the clip has {rate:.2f} frames a second; the model resamples to "
        f"{context.profile.limit('model_fps'):.0f}, and below {limit.value:.0f} poses are repeated",
        shown=rate,
        limit=limit.value,
        unit="fps",
        fix=Fix(applicability=Applicability.MANUAL, title="use a clip filmed at a higher rate"),
    )


def variable_rate(info: VideoInfo, _video: Evidence, context: PairContext) -> Answer:
    if not info.is_vfr:
        return PASSED
    flaw = context.profile.flaws["variable_rate"]
    return Judged(
        score=flaw.score,
        message="the time between frames varies; motion and sound drift apart if the service runs "
        "the official preprocessing, which counts frames instead",
        measured=round(float(info.fps), 3),
        limit="constant",
        unit="fps",
        source=flaw.source,
        fix=Fix(applicability=Applicability.SAFE, title="resample to a constant rate"),
    )


def audio_in_time(info: VideoInfo, _video: Evidence, context: PairContext) -> Answer:
    if not info.has_audio or info.audio_start is None:
        return NotApplicable("the clip has no sound")
    limit = context.profile.limits["audio_offset_max"]
    offset = float(info.audio_start)
    if abs(offset) <= limit.value:
        return PASSED
    flaw = context.profile.flaws["audio_offset"]
    return Judged(
        score=flaw.score,
        message=f"the sound begins {abs(offset):.2f} s {'after' if offset > 0 else 'before'} the "
        "picture; software that ignores time stamps plays them out of sync",
        measured=round(offset, 3),
        limit=limit.value,
        unit="s",
        source=flaw.source,
        fix=Fix(applicability=Applicability.SAFE, title="write picture and sound from one start"),
    )


def _still_spans(video: Evidence, context: PairContext) -> tuple[tuple[Fraction, Fraction], ...]:
    """The still stretches that are worth a word, in s."""
    shortest = Fraction(str(context.profile.limit("still_min")))
    return tuple((start, end) for start, end in video.still if end - start >= shortest)


def _moves_for(video: Evidence, context: PairContext) -> Fraction:
    """Seconds of the clip that are not still."""
    return video.span - sum(
        (end - start for start, end in _still_spans(video, context)), Fraction()
    )


def _is_motionless(info: VideoInfo, video: Evidence, context: PairContext) -> bool:
    if info.frame_count == 1:
        return True
    least = context.profile.limit("motion_min")
    return bool(_still_spans(video, context)) and _moves_for(video, context) < least


def stands_still(info: VideoInfo, video: Evidence, context: PairContext) -> Answer:
    if video.sample_interval is None:
        return NotApplicable("only single frames were looked at, which do not show motion")
    if _is_motionless(info, video, context):
        return NotApplicable("nothing moves in the whole clip (WP609)")
    spans = _still_spans(video, context)
    if not spans:
        return PASSED
    length, moving = video.span, _moves_for(video, context)
    seconds = float(length - moving)
    spans_s = tuple((float(start), float(end)) for start, end in spans)
    is_at_an_end = spans[0][0] <= video.start or spans[-1][1] >= video.start + length
    return by_tolerance(
        context.profile.tolerances["still_share"],
        seconds / float(length),
        f"nothing moves for {seconds:.1f} of {float(length):.1f} s ({spans_in_words(spans_s)}); "
        f"{_price(length, moving, context)}",
        shown=seconds,
        limit=context.profile.limit("still_min"),
        unit="s",
        fix=_TRIM
        if is_at_an_end
        else Fix(applicability=Applicability.MANUAL, title="choose a part that moves"),
        spans_s=spans_s,
    )


def _price(length: Fraction, moving: Fraction, context: PairContext) -> str:
    """What the still part costs, in words."""
    whole, rest = (
        costing.estimate(seconds, context.resolution, context.profile)
        for seconds in (length, moving)
    )
    low, high = sorted((whole.usd_low - rest.usd_low, whole.usd_high - rest.usd_high))
    if high <= 0:
        least = context.profile.limit("billed_min")
        return f"that costs nothing here, since {least:.0f} s are billed in any case"
    return f"that part alone costs ${high}" if low == high else f"that costs ${low} to ${high}"


def motionless(info: VideoInfo, video: Evidence, context: PairContext) -> Answer:
    if video.sample_interval is None:
        return NotApplicable("only single frames were looked at, which do not show motion")
    if not _is_motionless(info, video, context):
        return PASSED
    flaw = context.profile.flaws["no_motion"]
    moving = 0.0 if info.frame_count == 1 else float(_moves_for(video, context))
    but = f", but for {moving:.2f} s" if moving else ""
    return Judged(
        score=flaw.score,
        message=f"nothing moves in the clip{but}: there is no motion to transfer",
        measured=round(moving, 3),
        limit=context.profile.limit("motion_min"),
        unit="s",
        source=flaw.source,
        fix=Fix(applicability=Applicability.MANUAL, title="use a clip in which the person moves"),
    )


RULES = (
    Rule("WP601", "clip-too-long", "clip", "video", _of_clip(over_length)),
    Rule("WP602", "clip-too-short", "clip", "video", _of_clip(too_short), cap=Severity.WARNING),
    Rule(
        "WP603", "clip-long-enough-to-drift", "clip", "video", _of_clip(drift), cap=Severity.WARNING
    ),
    Rule("WP604", "clip-has-cuts", "clip", "video", _of_clip(cuts), cap=Severity.WARNING),
    Rule("WP605", "frame-rate-low", "clip", "video", _of_clip(low_rate), cap=Severity.WARNING),
    Rule(
        "WP606",
        "frame-rate-variable",
        "clip",
        "video",
        _of_clip(variable_rate),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP607",
        "audio-starts-apart",
        "clip",
        "video",
        _of_clip(audio_in_time),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP608", "clip-stands-still", "clip", "video", _of_clip(stands_still), cap=Severity.WARNING
    ),
    Rule(
        "WP609", "clip-without-motion", "clip", "video", _of_clip(motionless), cap=Severity.WARNING
    ),
)
