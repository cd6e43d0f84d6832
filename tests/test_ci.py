"""What pipelines of others are given: the hook of pre-commit and the workflow."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from wan_prep.cli import run

ROOT = Path(__file__).parents[1]


def workflow_script() -> str:
    """The lines that the last step of the workflow gives to bash."""
    text = (ROOT / "docs" / "check-pairs.yml").read_text("utf-8")
    return textwrap.dedent(text.rpartition("run: |\n")[2])


def test_the_hook_runs_a_command_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    entry = re.findall(r"^  entry: wan-prep (.+)$", hook, flags=re.MULTILINE)
    assert entry == ["check"]
    assert run([*entry, "--help"]) == 0
    assert "{IMAGE} {VIDEO}" in capsys.readouterr().out
    assert "  pass_filenames: false\n" in hook, "the names that git has staged are no pair"


@pytest.mark.skipif(shutil.which("bash") is None, reason="the workflow is written for bash")
@pytest.mark.parametrize(
    ("pairs", "asked", "code"),
    [
        (
            "a.png,b.mp4\nbad one.png,d.mp4\n-e.png,f.mp4",
            ["a.png b.mp4", "bad one.png d.mp4", "-e.png f.mp4"],
            1,
        ),
        ("a.png,b.mp4\n", ["a.png b.mp4"], 0),
    ],
)
def test_the_workflow_checks_every_pair_and_fails_for_one(
    tmp_path: Path, pairs: str, asked: list[str], code: int
) -> None:
    """With a `wan-prep` that writes down its last two words, and dislikes what is called bad."""
    own = tmp_path / "bin" / "wan-prep"
    own.parent.mkdir()
    own.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "assert sys.argv[1:7] == "
        "['check', '--format', 'github', '--cache', '.wan-prep', '--'], sys.argv\n"
        "print(*sys.argv[7:])\nsys.exit('bad' in sys.argv[7])\n",
        "utf-8",
    )
    own.chmod(0o755)
    (tmp_path / "pairs.csv").write_text(pairs, "utf-8")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", workflow_script()],
        cwd=tmp_path,
        env={"PATH": f"{own.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines(), done.returncode, done.stderr) == (asked, code, "")
