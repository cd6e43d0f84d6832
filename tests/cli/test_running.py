"""Running a command: exit codes, one line a mistake, a reader that has left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from wan_prep import api
from wan_prep.cli import run
from wan_prep.report.model import Report

FIXTURES = Path(__file__).parents[2] / "fixtures"
PAIR = [str(FIXTURES / "reference.png"), str(FIXTURES / "driving.mp4")]

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


# ---- exit codes


@pytest.mark.parametrize(
    ("verdict", "options", "code"),
    [
        ("ready", [], 0),
        ("risky", [], 0),
        ("not_ready", [], 1),
        ("ready", ["--strict"], 0),
        ("risky", ["--strict"], 1),
        ("not_ready", ["--strict"], 1),
        ("not_ready", ["--no-strict"], 1),
    ],
)
def test_the_verdict_decides_the_code(
    verdict: str, options: list[str], code: int, answer: Any, capsys: Capture, report: Any
) -> None:
    answer(report(verdict))
    assert run(["check", "a", "b"]) == (verdict == "not_ready")
    plain = capsys.readouterr().out
    assert run(["check", "a", "b", *options]) == code
    assert capsys.readouterr() == (plain, ""), "--strict changes only the exit code"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "only-one"],
        ["check", "a", "b", "c"],
        ["check", "a", "b", "--nonsense"],
        ["check", "a", "b", "--mode", "dance"],
        ["check", "a", "b", "--resolution", "1080p"],
        ["check", "a", "b", "--format", "xml"],
        ["check", "a", "b", "--start", "soon"],
        ["nonsense"],
        ["explain"],
        ["explain", "WP999"],
        ["explain", "\x1b[31m\nWP"],
        ["check", "missing.png", "missing.mp4"],
        ["check", "", PAIR[1]],
        ["check", PAIR[0], "."],
        ["check", PAIR[0], "/dev/null"],
        ["check", PAIR[0], "no\nwhere\x1b]0;x\x07.mp4"],
        ["check", PAIR[0], "no[red]where[/red].mp4"],
        ["check", PAIR[0], "no\udcffwhere.mp4"],
        ["check", PAIR[0], "x" * 5000],
        ["check", *PAIR, "--start", "nan"],
        ["check", *PAIR, "--start", "inf"],
        ["check", *PAIR, "--start", "1e400"],
        ["check", *PAIR, "--start=-1"],
        ["check", *PAIR, "--start", "99"],
        ["check", *PAIR, "--end", "0"],
        ["check", *PAIR, "--end", "nan"],
        ["check", *PAIR, "--start", "2", "--end", "1"],
        ["check", *PAIR, "--select", "WP9"],
        ["check", *PAIR, "--ignore", "P"],
        ["check", *PAIR, "--profile", "missing.toml"],
        ["check", *PAIR, "--profile", "."],
        ["check", *PAIR, "--profile", ""],
        ["check", *PAIR, "--pose-model", "missing.task"],
        ["check", *PAIR, "--pose-model", PAIR[0]],
        ["check", *PAIR, "--pose-model", ""],
        ["inspect", "missing.png"],
        ["inspect", PAIR[0], "--at", "0"],
        ["inspect", PAIR[1], "--at", ""],
        ["inspect", PAIR[1], "--at", "0,,1"],
        ["inspect", PAIR[1], "--at", "nan"],
        ["inspect", PAIR[1], "--at=-1"],
        ["inspect", PAIR[1], "--at", "1", "--start", "0.5"],
        ["inspect", PAIR[1], "--at", "1", "--end", "2"],
        ["inspect", PAIR[1], "--at", "0,99"],
        ["inspect", PAIR[1], "--at", "1e12"],
        ["inspect", PAIR[1], "--select", "WP9"],
        ["plan", *PAIR, "--fps", "0.0004"],
        ["plan", *PAIR, "--fps", "nan"],
        ["plan", *PAIR, "--fps", "1e12"],
        ["plan", *PAIR, "--max-seconds", "nan"],
        ["plan", *PAIR, "--max-cost", "nan"],
        ["plan", *PAIR, "--start", "inf"],
        ["submit", *PAIR, "--dry-run", "--count", "1000000000000"],
        ["submit", *PAIR, "--dry-run", "--duration", "nan"],
    ],
    ids=lambda arguments: " ".join(arguments)[-40:].encode("unicode_escape").decode() or "empty",
)  # fmt: skip
def test_a_mistake_is_one_line_and_code_2(arguments: list[str], one_line: Any) -> None:
    assert run(arguments) == 2
    one_line()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "/tmp/x"), 2, "/tmp/x: No space left on device"),
        (
            RuntimeError("two\nlines"),
            2,
            "internal error, please report it: RuntimeError: two l",
        ),
    ],
)
def test_what_goes_wrong_inside_is_one_line(
    error: BaseException, code: int, said: str, monkeypatch: Patch, capsys: Capture
) -> None:
    def fail(*_: object, **__: object) -> Report:
        raise error

    monkeypatch.setattr(api, "check", fail)
    assert run(["check", "a", "b"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"wan-prep: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--format", "json"], ["-q"]])
def test_a_reader_that_has_left_changes_nothing(
    options: list[str], answer: Any, monkeypatch: Patch, capfd: Capture, report: Any
) -> None:
    answer(report("not_ready"))
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as left:
        monkeypatch.setattr("sys.stdout", left)
        assert run(["check", "a", "b", *options]) == 1
    assert capfd.readouterr().err == ""
