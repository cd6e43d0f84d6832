"""The engine on Ray, against the engine of one machine.

Ray warns when it is imported, and a cluster takes seconds to start: so programs of their own run
it, one for everything that scripted rows show.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import DependencyMissing
from wan_prep.pipelines import Judging, run_batch
from wan_prep.pipelines.looking import bytes_of

FIXTURES = Path(__file__).parents[2] / "fixtures"
TESTS = Path(__file__).parents[1]
Done = subprocess.CompletedProcess[str]

HANGS_S = 280
"""Two actors that hold both CPUs of a cluster while a task is to read for them wait for ever; a
busy machine starts a cluster within a minute."""

SCRIPT = """
import json, sys
from pathlib import Path
import ray
from scripted import ScriptedPairs
from wan_prep.errors import WanPrepError
from wan_prep.pipelines import on_ray
from wan_prep.pipelines.known import NumberedRow
from wan_prep.pipelines.local import run_on_this_machine

folder = Path(sys.argv[1])
seen = (folder / "seen").read_bytes()
said = json.loads((folder / "rows.json").read_text())
rows = [NumberedRow(k, cells) for k, cells in enumerate(said, 1)]
found = {}

def ran(name, engine, rows, **options):
    log = folder / f"{name}.log"
    log.touch()
    found[name] = dict(engine(rows, ScriptedPairs(seen, log), time_limit_s=4, **options))

if __name__ == "__main__":
    ran("local", run_on_this_machine, rows, workers=2)
    try:
        next(on_ray.run_on_ray(rows, ScriptedPairs(seen, folder / "no.log"), address="127.0.0.1:1"))
    except WanPrepError as exc:
        found["nobody"] = str(exc)

    # A cluster of two CPUs that runs already is used, and left to its owner.
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40
    )
    on_ray.ROWS_PER_WORKER = 4
    ran("ray", on_ray.run_on_ray, rows, workers=2)
    ran("more workers than CPUs", on_ray.run_on_ray, rows[:3], workers=3)

    taken = []
    def coming():
        for row in rows:
            taken.append(row.number)
            yield row
    answers = on_ray.run_on_ray(
        coming(), ScriptedPairs(seen, folder / "early.log"), workers=1, time_limit_s=4
    )
    found["first"] = next(answers)[0]
    answers.close()
    found["taken"] = taken
    found["still there"] = ray.is_initialized()
    ray.shutdown()
    (folder / "found.json").write_text(json.dumps(found))  # Ray prints its notices to stdout
"""


def ray_environment(tmp_path: Path) -> dict[str, str]:
    paths = [str(TESTS), *sys.path]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "WAN_PREP_HOME": str(tmp_path / "h")}


def program(*arguments: str, tmp_path: Path, before: tuple[str, ...] = ()) -> Done:
    """A Python program that has ended; one that hangs is ended with all that it started."""
    with subprocess.Popen(
        [*before, sys.executable, *arguments],
        cwd=tmp_path,
        env=ray_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=HANGS_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Done(process.args, process.returncode, stdout, stderr)


@pytest.fixture(scope="module")
def ran(make: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both engines made of scripted rows, and what they looked at."""
    pytest.importorskip("ray", reason="Ray is not installed")
    folder = tmp_path_factory.mktemp("ray")
    (folder / "seen").write_bytes(bytes_of(make.image()))
    (folder / "rows.json").write_text(json.dumps(ROWS))
    (folder / "program.py").write_text(SCRIPT)
    done = program("program.py", str(folder), tmp_path=folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    for log in folder.glob("*.log"):
        found[log.name] = Counter(log.read_text("utf-8", "surrogateescape").splitlines())
    return found


def row(image: str, video: str, **cells: Any) -> dict[str, Any]:
    return {"image": f"{image}.png", "video": f"{video}.mp4", **cells}


ROWS = [
    *(row(f"i{k % 3}", f"v{k % 4}", id=str(k), seed=k) for k in range(8)),
    row("crash", "v0"),
    row("i0", "crash"),
    row("hang", "v1"),
    row("i1", "refuse"),
    row("hang", "refuse"),
    row("i2", "v2", prompt="crash"),
    row("i2", "v3", prompt="hang"),
    row("i2", "v3", prompt="fault"),
    row("i\udcff", "v1", seed=2**70, id="not UTF-8"),
    row("i0", "v1", id="last"),
]


@pytest.mark.slow
def test_both_engines_answer_alike(ran: dict[str, Any]) -> None:
    """Two workers on two CPUs, which hung for ever when rows were read by tasks."""
    assert sorted(map(int, ran["ray"])) == list(range(1, len(ROWS) + 1))
    assert ran["ray"] == ran["local"]


@pytest.mark.slow
def test_what_ends_its_worker_costs_its_rows_and_is_not_tried_again(ran: dict[str, Any]) -> None:
    kinds = {number: result["error_kind"] for number, result in ran["ray"].items()}
    assert {number: kind for number, kind in kinds.items() if kind} == {
        "9": "WorkerDied",
        "10": "WorkerDied",
        "11": "TimeLimitReached",
        "12": "InputPathError",
        "13": "TimeLimitReached",
        "14": "WorkerDied",
        "15": "TimeLimitReached",
        "16": "InternalError",
    }
    assert ran["ray"]["14"]["error"] == (
        "working on this pair failed: its process ended while at work (signal SIGSEGV)"
    )
    assert set(ran["ray.log"].values()) == {1}
    assert ran["ray.log"].keys() == ran["local.log"].keys()


@pytest.mark.slow
def test_more_workers_than_cpus_find_room(ran: dict[str, Any]) -> None:
    assert ran["more workers than CPUs"] == {k: ran["local"][k] for k in ("1", "2", "3")}


@pytest.mark.slow
def test_no_more_than_a_block_is_read_ahead(ran: dict[str, Any]) -> None:
    assert ran["first"] in ran["taken"]
    assert ran["taken"] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_cluster_that_ran_before_is_left_to_its_owner(ran: dict[str, Any]) -> None:
    assert ran["still there"] is True


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_named(ran: dict[str, Any]) -> None:
    assert ran["nobody"].startswith("no Ray cluster at 127.0.0.1:1: ")


def test_no_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_BACKEND_LOG_LEVEL"):
        monkeypatch.setenv(name, "0")
    (tmp_path / "pairs.csv").write_text("image,video\na.png,b.mp4\n")
    with pytest.raises(DependencyMissing, match=re.escape("pip install 'wan-prep[ray]'")):
        run_batch(
            tmp_path / "pairs.csv",
            results=tmp_path / "r.jsonl",
            engine="ray",
            judging=Judging(with_report=False),
        )


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
def test_a_cluster_of_its_own_is_quiet_talks_to_this_machine_alone_and_leaves_nothing(
    tmp_path: Path, brief_clip: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    shutil.copy(FIXTURES / "reference.png", tmp_path)
    shutil.copy(brief_clip, tmp_path / "driving.mp4")
    (tmp_path / "garbage.mp4").write_bytes(b"no clip" * 99)
    (tmp_path / "pairs.csv").write_text(
        "image,video,mode\n"
        "reference.png,driving.mp4,\n"
        "reference.png,missing.mp4,\n"
        "reference.png,garbage.mp4,\n"
        "reference.png,driving.mp4,dance\n"
        "reference.png,driving.mp4,replace\n"
    )
    command = ["-m", "wan_prep", "batch", "pairs.csv", "--no-cache", "--with-reports", "-q"]
    local = program(*command, "-o", "local.jsonl", tmp_path=tmp_path)
    before = set(Path("/tmp").glob("wan-prep-*"))
    calls = tmp_path / "calls.txt"
    ray = program(
        *(*command, "-o", "ray.jsonl", "--engine", "ray", "--workers", "2"),
        tmp_path=tmp_path,
        before=traced(calls),
    )
    assert (ray.returncode, ray.stdout, ray.stderr) == (1, local.stdout, "")
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
    assert set(Path("/tmp").glob("wan-prep-*")) <= before
    if calls.exists():
        said = calls.read_text("utf-8", "replace")
        spoken_to = set(re.findall(r'(?:inet_addr\(|AF_INET6, )"([^"]+)"', said))
        assert spoken_to == {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def traced(calls: Path) -> tuple[str, ...]:
    """What to put before a command to have the addresses it names, where that can be had."""
    strace = shutil.which("strace")
    if strace is None:
        return ()
    watch = ("-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,bind,sendto,sendmsg")
    trial = subprocess.run([strace, *watch, "-o", str(calls), "true"], check=False)
    return (strace, *watch, "-o", str(calls)) if trial.returncode == 0 else ()
