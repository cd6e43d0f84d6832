"""How well scores tell good from bad, and how sure that is, by few outcomes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054
"""Standard deviations that 95 % of a normal distribution lie within."""


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def auc(scores: np.ndarray, is_good: np.ndarray) -> float:
    """Probability that a good outcome scores higher than a bad one; ties count half.

    scores, is_good: [N], with at least one of each.
    """
    good, bad = scores[is_good], scores[~is_good]
    ordered = np.sort(bad)
    below = np.searchsorted(ordered, good, side="left")
    not_above = np.searchsorted(ordered, good, side="right")
    return float((below + not_above).sum() / (2.0 * len(good) * len(bad)))


def auc_interval(value: float, good: int, bad: int) -> Estimate:
    """The AUCs from which `value` is no further than chance goes (Newcombe 2006, method 5). Unlike
    those of a bootstrap, its limits are honest where few outcomes happen to be told apart without a
    mistake."""
    true = np.linspace(0.0, 1.0, 10001)
    more = (good + bad) / 2.0 - 1.0
    spread = 1.0 + more * ((1.0 - true) / (2.0 - true) + true / (1.0 + true))
    variance = true * (1.0 - true) * spread / (good * bad)
    near = true[(value - true) ** 2 <= Z95**2 * variance + 1e-12]
    return Estimate(value, float(near.min()), float(near.max()))


def share_interval(hits: int, count: int) -> Estimate:
    """A share and its Wilson interval; count: at least 1."""
    share, z2 = hits / count, Z95**2
    middle = (share + z2 / (2 * count)) / (1.0 + z2 / count)
    half = Z95 / (1.0 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def mean_interval(values: np.ndarray, group: np.ndarray, seed: int) -> Estimate:
    """The mean and its bootstrap interval, groups drawn as wholes.

    values: [N]; group: [N] numbers from 0, alike for what belongs together.
    """
    sums, sizes = np.bincount(group, values), np.bincount(group)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (2000, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high))
