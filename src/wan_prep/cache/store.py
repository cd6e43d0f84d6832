"""What was seen in files, kept on disk, so that no file is looked at twice.

Evidence is found by everything that it depends on (`EvidenceKey`): the content of the file, not its
path. Each piece is one compressed file; an SQLite index beside them knows when each was last used
and how large it is. The files are the truth: the index is made again from them where it is
damaged, and what is damaged among them is removed and looked at again. Any number of processes and
threads may use one cache at once.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from wan_prep.cache.entry import SUFFIX, packed, state_of, unpacked
from wan_prep.cache.key import EvidenceKey
from wan_prep.errors import CacheError
from wan_prep.evidence import Evidence
from wan_prep.home import home_folder, make_private
from wan_prep.media.files import sha256_of
from wan_prep.writing import written_whole

DEFAULT_SIZE_BYTES = 2_000_000_000
FOLDER_NAME = "cache"
INDEX_NAME = "index.sqlite3"
LOCKS_FOLDER = "locks"
EVIDENCE_FOLDER = "evidence"
HASHES_MOST = 100_000
"""Hashes of files that are remembered; those noted longest ago go first."""
SETTLED_NS = 2_000_000_000
"""A file that changed less than this before it was read might change again without another time
stamp (some file systems count in two seconds): its hash is not remembered."""
ABANDONED_S = 3600
"""A file being written is left over from a run that was killed when it is older than this."""
_LOCKS = 64
"""Names are spread over so many locks: of two that share one, the second waits."""
_INDEX_VERSION = 1
_BUSY_S = 10.0
_TABLES = """
CREATE TABLE evidence (name TEXT PRIMARY KEY, size INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE INDEX evidence_by_use ON evidence (used);
CREATE TABLE hashes (file TEXT PRIMARY KEY, sha256 TEXT NOT NULL, used INTEGER NOT NULL);
CREATE INDEX hashes_by_use ON hashes (used);
"""
_TABLE_NAMES = {"evidence", "hashes"}
_NAME = re.compile(r"[0-9a-f]{64}")
_SCRATCH = re.compile(r"\.[0-9a-f]{32}\.tmp(-wal|-shm|-journal)?")

Warn = Callable[[str], None]


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)


# ---- what is told of a cache


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds; sizes are those of the files of evidence."""

    folder: Path
    entries: int
    size_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class CacheCheck:
    """What `Cache.verify` found: all entries, read again.

    good: whole.  outdated: of an older wan-prep, another one's, or of other libraries than those
    installed here; whole, and found by nobody here.  damaged: removed.  leftover: files that a
    killed run left, removed.
    """

    good: int
    outdated: int
    damaged: int
    leftover: int


# ---- the cache


class Cache:
    """Evidence kept in a folder.

    folder: None for `cache` below WAN_PREP_HOME, or below the system's place for such data.
    size_bytes: what the files of evidence may take together; those used longest ago go first.
    warn: called once, with what is wrong, where the folder cannot be used; files are then looked at
        as if there were no cache.  A RuntimeWarning unless told.
    now_ns: the clock, in ns.

    Raises CacheError: a size below 0.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        size_bytes: int = DEFAULT_SIZE_BYTES,
        warn: Warn = _warn,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if size_bytes < 0:
            raise CacheError(f"a cache of {size_bytes} bytes: expected 0 or more")
        self.folder = home_folder() / FOLDER_NAME if folder is None else Path(folder)
        self.size_bytes = size_bytes
        self._warn, self._now_ns = warn, now_ns
        self._has_warned = False

    @classmethod
    def of(cls, given: Cache | str | Path | None) -> Cache | None:
        """A cache as the library's functions are given one: itself, its folder, or none."""
        if given is None or isinstance(given, Cache):
            return given
        return cls(given)

    # -------------------------------------------------------------- evidence

    def get(self, key: EvidenceKey) -> Evidence | None:
        """The evidence of this key, without a path in it; None where it is not here.

        What is damaged is removed, and is not here.
        """
        place = self._place(key.name)
        with self._or_warned():
            try:
                content = place.read_bytes()
            except FileNotFoundError:
                return None
            seen = unpacked(content, key.document)
            if seen is None:
                place.unlink(missing_ok=True)
                with self._writing() as index:
                    index.execute("DELETE FROM evidence WHERE name = ?", (key.name,))
                return None
            # What cannot be noted has been found all the same.
            with self._or_warned(), self._writing() as index:
                self._note(index, key.name, len(content))
            return seen
        return None

    def put(self, key: EvidenceKey, seen: Evidence) -> None:
        """Keep this evidence, and let go what was used longest ago until all of it has room.

        Evidence of a file that cannot be read is not kept, nor is one larger than the cache.
        """
        if seen.info is None or seen.defects:
            return
        content = packed(key.document, seen)
        if len(content) > self.size_bytes:
            return
        place = self._place(key.name)
        with self._or_warned(), self._writing() as index:
            # Under the index's lock, so that what is let go is never what is being written.
            make_private(place.parent)
            with written_whole(place) as scratch:
                _write_private(scratch, content)
            self._note(index, key.name, len(content))
            self._make_room(index)

    def sha256(self, path: Path) -> str:
        """Hex SHA-256 of a file's content, remembered as long as the file stays as it is.

        As it is: by device, inode, size, and the times of its last change.

        Raises OSError: it cannot be read.
        """
        before = path.stat()
        file = _identity(before)
        with self._or_warned(), self._reading() as index:
            if index is not None:
                row = index.execute("SELECT sha256 FROM hashes WHERE file = ?", (file,)).fetchone()
                if row is not None:
                    return str(row[0])
        read_at = self._now_ns()
        found = sha256_of(path)
        changed_at = max(before.st_mtime_ns, before.st_ctime_ns)
        if changed_at + SETTLED_NS < read_at and _identity(path.stat()) == file:
            with self._or_warned(), self._writing() as index:
                index.execute(
                    "INSERT OR REPLACE INTO hashes VALUES (?, ?, "
                    "(SELECT ifnull(max(used), 0) + 1 FROM hashes))",
                    (file, found),
                )
                index.execute(
                    "DELETE FROM hashes WHERE used <= (SELECT max(used) FROM hashes) - ?",
                    (HASHES_MOST,),
                )
        return found

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Within it no other process that uses this cache is within its own of the same name: so
        that one of them looks at a file, and the others find it here.

        Where the folder cannot be used nobody waits.
        """
        number = int(hashlib.sha256(name.encode("utf-8", "replace")).hexdigest(), 16) % _LOCKS
        lock = FileLock(self._locks / f"{number:02d}.lock")
        try:
            make_private(self._locks)
            lock.acquire()
        except OSError:
            yield
            return
        try:
            yield
        finally:
            lock.release()

    # -------------------------------------------------------------- care

    def info(self) -> CacheInfo:
        """What is kept. Raises CacheError: the folder cannot be used."""
        with self._reading() as index:
            count, size = (0, 0) if index is None else _totals(index)
        return CacheInfo(self.folder, count, size, self.size_bytes)

    def clear(self) -> CacheInfo:
        """Remove everything that this cache wrote, and nothing else; returns what there was.

        Raises CacheError: the folder cannot be used.
        """
        with self._mapped():
            if not self._index.exists() and not self._evidence.exists():
                return CacheInfo(self.folder, 0, 0, self.size_bytes)
            with self._writing() as index:
                held = CacheInfo(self.folder, *_totals(index), self.size_bytes)
                for path in (*self._entries(), *self._scratch_files(older_than_s=ABANDONED_S)):
                    path.unlink(missing_ok=True)
                index.execute("DELETE FROM evidence")
                index.execute("DELETE FROM hashes")
                for path in self._locks.glob("[0-9][0-9].lock"):
                    path.unlink(missing_ok=True)  # whoever waits for one notices
                for folder in (self._locks, *self._evidence.glob("[0-9a-f][0-9a-f]")):
                    with suppress(OSError):  # something else lies in it
                        folder.rmdir()
        return held

    def verify(self) -> CacheCheck:
        """Read everything again, remove what is damaged, and count anew what there is.

        Raises CacheError: the folder cannot be used.
        """
        found = {"good": 0, "outdated": 0, "damaged": 0}
        leftover = 0
        with self._mapped():
            if not self._index.exists() and not self._evidence.exists():
                return CacheCheck(0, 0, 0, 0)
            if not self._is_sound():
                self._discard_index()
            for path in self._entries():
                state = state_of(path)
                if state is None:  # let go by another process meanwhile
                    continue
                found[state] += 1
                if state == "damaged":
                    path.unlink(missing_ok=True)
            for path in self._scratch_files(older_than_s=ABANDONED_S):
                path.unlink(missing_ok=True)
                leftover += 1
            with self._writing() as index:
                self._count_anew(index)
                self._make_room(index)
        return CacheCheck(**found, leftover=leftover)

    # -------------------------------------------------------------- files

    @property
    def _index(self) -> Path:
        return self.folder / INDEX_NAME

    @property
    def _evidence(self) -> Path:
        return self.folder / EVIDENCE_FOLDER

    @property
    def _locks(self) -> Path:
        return self.folder / LOCKS_FOLDER

    def _place(self, name: str) -> Path:
        return self._evidence / name[:2] / f"{name}{SUFFIX}"

    def _entries(self) -> list[Path]:
        """The files of evidence; others are none of ours."""
        found = self._evidence.glob(f"[0-9a-f][0-9a-f]/*{SUFFIX}")
        return [p for p in found if _NAME.fullmatch(p.name.removesuffix(SUFFIX))]

    def _scratch_files(self, *, older_than_s: float) -> list[Path]:
        """What runs that were killed left; younger files may be being written."""
        latest_ns = self._now_ns() - int(older_than_s * 1e9)
        found = []
        for folder in (self.folder, *self._evidence.glob("[0-9a-f][0-9a-f]")):
            for path in folder.glob(".*.tmp*"):
                with suppress(FileNotFoundError):
                    if _SCRATCH.fullmatch(path.name) and path.stat().st_mtime_ns < latest_ns:
                        found.append(path)
        return found

    # -------------------------------------------------------------- the index

    @staticmethod
    def _note(index: sqlite3.Connection, name: str, size: int) -> None:
        """An entry of this size (bytes) was used just now. Uses are counted: clocks may be set."""
        index.execute(
            "INSERT OR REPLACE INTO evidence VALUES (?, ?, "
            "(SELECT ifnull(max(used), 0) + 1 FROM evidence))",
            (name, size),
        )

    def _make_room(self, index: sqlite3.Connection) -> None:
        """Let go what was used longest ago, until the rest takes no more than it may."""
        excess = _totals(index)[1] - self.size_bytes
        while excess > 0:
            query = "SELECT name, size FROM evidence ORDER BY used LIMIT 1"
            name, size = index.execute(query).fetchone()
            if _NAME.fullmatch(name):  # whatever somebody wrote into the index
                self._place(name).unlink(missing_ok=True)
            index.execute("DELETE FROM evidence WHERE name = ?", (name,))
            excess -= size

    def _count_anew(self, index: sqlite3.Connection) -> None:
        """Let the index hold the files there are, in the order it knew, strangers first by age."""
        used = dict(index.execute("SELECT name, used FROM evidence").fetchall())
        found = []
        for path in self._entries():
            with suppress(FileNotFoundError):
                name, state = path.name.removesuffix(SUFFIX), path.stat()
                found.append((used.get(name, 0), state.st_mtime_ns, name, state.st_size))
        index.execute("DELETE FROM evidence")
        for _, _, name, size in sorted(found):
            self._note(index, name, size)

    @contextmanager
    def _or_warned(self) -> Iterator[None]:
        """What goes wrong inside is told once; then it is as if there were no cache."""
        try:
            with self._mapped():
                yield
        except CacheError as exc:
            if _is_damage(exc.__cause__):  # nothing to tell: it is made again when next needed
                with suppress(OSError, Timeout):
                    self._discard_index()
            elif not self._has_warned:
                self._has_warned = True
                self._warn(f"{exc}; files are looked at without it")

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, Timeout) as exc:
            reason = (isinstance(exc, OSError) and exc.strerror) or exc
            raise CacheError(
                f"{self.folder}: the cache of evidence cannot be used ({reason}); make room, mend "
                "its permissions, name another folder with --cache DIR, or do without: --no-cache"
            ) from exc

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """The index; None where nothing was kept yet, and nothing is made."""
        with self._mapped():
            if not self._index.exists() and not self._evidence.exists():
                yield None
                return
            with closing(self._connected()) as index:
                yield index

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else can write beside, from its beginning on."""
        with self._mapped(), closing(self._connected()) as index:
            index.execute("BEGIN IMMEDIATE")
            try:
                yield index
            except BaseException:
                index.rollback()
                raise
            index.commit()

    def _connected(self) -> sqlite3.Connection:
        """A connection to the index; a missing or damaged one is made again from the files."""
        try:
            return self._opened()
        except FileNotFoundError:
            pass
        except sqlite3.DatabaseError as exc:
            if not _is_damage(exc):
                raise
        self._make()
        return self._opened()

    def _opened(self) -> sqlite3.Connection:
        """Raises FileNotFoundError: there is no index. sqlite3.DatabaseError: it is none of ours,
        or damaged."""
        if not self._index.exists():
            raise FileNotFoundError(self._index)
        # By default SQLite would make a missing file, or fill an empty one.
        uri = f"{self._index.absolute().as_uri()}?mode=rw"
        index = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
        try:
            index.execute("PRAGMA synchronous = NORMAL")
            _must_be_ours(index)
        except BaseException:
            index.close()
            raise
        return index

    def _make(self) -> None:
        """Make an index of the files there are. It is whole before it gets its name."""
        make_private(self.folder)
        with self._lock():
            with suppress(FileNotFoundError, sqlite3.DatabaseError):
                self._opened().close()
                return  # somebody else was quicker
            self._remove_index()
            with written_whole(self._index) as scratch:
                _write_private(scratch, b"")
                with closing(sqlite3.connect(scratch, isolation_level=None)) as index:
                    # Readers and a writer do not wait for each other.
                    index.execute("PRAGMA journal_mode = WAL")
                    index.executescript(
                        f"BEGIN; {_TABLES} PRAGMA user_version = {_INDEX_VERSION}; COMMIT;"
                    )
                    self._count_anew(index)

    def _is_sound(self) -> bool:
        """Whether all of the index can be read."""
        try:
            with closing(self._connected()) as index:
                return bool(index.execute("PRAGMA quick_check").fetchone()[0] == "ok")
        except sqlite3.DatabaseError as exc:
            if not _is_damage(exc):
                raise
            return False

    def _discard_index(self) -> None:
        with self._lock():
            self._remove_index()

    def _remove_index(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._index.with_name(INDEX_NAME + suffix).unlink(missing_ok=True)

    def _lock(self) -> FileLock:
        """Held by whoever makes or removes the index."""
        return FileLock(self.folder / f".{INDEX_NAME}.lock", timeout=_BUSY_S, mode=0o600)


def _is_damage(exc: BaseException | None) -> bool:
    """Of the index itself. Others (busy, read-only, no room) would be the same with a new one."""
    return isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError)


def _must_be_ours(index: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError: it is no index, or that of another version."""
    version = index.execute("PRAGMA user_version").fetchone()[0]
    rows = index.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    if version != _INDEX_VERSION or not {name for (name,) in rows} >= _TABLE_NAMES:
        raise sqlite3.DatabaseError("not an index of this wan-prep")


def _totals(index: sqlite3.Connection) -> tuple[int, int]:
    """How many entries there are, and their bytes."""
    row = index.execute("SELECT count(*), ifnull(sum(size), 0) FROM evidence").fetchone()
    return int(row[0]), int(row[1])


def _identity(state: os.stat_result) -> str:
    """What tells a file from itself changed. The inode's change cannot be set back like mtime."""
    return ":".join(
        str(value)
        for value in (
            *(state.st_dev, state.st_ino, state.st_size),
            *(state.st_mtime_ns, state.st_ctime_ns),
        )
    )


def _write_private(path: Path, content: bytes) -> None:
    """A new file that only its owner may read."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
