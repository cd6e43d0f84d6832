"""The joints that were measured, in the forms that other tools take: OpenPose, COCO, a table.

A joint is given only where it was seen: a place that a network guesses is no measurement.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wan_prep.documents import json_text
from wan_prep.evidence import Evidence, Face, Subject
from wan_prep.geometry import UNIT_BOX, Box, Floats, Size
from wan_prep.pose.body import VISIBLE
from wan_prep.pose.skeleton import HEAD, JOINT_COUNT, Joint
from wan_prep.profile import Mode, Profile, Resolution
from wan_prep.sizing import letterboxed, output_size

PoseFormat = Literal["openpose", "coco", "csv"]
Layout = Mapping[str, tuple[Joint, ...]]
"""Keypoints of another tool by name, in its order: each is the middle of these landmarks."""

OPENPOSE_18: Layout = {
    "nose": (Joint.NOSE,),
    "neck": (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER),
    "right_shoulder": (Joint.RIGHT_SHOULDER,),
    "right_elbow": (Joint.RIGHT_ELBOW,),
    "right_wrist": (Joint.RIGHT_WRIST,),
    "left_shoulder": (Joint.LEFT_SHOULDER,),
    "left_elbow": (Joint.LEFT_ELBOW,),
    "left_wrist": (Joint.LEFT_WRIST,),
    "right_hip": (Joint.RIGHT_HIP,),
    "right_knee": (Joint.RIGHT_KNEE,),
    "right_ankle": (Joint.RIGHT_ANKLE,),
    "left_hip": (Joint.LEFT_HIP,),
    "left_knee": (Joint.LEFT_KNEE,),
    "left_ankle": (Joint.LEFT_ANKLE,),
    "right_eye": (Joint.RIGHT_EYE,),
    "left_eye": (Joint.LEFT_EYE,),
    "right_ear": (Joint.RIGHT_EAR,),
    "left_ear": (Joint.LEFT_EAR,),
}
"""OpenPose's BODY_18, which its COCO model, ControlNet and DWPose have."""

COCO_17: Layout = {
    "nose": (Joint.NOSE,),
    "left_eye": (Joint.LEFT_EYE,),
    "right_eye": (Joint.RIGHT_EYE,),
    "left_ear": (Joint.LEFT_EAR,),
    "right_ear": (Joint.RIGHT_EAR,),
    "left_shoulder": (Joint.LEFT_SHOULDER,),
    "right_shoulder": (Joint.RIGHT_SHOULDER,),
    "left_elbow": (Joint.LEFT_ELBOW,),
    "right_elbow": (Joint.RIGHT_ELBOW,),
    "left_wrist": (Joint.LEFT_WRIST,),
    "right_wrist": (Joint.RIGHT_WRIST,),
    "left_hip": (Joint.LEFT_HIP,),
    "right_hip": (Joint.RIGHT_HIP,),
    "left_knee": (Joint.LEFT_KNEE,),
    "right_knee": (Joint.RIGHT_KNEE,),
    "left_ankle": (Joint.LEFT_ANKLE,),
    "right_ankle": (Joint.RIGHT_ANKLE,),
}
"""The keypoints of COCO's category `person`."""

_FEATURES = tuple(j for j in HEAD if j not in (Joint.LEFT_EAR, Joint.RIGHT_EAR))

_COCO_LINES = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
    (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
"""What COCO connects, by numbers from 1."""


@dataclass(frozen=True)
class Canvas:
    """The picture in which places are given, and where the file's upright picture lies on it.

    size and place are in px.
    """

    size: Size
    place: Box

    def px(self, fractions_xy: Floats) -> Floats:
        """(N, 2) fractions of the file's picture as px of the canvas."""
        return fractions_xy * (self.place.width, self.place.height) + (
            self.place.left,
            self.place.top,
        )

    def box_xyxy(self, box: Box) -> list[float]:
        """The part of a box, in fractions of the file's picture, that the picture shows, in px."""
        corners = np.array(box.clipped(UNIT_BOX)).reshape(2, 2)
        return [_px(value) for value in self.px(corners).ravel()]


def file_canvas(evidence: Evidence) -> Canvas:
    """The upright, square-pixel picture itself; the file must be readable."""
    size = _size(evidence)
    return Canvas(size, Box(0.0, 0.0, float(size.width), float(size.height)))


def decides_shape(kind: Literal["image", "video"], mode: Mode) -> bool:
    """Whether the result gets the shape of this file of a pair ("wan source")."""
    return kind == ("image" if mode == "animate" else "video")


def model_canvas(
    evidence: Evidence,
    mode: Mode,
    resolution: Resolution,
    profile: Profile,
    *,
    partner: Size | None = None,
) -> Canvas:
    """The picture that the model is shown, if the service runs the official preprocessing: of the
    result's size, with this file's picture fitted in and the rest black.

    partner: size of the other file in px, for the mode in which that one decides the shape. None
        takes both to have one ratio, as they should.
    """
    size = _size(evidence)
    deciding = size if decides_shape(evidence.kind, mode) or partner is None else partner
    out = output_size(deciding.width, deciding.height, resolution, profile)
    canvas = Size(out.width, out.height)
    return Canvas(canvas, letterboxed(size, canvas))


_NOWHERE = Canvas(Size(0, 0), Box(0.0, 0.0, 0.0, 0.0))
"""That of a file that cannot be read; nothing is put there."""


@dataclass(frozen=True)
class Joints:
    """The 33 landmarks of one picture."""

    xy: Floats
    """(33, 2) fractions of its width and height"""
    visibility: Floats
    """(33,) 0 … 1; 0 for eyes, nose and mouth of somebody who is seen from behind"""
    is_located: NDArray[np.bool_]
    """(33,) as `evidence.Subject.is_located`"""

    @classmethod
    def of(cls, subject: Subject) -> Joints:
        hidden = np.isin(np.arange(JOINT_COUNT), _FEATURES) & _is_from_behind(subject)
        visibility = np.where(hidden, 0.0, subject.visibility)
        return cls(subject.keypoints_xy, visibility, subject.is_located)

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        """(33,) joints that the picture shows, uncovered."""
        inside = ((self.xy >= 0.0) & (self.xy <= 1.0)).all(axis=1)
        seen: NDArray[np.bool_] = self.is_located & inside & (self.visibility >= VISIBLE)
        return seen

    def laid_out(self, layout: Layout) -> tuple[Floats, NDArray[np.bool_]]:
        """(N, 2) fractions and (N,) whether they are seen, of another tool's N keypoints; the
        middle of several landmarks is seen where all of them are."""
        places = np.array([self.xy[list(joints)].mean(axis=0) for joints in layout.values()])
        seen = np.array([self.is_seen[list(joints)].all() for joints in layout.values()])
        return places, seen


def export(evidence: Evidence, format: PoseFormat, canvas: Canvas | None) -> str:
    """The subject of every picture that was looked at, as one document.

    canvas: None only where the file cannot be read: the document then has no pictures in it.
    """
    if canvas is None:
        evidence, canvas = evidence.changed(observations=()), _NOWHERE
    if format == "csv":
        return _table(evidence, canvas)
    document = (_openpose if format == "openpose" else _coco)(evidence, canvas)
    return json_text(document)


def _openpose(evidence: Evidence, canvas: Canvas) -> Any:
    return [
        {
            "people": [] if o.subject is None else [_openpose_person(o.subject, canvas)],
            "canvas_width": canvas.size.width,
            "canvas_height": canvas.size.height,
            "time_s": float(o.time),
        }
        for o in evidence.observations
    ]


def _openpose_person(subject: Subject, canvas: Canvas) -> dict[str, Any]:
    """Confidence is 1 or 0, because ControlNet's tools drop joints below 1."""
    face = _face(subject)
    return {
        "pose_keypoints_2d": _triples(Joints.of(subject), OPENPOSE_18, canvas, 1.0),
        "face_keypoints_2d": [],
        "hand_left_keypoints_2d": [],
        "hand_right_keypoints_2d": [],
        "face_box_xyxy": None if face is None else canvas.box_xyxy(face.box),
    }


def _coco(evidence: Evidence, canvas: Canvas) -> Any:
    return {
        "info": {"description": f"poses that wan-prep measured in {_name(evidence)}"},
        "licenses": [],
        "categories": [
            {
                "id": 1,
                "name": "person",
                "supercategory": "person",
                "keypoints": list(COCO_17),
                "skeleton": [list(line) for line in _COCO_LINES],
            }
        ],
        "images": [
            {
                "id": k + 1,
                "file_name": _file_name(evidence, k),
                "width": canvas.size.width,
                "height": canvas.size.height,
                "frame": k,
                "time_s": float(o.time),
            }
            for k, o in enumerate(evidence.observations)
        ],
        "annotations": [
            {"id": k + 1, "image_id": k + 1, "category_id": 1, **_coco_person(o.subject, canvas)}
            for k, o in enumerate(evidence.observations)
            if o.subject is not None
        ],
    }


def _coco_person(subject: Subject, canvas: Canvas) -> dict[str, Any]:
    triples = _triples(Joints.of(subject), COCO_17, canvas, 2)
    bbox, face = _xywh(canvas.box_xyxy(subject.box)), _face(subject)
    return {
        "keypoints": triples,
        "num_keypoints": sum(flag > 0 for flag in triples[2::3]),
        "bbox": bbox,
        "area": _px(bbox[2] * bbox[3]),
        "segmentation": [],
        "iscrowd": 0,
        "face_box": [0.0] * 4 if face is None else _xywh(canvas.box_xyxy(face.box)),
        "face_valid": face is not None and face.is_sure,
    }


def _table(evidence: Evidence, canvas: Canvas) -> str:
    """One row for each of the 33 landmarks in each picture."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("time_s", "frame", "joint", "x_px", "y_px", "visibility", "found"))
    for k, o in enumerate(evidence.observations):
        joints = None if o.subject is None else Joints.of(o.subject)
        for joint in Joint:
            cells = ("", "", "") if joints is None else _cells(joints, joint, canvas)
            found = "false" if joints is None else "true"
            rows.writerow((float(o.time), k, joint.name.lower(), *cells, found))
    return text.getvalue().rstrip("\n")


def _cells(joints: Joints, joint: Joint, canvas: Canvas) -> tuple[float | str, ...]:
    """Place and visibility; a joint below a head alone has no place."""
    if not joints.is_located[joint]:
        return "", "", 0.0
    x, y = canvas.px(joints.xy[joint])
    return _px(x), _px(y), float(joints.visibility[joint])


def _triples(joints: Joints, layout: Layout, canvas: Canvas, flag: float) -> list[float]:
    """x, y, flag for each keypoint that is seen; 0, 0, 0 for each other one."""
    places, seen = joints.laid_out(layout)
    given: list[float] = []
    for (x, y), is_seen in zip(canvas.px(places).tolist(), seen.tolist(), strict=True):
        given += [_px(x), _px(y), flag] if is_seen else [0.0, 0.0, type(flag)(0)]
    return given


def _face(subject: Subject) -> Face | None:
    """The face, where the picture shows any of its box."""
    face = subject.face
    return None if face is None or face.box.clipped(UNIT_BOX).area <= 0.0 else face


def _is_from_behind(subject: Subject) -> bool:
    """The chest faces away from the camera, and no face was recognised.

    The network sees eyes and nose through the back of a head, at full visibility; to those who draw
    by them they would be a face that looks at the camera.
    """
    if subject.view_matrix is None or subject.is_head:
        return False
    is_face_sure = subject.face is not None and subject.face.is_sure
    return bool(subject.view_matrix[2, 2] > 0.0) and not is_face_sure


def _file_name(evidence: Evidence, number: int) -> str:
    """The file itself, or the name that its frame number so and so may be given."""
    name = PurePath(_name(evidence))
    return str(name) if evidence.kind == "image" else f"{name.stem}-{number:05d}.png"


def _name(evidence: Evidence) -> str:
    return evidence.path.replace("\\", "/").rsplit("/", 1)[-1]


def _size(evidence: Evidence) -> Size:
    assert evidence.info is not None
    return Size(evidence.info.width, evidence.info.height)


def _xywh(xyxy: list[float]) -> list[float]:
    left, top, right, bottom = xyxy
    return [left, top, _px(right - left), _px(bottom - top)]


def _px(value: float) -> float:
    """A hundredth of a pixel is less than any network knows; adding zero makes -0.0 plain."""
    return round(float(value), 2) + 0.0
