"""WP1: can the two files be read, and are they what the service expects?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from wan_prep.findings import (
    PASSED,
    About,
    Answer,
    Applicability,
    Fix,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
)
from wan_prep.media.types import ImageInfo, VideoInfo

_UNREADABLE = NotApplicable("the file cannot be read")
_RE_ENCODE = Fix(applicability=Applicability.SAFE, title="convert it to a documented format")
_IMAGE_FORMATS = frozenset({"PNG", "JPEG", "BMP", "WEBP"})
_VIDEO_CONTAINERS = frozenset({"mp4", "mov", "avi"})
_VIDEO_CODECS = frozenset({"h264", "hevc"})


def _of_image(judge: Callable[[ImageInfo, PairContext], Answer]) -> Callable[[PairContext], Answer]:
    def check(context: PairContext) -> Answer:
        info = context.image.image_info
        return _UNREADABLE if info is None else judge(info, context)

    return check


def _of_video(judge: Callable[[VideoInfo, PairContext], Answer]) -> Callable[[PairContext], Answer]:
    def check(context: PairContext) -> Answer:
        info = context.video.video_info
        return _UNREADABLE if info is None else judge(info, context)

    return check


def _flaw(context: PairContext, name: str, message: str, **details: object) -> Judged:
    flaw = context.profile.flaws[name]
    return Judged(score=flaw.score, message=message, source=flaw.source, **details)  # type: ignore[arg-type]


def image_readable(context: PairContext) -> Answer:
    return _readable(context, "image")


def video_readable(context: PairContext) -> Answer:
    return _readable(context, "video")


def _readable(context: PairContext, which: About) -> Answer:
    evidence = context.image if which == "image" else context.video
    if not evidence.defects:
        return PASSED
    defect = evidence.defects[0]
    return _flaw(
        context,
        "unreadable",
        f"the {which} cannot be used: {defect.message}",
        measured=defect.kind,
        fix=Fix(applicability=Applicability.MANUAL, title=f"choose or export another {which}"),
    )


def image_still(info: ImageInfo, context: PairContext) -> Answer:
    if info.frame_count <= 1:
        return PASSED
    return _flaw(
        context,
        "animated_image",
        f"the image file holds {info.frame_count} frames; which one the service takes is not "
        "documented, and only the first (of HEIC: the main one) was checked",
        measured=info.frame_count,
        limit=1,
        unit="frames",
        fix=Fix(applicability=Applicability.SAFE, title="write the first frame as PNG"),
    )


def image_format(info: ImageInfo, context: PairContext) -> Answer:
    if info.format in _IMAGE_FORMATS:
        return PASSED
    return _flaw(
        context,
        "odd_image_format",
        f"the image is {info.format}; the documented formats are PNG, JPEG, BMP and WEBP",
        measured=info.format,
        limit="PNG, JPEG, BMP, WEBP",
        fix=Fix(applicability=Applicability.SAFE, title="write it as PNG"),
    )


def image_colors(info: ImageInfo, context: PairContext) -> Answer:
    fix = Fix(applicability=Applicability.SAFE, title="flatten to 8-bit sRGB")
    if info.has_alpha:
        return _flaw(
            context,
            "transparent",
            "the image has transparent parts; software like OpenCV ignores transparency and shows "
            "the colours stored underneath, which is what was checked",
            measured=info.color_mode,
            limit="RGB",
            fix=fix,
        )
    odd = []
    if info.color_mode == "CMYK":
        odd.append("is in print colours (CMYK)")
    if info.bit_depth > 8:
        odd.append(f"has {info.bit_depth} bits a channel")
    if not odd:
        return PASSED
    return _flaw(
        context,
        "flattened_image",
        f"the image {' and '.join(odd)}; the model sees 8-bit RGB, and how the service converts "
        "it is not known",
        measured=info.color_mode,
        limit="RGB",
        fix=fix,
    )


def image_upright(info: ImageInfo, context: PairContext) -> Answer:
    if info.exif_orientation == 1:
        return PASSED
    return _flaw(
        context,
        "rotated_by_exif",
        "the image is stored turned or mirrored; software that ignores its EXIF orientation "
        f"({info.exif_orientation}) shows it wrong",
        measured=info.exif_orientation,
        limit=1,
        unit="EXIF orientation",
        fix=Fix(applicability=Applicability.SAFE, title="store it upright"),
    )


def image_size(info: ImageInfo, context: PairContext) -> Answer:
    return _size(info.width, info.height, info.size_bytes, "image", context)


def video_size(info: VideoInfo, context: PairContext) -> Answer:
    return _size(info.width, info.height, info.size_bytes, "video", context)


def _size(width: int, height: int, size_bytes: int, which: str, context: PairContext) -> Answer:
    low, high = (context.profile.limits[f"{which}_side_{end}"] for end in ("min", "max"))
    heavy = context.profile.limits[f"{which}_bytes_max"]
    flaw = f"over_{which}_limit"
    if min(width, height) < low.value or max(width, height) > high.value:
        return _flaw(
            context,
            flaw,
            f"the {which} is {width} x {height} px; another host of this model takes sides of "
            f"{low.value:.0f} to {high.value:.0f} px",
            measured=f"{width}x{height}",
            limit=f"{low.value:.0f}-{high.value:.0f}",
            unit="px",
            fix=Fix(applicability=Applicability.SAFE, title="scale it into the limits")
            if max(width, height) > high.value
            else Fix(applicability=Applicability.MANUAL, title="use a larger original"),
        )
    if size_bytes > heavy.value:
        return _flaw(
            context,
            flaw,
            f"the {which} file has {size_bytes / 1e6:.1f} MB; another host of this model takes up "
            f"to {heavy.value / 1e6:.0f} MB",
            measured=size_bytes,
            limit=heavy.value,
            unit="bytes",
            fix=_RE_ENCODE,
        )
    return PASSED


def video_format(info: VideoInfo, context: PairContext) -> Answer:
    if info.container in _VIDEO_CONTAINERS and info.codec in _VIDEO_CODECS:
        return PASSED
    return _flaw(
        context,
        "odd_video_format",
        f"the video is {info.codec} in {info.container}; the documented formats are H.264 or H.265 "
        "in MP4, MOV or AVI",
        measured=f"{info.codec}/{info.container}",
        limit="h264, hevc in mp4, mov, avi",
        fix=_RE_ENCODE,
    )


def video_upright(info: VideoInfo, context: PairContext) -> Answer:
    if info.rotation_deg == 0 and not info.is_mirrored:
        return PASSED
    if info.is_mirrored:
        turned = f" and turned by {info.rotation_deg} deg" if info.rotation_deg else ""
        message = (
            f"the video is stored unmirrored and is mirrored{turned} by its display matrix; some "
            "software ignores that or turns it instead"
        )
    else:
        message = (
            f"the video is stored turned; software that ignores its rotation metadata "
            f"({info.rotation_deg} deg) shows it on its side"
        )
    return _flaw(
        context,
        "rotated_by_metadata",
        message,
        measured=info.rotation_deg,
        limit=0,
        unit="deg",
        fix=Fix(
            applicability=Applicability.SAFE,
            title="mirror the frames themselves"
            if info.is_mirrored
            else "turn the frames themselves",
        ),
    )


def video_matrix_plain(info: VideoInfo, context: PairContext) -> Answer:
    if info.matrix_left_undone is None:
        return PASSED
    return _flaw(
        context,
        "odd_display_matrix",
        f"the video's display matrix asks for {info.matrix_left_undone}, which players do or "
        "ignore; it was ignored here, and is in what fix writes",
        measured=info.matrix_left_undone,
        limit="quarter turns and mirroring",
        fix=Fix(applicability=Applicability.SAFE, title="write the frames without that matrix"),
    )


def video_shown_whole(info: VideoInfo, context: PairContext) -> Answer:
    if not any(info.hidden_ltrb):
        return PASSED
    left, top, right, bottom = info.hidden_ltrb
    return _flaw(
        context,
        "hidden_border",
        f"the video hides a border (left {left}, top {top}, right {right}, bottom {bottom} px of "
        f"{info.coded_width} x {info.coded_height}); players cut it off, as was done here, and "
        "software like OpenCV shows it",
        measured=f"{left},{top},{right},{bottom}",
        limit="0,0,0,0",
        unit="px",
        fix=Fix(applicability=Applicability.SAFE, title="cut the border off the frames themselves"),
    )


def video_opaque(info: VideoInfo, context: PairContext) -> Answer:
    if not info.has_alpha:
        return PASSED
    return _flaw(
        context,
        "transparent",
        "the video has transparent parts; software like ffmpeg and OpenCV ignores transparency "
        "and shows the colours stored underneath, which is what was checked",
        measured=info.pixel_format,
        limit="without alpha",
        fix=Fix(applicability=Applicability.SAFE, title="write it without transparency"),
    )


def video_square_pixels(info: VideoInfo, context: PairContext) -> Answer:
    ratio = info.sample_aspect_ratio
    # Less than about a pixel across the whole picture does not count.
    if abs(float(ratio) - 1.0) * max(info.coded_width, info.coded_height) < 1.5:
        return PASSED
    return _flaw(
        context,
        "non_square_pixels",
        f"the video's pixels are not square ({ratio.numerator}:{ratio.denominator}): it is stored "
        f"as {info.coded_width} x {info.coded_height} and shown as {info.width} x {info.height}",
        measured=round(float(ratio), 4),
        limit=1,
        unit="ratio",
        fix=Fix(applicability=Applicability.SAFE, title="scale to square pixels"),
    )


def video_dynamic_range(info: VideoInfo, context: PairContext) -> Answer:
    if not info.is_hdr:
        return PASSED
    return _flaw(
        context,
        "hdr",
        f"the video is HDR ({info.color_transfer}); software that expects ordinary video shows it "
        "grey and flat",
        measured=info.color_transfer,
        limit="bt709",
        fix=Fix(applicability=Applicability.SAFE, title="tone-map to BT.709"),
    )


def video_progressive(info: VideoInfo, context: PairContext) -> Answer:
    if not info.is_interlaced:
        return PASSED
    return _flaw(
        context,
        "interlaced",
        "the video is interlaced; moving arms and legs show comb-like edges",
        measured="interlaced",
        limit="progressive",
        fix=Fix(applicability=Applicability.SAFE, title="deinterlace"),
    )


def video_intact(info: VideoInfo, context: PairContext) -> Answer:
    errors = context.video.decode_errors
    if not info.is_truncated and not errors:
        return PASSED
    parts = []
    if info.is_truncated:
        claimed = info.duration_from_header
        told = "" if claimed is None else f" of {float(claimed):.2f} s"
        parts.append(f"it ends after {float(info.duration):.2f} s{told}")
    if errors:
        parts.append(f"{errors} parts of it cannot be decoded")
    return _flaw(
        context,
        "damaged",
        f"the video is damaged: {' and '.join(parts)}",
        measured=errors,
        limit=0,
        unit="errors",
        fix=Fix(applicability=Applicability.MANUAL, title="export or download it again"),
    )


def video_one_size(context: PairContext) -> Answer:
    if context.video.video_info is None:
        return _UNREADABLE
    changes = [
        (before, after)
        for before, after in pairwise(context.video.forms)
        if (before.width, before.height) != (after.width, after.height)
    ]
    if not changes:
        return PASSED
    before, after = changes[0]
    times = [float(form.time) for _, form in changes]
    more = f", and {len(changes) - 1} times more" if len(changes) > 1 else ""
    return _flaw(
        context,
        "size_changes",
        f"the picture's size changes from {before.width} x {before.height} to {after.width} x "
        f"{after.height} px at {times[0]:.2f} s{more}; software stops there, stretches it, or "
        "shows the rest in a corner",
        measured=len(changes),
        limit=0,
        unit="changes",
        fix=Fix(applicability=Applicability.SAFE, title="scale all of it to the first size"),
        spans_s=tuple((t, t) for t in times[:20]),
    )


def video_alone(info: VideoInfo, context: PairContext) -> Answer:
    if not info.other_videos:
        return PASSED
    number = info.other_videos + 1
    return _flaw(
        context,
        "several_videos",
        f"the file holds {number} video streams; the one that players show "
        f"({info.width} x {info.height} px, stream {info.video_index}) was checked",
        measured=number,
        limit=1,
        unit="streams",
        fix=Fix(applicability=Applicability.SAFE, title="write a file with this stream only"),
    )


def video_timed(info: VideoInfo, context: PairContext) -> Answer:
    if info.has_time_stamps:
        return PASSED
    rate = f"{float(info.fps):.5g} frames a second"
    is_stated = info.fps_from_header is not None
    whose = "as its own headers state" if is_stated else "which is assumed, as FFmpeg does"
    return _flaw(
        context,
        "no_time_stamps",
        f"the video has no time stamps; it is taken at {rate}, {whose}",
        measured="none",
        limit="a time stamp for every frame",
        fix=Fix(applicability=Applicability.SAFE, title="write it with time stamps"),
    )


def video_sound(info: VideoInfo, context: PairContext) -> Answer:
    if not info.undecodable_audio:
        return PASSED
    lost = ", ".join(info.undecodable_audio)
    if info.has_audio:
        return _flaw(
            context,
            "sound_passed_over",
            f"the first audio stream ({lost}) cannot be decoded; the next one that can "
            f"({info.audio_codec}) is used",
            measured=lost,
            limit="sound that decodes",
            fix=Fix(
                applicability=Applicability.SAFE, title="keep only the audio that can be decoded"
            ),
        )
    return _flaw(
        context,
        "sound_undecodable",
        f"the audio ({lost}) cannot be decoded; fix writes the clip without sound",
        measured=lost,
        limit="sound that decodes",
        fix=Fix(applicability=Applicability.MANUAL, title="export the clip with AAC sound"),
    )


RULES = (
    Rule("WP101", "image-unreadable", "media", "image", image_readable),
    Rule("WP102", "video-unreadable", "media", "video", video_readable),
    Rule("WP103", "image-animated", "media", "image", _of_image(image_still), cap=Severity.WARNING),
    Rule(
        "WP104",
        "image-format-uncommon",
        "media",
        "image",
        _of_image(image_format),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP105", "image-over-limits", "media", "image", _of_image(image_size), cap=Severity.WARNING
    ),
    Rule(
        "WP106",
        "image-colors-converted",
        "media",
        "image",
        _of_image(image_colors),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP107",
        "image-rotated-by-metadata",
        "media",
        "image",
        _of_image(image_upright),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP111",
        "video-format-uncommon",
        "media",
        "video",
        _of_video(video_format),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP112", "video-over-limits", "media", "video", _of_video(video_size), cap=Severity.WARNING
    ),
    Rule(
        "WP113",
        "video-rotated-by-metadata",
        "media",
        "video",
        _of_video(video_upright),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP114",
        "video-pixels-not-square",
        "media",
        "video",
        _of_video(video_square_pixels),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP115", "video-hdr", "media", "video", _of_video(video_dynamic_range), cap=Severity.WARNING
    ),
    Rule(
        "WP116",
        "video-interlaced",
        "media",
        "video",
        _of_video(video_progressive),
        cap=Severity.WARNING,
    ),
    Rule("WP117", "video-damaged", "media", "video", _of_video(video_intact), cap=Severity.WARNING),
    Rule("WP118", "video-size-changes", "media", "video", video_one_size, cap=Severity.WARNING),
    Rule(
        "WP131",
        "video-streams-several",
        "media",
        "video",
        _of_video(video_alone),
        cap=Severity.INFO,
    ),
    Rule(
        "WP132",
        "video-without-time-stamps",
        "media",
        "video",
        _of_video(video_timed),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP124",
        "video-matrix-odd",
        "media",
        "video",
        _of_video(video_matrix_plain),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP125",
        "video-border-hidden",
        "media",
        "video",
        _of_video(video_shown_whole),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP126",
        "video-transparent",
        "media",
        "video",
        _of_video(video_opaque),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP133", "sound-undecodable", "media", "video", _of_video(video_sound), cap=Severity.WARNING
    ),
)
