"""The measures of every sample of the clip: the data that timelines draw."""

from __future__ import annotations

from dataclasses import dataclass

from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence, Face
from wan_prep.findings import PairContext
from wan_prep.geometry import Size
from wan_prep.measures.face import face_px
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.report.model import Report
from wan_prep.sizing import output_size


@dataclass(frozen=True)
class TimelineSample:
    """One sampled frame compared with the image; None for what could not be measured."""

    time_s: float
    scene: int
    is_present: bool
    people: int
    pose_deg: float | None = None
    zoom_ratio: float | None = None
    view_deg: float | None = None
    face_px: float | None = None
    """Size of the face in px of the picture that the model crops it from: the file's own in mode
    animate, the output in mode replace."""


def context_of(report: Report, profile: Profile | None = None) -> PairContext:
    """The context that the report was made from.

    profile: the one it was made with; None is the default one.

    Raises:
        EvidenceMissing: the report carries no evidence.
        WanPrepError: it was made with another profile.
    """
    figures = profile or default_profile()
    if figures.sha256 != report.profile.sha256:
        raise WanPrepError(
            f"the report was made with other figures (profile {report.profile.name!r}) than those "
            f"of profile {figures.name!r}; hand over the one it was made with"
        )
    image, video = report.evidence()
    return PairContext(image, video, report.mode, report.resolution, figures)


def samples(context: PairContext) -> tuple[TimelineSample, ...]:
    """Every sample of the clip, in the order of time."""
    video = context.video
    px_per_file_px = _enlarged(video, context.mode, context.resolution, context.profile)
    made = []
    for seen in sorted(video.observations, key=lambda o: o.time):
        measures = context.measures_at.get(seen.time)
        face = None if seen.subject is None else seen.subject.face
        made.append(
            TimelineSample(
                time_s=float(seen.time),
                scene=seen.scene,
                is_present=seen.subject is not None,
                people=len(seen.others) + (seen.subject is not None),
                pose_deg=None if measures is None else measures.pose_angle,
                zoom_ratio=None if measures is None else measures.zoom_ratio,
                view_deg=None if measures is None else measures.view_angle,
                face_px=_face_px(face, video, px_per_file_px),
            )
        )
    return tuple(made)


def _enlarged(video: Evidence, mode: Mode, resolution: Resolution, profile: Profile) -> float:
    """The factor by which frames are scaled before the model crops the face."""
    info = video.video_info
    if info is None or mode == "animate":
        return 1.0
    size = output_size(info.width, info.height, resolution, profile)
    return min(size.width / info.width, size.height / info.height)


def _face_px(face: Face | None, video: Evidence, px_per_file_px: float) -> float | None:
    info = video.video_info
    if face is None or info is None or not face.is_sure:
        return None
    return face_px(face, Size(info.width, info.height)) * px_per_file_px
