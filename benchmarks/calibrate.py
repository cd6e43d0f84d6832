"""Set the tolerances of the measures from data, and show where they come from.

    python benchmarks/calibrate.py [--write] [--json FILE] [--markdown FILE]

Groups, made from ../shared/data:
  noise     nothing differs: every clip against its own first frame, as it is, shrunk to two
            thirds, compressed as JPEG of quality 60, and turned by half a degree
  good      what works: the pairs that animation projects ship as examples, and every clip against
            a frame of its own a fifth of a second later
  crossed   every image against every other pair's clip: what a random pair looks like; only
            shown, since one cross may well agree in one measure
  bad       what is known to differ: the first frame zoomed four times, turned by 45 deg, narrowed
            to a half; the same man at one instant from calibrated cameras 60 and more deg apart

Rule, the same for every measure:
  fine (score 0.95)    what three of four good pairs stay within, and nine of ten of the noise
  error (score 0.1)    twice the worst good pair, since eleven pairs are few; where method.md calls
                       a pair bad (zoom outside 1/3 to 3, a view more than 120 deg apart), or a
                       bad group shows where that is, half way from there to it, as ratios go
  worthless            follows: the curve through both, at a score of 0.05

In `replace` the curves of zoom and placement are moved until a warning begins half as far again as
the official example lies: that mode has no more data, and the image's place in its frame hardly
matters there.

The confidence below which a measure is not believed is read off a second table: the errors of known
zooms and turns by the confidence that the measure came with.

Prints both tables; --write puts the figures into the profile, --markdown writes the table for
docs/calibration.md, --json writes every value.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from _media import (
    DATA,
    PAIRS,
    ROOT,
    Lab,
    compare,
    frames_of,
    in_content,
    narrowed,
    pair_image,
    pair_names,
    pair_video,
    percentile,
    report,
    rolled,
    subject_of,
    zoomed,
)

from wan_prep.evidence import Evidence
from wan_prep.findings import Judged, PairContext
from wan_prep.geometry import rotation_angle_deg
from wan_prep.profile import Mode, default_profile
from wan_prep.report.model import Measures, MeasuresOverTime, Report
from wan_prep.report.scoring import evaluate

PROFILE = ROOT / "src/wan_prep/profiles/wan22_animate.toml"
REPLACE_PAIR = "wan22_replace"
LATER_S = Fraction(1, 5)
FAR_DEG = 60.0
LEAST_CONFIDENCE = default_profile().limit("confidence_min")


def _log(ratio: float | None) -> float | None:
    return None if ratio is None else abs(math.log(ratio))


def _believed(measures: Measures, name: str, value: float | None) -> float | None:
    """What the checks would not believe does not count here either."""
    return value if measures.confidence.get(name, 1.0) >= LEAST_CONFIDENCE else None


def _placement(m: Measures) -> float | None:
    if m.offset_x is None or m.offset_y is None:
        return None
    return math.hypot(m.offset_x, m.offset_y)


def _proportions(m: Measures) -> float | None:
    return max((abs(math.log(v)) for v in m.proportions.values()), default=None)


READ: dict[str, Callable[[MeasuresOverTime], float | None]] = {
    "aspect_gap": lambda m: _log(m.first.aspect_gap),
    "zoom": lambda m: _believed(m.first, "zoom_ratio", _log(m.first.zoom_ratio)),
    "placement": lambda m: _believed(m.first, "offset", _placement(m.first)),
    "view": lambda m: _believed(m.first, "view_angle", m.first.view_angle),
    "roll": lambda m: _believed(
        m.first, "view_angle", None if m.first.roll is None else abs(m.first.roll)
    ),
    "pose": lambda m: _believed(m.first, "pose_angle", m.first.pose_angle),
    "typical_pose": lambda m: _believed(m.typical, "pose_angle", m.typical.pose_angle),
    "typical_zoom": lambda m: _believed(m.typical, "zoom_ratio", _log(m.typical.zoom_ratio)),
    "proportions": lambda m: _proportions(m.typical),
}
OF_ONE_FILE = {
    "shot": "WP303",
    "cut_edges": "WP306",
    "absence": "WP503",
    "other_person": "WP506",
    "face_px": "WP508",
    "face_turn": "WP510",
    "face_absence": "WP511",
    "template_hidden": "WP512",
    "template_turn": "WP513",
}
"""Tolerances whose measure the check itself computes: by the code that answers with it."""
FACE_SIZES_PX = (512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16, 12)
MOVED_IN_REPLACE = ("zoom", "placement", "typical_zoom")
SHOWN_ONLY = ("proportions", "cut_edges")
"""Set by hand from the table: shipped pairs hold characters whose proportions differ on purpose,
and none whose edges cut differently."""
OVER_TIME = ("typical_pose", "typical_zoom", "proportions")
"""Measured on whole clips: an image of the clip itself says nothing about pairs."""
MUST_FAIL = {
    "zoom": math.log(3.0),
    "view": 120.0,
    # In profile half of the face or body is hidden; with all limbs hidden there is no template.
    "face_turn": 90.0,
    "template_turn": 90.0,
    "template_hidden": 1.0,
}
"""What is bad by definition: method.md's figures for the pair, geometry for one picture."""
MARGIN = 2.0
REPLACE_MARGIN = 1.5
LEAST_FINE = {
    # The service's own sizes are multiples of 16 px: half of that in 832 px is nobody's fault.
    "aspect_gap": 0.01,
    # Classes and samples are counted: less than one of them is no measure.
    "shot": 0.5,
    "cut_edges": 0.5,
    "absence": 0.02,
    "face_absence": 0.02,
    "other_person": 0.1,
    "template_hidden": 0.125,
    # What a single view is off by, in the median (docs/accuracy.md).
    "template_turn": 14.0,
}


@dataclass(frozen=True)
class Case:
    """One pair that was judged: in which group, what it is, what was measured."""

    group: str
    what: str
    values: dict[str, float]


def case(group: str, what: str, judged: Report, only: tuple[str, ...] = tuple(READ)) -> Case:
    found = {name: READ[name](judged.measures) for name in only}
    return Case(group, what, {name: v for name, v in found.items() if v is not None})


def collect(lab: Lab) -> list[Case]:
    at_start = tuple(name for name in READ if name not in OVER_TIME)
    cases = []
    for name in pair_names():
        video = lab.seen(pair_video(name), "video")
        image = lab.seen(pair_image(name), "image")
        shipped = case("good", name, report(image, video))
        shipped.values.update(answers(image, video))
        cases.append(shipped)
        (_, first), (_, later) = frames_of(lab, pair_video(name), [Fraction(0), LATER_S])
        for how, picture in altered(first).items():
            judged = report(lab.picture(picture), video)
            cases.append(case("noise", f"{name}, {how}", judged, at_start))
        judged = report(lab.picture(later), video)
        cases.append(case("good", f"{name}, a moment later", judged, at_start))
        cases += ruined(lab, name, first, video)
    for a, b in itertools.permutations(pair_names(), 2):
        judged = report(lab.seen(pair_image(a), "image"), lab.seen(pair_video(b), "video"))
        cases.append(case("crossed", f"{a} image, {b} video", judged))
    return cases + far_views(lab) + lost_faces(lab)


def answers(image: Evidence, video: Evidence) -> dict[str, float]:
    """What the checks of OF_ONE_FILE measured; those that found nothing measured 0."""
    results = evaluate(PairContext(image, video, "animate", "480p", default_profile()))
    judged = {r.rule.code: r.answer for r in results if isinstance(r.answer, Judged)}
    found = {name: judged[code].measured for name, code in OF_ONE_FILE.items() if code in judged}
    return {
        name: float(value) if isinstance(value, int | float) else 0.0
        for name, value in found.items()
        if value is not None or name != "face_px"
    }


def lost_faces(lab: Lab) -> list[Case]:
    """The size at which a face that was recognised is no more, on pictures shrunk step by step."""
    cases = []
    for name in pair_names():
        ((_, rgb),) = frames_of(lab, pair_video(name), [Fraction(0)])
        seen = lab.picture(rgb)
        face = seen.first.subject.face if seen.first and seen.first.subject else None
        if face is None or face.yaw_deg is None:
            continue
        height, width = rgb.shape[:2]
        px = math.sqrt(face.box.width * width * face.box.height * height)
        for size in FACE_SIZES_PX:
            if size >= px:
                continue
            small = cv2.resize(rgb, None, fx=size / px, fy=size / px, interpolation=cv2.INTER_AREA)
            # Shown at its former size: few pixels, not a small picture.
            back = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
            again = lab.picture(back).first
            known = again and again.subject and again.subject.face
            if not known or known.yaw_deg is None:
                cases.append(Case("bad", f"{name}, face of {size} px", {"face_px": float(size)}))
                break
    return cases


def ruined(lab: Lab, name: str, first: np.ndarray, video: Evidence) -> list[Case]:
    """The first frame with one thing wrong in it, each judged for that alone."""
    subject = subject_of(video)
    if subject is None:
        return []
    size = (first.shape[1], first.shape[0])
    neck = in_content(video, subject.keypoints_xy[[11, 12]]).mean(axis=0) * size
    x, y = float(neck[0]), float(neck[1])
    pictures = {
        "zoom": {"zoomed 4 times": zoomed(first, 4.0, (x, y))},
        "roll": {f"turned {d:+.0f}": rolled(first, d) for d in (-45.0, 45.0)},
        "aspect_gap": {"narrowed to a half": narrowed(first, 0.5, x)},
    }
    return [
        case("bad", f"{name}, {what}", report(lab.picture(picture), video), (measure,))
        for measure, kinds in pictures.items()
        for what, picture in kinds.items()
    ]


def altered(rgb: np.ndarray) -> dict[str, np.ndarray]:
    """The same picture, changed in what should not matter."""
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (width * 2 // 3, height * 2 // 3), interpolation=cv2.INTER_AREA)
    _, packed = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return {
        "as it is": rgb,
        "shrunk": small,
        "compressed": cv2.imdecode(packed, cv2.IMREAD_COLOR),
        "turned half a degree": rolled(rgb, 0.5),
    }


def far_views(lab: Lab) -> list[Case]:
    folder = DATA / "view/pose2sim"
    calibration = tomllib.loads((folder / "Calib_qualisys.toml").read_text())
    cameras = {
        n: cv2.Rodrigues(np.array(calibration[f"cam_0{n}"]["rotation"]))[0] for n in (1, 2, 3, 4)
    }
    cases = []
    for a, b in itertools.permutations(cameras, 2):
        if rotation_angle_deg(cameras[b] @ cameras[a].T) < FAR_DEG:
            continue
        ((_, rgb),) = frames_of(lab, folder / f"cam0{a}.mp4", [Fraction(0)])
        video = lab.seen(folder / f"cam0{b}.mp4", "video")
        judged = report(lab.picture(rgb), video)
        cases.append(case("bad", f"camera {a} image, camera {b} video", judged, ("view",)))
    return cases


# ------------------------------------------------------------------ doubt

CONFIDENCES = ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01))


def doubt(lab: Lab) -> list[str]:
    """Errors on frames zoomed up to 4.5 times and turned up to 30 deg, by confidence."""
    errors: dict[str, list[tuple[float, float]]] = {"zoom": [], "view": [], "pose": []}
    for name in pair_names():
        path, video = pair_video(name), lab.seen(pair_video(name), "video")
        found = [o.time for o in video.found]
        for moment in (found[0], found[len(found) // 2], found[-1]):
            there = lab.at(path, [moment])
            ((_, rgb),) = frames_of(lab, path, [moment])
            subject = subject_of(there)
            if subject is None:
                continue
            points = in_content(video, subject.keypoints_xy) * (rgb.shape[1], rgb.shape[0])
            x, y = (points[[11, 12]].mean(axis=0) + points[0]) / 2
            changed = [(f, zoomed(rgb, f, (float(x), float(y)))) for f in (1.25, 1.5, 2, 3, 4.5)]
            changed += [(None, rolled(rgb, degrees)) for degrees in (-15.0, 15.0, 30.0)]
            for factor, picture in changed:
                m = compare(lab.picture(picture), there)
                if m is None:
                    continue
                if factor is not None and m.zoom_ratio is not None:
                    sure = m.confidence["zoom_ratio"]
                    errors["zoom"].append((sure, abs(m.zoom_ratio / factor - 1)))
                if factor is not None and m.view_angle is not None:
                    errors["view"].append((m.confidence["view_angle"], m.view_angle))
                if m.pose_angle is not None:
                    errors["pose"].append((m.confidence["pose_angle"], m.pose_angle))
    lines = ["| error of | confidence | n | median | p90 |", "|---|---|---|---|---|"]
    for measure, pairs in errors.items():
        for low, high in CONFIDENCES:
            own = [error for sure, error in pairs if low <= sure < high]
            if own:
                figures = f"{percentile(own, 50):.2g} | {percentile(own, 90):.2g}"
                lines.append(f"| {measure} | {low:g}-{min(high, 1):g} | {len(own)} | {figures} |")
    return lines


# ------------------------------------------------------------------ the rule


def of(cases: list[Case], group: str, measure: str) -> list[float]:
    return [c.values[measure] for c in cases if c.group == group and measure in c.values]


def proposed(cases: list[Case], measure: str) -> tuple[float, float]:
    """(fine, worthless) by the rule of this file's first lines."""
    noise, good, bad = (of(cases, group, measure) for group in ("noise", "good", "bad"))
    if measure == "face_px":
        # Small is bad: fine what three of four exceed, worthless where none is recognised.
        return percentile(good, 25), percentile(bad, 50)
    fine = max(percentile(good, 75), percentile(noise, 90) if noise else 0.0)
    fine = max(fine, LEAST_FINE.get(measure, 0.0))
    error = MARGIN * max(max(good), fine)
    known_bad = MUST_FAIL.get(measure, percentile(bad, 10) if bad else None)
    if known_bad is not None and known_bad > error:
        error = math.sqrt(error * known_bad)
    elif known_bad is not None:
        error = math.sqrt(max(good) * known_bad)
    return fine, worthless_of(fine, error)


def worthless_of(fine: float, error: float) -> float:
    """Where the log-logistic curve with 0.95 at `fine` and the error's score at `error` has 0.05.

    In ln x its log odds fall evenly: from ln 19 at fine to -ln 19 at worthless.
    """
    below = default_profile().severity.error_below
    share = (math.log(19.0) + math.log((1.0 - below) / below)) / (2.0 * math.log(19.0))
    return fine * math.pow(error / fine, 1.0 / share)


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


def calibrated(cases: list[Case]) -> dict[Mode, dict[str, tuple[float, float]]]:
    animate = {m: tuple(map(rounded, proposed(cases, m))) for m in (*READ, *OF_ONE_FILE)}
    profile = default_profile()
    for measure in SHOWN_ONLY:
        tolerance = profile.tolerances[measure]
        animate[measure] = (tolerance.fine, tolerance.worthless)
    official = next(c for c in cases if c.what == REPLACE_PAIR).values
    replace = {}
    for measure in MOVED_IN_REPLACE:
        fine, worthless = animate[measure]
        warning = math.sqrt(fine * worthless)
        factor = max(1.0, REPLACE_MARGIN * official[measure] / warning)
        worthless *= factor
        if measure in MUST_FAIL:
            worthless = min(worthless, worthless_of(fine * factor, 0.95 * MUST_FAIL[measure]))
        replace[measure] = (rounded(fine * factor), rounded(worthless))
    return {"animate": animate, "replace": replace}  # type: ignore[dict-item]


# ------------------------------------------------------------------ what is shown and written


def table(cases: list[Case], found: dict[Mode, dict[str, tuple[float, float]]]) -> list[str]:
    profile = default_profile()
    lines = [
        "| measure | group | n | p10 | median | p75 | p90 | worst | fine / worthless | warning "
        "from | error from |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for mode, tolerances in found.items():
        for measure, (fine, worthless) in tolerances.items():
            t = profile.tolerance(measure, mode).model_copy(
                update={"fine": fine, "worthless": worthless}
            )
            warning = t.measured_at(profile.severity.warning_below)
            error = t.measured_at(profile.severity.error_below)
            edges = f"{warning:.3g} | {error:.3g}"
            for group in ("noise", "good", "crossed", "bad"):
                values = of(cases, group, measure)
                if not values:
                    continue
                figures = [percentile(values, q) for q in (10, 50, 75, 90, 100)]
                limits = f"{fine:g} / {worthless:g} {t.unit} ({mode})" if group == "good" else ""
                lines.append(
                    f"| {measure} | {group} | {len(values)} | "
                    + " | ".join(f"{v:.3g}" for v in figures)
                    + f" | {limits} | {edges if limits else ' | '} |"
                )
    return lines


def with_figures(
    text: str, found: dict[Mode, dict[str, tuple[float, float]]], counts: dict[str, int]
) -> str:
    """The profile with the calibrated figures and what they rest on; nothing else changes."""
    for mode, tolerances in found.items():
        tolerances = {m: t for m, t in tolerances.items() if m not in SHOWN_ONLY}
        header = "[tolerances]" if mode == "animate" else f"[mode_tolerances.{mode}]"
        before, rest = text.split(header + "\n", 1)
        section, after = re.split(r"(?=^\[)", rest, maxsplit=1, flags=re.MULTILINE)
        for measure, (fine, worthless) in tolerances.items():
            n = f"{counts[measure]} comparisons" if mode == "animate" else "one working example"
            section = re.sub(
                rf"^{measure} = {{ fine = [^,]+, worthless = [^,]+, (unit = \"[^\"]+\"), .*$",
                f"{measure} = {{ fine = {fine:g}, worthless = {worthless:g}, \\1, "
                f'source = "calibrated on {n}: docs/calibration.md" }}',
                section,
                flags=re.MULTILINE,
            )
        text = f"{before}{header}\n{section}{after}"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the figures into the profile")
    parser.add_argument("--markdown", type=Path, help="write the table there too")
    parser.add_argument("--json", type=Path, help="write every value there")
    arguments = parser.parse_args()
    if not PAIRS.is_dir():
        print("no measuring media beside the checkout", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        cases, doubts = collect(lab), doubt(lab)
        lab.estimator.close()
    found = calibrated(cases)
    lines = [*table(cases, found), "", *doubts]
    print("\n".join(lines))
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n", "utf-8")
    if arguments.json:
        rows = [{"group": c.group, "what": c.what, **c.values} for c in cases]
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    if arguments.write:
        groups = ("noise", "good", "bad")
        counts = {m: sum(len(of(cases, g, m)) for g in groups) for m in found["animate"]}
        PROFILE.write_text(with_figures(PROFILE.read_text("utf-8"), found, counts), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
