"""Files of results: whole lines, in order, taken up again, replaced by nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from wan_prep.errors import ManifestError
from wan_prep.pipelines.results import Results, read_results
from wan_prep.pipelines.rows import PairResult


def result(row: int, **fields: object) -> PairResult:
    return PairResult.model_validate(
        {"row": row, "status": "checked", "verdict": "ready", "score": 90.5, "codes": ("WP201",)}
        | {"key": f"k{row}"}
        | fields
    )


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_what_ended_in_any_order_is_written_in_the_order_asked_for(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    with Results(path) as kept:
        for row in (3, 1, 2):
            kept.add(result(row, id='é\n"', image=None, seed=row, report="{}"))
        assert not path.exists()
        kept.finish(lambda: (found for row in (1, 2, 3) if (found := kept.get(row))))
    assert list(read_results(path)) == [
        result(row, id='é\n"', image=None, seed=row, report="{}") for row in (1, 2, 3)
    ]
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_part_is_gone_on_with_but_for_the_line_that_was_not_finished(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Results(path) as kept:
        kept.add(result(2))
        kept.add(result(1))
    part = tmp_path / "r.jsonl.part"
    part.write_bytes(part.read_bytes() + b'{"schema_version":1,"row":3,"sta')
    with Results(path) as kept:
        assert kept.keys == {2: "k2", 1: "k1"}
        kept.add(result(3))
        assert [kept.get(row) for row in (1, 2, 3, 4)] == [result(1), result(2), result(3), None]


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_a_finished_file_is_gone_on_with(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [result(1), result(2, status="skipped", verdict=None), result(3, status="failed")]
    with Results(path) as kept:
        kept.finish(lambda: iter(rows))
    before = path.read_bytes()
    with Results(path) as kept:
        assert set(kept.keys) == {1, 3}
    # Nothing was lost by looking, and nothing is left.
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with Results(path, retry_failed=True) as kept:
        assert set(kept.keys) == {1}
    with Results(path, overwrite=True) as kept:
        assert kept.keys == {}


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text('{"my": "notes"}\n')
    with pytest.raises(ManifestError, match="holds no results of wan-prep batch"), Results(path):
        pass
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_text() == '{"my": "notes"}\n'


def test_results_have_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Results(path):
        other = Results(path)
        with pytest.raises(ManifestError, match="another batch is writing"):
            other.__enter__()
    with FileLock(tmp_path / ".r.jsonl.lock", timeout=0):
        pass


def test_only_known_kinds_of_files_are_written(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"ends in \.jsonl or \.parquet"):
        Results(tmp_path / "r.csv")
    with pytest.raises(ManifestError, match="cannot be written"), Results(tmp_path / "no/r.jsonl"):
        pass
