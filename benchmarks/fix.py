"""What fix makes of real pairs: shapes, bars, scores before and after, and what it costs in time.

    python benchmarks/fix.py [--only NAME,…] [--json FILE]
    python benchmarks/fix.py --speed

Every pair of ../shared/data/pairs in its own mode, and the framing ladder: images and videos of the
three mimicmotion half-body pairs swapped, with and without unsafe fixes. --speed: whole processes
of fix over check of the input, check of the output and the bare ffmpeg command that writes the
same file; run it alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from _media import PAIRS, Lab, Row, at_least, at_most, pair_image, pair_names, pair_video
from fix_media import commands

import wan_prep
from wan_prep.normalizers.carry_out import carry_out

LADDER = ("mimicmotion_hb0", "mimicmotion_hb1", "mimicmotion_hb2")
MAY_FALL = 0.5
"""Points by which a score may be lower after a fix."""


def fixed(
    lab: Lab, image: Path, video: Path, mode: str, *, unsafe: bool = False
) -> tuple[wan_prep.NormalizedPair, float]:
    """The pair after fix, and how long plan and fix took, in s."""
    report = wan_prep.check(
        lab.seen(image, "image"),
        lab.seen(video, "video"),
        mode=mode,  # type: ignore[arg-type]
    )
    began = time.monotonic()
    options = wan_prep.PlanOptions(unsafe_fixes=unsafe)
    plan = wan_prep.plan(report, options, estimator=lab.estimator)
    with tempfile.TemporaryDirectory() as folder:
        pair = wan_prep.normalize(plan, folder, overwrite=True, estimator=lab.estimator)
    return pair, time.monotonic() - began


def shipped(lab: Lab, names: list[str]) -> list[Row]:
    rows = []
    for name in names:
        mode = "replace" if name == "wan22_replace" else "animate"
        pair, seconds = fixed(lab, pair_image(name), pair_video(name), mode)
        before, after = pair.before, pair.after
        gap = (after.measures.first.aspect_gap or 0.0) - 1.0
        said = {
            "before": before.score,
            "after": after.score,
            "verdicts": [before.verdict, after.verdict],
            "size": [after.video.width, after.video.height],
            "spans_s": [[float(s.start), float(s.end)] for s in pair.plan.video.spans],
            "seconds": round(seconds, 1),
        }
        what = f"{name}: {before.score:.1f} → {after.score:.1f}, {after.verdict}"
        rows.append(at_least("pair", what, after.score - before.score, -MAY_FALL, **said))
        rows.append(at_most("pair", f"{name}: aspect gap and bars", gap + after.output.bars_px, 0))
    return rows


def ladder(lab: Lab) -> list[Row]:
    rows = []
    for a, b in itertools.permutations(LADDER, 2):
        for unsafe in (False, True):
            pair, _ = fixed(lab, pair_image(a), pair_video(b), "animate", unsafe=unsafe)
            before = pair.before.measures.first.zoom_ratio or 0.0
            after = pair.after.measures.first.zoom_ratio or 0.0
            how = "cutting joints" if unsafe else "safe only"
            what = f"{a[-3:]} image, {b[-3:]} video, {how}: zoom {before:.2f} → {after:.2f}"
            off = abs(after - 1.0)
            row = at_most("ladder", what, off, 0.1)
            rows.append(row if unsafe else Row("ladder", what, off, "", None))
    return rows


def process_s(*command: str) -> float:
    """Wall time of a whole process."""
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.monotonic() - began


def speed(names: tuple[str, ...] = ("wan22_animate", "steadydancer_1"), runs: int = 3) -> list[Row]:
    rows = []
    for name in names:
        image, video = str(pair_image(name)), str(pair_video(name))
        ratios = []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "out"
                fix_s = process_s("wan-prep", "fix", image, video, "-o", str(out))
                checks_s = process_s("wan-prep", "check", image, video) + process_s(
                    "wan-prep", "check", str(out / "reference.png"), str(out / "driving.mp4")
                )
                with commands() as seen:
                    carry_out(wan_prep.Plan.load(out / "plan.json"), Path(folder) / "again")
                bare = [*map(str, seen[0][:-1]), str(Path(folder) / "bare.mp4")]
                ratios.append(fix_s / (checks_s + process_s(*bare)))
        what = f"{name}: fix / (check before + check after + bare command)"
        rows.append(at_most("speed", what, float(np.median(ratios)), 1.15, runs=ratios))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="pairs, comma-separated; leaves the ladder out")
    parser.add_argument("--speed", action="store_true", help="how long it takes, alone")
    parser.add_argument("--json", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    if not PAIRS.is_dir():
        print("no measuring media beside the checkout", file=sys.stderr)
        return 2
    if arguments.speed:
        rows = speed()
    else:
        with tempfile.TemporaryDirectory() as folder:
            lab = Lab(Path(folder))
            rows = shipped(lab, arguments.only.split(",") if arguments.only else pair_names())
            if not arguments.only:
                rows += ladder(lab)
            lab.estimator.close()
    for row in rows:
        verdict = {True: "pass", False: "FAIL", None: ""}[row.passed]
        print(f"{row.item:6}  {row.what:66} {row.figure:8.3f}  {row.target:>8} {verdict}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    return 1 if any(r.passed is False for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
