"""The best pairs among many, exactly, with few of them scored exactly.

Best first (Lawler and Wood 1966): pairs are taken in the order of a bound that their score does not
exceed; a quick bound for all, a close one for those whose turn comes, and then the score itself.
Nothing is left that could be among the best once the last of the best so far scores more than every
bound. So what comes out is what scoring every pair would give.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from wan_prep.geometry import Floats
from wan_prep.ranking.bounds import Bounds, Indices

BLOCK = 128, 256
"""Images and videos whose quick bounds are computed together: what is in memory at once."""
KEPT = 16_384
"""Pairs with the best quick bounds that are remembered. Where more have to be looked at, the bounds
are computed again."""
AT_ONCE = 8, 1024
"""Pairs whose close bounds are computed together, at first and at most: twice as many each time."""
Score = Callable[[int, int], float]
"""The score of the pair of an image and a video, by their numbers."""


@dataclass
class Effort:
    """How many pairs were bounded closely, and scored."""

    close: int = 0
    exact: int = 0


@dataclass(order=True, frozen=True)
class Found:
    """A scored pair; the smallest is the best one, of equal scores the one given first."""

    sort_key: tuple[float, int, int] = field(repr=False)
    image: int = field(compare=False)
    video: int = field(compare=False)
    score: float = field(compare=False)


def best_pairs(
    bounds: Bounds,
    score: Score,
    top: int,
    *,
    images: Indices | None = None,
    videos: Indices | None = None,
    effort: Effort | None = None,
) -> list[Found]:
    """The `top` best pairs of these images and videos (None: all), best first.

    score: must not exceed `bounds` for any pair.
    """
    spent = effort or Effort()
    best: list[Found] = []
    waiting: list[tuple[float, int, int]] = []

    def least() -> float:
        """What a pair must reach to be among the best."""
        return best[top - 1].score if len(best) >= top else -np.inf

    def settle(down_to: float) -> None:
        """Score whoever is bounded above this and may be among the best."""
        while waiting and -waiting[0][0] >= max(down_to, least()):
            _, image, video = heapq.heappop(waiting)
            value = score(image, video)
            spent.exact += 1
            best.append(Found((-value, image, video), image, video, value))
            best.sort()
            del best[top:]

    for bound, some_images, some_videos in _by_quick_bound(bounds, images, videos):
        settle(bound)
        if bound < least():
            return best
        spent.close += len(some_images)
        for video in np.unique(some_videos):
            mine = some_images[some_videos == video]
            for image, close in zip(mine, bounds.close(mine, int(video)), strict=True):
                if close >= least():
                    heapq.heappush(waiting, (-float(close), int(image), int(video)))
    settle(-np.inf)
    return best


def _by_quick_bound(
    bounds: Bounds, images: Indices | None, videos: Indices | None
) -> Iterator[tuple[float, Indices, Indices]]:
    """(bound of the first, images, videos) of all pairs, a few at a time, by falling bound."""
    rows = np.arange(bounds.image_count) if images is None else images
    columns = np.arange(bounds.video_count) if videos is None else videos
    total, given, size = len(rows) * len(columns), 0, AT_ONCE[0]
    below, after = np.inf, -1
    while given < total:
        bound, pair = _next(bounds, rows, columns, below, after)
        begin = 0
        while begin < len(pair):
            some = pair[begin : begin + size]
            yield float(bound[begin]), some // bounds.video_count, some % bounds.video_count
            begin, size = begin + size, min(2 * size, AT_ONCE[1])
        given += len(pair)
        below, after = float(bound[-1]), int(pair[-1])


def _next(
    bounds: Bounds, rows: Indices, columns: Indices, below: float, after: int
) -> tuple[Floats, Indices]:
    """The best `KEPT` pairs behind the one with this bound and number: bounds, numbers."""
    bound, pair, floor = np.zeros(0), np.zeros(0, np.intp), -np.inf
    for some_rows in _pieces(rows, BLOCK[0]):
        for some_columns in _pieces(columns, BLOCK[1]):
            block = bounds.quick(some_rows, some_columns).ravel()
            number = (some_rows[:, None] * bounds.video_count + some_columns[None]).ravel()
            behind = (block < below) | ((block == below) & (number > after))
            behind &= block >= floor
            bound = np.concatenate([bound, block[behind]])
            pair = np.concatenate([pair, number[behind]])
            if len(bound) > 2 * KEPT:
                bound, pair = _first_of(bound, pair)
                floor = bound[-1]
    return _first_of(bound, pair)


def _first_of(bound: Floats, pair: Indices) -> tuple[Floats, Indices]:
    """The `KEPT` pairs with the highest bounds, of equal ones those with the lowest numbers."""
    if len(bound) > KEPT:
        good = bound >= np.partition(bound, -KEPT)[-KEPT]
        bound, pair = bound[good], pair[good]
    order = np.lexsort((pair, -bound))[:KEPT]
    return bound[order], pair[order]


def _pieces(numbers: Indices, size: int) -> Iterator[Indices]:
    for begin in range(0, len(numbers), size):
        yield numbers[begin : begin + size]
