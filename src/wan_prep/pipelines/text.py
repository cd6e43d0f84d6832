"""A batch in words for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wan_prep.analyzers import RULES
from wan_prep.pipelines.batch import BatchSummary
from wan_prep.report.text import VERDICT_STYLE, heading, print_encodable, printable

ORDER = ("ready", "risky", "not_ready", "failed", "skipped")
SHOWN_CODES = 8
_MEANING = {
    "ready": "can be submitted",
    "risky": "can be submitted, and may come out badly",
    "not_ready": "would fail; wan-prep fix may mend them",
    "failed": "could not be worked on: see error in the results",
    "skipped": "come after the budget is used up",
}


def render_summary(summary: BatchSummary, console: Console) -> None:
    """Print how many pairs are how, what is wrong most often, and what the ready ones cost."""
    print_encodable(console, Text(_headline(summary), style="bold"))
    print_encodable(console, _verdicts(summary))
    if summary.codes:
        print_encodable(console, heading("Found most often"))
        print_encodable(console, _codes(summary))
    if summary.counts.get("ready"):
        low, high = f"${summary.usd_low:,.2f}", f"${summary.usd_high:,.2f}"
        cost = low if low == high else f"{low} to {high}"
        line = f"\nSubmitting what is ready ({_pairs(summary.counts['ready'])}) costs {cost}."
        print_encodable(console, Text(line))
    if summary.known:
        print_encodable(console, Text(f"{_rows(summary.known)} had a result before."))
    print_encodable(console, Text(f"Results: {printable(str(summary.results))}"))


def _headline(summary: BatchSummary) -> str:
    good = summary.counts.get("ready", 0) + summary.counts.get("risky", 0)
    return f"{good:,} of {_pairs(summary.total)} can be submitted"


def _verdicts(summary: BatchSummary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(overflow="fold")
    for name in ORDER:
        if count := summary.counts.get(name):
            style = VERDICT_STYLE.get(name, "")
            table.add_row(f"  {count:,}", Text(name.replace("_", " "), style=style), _MEANING[name])
    return table


def _codes(summary: BatchSummary) -> Table:
    names = {rule.code: rule.name for rule in RULES}
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(overflow="fold")
    for code, count in list(summary.codes.items())[:SHOWN_CODES]:
        table.add_row(f"  {count:,}", code, names.get(code, ""))
    return table


def _pairs(count: int) -> str:
    return f"{count:,} pair{'' if count == 1 else 's'}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
