"""What the service is predicted to make of a pair, if it runs the official preprocessing."""

from __future__ import annotations

from fractions import Fraction

from wan_prep.analyzers.aspect import deciding
from wan_prep.findings import PairContext
from wan_prep.geometry import Size
from wan_prep.media.types import ImageInfo, VideoInfo
from wan_prep.report.model import Output
from wan_prep.sizing import OutputSize, in_segments, letterboxed, output_size, rendered_frames


def predicted_output(context: PairContext) -> Output | None:
    """Size, frames and length of the result, and how large the person will be in it.

    None where a file that decides them cannot be read.
    """
    deciding_evidence, _ = deciding(context)
    info, shape = context.video.video_info, deciding_evidence.info
    if shape is None or info is None:
        return None
    profile = context.profile
    size = output_size(shape.width, shape.height, context.resolution, profile)
    rate = profile.limit("model_fps")
    length = min(context.video.span, Fraction(str(profile.limit("clip_max"))))
    count = rendered_frames(length, info.fps, profile)
    most = int(profile.limit("segment_overlap_most"))
    frames, others = in_segments(count, profile), in_segments(count, profile, overlap=most)
    ratio = person_ratio(context, size)
    return Output(
        width=size.width,
        height=size.height,
        bars_px=size.bars_px,
        segments=frames.segments,
        frames=frames.count,
        fps=rate,
        duration_s=round(frames.count / rate, 4),
        segments_most=max(frames.segments, others.segments),
        segment_frames=frames.segment_frames,
        segment_overlap=frames.overlap,
        segment_overlap_most=most,
        filler_frames=frames.filler,
        person_ratio=None if ratio is None else round(ratio, 4),
        person_from="video" if context.mode == "animate" else "image",
    )


def person_ratio(context: PairContext, size: OutputSize) -> float | None:
    """The person's share of the result's height over that of the video's; None where unknown.

    animate: the skeleton is drawn in the video's frame, which is fitted into the image's shape.
    replace: the image is fitted into the video's shape; how large the person is there, over how
    large they are in the video at the first frame.
    """
    image, video = context.image.info, context.video.info
    if image is None or video is None:
        return None
    if context.mode == "animate":
        return _fitted_height(video, size)
    measures = context.first or context.typical
    if measures is None or measures.zoom_ratio is None:
        return None
    seen = measures.confidence.get("zoom_ratio", 1.0)
    if seen < context.profile.limit("confidence_min"):
        return None
    # A zoom is taken in the pictures without their bars.
    whole = context.image.content.height / context.video.content.height
    return measures.zoom_ratio * whole * _fitted_height(image, size)


def _fitted_height(info: ImageInfo | VideoInfo, output: OutputSize) -> float:
    """Share of the output's height that a file takes when it is fitted in, 0 … 1."""
    canvas = Size(output.width, output.height)
    return letterboxed(Size(info.width, info.height), canvas).height / canvas.height
