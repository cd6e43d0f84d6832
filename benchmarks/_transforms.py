"""Items 1 and 2: a frame changed by a known amount, against the clip it was taken from."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from _media import (
    Lab,
    Row,
    at_least,
    at_most,
    compare,
    frames_of,
    in_content,
    narrowed,
    pair_names,
    pair_video,
    percentile,
    report,
    rolled,
    shifted,
    subject_of,
    zoomed,
)

from wan_prep.evidence import Evidence
from wan_prep.measures.model import Measures
from wan_prep.pose.skeleton import Joint

ZOOMS = (1.25, 1.5, 2.0, 3.0)
SHIFTS = ((0.06, 0.0), (-0.06, 0.03), (0.0, -0.04), (0.1, 0.05))
ROLLS = (-30.0, -15.0, -5.0, 5.0, 15.0, 30.0)


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
                error: Callable[[Measures], float | None],
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
