"""A path becomes evidence: everything the checks need to know of one file, and no pixels.

Evidence is a value: frozen, serializable, made once and used in any number of pairs.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from wan_prep.documents import DocumentPath
from wan_prep.errors import UnreadableKind
from wan_prep.fragments import card, inert, table
from wan_prep.geometry import UNIT_BOX, Box
from wan_prep.media.types import Form, ImageInfo, VideoInfo
from wan_prep.pose.body import HEAD_TINY, is_recognised
from wan_prep.pose.choice import LARGEST, Person, PersonChoice
from wan_prep.pose.skeleton import HEAD, JOINT_COUNT

DECIMALS = 5
"""A hundred-thousandth of a picture is a fiftieth of a pixel; rounding makes JSON round trips
exact."""


_OF_A_BODY = np.ones(JOINT_COUNT, dtype=np.bool_)
_OF_A_HEAD = np.isin(np.arange(JOINT_COUNT), HEAD)


def _to_array(value: Any) -> NDArray[np.float64]:
    # Adding zero turns -0.0, which JSON would keep, into 0.0.
    array = np.round(np.asarray(value, dtype=np.float64), DECIMALS).astype(np.float64) + 0.0
    if not np.isfinite(array).all():
        raise ValueError("arrays of evidence must be finite")
    array.flags.writeable = False
    return array


Array = Annotated[
    NDArray[np.float64],
    BeforeValidator(_to_array),
    PlainSerializer(lambda array: array.tolist(), return_type=list),
    WithJsonSchema({"type": "array"}),
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __eq__(self, other: object) -> bool:
        # numpy arrays do not compare to one truth value
        return isinstance(other, type(self)) and self.model_dump_json() == other.model_dump_json()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def changed(self, **update: Any) -> Self:
        """The same value with other fields, validated as if it were new.

        Unlike `model_copy` it rounds arrays and keeps nothing that was derived from the old ones.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return self.model_validate(values | update)


class Defect(_Value):
    """Why no picture, or not every picture, can be had from the file."""

    kind: UnreadableKind
    message: str


class ModelId(_Value):
    name: str
    sha256: str


class Face(_Value):
    """A face as fractions of the upright picture's width and height.

    The box is that of 68 face points: jaw line, brows, eyes, nose and mouth, no forehead.
    """

    box: Box
    yaw_deg: float | None
    pitch_deg: float | None
    confidence: float
    """One of `pose.body.FACE_SEEN`, `HEAD_SEEN` and `HEAD_TINY`."""
    span_px: float | None = None
    """Size in px of the upright picture in its full size, whichever way the face is turned."""
    agreement: float = 1.0
    """Share of the looks at the head that recognised it, 0 … 1."""
    roll_deg: float | None = None
    """+: the head leans clockwise in the picture; None where it was not recognised."""

    @property
    def is_sure(self) -> bool:
        """The face network recognised it."""
        return is_recognised(self.confidence)

    @property
    def recognised(self) -> float:
        """How surely the face network recognised it, 0 … 1: half of the looks are enough."""
        return min(1.0, 2.0 * self.agreement) if self.is_sure else 0.0

    @property
    def is_tiny(self) -> bool:
        """The head is too small for the face network to tell."""
        return self.confidence <= HEAD_TINY


class Subject(_Value):
    """The main person of one picture, in fractions of its width and height, and in metres."""

    keypoints_xy: Array
    """(33, 2)"""
    visibility: Array
    """(33,) 0 … 1"""
    world_xyz: Array
    """(33, 3) m, hip-centred, camera axes of the picture"""
    px_per_m: float | None
    """Pixels of the upright picture in its full size per metre; None where undetermined."""
    view_matrix: Array | None
    """(3, 3) rotation of body into camera axes"""
    box: Box
    crown_y: float
    face: Face | None
    """None where the head lies outside the picture, or where no face was looked for."""
    looks: int
    """How many looks at the picture agree in it."""
    agreement: float = 1.0
    """Share of the looks taken that agree in it, 0 … 1."""
    turned: bool = False
    """The network took its back for its front; its sides were renamed, its depth is doubtful."""
    repaired: bool = False
    """The first look was wrong; a closer one found the body."""
    is_head: bool = False
    """Only the head is in the picture, and all measures come from it. `view_matrix`, `px_per_m` and
    `box` are then the head's; joints below it are hidden (visibility 0), limbs do not apply."""

    @property
    def is_located(self) -> NDArray[np.bool_]:
        """(33,) joints whose place in the picture is known, inside it or outside: of a head alone
        its own, while the others are a guess that nothing may be read from."""
        return _OF_A_HEAD if self.is_head else _OF_A_BODY

    @property
    def person_area(self) -> float:
        """Share of the picture in the box of the whole person, as a detector of people draws it.

        Around a head it goes down to the lower edge and is three heads wide, as shoulders are.
        """
        if not self.is_head:
            return self.box.area
        left, top, right, _ = self.box
        return Box(left - self.box.width, top, right + self.box.width, 1.0).clipped(UNIT_BOX).area


class Observation(_Value):
    """One picture of a still or a clip: who is in it."""

    time: Fraction
    """s from the first displayed frame of the file; 0 for a still. Of the frame displayed at the
    start of a part that counts it is that start, even if the frame came earlier."""
    scene: int = 0
    """Number of the shot, from 0"""
    subject: Subject | None = None
    others: tuple[Box, ...] = ()
    """Other people, as fractions of the picture"""
    others_confidence: tuple[float, ...] = ()
    """0 … 1 for each of `others`: 1 where two networks agree, less where one alone sees them"""

    @property
    def place(self) -> PersonChoice | None:
        """The choice by place that means this subject and none of the others; None without one."""
        if self.subject is None:
            return None
        box = self.subject.box.clipped(UNIT_BOX)
        steps = (0.5, 0.3, 0.7, 0.1, 0.9)
        places = [
            PersonChoice.at(round(box.left + x * box.width, 3), round(box.top + y * box.height, 3))
            for y in steps
            for x in steps
        ]
        everybody = [box, *self.others]
        return next((p for p in places if p.index_among(everybody) == 0), places[0])


class Evidence(_Value):
    """What was seen in one file."""

    schema_version: Literal[1] = 1
    kind: Literal["image", "video"]
    path: DocumentPath
    info: Annotated[ImageInfo | VideoInfo, Field(discriminator="kind")] | None = None
    """None where the file cannot be read; `defects` says why."""
    defects: tuple[Defect, ...] = ()
    pose_model: ModelId | None = None
    person: Person = LARGEST
    """Whom it was looked at for: the subject is this person, or nobody."""
    content: Box = UNIT_BOX
    """The picture without its black bars, as fractions."""
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    """The part of a clip that counts, in s; `end` None is the clip's own end."""
    cuts: tuple[Fraction, ...] = ()
    still: tuple[tuple[Fraction, Fraction], ...] = ()
    """[start, end) in s of the stretches in which nothing moves."""
    observations: tuple[Observation, ...] = ()
    sample_interval: Fraction | None = None
    """Longest time between two samples, in s."""
    forms: tuple[Form, ...] = ()
    """How frames are stored: of the first one decoded, and of each unlike the one before."""
    decode_errors: int = 0
    decoded_until: Fraction | None = None
    """Time of the last frame that decoded, in s."""

    @property
    def image_info(self) -> ImageInfo | None:
        return self.info if isinstance(self.info, ImageInfo) else None

    @property
    def video_info(self) -> VideoInfo | None:
        return self.info if isinstance(self.info, VideoInfo) else None

    @property
    def first(self) -> Observation | None:
        return self.observations[0] if self.observations else None

    @cached_property
    def found(self) -> tuple[Observation, ...]:
        """The observations that have a subject."""
        return tuple(o for o in self.observations if o.subject is not None)

    def person_at(self, time: Fraction) -> PersonChoice:
        """The same person where they are next to this time, in s, for another look at the file."""
        if self.person.is_largest:
            return self.person
        nearest = min(self.found, key=lambda o: abs(o.time - time), default=None)
        return (None if nearest is None else nearest.place) or self.person

    @property
    def bystanders(self) -> tuple[Box, ...]:
        """The people in the picture where the one asked for is not: most of those who are in one
        picture without a subject. Empty where somebody is found or nobody was asked for."""
        if self.person.is_largest or self.found:
            return ()
        return max((o.others for o in self.observations), key=len, default=())

    @property
    def span(self) -> Fraction:
        """Length in s of the part that counts; 0 for a still."""
        info = self.video_info
        if info is None:
            return Fraction(0)
        end = info.duration if self.end is None else min(self.end, info.duration)
        return max(Fraction(0), end - self.start)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = [("problem", inert(defect.message)) for defect in self.defects]
        if self.info is not None:
            rows.append(("size", f"{self.info.width} × {self.info.height} px"))
        if self.video_info is not None:
            part = f"{float(self.start):.2f} to {float(self.start + self.span):.2f} s"
            rows.append(("looked at", f"{len(self.observations)} frames from {part}"))
            rows.append(("cuts", ", ".join(f"{float(t):.2f} s" for t in self.cuts) or "none"))
        if self.observations:
            rows.append(("person found in", f"{len(self.found)} of {len(self.observations)}"))
            if not self.person.is_largest:
                rows.append(("looked at for", f"the person {inert(str(self.person))}"))
            others = max(len(o.others) for o in self.observations)
            rows.append(("other people", f"at most {others}" if others else "none"))
        return card(f"<b>Evidence of the {self.kind}</b> {inert(self.path)}", table(rows))
