"""The 33 BlazePose landmarks as data: names, limbs, groups, and partners on the other side.

Left and right are the person's own.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Joint(IntEnum):
    """Index of a landmark in every (33, …) array of this project."""

    NOSE = 0
    LEFT_EYE_INNER = 1
    LEFT_EYE = 2
    LEFT_EYE_OUTER = 3
    RIGHT_EYE_INNER = 4
    RIGHT_EYE = 5
    RIGHT_EYE_OUTER = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    MOUTH_LEFT = 9
    MOUTH_RIGHT = 10
    LEFT_SHOULDER = 11
    RIGHT_SHOULDER = 12
    LEFT_ELBOW = 13
    RIGHT_ELBOW = 14
    LEFT_WRIST = 15
    RIGHT_WRIST = 16
    LEFT_PINKY = 17
    RIGHT_PINKY = 18
    LEFT_INDEX = 19
    RIGHT_INDEX = 20
    LEFT_THUMB = 21
    RIGHT_THUMB = 22
    LEFT_HIP = 23
    RIGHT_HIP = 24
    LEFT_KNEE = 25
    RIGHT_KNEE = 26
    LEFT_ANKLE = 27
    RIGHT_ANKLE = 28
    LEFT_HEEL = 29
    RIGHT_HEEL = 30
    LEFT_FOOT_INDEX = 31
    RIGHT_FOOT_INDEX = 32


JOINT_COUNT = len(Joint)

LIMBS: dict[str, tuple[Joint, Joint]] = {
    "left_upper_arm": (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW),
    "right_upper_arm": (Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW),
    "left_forearm": (Joint.LEFT_ELBOW, Joint.LEFT_WRIST),
    "right_forearm": (Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST),
    "left_thigh": (Joint.LEFT_HIP, Joint.LEFT_KNEE),
    "right_thigh": (Joint.RIGHT_HIP, Joint.RIGHT_KNEE),
    "left_shin": (Joint.LEFT_KNEE, Joint.LEFT_ANKLE),
    "right_shin": (Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE),
}
"""Name → (near, far) joint of the limbs whose direction a pose is compared by."""

SKELETON_LINES: tuple[tuple[Joint, Joint], ...] = (
    *LIMBS.values(),
    (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER),
    (Joint.LEFT_HIP, Joint.RIGHT_HIP),
    (Joint.LEFT_SHOULDER, Joint.LEFT_HIP),
    (Joint.RIGHT_SHOULDER, Joint.RIGHT_HIP),
    (Joint.LEFT_EAR, Joint.LEFT_EYE),
    (Joint.LEFT_EYE, Joint.NOSE),
    (Joint.NOSE, Joint.RIGHT_EYE),
    (Joint.RIGHT_EYE, Joint.RIGHT_EAR),
)
"""What a drawing of the body connects."""

HEAD: tuple[Joint, ...] = tuple(Joint(i) for i in range(11))
SHOULDERS = (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER)
HIPS = (Joint.LEFT_HIP, Joint.RIGHT_HIP)
KNEES = (Joint.LEFT_KNEE, Joint.RIGHT_KNEE)
ANKLES = (Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE)
TORSO: tuple[Joint, ...] = (*SHOULDERS, *HIPS)

BODY: tuple[Joint, ...] = (
    Joint.NOSE,
    Joint.LEFT_EAR,
    Joint.RIGHT_EAR,
    *TORSO,
    Joint.LEFT_ELBOW,
    Joint.RIGHT_ELBOW,
    Joint.LEFT_WRIST,
    Joint.RIGHT_WRIST,
    *KNEES,
    *ANKLES,
)
"""The joints that tell the body's place and size: without eyes, mouth, fingers and feet."""


def _mirror_indices() -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    by_name = {joint.name: joint for joint in Joint}

    def partner(name: str) -> str:
        if "LEFT" in name:
            return name.replace("LEFT", "RIGHT")
        return name.replace("RIGHT", "LEFT")

    return np.array([by_name[partner(joint.name)] for joint in Joint], dtype=np.intp)


MIRROR = _mirror_indices()
"""(33,) index of each landmark's partner on the body's other side."""


def label(joint: Joint) -> str:
    """`LEFT_KNEE` → `left knee`, as messages say it."""
    return joint.name.replace("_", " ").lower()
