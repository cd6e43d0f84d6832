"""The operations of a plan and its steps.

The operations are which files are copied, and how the others are written. The steps say in words
what that does and why, which checks it answers, and what is only offered or left to a person. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from wan_prep.analyzers import BY_CODE
from wan_prep.evidence import Evidence
from wan_prep.findings import About, Applicability, Finding, PairContext, Severity
from wan_prep.geometry import UNIT_BOX, Size
from wan_prep.media.types import ImageInfo, VideoInfo
from wan_prep.planning.model import (
    Geometry,
    ImageOperations,
    PlanStep,
    Span,
    VideoOperations,
    Window,
)
from wan_prep.planning.options import PAD_WORDS, PlanOptions
from wan_prep.planning.search import JudgedFraming
from wan_prep.planning.trim import Interval
from wan_prep.profile import Profile
from wan_prep.report.model import Report

_IMAGE_SUFFIX = {"png": "png", "jpeg": "jpg"}
_FRAMING = ("WP301", "WP302", "WP303", "WP306", "WP307")
_OTHERS = ("WP505", "WP506", "WP507", "WP517")
# Somebody else is larger than the person asked for, and the model takes the largest.
_LARGER: dict[About, str] = {"image": "WP517", "video": "WP507"}

# What a person can do about a finding that a plain edit repairs only in part.
_BY_HAND = {
    **dict.fromkeys(_FRAMING, "use a picture that is framed like the clip's first frame"),
    **dict.fromkeys(_OTHERS, "use material that shows one person"),
    "WP205": "use a picture of a more usual shape",
    "WP403": "choose the start yourself with --start",
    "WP503": "choose a part with --start and --end, or a clip in which the person stays",
    "WP504": "begin where the person is in the picture, with --start",
    "WP603": "keep what you need with --max-seconds, or write parts with --split",
    "WP604": "choose one shot with --start and --end, or write every shot with --split",
}


# ------------------------------------------------------------------ operations


def written_fps(info: VideoInfo, options: PlanOptions, profile: Profile) -> Fraction:
    """The rate to write: as asked; a constant one in the profile's range as it is; its default."""
    if options.fps is not None:
        return options.fps
    low, high = (profile.limit(name) for name in ("kept_fps_min", "kept_fps_max"))
    if not info.is_vfr and info.frame_count > 1 and low <= info.fps <= high:
        return info.fps
    return Fraction(str(profile.limit("resampled_fps")))


def image_operations(
    image: Evidence, geometry: Geometry, options: PlanOptions, profile: Profile
) -> ImageOperations:
    """The image through this geometry; a copy of its bytes where nothing is needed."""
    info = image.image_info
    assert info is not None
    kind = options.image_format
    if is_untouched(geometry, info) and _is_ready_image(info, kind, profile):
        suffix = _IMAGE_SUFFIX[info.format.lower()]
        return ImageOperations(
            source=image.path, sha256=info.sha256, name=f"reference.{suffix}", copy_bytes=True
        )
    kind = kind or "png"
    return ImageOperations(
        source=image.path,
        sha256=info.sha256,
        name=f"reference.{_IMAGE_SUFFIX[kind]}",
        geometry=geometry,
        format=kind,
        jpeg_quality=options.jpeg_quality,
        background=options.background,
    )


def video_operations(
    video: Evidence,
    geometry: Geometry,
    intervals: tuple[Interval, ...],
    fps: Fraction,
    profile: Profile,
) -> VideoOperations:
    """One file for each interval, all through this geometry; a copy of the clip's bytes where
    nothing is needed."""
    info = video.video_info
    assert info is not None
    spans = tuple(
        Span(
            name="driving.mp4" if len(intervals) == 1 else f"driving-{k:02d}.mp4",
            start=interval.start,
            end=interval.end,
        )
        for k, interval in enumerate(intervals, start=1)
    )
    first = intervals[0]
    is_whole = len(intervals) == 1 and first.start == 0 and first.end >= info.duration
    if is_whole and is_untouched(geometry, info) and _is_ready_video(video, info, fps, profile):
        return VideoOperations(source=video.path, sha256=info.sha256, spans=spans, copy_bytes=True)
    return VideoOperations(
        source=video.path,
        sha256=info.sha256,
        spans=spans,
        geometry=geometry,
        fps=fps,
        deinterlace=info.is_interlaced,
        tone_map=info.is_hdr,
        audio=_audio(info, is_whole, fps, profile),
    )


def is_untouched(geometry: Geometry, info: ImageInfo | VideoInfo) -> bool:
    """Whether the geometry leaves every pixel where it is."""
    whole = Window(left=0, top=0, width=info.width, height=info.height)
    is_unscaled = (geometry.width, geometry.height) == (info.width, info.height)
    return not geometry.rotate_deg and geometry.window == whole and is_unscaled


def _is_ready_image(info: ImageInfo, asked: str | None, profile: Profile) -> bool:
    """Whether the service can take the file as it is; `asked`: the format that was asked for."""
    return (
        info.format in ("PNG", "JPEG")
        and asked in (None, info.format.lower())
        and info.color_mode == "RGB"
        and info.bit_depth == 8
        and info.exif_orientation == 1
        and info.frame_count == 1
        and not info.has_alpha
        # Whether the embedded profile is sRGB is not known here; in a written image it is.
        and not info.has_icc_profile
        and info.size_bytes <= profile.limit("image_bytes_max")
    )


def _is_ready_video(video: Evidence, info: VideoInfo, fps: Fraction, profile: Profile) -> bool:
    """Whether the service can take the file as it is."""
    return (
        info.container == "mp4"
        and info.codec == "h264"
        and info.pixel_format == "yuv420p"
        and info.rotation_deg == 0
        and not info.is_mirrored
        and info.matrix_left_undone is None
        and not any(info.hidden_ltrb)
        and (info.coded_width, info.coded_height) == (info.width, info.height)
        and not (info.is_interlaced or info.is_hdr or info.is_vfr or info.is_truncated)
        and not (video.decode_errors or info.splices or len(video.forms) > 1)
        and not (info.other_videos or info.undecodable_audio)
        and info.fps == fps
        and info.size_bytes <= profile.limit("video_bytes_max")
        and (not info.has_audio or (info.audio_codec == "aac" and _sound_fits(info, fps, profile)))
    )


def _audio(
    info: VideoInfo, is_whole: bool, fps: Fraction, profile: Profile
) -> Literal["none", "copy", "aac"]:
    """What becomes of the sound: its packets are copied only where nothing is cut off or moved."""
    if not info.has_audio:
        return "none"
    return (
        "copy"
        if is_whole and info.audio_codec == "aac" and _sound_fits(info, fps, profile)
        else "aac"
    )


def _sound_fits(info: VideoInfo, fps: Fraction, profile: Profile) -> bool:
    """Whether the sound begins within a frame of the picture, and ends within a frame of it and
    under the limit of a clip's length."""
    if info.audio_start is None or info.audio_duration is None:
        return False
    frame_s = 1 / fps
    ends = info.audio_start + info.audio_duration
    most = min(info.duration + frame_s, Fraction(str(profile.limit("clip_max"))))
    return abs(info.audio_start) <= frame_s and ends <= most


# ------------------------------------------------------------------ steps


@dataclass(frozen=True)
class PlannedChange:
    """The pair before and after, and what is done to it.

    trims: the steps about the clip's length. framing: the windows that are written. cutting:
    windows that cut joints and gain by it, the written ones if that was asked for; None without
    such. kept: whose picture stays whole although windows were found for it, and why.
    """

    before: Report
    after: Report
    context: PairContext
    image: ImageOperations
    video: VideoOperations
    framing: JudgedFraming
    trims: tuple[PlanStep, ...]
    cutting: JudgedFraming | None
    kept: Mapping[About, str]


def plan_steps(change: PlannedChange) -> tuple[PlanStep, ...]:
    """Applied ones in the order in which they happen, then offered ones, then manual ones."""
    done = list(_applied(change))
    offered = [step for step in change.trims if not step.applied]
    if change.cutting is not None and change.cutting is not change.framing:
        offered.append(_offered_crop(change, change.cutting))
    done = _with_answers(done, _repaired(change))
    said = {code for step in (*done, *offered) for code in step.codes}
    return (*done, *offered, *_manual(change, said))


# ------------------------------------------------------------------ applied


def _applied(change: PlannedChange) -> Iterator[PlanStep]:
    """The applied steps, each with every code that it may answer."""
    yield from (step for step in change.trims if step.applied)
    image, video = change.context.image, change.context.video
    if change.image.geometry is not None:
        yield from _image_steps(image, change.image, change.image.geometry, change)
    if change.video.geometry is not None:
        yield from _video_steps(video, change.video, change.video.geometry, change)
    for about, why in change.kept.items():
        yield _safe(about, (), f"leave the framing of the {about} as it is", why)


def _image_steps(
    image: Evidence, operations: ImageOperations, geometry: Geometry, change: PlannedChange
) -> Iterator[PlanStep]:
    info = image.image_info
    assert info is not None
    if geometry.rotate_deg:
        way = "clockwise" if geometry.rotate_deg > 0 else "counter-clockwise"
        yield _safe(
            "image",
            ("WP305",),
            f"turn the image by {abs(geometry.rotate_deg):.1f} deg {way}",
            "its camera is tilted compared with the clip's",
        )
    yield from _window_steps(image, geometry, "image", change)
    yield _safe(
        "image",
        ("WP103", "WP104", "WP105", "WP106", "WP107", "WP202"),
        f"write the image as {operations.format.upper()}, {geometry.width} x {geometry.height} px",
        "; ".join(
            [
                f"at {change.before.resolution} the service takes this size as it is, without bars",
                *_odd_in_image(info, operations),
            ]
        ),
    )


def _odd_in_image(info: ImageInfo, operations: ImageOperations) -> Iterator[str]:
    if info.frame_count > 1:
        yield f"of {info.frame_count} frames the first is taken"
    if info.exif_orientation != 1:
        yield "its pixels are stored upright"
    if info.has_alpha:
        becomes = operations.background or "what decoders see there, the colours stored under them"
        yield f"transparent parts become {becomes}"
    if info.has_icc_profile or info.color_mode not in ("RGB", "RGBA", "L") or info.bit_depth > 8:
        yield "its colours become 8-bit sRGB"


def _video_steps(
    video: Evidence, operations: VideoOperations, geometry: Geometry, change: PlannedChange
) -> Iterator[PlanStep]:
    info = video.video_info
    assert info is not None
    if operations.deinterlace:
        yield _safe(
            "video",
            ("WP116",),
            "deinterlace the clip",
            "moving arms and legs would show comb-like edges",
        )
    if operations.tone_map:
        yield _safe(
            "video",
            ("WP115",),
            "tone-map the clip to BT.709",
            "software that expects ordinary video shows HDR grey and flat",
        )
    yield from _window_steps(video, geometry, "video", change)
    if (geometry.width, geometry.height) != (geometry.window.width, geometry.window.height):
        yield _safe(
            "video",
            ("WP112", "WP202"),
            f"scale the clip to {geometry.width} x {geometry.height} px",
            "the size the service takes as it is, like the image's"
            if change.before.mode == "replace"
            else "exactly the image's shape, inside the limits",
        )
    if operations.fps is not None and (info.is_vfr or operations.fps != info.fps):
        yield _safe(
            "video",
            ("WP605", "WP606"),
            f"resample the clip to constant {float(operations.fps):.5g} frames a second",
            "the model counts frames, so that motion and sound would drift apart"
            if info.is_vfr
            else f"from {float(info.fps):.5g}; motion stays as coarse as it was filmed",
        )
    yield _safe(
        "video",
        (
            *("WP111", "WP112", "WP113", "WP114", "WP117", "WP118", "WP124", "WP125", "WP126"),
            *("WP131", "WP132", "WP133"),
            "WP607",
        ),
        "write the clip as MP4 (H.264, 8 bit)",
        "; ".join(
            [*_odd_in_video(video, info, operations)]
            or ["what was changed has to be encoded again"]
        ),
    )


def _odd_in_video(video: Evidence, info: VideoInfo, operations: VideoOperations) -> Iterator[str]:
    if info.rotation_deg:
        yield f"its frames are turned by {info.rotation_deg} deg themselves, not by a note"
    if info.is_mirrored:
        yield "its frames are mirrored themselves, not by a note"
    if info.matrix_left_undone:
        yield f"its display matrix, which asks for {info.matrix_left_undone}, is dropped"
    if any(info.hidden_ltrb):
        yield "the border that was to be hidden is gone"
    if info.has_alpha:
        yield "transparent parts become what decoders see there, the colours stored under them"
    if info.sample_aspect_ratio != 1:
        yield "its pixels become square"
    if (info.container, info.codec) != ("mp4", "h264"):
        yield f"it is {info.codec} in {info.container}"
    if len(video.forms) > 1:
        yield "frames stored in another way are brought to the size and levels of the first"
    if info.splices:
        yield "its time goes on without a gap"
    if info.is_truncated or video.decode_errors:
        yield "what still decodes is kept"
    if info.other_videos:
        yield "of its streams of pictures only the one that was looked at is kept"
    if not info.has_time_stamps:
        yield f"it gets the time stamps it lacks, at {float(info.fps):.5g} frames a second"
    if info.undecodable_audio:
        lost = " and ".join(info.undecodable_audio)
        taken = f"the next one ({info.audio_codec}) is taken"
        instead = taken if info.has_audio else "it is written without sound"
        yield f"its sound ({lost}) does not decode: {instead}"
    if operations.audio != "none":
        yield "sound and picture begin together"


def _window_steps(
    evidence: Evidence, geometry: Geometry, about: About, change: PlannedChange
) -> Iterator[PlanStep]:
    info = evidence.info
    assert info is not None
    window, size = geometry.window, Size(info.width, info.height)
    cut = {
        "left": max(0, window.left),
        "top": max(0, window.top),
        "right": max(0, size.width - window.right),
        "bottom": max(0, size.height - window.bottom),
    }
    added = {
        "left": max(0, -window.left),
        "top": max(0, -window.top),
        "right": max(0, window.right - size.width),
        "bottom": max(0, window.bottom - size.height),
    }
    code = "WP203" if about == "image" else "WP204"
    if any(cut.values()):
        bars = "; its black bars fall away" if evidence.content != UNIT_BOX else ""
        kept = 1.0 - _area_lost(cut, size.width, size.height)
        is_alone = not evidence.person.is_largest and _LARGER[about] in _repaired(change)
        alone = "; whoever is larger than the person asked for is left out" if is_alone else ""
        yield PlanStep(
            codes=("WP201", "WP205", code, *_FRAMING, "WP302", *_OTHERS, "WP508"),
            about=about,
            applicability=Applicability.UNSAFE
            if change.framing is change.cutting
            else Applicability.SAFE,
            applied=True,
            title=f"crop the {about} by {_sides(cut)}, to {kept:.0%} of its area",
            reason=f"{_why_framed(change)}{alone}{bars}",
        )
    if any(added.values()):
        yield _safe(
            about,
            ("WP201", "WP205", *_FRAMING),
            f"add {_sides(added)} to the {about} ({PAD_WORDS[geometry.pad]})",
            "cropping to the common shape would cut off the person, or what the other one shows",
        )


def _area_lost(cut: dict[str, int], width: int, height: int) -> float:
    left = (width - cut["left"] - cut["right"]) * (height - cut["top"] - cut["bottom"])
    return 1.0 - left / (width * height)


def _sides(px: dict[str, int]) -> str:
    return ", ".join(f"{value} px {side}" for side, value in px.items() if value)


def _why_framed(change: PlannedChange) -> str:
    """That both get one shape, and how zoom and placement change by it."""
    said = ["both get one shape"]
    before, after = change.before.measures.first, change.after.measures.first
    if before.zoom_ratio and after.zoom_ratio and abs(before.zoom_ratio - after.zoom_ratio) > 0.01:
        said.append(
            f"the person's size in the image compared with the clip changes from "
            f"{before.zoom_ratio:.2f} to {after.zoom_ratio:.2f} times"
        )
    places = [
        (m.offset_x**2 + m.offset_y**2) ** 0.5
        for m in (before, after)
        if m.offset_x is not None and m.offset_y is not None
    ]
    if len(places) == 2 and abs(places[0] - places[1]) > 0.01:
        said.append(
            f"the distance between their places changes from {places[0]:.0%} to "
            f"{places[1]:.0%} of the frame"
        )
    return ", ".join(said)


def _safe(about: About, codes: tuple[str, ...], title: str, reason: str) -> PlanStep:
    return PlanStep(
        codes=codes,
        about=about,
        applicability=Applicability.SAFE,
        applied=True,
        title=title,
        reason=reason,
    )


# ------------------------------------------------------------------ offered


def _offered_crop(change: PlannedChange, cutting: JudgedFraming) -> PlanStep:
    return PlanStep(
        codes=tuple(code for code in _FRAMING if code in _codes(change.after)),
        about="pair",
        applicability=Applicability.UNSAFE,
        applied=False,
        title="crop closer, to what both show of the person",
        reason=f"{cutting.score:.0f} points are expected instead of {change.framing.score:.0f}, "
        "but visible joints are cut off",
    )


# ------------------------------------------------------------------ answers


def _codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def _repaired(change: PlannedChange) -> set[str]:
    """Codes of the findings that are gone or smaller afterwards."""
    after = {finding.code: finding for finding in change.after.findings}
    return {
        finding.code
        for finding in change.before.findings
        if finding.code not in after or _is_smaller(after[finding.code], finding)
    }


def _is_smaller(now: Finding, then: Finding) -> bool:
    if now.severity != then.severity:
        return now.severity.rank < then.severity.rank
    figures = (now.measured, now.limit, then.measured, then.limit)
    if any(not isinstance(figure, float | int) for figure in figures):
        return False
    a, b, c, d = (float(figure) for figure in figures)  # type: ignore[arg-type]
    return abs(a - b) < abs(c - d) - 1e-9


def _with_answers(done: Sequence[PlanStep], repaired: set[str]) -> list[PlanStep]:
    """The applied steps, each with those of its codes that are repaired.

    A repaired code that no step names is given to the first one, which cuts the clip or a picture.
    """
    claimed = {code for step in done for code in step.codes}
    rest = repaired - claimed
    steps = []
    for k, step in enumerate(done):
        own = {code for code in step.codes if code in repaired} | (rest if k == 0 else set())
        steps.append(step.model_copy(update={"codes": tuple(sorted(own))}))
    return steps


def _manual(change: PlannedChange, said: set[str]) -> list[PlanStep]:
    """The findings that remain afterwards, gravest first, then those of before that are gone and
    that no other step names; those with a fix, one step for all that say the same.

    said: the codes that other steps name.
    """
    remaining = {finding.code: finding for finding in change.after.findings}
    silent = [f for f in change.before.findings if f.code not in said and f.code not in remaining]
    steps: dict[tuple[str, str], PlanStep] = {}
    for finding in (*change.after.findings, *silent):
        if finding.fix is None or (finding.code in said and finding.severity is Severity.INFO):
            continue
        title = finding.fix.title
        if finding.status == "fail":  # what is unknown is not put right by other framing
            title = _BY_HAND.get(finding.code, title)
        alike = steps.get((title, finding.message))
        steps[title, finding.message] = PlanStep(
            codes=(*(alike.codes if alike else ()), finding.code),
            about=BY_CODE[finding.code].about,
            applicability=Applicability.MANUAL,
            applied=False,
            title=title,
            reason=finding.message,
        )
    return list(steps.values())
