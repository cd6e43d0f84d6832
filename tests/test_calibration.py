"""The tool that writes calibrated figures into the profile, and where it keeps its hands."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

import wan_prep

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PROFILE = Path(wan_prep.__file__).parent / "profiles" / "wan22_animate.toml"


def test_only_what_is_calibrated_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    calibrate = importlib.import_module("calibrate")
    before = PROFILE.read_text("utf-8")
    found = {
        # `cut_edges` is shown beside the others and set by hand.
        "animate": {"zoom": (0.5, 2.0), "roll": (1.0, 9.0), "cut_edges": (7.0, 8.0)},
        "replace": {"zoom": (0.25, 3.0)},
    }
    after = calibrate.with_figures(before, found, {"zoom": 12, "roll": 34})
    changed = {
        line.partition(" ")[0]: (tomllib.loads(old), tomllib.loads(line))
        for old, line in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != line and not line.startswith("zoom")
    }
    assert list(changed) == ["roll"]
    assert changed["roll"][1]["roll"] == {
        "fine": 1.0,
        "worthless": 9.0,
        "unit": changed["roll"][0]["roll"]["unit"],
        "source": "calibrated on 34 comparisons: docs/calibration.md",
    }
    tables = tomllib.loads(after)
    assert tables["tolerances"]["zoom"]["fine"] == 0.5
    assert tables["tolerances"]["zoom"]["source"].startswith("calibrated on 12 comparisons")
    assert tables["mode_tolerances"]["replace"]["zoom"]["worthless"] == 3.0
