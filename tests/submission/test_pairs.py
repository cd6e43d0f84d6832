"""A folder that `fix` wrote, and what it was prepared for."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan_prep.submission.pairs import FixedPair, Target, fixed_pair, other_target


def test_a_pair_submitted_as_it_was_prepared_needs_no_word() -> None:
    assert other_target(Target("replace", "720p"), Target("replace", "720p")) is None


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        (Target("animate", "720p"), "prepared for animate at 480p, submitted as animate at 720p"),
        (Target("replace", "480p"), "prepared for animate at 480p, submitted as replace at 480p"),
    ],
)
def test_another_target_is_named_beside_the_first(chosen: Target, named: str) -> None:
    warning = other_target(Target("animate", "480p"), chosen)
    assert warning is not None
    assert warning.startswith(named)


def test_report_and_plan_lie_beside_the_pair(tmp_path: Path) -> None:
    for name in ("reference.jpg", "driving.mp4"):
        (tmp_path / name).touch()
    image, video = tmp_path / "reference.jpg", tmp_path / "driving.mp4"
    assert fixed_pair(tmp_path) == FixedPair(image, video, report=None, plan=None)
    for name in ("report.json", "plan.json"):
        (tmp_path / name).touch()
    found = fixed_pair(tmp_path)
    assert (found.report, found.plan) == (tmp_path / "report.json", tmp_path / "plan.json")
