"""A ranking of evidence: the best pairs as `check` judges them, and who takes no part."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from wan_prep.errors import EvidenceMissing, WanPrepError
from wan_prep.geometry import Box
from wan_prep.pose.choice import PersonChoice
from wan_prep.profile import default_profile
from wan_prep.ranking.assemble import build_ranking
from wan_prep.ranking.model import Ranking
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import Tool

TOOL = Tool(name="wan-prep", version="0")
SETTINGS = {
    "mode": "animate",
    "resolution": "480p",
    "profile": default_profile(),
    "tool": TOOL,
}


def ranked(images: Any, videos: Any, **changes: Any) -> Ranking:
    return build_ranking(images, videos, **{**SETTINGS, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mode": "replace", "resolution": "720p"},
        {"selection": Selection(ignore=("WP5", "WP404"))},
    ],
    ids=["animate", "replace", "some checks"],
)
def test_the_best_pairs_are_those_that_check_scores_best(cast: Any, changes: Any) -> None:
    images, videos = cast(21, 9, 9)
    settings = {**SETTINGS, **changes}
    every = [
        (build_report(i, v, **settings), i.path, v.path)
        for i in images
        for v in videos
    ]  # fmt: skip
    best = sorted(every, key=lambda each: -each[0].score_at_best_start)[:12]
    found = ranked(images, videos, top=12, **changes)
    assert [(p.image, p.video) for p in found] == [each[1:] for each in best]
    for pair, (report, _, _) in zip(found, best, strict=True):
        assert pair.score_at_best_start == report.score_at_best_start
        assert pair.best_start_s == report.best_start_s
        assert (pair.score, pair.verdict) == (report.score, report.verdict)
    assert [pair.rank for pair in found] == list(range(1, 13))
    assert found.pair_count == 81


@pytest.mark.parametrize("side", ["image", "video"])
def test_the_best_of_each_image_or_video(cast: Any, side: str) -> None:
    images, videos = cast(22, 5, 6)
    scores = {(p.image, p.video): p.score_at_best_start for p in ranked(images, videos, top=30)}
    found = ranked(images, videos, top_per=side, top=2)
    named = images if side == "image" else videos
    for one in named:
        mine = sorted((s for pair, s in scores.items() if one.path in pair), reverse=True)
        listed = [p.score_at_best_start for p in found if getattr(p, side) == one.path]
        assert listed == mine[:2]
    assert len(found) == 2 * len(named)
    in_order = [p.score_at_best_start for p in found]
    assert in_order == sorted(in_order, reverse=True)


def test_files_that_take_no_part_are_named(make: Any) -> None:
    asked = PersonChoice.of("0.9,0.9")
    other = make.image(None, others=[Box(0.1, 0.1, 0.2, 0.5)], evidence={"person": asked})
    found = ranked(
        [
            make.image().changed(path="good.png"),
            make.image(None).changed(path="empty.png"),
            make.unreadable("image").changed(path="broken.png"),
            other.changed(path="other.png"),
        ],
        [make.video().changed(path="good.mp4"), make.video([None] * 3).changed(path="empty.mp4")],
    )
    assert [(p.image, p.video) for p in found] == [("good.png", "good.mp4")]
    reasons = {file.path: file.reason for file in found.set_aside}
    assert list(reasons) == ["empty.png", "broken.png", "other.png", "empty.mp4"]
    assert reasons["empty.png"] == "nobody is recognised in the image"
    assert reasons["broken.png"] == "the file has 0 bytes"
    assert "0.9,0.9" in reasons["other.png"]
    assert reasons["empty.mp4"] == "nobody is recognised in the video"


def test_nothing_can_be_ranked(make: Any) -> None:
    found = ranked([make.image(None)], [make.video()])
    assert (len(found), found.pair_count, len(found.set_aside)) == (0, 0, 1)


def test_a_better_start_is_what_to_do(make: Any) -> None:
    """The rank counts on it."""
    turned = make.subject(make.body(make.turned("y", 80.0)))
    video = make.video([turned, turned, turned, *["adult"] * 13])
    (pair,) = ranked([make.image()], [video])
    assert pair.best_start_s == 1.5
    assert pair.to_do == "start the clip at 1.50 s"
    assert pair.score_at_best_start > pair.score + 5


def test_else_the_fix_of_the_gravest_finding(make: Any) -> None:
    (pair,) = ranked([make.image(width=1280, height=720)], [make.video()])
    assert pair.codes[0] == "WP201"
    assert pair.to_do == "crop and pad both to one ratio"
    (good,) = ranked([make.image()], [make.video()], resolution="720p")
    assert (good.codes, good.to_do) == ((), None)


def test_a_selection_that_leaves_no_check(make: Any) -> None:
    with pytest.raises(WanPrepError, match="no check is left"):
        ranked([make.image()], [make.video()], selection=Selection(("WP1",), ("WP1",)))


# ---- the value


@pytest.fixture
def found(make: Any) -> Ranking:
    images = [make.image().changed(path=f"<b>{k}</b>.png") for k in range(2)]
    return ranked([*images, make.image(None)], [make.video()])


def test_it_round_trips_through_json(found: Ranking) -> None:
    document = json.loads(found.to_json())
    assert document["schema_version"] == 1
    assert "files" not in document
    read = Ranking.model_validate_json(found.to_json())
    assert read.pairs == found.pairs
    assert read.set_aside == found.set_aside
    with pytest.raises(EvidenceMissing, match="rank the files again"):
        read.evidence_of("image", "<b>0</b>.png")


def test_it_is_a_sequence_of_pairs(found: Ranking) -> None:
    assert [pair.rank for pair in found] == [1, 2]
    assert found[0] is found.pairs[0]
    assert len(found) == 2


def test_it_is_a_table(found: Ranking) -> None:
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["image"] for row in rows] == ["<b>0</b>.png", "<b>1</b>.png"]
    assert float(rows[0]["score_at_best_start"]) == found[0].score_at_best_start
    assert rows[0]["codes"].split() == list(found[0].codes)


def test_parquet(found: Ranking, tmp_path: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found.to_parquet(str(tmp_path / "best.parquet"))
    table = parquet.read_table(tmp_path / "best.parquet")
    assert table.column_names[:4] == ["rank", "image", "video", "score_at_best_start"]
    assert table.to_pylist() == [p.model_dump() | {"codes": list(p.codes)} for p in found]


def test_notebooks_get_a_table_without_markup_of_others(found: Ranking) -> None:
    html = found._repr_html_()
    assert "&lt;b&gt;0&lt;/b&gt;.png" in html
    assert "<b>0</b>" not in html
    assert "nobody is recognised" in html
