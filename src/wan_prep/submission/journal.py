"""The journal: every submission on disk before it is sent, safe under several processes.

One SQLite file. Each call is one transaction on a connection of its own, so that processes and
threads need nothing in common, and it returns only when the disk has it.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wan_prep.errors import AlreadySubmitted, JobNotFound, JournalError
from wan_prep.submission.environment import home_folder
from wan_prep.submission.jobs import OPEN, UNCLEAR, Job, Output, State, utc_now

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

    def change(
        self,
        job_id: str,
        *,
        only_from: Collection[State] = OPEN,
        only_as: str | None = None,
        **changes: Any,
    ) -> Job:
        """Update an entry and return it; unchanged where its state is not in `only_from`, or
        where the changes are about the service's task `only_as` and it has another by now.

        Raises:
            JobNotFound: no such entry. JournalError: it could not be written.
        """
        with self._writing() as base:
            job = self._one(base, job_id)
            if job.state not in only_from or only_as not in (None, job.service_id):
                return job
            changed = job.model_copy(update={**changes, "updated_at": self._now()})
            self._put(base, changed)
        return changed

    def answered(
        self,
        job: Job,
        state: State,
        *,
        service_id: str | None = None,
        status: str | None = None,
        error: str | None = None,
    ) -> Job:
        """Write what became of a job's own POST, whatever its entry has become meanwhile.

        job: as `claim` returned it. An entry that is gone is written anew.
        service_id: what the answer to the POST named. Nobody knows better: another task that a
            look-up attached meanwhile is set free, and so is an entry to which a look-up gave
            this one; both are named in the entries' errors. An "unknown" without an id knows
            less than a look-up, and changes nothing that one has written.

        Raises:
            JournalError: it could not be written.
        """
        with self._writing() as base:
            now = self._found(base, job.id) or job
            is_the_same = service_id is not None and service_id == now.service_id
            knows_less = service_id is None and state == "unknown"
            if now.state not in UNCLEAR and (is_the_same or knows_less):
                return now
            said = [] if error is None else [error]
            if now.service_id not in (None, service_id):
                said.append(_set_free(now))
            for other in self._attached(base, service_id):
                if other.id != job.id:
                    self._put(base, _without_task(other, f"its task {service_id} is {job.id}'s"))
            entry = now.model_copy(
                update={
                    "state": state,
                    "service_id": service_id,
                    "status": status,
                    "error": "; ".join(said) or None,
                    "outputs": (),
                    "updated_at": self._now(),
                }
            )
            self._put(base, entry)
        return entry

    def attach(self, job_id: str, service_id: str) -> Job:
        """Give an unclear entry a task of the service's history, and return it; unchanged where
        it is clear by now, or has an id, or where another entry has this one.

        Raises:
            JobNotFound: no such entry. JournalError: it could not be written.
        """
        with self._writing() as base:
            job = self._one(base, job_id)
            is_taken = bool(self._attached(base, service_id))
            if job.state not in UNCLEAR or job.service_id is not None or is_taken:
                return job
            changes = {"state": "submitted", "service_id": service_id, "error": None}
            attached = job.model_copy(update={**changes, "updated_at": self._now()})
            self._put(base, attached)
        return attached

    def keep_output(self, job_id: str, position: int, output: Output) -> Job:
        """Write where an output was put, and what it is, and return the entry; unchanged where
        that output is not its any more."""
        with self._writing() as base:
            job = self._one(base, job_id)
            outputs = list(job.outputs)
            if [known.url for known in outputs[position : position + 1]] != [output.url]:
                return job
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
            return bool(self._attached(base, service_id))

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
        found = self._found(base, name)
        if found is None:
            raise JobNotFound(f"no job is called {name!r}; `wan-prep jobs` lists them")
        return found

    def _found(self, base: sqlite3.Connection, name: str) -> Job | None:
        query = "SELECT job FROM jobs WHERE id = ? OR service_id = ? ORDER BY rowid DESC"
        row = base.execute(query, (name, name)).fetchone()
        return None if row is None else self._parsed(row[0])

    def _attached(self, base: sqlite3.Connection, service_id: str | None) -> tuple[Job, ...]:
        """The entries that have the service's id; none for None."""
        rows = base.execute("SELECT job FROM jobs WHERE service_id = ?", (service_id,))
        return tuple(self._parsed(row[0]) for row in rows)

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
        with self._opened(make=False) as base:
            yield base

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that has the only right to write from its beginning on."""
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
        """make: where there is no file, whether one is made; else an empty journal in memory."""
        try:
            is_there = self._is_there()
            if make and not is_there:
                self._make()
            with closing(self._connected() if make or is_there else _new(":memory:")) as base:
                yield base
        except (OSError, sqlite3.Error) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise JournalError(
                f"{self.path}: the journal cannot be used ({reason}); make room, mend its "
                "permissions, or set WAN_PREP_HOME"
            ) from exc

    def _is_there(self) -> bool:
        """A link that leads nowhere is there: what it led to may hold what was paid for."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        return True

    def _connected(self) -> sqlite3.Connection:
        """A connection to a file that is a journal; SQLite would take an empty one for new."""
        if self.path.stat().st_size == 0:
            raise self._no_journal("it is empty (0 bytes)")
        base = _connection(f"{self.path.absolute().as_uri()}?mode=rw", uri=True)
        try:
            self._must_be_a_journal(base)
        except BaseException:
            base.close()
            raise
        return base

    def _must_be_a_journal(self, base: sqlite3.Connection) -> None:
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise JournalError(f"{self.path} was written by a newer wan-prep; use that one")
        names = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        if version < _VERSION or not {("jobs",), ("uploads",)} <= set(names):
            raise self._no_journal("it is a database without a journal's tables")

    def _no_journal(self, found: str) -> JournalError:
        return JournalError(
            f"{self.path} is no journal: {found}, so what was submitted may be lost; bring it "
            "back from a copy, or look at the history on the service's site, and move the file "
            "away to begin a new one"
        )

    def _make(self) -> None:
        """The file appears with its tables in it, so that an empty one is never ours. It holds
        addresses that may be private: nobody else reads it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex[:8]}")
        try:
            os.close(_private(new))
            _new(new).close()
            # Another process may have made one meanwhile, with an entry in it: neither a link nor
            # an exclusive opening takes its place, as a renaming would.
            with suppress(FileExistsError):
                try:
                    os.link(new, self.path)
                except FileExistsError:
                    raise
                except OSError:  # a file system without links
                    with os.fdopen(_private(self.path), "wb") as file:
                        file.write(new.read_bytes())
        finally:
            new.unlink(missing_ok=True)


def _private(path: Path) -> int:
    """A file descriptor of a new file that nobody else reads."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)


def _connection(path: str | Path, *, uri: bool = False) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, uri=uri)
    try:
        base.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
    except BaseException:
        base.close()
        raise
    return base


def _new(path: str | Path) -> sqlite3.Connection:
    """A database with a journal's tables, and nothing in them."""
    base = _connection(path)
    try:
        base.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
    except BaseException:
        base.close()
        raise
    return base


def _set_free(job: Job) -> str:
    """What is said of a task that a look-up gave to the wrong job."""
    kept = [output.path for output in job.outputs if output.path is not None]
    files = f", with {' and '.join(kept)}" if kept else ""
    return f"{job.service_id}, taken from the history for its task, is another{files}"


def _without_task(job: Job, error: str) -> Job:
    """The entry of a job whose task turned out to be another's. Its times stay: they say when it
    can have been sent."""
    changes = {"state": "unknown", "service_id": None, "status": None, "outputs": ()}
    return job.model_copy(update={**changes, "error": error})


def _refusal(job: Job) -> str:
    return (
        f"the same pair with the same parameters was submitted already, {job.summary()}; "
        f"`wan-prep wait {job.id}` waits for it; --resubmit pays for it a second time"
    )
