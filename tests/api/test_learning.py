"""Outcomes noted, imported and learned from, through the library."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wan_prep
from wan_prep.api import learning
from wan_prep.errors import EvidenceMissing, JobNotFound, JournalError, OutputExists, WanPrepError
from wan_prep.learning.fit import widened
from wan_prep.learning.judgement import TOLERANCE_OF, Judgement
from wan_prep.profile import default_profile, load_profile
from wan_prep.report.assemble import build_report
from wan_prep.report.model import Report, Tool
from wan_prep.submission.jobs import Job, JobInput, utc_now
from wan_prep.submission.journal import Journal


@pytest.fixture
def journal(tmp_path: Path, unsynced: None) -> Journal:
    return Journal(tmp_path / "home" / "journal.sqlite3")


@pytest.fixture
def judged_report(make: Any) -> Callable[..., Report]:
    """Of a pair whose image is turned by so many degrees; with its evidence."""

    def build(degrees: float = 0.0, mode: Any = "animate") -> Report:
        digest = f"{degrees:064.0f}"
        image = make.image(make.body(make.turned("y", degrees)), sha256=digest)
        return build_report(
            image,
            make.video(),
            mode=mode,
            resolution="480p",
            profile=default_profile(),
            tool=Tool(name="wan-prep", version="0"),
        )

    return build


def claimed(journal: Journal, state: str, judgement: str | None = None, **changes: Any) -> Job:
    now = utc_now()
    facts: dict[str, Any] = {
        "id": "wp-a",
        "batch": "wp-a",
        "state": state,
        "service_id": "task-1",
        "base_url": "https://api.example",
        "model": "wan/animate",
        "image": JobInput(source="hero.png", url="https://kept.example/1.png"),
        "video": JobInput(source="dance.mp4", url="https://kept.example/2.mp4"),
        "mode": "animate",
        "resolution": "480p",
        "seed": 1,
        "created_at": now,
        "updated_at": now,
    }
    return journal.claim(Job(**{**facts, **changes}), judgement=judgement)


# ------------------------------------------------------------------ outcome


def test_an_outcome_keeps_how_its_pair_was_judged(
    journal: Journal, judged_report: Callable[..., Report]
) -> None:
    report = judged_report(40.0)
    kept = Judgement.of(report, default_profile())
    job = claimed(journal, "completed", kept.model_dump_json())
    noted = wan_prep.note_outcome(job, "bad", why="face", journal=journal)
    assert noted.replaced is None
    assert noted.outcome.judgement == kept
    summary = wan_prep.outcomes(journal=journal)
    (one,) = summary.outcomes
    assert (one.name, one.score, one.outcome, one.why) == ("wp-a", report.score, "bad", "face")
    assert (summary.good, summary.bad, summary.auc) == (0, 1, None)


def test_a_change_of_mind_replaces_and_is_told(journal: Journal) -> None:
    claimed(journal, "completed")
    wan_prep.note_outcome("wp-a", "good", journal=journal)
    noted = wan_prep.note_outcome("task-1", "bad", journal=journal)
    assert noted.replaced is not None
    assert noted.replaced.result == "good"
    assert [o.outcome for o in wan_prep.outcomes(journal=journal).outcomes] == ["bad"]


def test_a_job_that_was_never_checked_counts_without_a_score(journal: Journal) -> None:
    claimed(journal, "completed")
    assert wan_prep.note_outcome("wp-a", "good", journal=journal).outcome.judgement is None
    summary = wan_prep.outcomes(journal=journal)
    assert (summary.count, summary.scored) == (1, 0)
    assert "never checked" in summary.headline


def test_a_judgement_of_another_version_does_not_stand_in_the_way(journal: Journal) -> None:
    claimed(journal, "completed", '{"schema_version": 2}')
    assert wan_prep.note_outcome("wp-a", "good", journal=journal).outcome.judgement is None


def test_what_a_newer_version_said_is_not_replaced(journal: Journal) -> None:
    claimed(journal, "completed")
    journal.keep_outcomes({"wp-a": '{"schema_version": 2}'})
    with pytest.raises(JournalError, match="newer wan-prep"):
        wan_prep.note_outcome("wp-a", "good", journal=journal)
    assert journal.outcomes() == ('{"schema_version": 2}',)


@pytest.mark.parametrize("state", ["submitting", "unknown", "submitted"])
def test_a_job_that_has_not_ended(journal: Journal, state: str) -> None:
    claimed(journal, state)
    with pytest.raises(WanPrepError, match=r"wan-prep wait wp-a"):
        wan_prep.note_outcome("wp-a", "good", journal=journal)
    assert journal.outcomes() == ()


@pytest.mark.parametrize("state", ["failed", "cancelled", "timeout", "deleted", "rejected"])
def test_a_job_without_a_result(journal: Journal, state: str) -> None:
    claimed(journal, state)
    with pytest.raises(WanPrepError, match="no result that could be good or bad"):
        wan_prep.note_outcome("wp-a", "good", journal=journal)


@pytest.mark.parametrize("name", ["", "wp-", "wp-b", "%"])
def test_a_job_that_is_not_there(journal: Journal, name: str) -> None:
    claimed(journal, "completed")
    with pytest.raises(JobNotFound, match="wan-prep jobs"):
        wan_prep.note_outcome(name, "good", journal=journal)


def test_words_that_are_none(journal: Journal) -> None:
    claimed(journal, "completed")
    for result, why in (("fine", None), ("bad", "hair")):
        with pytest.raises(WanPrepError, match="expected good or bad"):
            wan_prep.note_outcome("wp-a", result, why=why, journal=journal)  # type: ignore[arg-type]


# ------------------------------------------------------------------ import


def test_saved_reports_are_imported_once_however_often(
    journal: Journal, judged_report: Callable[..., Report], tmp_path: Path
) -> None:
    judged_report(0.0).save(tmp_path / "a.json")
    judged_report(60.0, "replace").save(tmp_path / "b.json")
    path = tmp_path / "list.csv"
    path.write_text("report,outcome,mode\na.json,good,\na.json,bad,animate\nb.json,bad,replace\n")
    first = wan_prep.import_outcomes(path, journal=journal)
    assert (len(first.outcomes), first.replaced) == (3, 0)
    assert len({o.name for o in first.outcomes}) == 3, "two results of one pair are two"
    path.write_text("report,outcome\na.json,good\na.json,good\nb.json,bad\n")
    assert wan_prep.import_outcomes(path, journal=journal).replaced == 3
    summary = wan_prep.outcomes(journal=journal)
    assert (summary.count, summary.good, summary.bad) == (3, 2, 1)
    assert summary.auc is not None
    assert summary.auc.value == 1.0
    assert summary.auc.low < 0.5, "of three"


def test_files_are_checked(
    journal: Journal, judged_report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, str, str]] = []

    def check(image: str, video: str, *, mode: str, resolution: str, **_: Any) -> Report:
        asked.append((image, video, mode, resolution))
        return judged_report(10.0, mode)  # type: ignore[no-any-return]

    monkeypatch.setattr(learning, "check", check)
    for name in ("a.png", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "list.csv"
    path.write_text("image,video,mode,outcome\na.png,b.mp4,replace,good\n")
    wan_prep.import_outcomes(path, journal=journal)
    assert asked == [(str(tmp_path / "a.png"), str(tmp_path / "b.mp4"), "replace", "480p")]


@pytest.mark.parametrize("rows", ["a.json,good,replace\n", "b.json,good,\n", "c.json,good,\n"])
def test_all_rows_or_none(journal: Journal, judged_report: Any, tmp_path: Path, rows: str) -> None:
    judged_report().save(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(judged_report().public_json())
    (tmp_path / "c.json").write_text("{}")
    path = tmp_path / "list.csv"
    path.write_text("report,outcome,mode\na.json,good,\n" + rows)
    with pytest.raises((WanPrepError, EvidenceMissing)):
        wan_prep.import_outcomes(path, journal=journal)
    assert journal.outcomes() == ()


# ------------------------------------------------------------------ summary


def test_a_table_for_spreadsheets_holds_no_formula(journal: Journal, tmp_path: Path) -> None:
    for k, name in enumerate(("=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\tx", "plain.png")):
        image = JobInput(source=name, url="https://kept.example/1.png")
        claimed(journal, "completed", id=f"wp-{k}", seed=k, image=image)
        wan_prep.note_outcome(f"wp-{k}", "good", journal=journal)
    rows = list(csv.DictReader(io.StringIO(wan_prep.outcomes(journal=journal).to_csv())))
    cells = [row["image"] for row in rows]
    assert cells == ["'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(1)", r"\tx", "plain.png"]
    assert all(row["score"] == "" for row in rows)


@pytest.fixture
def many(journal: Journal, drawn_outcomes: Callable[[int], dict[str, str]]) -> Journal:
    journal.keep_outcomes(drawn_outcomes(60))
    return journal


def test_bins_hold_every_outcome_once_and_the_curve_rises(many: Journal) -> None:
    summary = wan_prep.outcomes(journal=many)
    assert [each.count for each in summary.bins] == [12] * 5
    assert sum(each.good for each in summary.bins) == summary.good
    assert [b.score_low for b in summary.bins] == sorted(b.score_low for b in summary.bins)
    assert summary.bins[-1].share_good.value > summary.bins[0].share_good.value
    assert summary.curve is not None
    assert 0 < summary.curve.probability(20) < summary.curve.probability(90) < 1
    assert summary.auc is not None
    assert 0.7 < summary.auc.value < summary.auc.high <= 1.0
    assert json.loads(summary.model_dump_json())["auc"][0] == summary.auc.value


def test_another_profile_scores_the_same_outcomes(many: Journal) -> None:
    shipped = default_profile()
    strict = shipped.model_copy(
        update={"tolerances": {n: widened(t, 0.5, "x") for n, t in shipped.tolerances.items()}}
    )
    easy, hard = (wan_prep.outcomes(p, journal=many) for p in (shipped, strict))
    for a, b in zip(easy.outcomes, hard.outcomes, strict=True):
        assert a.score is not None
        assert b.score is not None
        assert b.score < a.score
    assert hard.profile.sha256 == strict.sha256


# ------------------------------------------------------------------ learn


def test_too_few_write_nothing(journal: Journal, tmp_path: Path) -> None:
    learned = wan_prep.learn(tmp_path / "mine.toml", journal=journal)
    assert "0 outcomes with a score are too few" in (learned.refusal or "")
    assert not (tmp_path / "mine.toml").exists()


def test_a_file_in_the_way_stays(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("mine")
    with pytest.raises(OutputExists, match="--overwrite"):
        wan_prep.learn(path, journal=journal)
    assert wan_prep.learn(path, overwrite=True, journal=journal).refusal is not None
    assert path.read_text() == "mine", "nothing is written where nothing was learned"


def test_a_learned_profile_is_one_that_check_takes(
    journal: Journal, drawn_outcomes: Callable[[int], dict[str, str]], tmp_path: Path
) -> None:
    journal.keep_outcomes(drawn_outcomes(200))
    path = tmp_path / "mine.toml"
    learned = wan_prep.learn(path, journal=journal)
    assert learned.refusal is None
    mine = load_profile(path)
    assert set(learned.widths) == set(TOLERANCE_OF.values())
    before, after = (wan_prep.outcomes(p, journal=journal).auc for p in (None, mine))
    assert before is not None
    assert after is not None
    assert after.value > before.value


@pytest.fixture
def drawn_outcomes() -> Callable[[int], dict[str, str]]:
    """Outcomes by name: the pose decides, and much stricter than the shipped tolerance."""

    def build(count: int) -> dict[str, str]:
        rng = np.random.default_rng(1)
        named = {}
        for k in range(count):
            measured = {"WP304": rng.uniform(1, 90), "WP401": rng.uniform(5, 120)}
            good = rng.random() < 1 / (1 + np.exp((measured["WP401"] - 40) / 8))
            scores = {
                code: default_profile().tolerance(TOLERANCE_OF[code], "animate").score(x)
                for code, x in measured.items()
            }
            answers = [
                {"code": c, "status": "judged", "score": scores[c], "measured": x}
                for c, x in measured.items()
            ]
            judgement = {
                "tool": {"name": "wan-prep", "version": "0"},
                "profile": {"name": "p", "version": "1", "sha256": "a" * 64},
                "mode": "animate", "resolution": "480p", "score": 50.0, "verdict": "risky",
                "image_sha256": f"{k:064d}", "video_sha256": "b" * 64, "answers": answers,
            }  # fmt: skip
            outcome = {
                "name": f"wp-{k}", "result": "good" if good else "bad",
                "noted_at": "2026-11-22T12:00:00Z", "image": "hero.png", "video": "dance.mp4",
                "mode": "animate", "resolution": "480p", "judgement": judgement,
            }  # fmt: skip
            named[f"wp-{k}"] = json.dumps(outcome)
        return named

    return build
