"""What `check` and `observe` are asked for, where nothing has to be looked at."""

from __future__ import annotations

from typing import Any

import pytest

import wan_prep
from wan_prep.errors import WanPrepError
from wan_prep.pose.choice import PersonChoice

LEFT = {"person": PersonChoice("left")}


def test_evidence_is_that_of_the_person_it_was_made_for(make: Any) -> None:
    image, video = make.image(evidence=LEFT), make.video()
    report = wan_prep.check(image, video)
    assert (str(report.subject.image.person), str(report.subject.video.person)) == (
        "left",
        "largest",
    )
    assert wan_prep.check(image, video, image_person="left", video_person="largest") == report


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"person": "left"}, "dance.mp4 was looked at for the person largest, and not for left"),
        ({"video_person": 2}, "dance.mp4 was looked at for the person largest, and not for 2"),
        (
            {"image_person": "0.5,0.5"},
            "hero.png was looked at for the person left, and not for 0.5,0.5; observe the file "
            r"again: wan_prep.observe\(path, person='0.5,0.5'\)",
        ),
    ],
)
def test_evidence_is_not_asked_for_somebody_else(
    make: Any, said: dict[str, Any], words: str
) -> None:
    with pytest.raises(WanPrepError, match=words):
        wan_prep.check(make.image(evidence=LEFT), make.video(), **said)


@pytest.mark.parametrize("name", ["person", "image_person", "video_person"])
def test_who_cannot_be_meant_is_refused_before_anything_is_looked_at(name: str) -> None:
    with pytest.raises(WanPrepError, match="expected largest, left"):
        wan_prep.check("missing.png", "missing.mp4", **{name: "somebody"})  # type: ignore[arg-type]


def test_who_cannot_be_meant_cannot_be_observed() -> None:
    with pytest.raises(WanPrepError, match="counted from 1"):
        wan_prep.observe("missing.mp4", person=0)
