"""Both modes from one look at each file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import wan_prep
from wan_prep import observing
from wan_prep.errors import InputPathError, WanPrepError
from wan_prep.pose.choice import PersonChoice

FIXTURES = Path(__file__).parents[2] / "fixtures"


def test_each_mode_is_what_check_says(make: Any) -> None:
    image, video = make.image(), make.video(evidence={"person": PersonChoice("left")})
    options: dict[str, Any] = {"resolution": "720p", "select": ["WP3", "WP5"], "ignore": ["WP302"]}
    both = wan_prep.compare_modes(image, video, video_person="left", **options)
    assert both.animate == wan_prep.check(image, video, mode="animate", **options)
    assert both.replace == wan_prep.check(image, video, mode="replace", **options)


def test_what_check_refuses_is_refused(make: Any) -> None:
    with pytest.raises(InputPathError):
        wan_prep.compare_modes("missing.png", make.video())
    with pytest.raises(WanPrepError, match="no check is called"):
        wan_prep.compare_modes(make.image(), make.video(), select=["WP999"])


@pytest.mark.model
@pytest.mark.usefixtures("looked_at_once")
def test_each_file_is_looked_at_once(monkeypatch: pytest.MonkeyPatch, brief_clip: Path) -> None:
    looks: list[str] = []
    image, video = observing.observe_image, observing.observe_video
    monkeypatch.setattr(
        observing, "observe_image", lambda *a, **k: (looks.append("image"), image(*a, **k))[1]
    )
    monkeypatch.setattr(
        observing, "observe_video", lambda *a, **k: (looks.append("video"), video(*a, **k))[1]
    )
    both = wan_prep.compare_modes(FIXTURES / "reference.png", brief_clip)
    assert sorted(looks) == ["image", "video"]
    assert [report.mode for report in both.reports] == ["animate", "replace"]
    assert both.animate.image_evidence is both.replace.image_evidence
