"""Find the bodies in one picture.

The first look shows the network the whole picture.  Where its answer is implausible, it is repeated
around the head; where no large body is found, on squares of the shorter side; where nobody is
found, on smaller tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from wan_prep.geometry import Box, Floats, Size, square_around
from wan_prep.pose import body as bodies
from wan_prep.pose import inference
from wan_prep.pose.body import Body
from wan_prep.pose.estimator import PoseEstimator, Rgb
from wan_prep.pose.plausible import doubts
from wan_prep.pose.skeleton import HIPS, SHOULDERS
from wan_prep.pose.track import Candidate

CLOSER_LOOKS = (
    *((1.5, False), (1.3, False), (1.5, True), (1.2, False), (1.3, True)),
    *((1.4, False), (1.2, True), (1.4, True), (1.1, True)),
)
"""Further looks at a body, the most useful first: the square's side as a multiple of the body's,
and whether it is mirrored. Beyond 1.5 padding begins to move the joints; below 1.2 too little is
left around a body that the frame cuts."""
FEW_LOOKS = 3
"""Number of looks from which on their consensus is used: of three, one may be wrong."""
REFERENCE_LOOKS = 1 + len(CLOSER_LOOKS)
"""Looks at a still and at the template, which everything else is compared with."""
SMALL_BODY = 0.35
"""A body whose height is below this share of the picture's longer side is looked at again in a
crop, where its joints are found more exactly (docs/calibration.md)."""
FURTHER_FACTORS = (1.3, 1.7)
"""Sides of the squares that a picture is looked at in from further away, as multiples of its longer
side. Beyond 1.5 padding moves the joints, but closer looks put them right."""
MAIN_SHARE = 0.06
"""Share of the picture's area from which on no larger body is looked for. An adult of half the
height of a wide picture has a little less."""
SAME_BODY_IOU = 0.45
"""Boxes with at least this intersection over union are one person's (docs/calibration.md)."""
CONFIRMING_FACTORS = (1.2, 1.6, 2.4)
"""Sides of the squares, from tight to wide, in which a small body must be found again, as multiples
of the body's. To a face on a poster the network adds a body that grows with the square; a person
keeps the same scale."""
TINY_TILE = 0.3
"""Side of the smallest tiles, as a share of the shorter side: people of a tenth of the picture's
height are found in these, and not in larger ones."""
CONFIRMING_SCALE = 0.15
"""Largest difference in scale, as a share, between two looks that confirm each other."""


def search_further(
    rgb: Rgb,
    known: Sequence[Body],
    doubted: Sequence[Body],
    estimator: PoseEstimator,
    *,
    thoroughly: bool = False,
) -> list[Body]:
    """Plausible bodies beside those known, sought only as far as nobody large is known.

    doubted: implausible bodies of the first look.  thoroughly: where nobody is found, also search
    for people of a tenth of the picture's height, which takes about fifty looks.
    """
    found = list(known)
    if not found:
        for body in doubted:
            found = merge(found, look_until(rgb, retry_regions(body), estimator, enough=1))
    if not found:
        found = _from_further_away(rgb, estimator)
    if not any(share(body) >= MAIN_SHARE for body in found):
        # The networks may have missed a large person, for instance because of a curtain or a hat.
        found += bodies_in_thirds(rgb, found, estimator)
    if not found:
        small = look_until(rgb, tiles(inference.size_of(rgb)), estimator, enough=1)
        found = [body for body in small if _confirmed(rgb, body, estimator)]
    if not found and thoroughly:
        found = _tiny(rgb, estimator)
    return found[len(known) :]


def bodies_in_thirds(rgb: Rgb, known: Sequence[Body], estimator: PoseEstimator) -> list[Body]:
    """Bodies beside those known, found in squares of the picture's shorter side."""
    found = list(known)
    for region in dict.fromkeys(thirds(inference.size_of(rgb))):
        found = merge(found, look_until(rgb, [region], estimator, enough=1))
    return found[len(known) :]


def refine(rgb: Rgb, body: Body, estimator: PoseEstimator, looks: int = REFERENCE_LOOKS) -> Body:
    """The consensus of `looks` looks at a body, the one that found it included.

    A small body is first replaced by what a crop shows, where the network sees it larger.  A head
    stays as its face shows it.
    """
    if body.is_head:
        return body
    seen = [body]
    if bodies.body_box(body).height < SMALL_BODY * max(body.size):
        near = same(
            body, inference.infer_region(rgb, inference.square_around_body(body, 1.6), estimator)
        )
        seen = near[:1] or seen
    for factor, mirror in CLOSER_LOOKS[: looks - 1]:
        # The regions follow the consensus, so that an inexact first look does not fix them all.
        where = seen[0] if len(seen) < FEW_LOOKS else bodies.consensus(seen)
        region = inference.square_around_body(where, factor)
        # At most one body a look: two that overlap in one look are not two that agree.
        seen += same(where, inference.infer_region(rgb, region, estimator, mirror=mirror))[:1]
    return bodies.consensus(seen)


def seen_again(rgb: Rgb, body: Body, estimator: PoseEstimator) -> bool:
    """Whether two closer looks both find the body again."""
    return all(
        same(
            body, inference.infer_region(rgb, inference.square_around_body(body, factor), estimator)
        )
        for factor in (1.5, 1.3)
    )


def share(body: Body) -> float:
    """Share of the picture that the body's box takes, 0 … 1."""
    return bodies.body_box(body).area / (body.size.width * body.size.height)


def _confirmed(rgb: Rgb, body: Body, estimator: PoseEstimator) -> bool:
    """Whether looks at larger and larger squares all find this body, in the same scale.

    Needed for bodies found in tiles alone: to a face on a poster or an icon the network adds a body
    whose size changes from look to look.
    """
    scale = bodies.px_per_m(body)
    if scale is None:
        return False
    for factor in CONFIRMING_FACTORS:
        again = same(
            body, inference.infer_region(rgb, inference.square_around_body(body, factor), estimator)
        )
        scales = [s for b in again if (s := bodies.px_per_m(b)) is not None]
        if not any(abs(s / scale - 1.0) < CONFIRMING_SCALE for s in scales):
            return False
    return True


def _from_further_away(rgb: Rgb, estimator: PoseEstimator) -> list[Body]:
    """The body that two looks from further away see in the same scale, in which somebody who fills
    the picture is smaller; an empty list without one."""
    size = inference.size_of(rgb)
    center = (size.width / 2.0, size.height / 2.0)
    near, far = (
        look_until(rgb, [square_around(center, factor * max(size))], estimator, enough=1)
        for factor in FURTHER_FACTORS
    )
    return [body for body in near if any(_same_scale(body, b) for b in same(body, far))]


def _same_scale(a: Body, b: Body) -> bool:
    scale_a, scale_b = bodies.px_per_m(a), bodies.px_per_m(b)
    if scale_a is None or scale_b is None:
        return False
    return abs(math.log(scale_a / scale_b)) < CONFIRMING_SCALE


def _tiny(rgb: Rgb, estimator: PoseEstimator) -> list[Body]:
    """The first body found in small tiles that closer looks confirm; an empty list without one.

    In crops of few pixels the network often guesses: two of three looks must find the body again,
    in the same scale (docs/calibration.md).
    """
    for region in tiles(inference.size_of(rgb), TINY_TILE):
        for body in inference.infer_region(rgb, region, estimator):
            if doubts(body):
                continue
            seen = [
                same(
                    body,
                    inference.infer_region(
                        rgb, inference.square_around_body(body, factor), estimator
                    ),
                )[:1]
                for factor in CONFIRMING_FACTORS
            ]
            scales = [s for again in seen for b in again if (s := bodies.px_per_m(b)) is not None]
            pairs = itertools.combinations(scales, 2)
            if any(abs(math.log(a / b)) < CONFIRMING_SCALE for a, b in pairs):
                return [body]
    return []


def first_look(rgb: Rgb, estimator: PoseEstimator) -> tuple[list[Body], list[Body]]:
    """(plausible, implausible) bodies that one look at the whole picture finds."""
    found: list[Body] = []
    doubted: list[Body] = []
    for body in inference.infer_region(
        rgb, inference.whole_square(inference.size_of(rgb)), estimator
    ):
        if doubts(body):
            doubted.append(body)
        else:
            found = merge(found, [body])
    return found, doubted


def look_until(
    rgb: Rgb, regions: Iterable[Box], estimator: PoseEstimator, *, enough: int
) -> list[Body]:
    """Plausible bodies, region by region, until `enough` are found; each person once."""
    found: list[Body] = []
    for region in regions:
        found = merge(
            found, [b for b in inference.infer_region(rgb, region, estimator) if not doubts(b)]
        )
        if len(found) >= enough:
            break
    return found


def merge(found: list[Body], more: Iterable[Body]) -> list[Body]:
    """`found`, and those of `more` that show somebody else."""
    merged = list(found)
    for body in more:
        box = bodies.body_box(body)
        if all(bodies.body_box(other).iou(box) < SAME_BODY_IOU for other in merged):
            merged.append(body)
    return merged


def same(body: Body, seen: Iterable[Body]) -> list[Body]:
    """Those bodies of another look that are plausible and show the same person as `body`."""
    box = bodies.body_box(body)
    return [
        other
        for other in seen
        if not doubts(other) and bodies.body_box(other).iou(box) >= SAME_BODY_IOU
    ]


def retry_regions(body: Body) -> list[Box]:
    """Squares around the head, to look again for a person whose body came out implausible: even
    then the head is mostly in the right place."""
    short = float(min(body.size))
    nose = np.clip(body.keypoints_xy[0], (0.0, 0.0), tuple(map(float, body.size)))
    below = nose + (0.0, 0.15 * short)
    return [square_around(below, factor * short) for factor in (1.0, 0.75, 0.55)]


def thirds(size: Size) -> list[Box]:
    """Five squares of the shorter side along the longer one: middle, both ends, then between."""
    side, length = float(min(size)), float(max(size))
    places = [0.5, 0.0, 1.0, 0.25, 0.75]
    centers = [side / 2.0 + place * (length - side) for place in places]
    if size.width >= size.height:
        return [square_around((c, size.height / 2.0), side) for c in centers]
    return [square_around((size.width / 2.0, c), side) for c in centers]


def tiles(size: Size, share: float = 0.6) -> list[Box]:
    """Overlapping squares that cover the picture, their side `share` of its shorter side."""
    # Of a very long picture the squares are larger, so that their number stays small.
    side = max(share * float(min(size)), float(max(size)) * share / 3.6)
    columns = max(2, round(1.5 * size.width / side))
    rows = max(2, round(1.5 * size.height / side))
    return [
        square_around((x, y), side)
        for y in _spread(side, size.height, rows)
        for x in _spread(side, size.width, columns)
    ]


def _spread(side: float, length: int, count: int) -> Floats:
    """(N,) centers of `count` spans of `side` over 0 … length; or only the middle."""
    if side >= length:
        return np.array([length / 2.0])
    return np.linspace(side / 2.0, length - side / 2.0, count)


def candidate(rgb: Rgb, body: Body) -> Candidate:
    return Candidate(body, _torso_colour(rgb, body))


def _torso_colour(rgb: Rgb, body: Body) -> Floats | None:
    """(3,) median CIELAB of the upper torso, that is of the clothes; None out of the picture."""
    neck = bodies.midpoint(body.keypoints_xy, SHOULDERS)
    hips = bodies.midpoint(body.keypoints_xy, HIPS)
    across = abs(float(body.keypoints_xy[11, 0] - body.keypoints_xy[12, 0]))
    half = max(2.0, 0.25 * across)
    center = neck + 0.3 * (hips - neck)
    x0, x1 = int(center[0] - half), int(center[0] + half) + 1
    y0, y1 = int(center[1] - half), int(center[1] + half) + 1
    patch = rgb[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if patch.size == 0:
        return None
    step = max(1, min(patch.shape[:2]) // 24)  # a few hundred pixels are enough for a median
    patch = np.ascontiguousarray(patch[::step, ::step])
    lab = cv2.cvtColor(patch.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    colour: Floats = np.median(lab.reshape(-1, 3), axis=0).astype(np.float64)
    return colour
