"""The page in a real browser: how it looks at two sizes, in two themes, and what can be done."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import wan_prep
from wan_prep.api import write_contact_sheet
from wan_prep.planning.model import Plan
from wan_prep.report.model import Report
from wan_prep.visual.html import render_html
from wan_prep.visual.pictures import Pictures, pair_pictures

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
DESKTOP, PHONE = (1280, 900), (390, 844)
ANSWER_WITHIN_S = 60.0

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed"),
]


class Browser:
    """A headless Chromium, spoken to through the pipe of its DevTools protocol."""

    def __init__(self, folder: Path) -> None:
        commands_out, commands_in = os.pipe()
        answers_out, answers_in = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; this puts the pipes there.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (commands_out, answers_in)]
        put = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
            "os.execv(sys.argv[3], sys.argv[3:])"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", put, *map(str, high), str(CHROMIUM), "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={folder}"],
            pass_fds=high, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in (*high, commands_out, answers_in):
            os.close(fd)
        self._commands, self._answers = commands_in, answers_out
        self._read, self._sent = b"", 0
        self.events: list[dict[str, Any]] = []
        self._session: dict[str, str] = {}
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def close(self) -> None:
        self._session = {}
        self.do("Browser.close")
        self._process.wait(timeout=ANSWER_WITHIN_S)
        os.close(self._commands)
        os.close(self._answers)

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._sent += 1
        command = {"id": self._sent, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (answer := self._next()).get("id") != self._sent:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def run(self, script: str) -> Any:
        answer = self.do("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def becomes(self, script: str, expected: Any) -> bool:
        """Whether a value is reached within some hundred frames."""
        frame = "new Promise((done) => requestAnimationFrame(() => done(true)))"
        for _ in range(300):
            if self.run(script) == expected:
                return True
            self.do("Runtime.evaluate", expression=frame, awaitPromise=True)
        return False

    def show(self, path: Path, size: tuple[int, int] = DESKTOP, theme: str = "light") -> None:
        self.do(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1],
            deviceScaleFactor=1, mobile=size == PHONE,
        )  # fmt: skip
        self.do(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": theme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )
        self.events.clear()
        self.do("Page.navigate", url=path.as_uri())
        while not any(e["method"] == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next())

    def press(self, key: str, times: int = 1) -> None:
        code = {"ArrowLeft": 37, "ArrowRight": 39, "Tab": 9, "Enter": 13}[key]
        facts: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        if key == "Enter":
            facts["text"] = "\r"
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                self.do("Input.dispatchKeyEvent", type=kind, **facts)

    def point(self, selector: str, share: float = 0.5, *, click: bool = False) -> None:
        """Move the mouse to a share of an element's width, in the middle of its height."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView("
            "{block: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect();"
            f"return [r.left + {share} * r.width, r.top + r.height / 2]; }})()"
        )
        kinds = ("mouseMoved", "mousePressed", "mouseReleased") if click else ("mouseMoved",)
        for kind in kinds:
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self) -> np.ndarray:
        """(h, w, 3) of the whole page."""
        shot = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return np.asarray(Image.open(BytesIO(base64.b64decode(shot["data"]))).convert("RGB"))

    def troubles(self) -> list[dict[str, Any]]:
        """What the console says."""
        methods = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [e for e in self.events if e["method"] in methods]

    def requests(self) -> set[str]:
        """Schemes of everything that was asked for."""
        sent = [e for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return {e["params"]["request"]["url"].split(":")[0] for e in sent}

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + ANSWER_WITHIN_S
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], until - time.monotonic())
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser has gone"
            self._read += part
        message, self._read = self._read.split(b"\0", 1)
        decoded: dict[str, Any] = json.loads(message)
        return decoded


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def report(seen_once: Any) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        seen_once.install(patch)
        return wan_prep.check(FIXTURES / "reference.png", FIXTURES / "driving.mp4")


@pytest.fixture(scope="module")
def taken(report: Report) -> Pictures:
    return pair_pictures(report)


@pytest.fixture(scope="module")
def page(report: Report, taken: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(report, taken), encoding="utf-8")
    return path


SEEN = [
    "reference.png driven by driving.mp4", "What to do first", "Crop and pad both to one ratio",
    "$0.20", "624 × 624", "Side by side", "Reference image", "First frame, 0.00 s",
    "Size in the frame", "Along the clip", "Pose distance", "Limb by limb", "Findings", "WP201",
    "Files and cost",
]  # fmt: skip


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_shown(browser: Browser, page: Path, size: tuple[int, int], theme: str) -> None:
    browser.show(page, size, theme)
    assert browser.troubles() == []
    assert browser.requests() <= {"file", "data"}
    words = browser.run("document.body.innerText")
    assert [text for text in SEEN if text not in words] == []
    wide, window = browser.run("[document.documentElement.scrollWidth, innerWidth]")
    assert wide == window == size[0], "nothing to scroll sideways"
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser.run(broken) == 0
    picture = browser.picture()
    assert picture.shape[1] == size[0]
    assert picture.shape[0] > 3000
    # The page's own ground in its corner, the photographs somewhere in it.
    assert (picture[0, 0].mean() > 200) == (theme == "light")
    assert picture.std() > 30


# Every element with words of its own: the ratio to the first filled ground under it.
CONTRAST = """
(() => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => color.slice(0, 3)
    .map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest(".tag, svg, script, .hidden")) continue;
    let ground = e;
    while (ground && rgba(getComputedStyle(ground).backgroundColor)[3] < 255)
      ground = ground.parentElement;
    const pair = [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor]
      .map((c) => light(rgba(c))).sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push([e.className || e.tagName, e.textContent.slice(0, 30), ratio]);
  }
  return poor;
})()
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_word_stands_out(browser: Browser, page: Path, theme: str) -> None:
    browser.show(page, DESKTOP, theme)
    assert browser.run(CONTRAST) == []
    assert browser.run(CONTRAST.replace("4.5)", "22)")), "the ruler measures"


def test_the_slider_mixes_by_keyboard(browser: Browser, page: Path) -> None:
    browser.show(page)
    opacity = "Number(getComputedStyle(document.querySelector('.overlay .over')).opacity)"
    assert browser.run(opacity) == 0.5
    browser.run("document.querySelector('.mixer input').focus()")
    browser.press("ArrowRight", 20)
    assert browser.becomes(opacity, 0.7)
    browser.press("ArrowLeft", 40)
    assert browser.becomes(opacity, 0.3)
    before = browser.picture()
    browser.press("ArrowRight", 50)
    assert np.abs(before.astype(int) - browser.picture()).max() > 20, "the picture itself changes"


def test_layers_are_switched_by_mouse(browser: Browser, page: Path) -> None:
    browser.show(page)
    shown = "getComputedStyle(document.querySelector('.annotated .layer-{}')).display"
    for layer in ("skeleton", "shot", "neck", "face"):
        assert browser.run(shown.format(layer)) == "inline"
        browser.point(f"#show-{layer}", click=True)
        assert browser.becomes(shown.format(layer), "none")
    assert browser.run(shown.format("other")) == "none"
    browser.point("#show-other", click=True)
    assert browser.becomes(shown.format("other"), "inline")


def test_the_timeline_says_what_was_measured(browser: Browser, page: Path, report: Report) -> None:
    browser.show(page)
    said = "document.getElementById('said').textContent"
    assert browser.run(said).startswith("0.00 s: pose ")
    browser.point(".track:not(.thin):not(.bare) .plot", 0.999)
    assert browser.becomes(f"{said}.slice(0, 12)", "2.53 s: pose")
    browser.run("document.getElementById('step').focus()")
    browser.press("ArrowLeft", 13)
    assert browser.becomes(f"{said}.slice(0, 6)", "0.00 s")
    assert browser.run("document.getElementById('step').ariaValueText") == browser.run(said)


@pytest.fixture(scope="module")
def marked(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From half a second on the arms are raised; a better start lies later in the clip."""
    pair = FIXTURES / "reference.png", FIXTURES / "driving.mp4"
    report = wan_prep.check(*pair, start=0.5, estimator=network)
    path = tmp_path_factory.mktemp("marked") / "report.html"
    path.write_text(render_html(report, pair_pictures(report)), encoding="utf-8")
    return path


def test_a_mark_leads_to_its_finding(browser: Browser, marked: Path) -> None:
    page, mark = marked, ".mark[href='#WP403']"
    browser.show(page)
    title = browser.run(f'document.querySelector("{mark}").title')
    assert title.startswith("1.30 s: a clip that starts at 1.30 s would score")
    browser.run(f'document.querySelector("{mark}").focus()')
    browser.press("Enter")
    assert browser.becomes("location.hash", "#WP403")
    browser.show(page)
    browser.point(mark, click=True)
    assert browser.becomes("location.hash", "#WP403")
    heading = "document.getElementById('WP403').getBoundingClientRect().top"
    assert browser.becomes(f"{heading} >= 0 && {heading} < innerHeight", True)


def test_the_first_stop_of_the_keyboard_skips_to_the_report(browser: Browser, page: Path) -> None:
    browser.show(page)
    browser.press("Tab")
    assert browser.becomes("document.activeElement.textContent", "Skip to the report")


def test_without_script_the_essentials_are_there(browser: Browser, page: Path) -> None:
    browser.do("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.show(page)
        words = browser.run("document.body.innerText")
        assert [text for text in SEEN if text not in words] == []
        hidden = "[...document.querySelectorAll('.mixer, .scrub')].every(e => !e.checkVisibility())"
        assert browser.run(hidden), "what would not work is not offered"
        assert browser.troubles() == []
    finally:
        browser.do("Emulation.setScriptExecutionDisabled", value=False)


def test_it_prints(browser: Browser, page: Path) -> None:
    browser.show(page, theme="dark")
    pdf = base64.b64decode(browser.do("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert pdf.startswith(b"%PDF")
    pages = pdf.count(b"/Type /Page\n") or pdf.count(b"/Type /Page ")
    assert 3 <= pages <= 9


def test_a_hostile_name_runs_nothing(
    browser: Browser, report: Report, taken: Pictures, planned: Callable[..., Plan], tmp_path: Path
) -> None:
    name = "\"><script>window.owned=1</script><img src=x onerror='window.owned=1'>\u202e.png"
    bad = report.model_copy(
        update={
            "image": report.image.model_copy(update={"path": name}),
            "findings": tuple(f.model_copy(update={"message": name}) for f in report.findings),
        }
    )
    path = tmp_path / "hostile.html"
    path.write_text(render_html(bad, taken, plan=planned(bad)), encoding="utf-8")
    browser.show(path)
    assert browser.run("window.owned") is None
    assert browser.troubles() == [], "not even the policy had to step in"
    assert "<script>window.owned=1</script>" in browser.run("document.body.innerText")


def test_an_injected_script_is_refused_by_the_policy(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    """What the policy is for: even markup that slipped in could do nothing."""
    html = page.read_text("utf-8").replace(
        "<main", "<script>window.owned=1</script><img src='https://example.invalid/x.png'><main", 1
    )
    path = tmp_path / "injected.html"
    path.write_text(html, encoding="utf-8")
    browser.show(path)
    assert browser.run("window.owned") is None
    refusals = [e["params"]["entry"]["text"] for e in browser.troubles()]
    assert len(refusals) == 2
    assert all("Content Security Policy" in text for text in refusals)


# ------------------------------------------------------------------ the page of a ranking


@pytest.fixture(scope="module")
def sheet(seen_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten copies of the picture, each against the clip, and a file that is none."""
    folder = tmp_path_factory.mktemp("sheet")
    for number in range(10):
        shutil.copy(
            FIXTURES / "reference.png", folder / f"a character with a long name {number}.png"
        )
    (folder / "broken.png").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        seen_once.install(patch)
        ranking = wan_prep.rank([folder], [FIXTURES / "driving.mp4"])
    write_contact_sheet(ranking, folder / "best.html")
    return folder / "best.html"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_contact_sheet_is_shown(
    browser: Browser, sheet: Path, size: tuple[int, int], theme: str
) -> None:
    browser.show(sheet, size, theme)
    assert browser.troubles() == []
    assert browser.requests() <= {"file", "data"}
    words = browser.run("document.body.innerText")
    assert "All 10 pairs (10 × 1), best first" in words
    assert "a character with a long name 9.png" in words
    assert "broken.png" in words
    wide, window = browser.run("[document.documentElement.scrollWidth, innerWidth]")
    assert wide == window == size[0], "nothing to scroll sideways"
    shown = "[...document.images].filter(i => i.complete && i.naturalWidth).length"
    assert browser.run(shown) == 20
    stretched = """[...document.images].filter(i => getComputedStyle(i).objectFit !== "contain")"""
    assert browser.run(f"{stretched}.length") == 0
    assert browser.run(CONTRAST) == []
    assert browser.picture().std() > 20
