"""How each measure is distributed on good pairs and on degraded ones, beside its tolerance.

    python benchmarks/calibrate.py [--json FILE]

Good: every pair of ../shared/data/pairs as shipped, and every clip against its own first frame.
Degraded: the same frames zoomed, shifted, rolled and narrowed by known amounts, and every image
against every other pair's clip.  Prints one table a mode; `fine` should lie above what good pairs
show, `worthless` where nobody would call the two alike.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from _media import (
    PAIRS,
    Lab,
    frames_of,
    in_content,
    narrowed,
    pair_image,
    pair_names,
    pair_video,
    rolled,
    shifted,
    zoomed,
)

from wan_prep import api
from wan_prep.profile import default_profile
from wan_prep.report.model import Report

MEASURES = {
    "aspect_gap": lambda r: r.measures.first.aspect_gap and math.log(r.measures.first.aspect_gap),
    "zoom": lambda r: r.measures.first.zoom_ratio and abs(math.log(r.measures.first.zoom_ratio)),
    "placement": lambda r: (
        None
        if r.measures.first.offset_x is None
        else math.hypot(r.measures.first.offset_x, r.measures.first.offset_y)
    ),
    "view": lambda r: r.measures.first.view_angle,
    "roll": lambda r: None if r.measures.first.roll is None else abs(r.measures.first.roll),
    "pose": lambda r: r.measures.first.pose_angle,
    "typical_pose": lambda r: r.measures.typical.pose_angle,
    "typical_zoom": lambda r: (
        r.measures.typical.zoom_ratio and abs(math.log(r.measures.typical.zoom_ratio))
    ),
    "proportions": lambda r: max(
        (abs(math.log(v)) for v in r.measures.typical.proportions.values()), default=None
    ),
}


def collect(lab: Lab) -> dict[str, list[Report]]:
    groups: dict[str, list[Report]] = {"itself": [], "shipped": [], "degraded": [], "crossed": []}
    for name in pair_names():
        video = lab.seen(pair_video(name), "video")
        groups["shipped"].append(api.check(lab.seen(pair_image(name), "image"), video))
        ((_, rgb),) = frames_of(lab, pair_video(name), [video.observations[0].time])
        groups["itself"].append(api.check(lab.picture(rgb), video))
        subject = video.first.subject if video.first else None
        if subject is None:
            continue
        size = (rgb.shape[1], rgb.shape[0])
        neck = in_content(video, subject.keypoints_xy[[11, 12]]).mean(axis=0) * size
        x, y = float(neck[0]), float(neck[1])
        for picture in (
            zoomed(rgb, 1.5, (x, y)),
            zoomed(rgb, 2.5, (x, y)),
            shifted(rgb, 0.2, 0.0),
            rolled(rgb, 25.0),
            narrowed(rgb, 0.6, x),
        ):
            groups["degraded"].append(api.check(lab.picture(picture), video))
    for a, b in itertools.permutations(pair_names(), 2):
        groups["crossed"].append(
            api.check(lab.seen(pair_image(a), "image"), lab.seen(pair_video(b), "video"))
        )
    return groups


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    if not PAIRS.is_dir():
        print("no measuring media beside the checkout", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        groups = collect(lab)
        lab.estimator.close()
    profile, table = default_profile(), {}
    print(
        f"{'measure':14} {'group':9} {'n':>4} {'median':>8} {'p90':>8} {'worst':>8}"
        f"   fine / worthless"
    )
    for measure, read in MEASURES.items():
        tolerance = profile.tolerances[measure]
        for group, reports in groups.items():
            values = [v for r in reports if (v := read(r)) is not None]
            row = {
                "n": len(values),
                "median": float(np.median(values)),
                "p90": float(np.percentile(values, 90)),
                "worst": max(values),
            }
            table[f"{measure}/{group}"] = row
            limits = f"{tolerance.fine:g} / {tolerance.worthless:g}" if group == "itself" else ""
            print(
                f"{measure:14} {group:9} {row['n']:4} {row['median']:8.3f} {row['p90']:8.3f} "
                f"{row['worst']:8.3f}   {limits}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
