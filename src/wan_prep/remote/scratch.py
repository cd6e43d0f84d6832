"""A bounded folder for files by address, gone when it is closed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from wan_prep.addresses import suffix_of
from wan_prep.errors import SourceChanged
from wan_prep.profile import Profile, default_profile
from wan_prep.remote.sink import FetchLimits, Sink, no_room
from wan_prep.remote.sources import HTTP, RemotePolicy, is_remote, scheme_of, shown

_PREFIX = "wan-prep-remote-"
_LOCK = "in-use"
# Until then its owner may not have locked it yet.
_NEW_S = 60.0

Source = str | Path
Progress = Callable[[str, float], None]


def _quiet(_what: str, _share: float) -> None:
    return None


@dataclass(frozen=True)
class _Fetched:
    path: Path
    sha256: str


class Scratch:
    """Files by address, each fetched once and kept until the scratch is closed: as a context
    manager, or with `close`.

    Handed to several calls, it saves them fetching the same files again. Nothing is made on the
    disk until something is fetched. The folder lies in the system's temporary folder, for its owner
    alone (0700). What a killed process leaves behind, the next one removes.

    policy: what may be fetched.  profile: the limits; None is the default one.
    """

    def __init__(self, policy: RemotePolicy | None = None, profile: Profile | None = None) -> None:
        self._policy = policy or RemotePolicy()
        self._limits = _limits_of(profile or default_profile())
        self._known: dict[str, _Fetched] = {}
        self._used_bytes = 0
        self._folder: Path | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        self._known.clear()
        self._folder = None
        self._closing.close()

    def local(
        self, source: Source, *, sha256: str | None = None, progress: Progress = _quiet
    ) -> Source:
        """A path with the content of `source`: a path itself, untouched; an address fetched.

        sha256: hex, of what the address must hold, where that is known.

        Raises:
            FetchRefused: an address that may not be fetched. FetchFailed: one that cannot be.
            DependencyMissing: what fetches from there is not installed.
            SourceChanged: it holds something else than it did.
        """
        if not (isinstance(source, str) and is_remote(source)):
            return source
        if source not in self._known:
            progress(f"fetching {shown(source)}", 0.0)
            self._known[source] = self._fetched(source)
        found = self._known[source]
        if sha256 is not None and found.sha256 != sha256:
            raise SourceChanged(
                f"expected {shown(source)} as it was when it was looked at, found other content; "
                "check it again"
            )
        return found.path

    def _fetched(self, address: str) -> _Fetched:
        scheme, name = scheme_of(address), shown(address)
        left_bytes = self._limits.scratch_bytes - self._used_bytes
        try:
            path = self._place() / f"{len(self._known)}{suffix_of(address, '')}"
            with path.open("wb") as file, ExitStack() as unless_whole:
                unless_whole.callback(path.unlink)
                sink = Sink(file, name, self._limits, left_bytes)
                self._fetch(scheme, address, sink)
                unless_whole.pop_all()
        except OSError as exc:
            raise no_room(name, exc) from exc
        self._used_bytes += sink.size_bytes
        return _Fetched(path, sink.sha256)

    def _fetch(self, scheme: str, address: str, sink: Sink) -> None:
        if scheme in HTTP:
            from wan_prep.remote.http import fetch_http

            fetch_http(address, sink, self._policy, self._limits)
        else:
            from wan_prep.remote.stores import fetch_store

            fetch_store(address, sink, self._limits)

    def _place(self) -> Path:
        """The folder, made when it is first needed, and locked as long as it is."""
        if self._folder is None:
            from filelock import FileLock

            _remove_abandoned(Path(tempfile.gettempdir()))
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # What cannot be removed now, the next process removes.
            self._closing.callback(shutil.rmtree, folder, ignore_errors=True)
            lock = FileLock(folder / _LOCK)
            lock.acquire(timeout=0)
            self._closing.callback(lock.release)
            self._folder = folder
        return self._folder


def _remove_abandoned(base: Path) -> None:
    """Remove folders of this user whose process was killed."""
    from filelock import FileLock, Timeout

    for folder in base.glob(f"{_PREFIX}*"):
        lock = folder / _LOCK
        try:
            # Another user's folder cannot be entered; a link is nobody's scratch.
            if folder.is_symlink() or time.time() - lock.stat().st_mtime < _NEW_S:
                continue
            with FileLock(lock, timeout=0):
                pass
        except (OSError, Timeout):
            continue
        shutil.rmtree(folder, ignore_errors=True)


def _limits_of(profile: Profile) -> FetchLimits:
    limit = profile.remote.limit
    return FetchLimits(
        connect_s=limit("connect"),
        silence_s=limit("silence"),
        transfer_s=limit("transfer"),
        file_bytes=int(limit("file_max")),
        scratch_bytes=int(limit("scratch_max")),
        redirects=int(limit("redirects_max")),
    )


@contextmanager
def scratch_of(
    given: RemotePolicy | Scratch | None, profile: Profile | None = None
) -> Iterator[Scratch]:
    """The scratch that was handed over, which stays open; or one for this call alone."""
    if isinstance(given, Scratch):
        yield given
        return
    with Scratch(given, profile) as scratch:
        yield scratch


@contextmanager
def fetched(
    source: Source,
    policy: RemotePolicy | None = None,
    *,
    profile: Profile | None = None,
) -> Iterator[Source]:
    """A path with the content of one source, for as long as the block lasts; raises as
    `Scratch.local`."""
    with Scratch(policy, profile) as scratch:
        yield scratch.local(source)
