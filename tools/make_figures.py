"""Make docs/report.png: the page of the pair in fixtures/, as a browser shows it; and the picture
beside the example of the ComfyUI nodes: the overlay that Check Pair gives of this pair.

    python tools/make_figures.py

Needs Chromium (Debian and Ubuntu: apt-get install chromium) besides wan-prep.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import wan_prep
from wan_prep.visual.html import render_html
from wan_prep.visual.pictures import pair_pictures

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "report.png"
EXAMPLE = ROOT / "comfyui" / "example_workflows" / "check_and_fix_pair.jpg"
EXAMPLE_DPI = 80
WINDOW_WH = (1200, 1320)
BYTES_MOST = 300_000


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print(
            "no chromium on PATH; on Debian and Ubuntu: apt-get install chromium", file=sys.stderr
        )
        return 2
    os.chdir(ROOT / "fixtures")  # so that the page names no folder
    report = wan_prep.check("reference.png", "driving.mp4")
    wan_prep.figures.overlay(report).savefig(EXAMPLE, dpi=EXAMPLE_DPI)
    print(f"{EXAMPLE.relative_to(ROOT)}: {EXAMPLE.stat().st_size} bytes")
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder, "report.html"), Path(folder, "report.png")
        page.write_text(render_html(report, pair_pictures(report)), encoding="utf-8")
        subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={folder}/profile", f"--screenshot={shot}",
             f"--window-size={WINDOW_WH[0]},{WINDOW_WH[1]}", page.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
        picture = Image.open(shot).convert("RGB")
    picture.quantize(256, Image.Quantize.FASTOCTREE).save(TARGET, optimize=True)
    size = TARGET.stat().st_size
    print(f"{TARGET.relative_to(ROOT)}: {picture.width} x {picture.height}, {size} bytes")
    return 0 if size <= BYTES_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
