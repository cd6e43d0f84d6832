"""The report in words for a terminal: verdict, what to do about it, then the numbers.

Everything that comes from outside (paths, file contents) goes through `printable`, so that no
file name can colour, move or retitle somebody's terminal.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from statistics import median

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from wan_prep.analyzers.explanations import explanation_of
from wan_prep.findings import Finding, Rule, Severity

# Re-exported: whoever prints in a terminal needs it.
from wan_prep.fragments import printable as printable
from wan_prep.measures.model import Measures
from wan_prep.profile import Profile
from wan_prep.report.inspection import Inspection, Track
from wan_prep.report.model import ImageFacts, ImageSubject, Output, Report, VideoSubject
from wan_prep.report.modes import ModeComparison
from wan_prep.report.words import (
    APPLICABILITY_WORDS,
    PREDICTED,
    VERDICT_WORDS,
    grouped,
    image_line,
    price,
    result_rows,
    video_line,
)

VERDICT_STYLE = {"ready": "bold green", "risky": "bold yellow", "not_ready": "bold red"}
_SEVERITY_STYLE = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


# Each is one cell wide, so that columns stay aligned.
_STAND_INS = dict(zip("█▇▆▅▄▃▂▁·→–×°“”", '#%*+=-:..>-x ""', strict=True))


class _Encodable:
    """What is printed, in characters that the terminal's encoding has."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            text = _in_encoding(segment.text, console.encoding)
            yield Segment(text, segment.style, segment.control)


def _in_encoding(text: str, encoding: str) -> str:
    def has(character: str) -> bool:
        return bool(character.encode(encoding, "ignore"))

    return "".join(c if c.isascii() or has(c) else _STAND_INS.get(c, c) for c in text)


def print_encodable(console: Console, renderable: RenderableType) -> None:
    console.print(_Encodable(renderable))


def plain_text(render: Callable[[Console], None], width: int) -> str:
    """What `render` prints, in lines of `width` columns at most, without colours."""
    console = Console(
        file=io.StringIO(), width=width, color_system=None, legacy_windows=False,
        highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    with console.capture() as captured:
        render(console)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def render_report(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Print a report; `verbose` adds the other notes and where every check stands."""
    print_encodable(console, _headline(report))
    serious = [f for f in report.findings if f.severity is not Severity.INFO]
    notes = [f for f in report.findings if f.severity is Severity.INFO]
    if serious:
        print_encodable(console, heading("What to do about it, in order of effect"))
        print_encodable(console, _findings(serious))
    if notes:
        print_encodable(console, heading("Worth knowing"))
        print_encodable(console, _findings(notes if verbose else notes[:5]))
        if not verbose and len(notes) > 5:
            print_encodable(console, Text(f"  and {len(notes) - 5} more, shown by -v", style="dim"))
    print_encodable(console, heading("Scores"))
    print_encodable(console, _scores(report))
    print_encodable(console, heading("Image against video"))
    print_encodable(console, _measures(report))
    if report.output is not None:
        print_encodable(console, heading("What comes out"))
        print_encodable(console, _result(report.output))
    print_encodable(console, heading("Files"))
    print_encodable(console, _files(report))
    if verbose:
        print_encodable(console, heading("Checks"))
        print_encodable(console, _codes("passed", report.passed))
        print_encodable(console, _codes("not applicable", report.not_applicable))
        print_encodable(console, _codes("deselected", report.deselected))
    print_encodable(console, Text("\nwan-prep explain CODE says more of each check.", style="dim"))


def render_comparison(both: ModeComparison, console: Console, *, verbose: bool = False) -> None:
    """Print which mode fits better, what they do differently, the report of that mode (of animate
    where they fit alike), and what the other mode finds beside."""
    reason = f"{both.reason[0].upper()}{both.reason[1:]}."
    print_encodable(console, Text(reason, style="bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    table.add_row("", "animate", "replace", style="dim")
    for each in both.differences:
        table.add_row(each.what, each.animate, each.replace)
    print_encodable(console, Text())
    print_encodable(console, Padding(table, (0, 0, 0, 2)))
    print_encodable(console, Text())
    render_report(both.shown, console, verbose=verbose)
    same = {(f.code, f.severity) for f in both.shown.findings}
    beside = [
        f
        for f in both.other.findings
        if f.severity is not Severity.INFO and (f.code, f.severity) not in same
    ]
    if beside:
        print_encodable(console, heading(f"What mode {both.other.mode} says otherwise"))
        print_encodable(console, _findings(beside))


def heading(title: str) -> RenderableType:
    return Text(f"\n{title}", style="bold")


def _headline(report: Report) -> RenderableType:
    verdict = report.verdict.upper().replace("_", " ")
    line = Text.assemble(
        (verdict, VERDICT_STYLE[report.verdict]),
        f"  {report.score:.1f} of 100: {VERDICT_WORDS[report.verdict]}",
    )
    details = f"{report.mode}, {report.resolution}"
    if report.cost is not None:
        details += f"; {price(report.cost)} for {report.cost.seconds:.1f} billed seconds"
    best, score = report.best_start_s, report.score_at_best_start
    if best is not None and score is not None and score - report.score >= 1.0:
        details += f"; {score:.1f} if the clip began at {best:.2f} s"
    return Group(line, Text(details, style="dim"))


def _findings(findings: Sequence[Finding]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for codes, finding in grouped(findings):
        word = "unknown" if finding.status == "inconclusive" else finding.severity.value
        message = Text(printable(finding.message))
        if finding.fix is not None:
            how = APPLICABILITY_WORDS[finding.fix.applicability]
            message.append(f"\n→ {finding.fix.title} ({how})", style="dim")
            if finding.fix.prompt is not None:
                asked = printable(finding.fix.prompt)
                message.append(f"\n→ or ask an image editor: “{asked}”", style="dim")
        style = _SEVERITY_STYLE[finding.severity]
        table.add_row(Text("\n".join(codes)), Text(word, style=style), message)
    return Padding(table, (0, 0, 0, 2))


def _scores(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for family, score in report.scores:
        bar = "" if score is None else "█" * round(score * 20)
        value = report.family_words(family) if score is None else f"{100 * score:5.1f}"
        table.add_row(Text(family), Text(value, justify="right"), Text(bar, style=_shade(score)))
    return Padding(table, (0, 0, 0, 2))


def _shade(score: float | None) -> str:
    if score is None or score >= 0.5:
        return "green"
    return "yellow" if score >= 0.1 else "red"


def _measures(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    for _ in range(3):
        table.add_column(justify="right")
    m = report.measures
    best = "" if report.best_start_s is None else f"best ({report.best_start_s:.2f} s)"
    table.add_row("", Text("first", style="dim"), Text("typical", style="dim"), best, style="dim")
    rows: list[tuple[str, str, str]] = [
        ("zoom (larger in the image: > 1)", "zoom_ratio", "{:.2f}"),
        ("placement, right +", "offset_x", "{:+.1%}"),
        ("placement, down +", "offset_y", "{:+.1%}"),
        ("view angle", "view_angle", "{:.0f}°"),
        ("  turned", "yaw", "{:+.0f}°"),
        ("  tipped", "pitch", "{:+.0f}°"),
        ("  leaning", "roll", "{:+.0f}°"),
        ("pose angle", "pose_angle", "{:.0f}°"),
    ]
    for label, name, form in rows:
        table.add_row(label, *(_value(part, name, form) for part in (m.first, m.typical, m.best)))
    table.add_row("shot", *(_shots(part) for part in (m.first, m.typical, m.best)))
    if m.first.aspect_gap is not None:
        table.add_row("aspect gap", f"{m.first.aspect_gap:.3f}", "", "")
    return Padding(table, (0, 0, 0, 2))


def _value(measures: Measures, name: str, form: str) -> str:
    value = getattr(measures, name)
    return "–" if value is None else form.format(value)


def _shots(measures: Measures) -> str:
    if measures.shot is None:
        return "–"
    image, video = measures.shot.image or "–", measures.shot.video or "–"
    return image if image == video else f"{image} / {video}"


def _asked_for(subject: ImageSubject | VideoSubject) -> str:
    return "" if subject.person.is_largest else f", looked at for the person {subject.person}"


def _files(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    image = f"{image_line(report.image)}{_asked_for(report.subject.image)}"
    video = f"{video_line(report.video)}{_asked_for(report.subject.video)}"
    table.add_row("image", Text(f"{printable(report.image.path)}\n{image}"))
    table.add_row("video", Text(f"{printable(report.video.path)}\n{video}"))
    return Padding(table, (0, 0, 0, 2))


def _result(output: Output) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for what, words in result_rows(output):
        table.add_row(what, words)
    told = Text(f"predicted, {PREDICTED}", style="dim")
    return Padding(Group(table, told), (0, 0, 0, 2))


def _codes(title: str, codes: Sequence[str]) -> RenderableType:
    return Text(f"  {title}: {', '.join(codes) or 'none'}", style="dim")


# ------------------------------------------------------------------ inspect, rules, explain


def render_inspection(inspection: Inspection, console: Console, *, verbose: bool = False) -> None:
    """Print what was seen in one file; `verbose` adds the times that were looked at."""
    facts, subject = inspection.file, inspection.subject
    print_encodable(console, Text(printable(facts.path), style="bold"))
    print_encodable(
        console, image_line(facts) if isinstance(facts, ImageFacts) else video_line(facts)
    )
    print_encodable(console, heading("Person"))
    table = Table.grid(padding=(0, 2))
    if not subject.person.is_largest:
        table.add_row("asked for", str(subject.person))
    people = subject.others if isinstance(subject, ImageSubject) else subject.people_max
    if not subject.found:
        table.add_row("not there" if people else "nobody was recognised")
    if subject.shot is not None:
        place = subject.head_xy or subject.neck_xy
        whole = "body" if subject.head_xy is None else "head"
        rows = [
            ("shot", subject.shot),
            ("frame shows", _or_dash(subject.frame_height_m, "{:.2f} m from top to bottom")),
            (
                "neck at" if subject.head_xy is None else "head at",
                "–" if place is None else "{:.0%}, {:.0%}".format(*place),
            ),
            ("room above the head", _or_dash(subject.headroom, "{:.0%}")),
            ("cut off at", ", ".join(subject.cut_edges) or "no edge"),
            (f"{whole} turned", _or_dash(subject.yaw_deg, "{:+.0f}°")),
            ("face", _or_dash(subject.face_px, "{:.0f} px across")),
            ("face turned", _or_dash(subject.face_yaw_deg, "{:+.0f}°")),
        ]
        for label, value in rows:
            table.add_row(label, value)
    if isinstance(subject, ImageSubject):
        table.add_row("other people", str(subject.others))
    else:
        table.add_row("present", f"{subject.presence:.0%} of the clip")
        table.add_row("people at most", str(subject.people_max))
        table.add_row("looked at", f"{len(inspection.track.times_s)} frames")
        cuts = ", ".join(f"{t:.2f} s" for t in inspection.cuts_s)
        table.add_row("cuts", cuts or "none")
        if verbose:
            for label, wanted in (("seen at", True), ("nobody at", False)):
                table.add_row(label, _times(inspection, found=wanted))
    print_encodable(console, Padding(table, (0, 0, 0, 2)))
    if inspection.kind == "video" and len(inspection.track.times_s) > 1:
        print_encodable(console, heading("Along the clip"))
        print_encodable(console, _timeline(inspection.track, console.width))
    if inspection.findings:
        print_encodable(console, heading("Findings"))
        print_encodable(console, _findings(inspection.findings))


_BLOCKS = "▁▂▃▄▅▆▇█"
_LINE_MOST = 60
_LABELS = 11
_ZOOM_REACH = 0.25
"""Log ratio that fills half a block's height at least, so that a steady clip looks steady."""


def _timeline(track: Track, width: int) -> RenderableType:
    """Presence and zoom, a column for equal stretches of time, each as its nearest sample."""
    order = sorted(range(len(track.times_s)), key=track.times_s.__getitem__)
    start_s, end_s = track.times_s[order[0]], track.times_s[order[-1]]
    columns = max(8, min(_LINE_MOST, width - _LABELS))
    times_s = [start_s + (end_s - start_s) * (k + 0.5) / columns for k in range(columns)]
    nearest = [min(order, key=lambda i: abs(track.times_s[i] - t)) for t in times_s]
    scales = [s for s in track.px_per_m if s is not None]
    middle = median(scales) if scales else 1.0
    reach = max([_ZOOM_REACH, *(abs(math.log(s / middle)) for s in scales)])

    def block(scale: float | None) -> str:
        if scale is None:
            return " "
        share = 0.5 + math.log(scale / middle) / (2.0 * reach)
        return _BLOCKS[min(len(_BLOCKS) - 1, int(share * len(_BLOCKS)))]

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row("present", "".join("█" if track.found[i] else "·" for i in nearest))
    table.add_row("zoom", "".join(block(track.px_per_m[i]) for i in nearest))
    start, end = f"{start_s:.2f} s", f"{end_s:.2f} s"
    table.add_row("", Text(start + end.rjust(columns - len(start)), style="dim"))
    words = ""
    if scales:
        least, most = min(scales) / middle, max(scales) / middle
        words = f"zoom: {least:.2f} to {most:.2f} times the person's median size"
    return Padding(Group(table, Text(words, style="dim")), (0, 0, 0, 2))


def _times(inspection: Inspection, *, found: bool) -> str:
    track = inspection.track
    times = [t for t, seen in zip(track.times_s, track.found, strict=True) if seen is found]
    return f"{', '.join(f'{t:.2f}' for t in times)} s" if times else "–"


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def render_rules(rules: Sequence[Rule], console: Console) -> None:
    """Print the table of checks."""
    table = Table.grid(padding=(0, 2))
    for title in ("code", "name", "family", "about", "at most"):
        table.add_column(title, no_wrap=True)
    table.add_row("code", "name", "family", "about", "at most", style="bold")
    for rule in rules:
        table.add_row(rule.code, rule.name, rule.family, rule.about, rule.cap.value)
    print_encodable(console, table)


def render_explanation(rule: Rule, profile: Profile, console: Console) -> None:
    """Print one check in full, with the figures that decide it."""
    print_encodable(console, Text(f"{rule.code} {rule.name}", style="bold"))
    print_encodable(
        console, Text(f"family {rule.family}, about the {rule.about}, at most {rule.cap.value}")
    )
    texts = explanation_of(rule.code)
    for title, text in (
        ("What it measures", texts.measures),
        ("Why it matters", texts.why),
        ("How to fix it", texts.fix),
        ("Where the limit comes from", texts.limit),
    ):
        print_encodable(console, heading(title))
        print_encodable(console, Text(text))
    for figure in texts.figures(profile):
        print_encodable(console, Text(f"  {figure}"))
