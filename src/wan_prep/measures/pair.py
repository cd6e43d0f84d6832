"""What differs between the image and one moment of the video.

Pure: two subjects in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from wan_prep.evidence import Evidence
from wan_prep.geometry import Floats, view_angle_deg, wrap_deg
from wan_prep.measures.confidence import confidence_of_body, more_the_better, shot_confidence
from wan_prep.measures.model import Measures, ShotPair
from wan_prep.measures.parts import (
    body_parts,
    limbs_in_picture,
    limbs_in_sight,
    limbs_in_torso_frame,
)
from wan_prep.measures.side import (
    SubjectInFrame,
    anchor_xy,
    display_aspect,
    face_share,
    frame_height_m,
    in_sight,
    inside,
    plumb_deg,
    shot_class,
    shot_level,
    view,
    view_matrix,
)
from wan_prep.pose import skeleton
from wan_prep.pose.body import HEAD_SEEN
from wan_prep.pose.skeleton import LIMBS
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
    yaw, pitch, roll = _turned(image, video)
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
        view_angle=_view_angle(image, video),
        shot=shot,
        shot_distance=shot_distance,
        by_head=image.subject.is_head,
        pose_angle=_mean(list(limbs.values()), [weights[name] for name in limbs]),
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


def _turned(image: SubjectInFrame, video: SubjectInFrame) -> tuple[float | None, ...]:
    """Differences of yaw, pitch and roll in deg; None where a view is unknown."""
    a, b = view(image), view(video)
    if a is None or b is None:
        return None, None, None
    return tuple(wrap_deg(x - y) for x, y in zip(a, b, strict=True))


def _view_angle(image: SubjectInFrame, video: SubjectInFrame) -> float | None:
    a, b = view_matrix(image), view_matrix(video)
    return None if a is None or b is None else view_angle_deg(a, b)


def _mean(values: Sequence[float], weights: Sequence[float]) -> float | None:
    """Weighted; None of no values."""
    if not values:
        return None
    weight = np.array(weights)
    return float((np.array(values) * weight).sum() / weight.sum())


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
    a, b = confidence_of_body(image), confidence_of_body(video)
    least = {name: min(a[name], b[name]) for name in a}
    least["pose_angle"] *= more_the_better(sum(limb_weights(image, video).values()))
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
            else confidence_of_body(s)["zoom_ratio"]
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
    here, there = face_share(image), face_share(video)
    return None if here is None or there is None else here / there


def limb_weights(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    """How well each limb is seen on both sides, 0 … 1, without limbs that are not seen at all."""
    a, b = limbs_in_sight(image), limbs_in_sight(video)
    return {name: seen for name in a if (seen := min(a[name], b[name])) > 0.0}


def limb_angles(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    """Angle in deg between each limb's directions in the two torso frames (3-D)."""
    return _angles(image, video, limbs_in_torso_frame)


def limb_angles_in_plane(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    """Angle in deg between each limb's directions in the two pictures (2-D)."""
    return _angles(image, video, limbs_in_picture)


def _angles(
    image: SubjectInFrame, video: SubjectInFrame, directions: Callable[[SubjectInFrame], Floats]
) -> dict[str, float]:
    """Angles in deg between the limbs seen in both, of those that have a direction on both sides.

    directions: (limbs, …) of one side, at length 1.
    """
    limbs = limb_weights(image, video)
    if not limbs:
        return {}
    cosines = np.vecdot(directions(image), directions(video)).tolist()
    return {
        name: math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
        for name, cosine in zip(LIMBS, cosines, strict=True)
        if name in limbs and not math.isnan(cosine)
    }


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
    shoulders = min(
        float(in_sight(side)[joint]) for side in (image, video) for joint in skeleton.SHOULDERS
    )
    if scales[0] is None or scales[1] is None or not shoulders:
        return {}, {}
    a, b = body_parts(image), body_parts(video)
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
