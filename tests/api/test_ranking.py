"""`rank` on files: each looked at once, those that cannot be looked at named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import wan_prep
from wan_prep import observing
from wan_prep.api import ranking as ranking_room
from wan_prep.api import write_contact_sheet, write_parquet
from wan_prep.api.looking import Look
from wan_prep.errors import DependencyMissing, InputPathError, WanPrepError

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def looks(make: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files are looked at by a fake; returns the names of those that were."""
    seen: list[str] = []

    def look(path: Path, what: Look, **_options: Any) -> Any:
        seen.append(path.name)
        made = make.image() if what.kind == "image" else make.video()
        return made.changed(path=str(path))

    monkeypatch.setattr(ranking_room, "look", look)
    return seen


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, content in (("a.png", b"1"), ("copy.png", b"1"), ("b.png", b"2"), ("v.mp4", b"3")):
        (tmp_path / name).write_bytes(content)
    return tmp_path


def rank(folder: Path, images: list[str], **options: Any) -> Any:
    return wan_prep.rank(
        [folder / name for name in images], [folder / "v.mp4"], estimator=object(), **options
    )


def test_each_content_is_looked_at_once(looks: list[str], files: Path) -> None:
    found = rank(files, ["a.png", "copy.png", "b.png", "a.png"])
    assert looks == ["a.png", "b.png", "v.mp4"]
    assert [Path(pair.image).name for pair in found] == ["a.png", "copy.png", "b.png"]


def test_what_is_no_file_is_set_aside(looks: list[str], files: Path) -> None:
    (files / "folder").mkdir()
    os.mkfifo(files / "pipe.png")
    found = rank(files, ["missing.png", "a.png", "pipe.png"])
    assert [Path(file.path).name for file in found.set_aside] == ["missing.png", "pipe.png"]
    assert "found nothing at" in found.set_aside[0].reason
    assert "named pipe" in found.set_aside[1].reason
    assert len(found) == 1


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.media
def test_what_a_cache_knows_is_not_looked_at(
    network: Any, brief_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Path(__file__).parents[2] / "fixtures" / "reference.png"
    first = wan_prep.rank([still], [brief_clip], estimator=network, cache=tmp_path / "seen")

    def looked(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was looked at again")

    monkeypatch.setattr(observing, "observe_image", looked)
    monkeypatch.setattr(observing, "observe_video", looked)
    again = wan_prep.rank([still], [brief_clip], estimator=network, cache=tmp_path / "seen")
    assert again == first
    assert len(again) == 1


def test_evidence_is_not_looked_at_again(looks: list[str], make: Any) -> None:
    found = wan_prep.rank([make.image()], [make.video()])
    assert looks == []
    assert (
        found[0].score_at_best_start
        == wan_prep.check(make.image(), make.video()).score_at_best_start
    )


def test_progress_goes_from_nothing_to_all(looks: list[str], files: Path) -> None:
    told: list[tuple[str, float]] = []
    rank(files, ["a.png", "b.png"], progress=lambda what, share: told.append((what, share)))
    assert told[0] == ("looking at 1 of 3 files", 0.0)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0.95 < shares[-1] < 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top": 0}, "expected 1 pair or more"),
        ({"top_per": "pair"}, "expected 1 pair or more, of all or per image or video"),
        ({"mode": "dance"}, "expected animate or replace"),
        ({"ignore": ["WP9"]}, "no check is called"),
        ({"person": "somebody"}, "expected largest, left"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_looked_at(
    looks: list[str], files: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(WanPrepError, match=words):
        rank(files, ["a.png"], **options)
    assert looks == []


def test_sides_are_not_confused(make: Any) -> None:
    with pytest.raises(WanPrepError, match=r"expected evidence of images, got that of dance\.mp4"):
        wan_prep.rank([make.video()], [make.video()])
    with pytest.raises(InputPathError, match="expected at least one video"):
        wan_prep.rank([make.image()], [])


def test_no_input_is_replaced(looks: list[str], files: Path) -> None:
    found = rank(files, ["a.png", "missing.png"])
    for write in (write_contact_sheet, write_parquet):
        with pytest.raises(InputPathError, match="would replace the input"):
            write(found, files / "a.png")
    assert (files / "a.png").read_bytes() == b"1"


def test_without_pyarrow_parquet_says_what_to_install(
    looks: list[str], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DependencyMissing, match=r"pip install 'wan-prep\[parquet\]'"):
        write_parquet(rank(files, ["a.png"]), files / "best.parquet")
    assert not (files / "best.parquet").exists()


# ------------------------------------------------------------------ the shared crosses


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.model
@pytest.mark.skipif(not DATA.exists(), reason="the shared media are absent")
@pytest.mark.parametrize(("mode", "resolution"), [("animate", "480p"), ("replace", "720p")])
def test_all_shared_crosses_score_as_check_scores_them(
    network: Any, seen_once: Any, mode: Any, resolution: Any
) -> None:
    """Every image of pairs and heads against every video, to the last digit; and the best 15 of
    them are the best by `check`."""
    folders = [
        folder for kind in ("pairs", "heads") for folder in (DATA / kind, *DATA.glob(f"{kind}/*/"))
    ]
    options = {"mode": mode, "resolution": resolution}
    with pytest.MonkeyPatch.context() as patch:
        seen_once.install(patch)
        images, videos = (
            [
                wan_prep.observe(path, kind=kind, estimator=network)
                for folder in folders
                for path in sorted(folder.iterdir())
                if path.is_file() and (path.suffix == ".mp4") == (kind == "video")
            ]
            for kind in ("image", "video")
        )
    expected = {
        (i.path, v.path): report.score_at_best_start
        for i in images
        for v in videos
        if (report := wan_prep.check(i, v, **options)).score_at_best_start is not None
    }
    assert len(expected) >= 130
    found = wan_prep.rank(images, videos, top=len(images) * len(videos), **options)
    assert {(p.image, p.video): p.score_at_best_start for p in found} == expected
    best = wan_prep.rank(images, videos, top=15, **options)
    assert [p.score_at_best_start for p in best] == sorted(expected.values(), reverse=True)[:15]
    assert best.pairs == found.pairs[:15]
