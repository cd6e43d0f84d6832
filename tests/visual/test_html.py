"""The page as text: what it says, that it stands alone, that nothing hostile becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from fractions import Fraction
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from wan_prep.errors import EvidenceMissing, WanPrepError
from wan_prep.geometry import Box
from wan_prep.planning.model import Plan
from wan_prep.profile import default_profile
from wan_prep.report.model import Report
from wan_prep.stills import Still
from wan_prep.visual.html import render_html
from wan_prep.visual.pictures import Pictures

Check = Callable[..., Report]
VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Tags in order with their attributes, the words that are seen, and that all is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), "no attribute twice"
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif self._open and self._open[-1] != "style":
            self.words += f" {data}"

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def text(self) -> str:
        return " ".join(self.words.split())


@pytest.fixture
def flawed(make: Any, check: Check) -> Report:
    """Something of everything: another shape, a turned start, a cut, people, absence."""
    turned = make.body(make.turned("y", 70.0))
    video = make.video(
        [turned, *["adult"] * 9, *[None] * 6],
        others={3: [Box(0.0, 0.2, 0.3, 0.9)]},
        evidence={"cuts": (Fraction(4),)},
    )
    return check(make.image(width=1280), video)


@pytest.fixture
def page(flawed: Report, pictures: Pictures) -> Page:
    return Page(render_html(flawed, pictures))


# ------------------------------------------------------------------ what it says


def test_the_essentials_come_first(page: Page, flawed: Report) -> None:
    head = page.text[: page.text.index("Side by side")]
    assert "Not ready" in head or "Risky" in head
    assert f"{flawed.score:.0f} of 100" in head
    assert "hero.png driven by dance.mp4" in head
    assert "animate · 720p" in head
    assert "$0.64 to $0.80" in head
    assert "8.0 billed seconds at $0.08" in head
    first, *_ = flawed.findings
    assert first.fix is not None
    assert first.fix.title[1:] in head
    assert first.message in head
    assert head.count("WP") in (1, 2), "one or two things to do"


def test_every_section_is_there(page: Page) -> None:
    for words in (
        "Reference image", "First frame, 0.00 s", "Best start, 2.00 s", "Image over first frame",
        "Size in the frame", "fine to 1.08×, warning from 1.32×", "typical", "Along the clip",
        "Pose distance", "Zoom", "View", "Face size", "Presence", "People", "1 cut", "best start,",
        "All 16 looked-at frames as a table", "Limb by limb", "Findings", "Why it matters",
        "Files and cost", "checks passed", "loads nothing from anywhere",
    ):  # fmt: skip
        assert words in page.text, words
    assert "What the fix" not in page.text


def test_every_finding_is_there_with_its_source(page: Page, flawed: Report) -> None:
    ids = [a["id"] for a in page.all("h3") if "id" in a]
    assert sorted(ids) == sorted(f.code for f in flawed.findings)
    for finding in flawed.findings:
        assert finding.message in page.text
        assert finding.fix is None or finding.fix.title in page.text
    assert page.text.count("source:") >= len({f.message for f in flawed.findings if f.source})


def test_links_lead_somewhere(
    flawed: Report, pictures: Pictures, planned: Callable[..., Plan]
) -> None:
    unheard = planned(flawed).steps[0].model_copy(update={"codes": ("WP101", "WP201")})
    page = Page(render_html(flawed, pictures, plan=planned(flawed, steps=[unheard])))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids)
    targets = [a["href"] for a in page.all("a", "use") if a.get("href")]
    assert {str(t).removeprefix("#") for t in targets} <= set(ids)
    assert all(str(t).startswith("#") for t in targets)


def test_the_worst_limbs_are_named(check: Check, make: Any, pictures: Pictures) -> None:
    raised = make.adult()
    raised[[15, 17, 19, 21]] = raised[13] + [0.25, 0.0, 0.0]
    report = check(video=make.video([make.body(raised), "adult", "adult"]))
    text = Page(render_html(report, pictures)).text
    assert "the left forearm is farthest from the image (90°)" in text


def test_a_ready_pair_has_nothing_to_do(check: Check, pictures: Pictures) -> None:
    text = Page(render_html(check(), pictures)).text
    assert "Ready to submit." in text
    assert "Nothing. The pair can be submitted as it is." in text
    assert "No problems were found." in text


def test_a_plan(flawed: Report, pictures: Pictures, planned: Callable[..., Plan]) -> None:
    page = Page(render_html(flawed, pictures, plan=planned(flawed)))
    text = page.text
    assert "What the fix would do" in text
    assert "95.5 expected after the fix" in text
    assert "95.5 ready, foreseen; cost $0.64 to $0.80 → becomes $0.43 to $0.80" in text
    assert "turned 2.5° clockwise, 600 × 1000 px from 60, 40, written as 576 × 960" in text
    assert "by fix Cut the clip to 1.00-6.40 s there the pose matches WP403 offered" in text
    assert "offered Crop closer 4 points more" in text
    assert "by hand Use a closer picture" in text
    assert "driving.mp4: 1.00 to 6.40 s" in text


def test_after_the_fix(
    flawed: Report, check: Check, pictures: Pictures, planned: Callable[..., Plan]
) -> None:
    after = check()
    text = Page(render_html(flawed, pictures, plan=planned(flawed), after=(after, pictures))).text
    head = text[: text.index("Side by side")]
    assert f"{after.score:.0f} of 100 {flawed.score:.1f} before the fix" in head
    assert "Ready to submit." in head
    assert "What remains" in head
    assert "The same after the fix" in text
    assert "What the fix did" in text
    assert f"{after.score:.1f} {after.verdict}, checked" in text
    assert "→ fine 0.56 : 1 in both" in text
    assert "unchanged by the fix" in text
    mended = text[text.index("Mended by the fix") :]
    assert all(finding.message in mended for finding in flawed.findings)


# ------------------------------------------------------------------ whatever comes


def kinds(make: Any, check: Check) -> dict[str, Report]:
    bare = make.subject(view_matrix=None, px_per_m=None, face=None)
    unreadable = make.unreadable
    return {
        "nobody in the image": check(make.image(None)),
        "nobody in the video": check(video=make.video([None] * 4)),
        "unmeasurable": check(make.image(bare), make.video([bare])),
        "late": check(video=make.video([None, "adult"])),
        "one frame": check(video=make.video(["adult"], duration=Fraction(1, 30))),
        "no image": check(unreadable("image")),
        "no video": check(video=unreadable("video")),
        "neither": check(unreadable("image"), unreadable("video")),
        "replace": check(mode="replace", resolution="480p"),
    }


@pytest.mark.parametrize("with_pictures", [True, False])
def test_every_kind_of_pair_has_a_page(
    make: Any, check: Check, pictures: Pictures, with_pictures: bool
) -> None:
    for kind, report in kinds(make, check).items():
        image, video = report.evidence()
        shown = Pictures(
            pictures.image if image.info else None,
            pictures.first if video.info else None,
            None,
            pictures.thumbnails if video.info else (),
        )
        text = Page(render_html(report, shown if with_pictures else Pictures())).text
        assert f"{report.score:.0f} of 100" in text, kind
        assert "nan" not in re.findall(r"[a-z]+", text), kind
        assert "None" not in text, kind
        assert ("not readable" in text) == (image.info is None or video.info is None), kind


def test_another_profile_is_refused_and_its_own_taken(check: Check, pictures: Pictures) -> None:
    own = default_profile().model_copy(
        update={"name": "mine", "tolerances": {
            **default_profile().tolerances,
            "zoom": default_profile().tolerances["zoom"].model_copy(update={"fine": 0.5}),
        }}
    )  # fmt: skip
    report = check(profile=own)
    with pytest.raises(WanPrepError, match="hand over the one it was made with"):
        render_html(report, pictures)
    assert "fine to 1.65×" in render_html(report, pictures, profile=own)
    with pytest.raises(EvidenceMissing):
        render_html(check().model_copy(update={"video_evidence": None}), pictures)


# ------------------------------------------------------------------ alone and inert


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    assert page.all("iframe", "object", "embed", "base", "form", "video", "audio") == []
    links = page.all("link")
    assert [a["href"] for a in links] == ["data:,"]
    for attributes in page.all("img", "image"):
        source = attributes.get("src") or attributes.get("href")
        assert str(source).startswith("data:image/jpeg;base64,")
    (script,) = page.all("script")
    assert script == {}


def test_the_policy_allows_this_script_alone(flawed: Report, pictures: Pictures) -> None:
    html = render_html(flawed, pictures)
    page = Page(html)
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256("".join(page.scripts).encode()).digest()).decode()
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


HOSTILE = [
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "' onload='alert(1)",
    "</title></style><h1>owned",
    "</script><script>alert(1)//",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#60;",
    "\u202egpj.exe\u2066",
    "a\r\nb\x00\x1b[31m",
    "bad\udcff.png",
    "javascript:alert(1)",
    "data:text/html,<b>",
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda n: n.encode("unicode_escape").decode()[:20])
def test_hostile_names_stay_text(
    name: str, make: Any, check: Check, pictures: Pictures, planned: Callable[..., Plan]
) -> None:
    plain = check()
    wanted = [tag for tag, _ in Page(render_html(plain, pictures, plan=planned(plain))).tags]
    report = check(make.image(evidence={"path": name}), make.video(evidence={"path": name}))
    plan = planned(
        report,
        video=planned(report).video.model_copy(
            update={"spans": [planned(report).video.spans[0].model_copy(update={"name": name})]}
        ),
    )
    html = render_html(report, pictures, plan=plan)
    html.encode("utf-8")
    page = Page(html)
    assert [tag for tag, _ in page.tags] == wanted, "not one element more or less"
    handlers = [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert handlers == []
    body = html.replace("\n", "")
    assert all(c.isprintable() for c in body), "no control characters, no hidden direction"
    shown = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or name
    inert = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    assert " ".join(inert.split()) in page.text


def test_hostile_messages_stay_text(check: Check, make: Any, pictures: Pictures) -> None:
    report = check(make.image(None))
    bad = report.findings[0].model_copy(update={"message": "<img src=x onerror=alert(1)>\u202e"})
    html = render_html(report.model_copy(update={"findings": (bad,)}), pictures)
    assert "<img src=x" not in html
    assert "\u202e" not in html


# ------------------------------------------------------------------ size


def test_two_minutes_stay_below_2_mb(
    make: Any, check: Check, still: Callable[..., Still], planned: Callable[..., Plan]
) -> None:
    # 241 samples, five square pictures and a dozen thumbnails of noise: the worst there is.
    video = make.video(["adult"] * 241, duration=Fraction(120))
    report = check(make.image(width=1280), video)
    large, small = still(720, 720, noise=True), still(150, 150, noise=True)
    full = Pictures(large, large, large, (small,) * 12)
    html = render_html(report, full, plan=planned(report), after=(check(), full))
    assert len(html.encode()) < 2_000_000
    plain = render_html(report, Pictures())
    assert len(plain.encode()) < 250_000


# ------------------------------------------------------------------ accessible


def test_headings_are_in_order(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_pictures_and_controls_have_names(page: Page) -> None:
    (html,) = page.all("html")
    assert html["lang"] == "en"
    for attributes in page.all("img"):
        assert attributes["alt"]
        assert attributes["width"]
    for attributes in page.all("svg"):
        outermost = "viewBox" in attributes or "role" in attributes
        named = attributes.get("aria-label") or attributes.get("aria-hidden")
        assert named or not outermost or attributes.get("preserveAspectRatio") == "none"
    for attributes in page.all("input"):
        assert attributes.get("aria-label") or attributes["type"] == "checkbox"
    for attributes in page.all("th"):
        assert attributes["scope"] in ("row", "col")


def test_every_number_carries_its_tolerance(page: Page) -> None:
    rows = len(re.findall(r"fine (?:to|from) ", page.text))
    assert rows >= 13 + 4, "every measure, every track"


def colors(html: str) -> list[dict[str, str]]:
    """The custom properties of light and dark."""
    style = html[html.index("<style>") : html.index("@media print")]
    blocks = re.findall(r":root\s*{(.*?)}", style, flags=re.DOTALL)
    return [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block)) for block in blocks]


def contrast(a: str, b: str) -> float:
    """Ratio of relative luminances by WCAG 2."""

    def luminance(color: str) -> float:
        channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast(flawed: Report, pictures: Pictures) -> None:
    light, dark = colors(render_html(flawed, pictures))
    for theme in (light, light | dark):
        for ink in ("ink", "quiet", "link", "image", "video"):
            for ground in ("bg", "card", "soft"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
        for state in ("fine", "info", "warning", "error"):
            assert contrast(theme[state], theme[f"{state}-soft"]) >= 4.5, state


def test_what_comes_out_and_what_to_ask_an_image_editor(make: Any, check: Check) -> None:
    from_the_side = make.image(make.body(make.turned("y", 75.0)), width=1000, height=1000)
    page = Page(render_html(check(from_the_side, make.video()), Pictures()))
    assert (
        "→ or ask an image editor: Turn the person to face the camera. Keep the face" in page.text
    )
    assert "240 frames, 8.00 s, predicted" in page.text
    assert "Size: 960 × 960 px, no bars Length: 8.00 s: 240 frames at 30 fps" in page.text
    assert "Person: about as large as in the video, by the picture's height" in page.text
    assert "if the service runs the official preprocessing (wan source)" in page.text
