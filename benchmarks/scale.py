"""What a batch of a thousand pairs takes, and what it survives; figures as ratios within one run.

    python benchmarks/scale.py [--only PART …] [--rows 1000] [--files 250] [--runs 3] [--keep DIR]

Parts: cost, throughput, memory, engines, broken, resume, again. Each prints the commands it ran.

The media are made for it: clips of 0.6 s and pictures, 384 px high, cut out of the shared clips and
those in fixtures/ at different moments, places and brightness, so that no two files are alike and a
thousand rows do not take an hour. Longer and larger files take longer each; the ratios are those of
a table in which looking at files is what takes the time, as it does there. `--rows` name `--files`
pictures and as many clips, each several times, in pairs that are all different.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil
from _media import PAIRS, ROOT, run_ffmpeg

import wan_prep
from wan_prep import api
from wan_prep.evidence import Evidence
from wan_prep.pipelines.looking import bytes_of

BATCH = [sys.executable, "-m", "wan_prep", "batch"]
KILLING = [sys.executable, str(ROOT / "benchmarks" / "_killing.py"), "batch"]
HEIGHT = 384
CLIP_S = 0.6
BROKEN_SHARE = 0.05
KINDS_OF_BROKEN = ("garbage", "truncated", "empty", "missing", "kills")


@dataclass
class Ran:
    """A program that ended. peak_mb: of it and all its descendants together, shared pages once."""

    wall_s: float
    code: int
    peak_mb: float = 0.0
    descendants: set[int] = field(default_factory=set)


def run(command: list[str], *, cores: int | None = None, kill_at: tuple[Path, int] | None = None,
        watch: bool = False) -> Ran:  # fmt: skip
    """Run a command, on the first `cores` processors; kill -9 it once a file has so many lines."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    pinned = f"taskset -c {','.join(map(str, chosen))} " if cores else ""
    print(f"  $ {pinned}{shlex.join(command)}", flush=True)
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, chosen)) if cores else None,
    )  # fmt: skip
    done = Ran(0.0, 0)
    while process.poll() is None:
        if watch or kill_at:
            tree = [psutil.Process(process.pid), *descendants(process.pid)]
            done.descendants |= {p.pid for p in tree[1:]}
            done.peak_mb = max(done.peak_mb, sum(map(pss_mb, tree))) if watch else 0.0
        if kill_at and lines_in(kill_at[0]) >= kill_at[1]:
            process.kill()
        time.sleep(0.2 if watch or kill_at else 0.02)
    done.wall_s, done.code = time.perf_counter() - began, process.returncode
    assert process.stderr is not None
    if done.code not in (0, 1, -signal.SIGKILL):
        raise SystemExit(f"it ended with {done.code}: {process.stderr.read()}")
    return done


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def pss_mb(process: psutil.Process) -> float:
    """Its own pages, and its share of those that several processes have."""
    try:
        return process.memory_full_info().pss / 1e6
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0.0


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


# ---------------------------------------------------------------- media


def sources() -> list[Path]:
    shared = sorted(PAIRS.glob("*/video.mp4")) if PAIRS.is_dir() else []
    return [*shared, ROOT / "fixtures/driving.mp4", ROOT / "fixtures/astronaut/driving.mp4"]


def make_media(folder: Path, count: int) -> tuple[list[str], list[str]]:
    """`count` pictures and clips, made where they are missing; their names."""
    drawn = random.Random(13)
    clips, images = [], []
    found = sources()
    for k in range(count):
        source = found[k % len(found)]
        start_s = drawn.uniform(0.0, 1.5)
        share, across, down = drawn.uniform(0.8, 1.0), drawn.random(), drawn.random()
        look = (
            f"crop=iw*{share:.4f}:ih*{share:.4f}:(iw-ow)*{across:.4f}:(ih-oh)*{down:.4f},"
            f"scale=-2:{HEIGHT},eq=brightness={drawn.uniform(-0.05, 0.05):.4f},format=yuv420p"
        )
        clip, image = folder / f"clip-{k:04d}.mp4", folder / f"image-{k:04d}.png"
        if not clip.exists():
            run_ffmpeg("-ss", f"{start_s:.3f}", "-i", source, "-t", CLIP_S, "-an", "-vf", look,
                       "-preset", "ultrafast", "-crf", 18, clip)  # fmt: skip
        if not image.exists():
            run_ffmpeg(
                "-ss", f"{start_s / 2:.3f}", "-i", source, "-frames:v", 1, "-vf", look, image
            )
        clips.append(clip.name)
        images.append(image.name)
    return images, clips


def pairs_of(images: list[str], clips: list[str]) -> Iterator[tuple[str, str]]:
    """All pairs, each file as often as the others."""
    for shift in range(len(clips)):
        for k, image in enumerate(images):
            yield image, clips[(k + shift * 7) % len(clips)]


def write_manifest(path: Path, pairs: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "video"), *pairs])
    return path


def break_some(folder: Path, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """One pair in twenty gets a file that is broken in one of five ways."""
    some = list(pairs)
    for n, k in enumerate(range(7, len(pairs), round(1 / BROKEN_SHARE))):
        how = KINDS_OF_BROKEN[n % len(KINDS_OF_BROKEN)]
        broken = folder / f"{how}-{n:03d}.mp4"
        whole = (folder / pairs[k][1]).read_bytes()
        if how == "garbage":
            broken.write_bytes(random.Random(n).randbytes(20_000))
        elif how == "truncated":
            broken.write_bytes(whole[: len(whole) * (1 + n % 9) // 10])
        elif how == "empty":
            broken.write_bytes(b"")
        elif how == "kills":
            broken.write_bytes(whole)
        some[k] = pairs[k][0], broken.name
    return some


# ---------------------------------------------------------------- parts


class Bench:
    def __init__(self, folder: Path, rows: int, files: int, runs: int) -> None:
        self.folder, self.runs = folder, runs
        images, clips = make_media(folder, files)
        self.pairs = list(islice(pairs_of(images, clips), rows))
        if len(self.pairs) < rows:
            raise SystemExit(f"{files} files make {len(self.pairs)} pairs: give more --files")
        self.failed = False

    def manifest(self, count: int) -> Path:
        return write_manifest(self.folder / f"pairs-{count}.csv", self.pairs[:count])

    def out(self, name: str) -> Path:
        """A name for results, of which there are none."""
        path = self.folder / name
        for old in (path, path.with_name(f"{name}.part")):
            old.unlink(missing_ok=True)
        return path

    def say(self, what: str, figure: str, target: str = "", passed: bool | None = None) -> None:
        verdict = "" if passed is None else "pass" if passed else "FAIL"
        self.failed |= passed is False
        print(f"{what:58} {figure:>12} {target:>12} {verdict}", flush=True)

    def cost(self) -> None:
        """CPU time for one item, networks loaded, and what it leaves: what a day's work follows
        from. CPU time hardly depends on who else uses the machine."""
        short = self.folder / "clip-0000.mp4", self.folder / "image-0000.png"
        real = [pair for pair in sorted(PAIRS.glob("*")) if (pair / "video.mp4").exists()]
        items = [("clip of 0.6 s, 384 px", "video", [short[0]])]
        items += [("picture of 384 px", "image", [short[1]])]
        if real:
            clips = [pair / "video.mp4" for pair in real]
            items += [(f"clip, mean of the {len(real)} shared", "video", clips)]
            items += [("picture, mean of those", "image", [next(p.glob("image.*")) for p in real])]
        print("  in this process: wan_prep.observe, then wan_prep.check on the evidence")
        with api.looking.Estimating(None, None, needed=True) as network:
            seen: dict[str, Evidence] = {}
            wan_prep.observe(short[0], kind="video", estimator=network)  # loads what is loaded once
            for what, kind, paths in items:
                cpu_s, sizes = [], []
                for path in paths:
                    began = time.process_time()
                    seen[kind] = wan_prep.observe(path, kind=kind, estimator=network)
                    cpu_s.append(time.process_time() - began)
                    sizes.append(len(bytes_of(seen[kind])))
                self.say(f"CPU time, {what}", f"{statistics.mean(cpu_s):.2f} s")
                self.say("  its evidence", f"{statistics.mean(sizes) / 1e3:.0f} kB")
        began = time.process_time()
        for _ in range(20):
            wan_prep.check(seen["image"], seen["video"])
        self.say(
            "CPU time, a pair whose files are known", f"{(time.process_time() - began) / 20:.3f} s"
        )

    def throughput(self) -> None:
        """Rows a minute on two cores and on one, each file looked at anew."""
        count = min(len(self.pairs), 60)
        table = self.manifest(count)
        ratios, two_s = [], []
        for _ in range(self.runs):
            walls = [
                run([*BATCH, str(table), "-o", str(self.out(f"t{cores}.jsonl")), "--no-cache", "-q",
                     "--workers", str(cores)], cores=cores).wall_s
                for cores in (1, 2)
            ]  # fmt: skip
            ratios.append(walls[0] / walls[1])
            two_s.append(walls[1])
        ratio = statistics.median(ratios)
        self.say("pairs a minute, two cores", f"{60 * count / statistics.median(two_s):.0f}")
        self.say("throughput on two cores / on one", f"{ratio:.2f} x", ">= 1.7 x", ratio >= 1.7)

    def memory(self) -> None:
        """Of the program and its workers together."""
        for engine in ("local", "ray"):
            peaks = []
            for count in (10, len(self.pairs)):
                out = self.out(f"m-{engine}.jsonl")
                ran = run([*BATCH, str(self.manifest(count)), "-o", str(out), "--no-cache", "-q",
                           "--workers", "2", "--engine", engine], watch=True)  # fmt: skip
                peaks.append(ran.peak_mb)
                self.say(f"peak memory, {engine}, {count} rows", f"{ran.peak_mb:.0f} MB")
            ratio = peaks[1] / peaks[0]
            name = f"peak memory, {engine}, {len(self.pairs)} rows / 10 rows"
            self.say(name, f"{ratio:.2f} x", "<= 1.15 x", ratio <= 1.15)

    def engines(self) -> None:
        table = self.manifest(min(len(self.pairs), 100))
        found = []
        for engine in ("local", "ray"):
            out = self.out(f"e-{engine}.jsonl")
            run([*BATCH, str(table), "-o", str(out), "--no-cache", "-q", "--with-reports",
                 "--engine", engine, "--workers", "2"])  # fmt: skip
            found.append(out.read_bytes())
        self.say("results of local and Ray, reports included", "identical" if found[0] == found[1]
                 else "DIFFER", "identical", found[0] == found[1])  # fmt: skip

    def broken(self) -> None:
        pairs = break_some(self.folder, self.pairs)
        table = write_manifest(self.folder / "broken.csv", pairs)
        for engine in ("local", "ray"):
            out = self.out(f"b-{engine}.jsonl")
            run([*KILLING, str(table), "-o", str(out), "-q", "--workers", "2", "--engine", engine,
                 "--cache", str(self.folder / "cache-broken")])  # fmt: skip
            results = [json.loads(line) for line in out.open()]
            numbers = [result["row"] for result in results]
            passed = numbers == list(range(1, len(pairs) + 1))
            self.say(f"rows with 5 % broken, {engine}: results, in order", str(len(results)),
                     str(len(pairs)), passed)  # fmt: skip
            for how in KINDS_OF_BROKEN:
                ends = Counter(
                    result["error_kind"] or result["verdict"]
                    for result in results
                    if result["video"].startswith(how)
                )
                self.say(f"  {how}", ", ".join(f"{n} {kind}" for kind, n in ends.items()))

    def resume(self) -> None:
        count = min(len(self.pairs), 200)
        table, whole, cut = self.manifest(count), self.out("whole.jsonl"), self.out("cut.jsonl")
        how = ["--no-cache", "-q", "--workers", "2"]
        run([*BATCH, str(table), "-o", str(whole), *how])
        part = cut.with_name("cut.jsonl.part")
        killed = run([*BATCH, str(table), "-o", str(cut), *how], kill_at=(part, count // 2))
        before = lines_in(part)
        self.say("rows on disk when it was killed (-9)", f"{before} of {count}")
        time.sleep(3)
        left = sum(psutil.pid_exists(pid) for pid in killed.descendants)
        self.say("worker processes left behind 3 s later", str(left), "0", left == 0)
        run([*BATCH, str(table), "-o", str(cut), *how])
        same = whole.read_bytes() == cut.read_bytes()
        self.say("final file, killed and gone on with / never stopped",
                 "identical" if same else "DIFFERS", "identical", same)  # fmt: skip

    def again(self) -> None:
        table, cache = self.manifest(len(self.pairs)), self.folder / "cache-again"
        shutil.rmtree(cache, ignore_errors=True)
        out, other = self.out("first.jsonl"), self.out("second.jsonl")
        how = ["-q", "--workers", "2", "--cache", str(cache)]
        first = run([*BATCH, str(table), "-o", str(out), *how]).wall_s
        same = run([*BATCH, str(table), "-o", str(out), *how]).wall_s
        warm = run([*BATCH, str(table), "-o", str(other), *how]).wall_s
        self.say("first run", f"{first:.1f} s")
        self.say("second run, the same file of results", f"{same:.1f} s")
        self.say("second run, a new file of results, all files known", f"{warm:.1f} s")
        self.say("first / second, the same file of results", f"{first / same:.0f} x", ">= 50 x",
                 first / same >= 50)  # fmt: skip
        self.say("first / second, a new file of results", f"{first / warm:.1f} x")


PARTS = ("cost", "throughput", "memory", "engines", "broken", "resume", "again")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--files", type=int, default=250)
    parser.add_argument("--runs", type=int, default=3, help="of throughput")
    parser.add_argument("--keep", type=Path, help="a folder for the media, kept for the next time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        bench = Bench(folder, asked.rows, asked.files, asked.runs)
        print(f"{asked.files} pictures and clips in {time.perf_counter() - began:.0f} s")
        for part in asked.only:
            print(f"\n{part}")
            getattr(bench, part)()
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
