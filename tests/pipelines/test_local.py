"""The engine of one machine with real processes: each file once, no row lost to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripted import FailsToStart, ScriptedPairs
from wan_prep.errors import WanPrepError
from wan_prep.pipelines import known, local
from wan_prep.pipelines.known import NumberedRow
from wan_prep.pipelines.local import run_on_this_machine
from wan_prep.pipelines.looking import bytes_of

pytestmark = pytest.mark.slow

Ran = tuple[dict[int, dict[str, Any]], Counter[str]]
Run = Callable[..., Ran]


@pytest.fixture
def run(make: Any, tmp_path: Path) -> Run:
    """Work on rows (image, video, what is done with the pair) in two processes; the results by row,
    and how often each file was looked at."""

    def run(rows: list[tuple[str, str, str | None]], **options: Any) -> Ran:
        log = tmp_path / "log"
        log.touch()
        pairs = ScriptedPairs(bytes_of(make.image()), log)
        numbered = (
            NumberedRow(k, {"image": image, "video": video, "prompt": prompt, "id": str(k)})
            for k, (image, video, prompt) in enumerate(rows, 1)
        )
        found = dict(run_on_this_machine(numbered, pairs, workers=2, **options))
        return found, Counter(log.read_text().splitlines())

    return run


def test_each_file_is_looked_at_once(run: Run) -> None:
    rows = [(f"i{i}.png", f"v{v}.mp4", None) for i in range(6) for v in range(5)]
    found, looked_at = run(rows)
    assert sorted(found) == list(range(1, 31))
    assert {row["verdict"] for row in found.values()} == {"ready"}
    assert [found[k]["id"] for k in (1, 30)] == ["1", "30"]
    assert set(looked_at.values()) == {1}
    assert len(looked_at) == 6 + 5


def test_evidence_that_had_no_room_is_looked_for_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "REMEMBERED_BYTES", 1)
    monkeypatch.setattr(local, "AHEAD_PER_WORKER", 1)
    found, looked_at = run([("i.png", f"v{k % 3}.mp4", None) for k in range(12)])
    assert {row["verdict"] for row in found.values()} == {"ready"}
    assert sum(looked_at.values()) > 4


def test_a_file_that_kills_its_worker_costs_the_rows_that_name_it(run: Run) -> None:
    rows = [(f"i{k}.png", "crash.mp4" if k % 4 == 0 else f"v{k}.mp4", None) for k in range(20)]
    found, looked_at = run(rows)
    assert {k for k, row in found.items() if row["status"] == "failed"} == {1, 5, 9, 13, 17}
    assert looked_at["video crash.mp4"] == 1
    assert found[5]["error_kind"] == "WorkerDied"
    assert found[5]["error"] == (
        "crash.mp4: looking at this video failed: its process ended while at work (signal SIGSEGV)"
    )
    assert found[5]["image"] == "i4.png"


def test_what_goes_wrong_with_a_file_is_in_its_rows(run: Run) -> None:
    names = ["a", "hang", "refuse", "fault"]
    rows = [(f"{name}.png", f"v{k}.mp4", None) for k in range(2) for name in names]
    found, looked_at = run(rows, time_limit_s=3)
    kinds = [None, "TimeLimitReached", "InputPathError", "InternalError"]
    assert [found[k]["error_kind"] for k in range(1, 9)] == kinds * 2
    assert found[2]["error"] == (
        "hang.png: looking at this image failed: it took longer than 3 s and was given up"
    )
    assert found[3]["error"] == "there is no such file"
    assert found[4]["error"] == "ZeroDivisionError: division by zero"
    assert set(looked_at.values()) == {1}


def test_where_both_files_fail_the_image_is_named_whichever_failed_first(run: Run) -> None:
    """A batch that goes on gives the same file, so no result may hang on who was faster."""
    found, _ = run([("hang.png", "refuse.mp4", None)], time_limit_s=3)
    assert found[1]["error_kind"] == "TimeLimitReached"


def test_what_goes_wrong_with_a_pair_is_in_its_row(run: Run) -> None:
    prompts = [None, "crash", "exit", "garbage", "fault", None]
    found, _ = run([(f"i{k}.png", "v.mp4", prompt) for k, prompt in enumerate(prompts)])
    assert [found[k]["error_kind"] for k in range(1, 7)] == [
        None,
        "WorkerDied",
        "WorkerDied",
        "MediaUnreadable",
        "InternalError",
        None,
    ]
    assert found[2]["error"].startswith("working on this pair failed: its process ended")


def test_a_process_that_cannot_start_ends_the_work_and_is_no_rows_fault(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = ScriptedPairs(bytes_of(make.image()), tmp_path / "log")
    pairs.fails = FailsToStart()  # type: ignore[attr-defined]
    monkeypatch.setenv("WAN_PREP_SCRIPT", "die")
    rows = (NumberedRow(k, {"image": "i.png", "video": "v.mp4"}) for k in range(100))
    with pytest.raises(WanPrepError, match="could not start"):
        list(run_on_this_machine(rows, pairs, workers=2))


def test_rows_are_taken_as_they_are_needed(make: Any, tmp_path: Path) -> None:
    taken = []

    def rows() -> Any:
        for k in range(1, 1000):
            taken.append(k)
            yield NumberedRow(k, {"image": "i.png", "video": "v.mp4"})

    pairs = ScriptedPairs(bytes_of(make.image()), tmp_path / "log")
    answers = run_on_this_machine(rows(), pairs, workers=1)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(taken) <= 2 * local.AHEAD_PER_WORKER
