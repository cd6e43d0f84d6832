"""A plan, and what became of it, in words for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wan_prep.findings import Applicability, Severity
from wan_prep.planning.model import Plan, PlanStep
from wan_prep.report.model import Report
from wan_prep.report.text import printable

_FAMILIES = ("media", "aspect", "framing", "pose", "subject", "clip")


def render_plan(plan: Plan, console: Console) -> None:
    """Print what would be done and why, what is only offered, and what is left to a person."""
    foreseen = plan.foreseen
    console.print(
        Text(
            f"{plan.score:.1f} → {foreseen.score:.1f} of 100 expected, "
            f"{_words(plan.verdict)} → {_words(foreseen.verdict)}",
            style="bold",
        )
    )
    seconds = f"{plan.cost_before.seconds:.1f} → {plan.cost.seconds:.1f} billed seconds"
    console.print(
        f"{plan.mode}, {plan.resolution}; ${plan.cost.usd_low:.2f} to ${plan.cost.usd_high:.2f} "
        f"for {seconds}"
    )
    applied = [s for s in plan.steps if s.applied]
    if not applied:
        console.print("\nNothing needs to be changed; the files are copied as they are.")
    _steps(console, "What fix will do", applied)
    offered = [s for s in plan.steps if not s.applied]
    _steps(
        console,
        "What --unsafe-fixes would do as well",
        [s for s in offered if s.applicability is Applicability.UNSAFE],
    )
    _steps(
        console,
        "What is left for you to do",
        [s for s in offered if s.applicability is not Applicability.UNSAFE],
    )


def _steps(console: Console, title: str, steps: Sequence[PlanStep]) -> None:
    if not steps:
        return
    console.print(Text(f"\n{title}", style="bold"))
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for step in steps:
        codes = f" [{', '.join(step.codes)}]" if step.codes else ""
        table.add_row("  •", Text(f"{printable(step.title)}{codes}"))
        table.add_row("", Text(printable(step.reason), style="dim"))
    console.print(table)


def render_fixed(plan: Plan, before: Report, reports: Sequence[Report], console: Console) -> None:
    """Print the scores before and after, family by family, and what remains and why."""
    after = reports[0]
    console.print(
        Text(
            f"{before.score:.1f} → {after.score:.1f} of 100, "
            f"{_words(before.verdict)} → {_words(after.verdict)}",
            style="bold",
        )
    )
    table = Table.grid(padding=(0, 2))
    for name in _FAMILIES:
        table.add_row(f"  {name}", before.family_words(name), after.family_words(name))
    console.print(table)
    for k, report in enumerate(reports[1:], start=2):
        console.print(f"  part {k}: {report.score:.1f}, {_words(report.verdict)}")
    _steps(console, "Done", [s for s in plan.steps if s.applied])
    remaining = [f for f in after.findings if f.severity is not Severity.INFO]
    if not remaining:
        console.print("\nNothing is left to do.")
        return
    console.print(Text("\nWhat is left to do, and why", style="bold"))
    rest = Table.grid(padding=(0, 1))
    rest.add_column(no_wrap=True)
    rest.add_column(overflow="fold")
    for finding in remaining:
        todo = "" if finding.fix is None else f"\n→ {finding.fix.title}"
        rest.add_row(
            f"  {finding.code} {finding.severity.value}",
            Text(f"{printable(finding.message)}{todo}"),
        )
    console.print(rest)


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")
