"""The cache of evidence: what it knows, what it lets go, and what it makes of damage."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import wan_prep
from wan_prep.cache import key as keys
from wan_prep.cache import store
from wan_prep.cache.entry import packed
from wan_prep.cache.key import EvidenceKey
from wan_prep.cache.recall import recall
from wan_prep.cache.store import Cache, CacheCheck, CacheInfo
from wan_prep.errors import CacheError, InputPathError
from wan_prep.media.files import sha256_of
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import Proposal, RawFace, RawPose
from wan_prep.profile import default_profile, load_profile

FIXTURES = Path(__file__).parents[1] / "fixtures"
LATER_NS = 10**19  # long after every file here was written, so that their hashes are remembered


class Nobody:
    """A network that never sees anybody, and counts how often it is asked."""

    name, sha256 = "nobody", "0" * 64

    def __init__(self) -> None:
        self.asked = 0

    def poses(self, rgb: np.ndarray) -> list[RawPose]:
        self.asked += 1
        return []

    def proposals(self, _rgb: np.ndarray, side_px: int) -> list[Proposal]:
        self.asked += 1
        return []

    def face(self, _rgb: np.ndarray) -> RawFace | None:
        self.asked += 1
        return None


def fail(message: str) -> None:
    raise AssertionError(message)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "kept", warn=fail)


def key(number: int = 0, **changes: Any) -> EvidenceKey:
    """The key of one of many files."""
    network = Nobody()
    network.name, network.sha256 = changes.pop("model", ("nobody", "0" * 64))
    return EvidenceKey.of(
        changes.pop("path", Path("dance.mp4")),
        f"{number:064x}",
        changes.pop("kind", "video"),
        network,  # type: ignore[arg-type]
        changes.pop("profile", default_profile()),
        **changes,
    )


def entries(cache: Cache) -> list[Path]:
    return sorted(cache.folder.rglob("*.json.gz"))


# ---- kept and found


def test_what_is_kept_is_found_without_its_path(cache: Cache, make: Any) -> None:
    seen = make.video()
    assert cache.get(key()) is None
    cache.put(key(), seen)
    found = cache.get(key())
    assert found is not None
    assert (found.path, found.info and found.info.path) == ("", "")
    named = {"path": "dance.mp4", "info": seen.info}
    assert found.model_copy(update=named) == seen
    assert found.model_copy(update=named).model_dump_json() == seen.model_dump_json()


def test_no_path_is_written(cache: Cache, make: Any) -> None:
    cache.put(key(path=Path("secret-dance.mp4")), make.video(path="secret-dance.mp4"))
    (entry,) = entries(cache)
    assert b"dance" not in gzip.decompress(entry.read_bytes())
    assert b"dance" not in (cache.folder / "index.sqlite3").read_bytes()


def test_the_name_of_an_entry_is_that_of_its_content() -> None:
    """The same on every machine with these libraries: entries of one cache may be shared."""
    assert key().name == key().name
    assert len(key().name) == 64


FOUND_ELSEWHERE: list[tuple[str, dict[str, Any]]] = [
    ("content", {"number": 1}),
    ("kind", {"kind": "image"}),
    ("start", {"start": Fraction(1, 3)}),
    ("end", {"end": Fraction(7, 2)}),
    ("person", {"person": PersonChoice("left")}),
    ("person", {"person": PersonChoice(number=2)}),
    ("place", {"person": PersonChoice.at(0.12345, 0.5)}),
    ("nearly that place", {"person": PersonChoice.at(0.12346, 0.5)}),
    ("model", {"model": ("nobody", "1" * 64)}),
    ("name of the model", {"model": ("somebody", "0" * 64)}),
    ("suffix of a video", {"path": Path("dance.ts")}),
]


@pytest.mark.parametrize("changes", [c for _, c in FOUND_ELSEWHERE], ids=str)
def test_everything_that_evidence_depends_on_is_in_its_key(changes: dict[str, Any]) -> None:
    names = [key(**c).name for _, c in FOUND_ELSEWHERE]
    assert key().name not in names
    assert names.count(key(**changes).name) == 1


def test_a_path_is_not_in_the_key_nor_the_suffix_of_an_image() -> None:
    assert key(path=Path("/elsewhere/renamed.MP4")).name == key().name
    names = {key(kind="image", path=Path(name)).name for name in ("hero.png", "hero")}
    assert len(names) == 1


@pytest.mark.parametrize(
    "name",
    [
        "image_pixels_max",
        "still_drift_max",
        "still_min",
        "still_neighbour_max",
        "still_redrawn_max",
    ],
)
def test_limits_that_observing_reads_are_in_the_key(name: str, tmp_path: Path) -> None:
    other = tmp_path / "profile.toml"
    value = default_profile().limit(name) * 0.5
    other.write_text(f"[limits.{name}]\nvalue = {value}\n", "utf-8")
    assert key(profile=load_profile(other)).name != key().name


def test_tolerances_are_not_in_the_key(tmp_path: Path) -> None:
    other = tmp_path / "profile.toml"
    other.write_text("[tolerances.pose]\nfine = 19.5\n", "utf-8")
    assert key(profile=load_profile(other)).name == key().name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OBSERVING_VERSION", 1_000_000),
        ("libraries_here", lambda: (("av", "0.0"),)),
        ("networks_here", lambda: ("0" * 64,)),
    ],
)
def test_another_version_network_or_library_looks_again(
    cache: Cache, make: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    cache.put(key(), make.video())
    assert cache.verify() == CacheCheck(good=1, outdated=0, damaged=0, leftover=0)
    monkeypatch.setattr(keys, name, value)
    assert cache.get(key()) is None
    assert cache.verify() == CacheCheck(good=0, outdated=1, damaged=0, leftover=0)
    cache.put(key(), make.video())
    assert cache.verify() == CacheCheck(good=1, outdated=1, damaged=0, leftover=0)


def test_the_shipped_networks_are_in_the_key() -> None:
    folder = Path(wan_prep.__file__).parent / "pose" / "models"
    names = ("face_landmarker.task", "movenet_multipose.onnx")
    assert key().document["networks"] == [sha256_of(folder / name) for name in names]


def test_what_cannot_be_read_is_not_kept(cache: Cache, make: Any) -> None:
    cache.put(key(), make.unreadable("video"))
    assert not cache.folder.exists()


def test_only_the_owner_may_read(cache: Cache, make: Any) -> None:
    cache.put(key(), make.video())
    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in (cache.folder, *cache.folder.rglob("*"))
    }
    assert modes == {(True, 0o700), (False, 0o600)}


def test_nothing_is_made_by_looking(cache: Cache) -> None:
    assert cache.get(key()) is None
    assert cache.info() == CacheInfo(cache.folder, 0, 0, 2_000_000_000)
    assert cache.verify() == CacheCheck(0, 0, 0, 0)
    assert cache.clear().entries == 0
    assert not cache.folder.exists()


def test_a_cache_is_given_as_itself_its_folder_or_not_at_all(cache: Cache, tmp_path: Path) -> None:
    assert Cache.of(None) is None
    assert Cache.of(cache) is cache
    made = Cache.of(str(tmp_path))
    assert made is not None
    assert (made.folder, made.size_bytes) == (tmp_path, 2_000_000_000)


def test_unless_told_it_lives_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
    assert Cache().folder == tmp_path / "home" / "cache"


def test_a_cache_goes_along_to_other_processes(tmp_path: Path, make: Any) -> None:
    sent = pickle.loads(pickle.dumps(Cache(tmp_path / "kept", size_bytes=10**6)))
    sent.put(key(), make.video())
    assert (sent.folder, sent.size_bytes, sent.info().entries) == (tmp_path / "kept", 10**6, 1)


# ---- room


def test_there_is_no_less_room_than_none(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="-1 bytes: expected 0 or more"):
        Cache(tmp_path, size_bytes=-1)


def test_an_index_that_names_other_files_does_not_have_them_removed(
    cache: Cache, make: Any, tmp_path: Path
) -> None:
    cache.put(key(), make.video())
    other = tmp_path / "other.json.gz"
    other.write_bytes(b"mine")
    with sqlite3.connect(cache.folder / "index.sqlite3") as index:
        index.execute("INSERT INTO evidence VALUES ('../../../other', 5000, 0)")
    index.close()
    Cache(cache.folder, size_bytes=cache.info().size_bytes - 100, warn=fail).put(
        key(1), make.video()
    )
    assert other.exists()
    assert [cache.get(key(n)) is not None for n in range(2)] == [True, True]


def test_what_was_used_longest_ago_goes_first(cache: Cache, make: Any) -> None:
    seen = make.image()
    cache.put(key(0), seen)
    size = cache.info().size_bytes
    small = Cache(cache.folder, size_bytes=size * 3 + size // 2, warn=fail)
    small.put(key(1), seen)
    small.put(key(2), seen)
    assert small.get(key(0)) is not None  # used again: 1 is the oldest now
    small.put(key(3), seen)
    assert [small.get(key(n)) is not None for n in range(4)] == [True, False, True, True]
    small.put(key(2), seen)
    small.put(key(1), seen)
    assert [small.get(key(n)) is not None for n in range(4)] == [False, True, True, True]
    assert len(entries(small)) == small.info().entries == 3
    assert small.info().size_bytes == sum(path.stat().st_size for path in entries(small))


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path: Path, make: Any) -> None:
    for size in (0, 100):
        small = Cache(tmp_path / str(size), size_bytes=size, warn=fail)
        small.put(key(), make.video())
        assert small.get(key()) is None
        assert small.info().entries == 0


def test_a_smaller_limit_takes_effect_with_verify(cache: Cache, make: Any) -> None:
    for number in range(3):
        cache.put(key(number), make.image())
    Cache(cache.folder, size_bytes=cache.info().size_bytes // 2).verify()
    assert [cache.get(key(n)) is not None for n in range(3)] == [False, False, True]


@settings(max_examples=12)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 5)), max_size=20),
)
def test_it_holds_what_was_used_last(
    tmp_path_factory: pytest.TempPathFactory, make: Any, room: int, uses: list[tuple[str, int]]
) -> None:
    seen = make.image()
    size = len(packed(key(0).document, seen))
    cache = Cache(tmp_path_factory.mktemp("lru"), size_bytes=size * room + size // 2, warn=fail)
    expected: list[int] = []  # the one used last at the end
    for use, number in uses:
        if use == "put":
            cache.put(key(number), seen)
        else:
            assert (cache.get(key(number)) is not None) == (number in expected)
        if use == "put" or number in expected:
            expected = [n for n in expected if n != number] + [number]
            expected = expected[-room:]
    assert {path.name[:64] for path in entries(cache)} == {key(n).name for n in expected}


# ---- damage


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _other_text(path: Path) -> None:
    path.write_text("no evidence\n", "utf-8")


def _changed_value(path: Path) -> None:
    """Well compressed, well formed, and not what was written."""
    text = gzip.decompress(path.read_bytes()).replace(b'"looks":1', b'"looks":2')
    assert b'"looks":2' in text
    path.write_bytes(gzip.compress(text))


def _newer_format(path: Path) -> None:
    head, _, body = gzip.decompress(path.read_bytes()).partition(b"\n")
    newer = json.dumps(json.loads(head) | {"format": 2}).encode()
    path.write_bytes(gzip.compress(newer + b"\n" + body))


DAMAGE = [_truncate, _flip, _empty, _other_text, _changed_value, _newer_format]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_removed_and_made_again(
    cache: Cache, make: Any, damage: Callable[[Path], None]
) -> None:
    cache.put(key(), make.video())
    (entry,) = entries(cache)
    damage(entry)
    assert cache.get(key()) is None
    assert entries(cache) == []
    assert cache.info().entries == 0
    cache.put(key(), make.video())
    assert cache.get(key()) is not None


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_removes_what_is_damaged(
    cache: Cache, make: Any, damage: Callable[[Path], None]
) -> None:
    for number in range(3):
        cache.put(key(number), make.video())
    damage(entries(cache)[1])
    assert cache.verify() == CacheCheck(good=2, outdated=0, damaged=1, leftover=0)
    assert cache.verify() == CacheCheck(good=2, outdated=0, damaged=0, leftover=0)
    assert cache.info().entries == 2


def test_an_entry_under_another_name_is_none(cache: Cache, make: Any) -> None:
    cache.put(key(0), make.video())
    (entry,) = entries(cache)
    name = key(1).name
    (cache.folder / "evidence" / name[:2]).mkdir(exist_ok=True)
    shutil.copy(entry, cache.folder / "evidence" / name[:2] / f"{name}.json.gz")
    assert cache.get(key(1)) is None
    assert cache.get(key(0)) is not None


@pytest.mark.parametrize("content", [b"", b"no index", b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_index_is_made_again_from_the_entries(
    cache: Cache, make: Any, content: bytes
) -> None:
    for number in range(3):
        cache.put(key(number), make.video())
    size = cache.info().size_bytes
    (cache.folder / "index.sqlite3").write_bytes(content)
    assert cache.get(key(1)) is not None
    assert cache.info() == CacheInfo(cache.folder, 3, size, 2_000_000_000)


def test_an_index_that_is_damaged_inside(cache: Cache, make: Any) -> None:
    """Its first page can be read, the others cannot."""
    for number in range(3):
        cache.put(key(number), make.video())
    index = cache.folder / "index.sqlite3"
    content = index.read_bytes()
    index.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert cache.get(key(1)) is not None
    cache.put(key(3), make.video())
    assert cache.verify() == CacheCheck(good=4, outdated=0, damaged=0, leftover=0)
    assert cache.info().entries == 4


def test_verify_mends_an_index_that_is_damaged_inside(cache: Cache, make: Any) -> None:
    cache.put(key(), make.video())
    index = cache.folder / "index.sqlite3"
    content = index.read_bytes()
    index.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert cache.verify() == CacheCheck(good=1, outdated=0, damaged=0, leftover=0)
    assert cache.info().entries == 1


def test_an_index_of_another_version_is_made_again(cache: Cache, make: Any) -> None:
    cache.put(key(), make.video())
    with sqlite3.connect(cache.folder / "index.sqlite3") as index:
        index.execute("PRAGMA user_version = 77")
    index.close()
    assert cache.info().entries == 1


def test_a_lost_index_is_made_again(cache: Cache, make: Any) -> None:
    cache.put(key(0), make.video())
    cache.put(key(1), make.video())
    (cache.folder / "index.sqlite3").unlink()
    assert cache.info().entries == 2


def test_an_entry_that_somebody_removed_is_not_there(cache: Cache, make: Any) -> None:
    cache.put(key(), make.video())
    entries(cache)[0].unlink()
    assert cache.get(key()) is None
    assert cache.verify() == CacheCheck(0, 0, 0, 0)
    assert cache.info().entries == 0


def test_what_a_killed_run_left_is_removed_when_it_is_old(cache: Cache, make: Any) -> None:
    cache.put(key(), make.video())
    (entry,) = entries(cache)
    left = entry.with_name(f".{'0' * 32}.tmp")
    left.write_bytes(b"half")
    assert cache.verify().leftover == 0
    os.utime(left, (0, 0))
    assert cache.verify() == CacheCheck(good=1, outdated=0, damaged=0, leftover=1)
    assert not left.exists()


def test_clear_removes_what_the_cache_wrote_and_nothing_else(cache: Cache, make: Any) -> None:
    cache.folder.mkdir()
    own = [cache.folder / "holiday.jpg", cache.folder / ".notes.tmp"]
    cache.put(key(0), make.video())
    cache.put(key(1), make.video())
    own += [entries(cache)[0].with_name("holiday.json.gz")]
    for path in own:
        path.write_bytes(b"mine")
    held = cache.info()
    with cache.alone("a file"):
        pass
    assert cache.clear() == held
    assert not (cache.folder / "locks").exists()
    assert held.entries == 2
    assert cache.info().entries == 0
    assert [path.read_bytes() for path in own] == [b"mine"] * 3
    assert cache.get(key(0)) is None


def test_who_wants_the_same_file_waits(cache: Cache) -> None:
    waiting, looked = threading.Event(), list[str]()

    def second() -> None:
        waiting.set()
        with Cache(cache.folder).alone("image hero.png"):
            looked.append("second")

    with cache.alone("image hero.png"):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait()
        with cache.alone("video dance.mp4"):  # another file has another lock
            looked.append("first")
    thread.join()
    assert looked == ["first", "second"]


# ---- trouble


def test_a_folder_that_cannot_be_used_is_told_once(tmp_path: Path, make: Any) -> None:
    (tmp_path / "file").write_bytes(b"")
    said: list[str] = []
    cache = Cache(tmp_path / "file" / "kept", warn=said.append)
    assert cache.get(key()) is None
    cache.put(key(), make.video())
    cache.put(key(), make.video())
    assert cache.sha256(tmp_path / "file").startswith("e3b0c442")
    assert said == [
        f"{tmp_path}/file/kept: the cache of evidence cannot be used (Not a directory); make room, "
        "mend its permissions, name another folder with --cache DIR, or do without: --no-cache; "
        "files are looked at without it"
    ]


def test_unless_told_it_warns_as_python_does(tmp_path: Path, make: Any) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="cache of evidence cannot be used"):
        Cache(tmp_path / "file").put(key(), make.video())


def test_who_looks_after_a_cache_is_told_by_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "index.sqlite3").mkdir()
    cache = Cache(tmp_path / "cache")
    for care in (cache.info, cache.clear, cache.verify):
        with pytest.raises(CacheError, match="cannot be used"):
            care()


@pytest.mark.parametrize("where", ["rename", "fsync"])
def test_a_full_disk_leaves_nothing_half(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    said: list[str] = []
    cache = Cache(tmp_path / "kept", warn=said.append)
    cache.put(key(0), make.video())

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    if where == "fsync":
        monkeypatch.setattr("wan_prep.writing.os.fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    cache.put(key(1), make.video())
    monkeypatch.undo()
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert list(cache.folder.rglob("*.tmp*")) == []
    assert cache.verify() == CacheCheck(good=1, outdated=0, damaged=0, leftover=0)
    assert cache.get(key(0)) is not None


def test_an_index_that_stays_busy_does_not_keep_a_file_from_being_found(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_BUSY_S", 0.01)
    said: list[str] = []
    cache = Cache(tmp_path, warn=said.append)
    cache.put(key(), make.video())
    busy = sqlite3.connect(tmp_path / "index.sqlite3", isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    assert cache.get(key()) is not None
    cache.put(key(1), make.video())
    busy.rollback()
    busy.close()
    assert len(said) == 1
    assert "database is locked" in said[0]
    assert cache.get(key(1)) is None


# ---- the hash of a file


def test_a_file_is_read_once_as_long_as_it_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "kept", warn=fail, now_ns=lambda: LATER_NS)
    path = tmp_path / "clip"
    path.write_bytes(b"one")
    one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    two = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
    read: list[str] = []

    def counted(of: Path) -> str:
        read.append(of.name)
        return real(of)

    real = store.sha256_of
    monkeypatch.setattr(store, "sha256_of", counted)
    assert [cache.sha256(path) for _ in range(3)] == [one] * 3
    assert read == ["clip"]
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert cache.sha256(path) == two, "time and size were set back, the content is another one"
    assert read == ["clip", "clip"]
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert cache.sha256(path) == two
    assert read == ["clip"] * 3


def test_a_file_that_has_just_changed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change once more without another time stamp."""
    path = tmp_path / "clip"
    path.write_bytes(b"one")
    changed_ns = max(path.stat().st_mtime_ns, path.stat().st_ctime_ns)
    for age_ns, reads in ((2_000_000_000, 2), (2_000_000_001, 1)):
        now = changed_ns + age_ns
        cache = Cache(tmp_path / str(age_ns), warn=fail, now_ns=lambda now=now: now)
        read: list[Path] = []
        monkeypatch.setattr(store, "sha256_of", lambda of, read=read: read.append(of) or "0" * 64)
        assert [cache.sha256(path) for _ in range(2)] == ["0" * 64] * 2
        assert len(read) == reads


@pytest.mark.parametrize("years", [-30, -1, 1, 30])
def test_a_clock_that_is_set_changes_no_answer(tmp_path: Path, make: Any, years: int) -> None:
    """Files that change get another hash; what was used last stays, whatever the time is."""
    now = {"ns": LATER_NS}
    cache = Cache(tmp_path / "kept", warn=fail, now_ns=lambda: now["ns"])
    path = tmp_path / "clip"
    path.write_bytes(b"one")
    one = cache.sha256(path)
    cache.put(key(0), make.video())
    cache.put(key(1), make.video())
    now["ns"] += years * 365 * 86_400 * 10**9
    assert cache.sha256(path) == one
    assert cache.get(key(0)) is not None
    path.write_bytes(b"two")
    assert cache.sha256(path) == hashlib.sha256(b"two").hexdigest()
    path.write_bytes(b"six")
    assert cache.sha256(path) == hashlib.sha256(b"six").hexdigest()
    small = Cache(
        cache.folder, size_bytes=cache.info().size_bytes + 99, warn=fail, now_ns=lambda: now["ns"]
    )
    small.put(key(2), make.video())
    assert [small.get(key(n)) is not None for n in range(3)] == [True, False, True]


def test_hashes_do_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "HASHES_MOST", 3)
    cache = Cache(tmp_path / "kept", warn=fail, now_ns=lambda: LATER_NS)
    for number in range(5):
        path = tmp_path / f"{number}"
        path.write_bytes(bytes(number))
        cache.sha256(path)
    with sqlite3.connect(cache.folder / "index.sqlite3") as index:
        assert index.execute("SELECT count(*) FROM hashes").fetchone() == (3,)
    index.close()


def test_a_file_that_cannot_be_read_has_no_hash(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cache.sha256(tmp_path / "missing")


# ---- many at once

FILL = """
import sys
from pathlib import Path
from wan_prep.cache.key import EvidenceKey
from wan_prep.cache.store import Cache
from wan_prep.evidence import Evidence
from wan_prep.profile import default_profile

class Network:
    name, sha256 = "nobody", "0" * 64

def fail(message):
    raise SystemExit(message)

folder, evidence, size = sys.argv[1:]
seen = Evidence.model_validate_json(Path(evidence).read_text("utf-8"))
cache = Cache(folder, size_bytes=int(size), warn=fail)
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    key = EvidenceKey.of(
        Path("dance.mp4"), f"{number % 20:064x}", "video", Network(), default_profile()
    )
    if cache.get(key) is None:
        cache.put(key, seen)
        print(number, flush=True)
"""


def _filler(folder: Path, evidence: Path, size: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FILL, str(folder), str(evidence), str(size)]
    return subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("room", [1_000_000, 12], ids=["ample", "tight"])
def test_processes_that_fill_one_cache_at_once(tmp_path: Path, make: Any, room: int) -> None:
    """The folder does not even exist when they begin; with little room they let go, too."""
    seen = make.video()
    (tmp_path / "seen.json").write_text(seen.model_dump_json(), "utf-8")
    entry_bytes = len(packed(key(0).document, seen))
    running = [
        _filler(tmp_path / "kept", tmp_path / "seen.json", entry_bytes * room) for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
    cache = Cache(tmp_path / "kept", warn=fail)
    kept = min(20, len(entries(cache)))
    assert (kept == 20) if room > 20 else (10 <= kept <= 12)
    assert cache.info().entries == len(entries(cache)) == kept
    assert cache.verify() == CacheCheck(good=kept, outdated=0, damaged=0, leftover=0)
    assert list(cache.folder.rglob("*.tmp*")) == []


def test_a_process_that_is_killed_leaves_a_cache_that_works(tmp_path: Path, make: Any) -> None:
    seen = make.video()
    (tmp_path / "seen.json").write_text(seen.model_dump_json(), "utf-8")
    process = _filler(tmp_path / "kept", tmp_path / "seen.json", 10**9)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    for _ in range(4):
        process.stdout.readline()
    process.kill()
    process.communicate()
    cache = Cache(tmp_path / "kept", warn=fail)
    found = cache.verify()
    assert found.good >= 3
    assert found.damaged == 0
    assert cache.info().entries == found.good
    cache.put(key(99), seen)
    assert cache.get(key(99)) is not None


def test_threads_that_fill_one_cache_at_once(cache: Cache, make: Any) -> None:
    seen = make.video()

    def use(number: int) -> bool:
        if cache.get(key(number % 8)) is None:
            cache.put(key(number % 8), seen)
        return cache.get(key(number % 8)) is not None

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(64)))
    assert cache.info().entries == len(entries(cache)) == 8


# ---- looking at files

pytestmark = pytest.mark.media


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A picture and a clip without anybody in them."""
    image, video = tmp_path / "grey.png", tmp_path / "grey.mp4"
    Image.new("RGB", (64, 64), (90, 90, 90)).save(image)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi"]
    command += ["-i", "testsrc2=size=64x64:rate=10:duration=1", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, video], check=True)
    return image, video


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on nothing may be decoded, and no network loaded."""

    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("a known file was looked at")

    def install() -> None:
        for name in ("observe_image", "observe_video", "VideoReader", "observe_video_at"):
            monkeypatch.setattr(f"wan_prep.observing.{name}", refuse)
        monkeypatch.setattr("wan_prep.pose.mediapipe.MediapipeEstimator", refuse)

    return install


def test_a_known_pair_is_not_looked_at_and_its_report_is_the_same(
    cache: Cache, pair: tuple[Path, Path], unseen: Callable[[], None]
) -> None:
    network = Nobody()
    fresh = wan_prep.check(*pair, estimator=network)  # type: ignore[arg-type]
    asked = network.asked
    assert asked > 0
    first = wan_prep.check(*pair, estimator=network, cache=cache)  # type: ignore[arg-type]
    assert network.asked == 2 * asked
    unseen()
    again = wan_prep.check(*pair, estimator=network, cache=cache)  # type: ignore[arg-type]
    assert network.asked == 2 * asked
    assert again.public_json() == first.public_json() == fresh.public_json()
    assert again.evidence() == fresh.evidence()


def test_unless_asked_the_library_keeps_nothing(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
    wan_prep.check(*pair, estimator=Nobody())  # type: ignore[arg-type]
    wan_prep.observe(pair[1], estimator=Nobody())  # type: ignore[arg-type]
    assert not (tmp_path / "home").exists()


def test_a_moved_file_is_known_under_its_new_name(
    cache: Cache, pair: tuple[Path, Path], tmp_path: Path, unseen: Callable[[], None]
) -> None:
    network = Nobody()
    for path in pair:
        wan_prep.observe(path, estimator=network, cache=cache.folder)  # type: ignore[arg-type]
    (tmp_path / "elsewhere").mkdir()
    moved = [path.rename(tmp_path / "elsewhere" / f"other{path.suffix}") for path in pair]
    fresh = [wan_prep.observe(path, estimator=network) for path in moved]  # type: ignore[arg-type]
    unseen()
    for path, expected in zip(moved, fresh, strict=True):
        seen = wan_prep.observe(path, estimator=network, cache=cache)  # type: ignore[arg-type]
        assert seen.model_dump_json() == expected.model_dump_json()
        assert seen.path == str(path)
        assert seen.info is not None
        assert seen.info.path == str(path)


@pytest.mark.parametrize("spelling", ["./grey.png", "sub/../grey.png", "grey.png"])
def test_paths_are_shown_as_they_were_given(
    cache: Cache,
    pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spelling: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    network: Any = Nobody()
    fresh = wan_prep.observe(spelling, estimator=network, cache=cache)
    again = wan_prep.observe(spelling, estimator=network, cache=cache)
    assert again.model_dump_json() == fresh.model_dump_json()
    assert len(entries(cache)) == 1


def test_a_name_that_is_no_text(
    cache: Cache, pair: tuple[Path, Path], unseen: Callable[[], None]
) -> None:
    image = pair[0].rename(os.fsdecode(os.fsencode(pair[0].parent) + b"/\xff.png"))
    network: Any = Nobody()
    fresh = wan_prep.observe(image, kind="image", estimator=network, cache=cache)
    unseen()
    again = wan_prep.observe(image, kind="image", estimator=network, cache=cache)
    assert again.path == fresh.path
    assert (again.info, again.observations) == (fresh.info, fresh.observations)


def test_another_content_under_the_same_name_is_looked_at(
    cache: Cache, pair: tuple[Path, Path]
) -> None:
    image, network = pair[0], Nobody()
    wan_prep.observe(image, estimator=network, cache=cache)  # type: ignore[arg-type]
    asked = network.asked
    before = image.stat()
    Image.new("RGB", (64, 64), (91, 91, 91)).save(image)
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    wan_prep.observe(image, estimator=network, cache=cache)  # type: ignore[arg-type]
    assert network.asked == 2 * asked


def test_parts_and_people_are_kept_apart_and_single_times_not_at_all(
    cache: Cache, pair: tuple[Path, Path]
) -> None:
    network: Any = Nobody()
    video = pair[1]
    whole = wan_prep.observe(video, estimator=network, cache=cache)
    part = wan_prep.observe(video, end=0.5, estimator=network, cache=cache)
    left = wan_prep.observe(video, person="left", estimator=network, cache=cache)
    wan_prep.observe(video, at=[0.5], estimator=network, cache=cache)
    assert len(entries(cache)) == 3
    assert (whole.end, part.end, str(left.person)) == (None, Fraction(1, 2), "left")
    asked = network.asked
    assert wan_prep.observe(video, end=0.5, estimator=network, cache=cache) == part
    assert wan_prep.observe(video, person="left", estimator=network, cache=cache) == left
    assert network.asked == asked


def test_a_file_that_cannot_be_read_says_so_each_time(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a clip at all")
    network: Any = Nobody()
    for _ in range(2):
        assert wan_prep.observe(path, kind="video", estimator=network, cache=cache).defects
    assert entries(cache) == []
    with pytest.raises(InputPathError, match="found nothing"):
        wan_prep.observe(tmp_path / "missing.mp4", estimator=network, cache=cache)


def test_a_file_that_changes_while_it_is_looked_at_is_not_kept(
    cache: Cache, pair: tuple[Path, Path]
) -> None:
    class Painting(Nobody):
        def poses(self, rgb: np.ndarray) -> list[RawPose]:
            return super().poses(rgb)

    known = recall(
        cache,
        pair[0],
        "image",
        Painting(),  # type: ignore[arg-type]
        default_profile(),
    )
    Image.new("RGB", (64, 64), (7, 7, 7)).save(pair[0])
    seen = wan_prep.observe(pair[0], estimator=Painting())  # type: ignore[arg-type]
    assert known.kept(seen) is seen
    assert not entries(cache)


@pytest.mark.model
def test_a_known_pair_is_judged_without_loading_a_network(
    cache: Cache, brief_clip: Path, unseen: Callable[[], None]
) -> None:
    """Body, face and clip of the fixtures: evidence comes back to the last digit."""
    image = FIXTURES / "reference.png"
    first = wan_prep.check(image, brief_clip, cache=cache)
    unseen()
    again = wan_prep.check(image, brief_clip, cache=cache)
    assert again.public_json() == first.public_json()
    assert [e.model_dump_json() for e in again.evidence()] == [
        e.model_dump_json() for e in first.evidence()
    ]
    assert first.subject.image.found
