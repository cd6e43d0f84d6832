"""Judgements made by hand, and outcomes drawn from a profile that is known."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from wan_prep.learning.fit import widened
from wan_prep.learning.judgement import TOLERANCE_OF, Judgement
from wan_prep.learning.outcome import JobOutcome
from wan_prep.profile import Profile, default_profile

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CODES = {name: code for code, name in reversed(TOLERANCE_OF.items())}


class Drawn:
    """Every default is that of a pair with nothing to complain about."""

    now = NOW

    @staticmethod
    def judgement(
        measured: dict[str, float] | None = None, *, pair: object = 0, mode: str = "animate"
    ) -> Judgement:
        """measured: by tolerance, in its unit; every other check passed without a measure."""
        answers: list[dict[str, Any]] = [
            {"code": code, "status": "judged", "score": 1.0}
            for code in ("WP101", "WP201", "WP601", "WP401", "WP501")
        ]
        for name, value in (measured or {}).items():
            score = default_profile().tolerance(name, mode).score(value)  # type: ignore[arg-type]
            code = CODES[name]
            answers = [each for each in answers if each["code"] != code]
            answers.append({"code": code, "status": "judged", "score": score, "measured": value})
        return Judgement.model_validate(
            {
                "tool": {"name": "wan-prep", "version": "0"},
                "profile": {"name": "p", "version": "1", "sha256": "a" * 64},
                "mode": mode,
                "resolution": "480p",
                "score": 90.0,
                "verdict": "risky",
                "image_sha256": hashlib.sha256(repr(pair).encode()).hexdigest(),
                "video_sha256": "b" * 64,
                "answers": answers,
            }
        )

    @staticmethod
    def outcome(judgement: Judgement | None, result: str, name: str = "wp-a") -> JobOutcome:
        return JobOutcome.model_validate(
            {
                "name": name,
                "result": result,
                "noted_at": NOW,
                "image": "hero.png",
                "video": "dance.mp4",
                "mode": judgement.mode if judgement else "animate",
                "resolution": "480p",
                "judgement": judgement,
            }
        )

    def pairs(self, count: int, seed: int) -> list[Judgement]:
        """Pairs whose measures lie around what is no longer fine."""
        rng = np.random.default_rng(seed)
        profile = default_profile()
        made = []
        for k in range(count):
            mode = ("animate", "replace")[k % 2]
            measured = {}
            for name in ("zoom", "placement", "view", "roll", "pose", "proportions", "face_px"):
                tolerance = profile.tolerance(name, mode)  # type: ignore[arg-type]
                middle = math.sqrt(tolerance.fine * tolerance.worthless)
                measured[name] = float(middle * np.exp(rng.normal(-0.6, 0.8)))
            made.append(self.judgement(measured, pair=(seed, k), mode=mode))
        return made

    @staticmethod
    def profile(**factors: float) -> Profile:
        """The shipped one with some tolerances wider, in every mode."""
        shipped = default_profile()

        def moved(tolerances: dict[str, Any]) -> dict[str, Any]:
            return {
                name: widened(t, factors[name], "known") if name in factors else t
                for name, t in tolerances.items()
            }

        return shipped.model_copy(
            update={
                "tolerances": moved(shipped.tolerances),
                "mode_tolerances": {
                    mode: moved(own) for mode, own in shipped.mode_tolerances.items()
                },
            }
        )

    def outcomes(self, judgements: list[Judgement], truth: Profile, seed: int) -> list[JobOutcome]:
        """Good with a probability that rises with the score by a known profile."""
        rng = np.random.default_rng(seed)
        scores = np.array([j.score_by(truth) for j in judgements])
        log_scores = np.log(np.maximum(scores, 0.01) / 100.0)
        probable = 1.0 / (1.0 + np.exp(-6.0 * (log_scores - np.median(log_scores))))
        drawn = rng.random(len(judgements)) < probable
        return [
            self.outcome(j, "good" if is_good else "bad", f"wp-{k}")
            for k, (j, is_good) in enumerate(zip(judgements, drawn, strict=True))
        ]


@pytest.fixture(scope="session")
def drawn() -> Drawn:
    return Drawn()
