"""Outcomes and what was learned from them, in words for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wan_prep.learning.learned import Learned
from wan_prep.learning.summary import OutcomeSummary
from wan_prep.ranking.words import shortened
from wan_prep.report.text import heading, print_encodable, printable

_STYLE = {"good": "green", "bad": "red"}
_SIDES = ("image", "video")
_BAR = 20
"""Characters of a share of 1."""


def render_outcomes(summary: OutcomeSummary, console: Console) -> None:
    """Print what the outcomes tell, shares by score, then every outcome."""
    print_encodable(console, Text(_capital(summary.headline), style="bold"))
    if summary.verdict:
        print_encodable(console, Text(_capital(summary.verdict)))
    if summary.bins:
        print_encodable(console, heading("By score"))
        print_encodable(console, _bins(summary))
    if summary.outcomes:
        print_encodable(console, heading("Outcomes"))
        print_encodable(console, _outcomes(summary))


def _bins(summary: OutcomeSummary) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("score", "good", "95 % interval", ""):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for each in summary.bins:
        share, low, high = each.share_good
        bar = "█" * round(share * _BAR)
        table.add_row(
            f"{each.score_low:.1f} to {each.score_high:.1f}",
            f"{each.good} of {each.count}",
            f"{low:.0%} to {high:.0%}",
            bar + "·" * (_BAR - len(bar)),
        )
    return table


def _outcomes(summary: OutcomeSummary) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("job", "score", "outcome", "why", "mode"):
        table.add_column(name, justify="right" if name == "score" else "left", no_wrap=True)
    table.add_column("image", overflow="fold")
    table.add_column("video", overflow="fold")
    best_first = sorted(summary.outcomes, key=lambda one: -1.0 if one.score is None else one.score)
    best_first.reverse()
    images, videos = (shortened([getattr(o, side) for o in best_first]) for side in _SIDES)
    for each, image, video in zip(best_first, images, videos, strict=True):
        table.add_row(
            Text(printable(each.name)),
            "–" if each.score is None else f"{each.score:.1f}",
            Text(each.outcome, style=_STYLE[each.outcome]),
            each.why or "",
            each.mode,
            Text(printable(image)),
            Text(printable(video)),
        )
    return table


def render_learned(learned: Learned, console: Console, path: str | None) -> None:
    """Print whether a profile was learned, what it is worth, and which tolerances move.

    path: where it was written; None where that was not asked for.
    """
    print_encodable(console, Text(_capital(learned.headline), style="bold"))
    if learned.refusal is not None:
        print_encodable(console, Text(_capital(learned.refusal)))
    elif path is None:
        print_encodable(console, Text("-o FILE writes it"))
    else:
        print_encodable(
            console,
            Text(f"written: {printable(path)}; `wan-prep check --profile` takes it"),
        )
    if (found := learned.validation) is not None:
        gain = found.gain
        print_encodable(
            console,
            Text(
                f"On outcomes that the fit had not seen: log-loss smaller by {gain.value:.3f} "
                f"(95 % interval {gain.low:+.3f} to {gain.high:+.3f}), AUC "
                f"{found.auc_before:.2f} before, {found.auc_after:.2f} after"
            ),
        )
    if learned.moved:
        what = "Tolerances" if learned.refusal is None else "Tolerances, if they were learned"
        print_encodable(console, heading(what))
        table = Table(box=None, padding=(0, 1), show_header=False)
        for name, width in learned.moved.items():
            words = "wider: more is let pass" if width > 1.0 else "narrower: less is let pass"
            table.add_row(f"  {name}", f"{width:.2f} times as wide", Text(words, style="dim"))
        print_encodable(console, table)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
