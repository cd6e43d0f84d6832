"""Callables for worker processes, which can only be given what a module of its own holds."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wan_prep.api.looking import Kind
from wan_prep.errors import InputPathError, MediaUnreadable, SubmissionUnknown
from wan_prep.evidence import Evidence
from wan_prep.pipelines.columns import CheckPairs
from wan_prep.pipelines.looking import Judging, Looker, evidence_of
from wan_prep.pipelines.rows import PairRow


def perform(task: Any) -> Any:
    """What a worker does by the word it is given."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "exit":
        os._exit(7)
    if task == "hang":
        threading.Event().wait()
    if task == "large":
        return bytearray(10**15)
    if task == "slow to end":
        atexit.register(_put_away)
    if task == "refuse":
        raise InputPathError("there is no such file")
    if task == "garbage":
        raise MediaUnreadable("corrupt", "it cannot be decoded")
    if task == "unknown":
        raise SubmissionUnknown("it may run", job_id="17")
    if task == "fault":
        raise ZeroDivisionError("division by zero")
    if task == "pid":
        return os.getpid()
    return task


def _put_away() -> None:
    os.kill(os.getpid(), signal.SIGTERM)  # as when the program that waits asks again
    print("put away", flush=True)


class FailsToStart:
    """What cannot be unpickled in the worker."""

    def __call__(self, task: Any) -> Any:
        return task

    def __reduce__(self) -> Any:
        return (
            (os._exit, (3,))
            if os.environ.get("WAN_PREP_SCRIPT") == "die"
            else object.__reduce__(self)
        )


class ScriptedLooker(Looker):
    """Sees the same in every file, notes that it looked, and does what the file's name says."""

    def __init__(self, seen: bytes, log: Path) -> None:
        super().__init__(Judging(with_report=False))
        self.seen, self.log = seen, log

    def __getstate__(self) -> Any:
        return self.seen, self.log

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def look(self, path: str, kind: Kind) -> Evidence:
        # One short write: lines of two processes do not mix.
        with self.log.open("a", encoding="utf-8", errors="surrogateescape") as log:
            log.write(f"{kind} {Path(path).name}\n")
        perform(Path(path).stem)
        return evidence_of(self.seen)


class ScriptedPairs(CheckPairs):
    """Answers without judging; does what the row's prompt says."""

    def __init__(self, seen: bytes, log: Path) -> None:
        super().__init__(Judging(with_report=False))
        self.looker = ScriptedLooker(seen, log)

    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        row = PairRow.of(cells)
        assert isinstance(cells["image_evidence"], bytes)
        assert isinstance(cells["video_evidence"], bytes)
        perform(row.prompt)
        usd = row.seed or 0
        return self.result(
            cells, status="checked", verdict="ready", score=50.0, usd_low=usd, usd_high=usd
        )


class Eyes:
    """What looks at files apart; does what the file's name says."""

    def __init__(self, *_given: Any) -> None:
        pass

    def __call__(self, task: tuple[Any, Any]) -> Evidence:
        perform(Path(task[0]).stem)
        raise InputPathError("nobody looks here")
