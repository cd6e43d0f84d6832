"""Reasons to doubt that landmarks belong to a body.

A pose network answers for any picture, and its `visibility` does not tell whether anybody is there.
The doubts here come from the landmarks of one picture; jumps between pictures are found by `track`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from wan_prep.geometry import Floats, angle_between_deg
from wan_prep.pose import skeleton
from wan_prep.pose.body import Body, midpoint
from wan_prep.pose.skeleton import Joint

Doubt = Literal[
    "upside_down", "head_off_the_neck", "head_turned_over", "sides_swapped", "shapeless"
]

# From the picture's up to the torso's. The network's usual hallucination is a whole person upside
# down, which is far beyond this.
UPSIDE_DOWN_DEG = 110.0
# From the spine's down to the head's (eyes to mouth). A person can bow the head by 90 degrees.
HEAD_TURNED_DEG = 120.0
# The shortest plausible torso, as a multiple of the distance from eyes to mouth: a cartoon child
# with a large head has 0.8, an adult 7.
SHORTEST_TORSO = 0.4


def doubts(body: Body) -> tuple[Doubt, ...]:
    """Reasons not to believe this body, the strongest first; empty where it is plausible."""
    points = body.keypoints_xy
    neck = midpoint(points, skeleton.SHOULDERS)
    hips = midpoint(points, skeleton.HIPS)
    eyes = midpoint(points, (Joint.LEFT_EYE, Joint.RIGHT_EYE))
    mouth = midpoint(points, (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT))
    spine, face_down = neck - hips, mouth - eyes
    torso_px, eye_mouth_px = float(np.linalg.norm(spine)), float(np.linalg.norm(face_down))
    if eye_mouth_px < 1e-6 or torso_px < SHORTEST_TORSO * eye_mouth_px:
        return ("shapeless",)
    found: list[Doubt] = []
    if angle_between_deg(spine, (0.0, -1.0)) > UPSIDE_DOWN_DEG:
        found.append("upside_down")
    if _head_is_below_the_neck(points, neck, spine, torso_px, eye_mouth_px):
        found.append("head_off_the_neck")
    if angle_between_deg(face_down, -spine) > HEAD_TURNED_DEG:
        found.append("head_turned_over")
    if _sides_disagree(points, torso_px):
        found.append("sides_swapped")
    return tuple(found)


def _head_is_below_the_neck(
    points: Floats, neck: Floats, spine: Floats, torso_px: float, eye_mouth_px: float
) -> bool:
    """Whether the middle of the head lies clearly on the hips' side of the shoulder line.

    A head bent to the chest comes as low as the shoulders, but not lower by its own height.
    """
    head = points[list(skeleton.HEAD)].mean(axis=0)
    along_spine = float(np.dot(head - neck, spine)) / torso_px
    return along_spine < -max(0.1 * torso_px, 1.0 * eye_mouth_px)


def _sides_disagree(points: Floats, torso_px: float) -> bool:
    """Whether a body seen from front or back has left and right in opposite order at the shoulders
    and at the hips, or at the eyes."""
    eyes = points[Joint.LEFT_EYE, 0] - points[Joint.RIGHT_EYE, 0]
    shoulders = points[Joint.LEFT_SHOULDER, 0] - points[Joint.RIGHT_SHOULDER, 0]
    hips = points[Joint.LEFT_HIP, 0] - points[Joint.RIGHT_HIP, 0]
    broad = abs(shoulders) > 0.35 * torso_px and abs(hips) > 0.2 * torso_px
    return bool(broad and shoulders * hips < 0) or bool(
        broad and abs(eyes) > 0.12 * torso_px and shoulders * eyes < 0 and hips * eyes < 0
    )
