"""What a detector of several people says, for fake estimators that know their bodies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from wan_prep.geometry import Box, bounding_box
from wan_prep.pose.estimator import Proposal, RawPose
from wan_prep.pose.movenet import JOINTS


def proposals_of(raws: Iterable[RawPose], score: float = 0.6) -> list[Proposal]:
    """One proposal for each body, with its joints as they are and a box around them."""
    found = []
    for raw in raws:
        points = raw.keypoints_xy[list(JOINTS)]
        box = bounding_box(points)
        grow = 0.1 * max(box.width, box.height)
        grown = Box(box.left - grow, box.top - grow, box.right + grow, box.bottom + grow)
        found.append(Proposal(grown, points, np.full(len(JOINTS), score), score))
    return found
