"""What differs between the image and one moment of the video: the pair's measures.

Pure: two subjects in, numbers out.  Placement and zoom are taken in each medium's own upright
picture with its black bars removed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median, mode
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from wan_prep.evidence import Evidence, Face, Subject
from wan_prep.geometry import (
    UNIT_BOX,
    Box,
    CrowdedBox,
    Floats,
    Size,
    ViewAngles,
    angle_between_deg,
    bounding_box,
    view_angle_deg,
    view_difference,
    view_from_angles,
    weighted_median,
    wrap_deg,
)
from wan_prep.pose import skeleton
from wan_prep.pose.body import (
    FACE_IN_HEAD_WH,
    FRAME_EDGE,
    HEAD_SEEN,
    VISIBLE,
    Shot,
    face_by_head,
    midpoint,
    ramp,
    sight,
    sight_in,
)
from wan_prep.pose.skeleton import LIMBS, Joint

SHOT_WORDS: dict[Shot, str] = {
    "full": "the whole body",
    "three_quarter": "the body down to the knees",
    "half": "the body down to the hips",
    "bust": "head and shoulders",
    "face": "the face alone",
}
HEADS_ALIKE = 0.2
"""Log ratio of joint scale to face scale at which faces lose most of their weight: the heads then
have different proportions."""
TURNED = 0.5
"""Factor of the confidence for a body whose sides were exchanged: its turn is less exact, and the
depth of its limbs is unknown (docs/calibration.md)."""
HEAD_AGAINST_BODY = 0.5
"""Factor of the confidence of a zoom between the scale of a head and that of a body: it is right if
the head is as large as an adult's."""
# Middle and half width, in heads of picture below the chin, of the ramp between too little to show
# a body and enough to show most of one.
BODY_BELOW_HEADS = (1.75, 0.75)
_STANDING = (*skeleton.SHOULDERS, *skeleton.HIPS, *skeleton.KNEES, *skeleton.ANKLES)
# Shares of the body's mass about shoulders, hips and knees: head, arms and half the trunk; the
# other half and the upper thighs; the rest (segment masses: Winter, Biomechanics and Motor
# Control, 2009).
_MASS = ((skeleton.SHOULDERS, 0.40), (skeleton.HIPS, 0.38), (skeleton.KNEES, 0.22))
# Sine of the angle to the picture plane from which on a part counts as foreshortened. At 30 deg 87
# % of its length are left.
_FORESHORTENED = 0.5
# Half the width of the ramp between stretched and foreshortened, in that sine: as much as two looks
# at one part differ by.
_EDGE_FORESHORTENED = 0.1
# What the official code grows the area of the face points' box by (Wan2.2, get_face_bboxes).
_FACE_CROP_AREA = 1.3


@dataclass(frozen=True)
class SubjectInFrame:
    """One subject with its picture: the box of the content, as fractions, and the size in px."""

    subject: Subject
    content: Box
    size: Size

    @cached_property
    def parts(self) -> dict[str, Part]:
        """`body_parts`, taken once: the image is measured against every sample of the clip."""
        return body_parts(self)

    @cached_property
    def head(self) -> SubjectInFrame:
        """The same person as if nothing but the head were in the picture."""
        return self if self.subject.is_head else replace(self, subject=_head_of(self.subject))


def larger_others(evidence: Evidence, left_over_max: float) -> tuple[CrowdedBox, ...]:
    """Whoever takes more of the picture than the subject beside them, in every sample; fractions.

    left_over_max: how much of each may stay in a picture, as a share of the subject's area.
    """
    return tuple(
        CrowdedBox(box, left_over_max * o.subject.person_area)
        for o in evidence.found
        if o.subject is not None
        for box in o.others
        if box.area > o.subject.person_area
    )


class ShotPair(BaseModel):
    """How much of the body each side shows, and the joints that one side alone shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Shot | None
    video: Shot | None
    only_image: tuple[str, ...] = ()
    only_video: tuple[str, ...] = ()


class Measures(BaseModel):
    """Image against video at one time; angles in deg, image - video; None where unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    zoom_ratio: float | None = None
    """frame_height_m(video) / frame_height_m(image): above 1 the person is larger in the image."""
    offset_x: float | None = None
    offset_y: float | None = None
    """Placement in the image - placement in the video, fractions of the frame."""
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    camera_roll: float | None = None
    """What of the roll is the cameras', where both bodies stand in full view."""
    view_angle: float | None = None
    """Geodesic."""
    shot: ShotPair | None = None
    pose_angle: float | None = None
    """Mean over the limbs seen in both, in the torso frame, weighted by how well each is."""
    limbs: dict[str, float] = Field(default_factory=dict)
    limbs_in_plane: dict[str, float] = Field(default_factory=dict)
    proportions: dict[str, float] = Field(default_factory=dict)
    """Ratio image / video of each part, relative to the body's scale."""
    aspect_gap: float | None = None
    """Of the two pictures, which have the same at every time: set in reports."""
    confidence: dict[str, float] = Field(default_factory=dict)
    """0 … 1 by measure; below the profile's `confidence_min` its check is inconclusive."""
    shot_distance: float | None = Field(default=None, exclude=True)
    """Classes between the two `shot_level`s; not part of a report."""
    by_head: bool = Field(default=False, exclude=True)
    """One side shows nothing but a head, so that heads were compared: limbs do not apply; not part
    of a report."""
    parts_seen: dict[str, float] = Field(default_factory=dict, exclude=True)
    """0 … 1 by part of `proportions`: how well both show it, un-foreshortened; not part of a
    report."""

    @property
    def placement(self) -> float | None:
        """Distance between the two places, as a fraction of the frame."""
        if self.offset_x is None or self.offset_y is None:
            return None
        return math.hypot(self.offset_x, self.offset_y)

    def reported(self, aspect_gap: float | None) -> Measures:
        """As a report holds it: rounded, with the aspect gap, without what is not part of one."""
        digits = {
            **dict.fromkeys(("zoom_ratio", "offset_x", "offset_y"), 4),
            **dict.fromkeys(("yaw", "pitch", "roll", "camera_roll", "view_angle"), 2),
            "pose_angle": 2,
        }
        rounded: dict[str, Any] = {
            name: None if (value := getattr(self, name)) is None else round(value, count)
            for name, count in digits.items()
        }
        for name in ("limbs", "limbs_in_plane", "proportions", "confidence"):
            rounded[name] = {key: round(v, 3) for key, v in getattr(self, name).items()}
        gap = None if aspect_gap is None else round(aspect_gap, 4)
        return Measures(**rounded, shot=self.shot, aspect_gap=gap)


def subject_in_frame(evidence: Evidence, subject: Subject) -> SubjectInFrame:
    info = evidence.info
    if info is None:
        raise ValueError("unreadable media have no subject")
    return SubjectInFrame(subject, evidence.content, Size(info.width, info.height))


def frame_height_m(s: SubjectInFrame) -> float | None:
    """Height in metres that the content shows at the subject's distance; None if unknown."""
    if s.subject.px_per_m is None:
        return None
    return s.size.height * s.content.height / s.subject.px_per_m


# ------------------------------------------------------------------ one side


def comparable(
    image: SubjectInFrame, video: SubjectInFrame
) -> tuple[SubjectInFrame, SubjectInFrame]:
    """Both sides by what they have in common: by their heads where either is nothing but a head,
    else as they are."""
    return (image.head, video.head) if _by_head(image, video) else (image, video)


def _by_head(image: SubjectInFrame, video: SubjectInFrame) -> bool:
    return image.subject.is_head or video.subject.is_head


def _head_of(subject: Subject) -> Subject:
    """The head of somebody whose body is seen, too. The scale stays the body's."""
    head = list(skeleton.HEAD)
    visibility = np.zeros(skeleton.JOINT_COUNT)
    visibility[head] = subject.visibility[head]
    face = _face_box(subject)
    joints = bounding_box(subject.keypoints_xy[head])
    box = Box(
        min(face.left, joints.left),
        min(face.top, joints.top, subject.crown_y),
        max(face.right, joints.right),
        max(face.bottom, joints.bottom),
    )
    return subject.changed(
        is_head=True,
        visibility=visibility,
        view_matrix=_face_view(subject.face),
        box=box.clipped(UNIT_BOX),
    )


def _face_box(subject: Subject) -> Box:
    """The face's box; where no face was looked for, where the head's points suggest it."""
    return face_by_head(subject.keypoints_xy) if subject.face is None else subject.face.box


def _face_view(face: Face | None) -> Floats | None:
    """(3, 3) view matrix of a recognised face."""
    if face is None or face.yaw_deg is None or face.pitch_deg is None or face.roll_deg is None:
        return None
    return view_from_angles(ViewAngles(face.yaw_deg, face.pitch_deg, face.roll_deg))


def view_matrix(s: SubjectInFrame) -> Floats | None:
    """(3, 3) rotation of the torso, or of a head alone, into camera axes; None if unknown.

    That of a head comes from its face, on both sides of a pair alike.
    """
    return _face_view(s.subject.face) if s.subject.is_head else s.subject.view_matrix


def anchor_in_picture(s: SubjectInFrame) -> Floats:
    """(2,) the point that tells where the person is, as fractions of the whole picture: the middle
    between the shoulders, or that of the face of a head alone."""
    if s.subject.is_head:
        return np.asarray(_face_box(s.subject).center)
    return midpoint(s.subject.keypoints_xy, skeleton.SHOULDERS)


def anchor_xy(s: SubjectInFrame) -> Floats:
    """(2,) `anchor_in_picture` as fractions of the content's width and height."""
    corner, extent = (s.content.left, s.content.top), (s.content.width, s.content.height)
    return np.asarray((anchor_in_picture(s) - corner) / extent)


def headroom(s: SubjectInFrame) -> float:
    """Share of the content's height above the top of the head; negative where it is cut."""
    return (s.subject.crown_y - s.content.top) / s.content.height


def inside(
    s: SubjectInFrame, bottom_margin: float = 0.0
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(33,) whether each joint is known to lie in the content; bottom_margin: share of its height
    left out."""
    points, c = s.subject.keypoints_xy, s.content
    shown: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        s.subject.is_located
        & (points[:, 0] >= c.left)
        & (points[:, 0] <= c.right)
        & (points[:, 1] >= c.top)
        & (points[:, 1] <= c.bottom - bottom_margin * c.height)
    )
    return shown


def shot_class(s: SubjectInFrame) -> Shot:
    """The shot, by the lowest joints that are seen; not counting the lowest 1 % of the content."""
    shown = inside(s, bottom_margin=0.01) & (s.subject.visibility >= VISIBLE)
    if shown[list(skeleton.ANKLES)].any():
        return "full"
    if shown[list(skeleton.KNEES)].any():
        return "three_quarter"
    if shown[list(skeleton.HIPS)].any():
        return "half"
    return "bust" if shown[list(skeleton.SHOULDERS)].any() else "face"


def shot_level(s: SubjectInFrame) -> float:
    """The shot as a number, 0 (face) … 4 (full), with values between.

    Where all joints are clearly seen or hidden it is the number of `shot_class`.  Joints at the
    edge of the frame, or hardly seen, move it by the weight with which they are seen.
    """
    shown, level = in_sight(s), 0.0
    pairs = (skeleton.SHOULDERS, skeleton.HIPS, skeleton.KNEES, skeleton.ANKLES)
    for number, pair in enumerate(pairs, start=1):
        share = float(shown[list(pair)].max())
        level = share * number + (1.0 - share) * level
    return level


def cut_edges(s: SubjectInFrame) -> tuple[str, ...]:
    """The edges of the content that have joints of the body beyond them."""
    return tuple(edge for edge, share in cuts(s).items() if share > 0.5)


def cuts(s: SubjectInFrame) -> dict[str, float]:
    """How surely each edge of the content cuts the body, 0 … 1: 0.5 where the outermost joint lies
    on the edge, along a ramp around it."""
    c, reach = s.content, _reach(s.subject)
    beyond = {
        "top": (c.top - min(reach.top, s.subject.crown_y)) / c.height,
        "bottom": (reach.bottom - c.bottom) / c.height,
        "left": (c.left - reach.left) / c.width,
        "right": (reach.right - c.right) / c.width,
    }
    return {e: float(ramp(np.asarray(far), 0.0, FRAME_EDGE)) for e, far in beyond.items()}


def _reach(subject: Subject) -> Box:
    """The box of the body's joints, seen or not; of a head alone that of its face."""
    if subject.is_head:
        return _face_box(subject)
    return bounding_box(subject.keypoints_xy[list(skeleton.BODY)])


def trusted(s: SubjectInFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(33,) whether each joint lies in the content and the network claims to see it."""
    seen: np.ndarray[tuple[int], np.dtype[np.bool_]] = inside(s) & (s.subject.visibility >= VISIBLE)
    return seen


def in_sight(s: SubjectInFrame) -> Floats:
    """(33,) 0 … 1: `trusted` as weights, so that a joint that is hardly seen, or at the edge of the
    frame, does not decide a measure alone."""
    return sight(s.subject.visibility) * sight_in(s.content, s.subject.keypoints_xy)


def measure(image: SubjectInFrame, video: SubjectInFrame) -> Measures:
    """All measures of the image's subject against the video's at one time.

    Where either is nothing but a head, heads are compared; only the shot tells of the rest.
    """
    shown_image, shown_video = inside(image), inside(video)
    shot = ShotPair(
        image=shot_class(image),
        video=shot_class(video),
        only_image=_labels(shown_image & ~shown_video),
        only_video=_labels(shown_video & ~shown_image),
    )
    shot_distance = abs(shot_level(image) - shot_level(video))
    confidence = confidences(image, video)
    image, video = comparable(image, video)
    offset = anchor_xy(image) - anchor_xy(video)
    a, b = view_matrix(image), view_matrix(video)
    yaw = pitch = roll = view = None
    if a is not None and b is not None:
        yaw, pitch, roll = view_difference(a, b)
        view = view_angle_deg(a, b)
    limbs = limb_angles(image, video)
    weights = limb_weights(image, video)
    ratios, parts_seen = compare_proportions(image, video)
    return Measures(
        zoom_ratio=zoom_ratio(image, video),
        offset_x=float(offset[0]),
        offset_y=float(offset[1]),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        camera_roll=_difference(plumb_deg(image), plumb_deg(video)),
        view_angle=view,
        shot=shot,
        shot_distance=shot_distance,
        by_head=image.subject.is_head,
        pose_angle=float(np.average(list(limbs.values()), weights=[weights[n] for n in limbs]))
        if limbs
        else None,
        limbs={name: angle for name, angle in limbs.items() if weights[name] >= 0.5},
        limbs_in_plane=limb_angles_in_plane(image, video),
        proportions=ratios,
        parts_seen=parts_seen,
        confidence=confidence,
    )


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else wrap_deg(a - b)


def plumb_deg(s: SubjectInFrame) -> float | None:
    """Angle from the picture's vertical to the world's, clockwise in deg; None unless shoulders,
    hips, knees and ankles are all seen.

    The line from the feet to the centre of mass is taken for the world's vertical: whoever stands
    or walks keeps the centre of mass above the feet. In a jump or a fall that is wrong.
    """
    if not trusted(s)[list(_STANDING)].all():
        return None
    points = s.subject.keypoints_xy * s.size

    def middle(pair: tuple[Joint, Joint]) -> Floats:
        return np.asarray((points[pair[0]] + points[pair[1]]) / 2.0)

    mass = sum((share * middle(pair) for pair, share in _MASS), np.zeros(2))
    x, y = mass - middle(skeleton.ANKLES)
    return math.degrees(math.atan2(x, -y))


def confidences(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    """Confidence 0 … 1 of each measure: the lower one of its two sides.

    It grows with the visibility of the joints that a measure uses (out of the picture: 0), and with
    their number where more joints help. That of angles in space falls where looks at the picture
    disagree, or where front and back were confused. That of the zoom is also high if both sides
    have a face mesh and the meshes agree with the joints. Heads are compared as surely as their
    faces were recognised.
    """
    compared = _of_heads if _by_head(image, video) else _of_bodies
    least = {
        "shot": min(_shot_confidence(image), _shot_confidence(video)),
        **compared(image, video),
    }
    return {name: round(value, 4) for name, value in least.items()}


def _of_bodies(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    limbs = sum(limb_weights(image, video).values())
    sides = [_confidence(s, limbs) for s in (image, video)]
    least = {name: min(side[name] for side in sides) for name in sides[0]}
    by_faces, by_joints = _zoom_by_faces(image, video), _zoom_by_scale(image, video)
    if by_faces and by_joints:
        sure = _faces_count(image, video, by_joints, by_faces)
        least["zoom_ratio"] = max(least["zoom_ratio"], sure)
    return least


def _of_heads(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    faces = [s.subject.face for s in (image, video)]
    recognised = min(0.0 if face is None else face.recognised for face in faces)
    # Where the head's points tell where a face would be, it is placed, if roughly.
    placed = min(
        0.0 if f is None else f.recognised if f.is_sure else min(f.confidence, HEAD_SEEN)
        for f in faces
    )
    zoom = recognised
    if _zoom_by_faces(image, video) is None:
        zoom = HEAD_AGAINST_BODY * min(
            (0.0 if face is None else face.recognised)
            if s.subject.is_head
            else _confidence(s, 0.0)["zoom_ratio"]
            for s, face in zip((image, video), faces, strict=True)
        )
    return {"zoom_ratio": zoom, "offset": placed, "view_angle": recognised}


def _confidence(s: SubjectInFrame, limbs: float) -> dict[str, float]:
    """Confidences of one body by measure; limbs: how many are seen on both sides."""
    seen = s.subject.visibility * sight_in(s.content, s.subject.keypoints_xy)
    shoulders = float(seen[list(skeleton.SHOULDERS)].mean())
    hips = float(seen[list(skeleton.HIPS)].mean())
    known = s.subject.agreement * (TURNED if s.subject.turned else 1.0)
    joints = float(seen[list(skeleton.BODY)].sum())
    return {
        "zoom_ratio": _more_the_better(joints / 2.0),
        "offset": shoulders,
        # Shoulders tell the turn and the lean; hips also the tip.
        "view_angle": (0.6 * shoulders + 0.4 * hips) * known,
        "pose_angle": _more_the_better(limbs) * known,
        "proportions": _more_the_better(
            sum(part.seen for name, part in s.parts.items() if name not in ("face", "hips"))
        ),
    }


def room_for_body(s: SubjectInFrame) -> float:
    """How surely a body would be seen below a head, had it been recognised, 0 … 1; 0 for bodies.

    0 where less than a head's height of picture lies below the chin, 1 from two and a half on: the
    hips of an adult lie three heads below the chin, those of drawn figures less.
    """
    if not s.subject.is_head:
        return 0.0
    face = _face_box(s.subject)
    heads = (s.content.bottom - face.bottom) / (face.height / FACE_IN_HEAD_WH[1])
    return float(ramp(np.asarray(heads), *BODY_BELOW_HEADS))


def _shot_confidence(s: SubjectInFrame) -> float:
    """Whether a joint in the picture is seen or hidden decides the shot class; of a head alone,
    whether there is a body that was not recognised."""
    if s.subject.is_head:
        return 1.0 - room_for_body(s)
    shown = inside(s)
    lower = [j for j in (*skeleton.HIPS, *skeleton.KNEES, *skeleton.ANKLES) if shown[j]]
    decided = [abs(2.0 * s.subject.visibility[j] - 1.0) for j in lower]
    return float(np.mean(decided)) if decided else 1.0


def _more_the_better(count: float) -> float:
    """0 for none, a half for one, 1 for many."""
    return 1.0 - math.pow(0.5, count)


def zoom_ratio(image: SubjectInFrame, video: SubjectInFrame) -> float | None:
    """How much larger the subject is in the image, each in its own frame's height.

    The ratio of two face meshes is more exact than that of the two `frame_height_m`, which come
    from the joints (docs/calibration.md).  But it compares heads, and a character's head may have
    another proportion.  So faces get a weight, exp(-(ln(joints / faces) / HEADS_ALIKE)^2) times the
    share of looks that recognised them, and joints the rest. Heads are compared by their faces
    alone, and by the two scales where one is not recognised.
    """
    by_joints, by_faces = _zoom_by_scale(image, video), _zoom_by_faces(image, video)
    if by_faces is not None and _by_head(image, video):
        return by_faces
    if by_joints is None or by_faces is None:
        return by_joints
    weight = _faces_count(image, video, by_joints, by_faces)
    return math.exp((1.0 - weight) * math.log(by_joints) + weight * math.log(by_faces))


def _heads_alike(by_joints: float, by_faces: float) -> float:
    """Weight 0 … 1: near 1 where both scales agree, so that the heads have the same proportion."""
    return math.exp(-((math.log(by_joints / by_faces) / HEADS_ALIKE) ** 2))


def _faces_count(
    image: SubjectInFrame, video: SubjectInFrame, by_joints: float, by_faces: float
) -> float:
    """Weight 0 … 1 of two face meshes in a zoom."""
    faces = [s.subject.face for s in (image, video)]
    recognised = min(0.0 if face is None else face.recognised for face in faces)
    return recognised * _heads_alike(by_joints, by_faces)


def _zoom_by_scale(image: SubjectInFrame, video: SubjectInFrame) -> float | None:
    here, there = frame_height_m(image), frame_height_m(video)
    return None if here is None or there is None else there / here


def _zoom_by_faces(image: SubjectInFrame, video: SubjectInFrame) -> float | None:
    spans = []
    for s in (image, video):
        face = s.subject.face
        if face is None or face.span_px is None or face.span_px <= 0:
            return None
        spans.append(face.span_px / (s.size.height * s.content.height))
    return spans[0] / spans[1]


def _labels(which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[str, ...]:
    return tuple(skeleton.label(joint) for joint in skeleton.BODY if which[joint])


def limb_weights(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    """How well each limb is seen on both sides, 0 … 1, without limbs that are not seen at all."""
    seen = np.minimum(in_sight(image), in_sight(video))
    weights = {name: float(min(seen[near], seen[far])) for name, (near, far) in LIMBS.items()}
    return {name: weight for name, weight in weights.items() if weight > 0.0}


def _limbs_in_both(image: SubjectInFrame, video: SubjectInFrame) -> list[tuple[str, Joint, Joint]]:
    return [(name, *LIMBS[name]) for name in limb_weights(image, video)]


def limb_angles(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    """Angle in deg between each limb's directions in the two torso frames (3-D)."""
    a, b = image.subject.view_matrix, video.subject.view_matrix
    if a is None or b is None:
        return {}
    angles = {}
    for name, near, far in _limbs_in_both(image, video):
        in_image = a.T @ (image.subject.world_xyz[far] - image.subject.world_xyz[near])
        in_video = b.T @ (video.subject.world_xyz[far] - video.subject.world_xyz[near])
        if np.linalg.norm(in_image) > 1e-6 and np.linalg.norm(in_video) > 1e-6:
            angles[name] = angle_between_deg(in_image, in_video)
    return angles


def limb_angles_in_plane(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    """Angle in deg between each limb's directions in the two pictures (2-D)."""
    angles = {}
    for name, near, far in _limbs_in_both(image, video):
        a, b = (
            (s.subject.keypoints_xy[far] - s.subject.keypoints_xy[near]) * s.size
            for s in (image, video)
        )
        if np.linalg.norm(a) > 1e-6 and np.linalg.norm(b) > 1e-6:
            angles[name] = angle_between_deg(a, b)
    return angles


class Part(NamedTuple):
    """Length of a part of the body in px; seen: 0 … 1, un-foreshortened and with both ends."""

    px: float
    seen: float


def body_parts(s: SubjectInFrame) -> dict[str, Part]:
    """The parts that the picture shows un-foreshortened.

    face: the mesh's span; head: eyes to mouth; shoulders; hips; torso: neck to hips; legs: thigh
    and shin, mean of the sides seen. A part with an end out of sight is left out.
    """
    points = s.subject.keypoints_xy * s.size
    world, sights = s.subject.world_xyz, in_sight(s)

    def between(near: Sequence[Joint], far: Sequence[Joint]) -> Part:
        """The part from the middle of one group of joints to that of another; `seen` is 0 where an
        end is hidden, or where the part points at the camera."""
        along = world[list(far)].mean(axis=0) - world[list(near)].mean(axis=0)
        in_space = float(np.linalg.norm(along))
        if in_space < 1e-6:
            return Part(0.0, 0.0)
        out = np.asarray(abs(float(along[2])) / in_space)
        stretched = 1.0 - float(ramp(out, _FORESHORTENED, _EDGE_FORESHORTENED))
        ends = points[list(far)].mean(axis=0) - points[list(near)].mean(axis=0)
        seen = min(stretched, float(sights[[*near, *far]].min()))
        return Part(float(np.linalg.norm(ends)), seen)

    # Of a head seen from behind the eyes and the mouth are a guess.
    ears_z = (world[Joint.LEFT_EAR, 2] + world[Joint.RIGHT_EAR, 2]) / 2.0
    from_front = bool(world[Joint.NOSE, 2] < ears_z)
    eyes, mouth = (Joint.LEFT_EYE, Joint.RIGHT_EYE), (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT)
    face = s.subject.face
    parts = {
        "face": Part(face.span_px, face.recognised) if face and face.span_px else None,
        "head": between(eyes, mouth) if from_front else None,
        "shoulders": between(skeleton.SHOULDERS[:1], skeleton.SHOULDERS[1:]),
        "hips": between(skeleton.HIPS[:1], skeleton.HIPS[1:]),
        "torso": between(skeleton.SHOULDERS, skeleton.HIPS),
        "legs": _leg(
            [
                (between([hip], [knee]), between([knee], [ankle]))
                for hip, knee, ankle in zip(
                    skeleton.HIPS, skeleton.KNEES, skeleton.ANKLES, strict=True
                )
            ]
        ),
    }
    return {
        name: part
        for name, part in parts.items()
        if part is not None and part.px > 1.0 and part.seen > 0.0
    }


def _leg(sides: Sequence[tuple[Part, Part]]) -> Part:
    """Length of thigh and shin: the mean of both legs, weighted by how well each is seen."""
    seen = [min(thigh.seen, shin.seen) for thigh, shin in sides]
    if not sum(seen):
        return Part(0.0, 0.0)
    return Part(float(np.average([a.px + b.px for a, b in sides], weights=seen)), max(seen))


def compare_proportions(
    image: SubjectInFrame, video: SubjectInFrame
) -> tuple[dict[str, float], dict[str, float]]:
    """Ratio image / video of head, shoulders, torso and legs, each relative to `px_per_m`, and of
    the width of the trunk (shoulders and hips) relative to its length; and how well each is seen
    in both, 0 … 1.

    `px_per_m` is fitted to all joints, so it depends less on a person's proportions than one part
    does. Where both sides have a face mesh, the meshes compare the heads, because they are more
    exact than eyes and mouth. Nothing is compared unless both sides show shoulders.
    """
    scales = image.subject.px_per_m, video.subject.px_per_m
    shoulders = float(np.minimum(in_sight(image), in_sight(video))[list(skeleton.SHOULDERS)].min())
    if scales[0] is None or scales[1] is None or not shoulders:
        return {}, {}
    a, b = image.parts, video.parts
    ratios = {n: a[n].px / b[n].px * scales[1] / scales[0] for n in a if n in b}
    seen = {n: min(a[n].seen, b[n].seen, shoulders) for n in ratios}
    face, by_face = ratios.pop("face", None), seen.pop("face", 0.0)
    if face is not None:
        by_joints, head = ratios.get("head", face), seen.get("head", 0.0)
        ratios["head"] = math.exp(by_face * math.log(face) + (1.0 - by_face) * math.log(by_joints))
        seen["head"] = max(by_face, head)
    hips, hips_seen = ratios.pop("hips", None), seen.pop("hips", 0.0)
    if hips is not None and "shoulders" in ratios and "torso" in ratios:
        ratios["width"] = math.sqrt(ratios["shoulders"] * hips) / ratios["torso"]
        seen["width"] = min(hips_seen, seen["shoulders"], seen["torso"])
    return ratios, seen


# ------------------------------------------------------------------ faces


def face_px(face: Face, size: Size) -> float:
    """Side in px of a square as large as the face's box, in a picture of this size."""
    return math.sqrt(face.box.area * size.width * size.height)


def face_crop(face_box: Box, size: Size) -> Box | None:
    """What the official code cuts out of a frame as its face, in whole px; None where empty.

    face_box: around the 68 face points (jaw, brows, eyes, nose, mouth), in px of the frame.  Its
    area grows by 1.3, a quarter of the added height below and the rest above; what leaves the
    frame is clipped away (Wan2.2, get_face_bboxes).  A box beyond the left or the top edge gives
    that code negative bounds, which do not cut out a face either.
    """
    crop = _grown_face(face_box).clipped(Box(0.0, 0.0, float(size.width), float(size.height)))
    whole = Box(*(float(math.floor(edge)) for edge in crop))
    return whole if whole.area > 0 else None


def face_crop_share(face_box: Box, size: Size) -> float:
    """Share 0 … 1 of the unclipped crop of `face_crop` that lies in the frame."""
    grown = _grown_face(face_box)
    frame = Box(0.0, 0.0, float(size.width), float(size.height))
    return grown.clipped(frame).area / grown.area if grown.area > 0 else 0.0


def _grown_face(box: Box) -> Box:
    more = math.sqrt(_FACE_CROP_AREA) - 1.0
    wider, higher = more * box.width, more * box.height
    return Box(
        box.left - wider / 2.0,
        box.top - 0.75 * higher,
        box.right + wider / 2.0,
        box.bottom + 0.25 * higher,
    )


def typical(measured: Sequence[Measures]) -> Measures:
    """The median of each measure over the clip, and the most frequent shot.

    For poses and proportions the median is weighted by how well limbs and parts are seen.
    """

    def middle(name: str) -> float | None:
        values = [v for m in measured if (v := getattr(m, name)) is not None]
        return float(median(values)) if values else None

    def middle_angle(name: str) -> float | None:
        """The median of angles, taken around their mean direction: of 179 and -179 it is 180."""
        values = [v for m in measured if (v := getattr(m, name)) is not None]
        if not values:
            return None
        radians = np.radians(values)
        mean = math.degrees(math.atan2(np.sin(radians).sum(), np.cos(radians).sum()))
        return wrap_deg(mean + median(wrap_deg(v - mean) for v in values))

    def middle_of(name: str) -> dict[str, float]:
        keys = sorted({key for m in measured for key in getattr(m, name)})
        return {
            key: float(median([getattr(m, name)[key] for m in measured if key in getattr(m, name)]))
            for key in keys
        }

    posed = [(m.pose_angle, m.confidence) for m in measured if m.pose_angle is not None]
    limbs_seen = [confident.get("pose_angle", 1.0) for _, confident in posed]
    confidence = middle_of("confidence")
    pose_angle: float | None = None
    if sum(limbs_seen):
        pose_angle = weighted_median([angle for angle, _ in posed], limbs_seen)
        confidence["pose_angle"] = weighted_median(limbs_seen, limbs_seen)
    parts = sorted({part for m in measured for part in m.proportions})
    ratios, parts_seen = {}, {}
    for part in parts:
        seen = [m.parts_seen.get(part, float(part in m.proportions)) for m in measured]
        ratios[part] = weighted_median([m.proportions.get(part, 1.0) for m in measured], seen)
        parts_seen[part] = weighted_median(seen, seen)
    shots = [m.shot for m in measured if m.shot is not None]
    of_video: list[Shot] = [shot.video for shot in shots if shot.video is not None]
    return Measures(
        zoom_ratio=middle("zoom_ratio"),
        offset_x=middle("offset_x"),
        offset_y=middle("offset_y"),
        yaw=middle_angle("yaw"),
        pitch=middle_angle("pitch"),
        roll=middle_angle("roll"),
        camera_roll=middle_angle("camera_roll"),
        view_angle=middle("view_angle"),
        pose_angle=pose_angle,
        shot=ShotPair(image=shots[0].image, video=mode(sorted(of_video)) if of_video else None)
        if shots
        else None,
        limbs=middle_of("limbs"),
        limbs_in_plane=middle_of("limbs_in_plane"),
        proportions=ratios,
        parts_seen=parts_seen,
        confidence=confidence,
        by_head=bool(measured) and all(m.by_head for m in measured),
    )


def display_aspect(evidence: Evidence) -> float | None:
    """Width / height of the content in square pixels, black bars excluded."""
    info = evidence.info
    if info is None:
        return None
    return (info.width * evidence.content.width) / (info.height * evidence.content.height)


def aspect_gap(image: Evidence, video: Evidence) -> float | None:
    """max / min of the two display aspect ratios, >= 1."""
    a, b = display_aspect(image), display_aspect(video)
    if a is None or b is None:
        return None
    return max(a, b) / min(a, b)
