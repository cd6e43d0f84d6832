"""Whether the clip begins better elsewhere, and whether that may be done unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from wan_prep.planning.clips import Clip, Part, shortened
from wan_prep.planning.starts import Start

# Points by which two starts do not differ: then the earlier one keeps more of the clip.
_ALIKE = 0.3
# Of the limbs that the first frame shows: a match of few limbs is no match of the rest.
_LIMBS_SHARE = 0.75


@dataclass(frozen=True)
class Beginning:
    """The part to keep, and why it begins there ("" where no start was looked for).

    is_safe: nothing was given up for it that needs asking. other, drawback: a start that would
    score better, and why it was not taken.
    """

    part: Part
    why: str = ""
    is_safe: bool = True
    other: Part | None = None
    drawback: str = ""


def best_beginning(
    clip: Clip,
    found: Sequence[Part],
    base: Part,
    *,
    limit: Fraction,
    half: Fraction,
    unsafe_too: bool,
) -> Beginning:
    """The start whose frame matches the image best, where it keeps half and gains enough.

    found: the runs; base: the part without a better start; limit: the greatest length in s.
    """
    search = _Search(clip, found, base, limit)
    coarse = clip.starts(())
    at_base = next((s for s in coarse if s.time >= base.start), None)
    if at_base is None:
        return Beginning(base)
    before = at_base.score if base.start == clip.whole.start else clip.first_score()
    enough = clip.profile.limit("best_start_gain")
    least = search.least(half)

    def both(starts: Sequence[Start]) -> tuple[Start, Start]:
        return search.best(starts, half, at_base), search.best(starts, least, at_base)

    safe, other = both(clip.starts([s for s in both(coarse) if s.score - before >= enough / 2.0]))
    taken, current = Beginning(base), at_base
    if safe.time != at_base.time and safe.score - before >= enough:
        taken, current = Beginning(search.rest(safe), _gain(safe, at_base)), safe
    if other.score - current.score < clip.profile.limit("offered_gain"):
        return taken
    if unsafe_too:
        return Beginning(search.rest(other), _gain(other, at_base), is_safe=False)
    part = shortened(search.rest(other), limit, clip.fps)
    what = "less than half of the clip" if part.length < half else "too small a gain to cut unasked"
    return Beginning(
        taken.part, taken.why, other=part, drawback=f"{_gain(other, current)}; that is {what}"
    )


@dataclass(frozen=True)
class _Search:
    clip: Clip
    found: Sequence[Part]
    base: Part
    limit: Fraction

    def rest(self, start: Start) -> Part:
        """From a start to the end of its run; empty where it lies in none."""
        run = next((run for run in self.found if run.start <= start.time < run.end), None)
        return Part(start.time, start.time if run is None else run.end)

    def least(self, half: Fraction) -> Fraction:
        """What an offered start must leave: what hosts ask for, if the clip has as much."""
        short = Fraction(str(self.clip.profile.limit("video_s_min")))
        return min(half, short) if self.base.length < short else short

    def best(self, starts: Sequence[Start], length: Fraction, at_base: Start) -> Start:
        """The earliest of those that are as good as the best and leave this much."""
        fair = [
            s
            for s in starts
            if min(self.rest(s).length, self.limit) >= length
            and s.limbs >= _LIMBS_SHARE * at_base.limbs
        ]
        top = max((s.score for s in fair), default=0.0)
        return next((s for s in fair if s.score >= top - _ALIKE), at_base)


def _gain(start: Start, other: Start) -> str:
    return (
        f"at {float(start.time):.2f} s the person matches the image best ({start.score:.0f} "
        f"points as the first frame, {other.score:.0f} at {float(other.time):.2f} s)"
    )
