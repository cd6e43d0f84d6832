from __future__ import annotations

import os
from pathlib import Path

import pytest

from wan_prep.errors import InputPathError
from wan_prep.media.files import head_of, open_check, sha256_of


def test_a_regular_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "a b.bin"
    path.write_bytes(b"abc")
    assert open_check(str(path)) == path
    assert head_of(path, 2) == b"ab"
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_an_empty_path_is_no_directory() -> None:
    with pytest.raises(InputPathError, match="empty string"):
        open_check("")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("missing.mp4", "found nothing"),
        ("folder", "found a directory"),
        ("pipe", "found a named pipe"),
        ("dangling", "points nowhere"),
        ("x" * 5000, "no usable path"),
        ("zero\0byte", "no usable path"),
        ("file.txt/under", "no usable path"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputPathError, match=found) as caught:
        open_check(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("expected")


def test_a_device_is_refused() -> None:
    with pytest.raises(InputPathError, match="character device"):
        open_check("/dev/null")


def test_a_name_with_a_line_break_still_makes_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputPathError) as caught:
        open_check(tmp_path / "two\nlines")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_said(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(InputPathError, match="no permission"):
        open_check(path)


def test_no_permission_is_said_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputPathError, match="change its permissions"):
        open_check(path)
