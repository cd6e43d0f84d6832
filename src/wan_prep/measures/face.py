"""The face in a picture: how large it is, and what the model cuts out of a frame as one."""

from __future__ import annotations

import math

from wan_prep.evidence import Face
from wan_prep.geometry import Box, Size

# What the official code grows the area of the face points' box by (Wan2.2, get_face_bboxes).
_FACE_CROP_AREA = 1.3


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
