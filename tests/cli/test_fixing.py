"""plan and fix on the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from wan_prep.cli import run

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE, VIDEO = str(FIXTURES / "reference.png"), str(FIXTURES / "driving.mp4")
Capture = pytest.CaptureFixture[str]

pytestmark = [pytest.mark.model, pytest.mark.media]


def test_plan_says_what_and_why_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["plan", IMAGE, VIDEO]) == 0
    shown = capsys.readouterr().out
    assert "of 100 foreseen" in shown
    assert "write the clip as MP4" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_plan_as_json_is_one_document(capsys: Capture) -> None:
    assert run(["plan", IMAGE, VIDEO, "--format", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["image"]["geometry"]["width"] == plan["output"]["width"] == 624
    assert plan["video"]["spans"][0]["name"] == "driving.mp4"
    assert "before" not in plan


def test_fix_leaves_the_inputs_alone_and_prints_before_and_after(
    tmp_path: Path, capsys: Capture
) -> None:
    inputs = {p: hashlib.sha256(Path(p).read_bytes()).hexdigest() for p in (IMAGE, VIDEO)}
    out = tmp_path / "out"
    assert run(["fix", IMAGE, VIDEO, "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "risky → ready" in shown
    assert "driving.mp4" in shown
    assert {p: hashlib.sha256(Path(p).read_bytes()).hexdigest() for p in inputs} == inputs
    assert run(["fix", IMAGE, VIDEO, "-o", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(["fix", "--plan", str(out / "plan.json"), "-o", str(out), "--overwrite", "-q"]) == 0
    assert capsys.readouterr().out.startswith("ready ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fix", IMAGE, VIDEO], "-o DIR"),
        (["fix", IMAGE, "-o", "x"], "IMAGE and VIDEO"),
        (["fix", IMAGE, VIDEO, "-o", "x", "--plan", "p.json"], "--plan FILE alone"),
        (["fix", "--plan", "missing.json", "-o", "x"], "missing.json"),
        (["plan", IMAGE, VIDEO, "--max-cost", "cheap"], "US dollars"),
        (["plan", IMAGE, VIDEO, "--pad-color", "red"], "#rrggbb"),
        (["plan", IMAGE, VIDEO, "--start", "2", "--end", "1"], "start < end"),
        (["plan", "missing.png", VIDEO], "missing.png"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    said: str,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["plan", "fix"])
def test_what_cannot_be_read_is_a_finding(command: str, tmp_path: Path, capsys: Capture) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    out = [] if command == "plan" else ["-o", str(tmp_path / "out")]
    assert run([command, IMAGE, str(empty), *out]) == 1
    assert "WP102" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
