"""The command line in process: exit codes, one line a mistake, one document, settings, words."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wan_prep import api
from wan_prep.analyzers import RULES
from wan_prep.cli import run
from wan_prep.evidence import Evidence
from wan_prep.findings import Finding
from wan_prep.profile import default_profile
from wan_prep.report.model import Report

FIXTURES = Path(__file__).parents[1] / "fixtures"
PAIR = [str(FIXTURES / "reference.png"), str(FIXTURES / "driving.mp4")]

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

FINDING = {
    "code": "WP201",
    "name": "aspect-mismatch",
    "severity": "warning",
    "status": "fail",
    "subject": "pair",
    "message": "the image is 1.000:1 wide and the video 0.800:1",
    "measured": 1.25,
    "limit": 1.01,
    "unit": "ratio",
    "source": "seed",
    "span_s": None,
    "fix": {"applicability": "safe", "title": "crop and pad both to one ratio"},
}


def report(verdict: str = "risky", *findings: dict[str, Any], **changes: Any) -> Report:
    """A literal report: what is tested here is the command, not the judgement."""
    facts: dict[str, Any] = {
        "tool": {"name": "wan-prep", "version": "0.0"},
        "profile": {"name": "wan22_animate", "version": "1", "sha256": "a" * 64},
        "pose_model": {"name": "fake", "sha256": "b" * 64},
        "mode": "animate",
        "resolution": "480p",
        "verdict": verdict,
        "score": 93.65,
        "score_at_best_start": 95.0,
        "scores": dict.fromkeys(("media", "aspect", "framing", "pose", "subject", "clip"), 0.5),
        "image": {"path": "hero.png"},
        "video": {"path": "dance.mp4"},
        "subject": {"image": {"found": True}, "video": {"found": True, "presence": 1.0}},
        "measures": {"first": {}, "typical": {}, "best": {}},
        "best_start_s": 2.4,
        "cuts_s": (),
        "output": None,
        "findings": [Finding.model_validate(f) for f in findings or (FINDING,)],
        "passed": ("WP101", "WP102"),
        "not_applicable": (),
        "deselected": ("WP601",),
        "cost": {"seconds": 5.0, "usd_low": 0.2, "usd_high": 0.2},
    }
    return Report.model_validate(facts | changes)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: Patch) -> None:
    """A folder without settings, and no terminal."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "WAN_PREP_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def answer(monkeypatch: Patch) -> Callable[[Report], dict[str, Any]]:
    """Let `check` answer with a report; returns what it was asked."""

    def install(given: Report) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def check(image: object, video: object, **options: Any) -> Report:
            asked.update(options, image=image, video=video)
            return given

        monkeypatch.setattr(api, "check", check)
        return asked

    return install


def one_line(capsys: Capture) -> str:
    """stderr, which must be one line, with nothing on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("wan-prep: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "internal error" not in err
    assert err[:-1].isprintable()
    return err


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
    verdict: str, options: list[str], code: int, answer: Any, capsys: Capture
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
        ["inspect", PAIR[1], "--select", "WP9"],
    ],
    ids=lambda arguments: " ".join(arguments)[-40:].encode("unicode_escape").decode() or "empty",
)  # fmt: skip
def test_a_mistake_is_one_line_and_code_2(arguments: list[str], capsys: Capture) -> None:
    assert run(arguments) == 2
    one_line(capsys)


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
    options: list[str], answer: Any, monkeypatch: Patch, capfd: Capture
) -> None:
    answer(report("not_ready"))
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as left:
        monkeypatch.setattr("sys.stdout", left)
        assert run(["check", "a", "b", *options]) == 1
    assert capfd.readouterr().err == ""


# ---- what is asked of the library


def test_options_reach_the_library(answer: Any) -> None:
    asked = answer(report())
    options = (
        "--mode replace --resolution 720p --start 0.5 --end 2 --select WP3,WP401 --ignore WP302"
    )
    assert run(["check", "-q", *options.split(), "--pose-model", "m.task", "--", "-a", "b c"]) == 0
    assert asked.pop("progress")
    assert asked == {
        "image": "-a", "video": "b c", "mode": "replace", "resolution": "720p", "start": 0.5,
        "end": 2.0, "select": ("WP3", "WP401"), "ignore": ("WP302",), "pose_model": "m.task",
        "profile": default_profile(),
    }  # fmt: skip


def test_defaults_are_those_of_the_contract(answer: Any) -> None:
    asked = answer(report())
    run(["check", "-q", "a", "b"])
    assert (asked["mode"], asked["resolution"], asked["start"]) == ("animate", "480p", 0)
    assert (asked["end"], asked["select"], asked["ignore"]) == (None, (), ())


def test_a_profile_of_ones_own(answer: Any, tmp_path: Path, capsys: Capture) -> None:
    asked = answer(report())
    own = tmp_path / "own.toml"
    own.write_text("[tolerances.zoom]\nfine = 1.5\n", "utf-8")
    assert run(["check", "a", "b", "--profile", str(own)]) == 0
    assert asked["profile"].tolerances["zoom"].fine == 1.5
    assert asked["profile"].name == "own"
    capsys.readouterr()
    for text in (
        "[tolerances.zoom]\nfine = nan",
        "nonsense = 1",
        "fine =",
        "[tolerances]\nzoom = 3",
    ):
        own.write_text(text, "utf-8")
        assert run(["check", "a", "b", "--profile", str(own)]) == 2
        assert "own.toml" in one_line(capsys)


# ---- settings


def test_settings_of_a_file_and_their_precedence(answer: Any, tmp_path: Path) -> None:
    asked = answer(report("risky"))
    pyproject, own = tmp_path / "pyproject.toml", tmp_path / "wan-prep.toml"
    pyproject.write_text('[tool.wan-prep]\nmode = "replace"\nstrict = true\n', "utf-8")
    assert run(["check", "-q", "a", "b"]) == 1
    assert asked["mode"] == "replace"
    own.write_text('resolution = "720p"\nignore = ["WP202"]\npose-model = "m.task"', "utf-8")
    assert run(["check", "-q", "a", "b"]) == 0, "wan-prep.toml goes before pyproject.toml"
    assert (asked["mode"], asked["resolution"]) == ("animate", "720p")
    assert (asked["ignore"], asked["pose_model"]) == (("WP202",), tmp_path / "m.task")
    run(["check", "-q", "a", "b", "--resolution", "480p", "--ignore", "WP2", "--pose-model", "x"])
    assert (asked["resolution"], asked["ignore"], asked["pose_model"]) == ("480p", ("WP2",), "x")
    own.write_text("strict = true", "utf-8")
    assert run(["check", "-q", "a", "b"]) == 1
    assert run(["check", "-q", "a", "b", "--no-strict"]) == 0


def test_settings_are_found_from_a_folder_below(
    answer: Any, tmp_path: Path, monkeypatch: Patch
) -> None:
    asked = answer(report())
    (tmp_path / "wan-prep.toml").write_text('mode = "replace"', "utf-8")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text("[tool.other]\n", "utf-8")
    monkeypatch.chdir(below)
    run(["check", "-q", "a", "b"])
    assert asked["mode"] == "replace"


@pytest.mark.parametrize(
    "text",
    ["x = [", 'mode = "dance"', 'select = "WP1"', "nonsense = 1", "profile = 3",
     'profile = "missing.toml"', "strict = 7", "\x00"],
)  # fmt: skip
def test_bad_settings_are_one_line_that_names_the_file(
    text: str, tmp_path: Path, answer: Any, capsys: Capture
) -> None:
    answer(report())
    (tmp_path / "wan-prep.toml").write_text(text, "utf-8")
    assert run(["check", "a", "b"]) == 2
    assert str(tmp_path) in one_line(capsys)


def test_a_settings_table_that_is_none(tmp_path: Path, answer: Any, capsys: Capture) -> None:
    answer(report())
    (tmp_path / "pyproject.toml").write_text("[tool]\nwan-prep = 3", "utf-8")
    assert run(["check", "a", "b"]) == 2
    assert "[tool.wan-prep]" in one_line(capsys)


def test_a_working_folder_that_is_gone(answer: Any, tmp_path: Path, monkeypatch: Patch) -> None:
    answer(report("ready"))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(["check", "-q", "a", "b"]) == 0
    monkeypatch.chdir(tmp_path)


# ---- json


def strict_json(text: str) -> Any:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_one_document(answer: Any, capsys: Capture) -> None:
    answer(report("not_ready"))
    assert run(["check", "a", "b", "--format", "json", "-v"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    document = strict_json(out)
    assert list(document) == [
        "schema_version", "tool", "profile", "pose_model", "mode", "resolution", "verdict", "score",
        "score_at_best_start", "scores", "image", "video", "subject", "measures", "best_start_s",
        "cuts_s", "output", "findings", "passed", "not_applicable", "deselected", "cost",
    ]  # fmt: skip
    assert set(document["findings"][0]) == set(FINDING)


def test_json_keeps_any_path(answer: Any, capsys: Capture) -> None:
    for path in ("a\nb\x1b[31m.png", "[red]x.png", "ü.png", 'q"\\.png'):
        answer(report(image={"path": path}))
        run(["check", "a", "b", "--format", "json"])
        out = capsys.readouterr().out
        assert strict_json(out)["image"]["path"] == path
        assert "\x1b" not in out


def test_a_report_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="finite"):
        report(score=math.nan)


def test_rules_and_explain_as_json(capsys: Capture) -> None:
    assert run(["rules", "--format", "json"]) == 0
    listed = strict_json(capsys.readouterr().out)
    assert [r["code"] for r in listed] == [r.code for r in RULES]
    for rule in RULES:
        assert run(["explain", rule.name.upper(), "--format", "json"]) == 0
        explained = strict_json(capsys.readouterr().out)
        assert explained["code"] == rule.code
        assert all(explained[heading] for heading in ("measures", "why", "fix", "limit"))
        # WP501 has no limit: a body is recognised or it is not.
        assert explained["figures"] or rule.code == "WP501"


# ---- inspect


def test_inspect_knows_the_common_options(make: Any, monkeypatch: Patch, capsys: Capture) -> None:
    seen: Evidence = make.video(["adult", None] * 8, fps="12", fps_from_header="12")
    monkeypatch.setattr(api, "observe", lambda *_, **__: seen)
    assert run(["inspect", "x", "-q"]) == 0
    assert capsys.readouterr().out == "found\n"
    assert run(["inspect", "x", "--strict", "--select", "WP503"]) == 1
    assert "WP503" in capsys.readouterr().out
    assert run(["inspect", "x", "--strict", "--select", "WP1"]) == 0
    assert "Findings" not in capsys.readouterr().out
    assert run(["inspect", "x", "-v", "--ignore", "WP5"]) == 0
    out = capsys.readouterr().out
    assert "WP5" not in out
    assert "0.50, 1.50" in out
    assert run(["inspect", "x", "--format", "json"]) == 0
    document = strict_json(capsys.readouterr().out)
    assert document["track"]["found"] == [True, False] * 8
    assert len(document["track"]["keypoints_xy"][0]) == 33
    assert document["track"]["keypoints_xy"][1] is None
