"""What was seen in files, kept on disk, so that no file is looked at twice.

Evidence is found by everything that it depends on (`EvidenceKey`): the content of the file, not its
path. Each piece is one compressed file; an SQLite index beside them knows when each was last used
and how large it is. The files are the truth: the index is made again from them where it is
damaged, and what is damaged among them is removed and looked at again. Any number of processes and
threads may use one cache at once.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import re
import sqlite3
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache as computed_once
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from wan_prep.errors import CacheError
from wan_prep.evidence import Evidence, ModelId
from wan_prep.home import home_folder, make_private
from wan_prep.media.files import sha256_of
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.pose.mediapipe import networks_beside
from wan_prep.profile import Profile
from wan_prep.writing import written_whole

OBSERVING_VERSION = 1
"""Raise me when what is seen in a file changes: evidence from before is then looked at again."""
OBSERVING_LIMITS = (
    "image_pixels_max",
    "still_drift_max",
    "still_min",
    "still_neighbour_max",
    "still_redrawn_max",
)
"""The limits of the profile that observing reads."""
OBSERVING_LIBRARIES = (
    *("av", "mediapipe", "numpy", "onnxruntime", "opencv-python"),
    *("pillow", "pillow-heif", "scenedetect"),
)
"""What decodes, measures and recognises; another release may see something else."""

DEFAULT_SIZE_BYTES = 2_000_000_000
FOLDER_NAME = "cache"
INDEX_NAME = "index.sqlite3"
EVIDENCE_FOLDER = "evidence"
HASHES_MOST = 100_000
"""Hashes of files that are remembered; those noted longest ago go first."""
SETTLED_NS = 2_000_000_000
"""A file that changed less than this before it was read might change again without another time
stamp (some file systems count in two seconds): its hash is not remembered."""
ABANDONED_S = 3600
"""A file being written is left over from a run that was killed when it is older than this."""
_FORMAT = 1
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
_SUFFIX = ".json.gz"
_SCRATCH = re.compile(r"\.[0-9a-f]{32}\.tmp(-wal|-shm|-journal)?")

Warn = Callable[[str], None]


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)


# ---- what evidence depends on


@dataclass(frozen=True)
class EvidenceKey:
    """Everything that the evidence of one file depends on.

    sha256: hex, of the file's content.  suffix: of a video's name, in lower case, because decoders
    go by it where the content leaves a doubt.  start, end: the part that counts, in s.
    networks: hex SHA-256 of the networks beside the pose model.
    """

    kind: Literal["image", "video"]
    sha256: str
    suffix: str
    start: Fraction
    end: Fraction | None
    person: PersonChoice
    pose_model: ModelId
    networks: tuple[str, ...]
    limits: tuple[tuple[str, float], ...]
    libraries: tuple[tuple[str, str], ...]
    version: int

    @classmethod
    def of(
        cls,
        path: Path,
        sha256: str,
        kind: Literal["image", "video"],
        estimator: PoseEstimator,
        profile: Profile,
        *,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        person: PersonChoice = LARGEST,
    ) -> EvidenceKey:
        """The key of this file, looked at like this."""
        return cls(
            kind=kind,
            sha256=sha256,
            suffix=path.suffix.lower() if kind == "video" else "",
            start=start,
            end=end,
            person=person,
            pose_model=ModelId(name=estimator.name, sha256=estimator.sha256),
            networks=_networks_beside(),
            limits=tuple((name, profile.limit(name)) for name in OBSERVING_LIMITS),
            libraries=_libraries(),
            version=OBSERVING_VERSION,
        )

    @cached_property
    def document(self) -> dict[str, Any]:
        """The key as it is written beside the evidence."""
        return {
            "version": self.version,
            "kind": self.kind,
            "sha256": self.sha256,
            "suffix": self.suffix,
            "start": str(self.start),
            "end": None if self.end is None else str(self.end),
            "person": str(self.person),
            "pose_model": self.pose_model.model_dump(),
            "networks": list(self.networks),
            "limits": dict(self.limits),
            "libraries": dict(self.libraries),
        }

    @cached_property
    def name(self) -> str:
        """Under which the evidence is kept: 64 hex digits."""
        return _name_of(self.document)


def _name_of(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


@computed_once
def _networks_beside() -> tuple[str, ...]:
    return tuple(sha256_of(path) for path in networks_beside())


@computed_once
def _libraries() -> tuple[tuple[str, str], ...]:
    found = [("platform", f"{platform.system()} {platform.machine()}")]
    for name in OBSERVING_LIBRARIES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append((name, "unknown"))
    return tuple(found)


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
                packed = place.read_bytes()
            except FileNotFoundError:
                return None
            seen = _unpacked(packed, key.document)
            if seen is None:
                place.unlink(missing_ok=True)
                with self._writing() as index:
                    index.execute("DELETE FROM evidence WHERE name = ?", (key.name,))
                return None
            # What cannot be noted has been found all the same.
            with self._or_warned(), self._writing() as index:
                self._note(index, key.name, len(packed))
            return seen
        return None

    def put(self, key: EvidenceKey, seen: Evidence) -> None:
        """Keep this evidence, and let go what was used longest ago until all of it has room.

        Evidence of a file that cannot be read is not kept, nor is one larger than the cache.
        """
        if seen.info is None or seen.defects:
            return
        packed = _packed(key.document, seen)
        if len(packed) > self.size_bytes:
            return
        place = self._place(key.name)
        with self._or_warned(), self._writing() as index:
            # Under the index's lock, so that what is let go is never what is being written.
            make_private(place.parent)
            with written_whole(place) as scratch:
                _write_private(scratch, packed)
            self._note(index, key.name, len(packed))
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
                for folder in self._evidence.glob("[0-9a-f][0-9a-f]"):
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
                state = _state_of(path)
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

    def _place(self, name: str) -> Path:
        return self._evidence / name[:2] / f"{name}{_SUFFIX}"

    def _entries(self) -> list[Path]:
        """The files of evidence; others are none of ours."""
        found = self._evidence.glob(f"[0-9a-f][0-9a-f]/*{_SUFFIX}")
        return [p for p in found if _NAME.fullmatch(p.name.removesuffix(_SUFFIX))]

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
                name, state = path.name.removesuffix(_SUFFIX), path.stat()
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


# ---- one entry: two lines of JSON, compressed


def _packed(key: dict[str, Any], seen: Evidence) -> bytes:
    """The evidence without the path of its file, below a line that says what it is."""
    body = _at(seen, "").model_dump_json().encode()
    head = {"format": _FORMAT, "key": key, "sha256": hashlib.sha256(body).hexdigest()}
    text = json.dumps(head, sort_keys=True).encode() + b"\n" + body
    return gzip.compress(text, compresslevel=6, mtime=0)


def _unpacked(packed: bytes, key: dict[str, Any] | None = None) -> Evidence | None:
    """The evidence of an entry; None where it is damaged, or that of another key."""
    try:
        head, body = _parts(packed)
        if key is not None and head["key"] != key:
            return None
        return Evidence.model_validate_json(body)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None


def _parts(packed: bytes) -> tuple[dict[str, Any], bytes]:
    """Head and body of an entry whose body is whole; raises as gzip and JSON do, and ValueError."""
    head, _, body = gzip.decompress(packed).partition(b"\n")
    said = json.loads(head)
    if said["format"] != _FORMAT or said["sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("damaged, or of another format")
    return said, body


def _state_of(path: Path) -> Literal["good", "outdated", "damaged"] | None:
    """None where the file is gone."""
    try:
        head, body = _parts(path.read_bytes())
        key = head["key"]
        if path.name != f"{_name_of(key)}{_SUFFIX}":
            return "damaged"
        is_current = (
            key["version"] == OBSERVING_VERSION
            and key["networks"] == list(_networks_beside())
            and key["libraries"] == dict(_libraries())
        )
        if is_current:
            Evidence.model_validate_json(body)
    except FileNotFoundError:
        return None
    except (EOFError, zlib.error, ValueError, KeyError, TypeError, gzip.BadGzipFile):
        return "damaged"
    return "good" if is_current else "outdated"


def _at(seen: Evidence, path: str | Path) -> Evidence:
    """The same evidence of a file at this path."""
    shown = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    info = seen.info and seen.info.model_copy(update={"path": str(Path(path)) if path else ""})
    return seen.model_copy(update={"path": shown, "info": info})


# ---- for whoever looks at files


@dataclass(frozen=True)
class Recalled:
    """What a cache knows of a file, before anybody looks at it.

    evidence: None where it is not known; the file is then looked at, and `kept` told.
    """

    evidence: Evidence | None = None
    cache: Cache | None = None
    key: EvidenceKey | None = None

    def kept(self, seen: Evidence) -> Evidence:
        """The same evidence, kept for next time."""
        # A file that was changed while it was looked at is not what its key says.
        if self.cache and self.key and seen.info and seen.info.sha256 == self.key.sha256:
            self.cache.put(self.key, seen)
        return seen


def recall(
    cache: Cache | None,
    path: str | Path,
    kind: Literal["image", "video"],
    estimator: PoseEstimator,
    profile: Profile,
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    person: PersonChoice = LARGEST,
) -> Recalled:
    """What `cache` knows of the file at `path`, looked at like this. Nothing is decoded."""
    if cache is None:
        return Recalled()
    try:
        sha256 = cache.sha256(Path(path))
    except OSError:  # whoever looks at the file says what is wrong with it
        return Recalled()
    key = EvidenceKey.of(
        Path(path), sha256, kind, estimator, profile, start=start, end=end, person=person
    )
    known = cache.get(key)
    return Recalled(None if known is None else _at(known, path), cache, key)
