"""The body as other tools draw it: OpenPose's coloured sticks on black, at any time of a clip."""

from __future__ import annotations

import colorsys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from wan_prep.evidence import Evidence, Observation
from wan_prep.report.keypoints import OPENPOSE_18, Canvas, Joints

Rgb = NDArray[np.uint8]

_LINES = (
    ("neck", "right_shoulder"),
    ("neck", "left_shoulder"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("neck", "right_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("neck", "left_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("neck", "nose"),
    ("nose", "right_eye"),
    ("right_eye", "right_ear"),
    ("nose", "left_eye"),
    ("left_eye", "left_ear"),
)
"""What OpenPose connects, in the order of its colours."""
_COLORS = tuple(
    tuple(round(255 * part) for part in colorsys.hsv_to_rgb(k / len(OPENPOSE_18), 1.0, 1.0))
    for k in range(len(OPENPOSE_18))
)
"""OpenPose's colours: once around the hues, in steps of 20 degrees."""
_LINE_SHADE = 0.6
"""Lines are darker than joints, as ControlNet draws them."""
_LINE_SHARE = 1 / 64
"""Width of a line, and of a joint, as a share of the canvas's shorter side: 8 px in 512."""
_SUBPIXEL_BITS = 4


def pose_frames(evidence: Evidence, canvas: Canvas, fps: Fraction) -> Iterator[Rgb]:
    """(h, w, 3) pictures of the part of a clip that counts, at a constant rate; `frame_count` says
    how many."""
    for k in range(frame_count(evidence, fps)):
        joints = joints_at(evidence.observations, evidence.start + k / fps, 1 / fps)
        yield draw_pose(joints, canvas)


def frame_count(evidence: Evidence, fps: Fraction) -> int:
    """How many whole frames the part that counts has room for, at least one."""
    return max(1, int(evidence.span * fps))


def joints_at(
    observations: Sequence[Observation], time: Fraction, frame_s: Fraction
) -> Joints | None:
    """The joints at a time in s; None where nobody is known to be in the picture.

    Between two samples of one shot they move in a straight line, and so does their visibility.
    A body that is gone in the next sample stays for `frame_s`, the length of a frame; from the last
    sample of a shot to the cut, or to the end, it stays as it was.
    """
    k = bisect_right([o.time for o in observations], time) - 1
    if k < 0 or (subject := observations[k].subject) is None:
        return None
    here, before = observations[k], Joints.of(subject)
    after = observations[k + 1] if k + 1 < len(observations) else None
    if after is None or after.scene != here.scene or time == here.time:
        return before
    if after.subject is None:
        return before if time - here.time < frame_s else None
    return _between(
        before, Joints.of(after.subject), float((time - here.time) / (after.time - here.time))
    )


def _between(a: Joints, b: Joints, share: float) -> Joints:
    return Joints(
        xy=(1.0 - share) * a.xy + share * b.xy,
        visibility=(1.0 - share) * a.visibility + share * b.visibility,
        is_located=a.is_located & b.is_located,
    )


def draw_pose(joints: Joints | None, canvas: Canvas) -> Rgb:
    """(h, w, 3) OpenPose's drawing of a body on black; joints that are not seen are left out."""
    picture = np.zeros((canvas.size.height, canvas.size.width, 3), dtype=np.uint8)
    if joints is None:
        return picture
    places, seen = joints.laid_out(OPENPOSE_18)
    pixels = np.rint((canvas.px(places) - 0.5) * 2**_SUBPIXEL_BITS).astype(int).tolist()
    at = dict(zip(OPENPOSE_18, pixels, strict=True))
    is_seen = dict(zip(OPENPOSE_18, seen.tolist(), strict=True))
    width = max(1, round(_LINE_SHARE * min(canvas.size)))
    for (near, far), color in zip(_LINES, _COLORS, strict=False):
        if is_seen[near] and is_seen[far]:
            shade = [round(_LINE_SHADE * part) for part in color]
            cv2.line(picture, at[near], at[far], shade, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    radius = max(1, round(width * 2 ** (_SUBPIXEL_BITS - 1)))
    for name, color in zip(OPENPOSE_18, _COLORS, strict=True):
        if is_seen[name]:
            cv2.circle(picture, at[name], radius, color, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
    return picture
