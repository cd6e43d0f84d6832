"""Files that ask for more than anybody has: each is answered soon, and in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.bombs import BOMBS, Bomb
from hostile.looking import Look, looked_at
from wan_prep.isolation import Workers

pytestmark = [pytest.mark.media, pytest.mark.slow]

# The pictures that are let through are of up to 120 megapixels, 360 MB as RGB; what is refused
# takes less. Time is measured nowhere: a bomb that is not noticed takes minutes.
GROWN_MB_MAX = 500
TIME_LIMIT_S = 60


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with Workers(1, Look(str(tmp_path_factory.mktemp("scratch")))) as workers:
        yield workers


@pytest.mark.parametrize("bomb", BOMBS, ids=[f"{bomb.role}-{bomb.name}" for bomb in BOMBS])
def test_a_bomb_does_not_go_off(bomb: Bomb, workers: Workers, tmp_path: Path) -> None:
    path = tmp_path / bomb.name
    bomb.make(path)
    looked = looked_at(workers, bomb.role, path, TIME_LIMIT_S)
    assert not looked.is_lost, looked
    assert looked.grown_mb < GROWN_MB_MAX
    if bomb.is_refused:
        assert looked.codes["WP101" if bomb.role == "image" else "WP102"] == "error"
        assert looked.verdict == "not_ready"
        assert "; " in looked.said, "what was expected, what was found, and what to do"
    else:
        assert looked.kind == "seen"
