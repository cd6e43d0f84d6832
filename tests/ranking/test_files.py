"""Which files are meant by paths, patterns, folders and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan_prep.errors import InputPathError
from wan_prep.ranking.files import Kind, files_named

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
MP4 = b"\0\0\0\x18ftypisom" + bytes(16)


@pytest.fixture
def cast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cast"
    (folder / "inner").mkdir(parents=True)
    for name, content in {
        "b.png": PNG,
        "a": PNG,
        "empty.jpg": b"",
        "notes.txt": b"hello",
        "clip.png": MP4,
        ".hidden.png": PNG,
        "dance.mp4": MP4,
        "inner/c.png": PNG,
        "[1].png": PNG,
    }.items():
        (folder / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return folder


def names(given: list[str], kind: Kind = "image") -> list[str]:
    return [path.as_posix() for path in files_named(given, kind)]


def test_a_file_is_itself_there_or_not(cast: Path) -> None:
    assert names(["cast/b.png", "nothing.png", "cast/b.png"]) == ["cast/b.png", "nothing.png"]


def test_a_folder_is_the_files_of_one_kind_in_it(cast: Path) -> None:
    """By content, whatever the name; by name where the content tells nothing."""
    assert names(["cast"]) == ["cast/[1].png", "cast/a", "cast/b.png", "cast/empty.jpg"]
    assert names(["cast"], "video") == ["cast/clip.png", "cast/dance.mp4"]


def test_a_pattern_is_what_it_matches(cast: Path) -> None:
    assert names(["cast/[ab]*"]) == ["cast/a", "cast/b.png"]
    assert names(["cast/**/c.png"]) == ["cast/inner/c.png"]
    assert names(["cast/[1].png"]) == ["cast/[1].png"]  # the file's own name


def test_a_list_names_files_relative_to_it(cast: Path) -> None:
    (cast / "list.txt").write_text("b.png\n\ninner\nmissing.png\n", "utf-8")
    assert names(["@cast/list.txt"]) == ["cast/b.png", "cast/inner/c.png", "cast/missing.png"]


@pytest.mark.parametrize("given", ["cast/*.webp", "empty", "@empty.txt", "@nothing.txt", "@bad"])
def test_what_gives_no_file_is_said(cast: Path, given: str) -> None:
    Path("empty").mkdir()
    Path("empty.txt").write_text("\n", "utf-8")
    Path("bad").write_bytes(b"\xff\xfe")
    with pytest.raises(InputPathError, match=r"found none by|cannot read this list"):
        files_named([given], "image")
