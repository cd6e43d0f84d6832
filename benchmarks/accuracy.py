"""Accuracy of the measurements: the seven things that must hold, a clip in every dress, and
everyone: heads, companions, characters.

    python benchmarks/accuracy.py [--only 1,3] [--json FILE]

Needs the measuring media beside the checkout (../shared/data).  Known transforms and degradations
are made from the pairs' own frames, with exact ground truth.  Under ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from _everyone import characters, companions, heads
from _media import DATA, PAIRS, Lab, Row
from _people import absence, right_person, same_clip, view
from _transforms import known_transforms, ordering
from _verdicts import bad_pairs, working_pairs

ITEMS: dict[str, Callable[[Lab], list[Row]]] = {
    "1": known_transforms,
    "2": ordering,
    "3": view,
    "4": right_person,
    "5": working_pairs,
    "6": absence,
    "7": bad_pairs,
    "8": same_clip,
    "9": heads,
    "10": companions,
    "11": characters,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="items, comma-separated")
    parser.add_argument("--json", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    if not PAIRS.is_dir():
        print(f"no measuring media at {DATA}", file=sys.stderr)
        return 2
    began, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        for item in arguments.only.split(",") if arguments.only else ITEMS:
            new = ITEMS[item](lab)
            for row in new:
                verdict = {True: "pass", False: "FAIL", None: ""}[row.passed]
                print(
                    f"{row.item}  {row.what:58} {row.figure:8.3f}  {row.target:>22} {verdict}",
                    flush=True,
                )
            rows += new
        lab.estimator.close()
    print(f"{time.monotonic() - began:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    return 1 if any(r.passed is False for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
