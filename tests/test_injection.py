"""Names of files, texts and answers come from strangers: whatever they hold, it stays text.

One table: every place where something is shown or written, against every hostile text.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pydantic_core
import pytest
from pyarrow import parquet
from rich.console import Console

from wan_prep import errors
from wan_prep.cache.store import Cache
from wan_prep.cli import output, run
from wan_prep.documents import json_text, read_path, written_path
from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.fragments import csv_cell
from wan_prep.learning.learned import learned_from
from wan_prep.learning.outcome import JobOutcome
from wan_prep.learning.summary import summarize
from wan_prep.learning.text import render_learned, render_outcomes
from wan_prep.normalizers import ffmpeg, resample
from wan_prep.normalizers.filters import Filter
from wan_prep.pipelines.results import Results, read_results
from wan_prep.pipelines.rows import PairResult, echo
from wan_prep.pipelines.text import render_summary
from wan_prep.planning.model import Plan
from wan_prep.planning.text import render_fixed, render_plan
from wan_prep.profile import default_profile
from wan_prep.ranking.assemble import build_ranking
from wan_prep.ranking.model import Ranking, SetAside
from wan_prep.ranking.text import render_ranking
from wan_prep.report.assemble import build_report
from wan_prep.report.inspection import build_inspection
from wan_prep.report.keypoints import export, file_canvas
from wan_prep.report.model import Report, Tool
from wan_prep.report.text import render_inspection, render_report
from wan_prep.submission.jobs import Job, JobInput, utc_now
from wan_prep.visual.contact_sheet import render_contact_sheet
from wan_prep.visual.html import render_html
from wan_prep.visual.pictures import Pictures

HOSTILE = {
    "plain": "hero.png",
    "script": "<script>alert(1)</script>.png",
    "attribute": "\"' onerror=alert(1) x='<img src=x onerror=alert(1)>",
    "end of an element": "</title></style></script><h1>owned",
    "template": "{{ 7 * 7 }}{% raw %}${7*7}#{7}",
    "entity": "&lt;b&gt;&#60;&amp;",
    "address": "javascript:alert(1)",
    "formula": "=HYPERLINK(\"https://x.example\";\"click\")",
    "formula by plus": "+1+cmd|'/c calc'!A1",
    "formula by minus": "-2+3",
    "formula by at": "@SUM(A1:A9)",
    "formula behind a tab": "\t=1+1",
    "formula behind a return": "\r=1+1",
    "formula behind a blank": " =1+1",
    "formula, full width": "＝1+1",
    "table": "a,b;c\"d\"\n=1+1\r\ne",
    "colour": "\x1b[31mred\x1b[0m",
    "title of the terminal": "\x1b]0;owned\x07",
    "one-byte controls": "\x9b31m\x9d0;owned\x9c",
    "cursor": "a\r\x1b[2K\x08\x08b\x7f",
    "line": "first\nwan-prep: all is well",
    "line of Unicode": "first\u2028second\u2029third\x85fourth\x0b\x0c",
    "direction": "\u202egnp.exe\u202c \u2066x\u2069",
    "invisible": "a\u200bb\ufeffc\u2060d\U000e0041",
    "not UTF-8": "bad\udcff\udc80.png",
    "text like an escape": "\\udcff \\u005c \\\\udcff \udcff\\udcff",
    "zero": "a\x00b",
    "markup of rich": "[red]x[/red][link=https://x.example]y[/link] :smile:",
    "filters of ffmpeg": "in,scale=9:9;[out]'x'\\:%{pts}%d=1",
    "option": "-y -f lavfi",
    "formula of matplotlib": "$\\frac{1}{0}$ $",
    "markdown": "![x](https://x.example) `a` | b |\n# c",
    "long": "x" * 5000,
    "letters of other scripts": "Zoë – 測試 می\u200cخواهم 👩\u200d🎤.png",
}  # fmt: skip
FIXTURES = Path(__file__).parents[1] / "fixtures"
TOOL = Tool(name="wan-prep", version="0.0")
Surface = Callable[["Shown"], str]


class Shown:
    """Everything that can be shown, with one hostile text wherever a stranger's text can be."""

    def __init__(self, text: str, make: Any, a_plan: Any, folder: Path) -> None:
        self.text, self.folder, self._make, self._a_plan = text, folder, make, a_plan

    @property
    def image(self) -> Evidence:
        return self._make.image(evidence={"path": self.text})

    @property
    def video(self) -> Evidence:
        return self._make.video([None, "adult", "adult"], evidence={"path": self.text})

    @property
    def unreadable(self) -> Evidence:
        return self._make.unreadable("image").changed(path=self.text)

    @property
    def report(self) -> Report:
        made = build_report(
            self.image, self.video, mode="animate", resolution="480p", tool=TOOL,
            profile=default_profile(),
        )  # fmt: skip
        first = made.findings[0].model_copy(update={"message": str(WanPrepError(self.text))})
        return made.model_copy(update={"findings": (first, *made.findings[1:])})

    @property
    def inspection(self) -> Any:
        return build_inspection(
            self.video, mode="animate", resolution="480p", profile=default_profile(), tool=TOOL
        )

    @property
    def plan(self) -> Plan:
        source = {"source": self.text, "sha256": "a" * 64, "copy_bytes": True}
        span = {"name": "driving.mp4", "start": Fraction(0), "end": Fraction(8)}
        return self._a_plan(
            image=source | {"name": "reference.png"}, video=source | {"spans": [span]}
        )

    @property
    def ranking(self) -> Ranking:
        return build_ranking(
            [self.image], [self._make.video().changed(path=self.text)], mode="animate",
            resolution="480p", profile=default_profile(), tool=TOOL,
            set_aside=[
                SetAside(kind="image", path=self.text, reason=str(WanPrepError(self.text)))
            ],
        )  # fmt: skip

    @property
    def outcomes(self) -> Any:
        given = written_path(self.text)  # as the journal has it
        one = JobOutcome(
            name=given, result="good", noted_at=utc_now(), image=given, video=given,
            mode="animate", resolution="480p",
        )  # fmt: skip
        return summarize([one], default_profile())

    @property
    def result(self) -> PairResult:
        cells = {"image": self.text, "video": self.text, "prompt": self.text, "id": self.text}
        return PairResult(
            **echo(cells, "animate", "480p"), row=1, status="failed", error=written_path(self.text)
        )


@pytest.fixture(params=HOSTILE, ids=lambda name: name.replace(" ", "-"))
def shown(request: Any, make: Any, a_plan: Any, tmp_path: Path) -> Shown:
    return Shown(HOSTILE[request.param], make, a_plan, tmp_path)


# ---- the terminal


def printed(render: Callable[[Console], None]) -> str:
    with output.console_on_stdout() as console:
        render(console)
    return ""


def told(shown: Shown) -> str:
    output.fail(shown.text)
    output.print_note(shown.text)
    output.print_trouble(shown.text)
    return ""


def listed(shown: Shown) -> str:
    from wan_prep.cli.sending import _show_job

    given = written_path(shown.text)
    place = JobInput(source=given, url="https://kept.example/1.png", path=given)
    now = utc_now()
    job = Job(
        id="wp-a", batch="wp-a", state="completed", base_url="https://api.example", model="wan",
        image=place, video=place, mode="animate", resolution="480p", seed=1, created_at=now,
        updated_at=now, error=given, note=given, status=given,
    )  # fmt: skip
    _show_job(job)
    return ""


def summarized(shown: Shown) -> str:
    from wan_prep.pipelines.batch import BatchSummary

    made = BatchSummary(
        Path(shown.text), 1, 0, {"failed": 1}, {}, 0, 0, is_all_good=False,  # type: ignore[arg-type]
        ignored=(shown.text,), unmatched=(shown.text,),
    )  # fmt: skip
    return printed(lambda console: render_summary(made, console))


def learned(shown: Shown) -> str:
    found = learned_from([], default_profile(), utc_now().date())
    kept = found.model_copy(update={"refusal": None})
    return printed(lambda console: render_learned(kept, console, shown.text))


TERMINAL: dict[str, Surface] = {
    "check": lambda s: printed(lambda c: render_report(s.report, c, verbose=True)),
    "inspect": lambda s: printed(lambda c: render_inspection(s.inspection, c, verbose=True)),
    "plan": lambda s: printed(lambda c: render_plan(s.plan, c)),
    "fix": lambda s: printed(lambda c: render_fixed(s.plan, s.report, [s.report], c)),
    "rank": lambda s: printed(lambda c: render_ranking(s.ranking, c)),
    "outcomes": lambda s: printed(lambda c: render_outcomes(s.outcomes, c)),
    "learn": learned,
    "batch": summarized,
    "jobs": listed,
    "errors and notes": told,
}


@pytest.mark.parametrize("surface", TERMINAL)
def test_a_terminal_shows_nothing_but_letters(
    surface: str, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    TERMINAL[surface](shown)
    for stream in capsys.readouterr():
        assert stream.replace("\n", "").isprintable()
        assert not [line for line in stream.splitlines() if line.startswith("wan-prep: all is")]


def test_an_error_is_one_line_for_whoever_logs_it(shown: Shown) -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, WanPrepError):
            named = {"status": 400} if kind is errors.Rejected else {}
            for name in ("job_id", "service_id"):
                if name in (kind.__init__.__kwdefaults__ or kind.__init__.__annotations__):
                    named[name] = "1"
            if kind is errors.PartlySubmitted:
                named = {"job_ids": ()}
            first = ("corrupt",) if kind is errors.MediaUnreadable else ()
            assert str(kind(*first, shown.text, **named)).isprintable()


# ---- JSON

Document = tuple[str, Callable[[Any], Sequence[Any]]]
JSON: dict[str, Callable[[Shown], Document]] = {
    "check": lambda s: (s.report.public_json(), lambda d: [d["image"]["path"]]),
    "saved report": lambda s: (
        s.report.model_dump_json(), lambda d: [d["image_evidence"]["path"], d["video"]["path"]],
    ),
    "evidence": lambda s: (s.image.model_dump_json(), lambda d: [d["path"]]),
    "unreadable": lambda s: (s.unreadable.model_dump_json(), lambda d: [d["path"]]),
    "inspect": lambda s: (s.inspection.public_json(), lambda d: [d["file"]["path"]]),
    "plan": lambda s: (s.plan.public_json(), lambda d: [d["image"]["source"]]),
    "rank": lambda s: (
        s.ranking.to_json(), lambda d: [d["pairs"][0]["image"], d["set_aside"][0]["path"]],
    ),
    "outcomes": lambda s: (
        output.as_json(s.outcomes.model_dump(mode="json")), lambda d: [d["outcomes"][0]["name"]],
    ),
    "a line of results": lambda s: (s.result.model_dump_json(), lambda d: [d["id"], d["image"]]),
    "coco": lambda s: (export(s.image, "coco", file_canvas(s.image)), lambda _: []),
    "openpose": lambda s: (export(s.image, "openpose", file_canvas(s.image)), lambda _: []),
}  # fmt: skip
FOR_PEOPLE_TOO = ("check", "inspect", "plan", "rank", "outcomes", "coco", "openpose")
"""Documents that a command prints, so that a terminal may show them."""


@pytest.mark.parametrize("surface", JSON)
def test_json_is_read_by_the_strictest_and_names_the_same_file(surface: str, shown: Shown) -> None:
    text, names = JSON[surface](shown)
    text.encode()
    strict = pydantic_core.from_json(text, allow_inf_nan=False)
    assert strict == json.loads(text)
    assert {read_path(name) for name in names(strict)} <= {shown.text}
    if surface in FOR_PEOPLE_TOO:
        assert text.replace("\n", "").isprintable()


def test_documents_come_back_as_they_were(shown: Shown, tmp_path: Path) -> None:
    report, plan, image = shown.report, shown.plan, shown.image
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report
    (tmp_path / "plan.json").write_text(plan.public_json(), "utf-8")
    assert Plan.load(tmp_path / "plan.json").image.source == shown.text
    assert Evidence.model_validate_json(image.model_dump_json()) == image


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_number_that_is_none(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text({"x": number})


# ---- tables

CSV: dict[str, Surface] = {
    "rank": lambda s: s.ranking.to_csv(),
    "outcomes": lambda s: s.outcomes.to_csv(),
    "inspect": lambda s: export(s.image, "csv", file_canvas(s.image)),
}


@pytest.mark.parametrize("surface", CSV)
def test_no_cell_is_a_formula_or_moves_a_cursor(surface: str, shown: Shown) -> None:
    text = CSV[surface](shown)
    text.encode()
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert rows
    for row in rows:
        assert len(row) == len(header)
        for cell in row:
            is_number = cell.removeprefix("-").replace(".", "", 1).isdigit()
            assert is_number or not cell.lstrip().startswith(tuple("=+-@＝＋－＠"))
            assert not set(cell) & set(map(chr, (*range(32), *range(127, 160), 0x2028, 0x202E)))


def test_a_cell_keeps_what_is_harmless() -> None:
    for harmless in (HOSTILE["plain"], HOSTILE["letters of other scripts"], 1.5, None, "a=b"):
        assert csv_cell(harmless) == harmless
    assert csv_cell("=1") == "'=1"


def test_parquet_holds_any_text(shown: Shown, tmp_path: Path) -> None:
    shown.ranking.to_parquet(str(tmp_path / "r.parquet"))
    (row,) = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert read_path(row["image"]) == shown.text
    with Results(tmp_path / "b.parquet") as kept:
        kept.add(shown.result)
        kept.finish(lambda: iter([shown.result]))
    assert list(read_results(tmp_path / "b.parquet")) == [shown.result]


# ---- pages and notebooks


class Elements(HTMLParser):
    """Names of elements and of their attributes, in order; the places where they lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.leads_to: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.leads_to += [value or "" for name, value in attrs if name in ("href", "src", "action")]


HTML: dict[str, Surface] = {
    "report": lambda s: render_html(s.report, Pictures(), plan=s.plan),
    "contact sheet": lambda s: render_contact_sheet(s.ranking, {}),
    "notebook, report": lambda s: s.report._repr_html_(),
    "notebook, evidence": lambda s: s.image._repr_html_() + s.unreadable._repr_html_(),
    "notebook, finding": lambda s: s.report.findings[0]._repr_html_(),
    "notebook, plan": lambda s: s.plan._repr_html_(),
    "notebook, ranking": lambda s: s.ranking._repr_html_(),
    "notebook, outcomes": lambda s: s.outcomes._repr_html_(),
}


@pytest.mark.parametrize("surface", HTML)
def test_a_page_has_no_element_more_or_less(
    surface: str, shown: Shown, make: Any, a_plan: Any, tmp_path: Path
) -> None:
    html = HTML[surface](shown)
    html.encode()
    plain = HTML[surface](Shown("hero.png", make, a_plan, tmp_path))
    assert Elements(html).found == Elements(plain).found
    assert Elements(html).leads_to == Elements(plain).leads_to
    assert html.replace("\n", "").isprintable()


# ---- commands and warnings


def test_a_name_is_a_name_to_ffmpeg(shown: Shown) -> None:
    """It stands behind `file:` and nowhere else, in a list of arguments that no shell reads."""
    name = str(Path(shown.text.replace("\x00", "")))
    source = ffmpeg.file_input(Path(name), "mp4", None)
    made = ffmpeg.command(
        source, Path(f"{name}.mp4"), [Filter("scale", {"w": 8, "h": 8})], "none",
        fps=Fraction(30), colors=resample.Colors("bt709", "bt709", "bt709"),
    )  # fmt: skip
    plain = ffmpeg.command(
        ffmpeg.file_input(Path("hero.png"), "mp4", None), Path("hero.png.mp4"),
        [Filter("scale", {"w": 8, "h": 8})], "none",
        fps=Fraction(30), colors=resample.Colors("bt709", "bt709", "bt709"),
    )  # fmt: skip
    put_in = {"file:hero.png": f"file:{name}", "file:hero.png.mp4": f"file:{name}.mp4"}
    assert made == [put_in.get(each, each) for each in plain]


def test_a_warning_is_one_line(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    name = shown.text.replace("\x00", "").replace("/", "")[:200]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # A clock ahead of the file's last change, so that the hash is worth keeping.
        cache = Cache(tmp_path / "file" / name, now_ns=lambda: 2 * time.time_ns())
        cache.sha256(tmp_path / "file")
    assert [str(each.message).isprintable() for each in caught] == [True]


# ---- real files

ON_DISK = [
    b"=1+1 <img src=x onerror=alert(1)>\n\x1b[31m.png",
    b"-y %d [in];out,x=1:'\xff\xe2\x80\xae\".png",
]


@pytest.mark.model
@pytest.mark.media
@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.usefixtures("looked_at_once")
@pytest.mark.parametrize("name", ON_DISK)
def test_real_files_of_such_names(
    name: bytes,
    tmp_path: Path,
    brief_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """check, fix, rank, batch and inspect: their files, and what they print."""
    monkeypatch.chdir(tmp_path)
    image, video, folder = name, name.replace(b"png", b"mp4"), name.replace(b"png", b"out")
    Path(os.fsdecode(image)).write_bytes((FIXTURES / "reference.png").read_bytes())
    Path(os.fsdecode(video)).write_bytes(brief_clip.read_bytes())
    pair = [f"./{os.fsdecode(image)}", f"./{os.fsdecode(video)}"]
    out = f"./{os.fsdecode(folder)}"
    before = [Path(path).read_bytes() for path in pair]

    def answer(*arguments: str) -> str:
        assert run(list(arguments)) in (0, 1)
        printed, err = capfd.readouterr()
        assert err == ""
        assert printed.replace("\n", "").isprintable()
        return printed

    answer("check", *pair, "--html", "page.html", "-v")
    plain = Elements(Path("page.html").read_text("utf-8"))
    assert [tag for tag, names in plain.found if any(n.startswith("on") for n in names)] == []
    assert len([tag for tag, _ in plain.found if tag == "script"]) == 1
    said = json.loads(answer("fix", *pair, "-o", out, "--format", "json"))
    assert read_path(said["folder"]) == str(Path(out))
    assert {p.name for p in Path(out).iterdir()} == {
        "before.json", "driving.mp4", "plan.json", "reference.png", "report.html", "report.json"
    }  # fmt: skip
    saved = Report.load(Path(out, "before.json"))
    assert saved.image.path == pair[0]
    answer("fix", "--plan", str(Path(out, "plan.json")), "-o", "again", "-q")
    listed = answer("rank", "--images", pair[0], "--videos", pair[1], "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(listed, newline=""))
    assert not row["image"].startswith("=")
    answer("inspect", pair[1], "--skeleton", f"{out}.mp4", "--pose-format", "coco", "-q")
    assert Path(f"{out}.mp4").stat().st_size > 1000
    assert [Path(path).read_bytes() for path in pair] == before
