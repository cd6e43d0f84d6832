"""Everything that the evidence of one file depends on, as one value with a name."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from fractions import Fraction
from functools import cache as computed_once
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from wan_prep.evidence import ModelId
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.pose.weights import BESIDE, found_sha256
from wan_prep.profile import Profile

OBSERVING_VERSION = 2
"""Raise me when what is seen in a file changes: evidence from before is then looked at again."""
OBSERVING_LIMITS = (
    "animation_frames_max",
    "animation_pixels_max",
    "image_pixels_max",
    "still_drift_max",
    "still_min",
    "still_neighbour_max",
    "still_redrawn_max",
    "video_fps_max",
    "video_frames_max",
    "video_header_bytes_max",
    "video_pixels_max",
    "video_s_max",
    "video_samples_max",
    "video_streams_max",
)
"""The limits of the profile that observing reads."""
OBSERVING_LIBRARIES = (
    *("av", "mediapipe", "numpy", "onnxruntime", "opencv-python"),
    *("pillow", "pillow-heif", "scenedetect"),
)
"""What decodes, measures and recognises; another release may see something else."""


@dataclass(frozen=True)
class EvidenceKey:
    """Everything that the evidence of one file depends on.

    sha256: hex, of the file's content.  suffix: of a video's name, in lower case, because decoders
    go by it where the content leaves a doubt.  start, end: the part that counts, in s.
    networks: hex SHA-256 of the networks beside the pose model.
    """

    kind: Literal["image", "video"]
    sha256: str
    suffix: str
    start: Fraction
    end: Fraction | None
    person: PersonChoice
    pose_model: ModelId
    networks: tuple[str, ...]
    limits: tuple[tuple[str, float], ...]
    libraries: tuple[tuple[str, str], ...]
    version: int

    @classmethod
    def of(
        cls,
        path: Path,
        sha256: str,
        kind: Literal["image", "video"],
        estimator: PoseEstimator,
        profile: Profile,
        *,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        person: PersonChoice = LARGEST,
    ) -> EvidenceKey:
        """The key of this file, looked at like this."""
        return cls(
            kind=kind,
            sha256=sha256,
            suffix=path.suffix.lower() if kind == "video" else "",
            start=start,
            end=end,
            person=person,
            pose_model=ModelId(name=estimator.name, sha256=estimator.sha256),
            networks=networks_here(),
            limits=tuple((name, profile.limit(name)) for name in OBSERVING_LIMITS),
            libraries=libraries_here(),
            version=OBSERVING_VERSION,
        )

    @cached_property
    def document(self) -> dict[str, Any]:
        """The key as it is written beside the evidence."""
        return {
            "version": self.version,
            "kind": self.kind,
            "sha256": self.sha256,
            "suffix": self.suffix,
            "start": str(self.start),
            "end": None if self.end is None else str(self.end),
            "person": str(self.person),
            "pose_model": self.pose_model.model_dump(),
            "networks": list(self.networks),
            "limits": dict(self.limits),
            "libraries": dict(self.libraries),
        }

    @cached_property
    def name(self) -> str:
        """Under which the evidence is kept: 64 hex digits."""
        return name_of(self.document)


def is_current(document: dict[str, Any]) -> bool:
    """Whether this installation could give a key with this version, these networks and libraries.

    Raises KeyError: it is no key.
    """
    return bool(
        document["version"] == OBSERVING_VERSION
        and document["networks"] == list(networks_here())
        and document["libraries"] == dict(libraries_here())
    )


def name_of(document: dict[str, Any]) -> str:
    """Under which the evidence of a key is kept: 64 hex digits."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


@computed_once
def networks_here() -> tuple[str, ...]:
    return tuple(found_sha256(name) for name in BESIDE)


@computed_once
def libraries_here() -> tuple[tuple[str, str], ...]:
    found = [("platform", f"{platform.system()} {platform.machine()}")]
    for name in OBSERVING_LIBRARIES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append((name, "unknown"))
    return tuple(found)
