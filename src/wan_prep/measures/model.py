"""The measures of a pair as values: at one time, and their medians over the clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median, mode
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from wan_prep.geometry import weighted_median, wrap_deg
from wan_prep.pose.body import Shot

SHOT_WORDS: dict[Shot, str] = {
    "full": "the whole body",
    "three_quarter": "the body down to the knees",
    "half": "the body down to the hips",
    "bust": "head and shoulders",
    "face": "the face alone",
}


class ShotPair(BaseModel):
    """How much of the body each side shows, and the joints that one side alone shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Shot | None
    video: Shot | None
    only_image: tuple[str, ...] = ()
    only_video: tuple[str, ...] = ()


class Measures(BaseModel):
    """Image against video at one time; angles in deg, image - video; None where unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    zoom_ratio: float | None = None
    """frame_height_m(video) / frame_height_m(image): above 1 the person is larger in the image."""
    offset_x: float | None = None
    offset_y: float | None = None
    """Placement in the image - placement in the video, fractions of the frame."""
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    camera_roll: float | None = None
    """What of the roll is the cameras', where both bodies stand in full view."""
    view_angle: float | None = None
    """Geodesic."""
    shot: ShotPair | None = None
    pose_angle: float | None = None
    """Mean over the limbs seen in both, in the torso frame, weighted by how well each is."""
    limbs: dict[str, float] = Field(default_factory=dict)
    limbs_in_plane: dict[str, float] = Field(default_factory=dict)
    proportions: dict[str, float] = Field(default_factory=dict)
    """Ratio image / video of each part, relative to the body's scale."""
    aspect_gap: float | None = None
    """Of the two pictures, which have the same at every time: set in reports."""
    confidence: dict[str, float] = Field(default_factory=dict)
    """0 … 1 by measure; below the profile's `confidence_min` its check is inconclusive."""
    shot_distance: float | None = Field(default=None, exclude=True)
    """Classes between the two `shot_level`s; not part of a report."""
    by_head: bool = Field(default=False, exclude=True)
    """One side shows nothing but a head, so that heads were compared: limbs do not apply; not part
    of a report."""
    parts_seen: dict[str, float] = Field(default_factory=dict, exclude=True)
    """0 … 1 by part of `proportions`: how well both show it, un-foreshortened; not part of a
    report."""

    @property
    def placement(self) -> float | None:
        """Distance between the two places, as a fraction of the frame."""
        if self.offset_x is None or self.offset_y is None:
            return None
        return math.hypot(self.offset_x, self.offset_y)

    def reported(self, aspect_gap: float | None) -> Measures:
        """As a report holds it: rounded, with the aspect gap, without what is not part of one."""
        digits = {
            **dict.fromkeys(("zoom_ratio", "offset_x", "offset_y"), 4),
            **dict.fromkeys(("yaw", "pitch", "roll", "camera_roll", "view_angle"), 2),
            "pose_angle": 2,
        }
        rounded: dict[str, Any] = {
            name: None if (value := getattr(self, name)) is None else round(value, count)
            for name, count in digits.items()
        }
        for name in ("limbs", "limbs_in_plane", "proportions", "confidence"):
            rounded[name] = {key: round(v, 3) for key, v in getattr(self, name).items()}
        gap = None if aspect_gap is None else round(aspect_gap, 4)
        return Measures(**rounded, shot=self.shot, aspect_gap=gap)


def typical(measured: Sequence[Measures]) -> Measures:
    """The median of each measure over the clip, and the most frequent shot.

    For poses and proportions the median is weighted by how well limbs and parts are seen.
    """

    def middle(name: str) -> float | None:
        values = [v for m in measured if (v := getattr(m, name)) is not None]
        return float(median(values)) if values else None

    def middle_angle(name: str) -> float | None:
        """The median of angles, taken around their mean direction: of 179 and -179 it is 180."""
        values = [v for m in measured if (v := getattr(m, name)) is not None]
        if not values:
            return None
        radians = np.radians(values)
        mean = math.degrees(math.atan2(np.sin(radians).sum(), np.cos(radians).sum()))
        return wrap_deg(mean + median(wrap_deg(v - mean) for v in values))

    def middle_of(name: str) -> dict[str, float]:
        keys = sorted({key for m in measured for key in getattr(m, name)})
        return {
            key: float(median([getattr(m, name)[key] for m in measured if key in getattr(m, name)]))
            for key in keys
        }

    posed = [(m.pose_angle, m.confidence) for m in measured if m.pose_angle is not None]
    limbs_seen = [confident.get("pose_angle", 1.0) for _, confident in posed]
    confidence = middle_of("confidence")
    pose_angle: float | None = None
    if sum(limbs_seen):
        pose_angle = weighted_median([angle for angle, _ in posed], limbs_seen)
        confidence["pose_angle"] = weighted_median(limbs_seen, limbs_seen)
    parts = sorted({part for m in measured for part in m.proportions})
    ratios, parts_seen = {}, {}
    for part in parts:
        seen = [m.parts_seen.get(part, float(part in m.proportions)) for m in measured]
        ratios[part] = weighted_median([m.proportions.get(part, 1.0) for m in measured], seen)
        parts_seen[part] = weighted_median(seen, seen)
    shots = [m.shot for m in measured if m.shot is not None]
    of_video: list[Shot] = [shot.video for shot in shots if shot.video is not None]
    return Measures(
        zoom_ratio=middle("zoom_ratio"),
        offset_x=middle("offset_x"),
        offset_y=middle("offset_y"),
        yaw=middle_angle("yaw"),
        pitch=middle_angle("pitch"),
        roll=middle_angle("roll"),
        camera_roll=middle_angle("camera_roll"),
        view_angle=middle("view_angle"),
        pose_angle=pose_angle,
        shot=ShotPair(image=shots[0].image, video=mode(sorted(of_video)) if of_video else None)
        if shots
        else None,
        limbs=middle_of("limbs"),
        limbs_in_plane=middle_of("limbs_in_plane"),
        proportions=ratios,
        parts_seen=parts_seen,
        confidence=confidence,
        by_head=bool(measured) and all(m.by_head for m in measured),
    )
