from __future__ import annotations

from fractions import Fraction
from typing import Any

from wan_prep.analyzers.spans import spans_in_words, spans_where, times_in_words


def test_a_sample_stands_for_the_time_to_the_next_one(make: Any) -> None:
    video = make.video([None, "adult", None, None], duration=Fraction(3))
    assert spans_where(video, lambda o: o.subject is None) == ((0.0, 0.5), (1.0, 3.0))
    assert spans_where(video, lambda o: o.subject is not None) == ((0.5, 1.0),)
    assert spans_where(video, lambda o: o.time > 9) == ()
    assert spans_where(make.video([]), lambda _: True) == ()


def test_single_times_are_moments(make: Any) -> None:
    video = make.video([None, None, "adult"], evidence={"sample_interval": None})
    assert spans_where(video, lambda o: o.subject is None) == ((0.0, 0.0), (0.5, 0.5))


def test_words() -> None:
    assert spans_in_words(((0.0, 1.04), (2.0, 2.0))) == "0.0-1.0 s, 2.0 s"
    assert spans_in_words(tuple((k, k + 0.5) for k in range(5))) == (
        "0.0-0.5 s, 1.0-1.5 s, 2.0-2.5 s and 2 more spans"
    )
    assert spans_in_words(()) == ""
    assert times_in_words([0.0, 0.25]) == "0.0, 0.2 s"
    assert times_in_words([0, 1, 2, 3, 4]) == "0.0, 1.0, 2.0, 3.0 s and 1 more"
