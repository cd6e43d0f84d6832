"""The bar on stderr: where a person is watching, whatever goes to stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from wan_prep import api
from wan_prep.cli import run
from wan_prep.cli.output import Progress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, report: Any) -> Callable[..., str]:
    """Runs a check before somebody's eyes and returns what they see besides the answer."""
    monkeypatch.setattr(Progress, "AFTER_S", 0.0)

    def check(_image: object, _video: object, *, progress: Any, **_: Any) -> Any:
        progress("looking [at] the image", 0.5)
        progress("waiting", None)
        return report("ready")

    monkeypatch.setattr(api, "check", check)

    def run_watched(*options: str) -> str:
        master, slave = os.openpty()
        with os.fdopen(slave, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", terminal)
            assert run(["check", "a", "b", *options]) == 0
            terminal.flush()
            os.set_blocking(master, False)
            seen = b""
            with suppress(BlockingIOError):
                while chunk := os.read(master, 65536):
                    seen += chunk
        os.close(master)
        return seen.decode()

    return run_watched


@pytest.mark.parametrize("options", [[], ["--format", "json"]])
def test_a_bar_is_shown_beside_any_answer(
    options: list[str], watched: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "looking [at] the image" in watched(*options)
    assert "looking" not in capsys.readouterr().out


def test_quiet_shows_none(watched: Callable[..., str]) -> None:
    assert watched("-q") == ""


def test_nobody_watches_a_pipe(
    watched: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "a", "b"]) == 0
    assert capsys.readouterr().err == ""
