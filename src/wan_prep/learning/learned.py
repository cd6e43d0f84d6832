"""What was learned, what it is worth on outcomes it did not see, and the profile it makes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from wan_prep.fragments import badge, card, inert, printable, table
from wan_prep.learning.fit import Design, Fit, fitted, widened, widths
from wan_prep.learning.intervals import Estimate, auc, mean_interval
from wan_prep.learning.outcome import JobOutcome
from wan_prep.profile import Profile, Tolerance
from wan_prep.report.model import ProfileId

FOLDS, REPEATS, SEED = 5, 10, 20261
_UNMOVED = 0.01
"""A width that differs from 1 by less stays as it is."""


class Validation(BaseModel):
    """Of outcomes that the fit had not seen, by repeated cross-validation.

    gain: by how much the log-loss of each is smaller, in nats, than with the tolerances as they
    are; auc_before, auc_after: how well scores tell good from bad.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    gain: Estimate
    auc_before: float
    auc_after: float


class Learned(BaseModel):
    """widths: by tolerance, how many times wider it becomes; refusal: why no profile is made of it,
    and what to do; None where one is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    schema_version: Literal[1] = 1
    profile: ProfileId
    count: int
    good: int
    bad: int
    widths: dict[str, float]
    validation: Validation | None
    refusal: str | None
    text: str | None
    """The learned profile, as TOML."""

    @property
    def moved(self) -> dict[str, float]:
        """The widths that changed, most first."""
        changed = {k: w for k, w in self.widths.items() if abs(w - 1.0) >= _UNMOVED}
        return dict(sorted(changed.items(), key=lambda item: -abs(np.log(item[1]))))

    @property
    def headline(self) -> str:
        """What came of it, in a sentence."""
        made = "a profile can be learned" if self.refusal is None else "no profile is learned"
        return f"{made} from {self.count} outcomes with a score, {self.good} good, {self.bad} bad"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        kind = "info" if self.refusal else "ready"
        rows = [(name, f"{width:.2f} times as wide") for name, width in self.moved.items()]
        why = f"<div>{inert(self.refusal)}</div>" if self.refusal else ""
        return card(f"{badge(kind, 'learned')} {inert(self.headline)}", why, table(rows))


def learned_from(outcomes: Sequence[JobOutcome], profile: Profile, today: date) -> Learned:
    """Fit the tolerances of a profile to outcomes, and say what that is worth.

    Outcomes without a judgement do not count. The same outcomes give the same answer.
    """
    known = [(o, o.judgement) for o in outcomes if o.judgement is not None]
    is_good = np.array([o.is_good for o, _ in known], dtype=bool)
    count, good = len(known), int(is_good.sum())
    bad, least = count - good, int(profile.limit("learned_from_min"))
    moved: dict[str, float] = {}
    validation = None
    if min(good, bad) >= FOLDS:
        design = Design.of([judgement for _, judgement in known], profile)
        spread = profile.limit("learned_spread")
        moved = widths(design, fitted(design, is_good, spread))
        pairs = [judgement.pair for _, judgement in known]
        validation = validated(design, is_good, pairs, spread)
    refusal = _refusal(count, good, bad, least, validation)
    return Learned(
        profile=ProfileId(name=profile.name, version=profile.version, sha256=profile.sha256),
        count=count,
        good=good,
        bad=bad,
        widths=moved,
        validation=validation,
        refusal=refusal,
        text=profile_text(profile, moved, count, today) if refusal is None else None,
    )


def _refusal(
    count: int, good: int, bad: int, least: int, validation: Validation | None
) -> str | None:
    if count < least:
        return (
            f"{count} outcomes with a score are too few, {least} are needed: go on with the "
            "tolerances as they are, and note what becomes of each job"
        )
    if validation is None:
        return (
            f"{good} good and {bad} bad ones: at least {FOLDS} of each are needed, since nothing "
            "can be told apart without both; note what becomes of every job, also of the "
            f"{'bad' if bad < good else 'good'} ones"
        )
    if validation.gain.low <= 0.0:
        return (
            "on outcomes that it had not seen, the fit is not surely better than the tolerances as "
            "they are, since the interval of its gain does not lie above 0: go on with those, and "
            "try again when there are more outcomes"
        )
    return None


def validated(
    design: Design, is_good: np.ndarray, pairs: Sequence[object], spread: float
) -> Validation:
    """Repeated, stratified cross-validation; outcomes of one pair are never in both parts."""
    numbers: dict[object, int] = {}
    group = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs])
    rng = np.random.default_rng(SEED)
    before, after = np.zeros(len(is_good)), np.zeros(len(is_good))
    loss_before, loss_after = np.zeros(len(is_good)), np.zeros(len(is_good))
    for _ in range(REPEATS):
        fold = _folds(group, is_good, rng)
        for k in range(FOLDS):
            seen, unseen = fold != k, fold == k
            train, test = design.rows(seen), design.rows(unseen)
            as_it_is = fitted(train, is_good[seen], spread=0.0)
            learned = fitted(train, is_good[seen], spread)
            for fit, loss, rank in (
                (as_it_is, loss_before, before),
                (learned, loss_after, after),
            ):
                probable = _probability(test, fit)
                rank[unseen] += probable
                told = np.where(is_good[unseen], probable, 1.0 - probable)
                loss[unseen] -= np.log(np.maximum(told, 1e-12)) / REPEATS
    return Validation(
        gain=mean_interval(loss_before - loss_after, group, SEED),
        auc_before=auc(before, is_good),
        auc_after=auc(after, is_good),
    )


def _probability(design: Design, fit: Fit) -> np.ndarray:
    return fit.curve.probability(design.log_scores(fit.theta))


def _folds(group: np.ndarray, is_good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[N] the fold of each outcome: pairs shuffled, then dealt out by their share of good ones."""
    share = np.bincount(group, is_good) / np.bincount(group)
    order = rng.permutation(len(share))
    order = order[np.argsort(share[order], kind="stable")]
    fold = np.empty(len(share), dtype=int)
    fold[order] = np.arange(len(share)) % FOLDS
    dealt: np.ndarray = fold[group]
    return dealt


def profile_text(profile: Profile, moved: dict[str, float], count: int, today: date) -> str:
    """A profile of one's own that holds the learned tolerances and names where they come from."""
    origin = (
        f"learned from {count} outcomes on {today.isoformat()}, starting from version "
        f"{profile.version} of {profile.name}"
    )
    lines = [
        f"# Tolerances {printable(origin)}.",
        "# Written by `wan-prep learn`, to be used with `--profile`; the rest is as shipped.",
        "",
        f"version = {json.dumps(f'{profile.version}, {origin}')}",
    ]
    changed = {name: w for name, w in moved.items() if abs(w - 1.0) >= _UNMOVED}
    tables = [("tolerances", profile.tolerances)] + [
        (f"mode_tolerances.{mode}", own) for mode, own in profile.mode_tolerances.items()
    ]
    for heading, tolerances in tables:
        rows = [
            _row(name, widened(tolerances[name], width, f"{origin}, {width:.2f} times as wide"))
            for name, width in changed.items()
            if name in tolerances
        ]
        if rows:
            lines += ["", f"[{heading}]", *rows]
    return "\n".join(lines) + "\n"


def _row(name: str, tolerance: Tolerance) -> str:
    figures = tolerance.model_dump()
    inside = ", ".join(f"{key} = {json.dumps(value)}" for key, value in figures.items())
    return f"{name} = {{ {inside} }}"
