"""Tables of pairs as people write them, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import ManifestError, RowInvalid
from wan_prep.pipelines.manifest import open_manifest, with_whole_paths

PAIR = {"image": "a.png", "video": "b.mp4"}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "image,video\na.png,b.mp4\n"),
        ("t.csv", "\ufeffimage;video\r\na.png;b.mp4\r\n"),
        ("t.tsv", "image\tvideo\na.png\t b.mp4"),
        ("t.csv", "\n".join(["image,video", "", '"a.png","b.mp4"', ","])),
        ("t.CSV", "image,video\na.png,b.mp4\n"),
        ("t.jsonl", '{"image": "a.png", "video": "b.mp4"}\n\n'),
        ("t.ndjson", '\ufeff{"image": "a.png", "video": "b.mp4"}'),
    ],
)
def test_one_pair_is_read(tmp_path: Path, name: str, content: str) -> None:
    table = open_manifest(written(tmp_path / name, content))
    # Twice: a batch reads its manifest more than once.
    assert [dict(cells) for cells in table.rows()] == [PAIR]  # type: ignore[call-overload]
    assert [dict(cells) for cells in table.rows()] == [PAIR]  # type: ignore[call-overload]
    assert table.folder == tmp_path
    assert table.ignored == ()


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [PAIR | {"seed": k} for k in range(600)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    assert list(open_manifest(tmp_path / "t.parquet").rows()) == rows
    written(tmp_path / "cut.parquet", (tmp_path / "t.parquet").read_bytes()[:-20])
    with pytest.raises(ManifestError, match="cannot read this table"):
        open_manifest(tmp_path / "cut.parquet")


def test_columns_that_mean_nothing_are_named(tmp_path: Path) -> None:
    table = open_manifest(written(tmp_path / "t.csv", "image,video,promt,id\na,b,c,d\n"))
    assert table.ignored == ("promt",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.txt", "image,video\n", r"ends in \.csv, \.tsv"),
        ("t.csv", "", "at least one pair, found none"),
        ("t.csv", "image,video\n", "at least one pair, found none"),
        ("t.csv", "picture,video\na,b\n", "expected the columns image and video, found picture"),
        ("t.csv", "hero.png,dance.mp4\nx.png,y.mp4\n", "expected the columns image and video"),
        ("t.csv", b"image,video\n\xff\xfe,b\n", "not UTF-8"),
        ("t.csv", 'image,video\n"' + "x" * 1_100_000, "field larger"),
        ("t.parquet", "image", "cannot read this table"),
        ("missing.csv", None, "no such file"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(
    tmp_path: Path, name: str, content: Any, said: str
) -> None:
    if content is not None:
        written(tmp_path / name, content)
    with pytest.raises(ManifestError, match=said):
        open_manifest(tmp_path / name)


def test_a_line_that_cannot_be_read_is_a_row_of_its_own(tmp_path: Path) -> None:
    csv = open_manifest(written(tmp_path / "t.csv", "image,video,prompt\na,b,hello, you\nc,d\n"))
    first, second = csv.rows()
    assert isinstance(first, RowInvalid)
    assert str(first).startswith("line 2 has 4 cells, and the first line names 3")
    assert second == {"image": "c", "video": "d"}
    lines = '{"image": "a", "video": "b"}\n{"image": \n[1]\n' + "[" * 100_000
    found = list(open_manifest(written(tmp_path / "t.jsonl", lines)).rows())
    assert [str(row) for row in found[1:]] == [
        "line 2 is not JSON",
        "line 3 is no JSON object",
        "line 4 is not JSON",
    ]


def test_two_folders_are_matched_by_name(tmp_path: Path) -> None:
    images, videos = tmp_path / "images", tmp_path / "videos"
    images.mkdir()
    videos.mkdir()
    for name in ("b.png", "a.jpg", "alone.png", ".hidden.png"):
        written(images / name, b"x")
    for name in ("a.mp4", "b.mov", "b.mp4", "solo.mp4"):
        written(videos / name, b"x")
    table = open_manifest(images, videos)
    assert [(c["id"], Path(c["image"]).name, Path(c["video"]).name) for c in table.rows()] == [  # type: ignore[index]
        ("a", "a.jpg", "a.mp4"),
        ("b", "b.png", "b.mov"),
        ("b", "b.png", "b.mp4"),
    ]
    assert [Path(path).name for path in table.unmatched] == ["alone.png", "solo.mp4"]
    with pytest.raises(ManifestError, match="name a second one with the videos"):
        open_manifest(images)
    with pytest.raises(ManifestError, match="expected a folder of videos"):
        open_manifest(images, videos / "a.mp4")
    (images / "alone.png").rename(images / "other.png")
    for name in ("a.jpg", "b.png"):
        (images / name).unlink()
    with pytest.raises(ManifestError, match="has the name of a video"):
        open_manifest(images, videos)


def test_files_are_named_from_the_table_and_urls_as_they_are() -> None:
    folder = Path("tables")
    assert with_whole_paths({"image": "a.png", "video": "/x/b.mp4"}, folder) == {
        "image": "tables/a.png",
        "video": "/x/b.mp4",
    }
    assert with_whole_paths({"image": "s3://b/a.png", "video": ""}, folder) == {
        "image": "s3://b/a.png",
        "video": "",
    }
