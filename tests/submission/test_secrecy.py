"""A key planted as a canary is searched in everything that is written, said or raised."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import SubmissionError
from wan_prep.rehearsal.server import FakeService

FAULTS = [
    (),
    ("submit=echo-key",),
    ("submit=500",),
    ("submit=done+reset",),
    ("submit=401",),
    ("submit=429:5",),
    ("submit=html",),
    ("submit=redirect:http://127.0.0.1:9/",),
    ("result=echo-key*",),
    ("result=401*",),
    ("result=redirect*",),
    ("ticket=echo-key*",),
    ("put=403*", "form=echo-key*"),
    ("submit=done+reset", "history=echo-key*"),
    ("output=404*",),
    ("output=echo-key*",),
]


@pytest.mark.parametrize("faults", FAULTS, ids=",".join)
def test_the_key_is_nowhere(
    faults: tuple[str, ...],
    desk: Any,
    service: FakeService,
    tools: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    service.restart(*faults)
    said: list[str] = []

    def attempt(name: str, *args: Any, **options: Any) -> Any:
        try:
            found = getattr(desk, name)(*args, **options)
        except SubmissionError as exc:
            said.extend([str(exc), repr(exc), repr(vars(exc)), *traceback.format_exception(exc)])
            return None
        said.append(repr(found))
        return found

    attempt("submit", tools.local_pair(tmp_path), upload=True)
    for job in desk.journal.jobs():
        prediction = attempt(
            "wait", job.id, timeout_s=20, progress=lambda tick: said.append(repr(tick))
        )
        if prediction is not None:
            said.append(prediction.model_dump_json())
    attempt("call", "reconcile")
    said += [job.model_dump_json() for job in desk.journal.jobs()]
    out, err = capfd.readouterr()
    said += [out, err, *(record.getMessage() for record in caplog.records)]
    said += [repr(vars(record)) for record in caplog.records]

    assert service.seen[0].headers["authorization"].endswith(tools.KEY), "it was used"
    assert not [text for text in said if tools.KEY in text]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert tools.KEY.encode() not in path.read_bytes(), path
    for seen in service.seen:
        if seen.step in ("put", "output", "file", "other"):
            assert tools.KEY not in repr(seen)


def test_signed_addresses_are_not_logged(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (job,) = desk.submit(tools.local_pair(tmp_path), upload=True)
    desk.wait(job.id)
    (other,) = desk.submit(tools.url_pair())
    desk.wait(other.id)
    logged = "\n".join(repr(vars(record)) for record in caplog.records)
    assert "Signature" not in logged
    assert "secret-query" not in logged
