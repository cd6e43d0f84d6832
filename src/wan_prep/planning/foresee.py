"""What a written file would be seen as: evidence carried through a geometry and a span.

Pure, and exact where the geometry alone decides (places, scales, times). What a network would
see better or worse in the new picture is not foreseen, and joints that come to lie in added
borders count as unseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wan_prep.evidence import Evidence, Face, Observation, Subject
from wan_prep.geometry import UNIT_BOX, Box, Floats, Size
from wan_prep.media.types import ImageInfo, VideoInfo
from wan_prep.planning.model import Geometry, ImageFormat
from wan_prep.pose.body import CROWN_ABOVE_EYES
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import Profile

_BLACK_MAX = 20
"""8-bit level up to which a border is a black bar, as for the bars of a file."""


def foresee_image(image: Evidence, geometry: Geometry, image_format: ImageFormat) -> Evidence:
    """Evidence of the image as it would be written.

    Raises:
        ValueError: evidence of an unreadable file, or of a video.
    """
    info = image.image_info
    if info is None:
        raise ValueError(f"{image.path}: evidence of a readable image is needed")
    size = Size(info.width, info.height)
    return changed(
        image,
        info=_image_info(info, geometry, image_format),
        content=_content(geometry, size),
        observations=tuple(_through(o, geometry, size) for o in image.observations),
    )


def foresee_video(
    video: Evidence,
    geometry: Geometry,
    start: Fraction,
    end: Fraction,
    fps: Fraction,
    profile: Profile,
) -> Evidence:
    """Evidence of the span [start, end) s of the clip as it would be written.

    Raises:
        ValueError: evidence of an unreadable file, or of an image.
    """
    info = video.video_info
    if info is None:
        raise ValueError(f"{video.path}: evidence of a readable video is needed")
    part = part_of(video, start, end)
    size = Size(info.width, info.height)
    return changed(
        part,
        info=_video_info(info, geometry, end - start, fps, profile),
        content=_content(geometry, size),
        start=Fraction(0),
        end=None,
        cuts=tuple(cut - start for cut in part.cuts),
        still=tuple((begin - start, until - start) for begin, until in part.still),
        observations=tuple(
            _through(o, geometry, size).model_copy(update={"time": o.time - start})
            for o in part.observations
        ),
        decode_errors=0,
        decoded_until=None,
    )


def changed(evidence: Evidence, **update: Any) -> Evidence:
    """The same evidence with other values. Made anew, because a copy would keep what was already
    derived from the old ones."""
    values = {name: getattr(evidence, name) for name in Evidence.model_fields}
    return Evidence.model_validate(values | update)


def part_of(video: Evidence, start: Fraction, end: Fraction) -> Evidence:
    """The same evidence with nothing but [start, end) s of the clip; times stay as they are.

    Where no sample lies in it, the one displayed at its start stands for it.
    """
    inside = [o for o in video.observations if start <= o.time < end]
    if not inside:
        before = [o for o in video.observations if o.time <= start] or video.observations[:1]
        inside = [o.model_copy(update={"time": start}) for o in before[-1:]]
    return changed(
        video,
        observations=tuple(inside),
        cuts=tuple(cut for cut in video.cuts if start < cut < end),
        still=tuple(
            (max(begin, start), min(until, end))
            for begin, until in video.still
            if begin < end and until > start
        ),
        start=start,
        end=end,
    )


def with_observations(video: Evidence, more: Iterable[Observation]) -> Evidence:
    """The same evidence with further samples, each at its own time."""
    by_time = {o.time: o for o in (*more, *video.observations)}
    return changed(video, observations=tuple(by_time[time] for time in sorted(by_time)))


# ------------------------------------------------------------------ facts of the file


def _image_info(info: ImageInfo, geometry: Geometry, image_format: ImageFormat) -> ImageInfo:
    width, height = geometry.width, geometry.height
    return info.model_copy(
        update={
            "format": image_format.upper(),
            "width": width,
            "height": height,
            "stored_width": width,
            "stored_height": height,
            "exif_orientation": 1,
            "color_mode": "RGB",
            "bit_depth": 8,
            "has_alpha": False,
            "has_icc_profile": False,
            "frame_count": 1,
            "size_bytes": 3 * width * height,  # more than any compression of it
        }
    )


def _video_info(
    info: VideoInfo, geometry: Geometry, duration: Fraction, fps: Fraction, profile: Profile
) -> VideoInfo:
    has_audio = info.has_audio
    return info.model_copy(
        update={
            "container": "mp4",
            "codec": "h264",
            "pixel_format": "yuv420p",
            "bit_depth": 8,
            "width": geometry.width,
            "height": geometry.height,
            "coded_width": geometry.width,
            "coded_height": geometry.height,
            "sample_aspect_ratio": Fraction(1),
            "rotation_deg": 0,
            "is_interlaced": False,
            "color_transfer": "bt709",
            "is_hdr": False,
            "duration": duration,
            "duration_from_header": duration,
            "fps": fps,
            "fps_from_header": fps,
            "is_vfr": False,
            "frame_count": max(1, round(duration * fps)),
            "frame_count_from_header": max(1, round(duration * fps)),
            "first_pts": 0,
            "is_truncated": False,
            "audio_start": Fraction(0) if has_audio else None,
            "audio_duration": duration if has_audio else None,
            "video_index": 0,
            "other_videos": 0,
            "audio_index": 1 if has_audio else None,
            "undecodable_audio": (),
            "has_time_stamps": True,
            "unstamped_frames": 0,
            "unstamped_audio": Fraction(0),
            "size_bytes": int(
                bytes_per_px(info, profile)
                * (geometry.width * geometry.height)
                * float(duration * fps)
            ),
        }
    )


def bytes_per_px(info: VideoInfo, profile: Profile) -> float:
    """A high guess of what each px of each frame will weigh, from what it weighs now."""
    px = info.coded_width * info.coded_height * max(1, info.frame_count)
    now = info.size_bytes * 8.0 / px
    more, most = (profile.limit(f"written_bits_{name}") for name in ("more", "max"))
    return min(most, now + more) / 8.0


# ------------------------------------------------------------------ what is seen


def _through(observation: Observation, geometry: Geometry, size: Size) -> Observation:
    others = (_moved_box(box, geometry, size).clipped(UNIT_BOX) for box in observation.others)
    subject = observation.subject
    return observation.model_copy(
        update={
            "subject": None if subject is None else subject_through(subject, geometry, size),
            "others": tuple(box for box in others if box.area > 0),
        }
    )


def subject_through(subject: Subject, geometry: Geometry, size: Size) -> Subject:
    """The person as a picture of `size` px would show it once the geometry is applied."""
    points = moved_points(subject.keypoints_xy, geometry, size)
    world, view = subject.world_xyz, subject.view_matrix
    if geometry.rotate_deg:
        turn = _turn(geometry.rotate_deg)
        world = world @ turn.T
        view = None if view is None else turn @ view
    return Subject(
        keypoints_xy=points,
        # Where the picture is continued beyond its edge, no joint can be seen.
        visibility=np.where(
            _inside(points) & ~_inside(subject.keypoints_xy), 0.0, subject.visibility
        ),
        world_xyz=world,
        px_per_m=None if subject.px_per_m is None else subject.px_per_m * _scale(geometry),
        view_matrix=view,
        box=_moved_box(subject.box, geometry, size).clipped(UNIT_BOX),
        crown_y=_crown_y(subject, points, geometry, size),
        face=None if subject.face is None else _face(subject.face, geometry, size),
        looks=subject.looks,
        repaired=subject.repaired,
    )


def moved_points(points_xy: Floats, geometry: Geometry, size: Size) -> Floats:
    """(N, 2) fractions of a picture of `size` px → fractions of the picture written."""
    window = geometry.window
    px = np.asarray(points_xy) * size
    if geometry.rotate_deg:
        middle = np.array([size.width / 2.0, size.height / 2.0])
        px = (px - middle) @ _turn(geometry.rotate_deg)[:2, :2].T + middle
    return np.asarray((px - (window.left, window.top)) / (window.width, window.height))


def _turn(degrees: float) -> Floats:
    """(3, 3) clockwise turn in the picture: x right, y down."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _content(geometry: Geometry, size: Size) -> Box:
    """All of what is written, but for borders that were added in black: they are bars."""
    if geometry.pad != "color" or max(bytes.fromhex(geometry.pad_color[1:])) > _BLACK_MAX:
        return UNIT_BOX
    return _moved_box(UNIT_BOX, geometry, size).clipped(UNIT_BOX)


def _scale(geometry: Geometry) -> float:
    return geometry.height / geometry.window.height


def _inside(points_xy: Floats) -> NDArray[np.bool_]:
    return np.asarray(((points_xy >= 0.0) & (points_xy <= 1.0)).all(axis=1))


def _moved_box(box: Box, geometry: Geometry, size: Size) -> Box:
    """A turned box keeps its sides: what it holds is round rather than square."""
    if not geometry.rotate_deg:
        corners = np.array([[box.left, box.top], [box.right, box.bottom]])
        (left, top), (right, bottom) = moved_points(corners, geometry, size)
        return Box(float(left), float(top), float(right), float(bottom))
    x, y = moved_points(np.array([box.center]), geometry, size)[0]
    half_wide = box.width * size.width / geometry.window.width / 2.0
    half_tall = box.height * size.height / geometry.window.height / 2.0
    return Box(
        float(x - half_wide), float(y - half_tall), float(x + half_wide), float(y + half_tall)
    )


def _face(face: Face, geometry: Geometry, size: Size) -> Face | None:
    """None where most of it is cut off."""
    box = _moved_box(face.box, geometry, size)
    shown = box.clipped(UNIT_BOX)
    if shown.area < box.area / 2.0:
        return None
    span = None if face.span_px is None else round(face.span_px * _scale(geometry), 3)
    shown = Box(*(round(v, 5) for v in shown))
    return face.model_copy(update={"box": shown, "span_px": span})


def _crown_y(subject: Subject, points: Floats, geometry: Geometry, size: Size) -> float:
    window = geometry.window
    if not geometry.rotate_deg:
        return (subject.crown_y * size.height - window.top) / window.height
    eyes_y = float(points[[Joint.LEFT_EYE, Joint.RIGHT_EYE], 1].mean())
    mouth_y = float(points[[Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT], 1].mean())
    return eyes_y - CROWN_ABOVE_EYES * max(mouth_y - eyes_y, 0.0)
