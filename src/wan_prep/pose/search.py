"""Searching one picture: a first look, and what is tried before giving up.

The first look sees the whole picture.  Doubtful answers are sought again around the head, small
bodies again on a crop, and where nobody is seen the picture is searched in tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

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
"""Further looks at a body in the order of their worth: extent as a multiple of the body, and
whether the picture is mirrored. Judgement: beyond 1.5 padding begins to move the joints, and closer
than 1.2 too little is left around a body that the frame cuts."""
FEW_LOOKS = 3
"""From so many looks on their consensus is better than any of them: of three one may be wrong."""
KEY_LOOKS = 1 + len(CLOSER_LOOKS)
"""Looks at a picture that everything is held against: a still, the template."""
SMALL_BODY = 0.35
"""Below this share of the picture's longer side a body is looked at again, closer. Measured: a
closer look moves such a body's joints by 1.2 cm at the median, one of twice the size by 0.8."""
MAIN_SHARE = 0.06
"""A body this large, as a share of the picture, is taken for the main one without looking for a
larger one. Judgement: a little more than an adult of half the height of a wide picture."""
SAME_BODY_IOU = 0.45
"""Boxes that overlap this much are one person's. Measured: looks at one person 0.73 (p5), two
people beside each other 0.36 at most."""
CONFIRMING_FACTORS = (1.2, 1.6, 2.4)
TINY_TILE = 0.3
"""Measured: people of a tenth of the height are seen in squares of this share, not in larger."""
CONFIRMING_SCALE = 0.15
"""Judgement: squares from tight to wide, between which a face on a poster, which grows with the
square, changes its scale twofold and a person hardly."""


def find_bodies(rgb: Rgb, estimator: PoseEstimator, *, thoroughly: bool = False) -> list[Candidate]:
    """The plausible bodies of a picture, after second looks where the first is not enough.

    thoroughly: search for people of a tenth of the picture's height, too; about fifty looks where
    nobody else is found.
    """
    found, doubted = first_look(rgb, estimator)
    if not found:
        for body in doubted:
            found = merge(found, look_until(rgb, retry_regions(body), estimator, enough=1))
    if not any(share(body) >= MAIN_SHARE for body in found):
        # Whoever is large may still have been missed: a curtain or a hat is enough for that.
        found = _merge_thirds(rgb, found, estimator)
    if not found:
        small = look_until(rgb, tiles(inference.size_of(rgb)), estimator, enough=1)
        found = [body for body in small if _confirmed(rgb, body, estimator)]
    if not found and thoroughly:
        found = _tiny(rgb, estimator)
    return [candidate(rgb, body) for body in found]


def bodies_in_thirds(
    rgb: Rgb, known: Iterable[Candidate], estimator: PoseEstimator
) -> list[Candidate]:
    """Who else is seen in squares of the picture's shorter side than those known."""
    bodies_known = [c.body for c in known]
    found = _merge_thirds(rgb, bodies_known, estimator)[len(bodies_known) :]
    return [candidate(rgb, body) for body in found]


def _merge_thirds(rgb: Rgb, found: list[Body], estimator: PoseEstimator) -> list[Body]:
    for region in dict.fromkeys(thirds(inference.size_of(rgb))):
        found = merge(found, look_until(rgb, [region], estimator, enough=1))
    return found


def refine(rgb: Rgb, body: Body, estimator: PoseEstimator, looks: int = KEY_LOOKS) -> Body:
    """The same body from `looks` looks in all: their consensus.

    A small body counts anew from a crop, where the network sees it larger.
    """
    seen = [body]
    if bodies.body_box(body).height < SMALL_BODY * max(body.size):
        near = same(
            body, inference.infer_region(rgb, inference.square_around_body(body, 1.6), estimator)
        )
        seen = near[:1] or seen
    for factor, mirror in CLOSER_LOOKS[: looks - 1]:
        # What the first look saw does not decide alone where the others look.
        where = seen[0] if len(seen) < FEW_LOOKS else bodies.consensus(seen)
        region = inference.square_around_body(where, factor)
        # One answer a look: two overlapping ones are no agreement.
        seen += same(where, inference.infer_region(rgb, region, estimator, mirror=mirror))[:1]
    return bodies.consensus(seen)


def seen_again(rgb: Rgb, body: Body, estimator: PoseEstimator) -> bool:
    """Whether closer looks find the body again, each of them."""
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
    """Whether looks of different extent agree on a body that the whole picture did not show.

    A face on a poster or an icon makes the network add a body that changes with each look.
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


def _tiny(rgb: Rgb, estimator: PoseEstimator) -> list[Body]:
    """The first body of a tenth of the picture's height that closer looks find again.

    A crop of few pixels is guessed at: two of three looks must find the body, and agree with each
    other in its scale. On 37 pictures of animals and things no two ever did.
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
    """Plausible and doubtful bodies of the whole picture."""
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
    """Plausible bodies of several regions, until there are `enough`."""
    found: list[Body] = []
    for region in regions:
        found = merge(
            found, [b for b in inference.infer_region(rgb, region, estimator) if not doubts(b)]
        )
        if len(found) >= enough:
            break
    return found


def merge(found: list[Body], more: Iterable[Body]) -> list[Body]:
    """One entry a person: the first look at each stays."""
    merged = list(found)
    for body in more:
        box = bodies.body_box(body)
        if all(bodies.body_box(other).iou(box) < SAME_BODY_IOU for other in merged):
            merged.append(body)
    return merged


def same(body: Body, seen: Iterable[Body]) -> list[Body]:
    """Those of other looks that are plausible and show the same person."""
    box = bodies.body_box(body)
    return [
        other
        for other in seen
        if not doubts(other) and bodies.body_box(other).iou(box) >= SAME_BODY_IOU
    ]


def retry_regions(body: Body) -> list[Box]:
    """Where to look again for a person whose body came out wrong: squares around the head,
    which even a hallucinated body mostly has in the right place."""
    short = float(min(body.size))
    nose = np.clip(body.keypoints_xy[0], (0.0, 0.0), tuple(map(float, body.size)))
    below = nose + (0.0, 0.15 * short)
    return [square_around(below, factor * short) for factor in (1.0, 0.75, 0.55)]


def thirds(size: Size) -> list[Box]:
    """Squares of the shorter side along the longer one: middle, then both ends, then between."""
    side, length = float(min(size)), float(max(size))
    places = [0.5, 0.0, 1.0, 0.25, 0.75]
    centers = [side / 2.0 + place * (length - side) for place in places]
    if size.width >= size.height:
        return [square_around((c, size.height / 2.0), side) for c in centers]
    return [square_around((size.width / 2.0, c), side) for c in centers]


def tiles(size: Size, share: float = 0.6) -> list[Box]:
    """Overlapping squares for people too small for one look at the whole picture, `share` of its
    shorter side each."""
    # A very long picture is searched in coarser squares, so that there are never many.
    side = max(share * float(min(size)), float(max(size)) * share / 3.6)
    columns = max(2, round(1.5 * size.width / side))
    rows = max(2, round(1.5 * size.height / side))
    return [
        square_around((x, y), side)
        for y in _spread(side, size.height, rows)
        for x in _spread(side, size.width, columns)
    ]


def _spread(side: float, length: int, count: int) -> Floats:
    """Centers of spans of `side` over 0 … length; the middle alone where one span covers it."""
    if side >= length:
        return np.array([length / 2.0])
    return np.linspace(side / 2.0, length - side / 2.0, count)


def candidate(rgb: Rgb, body: Body) -> Candidate:
    return Candidate(body, _torso_colour(rgb, body))


def _torso_colour(rgb: Rgb, body: Body) -> Floats | None:
    """(3,) median CIELAB of the upper torso: the clothes, steadier than a face."""
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
    step = max(1, min(patch.shape[:2]) // 24)  # a few hundred pixels tell a colour
    patch = np.ascontiguousarray(patch[::step, ::step])
    lab = cv2.cvtColor(patch.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    colour: Floats = np.median(lab.reshape(-1, 3), axis=0).astype(np.float64)
    return colour
