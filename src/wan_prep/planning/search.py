"""The window of the image and the window of the clip with which the written pair scores best.

Both are chosen together. For every size near the two shapes that the service leaves as it is,
windows of that shape are tried; where each of them lies follows in closed form from where the
person stands in both media. They are ranked by a cost: the loss of the report's scores for zoom,
placement and size of the faces, plus a price for what is cut off, added, shrunk or blown up. The
cheapest are judged by the checks themselves. A tilted image is tried straightened as well. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from statistics import median

from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence, Subject
from wan_prep.findings import About, PairContext, Rule
from wan_prep.geometry import UNIT_BOX, Size, view_angles
from wan_prep.measures.pair import zoom_ratio
from wan_prep.measures.side import shot_class, subject_in_frame
from wan_prep.planning.crop import (
    EVERY_JOINT,
    CropConstraints,
    ScaledWindow,
    anchor_fraction,
    anchor_fraction_of_content,
    anchor_fraction_range,
    covered_area,
    fixed_points,
    image_constraints,
    joints_of,
    lost_margin,
    max_window_height,
    position_for,
    position_range,
    scaled_windows,
    smallest_even_size,
    unscaled_windows,
    video_constraints,
    window_heights,
    without_empty_corners,
    without_larger_people,
)
from wan_prep.planning.foresee import bytes_per_px, foresee_image, foresee_video
from wan_prep.planning.model import Geometry, Window
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.trim import Interval
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import Family, Mode, Profile, Resolution
from wan_prep.report.scoring import PairScorer, log_loss

# Judging a pair of windows asks every check again: so many pairs, on so many samples at most.
_PAIRS_JUDGED = 8
_SAMPLES_JUDGED = 12
# In units of the score's logarithm, half a point of a good score: where nothing must be changed,
# nothing is changed for less.
_WORTH_CHANGING = 0.005
# Fixed points are tried whose aspect lies between those of the two media, or off by this factor.
_SHAPE_SLACK = 1.07
_HEIGHTS_TRIED = 9
# Adding a border at all costs as much as adding this share of the window's area.
_PAD_AT_ALL = 0.25
# How far the eyes' tilt may be from the spine's for a tilted camera: it tilts both alike, while a
# person who leans keeps the head up.
_EYES_AGREE_DEG = 8.0
# The greatest yaw at which the line between the eyes tells the tilt.
_FACING_DEG = 45.0


@dataclass(frozen=True)
class FramingProblem:
    """What windows are sought for.

    context: the pair, both files readable, the clip's evidence that of what is kept.
    intervals: what is kept of the clip, at least one interval. fps: the rate that will be written.
    """

    context: PairContext
    rules: Sequence[Rule]
    intervals: tuple[Interval, ...]
    fps: Fraction
    options: PlanOptions


@dataclass(frozen=True)
class JudgedFraming:
    """Both geometries and the score (0 … 100) that the checks give the pair seen through them.

    worth: the score's logarithm less the costs of the windows. changed: as in `Framing`.
    """

    image: Geometry
    video: Geometry
    score: float
    worth: float
    changed: float


@dataclass(frozen=True)
class ZoomRatios:
    """How much larger the person is in the image than in the clip, both contents taken whole.

    first: at the first sample; typical: the median over the clip. None where it is not known.
    """

    first: float | None
    typical: float | None


@dataclass(frozen=True)
class Framing:
    """Both windows, the sizes in px they are written in, and what they cost.

    Costs are in units of the score's logarithm. cost: all of them. changed: the part for what is
    cut off, added, shrunk or blown up. unequal: the part for a zoom that still differs.
    """

    image: Window
    image_size: Size
    video: Window
    video_size: Size
    cost: float
    changed: float
    unequal: float


# ------------------------------------------------------------------ judged by the checks


def best_framing(problem: FramingProblem, *, cutting_joints: bool = False) -> JudgedFraming:
    """The windows to write.

    cutting_joints: joints that the other medium's shot does not show, and hands, may be cut off.

    Raises:
        WanPrepError: no window of a usable shape holds the person.
    """
    context = problem.context
    image, video = _constraints(context, cutting_joints)
    upright = _best_alone(problem, image, video)
    if upright is None:
        raise WanPrepError(
            f"no common shape of {context.image.path} and {context.video.path} can be found; crop "
            "the larger one to the shape of the other first"
        )
    rotate_deg = roll_correction_deg(context)
    if rotate_deg is None:
        return upright
    straight = foresee_image(context.image, rotation_only(context.image, rotate_deg), "png")
    image, _ = _constraints(replace(context, image=straight), cutting_joints)
    inner = without_empty_corners(image, rotate_deg)
    turned = None if inner is None else _best_alone(problem, inner, video, rotate_deg)
    if turned is None:
        return upright
    gain = turned.score - upright.score
    is_better = gain >= context.profile.limit("offered_gain") and turned.worth > upright.worth
    return turned if is_better else upright


def offered_framing(problem: FramingProblem, safe: JudgedFraming) -> JudgedFraming | None:
    """The windows that cut joints, where they gain enough over the `safe` ones to be offered."""
    if problem.context.image_subject is None or problem.context.template_subject is None:
        return None
    cutting = best_framing(problem, cutting_joints=True)
    gain = cutting.score - safe.score
    least = problem.context.profile.limit("offered_gain")
    return cutting if gain >= least and cutting.worth > safe.worth else None


def framing_kept_whole(
    framing: JudgedFraming, context: PairContext, media: Collection[About]
) -> JudgedFraming:
    """The same framing with the pictures of these media ("image", "video") left whole."""
    image = _whole_picture(context.image) if "image" in media else framing.image
    video = _whole_picture(context.video) if "video" in media else framing.video
    return replace(framing, image=image, video=video)


def _whole_picture(evidence: Evidence) -> Geometry:
    """All of the picture in its own size; of a clip, which is coded by twos, without its last line
    or column where there is an odd number of them."""
    info = evidence.info
    assert info is not None
    width, height = info.width, info.height
    if evidence.kind == "video":
        width, height = width - width % 2, height - height % 2
    window = Window(left=0, top=0, width=width, height=height)
    return Geometry(window=window, width=width, height=height)


def _best_alone(
    problem: FramingProblem,
    image: CropConstraints,
    video: CropConstraints,
    rotate_deg: float = 0.0,
) -> JudgedFraming | None:
    """The best framing without whoever is larger than the person asked for, whom the model would
    take instead: in both media, else in the clip, else in the image; the best of all where they
    cannot be left out. None where no window has a place."""
    context = problem.context
    seen = context.image
    if rotate_deg:
        seen = foresee_image(seen, rotation_only(seen, rotate_deg), "png")
    lone_image = without_larger_people(image, seen, context.profile) or image
    lone_video = without_larger_people(video, context.video, context.profile) or video
    tried = ((lone_image, lone_video), (image, lone_video), (lone_image, video), (image, video))
    judged = (_best(problem, here, there, rotate_deg) for here, there in dict.fromkeys(tried))
    return next((framing for framing in judged if framing is not None), None)


def _best(
    problem: FramingProblem, image: CropConstraints, video: CropConstraints, rotate_deg: float
) -> JudgedFraming | None:
    """The framing of the greatest worth; where nothing has to be changed, the one that changes
    nothing unless another is worth clearly more. None where no window has a place."""
    for relaxed in (_as_they_are, _without_cut_edges, _without_closed_edges):
        found = _framings(problem, relaxed(image), relaxed(video))
        if found:
            break
    else:
        return None
    judged = [_judged(problem, rotate_deg, framing) for framing in _shortlist(found)]
    least = min(judged, key=lambda framing: framing.changed)
    best = max(judged, key=lambda framing: framing.worth)
    is_fine = not least.changed and best.worth - least.worth < _WORTH_CHANGING
    return least if is_fine else best


def _constraints(
    context: PairContext, cutting_joints: bool
) -> tuple[CropConstraints, CropConstraints]:
    """The image's and the clip's."""
    keep_image = keep_video = EVERY_JOINT
    if (
        cutting_joints
        and context.image_subject is not None
        and context.template_subject is not None
    ):
        keep_image = joints_of(shot_class(context.template_subject))
        keep_video = joints_of(shot_class(context.image_subject))
    shows_image, profile, by_head = context.mode == "animate", context.profile, context.by_head
    return (
        image_constraints(
            context.image, profile, is_shown=shows_image, joints=keep_image, by_head=by_head
        ),
        video_constraints(
            context.video, profile, is_shown=not shows_image, joints=keep_video, by_head=by_head
        ),
    )


# What is given up, one after the other, for a person who fills the frame: better than no plan.


def _as_they_are(constraints: CropConstraints) -> CropConstraints:
    return constraints


def _without_cut_edges(constraints: CropConstraints) -> CropConstraints:
    """Borders may be added where the body is cut, but not to bars."""
    return constraints if constraints.has_bars else _without_closed_edges(constraints)


def _without_closed_edges(constraints: CropConstraints) -> CropConstraints:
    """Borders may be added to bars as well, which then stay; nobody shut out comes back."""
    return replace(constraints, closed_edges=constraints.shut_out)


def _framings(
    problem: FramingProblem, image: CropConstraints, video: CropConstraints
) -> list[Framing]:
    context = problem.context
    return candidate_framings(
        image,
        video,
        _zoom_ratios(context, image, video),
        mode=context.mode,
        resolution=context.resolution,
        profile=context.profile,
        video_area_max=_largest_area(problem),
    )


def _zoom_ratios(
    context: PairContext, image: CropConstraints, video: CropConstraints
) -> ZoomRatios:
    """The report's zooms, corrected for contents rounded to whole px."""
    here, there = context.image_subject, context.template_subject
    if here is None or there is None:
        return ZoomRatios(None, None)
    rounding = (video.content.height / _content_height(context.video)) * (
        _content_height(context.image) / image.content.height
    )
    first = zoom_ratio(here, there)
    framed = (
        subject_in_frame(context.video, o.subject)
        for o in context.video.found
        if o.subject is not None
    )
    over_clip = [ratio for s in framed if (ratio := zoom_ratio(here, s)) is not None]
    return ZoomRatios(
        None if first is None else first * rounding,
        median(over_clip) * rounding if over_clip else None,
    )


def _content_height(evidence: Evidence) -> float:
    assert evidence.info is not None
    return evidence.info.height * evidence.content.height


def _largest_area(problem: FramingProblem) -> float:
    """px of a frame with which the longest file stays under the limit of a file's bytes."""
    profile, info = problem.context.profile, problem.context.video.video_info
    assert info is not None
    length = max(interval.length for interval in problem.intervals)
    frame_bytes = profile.limit("video_bytes_max") / max(1.0, float(length * problem.fps))
    return frame_bytes / bytes_per_px(info, profile)


def _shortlist(found: Sequence[Framing]) -> Iterable[Framing]:
    """The cheapest one of each of the best shapes, and the one that changes least."""
    best_of_shape: dict[Size, Framing] = {}
    for framing in found:
        best_of_shape.setdefault(framing.image_size, framing)
    least = min(found, key=lambda framing: framing.changed)
    return dict.fromkeys([*list(best_of_shape.values())[:_PAIRS_JUDGED], least])


def _judged(problem: FramingProblem, rotate_deg: float, framing: Framing) -> JudgedFraming:
    image = _geometry(framing.image, framing.image_size, problem.options, rotate_deg)
    video = _geometry(framing.video, framing.video_size, problem.options)
    first, context = problem.intervals[0], problem.context
    seen = PairContext(
        foresee_image(context.image, image, "png"),
        foresee_video(
            _thinned(context.video), video, first.start, first.end, problem.fps, context.profile
        ),
        context.mode,
        context.resolution,
        context.profile,
    )
    score = PairScorer(seen, problem.rules).score(seen)
    worth = math.log(max(score, 0.01) / 100.0) - framing.changed - framing.unequal
    return JudgedFraming(image, video, score, worth, framing.changed)


def _thinned(video: Evidence) -> Evidence:
    """The first sample, which is the template, and others evenly spread over the clip.

    Windows move all measures alike, so that the rest only has to be typical of the clip.
    """
    count = len(video.observations)
    if count <= _SAMPLES_JUDGED:
        return video
    last = _SAMPLES_JUDGED - 1
    chosen = sorted({round(k * (count - 1) / last) for k in range(_SAMPLES_JUDGED)})
    return video.changed(observations=tuple(video.observations[k] for k in chosen))


def _geometry(
    window: Window, size: Size, options: PlanOptions, rotate_deg: float = 0.0
) -> Geometry:
    return Geometry(
        rotate_deg=rotate_deg,
        window=window,
        width=size.width,
        height=size.height,
        pad=options.pad,
        pad_color=options.pad_color,
    )


# ------------------------------------------------------------------ a tilted camera


def roll_correction_deg(context: PairContext) -> float | None:
    """Degrees, clockwise, that bring a tilted image in line with an upright clip.

    None where there is nothing to turn, where it is the person who leans and not the camera, and
    where the picture has bars, which would be turned with it. A head alone may lean: nothing beside
    it tells where the camera's vertical is.
    """
    image, template = context.image_subject, context.template_subject
    if image is None or template is None or context.image.content != UNIT_BOX or context.by_head:
        return None
    views = image.subject.view_matrix, template.subject.view_matrix
    if views[0] is None or views[1] is None:
        return None
    here, there = view_angles(views[0]), view_angles(views[1])
    fine = context.profile.tolerances["roll"].fine
    most = context.profile.limit("turn_max")
    is_tilted = fine < abs(here.roll - there.roll) <= most and abs(there.roll) <= fine
    eyes_deg = _eye_line_deg(image.subject, image.size)
    is_camera = abs(here.yaw) <= _FACING_DEG and abs(eyes_deg - here.roll) <= _EYES_AGREE_DEG
    return round(there.roll - here.roll, 1) if is_tilted and is_camera else None


def _eye_line_deg(subject: Subject, size: Size) -> float:
    """Clockwise tilt of the line between the eyes of somebody who faces the camera."""
    points = subject.keypoints_xy * size
    x, y = points[Joint.LEFT_EYE] - points[Joint.RIGHT_EYE]
    return math.degrees(math.atan2(y, x))


def rotation_only(image: Evidence, rotate_deg: float) -> Geometry:
    """The whole picture, turned and nothing else."""
    assert image.info is not None
    width, height = image.info.width, image.info.height
    return Geometry(
        rotate_deg=rotate_deg,
        window=Window(left=0, top=0, width=width, height=height),
        width=width,
        height=height,
    )


# ------------------------------------------------------------------ ranked by cost


def candidate_framings(
    image: CropConstraints,
    video: CropConstraints,
    zooms: ZoomRatios,
    *,
    mode: Mode,
    resolution: Resolution,
    profile: Profile,
    video_area_max: float,
) -> list[Framing]:
    """Every pair of windows that was tried and meets both constraints, cheapest first.

    video_area_max: the largest frame, in px, that a clip may be written with.
    """
    search = _WindowSearch(image, video, zooms, mode, profile, video_area_max)
    extreme = profile.limit("aspect_max")
    aspects = [
        min(max(c.content.width / c.content.height, 1.0 / extreme), extreme) for c in (image, video)
    ]
    found = [
        framing
        for shape in fixed_points(resolution, profile)
        if min(aspects) / _SHAPE_SLACK <= shape.width / shape.height <= max(aspects) * _SHAPE_SLACK
        for framing in search.of_shape(shape)
    ]
    return sorted(found, key=lambda framing: framing.cost)


@dataclass(frozen=True)
class _WindowSearch:
    """The pairs of windows of one shape, and their costs; the arguments of `candidate_framings`."""

    image: CropConstraints
    video: CropConstraints
    zooms: ZoomRatios
    mode: Mode
    profile: Profile
    video_area_max: float

    def of_shape(self, shape: Size) -> Iterator[Framing]:
        """Every pair that has a place. `shape` is also the size the image is written in."""
        tried = set()
        for scaled in self._video_windows(shape):
            for height in self._image_heights(shape, scaled):
                width = round(height * shape.width / shape.height)
                if (scaled, height) in tried or width < 1:
                    continue
                tried.add((scaled, height))
                framing = self._framing(shape, Size(width, height), scaled)
                if framing is not None:
                    yield framing

    def _video_windows(self, shape: Size) -> Iterator[ScaledWindow]:
        least, most = window_heights(self.video, shape)
        most_tried = max_window_height(self.video, shape)
        wanted = _spread(least, max(least, most))
        if (ratio := self._height_ratio) is not None:
            equal = [height / ratio for height in window_heights(self.image, shape)]
            wanted += [height for height in equal if least <= height <= most_tried]
        # A little more, so that rounding down still holds what must be kept.
        rounded = [*wanted, least + 12]
        if self.mode == "replace":
            windows = scaled_windows(shape, rounded, within=shape, as_shape=True)
        else:
            windows = chain(
                unscaled_windows(shape, wanted, within=self._largest(shape)),
                scaled_windows(shape, rounded, within=self._largest(shape)),
            )
        # No borders are added for the sake of a round size.
        over = max(*wanted, most, least + smallest_even_size(shape).height if least > most else 0.0)
        fitting = [scaled for scaled in dict.fromkeys(windows) if scaled.window.height <= over]
        smallest = self.profile.limit("video_side_min")
        yield from [scaled for scaled in fitting if min(scaled.written) >= smallest] or fitting

    def _largest(self, shape: Size) -> Size:
        """The largest frame that may be written, by the limits of a side and of the area."""
        side = self.profile.limit("video_side_max")
        aspect = shape.width / shape.height
        return Size(
            int(min(side, math.sqrt(self.video_area_max * aspect))),
            int(min(side, math.sqrt(self.video_area_max / aspect))),
        )

    def _image_heights(self, shape: Size, scaled: ScaledWindow) -> Iterator[int]:
        """The whole image's, and the one with which the zoom is 1, as near as it may come."""
        least, most = window_heights(self.image, shape)
        whole = math.floor(most) if least <= most else math.ceil(least)
        yield whole
        if self._height_ratio is not None:
            equal = scaled.window.height * self._height_ratio
            most_tried = max(whole, math.floor(max_window_height(self.image, shape)))
            yield round(min(max(equal, math.ceil(least)), most_tried))

    @property
    def _height_ratio(self) -> float | None:
        """Height of the image's window over that of the clip's at which the zoom is 1."""
        if self.zooms.first is None:
            return None
        return self.zooms.first * self.image.content.height / self.video.content.height

    def _framing(self, shape: Size, image_size: Size, scaled: ScaledWindow) -> Framing | None:
        """None where a window has no place."""
        corners = []
        for axis in (0, 1):
            sizes = image_size[axis], scaled.window[axis]
            here = position_range(self.image, axis, sizes[0])
            there = position_range(self.video, axis, sizes[1])
            if here is None or there is None:
                return None
            corners.append(self._positions(axis, (here, there), sizes))
        (image_left, video_left), (image_top, video_top) = corners
        image = Window(
            left=image_left, top=image_top, width=image_size.width, height=image_size.height
        )
        video = Window(
            left=video_left, top=video_top, width=scaled.window.width, height=scaled.window.height
        )
        changed = self._changed(shape, image, video, scaled)
        unequal = self._unequal(image, video)
        cost = self._score_loss(shape, image, video, scaled) + changed + unequal
        return Framing(image, shape, video, scaled.written, cost, changed, unequal)

    def _positions(
        self, axis: int, ranges: tuple[tuple[int, int], tuple[int, int]], sizes: tuple[int, int]
    ) -> tuple[int, int]:
        """Where the image's and the clip's window begin, so that the person stands at one fraction
        of both: where the composed medium has it if both can, as near as they get otherwise."""
        here = anchor_fraction_range(self.image, axis, ranges[0], sizes[0])
        there = anchor_fraction_range(self.video, axis, ranges[1], sizes[1])
        low, high = max(here[0], there[0]), min(here[1], there[1])
        wanted = anchor_fraction_of_content(self._composed, axis)
        wanted = min(max(wanted, low), high) if low <= high else (low + high) / 2.0
        return (
            position_for(self.image, axis, ranges[0], sizes[0], wanted),
            position_for(self.video, axis, ranges[1], sizes[1], wanted),
        )

    @property
    def _composed(self) -> CropConstraints:
        """The medium whose composition is kept: the one the result shows, if it shows anybody."""
        shown, other = (self.image, self.video) if self.image.is_shown else (self.video, self.image)
        return other if shown.anchor_xy is None else shown

    # ---- costs, in units of the score's logarithm

    def _zoom(self, image: Window, video: Window) -> float | None:
        """How much larger the person is in the image's window than in the clip's."""
        ratio = self._height_ratio
        return None if ratio is None else video.height / image.height * ratio

    def _unequal(self, image: Window, video: Window) -> float:
        """What a zoom costs that still differs, also in a mode whose score weighs it less."""
        zoom = self._zoom(image, video)
        if zoom is None:
            return 0.0
        # Measured again, zooms differ a little; half of the tolerance is left for that.
        fine = self.profile.tolerances["zoom"].fine
        return self.profile.limit("unequal_cost") * max(0.0, abs(math.log(zoom)) - fine / 2.0)

    def _score_loss(self, shape: Size, image: Window, video: Window, scaled: ScaledWindow) -> float:
        """What the report's checks would take of the score's logarithm."""
        zooms = self.zooms
        cost = 0.0
        zoom = self._zoom(image, video)
        if zooms.first is not None and zoom is not None:
            cost += self._loss("framing", "WP301", "zoom", abs(math.log(zoom)))
            if zooms.typical is not None:
                typical = zoom * zooms.typical / zooms.first
                cost += self._loss("framing", "WP307", "typical_zoom", abs(math.log(typical)))
        if self.image.anchor_xy is not None and self.video.anchor_xy is not None:
            apart = math.hypot(
                *(
                    anchor_fraction(self.image, axis, image)
                    - anchor_fraction(self.video, axis, video)
                    for axis in (0, 1)
                )
            )
            cost += self._loss("framing", "WP302", "placement", apart)
        if self.image.face_px is not None:
            px = self.image.face_px * shape.height / image.height
            cost += self._loss("subject", "WP508", "face_px", px)
        if self.video.face_px is not None:
            px = self.video.face_px * scaled.scale
            cost += self._loss("subject", "WP509", "face_px", px)
        return cost

    def _loss(self, family: Family, code: str, tolerance: str, measured: float) -> float:
        """`tolerance`: a name among the profile's tolerances that are common to all modes."""
        score = self.profile.tolerances[tolerance].score(measured)
        return log_loss(self.profile, self.mode, family, code, score)

    def _changed(self, shape: Size, image: Window, video: Window, scaled: ScaledWindow) -> float:
        """The price of what is cut off, added, shrunk or blown up, and of lost margins."""
        limit = self.profile.limit
        cost = 0.0
        for constraints, window in ((self.image, image), (self.video, video)):
            role = "shown" if constraints.is_shown else "driving"
            area = covered_area(constraints, window)
            added = window.width * window.height / area - 1.0
            cost += limit(f"crop_cost_{role}") * (1.0 - area / constraints.content.area)
            cost += limit(f"pad_cost_{role}") * (added + _PAD_AT_ALL) if added > 1e-9 else 0.0
            cost += limit("tight_cost") * lost_margin(constraints, window)
        enlarged = shape.height / image.height
        cost += limit("enlarge_cost") * max(0.0, math.log(enlarged))
        if self.mode == "replace":
            cost += limit("enlarge_cost") * max(0.0, math.log(scaled.scale))
        elif scaled.written != scaled.window:
            cost += limit("scale_cost") + limit("shrink_cost") * abs(math.log(scaled.scale))
        return cost


def _spread(low: float, high: float) -> list[float]:
    """Heights from the highest down, each the same factor smaller."""
    ratio = low / high
    return [high * ratio ** (k / (_HEIGHTS_TRIED - 1)) for k in range(_HEIGHTS_TRIED)]
