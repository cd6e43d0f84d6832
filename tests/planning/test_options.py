from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from wan_prep.errors import WanPrepError
from wan_prep.planning.options import PlanOptions


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_seconds": Fraction(0)}, "max_seconds is 0; expected more than 0"),
        ({"max_cost": Decimal("-1")}, "max_cost is -1; expected more than 0"),
        ({"fps": Fraction(0)}, "fps is 0; expected 1 to 240 frames a second"),
        ({"fps": Fraction("0.0004")}, "fps is 0.0004; expected 1 to 240 frames a second"),
        ({"fps": Fraction(10**12)}, "fps is 1e+12; expected 1 to 240 frames a second"),
        ({"fps": Fraction(10**400)}, "; expected 1 to 240 frames a second"),
        ({"fps": math.nan}, "fps is nan; expected 1 to 240 frames a second"),
        ({"max_seconds": math.inf}, "max_seconds is inf; expected more than 0"),
        ({"max_seconds": Fraction(-1, 10**9)}, "max_seconds is -1e-09; expected more than 0"),
        ({"max_cost": Decimal("NaN")}, "max_cost is nan; expected more than 0"),
        ({"max_cost": Decimal("1e999999")}, "max_cost is inf; expected more than 0"),
        ({"max_cost": math.inf}, "max_cost is inf; expected more than 0"),
        ({"start": math.nan}, "start is nan; expected a time in seconds"),
        ({"end": math.inf}, "end is inf; expected a time in seconds"),
        ({"end": "soon"}, "end is 'soon'; expected a time in seconds"),
        ({"start": Fraction(-1)}, "the part from -1 s to its end is empty"),
        ({"start": Fraction(3), "end": Fraction(2)}, "the part from 3 s to 2 s is empty"),
        ({"end": Fraction(0)}, "the part from 0 s to 0 s is empty"),
        ({"pad": "stretch"}, "pad is 'stretch'; expected edge, blur, color"),
        ({"image_format": "gif"}, "image_format is 'gif'; expected png, jpeg"),
        ({"pad_color": "black"}, "pad_color is 'black'; expected #rrggbb"),
        ({"background": "#fff"}, "background is '#fff'; expected #rrggbb"),
        ({"jpeg_quality": 90}, "jpeg_quality is 90; expected 95 to 100"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(WanPrepError) as raised:
        PlanOptions(**options)
    assert says in str(raised.value)


def test_what_can_be_is_taken() -> None:
    options = PlanOptions(start=Fraction(1), end=Fraction(2), pad="color", pad_color="#00ff7F")
    assert (options.end, options.pad_color) == (2, "#00ff7F")


def test_numbers_are_taken_as_they_are_written() -> None:
    options = PlanOptions(fps=29.97, start=0.1, end=3, max_cost=0.4, max_seconds=10**12)  # type: ignore[arg-type]
    assert (options.fps, options.start, options.end) == (Fraction("29.97"), Fraction(1, 10), 3)
    assert (options.max_cost, options.max_seconds) == (Decimal("0.4"), 10**12)
