from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wan_prep.errors import NormalizeFailed, OutputExists
from wan_prep.normalizers import write
from wan_prep.normalizers.write import Prepared


def prepared(folder: Path, *, overwrite: bool = False) -> Prepared:
    """A picture and a clip, aside."""
    made = Prepared(folder, overwrite=overwrite)
    made.image = made.aside("reference.png")
    made.videos = (made.aside("driving.mp4"),)
    made.image.write_bytes(b"picture")
    made.videos[0].write_bytes(b"clip")
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_appear_together(tmp_path: Path) -> None:
    with prepared(tmp_path) as made:
        assert [name[:10] for name in names(tmp_path)] == [".wan-prep-"]
        written = made.publish()
    assert names(tmp_path) == ["driving.mp4", "reference.png"]
    assert written.image == tmp_path / "reference.png"
    assert written.videos == (tmp_path / "driving.mp4",)
    assert written.image.read_bytes() == b"picture"


def test_more_files_are_published_with_them(tmp_path: Path) -> None:
    with prepared(tmp_path) as made:
        made.aside("plan.json").write_text("{}")
        made.publish()
    assert names(tmp_path) == ["driving.mp4", "plan.json", "reference.png"]


def test_what_is_not_published_is_gone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), prepared(tmp_path):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_folder_made_for_nothing_goes_too(tmp_path: Path) -> None:
    prepared(tmp_path / "new" / "out").discard()
    assert not (tmp_path / "new" / "out").exists()
    with prepared(tmp_path / "out") as made:
        made.publish()
    assert names(tmp_path / "out") == ["driving.mp4", "reference.png"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "driving.mp4").write_bytes(b"mine")
    with pytest.raises(OutputExists, match=r"expected no driving\.mp4 .*--overwrite"):
        prepared(tmp_path)
    assert (tmp_path / "driving.mp4").read_bytes() == b"mine"


def test_a_link_that_leads_nowhere_is_something_too(tmp_path: Path) -> None:
    (tmp_path / "reference.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(OutputExists):
        prepared(tmp_path)


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    with prepared(tmp_path) as made:
        (tmp_path / "driving.mp4").write_bytes(b"theirs")
        with pytest.raises(OutputExists, match="meanwhile"):
            made.publish()
    assert (tmp_path / "driving.mp4").read_bytes() == b"theirs"
    assert names(tmp_path) == ["driving.mp4"]


@pytest.mark.parametrize(
    "name", ["../elsewhere.png", "/elsewhere.png", "", ".", "..", "driving.mp4"]
)
def test_names_are_plain_and_differ(tmp_path: Path, name: str) -> None:
    with (
        prepared(tmp_path) as made,
        pytest.raises(NormalizeFailed, match="a file name of its own"),
    ):
        made.aside(name)


def test_files_are_replaced_where_asked(tmp_path: Path) -> None:
    (tmp_path / "driving.mp4").write_bytes(b"old")
    with prepared(tmp_path, overwrite=True) as made:
        assert (tmp_path / "driving.mp4").read_bytes() == b"old"
        made.publish()
    assert (tmp_path / "driving.mp4").read_bytes() == b"clip"


def test_a_name_taken_by_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "driving.mp4").mkdir()
    with (
        pytest.raises(NormalizeFailed, match=r"driving\.mp4 could not be put into place"),
        prepared(tmp_path, overwrite=True) as made,
    ):
        made.publish()


def test_a_file_system_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with prepared(tmp_path) as made:
        made.publish()
    assert names(tmp_path) == ["driving.mp4", "reference.png"]
    with prepared(tmp_path / "again") as made:
        (tmp_path / "again" / "driving.mp4").write_bytes(b"theirs")
        with pytest.raises(OutputExists):
            made.publish()
    assert (tmp_path / "again" / "driving.mp4").read_bytes() == b"theirs"


@pytest.mark.parametrize("folder", ["file.txt", "file.txt/out"])
def test_a_folder_that_cannot_be_is_said(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file.txt").write_text("no folder")
    with pytest.raises(NormalizeFailed, match="expected a folder to write into"):
        Prepared(tmp_path / folder, overwrite=False)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NormalizeFailed, match="Permission denied"):
        Prepared(tmp_path, overwrite=False)


# ---- what a killed run left behind


@pytest.mark.skipif(os.name != "posix", reason="processes are asked for by signal 0")
def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    pid_of = [sys.executable, "-c", "import os; print(os.getpid())"]
    done = subprocess.run(pid_of, capture_output=True, check=True)
    stem = write._owner().rpartition("-")[0]
    dead = tmp_path / f"{stem}-{int(done.stdout)}-abc"
    alive = tmp_path / f"{stem}-{os.getppid()}-abc"
    elsewhere = tmp_path / f".wan-prep-otherhost-{int(done.stdout)}-abc"
    for folder in (dead, alive, elsewhere):
        folder.mkdir()
        (folder / "driving.mp4").write_bytes(b"half")
    prepared(tmp_path).discard()
    assert names(tmp_path) == sorted([alive.name, elsewhere.name])
