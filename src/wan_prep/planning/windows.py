"""One window for the image and one for the clip, chosen together.

For every size that the service leaves as it is, near the two shapes, windows of that shape are
tried; where each of them lies follows in closed form from where the person stands in both.  What
a pair of windows costs is the loss of the report's own scores (zoom, placement, size of the
faces), and what is cut off, added, shrunk or blown up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from wan_prep.geometry import Size
from wan_prep.planning.model import Window
from wan_prep.planning.places import (
    begin,
    covered_px,
    heights,
    highest,
    reach,
    share,
    share_now,
    shares,
    tightness,
)
from wan_prep.planning.sides import Side
from wan_prep.planning.sizes import Cut, even_unit, fixed_points, native_cuts, scaled_cuts
from wan_prep.profile import Family, Mode, Profile, Resolution

# Fixed points whose shape is further than this from both media are not tried.
_SHAPE_SLACK = 1.07
_HEIGHTS_TRIED = 9
# Adding anything at all weighs as much as adding this share of the area.
_PAD_AT_ALL = 0.25


@dataclass(frozen=True)
class Match:
    """How image and clip compare with both contents whole; None where it is not known.

    zoom, typical_zoom: the report's ratios, at the template and over the clip.
    """

    zoom: float | None
    typical_zoom: float | None


@dataclass(frozen=True)
class Framing:
    """Both windows, the sizes they are written in, and what they cost.

    Costs are in units of the score's logarithm. cost: all of them. changed: what is cut off,
    added, shrunk or blown up. unequal: a zoom that still differs.
    """

    image: Window
    image_size: Size
    video: Window
    video_size: Size
    cost: float
    changed: float
    unequal: float


def framings(
    image: Side,
    video: Side,
    match: Match,
    *,
    mode: Mode,
    resolution: Resolution,
    profile: Profile,
    video_area_max: float,
) -> list[Framing]:
    """Every pair of windows that was tried and holds what both sides must keep, cheapest first.

    video_area_max: the largest frame, in px, that a clip may be written with.
    """
    search = _Search(image, video, match, mode, profile, video_area_max)
    extreme = profile.limit("aspect_max")
    aspects = [
        min(max(s.content.width / s.content.height, 1.0 / extreme), extreme) for s in (image, video)
    ]
    found = [
        framing
        for shape in fixed_points(resolution, profile)
        if min(aspects) / _SHAPE_SLACK <= shape.width / shape.height <= max(aspects) * _SHAPE_SLACK
        for framing in search.of_shape(shape)
    ]
    return sorted(found, key=lambda framing: framing.cost)


@dataclass(frozen=True)
class _Search:
    image: Side
    video: Side
    match: Match
    mode: Mode
    profile: Profile
    video_area_max: float

    def of_shape(self, shape: Size) -> Iterator[Framing]:
        tried = set()
        for cut in self._cuts(shape):
            for height in self._image_heights(shape, cut):
                width = round(height * shape.width / shape.height)
                if (cut, height) in tried or width < 1:
                    continue
                tried.add((cut, height))
                framing = self._framing(shape, Size(width, height), cut)
                if framing is not None:
                    yield framing

    def _cuts(self, shape: Size) -> Iterator[Cut]:
        least, most = heights(self.video, shape)
        most_at_all = highest(self.video, shape)
        wanted = _spread(least, max(least, most))
        if (scale := self._scale) is not None:
            equal = [h / scale for h in heights(self.image, shape)]
            wanted += [h for h in equal if least <= h <= most_at_all]
        # A little more, so that rounding down still holds what must be kept.
        rounded = [*wanted, least + 12]
        if self.mode == "replace":
            cuts = scaled_cuts(shape, rounded, within=shape, as_shape=True)
        else:
            cuts = chain(
                native_cuts(shape, wanted, within=self._largest(shape)),
                scaled_cuts(shape, rounded, within=self._largest(shape)),
            )
        # No borders for the sake of a round size.
        over = max(*wanted, most, least + even_unit(shape).height if least > most else 0.0)
        fitting = [cut for cut in dict.fromkeys(cuts) if cut.window.height <= over]
        smallest = self.profile.limit("video_side_min")
        yield from [cut for cut in fitting if min(cut.written) >= smallest] or fitting

    def _largest(self, shape: Size) -> Size:
        """The largest frame that may be written, by the limits of a side and of the area."""
        side = self.profile.limit("video_side_max")
        aspect = shape.width / shape.height
        return Size(
            int(min(side, math.sqrt(self.video_area_max * aspect))),
            int(min(side, math.sqrt(self.video_area_max / aspect))),
        )

    def _image_heights(self, shape: Size, cut: Cut) -> Iterator[int]:
        least, most = heights(self.image, shape)
        whole = math.floor(most) if least <= most else math.ceil(least)
        yield whole
        if self._scale is not None:
            equal = cut.window.height * self._scale
            most_at_all = max(whole, math.floor(highest(self.image, shape)))
            yield round(min(max(equal, math.ceil(least)), most_at_all))

    @property
    def _scale(self) -> float | None:
        """Height of the image's window over that of the clip's at which the zoom is 1."""
        if self.match.zoom is None:
            return None
        return self.match.zoom * self.image.content.height / self.video.content.height

    def _framing(self, shape: Size, image_size: Size, cut: Cut) -> Framing | None:
        places = []
        for axis in (0, 1):
            a = reach(self.image, axis, image_size[axis])
            b = reach(self.video, axis, cut.window[axis])
            if a is None or b is None:
                return None
            places.append(self._place(axis, a, image_size[axis], b, cut.window[axis]))
        (image_left, video_left), (image_top, video_top) = places
        image = Window(
            left=image_left, top=image_top, width=image_size.width, height=image_size.height
        )
        video = Window(
            left=video_left, top=video_top, width=cut.window.width, height=cut.window.height
        )
        changed = self._changed(shape, image, video, cut)
        unequal = self._unequal(image, video)
        cost = self._missed(shape, image, video, cut) + changed + unequal
        return Framing(image, shape, video, cut.written, cost, changed, unequal)

    def _place(
        self, axis: int, a: tuple[int, int], size_a: int, b: tuple[int, int], size_b: int
    ) -> tuple[int, int]:
        """Where both windows begin, so that the person stands at one fraction of both."""
        possible = [
            shares(side, axis, within, size)
            for side, within, size in ((self.image, a, size_a), (self.video, b, size_b))
        ]
        wanted = share_now(self._composed, axis)
        low, high = max(p[0] for p in possible), min(p[1] for p in possible)
        # As the shown medium has it where both can; as near to each other as they get otherwise.
        wanted = min(max(wanted, low), high) if low <= high else (low + high) / 2.0
        return (
            begin(self.image, axis, a, size_a, wanted),
            begin(self.video, axis, b, size_b, wanted),
        )

    @property
    def _composed(self) -> Side:
        """The side whose composition is kept: the one the result shows, if it shows anybody."""
        shown, other = (self.image, self.video) if self.image.is_shown else (self.video, self.image)
        return other if shown.neck_xy is None else shown

    def _zoom(self, image: Window, video: Window) -> float | None:
        """How much larger the person is in the image's window than in the clip's."""
        return None if self._scale is None else video.height / image.height * self._scale

    def _unequal(self, image: Window, video: Window) -> float:
        """Equal zooms are what windows are for, also in a mode whose score cares less."""
        zoom = self._zoom(image, video)
        if zoom is None:
            return 0.0
        # Measured again they differ a little; half of the tolerance is left for that.
        fine = self.profile.tolerances["zoom"].fine
        return self.profile.limit("unequal_cost") * max(0.0, abs(math.log(zoom)) - fine / 2.0)

    def _missed(self, shape: Size, image: Window, video: Window, cut: Cut) -> float:
        """What the report's checks would take of the score's logarithm."""
        match = self.match
        cost = 0.0
        zoom = self._zoom(image, video)
        if match.zoom is not None and zoom is not None:
            cost += self._loss("framing", "WP301", "zoom", abs(math.log(zoom)))
            if match.typical_zoom is not None:
                typical = zoom * match.typical_zoom / match.zoom
                cost += self._loss("framing", "WP307", "typical_zoom", abs(math.log(typical)))
        if self.image.neck_xy is not None and self.video.neck_xy is not None:
            apart = math.hypot(
                *(
                    share(self.image, axis, image) - share(self.video, axis, video)
                    for axis in (0, 1)
                )
            )
            cost += self._loss("framing", "WP302", "placement", apart)
        if self.image.face_px is not None:
            px = self.image.face_px * shape.height / image.height
            cost += self._loss("subject", "WP508", "face_px", px)
        if self.video.face_px is not None:
            px = self.video.face_px * cut.shrink
            cost += self._loss("subject", "WP509", "face_px", px)
        return cost

    def _loss(self, family: Family, code: str, tolerance: str, measured: float) -> float:
        weights = self.profile.family_weights[self.mode]
        weight = (
            weights[family] / sum(weights.values()) * self.profile.check_weight(self.mode, code)
        )
        return -weight * math.log(self.profile.tolerances[tolerance].score(measured))

    def _changed(self, shape: Size, image: Window, video: Window, cut: Cut) -> float:
        limit = self.profile.limit
        cost = 0.0
        for side, window in ((self.image, image), (self.video, video)):
            role = "shown" if side.is_shown else "driving"
            area = covered_px(side, window)
            added = window.width * window.height / area - 1.0
            cost += limit(f"crop_cost_{role}") * (1.0 - area / side.content.area)
            cost += limit(f"pad_cost_{role}") * (added + _PAD_AT_ALL) if added > 1e-9 else 0.0
            cost += limit("tight_cost") * tightness(side, window)
        enlarged = shape.height / image.height
        cost += limit("enlarge_cost") * max(0.0, math.log(enlarged))
        if self.mode == "replace":
            cost += limit("enlarge_cost") * max(0.0, math.log(cut.shrink))
        elif cut.written != cut.window:
            cost += limit("scale_cost") + limit("shrink_cost") * abs(math.log(cut.shrink))
        return cost


def _spread(low: float, high: float) -> list[float]:
    """Heights from the highest down, each the same factor smaller."""
    ratio = low / high
    return [high * ratio ** (k / (_HEIGHTS_TRIED - 1)) for k in range(_HEIGHTS_TRIED)]
