"""What the terminal and the page say alike of a ranking."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wan_prep.ranking.model import Ranking
from wan_prep.remote.sources import is_remote


def headline(ranking: Ranking) -> str:
    if not ranking.pair_count:
        return "No pair could be ranked."
    of = f"{ranking.pair_count:,} pairs ({ranking.image_count:,} × {ranking.video_count:,})"
    if len(ranking) == ranking.pair_count:
        which = f"All {of}, best first"
    elif ranking.top_per:
        which = f"The best {ranking.top} of each {ranking.top_per}, of {of}"
    else:
        which = f"The best {len(ranking)} of {of}"
    return f"{which}; {ranking.mode}, {ranking.resolution}"


def shortened(paths: Sequence[str]) -> list[str]:
    """The paths, or addresses, without the folder that all of them are in."""
    if any(map(is_remote, paths)):
        # Letter by letter, and back to the last slash: an address is no path, and keeps its "//".
        begin = os.path.commonprefix(list(paths)).rfind("/") + 1  # noqa: RUF071
        return [path[begin:] for path in paths]
    try:
        shared = os.path.commonpath([Path(path).parent for path in paths])
    except ValueError:  # none, or absolute and relative ones, or several drives
        return list(paths)
    return [os.path.relpath(path, shared) for path in paths]
