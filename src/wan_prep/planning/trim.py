"""Which part of the clip is written: one shot, with the person in it, within the limits.

A *run* is a stretch of one shot in which the person stays in the picture. What is kept is one run,
or the whole clip with its cuts and gaps where one run would be less than half of it. The start
moves only where a check of the first frame fails, or where what is kept does not begin with the
clip; then the pair is scored with each sample as the first frame. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import Applicability
from wan_prep.planning.best_start import ScoredStart
from wan_prep.planning.model import PlanStep
from wan_prep.planning.options import PlanOptions
from wan_prep.profile import Profile, Resolution

# Two starts whose scores differ by less points count as equal: the earlier one keeps more.
_EQUAL_POINTS = 0.3
# A start must show at least this share of the limbs that the present first frame shows.
_LIMBS_SHARE = 0.75


@dataclass(frozen=True)
class Interval:
    """[start, end) in s of the clip."""

    start: Fraction
    end: Fraction

    @property
    def length(self) -> Fraction:
        return self.end - self.start

    def cut_to(self, limit: Fraction, fps: Fraction) -> Interval:
        """The same start, at most `limit` s long, in whole frames so that the last one ends within
        the limit; at least one frame."""
        if self.length <= limit:
            return self
        return replace(self, end=self.start + max(1, math.floor(limit * fps)) / fps)

    def __str__(self) -> str:
        return f"{float(self.start):.2f}-{float(self.end):.2f} s"


@dataclass(frozen=True)
class Clip:
    """What the choice is made from.

    whole: the part of the clip that counts. fps: the rate that will be written. score_at_first:
    the pair's score with the clip's first sample as the first frame, whoever is in it.
    scored_starts: every start, after a closer look around the starts it is given; it is called
    only where the start is in question. failing_at_start: codes of the checks of the first frame
    that say more than a note.
    """

    video: Evidence
    whole: Interval
    fps: Fraction
    resolution: Resolution
    profile: Profile
    score_at_first: Callable[[], float]
    scored_starts: Callable[[Sequence[ScoredStart]], Sequence[ScoredStart]]
    failing_at_start: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trim:
    """The intervals to write, at least one, in order of time, and the steps that say so."""

    intervals: tuple[Interval, ...]
    steps: tuple[PlanStep, ...] = ()


def counting_interval(video: Evidence, options: PlanOptions) -> Interval:
    """The part that was checked, narrowed to what was asked for; it ends where decoding ended.

    Raises:
        WanPrepError: nothing of the clip is left.
    """
    info = video.video_info
    if info is None:
        raise ValueError(f"{video.path}: evidence of a readable video is needed")
    end = info.duration if video.end is None else min(video.end, info.duration)
    damaged = info.is_truncated or video.decode_errors
    if damaged and video.decoded_until is not None:
        end = min(end, video.decoded_until + 1 / info.fps)
    interval = Interval(
        max(video.start, options.start or Fraction(0)),
        end if options.end is None else min(end, options.end),
    )
    if interval.length <= 0:
        raise WanPrepError(
            f"{video.path}: the part {interval} is empty; what was checked lasts from "
            f"{float(video.start):.2f} to {float(end):.2f} s"
        )
    return interval


def trim_clip(clip: Clip, options: PlanOptions) -> Trim:
    """What is written of the clip.

    Raises:
        WanPrepError: the money does not pay for the shortest clip that is billed, or the time
            does not hold one frame.
    """
    if options.max_seconds is not None and options.max_seconds < 1 / clip.fps:
        raise WanPrepError(
            f"max_seconds is {float(options.max_seconds):g}, less than one frame "
            f"({1 / clip.fps} s); allow more"
        )
    found = runs(clip)
    if options.split:
        return _split(clip, found, options)
    limit, limit_reason = _limit(clip, options)
    if found and options.start is None and not options.keep_start:
        return _with_free_start(clip, found, limit, limit_reason, options)
    interval = _from_fixed_start(clip, found, options) if found else clip.whole
    interval = interval.cut_to(limit, clip.fps)
    return Trim((interval,), _trim_steps(clip, interval, limit_reason))


def _from_fixed_start(clip: Clip, found: Sequence[Interval], options: PlanOptions) -> Interval:
    """From the start that was asked for to the end of its run, or to the end asked for."""
    start, end = clip.whole.start, clip.whole.end
    if options.end is not None:
        return clip.whole
    ahead = [run.end for run in found if run.end > start]
    return Interval(start, min(ahead, default=end))


def _with_free_start(
    clip: Clip,
    found: Sequence[Interval],
    limit: Fraction,
    limit_reason: str,
    options: PlanOptions,
) -> Trim:
    """The longest run, from the best start where the first frame is in doubt."""
    seen = Interval(found[0].start, found[-1].end)
    # Half of what could be submitted at all: a head and a tail without anybody are no loss.
    half = min(seen.length, limit) / 2 - 1 / clip.fps
    longest = max(found, key=lambda run: run.length)
    keeps_half = min(longest.length, limit) >= half
    base = longest if keeps_half or options.unsafe_fixes else seen
    choice = StartChoice(base)
    if clip.failing_at_start or base.start > clip.whole.start:
        choice = choose_start(
            clip, found, base, limit=limit, half=half, unsafe_too=options.unsafe_fixes
        )
    interval = choice.interval.cut_to(limit, clip.fps)
    is_safe = choice.is_safe and interval.length >= half
    steps = _trim_steps(clip, interval, limit_reason, choice.why, is_safe=is_safe)
    if choice.other is not None:
        return Trim((interval,), (*steps, _offered(choice.other, ("WP403",), choice.drawback)))
    if base is seen and not keeps_half:
        reason = (
            "it is the longest part in one shot with the person in it, and less than half of the "
            "clip; --split writes every shot"
        )
        other = longest.cut_to(limit, clip.fps)
        return Trim((interval,), (*steps, _offered(other, ("WP503", "WP604"), reason)))
    return Trim((interval,), steps)


# ------------------------------------------------------------------ runs


def runs(clip: Clip) -> list[Interval]:
    """The runs of the clip, in order of time.

    A run begins with its shot, or with the first sample that shows the person. It ends with its
    shot, or with the frame of the last such sample. Absences up to the profile's
    `absence_in_run_max` belong to it. Where nothing moves at one of its ends, only the frame next
    to the motion belongs to it.
    """
    gap = Fraction(str(clip.profile.limit("absence_in_run_max")))
    edges = [clip.whole.start, *(c for c in clip.video.cuts if _is_within(c, clip.whole))]
    shots = [Interval(a, b) for a, b in pairwise([*edges, clip.whole.end])]
    return [_without_still_ends(run, clip) for shot in shots for run in _runs_of(shot, clip, gap)]


def _without_still_ends(run: Interval, clip: Clip) -> Interval:
    """The run as it is where too little motion would be left."""
    frame = 1 / clip.fps
    start, end = run.start, run.end
    for begin, until in clip.video.still:
        if begin <= start < until:
            start = max(start, until - frame)
        elif begin < end <= until:
            end = begin + frame
    least = Fraction(str(clip.profile.limit("motion_min")))
    return Interval(start, end) if end - start >= least else run


def _is_within(time: Fraction, interval: Interval) -> bool:
    """Whether a cut at this time parts the interval."""
    return interval.start < time < interval.end


def _runs_of(shot: Interval, clip: Clip, gap: Fraction) -> Iterator[Interval]:
    samples = [o for o in clip.video.observations if shot.start <= o.time < shot.end]
    begins = last = None
    for k, sample in enumerate(samples):
        if sample.subject is None:
            continue
        if begins is None:
            begins = shot.start if k == 0 else sample.time
        elif last is not None and _is_absent(samples[:k], last) and sample.time - last > gap:
            yield Interval(begins, last + 1 / clip.fps)
            begins = sample.time
        last = sample.time
    if begins is None or last is None:
        return
    is_gone = _is_absent(samples, last)
    yield Interval(begins, min(shot.end, last + 1 / clip.fps) if is_gone else shot.end)


def _is_absent(samples: Sequence[Observation], after: Fraction) -> bool:
    """Whether a sample after this time shows nobody."""
    return any(o.subject is None and o.time > after for o in samples)


# ------------------------------------------------------------------ length


def _limit(clip: Clip, options: PlanOptions) -> tuple[Fraction, str]:
    """The greatest length in s, and why."""
    limits = [
        (Fraction(str(clip.profile.limit("clip_max"))), "the service takes {:.0f} s at most"),
    ]
    if options.max_seconds is not None:
        limits.append((options.max_seconds, "no more than {:g} s were asked for"))
    if options.max_cost is not None:
        paid = _paid_seconds(options.max_cost, clip)
        limits.append((paid, f"${options.max_cost} pays for {{:g}} s"))
    limit, reason = min(limits, key=lambda entry: entry[0])
    return limit, reason.format(float(limit))


def _billing_step(clip: Clip) -> tuple[int, Decimal]:
    """Seconds and US dollars of the step in which a clip is billed at the most."""
    step_s = int(clip.profile.limit("billed_min"))
    return step_s, step_s * clip.profile.service.usd_per_s[clip.resolution]


def _paid_seconds(usd: Decimal, clip: Clip) -> Fraction:
    """What this much money pays for however the service rounds: whole billing steps."""
    step_s, step_usd = _billing_step(clip)
    dearest = step_usd * math.ceil(clip.profile.limit("clip_max") / step_s)
    steps = int(min(usd, dearest) // step_usd)
    if not steps:
        raise WanPrepError(
            f"max_cost is ${usd}, but the shortest clip is billed with ${step_usd:.2f} at "
            f"{clip.resolution}; allow at least that"
        )
    return Fraction(steps * step_s)


def _split(clip: Clip, found: Sequence[Interval], options: PlanOptions) -> Trim:
    """Every run, those over the service's limit in equal parts; as many as the limits allow."""
    most = Fraction(str(clip.profile.limit("clip_max")))
    least = Fraction(str(clip.profile.limit("video_s_min")))
    pieces = [piece for run in found or [clip.whole] for piece in _pieces(run, most, clip.fps)]
    pieces = [p for p in pieces if p.length >= least] or [max(pieces, key=lambda p: p.length)]
    kept = list(_affordable(pieces, clip, options, least))
    said = ", ".join(str(interval) for interval in kept)
    left_out = "" if len(kept) == len(pieces) else f"; {len(pieces) - len(kept)} over the limit"
    step = PlanStep(
        codes=("WP503", "WP504", "WP601", "WP603", "WP604", "WP608"),
        about="video",
        applicability=Applicability.SAFE,
        applied=True,
        title=f"write {len(kept)} part{'s' if len(kept) > 1 else ''}: {said}",
        reason=f"one for every shot with the person in it, as asked{left_out}",
    )
    return Trim(tuple(kept), (step,))


def _pieces(run: Interval, most: Fraction, fps: Fraction) -> Iterator[Interval]:
    """The run in the fewest equal pieces of whole frames that are at most `most` s long."""
    count = math.ceil(run.length / most)
    frames = math.ceil(run.length * fps / count)
    for k in range(count):
        start = run.start + k * frames / fps
        yield Interval(start, min(run.end, start + frames / fps)).cut_to(most, fps)


def _affordable(
    pieces: Sequence[Interval], clip: Clip, options: PlanOptions, least: Fraction
) -> Iterator[Interval]:
    """The first pieces that `max_seconds` and `max_cost` allow all together; at least one."""
    seconds, usd = options.max_seconds, options.max_cost
    step_s, step_usd = _billing_step(clip)
    for k, piece in enumerate(pieces):
        if k and (
            (seconds is not None and seconds < least) or (usd is not None and usd < step_usd)
        ):
            return
        interval = piece
        if seconds is not None:
            interval = interval.cut_to(seconds, clip.fps)
            seconds -= interval.length
        if usd is not None:
            interval = interval.cut_to(_paid_seconds(usd, clip), clip.fps)
            usd -= step_usd * math.ceil(interval.length / step_s)
        yield interval


# ------------------------------------------------------------------ the best start


@dataclass(frozen=True)
class StartChoice:
    """The interval to keep, before it is cut to its limit.

    why: why it begins there, "" where no start was looked for. is_safe: whether it may be done
    unasked. other, drawback: an interval whose start scores better, and why it was not taken.
    """

    interval: Interval
    why: str = ""
    is_safe: bool = True
    other: Interval | None = None
    drawback: str = ""


def choose_start(
    clip: Clip,
    found: Sequence[Interval],
    base: Interval,
    *,
    limit: Fraction,
    half: Fraction,
    unsafe_too: bool,
) -> StartChoice:
    """The start with the best score, where that keeps half of the clip and gains enough.

    found: the runs. base: what is kept without a better start. limit: the greatest length in s.
    half: the least length in s that may be kept unasked. unsafe_too: take less where it is better.
    """
    candidates = _StartCandidates(clip, found, base, limit)
    coarse = clip.scored_starts(())
    at_base = next((s for s in coarse if s.time >= base.start), None)
    if at_base is None:
        return StartChoice(base)
    before = at_base.score if base.start == clip.whole.start else clip.score_at_first()
    enough = clip.profile.limit("best_start_gain")
    least = candidates.least_length(half)

    def safe_and_other(starts: Sequence[ScoredStart]) -> tuple[ScoredStart, ScoredStart]:
        return candidates.best(starts, half, at_base), candidates.best(starts, least, at_base)

    promising = [s for s in safe_and_other(coarse) if s.score - before >= enough / 2.0]
    safe, other = safe_and_other(clip.scored_starts(promising))
    taken, current = StartChoice(base), at_base
    if safe.time != at_base.time and safe.score - before >= enough:
        taken, current = StartChoice(candidates.rest(safe), _gain(safe, at_base)), safe
    if other.score - current.score < clip.profile.limit("offered_gain"):
        return taken
    if unsafe_too:
        return StartChoice(candidates.rest(other), _gain(other, at_base), is_safe=False)
    interval = candidates.rest(other).cut_to(limit, clip.fps)
    what = (
        "less than half of the clip"
        if interval.length < half
        else "too small a gain to cut unasked"
    )
    return StartChoice(
        taken.interval,
        taken.why,
        other=interval,
        drawback=f"{_gain(other, current)}; that is {what}",
    )


@dataclass(frozen=True)
class _StartCandidates:
    """Which starts of a clip may be taken; the arguments of `choose_start`."""

    clip: Clip
    found: Sequence[Interval]
    base: Interval
    limit: Fraction

    def rest(self, start: ScoredStart) -> Interval:
        """From a start to the end of its run; empty where it lies in none."""
        run = next((run for run in self.found if run.start <= start.time < run.end), None)
        return Interval(start.time, start.time if run is None else run.end)

    def least_length(self, half: Fraction) -> Fraction:
        """What an offered start must leave, in s: as much as hosts ask for, or half of a clip that
        is shorter than that."""
        short = Fraction(str(self.clip.profile.limit("video_s_min")))
        return min(half, short) if self.base.length < short else short

    def best(
        self, starts: Sequence[ScoredStart], length: Fraction, at_base: ScoredStart
    ) -> ScoredStart:
        """The earliest of the best ones that leave this length in s and show enough limbs;
        `at_base` where there is none."""
        fair = [
            s
            for s in starts
            if min(self.rest(s).length, self.limit) >= length
            and s.limbs >= _LIMBS_SHARE * at_base.limbs
        ]
        top = max((s.score for s in fair), default=0.0)
        return next((s for s in fair if s.score >= top - _EQUAL_POINTS), at_base)


def _gain(start: ScoredStart, other: ScoredStart) -> str:
    return (
        f"at {float(start.time):.2f} s the person matches the image best ({start.score:.0f} "
        f"points as the first frame, {other.score:.0f} at {float(other.time):.2f} s)"
    )


# ------------------------------------------------------------------ in words


def _offered(interval: Interval, codes: tuple[str, ...], reason: str) -> PlanStep:
    return PlanStep(
        codes=codes,
        about="video",
        applicability=Applicability.UNSAFE,
        applied=False,
        title=f"cut the clip to {interval}",
        reason=reason,
    )


def _trim_steps(
    clip: Clip, kept: Interval, limit_reason: str, begins: str = "", *, is_safe: bool = True
) -> tuple[PlanStep, ...]:
    """One step that says what is cut off at both ends, and why; none where nothing is."""
    why = [*_why_start(clip, kept, begins), *_why_end(clip, kept, limit_reason)]
    if not why:
        return ()
    lost_cuts = [c for c in clip.video.cuts if not _is_within(c, kept)]
    codes = {code for _, found in why for code in found} | ({"WP604"} if lost_cuts else set())
    return (
        PlanStep(
            codes=tuple(sorted(codes)),
            about="video",
            applicability=Applicability.SAFE if is_safe else Applicability.UNSAFE,
            applied=True,
            title=f"cut the clip to {kept}",
            reason="; ".join(reason for reason, _ in why),
        ),
    )


def _why_start(clip: Clip, kept: Interval, begins: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Why it does not begin with the clip, and the codes that this answers; at most one."""
    if begins:
        yield begins, ("WP403", *clip.failing_at_start)
        return
    if kept.start <= clip.whole.start:
        if clip.whole.start > clip.video.start:
            yield f"it begins at {float(kept.start):.2f} s as asked", ()
        return
    if any(until - 1 / clip.fps == kept.start for _, until in clip.video.still):
        yield f"nothing moves before {float(kept.start):.2f} s", ("WP608",)
        return
    before = [o for o in clip.video.observations if clip.whole.start <= o.time < kept.start]
    if any(o.subject is not None for o in before):
        yield f"the longest shot begins at {float(kept.start):.2f} s", ("WP604", "WP503")
    else:
        yield f"nobody is in the picture before {float(kept.start):.2f} s", ("WP503", "WP504")


def _why_end(
    clip: Clip, kept: Interval, limit_reason: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Why it does not end with the clip, and the codes that this answers; at most one."""
    end = float(kept.end)
    if kept.end >= clip.whole.end:
        if clip.video.end is None and clip.whole.end < _duration(clip.video):
            yield f"it ends at {end:.2f} s as asked, or where it no longer decodes", ()
        return
    if any(begin + 1 / clip.fps == kept.end for begin, _ in clip.video.still):
        yield f"nothing moves from {end:.2f} s on", ("WP608",)
        return
    after = [o for o in clip.video.observations if kept.end <= o.time < clip.whole.end]
    if not any(o.subject is not None for o in after) and after:
        yield f"nobody is in the picture from {end:.2f} s on", ("WP503",)
    elif kept.end in clip.video.cuts:
        yield f"a cut at {end:.2f} s ends the shot", ("WP604",)
    elif any(run.end == kept.end for run in runs(clip)):
        yield f"the person leaves the picture at {end:.2f} s", ("WP503",)
    else:
        yield limit_reason, ("WP601", "WP603")


def _duration(video: Evidence) -> Fraction:
    return video.video_info.duration if video.video_info else Fraction(0)
