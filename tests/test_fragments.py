from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.findings import Finding
from wan_prep.fragments import badge, card, inert, printable, table
from wan_prep.profile import default_profile
from wan_prep.report.assemble import build_report
from wan_prep.report.model import Report, Tool

HOSTILE = "<script>alert(1)</script>\"' onload=x \u202egpj.exe \x1b[31m \udcff"


class Balanced(HTMLParser):
    """Every tag that opens closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags_of(html: str) -> set[str]:
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser.tags


def test_printable_shows_control_characters_as_escapes() -> None:
    assert printable("a\u202eb\n\udcff") == "a\\u202eb\\n\\udcff"
    assert printable("Zoë – 測試") == "Zoë – 測試"


def test_inert_is_text_and_nothing_else() -> None:
    assert inert("<b a=\"1\" b='2'>&\u202e") == (
        "&lt;b a=&quot;1&quot; b=&#x27;2&#x27;&gt;&amp;\\u202e"
    )


@given(st.text())
def test_inert_text_has_no_markup_and_no_controls(text: str) -> None:
    made = inert(text)
    assert not set("<>\"'") & set(made)
    assert made.isprintable()


def test_the_parts() -> None:
    assert table([("size", "<b>1</b>")]).count("<b>1</b>") == 1
    assert ">not ready</span>" in badge("not_ready")
    assert tags_of(card("head", table([("<i>", "1")]))) == {"div", "table", "tr", "th", "td"}


# ------------------------------------------------------------------ what notebooks show


@pytest.fixture
def report(make: Any) -> Report:
    image = make.image(evidence={"path": HOSTILE})
    video = make.video([None, "adult", "adult"], evidence={"path": "dance.mp4"})
    return build_report(
        image, video, mode="animate", resolution="720p", profile=default_profile(),
        tool=Tool(name="wan-prep", version="0.0"),
    )  # fmt: skip


def shown(html: str) -> str:
    """Its words."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_report(report: Report) -> None:
    html = report._repr_html_()
    assert tags_of(html) == {"div", "span", "b", "table", "tr", "th", "td"}
    words = shown(html)
    verdict = report.verdict.replace("_", " ")
    assert words.startswith(f"{verdict} {report.score:.1f} of 100, animate, 720p")
    assert "cost $0.64 to $0.80" in words
    assert "WP504 the first frame, which the model takes as its template, shows nobody" in words
    assert words.count("no body is recognised in the first frame") == 1
    assert words.endswith(f"and {len(report.findings) - words.count(' WP')} more findings")
    assert "\\u202egpj.exe" in words


def test_evidence(report: Report) -> None:
    assert report.image_evidence is not None
    assert report.video_evidence is not None
    assert tags_of(report.image_evidence._repr_html_()) <= {"div", "b", "table", "tr", "th", "td"}
    assert shown(report.video_evidence._repr_html_()) == (
        "Evidence of the video dance.mp4 size 720 × 1280 px looked at 3 frames from 0.00 to "
        "8.00 s cuts none person found in 2 of 3 other people none"
    )


def test_evidence_of_what_cannot_be_read(make: Any) -> None:
    words = shown(make.unreadable("image")._repr_html_())
    assert words == "Evidence of the image empty.image problem the file has 0 bytes"


def test_a_finding() -> None:
    finding = Finding.model_validate(
        {"code": "WP101", "name": "x-y", "severity": "error", "status": "fail", "subject": "pair",
         "message": HOSTILE, "measured": None, "limit": None, "unit": None, "source": "seed",
         "span_s": None, "fix": {"applicability": "safe", "title": "<b>mend</b>"}}
    )  # fmt: skip
    html = finding._repr_html_()
    assert tags_of(html) == {"div", "span", "b"}
    assert shown(html).endswith("→ &lt;b&gt;mend&lt;/b&gt;")


def test_a_plan(a_plan: Any) -> None:
    step = {"codes": [], "about": "pair", "applicability": "safe", "applied": True,
            "title": "cut <the> clip", "reason": "why"}  # fmt: skip
    plan = a_plan(
        steps=[step, step | {"applied": False}, step | {"applied": False,
               "applicability": "manual"}],
        score=50.0, verdict="risky", foreseen={"score": 80.25, "verdict": "ready"},
    )  # fmt: skip
    words = shown(plan._repr_html_())
    assert words == (
        "risky 50.0 → ready 80.2 expected by fix cut &lt;the&gt; clip why "
        "offered cut &lt;the&gt; clip why by hand cut &lt;the&gt; clip why"
    )
    assert "nothing to do" in plan.model_copy(update={"steps": ()})._repr_html_()
