from __future__ import annotations

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
        ({"fps": Fraction(0)}, "fps is 0; expected more than 0"),
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
