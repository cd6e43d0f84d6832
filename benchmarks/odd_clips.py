"""Clips of odd time and streams, as `fix` writes them, against FFmpeg's own plain decode.

    python benchmarks/odd_clips.py [--only NAME,…]

Every recipe makes a clip of 3.5 s at 30 frames a second with a beep at 0.5, 1.5 and 2.5 s. A row
says how many frames were expected and written, the luma PSNR between what was written and the plain
decode, how far the beeps are from where they belong, and which findings the file gets.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from fix_media import beeps_s, run, written

from wan_prep.analyzers import media
from wan_prep.evidence import Evidence
from wan_prep.findings import Judged, PairContext
from wan_prep.media.cuts import mark_cuts
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video
from wan_prep.media.stillness import FreezeDetector
from wan_prep.observing import still_limits
from wan_prep.profile import default_profile

PICTURE = "testsrc2=s=320x240:r=30:d=3.5"
BEEP = "aevalsrc='if(gte(t,0.5)*lt(mod(t-0.5,1),0.05),0.8*sin(2*PI*1000*t),0)':s=48000:d=3.5"
BEEPS_S = np.array([0.5, 1.5, 2.5])
X264 = ("-c:v", "libx264", "-crf", "12", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "30")
PSNR_MIN_DB = 40.0
BEEP_MAX_S = 0.04  # of Xvid's and MP3's own delay 23 ms are the encoder's


def made(path: Path, *options: object) -> Path:
    run("-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", BEEP, *options, path)
    return path


def base(folder: Path) -> Path:
    path = folder / "base.mp4"
    return path if path.exists() else made(path, *X264, "-c:a", "aac")


def earlier(seconds: str, suffix: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        shift = f"setts=pts=PTS-{seconds}/TB:dts=DTS-{seconds}/TB"
        path = folder / f"earlier.{suffix}"
        moved = ("-c", "copy", "-bsf:v", shift, "-bsf:a", shift)
        run("-i", base(folder), *moved, "-avoid_negative_ts", "disabled", path)
        return path

    return build


def coded(name: str, *options: object) -> Callable[[Path], Path]:
    return lambda folder: made(folder / name, *options)


def remade(name: str, *options: object) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        run("-i", base(folder), *options, folder / name)
        return folder / name

    return build


def second_is_default(folder: Path) -> Path:
    path = folder / "several.mkv"
    run(
        *("-f", "lavfi", "-i", "mandelbrot=s=160x120:r=30", "-i", base(folder), "-map", "0:v"),
        *("-map", "1", "-t", "3.5", "-c:v:0", "libx264", "-c:v:1", "copy", "-c:a", "copy"),
        *("-disposition:v:0", "0", "-disposition:v:1", "default", path),
    )
    return path


def unknown_sound(tracks: int) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        both = folder / "sounds.mp4"
        run("-i", base(folder), *("-map", "0:v", "-map", "0:a", "-map", "0:a"), "-c", "copy", both)
        content = both.read_bytes()
        for _ in range(tracks):
            at = content.index(b"mp4a")
            setup = content.index(b"esds", at)
            head = content[:at] + b"apac" + content[at + 4 : setup]
            content = head + b"xxxx" + content[setup + 4 :]
        path = folder / "unknown.mp4"
        path.write_bytes(content)
        return path

    return build


def held(folder: Path) -> Path:
    even, path = folder / "even.mp4", folder / "held.mp4"
    made(even, "-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p", "-an")
    last = r"setts=duration=if(eq(N\,104)\,30/TB\,DURATION)"
    run("-i", even, "-c", "copy", "-bsf:v", last, path)
    return path


def one_picture(folder: Path) -> Path:
    looped = ("-vf", "loop=loop=-1:size=1,trim=end_frame=105")
    return made(folder / "still.mp4", *looped, *X264, "-c:a", "aac")


@dataclass(frozen=True)
class Recipe:
    build: Callable[[Path], Path]
    frames: int = 105
    source: str = "base"
    """What the pictures are compared with: a plain decode of the base clip, or of the file."""
    beeps: int = 3
    early_s: float = 0.0
    """How much earlier than in the base clip the beeps are against the pictures."""


RECIPES = {
    "plain": Recipe(base),
    **{f"Matroska, {s} s before zero": Recipe(earlier(s, "mkv")) for s in ("0.3", "1", "2", "5")},
    "ASF, 1 s before zero": Recipe(earlier("1", "asf")),
    "packed Xvid in AVI": Recipe(
        coded("packed.avi", "-c:v", "libxvid", "-bf", "2", "-q:v", "1", "-c:a", "mp3"),
        103,
        source="file",
        early_s=0.1,
    ),
    "MPEG-4 with B-frames in AVI": Recipe(
        coded("mpeg4.avi", "-c:v", "mpeg4", "-bf", "2", "-q:v", "1", "-c:a", "mp3"),
        source="file",
        early_s=1 / 30,
    ),
    "bare H.264": Recipe(remade("bare.h264", "-c", "copy", "-an"), beeps=0),
    "bare AV1, no rate stated": Recipe(
        coded("bare.obu", "-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "10", "-an", "-f", "obu"),
        source="file",
        beeps=0,
    ),
    "two streams, the second default": Recipe(second_is_default),
    "ambisonic Opus": Recipe(
        remade(
            *("field.mkv", "-c:v", "copy", "-af", "aformat=channel_layouts=quad"),
            *("-c:a", "libopus", "-mapping_family", "2"),
        )
    ),
    "first sound of an unknown codec": Recipe(unknown_sound(1)),
    "no sound of a known codec": Recipe(unknown_sound(2), beeps=0),
    "last frame held for 30 s": Recipe(held, 1004, source="file", beeps=0),
    "one picture for 5 s": Recipe(one_picture, 105, source="file"),
}


def likeness(path: Path, reference: Path, rate: Fraction) -> float:
    """Luma PSNR in dB between the frames of a file and a plain decode at the same constant rate."""
    fps = f"fps={rate.numerator}/{rate.denominator},setpts=N"
    graph = f"[0:v]{fps}[a];[1:v:0]{fps}[b];[a][b]psnr=shortest=1"
    if reference.suffix == ".mkv" and "several" in reference.name:
        graph = graph.replace("[1:v:0]", "[1:v:1]")
    said = run("-i", path, "-i", reference, "-lavfi", graph, "-f", "null", "-")
    found = re.search(r"PSNR y:(\S+)", said)
    assert found is not None
    return min(99.0, float(found[1]))


def findings(path: Path) -> str:
    """Codes of what is said of the file's streams and time, and its still stretches."""
    info = probe_video(path)
    evidence = Evidence(kind="video", path=str(path), info=info)
    nothing = Evidence(kind="image", path="")
    context = PairContext(nothing, evidence, "animate", "480p", default_profile())
    asked = [rule for rule in media.RULES if rule.code in ("WP131", "WP132", "WP133")]
    answers = {rule.code: rule.check(context) for rule in asked}
    codes = [code for code, a in answers.items() if isinstance(a, Judged) and a.score < 0.95]
    meter = FreezeDetector(still_limits(default_profile()))
    for _ in mark_cuts(decode(path, info), on_glance=meter.add):
        pass
    still = [f"still {float(a):.2f}-{float(b):.2f} s" for a, b in meter.spans(info.duration)]
    return ", ".join([*codes, *still])


def row(name: str, recipe: Recipe, folder: Path) -> bool:
    source, target = recipe.build(folder), folder / "written.mp4"
    written(source, target)
    info = probe_video(target)
    reference = source if recipe.source == "file" else base(folder)
    psnr = likeness(target, reference, info.fps)
    beeps = beeps_s(target) if info.has_audio else np.array([])
    off = float("inf")
    if len(beeps) == recipe.beeps:
        off = float(np.abs(beeps - BEEPS_S[: len(beeps)] + recipe.early_s).max(initial=0.0))
    passed = info.frame_count == recipe.frames and psnr >= PSNR_MIN_DB and off <= BEEP_MAX_S
    print(
        f"{name:34} {recipe.frames:5} {info.frame_count:5} {psnr:6.1f} dB {1000 * off:6.0f} ms "
        f"{'pass' if passed else 'FAIL'}  {findings(source)}",
        flush=True,
    )
    return passed


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="names, comma-separated, or their beginnings")
    arguments = parser.parse_args()
    wanted = tuple(arguments.only.split(",")) if arguments.only else ("",)
    print(f"{'clip':34} {'due':>5} {'got':>5} {'pictures':>9} {'beeps':>9}       findings")
    passed = []
    for name, recipe in RECIPES.items():
        if name.startswith(wanted):
            with tempfile.TemporaryDirectory() as folder:
                passed.append(row(name, recipe, Path(folder)))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
