"""What the project needs of a pose network, whoever makes it.

An estimator answers for one picture, independent of those before; only a follower, made for one
clip, remembers the last picture.  Everything behind this protocol is plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from wan_prep.geometry import Box
from wan_prep.pose.skeleton import JOINT_COUNT

Rgb = NDArray[np.uint8]
"""(H, W, 3) picture."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RawPose:
    """One body as the network answered it.

    keypoints_xy: (33, 2) px of the picture given, possibly outside of it.
    visibility: (33,) 0 … 1, the network's own claim.
    world_xyz: (33, 3) m, hip-centred; x right, y down, z away, in a camera that looks
    straight at the body.
    """

    keypoints_xy: Floats
    visibility: Floats
    world_xyz: Floats

    def __post_init__(self) -> None:
        shapes = (self.keypoints_xy.shape, self.visibility.shape, self.world_xyz.shape)
        expected = ((JOINT_COUNT, 2), (JOINT_COUNT,), (JOINT_COUNT, 3))
        if shapes != expected:
            raise ValueError(f"expected arrays of shapes {expected}, got {shapes}")
        if not all(np.isfinite(a).all() for a in (self.keypoints_xy, self.world_xyz)):
            raise ValueError("a pose must be finite")


@dataclass(frozen=True)
class RawFace:
    """One face: mesh_xyz (468, 3) px of the picture given; z away from the camera, in px too."""

    mesh_xyz: Floats


@dataclass(frozen=True)
class Proposal:
    """Somebody whom a detector of several people proposes.

    box: px of the picture given, possibly outside of it.  score: 0 … 1, not calibrated.
    keypoints_xy: (17, 2) px, the COCO joints.  keypoint_scores: (17,) 0 … 1.
    """

    box: Box
    keypoints_xy: Floats
    keypoint_scores: Floats
    score: float


class PoseFollower(Protocol):
    """Tracks one body through the pictures of one clip."""

    def follow(self, rgb: Rgb) -> RawPose | None:
        """The body of the next picture; None where it is lost.

        It is looked for where the last call found it: cheaper than `poses`, and less reliable.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class PoseEstimator(Protocol):
    """Finds bodies, and the face on a crop around a head. Any thread may call it at any time."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def poses(self, rgb: Rgb) -> list[RawPose]:
        """The bodies of one picture, at most a handful, in no particular order."""
        ...

    def proposals(self, rgb: Rgb, side_px: int) -> list[Proposal]:
        """Whom a detector of several people sees, the best first.

        side_px: longer side of the picture as the detector is shown it.
        """
        ...

    def follower(self) -> PoseFollower:
        """A follower for one clip, as a context manager."""
        ...

    def face(self, rgb: Rgb) -> RawFace | None:
        """The most prominent face in a crop around one head; None where there is none."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
