"""Speed and memory of `wan-prep check`, as ratios within one run.

    python benchmarks/speed.py [--image FILE --video FILE] [--runs N] [--json FILE]

Without arguments the pair of ../shared/data is taken where it exists, else the one in fixtures/.
From the video a 120 s 1080p30 H.264 clip (GOP 250) and one of 30 s are built by looping, and each
check is timed in turn with a full `ffmpeg -i clip -f null -` decode of the same file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import imageio_ffmpeg

ROOT = Path(__file__).resolve().parent.parent
SHARED_PAIR = ROOT.parent / "shared/data/pairs/wan22_animate"


@dataclass(frozen=True)
class Run:
    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Row:
    what: str
    figure: float
    unit: str
    target: float | None

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "pass" if self.figure <= self.target else "FAIL"


def timed(command: list[str]) -> Run:
    """Wall time, CPU time and peak memory of a whole process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    # Linux counts ru_maxrss in kB, macOS in bytes.
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def looped(video: Path, seconds: int, target: Path) -> Path:
    """A clip of the given length at 1080p30 with a key frame every 250 frames."""
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1"),
            *("-i", str(video), "-t", str(seconds), "-an"),
            *(
                "-vf",
                "fps=30,scale=1920:1080:force_original_aspect_ratio=decrease,"
                "pad=1920:1080:-1:-1:gray",
            ),
            *("-c:v", "libx264", "-g", "250", "-preset", "veryfast", "-pix_fmt", "yuv420p"),
            *("-y", str(target)),
        ],
        check=True,
    )
    return target


def median(runs: list[Run], name: str) -> float:
    return statistics.median(getattr(run, name) for run in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    fixtures = ROOT / "fixtures"
    shared = SHARED_PAIR.is_dir()
    parser.add_argument(
        "--image",
        type=Path,
        default=SHARED_PAIR / "image.jpeg" if shared else fixtures / "reference.png",
    )
    parser.add_argument(
        "--video",
        type=Path,
        default=SHARED_PAIR / "video.mp4" if shared else fixtures / "driving.mp4",
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    check = [sys.executable, "-m", "wan_prep", "check", "-q"]
    anew = [*check, "--no-cache"]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        long_clip = looped(arguments.video, 120, Path(folder) / "long.mp4")
        middle_clip = looped(arguments.video, 30, Path(folder) / "middle.mp4")
        image = str(arguments.image)
        timed([*anew, image, str(arguments.video)])  # warm the file cache
        short = [timed([*anew, image, str(arguments.video)]) for _ in range(arguments.runs)]
        known = [*check, image, str(arguments.video), "--cache", str(Path(folder) / "kept")]
        timed(known)
        again = [timed(known) for _ in range(arguments.runs)]
        pairs = [
            (
                timed([*anew, image, str(long_clip)]),
                timed([ffmpeg, "-v", "error", "-i", str(long_clip), "-f", "null", "-"]),
            )
            for _ in range(arguments.runs)
        ]
        middle = timed([*anew, image, str(middle_clip)])
        checks = [check_run for check_run, _ in pairs]
        ratios = [check_run.wall_s / decode.wall_s for check_run, decode in pairs]
        rows += [
            Row("check of the short pair", median(short, "wall_s"), "s", 3.5),
            Row("check of it again, known", median(again, "wall_s"), "s", 1.0),
            Row("check of 120 s 1080p30 / full decode", statistics.median(ratios), "x", 1.2),
            Row("check of 120 s, wall", median(checks, "wall_s"), "s", None),
            Row("check of 120 s, CPU", median(checks, "cpu_s"), "s", None),
            Row("full decode, wall", median([d for _, d in pairs], "wall_s"), "s", None),
            Row("full decode, CPU", median([d for _, d in pairs], "cpu_s"), "s", None),
            Row("peak memory, 120 s", median(checks, "peak_mb"), "MB", 600.0),
            Row("peak memory, 120 s / 30 s", median(checks, "peak_mb") / middle.peak_mb, "x", 1.1),
        ]
    import_wan = [timed([sys.executable, "-c", "import wan_prep"]) for _ in range(5)]
    bare = [timed([sys.executable, "-c", "pass"]) for _ in range(5)]
    helps = [timed([sys.executable, "-m", "wan_prep", "--help"]) for _ in range(5)]
    rows += [
        Row("import wan_prep", median(import_wan, "wall_s") - median(bare, "wall_s"), "s", 0.15),
        Row("wan-prep --help", median(helps, "wall_s"), "s", 0.4),
    ]
    print(f"{'what':42} {'figure':>9} {'target':>9}")
    for row in rows:
        target = "" if row.target is None else f"{row.target:g} {row.unit}"
        print(f"{row.what:42} {row.figure:7.2f} {row.unit:2} {target:>9} {row.verdict}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 1 if any(row.verdict == "FAIL" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
