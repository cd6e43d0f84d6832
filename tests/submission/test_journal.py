from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import AlreadySubmitted, JobNotFound, JournalError
from wan_prep.submission import journal as journals
from wan_prep.submission.jobs import Job, JobCost, JobInput, JobOutput, new_id
from wan_prep.submission.journal import FILE_NAME, Journal

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def job(**changes: Any) -> Job:
    facts: dict[str, Any] = {
        "id": new_id(),
        "batch": new_id(),
        "state": "submitting",
        "base_url": "https://api.example",
        "model": "wan/animate",
        "image": JobInput(source="hero.png", url="https://kept.example/1.png", sha256="a" * 64),
        "video": JobInput(source="dance.mp4", url="https://kept.example/2.mp4", sha256="b" * 64),
        "mode": "animate",
        "resolution": "480p",
        "seed": -1,
        "cost": JobCost(seconds=7.0, usd_low=Decimal("0.28"), usd_high=Decimal("0.40")),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Job(**{**facts, **changes})


def from_url(url: str, sha256: str | None = None) -> JobInput:
    return JobInput(source=url, url=url, sha256=sha256)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "home" / FILE_NAME, now=lambda: NOW)


# ---- entries


def test_an_entry_comes_back_as_it_was_written(journal: Journal) -> None:
    entry = journal.claim(job(prompt="a knight, 騎士", seed=7))
    assert Journal(journal.path).job(entry.id) == entry
    assert journal.jobs() == (entry,)
    assert entry.cost is not None
    assert (str(entry.cost.usd_low), str(entry.cost.usd_high)) == ("0.28", "0.40")
    assert Job.model_validate_json(entry.model_dump_json()) == entry


def test_an_entry_is_on_disk_before_anything_else_happens(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # here it is as users have it
    journal.claim(job())
    with journal._opened(make=False) as base:
        assert base.execute("PRAGMA synchronous").fetchone() == (3,), "EXTRA"
        assert base.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_nobody_else_may_read_it(journal: Journal) -> None:
    journal.claim(job())
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def test_a_job_is_found_by_either_id(journal: Journal) -> None:
    entry = journal.claim(job())
    changed = journal.change(entry.id, state="submitted", service_id="s1", status="created")
    assert journal.job("s1") == journal.job(entry.id) == changed


@pytest.mark.parametrize("name", ["", "wp-nothing", "' OR 1=1 --"])
def test_a_job_that_is_not_there(journal: Journal, name: str) -> None:
    journal.claim(job())
    with pytest.raises(JobNotFound, match="wan-prep jobs"):
        journal.job(name)


def test_a_state_is_left_only_where_that_is_allowed(journal: Journal) -> None:
    entry = journal.claim(job())
    journal.change(entry.id, state="completed", status="completed")
    late = journal.change(
        entry.id, only_if=lambda entry: entry.state == "submitting", state="unknown", error="late"
    )
    assert (late.state, late.error) == ("completed", None)


def test_outputs_are_kept_one_by_one(journal: Journal) -> None:
    outputs = (
        JobOutput(url="https://a.example/1"),
        JobOutput(url="https://a.example/2", nsfw=True),
    )
    entry = journal.claim(job(outputs=outputs))
    second = outputs[1].model_copy(update={"path": "/x/2.mp4", "sha256": "c" * 64})
    kept = journal.keep_output(entry.id, 1, second)
    assert kept.outputs == (outputs[0], second)


def test_a_look_makes_no_file(journal: Journal) -> None:
    assert journal.jobs() == ()
    assert journal.upload_url("a" * 64, "https://api.example", reused_s=100) is None
    with pytest.raises(JobNotFound):
        journal.job("wp-1")
    assert not journal.path.parent.exists()


# ---- no work twice


@pytest.mark.parametrize("state", ["submitting", "unknown", "submitted"])
def test_open_work_is_not_submitted_again(journal: Journal, state: str) -> None:
    first = journal.claim(job())
    journal.change(first.id, state=state)
    with pytest.raises(AlreadySubmitted, match=f"wan-prep wait {first.id}") as caught:
        journal.claim(job())
    assert (caught.value.job_id, caught.value.exit_code) == (first.id, 3)
    assert len(journal.jobs()) == 1


@pytest.mark.parametrize(
    "state",
    ["not_sent", "rejected", "completed", "failed", "cancelled", "timeout", "deleted"],
)
def test_ended_work_may_be_submitted_again(journal: Journal, state: str) -> None:
    first = journal.claim(job())
    journal.change(first.id, state=state)
    assert journal.claim(job()).resubmits is None


def test_a_resubmission_names_the_first(journal: Journal) -> None:
    first = journal.claim(job())
    assert journal.claim(job(), resubmit=True).resubmits == first.id


def test_wanted_variations_do_not_stand_in_each_other_s_way(journal: Journal) -> None:
    journal.claim(job(batch="wp-b"))
    journal.claim(job(batch="wp-b"))
    with pytest.raises(AlreadySubmitted):
        journal.claim(job(batch="wp-c"))


A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"seed": 5}, False),
        ({"prompt": "x"}, False),
        ({"mode": "replace"}, False),
        ({"resolution": "720p"}, False),
        ({"model": "wan/animate-2"}, False),
        ({"base_url": "http://127.0.0.1:1"}, False),
        # The content decides where both are known, wherever it lies; else the address does.
        ({"image": from_url("https://elsewhere.example/x.png", A)}, True),
        ({"image": from_url("https://kept.example/1.png", B)}, False),
        ({"image": from_url("https://kept.example/1.png")}, True),
        ({"image": from_url("https://elsewhere.example/x.png")}, False),
    ],
)
def test_what_the_same_work_is(journal: Journal, change: dict[str, Any], is_same: bool) -> None:
    journal.claim(job())
    assert bool(journal.earlier(job(**change))) == is_same


def test_threads_that_claim_the_same_work_at_once(journal: Journal) -> None:
    def claim(_: int) -> bool:
        try:
            Journal(journal.path).claim(job())
        except AlreadySubmitted:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(16))) == 1
    assert len(journal.jobs()) == 1


def test_nobody_writes_between_a_claims_look_and_its_entry(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Journal._earlier

    def look(self: Journal, base: sqlite3.Connection, draft: Job) -> tuple[Job, ...]:
        with (
            closing(sqlite3.connect(self.path, timeout=0, isolation_level=None)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
        return real(self, base, draft)

    monkeypatch.setattr(Journal, "_earlier", look)
    assert journal.claim(job()).state == "submitting"


_CLAIM = """
import sys
from pathlib import Path
from wan_prep.errors import AlreadySubmitted
from wan_prep.submission.jobs import Job
from wan_prep.submission.journal import Journal
draft = Job.model_validate_json(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    Journal(Path(sys.argv[1])).claim(draft)
    print("claimed")
except AlreadySubmitted:
    print("refused")
"""


def test_processes_that_claim_the_same_work_at_once(journal: Journal) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIM, str(journal.path), job().model_dump_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = sorted(child.communicate()[0].strip() for child in children)
    assert said == ["claimed", "refused", "refused", "refused"]


# ---- uploads


def test_an_upload_is_reused_until_it_expires(tmp_path: Path) -> None:
    clock = {"now": NOW}
    journal = Journal(tmp_path / FILE_NAME, now=lambda: clock["now"])
    journal.keep_upload(A, "https://api.example", "https://kept.example/1", reused_s=100)
    assert journal.upload_url(A, "https://api.example", reused_s=100) == "https://kept.example/1"
    assert journal.upload_url(B, "https://api.example", reused_s=100) is None
    assert journal.upload_url(A, "http://127.0.0.1:1", reused_s=100) is None
    clock["now"] = NOW + timedelta(seconds=99)
    assert journal.upload_url(A, "https://api.example", reused_s=100) is not None
    clock["now"] = NOW - timedelta(seconds=1)
    assert journal.upload_url(A, "https://api.example", reused_s=100) is None, "the clock is wrong"
    clock["now"] = NOW + timedelta(seconds=100)
    assert journal.upload_url(A, "https://api.example", reused_s=100) is None


# ---- what can go wrong


def broken_folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / FILE_NAME


def garbage(tmp_path: Path) -> Path:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"not a database, " * 100)
    return path


def newer(tmp_path: Path) -> Path:
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    return path


def empty(tmp_path: Path) -> Path:
    (tmp_path / FILE_NAME).touch()
    return tmp_path / FILE_NAME


def without_tables(tmp_path: Path) -> Path:
    """A database of somebody else's, or one of ours that lost what it had."""
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE notes (text)")
        base.commit()
    return path


def without_jobs(tmp_path: Path) -> Path:
    path = tmp_path / FILE_NAME
    Journal(path).claim(job())
    with closing(sqlite3.connect(path)) as base:
        base.execute("DROP TABLE jobs")
        base.commit()
    return path


def out_of_reach(tmp_path: Path) -> Path:
    """A link to a disk that is not there."""
    path = tmp_path / FILE_NAME
    (tmp_path / "unmounted").mkdir()
    path.symlink_to(tmp_path / "unmounted" / FILE_NAME)
    return path


def home_out_of_reach(tmp_path: Path) -> Path:
    """A whole home on a disk that is not there."""
    (tmp_path / "home").symlink_to(tmp_path / "unmounted")
    return tmp_path / "home" / FILE_NAME


SPOILED = [
    *(broken_folder, garbage, newer, empty, without_tables, without_jobs, out_of_reach),
    home_out_of_reach,
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_journal_that_cannot_be_used(spoil: Callable[[Path], Path], tmp_path: Path) -> None:
    path = spoil(tmp_path)
    with pytest.raises(JournalError) as caught:
        Journal(path).claim(job())
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_journal_that_is_not_one_is_not_taken_for_an_empty_one(
    spoil: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = spoil(tmp_path)
    before = path.read_bytes() if path.exists() else None
    for look in (
        Journal(path).jobs,
        lambda: Journal(path).upload_url("a" * 64, "https://x", reused_s=100),
    ):
        with pytest.raises(JournalError):
            look()
    assert (path.read_bytes() if path.exists() else None) == before


def test_what_to_do_about_an_empty_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        Journal(empty(tmp_path)).claim(job())
    message = str(caught.value)
    assert "is empty, as no journal of wan-prep is" in message
    assert "put a copy back in its place" in message


def test_a_new_journal_appears_whole(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dies while it is made leaves none."""
    seen: list[bool] = []
    real = journals._new

    def watched(path: Path | str) -> sqlite3.Connection:
        base = real(path)
        seen.append(journal.path.exists())
        base.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(journals, "_new", watched)
    with pytest.raises(KeyboardInterrupt):
        journal.claim(job())
    assert seen == [False]
    assert not journal.path.exists()
    monkeypatch.undo()
    journal.claim(job())
    assert [path.name for path in journal.path.parent.glob("*.*") if path.suffix == ".tmp"] == []


def test_a_journal_that_another_process_made_first_is_kept(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It appears between the look and the making."""
    real = Journal._make

    def late(self: Journal) -> None:
        monkeypatch.undo()
        Journal(self.path).claim(job(id="wp-first", batch="wp-first", seed=9))
        real(self)

    monkeypatch.setattr(Journal, "_make", late)
    journal.claim(job())
    assert [entry.seed for entry in journal.jobs()] == [9, -1]


def test_an_entry_of_a_newer_version(journal: Journal) -> None:
    journal.claim(job())
    base = sqlite3.connect(journal.path)
    base.execute("""UPDATE jobs SET job = '{"schema_version": 2}'""")
    base.commit()
    base.close()
    with pytest.raises(JournalError, match="newer wan-prep"):
        journal.jobs()


def test_a_failed_write_leaves_the_journal_as_it_was(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = journal.claim(job())

    def full(*_args: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Journal, "_put", full)
    with pytest.raises(JournalError, match="disk is full"):
        journal.change(entry.id, state="unknown")
    monkeypatch.undo()
    assert journal.jobs() == (entry,)


def test_the_journal_lives_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "WAN_PREP_HOME", str(tmp_path / "mine"))
    assert Journal.at_home().path == tmp_path / "mine" / "journal.sqlite3"


# ---- words


def test_what_became_of_a_job() -> None:
    assert job(id="wp-1").summary() == "wp-1 of 2026-11-22 12:00 UTC: submitting"
    running = job(id="wp-1", state="submitted", status="processing")
    assert running.summary() == "wp-1 of 2026-11-22 12:00 UTC: processing"
    failed = job(id="wp-1", state="failed", status="failed", error="no face")
    assert failed.summary() == "wp-1 of 2026-11-22 12:00 UTC: failed (no face)"


@pytest.mark.parametrize(
    ("state", "outputs", "is_unfinished"),
    [
        ("submitting", (), True),
        ("unknown", (), True),
        ("submitted", (), True),
        ("failed", (), False),
        ("rejected", (), False),
        ("completed", (JobOutput(url="https://a.example"),), True),
        ("completed", (JobOutput(url="https://a.example", path="/x", sha256=A),), False),
    ],
)
def test_what_is_left_to_do(state: Any, outputs: Any, is_unfinished: bool) -> None:
    assert job(state=state, outputs=outputs).is_unfinished == is_unfinished
