"""What one worker looks at files with: settings, networks loaded once, and what it saw last."""

from __future__ import annotations

import gzip
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wan_prep.api.judging import observe, selection_of
from wan_prep.api.looking import Estimating, Kind, PathLike, PersonLike
from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.remote.sources import RemotePolicy, is_remote

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike

EVIDENCE_KEPT = 64
"""Pieces of evidence that one worker holds in memory, those used last."""


@dataclass(frozen=True)
class Judging:
    """How the rows of a table are judged; see `wan_prep.check` for what each of these says.

    with_report: whether a result holds the whole report as JSON.

    Raises WanPrepError: a setting that cannot be.
    """

    mode: Mode = "animate"
    resolution: Resolution = "480p"
    image_person: PersonLike | None = None
    video_person: PersonLike | None = None
    profile: Profile | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    pose_model: PathLike | None = None
    cache: CacheLike | None = None
    remote: RemotePolicy | None = None
    with_report: bool = True

    def __post_init__(self) -> None:
        selection_of(self.mode, self.resolution, self.select, self.ignore)
        for person in (self.image_person, self.video_person):
            PersonChoice.of(person)

    @property
    def figures(self) -> Profile:
        return self.profile or default_profile()

    def person(self, kind: Kind) -> PersonLike | None:
        return self.image_person if kind == "image" else self.video_person


def _nothing() -> None:
    return None


class Looker:
    """Looks at files for the rows of a table, with networks that are loaded once.

    Pickled without what it has loaded: another process loads its own.
    estimator: another pose network; it stays in this process.
    """

    def __init__(self, judging: Judging, estimator: PoseEstimator | None = None) -> None:
        self.judging = judging
        self._given = estimator
        self._start_empty()

    def _start_empty(self) -> None:
        self._closing: Callable[[], object] = _nothing
        self._network: PoseEstimator | None = None
        self._seen: OrderedDict[Any, Evidence] = OrderedDict()

    def __getstate__(self) -> Judging:
        return self.judging

    def __setstate__(self, judging: Judging) -> None:
        self.judging, self._given = judging, None
        self._start_empty()

    @property
    def estimator(self) -> PoseEstimator:
        if self._network is None:
            own = Estimating(self._given, self.judging.pose_model, needed=True)
            self._network = own.__enter__()
            # Also when the process ends: MediaPipe complains when it is taken apart unclosed.
            self._closing = weakref.finalize(self, own.__exit__, None, None, None)
        return self._network

    def look(self, path: str, kind: Kind) -> Evidence:
        """What is seen in a file; one of the last that were seen here is not looked at again.

        With a cache, whoever wants a file that another process is looking at waits for it.
        """
        from wan_prep.cache.store import Cache

        as_it_is = _identity(path)
        known = None if as_it_is is None else self._seen.get((kind, as_it_is))
        if known is not None:
            return self._remembered((kind, as_it_is), known)
        cache = Cache.of(self.judging.cache)
        with nullcontext() if cache is None else cache.alone(f"{kind} {_named(path)}"):
            seen = observe(
                path,
                kind=kind,
                person=self.judging.person(kind),
                profile=self.judging.figures,
                estimator=self.estimator,
                cache=cache,
                remote=self.judging.remote,
            )
        return seen if as_it_is is None else self._remembered((kind, as_it_is), seen)

    def unpacked(self, given: bytes) -> Evidence:
        """Evidence that came along with a row. Raises WanPrepError: it is damaged."""
        return self._remembered(given, self._seen.get(given) or evidence_of(given))

    def _remembered(self, key: Any, seen: Evidence) -> Evidence:
        self._seen[key] = seen
        self._seen.move_to_end(key)
        while len(self._seen) > EVIDENCE_KEPT:
            self._seen.popitem(last=False)
        return seen

    def close(self) -> None:
        self._closing()
        self._start_empty()


def bytes_of(seen: Evidence) -> bytes:
    """Evidence as compressed JSON; nothing that is unpickled travels between workers."""
    return gzip.compress(seen.model_dump_json().encode(), compresslevel=1, mtime=0)


def evidence_of(given: bytes) -> Evidence:
    """Raises WanPrepError: these bytes are not what `bytes_of` made."""
    try:
        return Evidence.model_validate_json(gzip.decompress(given))
    except (OSError, EOFError, ValueError) as exc:
        raise WanPrepError("the evidence of this row is damaged; observe its files again") from exc


def _named(path: str) -> str:
    """One name for a file, however its path is spelled."""
    try:
        return str(Path(path).resolve())
    except (OSError, ValueError):
        return path


def _identity(path: str) -> tuple[str, int, int, int, int] | str | None:
    """Changes when the file does; None where there is none. An address is taken to hold the same
    as long as a worker remembers it."""
    if is_remote(path):
        return path
    try:
        state = Path(path).stat()
    except (OSError, ValueError):
        return None
    return path, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
