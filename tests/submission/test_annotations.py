"""What the journal keeps beside its jobs, also in a journal of an earlier version."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import AlreadySubmitted
from wan_prep.submission.journal import Journal

# The journal as its first version made it.
FIRST_VERSION = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, service_id TEXT, job TEXT NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE TABLE uploads (
    sha256 TEXT NOT NULL, base_url TEXT NOT NULL, url TEXT NOT NULL, expires_at TEXT NOT NULL,
    PRIMARY KEY (sha256, base_url)
);
PRAGMA user_version = 1;
"""


@pytest.fixture
def early(tmp_path: Path, tools: Any) -> Journal:
    """A journal of the first version with one job in it."""
    path = tmp_path / "journal.sqlite3"
    entry = tools.entry("wp-early")
    with closing(sqlite3.connect(path)) as base:
        base.executescript(FIRST_VERSION)
        row = (entry.id, entry.state, None, entry.model_dump_json())
        base.execute("INSERT INTO jobs VALUES (?, ?, ?, ?)", row)
        base.commit()
    return Journal(path)


def schema(journal: Journal) -> tuple[int, set[str]]:
    with closing(sqlite3.connect(journal.path)) as base:
        names = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return base.execute("PRAGMA user_version").fetchone()[0], {name for (name,) in names}


def test_an_early_journal_has_none_and_a_look_changes_nothing(early: Journal) -> None:
    before = early.path.read_bytes()
    assert early.outcomes() == ()
    assert early.judgement("wp-early") is None
    assert early.path.read_bytes() == before


def test_an_early_journal_takes_them_and_keeps_its_jobs(early: Journal, tools: Any) -> None:
    assert early.keep_outcomes({"wp-early": "said"}) == ()
    early.claim(tools.entry("wp-new", seed=3), judgement="judged")
    assert early.outcomes() == ("said",)
    assert early.judgement("wp-new") == "judged"
    assert [job.id for job in early.jobs()] == ["wp-early", "wp-new"]
    # The version stays, so that an early wan-prep goes on protecting the money in this journal.
    assert schema(early) == (1, {"jobs", "uploads", "judgements", "outcomes"})


def test_a_new_journal_is_one_that_an_early_version_reads(tmp_path: Path, tools: Any) -> None:
    journal = Journal(tmp_path / "home" / "journal.sqlite3")
    journal.claim(tools.entry())
    assert schema(journal) == (1, {"jobs", "uploads"})


def test_a_second_word_replaces_the_first_and_keeps_its_place(early: Journal) -> None:
    early.keep_outcomes({"a": "good", "b": "bad"})
    assert early.keep_outcomes({"a": "bad", "c": "good"}) == ("good",)
    assert early.outcomes() == ("bad", "bad", "good")


def test_what_is_refused_leaves_no_judgement(early: Journal, tools: Any) -> None:
    with pytest.raises(AlreadySubmitted):
        early.claim(tools.entry("wp-second"), judgement="judged")
    assert early.judgement("wp-second") is None


def test_threads_that_write_at_once_lose_nothing(early: Journal) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: early.keep_outcomes({f"n{k}": f"{k}"}), range(16)))
    assert sorted(early.outcomes()) == sorted(str(k) for k in range(16))


def test_each_variation_keeps_how_its_pair_was_judged(desk: Any, tools: Any) -> None:
    jobs = desk.submit(tools.url_pair(count=2), judgement="judged")
    assert [desk.journal.judgement(job.id) for job in jobs] == ["judged", "judged"]
