"""Whom `check` and `observe` are asked for, where nothing has to be looked at."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import wan_prep
from wan_prep.errors import WanPrepError
from wan_prep.geometry import Box
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


# ------------------------------------------------------------------ the same person again


def test_nobody_in_particular_stays_nobody_in_particular(make: Any) -> None:
    assert make.video().person_at(Fraction(1)).is_largest


def test_the_same_person_is_asked_for_by_the_place_next_to_that_time(make: Any) -> None:
    """The middle of the body goes from 0.5 of the width to 0.6; in one sample it is not seen."""
    goes = [make.body(hips=(360.0 + 36.0 * k, 600.0)) for k in range(3)]
    video = make.video([goes[0], None, *goes[1:]], evidence=LEFT)
    found = [str(video.person_at(Fraction(t))).split(",")[0] for t in ("0", "0.7", "1", "9")]
    assert found == ["0.5", "0.55", "0.55", "0.6"]
    nobody = make.video([None] * 4, evidence=LEFT)
    assert str(nobody.person_at(Fraction(1))) == "left"


def test_a_place_means_this_person_and_no_other(make: Any) -> None:
    """Somebody small stands before the middle of the body."""
    box = make.subject().box
    before = Box(box.center[0] - 0.05, box.center[1] - 0.05, box.center[0] + 0.05, 1.0)
    (seen,) = make.image(others=[before]).observations
    assert seen.place is not None
    assert seen.place.index_among([box, before]) == 0
    assert seen.place.index_among([before]) is not None, "close beside"
    (empty,) = make.image(None).observations
    assert empty.place is None


def test_bystanders_are_those_who_are_there_instead(make: Any) -> None:
    two = [Box(0.1, 0.1, 0.3, 0.9), Box(0.6, 0.1, 0.8, 0.9)]
    others = {1: two[:1], 2: two}
    assert make.video([None] * 4, others=others, evidence=LEFT).bystanders == tuple(two)
    assert make.video([None] * 4, others=others).bystanders == ()
    assert make.video([None, "adult"], others=others, evidence=LEFT).bystanders == ()
