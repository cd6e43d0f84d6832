"""Judging commands in process: what is asked of the library, settings, documents, inspect."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from wan_prep import api
from wan_prep.analyzers import RULES
from wan_prep.cli import run
from wan_prep.evidence import Evidence
from wan_prep.pose.choice import LARGEST
from wan_prep.profile import default_profile
from wan_prep.remote.scratch import Scratch
from wan_prep.report.modes import ModeComparison

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

FINDING_FIELDS = {
    "code", "name", "severity", "status", "subject", "message", "measured", "limit", "unit",
    "source", "span_s", "fix",
}  # fmt: skip


# ---- what is asked of the library


def test_options_reach_the_library(answer: Any, report: Any) -> None:
    asked = answer(report())
    options = (
        "--mode replace --resolution 720p --start 0.5 --end 2 --select WP3,WP401 --ignore WP302 "
        "--time-limit 9"
    )
    assert run(["check", "-q", *options.split(), "--pose-model", "m.task", "--", "-a", "b c"]) == 0
    assert asked.pop("progress")
    assert asked.pop("cache").folder.name == "cache"
    assert isinstance(asked.pop("remote"), Scratch)
    assert asked == {
        "image": "-a", "video": "b c", "mode": "replace", "resolution": "720p", "start": 0.5,
        "end": 2.0, "select": ("WP3", "WP401"), "ignore": ("WP302",), "pose_model": "m.task",
        "profile": default_profile(), "image_person": LARGEST, "video_person": LARGEST,
        "isolated": True, "time_limit_s": 9.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "image", "video"),
    [
        ("", "largest", "largest"),
        ("--person left", "left", "left"),
        ("--person 2 --video-person 0.25,0.5", "2", "0.25,0.5"),
        ("--image-person right", "right", "largest"),
        ("--image-person largest --person center", "largest", "center"),
    ],
)
def test_whom_one_means_reaches_the_library(
    answer: Any, report: Any, options: str, image: str, video: str
) -> None:
    asked = answer(report())
    assert run(["check", "-q", *options.split(), "a", "b"]) == 0
    assert (str(asked["image_person"]), str(asked["video_person"])) == (image, video)


@pytest.mark.parametrize("option", ["--person", "--image-person", "--video-person"])
def test_who_cannot_be_meant_is_one_line(
    answer: Any, report: Any, one_line: Any, option: str
) -> None:
    answer(report())
    assert run(["check", "-q", option, "the one in red", "a", "b"]) == 2
    assert "expected largest, left, right, center, a number from left to right" in one_line()


def test_whom_one_means_may_be_set(answer: Any, report: Any, tmp_path: Path) -> None:
    asked = answer(report())
    own = tmp_path / "wan-prep.toml"
    own.write_text('person = "left"\nvideo-person = 2\n', "utf-8")
    for options, image, video in (
        ([], "left", "2"),
        (["--person", "right"], "right", "right"),
        (["--image-person", "center"], "center", "2"),
    ):
        assert run(["check", "-q", *options, "a", "b"]) == 0
        assert (str(asked["image_person"]), str(asked["video_person"])) == (image, video)


def test_defaults_are_those_of_the_contract(answer: Any, report: Any) -> None:
    asked = answer(report())
    run(["check", "-q", "a", "b"])
    assert (asked["mode"], asked["resolution"], asked["start"]) == ("animate", "480p", 0)
    assert (asked["end"], asked["select"], asked["ignore"]) == (None, (), ())


def test_a_profile_of_ones_own(
    answer: Any, tmp_path: Path, capsys: Capture, report: Any, one_line: Any
) -> None:
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
        assert "own.toml" in one_line()


# ---- settings


def test_settings_of_a_file_and_their_precedence(answer: Any, tmp_path: Path, report: Any) -> None:
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
    answer: Any, tmp_path: Path, monkeypatch: Patch, report: Any
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
     'profile = "missing.toml"', "strict = 7", 'person = "me"', "\x00"],
)  # fmt: skip
def test_bad_settings_are_one_line_that_names_the_file(
    text: str, tmp_path: Path, answer: Any, report: Any, one_line: Any
) -> None:
    answer(report())
    (tmp_path / "wan-prep.toml").write_text(text, "utf-8")
    assert run(["check", "a", "b"]) == 2
    assert str(tmp_path) in one_line()


def test_a_settings_table_that_is_none(
    tmp_path: Path, answer: Any, report: Any, one_line: Any
) -> None:
    answer(report())
    (tmp_path / "pyproject.toml").write_text("[tool]\nwan-prep = 3", "utf-8")
    assert run(["check", "a", "b"]) == 2
    assert "[tool.wan-prep]" in one_line()


def test_a_working_folder_that_is_gone(
    answer: Any, tmp_path: Path, monkeypatch: Patch, report: Any
) -> None:
    answer(report("ready"))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(["check", "-q", "a", "b"]) == 0
    monkeypatch.chdir(tmp_path)


# ---- json


def test_json_is_one_document(answer: Any, capsys: Capture, report: Any, strict_json: Any) -> None:
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
    assert set(document["findings"][0]) == FINDING_FIELDS


@pytest.fixture
def both(monkeypatch: Patch, report: Any) -> dict[str, Any]:
    """Let `compare_modes` answer: risky in animate, not ready in replace; what it was asked."""
    asked: dict[str, Any] = {}

    def compare_modes(image: object, video: object, **options: Any) -> ModeComparison:
        asked.update(options, image=image, video=video)
        return ModeComparison(
            better="animate",
            reason="animate fits better: the reason",
            differences=({"what": "background", "animate": "the image's", "replace": "other"},),
            animate=report("risky"),
            replace=report("not_ready", mode="replace"),
        )

    monkeypatch.setattr(api, "compare_modes", compare_modes)
    return asked


def test_both_modes_are_asked_of_the_library(both: dict[str, Any]) -> None:
    options = "--mode both --resolution 720p --start 0.5 --end 2 --select WP3 --video-person left"
    assert run(["check", "-q", *options.split(), "a", "b"]) == 0
    assert both.pop("progress")
    assert both.pop("cache").folder.name == "cache"
    assert isinstance(both.pop("remote"), Scratch)
    assert str(both.pop("video_person")) == "left"
    assert both == {
        "image": "a", "video": "b", "resolution": "720p", "start": 0.5, "end": 2.0,
        "select": ("WP3",), "ignore": (), "pose_model": None, "profile": default_profile(),
        "image_person": LARGEST, "isolated": False, "time_limit_s": None,
    }  # fmt: skip


def test_both_modes_in_every_format(
    both: dict[str, Any], capsys: Capture, strict_json: Any
) -> None:
    def said(*options: str) -> str:
        assert run(["check", "a", "b", "--mode", "both", *options]) == 0, "as the better mode"
        out, err = capsys.readouterr()
        assert err == ""
        return out

    document = strict_json(said("--format", "json"))
    assert (document["schema_version"], document["better"]) == (1, "animate")
    assert [document[mode]["verdict"] for mode in ("animate", "replace")] == ["risky", "not_ready"]
    assert said("-q") == "animate: animate risky 93.65; replace not_ready 93.65\n"
    out = said()
    assert out.startswith("Animate fits better: the reason.\n")
    assert "background  the image's  other\n" in out
    lines = said("--format", "github").splitlines()
    assert lines[0].startswith("::notice file=hero.png,title=animate fits better::")
    assert len(lines) == 3


@pytest.mark.usefixtures("both")
def test_both_modes_and_warnings_as_errors(capsys: Capture) -> None:
    assert run(["check", "-q", "a", "b", "--mode", "both", "--strict"]) == 1
    assert capsys.readouterr().out


def test_the_page_of_both_modes_is_that_of_the_better_one(
    both: dict[str, Any], monkeypatch: Patch, tmp_path: Path
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(api, "write_page", lambda report, *_, **__: written.append(report))
    target = str(tmp_path / "page.html")
    assert run(["check", "-q", "a", "b", "--mode", "both", "--html", target]) == 0
    assert [report.mode for report in written] == ["animate"]


def test_both_modes_may_be_set_and_everything_else_goes_on_in_animate(
    both: dict[str, Any], answer: Any, report: Any, tmp_path: Path, monkeypatch: Patch
) -> None:
    asked = answer(report())
    (tmp_path / "wan-prep.toml").write_text('mode = "both"\n', "utf-8")
    assert run(["check", "-q", "a", "b"]) == 0
    assert both.pop("image") == "a"
    assert run(["check", "-q", "a", "b", "--mode", "replace"]) == 0
    assert asked["mode"] == "replace"
    asked.clear()
    monkeypatch.setattr(api, "plan", lambda given, *_, **__: given)
    run(["plan", "-q", "a", "b"])
    assert asked["mode"] == "animate"
    assert "image" not in both, "a plan is made in one mode"


@pytest.mark.parametrize("words", ["plan a b", "fix a b -o c", "submit a b", "inspect a"])
def test_other_commands_take_one_mode(words: str, one_line: Any) -> None:
    assert run([*words.split(), "--mode", "both"]) == 2
    assert "'both' is not one of 'animate', 'replace'" in one_line()


def test_annotations_for_github(answer: Any, capsys: Capture, report: Any) -> None:
    answer(report("not_ready"))
    assert run(["check", "a", "b", "--format", "github"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert [line.partition(" ")[0] for line in out.splitlines()] == ["::error", "::warning"]
    assert run(["check", "a", "b", "--format", "github", "-q"]) == 1
    assert capsys.readouterr().out == f"{out.splitlines()[0]}\n"


def test_json_keeps_any_path(answer: Any, capsys: Capture, report: Any, strict_json: Any) -> None:
    for path in ("a\nb\x1b[31m.png", "[red]x.png", "ü.png", 'q"\\.png'):
        answer(report(image={"path": path}))
        run(["check", "a", "b", "--format", "json"])
        out = capsys.readouterr().out
        assert strict_json(out)["image"]["path"] == path
        assert "\x1b" not in out


def test_a_report_refuses_what_json_cannot_say(report: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        report(score=math.nan)


def test_rules_and_explain_as_json(capsys: Capture, strict_json: Any) -> None:
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


def test_inspect_knows_the_common_options(
    make: Any, monkeypatch: Patch, capsys: Capture, strict_json: Any
) -> None:
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


# ---- poses for other tools


@pytest.fixture
def clip(make: Any, monkeypatch: Patch) -> Evidence:
    """What every `inspect` of these tests sees: two samples, nobody in the second."""
    seen: Evidence = make.video(["adult", None], duration=Fraction(1, 2))
    monkeypatch.setattr(api, "observe", lambda *_, **__: seen)
    return seen


@pytest.mark.usefixtures("clip")
def test_poses_are_the_only_document_on_stdout(capsys: Capture, strict_json: Any) -> None:
    assert run(["inspect", "x", "--select", "WP1", "--pose-format", "openpose", "-v"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith("]\n")
    frames = strict_json(out)
    assert [len(frame["people"]) for frame in frames] == [1, 0]
    assert [frame["canvas_width"] for frame in frames] == [720, 720]
    assert run(["inspect", "x", "--select", "WP1", "--pose-format", "coco"]) == 0
    assert strict_json(capsys.readouterr().out)["categories"][0]["name"] == "person"
    assert run(["inspect", "x", "--select", "WP1", "--pose-format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 67
    assert rows[0] == "time_s,frame,joint,x_px,y_px,visibility,found"


@pytest.mark.usefixtures("clip")
def test_poses_in_the_picture_of_the_model(capsys: Capture, strict_json: Any) -> None:
    options = "--pose-format openpose --pose-canvas model --mode replace --resolution 480p"
    run(["inspect", "x", *options.split()])
    (frame, _) = strict_json(capsys.readouterr().out)
    assert (frame["canvas_width"], frame["canvas_height"]) == (464, 832)


@pytest.mark.usefixtures("clip")
@pytest.mark.parametrize(
    ("options", "is_told"),
    [
        ("--mode animate --pose-canvas model", True),
        ("--mode animate --pose-canvas model -q", False),
        ("--mode animate --pose-canvas file", False),
        ("--mode replace --pose-canvas model", False),
    ],
)
def test_a_shape_taken_on_trust_is_told(options: str, is_told: bool, capsys: Capture) -> None:
    run(["inspect", "x", "--select", "WP1", "--pose-format", "csv", *options.split()])
    err = capsys.readouterr().err
    assert ("name it with --partner" in err) == is_told
    assert bool(err) == is_told


def test_an_error_goes_to_stderr_and_into_the_exit_code(
    make: Any, monkeypatch: Patch, capsys: Capture
) -> None:
    nothing = make.unreadable("video")
    monkeypatch.setattr(api, "observe", lambda *_, **__: nothing)
    arguments = ["inspect", "empty.mp4", "--pose-format", "openpose", "--skeleton", "s.mp4", "-q"]
    assert run(arguments) == 1
    out, err = capsys.readouterr()
    assert out == "[]\n"
    assert err.startswith("wan-prep: WP1")
    assert "0 bytes" in err
    assert not Path("s.mp4").exists()


@pytest.mark.usefixtures("clip")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--pose-format csv --format json", "one document goes to stdout"),
        ("--pose-canvas model", "give both"),
        ("--skeleton s.mp4 --at 0,1", "instead of --at"),
        ("--partner x.png", "give one"),
        ("--pose-format csv --partner x.png", "give one"),
        ("--skeleton x.mp4", "would replace the input"),
        ("--skeleton s.mp4 --partner s.mp4", "would replace the input"),
        ("--skeleton gone/s.mp4", "no such folder"),
        ("--skeleton .", "not a regular file"),
        ("--skeleton s.mp4 --partner gone.png", "gone.png"),
        ("--pose-format bvh", "--pose-format"),
    ],
)
def test_pose_options_that_do_not_go_together(
    options: str, told: str, tmp_path: Path, monkeypatch: Patch, one_line: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.mp4", "s.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert run(["inspect", "x.mp4", *options.split()]) == 2
    assert told in one_line()


@pytest.mark.media
@pytest.mark.usefixtures("clip")
def test_a_skeleton_is_written_beside_the_answer(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    options = "-q --select WP1 --mode replace --skeleton -s.mp4"
    assert run(["inspect", *options.split(), "x"]) == 0
    assert capsys.readouterr() == ("found\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["-s.mp4"]
