"""Which part of a clip is kept: one shot, the person in it, inside the limits, from a good start.

Pure.  What is kept is one run, or the whole part with its cuts and gaps where that would give
away more than half.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import Applicability
from wan_prep.planning.beginning import Beginning, best_beginning
from wan_prep.planning.clips import Clip, Part, runs, shortened, within
from wan_prep.planning.model import Step
from wan_prep.planning.options import PlanOptions


@dataclass(frozen=True)
class Kept:
    """The parts to write, and the steps that say so."""

    parts: tuple[Part, ...]
    steps: tuple[Step, ...] = ()


def keep(clip: Clip, options: PlanOptions) -> Kept:
    """The spans to write.

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
    if not found:
        part = shortened(clip.whole, limit, clip.fps)
        return Kept((part,), _trim_steps(clip, part, limit_reason))
    if options.start is not None or options.keep_start:
        part = _from_fixed_start(clip, found, options)
        part = shortened(part, limit, clip.fps)
        return Kept((part,), _trim_steps(clip, part, limit_reason))
    return _freely(clip, found, limit, limit_reason, options)


def _freely(
    clip: Clip, found: Sequence[Part], limit: Fraction, limit_reason: str, options: PlanOptions
) -> Kept:
    """The start is not given: the longest run, and the best start where the first is in doubt."""
    seen = Part(found[0].start, found[-1].end)
    # Half of what could be submitted at all; a head and tail without anybody is no loss.
    half = min(seen.length, limit) / 2 - 1 / clip.fps
    longest = max(found, key=lambda run: run.length)
    keeps_half = min(longest.length, limit) >= half
    base = longest if keeps_half or options.unsafe_fixes else seen
    begun = Beginning(base)
    if clip.start_fails or base.start > clip.whole.start:
        begun = best_beginning(
            clip, found, base, limit=limit, half=half, unsafe_too=options.unsafe_fixes
        )
    part = shortened(begun.part, limit, clip.fps)
    is_safe = begun.is_safe and part.length >= half
    steps = _trim_steps(clip, part, limit_reason, begun.why, is_safe=is_safe)
    if begun.other is not None:
        return Kept((part,), (*steps, _offered(begun.other, ("WP403",), begun.drawback)))
    if base is seen and not keeps_half:
        reason = (
            "it is the longest part in one shot with the person in it, and less than half of the "
            "clip; --split writes every shot"
        )
        other = shortened(longest, limit, clip.fps)
        return Kept((part,), (*steps, _offered(other, ("WP503", "WP604"), reason)))
    return Kept((part,), steps)


def _offered(part: Part, codes: tuple[str, ...], reason: str) -> Step:
    return Step(
        codes=codes,
        about="video",
        applicability=Applicability.UNSAFE,
        applied=False,
        title=f"cut the clip to {part}",
        reason=reason,
    )


def _from_fixed_start(clip: Clip, found: Sequence[Part], options: PlanOptions) -> Part:
    """From the first frame that was asked for, to the end of the run it lies in, or as asked."""
    start, end = clip.whole.start, clip.whole.end
    if options.end is not None:
        return clip.whole
    ahead = [run.end for run in found if run.end > start]
    return Part(start, min(ahead, default=end))


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


def _paid_seconds(usd: Decimal, clip: Clip) -> Fraction:
    """What this much money pays for however the service rounds: whole billing steps."""
    step_s = int(clip.profile.limit("billed_min"))
    step_usd = step_s * clip.profile.service.usd_per_s[clip.resolution]
    dearest = step_usd * math.ceil(clip.profile.limit("clip_max") / step_s)
    steps = int(min(usd, dearest) // step_usd)
    if not steps:
        raise WanPrepError(
            f"max_cost is ${usd}, but the shortest clip is billed with ${step_usd:.2f} at "
            f"{clip.resolution}; allow at least that"
        )
    return Fraction(steps * step_s)


def _split(clip: Clip, found: Sequence[Part], options: PlanOptions) -> Kept:
    """Every run, those over the service's limit in equal parts; as many as the limits allow."""
    most = Fraction(str(clip.profile.limit("clip_max")))
    least = Fraction(str(clip.profile.limit("video_s_min")))
    pieces = [piece for run in found or [clip.whole] for piece in _pieces(run, most, clip.fps)]
    pieces = [p for p in pieces if p.length >= least] or [max(pieces, key=lambda p: p.length)]
    kept = list(_affordable(pieces, clip, options, least))
    said = ", ".join(str(part) for part in kept)
    left_out = "" if len(kept) == len(pieces) else f"; {len(pieces) - len(kept)} over the limit"
    step = Step(
        codes=("WP503", "WP504", "WP601", "WP603", "WP604", "WP608"),
        about="video",
        applicability=Applicability.SAFE,
        applied=True,
        title=f"write {len(kept)} part{'s' if len(kept) > 1 else ''}: {said}",
        reason=f"one for every shot with the person in it, as asked{left_out}",
    )
    return Kept(tuple(kept), (step,))


def _pieces(run: Part, most: Fraction, fps: Fraction) -> Iterator[Part]:
    count = math.ceil(run.length / most)
    frames = math.ceil(run.length * fps / count)
    for k in range(count):
        start = run.start + k * frames / fps
        yield shortened(Part(start, min(run.end, start + frames / fps)), most, fps)


def _affordable(
    pieces: Sequence[Part], clip: Clip, options: PlanOptions, least: Fraction
) -> Iterator[Part]:
    """The first pieces that `max_seconds` and `max_cost` allow all together; at least one."""
    seconds, usd = options.max_seconds, options.max_cost
    step_s = int(clip.profile.limit("billed_min"))
    step_usd = step_s * clip.profile.service.usd_per_s[clip.resolution]
    for k, piece in enumerate(pieces):
        if k and (
            (seconds is not None and seconds < least) or (usd is not None and usd < step_usd)
        ):
            return
        part = piece
        if seconds is not None:
            part = shortened(part, seconds, clip.fps)
            seconds -= part.length
        if usd is not None:
            part = shortened(part, _paid_seconds(usd, clip), clip.fps)
            usd -= step_usd * math.ceil(part.length / step_s)
        yield part


# ------------------------------------------------------------------ in words


def _trim_steps(
    clip: Clip, part: Part, limit_reason: str, begins: str = "", *, is_safe: bool = True
) -> tuple[Step, ...]:
    """One step that says what is cut off at both ends, and why; none where nothing is."""
    why = [*_why_start(clip, part, begins), *_why_end(clip, part, limit_reason)]
    if not why:
        return ()
    lost_cuts = [c for c in clip.video.cuts if not within(c, part)]
    codes = {code for _, found in why for code in found} | ({"WP604"} if lost_cuts else set())
    return (
        Step(
            codes=tuple(sorted(codes)),
            about="video",
            applicability=Applicability.SAFE if is_safe else Applicability.UNSAFE,
            applied=True,
            title=f"cut the clip to {part}",
            reason="; ".join(reason for reason, _ in why),
        ),
    )


def _why_start(clip: Clip, part: Part, begins: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if begins:
        yield begins, ("WP403", *clip.start_fails)
        return
    if part.start <= clip.whole.start:
        if clip.whole.start > clip.video.start:
            yield f"it begins at {float(part.start):.2f} s as asked", ()
        return
    if any(until - 1 / clip.fps == part.start for _, until in clip.video.still):
        yield f"nothing moves before {float(part.start):.2f} s", ("WP608",)
        return
    before = [o for o in clip.video.observations if clip.whole.start <= o.time < part.start]
    if any(o.subject is not None for o in before):
        yield f"the longest shot begins at {float(part.start):.2f} s", ("WP604", "WP503")
    else:
        yield f"nobody is in the picture before {float(part.start):.2f} s", ("WP503", "WP504")


def _why_end(clip: Clip, part: Part, limit_reason: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    end = float(part.end)
    if part.end >= clip.whole.end:
        if clip.video.end is None and clip.whole.end < _duration(clip.video):
            yield f"it ends at {end:.2f} s as asked, or where it no longer decodes", ()
        return
    if any(begin + 1 / clip.fps == part.end for begin, _ in clip.video.still):
        yield f"nothing moves from {end:.2f} s on", ("WP608",)
        return
    after = [o for o in clip.video.observations if part.end <= o.time < clip.whole.end]
    if not any(o.subject is not None for o in after) and after:
        yield f"nobody is in the picture from {end:.2f} s on", ("WP503",)
    elif part.end in clip.video.cuts:
        yield f"a cut at {end:.2f} s ends the shot", ("WP604",)
    elif any(run.end == part.end for run in runs(clip)):
        yield f"the person leaves the picture at {end:.2f} s", ("WP503",)
    else:
        yield limit_reason, ("WP601", "WP603")


def _duration(video: Evidence) -> Fraction:
    return video.video_info.duration if video.video_info else Fraction(0)
