"""WP6: how long is the clip, does it hold together, and is its time regular?"""

from __future__ import annotations

import math
from collections.abc import Callable

from wan_prep.evidence import Evidence
from wan_prep.findings import (
    PASSED,
    Answer,
    Applicability,
    Explanation,
    Fix,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
    by_tolerance,
)
from wan_prep.media.types import VideoInfo
from wan_prep.sizing import segments

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
        # Anything over the limit is over it; how much only orders two of them.
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
        message=f"the clip lasts {length:.2f} s; another host of this model asks for "
        f"{limit.value:.0f} s, and {billed.value:.0f} s are billed in any case",
        measured=round(length, 3),
        limit=limit.value,
        unit="s",
        source=flaw.source,
        fix=Fix(applicability=Applicability.MANUAL, title="use a longer clip"),
    )


def drift(_info: VideoInfo, video: Evidence, context: PairContext) -> Answer:
    length = float(video.span)
    tolerance = context.profile.tolerances["clip_drift"]
    return by_tolerance(
        tolerance,
        length,
        f"the clip lasts {length:.0f} s and is rendered in {segments(length, context.profile)} "
        f"segments; colour and shape are reported to drift from {tolerance.fine:.0f} to 30 s on",
        fix=Fix(applicability=Applicability.UNSAFE, title="split it, or trim it to what you need"),
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
        message=f"the clip has {len(times)} cut{plural}, at {said} s; the model takes it as one "
        "shot",
        measured=len(times),
        limit=0,
        unit="cuts",
        source=flaw.source,
        fix=Fix(applicability=Applicability.SAFE, title="trim it to one shot"),
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
        f"the clip has {rate:.2f} frames a second; fewer than {limit.value:.0f} repeat poses when "
        f"the model resamples to {context.profile.limit('model_fps'):.0f}",
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
        message="the time between frames varies; if the service runs the official preprocessing, "
        "it counts frames instead, and motion and sound drift apart",
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
        "picture; readers that ignore time stamps put it out of sync",
        measured=round(offset, 3),
        limit=limit.value,
        unit="s",
        source=flaw.source,
        fix=Fix(applicability=Applicability.SAFE, title="write picture and sound from one start"),
    )


RULES = (
    Rule(
        "WP601",
        "clip-too-long",
        "clip",
        "video",
        _of_clip(over_length),
        Explanation(
            "The duration of the part that counts, by time stamps.",
            "The endpoint takes at most 120 s.",
            "Trim the clip.",
            "The endpoint's own page; `clip_max` in the profile.",
        ),
    ),
    Rule(
        "WP602",
        "clip-too-short",
        "clip",
        "video",
        _of_clip(too_short),
        Explanation(
            "The duration of the part that counts.",
            "Another host asks for two seconds; five are billed in any case.",
            "Use a longer clip.",
            "`video_s_min` and `billed_min` in the profile.",
        ),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP603",
        "clip-long-enough-to-drift",
        "clip",
        "video",
        _of_clip(drift),
        Explanation(
            "The duration, and how many segments of 77 frames the model renders it in.",
            "Each segment starts from the last one's end: colours and shapes drift. 120 s is a "
            "limit, not a recommendation.",
            "Split the clip, or trim it to what you need.",
            "User reports; `clip_drift` in the profile.",
        ),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP604",
        "clip-has-cuts",
        "clip",
        "video",
        _of_clip(cuts),
        Explanation(
            "Hard cuts, by PySceneDetect's adaptive detector on every decoded frame.",
            "The template of the first shot is laid over the next.",
            "Trim the clip to one shot.",
            "Another host asks for one shot; `shot_cuts` in the profile.",
        ),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP605",
        "frame-rate-low",
        "clip",
        "video",
        _of_clip(low_rate),
        Explanation(
            "Frames a second, measured on the content.",
            "The model resamples to 30; few frames repeat and stutter.",
            "Use a clip filmed at a higher rate.",
            "Another host's published limit, `video_fps_min` in the profile.",
        ),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP606",
        "frame-rate-variable",
        "clip",
        "video",
        _of_clip(variable_rate),
        Explanation(
            "Whether the distances between frames differ by more than rounding explains.",
            "The official code picks frames by index at the mean rate: a 20 s clip was seen to "
            "drift by 4.9 s.",
            "Resample to a constant rate.",
            "Wan2.2's open source; `variable_rate` in the profile.",
        ),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP607",
        "audio-starts-apart",
        "clip",
        "video",
        _of_clip(audio_in_time),
        Explanation(
            "When the sound starts relative to the first frame.",
            "The result carries the clip's sound; readers that ignore time stamps shift it.",
            "Write picture and sound from one start.",
            "`audio_offset_max` in the profile.",
        ),
        cap=Severity.WARNING,
    ),
)
