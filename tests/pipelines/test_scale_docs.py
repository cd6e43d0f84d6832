"""The examples of docs/scale.md for other engines, as far as they are installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/scale.md").read_text("utf-8"), re.DOTALL
)


def test_every_example_is_python() -> None:
    assert len(EXAMPLES) == 4
    for example in EXAMPLES:
        compile(example, "docs/scale.md", "exec")


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
@pytest.mark.parametrize(("engine", "written"), [("daft", "checked"), ("ray", "results")])
def test_an_example_runs(engine: str, written: str, tmp_path: Path, brief_clip: Path) -> None:
    # Daft wants an older pyarrow than the tested set has: it comes with no extra of ours.
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    shutil.copy(ROOT / "fixtures/reference.png", tmp_path)
    shutil.copy(brief_clip, tmp_path / "driving.mp4")
    (tmp_path / "pairs.csv").write_text(
        "image,video\nreference.png,driving.mp4\nreference.png,missing.mp4\n"
    )
    (example,) = [text for text in EXAMPLES if f"import {engine}\n" in text]
    (tmp_path / "example.py").write_text(example.replace("size=7", "size=1"))
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert any((tmp_path / written).iterdir())
    if engine == "daft":
        lines = "".join(path.read_text() for path in sorted((tmp_path / written).iterdir()))
        found = [json.loads(line)["check"] for line in lines.splitlines()]
        assert sorted(str(row["verdict"]) for row in found) == ["None", "risky"]
