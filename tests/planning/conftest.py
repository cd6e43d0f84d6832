"""Constraints made by hand, for the tests of windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wan_prep.geometry import Box
from wan_prep.planning.crop import CropConstraints


def _constraints(
    size: tuple[int, int],
    keep: tuple[int, int, int, int],
    *,
    neck: tuple[float, float] | None = None,
    grid: int = 1,
    is_shown: bool = False,
    closed: str = "",
    margin: tuple[int, int, int, int] | None = None,
    **more: Any,
) -> CropConstraints:
    return CropConstraints(
        content=Box(0, 0, *size),
        keep=Box(*keep),
        keep_with_margin=Box(*(margin or keep)),
        grid=grid,
        is_shown=is_shown,
        anchor_xy=neck,
        closed_edges=frozenset(closed.split()),
        **more,
    )


@pytest.fixture(scope="session")
def constraints() -> Callable[..., CropConstraints]:
    """A picture of `size` px, all of it content, and the box that every window keeps.

    margin: the box with its margin, the same one unless told. closed: names of edges.
    """
    return _constraints
