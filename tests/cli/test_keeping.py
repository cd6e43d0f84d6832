"""The cache at the command line: its own command, and the options of those that look at files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wan_prep import api
from wan_prep.cache.key import EvidenceKey
from wan_prep.cache.store import Cache
from wan_prep.cli import run
from wan_prep.profile import default_profile

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


class Network:
    name, sha256 = "nobody", "0" * 64


def key_of(number: int) -> EvidenceKey:
    return EvidenceKey.of(
        Path("a.mp4"),
        f"{number:064x}",
        "video",
        Network(),  # type: ignore[arg-type]
        default_profile(),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def filled(home: Path, make: Any) -> Cache:
    """The default cache, with three pieces of evidence."""
    cache = Cache()
    for number in range(3):
        cache.put(key_of(number), make.video())
    return cache


def damage(cache: Cache) -> None:
    next(iter(cache.folder.rglob("*.json.gz"))).write_bytes(b"")


# ---- wan-prep cache


def test_info_of_nothing(home: Path, capsys: Capture) -> None:
    assert run(["cache"]) == 0
    said = f"0 files seen, 0.0 MB of 2,000.0 MB\nin {home}/cache\n"
    assert capsys.readouterr().out == said
    assert not home.exists()


def test_info_and_clear(filled: Cache, capsys: Capture) -> None:
    size = filled.info().size_bytes
    facts = {"entries": 3, "size_bytes": size, "limit_bytes": 2_000_000_000}
    assert run(["cache", "info", "--format", "json"]) == 0
    head = {"schema_version": 1, "action": "info", "folder": str(filled.folder)}
    assert json.loads(capsys.readouterr().out) == head | facts
    assert run(["cache", "info", "-q"]) == 0
    assert capsys.readouterr().out == "3\n"
    assert run(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("removed: 3 files seen, 0.0 MB\n")
    assert run(["cache", "clear", "--format", "json"]) == 0
    gone = {"action": "clear", "entries": 0, "size_bytes": 0}
    assert json.loads(capsys.readouterr().out) == head | facts | gone


def test_verify(filled: Cache, capsys: Capture) -> None:
    assert run(["cache", "verify", "-q"]) == 0
    assert capsys.readouterr().out == "good\n"
    damage(filled)
    assert run(["cache", "verify"]) == 1, "as wherever something was found"
    assert capsys.readouterr().out == (
        "2 good, 0 of other versions, 1 damaged and removed, 0 left by killed runs and removed\n"
        f"in {filled.folder}\n"
    )
    assert run(["cache", "verify", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "action": "verify",
        "folder": str(filled.folder),
        "good": 2,
        "outdated": 0,
        "damaged": 0,
        "leftover": 0,
    }
    damage(filled)
    assert run(["cache", "verify", "-q"]) == 1
    assert capsys.readouterr().out == "damaged\n"


def test_another_folder(filled: Cache, tmp_path: Path, capsys: Capture) -> None:
    assert run(["cache", "info", "-q", "--cache", "other"]) == 0
    assert run(["cache", "info", "-q", "--cache", str(filled.folder)]) == 0
    assert capsys.readouterr().out == "0\n3\n"


@pytest.mark.parametrize("action", ["info", "clear", "verify"])
def test_a_folder_that_cannot_be_used(action: str, tmp_path: Path, one_line: Any) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "index.sqlite3").mkdir()
    assert run(["cache", action, "--cache", "kept"]) == 2
    assert "kept: the cache of evidence cannot be used" in one_line()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["burn"], "'burn' is not one of"),
        (["--cache", ""], "found an empty string"),
        (["--cache-size", "much"], "--cache-size 'much': expected a size such as 500MB or 2GB"),
        (["--cache-size", "-1"], "expected a size such as 500MB or 2GB"),
    ],
)
def test_what_cannot_be_meant_is_one_line(options: list[str], words: str, one_line: Any) -> None:
    assert run(["cache", *options]) == 2
    assert words in one_line()


# ---- where files are looked at


@pytest.mark.parametrize(
    ("options", "folder", "size"),
    [
        ("", "home/cache", 2_000_000_000),
        ("--cache kept", "kept", 2_000_000_000),
        ("--cache kept --cache-size 500MB", "kept", 500_000_000),
        ("--cache-size 1000", "home/cache", 1000),
        ("--no-cache", None, None),
    ],
)
def test_options_say_where_evidence_is_kept(
    answer: Any,
    report: Any,
    home: Path,
    tmp_path: Path,
    options: str,
    folder: str | None,
    size: int | None,
) -> None:
    asked = answer(report())
    assert run(["check", "-q", *options.split(), "a", "b"]) == 0
    cache = asked["cache"]
    assert (cache and tmp_path / cache.folder) == (folder and tmp_path / folder)
    assert (cache and cache.size_bytes) == size


@pytest.mark.parametrize(
    ("text", "options", "folder", "size"),
    [
        ('cache = "kept"', "", "kept", 2_000_000_000),
        ('cache = "kept"\ncache-size = "1.5GB"', "", "kept", 1_500_000_000),
        ('cache = "kept"', "--cache other", "other", 2_000_000_000),
        ('cache = "kept"', "--no-cache", None, None),
        ("cache = false", "", None, None),
        ("cache = false", "--cache other", "other", 2_000_000_000),
        ("cache = true\ncache-size = 77", "", "home/cache", 77),
        ("cache-size = 77", "--cache-size 78", "home/cache", 78),
    ],
)
def test_settings_say_where_evidence_is_kept(
    answer: Any,
    report: Any,
    home: Path,
    tmp_path: Path,
    text: str,
    options: str,
    folder: str | None,
    size: int | None,
) -> None:
    (tmp_path / "wan-prep.toml").write_text(text, "utf-8")
    asked = answer(report())
    assert run(["check", "-q", *options.split(), "a", "b"]) == 0
    cache = asked["cache"]
    assert (cache and tmp_path / cache.folder) == (folder and tmp_path / folder)
    assert (cache and cache.size_bytes) == size


def test_settings_may_say_that_nothing_is_kept(tmp_path: Path, one_line: Any) -> None:
    (tmp_path / "wan-prep.toml").write_text("cache = false", "utf-8")
    assert run(["cache"]) == 2
    assert "nothing is kept; name a folder with --cache DIR" in one_line()


@pytest.mark.parametrize("text", ["cache = 7", 'cache-size = "much"', "cache-size = -1"])
def test_settings_that_cannot_be(text: str, tmp_path: Path, one_line: Any) -> None:
    (tmp_path / "wan-prep.toml").write_text(text, "utf-8")
    assert run(["cache"]) == 2
    assert "wan-prep.toml: cache" in one_line()


def test_a_folder_and_none_is_a_contradiction(answer: Any, report: Any, one_line: Any) -> None:
    answer(report())
    assert run(["check", "-q", "--cache", "kept", "--no-cache", "a", "b"]) == 2
    assert "give --cache DIR or --no-cache, and not both" in one_line()


@pytest.mark.parametrize("command", ["inspect a", "plan a b", "fix a b -o out", "submit a b --yes"])
@pytest.mark.parametrize("is_off", [False, True])
def test_every_command_that_looks_at_files_hands_it_on(
    command: str, is_off: bool, home: Path, monkeypatch: Patch, tmp_path: Path, make: Any
) -> None:
    asked: list[Any] = []

    def note(*_given: Any, **named: Any) -> None:
        asked.append(named["cache"])
        raise KeyboardInterrupt

    for name in ("check", "observe"):
        monkeypatch.setattr(api, name, note)
    monkeypatch.setattr(api.judging, "check", note)
    monkeypatch.setenv("WAVESPEED_API_KEY", "not-a-real-key")
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    options = ["--upload"] if command.startswith("submit") else []
    assert run([*command.split(), *options, *(["--no-cache"] if is_off else [])]) == 130
    assert [cache and cache.folder for cache in asked] == [None if is_off else home / "cache"]


def test_a_cache_that_cannot_be_used_is_told_beside_the_answer(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture, report: Any, make: Any
) -> None:
    (tmp_path / "file").write_bytes(b"")

    def check(*_pair: str, cache: Cache, **_named: Any) -> Any:
        cache.put(key_of(0), make.video())
        cache.put(key_of(1), make.video())
        return report("ready")

    monkeypatch.setattr(api, "check", check)
    assert run(["check", "-q", "--cache", "file/kept", "file", "b"]) == 0
    out, err = capsys.readouterr()
    assert out == "ready 93.65\n"
    assert err.startswith("wan-prep: file/kept: the cache of evidence cannot be used (")
    assert err.endswith("files are looked at without it\n")
    assert err.count("\n") == 1
