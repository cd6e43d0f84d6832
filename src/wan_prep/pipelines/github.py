"""A batch as annotations of GitHub Actions: one for each pair that is not simply ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wan_prep.analyzers import BY_CODE
from wan_prep.fragments import printable
from wan_prep.pipelines.batch import BatchSummary
from wan_prep.pipelines.rows import PairResult
from wan_prep.report.github import annotation

_LEVEL = {"ready": "notice", "risky": "warning", "not_ready": "error"}


def batch_lines(summary: BatchSummary, results: Iterable[PairResult]) -> Iterator[str]:
    """How many pairs are how, then what is wrong with each that has something wrong."""
    counts = ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in summary.counts.items()
    )
    level = "notice" if summary.is_all_good else "error"
    yield annotation(level, f"{summary.total:,} pairs", counts, str(summary.results))
    yield from (_line(each) for each in results if each.verdict != "ready")


def _line(result: PairResult) -> str:
    name = result.id or f"row {result.row}"
    pair = f"{printable(result.image or '?')} driven by {printable(result.video or '?')}"
    if result.verdict is None:
        level = "error" if result.status == "failed" else "warning"
        title, words = f"{name}: {result.status}", result.error or "it comes after the budget"
    else:
        level = _LEVEL[result.verdict]
        title = f"{name}: {result.verdict.replace('_', ' ')}, {result.score:.1f} of 100"
        words = ", ".join(_spelled(code) for code in result.codes)
    return annotation(level, title, f"{printable(words)} ({pair})", result.image or "")


def _spelled(code: str) -> str:
    rule = BY_CODE.get(code)
    return code if rule is None else f"{code} {rule.name}"
