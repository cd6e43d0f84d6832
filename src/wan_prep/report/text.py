"""The report in words for a terminal: verdict, what to do about it, then the numbers.

Everything that comes from outside (paths, file contents) goes through `printable`, so that no
file name can colour, move or retitle somebody's terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wan_prep.findings import Applicability, Finding, Rule, Severity
from wan_prep.profile import Profile
from wan_prep.report.inspection import Inspection
from wan_prep.report.model import ImageFacts, ImageSubject, Measures, Report, VideoFacts

_VERDICT_STYLE = {"ready": "bold green", "risky": "bold yellow", "not_ready": "bold red"}
_VERDICT_WORDS = {
    "ready": "nothing speaks against submitting it",
    "risky": "it may work; read the warnings before you pay",
    "not_ready": "submitting it as it is would very likely waste the money",
}
_SEVERITY_STYLE = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_APPLICABILITY = {
    Applicability.SAFE: "a plain edit",
    Applicability.UNSAFE: "an edit that costs something",
    Applicability.MANUAL: "needs other material",
}


def printable(text: str) -> str:
    """The text with every control character shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def render_report(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Print a report; `verbose` adds the other notes and where every check stands."""
    console.print(_headline(report))
    serious = [f for f in report.findings if f.severity is not Severity.INFO]
    notes = [f for f in report.findings if f.severity is Severity.INFO]
    if serious:
        console.print(_heading("What to do about it, in order of effect"))
        console.print(_findings(serious))
    if notes:
        console.print(_heading("Worth knowing"))
        console.print(_findings(notes if verbose else notes[:5]))
        if not verbose and len(notes) > 5:
            console.print(Text(f"  and {len(notes) - 5} more, shown by -v", style="dim"))
    console.print(_heading("Scores"))
    console.print(_scores(report))
    console.print(_heading("Image against video"))
    console.print(_measures(report))
    console.print(_heading("Files"))
    console.print(_files(report))
    if verbose:
        console.print(_heading("Checks"))
        console.print(_codes("passed", report.passed))
        console.print(_codes("not applicable", report.not_applicable))
        console.print(_codes("deselected", report.deselected))
    console.print(Text("\nwan-prep explain CODE says more of each check.", style="dim"))


def _heading(title: str) -> RenderableType:
    return Text(f"\n{title}", style="bold")


def _headline(report: Report) -> RenderableType:
    verdict = report.verdict.upper().replace("_", " ")
    line = Text.assemble(
        (verdict, _VERDICT_STYLE[report.verdict]),
        f"  {report.score:.1f} of 100: {_VERDICT_WORDS[report.verdict]}",
    )
    details = f"{report.mode}, {report.resolution}"
    if report.cost is not None:
        low, high = report.cost.usd_low, report.cost.usd_high
        price = f"${low:.2f}" if low == high else f"${low:.2f} to ${high:.2f}"
        details += f"; {price} for {report.cost.seconds:.1f} billed seconds"
    best, score = report.best_start_s, report.score_at_best_start
    if best is not None and score is not None and score - report.score >= 1.0:
        details += f"; {score:.1f} if the clip began at {best:.2f} s"
    return Group(line, Text(details, style="dim"))


def _findings(findings: Sequence[Finding]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for codes, finding in _grouped(findings):
        word = "unknown" if finding.status == "inconclusive" else finding.severity.value
        message = Text(printable(finding.message))
        if finding.fix is not None:
            how = _APPLICABILITY[finding.fix.applicability]
            message.append(f"\n→ {finding.fix.title} ({how})", style="dim")
        style = _SEVERITY_STYLE[finding.severity]
        table.add_row(Text("\n".join(codes)), Text(word, style=style), message)
    return Padding(table, (0, 0, 0, 2))


def _grouped(findings: Iterable[Finding]) -> list[tuple[list[str], Finding]]:
    """Findings that say the same thing (one missing body hides seven measures) become one."""
    groups: dict[tuple[str, Severity], tuple[list[str], Finding]] = {}
    for finding in findings:
        key = (finding.message, finding.severity)
        groups.setdefault(key, ([], finding))[0].append(finding.code)
    return list(groups.values())


def _scores(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for family, score in report.scores:
        bar = "" if score is None else "█" * round(score * 20)
        value = "unknown" if score is None else f"{100 * score:5.1f}"
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


def _files(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("image", Text(f"{printable(report.image.path)}\n{_image_line(report.image)}"))
    table.add_row("video", Text(f"{printable(report.video.path)}\n{_video_line(report.video)}"))
    if report.output is not None:
        out = report.output
        table.add_row(
            "result",
            f"{out.width} × {out.height}, {out.bars_px} px of bars, {out.segments} "
            f"segment{'' if out.segments == 1 else 's'} (predicted from the model's open source)",
        )
    return Padding(table, (0, 0, 0, 2))


def _image_line(facts: ImageFacts) -> str:
    if facts.width is None:
        return "not readable"
    return f"{facts.width} × {facts.height}, {facts.format}"


def _video_line(facts: VideoFacts) -> str:
    if facts.width is None or facts.fps is None:
        return "not readable"
    rate = f"{facts.fps:.2f}".rstrip("0").rstrip(".")
    parts = [
        f"{facts.width} × {facts.height}",
        f"{facts.duration_s:.2f} s",
        f"{rate} fps{', variable' if facts.is_vfr else ''}",
        f"{facts.codec} in {facts.container}",
        "with sound" if facts.has_audio else "silent",
    ]
    if facts.rotation_deg:
        parts.append(f"turned {facts.rotation_deg}° by metadata")
    return ", ".join(parts)


def _codes(title: str, codes: Sequence[str]) -> RenderableType:
    return Text(f"  {title}: {', '.join(codes) or 'none'}", style="dim")


# ------------------------------------------------------------------ inspect, rules, explain


def render_inspection(inspection: Inspection, console: Console, *, verbose: bool = False) -> None:
    """Print what was seen in one file; `verbose` adds the times that were looked at."""
    facts, subject = inspection.file, inspection.subject
    console.print(Text(printable(facts.path), style="bold"))
    console.print(_image_line(facts) if isinstance(facts, ImageFacts) else _video_line(facts))
    console.print(_heading("Person"))
    table = Table.grid(padding=(0, 2))
    if not subject.found:
        table.add_row("nobody was recognised")
    if subject.shot is not None:
        rows = [
            ("shot", subject.shot),
            ("frame shows", _or_dash(subject.frame_height_m, "{:.2f} m from top to bottom")),
            (
                "neck at",
                "–" if subject.neck_xy is None else "{:.0%}, {:.0%}".format(*subject.neck_xy),
            ),
            ("room above the head", _or_dash(subject.headroom, "{:.0%}")),
            ("cut off at", ", ".join(subject.cut_edges) or "no edge"),
            ("body turned", _or_dash(subject.yaw_deg, "{:+.0f}°")),
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
    console.print(Padding(table, (0, 0, 0, 2)))
    if inspection.findings:
        console.print(_heading("Findings"))
        console.print(_findings(inspection.findings))


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
    console.print(table)


def render_explanation(rule: Rule, profile: Profile, console: Console) -> None:
    """Print one check in full, with the figures that decide it."""
    console.print(Text(f"{rule.code} {rule.name}", style="bold"))
    console.print(Text(f"family {rule.family}, about the {rule.about}, at most {rule.cap.value}"))
    texts = rule.explanation
    for title, text in (
        ("What it measures", texts.measures),
        ("Why it matters", texts.why),
        ("How to fix it", texts.fix),
        ("Where the limit comes from", texts.limit),
    ):
        console.print(_heading(title))
        console.print(Text(text))
    for figure in texts.figures(profile):
        console.print(Text(f"  {figure}"))
