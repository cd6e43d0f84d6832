"""The person one means, where a picture shows several: said in words, chosen among boxes.

Pure; places are fractions of the upright picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from wan_prep.errors import WanPrepError
from wan_prep.geometry import Box

Place = Literal["largest", "left", "right", "center"]

POINT_REACH = 0.1
"""How far beside a person's box a point may lie that means this person, as a fraction of the
picture. Provisional: two clicks beside one body differ by less."""
_DECIMALS = 5


@dataclass(frozen=True)
class PersonChoice:
    """Whom a picture with several people is looked at for.

    place: by size or by the horizontal middle of the body.
    number: counted from 1, from left to right; goes before `place`.
    point_xy: fractions 0 … 1 of width and height; goes before both.
    """

    place: Place = "largest"
    number: int | None = None
    point_xy: tuple[float, float] | None = None

    def __str__(self) -> str:
        """As it is written on the command line; `parse` reads it back."""
        if self.point_xy is not None:
            return ",".join(f"{value:g}" for value in self.point_xy)
        return self.place if self.number is None else str(self.number)

    @property
    def is_largest(self) -> bool:
        """Nobody in particular was asked for: the main person is meant."""
        return self == LARGEST

    @classmethod
    def parse(cls, text: str) -> PersonChoice:
        """`largest`, `left`, `right`, `center`, a number from 1, or `X,Y`.

        Raises:
            WanPrepError: it is none of these.
        """
        said = text.strip().lower()
        for place in get_args(Place):
            if said == place:
                return cls(place)
        if re.fullmatch(r"[0-9]{1,6}", said):
            if int(said) == 0:
                raise WanPrepError("person 0: people are counted from 1, from left to right")
            return cls(number=int(said))
        x, comma, y = said.partition(",")
        if comma:
            try:
                return cls.at(float(x), float(y))
            except ValueError:
                pass
        raise WanPrepError(
            f"person {text!r}: expected largest, left, right, center, a number from left to right "
            "such as 2, or a place such as 0.3,0.5"
        )

    @classmethod
    def at(cls, x: float, y: float) -> PersonChoice:
        """Whoever is at this place, in fractions of width and height.

        Raises:
            WanPrepError: it lies outside the picture.
        """
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            raise WanPrepError(
                f"person {x:g},{y:g}: expected fractions of width and height, from 0 to 1"
            )
        # Adding zero turns -0.0 into 0.0.
        return cls(point_xy=(round(x, _DECIMALS) + 0.0, round(y, _DECIMALS) + 0.0))

    @classmethod
    def of(cls, given: PersonChoice | str | int | None) -> PersonChoice:
        """The choice itself, or one as it is written; None asks for nobody in particular.

        Raises:
            WanPrepError: it cannot be read.
        """
        if given is None:
            return LARGEST
        return given if isinstance(given, PersonChoice) else cls.parse(str(given))

    def index_among(self, boxes: Sequence[Box]) -> int | None:
        """Which of these people is meant, or None if none of them is.

        boxes: in fractions of the picture.
        """
        if not boxes:
            return None
        order = sorted(range(len(boxes)), key=lambda k: boxes[k].center)
        if self.point_xy is not None:
            return _at_point(boxes, self.point_xy)
        if self.number is not None:
            return order[self.number - 1] if self.number <= len(order) else None
        if self.place == "left":
            return order[0]
        if self.place == "right":
            return order[-1]
        if self.place == "center":
            return min(order, key=lambda k: abs(boxes[k].center[0] - 0.5))
        return max(order, key=lambda k: boxes[k].area)

    def missing(self, boxes: Sequence[Box], where: str) -> str:
        """Why none of these people, at least one, is the one asked for. where: image or video."""
        count = len(boxes)
        people = "is 1 person" if count == 1 else f"are {count} people"
        if self.number is not None and count < self.number:
            only = people.replace("is ", "is only ").replace("are ", "are only ")
            return f"there {only} in the {where}; person {self.number} was asked for"
        if self.point_xy is not None:
            places = ", ".join("{:.2f},{:.2f}".format(*box.center) for box in sorted(boxes))
            return (
                f"nobody is at {self} of the {where}, where the person asked for should be; there "
                f"{people}, at {places}"
            )
        return f"the person asked for ({self}) is not seen in the {where}; there {people}"


def _at_point(boxes: Sequence[Box], point_xy: tuple[float, float]) -> int | None:
    """The smallest box that contains the point, else the nearest one within POINT_REACH."""
    apart = [_distance(box, point_xy) for box in boxes]
    nearest = min(range(len(boxes)), key=lambda k: (apart[k], boxes[k].area))
    return nearest if apart[nearest] <= POINT_REACH else None


def _distance(box: Box, point_xy: tuple[float, float]) -> float:
    """From the point to the box, as a fraction of the picture; 0 inside."""
    x, y = point_xy
    beside = max(box.left - x, 0.0, x - box.right)
    over = max(box.top - y, 0.0, y - box.bottom)
    return float((beside**2 + over**2) ** 0.5)


LARGEST = PersonChoice()


def _from_text(value: Any) -> Any:
    try:
        return PersonChoice.of(value) if isinstance(value, str | int) else value
    except WanPrepError as exc:
        raise ValueError(str(exc)) from exc


Person = Annotated[
    PersonChoice,
    BeforeValidator(_from_text),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A choice in a document: written as on the command line."""
