"""The best pairs are those that scoring every pair gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wan_prep.ranking import search
from wan_prep.ranking.search import Effort, best_pairs


class Known:
    """Bounds above known scores: the close ones by up to 3 points, the quick ones by up to 20."""

    def __init__(self, scores: np.ndarray, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.scores = scores
        self._close = scores + rng.uniform(0.0, 3.0, scores.shape)
        self._quick = self._close + rng.uniform(0.0, 17.0, scores.shape)
        self.image_count, self.video_count = scores.shape

    def quick(self, images: np.ndarray, videos: np.ndarray) -> np.ndarray:
        return self._quick[np.ix_(images, videos)]

    def close(self, images: np.ndarray, video: int) -> np.ndarray:
        return self._close[images, video]

    def score(self, image: int, video: int) -> float:
        return float(self.scores[image, video])

    def best(self, top: int) -> list[tuple[int, int]]:
        """By scoring every pair."""
        every = [(i, v) for i in range(self.image_count) for v in range(self.video_count)]
        return sorted(every, key=lambda pair: (-self.scores[pair], pair))[:top]


def pairs_of(found: Any) -> list[tuple[int, int]]:
    return [(each.image, each.video) for each in found]


@pytest.mark.parametrize("top", [1, 7, 40, 2000])
@pytest.mark.parametrize("kept", [16, 100_000])
def test_the_best_are_found(monkeypatch: pytest.MonkeyPatch, top: int, kept: int) -> None:
    """Also where few pairs are remembered and bounds have to be computed again."""
    monkeypatch.setattr(search, "KEPT", kept)
    monkeypatch.setattr(search, "AT_ONCE", (3, 10))
    monkeypatch.setattr(search, "BLOCK", (7, 4))
    known = Known(np.round(np.random.default_rng(1).uniform(0, 100, (40, 30)), 2))
    assert pairs_of(best_pairs(known, known.score, top)) == known.best(top)


@pytest.mark.parametrize("kept", [16, 100_000])
def test_of_equal_scores_the_first_given_comes_first(
    monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(search, "KEPT", kept)
    monkeypatch.setattr(search, "BLOCK", (3, 3))
    known = Known(np.random.default_rng(2).integers(0, 4, (20, 20)).astype(float))
    assert pairs_of(best_pairs(known, known.score, 50)) == known.best(50)


def test_equal_bounds_lose_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "KEPT", 4)
    monkeypatch.setattr(search, "BLOCK", (2, 2))
    known = Known(np.full((6, 5), 50.0))
    known._quick = known._close = known.scores
    assert pairs_of(best_pairs(known, known.score, 30)) == known.best(30)


def test_no_pair_is_scored_that_its_close_bound_rules_out() -> None:
    known = Known(np.random.default_rng(3).uniform(0, 100, (100, 100)))
    effort = Effort()
    found = best_pairs(known, known.score, 10, effort=effort)
    assert effort.exact == (known._close >= found[-1].score).sum()
    assert effort.close < 5_000


def test_one_image_or_one_video_alone() -> None:
    known = Known(np.array([[10.0, 30.0, 20.0], [90.0, 80.0, 70.0]]))
    of_image = best_pairs(known, known.score, 2, images=np.array([0]))
    of_video = best_pairs(known, known.score, 1, videos=np.array([1]))
    assert pairs_of(of_image) == [(0, 1), (0, 2)]
    assert pairs_of(of_video) == [(1, 1)]
