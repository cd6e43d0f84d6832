"""Where this program keeps what it must remember."""

from __future__ import annotations

import stat
from pathlib import Path

import platformdirs
import pytest

from wan_prep.home import home_folder, make_private


def test_home(tmp_path: Path) -> None:
    assert home_folder({"WAN_PREP_HOME": str(tmp_path)}) == tmp_path
    assert home_folder({"WAN_PREP_HOME": "here"}) == Path.cwd() / "here"
    own = Path(platformdirs.user_data_dir("wan-prep", appauthor=False))
    assert home_folder({}) == home_folder({"WAN_PREP_HOME": ""}) == own


def test_every_folder_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private(tmp_path / "a" / "b")
    make_private(tmp_path / "a" / "b")
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (tmp_path, *sorted(tmp_path.rglob("*")))]
    assert modes == [0o755, 0o700, 0o700]


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory"):
        make_private(tmp_path / "a")
    with pytest.raises(OSError, match="Not a directory"):
        make_private(tmp_path / "a" / "b")
