"""The pictures of the page, with what is drawn over them and their captions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from wan_prep.analyzers.spans import nobody_in_words
from wan_prep.evidence import Evidence
from wan_prep.findings import PairContext
from wan_prep.geometry import Box, Size
from wan_prep.measures.model import SHOT_WORDS
from wan_prep.measures.side import SubjectInFrame, frame_height_m, subject_in_frame
from wan_prep.planning.model import Geometry, Plan
from wan_prep.planning.options import PAD_WORDS
from wan_prep.report.model import Report
from wan_prep.stills import Still
from wan_prep.visual.drawing import Drawing, Placed, canvas_of, draw, fitted
from wan_prep.visual.pictures import Pictures, best_observation

Kind = Literal["image", "video"]


@dataclass(frozen=True)
class AnnotatedFrame:
    """One picture with its drawing; the page stores its pixels once, under the id `key`."""

    key: str
    kind: Kind
    title: str
    still: Still
    drawing: Drawing | None
    facts: tuple[str, ...]

    @property
    def alt(self) -> str:
        return f"{self.title}: {', '.join(self.facts)}"


@dataclass(frozen=True)
class Layer:
    """A frame placed on a canvas."""

    frame: AnnotatedFrame
    placed: Placed

    @property
    def scale(self) -> float:
        return self.placed.width / self.frame.still.width


@dataclass(frozen=True)
class Overlay:
    """The image over the first frame, on a canvas of the result's shape."""

    title: str
    canvas: Size
    under: Layer
    over: Layer


@dataclass(frozen=True)
class CropDrawing:
    """The window that a plan crops out of one picture, in px of the full upright picture."""

    frame: AnnotatedFrame
    size: Size
    window: Box
    shown: Box
    rotate_deg: float
    words: str


def pair_annotated_frames(
    report: Report, context: PairContext, pictures: Pictures, prefix: str = ""
) -> tuple[AnnotatedFrame, ...]:
    """Image, first frame and best start; those without a picture are left out."""
    image, video = context.image_subject, context.template_subject
    found = []
    if pictures.image is not None:
        found.append(
            _annotated_frame(
                f"{prefix}image", context.image, "Reference image", pictures.image, image, video
            )
        )
    if pictures.first is not None:
        time = f"{pictures.first.time_s:.2f} s"
        found.append(
            _annotated_frame(
                f"{prefix}first",
                context.video,
                f"First frame, {time}",
                pictures.first,
                video,
                image,
            )
        )
    best = best_observation(report)
    if pictures.best is not None and best is not None and best.subject is not None:
        at_best = subject_in_frame(context.video, best.subject)
        time = f"{pictures.best.time_s:.2f} s"
        found.append(
            _annotated_frame(
                f"{prefix}best", context.video, f"Best start, {time}", pictures.best, at_best, image
            )
        )
    return tuple(found)


def _annotated_frame(
    key: str,
    evidence: Evidence,
    title: str,
    still: Still,
    here: SubjectInFrame | None,
    other: SubjectInFrame | None,
) -> AnnotatedFrame:
    kind = evidence.kind
    if here is None:
        is_other = not evidence.person.is_largest
        nobody = nobody_in_words(evidence) if is_other else "no body recognised"
        return AnnotatedFrame(key, kind, title, still, None, (nobody,))
    drawing = draw(here, Size(still.width, still.height), other)
    return AnnotatedFrame(key, kind, title, still, drawing, _facts(here, drawing))


def _facts(here: SubjectInFrame, drawing: Drawing) -> tuple[str, ...]:
    height_m, face = frame_height_m(here), here.subject.face
    x, y = drawing.anchor_share
    said = [SHOT_WORDS[drawing.shot]]
    if height_m is not None:
        said.append(f"the frame shows {height_m:.2f} m from top to bottom")
    said.append(f"{drawing.anchor_name} at {x:.0%}, {y:.0%}")
    if face is None:
        said.append("no face in the frame")
    else:
        area = face.box.width * here.size.width * face.box.height * here.size.height
        across = f"{math.sqrt(max(area, 0.0)):.0f} px across"
        said.append(
            f"face {across}" if drawing.face_is_sure else f"face not recognised, head {across}"
        )
    return tuple(said)


def overlay(
    title: str, report: Report, context: PairContext, annotated_frames: tuple[AnnotatedFrame, ...]
) -> Overlay | None:
    """The overlay of image and first frame; None where one of them is missing."""
    by_kind: dict[Kind, AnnotatedFrame] = {s.kind: s for s in reversed(annotated_frames)}
    if len(by_kind) < 2:
        return None
    image, first = by_kind["image"], by_kind["video"]
    contents = {"image": context.image.content, "video": context.video.content}
    deciding = image if report.mode == "animate" else first
    canvas = canvas_of(_full_size(context, deciding.kind), contents[deciding.kind])

    def layer(frame: AnnotatedFrame) -> Layer:
        size = Size(frame.still.width, frame.still.height)
        return Layer(frame, fitted(size, contents[frame.kind], canvas))

    return Overlay(title, canvas, under=layer(first), over=layer(image))


def _full_size(context: PairContext, kind: Kind) -> Size:
    evidence: Evidence = context.image if kind == "image" else context.video
    assert evidence.info is not None
    return Size(evidence.info.width, evidence.info.height)


def planned_crops(
    plan: Plan, context: PairContext, annotated_frames: tuple[AnnotatedFrame, ...]
) -> tuple[tuple[AnnotatedFrame, CropDrawing | None], ...]:
    """Image and first frame, each with the window that the plan crops; None for a copy."""
    first_of: dict[Kind, AnnotatedFrame] = {
        frame.kind: frame for frame in reversed(annotated_frames)
    }
    geometries = {"image": plan.image.geometry, "video": plan.video.geometry}
    return tuple(
        (
            frame,
            None
            if (geometry := geometries[kind]) is None
            else _crop_drawing(geometry, context, frame),
        )
        for kind, frame in sorted(first_of.items())
    )


def _crop_drawing(geometry: Geometry, context: PairContext, frame: AnnotatedFrame) -> CropDrawing:
    size = _full_size(context, frame.kind)
    w = geometry.window
    window = Box(float(w.left), float(w.top), float(w.right), float(w.bottom))
    shown = Box(
        min(0.0, window.left),
        min(0.0, window.top),
        max(float(size.width), window.right),
        max(float(size.height), window.bottom),
    )
    return CropDrawing(frame, size, window, shown, geometry.rotate_deg, _crop_words(geometry, size))


def _crop_words(geometry: Geometry, size: Size) -> str:
    w = geometry.window
    said = []
    if geometry.rotate_deg:
        way = "clockwise" if geometry.rotate_deg > 0 else "counter-clockwise"
        said.append(f"turned {abs(geometry.rotate_deg):.1f}° {way}")
    if (w.left, w.top, w.width, w.height) == (0, 0, size.width, size.height):
        said.append("taken whole")
    else:
        said.append(f"{w.width} × {w.height} px from {w.left}, {w.top}")
    if w.left < 0 or w.top < 0 or w.right > size.width or w.bottom > size.height:
        said.append(f"padded with {PAD_WORDS[geometry.pad]}")
    said.append(f"written as {geometry.width} × {geometry.height}")
    return ", ".join(said)
