"""Reports and pictures made by hand, and a plan for them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from wan_prep.evidence import Evidence
from wan_prep.planning.model import Plan
from wan_prep.profile import default_profile
from wan_prep.report.assemble import build_report
from wan_prep.report.model import Report, Tool
from wan_prep.stills import Still
from wan_prep.visual.pictures import Pictures

Check = Callable[..., Report]
TOOL = Tool(name="wan-prep", version="0.0")


@pytest.fixture(scope="session")
def check(make: Any) -> Check:
    """`build_report` with a pair that matches, 720p and animate, where nothing else is said."""

    def build(
        image: Evidence | None = None, video: Evidence | None = None, **settings: Any
    ) -> Report:
        defaults = {
            "mode": "animate",
            "resolution": "720p",
            "profile": default_profile(),
            "tool": TOOL,
        }
        return build_report(image or make.image(), video or make.video(), **defaults | settings)

    return build


@pytest.fixture(scope="session")
def still() -> Callable[..., Still]:
    def make_still(
        width: int = 36, height: int = 64, time_s: float = 0.0, noise: bool = False
    ) -> Still:
        """Grey, or noise that no encoder can make small."""
        shape = (height, width, 3)
        pixels = np.full(shape, 128, np.uint8)
        if noise:
            pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 70])
        return Still(time_s, width, height, jpeg.tobytes())

    return make_still


@pytest.fixture(scope="session")
def pictures(still: Callable[..., Still]) -> Pictures:
    thumbnails = tuple(still(18, 32, time_s=0.3 + 0.6 * k) for k in range(12))
    return Pictures(still(), still(), still(time_s=2.0), thumbnails)


@pytest.fixture(scope="session")
def planned(a_plan: Callable[..., Plan]) -> Callable[..., Plan]:
    """A plan that cuts the image, pads the video and trims the clip to 1 … 6.4 s."""

    def plan_for(report: Report, **changes: Any) -> Plan:
        facts: dict[str, Any] = {
            "profile": report.profile,
            "mode": report.mode,
            "resolution": report.resolution,
            "image": {
                "source": "hero.png",
                "sha256": "a" * 64,
                "name": "reference.png",
                "geometry": {
                    "rotate_deg": 2.5,
                    "window": {"left": 60, "top": 40, "width": 600, "height": 1000},
                    "width": 576,
                    "height": 960,
                },
            },
            "video": {
                "source": "dance.mp4",
                "sha256": "b" * 64,
                "spans": [{"name": "driving.mp4", "start": Fraction(1), "end": Fraction(32, 5)}],
                "geometry": {
                    "window": {"left": -24, "top": 0, "width": 768, "height": 1280},
                    "width": 576,
                    "height": 960,
                },
                "fps": Fraction(30),
            },
            "steps": [
                {"codes": ["WP403"], "about": "video", "applicability": "safe", "applied": True,
                 "title": "cut the clip to 1.00-6.40 s", "reason": "there the pose matches"},
                {"codes": [], "about": "image", "applicability": "unsafe", "applied": False,
                 "title": "crop closer", "reason": "4 points more, but the hands are cut"},
                {"codes": [], "about": "pair", "applicability": "manual", "applied": False,
                 "title": "use a closer picture", "reason": "the face is small"},
            ],
            "score": report.score,
            "verdict": report.verdict,
            "foreseen": {"score": 95.5, "verdict": "ready"},
            "output": {"width": 576, "height": 960, "bars_px": 0, "segments": 3},
            "cost_before": {"seconds": 8.0, "usd_low": 0.64, "usd_high": 0.8},
            "cost": {"seconds": 5.4, "usd_low": 0.43, "usd_high": 0.8},
            "before": report,
        }  # fmt: skip
        return a_plan(**facts | changes)

    return plan_for
