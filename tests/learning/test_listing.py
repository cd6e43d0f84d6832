"""CSV files that people write: what is taken, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan_prep.errors import InputPathError, WanPrepError
from wan_prep.learning.listing import read_listing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "=1+1.png", "b.mp4", "r.json"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def listed(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(WanPrepError) as caught:
        read_listing(listed(folder, text))
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 600
    return message


def test_rows_are_read_with_paths_beside_the_list(folder: Path) -> None:
    text = "﻿Image, Video,mode,OUTCOME,why\r\na.png, b.mp4 ,Replace,GOOD,\r\n\r\n"
    (row,) = read_listing(listed(folder, text))
    assert (row.image, row.video) == (folder / "a.png", folder / "b.mp4")
    assert (row.mode, row.resolution, row.outcome, row.why) == ("replace", None, "good", None)


def test_a_saved_report_stands_for_both_files(folder: Path) -> None:
    (row,) = read_listing(listed(folder, "report,outcome,why\nr.json,bad,limbs\n"))
    assert (row.report, row.image, row.outcome, row.why) == (
        folder / "r.json",
        None,
        "bad",
        "limbs",
    )


def test_a_formula_is_a_name_like_any_other(folder: Path) -> None:
    (row,) = read_listing(listed(folder, "image,video,outcome\n=1+1.png,b.mp4,good\n"))
    assert row.image == folder / "=1+1.png"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the columns image, video and outcome"),
        ("image,video\na.png,b.mp4\n", "expected the columns image, video and outcome"),
        ("image,outcome\na.png,good\n", "expected the columns image, video and outcome"),
        ("image,video,outcome,price\na.png,b.mp4,good,1\n", "unknown column 'price'; known are"),
        ("image,video,outcome,outcome\n", "two columns 'outcome'"),
        ("image,video,outcome\n", "found none"),
        ("image,video,outcome\na.png,b.mp4,great\n", "line 2: outcome: Input should be"),
        ("image,video,outcome\na.png,b.mp4,\n", "line 2: outcome: Field required"),
        ("image,video,outcome,why\na.png,b.mp4,bad,ugly\n", "line 2: why: Input should be"),
        ("image,video,mode,outcome\na.png,b.mp4,both,bad\n", "line 2: mode: Input should be"),
        ("image,video,outcome\na.png,b.mp4\n", "line 2: expected 3 cells, found 2"),
        ("image,video,outcome\na.png,,good\n", "expected both image and video"),
        ("image,video,report,outcome\na.png,b.mp4,r.json,good\n", "a report instead of them"),
        ("image,video,outcome\na.png,b.mp4,good\nc.png,b.mp4,bad\n", "line 3: "),
        ('image,video,outcome\n"a.png,b.mp4,good\n', "not CSV"),
        ("image,video,outcome\na.png,b.mp4,\x1b[31mred\x07\n", "line 2: outcome"),
        ("image,video,outcome\n" + "a" * 5000 + ",b.mp4,good\n", "is not a file"),
        ("image,video,outcome\n" + "a" * 200_000 + ",b.mp4,good\n", "not CSV"),
        (b"image,video,outcome\na\x00.png,b.mp4,good\n", "line 2"),
        (b"\xff\xfe\x00image", "not UTF-8"),
        ("\x1b]0;title\x07,video,outcome\n", "unknown column"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(
    folder: Path, text: str | bytes, said: str
) -> None:
    assert said in refusal(folder, text)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputPathError):
            read_listing(path)
