"""How sure the measures of one side are, 0 … 1, from what is seen of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from wan_prep.measures.parts import body_parts
from wan_prep.measures.side import SubjectInFrame, face_box, in_content, inside, once, ramp_at
from wan_prep.pose import skeleton
from wan_prep.pose.body import FACE_IN_HEAD_WH
from wan_prep.profile import Profile

TURNED = 0.5
"""Factor of the confidence for a body whose sides were exchanged: its turn is less exact, and the
depth of its limbs is unknown (docs/calibration.md)."""
_SHOULDERS, _HIPS, _BODY = map(list, (skeleton.SHOULDERS, skeleton.HIPS, skeleton.BODY))


@once
def confidence_of_body(s: SubjectInFrame) -> Mapping[str, float]:
    """Confidences of one body by measure; that of the pose as if every limb were seen."""
    seen = s.subject.visibility * in_content(s)
    shoulders = float(seen[_SHOULDERS].mean())
    hips = float(seen[_HIPS].mean())
    known = s.subject.agreement * (TURNED if s.subject.turned else 1.0)
    return {
        "zoom_ratio": more_the_better(float(seen[_BODY].sum()) / 2.0),
        "offset": shoulders,
        # Shoulders tell the turn and the lean; hips also the tip.
        "view_angle": (0.6 * shoulders + 0.4 * hips) * known,
        "pose_angle": known,
        "proportions": more_the_better(
            sum(part.seen for name, part in body_parts(s).items() if name not in ("face", "hips"))
        ),
    }


def room_for_body(s: SubjectInFrame, profile: Profile) -> float:
    """How surely a body would be seen below a head, had it been recognised, 0 … 1; 0 for bodies.

    0 up to `body_room_min` of the profile, 1 from `body_room_full` on, in heads of picture below
    the chin.
    """
    if not s.subject.is_head:
        return 0.0
    least, full = profile.limit("body_room_min"), profile.limit("body_room_full")
    return ramp_at(_heads_below_chin(s), (least + full) / 2.0, (full - least) / 2.0)


@once
def _heads_below_chin(s: SubjectInFrame) -> float:
    """Height of the picture below the face, in heights of the head."""
    face = face_box(s.subject)
    return (s.content.bottom - face.bottom) / (face.height / FACE_IN_HEAD_WH[1])


def shot_confidence(s: SubjectInFrame, profile: Profile) -> float:
    """Whether a joint in the picture is seen or hidden decides the shot class; of a head alone,
    whether there is a body that was not recognised."""
    if s.subject.is_head:
        return 1.0 - room_for_body(s, profile)
    return _decided(s)


@once
def _decided(s: SubjectInFrame) -> float:
    """How clearly the lower joints in the picture are seen or hidden, 0 … 1."""
    shown = inside(s)
    lower = [j for j in (*skeleton.HIPS, *skeleton.KNEES, *skeleton.ANKLES) if shown[j]]
    decided = [abs(2.0 * s.subject.visibility[j] - 1.0) for j in lower]
    return float(np.mean(decided)) if decided else 1.0


def more_the_better(count: float) -> float:
    """0 for none, a half for one, 1 for many."""
    return 1.0 - math.pow(0.5, count)
