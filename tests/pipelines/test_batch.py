"""A manifest becomes results: each row once, whatever the engine does, and wherever it is stopped.

The engine is scripted here; `test_local` has the real one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wan_prep.errors import InputPathError, ManifestError, OutputExists, WanPrepError
from wan_prep.pipelines import BatchSummary, Judging, batch, run_batch
from wan_prep.pipelines.batch import BatchProgress
from wan_prep.pipelines.columns import CheckPairs
from wan_prep.pipelines.known import NumberedRow


class Engine:
    """Answers each row as its prompt says, in the order given by `order`; stops after `most`."""

    def __init__(self) -> None:
        self.worked_on: list[int] = []
        self.cells: list[dict[str, Any]] = []
        self.order = 1
        self.most: int | None = None
        self.pairs: CheckPairs | None = None

    def __call__(
        self, rows: Iterable[NumberedRow], pairs: CheckPairs, **_options: Any
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        self.pairs = pairs
        taken: list[NumberedRow] = []
        for row in rows:
            taken.append(row)
            if len(taken) == 4:  # a few rows are begun at once and end in another order
                yield from self._answers(taken, pairs)
                taken = []
        yield from self._answers(taken, pairs)

    def _answers(
        self, taken: list[NumberedRow], pairs: CheckPairs
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in taken[:: self.order]:
            if self.most is not None and len(self.worked_on) >= self.most:
                raise KeyboardInterrupt
            self.worked_on.append(row.number)
            self.cells.append(row.cells)
            verdict = row.cells["prompt"] or "ready"
            usd = 5.0 if row.cells["seed"] is None else float(row.cells["seed"])
            found = {"status": "checked", "verdict": verdict, "usd_low": 1.0, "usd_high": usd}
            if verdict == "failed":
                found = {"status": "failed", "error_kind": "WorkerDied", "error": "it died"}
            yield row.number, pairs.result(row.cells, **found)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(batch, "run_on_this_machine", made)
    return made


def table(path: Path, rows: Iterable[dict[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def pair(k: int, **cells: Any) -> dict[str, Any]:
    return {"image": f"i{k}.png", "video": f"v{k}.mp4", **cells}


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_row_is_one_line_in_order(tmp_path: Path, engine: Engine) -> None:
    rows: list[Any] = [pair(k) for k in range(1, 11)]
    rows[3] = "no json"
    rows[6] = {"image": "i.png", "mode": "replace", "id": 7}
    rows[8] = pair(9, prompt="failed")
    engine.order = -1
    told: list[BatchProgress] = []
    summary = run_batch(
        table(tmp_path / "t.jsonl", rows), results=tmp_path / "r.jsonl", progress=told.append
    )
    found = results(tmp_path / "r.jsonl")
    assert [line["row"] for line in found] == list(range(1, 11))
    assert found[0]["image"] == "i1.png"  # as the manifest names it
    assert {Path(cells["image"]).parent for cells in engine.cells} == {tmp_path}
    assert (found[3]["error_kind"], found[3]["error"]) == ("RowInvalid", "line 4 is not JSON")
    assert (found[6]["id"], found[6]["mode"], found[6]["error"]) == (
        "7",
        "replace",
        "video is missing",
    )
    assert summary.counts == {"ready": 7, "failed": 3}
    assert (summary.total, summary.known, summary.is_all_good) == (10, 0, False)
    assert (summary.usd_low, summary.usd_high) == (Decimal(7), Decimal(35))
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1] == BatchProgress(10, 10)


def test_a_stopped_batch_goes_on_and_ends_alike(tmp_path: Path, engine: Engine) -> None:
    rows = [pair(k, prompt="risky" if k % 3 else None) for k in range(1, 14)]
    manifest = table(tmp_path / "t.jsonl", rows)
    run_batch(manifest, results=tmp_path / "whole.jsonl")
    engine.worked_on.clear()
    for most, order in ((3, -1), (5, 1), (6, -1), (100, 1)):
        engine.most, engine.order = most, order
        try:
            summary = run_batch(manifest, results=tmp_path / "r.jsonl")
        except KeyboardInterrupt:
            assert not (tmp_path / "r.jsonl").exists()
    assert sorted(engine.worked_on) == list(range(1, 14))
    assert (tmp_path / "r.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert summary.known == 6


def test_a_finished_batch_has_nothing_to_do_and_grows_with_its_manifest(
    tmp_path: Path, engine: Engine
) -> None:
    manifest = table(tmp_path / "t.jsonl", [pair(1), pair(2, prompt="failed")])
    first = run_batch(manifest, results=tmp_path / "r.jsonl")
    before = (tmp_path / "r.jsonl").read_bytes()
    again = run_batch(manifest, results=tmp_path / "r.jsonl")
    assert (tmp_path / "r.jsonl").read_bytes() == before
    assert (first.counts, again.known) == (again.counts, 2)
    table(manifest, [pair(1), pair(2, prompt="failed"), pair(3)])
    run_batch(manifest, results=tmp_path / "r.jsonl")
    assert engine.worked_on == [1, 2, 3]
    run_batch(manifest, results=tmp_path / "r.jsonl", retry_failed=True)
    assert engine.worked_on == [1, 2, 3, 2]


@pytest.mark.parametrize(
    ("rows", "mode", "said"),
    [
        ([pair(1), pair(3)], "animate", "row 2 says other"),
        ([pair(1)], "animate", "it has a row 2, and the manifest ends before"),
        ([pair(1), pair(2)], "replace", "row 1 says other"),
    ],
)
def test_results_of_something_else_are_not_mixed(
    tmp_path: Path, engine: Engine, rows: list[Any], mode: Any, said: str
) -> None:
    manifest = table(tmp_path / "t.jsonl", [pair(1), pair(2)])
    run_batch(manifest, results=tmp_path / "r.jsonl")
    before = (tmp_path / "r.jsonl").read_bytes()
    table(manifest, rows)
    how = Judging(mode=mode, with_report=False)
    with pytest.raises(OutputExists, match=said):
        run_batch(manifest, results=tmp_path / "r.jsonl", judging=how)
    assert (tmp_path / "r.jsonl").read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.jsonl", "t.jsonl"]
    run_batch(manifest, results=tmp_path / "r.jsonl", judging=how, overwrite=True)
    assert len(results(tmp_path / "r.jsonl")) == len(rows)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("budget", "checked"),
    # Rows cost 5, 0 (risky), 5, 2, 5, 5. The first that does not fit ends it.
    [("0", 0), ("4.99", 0), ("5", 2), ("10", 3), ("12", 4), ("16.99", 4), ("22", 6), ("99", 6)],
)
def test_a_budget_is_held_in_the_order_of_the_manifest(
    tmp_path: Path, engine: Engine, budget: str, checked: int, order: int
) -> None:
    engine.order = order
    rows = [pair(1), pair(2, prompt="risky"), pair(3), pair(4, seed=2), pair(5), pair(6)]
    manifest = table(tmp_path / "t.jsonl", rows)
    summary = run_batch(manifest, results=tmp_path / "r.jsonl", budget_usd=Decimal(budget))
    found = [line["status"] for line in results(tmp_path / "r.jsonl")]
    assert found == ["checked"] * checked + ["skipped"] * (6 - checked)
    assert summary.usd_high <= Decimal(budget)
    assert summary.is_all_good == (checked == 6)


def test_a_larger_budget_goes_on(tmp_path: Path, engine: Engine) -> None:
    manifest = table(tmp_path / "t.jsonl", [pair(k) for k in range(1, 10)])
    run_batch(manifest, results=tmp_path / "r.jsonl", budget_usd=Decimal(10))
    begun = len(engine.worked_on)
    assert begun < 9  # nothing is begun any more
    run_batch(manifest, results=tmp_path / "r.jsonl", budget_usd=Decimal(1000))
    run_batch(manifest, results=tmp_path / "whole.jsonl")
    assert (tmp_path / "r.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_pairs_are_fixed_into_folders_of_their_own(tmp_path: Path, engine: Engine) -> None:
    manifest = table(tmp_path / "t.jsonl", [pair(1, id="a"), pair(2, id="a")])
    with pytest.raises(ManifestError, match="rows 1 and 2 would both be fixed into the folder a"):
        run_batch(manifest, results=tmp_path / "r.jsonl", fix=tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["t.jsonl"]
    # Without --fix an id need not be one row's alone.
    run_batch(manifest, results=tmp_path / "r.jsonl")


def test_what_a_stopped_batch_wrote_and_could_not_note_is_written_again(
    tmp_path: Path, engine: Engine
) -> None:
    manifest = table(tmp_path / "t.jsonl", [pair(1)])
    (tmp_path / "r.jsonl.part").touch()  # killed before its first row was noted
    for may_replace in (True, False):
        run_batch(manifest, results=tmp_path / "r.jsonl", fix=tmp_path / "out")
        assert engine.pairs is not None
        assert engine.pairs._overwrite is may_replace  # type: ignore[attr-defined]
        (tmp_path / "r.jsonl").unlink()


def test_inputs_are_not_replaced(tmp_path: Path, engine: Engine) -> None:
    manifest = table(tmp_path / "t.jsonl", [pair(1)])
    with pytest.raises(InputPathError, match="would replace the input"):
        run_batch(manifest, results=manifest, overwrite=True)
    with pytest.raises(WanPrepError, match="expected local or ray"):
        run_batch(manifest, results=tmp_path / "r.jsonl", engine="spark")  # type: ignore[arg-type]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.integers(0, 9), max_size=4),
    orders=st.lists(st.sampled_from([1, -1, 2]), min_size=5, max_size=5),
    budget=st.none() | st.integers(0, 40),
    kinds=st.lists(st.sampled_from([None, "risky", "not_ready", "failed"]), min_size=1, max_size=9),
)
def test_wherever_it_is_stopped_the_results_are_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    stops: list[int],
    orders: list[int],
    budget: int | None,
    kinds: list[str | None],
) -> None:
    tmp_path = tmp_path_factory.mktemp("batch")
    manifest = table(tmp_path / "t.jsonl", [pair(k, prompt=p) for k, p in enumerate(kinds)])

    def ran(engine: Engine, name: str) -> BatchSummary | None:
        monkeypatch.setattr(batch, "run_on_this_machine", engine)
        most = None if budget is None else Decimal(budget)
        try:
            return run_batch(manifest, results=tmp_path / name, budget_usd=most)
        except KeyboardInterrupt:
            return None

    whole = ran(Engine(), "whole.jsonl")
    for most, order in zip([*stops, None], orders, strict=False):
        engine = Engine()
        engine.most, engine.order = most, 1 if order == 2 else order
        ended = ran(engine, "r.jsonl")
    assert ended is not None
    assert whole is not None
    assert (tmp_path / "r.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert ended.counts == whole.counts
