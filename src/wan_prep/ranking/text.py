"""The ranking in words for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wan_prep.ranking.model import Ranking
from wan_prep.ranking.words import headline, shortened
from wan_prep.report.text import VERDICT_STYLE, heading, print_encodable, printable


def render_ranking(ranking: Ranking, console: Console) -> None:
    """Print the best pairs, then the files that are in none."""
    print_encodable(console, Text(headline(ranking), style="bold"))
    if ranking.pairs:
        print_encodable(console, _table(ranking))
    if ranking.set_aside:
        print_encodable(console, heading("Set aside"))
        aside = Table.grid(padding=(0, 2))
        aside.add_column(overflow="fold")
        aside.add_column(overflow="fold")
        for file in ranking.set_aside:
            aside.add_row(Text(f"  {printable(file.path)}"), Text(printable(file.reason)))
        print_encodable(console, aside)


def _table(ranking: Ranking) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("", "score", "begin at", "verdict"):
        table.add_column(name, justify="right" if name != "verdict" else "left", no_wrap=True)
    table.add_column("image", overflow="fold")
    table.add_column("video", overflow="fold")
    table.add_column("what to do", overflow="fold")
    images, videos = (
        shortened([getattr(pair, side) for pair in ranking]) for side in ("image", "video")
    )
    for pair, image, video in zip(ranking, images, videos, strict=True):
        table.add_row(
            str(pair.rank),
            f"{pair.score_at_best_start:.2f}",
            f"{pair.best_start_s:.2f} s",
            Text(pair.verdict.replace("_", " "), style=VERDICT_STYLE[pair.verdict]),
            Text(printable(image)),
            Text(printable(video)),
            Text(printable(pair.to_do or "")),
        )
    return table
