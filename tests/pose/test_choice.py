"""The person one means: read from text, and chosen among literal boxes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from wan_prep.errors import WanPrepError
from wan_prep.geometry import Box
from wan_prep.pose.choice import LARGEST, Person, PersonChoice

# From left to right: a child, a tall man in front of a woman, and somebody at the edge.
CHILD = Box(0.05, 0.55, 0.15, 0.95)
MAN = Box(0.30, 0.10, 0.60, 1.00)
WOMAN = Box(0.50, 0.20, 0.70, 0.95)
EDGE = Box(0.90, 0.30, 1.00, 0.90)
PEOPLE = [MAN, EDGE, CHILD, WOMAN]

CHOICES = st.one_of(
    st.sampled_from(["largest", "left", "right", "center"]).map(PersonChoice),
    st.integers(1, 99).map(lambda n: PersonChoice(number=n)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda xy: PersonChoice.at(*xy)),
)


@given(CHOICES)
def test_a_choice_is_read_back_as_it_is_written(choice: PersonChoice) -> None:
    assert PersonChoice.parse(str(choice)) == choice


@given(st.text(max_size=12))
def test_any_text_is_a_choice_or_a_plain_refusal(text: str) -> None:
    choice = None
    with contextlib.suppress(WanPrepError):  # and nothing else
        choice = PersonChoice.parse(text)
    assert choice is None or PersonChoice.parse(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("largest", LARGEST),
        (" Left ", PersonChoice("left")),
        ("right", PersonChoice("right")),
        ("center", PersonChoice("center")),
        ("1", PersonChoice(number=1)),
        ("12", PersonChoice(number=12)),
        ("0.25,0.5", PersonChoice(point_xy=(0.25, 0.5))),
        ("0, 1", PersonChoice(point_xy=(0.0, 1.0))),
    ],
)
def test_what_may_be_said(text: str, choice: PersonChoice) -> None:
    assert PersonChoice.parse(text) == choice


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected largest, left, right, center, a number"),
        ("middle", "expected largest, left, right, center, a number"),
        ("-1", "expected largest"),
        ("1.5", "expected largest"),
        ("٣", "expected largest"),
        ("0.5,", "expected largest"),
        ("0.5,0.5,0.5", "expected largest"),
        ("0", "counted from 1"),
        ("0.5,1.2", "from 0 to 1"),
        ("320,180", "from 0 to 1"),
        ("nan,0.5", "from 0 to 1"),
        ("0.5,inf", "from 0 to 1"),
    ],
)
def test_what_may_not_be_said_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(WanPrepError, match=said):
        PersonChoice.parse(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("largest", MAN),
        ("left", CHILD),
        ("right", EDGE),
        ("center", MAN),
        ("1", CHILD),
        ("2", MAN),
        ("3", WOMAN),
        ("4", EDGE),
        ("5", None),
        ("0.1,0.7", CHILD),
        ("0.4,0.3", MAN),
        ("0.55,0.5", WOMAN),  # inside both; the smaller box is meant
        ("0.2,0.5", CHILD),  # beside both, nearer to the child
        ("0.95,0.1", None),  # nobody within a tenth of the picture
    ],
)
def test_who_is_meant_among_boxes(text: str, meant: Box | None) -> None:
    index = PersonChoice.parse(text).index_among(PEOPLE)
    assert (None if index is None else PEOPLE[index]) == meant


@given(CHOICES)
def test_among_nobody_nobody_is_meant(choice: PersonChoice) -> None:
    assert choice.index_among([]) is None


@pytest.mark.parametrize(
    ("text", "boxes", "said"),
    [
        ("3", PEOPLE[:2], "there are only 2 people in the image; person 3 was asked for"),
        ("2", PEOPLE[:1], "there is only 1 person in the image; person 2 was asked for"),
        (
            "0.9,0.1",
            [MAN, CHILD],
            "nobody is at 0.9,0.1 of the image, where the person asked for should be; there are "
            "2 people, at 0.10,0.75, 0.45,0.55",
        ),
    ],
)
def test_why_nobody_is_meant(text: str, boxes: list[Box], said: str) -> None:
    assert PersonChoice.parse(text).missing(boxes, "image") == said


def test_in_a_document_it_is_written_as_on_the_command_line() -> None:
    person = TypeAdapter(Person)
    assert person.dump_python(PersonChoice.at(0.25, 0.5)) == "0.25,0.5"
    assert person.validate_python(2) == PersonChoice(number=2)
    with pytest.raises(ValidationError, match="expected largest"):
        person.validate_python("somebody")
