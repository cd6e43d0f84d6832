"""What is checked stays on the machine, and stays as it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
pytestmark = pytest.mark.model


def state_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file below a folder: size, time of change, content."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def checked(
    folder: Path, *before: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "wan_prep", "check", "reference.png", "driving.mp4"]
    unset = {name: value for name, value in os.environ.items() if name != "WAN_PREP_HOME"}
    return subprocess.run(
        [*command, "--format", "json", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env=unset | {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")},
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The pair alone, with a home and a place for temporary files of its own."""
    for name in ("reference.png", "driving.mp4"):
        shutil.copy(FIXTURES / name, tmp_path / name)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def watched(tmp_path: Path) -> tuple[list[str], Path]:
    """What to put before a command to have its network calls, and where they are written."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "calls.txt"
    prefix = [strace, "-f", "-qq", "-e", "trace=network", "-o", str(log)]
    trial = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"strace may not trace here: {trial.stderr.strip()[-120:]}")
    return prefix, log


def test_no_internet_socket_is_opened(folder: Path, watched: tuple[list[str], Path]) -> None:
    """From outside, so that native code is seen as well; unix sockets stay on the machine."""
    prefix, log = watched
    done = checked(folder, *prefix)
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["subject"]["image"]["found"]
    calls = log.read_text("utf-8", "replace")
    assert re.findall(r".*AF_(?:INET|INET6|PACKET)\b.*", calls) == []


def test_a_socket_would_have_been_seen(watched: tuple[list[str], Path]) -> None:
    prefix, log = watched
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()"
    subprocess.run([*prefix, sys.executable, "-c", code], check=True, capture_output=True)
    assert "AF_INET" in log.read_text("utf-8")


def test_inputs_are_left_alone_nothing_is_left_behind_and_no_other_folder_is_named(
    folder: Path, brief_clip: Path
) -> None:
    shutil.copyfile(brief_clip, folder / "driving.mp4")
    before = state_of(folder)
    done = checked(folder, options=("--no-cache",))
    assert done.returncode in (0, 1), done.stderr
    assert state_of(folder) == before
    assert str(folder) not in done.stdout
    assert str(Path.home()) not in done.stdout


def test_what_was_seen_is_kept_for_its_owner_alone_and_without_names(
    folder: Path, brief_clip: Path
) -> None:
    shutil.copyfile(brief_clip, folder / "driving.mp4")
    done = checked(folder, options=("--cache", "kept"))
    assert done.returncode in (0, 1), done.stderr
    kept = state_of(folder / "kept")
    assert {name.rpartition("/")[2] for name in kept if not name.endswith(".json.gz")} == {
        ".index.sqlite3.lock",
        "index.sqlite3",
    }
    assert len(kept) == 4, "the image, the clip, the index and its lock"
    for name in kept:
        content = (folder / "kept" / name).read_bytes()
        assert (folder / "kept" / name).stat().st_mode & 0o077 == 0
        shown = gzip.decompress(content) if name.endswith(".gz") else content
        for word in (b"reference.png", b"driving.mp4", str(folder).encode()):
            assert word not in shown
    again = checked(folder, options=("--cache", "kept"))
    assert again.stdout == done.stdout


def test_a_pair_that_nobody_may_write_to_is_checked(folder: Path, brief_clip: Path) -> None:
    shutil.copyfile(brief_clip, folder / "driving.mp4")
    for name in ("reference.png", "driving.mp4"):
        (folder / name).chmod(0o444)
    folder.chmod(0o555)
    try:
        assert checked(folder).returncode in (0, 1)
    finally:
        folder.chmod(0o755)
