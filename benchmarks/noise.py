"""How far the score of one pair moves when a file is only stored otherwise.

    python benchmarks/noise.py [--only NAME,…] [--clips] [--json FILE]

Every image of ../shared/data/pairs and of fixtures/ in 30 harmless dresses (JPEG 80 to 95, WebP,
AVIF, a palette, 1 % larger or smaller, 2 px cropped, 2 % brighter or darker, noise of 45 dB, and
combinations of these), each against its own clip; with --clips also every clip in such dresses
against its own image (an hour). Checks of the file itself (WP1) are left out: that an AVIF is an
AVIF is not noise. A row a pair: the scores' spread around their median, how many verdicts differ
that may not (the median is further than 3 points from where they part), whether the person is
recognised in all or in none, and the checks that differ most between dresses.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
from _media import PAIRS, ROOT, Lab, pair_image, pair_names, pair_video
from PIL import Image

import wan_prep
from wan_prep.evidence import Evidence
from wan_prep.media.images import probe_image, read_image
from wan_prep.report.model import Report

SPREAD, SPREAD_MAX = 1.5, 3.0
"""Points around the median that 95 % of the dresses, and all of them, may differ by."""
Rgb = np.ndarray
Dress = tuple[str, Callable[[Rgb], Rgb], str, dict[str, Any]]


def resized(share: float) -> Callable[[Rgb], Rgb]:
    def change(rgb: Rgb) -> Rgb:
        height, width = rgb.shape[:2]
        size = (round(width * share), round(height * share))
        return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC)

    return change


def cropped(left: int, top: int, right: int, bottom: int) -> Callable[[Rgb], Rgb]:
    return lambda rgb: rgb[top : rgb.shape[0] - bottom, left : rgb.shape[1] - right]


def brighter(share: float) -> Callable[[Rgb], Rgb]:
    return lambda rgb: np.clip(np.rint(rgb * (1 + share)), 0, 255).astype(np.uint8)


def noisy(seed: int) -> Callable[[Rgb], Rgb]:
    """Gaussian noise of 45 dB."""
    sigma = 255 / 10 ** (45 / 20)

    def change(rgb: Rgb) -> Rgb:
        noise = np.random.default_rng(seed).normal(0, sigma, rgb.shape)
        return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8)

    return change


def both(*changes: Callable[[Rgb], Rgb]) -> Callable[[Rgb], Rgb]:
    def change(rgb: Rgb) -> Rgb:
        for one in changes:
            rgb = one(rgb)
        return rgb

    return change


def same(rgb: Rgb) -> Rgb:
    return rgb


def dresses() -> list[Dress]:
    """(name, change of the pixels, format, options of its writer): the plain one, and 30."""
    jpeg = [(f"jpeg {q}", same, "jpeg", {"quality": q}) for q in (80, 85, 90, 95)]
    flat = [(f"jpeg {q} 4:4:4", same, "jpeg", {"quality": q, "subsampling": 0}) for q in (80, 90)]
    other: list[Dress] = [
        ("webp 80", same, "webp", {"quality": 80}),
        ("webp 90", same, "webp", {"quality": 90}),
        ("avif 80", same, "avif", {"quality": 80}),
        ("palette", same, "palette", {}),
    ]
    sizes = [(f"size {s:g}", resized(s), "png", {}) for s in (0.99, 0.995, 1.005, 1.01)]
    crops = [
        (f"crop {b}", cropped(*b), "png", {})
        for b in (
            (2, 0, 0, 0),
            (0, 2, 0, 0),
            (0, 0, 2, 0),
            (0, 0, 0, 2),
            (1, 1, 1, 1),
            (2, 2, 2, 2),
        )
    ]
    lights = [(f"light {s:+g}", brighter(s), "png", {}) for s in (-0.02, -0.01, 0.01, 0.02)]
    noises = [(f"noise {seed}", noisy(seed), "png", {}) for seed in range(3)]
    mixed: list[Dress] = [
        ("size 0.99, jpeg 85", resized(0.99), "jpeg", {"quality": 85}),
        ("crop, light", both(cropped(2, 2, 0, 0), brighter(0.02)), "png", {}),
        ("light, jpeg 80", brighter(-0.02), "jpeg", {"quality": 80}),
    ]
    return [
        ("plain", same, "png", {}),
        *jpeg,
        *flat,
        *other,
        *sizes,
        *crops,
        *lights,
        *noises,
        *mixed,
    ]


def dressed(rgb: Rgb, dress: Dress, path: Path) -> None:
    _, change, kind, options = dress
    image = Image.fromarray(np.ascontiguousarray(change(rgb)))
    if kind == "palette":
        image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, "png")
    else:
        image.save(path, kind, **({"compress_level": 1} if kind == "png" else options))


CLIP_DRESSES: tuple[tuple[str, str, str], ...] = (
    ("plain", "null", "16"),
    *((f"crf {crf}", "null", crf) for crf in ("18", "20", "22", "24")),
    *((f"size {s}", f"scale=trunc(iw*{s}/2)*2:trunc(ih*{s}/2)*2", "16") for s in ("0.99", "1.01")),
    ("crop 2", "crop=iw-2:ih-2:2:2", "16"),
    *((f"light {s}", f"eq=brightness={s}", "16") for s in ("-0.02", "0.02")),
    ("noise", "noise=alls=3:allf=t", "16"),
)


def dressed_clip(source: Path, filters: str, crf: str, path: Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(source), "-an"]
    command += ["-vf", filters, "-c:v", "libx264", "-crf", crf, "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True)


def checked(image: Evidence, video: Evidence, mode: str) -> Report:
    return wan_prep.check(image, video, mode=mode, ignore=["WP1"])  # type: ignore[arg-type]


def image_reports(lab: Lab, image: Path, video: Path, mode: str) -> Iterator[tuple[str, Report]]:
    info = probe_image(image, max_pixels=10**9)
    rgb = read_image(image, info, max_pixels=10**9)
    for dress in dresses():
        path = lab.folder / "dressed"
        dressed(rgb, dress, path)
        seen = wan_prep.observe(path, kind="image", estimator=lab.estimator)
        yield dress[0], checked(seen, lab.seen(video, "video"), mode)


def clip_reports(lab: Lab, image: Path, video: Path, mode: str) -> Iterator[tuple[str, Report]]:
    for name, filters, crf in CLIP_DRESSES:
        path = lab.folder / "dressed.mp4"
        dressed_clip(video, filters, crf, path)
        seen = wan_prep.observe(path, kind="video", estimator=lab.estimator)
        yield name, checked(lab.seen(image, "image"), seen, mode)


def row(what: str, reports: dict[str, Report]) -> dict[str, Any]:
    scores = {name: report.score for name, report in reports.items()}
    median = float(np.median(list(scores.values())))
    off = sorted(abs(score - median) for score in scores.values())
    verdicts = Counter(report.verdict for report in reports.values())
    usual = verdicts.most_common(1)[0][0]
    found = {r.subject.image.found and r.subject.video.found for r in reports.values()}
    return {
        "what": what,
        "dresses": len(scores),
        "median": round(median, 1),
        "within_1_5": sum(o <= SPREAD for o in off) / len(off),
        "worst": round(off[-1], 2),
        "worst_dress": max(scores, key=lambda name: abs(scores[name] - median)),
        "other_verdicts": sum(verdicts.values()) - verdicts[usual],
        "recognised": "some" if len(found) > 1 else "all" if found == {True} else "none",
        "moving": moving(list(reports.values())),
        "scores": scores,
    }


def moving(reports: list[Report]) -> str:
    """The checks whose scores, or whose being measured at all, differ most between dresses."""
    states: dict[str, set[str]] = {}
    for report in reports:
        told = {f.code: f"{f.status} {f.severity.value}" for f in report.findings}
        for code in (*told, *report.passed, *report.not_applicable):
            states.setdefault(code, set()).add(told.get(code, "passed"))
    flipping = sorted(code for code, seen in states.items() if len(seen) > 1)
    return " ".join(flipping) or "none"


def places() -> list[tuple[str, Path, Path, str]]:
    mode = {"wan22_replace": "replace"}
    found = [(n, pair_image(n), pair_video(n), mode.get(n, "animate")) for n in pair_names()]
    fixtures = ROOT / "fixtures"
    own = ("fixtures", fixtures / "reference.png", fixtures / "driving.mp4", "animate")
    return [own, *found]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="names of pairs, or fixtures")
    parser.add_argument("--clips", action="store_true", help="dress the clips, not the images")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not PAIRS.is_dir():
        print("no measuring media beside the checkout", file=sys.stderr)
        return 2
    only = [name for name in given.only.split(",") if name]
    rows = []
    print(
        "| pair | dresses | median | in 1.5 | worst | in | other verdicts | recognised | flipping |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        for name, image, video, mode in places():
            if only and name not in only:
                continue
            look = clip_reports if given.clips else image_reports
            found = row(name, dict(look(lab, image, video, mode)))
            rows.append(found)
            print(
                f"| {name} | {found['dresses']} | {found['median']} | {found['within_1_5']:.0%} "
                f"| {found['worst']} | {found['worst_dress']} | {found['other_verdicts']} "
                f"| {found['recognised']} | {found['moving']} |",
                flush=True,
            )
        lab.estimator.close()
    count = sum(r["dresses"] for r in rows)
    within = sum(r["within_1_5"] * r["dresses"] for r in rows) / count if count else math.nan
    worst = max((r["worst"] for r in rows), default=math.nan)
    print(f"\nwithin {SPREAD} points: {within:.1%} of {count} (95 %); worst {worst} ({SPREAD_MAX})")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    missed = within < 0.95 or worst > SPREAD_MAX or any(r["recognised"] == "some" for r in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
