"""A report as annotations of GitHub Actions: lines that its runner reads from a step's output.

The runner takes `::error …::message` at the beginning of a line for a command, and `##[…]` wherever
it stands in a line that is none. So every line written here is a command, and what comes from
outside (paths, file contents) is escaped as its rules ask: %, CR and LF everywhere, and : and , in
properties. Control characters are shown as escapes before that.
"""

from __future__ import annotations

from wan_prep.findings import Finding, Severity
from wan_prep.fragments import printable
from wan_prep.report.model import Report
from wan_prep.report.modes import ModeComparison
from wan_prep.report.words import APPLICABILITY_WORDS, VERDICT_WORDS, grouped, price

_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_VERDICT_LEVEL = {"ready": "notice", "risky": "warning", "not_ready": "error"}


def github_lines(report: Report) -> tuple[str, ...]:
    """One line with the verdict, then one for each thing found, the gravest first.

    Findings that say the same share a line. GitHub shows the first ten errors, warnings and
    notices of a step each, so the verdict comes first.
    """
    findings = (_finding_line(report, *each) for each in grouped(report.findings))
    return (summary_line(report), *findings)


def comparison_lines(both: ModeComparison) -> tuple[str, ...]:
    """Which mode fits better, and why; then the report of that mode, or of animate where they fit
    alike."""
    title = f"{both.better} fits better" if both.better else "both modes fit alike"
    first = annotation("notice", title, both.reason, both.shown.image.path)
    return (first, *github_lines(both.shown))


def summary_line(report: Report) -> str:
    """The verdict on the pair as one annotation of the image."""
    said = VERDICT_WORDS[report.verdict]
    words = f"{said[0].upper()}{said[1:]}. {_pair(report)}, {report.mode} at {report.resolution}"
    if report.cost is not None:
        words += f", {price(report.cost)} for {report.cost.seconds:.1f} billed seconds"
    title = f"{report.verdict.replace('_', ' ')}, {report.score:.1f} of 100"
    return annotation(_VERDICT_LEVEL[report.verdict], title, words, report.image.path)


def annotation(level: str, title: str, message: str, file: str) -> str:
    """One line for the runner. level: `error`, `warning` or `notice`."""
    properties = f"file={_property(file)},title={_property(title)}"
    return f"::{level} {properties}::{_data(message)}"


def _finding_line(report: Report, codes: list[str], finding: Finding) -> str:
    name = finding.name if len(codes) == 1 else f"and {', '.join(codes[1:])}"
    doubt = " (unknown)" if finding.status == "inconclusive" else ""
    message = printable(finding.message)
    if finding.subject == "pair":
        message += f" ({_pair(report)})"
    if finding.fix is not None:
        how = APPLICABILITY_WORDS[finding.fix.applicability]
        message += f"\n→ {printable(finding.fix.title)} ({how})"
        if finding.fix.prompt is not None:
            message += f"\n→ or ask an image editor: “{printable(finding.fix.prompt)}”"
    # An annotation has one file; what is about both is shown at the image.
    file = report.video.path if finding.subject == "video" else report.image.path
    return annotation(_LEVEL[finding.severity], f"{codes[0]} {name}{doubt}", message, file)


def _pair(report: Report) -> str:
    return f"{printable(report.image.path)} driven by {printable(report.video.path)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
