"""The journal: every submission on disk before it is sent, safe under several processes.

One SQLite file. Each call is one transaction on a connection of its own, so that processes and
threads need nothing in common, and it returns only when the disk has it.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wan_prep.errors import AlreadySubmitted, JobNotFound, JournalError
from wan_prep.submission.environment import home_folder
from wan_prep.submission.jobs import OPEN, Job, Output, State, utc_now

FILE_NAME = "journal.sqlite3"
_VERSION = 1
_BUSY_S = 30.0
# With a rollback journal (which works on network disks, too), EXTRA is what makes a commit survive
# a power cut: FULL does not sync the folder after the commit.
_SYNCHRONOUS = "EXTRA"
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, service_id TEXT, job TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
CREATE TABLE IF NOT EXISTS uploads (
    sha256 TEXT NOT NULL, base_url TEXT NOT NULL, url TEXT NOT NULL, expires_at TEXT NOT NULL,
    PRIMARY KEY (sha256, base_url)
);
"""


def new_id() -> str:
    """A local name for a job, or for a call's batch of jobs."""
    return f"wp-{uuid.uuid4().hex[:12]}"


class Journal:
    """All jobs, and the uploads that can be used again."""

    def __init__(self, path: Path, *, now: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self._now = now

    @classmethod
    def at_home(cls) -> Journal:
        """The journal below WAN_PREP_HOME."""
        return cls(home_folder() / FILE_NAME)

    # -------------------------------------------------------------- jobs

    def claim(self, job: Job, *, resubmit: bool = False) -> Job:
        """Write a new entry, unless the same work is open already: both in one transaction.

        Entries of the same batch (wanted variations) do not stand in each other's way.

        Raises:
            AlreadySubmitted: the same work is open or unknown, and `resubmit` is False.
            JournalError: it could not be written; then nothing may be sent.
        """
        with self._writing() as base:
            earlier = self._earlier(base, job)
            if earlier and not resubmit:
                raise AlreadySubmitted(_refusal(earlier[-1]), job_id=earlier[-1].id)
            resubmits = earlier[-1].id if earlier else None
            entry = job.model_copy(update={"resubmits": resubmits})
            self._put(base, entry)
        return entry

    def earlier(self, job: Job) -> tuple[Job, ...]:
        """Open or unknown entries for the same work, oldest first."""
        with self._reading() as base:
            return self._earlier(base, job)

    def refuse_repetition(self, job: Job) -> None:
        """Raises AlreadySubmitted if `claim` would; before anything is uploaded for nothing."""
        if earlier := self.earlier(job):
            raise AlreadySubmitted(_refusal(earlier[-1]), job_id=earlier[-1].id)

    def change(self, job_id: str, *, only_from: Collection[State] = OPEN, **changes: Any) -> Job:
        """Update an entry and return it; unchanged where its state is not in `only_from`.

        Raises:
            JobNotFound: no such entry. JournalError: it could not be written.
        """
        with self._writing() as base:
            job = self._one(base, job_id)
            if job.state not in only_from:
                return job
            changed = job.model_copy(update={**changes, "updated_at": self._now()})
            self._put(base, changed)
        return changed

    def keep_output(self, job_id: str, position: int, output: Output) -> Job:
        """Write where an output was put, and what it is."""
        with self._writing() as base:
            job = self._one(base, job_id)
            outputs = list(job.outputs)
            outputs[position] = output
            changed = job.model_copy(update={"outputs": tuple(outputs), "updated_at": self._now()})
            self._put(base, changed)
        return changed

    def job(self, name: str) -> Job:
        """The entry of a local or a service's id.

        Raises:
            JobNotFound: there is none.
        """
        with self._reading() as base:
            return self._one(base, name)

    def jobs(self, states: Collection[State] | None = None) -> tuple[Job, ...]:
        """All entries, or those in one of `states`; oldest first."""
        with self._reading() as base:
            return self._some(base, states)

    def is_attached(self, service_id: str) -> bool:
        """Whether some entry has this id already."""
        with self._reading() as base:
            query = "SELECT 1 FROM jobs WHERE service_id = ?"
            return base.execute(query, (service_id,)).fetchone() is not None

    # -------------------------------------------------------------- uploads

    def upload_url(self, sha256: str, base_url: str) -> str | None:
        """Where these bytes are kept already; None where they are not, or no longer."""
        with self._reading() as base:
            row = base.execute(
                "SELECT url, expires_at FROM uploads WHERE sha256 = ? AND base_url = ?",
                (sha256, base_url),
            ).fetchone()
        if row is None or datetime.fromisoformat(row[1]) <= self._now():
            return None
        return str(row[0])

    def keep_upload(self, sha256: str, base_url: str, url: str, *, reused_s: float) -> None:
        """Remember an upload for `reused_s` seconds, and forget those that have expired."""
        now = self._now()
        expires_at = now + timedelta(seconds=reused_s)
        with self._writing() as base:
            base.execute("DELETE FROM uploads WHERE expires_at <= ?", (now.isoformat(),))
            base.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)",
                (sha256, base_url, url, expires_at.isoformat()),
            )

    # -------------------------------------------------------------- plumbing

    def _earlier(self, base: sqlite3.Connection, job: Job) -> tuple[Job, ...]:
        return tuple(
            other
            for other in self._some(base, OPEN)
            if other.batch != job.batch and other.is_same_work_as(job)
        )

    def _one(self, base: sqlite3.Connection, name: str) -> Job:
        query = "SELECT job FROM jobs WHERE id = ? OR service_id = ? ORDER BY rowid DESC"
        row = base.execute(query, (name, name)).fetchone()
        if row is None:
            raise JobNotFound(f"no job is called {name!r}; `wan-prep jobs` lists them")
        return self._parsed(row[0])

    def _some(self, base: sqlite3.Connection, states: Collection[State] | None) -> tuple[Job, ...]:
        if states is None:
            rows = base.execute("SELECT job FROM jobs ORDER BY rowid")
        else:
            marks = ", ".join("?" * len(states))
            query = f"SELECT job FROM jobs WHERE state IN ({marks}) ORDER BY rowid"
            rows = base.execute(query, tuple(states))
        return tuple(self._parsed(row[0]) for row in rows)

    def _put(self, base: sqlite3.Connection, job: Job) -> None:
        base.execute(
            "INSERT INTO jobs (id, state, service_id, job) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET "
            "state = excluded.state, service_id = excluded.service_id, job = excluded.job",
            (job.id, job.state, job.service_id, job.model_dump_json()),
        )

    def _parsed(self, text: str) -> Job:
        try:
            return Job.model_validate_json(text)
        except ValidationError as exc:
            raise JournalError(
                f"{self.path}: an entry cannot be read; it may come from a newer wan-prep"
            ) from exc

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A look at the journal makes no file: where there is none, it is empty."""
        with self._opened(self.path if self.path.exists() else ":memory:") as base:
            yield base

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that has the only right to write from its beginning on."""
        with self._opened(self.path) as base:
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                base.rollback()
                raise
            base.commit()

    @contextmanager
    def _opened(self, path: Path | str) -> Iterator[sqlite3.Connection]:
        try:
            if path == self.path:
                self._make()
            with closing(self._connected(path)) as base:
                yield base
        except (OSError, sqlite3.Error) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise JournalError(
                f"{self.path}: the journal cannot be used ({reason}); nothing is submitted "
                "without it; make room, mend its permissions, or set WAN_PREP_HOME"
            ) from exc

    def _connected(self, path: Path | str) -> sqlite3.Connection:
        base = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            base.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            self._migrate(base)
        except BaseException:
            base.close()
            raise
        return base

    def _migrate(self, base: sqlite3.Connection) -> None:
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version == _VERSION:
            return
        if version > _VERSION:
            raise JournalError(f"{self.path} was written by a newer wan-prep; use that one")
        base.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")

    def _make(self) -> None:
        """The file holds addresses that may be private: nobody else reads it."""
        if self.path.exists():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))


def _refusal(job: Job) -> str:
    return (
        f"the same pair with the same parameters was submitted already, {job.summary()}; "
        f"`wan-prep wait {job.id}` waits for it; --resubmit pays for it a second time"
    )
