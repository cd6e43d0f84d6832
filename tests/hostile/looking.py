"""What a worker process does with one hostile file, and what came of it."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from wan_prep.errors import TimeLimitReached, WanPrepError, WorkerDied
from wan_prep.evidence import Evidence
from wan_prep.isolation import Workers
from wan_prep.pose.estimator import Proposal, RawFace, RawPose, Rgb

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE, VIDEO = FIXTURES / "reference.png", FIXTURES / "driving.mp4"


class Nobody:
    """An estimator that never sees anybody: what is tested is the file, not the person."""

    name, sha256 = "nobody", "0" * 64

    def poses(self, rgb: Rgb) -> list[RawPose]:
        assert rgb.size
        return []

    def proposals(self, rgb: Rgb, side_px: int) -> list[Proposal]:
        return []

    def face(self, rgb: Rgb) -> RawFace | None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


@dataclass
class Looked:
    """What came of one file.

    kind: of the refusal, "seen" where the file is readable, else how the case was lost: "crash",
        "hang" or "traceback", with more in `said`.
    codes: of the findings, with their severity.  grown_mb: by how much the process grew at most.
    left: what stayed behind: open files, threads, temporary files, sockets.
    """

    kind: str
    said: str = ""
    verdict: str = ""
    codes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    grown_mb: float = 0.0
    left: tuple[str, ...] = ()

    @property
    def is_lost(self) -> bool:
        return self.kind in ("crash", "hang", "traceback") or bool(self.left)


Task = tuple[Literal["image", "video"], str]


@dataclass(frozen=True)
class Look:
    """Look at a file and judge it beside a good partner, as `check` does.

    scratch: the folder for temporary files, which has to stay empty.
    """

    scratch: str

    def __call__(self, task: Task) -> Looked:
        role, path = task
        partners = _partners(self.scratch)
        before = _held(self.scratch)
        grown = _forget_peak()
        began = time.monotonic()
        looked = _judged(role, path, partners)
        looked.seconds = time.monotonic() - began
        looked.grown_mb = grown()
        looked.left = tuple(sorted(_held(self.scratch) - before))
        return looked


@dataclass(frozen=True)
class Crashes(Look):
    """Dies of every video, as a decoder might."""

    def __call__(self, task: Task) -> Looked:
        if task[0] == "video":
            os.abort()
        return super().__call__(task)


def looked_at(
    workers: Workers, role: Literal["image", "video"], path: Path, time_limit_s: float
) -> Looked:
    """What became of one file in a worker process that holds a `Look`."""
    try:
        looked = workers.submit((role, str(path)), time_limit_s=time_limit_s).result()
    except WorkerDied as exc:
        return Looked("crash", str(exc))
    except TimeLimitReached as exc:
        return Looked("hang", str(exc))
    assert isinstance(looked, Looked)
    return looked


@cache
def _partners(scratch: str) -> dict[str, Evidence]:
    """The good half of every pair, looked at once; by then everything is loaded."""
    os.environ["TMPDIR"] = scratch
    sys.addaudithook(_watch)
    from wan_prep import api

    return {
        "image": api.observe(IMAGE, estimator=Nobody()),
        "video": api.observe(VIDEO, estimator=Nobody()),
    }


def _judged(role: Literal["image", "video"], path: str, partners: dict[str, Evidence]) -> Looked:
    from wan_prep import api

    try:
        evidence = api.observe(path, kind=role, estimator=Nobody())
        pair: dict[str, Any] = {**partners, role: evidence}
        report = api.check(pair["image"], pair["video"], estimator=Nobody())
        report.public_json()
        Evidence.model_validate_json(evidence.model_dump_json())
    except WanPrepError as exc:  # about the path or the machine, not the content
        return Looked("traceback", f"{type(exc).__name__}: {exc}")
    except Exception:
        return Looked("traceback", "".join(traceback.format_exc(limit=-3)))
    defect = next(iter(evidence.defects), None)
    return Looked(
        kind="seen" if defect is None else defect.kind,
        said="" if defect is None else defect.message,
        verdict=report.verdict,
        codes={f.code: f.severity.value for f in report.findings},
    )


# ---- what stays behind, and how much it takes


_sockets: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.bind", "socket.sendto", "subprocess.Popen", "os.system"):
        _sockets.append(event)


def _held(scratch: str) -> set[str]:
    held = {f"temporary file {path.name}" for path in Path(scratch).iterdir()}
    held |= {f"thread {t.name}" for t in threading.enumerate() if not t.daemon or "wan" in t.name}
    held |= {f"call {k} of {event}" for k, event in enumerate(_sockets)}
    files = Path("/proc/self/fd")
    for entry in files.iterdir() if files.is_dir() else ():
        try:
            target = str(entry.readlink())
        except OSError:  # the folder itself
            continue
        if target.startswith(("/", "socket:")) and not target.startswith(("/dev", "/proc")):
            held.add(f"open {target}")
    return held


def _forget_peak() -> Callable[[], float]:
    """Call it afterwards: by how many MB the process grew at most; 0 where nobody can say."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return lambda: 0.0
    before = _peak_mb()
    return lambda: _peak_mb() - before


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
