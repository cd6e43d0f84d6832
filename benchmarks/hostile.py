"""Hostile files by the thousand: what was tried, what survived, what was lost.

    python benchmarks/hostile.py [--cases 20000] [--seed 15] [--workers 2] [--keep FOLDER]

Every file is looked at and judged as `check` does, in worker processes, with an estimator that
sees nobody: it is the reading of files that is tried, not the networks. A case is lost where the
process crashes, where it takes longer than the limit, where anything but a finding comes out, where
a file that must be refused is not, or where a temporary file, a thread, an open file or a socket
stays behind. Exit code 1 if any is. The files are made by tests/hostile, the same for one seed;
small ones of ../shared/data/robustness are changed as well where that folder is there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from _media import DATA, ROOT

sys.path.insert(0, str(ROOT / "tests"))
from hostile import documents, mutations
from hostile.bombs import BOMBS, Bomb
from hostile.looking import Look, Looked, Nobody, looked_at
from hostile.reaching import LURES, NAMES, Bait, Lure, inside
from wan_prep import api
from wan_prep.isolation import Workers

TIME_LIMIT_S = 60.0
GROWN_MB_MAX = 500.0
SEED_BYTES_MAX = 200_000


@dataclass
class Row:
    """One class of fault."""

    name: str
    tried: int = 0
    refused: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    most_mb: float = 0.0

    @property
    def lost(self) -> int:
        return sum(self.ways.values())

    def add(self, looked: Looked, lost: str) -> None:
        self.tried += 1
        self.refused += looked.kind != "seen"
        self.slowest_s = max(self.slowest_s, looked.seconds)
        self.most_mb = max(self.most_mb, looked.grown_mb)
        if lost:
            self.ways[lost] += 1

    def line(self) -> str:
        ways = ", ".join(f"{count} {way}" for way, count in self.ways.items())
        return (
            f"{self.name:34}{self.tried:7}{self.tried - self.lost:10}{self.lost:6}"
            f"{self.refused:9}{self.slowest_s:9.1f}{self.most_mb:9.0f}  {ways}"
        )


HEAD = (
    f"{'class of fault':34}{'cases':>7}{'survived':>10}{'lost':>6}{'refused':>9}"
    f"{'slowest':>9}{'most MB':>9}"
)


def lost_by(looked: Looked) -> str:
    """How a case was lost; nothing where it was not."""
    if looked.kind in ("crash", "hang", "traceback"):
        return looked.kind
    if looked.left:
        return "leftover"
    return "memory" if looked.grown_mb > GROWN_MB_MAX else ""


class Table:
    """The rows, printed as they are done, and the cases that were lost."""

    def __init__(self, keep: Path | None) -> None:
        self.rows: list[Row] = []
        self.keep = keep
        print(HEAD, flush=True)

    def done(self, row: Row) -> None:
        self.rows.append(row)
        print(row.line(), flush=True)

    def lose(self, path: Path, name: str, looked: Looked) -> None:
        said = " ".join(looked.said.split())[-300:]
        left = ", ".join(looked.left)
        print(f"  lost: {name}: {looked.kind} {said} {left}", file=sys.stderr, flush=True)
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / name.replace("/", "_")).write_bytes(path.read_bytes())


def bombs(table: Table, workers: Workers, folder: Path) -> None:
    row = Row("asks for too much")
    for bomb in BOMBS:
        path = folder / bomb.name
        bomb.make(path)
        looked = looked_at(workers, bomb.role, path, TIME_LIMIT_S)
        lost = lost_by(looked) or ("let through" if _is_let_through(bomb, looked) else "")
        row.add(looked, lost)
        if lost:
            table.lose(path, f"{bomb.role}-{bomb.name}", looked)
        path.unlink()
    table.done(row)


def _is_let_through(bomb: Bomb, looked: Looked) -> bool:
    return bomb.is_refused and looked.kind == "seen"


def lures(table: Table, folder: Path) -> None:
    """In this process, because the watch is here."""
    row = Row("names other files or addresses")
    with Bait(folder) as bait, inside(folder):
        for lure in LURES:
            path = folder / lure.name
            lure.make(path, bait)
            bait.bitten()
            looked = _seen_here(lure, path)
            bitten = bait.bitten()
            lost = "opened" if bitten else "let through" if _is_wrong(lure, looked) else ""
            row.add(looked, lost)
            if lost:
                table.lose(path, lure.name, looked)
    table.done(row)


def _seen_here(lure: Lure, path: Path) -> Looked:
    seen = api.observe(path, kind=lure.role, estimator=Nobody())
    defect = next(iter(seen.defects), None)
    return Looked("seen" if defect is None else defect.kind)


def _is_wrong(lure: Lure, looked: Looked) -> bool:
    return lure.is_read != (looked.kind == "seen")


def names(table: Table, workers: Workers, folder: Path) -> None:
    row = Row("names that mean something else")
    content = (ROOT / "fixtures" / "reference.png").read_bytes()
    for name in NAMES:
        path = folder / name
        path.write_bytes(content)
        looked = looked_at(workers, "image", path, TIME_LIMIT_S)
        lost = lost_by(looked) or ("refused" if looked.kind != "seen" else "")
        row.add(looked, lost)
        if lost:
            table.lose(path, name, looked)
    table.done(row)


def mutated(
    table: Table, workers: Workers, count: int, folder: Path, options: argparse.Namespace
) -> None:
    seeds = [
        *mutations.made_seeds(folder),
        *mutations.files_in(DATA / "robustness", SEED_BYTES_MAX),
    ]
    rows = {way: Row(f"damaged: {way}") for way in mutations.WAYS}
    cases = (mutations.case(seeds, options.seed, k) for k in range(options.cases))
    for case, path, looked in _in_turn(cases, workers, count, folder):
        lost = lost_by(looked)
        rows[case.way].add(looked, lost)
        if lost:
            table.lose(path, f"{options.seed}-{case.number}-{case.seed.name}", looked)
        path.unlink()
    for row in rows.values():
        table.done(row)


def _in_turn(
    cases: Iterable[mutations.Case], workers: Workers, count: int, folder: Path
) -> Iterator[tuple[mutations.Case, Path, Looked]]:
    """Each case with its file and what came of it; few files are there at once."""

    def look(case: mutations.Case) -> tuple[mutations.Case, Path, Looked]:
        path = folder / f"{case.number}{case.seed.suffix}"
        path.write_bytes(case.content)
        return case, path, looked_at(workers, case.seed.role, path, TIME_LIMIT_S)

    coming = iter(cases)
    with ThreadPoolExecutor(count) as threads:
        running: set[Future[tuple[mutations.Case, Path, Looked]]] = {
            threads.submit(look, case) for case in islice(coming, 2 * count)
        }
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield future.result()
            running |= {threads.submit(look, case) for case in islice(coming, len(ended))}


def written(table: Table, folder: Path, options: argparse.Namespace) -> None:
    """Files that are ours to parse, made wrong."""
    for target in documents.targets(folder):
        row = Row(f"our own: {target.name}")
        for number in range(max(1, options.cases // 20)):
            content = documents.case(target, options.seed, number)
            said = documents.outcome(target, content)
            row.add(Looked("seen" if said in ("", None) else "refused"), "")
            if said is not None and said.startswith("traceback"):
                row.ways["traceback"] += 1
                print(f"  lost: {target.name} {number}: {said}", file=sys.stderr, flush=True)
                if options.keep is not None:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{target.name}-{number}").write_bytes(content)
        table.done(row)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000, help="damaged files; default 20000")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--workers", type=int, default=2, help="processes; default 2")
    parser.add_argument("--keep", type=Path, help="a folder for the files of lost cases")
    parser.add_argument("--json", type=Path, help="a file for the table")
    options = parser.parse_args()
    table = Table(options.keep)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rooms = {part: folder / part for part in ("bombs", "lures", "names", "cases", "own")}
        scratch = folder / "scratch"
        for path in (*rooms.values(), scratch):
            path.mkdir()
        with Workers(1, Look(str(scratch))) as one:
            bombs(table, one, rooms["bombs"])
            lures(table, rooms["lures"])
            names(table, one, rooms["names"])
        # The scratch folder of each process has to be empty, so each has its own.
        with Workers(options.workers, partial(_look_apart, str(scratch))) as several:
            mutated(table, several, options.workers, rooms["cases"], options)
        written(table, rooms["own"], options)
    lost = sum(row.lost for row in table.rows)
    tried = sum(row.tried for row in table.rows)
    print(f"{tried} cases, {lost} lost")
    if options.json is not None:
        rows = [vars(row) | {"lost": row.lost} for row in table.rows]
        options.json.write_text(json.dumps(rows, indent=1), "utf-8")
    return 1 if lost else 0


def _look_apart(scratch: str, task: tuple[str, str]) -> Looked:
    import os

    own = Path(scratch) / str(os.getpid())
    own.mkdir(exist_ok=True)
    return Look(str(own))(task)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
