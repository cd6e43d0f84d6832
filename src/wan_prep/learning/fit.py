"""Tolerances from outcomes: one width for each, by regularised logistic regression.

A result is good with probability 1 / (1 + exp(-(alpha + beta ln s))), where s is the pair's score
as a share. Each tolerance's anchors are moved by one factor exp(±theta), wider for theta > 0, so
that curves keep their form, and a worse measure never scores higher. What is sought is the most
probable theta, alpha and beta: theta is normally distributed around 0, the profile as it is, so
that few outcomes move it little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wan_prep.learning.judgement import TOLERANCE_OF, Judgement
from wan_prep.profile import ODDS, Profile, Tolerance
from wan_prep.report.scoring import tally

# (mean, spread) of what turns a score into a probability: at a score of 100 nine of ten results are
# good, at 50 about four; wide enough that a few dozen outcomes decide.
_ALPHA = (2.0, 2.0)
_LOG_BETA = (math.log(4.0), 1.0)
_STEPS, _CLOSE = 100, 1e-9
_LEAST_SCORE = 0.005
"""Of 100: what a score of 0.00 was rounded from, at most."""


class Curve(NamedTuple):
    """How probable a good result is, by score."""

    alpha: float
    beta: float

    def probability(self, log_score: np.ndarray) -> np.ndarray:
        """Of ln(score / 100)."""
        return _sigmoid(self.alpha + self.beta * log_score)


@dataclass(frozen=True)
class Design:
    """Pairs as arrays, a row each: what of ln(score / 100) the widths change, and what they do not.

    names: [K] tolerances; log_rest: [N] the part that stays; loss_weight, log_odds, slope: [N, M]
    of each check that a tolerance judges, 0 and -inf where it judged nothing; column: [M] into
    names.
    """

    names: tuple[str, ...]
    log_rest: np.ndarray
    loss_weight: np.ndarray
    log_odds: np.ndarray
    slope: np.ndarray
    column: np.ndarray

    @classmethod
    def of(cls, judgements: Sequence[Judgement], profile: Profile) -> Design:
        codes = tuple(TOLERANCE_OF)
        names = tuple(dict.fromkeys(TOLERANCE_OF.values()))
        shape = (len(judgements), len(codes))
        weight, slope = np.zeros(shape), np.zeros(shape)
        log_odds = np.full(shape, -np.inf)
        log_score = np.zeros(len(judgements))
        for row, judgement in enumerate(judgements):
            score = max(judgement.score_by(profile), _LEAST_SCORE)
            log_score[row] = math.log(score / 100.0)
            weights = _loss_weights(judgement, profile)
            for kept in judgement.answers:
                deviation = kept.deviation
                if deviation is None or weights.get(kept.code, 0.0) <= 0.0:
                    continue
                tolerance = profile.tolerance(TOLERANCE_OF[kept.code], judgement.mode)
                k = codes.index(kept.code)
                weight[row, k] = weights[kept.code] * deviation.share
                slope[row, k] = abs(_slope(tolerance))
                log_odds[row, k] = _log_odds_of_bad(tolerance, deviation.measured)
        column = np.array([names.index(TOLERANCE_OF[code]) for code in codes])
        whole = cls(names, log_score, weight, log_odds, slope, column)
        as_it_is = (weight * _softplus(log_odds)).sum(axis=1)
        return whole._with_rest(log_score + as_it_is)

    def _with_rest(self, log_rest: np.ndarray) -> Design:
        weight, log_odds = self.loss_weight, self.log_odds
        return Design(self.names, log_rest, weight, log_odds, self.slope, self.column)

    def rows(self, chosen: np.ndarray) -> Design:
        return Design(
            self.names,
            self.log_rest[chosen],
            self.loss_weight[chosen],
            self.log_odds[chosen],
            self.slope[chosen],
            self.column,
        )

    def log_scores(self, theta: np.ndarray) -> np.ndarray:
        """[N] ln(score / 100) with each tolerance wider by exp(theta). theta: [K]"""
        moved = self.log_odds - self.slope * theta[self.column]
        left: np.ndarray = self.log_rest - (self.loss_weight * _softplus(moved)).sum(axis=1)
        return left

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """[N, K] of `log_scores`."""
        moved = self.log_odds - self.slope * theta[self.column]
        by_check = self.loss_weight * self.slope * _sigmoid(moved)
        by_name = np.zeros((len(self.log_rest), len(self.names)))
        np.add.at(by_name.T, self.column, by_check.T)
        return by_name


@dataclass(frozen=True)
class Fit:
    """theta: [K] log widths; curve: of the scores that come with them."""

    theta: np.ndarray
    curve: Curve


def fitted(design: Design, is_good: np.ndarray, spread: float) -> Fit:
    """The most probable widths and curve.

    is_good: [N]; spread: of theta around the profile; 0 leaves the tolerances as they are.
    """
    count = len(design.names) if spread > 0.0 else 0
    mean = np.array([0.0] * count + [_ALPHA[0], _LOG_BETA[0]])
    precision = np.array([spread] * count + [_ALPHA[1], _LOG_BETA[1]]) ** -2.0
    unmoved = np.zeros(len(design.names))

    def parts(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        theta = p[:count] if count else unmoved
        log_score = design.log_scores(theta)
        return theta, log_score, p[-2] + math.exp(p[-1]) * log_score

    def cost(p: np.ndarray) -> float:
        eta = parts(p)[2]
        misfit = _softplus(np.where(is_good, -eta, eta)).sum()
        return float(misfit + 0.5 * (precision * (p - mean) ** 2).sum())

    point = mean.copy()
    for _ in range(_STEPS):
        theta, log_score, eta = parts(point)
        beta = math.exp(point[-1])
        by_theta = beta * design.gradient(theta)[:, : len(theta) if count else 0]
        jacobian = np.column_stack([by_theta, np.ones(len(eta)), beta * log_score])
        probable = _sigmoid(eta)
        slope = jacobian.T @ (probable - is_good) + precision * (point - mean)
        # Fisher scoring: always downhill, since the prior makes the matrix positive definite.
        curvature = (jacobian.T * (probable * (1.0 - probable))) @ jacobian + np.diag(precision)
        step = np.linalg.solve(curvature, slope)
        here, length = cost(point), 1.0
        while cost(point - length * step) > here - 1e-4 * length * float(slope @ step):
            length /= 2.0
            if length < 1e-6:
                break
        if length < 1e-6:
            break
        point = point - length * step
        if float(np.abs(length * step).max()) < _CLOSE:
            break
    theta, _, _ = parts(point)
    return Fit(theta, Curve(float(point[-2]), math.exp(point[-1])))


def widths(design: Design, fit: Fit) -> dict[str, float]:
    """By tolerance, how many times wider it is than that of the profile."""
    return {name: math.exp(value) for name, value in zip(design.names, fit.theta, strict=True)}


def widened(tolerance: Tolerance, width: float, source: str) -> Tolerance:
    """Anchors moved by one factor, to four digits: upwards where much is bad, downwards where
    little is."""
    factor = width if tolerance.worthless > tolerance.fine else 1.0 / width
    moved = {
        anchor: float(f"{getattr(tolerance, anchor) * factor:.4g}")
        for anchor in ("fine", "worthless")
    }
    return Tolerance(**moved, unit=tolerance.unit, source=source)


def _loss_weights(judgement: Judgement, profile: Profile) -> dict[str, float]:
    """By code, the share of a check's log score in that of the pair."""
    mode = judgement.mode
    results = judgement.results(profile)
    asked = tally(results, mode, profile).asked
    families = profile.family_weights[mode]
    total = sum(weight for family, weight in families.items() if family in asked)
    if total <= 0.0:
        return {}
    return {
        r.rule.code: families.get(r.rule.family, 0.0)
        / total
        * profile.check_weight(mode, r.rule.code)
        for r in results
        if r.rule.family in asked
    }


def _slope(tolerance: Tolerance) -> float:
    return 2.0 * math.log(ODDS) / math.log(tolerance.worthless / tolerance.fine)


def _log_odds_of_bad(tolerance: Tolerance, measured: float) -> float:
    """ln((1 - s) / s) of the tolerance's curve."""
    score = tolerance.score(measured)
    if measured <= 0.0:
        return -math.inf if score == 1.0 else -math.log(score)
    middle = math.sqrt(tolerance.fine * tolerance.worthless)
    return _slope(tolerance) * math.log(measured / middle)


def _softplus(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.logaddexp(0.0, x)
    return result


def _sigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.exp(-_softplus(-x))
    return result
