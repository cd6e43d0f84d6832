"""plan and fix on the command line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from wan_prep import api
from wan_prep.cli import run
from wan_prep.planning.model import Plan
from wan_prep.planning.options import PlanOptions

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE, VIDEO = str(FIXTURES / "reference.png"), str(FIXTURES / "driving.mp4")
Capture = pytest.CaptureFixture[str]

pytestmark = [
    pytest.mark.model,
    pytest.mark.media,
    pytest.mark.usefixtures("looked_at_once"),
]


def test_plan_says_what_and_why_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["plan", IMAGE, VIDEO]) == 0
    shown = capsys.readouterr().out
    assert "of 100 expected" in shown
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


# ---- a plan that is repeated


@pytest.fixture
def saved(tmp_path: Path, a_plan: Callable[..., Plan]) -> Path:
    path = tmp_path / "plan.json"
    options = PlanOptions(fps=Fraction(25), pad="blur")
    path.write_text(a_plan(options=options, deselected=("WP201",)).public_json(), "utf-8")
    return path


@pytest.mark.parametrize(
    "option",
    [
        ("--mode", "replace"),
        ("--resolution", "720p"),
        ("--ignore", "WP2"),
        ("--select", "WP201"),
        ("--start", "1"),
        ("--end", "2"),
        ("--unsafe-fixes",),
        ("--keep-start",),
        ("--max-seconds", "5"),
        ("--max-cost", "0.2"),
        ("--split",),
        ("--fps", "30"),
        ("--pad", "edge"),
        ("--pad-color", "#ffffff"),
        ("--image-format", "jpeg"),
        ("--background", "#000000"),
        ("--person", "left"),
        ("--image-person", "2"),
        ("--video-person", "0.5,0.5"),
    ],
    ids=lambda option: option[0],
)
def test_an_option_that_contradicts_the_plan_is_refused(
    saved: Path, option: tuple[str, ...], capsys: Capture, tmp_path: Path
) -> None:
    assert run(["fix", "--plan", str(saved), "-o", str(tmp_path / "out"), *option]) == 2
    said = capsys.readouterr().err
    assert f"{option[0]} says other than the plan" in said
    assert said.count("\n") == 1


def test_options_that_the_plan_was_made_with_may_be_said_again(
    saved: Path, capsys: Capture, tmp_path: Path
) -> None:
    same = ["--mode", "animate", "--ignore", "WP201", "--fps", "25", "--pad", "blur"]
    assert run(["fix", "--plan", str(saved), "-o", str(tmp_path / "out"), *same]) == 2
    assert "made with other figures" in capsys.readouterr().err, "the literal plan's own profile"


def test_a_plan_repeats_the_checks_that_it_was_made_with(tmp_path: Path, capsys: Capture) -> None:
    first, again = str(tmp_path / "first"), str(tmp_path / "again")
    assert run(["fix", IMAGE, VIDEO, "-o", first, "--ignore", "WP509,WP6", "-q"]) == 0
    shown = capsys.readouterr().out
    assert run(["fix", "--plan", f"{first}/plan.json", "-o", again, "-q"]) == 0
    assert capsys.readouterr().out == shown
    both = [json.loads((Path(out) / "before.json").read_text("utf-8")) for out in (first, again)]
    assert both[0] == both[1]
    assert "WP509" in both[1]["deselected"]


# ---- sources in the place of outputs


@pytest.mark.parametrize("how", ["where they are", "by hard link", "from elsewhere"])
def test_fix_never_replaces_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, how: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    image, video = out / "reference.png", out / "driving.mp4"
    shutil.copyfile(IMAGE, image)
    shutil.copyfile(VIDEO, video)
    given = [image, video]
    monkeypatch.chdir(out)
    if how == "by hard link":
        given = [tmp_path / "hero.png", tmp_path / "dance.mp4"]
        for link, file in zip(given, (image, video), strict=True):
            link.hardlink_to(file)
    elif how == "from elsewhere":
        monkeypatch.chdir(tmp_path)
        (tmp_path / "link").symlink_to(out)
        given = [Path("link/reference.png"), Path("link/driving.mp4")]
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (image, video)]

    def unexpected(*_arguments: object, **_options: object) -> None:
        raise AssertionError("it is refused before anything is decoded")

    monkeypatch.setattr(api, "check", unexpected)
    assert run(["fix", *map(str, given), "-o", str(out), "--overwrite"]) == 2
    assert "inputs are never touched" in capsys.readouterr().err
    assert [hashlib.sha256(p.read_bytes()).hexdigest() for p in (image, video)] == before
    assert sorted(path.name for path in out.iterdir()) == ["driving.mp4", "reference.png"]


@pytest.mark.parametrize("command", ["plan", "fix"])
def test_what_cannot_be_read_is_a_finding(command: str, tmp_path: Path, capsys: Capture) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    out = [] if command == "plan" else ["-o", str(tmp_path / "out")]
    assert run([command, IMAGE, str(empty), *out]) == 1
    assert "WP102" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
