"""The pack, loaded by an old and by a new ComfyUI, both faked."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

import fake_comfy


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> fake_comfy.Comfy:
    return fake_comfy.install_host(monkeypatch, tmp_path / "temp")


@pytest.fixture
def v3(monkeypatch: pytest.MonkeyPatch, host: fake_comfy.Comfy) -> Any:
    fake_comfy.install_v3(monkeypatch)
    return fake_comfy.load_pack(monkeypatch)


@pytest.fixture
def classic(monkeypatch: pytest.MonkeyPatch, host: fake_comfy.Comfy) -> Any:
    fake_comfy.install_early(monkeypatch)
    return fake_comfy.load_pack(monkeypatch)


@pytest.fixture
def without_comfy(monkeypatch: pytest.MonkeyPatch, host: fake_comfy.Comfy) -> Any:
    """Not even comfy_api is there."""
    return fake_comfy.load_pack(monkeypatch)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made in this test, and nothing else."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
