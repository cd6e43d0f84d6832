"""What the pair would score with each frame of the clip as its first one.

Samples lie up to half a second apart. Given a way to look at further frames, the neighbourhood of a
start is refined to single frames. Pure but for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import PairContext, Rule
from wan_prep.planning.foresee import with_observations
from wan_prep.report.scoring import PairScorer

ObserveAt = Callable[[Sequence[Fraction]], Iterable[Observation]]
"""Looks at the frames of the clip displayed at these times, in s from its first frame; each
observation comes with its frame's own time."""
FRAMES_A_ROUND = 12
"""The most frames that one round of refinement looks at: in clips of up to 5 s every frame between
two samples."""


@dataclass(frozen=True)
class ScoredStart:
    """A sample as the clip's first frame, and the score (0 … 100) the pair would have with it.

    limbs: how many limbs both the image and this sample show.
    """

    observation: Observation
    score: float
    limbs: int

    @property
    def time(self) -> Fraction:
        return self.observation.time


class StartSearch:
    """The starts of a pair's clip with their scores, and the frames that were looked at for them.

    The scores are those of a pair whose files, shape and length are repaired, as they will be: a
    flaw there would make every gain look small. Starts are samples; with `observe_at`, further
    frames are looked at around the starts that seem best.
    """

    def __init__(
        self, context: PairContext, rules: Sequence[Rule], observe_at: ObserveAt | None
    ) -> None:
        self._context, self._rules, self._observe_at = context, rules, observe_at
        self._given = context.video
        self._scored: tuple[ScoredStart, ...] = ()
        self._scored_for: PairContext | None = None

    def score_at_first(self) -> float:
        """The score with the first sample as the first frame, whoever is in it."""
        return _scorer(self._context, self._rules).score(self._context)

    def starts(self, around: Sequence[ScoredStart]) -> tuple[ScoredStart, ...]:
        """Every start in order of time, after a closer look around those given."""
        if self._observe_at is not None:
            for start in dict.fromkeys(around):
                self._context = refined(self._context, self._rules, start, self._observe_at)
        if self._scored_for is not self._context:
            self._scored = scored_starts(self._context, self._rules)
            self._scored_for = self._context
        return self._scored

    def video_from(self, start: Fraction) -> Evidence:
        """The given evidence with the frame displayed at `start`, where it can be looked at."""
        seen = self._context.video.observations
        found = [o for o in seen if o.time == start]
        if not found and self._observe_at is not None:
            scene = max((o.scene for o in seen if o.time < start), default=0)
            # The frame may have come earlier; in what is written it comes first.
            first = {"time": start, "scene": scene}
            found = [o.model_copy(update=first) for o in self._observe_at([start])]
        return with_observations(self._given, found)


def _scorer(context: PairContext, rules: Sequence[Rule]) -> PairScorer:
    return PairScorer(context, rules, repaired=("media", "aspect", "clip"))


def scored_starts(context: PairContext, rules: Sequence[Rule]) -> tuple[ScoredStart, ...]:
    """Every sample that shows the person, scored as the first frame; in order of time."""
    scorer = _scorer(context, rules)
    return tuple(
        ScoredStart(
            moment.observation,
            scorer.score(context.starting_at(moment.observation)),
            len(moment.measures.limbs),
        )
        for moment in context.moments
    )


def best_of(starts: Iterable[ScoredStart]) -> ScoredStart | None:
    """The highest score; of equal ones the earliest."""
    return max(starts, key=lambda start: (start.score, -start.time), default=None)


def refined(
    context: PairContext, rules: Sequence[Rule], around: ScoredStart, observe_at: ObserveAt
) -> PairContext:
    """The pair with further samples of the clip around one start.

    Two rounds of at most FRAMES_A_ROUND frames: between the neighbouring samples of the same shot,
    then between the neighbours of the best start found in the first round.
    """
    for _ in range(2):
        times = _frames_between(context.video, around)
        if not times:
            break
        scene = around.observation.scene
        seen = {o.time: o.model_copy(update={"scene": scene}) for o in observe_at(times)}
        context = replace(context, video=with_observations(context.video, seen.values()))
        near = [s for s in scored_starts(context, rules) if s.time in {*seen, around.time}]
        around = best_of(near) or around
    return context


def _frames_between(video: Evidence, start: ScoredStart) -> list[Fraction]:
    """Times of frames between a start and the samples next to it, evenly thinned."""
    assert video.video_info is not None
    frame_s = 1 / video.video_info.fps
    times = [o.time for o in video.observations if o.scene == start.observation.scene]
    before = max((t for t in times if t < start.time), default=start.time)
    after = min((t for t in times if t > start.time), default=start.time)
    steps = range(-int((start.time - before) / frame_s), int((after - start.time) / frame_s) + 1)
    frames = [start.time + k * frame_s for k in steps if k]
    new = [t for t in frames if before + frame_s / 2 < t < after - frame_s / 2]
    stride = -(-len(new) // FRAMES_A_ROUND) or 1
    # Asked for a little late, so that rounded time stamps give this frame and not the one before.
    return [t + frame_s / 4 for t in new[stride // 2 :: stride]]
