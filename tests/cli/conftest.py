"""What tests of commands share: no terminal, no settings, one line, one document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wan_prep import api
from wan_prep.report.model import Report

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: Patch) -> None:
    """A folder without settings, and no terminal."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "WAN_PREP_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def answer(monkeypatch: Patch) -> Callable[[Report], dict[str, Any]]:
    """Let `check` answer with a report; returns what it was asked."""

    def install(given: Report) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def check(image: object, video: object, **options: Any) -> Report:
            asked.update(options, image=image, video=video)
            return given

        monkeypatch.setattr(api, "check", check)
        return asked

    return install


@pytest.fixture
def one_line(capsys: Capture) -> Callable[[], str]:
    """Reads stderr, which must be one line, with nothing on stdout."""

    def read() -> str:
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("wan-prep: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        assert "internal error" not in err
        assert err[:-1].isprintable()
        return err

    return read


@pytest.fixture(scope="session")
def strict_json() -> Callable[[str], Any]:
    """Parses JSON, and nothing that only Python takes for it."""

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    return lambda text: json.loads(text, parse_constant=refuse)
