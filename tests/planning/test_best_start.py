from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from wan_prep.analyzers import RULES
from wan_prep.evidence import Observation
from wan_prep.findings import PairContext
from wan_prep.planning.best_start import (
    FRAMES_A_ROUND,
    StartSearch,
    best_of,
    refined,
    scored_starts,
)


class Waving:
    """A clip of 4 s in which the body turns towards the camera until 2.2 s, and away again."""

    best = Fraction(66, 30)

    def __init__(self, make: Any) -> None:
        self.make = make
        self.looked_at: list[Fraction] = []

    def observation(self, time: Fraction) -> Observation:
        degrees = 60.0 * abs(float(time - self.best))
        subject = self.make.subject(self.make.body(self.make.turned("y", degrees)))
        return Observation(time=time, subject=subject)

    def context(self, every: Fraction) -> PairContext:
        samples = [self.observation(every * k) for k in range(int(4 / every))]
        video = self.make.video(
            [o.subject for o in samples], every=every, duration=Fraction(4), frame_count=120
        )
        return self.make.pair(video=video)

    def look(self, times: Sequence[Fraction]) -> list[Observation]:
        """The frames displayed at these times."""
        frames = [Fraction(int(t * 30), 30) for t in times]
        self.looked_at += frames
        return [self.observation(t) for t in frames]


@pytest.fixture
def waving(make: Any) -> Waving:
    return Waving(make)


def test_every_sample_with_the_person_is_scored(make: Any) -> None:
    turned = make.body(make.turned("y", 70.0))
    context = make.pair(video=make.video([None, turned, "adult", None], duration=Fraction(2)))
    starts = scored_starts(context, RULES)
    assert [float(s.time) for s in starts] == [0.5, 1.0]
    assert [s.limbs for s in starts] == [8, 8]
    assert starts[1].score > starts[0].score + 10


def test_an_empty_first_frame_scores_worse_than_the_person(make: Any) -> None:
    context = make.pair(video=make.video([None, "adult", "adult", "adult"], duration=Fraction(2)))
    assert (
        StartSearch(context, RULES, None).score_at_first()
        < scored_starts(context, RULES)[0].score - 10
    )


def test_what_plain_edits_mend_takes_nothing_from_a_gain(make: Any) -> None:
    wide = make.image(width=1280, height=1280)
    same, wider = (scored_starts(make.pair(image=i), RULES)[0] for i in (make.image(), wide))
    assert wider.score > 0.9 * same.score


def test_nobody_no_start(make: Any) -> None:
    assert scored_starts(make.pair(video=make.video([None] * 4)), RULES) == ()
    assert best_of(()) is None


def test_a_start_between_two_samples_is_found_to_the_frame(waving: Waving) -> None:
    context = waving.context(Fraction(1, 2))
    coarse = best_of(scored_starts(context, RULES))
    assert coarse is not None
    assert coarse.time == 2
    found = best_of(scored_starts(refined(context, RULES, coarse, waving.look), RULES))
    assert found is not None
    assert abs(found.time - waving.best) <= Fraction(1, 30)
    assert len(waving.looked_at) <= 2 * FRAMES_A_ROUND


def test_no_frame_is_looked_at_twice_in_a_round(waving: Waving) -> None:
    context = waving.context(Fraction(1, 5))
    coarse = best_of(scored_starts(context, RULES))
    assert coarse is not None
    refined(context, RULES, coarse, waving.look)
    assert len(waving.looked_at) == len(set(waving.looked_at))
    # Five frames on either side of 2.2 s, up to the samples at 2.0 and 2.4 s.
    assert sorted(waving.looked_at) == [Fraction(k, 30) for k in range(61, 72) if k != 66]


def test_nothing_is_looked_at_across_a_cut(waving: Waving) -> None:
    context = waving.context(Fraction(1, 2))
    shots = tuple(
        o.model_copy(update={"scene": int(o.time >= 2)}) for o in context.video.observations
    )
    video = context.video.model_copy(update={"observations": shots})
    context = PairContext(context.image, video, "animate", "720p", context.profile)
    coarse = next(s for s in scored_starts(context, RULES) if s.time == 2)
    seen = refined(context, RULES, coarse, waving.look)
    assert min(waving.looked_at) > 2
    assert {o.scene for o in seen.video.observations if o.time > 2} == {1}
