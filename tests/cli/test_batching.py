"""`batch` on the command line: what is asked for, what is printed, how it ends and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from wan_prep import pipelines
from wan_prep.cli import batching, run
from wan_prep.pipelines.batch import BatchProgress, BatchSummary

Capture = pytest.CaptureFixture[str]
FIXTURES = Path(__file__).parents[2] / "fixtures"


def summary(**fields: Any) -> BatchSummary:
    given = {
        "results": Path("r.jsonl"),
        "total": 1234,
        "known": 0,
        "counts": {"ready": 1000, "risky": 200, "failed": 34},
        "codes": {"WP201": 150, "WP301": 7},
        "usd_low": Decimal("250.00"),
        "usd_high": Decimal("312.50"),
        "is_all_good": False,
    }
    return BatchSummary(**given | fields)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let `batch` end with a summary; what it was asked, and the answer to change."""
    asked: dict[str, Any] = {"answer": summary()}

    def run_batch(manifest: Any, videos: Any, **options: Any) -> BatchSummary:
        asked.update(options, manifest=manifest, videos=videos)
        answer: BatchSummary = asked["answer"]
        return answer

    monkeypatch.setattr(pipelines, "run_batch", run_batch)
    return asked


def test_what_is_asked_for(asked: dict[str, Any]) -> None:
    line = (
        "batch heroes dances -o r.parquet --fix out --workers 3 --time-limit 20 --budget $50.5 "
        "--engine ray --address head:6379 --mode replace --person left --pad blur --overwrite "
        "--retry-failed --with-reports --no-cache"
    )
    run(line.split())
    assert (asked["manifest"], asked["videos"]) == ("heroes", "dances")
    assert (asked["results"], asked["fix"], asked["workers"]) == ("r.parquet", "out", 3)
    assert (asked["time_limit_s"], asked["budget_usd"]) == (20, Decimal("50.5"))
    assert (asked["engine"], asked["address"]) == ("ray", "head:6379")
    assert asked["options"].pad == "blur"
    assert asked["overwrite"] is asked["retry_failed"] is True
    how = asked["judging"]
    assert (how.mode, str(how.image_person), how.with_report, how.cache) == (
        "replace",
        "left",
        True,
        None,
    )


def test_the_answer_in_words(asked: dict[str, Any], capsys: Capture) -> None:
    asked["answer"] = summary(known=10, ignored=("promt",), unmatched=("a/\x1b[1m.png",))
    assert run(["batch", "t.csv", "-o", "r.jsonl"]) == 1
    out, err = capsys.readouterr()
    assert out == (
        "1,200 of 1,234 pairs can be submitted\n"
        "  1,000  ready   can be submitted\n"
        "    200  risky   can be submitted, and may come out badly\n"
        "     34  failed  could not be worked on: see error in the results\n"
        "\n"
        "Found most often\n"
        "  150  WP201  aspect-mismatch\n"
        "    7  WP301  zoom-mismatch\n"
        "\n"
        "Submitting what is ready (1,000 pairs) costs $250.00 to $312.50.\n"
        "10 rows had a result before.\n"
        "Results: r.jsonl\n"
    )
    assert err == (
        "wan-prep: columns that mean nothing here: promt\n"
        "wan-prep: no partner of the same name: a/\\x1b[1m.png\n"
    )


def test_the_answer_for_programs(asked: dict[str, Any], capsys: Capture) -> None:
    run(["batch", "t.csv", "-o", "r.jsonl", "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"ready": 1000, "risky": 200, "failed": 34}
    assert (document["usd_low"], document["usd_high"]) == (250.0, 312.5)
    run(["batch", "t.csv", "-o", "r.jsonl", "-q"])
    assert capsys.readouterr().out == "1000 ready 200 risky 34 failed\n"


@pytest.mark.parametrize(
    ("counts", "is_all_good", "options", "code"),
    [
        ({"ready": 3}, True, [], 0),
        ({"ready": 3, "risky": 1}, True, [], 0),
        ({"ready": 3, "risky": 1}, True, ["--strict"], 1),
        ({"ready": 3, "skipped": 1}, False, [], 1),
    ],
)
def test_how_it_ends(
    asked: dict[str, Any], counts: Any, is_all_good: bool, options: list[str], code: int
) -> None:
    asked["answer"] = summary(counts=counts, is_all_good=is_all_good)
    assert run(["batch", "t.csv", "-o", "r.jsonl", *options]) == code


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("t.csv", "give a file with -o"),
        ("t.csv -o r.jsonl --address x", "--address is for --engine ray"),
        ("t.csv -o r.jsonl --budget lots", "lots"),
        ("t.csv -o r.csv", "ends in .jsonl or .parquet"),
        ("none.csv -o r.jsonl", "none.csv: no such file"),
        ("t.csv -o r.jsonl --workers 0", "--workers"),
    ],
)
def test_mistakes_are_one_line(line: str, said: str, one_line: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,video\na.png,b.mp4\n")
    assert run(["batch", *line.split()]) == 2
    assert said in one_line()


def test_how_far_it_is() -> None:
    def far(done: int, now: int, elapsed_s: float) -> str:
        return batching._how_far(BatchProgress(done, 1000), now, elapsed_s)

    assert far(0, 0, 0.0) == "0 of 1,000 pairs"
    assert far(400, 0, 12.0) == "400 of 1,000 pairs"  # all from earlier runs
    assert far(500, 100, 20.0) == "500 of 1,000 pairs, 300 a minute, 2 min left"
    assert far(10, 1, 60.0) == "10 of 1,000 pairs, 1.0 a minute, 16.5 h left"
    assert far(999, 999, 99.9) == "999 of 1,000 pairs, 600 a minute, 0 s left"


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
def test_killed_in_the_middle_and_gone_on_with(tmp_path: Path) -> None:
    image, video = FIXTURES / "reference.png", FIXTURES / "driving.mp4"
    rows = [
        {"image": str(image), "video": str(video), "mode": mode, "id": f"{k}"}
        for k in range(10)
        for mode in ("animate", "replace")
    ]
    rows[7]["video"] = str(tmp_path / "none.mp4")
    manifest = tmp_path / "t.jsonl"
    manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = [sys.executable, "-m", "wan_prep", "batch", str(manifest), "--workers", "1", "-o"]

    part = tmp_path / "r.jsonl.part"
    running = subprocess.Popen([*command, "r.jsonl"], start_new_session=True)
    try:
        while not part.exists() or part.read_bytes().count(b"\n") < 3:
            with suppress(subprocess.TimeoutExpired):
                running.wait(0.05)
                break
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert not (tmp_path / "r.jsonl").exists()
    kept = part.read_bytes().count(b"\n")
    assert kept < len(rows)

    for name in ("r.jsonl", "whole.jsonl"):
        ran = subprocess.run([*command, name, "--format", "json"], capture_output=True, check=False)
        assert ran.returncode == 1, ran.stderr
        document = json.loads(ran.stdout)
        assert document["known"] == (kept if name == "r.jsonl" else 0)
        assert document["counts"] == {"risky": 19, "failed": 1}
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert (tmp_path / "r.jsonl").read_bytes() == whole
    assert [json.loads(line)["row"] for line in whole.splitlines()] == list(range(1, 21))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.jsonl", "t.jsonl", "whole.jsonl"]
