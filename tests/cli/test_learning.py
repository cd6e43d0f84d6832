"""outcome, outcomes and learn: words, documents, exit codes, and no socket."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wan_prep.cli import run
from wan_prep.profile import default_profile
from wan_prep.rehearsal.server import FakeService, clip
from wan_prep.report.assemble import build_report
from wan_prep.report.model import Tool
from wan_prep.submission.jobs import Job, JobInput, utc_now
from wan_prep.submission.journal import Journal

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: Patch, unsynced: None) -> None:
    """Whatever opens a socket fails, unless the test has a service."""
    if "service" not in request.fixturenames:
        monkeypatch.setattr(socket, "socket", None)


@pytest.fixture
def ended() -> str:
    """The id of a job that completed, and was never checked."""
    now, place = utc_now(), JobInput(source="hero.png", url="https://kept.example/1.png")
    job = Job(
        id="wp-a", batch="wp-a", state="completed", base_url="https://api.example", model="wan",
        image=place, video=place, mode="animate", resolution="480p", seed=1, created_at=now,
        updated_at=now,
    )  # fmt: skip
    return Journal.at_home().claim(job).id


@pytest.fixture
def listing(make: Any, tmp_path: Path) -> Path:
    """A list of a good and a bad result, by saved reports."""
    for name, degrees in (("good", 0.0), ("bad", 50.0)):
        build_report(
            make.image(make.body(make.turned("y", degrees)), sha256=name * 16),
            make.video(),
            mode="animate",
            resolution="480p",
            profile=default_profile(),
            tool=Tool(name="wan-prep", version="0"),
        ).save(tmp_path / f"{name}.json")
    path = tmp_path / "list.csv"
    path.write_text("report,outcome,why\ngood.json,good,\nbad.json,bad,limbs\n")
    return path


# ---- outcome


def test_an_outcome_is_noted_and_changed(ended: str, capsys: Capture) -> None:
    assert run(["outcome", ended, "good"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("wp-a: good\nits pair was not checked when it was submitted")
    assert err == ""
    assert run(["outcome", ended, "bad", "--why", "identity"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "wp-a: bad (identity), which was noted as good before"
    assert run(["outcome", ended, "bad", "-q"]) == 0
    assert capsys.readouterr().out == "bad\n"


def test_an_outcome_for_programs(ended: str, capsys: Capture, strict_json: Any) -> None:
    assert run(["outcome", ended, "bad", "--format", "json"]) == 0
    document = strict_json(capsys.readouterr().out)
    assert document["name"] == "wp-a"
    assert document["result"] == "bad"
    assert document["replaced"] is None
    assert document["is_scored"] is False


@pytest.mark.parametrize(
    "arguments",
    [["wp-b", "good"], ["wp-a", "great"], ["wp-a"], [], ["wp-a", "bad", "--why", "hair"]],
)
def test_mistakes_are_one_line(
    ended: str, arguments: list[str], one_line: Callable[[], str]
) -> None:
    assert run(["outcome", *arguments]) == 2
    one_line()
    assert Journal.at_home().outcomes() == ()


# ---- outcomes


def test_nothing_noted_yet(capsys: Capture) -> None:
    assert run(["outcomes"]) == 0
    assert capsys.readouterr().out.startswith("No outcomes yet: `wan-prep outcome JOB good`")
    assert not Journal.at_home().path.exists()
    assert run(["outcomes", "-q"]) == 0
    assert capsys.readouterr().out == "0 good 0 bad AUC unknown\n"


def test_imported_outcomes_are_shown_with_how_little_they_tell(
    listing: Path, capsys: Capture
) -> None:
    assert run(["outcomes", "--import", str(listing)]) == 0
    out, err = capsys.readouterr()
    assert err == "imported: 2 outcomes\n"
    words = " ".join(out.split())
    assert words.startswith("2 outcomes, 1 good and 1 bad A good one scores higher")
    assert "by these outcomes the score may as well tell nothing" in words
    assert "2 outcomes tell little, 30 are what learning takes" in words
    assert re.search(r"csv-[0-9a-f]{12}-1 +\d\d\.\d +bad +limbs +animate", out)
    assert run(["outcomes", "--import", str(listing), "-q"]) == 0
    assert capsys.readouterr() == ("1 good 1 bad AUC 1.00\n", "")


def test_outcomes_for_programs(listing: Path, capsys: Capture, strict_json: Any) -> None:
    assert run(["outcomes", "--import", str(listing), "--format", "json"]) == 0
    document = strict_json(capsys.readouterr().out)
    assert document["auc"][0] == 1.0
    assert [each["outcome"] for each in document["outcomes"]] == ["good", "bad"]
    assert run(["outcomes", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["why"] for row in rows] == ["", "limbs"]
    assert float(rows[0]["score"]) > float(rows[1]["score"])


def test_a_figure(listing: Path, tmp_path: Path, capsys: Capture) -> None:
    for name, begins in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
        path = tmp_path / name
        assert run(["outcomes", "--import", str(listing), "-q", "--plot", str(path)]) == 0
        assert path.read_bytes().startswith(begins)
    capsys.readouterr()


@pytest.mark.parametrize("name", ["a.exe", "a", "none/a.png"])
def test_a_figure_that_cannot_be(name: str, one_line: Callable[[], str]) -> None:
    assert run(["outcomes", "--plot", name]) == 2
    one_line()


def test_a_list_with_a_wrong_word_imports_nothing(
    listing: Path, one_line: Callable[[], str]
) -> None:
    listing.write_text(listing.read_text() + "bad.json,ugly,\n")
    assert run(["outcomes", "--import", str(listing)]) == 2
    assert "line 4: outcome" in one_line()
    assert Journal.at_home().outcomes() == ()


# ---- learn


def test_too_few_are_said_and_nothing_is_written(
    listing: Path, tmp_path: Path, capsys: Capture, strict_json: Any
) -> None:
    assert run(["outcomes", "--import", str(listing), "-q"]) == 0
    capsys.readouterr()
    assert run(["learn"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words.startswith("No profile is learned from 2 outcomes with a score, 1 good, 1 bad")
    assert "2 outcomes with a score are too few, 30 are needed: go on with" in words
    assert run(["learn", "-o", "mine.toml"]) == 1, "what was asked for was not written"
    assert not (tmp_path / "mine.toml").exists()
    capsys.readouterr()
    assert run(["learn", "--format", "json"]) == 0
    document = strict_json(capsys.readouterr().out)
    assert (document["count"], document["validation"]) == (2, None)
    assert run(["learn", "-q"]) == 0
    assert capsys.readouterr().out == "refused\n"


def test_a_file_in_the_way(tmp_path: Path, one_line: Callable[[], str]) -> None:
    (tmp_path / "mine.toml").write_text("mine")
    assert run(["learn", "-o", "mine.toml"]) == 2
    assert "--overwrite" in one_line()


# ---- from the submission to the outcome


@pytest.mark.model
@pytest.mark.usefixtures("looked_at_once")
def test_a_paid_job_has_a_score_when_its_files_are_gone(
    service: FakeService, brief_clip: Path, tmp_path: Path, capsys: Capture
) -> None:
    image, video = tmp_path / "hero.png", tmp_path / "dance.mp4"
    image.write_bytes((Path(__file__).parents[2] / "fixtures" / "reference.png").read_bytes())
    video.write_bytes(brief_clip.read_bytes())
    pair = [str(image), str(video)]
    assert run(["check", *pair, "--format", "json"]) in (0, 1)
    score = json.loads(capsys.readouterr().out)["score"]
    assert run(["submit", *pair, "--upload", "--yes", "-q", "--allow-not-ready"]) == 0
    job = capsys.readouterr().out.strip()
    assert run(["outcome", job, "good"]) == 2
    assert f"wan-prep wait {job}" in capsys.readouterr().err
    assert run(["wait", job, "-o", "out", "-q"]) == 0
    image.unlink()
    video.unlink()
    capsys.readouterr()
    assert run(["outcome", job, "bad", "--why", "face"]) == 0
    assert capsys.readouterr().out == f"{job}: bad (face)\n"
    assert run(["outcomes", "--format", "json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert one["score"] == score


@pytest.fixture
def service(monkeypatch: Patch) -> Any:
    with FakeService(polls_until_completed=1, video=clip()) as running:
        monkeypatch.setenv("WAVESPEED_BASE_URL", running.base_url)
        monkeypatch.setenv("WAVESPEED_API_KEY", "not-a-real-key")
        yield running
