"""The engine for a cluster: blocks of rows through Ray Data, the only importer of Ray.

Of each block first the files that are not known are looked at, then its pairs are worked on, each
through `map_batches` with a pool of actors. A block is as much as is ever handed to Ray, so memory
does not grow with the manifest.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import site
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from wan_prep.errors import DependencyMissing, WanPrepError
from wan_prep.isolation import cores
from wan_prep.parquet import load_pyarrow
from wan_prep.pipelines.columns import CheckPairs, ObserveFiles
from wan_prep.pipelines.known import FileKey, KnownFile, KnownFiles, NumberedRow, with_evidence

ROWS_PER_WORKER = 128
"""Of a block: half a dozen seconds of work a worker where all files are known, minutes where they
are not, against the seconds in which two pools of actors start."""
ROWS_MOST = 2_000
"""Of a block: the program holds the evidence of its files."""
RESTARTS = 3
"""Of an actor whose node is lost. Ray's own default is to go on for ever."""
CALLS_WAITING = 2
"""For each actor: one that is worked on, and one so that it does not wait for the next."""

Task = dict[str, Any]


def run_on_ray(
    rows: Iterable[NumberedRow],
    pairs: CheckPairs,
    *,
    workers: int | None = None,
    time_limit_s: float | None = None,
    address: str | None = None,
) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """The number and the result of each row, in the order in which they end, block by block.

    workers: actors; None for one a CPU of the cluster.  time_limit_s: for looking at one file, and
        for working on one pair whose files were looked at.
    address: of a cluster that runs, `auto` for the one this machine belongs to; None for one on
        this machine, which is started and ended. Its nodes need wan-prep, and find every file, and
        every folder that is written to, under the names they have here: on shared storage.

    Raises:
        DependencyMissing: no Ray.
        WanPrepError: the cluster cannot be reached, has no CPU, or lost its nodes again and again.
    """
    ray = _load_ray(address)
    pairs = pairs.in_its_own_process(time_limit_s)
    files = ObserveFiles(pairs.judging).in_its_own_process(time_limit_s)
    files.looker = pairs.looker
    known = KnownFiles()
    coming = iter(rows)
    with _cluster(ray, address, workers) as home:
        pool = _Pool.fitting(ray, workers, home)
        while block := list(islice(coming, min(pool.size * ROWS_PER_WORKER, ROWS_MOST))):
            seen = _looked_at(block, files, known, pool)
            tasks = []
            for row in block:
                cells, wrong = with_evidence(row, seen)
                if wrong is not None:
                    yield row.number, pairs.result(cells, **wrong)
                else:
                    tasks.append((row.number, cells))
            yield from pool.answers(pairs, tasks)


def _looked_at(
    block: list[NumberedRow], files: ObserveFiles, known: KnownFiles, pool: _Pool
) -> dict[FileKey, KnownFile]:
    """What is known of every file of a block."""
    named = list(dict.fromkeys(file for row in block for file in row.files))
    found = {file: known.get(file) for file in named}
    new = [k for k, file in enumerate(named) if found[file] is None]
    tasks = [(k, {"kind": named[k][0], "path": named[k][1]}) for k in new]
    seen = {file: it for file, it in found.items() if it is not None}
    for k, answer in pool.answers(files, tasks):
        seen[named[k]] = known.note(named[k], answer)
    return seen


# ---------------------------------------------------------------- Ray


@dataclass(frozen=True)
class _Pool:
    """As many actors as the cluster has room for.

    cpus: of one actor. Where there are to be more actors than CPUs, each takes a part of one, so
    that all of them find room. Nothing else here needs a CPU: rows come from this program, and no
    task reads them. With tasks that read, actors that hold every CPU wait for ever for their first
    row.
    """

    ray: Any
    size: int
    cpus: float
    home: str | None
    """Of actors on this machine; None for that of each node."""

    @classmethod
    def fitting(cls, ray: Any, workers: int | None, home: str | None) -> _Pool:
        there = float(ray.cluster_resources().get("CPU", 0.0))
        if there <= 0:
            raise WanPrepError("this Ray cluster has no CPU: add a node that has, then go on")
        size = workers or max(1, int(there))
        return cls(ray, size, min(1.0, int(1000 * there / size) / 1000), home)

    def answers(
        self, function: ObserveFiles | CheckPairs, tasks: list[tuple[int, Task]]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """What the function's `row` makes of each task, by its number, in the order they end."""
        if not tasks:
            return
        ray = self.ray
        rows = ray.data.from_arrow([_table([_sent(*task)]) for task in tasks])
        rows.context.enable_progress_bars = False
        rows.context.print_on_execution_start = False
        # A row may take as long as it may; what hangs is ended by its own limit.
        rows.context.execution_no_progress_timeout_s = -1
        size = min(self.size, len(tasks))
        pool = ray.data.ActorPoolStrategy(
            min_size=1,
            max_size=size,
            initial_size=size,
            max_tasks_in_flight_per_actor=CALLS_WAITING,
        )
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            # The two bounds have no other place; see pyproject.toml for how long they stay.
            answers = rows.map_batches(
                _Calling,
                fn_constructor_args=(function, str(Path.cwd()), self.home),
                compute=pool,
                batch_size=1,
                batch_format="pyarrow",
                num_cpus=self.cpus,
                max_restarts=RESTARTS,
                max_task_retries=RESTARTS,
            )
        failures = (ray.exceptions.RayError, ray.data.exceptions.SystemException)
        try:
            for table in answers.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for answer in table.to_pylist():
                    yield _received(answer)
        except failures as exc:
            raise WanPrepError(
                f"Ray gave the work up ({type(exc).__name__}: {_first_line(exc)}); what is done is "
                "kept, and the same command goes on"
            ) from exc


class _Calling:
    """In each actor: a callable that works in a process beside it."""

    def __init__(self, function: ObserveFiles | CheckPairs, folder: str, home: str | None) -> None:
        with suppress(OSError):  # relative paths are of where the program runs
            os.chdir(folder)
        if home is not None:
            os.environ["HOME"] = home
        self._row: Callable[[Task], dict[str, Any]] = function.row

    def __call__(self, table: Any) -> Any:
        received = [_received(row) for row in table.to_pylist()]
        return _table([_sent(number, self._row(cells)) for number, cells in received])


_BYTES = ("evidence", "image_evidence", "video_evidence")


def _sent(number: int, cells: Task) -> Task:
    """A row for Arrow. As JSON, because names of files need not be UTF-8, nor seeds 64 bits."""
    seen = {name: value for name, value in cells.items() if isinstance(value, bytes)}
    said = {name: value for name, value in cells.items() if name not in seen}
    return {"number": number, "cells": json.dumps(said)} | seen


def _received(row: Task) -> tuple[int, Task]:
    cells: Task = json.loads(row["cells"])
    seen = {name: row[name] for name in _BYTES if row[name] is not None}
    return row["number"], cells | seen


def _table(rows: list[Task]) -> Any:
    pyarrow, _ = load_pyarrow()
    kinds = {"number": pyarrow.int64(), "cells": pyarrow.large_string()}
    kinds |= dict.fromkeys(_BYTES, pyarrow.large_binary())
    return pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(list(kinds.items())))


@contextmanager
def _cluster(ray: Any, address: str | None, workers: int | None) -> Iterator[str | None]:
    """A cluster to work on, and the home folder that its actors are to have.

    One that is started here is ended, and leaves no file behind.
    """
    if ray.is_initialized():  # whoever uses Ray already in this process wants that cluster
        yield None
        return
    if address is not None:
        try:
            _join(ray, address)
            yield None
        finally:
            ray.shutdown()
        return
    folder = Path(tempfile.mkdtemp(prefix="wan-prep-", dir=_SHORT if _SHORT.is_dir() else None))
    # Ray's head process asks the machine's cloud where it runs, even if it may not report it,
    # unless a file in the home folder says so: it gets a home with that file. Where packages of the
    # user lie follows from the home, too; actors get theirs back.
    (folder / "ray_bootstrap_config.yaml").write_text("{}")
    try:
        with _environment(HOME=str(folder), PYTHONUSERBASE=site.getuserbase()):
            _join(
                ray,
                "local",
                num_cpus=workers or cores(),
                include_dashboard=False,
                _temp_dir=str(folder),
            )
        yield os.environ.get("HOME")
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(**changes: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _join(ray: Any, address: str, **settings: Any) -> None:
    """Raises WanPrepError: there is no such cluster."""
    try:
        host, _, port = address.rpartition(":")
        if host and port.isdigit():  # Ray itself tries for minutes, and says so on stderr
            socket.create_connection((host, int(port)), timeout=_ANSWERS_S).close()
        # Notices, as of a call that ended with its actor, go to stdout, which is for results.
        ray._private.worker.print_to_stdstream = _print_nothing
        with _without_note_on_log_level():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **settings)
    except (OSError, RuntimeError, ValueError) as exc:
        raise WanPrepError(f"no Ray cluster at {address}: {_first_line(exc)}") from exc


def _print_nothing(*_: Any, **__: Any) -> None:
    pass


@contextmanager
def _without_note_on_log_level() -> Iterator[None]:
    """Ray's native code says on stderr that it will say nothing there; the rest is passed on."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
            said.seek(0)
            others = [line for line in said if b"RAY_BACKEND_LOG_LEVEL" not in line]
            os.write(2, b"".join(others))


_ANSWERS_S = 10.0
_SHORT = Path("/tmp")
"""The names of Ray's sockets must stay below a hundred characters, which other places exceed."""


def _load_ray(address: str | None) -> Any:
    """`ray`, quiet. Raises DependencyMissing: it is not installed."""
    # Before the import: what it reports about its use would leave the machine.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if address is None:
        # Then its ports are open to this machine alone, as they are on those two systems.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
        import ray.data
    except ImportError as exc:
        raise DependencyMissing("--engine ray needs Ray: pip install 'wan-prep[ray]'") from exc
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return ray


def _first_line(exc: BaseException) -> str:
    return next(iter(str(exc).splitlines()), type(exc).__name__)
