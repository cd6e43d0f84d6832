"""The page of a ranking as text: what it says, that nothing hostile becomes markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import EvidenceMissing
from wan_prep.profile import default_profile
from wan_prep.ranking.assemble import build_ranking
from wan_prep.ranking.model import Ranking
from wan_prep.report.model import Tool
from wan_prep.visual.contact_sheet import render_contact_sheet, sheet_pictures

HOSTILE = "cast/<img src=x onerror=alert(1)>\u202e.png"


@pytest.fixture
def found(make: Any) -> Ranking:
    turned = make.subject(make.body(make.turned("y", 80.0)))
    late = make.video([turned, turned, turned, *["adult"] * 13])
    return build_ranking(
        [
            make.image().changed(path="cast/hero.png"),
            make.image().changed(path=HOSTILE),
            make.image(None).changed(path="cast/empty.png"),
        ],
        [late.changed(path="dances/late.mp4")],
        mode="animate",
        resolution="720p",
        profile=default_profile(),
        tool=Tool(name="wan-prep", version="0.0"),
    )


def test_each_pair_has_a_card(found: Ranking, still: Any) -> None:
    pictures = {("cast/hero.png", None): still(), ("dances/late.mp4", 1.5): still(time_s=1.5)}
    page = render_contact_sheet(found, pictures)
    assert page.count('<li class="card">') == 2
    assert f"<b>{found[0].score_at_best_start:.2f}</b>" in page
    assert "late.mp4 <span>from 1.50 s</span>" in page
    assert "→ Start the clip at 1.50 s" in page
    assert f"{found[0].score:.2f} from its beginning" in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert page.count("no picture") == 1
    assert "All 2 pairs (2 × 1), best first; animate, 720p" in page
    aside = page[page.index('id="aside"') :]
    assert "cast/empty.png" in aside
    assert "nobody is recognised in the image" in aside


def test_nothing_from_outside_is_markup_and_nothing_is_loaded(found: Ranking) -> None:
    page = render_contact_sheet(found, {})
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;\\u202e.png" in page
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*", page) == []


def test_a_file_that_is_gone_has_no_picture(found: Ranking, tmp_path: Path) -> None:
    assert sheet_pictures(found) == {}


def test_a_ranking_from_json_has_no_evidence(found: Ranking) -> None:
    read = Ranking.model_validate_json(found.to_json())
    with pytest.raises(EvidenceMissing):
        sheet_pictures(read)
