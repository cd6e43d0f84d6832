"""Damaged files and documents, the same ones every time; more by benchmarks/hostile.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile import documents, mutations
from hostile.looking import Crashes, Look, looked_at
from wan_prep.isolation import Workers

pytestmark = [pytest.mark.media, pytest.mark.slow]

SEED = 15
CASES = 500
CASES_OF_OURS = 60
# Of one small file; a hang has no end.
TIME_LIMIT_S = 60
GROWN_MB_MAX = 500
CORPUS = Path(__file__).parent / "corpus"
# Damaged beside what is needed; all others are refused.
READABLE = ("entry_missing.mp4",)
FOUND = sorted(path for path in CORPUS.iterdir() if path.name != "README.md")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with Workers(1, Look(str(tmp_path_factory.mktemp("scratch")))) as worker:
        yield worker


def test_damaged_files_end_with_an_answer(worker: Workers, tmp_path: Path) -> None:
    """No crash, no hang, no traceback, and nothing stays behind."""
    seeds = mutations.made_seeds(tmp_path)
    kinds: Counter[str] = Counter()
    for number in range(CASES):
        case = mutations.case(seeds, SEED, number)
        path = tmp_path / f"case{case.seed.suffix}"
        path.write_bytes(case.content)
        looked = looked_at(worker, case.seed.role, path, TIME_LIMIT_S)
        assert not looked.is_lost, (number, case.way, case.seed.name, looked)
        assert looked.grown_mb < GROWN_MB_MAX, (number, case.way, case.seed.name, looked)
        if looked.kind != "seen":
            code = "WP101" if case.seed.role == "image" else "WP102"
            assert looked.codes[code] == "error"
        kinds[looked.kind] += 1
    # The cases are neither all alike to a reader nor all refused at the door.
    assert kinds["seen"] > CASES // 5
    assert len(kinds) >= 6


def test_a_case_is_the_same_every_time(tmp_path: Path) -> None:
    seeds = [mutations.Seed("a.png", "image", bytes(range(256)) * 8)]
    first = [mutations.case(seeds, 1, k).content for k in range(50)]
    assert [mutations.case(seeds, 1, k).content for k in range(50)] == first
    assert [mutations.case(seeds, 2, k).content for k in range(50)] != first


def test_a_crash_is_counted_and_costs_no_other_case(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    with Workers(1, Crashes(str(tmp_path / "scratch"))) as workers:
        (tmp_path / "scratch").mkdir()
        assert looked_at(workers, "video", path, TIME_LIMIT_S).kind == "crash"
        assert looked_at(workers, "image", path, TIME_LIMIT_S).kind == "not_media"


def test_documents_of_ours_end_with_an_answer(tmp_path: Path) -> None:
    for target in documents.targets(tmp_path):
        assert documents.outcome(target, target.example) == "", target.name
        ends = Counter(
            documents.outcome(target, documents.case(target, SEED, k)) for k in range(CASES_OF_OURS)
        )
        assert set(ends) <= {"", "refused"}, target.name


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_once_went_wrong_goes_well(path: Path, worker: Workers, tmp_path: Path) -> None:
    content = path.read_bytes()
    for target in documents.targets(tmp_path) if path.suffix in (".toml", ".gz") else ():
        if target.name.endswith(path.suffix) or target.name == "cache entry":
            assert documents.outcome(target, content) in ("", "refused")
    if path.suffix in (".mp4", ".png"):
        looked = looked_at(worker, "video", path, TIME_LIMIT_S)
        assert not looked.is_lost, looked
        assert looked.kind != "seen" or path.name in READABLE
        assert looked.grown_mb < GROWN_MB_MAX


def test_the_corpus_says_what_each_file_did() -> None:
    said = (CORPUS / "README.md").read_text("utf-8")
    assert FOUND
    assert all(f"`{path.name}`" in said for path in FOUND)
