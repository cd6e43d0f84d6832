"""`rank` on the command line: how files are named, what is printed, how it ends."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from wan_prep import api
from wan_prep.cli import run
from wan_prep.ranking.assemble import build_ranking
from wan_prep.ranking.model import Ranking, SetAside

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def found(make: Any) -> Ranking:
    return build_ranking(
        [make.image().changed(path="cast/hero.png"), make.image().changed(path="cast/\x1b[1m.png")],
        [make.video().changed(path="dances/waltz.mp4")],
        mode="animate",
        resolution="480p",
        profile=api.judging.default_profile(),
        tool=api.tool(),
        set_aside=[SetAside(kind="video", path="dances/x.mp4", reason="the file has 0 bytes")],
    )


@pytest.fixture
def asked(found: Ranking, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let `rank` answer with a ranking; what it was asked."""
    asked: dict[str, Any] = {}

    def rank(images: Any, videos: Any, **options: Any) -> Ranking:
        asked.update(options, images=images, videos=videos)
        return found

    monkeypatch.setattr(api, "rank", rank)
    return asked


@pytest.mark.parametrize(
    "line",
    [
        "--images a.png b.png --videos v.mp4",
        "--images a.png --images b.png --videos v.mp4",
        "--videos v.mp4 -q --images a.png b.png --top 3",
        "--images=a.png --images b.png --videos v.mp4",
    ],
)
def test_lists_take_every_word_up_to_the_next_option(asked: dict[str, Any], line: str) -> None:
    assert run(["rank", *line.split()]) == 0
    assert asked["images"] == ["a.png", "b.png"]
    assert asked["videos"] == ["v.mp4"]


def test_options_reach_the_library(asked: dict[str, Any]) -> None:
    options = (
        "--top 7 --top-per video --mode replace --resolution 720p --select WP3 --ignore WP302 "
        "--video-person left --pose-model m.task"
    )
    assert run(["rank", "--images", "a", "--videos", "b", *options.split()]) == 0
    assert asked["top"] == 7
    assert asked["top_per"] == "video"
    assert (asked["mode"], asked["resolution"]) == ("replace", "720p")
    assert (asked["select"], asked["ignore"]) == (("WP3",), ("WP302",))
    assert (str(asked["image_person"]), str(asked["video_person"])) == ("largest", "left")
    assert asked["pose_model"] == "m.task"


def test_the_table(asked: dict[str, Any], capsys: Capture, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["rank", "--images", "a", "--videos", "b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "All 2 pairs (2 × 1), best first; animate, 480p"
    assert "hero.png" in lines[2]
    assert "waltz.mp4" in lines[2]
    assert "\\x1b[1m.png" in lines[3]
    assert lines[-1].split("  ") == ["", "dances/x.mp4", "the file has 0 bytes"]


def test_quiet_is_one_line_a_pair(asked: dict[str, Any], found: Ranking, capsys: Capture) -> None:
    assert run(["rank", "-q", "--images", "a", "--videos", "b"]) == 0
    score = f"{found[0].score_at_best_start:.2f}"
    assert capsys.readouterr().out == (
        f"{score} cast/hero.png dances/waltz.mp4\n{score} cast/\\x1b[1m.png dances/waltz.mp4\n"
    )


def test_json_is_one_document(asked: dict[str, Any], found: Ranking, capsys: Capture) -> None:
    assert run(["rank", "--images", "a", "--videos", "b", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(found.to_json())
    assert err == ""


def test_csv_names_on_stderr_what_was_set_aside(asked: dict[str, Any], capsys: Capture) -> None:
    assert run(["rank", "--images", "a", "--videos", "b", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert err == "wan-prep: set aside: dances/x.mp4: the file has 0 bytes\n"


def test_nothing_ranked_is_a_finding(
    make: Any, monkeypatch: pytest.MonkeyPatch, found: Ranking, capsys: Capture
) -> None:
    monkeypatch.setattr(api, "rank", lambda *_, **__: found.model_copy(update={"pairs": ()}))
    assert run(["rank", "--images", "a", "--videos", "b"]) == 1


@pytest.mark.parametrize(("verdict", "code"), [("ready", 0), ("risky", 1), ("not_ready", 1)])
def test_strict_asks_for_a_pair_that_is_ready(
    monkeypatch: pytest.MonkeyPatch, found: Ranking, verdict: str, code: int
) -> None:
    pairs = tuple(pair.model_copy(update={"verdict": verdict}) for pair in found)
    monkeypatch.setattr(api, "rank", lambda *_, **__: found.model_copy(update={"pairs": pairs}))
    assert run(["rank", "--images", "a", "--videos", "b", "--strict"]) == code
    assert run(["rank", "--images", "a", "--videos", "b"]) == 0


def test_nothing_matches(one_line: Any) -> None:
    assert run(["rank", "--images", "*.png", "--videos", "b.mp4"]) == 2
    assert "expected images, found none by *.png" in one_line()


def test_both_lists_are_needed(one_line: Any) -> None:
    assert run(["rank", "--images", "a.png"]) == 2
    assert "--videos" in one_line()
