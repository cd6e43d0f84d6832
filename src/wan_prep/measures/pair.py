"""What differs between the image and one moment of the video.

Pure: two subjects in, numbers out.
"""

from __future__ import annotations

import math

import numpy as np

from wan_prep.evidence import Evidence
from wan_prep.geometry import angle_between_deg, view_angle_deg, view_difference, wrap_deg
from wan_prep.measures.model import Measures, ShotPair
from wan_prep.measures.side import (
    SubjectInFrame,
    anchor_xy,
    confidence_of_body,
    display_aspect,
    frame_height_m,
    in_sight,
    inside,
    plumb_deg,
    shot_class,
    shot_confidence,
    shot_level,
    view_matrix,
)
from wan_prep.pose import skeleton
from wan_prep.pose.body import HEAD_SEEN
from wan_prep.pose.skeleton import LIMBS, Joint
from wan_prep.profile import Profile

HEADS_ALIKE = 0.2
"""Log ratio of joint scale to face scale at which faces lose most of their weight: the heads then
have different proportions."""
HEAD_AGAINST_BODY = 0.5
"""Factor of the confidence of a zoom between the scale of a head and that of a body: it is right if
the head is as large as an adult's."""


def measure(image: SubjectInFrame, video: SubjectInFrame, profile: Profile) -> Measures:
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
    confidence = confidences(image, video, profile)
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


def comparable(
    image: SubjectInFrame, video: SubjectInFrame
) -> tuple[SubjectInFrame, SubjectInFrame]:
    """Both sides by what they have in common: by their heads where either is nothing but a head,
    else as they are."""
    return (image.head, video.head) if _by_head(image, video) else (image, video)


def _by_head(image: SubjectInFrame, video: SubjectInFrame) -> bool:
    return image.subject.is_head or video.subject.is_head


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else wrap_deg(a - b)


def confidences(image: SubjectInFrame, video: SubjectInFrame, profile: Profile) -> dict[str, float]:
    """Confidence 0 … 1 of each measure: the lower one of its two sides.

    It grows with the visibility of the joints that a measure uses (out of the picture: 0), and with
    their number where more joints help. That of angles in space falls where looks at the picture
    disagree, or where front and back were confused. That of the zoom is also high if both sides
    have a face mesh and the meshes agree with the joints. Heads are compared as surely as their
    faces were recognised.
    """
    compared = _of_heads if _by_head(image, video) else _of_bodies
    least = {
        "shot": min(shot_confidence(image, profile), shot_confidence(video, profile)),
        **compared(image, video),
    }
    return {name: round(value, 4) for name, value in least.items()}


def _of_bodies(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    limbs = sum(limb_weights(image, video).values())
    sides = [confidence_of_body(s, limbs) for s in (image, video)]
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
            else confidence_of_body(s, 0.0)["zoom_ratio"]
            for s, face in zip((image, video), faces, strict=True)
        )
    return {"zoom_ratio": zoom, "offset": placed, "view_angle": recognised}


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


def _labels(which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[str, ...]:
    return tuple(skeleton.label(joint) for joint in skeleton.BODY if which[joint])


def aspect_gap(image: Evidence, video: Evidence) -> float | None:
    """max / min of the two display aspect ratios, >= 1."""
    a, b = display_aspect(image), display_aspect(video)
    if a is None or b is None:
        return None
    return max(a, b) / min(a, b)
