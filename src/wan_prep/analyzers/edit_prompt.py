"""One line for an image editor: what to change in the picture so that it fits the first frame.

The words describe the person as the edited picture should show them, which is as the first frame
does. Left and right arms and legs are the person's own; where they then are for a viewer is said
beside. Directions come from the body's own axes (x to the person's left, y up, z out of the
chest), so that they do not depend on the camera.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from wan_prep.findings import PairContext
from wan_prep.geometry import Floats, angle_between_deg, view_angles
from wan_prep.measures.model import SHOT_WORDS, Measures
from wan_prep.measures.pair import comparable
from wan_prep.measures.side import SubjectInFrame, in_sight, view_matrix
from wan_prep.pose.body import Shot
from wan_prep.pose.skeleton import SHOULDERS, Joint

CODES = ("WP303", "WP304", "WP401")
"""The checks whose findings another picture mends, and no crop."""

Side = Literal["left", "right"]
_SIDES: tuple[Side, Side] = ("left", "right")
_SHOTS: tuple[Shot, ...] = ("face", "bust", "half", "three_quarter", "full")
_SEEN = 0.5
# Where one word ends and the next begins, in deg.
_FRONT, _SIDE, _BACK = 20.0, 60.0, 120.0
_DOWN, _LOW, _LEVEL, _UP = 25.0, 60.0, 120.0, 150.0
_BENT, _STANDING, _RAISED = 40.0, 35.0, 55.0
_KEEP = "Keep the face, hair, clothes, colours and background as they are."


def edit_prompt(context: PairContext) -> str | None:
    """What an image editor would be asked for; None where nothing that it could change differs.

    For the picture of a person whose view, limbs or visible part of the body differ from the first
    frame's by more than the profile calls fine.
    """
    image, video, measures = context.image_subject, context.template_subject, context.first
    if image is None or video is None or measures is None:
        return None
    picture, target = comparable(image, video)
    turn = _turn(picture, target, measures, context)
    limbs = [] if measures.by_head else _limbs(target, measures, context)
    shown = _shown(measures)
    if turn is None and not limbs and shown is None:
        return None
    sentences = [_pose(turn, limbs), shown, _KEEP]
    return " ".join(sentence for sentence in sentences if sentence is not None)


def _pose(turn: str | None, limbs: list[str]) -> str | None:
    if not limbs:
        return None if turn is None else f"{turn}."
    return f"{turn or 'Change the pose of the person'}, {', '.join(limbs)}."


def _shown(measures: Measures) -> str | None:
    """What of the body the picture must show in addition."""
    shot = measures.shot
    if shot is None or shot.image is None or shot.video is None:
        return None
    if _SHOTS.index(shot.video) <= _SHOTS.index(shot.image):
        return None
    return f"Show {SHOT_WORDS[shot.video]}."


# ------------------------------------------------------------------ the view


def _turn(
    picture: SubjectInFrame, target: SubjectInFrame, measures: Measures, context: PairContext
) -> str | None:
    view, given = view_matrix(target), view_matrix(picture)
    if view is None or given is None or measures.view_angle is None:
        return None
    is_fine = measures.view_angle <= context.tolerance("view").fine
    if measures.confidence.get("view_angle", 1.0) < context.profile.limit("confidence_min"):
        return None
    if is_fine or facing(view) == facing(given):  # no word would tell the two apart
        return None
    who = "head" if measures.by_head else "person"
    return f"Turn the {who} {facing(view)}"


def facing(view: Floats) -> str:
    """`to face the camera`, or another direction; view: (3, 3), body into camera axes.

    The picture's left and right are the viewer's.
    """
    away = abs(view_angles(view).yaw)
    # The camera's x axis points to the right of the picture, the body's z axis out of the chest.
    side = "right" if float(view[0, 2]) > 0 else "left"
    if away < _FRONT:
        return "to face the camera"
    if away < _SIDE:
        return (
            f"to face about {_rounded(away)} degrees away from the camera, towards the {side} of "
            "the picture"
        )
    if away < _BACK:
        return f"to be seen from the side, facing the {side} of the picture"
    return "to be seen from behind"


def _rounded(degrees: float) -> int:
    return 5 * round(degrees / 5.0)


# ------------------------------------------------------------------ arms and legs


@dataclass(frozen=True)
class _Bones:
    """The two bones of an arm or a leg as unit vectors (3,) in the body's own axes.

    outward: +1 where the body's x axis leads away from the trunk on this side, -1 where it leads
    to it.
    """

    near: Floats
    far: Floats
    outward: float

    @property
    def bend(self) -> float:
        """Deg between the two: 0 for a straight arm or leg."""
        return angle_between_deg(self.near, self.far)

    @property
    def whole(self) -> Floats:
        return self.near + self.far


def _limbs(target: SubjectInFrame, measures: Measures, context: PairContext) -> list[str]:
    """Words for arms and legs that differ, as the target has them."""
    said: list[str] = []
    for kind, near, far, words in (
        ("arm", "upper_arm", "forearm", arm_words),
        ("leg", "thigh", "shin", leg_words),
    ):
        found: dict[Side, str] = {}
        for side in _SIDES:
            bones = _bones(target, kind, side)
            if bones is not None and _differs(measures, context, side, near, far):
                found[side] = words(bones)
        if len(found) == 2 and found["left"] == found["right"]:
            said.append(f"both {kind}s {_of_two(found['left'])}")
        else:
            said += [
                f"the person's {side} {kind} ({place(target, side)}) {how}"
                for side, how in found.items()
            ]
    return said


def _of_two(words: str) -> str:
    """What is said of one arm or leg, of both."""
    return re.sub(r"\b(elbow|forearm|knee|side|thigh)\b", r"\1s", words)


def _differs(measures: Measures, context: PairContext, side: Side, near: str, far: str) -> bool:
    fine = context.tolerance("pose").fine
    angles = [measures.limbs.get(f"{side}_{bone}") for bone in (near, far)]
    return any(angle is None or angle > fine for angle in angles)


_JOINTS = {"arm": ("SHOULDER", "ELBOW", "WRIST"), "leg": ("HIP", "KNEE", "ANKLE")}


def _bones(target: SubjectInFrame, kind: str, side: Side) -> _Bones | None:
    """None where the target does not show the whole arm or leg, or where its depth is unknown."""
    joints = [Joint[f"{side.upper()}_{name}"] for name in _JOINTS[kind]]
    view, world = target.subject.view_matrix, target.subject.world_xyz
    if view is None or target.subject.turned or float(in_sight(target)[joints].min()) < _SEEN:
        return None
    near, far = (view.T @ (world[b] - world[a]) for a, b in pairwise(joints))
    lengths = float(np.linalg.norm(near)), float(np.linalg.norm(far))
    if min(lengths) < 1e-6:
        return None
    return _Bones(near / lengths[0], far / lengths[1], 1.0 if side == "left" else -1.0)


def place(target: SubjectInFrame, side: Side) -> str:
    """Where an arm or a leg of this side is for somebody who looks at the picture."""
    left, right = (target.subject.world_xyz[joint] for joint in SHOULDERS)
    across = left - right
    # The places of the shoulders in the picture are seen, their depth is reckoned.
    left_x, right_x = target.subject.keypoints_xy[list(SHOULDERS), 0] * target.size.width
    wide = float(left_x - right_x) / (target.subject.px_per_m or 1.0)
    if abs(wide) >= 0.5 * float(np.linalg.norm(across)):
        is_right = (wide > 0) == (side == "left")
        return f"on the {'right' if is_right else 'left'} of the picture"
    is_near = (across[2] < 0) == (side == "left")  # z leads away from the camera
    return "nearer to the camera" if is_near else "farther from the camera"


def arm_words(arm: _Bones) -> str:
    """`hanging down at the side`, `bent (elbow at the side, forearm pointing up)`, …"""
    if arm.bend < _BENT:
        height = _from_down(arm.whole)
        if height < _DOWN:
            return "hanging down at the side"
        if height > _UP:
            return "stretched straight up"
        where = _around(arm.whole, arm.outward)
        if height < _LOW:
            return f"stretched down{',' if ' and ' in where else ' and'} {where}"
        return f"stretched {where}" if height < _LEVEL else f"raised and stretched {where}"
    height = _from_down(arm.near)
    if height < _DOWN:
        elbow = "at the side"
    elif height > _LEVEL:
        elbow = "raised"
    else:
        elbow = _around(arm.near, arm.outward)
    return f"bent (elbow {elbow}, forearm pointing {_towards(arm.far, arm.outward)})"


def leg_words(leg: _Bones) -> str:
    """`straight`, `stretched out to the side`, `bent at the knee (thigh forward)`, …"""
    height = _from_down(leg.near)
    is_bent = leg.bend >= _BENT
    if height < _STANDING:
        return "bent at the knee" if is_bent else "straight"
    where = _around(leg.near, leg.outward)
    if not is_bent:
        return f"stretched {where}"
    raised = "raised " if height > _RAISED else ""
    return f"bent at the knee (thigh {raised}{where})"


def _from_down(direction: Floats) -> float:
    """Deg between a direction and the way down along the spine: 0 hanging, 180 straight up."""
    return angle_between_deg(direction, np.array([0.0, -1.0, 0.0]))


def _around(direction: Floats, outward: float) -> str:
    """The direction as seen from above: one of four, or two of them where neither prevails."""
    x, z = outward * float(direction[0]), float(direction[2])
    along = "forward" if z > 0 else "backward"
    across = "out to the side" if x > 0 else "across the body"
    if abs(z) > 2.0 * abs(x):
        return along
    return across if abs(x) > 2.0 * abs(z) else f"{along} and {across}"


def _towards(direction: Floats, outward: float) -> str:
    """The direction as one of six."""
    if abs(float(direction[1])) > float(np.hypot(direction[0], direction[2])):
        return "up" if direction[1] > 0 else "down"
    return _around(direction, outward)
