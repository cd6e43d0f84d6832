"""Callables over columns: what an engine for many rows calls in each of its workers.

Each takes a dict of columns (lists or arrays of one length) and returns a dict of lists. Each can
be pickled; the networks are loaded in the worker that first needs them, and stay loaded. A row that
goes wrong says so in its own cells and never raises.
"""

from __future__ import annotations

import gzip
import weakref
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from wan_prep.api.fixing import NormalizedPair, normalize, plan
from wan_prep.api.judging import check, observe, selection_of
from wan_prep.api.looking import Estimating, PathLike, PersonLike
from wan_prep.documents import written_path
from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.isolation import Workers
from wan_prep.pipelines.rows import PairResult, PairRow, echo, failed, judged
from wan_prep.planning.options import PlanOptions
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.remote.scratch import Scratch
from wan_prep.remote.sources import RemotePolicy, is_remote, shown

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike
    from wan_prep.cache.store import Cache
    from wan_prep.report.model import Report

Kind = Literal["image", "video"]
Columns = Mapping[str, Sequence[Any]]
EVIDENCE_KEPT = 64
"""Pieces of evidence that one worker holds in memory, those used last."""
_LOCKS = 64
"""Files are spread over so many locks: two that share one are looked at one after the other."""


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
        with nullcontext() if cache is None else _alone(cache, kind, path):
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


class _OverRows(ABC):
    """A callable over columns that works row by row, in this process or in one of its own.

    isolated: rows are worked on in a process beside this one, so that a crash in native code, or a
        row that takes longer than `time_limit_s`, costs that row alone.
    estimator: another pose network; it stays in this process, so it cannot be `isolated`.
    """

    def __init__(
        self,
        judging: Judging | None = None,
        *,
        isolated: bool = False,
        time_limit_s: float | None = None,
        estimator: PoseEstimator | None = None,
        **settings: Any,
    ) -> None:
        if judging is not None and settings:
            raise WanPrepError("give one object of settings, or settings by name, and not both")
        if time_limit_s is not None and not isolated:
            raise WanPrepError("a time limit needs isolated=True: only a process can be stopped")
        if isolated and estimator is not None:
            raise WanPrepError("an estimator of your own stays in this process: leave out isolated")
        self.looker = Looker(judging or Judging(**settings), estimator)
        self._isolated, self._time_limit_s = isolated, time_limit_s
        self._workers: Workers | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_workers": None}

    @property
    def judging(self) -> Judging:
        return self.looker.judging

    def __call__(self, columns: Columns) -> dict[str, list[Any]]:
        rows = [self.row(cells) for cells in _rows_of(columns)]
        return {name: [row[name] for row in rows] for name in self.names}

    def row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """One row; what goes wrong is in its cells."""
        try:
            return self._isolated_row(cells) if self._isolated else self._row(cells)
        except Exception as exc:  # one bad row never ends the others: it says what happened
            return self._failed(cells, exc)

    def _isolated_row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        if self._workers is None:
            inside = copy(self)
            inside._isolated = False
            memory_bytes = int(self.judging.figures.limit("worker_memory_max"))
            self._workers = Workers(1, inside.row, memory_bytes=memory_bytes)
        limit_s = self._time_limit_s or self.judging.figures.limit("task_time_max")
        waiting = self._workers.submit(dict(cells), time_limit_s=limit_s)
        try:
            answer: dict[str, Any] = waiting.result()
        except WanPrepError as exc:
            return self.given_up(cells, exc)
        return answer

    def given_up(self, cells: Mapping[str, Any], exc: WanPrepError) -> dict[str, Any]:
        """One row whose process gave no answer; `exc` says what became of that."""
        return self._failed(cells, type(exc)(f"{self._work_on(cells)} failed: {exc}"))

    def in_its_own_process(self, time_limit_s: float | None) -> Self:
        """The same, `isolated`."""
        same = copy(self)
        same._isolated, same._time_limit_s = True, time_limit_s
        return same

    def close(self) -> None:
        """End the process of its own, and let go of the networks."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None
        self.looker.close()

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The columns that come out."""

    @abstractmethod
    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]: ...

    @abstractmethod
    def _failed(self, cells: Mapping[str, Any], exc: Exception) -> dict[str, Any]: ...

    @abstractmethod
    def _work_on(self, cells: Mapping[str, Any]) -> str:
        """What is done with a row, in words."""


class ObserveFiles(_OverRows):
    """Columns `path` and `kind` (image or video) in; `path`, `kind`, `evidence`, `error_kind` and
    `error` out.

    evidence: bytes for the columns `image_evidence` and `video_evidence` of `CheckPairs`, which
        then opens no file. So each file of a table is looked at once, and the pairs are cheap.
    """

    names = ("path", "kind", "evidence", "error_kind", "error")

    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        kind = cells["kind"]
        if kind not in ("image", "video"):
            raise WanPrepError(f"kind {kind!r}: expected image or video")
        seen = self.looker.look(str(cells["path"]), kind)
        return self._answer(cells, evidence=bytes_of(seen))

    def _failed(self, cells: Mapping[str, Any], exc: Exception) -> dict[str, Any]:
        wrong = failed(exc)
        return self._answer(cells, error_kind=wrong["error_kind"], error=wrong["error"])

    def _work_on(self, cells: Mapping[str, Any]) -> str:
        return f"{shown(cells['path'])}: looking at this {cells['kind']}"

    def _answer(self, cells: Mapping[str, Any], **found: Any) -> dict[str, Any]:
        given = {"path": cells.get("path"), "kind": cells.get("kind")}
        return dict.fromkeys(self.names) | given | found


class CheckPairs(_OverRows):
    """Judge each row's pair.

    In: columns `image` and `video`, if wanted `mode`, `resolution`, `prompt`, `seed` and `id`, and
    `image_evidence` and `video_evidence` of `ObserveFiles`. Out: the columns of `PairResult`.

    Each worker looks at a file once, as long as it remembers it (the last 64). To look once at each
    file in all workers together, give a `cache` that they share, or the evidence.
    The settings are those of `wan_prep.check`, by name.
    """

    names = tuple(PairResult.model_fields)

    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        row = PairRow.of(cells)
        report = self._checked(row, cells)
        return self.result(
            cells, status="checked", **judged(report, with_report=self.judging.with_report)
        )

    def _checked(self, row: PairRow, cells: Mapping[str, Any]) -> Report:
        return check(
            self._evidence(row.image, cells.get("image_evidence"), "image"),
            self._evidence(row.video, cells.get("video_evidence"), "video"),
            mode=row.mode or self.judging.mode,
            resolution=row.resolution or self.judging.resolution,
            profile=self.judging.figures,
            select=self.judging.select,
            ignore=self.judging.ignore,
        )

    def _evidence(self, path: str, given: Any, kind: Kind) -> Evidence:
        if isinstance(given, bytes):
            return self.looker.unpacked(given)
        return self.looker.look(path, kind)

    def _failed(self, cells: Mapping[str, Any], exc: Exception) -> dict[str, Any]:
        return self.result(cells, **failed(exc))

    def _work_on(self, _cells: Mapping[str, Any]) -> str:
        return "working on this pair"

    def result(self, cells: Mapping[str, Any], **found: Any) -> dict[str, Any]:
        """The columns of one row: what it says, and what was found."""
        said = echo(cells, self.judging.mode, self.judging.resolution)
        return PairResult(**said | found).model_dump()


class FixPairs(CheckPairs):
    """Make each row's pair fit, in a folder of its own; columns as of `CheckPairs`.

    folder: where the folders are made. Each is named by the row's `id` where that is a plain name,
        else by the names of the files.
    options: as for `wan_prep.plan`.  overwrite: replace what stands in such a folder.

    A pair of which a file cannot be read is `failed`, with the verdict and the codes that say why.
    """

    def __init__(
        self,
        folder: PathLike,
        judging: Judging | None = None,
        *,
        options: PlanOptions | None = None,
        overwrite: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(judging, **settings)
        self.folder = Path(folder)
        self._options, self._overwrite = options, overwrite

    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        row = PairRow.of(cells)
        before = self._checked(row, cells)
        given = judged(before, with_report=self.judging.with_report)
        was = {"verdict_before": before.verdict, "score_before": before.score}
        try:
            pair = self._fixed(row, before)
        except WanPrepError as exc:
            return self.result(cells, **given, **was, **failed(exc))
        after = judged(pair.after, with_report=self.judging.with_report)
        return self.result(
            cells, status="fixed", folder=written_path(str(pair.folder)), **was, **after
        )

    def _fixed(self, row: PairRow, before: Report) -> NormalizedPair:
        figures, network = self.judging.figures, self.looker.estimator
        with Scratch(self.judging.remote, figures) as remote:
            made = plan(
                before,
                self._options,
                video=row.video,
                profile=figures,
                estimator=network,
                remote=remote,
            )
            return normalize(
                made,
                self.folder / row.folder_name,
                image=row.image,
                video=row.video,
                overwrite=self._overwrite,
                profile=figures,
                estimator=network,
                remote=remote,
            )


# ---- evidence on its way from one process to another


def bytes_of(seen: Evidence) -> bytes:
    """Evidence as compressed JSON; nothing that is unpickled travels between workers."""
    return gzip.compress(seen.model_dump_json().encode(), compresslevel=1, mtime=0)


def evidence_of(given: bytes) -> Evidence:
    """Raises WanPrepError: these bytes are not what `bytes_of` made."""
    try:
        return Evidence.model_validate_json(gzip.decompress(given))
    except (OSError, EOFError, ValueError) as exc:
        raise WanPrepError("the evidence of this row is damaged; observe its files again") from exc


def _rows_of(columns: Columns) -> Iterator[dict[str, Any]]:
    """Raises WanPrepError: the columns differ in length."""
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise WanPrepError(f"columns of one length expected, found lengths {sorted(lengths)}")
    lists = {name: _as_list(column) for name, column in columns.items()}
    for k in range(lengths.pop() if lengths else 0):
        yield {name: values[k] for name, values in lists.items()}


def _as_list(column: Sequence[Any]) -> list[Any]:
    """Plain values: arrays of numpy, pandas and Arrow have types of their own."""
    for name in ("to_pylist", "tolist"):
        plain = getattr(column, name, None)
        if plain is not None:
            values: list[Any] = plain()
            return values
    return list(column)


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


@contextmanager
def _alone(cache: Cache, kind: Kind, path: str) -> Iterator[None]:
    """No other process that uses this cache looks at the file meanwhile."""
    from filelock import FileLock

    from wan_prep.home import make_private

    try:
        named = str(Path(path).resolve())
    except (OSError, ValueError):
        named = path
    number = int(sha256(f"{kind} {named}".encode("utf-8", "replace")).hexdigest(), 16) % _LOCKS
    lock = FileLock(cache.folder / "locks" / f"{number:02d}.lock")
    try:
        make_private(cache.folder / "locks")
        lock.acquire()
    except OSError:  # the cache cannot be used, as it says itself when it is asked
        yield
        return
    try:
        yield
    finally:
        lock.release()
