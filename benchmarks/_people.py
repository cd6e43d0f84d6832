"""Items 3, 4, 6 and 8: who is seen, from where, and whether every dress shows the same."""

from __future__ import annotations

import csv
import itertools
import json
import tomllib
from fractions import Fraction

import cv2
import numpy as np
from _media import (
    DATA,
    Lab,
    Row,
    at_least,
    at_most,
    compare,
    frames_of,
    pair_names,
    pair_video,
    percentile,
)

from wan_prep.geometry import rotation_angle_deg, view_angles, wrap_deg


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
            at_most("3", f"relative view error {how}, p90, deg", percentile(errors, 90), 20.0),
            at_most("3", f"front taken for back {how}", sum(e > 90.0 for e in errors), 0),
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
        off += [
            abs(wrap_deg(view_angles(o.subject.view_matrix).yaw - yaw))
            for o, (_, yaw) in zip(evidence.observations, asked, strict=True)
            if o.subject is not None and o.subject.view_matrix is not None
        ]
    rows.append(
        Row("3", "yaw against the calibrated torso, median, deg", percentile(off, 50), "", None)
    )
    return rows


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


def absence(lab: Lab) -> list[Row]:
    rows = []
    for path in sorted((DATA / "absent").iterdir()):
        kind = "image" if path.suffix in (".jpg", ".png") else "video"
        evidence = lab.seen(path, kind)
        share = len(evidence.found) / max(len(evidence.observations), 1)
        judged = None if "rabbit" in path.name else share == 0
        rows.append(Row("6", f"{path.name}: found, share of samples", share, "0", judged))
    return rows


def same_clip(lab: Lab) -> list[Row]:
    """One clip in other containers, codecs, rates, pixels: the same measures at `first`."""
    folder = DATA / "robustness/same_clip"
    ((_, rgb),) = frames_of(lab, folder / "base_h264.mp4", [Fraction(0)])
    image, rows = lab.picture(rgb), []
    for path in sorted(folder.iterdir()):
        video = lab.seen(path, "video")
        if video.info is None:
            continue
        m = compare(image, video)
        if m is None or m.zoom_ratio is None or m.placement is None or m.view_angle is None:
            rows.append(Row("8", f"{path.name}: nobody found at first", 0.0, "found", False))
            continue
        # How much of each tolerance is used: 3 % of zoom, 1 % of the frame, 4 deg of view.
        used = {
            "zoom": abs(m.zoom_ratio - 1.0) / 0.03,
            "offset": m.placement / 0.01,
            "view": m.view_angle / 4.0,
        }
        rows.append(
            at_most("8", f"{path.name}: share of the tolerance used", max(used.values()), 1, **used)
        )
    return rows
