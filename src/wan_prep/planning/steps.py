"""What a plan does, offers and leaves to a person, in words, and which checks that answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wan_prep.analyzers import BY_CODE
from wan_prep.evidence import Evidence
from wan_prep.findings import About, Applicability, Finding, PairContext, Severity
from wan_prep.geometry import UNIT_BOX
from wan_prep.media.types import ImageInfo, VideoInfo
from wan_prep.planning.framing import Chosen
from wan_prep.planning.model import Geometry, ImageWork, Step, VideoWork
from wan_prep.planning.works import whole_size
from wan_prep.report.model import Report

_FRAMING = ("WP301", "WP302", "WP303", "WP306", "WP307")
_OTHERS = ("WP505", "WP506", "WP507")
_FILLS = {"edge": "its edge drawn out", "blur": "a blurred continuation", "color": "one colour"}
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}

# What is left to a person where a plain edit could not mend it all.
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


@dataclass(frozen=True)
class Change:
    """The pair before and after, and what is done to it.

    trims: the steps about the clip's length. cutting: windows that cut joints and gain by it.
    kept: whose picture stays whole although windows were found for it, and why.
    """

    before: Report
    after: Report
    context: PairContext
    image: ImageWork
    video: VideoWork
    framing: Chosen
    trims: tuple[Step, ...]
    cutting: Chosen | None
    kept: Mapping[About, str]


def all_steps(change: Change) -> tuple[Step, ...]:
    """Applied ones in the order in which they happen, then offered, then manual."""
    done = list(_applied(change))
    offered = [step for step in change.trims if not step.applied]
    if change.cutting is not None and change.cutting is not change.framing:
        offered.append(_offered_crop(change, change.cutting))
    mended = _mended(change)
    done = _with_answers(done, mended)
    said = {code for step in (*done, *offered) for code in step.codes}
    return (*done, *offered, *_manual(change, said))


# ------------------------------------------------------------------ applied


def _applied(change: Change) -> Iterator[Step]:
    """Each with all the codes it may answer."""
    yield from (step for step in change.trims if step.applied)
    image, video = change.context.image, change.context.video
    if change.image.geometry is not None:
        yield from _image_steps(image, change.image, change.image.geometry, change)
    if change.video.geometry is not None:
        yield from _video_steps(video, change.video, change.video.geometry, change)
    for about, why in change.kept.items():
        yield _safe(about, (), f"leave the framing of the {about} as it is", why)


def _image_steps(
    image: Evidence, work: ImageWork, geometry: Geometry, change: Change
) -> Iterator[Step]:
    info = image.image_info
    assert info is not None
    if geometry.rotate_deg:
        way = "clockwise" if geometry.rotate_deg > 0 else "counter-clockwise"
        yield _safe(
            "image",
            ("WP305",),
            f"turn the image by {abs(geometry.rotate_deg):.1f} deg {way}",
            "its camera is tilted against the clip's",
        )
    yield from _window_steps(image, geometry, "image", change)
    yield _safe(
        "image",
        ("WP103", "WP104", "WP105", "WP106", "WP107", "WP202"),
        f"write the image as {work.format.upper()}, {geometry.width} x {geometry.height} px",
        "; ".join(
            [
                f"at {change.before.resolution} the service takes this size as it is, without bars",
                *_odd_in_image(info, work),
            ]
        ),
    )


def _odd_in_image(info: ImageInfo, work: ImageWork) -> Iterator[str]:
    if info.frame_count > 1:
        yield f"of {info.frame_count} frames the first is taken"
    if info.exif_orientation != 1:
        yield "its pixels are stored upright"
    if info.has_alpha:
        becomes = work.background or "what decoders see there, the colours stored under them"
        yield f"transparent parts become {becomes}"
    if info.has_icc_profile or info.color_mode not in ("RGB", "RGBA", "L") or info.bit_depth > 8:
        yield "its colours become 8-bit sRGB"


def _video_steps(
    video: Evidence, work: VideoWork, geometry: Geometry, change: Change
) -> Iterator[Step]:
    info = video.video_info
    assert info is not None
    if work.deinterlace:
        yield _safe(
            "video", ("WP116",), "deinterlace the clip", "moving limbs come out as combs otherwise"
        )
    if work.tone_map:
        yield _safe(
            "video",
            ("WP115",),
            "tone-map the clip to BT.709",
            "read as ordinary video, HDR looks grey and flat",
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
    if work.fps is not None and (info.is_vfr or work.fps != info.fps):
        yield _safe(
            "video",
            ("WP605", "WP606"),
            f"resample the clip to constant {float(work.fps):.5g} frames a second",
            "the model counts frames, so motion and sound would drift apart"
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
            [*_odd_in_video(video, info, work)] or ["what was changed has to be encoded again"]
        ),
    )


def _odd_in_video(video: Evidence, info: VideoInfo, work: VideoWork) -> Iterator[str]:
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
    if work.audio != "none":
        yield "sound and picture begin together"


def _window_steps(
    evidence: Evidence, geometry: Geometry, about: About, change: Change
) -> Iterator[Step]:
    info = evidence.info
    assert info is not None
    window, size = geometry.window, whole_size(info)
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
        yield Step(
            codes=("WP201", "WP205", code, *_FRAMING, "WP302", *_OTHERS, "WP508"),
            about=about,
            applicability=Applicability.UNSAFE
            if change.framing is change.cutting
            else Applicability.SAFE,
            applied=True,
            title=f"crop the {about} by {_sides(cut)}, to {kept:.0%} of its area",
            reason=f"{_why_framed(change)}{bars}",
        )
    if any(added.values()):
        yield _safe(
            about,
            ("WP201", "WP205", *_FRAMING),
            f"add {_sides(added)} to the {about} ({_FILLS[geometry.pad]})",
            "a crop to the common shape would cut the person, or what the other one shows",
        )


def _area_lost(cut: dict[str, int], width: int, height: int) -> float:
    left = (width - cut["left"] - cut["right"]) * (height - cut["top"] - cut["bottom"])
    return 1.0 - left / (width * height)


def _sides(px: dict[str, int]) -> str:
    return ", ".join(f"{value} px {side}" for side, value in px.items() if value)


def _why_framed(change: Change) -> str:
    """One shape for both, and what becomes of zoom and placement."""
    said = ["both get one shape"]
    before, after = change.before.measures.first, change.after.measures.first
    if before.zoom_ratio and after.zoom_ratio and abs(before.zoom_ratio - after.zoom_ratio) > 0.01:
        said.append(
            f"the person's size in the image over that in the clip goes from "
            f"{before.zoom_ratio:.2f} to {after.zoom_ratio:.2f}"
        )
    places = [
        (m.offset_x**2 + m.offset_y**2) ** 0.5
        for m in (before, after)
        if m.offset_x is not None and m.offset_y is not None
    ]
    if len(places) == 2 and abs(places[0] - places[1]) > 0.01:
        said.append(f"their places come from {places[0]:.0%} to {places[1]:.0%} of the frame apart")
    return ", ".join(said)


def _safe(about: About, codes: tuple[str, ...], title: str, reason: str) -> Step:
    return Step(
        codes=codes,
        about=about,
        applicability=Applicability.SAFE,
        applied=True,
        title=title,
        reason=reason,
    )


# ------------------------------------------------------------------ offered


def _offered_crop(change: Change, cutting: Chosen) -> Step:
    return Step(
        codes=tuple(code for code in _FRAMING if code in _codes(change.after)),
        about="pair",
        applicability=Applicability.UNSAFE,
        applied=False,
        title="crop closer, to what both show of the body",
        reason=f"foreseen are {cutting.score:.0f} points instead of "
        f"{change.framing.score:.0f}, but joints are cut off that are seen now",
    )


# ------------------------------------------------------------------ answers


def _codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def _mended(change: Change) -> set[str]:
    """Codes of findings that are gone or smaller afterwards."""
    after = {finding.code: finding for finding in change.after.findings}
    return {
        finding.code
        for finding in change.before.findings
        if finding.code not in after or _is_smaller(after[finding.code], finding)
    }


def _is_smaller(now: Finding, then: Finding) -> bool:
    if _RANK[now.severity] != _RANK[then.severity]:
        return _RANK[now.severity] < _RANK[then.severity]
    figures = (now.measured, now.limit, then.measured, then.limit)
    if any(not isinstance(figure, float | int) for figure in figures):
        return False
    a, b, c, d = (float(figure) for figure in figures)  # type: ignore[arg-type]
    return abs(a - b) < abs(c - d) - 1e-9


def _with_answers(done: Sequence[Step], mended: set[str]) -> list[Step]:
    """Each mended code stands with every step that answers it; what none claims came with the
    first one, the cut of the clip or of the pictures."""
    claimed = {code for step in done for code in step.codes}
    rest = mended - claimed
    steps = []
    for k, step in enumerate(done):
        own = {code for code in step.codes if code in mended} | (rest if k == 0 else set())
        steps.append(step.model_copy(update={"codes": tuple(sorted(own))}))
    return steps


def _manual(change: Change, said: set[str]) -> Iterator[Step]:
    """What remains afterwards, and what nothing above speaks of; gravest first."""
    remaining = {finding.code: finding for finding in change.after.findings}
    silent = [f for f in change.before.findings if f.code not in said and f.code not in remaining]
    for finding in (*change.after.findings, *silent):
        if finding.fix is None or (finding.code in said and finding.severity is Severity.INFO):
            continue
        title = _BY_HAND.get(finding.code, finding.fix.title)
        yield Step(
            codes=(finding.code,),
            about=BY_CODE[finding.code].about,
            applicability=Applicability.MANUAL,
            applied=False,
            title=title,
            reason=finding.message,
        )
