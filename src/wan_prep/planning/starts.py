"""Where the clip would best begin: the pair's score at every candidate frame.

Samples lie up to half a second apart.  Given a way to look at further frames, the best of them
is refined to single frames: first spread over its neighbourhood, then next to the best found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import PairContext, Rule
from wan_prep.planning.foresee import with_observations
from wan_prep.profile import Family
from wan_prep.report.scoring import evaluate, family_scores, overall

ObserveAt = Callable[[Sequence[Fraction]], Iterable[Observation]]
"""Looks at the frames of the clip displayed at these times, in s from its first frame; each
observation comes with its frame's own time."""
LOOKS_A_ROUND = 12
"""What a refinement round may look at: in clips of up to 5 s, every frame between two samples."""


_MENDED: tuple[Family, ...] = ("media", "aspect", "clip")


@dataclass(frozen=True)
class Start:
    """A frame as the clip's first, and the overall score (0 … 100) the pair would have there.

    limbs: how many of them both the image and this frame show.
    """

    observation: Observation
    score: float
    limbs: int

    @property
    def time(self) -> Fraction:
        return self.observation.time


def scored_starts(context: PairContext, rules: Sequence[Rule]) -> tuple[Start, ...]:
    """Every sample that shows the person, scored as the model's template; in order of time.

    The scores are those of a pair whose files, shape and length are mended, as they will be: a
    flaw there would make every gain look small.
    """
    score = _scorer(context, rules)
    return tuple(
        Start(m.observation, score(context.starting_at(m.observation)), len(m.measures.limbs))
        for m in context.moments
    )


def score_as_it_begins(context: PairContext, rules: Sequence[Rule]) -> float:
    """The same score with the clip's first sample as the template, whoever is in it."""
    return _scorer(context, rules)(context)


def _scorer(context: PairContext, rules: Sequence[Rule]) -> Callable[[PairContext], float]:
    """Only the checks that depend on the start are asked again, as in the report."""
    moving = [rule for rule in rules if rule.at_start]
    fixed = evaluate(context, [rule for rule in rules if not rule.at_start])
    mode, profile = context.mode, context.profile
    asked = {rule.family for rule in rules}
    changing = {rule.family for rule in moving}
    settled = family_scores(fixed, mode, profile) | dict.fromkeys(_MENDED, 1.0)

    def score(candidate: PairContext) -> float:
        results = [*fixed, *evaluate(candidate, moving)]
        scores = settled | family_scores(results, mode, profile, changing)
        return overall(scores, mode, profile, asked)

    return score


def best_of(starts: Iterable[Start]) -> Start | None:
    """The highest score; of equal ones the earliest."""
    return max(starts, key=lambda start: (start.score, -start.time), default=None)


def refined(
    context: PairContext,
    rules: Sequence[Rule],
    around: Start,
    observe_at: ObserveAt,
) -> PairContext:
    """The pair with a closer look at the clip around one start.

    Two rounds of at most LOOKS_A_ROUND frames: over the time to the neighbouring samples of the
    same shot, then over the time to the neighbours of the best one found.
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


def _frames_between(video: Evidence, start: Start) -> list[Fraction]:
    """Times of frames between a start and the samples next to it, evenly thinned."""
    assert video.video_info is not None
    frame_s = 1 / video.video_info.fps
    times = [o.time for o in video.observations if o.scene == start.observation.scene]
    before = max((t for t in times if t < start.time), default=start.time)
    after = min((t for t in times if t > start.time), default=start.time)
    steps = range(-int((start.time - before) / frame_s), int((after - start.time) / frame_s) + 1)
    frames = [start.time + k * frame_s for k in steps if k]
    new = [t for t in frames if before + frame_s / 2 < t < after - frame_s / 2]
    stride = -(-len(new) // LOOKS_A_ROUND) or 1
    # Asked for a little late, so that rounded time stamps give this frame and not the one before.
    return [t + frame_s / 4 for t in new[stride // 2 :: stride]]
