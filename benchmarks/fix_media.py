"""What `fix` writes, as media: sync, length, quality, colours, speed; one table.

    python benchmarks/fix_media.py [--only 1,3] [--json FILE]

Items 1, 2 and 5 make their own clips; 3, 4 and 6 need the measuring media beside the checkout
(../shared/data). The plans here are made by hand: how a plan comes about is measured elsewhere.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from _media import (
    DATA,
    PAIRS,
    Row,
    at_least,
    at_most,
    beeps_s,
    pair_names,
    pair_video,
    run_ffmpeg,
)

from wan_prep.errors import MediaUnreadable, WanPrepError
from wan_prep.media.colors import color_tags
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video
from wan_prep.media.stamps import read_stamps
from wan_prep.normalizers import ffmpeg
from wan_prep.normalizers.clip import write_clip
from wan_prep.normalizers.verify import verify_decoding, verify_video
from wan_prep.planning.model import Geometry, Span, VideoOperations, Window

PSNR_MIN_DB = 42.0
SSIM_MIN = 0.985
# Y, Cb, Cr of flat patches: primaries, skin, greys, near the ends of the range.
PATCHES = (
    *((81, 90, 240), (145, 54, 34), (41, 240, 110), (180, 105, 152), (120, 110, 150)),
    *((16, 128, 128), (126, 128, 128), (235, 128, 128), (60, 200, 60), (210, 50, 140)),
)
PATCH_PX = 48


def geometry(info, crop: float = 1.0, scale: float = 1.0) -> Geometry:
    """The middle `crop` of both sides, scaled; odd offsets, even sides."""
    width, height = (round(side * crop) // 2 * 2 for side in (info.width, info.height))
    window = Window(
        left=(info.width - width) // 2, top=(info.height - height) // 2, width=width, height=height
    )
    sides = {"width": round(width * scale / 2) * 2, "height": round(height * scale / 2) * 2}
    return Geometry(window=window, **sides)


def written(
    source: Path,
    target: Path,
    shape: Geometry | None = None,
    end: Fraction | None = None,
    start: Fraction = Fraction(0),
) -> float:
    """Write and verify a clip as a plan would; the time in s that writing took."""
    info = probe_video(source)
    shape = shape or geometry(info)
    work = VideoOperations(
        source=str(source),
        sha256=info.sha256,
        spans=(Span(name=target.name, start=start, end=end or info.duration),),
        geometry=shape,
        fps=Fraction(30) if info.is_vfr else info.fps,
        deinterlace=info.is_interlaced,
        tone_map=info.is_hdr,
        audio="aac" if info.has_audio else "none",
    )
    began = time.monotonic()
    expected = write_clip(work, shape, work.spans[0], source, info, target, on_share=lambda _: None)
    verify_video(target, expected)
    took = time.monotonic() - began
    verify_decoding(target, expected)
    return took


@contextmanager
def commands(change: Callable[[list[str]], list[str]] = list) -> Iterator[list[list[str]]]:
    """Collects the commands that are run meanwhile, each changed first."""
    seen: list[list[str]] = []
    usual = ffmpeg.run

    def watched(arguments: Sequence[str], **options) -> None:
        seen.append(change(list(arguments)))
        usual(seen[-1], **options)

    ffmpeg.run = watched
    try:
        yield seen
    finally:
        ffmpeg.run = usual


def lossless(arguments: list[str]) -> list[str]:
    """The same command without loss."""
    changed = list(arguments)
    changed[changed.index("-crf") + 1] = "0"
    changed[changed.index("-profile:v") + 1] = "high444"
    return changed


# ------------------------------------------------------------------ 1, 2: time


def beeping(path: Path, seconds: int, *, is_uneven: bool) -> Path:
    """Each second begins with a flash of 0.1 s and a beep of 0.05 s."""
    flashes = "geq=lum='if(lt(mod(T,1),0.1),235,16)':cb=128:cr=128"
    uneven = ",select='if(lt(mod(t,4),2),1,not(mod(n,5)))'" if is_uneven else ""
    beeps = "aevalsrc='if(lt(mod(t,1),0.05),0.8*sin(2*PI*1000*t),0)':s=44100"
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"color=black:s=160x120:r=60:d={seconds},{flashes}{uneven}"),
        *("-f", "lavfi", "-i", f"{beeps}:d={seconds}", "-fps_mode", "passthrough"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", path),
    )
    return path


def flashes_s(path: Path) -> np.ndarray:
    times, was_bright = [], False
    for frame in decode(path, probe_video(path)):
        is_bright = frame.glance().mean() > 128
        if is_bright and not was_bright:
            times.append(float(frame.time))
        was_bright = is_bright
    return np.array(times)


def drift_frames(path: Path, count: int) -> float:
    """Largest distance of a beep from its flash, in frames; infinite where one is missing."""
    flashes, beeps = flashes_s(path), beeps_s(path)
    if not len(flashes) == len(beeps) == count:
        return float("inf")
    return float(np.abs(flashes - beeps).max() * probe_video(path).fps)


def sync(folder: Path) -> list[Row]:
    source, target = folder / "uneven.mp4", folder / "even.mp4"
    beeping(source, 20, is_uneven=True)
    written(source, target)
    whole = drift_frames(target, 20)
    rows = [at_most("1", "20 s variable rate: beep from flash, frames", whole, 1)]
    part = folder / "part.mp4"
    written(source, part, start=Fraction("3.3"), end=Fraction("17.7"))
    rows.append(at_most("1", "the same, 3.3-17.7 s of it", drift_frames(part, 14), 1))
    return rows


def length(folder: Path) -> list[Row]:
    source, target = folder / "long.mp4", folder / "cut.mp4"
    beeping(source, 130, is_uneven=False)
    written(source, target, end=Fraction(120))
    stamps = read_stamps(target)
    pictures, sound = (float(end) for end in stamps.ends)
    return [
        at_most("2", "130 s clip: duration of the container, s", float(stamps.container), 120),
        at_most("2", "end of the pictures, s", pictures, 120),
        at_most("2", "end of the sound, padding included, s", sound, 120),
        at_most("2", "beep from flash over 120 s, frames", drift_frames(target, 120), 1),
    ]


# ------------------------------------------------------------------ 3: what is written at all


def kinds(folder: Path) -> list[Row]:
    decodable = done = 0
    for source in sorted((DATA / "robustness/same_clip").iterdir()):
        try:
            probe_video(source)
        except MediaUnreadable:
            continue
        decodable += 1
        try:
            written(source, folder / f"{source.name}.mp4")
            done += 1
        except WanPrepError as exc:
            print(f"   {source.name}: {exc}", file=sys.stderr)
    return [at_least("3", f"kinds of one clip written, of {decodable}", done, decodable)]


# ------------------------------------------------------------------ 4: quality


def likeness(path: Path, reference: Path) -> tuple[float, float]:
    """Luma PSNR in dB and SSIM, frame by frame in order."""
    by_order = "settb=1/1000,setpts=N*40,split"
    graph = f"[0:v]{by_order}[a][b];[1:v]{by_order}[c][d];[a][c]psnr;[b][d]ssim"
    said = run_ffmpeg("-i", path, "-i", reference, "-lavfi", graph, "-f", "null", "-")
    psnr, ssim = re.search(r"PSNR y:(\S+)", said), re.search(r"SSIM Y:(\S+)", said)
    assert psnr is not None
    assert ssim is not None
    return float(psnr[1]), float(ssim[1])


def quality(folder: Path) -> list[Row]:
    rows = []
    coded, exact = folder / "coded.mp4", folder / "exact.mp4"
    for what, crop, scale in (("cropped", 0.9, 1.0), ("cropped and halved", 0.9, 0.5)):
        found = {}
        for name in pair_names():
            source = pair_video(name)
            shape = geometry(probe_video(source), crop, scale)
            written(source, coded, shape, end=Fraction(3, 2))
            with commands(lossless):
                info = probe_video(source)
                work_span = Span(name="exact.mp4", start=Fraction(0), end=Fraction(3, 2))
                work = VideoOperations(
                    source=str(source),
                    sha256=info.sha256,
                    spans=(work_span,),
                    geometry=shape,
                    fps=info.fps,
                )
                write_clip(work, shape, work_span, source, info, exact, on_share=lambda _: None)
            found[name] = likeness(coded, exact)
        worst = min(found, key=lambda name: found[name][0])
        lowest = min(ssim for _, ssim in found.values())
        rows += [
            at_least("4", f"luma PSNR, {what}, dB ({worst})", found[worst][0], PSNR_MIN_DB),
            at_least("4", f"luma SSIM, {what}", lowest, SSIM_MIN, pairs=found),
        ]
    return rows


# ------------------------------------------------------------------ 5: colours


def patches(path: Path, tags: str) -> Path:
    """Flat patches side by side in exactly their codes, coded without loss."""
    codes = np.array(PATCHES, np.uint8)
    planes = [
        np.repeat(codes[:, plane], side)[None].repeat(side * 2, axis=0)
        for plane, side in ((0, PATCH_PX), (1, PATCH_PX // 2), (2, PATCH_PX // 2))
    ]
    raw = path.with_suffix(".yuv")
    raw.write_bytes(b"".join(plane.tobytes() for plane in planes) * 12)
    size = f"{PATCH_PX * len(PATCHES)}x{PATCH_PX * 2}"
    run_ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", "25", "-i", raw),
        *("-vf", f"setparams={tags}" if tags else "null", "-c:v", "libx264", "-qp", "0", path),
    )
    return path


def worst_code(path: Path, shape: Geometry, full_range: bool) -> float:
    """Largest distance from the codes that the patches must have, over Y, Cb and Cr."""
    with av.open(str(path)) as container:
        frame = list(container.decode(video=0))[6]
        planes = [
            np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width].astype(int)
            for p in frame.planes
        ]
    worst = 0.0
    for index, (y, cb, cr) in enumerate(PATCHES):
        left = (PATCH_PX * index - shape.window.left) * shape.width / shape.window.width
        right = left + PATCH_PX * shape.width / shape.window.width
        if left < 0 or right > shape.width:
            continue
        expected = (y, cb, cr)
        if full_range:
            expected = (16 + y * 219 / 255, *(128 + (c - 128) * 224 / 255 for c in (cb, cr)))
        for plane, code, shrink in zip(planes, expected, (1, 2, 2), strict=True):
            margin = (right - left) / 4
            columns = slice(int((left + margin) / shrink), int((right - margin) / shrink))
            rows = slice(plane.shape[0] // 3, plane.shape[0] * 2 // 3)
            worst = max(worst, float(np.abs(plane[rows, columns] - code).max()))
    return worst


def colors(folder: Path) -> list[Row]:
    rows = []
    same = "colorspace={0}:color_primaries={0}:color_trc={0}"
    for name, tags, matrix in (
        ("BT.709", "range=tv:" + same.format("bt709"), "bt709"),
        ("BT.601", "range=tv:" + same.format("smpte170m"), "smpte170m"),
        ("untagged SD", "", "smpte170m"),
        ("full range", "range=pc:" + same.format("bt709"), "bt709"),
    ):
        source = patches(folder / "patches.mp4", tags)
        info = probe_video(source)
        worst, tagged = 0.0, True
        for shape in (geometry(info), geometry(info, 0.95), geometry(info, 1.0, 0.75)):
            target = folder / "patched.mp4"
            written(source, target, shape)
            worst = max(worst, worst_code(target, shape, name == "full range"))
            found = color_tags(target)
            tagged &= found.matrix == matrix and None not in (found.primaries, found.transfer)
        rows.append(at_most("5", f"flat patches, {name}, code values off", worst, 1))
        rows.append(at_least("5", f"files with every colour tag, {name}", float(tagged), 1))
    return rows


# ------------------------------------------------------------------ 6: speed


def speed(folder: Path) -> list[Row]:
    ratios = []
    for name in ("wan22_animate", "steadydancer_1", "wan22_replace"):
        source, target = pair_video(name), folder / "timed.mp4"
        with commands() as seen:
            took = written(source, target)
        began = time.monotonic()
        subprocess.run(seen[0], stdout=subprocess.DEVNULL, check=True)
        ratios.append(took / (time.monotonic() - began))
    return [
        Row("6", "writing and its facts / the bare command", float(np.median(ratios)), "", None)
    ]


ITEMS: dict[str, Callable[[Path], list[Row]]] = {
    "1": sync,
    "2": length,
    "3": kinds,
    "4": quality,
    "5": colors,
    "6": speed,
}
NEED_DATA = ("3", "4", "6")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="items, comma-separated")
    parser.add_argument("--json", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for item in arguments.only.split(",") if arguments.only else ITEMS:
        if item in NEED_DATA and not PAIRS.is_dir():
            print(f"{item}  left out: no measuring media at {DATA}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            new = ITEMS[item](Path(folder))
        for row in new:
            verdict = {True: "pass", False: "FAIL", None: ""}[row.passed]
            figures = f"{row.figure:9.3f}  {row.target:>10} {verdict}"
            print(f"{row.item}  {row.what:58} {figures}", flush=True)
        rows += new
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
