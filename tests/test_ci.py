"""What pipelines of others are given: the hook of pre-commit and the workflow."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from wan_prep.cli import run

ROOT = Path(__file__).parents[1]


def workflow_command() -> list[str]:
    """What the workflow runs to check the pairs."""
    text = (ROOT / "docs" / "check-pairs.yml").read_text("utf-8")
    (line,) = re.findall(r"^        run: wan-prep (.+)$", text, flags=re.MULTILINE)
    return shlex.split(line)


def test_the_hooks_run_commands_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    entries = re.findall(r"^  entry: wan-prep (.+)$", hooks, flags=re.MULTILINE)
    assert entries == ["check", "batch"]
    for entry in entries:
        assert run([entry, "--help"]) == 0
    assert capsys.readouterr().out
    assert hooks.count("  pass_filenames: false\n") == 2, "what git has staged is no pair"


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
def test_the_workflow_checks_every_pair_and_fails_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("reference.png", "driving.mp4"):
        shutil.copy(ROOT / "fixtures" / name, name)
    table = Path("pairs.csv")
    table.write_text("image,video,id\nreference.png,driving.mp4,hero\nnone.png,driving.mp4,gone\n")
    assert run(workflow_command()) == 1
    first, risky, lost = capsys.readouterr().out.splitlines()
    assert first == "::error file=results.jsonl,title=2 pairs::1 risky, 1 failed"
    assert risky == (
        "::warning file=reference.png,title=hero%3A risky%2C 79.8 of 100"
        "::WP201 aspect-mismatch (reference.png driven by driving.mp4)"
    )
    assert lost.startswith("::error file=none.png,title=gone%3A failed::expected a file, found")
    table.write_text("image,video,id\nreference.png,driving.mp4,hero\n")
    Path("results.jsonl").unlink()
    assert run(workflow_command()) == 0
