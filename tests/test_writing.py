"""The one writer of single files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from wan_prep.errors import InputPathError
from wan_prep.writing import refuse_replacing, write_text, written_whole


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")

    def interrupted() -> None:
        with written_whole(target) as scratch:
            scratch.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_many_threads_may_write_one_file(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    failed: list[BaseException] = []
    together = threading.Barrier(4)

    def write(text: str) -> None:
        together.wait()
        for _ in range(20):
            try:
                write_text(target, text)
            except OSError as exc:
                failed.append(exc)

    threads = [threading.Thread(target=write, args=(letter * 5000,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert target.read_text() in {letter * 5000 for letter in "abcd"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    target = tmp_path / f"{'n' * 250}.json"
    write_text(target, "{}")
    assert target.read_text() == "{}"


def test_a_written_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "written", "")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "there"
    if kind == "folder":
        target.mkdir()
    else:
        os.mkfifo(target)
    with pytest.raises(InputPathError, match="not a regular file"):
        write_text(target, "{}")
    assert list(tmp_path.iterdir()) == [target]


def other_name(source: Path, how: str) -> Path:
    folder = source.parent
    link = folder / "link"
    if how == "symbolic link":
        link.symlink_to(source)
    elif how == "hard link":
        link.hardlink_to(source)
    elif how == "linked folder":
        link.symlink_to(folder)
        return link / source.name
    else:
        return folder / "." / ".." / folder.name / source.name
    return link


@pytest.mark.parametrize("how", ["symbolic link", "hard link", "linked folder", "spelling"])
def test_an_input_is_known_by_any_name(tmp_path: Path, how: str) -> None:
    source = tmp_path / "hero.png"
    source.write_bytes(b"picture")
    with pytest.raises(InputPathError, match=r"would replace the input .*hero\.png"):
        refuse_replacing(other_name(source, how), [tmp_path / "other.png", source])


def test_files_that_differ_or_are_missing_are_no_inputs(tmp_path: Path) -> None:
    source = tmp_path / "hero.png"
    source.write_bytes(b"picture")
    (tmp_path / "copy.png").write_bytes(b"picture")
    refuse_replacing(tmp_path / "copy.png", [source, tmp_path / "gone.png"])
    refuse_replacing(tmp_path / "new.png", [source])
