"""The evidence that a written file would give, from the evidence of its source.

Exact where the geometry alone decides: places, scales, times. Not foreseen is what a network would
see better or worse in the new picture. Joints that come to lie in added borders count as unseen.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from wan_prep.evidence import Evidence, Face, Observation, Subject
from wan_prep.geometry import UNIT_BOX, Box, Floats, Size, axis_turn, wrap_deg
from wan_prep.media.types import Form, ImageInfo, VideoInfo
from wan_prep.planning.model import Geometry
from wan_prep.planning.options import ImageFormat
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
    seen = image.changed(
        info=_image_info(info, geometry, image_format),
        content=_content(image.content, geometry, size),
        observations=tuple(_through(o, geometry, size) for o in image.observations),
    )
    return _looked_at_again(seen)


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
    seen = part.changed(
        info=_video_info(info, geometry, end - start, fps, profile),
        content=_content(video.content, geometry, size),
        start=Fraction(0),
        end=None,
        cuts=tuple(cut - start for cut in part.cuts),
        still=tuple((begin - start, until - start) for begin, until in part.still),
        observations=tuple(
            _through(o, geometry, size).changed(time=o.time - start) for o in part.observations
        ),
        forms=(),
        decode_errors=0,
        decoded_until=None,
    )
    return _looked_at_again(seen)


def _looked_at_again(seen: Evidence) -> Evidence:
    """The same evidence, with the person asked for by the place in which they now are first."""
    return seen if seen.person.is_largest else seen.changed(person=seen.person_at(Fraction(0)))


def part_of(video: Evidence, start: Fraction, end: Fraction) -> Evidence:
    """The same evidence with nothing but [start, end) s of the clip; times stay as they are.

    Where no sample lies in it, the one displayed at its start stands for it.
    """
    inside = [o for o in video.observations if start <= o.time < end]
    if not inside:
        before = [o for o in video.observations if o.time <= start] or video.observations[:1]
        inside = [o.changed(time=start) for o in before[-1:]]
    return video.changed(
        observations=tuple(inside),
        cuts=tuple(cut for cut in video.cuts if start < cut < end),
        forms=_forms_in(video.forms, start, end),
        still=tuple(
            (max(begin, start), min(until, end))
            for begin, until in video.still
            if begin < end and until > start
        ),
        start=start,
        end=end,
    )


def _forms_in(forms: tuple[Form, ...], start: Fraction, end: Fraction) -> tuple[Form, ...]:
    """The form of the frame displayed at `start`, and those that follow before `end`."""
    before = [form for form in forms if form.time <= start]
    return (*before[-1:], *(form for form in forms if start < form.time < end))


def with_observations(video: Evidence, more: Iterable[Observation]) -> Evidence:
    """The same evidence with further samples, each at its own time."""
    by_time = {o.time: o for o in (*more, *video.observations)}
    return video.changed(observations=tuple(by_time[time] for time in sorted(by_time)))


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
            "is_mirrored": False,
            "matrix_left_undone": None,
            "hidden_ltrb": (0, 0, 0, 0),
            "has_alpha": False,
            "is_full_range": False,
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
            "splices": (),
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
    """A high guess of the bytes that one px of one written frame takes, from what it takes now."""
    px = info.coded_width * info.coded_height * max(1, info.frame_count)
    now = info.size_bytes * 8.0 / px
    more, most = (profile.limit(f"written_bits_{name}") for name in ("more", "max"))
    return min(most, now + more) / 8.0


# ------------------------------------------------------------------ what is seen


def _through(observation: Observation, geometry: Geometry, size: Size) -> Observation:
    """The sample as the written picture shows it; its time stays."""
    subject = observation.subject
    moved = [_moved_box(box, geometry, size).clipped(UNIT_BOX) for box in observation.others]
    left = [k for k, box in enumerate(moved) if box.area > 0]
    sure = observation.others_confidence
    return observation.changed(
        subject=None if subject is None else subject_through(subject, geometry, size),
        others=tuple(moved[k] for k in left),
        others_confidence=tuple(sure[k] for k in left if k < len(sure)),
    )


def subject_through(subject: Subject, geometry: Geometry, size: Size) -> Subject:
    """The person as the written picture shows them; the source has `size` px.

    What a geometry cannot change, such as how far several inferences agreed, stays as it is.
    """
    points = moved_points(subject.keypoints_xy, geometry, size)
    world, view = subject.world_xyz, subject.view_matrix
    if geometry.rotate_deg:
        turn = axis_turn(2, geometry.rotate_deg)
        world = world @ turn.T
        view = None if view is None else turn @ view
    return subject.changed(
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
    )


def moved_points(points_xy: Floats, geometry: Geometry, size: Size) -> Floats:
    """(N, 2) fractions of a picture of `size` px → fractions of the picture written."""
    points = np.asarray(points_xy)
    if geometry.rotate_deg:
        middle = np.array([size.width / 2.0, size.height / 2.0])
        px = (points * size - middle) @ axis_turn(2, geometry.rotate_deg)[:2, :2].T + middle
        points = px / size
    window = geometry.window
    # Computed in fractions, so that a window over the whole picture changes no digit.
    corner = (window.left / size.width, window.top / size.height)
    return np.asarray((points - corner) * (size.width / window.width, size.height / window.height))


def _content(content: Box, geometry: Geometry, size: Size) -> Box:
    """What of the written picture is not a black bar, given the source's own `content`.

    A side that the window extends beyond the picture gets a bar only where black is added: as the
    colour of the pad, or as a bar of the source that is continued.
    """
    shown, picture = (_moved_box(box, geometry, size) for box in (content, UNIT_BOX))
    is_color = geometry.pad == "color"
    is_black = is_color and max(bytes.fromhex(geometry.pad_color[1:])) <= _BLACK_MAX
    left, top, right, bottom = (
        limit if is_padded and not is_black and (is_color or not is_barred) else edge
        for edge, limit, is_padded, is_barred in (
            (shown.left, 0.0, picture.left > 0.0, content.left > 0.0),
            (shown.top, 0.0, picture.top > 0.0, content.top > 0.0),
            (shown.right, 1.0, picture.right < 1.0, content.right < 1.0),
            (shown.bottom, 1.0, picture.bottom < 1.0, content.bottom < 1.0),
        )
    )
    found = Box(left, top, right, bottom).clipped(UNIT_BOX)
    return found if found.area > 0 else UNIT_BOX


def _scale(geometry: Geometry) -> float:
    """Written px per px of the source."""
    return geometry.height / geometry.window.height


def _inside(points_xy: Floats) -> NDArray[np.bool_]:
    """(N,) whether each of (N, 2) fractions lies in the picture."""
    return np.asarray(((points_xy >= 0.0) & (points_xy <= 1.0)).all(axis=1))


def _moved_box(box: Box, geometry: Geometry, size: Size) -> Box:
    """Fractions of the source's `size` → fractions of the written picture.

    A turn moves the centre only: what a box holds is round rather than square.
    """
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
    """None where more than half of what the source shows of it is cut off."""
    before = _moved_box(face.box.clipped(UNIT_BOX), geometry, size)
    box = _moved_box(face.box, geometry, size)
    if before.clipped(UNIT_BOX).area < before.area / 2.0:
        return None
    span = None if face.span_px is None else round(face.span_px * _scale(geometry), 3)
    roll = None if face.roll_deg is None else wrap_deg(face.roll_deg + geometry.rotate_deg)
    return face.changed(box=Box(*(round(v, 5) for v in box)), span_px=span, roll_deg=roll)


def _crown_y(subject: Subject, points: Floats, geometry: Geometry, size: Size) -> float:
    """As a fraction of the written picture; of a turned head from its (33, 2) written `points`."""
    if not geometry.rotate_deg:
        return float(moved_points(np.array([[0.0, subject.crown_y]]), geometry, size)[0, 1])
    eyes_y = float(points[[Joint.LEFT_EYE, Joint.RIGHT_EYE], 1].mean())
    mouth_y = float(points[[Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT], 1].mean())
    return eyes_y - CROWN_ABOVE_EYES * max(mouth_y - eyes_y, 0.0)
