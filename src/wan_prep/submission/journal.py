"""The journal: every submission is on disk before it is sent.

One SQLite file. Each call is one transaction on a connection of its own, so any number of processes
and threads may use it at once. A call that writes returns when the disk has the change.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from wan_prep.errors import AlreadySubmitted, InputPathError, JobNotFound, JournalError
from wan_prep.home import home_folder, make_private
from wan_prep.submission.annotations import (
    all_outcomes,
    judgement_of,
    put_judgement,
    put_outcome,
)
from wan_prep.submission.jobs import OPEN, UNCLEAR, Job, JobOutput, State, utc_now
from wan_prep.writing import written_whole

FILE_NAME = "journal.sqlite3"
_VERSION = 1
_BUSY_S = 30.0
# With a rollback journal (which works on network disks, too), EXTRA is what makes a commit survive
# a power cut: FULL does not sync the folder after the commit.
_SYNCHRONOUS = "EXTRA"
_TABLES = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, service_id TEXT, job TEXT NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE TABLE uploads (
    sha256 TEXT NOT NULL, base_url TEXT NOT NULL, url TEXT NOT NULL, expires_at TEXT NOT NULL,
    PRIMARY KEY (sha256, base_url)
);
"""
_TABLE_NAMES = {"jobs", "uploads"}
# The fields of an entry that came with a task which was only found in the history.
_UNFOUND: dict[str, Any] = {
    "service_id": None, "is_found": False, "status": None, "error": None, "outputs": ()
}  # fmt: skip


def _is_open(job: Job) -> bool:
    return job.state in OPEN


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

    def claim(self, job: Job, *, resubmit: bool = False, judgement: str | None = None) -> Job:
        """Write a new entry unless the same work is open already, in one transaction.

        Entries of the same batch (wanted variations) do not stand in each other's way.
        judgement: how the pair was judged, kept with the entry.

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
            if judgement is not None:
                put_judgement(base, entry.id, judgement)
        return entry

    def earlier(self, job: Job) -> tuple[Job, ...]:
        """Open or unknown entries for the same work, oldest first."""
        with self._reading() as base:
            return self._earlier(base, job)

    def refuse_repetition(self, job: Job) -> None:
        """Raises AlreadySubmitted if `claim` would. To be asked before files are uploaded."""
        if earlier := self.earlier(job):
            raise AlreadySubmitted(_refusal(earlier[-1]), job_id=earlier[-1].id)

    def change(
        self, job_id: str, *, only_if: Callable[[Job], bool] = _is_open, **changes: Any
    ) -> Job:
        """Update an entry if it is as `only_if` wants; returns it, changed or not.

        Raises:
            JobNotFound: no such entry. JournalError: it could not be written.
        """
        with self._writing() as base:
            job = self._one(base, job_id)
            return self._changed(base, job, **changes) if only_if(job) else job

    def settle(
        self, job: Job, *, state: State, service_id: str | None = None, **changes: Any
    ) -> Job:
        """Write what the answer to a POST says of its entry, whatever the entry says by now.

        service_id: the id in the answer; None where it says that there is no task.

        A look-up in another process may have attached another task to this entry, or this entry's
        task to another one. The answer wins: a task that was only found is removed, with its
        outputs and its end, and a note on both entries names it. An entry that is gone is written
        again.

        Raises:
            JournalError: it could not be written.
        """
        with self._writing() as base:
            now = self._found(base, job.id) or job
            if service_id is not None and now.service_id == service_id:  # the look-up was right
                told = {**changes, "state": state} if now.state in UNCLEAR else {}
                return self._changed(base, now, **told, is_found=False)
            notes = []
            if now.service_id is not None:
                notes.append(f"{_freed(now)} and is free again")
            for other in self._holders(base, service_id):
                if other.is_found and other.id != job.id:
                    note = f"{_freed(other)} and belongs to {job.id}"
                    self._changed(base, other, **_UNFOUND, state="unknown", note=note)
                    notes.append(f"its own task had been taken for {other.id}, unknown again now")
            own = {"service_id": service_id, "state": state, "note": "; ".join(notes) or None}
            return self._changed(base, now, **{**_UNFOUND, **own, **changes})

    def doubt(self, job: Job, error: str) -> Job:
        """Write that the end of a POST is not known, unless a look-up has found it meanwhile.

        Raises:
            JournalError: it could not be written.
        """
        with self._writing() as base:
            now = self._found(base, job.id) or job
            if now.state not in UNCLEAR:
                return now
            return self._changed(base, now, state="unknown", error=error)

    def attach(self, job_id: str, service_ids: Collection[str]) -> tuple[Job, int]:
        """Give an unclear entry the id of its task, if exactly one of `service_ids` is free.

        Returns the entry, and how many of `service_ids` no other entry has. An entry whose POST was
        answered meanwhile keeps what the answer said.

        Raises:
            JobNotFound: no such entry. JournalError: it could not be written.
        """
        with self._writing() as base:
            job = self._one(base, job_id)
            if job.service_id is not None:
                return job, 1
            own = [one for one in service_ids if not self._holders(base, one)]
            if len(own) != 1 or job.state not in UNCLEAR:
                return job, len(own)
            changes = {"service_id": own[0], "is_found": True, "state": "submitted"}
            return self._changed(base, job, **changes, error=None), 1

    def keep_output(self, job_id: str, position: int, output: JobOutput) -> Job:
        """Write path and hash of an output, if the entry still has this output."""
        with self._writing() as base:
            job = self._one(base, job_id)
            outputs = list(job.outputs)
            if [other.url for other in outputs[position : position + 1]] != [output.url]:
                return job
            outputs[position] = output
            return self._changed(base, job, outputs=tuple(outputs))

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

    # -------------------------------------------------------------- outcomes

    def judgement(self, job_id: str) -> str | None:
        """How a job's pair was judged when it was submitted; None where that is not known."""
        with self._reading() as base:
            return judgement_of(base, job_id)

    def keep_outcomes(self, named: Mapping[str, str]) -> tuple[str, ...]:
        """Write outcomes by name, all or none; returns those that they replace."""
        with self._writing() as base:
            earlier = [put_outcome(base, name, text) for name, text in named.items()]
        return tuple(text for text in earlier if text is not None)

    def outcomes(self) -> tuple[str, ...]:
        """All of them, in the order in which they were first noted."""
        with self._reading() as base:
            return all_outcomes(base)

    # -------------------------------------------------------------- uploads

    def upload_url(self, sha256: str, base_url: str, *, reused_s: float) -> str | None:
        """The address of an earlier upload of these bytes; None without one that can be used.

        An upload that would be usable for more than `reused_s` seconds does not count, because the
        clock was wrong when it was noted, or is wrong now.
        """
        with self._reading() as base:
            row = base.execute(
                "SELECT url, expires_at FROM uploads WHERE sha256 = ? AND base_url = ?",
                (sha256, base_url),
            ).fetchone()
        if row is None:
            return None
        left_s = (datetime.fromisoformat(row[1]) - self._now()).total_seconds()
        return str(row[0]) if 0 < left_s <= reused_s else None

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
        job = self._found(base, name)
        if job is None:
            raise JobNotFound(f"no job is called {name!r}; `wan-prep jobs` lists them")
        return job

    def _found(self, base: sqlite3.Connection, name: str) -> Job | None:
        query = "SELECT job FROM jobs WHERE id = ? OR service_id = ? ORDER BY rowid DESC"
        row = base.execute(query, (name, name)).fetchone()
        return None if row is None else self._parsed(row[0])

    def _holders(self, base: sqlite3.Connection, service_id: str | None) -> tuple[Job, ...]:
        """The entries that have this id: one, unless the service gave it twice."""
        rows = base.execute("SELECT job FROM jobs WHERE service_id = ?", (service_id,)).fetchall()
        return tuple(self._parsed(row[0]) for row in rows)

    def _some(self, base: sqlite3.Connection, states: Collection[State] | None) -> tuple[Job, ...]:
        if states is None:
            rows = base.execute("SELECT job FROM jobs ORDER BY rowid")
        else:
            marks = ", ".join("?" * len(states))
            query = f"SELECT job FROM jobs WHERE state IN ({marks}) ORDER BY rowid"
            rows = base.execute(query, tuple(states))
        return tuple(self._parsed(row[0]) for row in rows)

    def _changed(self, base: sqlite3.Connection, job: Job, **changes: Any) -> Job:
        changed = job.model_copy(update={**changes, "updated_at": self._now()})
        self._put(base, changed)
        return changed

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
        """A journal to read from. No file is made: without one the journal is empty."""
        with self._opened(make=False) as base:
            yield base

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else can write beside, from its beginning on."""
        with self._opened(make=True) as base:
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                base.rollback()
                raise
            base.commit()

    @contextmanager
    def _opened(self, *, make: bool) -> Iterator[sqlite3.Connection]:
        try:
            is_there = self._is_there()
            if make and not is_there:
                self._make()
                is_there = True
            with closing(self._connected() if is_there else _new(":memory:")) as base:
                yield base
        except (OSError, sqlite3.Error, Timeout, InputPathError) as exc:
            reason = (isinstance(exc, OSError) and exc.strerror) or exc
            raise JournalError(
                f"{self.path}: the journal cannot be used ({reason}); nothing is submitted "
                "without it; make room, mend its permissions, or set WAN_PREP_HOME"
            ) from exc

    def _is_there(self) -> bool:
        """Raises OSError: the journal, or the folder that a link leads to, is out of reach. Such a
        journal does not count as empty."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            if any(folder.is_symlink() and not folder.exists() for folder in self.path.parents):
                raise
            return False
        return True

    def _connected(self) -> sqlite3.Connection:
        """A connection to the existing file. By default SQLite would make one, or fill an empty
        one."""
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        base = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
        try:
            base.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            self._must_be_a_journal(base)
        except BaseException:
            base.close()
            raise
        return base

    def _must_be_a_journal(self, base: sqlite3.Connection) -> None:
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise JournalError(f"{self.path} was written by a newer wan-prep; use that one")
        if version == _VERSION and _tables(base) >= _TABLE_NAMES:
            return
        found = "has no jobs in it" if self.path.stat().st_size else "is empty"
        raise JournalError(
            f"{self.path} {found}, as no journal of wan-prep is, so what was submitted is not "
            "known and nothing more is: put a copy back in its place; without one, look at the "
            "history on the service's site, then move this file away"
        )

    def _make(self) -> None:
        """Make a journal without jobs. It is complete before it gets its name, so an empty file is
        never a journal. Only its owner may read it: it holds private addresses.
        """
        make_private(self.path.parent)
        with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_BUSY_S):
            if os.path.lexists(self.path):
                return  # somebody else was quicker
            with written_whole(self.path) as scratch:
                os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
                _new(scratch).close()


def _new(path: Path | str) -> sqlite3.Connection:
    base = sqlite3.connect(path, isolation_level=None)
    base.executescript(
        f"PRAGMA synchronous = {_SYNCHRONOUS}; "
        f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;"
    )
    return base


def _tables(base: sqlite3.Connection) -> set[str]:
    rows = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name) for (name,) in rows}


def _freed(job: Job) -> str:
    """Names the task that was wrongly attached to a job, and the files that came from it."""
    kept = [output.path for output in job.outputs if output.path is not None]
    files = f" ({', '.join(kept)} came from it)" if kept else ""
    return f"the service's task {job.service_id} had been taken for this job{files}"


def _refusal(job: Job) -> str:
    return (
        f"the same pair with the same parameters was submitted already, {job.summary()}; "
        f"`wan-prep wait {job.id}` waits for it; --resubmit pays for it a second time"
    )
