"""Accuracy of the measurements: the seven things that must hold, one table.

    python benchmarks/accuracy.py [--only 1,3] [--json FILE]

Needs the measuring media beside the checkout (../shared/data).  Known transforms and degradations
are made from the pairs' own frames, with exact ground truth.  Under ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from _media import (
    DATA,
    PAIRS,
    Lab,
    Row,
    at_least,
    at_most,
    frames_of,
    in_content,
    narrowed,
    pair_image,
    pair_names,
    pair_video,
    percentile,
    rolled,
    shifted,
    zoomed,
)

from wan_prep import api
from wan_prep.evidence import Evidence, Subject
from wan_prep.geometry import rotation_angle_deg
from wan_prep.measures import PairMeasures, measure, seat
from wan_prep.pose.skeleton import Joint

ZOOMS = (1.25, 1.5, 2.0, 3.0)
SHIFTS = ((0.06, 0.0), (-0.06, 0.03), (0.0, -0.04), (0.1, 0.05))
ROLLS = (-30.0, -15.0, -5.0, 5.0, 15.0, 30.0)


def subject_of(evidence: Evidence) -> Subject | None:
    return evidence.first.subject if evidence.first else None


def compare(image: Evidence, video: Evidence) -> PairMeasures | None:
    a, b = subject_of(image), subject_of(video)
    return None if a is None or b is None else measure(seat(image, a), seat(video, b))


def report(image: Evidence, video: Evidence, mode: str = "animate"):
    return api.check(image, video, mode=mode)  # type: ignore[arg-type]


# ------------------------------------------------------------------ 1 known transforms


def known_transforms(lab: Lab) -> list[Row]:
    errors: dict[str, list[float]] = {k: [] for k in ("zoom", "shift", "roll")}
    identity: dict[str, list[float]] = {k: [] for k in ("zoom", "offset", "view", "pose")}
    found_at_identity: list[str] = []
    lost = tried = 0
    for name in pair_names():
        path = pair_video(name)
        evidence = lab.seen(path, "video")
        found = [o.time for o in evidence.found]
        for moment in (found[0], found[len(found) // 2]):
            there = lab.at(path, [moment])
            ((_, rgb),) = frames_of(lab, path, [moment])
            subject = subject_of(there)
            if subject is None:
                lost += 1
                continue
            size = np.array([rgb.shape[1], rgb.shape[0]])
            points = in_content(evidence, subject.keypoints_xy) * size
            shoulders = points[[Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER]]
            neck = shoulders.mean(axis=0)
            nose = points[Joint.NOSE]
            middle = tuple(float(v) for v in (neck + nose) / 2)

            def add(
                kind: str,
                picture: np.ndarray,
                error: Callable[[PairMeasures], float | None],
                there: Evidence = there,
            ) -> None:
                nonlocal lost, tried
                tried += 1
                m = compare(lab.picture(picture), there)
                value = None if m is None else error(m)
                if value is None:
                    lost += 1
                else:
                    errors[kind].append(value)

            for zoom in ZOOMS:
                half = size / zoom / 2
                center = np.clip(middle, half, size - half)
                if (np.abs(shoulders - center) > 0.95 * half).any():
                    continue
                add(
                    "zoom",
                    zoomed(rgb, zoom, middle),
                    lambda m, z=zoom: m.zoom_ratio and abs(m.zoom_ratio / z - 1),
                )
            for dx, dy in SHIFTS:
                add(
                    "shift",
                    shifted(rgb, dx, dy),
                    lambda m, x=dx, y=dy: float(np.hypot(m.offset_x - x, m.offset_y - y)),
                )
            for roll in ROLLS:
                add(
                    "roll",
                    rolled(rgb, roll),
                    lambda m, r=roll: None if m.roll is None else abs(m.roll - r),
                )
        ((_, rgb),) = frames_of(lab, path, [Fraction(0)])
        result = report(lab.picture(rgb), evidence)
        first = result.measures.first
        if first.zoom_ratio is not None and first.view_angle is not None:
            identity["zoom"].append(abs(first.zoom_ratio - 1))
            identity["offset"].append(max(abs(first.offset_x), abs(first.offset_y)))
            identity["view"].append(first.view_angle)
            identity["pose"].append(first.pose_angle or 0.0)
        found_at_identity += [
            f"{name}:{f.code}"
            for f in result.findings
            if f.code.startswith(("WP3", "WP4")) and f.code not in ("WP307", "WP402", "WP403")
        ]
    return [
        at_most("1", "zoom error, median", percentile(errors["zoom"], 50), 0.03),
        at_most("1", "zoom error, p90", percentile(errors["zoom"], 90), 0.08),
        at_most("1", "shift error, median", percentile(errors["shift"], 50), 0.01),
        at_most("1", "shift error, p90", percentile(errors["shift"], 90), 0.02),
        at_most("1", "roll error, median, deg", percentile(errors["roll"], 50), 2.0),
        at_most("1", "not found in a transformed picture, share", lost / max(tried, 1), 0.0),
        at_most("1", "identity: zoom error, worst", max(identity["zoom"]), 0.02),
        at_most("1", "identity: offset, worst", max(identity["offset"]), 0.005),
        at_most("1", "identity: view angle, worst, deg", max(identity["view"]), 4.0),
        at_most("1", "identity: pose angle, worst, deg", max(identity["pose"]), 5.0),
        at_most(
            "1",
            "identity: framing and pose findings at first",
            len(found_at_identity),
            0,
            findings=found_at_identity,
        ),
    ]


# ------------------------------------------------------------------ 2 ordering


def ordering(lab: Lab) -> list[Row]:
    steps = falls = 0
    rises: list[tuple[float, str]] = []
    for name in pair_names():
        path = pair_video(name)
        video = lab.seen(path, "video")
        subject = subject_of(video)
        if subject is None:
            continue
        ((_, rgb),) = frames_of(lab, path, [video.observations[0].time])
        size = np.array([rgb.shape[1], rgb.shape[0]])
        shoulders = in_content(video, subject.keypoints_xy[[11, 12]]) * size
        neck = tuple(float(value) for value in shoulders.mean(axis=0))
        ladders = {
            "zoom": [zoomed(rgb, z, neck) for z in (1.0, 1.2, 1.5, 2.0)],
            "shift": [shifted(rgb, s, 0.0) for s in (0.0, 0.08, 0.16, 0.24)],
            "roll": [rolled(rgb, r) for r in (0.0, 10.0, 20.0, 30.0)],
            "aspect": [narrowed(rgb, s, neck[0]) for s in (1.0, 0.85, 0.7, 0.55)],
        }
        for kind, pictures in ladders.items():
            scores = [report(lab.picture(p), video).score for p in pictures]
            for i, (a, b) in enumerate(itertools.pairwise(scores)):
                steps += 1
                falls += b < a
                if b > a:
                    rises.append((b - a, f"{name} {kind} step {i + 1}: {a:.1f} to {b:.1f}"))
    worst = max(rises, default=(0.0, ""))
    return [
        at_least(
            "2",
            "steps in which the score falls, share",
            falls / steps,
            0.99,
            steps=steps,
            rises=[text for _, text in sorted(rises, reverse=True)],
        ),
        at_most("2", "largest rise, points", worst[0], 1.0, where=worst[1]),
    ]


# ------------------------------------------------------------------ 3 view


def view(lab: Lab) -> list[Row]:
    folder = DATA / "view/pose2sim"
    calibration = tomllib.loads((folder / "Calib_qualisys.toml").read_text())
    cameras = {
        n: cv2.Rodrigues(np.array(calibration[f"cam_0{n}"]["rotation"]))[0] for n in (1, 2, 3, 4)
    }
    times = [Fraction(k, 12) for k in range(20)]
    rows = []
    for how in ("at given times", "as sampled"):
        seen = {}
        for n in cameras:
            path = folder / f"cam0{n}.mp4"
            evidence = lab.at(path, times) if how == "at given times" else lab.seen(path, "video")
            seen[n] = {
                round(float(o.time), 3): o.subject.view_matrix
                for o in evidence.found
                if o.subject is not None and o.subject.view_matrix is not None
            }
        errors, per_pair = [], {}
        for a, b in itertools.combinations(cameras, 2):
            truth = cameras[b] @ cameras[a].T
            own = [
                rotation_angle_deg(seen[b][t] @ seen[a][t].T @ truth.T)
                for t in seen[a]
                if t in seen[b]
            ]
            errors += own
            per_pair[f"{a}-{b}"] = round(percentile(own, 50), 1)
        rows += [
            at_most(
                "3",
                f"relative view error {how}, median, deg",
                percentile(errors, 50),
                12.0,
                per_pair=per_pair,
            ),
            Row("3", f"relative view error {how}, p90, deg", percentile(errors, 90), "", None),
        ]
    with (DATA / "view/ground_truth_view.csv").open() as file:
        truth_yaw = [
            (int(r["file"][3:5]), int(r["file"].split("frame")[1].split()[0]), float(r["yaw_deg"]))
            for r in csv.DictReader(file)
            if r["dataset"] == "pose2sim"
        ]
    off = []
    for camera in cameras:
        asked = [(frame, yaw) for c, frame, yaw in truth_yaw if c == camera]
        evidence = lab.at(folder / f"cam0{camera}.mp4", [Fraction(frame, 60) for frame, _ in asked])
        from wan_prep.geometry import view_angles, wrap_deg

        off += [
            abs(wrap_deg(view_angles(o.subject.view_matrix).yaw - yaw))
            for o, (_, yaw) in zip(evidence.observations, asked, strict=True)
            if o.subject is not None and o.subject.view_matrix is not None
        ]
    rows.append(
        Row("3", "yaw against the calibrated torso, median, deg", percentile(off, 50), "", None)
    )
    return rows


# ------------------------------------------------------------------ 4 right person, real body


def right_person(lab: Lab) -> list[Row]:
    labels = json.loads((DATA / "labels.json").read_text())
    rows = []
    for name in (
        "wan22_replace",
        "animatex_2",
        "animatex_3",
        "animatex_4",
        "mimicmotion_fb0",
        "mimicmotion_hb0",
        "mimicmotion_hb1",
        "mimicmotion_hb2",
    ):
        evidence = lab.seen(pair_video(name), "video")
        share = len(evidence.found) / len(evidence.observations)
        rows.append(at_least("4", f"{name}: found, share of samples", share, 0.97))
    upside_down = 0
    for name in pair_names():
        for o in lab.seen(pair_video(name), "video").found:
            points = o.subject.keypoints_xy if o.subject else None
            if points is not None and (points[11] + points[12])[1] > (points[23] + points[24])[1]:
                upside_down += 1
    rows.append(at_most("4", "upside-down bodies in all pairs", upside_down, 0))
    for key, entry in labels.items():
        if not key.startswith("pairs/"):
            continue
        times = [Fraction(t) for t in entry["nose_xy"]]
        evidence = lab.at(DATA / key, times)
        info = evidence.video_info
        assert info is not None
        distances, necks, missing = [], 0, 0
        for o, truth in zip(evidence.observations, entry["nose_xy"].values(), strict=True):
            if o.subject is None:
                missing += 1
                continue
            nose = o.subject.keypoints_xy[0]
            delta = (nose - truth) * (info.width / info.height, 1.0)
            distances.append(float(np.hypot(*delta)))
            neck = (o.subject.keypoints_xy[11, 1] + o.subject.keypoints_xy[12, 1]) / 2
            necks += not 0.08 <= neck - nose[1] <= 0.30
        short = key.split("/")[1]
        rows += [
            at_most("4", f"{short}: labelled frames without the person", missing, 0),
            at_most("4", f"{short}: nose off by, worst, of the height", max(distances), 0.05),
            at_most("4", f"{short}: necks not below the nose", necks, 0),
        ]
    return rows


# ------------------------------------------------------------------ 5 working pairs pass


def working_pairs(lab: Lab) -> list[Row]:
    rows = []
    for name in pair_names():
        mode = "replace" if name == "wan22_replace" else "animate"
        result = report(
            lab.seen(pair_image(name), "image"), lab.seen(pair_video(name), "video"), mode
        )
        reasons = [f"{f.code} {f.name}" for f in (*result.errors, *result.warnings)]
        rows.append(
            Row(
                "5",
                f"{name}: {result.verdict}",
                result.score,
                "ready or risky",
                result.verdict != "not_ready",
                {"reasons": reasons},
            )
        )
    return rows


# ------------------------------------------------------------------ 6 honest absence


def absence(lab: Lab) -> list[Row]:
    rows = []
    for path in sorted((DATA / "absent").iterdir()):
        kind = "image" if path.suffix in (".jpg", ".png") else "video"
        evidence = lab.seen(path, kind)
        share = len(evidence.found) / max(len(evidence.observations), 1)
        judged = None if "rabbit" in path.name else share == 0
        rows.append(Row("6", f"{path.name}: found, share of samples", share, "0", judged))
    return rows


# ------------------------------------------------------------------ 7 bad pairs fail


def bad_pairs(lab: Lab) -> list[Row]:
    rows = []
    name = "mimicmotion_fb0"
    image = lab.seen(pair_image(name), "image")

    def must_fail(what: str, image: Evidence, video: Evidence, code: str) -> None:
        result = report(image, video)
        named = [f.code for f in result.errors]
        rows.append(
            Row(
                "7",
                f"{what}: {result.verdict}",
                result.score,
                f"not_ready, {code}",
                result.verdict == "not_ready" and code in named,
                {"errors": named},
            )
        )

    must_fail(
        "a clip in which nobody appears", image, lab.seen(DATA / "absent/dog.mp4", "video"), "WP502"
    )
    must_fail(
        "an undecodable clip",
        image,
        lab.seen(DATA / "robustness/same_clip/garbage.mp4", "video"),
        "WP102",
    )
    video = lab.seen(pair_video(name), "video")
    info = video.video_info
    assert info is not None
    long = video.model_copy(update={"info": info.model_copy(update={"duration": Fraction(121)})})
    must_fail("over 120 s", image, long, "WP601")
    ((_, rgb),) = frames_of(lab, pair_video(name), [Fraction(0)])
    subject = subject_of(video)
    assert subject is not None
    nose = subject.keypoints_xy[0] * (rgb.shape[1], rgb.shape[0])
    for zoom in (4.0, 7.0):
        must_fail(
            f"face alone against full body, {zoom:.0f} times",
            lab.picture(zoomed(rgb, zoom, (float(nose[0]), float(nose[1])))),
            video,
            "WP301",
        )
    back = next(
        o
        for o in reversed(video.found)
        if o.subject is not None
        and o.subject.view_matrix is not None
        and (o.subject.view_matrix.T @ (0.0, 0.0, -1.0))[2] < -0.85
    )
    ((_, rgb_back),) = frames_of(lab, pair_video(name), [back.time])
    must_fail("back against front", lab.picture(rgb_back), video, "WP304")
    rows += crosses(lab)
    return rows


def crosses(lab: Lab) -> list[Row]:
    """Every image with every other pair's video: shipped pairs against crosses that differ."""
    shipped, crossed, confusions = [], [], []
    for a, b in itertools.product(pair_names(), repeat=2):
        image, video = lab.seen(pair_image(a), "image"), lab.seen(pair_video(b), "video")
        result = report(image, video)
        if a == b:
            shipped.append((result.score, a))
            continue
        m = result.measures.first
        shots = m.shot is not None and m.shot.image != m.shot.video
        if shots or (m.view_angle or 0.0) > 45.0:
            crossed.append((result.score, f"{a} image, {b} video"))
    wins = [(s > c) + 0.5 * (s == c) for s, _ in shipped for c, _ in crossed]
    worst = min(shipped)
    confusions = [
        f"{text} {score:.1f}" for score, text in sorted(crossed, reverse=True) if score > worst[0]
    ]
    return [
        Row(
            "7",
            "AUC of the score, shipped pairs against differing crosses",
            float(np.mean(wins)),
            "",
            None,
            {
                "shipped": len(shipped),
                "crosses": len(crossed),
                "crosses above the worst shipped pair": confusions,
                "worst shipped pair": f"{worst[1]} {worst[0]:.1f}",
            },
        ),
    ]


ITEMS: dict[str, Callable[[Lab], list[Row]]] = {
    "1": known_transforms,
    "2": ordering,
    "3": view,
    "4": right_person,
    "5": working_pairs,
    "6": absence,
    "7": bad_pairs,
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
