"""The package as a stranger gets it: built, installed into a clean environment, used elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.model]

UNREACHABLE = (
    "No matching distribution",
    "Could not find a version",
    "Temporary failure in name resolution",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
)


def clean_environment() -> dict[str, str]:
    """Nothing of this checkout or this environment reaches the new one."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a clean environment with the package in it."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    binaries = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    done = subprocess.run(
        [binaries / "python", "-m", "pip", "install", "-q", "--retries", "1",
         "--no-compile", "-c", ROOT / "constraints.txt", ROOT],
        capture_output=True, text=True, cwd=folder, env=clean_environment(), check=False,
    )  # fmt: skip
    if done.returncode != 0 and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip(f"no package index answers: {done.stderr.strip().splitlines()[-1][:160]}")
    assert done.returncode == 0, done.stderr
    return binaries


def test_the_pair_is_checked_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "wan-prep", "check", ROOT / "fixtures" / "reference.png",
         ROOT / "fixtures" / "driving.mp4", "--format", "json"],
        capture_output=True, text=True, cwd=tmp_path, env=clean_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["verdict"] in ("ready", "risky")
    assert document["subject"]["image"]["found"]
    assert document["subject"]["video"]["presence"] == 1.0
    assert list(tmp_path.iterdir()) == []


def test_what_travels_in_the_package(installed: Path, tmp_path: Path) -> None:
    code = (
        "import json, pathlib, wan_prep, importlib.metadata as m;"
        "root = pathlib.Path(wan_prep.__file__).parent;"
        "print(json.dumps({'root': str(root),"
        " 'files': sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.suffix != '.pyc'),"
        " 'names': sorted(d.metadata['Name'].lower() for d in m.distributions()),"
        " 'licence': m.metadata('wan-prep')['License-Expression']}))"
    )
    done = subprocess.run(
        [installed / "python", "-I", "-c", code],
        capture_output=True, text=True, cwd=tmp_path, env=clean_environment(), check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert str(ROOT) not in found["root"], "the checkout is not what was imported"
    assert {
        "py.typed",
        "profiles/wan22_animate.toml",
        "pose/models/pose_landmarker_full.task",
        "pose/models/face_landmarker.task",
        "pose/models/LICENSE",
        "pose/models/README.md",
        "visual/templates/report.html",
        "visual/templates/parts.html",
        "visual/templates/page.css",
        "visual/templates/page.js",
    } <= set(found["files"])
    assert [name for name in found["names"] if name.startswith("opencv")] == ["opencv-python"]
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & set(found["names"])
    assert found["licence"] == "Apache-2.0"
