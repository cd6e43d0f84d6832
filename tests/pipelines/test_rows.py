"""A row of a table: what its cells may be, and what its files are called."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from wan_prep.errors import RowInvalid
from wan_prep.pipelines.rows import PairRow, echo


@pytest.mark.parametrize("empty", [None, "", math.nan, np.nan])
def test_empty_cells_say_nothing(empty: Any) -> None:
    cells = dict.fromkeys(("mode", "resolution", "prompt", "seed", "id"), empty)
    assert PairRow.of({"image": "a.png", "video": "b.mp4", **cells}) == PairRow(
        image="a.png", video="b.mp4"
    )


def test_cells_of_text_are_read_as_what_they_mean() -> None:
    row = PairRow.of(
        {
            "image": "a",
            "video": "b",
            "mode": " Replace",
            "resolution": "720P",
            "seed": "7",
            "id": 17,
        }
    )
    assert (row.mode, row.resolution, row.seed, row.id) == ("replace", "720p", 7, "17")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"video": "b"}, "image is missing"),
        ({"image": "a", "video": math.nan}, "video is missing"),
        ({"image": "a", "video": "b", "mode": "dance"}, "mode is 'dance'.*'animate' or 'replace'"),
        ({"image": "a", "video": "b", "seed": "x"}, "seed is 'x'.*integer"),
        ({"image": ["a"], "video": "b"}, r"image is \['a'\]"),
    ],
)
def test_a_row_that_names_no_pair_says_why(cells: dict[str, Any], said: str) -> None:
    with pytest.raises(RowInvalid, match=said):
        PairRow.of(cells)


@pytest.mark.parametrize(
    ("cells", "start"),
    [
        ({"id": "take_2.final"}, "take_2.final"),
        ({"id": "../../etc"}, "etc-"),
        ({"id": ".hidden"}, "hidden-"),
        ({"id": "—"}, "pair-"),
        ({"id": "x" * 200}, "x" * 80 + "-"),
        ({}, "hero-dance-"),
        ({"image": "https://host/h%20ero.png?sig=1"}, "h-20ero-dance-"),
    ],
)
def test_what_is_made_of_a_row_gets_a_plain_name(cells: dict[str, Any], start: str) -> None:
    row = PairRow.of({"image": "cast/hero.png", "video": r"C:\clips\dance.mp4"} | cells)
    assert row.folder_name.startswith(start)
    assert row.folder_name == start or len(row.folder_name) == len(start) + 8


def test_rows_of_one_name_get_folders_of_their_own() -> None:
    a = PairRow(image="a/hero.png", video="dance.mp4")
    b = PairRow(image="b/hero.png", video="dance.mp4")
    assert a.folder_name != b.folder_name


def test_names_that_are_no_utf_8_can_be_written() -> None:
    said = echo({"image": "\udcff.png", "video": "b", "seed": "x"}, "animate", "480p")
    assert said == {"image": r"\udcff.png", "video": "b", "mode": "animate", "resolution": "480p"}
    assert PairRow.of({"image": "\udcff.png", "video": "b"}).content_sha256
