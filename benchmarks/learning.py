"""How often a profile is learned from made outcomes: where the shipped one is right, and where not.

python benchmarks/learning.py            # some minutes
python benchmarks/learning.py --runs 5   # fewer draws of each row

Pairs are drawn around what is no longer fine; a result is good with a probability that rises with
the pair's score by a profile that is known. Nothing here was paid for.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from wan_prep.learning.fit import widened
from wan_prep.learning.judgement import TOLERANCE_OF, Judgement
from wan_prep.learning.learned import Learned, learned_from
from wan_prep.learning.outcome import JobOutcome
from wan_prep.profile import Profile, default_profile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CODES = ("WP301", "WP302", "WP304", "WP305", "WP401", "WP404", "WP509")
TRUTHS: dict[str, Mapping[str, float]] = {
    "the shipped one": {},
    "view and pose narrower, zoom and placement wider": {
        "view": 0.35,
        "pose": 0.4,
        "zoom": 2.5,
        "placement": 2.5,
    },
}


def drawn_pair(rng: np.random.Generator, number: int) -> Judgement:
    answers = []
    for code in CODES:
        tolerance = default_profile().tolerances[TOLERANCE_OF[code]]
        middle = math.sqrt(tolerance.fine * tolerance.worthless)
        measured = float(middle * np.exp(rng.normal(-0.6, 0.8)))
        answers.append(
            {
                "code": code,
                "status": "judged",
                "score": tolerance.score(measured),
                "measured": measured,
            }
        )
    return Judgement.model_validate(
        {
            "tool": {"name": "wan-prep", "version": "0"},
            "profile": {"name": "p", "version": "1", "sha256": ""},
            "mode": "animate",
            "resolution": "480p",
            "score": 50.0,
            "verdict": "risky",
            "image_sha256": str(number),
            "video_sha256": "",
            "answers": answers,
        }
    )


def known(widths: Mapping[str, float]) -> Profile:
    shipped = default_profile()
    moved = {name: widened(shipped.tolerances[name], w, "known") for name, w in widths.items()}
    return shipped.model_copy(update={"tolerances": {**shipped.tolerances, **moved}})


def run(count: int, truth: Profile, seed: int) -> Learned:
    rng = np.random.default_rng(seed)
    pairs = [drawn_pair(rng, k) for k in range(count)]
    logs = np.log([max(pair.score_by(truth), 0.01) / 100.0 for pair in pairs])
    good = rng.random(count) < 1.0 / (1.0 + np.exp(-6.0 * (logs - np.median(logs))))
    outcomes = [
        JobOutcome(
            name=str(k),
            result="good" if is_good else "bad",
            noted_at=NOW,
            image="made",
            video="made",
            mode="animate",
            resolution="480p",
            judgement=pair,
        )
        for k, (pair, is_good) in enumerate(zip(pairs, good, strict=True))
    ]
    return learned_from(outcomes, default_profile(), NOW.date())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    runs = parser.parse_args().runs
    print("| true profile | outcomes | a profile is learned | gain, median | AUC before, after |")
    print("|---|---|---|---|---|")
    for words, widths in TRUTHS.items():
        for count in (30, 60, 120, 240):
            found = [run(count, known(widths), 1000 * count + k) for k in range(runs)]
            written = sum(one.refusal is None for one in found)
            told = [one.validation for one in found if one.validation is not None]
            gain, before, after = (
                float(np.median(values))
                for values in (
                    [v.gain.value for v in told],
                    [v.auc_before for v in told],
                    [v.auc_after for v in told],
                )
            )
            print(
                f"| {words} | {count} | {written} of {runs} | {gain:+.3f} "
                f"| {before:.2f}, {after:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
