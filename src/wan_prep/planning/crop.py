"""What a window over one picture must hold, which sizes it may have, and where it may lie.

Lengths are px of the upright picture unless a name says otherwise. Places are found for one axis at
a time: 0 is x, 1 is y.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from wan_prep.evidence import Evidence, Subject
from wan_prep.geometry import (
    Box,
    CrowdedBox,
    Floats,
    Size,
    bounding_box,
    box_leaving_out,
)
from wan_prep.measures.confidence import room_for_body
from wan_prep.measures.face import face_px
from wan_prep.measures.side import (
    SubjectInFrame,
    anchor_in_picture,
    cut_edges,
    inside,
    larger_others,
    subject_in_frame,
    trusted,
)
from wan_prep.planning.model import Window
from wan_prep.pose.body import SHOTS, Shot, midpoint
from wan_prep.pose.skeleton import HEAD, HIPS, JOINT_COUNT, KNEES, SHOULDERS, Joint
from wan_prep.profile import Profile, Resolution
from wan_prep.sizing import output_size

Mask = NDArray[np.bool_]
"""(33,) joints that must stay in the picture."""
# Share of the body's size that is kept around it at least: people move between two samples.
_LEAST_MARGIN = 0.01
# Share of each side that may be cut where nobody is known: enough for the nearest free shape.
_UNKNOWN_RIM = 0.03
# A hand in knuckle distances from the wrist: the landmarks mark the knuckles, not the finger tips.
_HAND_LENGTH = 2.2
_HANDS = (
    (Joint.LEFT_WRIST, (Joint.LEFT_INDEX, Joint.LEFT_PINKY)),
    (Joint.RIGHT_WRIST, (Joint.RIGHT_INDEX, Joint.RIGHT_PINKY)),
)
# Width of the shoulders in widths of the head, arms included (adults: 0.45 m, 0.155 m).
_SHOULDERS_IN_HEADS = 3.0
# An edge counts as cutting the body where it does so in this share of the samples or more.
_CUT_SHARE = 0.2
# What each shot class shows that the one before it does not.
_ADDED_BY: dict[Shot, tuple[Joint, ...]] = {
    "face": HEAD,
    "bust": SHOULDERS,
    "half": (Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW, *HIPS),
    "three_quarter": KNEES,
    "full": (),
}
_EDGES_OF_AXIS = (("left", "right"), ("top", "bottom"))
_EDGE_NAMES = Box._fields
_EDGES = frozenset(edge for edges in _EDGES_OF_AXIS for edge in edges)
EVERY_JOINT: Mask = np.ones(JOINT_COUNT, dtype=np.bool_)
# How much larger than needed a window is tried, for a person who is too large in the picture.
_GROWTH_TRIED = 1.3
_LEAST_PX = 2.0
# The greatest relative error of a window's shape: the service would add less than a pixel of bars.
_SHAPE_ERROR_MAX = 0.001
# How far below the height asked for a window of the right shape is looked for.
_HEIGHT_REACH_PX = 12
# A turned picture may keep this many times the area that is free of empty corners: slivers of the
# corners are then filled like any other border.
_CORNERS_SHARE = 1.1


# ------------------------------------------------------------------ what a window must hold


@dataclass(frozen=True)
class CropConstraints:
    """What a window over one medium must hold, and where it must not reach.

    content: the picture without black bars, in whole multiples of `grid`.
    keep: what every window holds: the person in all samples.
    keep_with_margin: the same with hair, finger tips and a margin; held where there is room.
    grid: the multiple of px at which windows begin, 2 for a clip.
    is_shown: whether the result shows this medium's picture.
    anchor_xy: where the person is in the first sample: the neck, or the middle of the face where
        heads are compared; None without one.
    has_bars: whether the picture has black bars.
    closed_edges: names of the edges beyond which nothing can be added: those that cut the body,
        the lower one under a head without one, and all of them where the picture has bars.
    shut_out: names of the edges beyond which somebody is that must not be seen: whoever is larger
        than the person asked for. Nothing ever reaches beyond these.
    face_px: side of a square as large as the face's box; None where no face is known.
    """

    content: Box
    keep: Box
    keep_with_margin: Box
    grid: int
    is_shown: bool
    anchor_xy: tuple[float, float] | None = None
    has_bars: bool = False
    closed_edges: frozenset[str] = frozenset()
    shut_out: frozenset[str] = frozenset()
    face_px: float | None = None


def image_constraints(
    image: Evidence,
    profile: Profile,
    *,
    is_shown: bool,
    joints: Mask = EVERY_JOINT,
    by_head: bool = False,
) -> CropConstraints:
    """Those of the reference image.

    joints: the ones that must stay in the picture where they are seen. by_head: the other medium
    shows nothing but a head, which this one's head is aligned with.

    Raises:
        ValueError: evidence of an unreadable file.
    """
    first = image.first
    subjects = [first.subject] if first is not None and first.subject is not None else []
    return _constraints(image, subjects, profile, 1, is_shown, joints, by_head)


def video_constraints(
    video: Evidence,
    profile: Profile,
    *,
    is_shown: bool,
    joints: Mask = EVERY_JOINT,
    by_head: bool = False,
) -> CropConstraints:
    """Those of the clip: one window for all its samples. Arguments and errors as for the image."""
    subjects = [o.subject for o in video.found if o.subject is not None]
    return _constraints(video, subjects, profile, 2, is_shown, joints, by_head)


def joints_of(shot: Shot) -> Mask:
    """The joints that a picture of this shot class shows."""
    if shot == "full":
        return EVERY_JOINT
    names = [joint for part in SHOTS[: SHOTS.index(shot) + 1] for joint in _ADDED_BY[part]]
    mask = np.zeros(JOINT_COUNT, dtype=np.bool_)
    mask[names] = True
    return mask


def _constraints(
    evidence: Evidence,
    subjects: Sequence[Subject],
    profile: Profile,
    grid: int,
    is_shown: bool,
    joints: Mask,
    by_head: bool,
) -> CropConstraints:
    info = evidence.info
    if info is None:
        raise ValueError(f"{evidence.path}: evidence of a readable file is needed")
    size = Size(info.width, info.height)
    content = content_px(evidence.content, size, grid)
    has_bars = content != Box(0, 0, *(length // grid * grid for length in size))
    if has_bars:
        # Bars end softly, and where one edge has them the others may have a dark line.
        content = Box(
            content.left + grid, content.top + grid, content.right - grid, content.bottom - grid
        )
    first = evidence.first
    template = first.subject if first is not None else None
    return CropConstraints(
        content=content,
        keep=_kept(evidence, subjects, joints, content, profile),
        keep_with_margin=_kept(evidence, subjects, joints, content, profile, with_margin=True),
        grid=grid,
        is_shown=is_shown,
        anchor_xy=None if template is None else _anchor_px(evidence, template, by_head),
        has_bars=has_bars,
        closed_edges=_EDGES if has_bars else frozenset(_cut_in_most(evidence, subjects)),
        face_px=_face_px(subjects, size),
    )


def content_px(content: Box, size: Size, grid: int) -> Box:
    """The content, given in fractions of `size`, in px; inwards to multiples of `grid`."""
    box = content.scaled(*size)
    tiny = 1e-6
    return Box(
        math.ceil(box.left / grid - tiny) * grid,
        math.ceil(box.top / grid - tiny) * grid,
        math.floor(box.right / grid + tiny) * grid,
        math.floor(box.bottom / grid + tiny) * grid,
    )


def _kept(
    evidence: Evidence,
    subjects: Sequence[Subject],
    joints: Mask,
    content: Box,
    profile: Profile,
    *,
    with_margin: bool = False,
) -> Box:
    """What all subjects together take up, inside the content."""
    info = evidence.info
    assert info is not None
    if not subjects:
        # Who or what the picture shows is unknown, so nearly all of it is kept.
        rim_x, rim_y = (_UNKNOWN_RIM * length for length in (content.width, content.height))
        return Box(
            content.left + rim_x, content.top + rim_y, content.right - rim_x, content.bottom - rim_y
        )
    size = Size(info.width, info.height)
    box = union([_body_px(evidence, s, joints, size, profile, with_margin) for s in subjects])
    if not any(s.face is not None and s.face.is_sure for s in subjects):
        # Perhaps a character: no landmark tells how far up ears, horns or a hat reach.
        box = box._replace(top=content.top)
    return box.clipped(content)


def _body_px(
    evidence: Evidence,
    subject: Subject,
    joints: Mask,
    size: Size,
    profile: Profile,
    with_margin: bool,
) -> Box:
    """The seen ones of `joints`, the head and the face, grown by a share of their longer side."""
    where = subject_in_frame(evidence, subject)
    seen = trusted(where) & joints
    head = inside(where) & np.isin(np.arange(JOINT_COUNT), HEAD)
    points = [*(subject.keypoints_xy * size)[seen | head]]
    if with_margin:
        points += _finger_tips_px(subject, seen, size)
    boxes = [bounding_box(np.array(points)) if points else subject.box.scaled(*size)]
    if subject.face is not None:
        boxes.append(subject.face.box.scaled(*size))
    if subject.is_head:
        boxes.append(_head_and_more(where, profile).scaled(*size))
    box = union(boxes)
    crown = min(box.top, subject.crown_y * size.height)
    margin = profile.limit("window_margin") if with_margin else _LEAST_MARGIN
    grow = margin * max(box.width, box.bottom - crown)
    # Hair and hats reach above the crown, which is derived from the face.
    above = max(grow, _head_px(subject, size) / 3.0) if with_margin else grow
    return Box(box.left - grow, crown - above, box.right + grow, box.bottom + grow)


def _head_and_more(where: SubjectInFrame, profile: Profile) -> Box:
    """The box of a head, as fractions; with all below it where that may be an unrecognised body,
    as wide as shoulders are."""
    box = where.subject.box
    if room_for_body(where, profile) < 0.5:
        return box
    beside = (_SHOULDERS_IN_HEADS - 1.0) / 2.0 * box.width
    return Box(box.left - beside, box.top, box.right + beside, where.content.bottom)


def _finger_tips_px(subject: Subject, seen: Mask, size: Size) -> Iterator[Floats]:
    points = subject.keypoints_xy * size
    for wrist, knuckles in _HANDS:
        if seen[wrist]:
            yield points[wrist] + _HAND_LENGTH * (midpoint(points, knuckles) - points[wrist])


def _head_px(subject: Subject, size: Size) -> float:
    """From the crown to the mouth."""
    mouth = midpoint(subject.keypoints_xy, (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT))
    return max(0.0, float(mouth[1]) - subject.crown_y) * size.height


def _anchor_px(evidence: Evidence, subject: Subject, by_head: bool) -> tuple[float, float]:
    where = subject_in_frame(evidence, subject)
    x, y = anchor_in_picture(where.head if by_head else where) * where.size
    return float(x), float(y)


def _cut_in_most(evidence: Evidence, subjects: Sequence[Subject]) -> set[str]:
    """Edges that cut the body in `_CUT_SHARE` of the samples or more."""
    cuts = [
        edge
        for s in subjects
        # Under a head without a body something of one is in the picture, down to its lower edge.
        for edge in {*cut_edges(subject_in_frame(evidence, s)), *(["bottom"] if s.is_head else [])}
    ]
    return {edge for edge in set(cuts) if cuts.count(edge) >= _CUT_SHARE * len(subjects)}


def _face_px(subjects: Iterable[Subject], size: Size) -> float | None:
    """Median over the recognised faces; over all of them where none is recognised."""
    faces = [s.face for s in subjects if s.face is not None]
    if not faces:
        return None
    sure = [face for face in faces if face.is_sure] or faces
    return median(face_px(face, size) for face in sure)


def union(boxes: Sequence[Box]) -> Box:
    """The smallest box around all of them."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return Box(min(left), min(top), max(right), max(bottom))


def without_larger_people(
    constraints: CropConstraints, evidence: Evidence, profile: Profile
) -> CropConstraints | None:
    """Those of the same medium without whoever is larger than the person asked for.

    None where no window over all samples leaves them out, and where there is nobody to leave out:
    the main person, who is meant where nobody was asked for, is told apart by more than size.
    """
    info = evidence.info
    assert info is not None
    if evidence.person.is_largest:
        return None
    larger = larger_others(evidence, profile.limit("left_over_max"))
    crowd = [
        CrowdedBox(box.scaled(info.width, info.height), area_max * info.width * info.height)
        for box, area_max in larger
    ]
    if not crowd:
        return None
    for keep in (constraints.keep_with_margin, constraints.keep):
        room = box_leaving_out(constraints.content, keep, crowd)
        if room is None:
            continue
        content = content_px(room, Size(1, 1), constraints.grid)
        shut_out = {
            name
            for name, new, old in zip(_EDGE_NAMES, content, constraints.content, strict=True)
            if new != old
        }
        return replace(
            constraints,
            content=content,
            keep=constraints.keep.clipped(content),
            keep_with_margin=constraints.keep_with_margin.clipped(content),
            closed_edges=constraints.closed_edges | shut_out,
            shut_out=frozenset(shut_out),
        )
    return None


def without_empty_corners(
    constraints: CropConstraints, rotate_deg: float
) -> CropConstraints | None:
    """Those of a picture turned by `rotate_deg`, without the corners that the turn left empty.

    None where the person reaches so far into the corners that they cannot be left out.
    """
    size = Size(round(constraints.content.width), round(constraints.content.height))
    inner = inscribed_box(size, rotate_deg)
    box = union([inner, constraints.keep]).clipped(constraints.content)
    if box.area > _CORNERS_SHARE * inner.area:
        return None
    content = Box(
        math.ceil(box.left), math.ceil(box.top), math.floor(box.right), math.floor(box.bottom)
    )
    return replace(
        constraints,
        content=content,
        keep=constraints.keep.clipped(content),
        keep_with_margin=constraints.keep_with_margin.clipped(content),
    )


def inscribed_box(size: Size, rotate_deg: float) -> Box:
    """The largest upright box inside a picture of this size, turned about its middle by less than
    45 deg."""
    turn = abs(math.radians(rotate_deg))
    sine, cosine = math.sin(turn), math.cos(turn)
    if min(size) <= 2.0 * sine * cosine * max(size):
        # A long picture: the box touches its long sides only.
        long, short = min(size) / 2.0 / sine, min(size) / 2.0 / cosine
        wide, tall = (long, short) if size.width >= size.height else (short, long)
    else:
        shrink = cosine * cosine - sine * sine
        wide = (size.width * cosine - size.height * sine) / shrink
        tall = (size.height * cosine - size.width * sine) / shrink
    x, y = size.width / 2.0, size.height / 2.0
    return Box(x - wide / 2.0, y - tall / 2.0, x + wide / 2.0, y + tall / 2.0)


# ------------------------------------------------------------------ which sizes it may have


def fixed_points(resolution: Resolution, profile: Profile) -> tuple[Size, ...]:
    """Every size that the service's sizing rule gives back without bars, from tall to wide.

    Those whose aspect is within the profile's `aspect_max`. Their areas lie close under the pixel
    budget, because the rule enlarges smaller pictures.
    """
    budget = profile.service.pixel_budget[resolution]
    multiple = int(profile.limit("size_multiple"))
    aspect_max = profile.limit("aspect_max")
    narrowest = _floored(math.sqrt(budget / aspect_max), multiple)
    widest = _floored(math.sqrt(budget * aspect_max), multiple)
    found = []
    for width in range(narrowest, widest + 1, multiple):
        highest = _floored(budget / width, multiple)
        # A height one step under the budget may still be a fixed point, one of three steps never.
        for height in range(highest, max(0, highest - 3 * multiple), -multiple):
            if not 1.0 / aspect_max <= width / height <= aspect_max:
                continue
            size = Size(width, height)
            if is_fixed_point(size, resolution, profile):
                found.append(size)
    return tuple(sorted(found, key=lambda size: (size.width / size.height, size.width)))


def is_fixed_point(size: Size, resolution: Resolution, profile: Profile) -> bool:
    """Whether the service's sizing rule gives this size back without bars."""
    given = output_size(size.width, size.height, resolution, profile)
    return (given.width, given.height, given.bars_px) == (*size, 0)


def _floored(value: float, multiple: int) -> int:
    return int(value // multiple) * multiple


def smallest_even_size(shape: Size) -> Size:
    """The smallest even size of exactly this shape: 832 x 464 → 104 x 58."""
    divisor = math.gcd(*shape)
    return Size(2 * shape.width // divisor, 2 * shape.height // divisor)


@dataclass(frozen=True)
class ScaledWindow:
    """Sizes in px: `window` is cut out of a clip's frames, and scaled to `written`."""

    window: Size
    written: Size

    @property
    def scale(self) -> float:
        """Written px per px of the source: 1 keeps every pixel, less shrinks."""
        return self.written.height / self.window.height


def unscaled_windows(
    shape: Size, heights: Sequence[float], *, within: Size
) -> Iterator[ScaledWindow]:
    """Windows of exactly this shape that are written pixel by pixel.

    For each height the next smaller and the next larger one that are not over `within`.
    """
    unit = smallest_even_size(shape)
    most = min(within.width // unit.width, within.height // unit.height)
    for height in heights:
        below = math.floor(height / unit.height)
        for times in (below, below + 1):
            if 1 <= times <= most:
                size = Size(unit.width * times, unit.height * times)
                yield ScaledWindow(size, size)


def scaled_windows(
    shape: Size, heights: Sequence[float], *, within: Size, as_shape: bool = False
) -> Iterator[ScaledWindow]:
    """Windows of this shape to 0.1 %, scaled to exactly this shape; at most one for each height.

    as_shape: they are scaled to `shape` itself. Otherwise to the largest size that enlarges nothing
    and is not over `within`; where even the smallest size of the shape enlarges, to that one, as
    the service would enlarge it more.
    """
    unit = smallest_even_size(shape)
    for height in heights:
        window = nearest_window_size(shape, height)
        if window is None:
            continue
        if as_shape:
            yield ScaledWindow(window, shape)
            continue
        width_px, height_px = min(window.width, within.width), min(window.height, within.height)
        times = max(1, min(width_px // unit.width, height_px // unit.height))
        yield ScaledWindow(window, Size(unit.width * times, unit.height * times))


def nearest_window_size(shape: Size, height: float) -> Size | None:
    """The even size at or a little under this height that has the shape to 0.1 %.

    Of a picture that is too small for that the one whose shape is nearest; None where there is no
    even size at all.
    """
    highest = int(height // 2) * 2
    sizes = [
        Size(2 * round(tall * shape.width / shape.height / 2.0), tall)
        for tall in range(highest, max(0, highest - _HEIGHT_REACH_PX), -2)
    ]

    def error(size: Size) -> float:
        return abs(size.width * shape.height / (size.height * shape.width) - 1.0)

    sizes = [size for size in sizes if size.width > 0]
    exact = (size for size in sizes if error(size) <= _SHAPE_ERROR_MAX)
    return next(exact, min(sizes, key=error, default=None))


def window_heights(constraints: CropConstraints, shape: Size) -> tuple[float, float]:
    """(least, most) height of a window of this shape.

    The least holds what must be kept, the most needs no border; where the least is over the most,
    borders must be added.
    """
    aspect = shape.width / shape.height
    keep, content = constraints.keep, constraints.content
    return (
        max(keep.height, keep.width / aspect, _LEAST_PX),
        min(content.height, content.width / aspect),
    )


def max_window_height(constraints: CropConstraints, shape: Size) -> float:
    """The greatest height worth trying.

    Borders are added where the shape needs them. Borders that only make the person smaller are
    added around a whole body, and not in the medium that the result shows.
    """
    may_grow = (
        constraints.anchor_xy is not None
        and not constraints.closed_edges
        and not constraints.is_shown
    )
    return max(window_heights(constraints, shape)) * (_GROWTH_TRIED if may_grow else 1.0)


# ------------------------------------------------------------------ where it may lie


def _ends(box: Box, axis: int) -> tuple[float, float]:
    return (box.left, box.right) if axis == 0 else (box.top, box.bottom)


def position_range(constraints: CropConstraints, axis: int, size: int) -> tuple[int, int] | None:
    """The first and the last place at which a window of this size may begin; None without a place.

    Inside the content where it is large enough; otherwise around it, but not beyond a closed edge.
    With the margin around the person if there is room for it.
    """
    grid = constraints.grid
    low, high = _ends(constraints.content, axis)
    for box in (constraints.keep_with_margin, constraints.keep):
        keep_low, keep_high = _ends(box, axis)
        first, last = keep_high - size, keep_low
        if size <= high - low:
            first, last = max(low, first), min(high - size, last)
        else:
            is_closed = [name in constraints.closed_edges for name in _EDGES_OF_AXIS[axis]]
            if all(is_closed):
                return None
            first = low if is_closed[0] else high - size
            last = high - size if is_closed[1] else low
        first = math.ceil(first / grid - 1e-9) * grid
        last = math.floor(last / grid + 1e-9) * grid
        if first <= last:
            return first, last
    return None


def anchor_fraction_range(
    constraints: CropConstraints, axis: int, positions: tuple[int, int], size: int
) -> tuple[float, float]:
    """The least and the greatest fraction of a window of this size at which the anchor can stand,
    when the window begins at one of the `positions` (first, last)."""
    if constraints.anchor_xy is None:
        return (-math.inf, math.inf)
    anchor = constraints.anchor_xy[axis]
    return ((anchor - positions[1]) / size, (anchor - positions[0]) / size)


def anchor_fraction_of_content(constraints: CropConstraints, axis: int) -> float:
    """The fraction of the content at which the anchor stands; the middle where nobody is known."""
    if constraints.anchor_xy is None:
        return 0.5
    low, high = _ends(constraints.content, axis)
    return (constraints.anchor_xy[axis] - low) / (high - low)


def anchor_fraction(constraints: CropConstraints, axis: int, window: Window) -> float:
    """The fraction of the window at which the anchor stands."""
    assert constraints.anchor_xy is not None
    first, size = (window.left, window.width) if axis == 0 else (window.top, window.height)
    return (constraints.anchor_xy[axis] - first) / size


def position_for(
    constraints: CropConstraints,
    axis: int,
    positions: tuple[int, int],
    size: int,
    fraction: float,
) -> int:
    """The one of the `positions` (first, last) at which the anchor stands nearest to this fraction
    of a window of this size; nearest to the middle of the content where nobody is known."""
    if constraints.anchor_xy is None:
        low, high = _ends(constraints.content, axis)
        wanted = (low + high - size) / 2.0
    else:
        wanted = constraints.anchor_xy[axis] - fraction * size
    grid = constraints.grid
    return min(max(round(wanted / grid) * grid, positions[0]), positions[1])


def lost_margin(constraints: CropConstraints, window: Window) -> float:
    """How much of the person's margins a window takes away.

    The sum over the edges of the squared lost share: 0 none, 1 the whole margin of one edge.
    """
    edges = (window.left, window.top, -window.right, -window.bottom)
    outer, inner = (
        (box.left, box.top, -box.right, -box.bottom)
        for box in (constraints.keep_with_margin, constraints.keep)
    )
    return sum(
        (max(0.0, edge - eased) / max(1.0, kept - eased)) ** 2
        for edge, eased, kept in zip(edges, outer, inner, strict=True)
    )


def covered_area(constraints: CropConstraints, window: Window) -> float:
    """The area in px² of a window that shows the content; at least 1."""
    box = Box(window.left, window.top, window.right, window.bottom)
    return max(1.0, box.clipped(constraints.content).area)
