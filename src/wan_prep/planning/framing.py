"""The windows that the written pair scores best with: tried by their cost, judged by the checks."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import median

from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import About, PairContext, Rule
from wan_prep.geometry import Size
from wan_prep.measures import seat, shot_class, zoom_ratio
from wan_prep.planning.clips import Part
from wan_prep.planning.foresee import bytes_per_px, foresee_image, foresee_video
from wan_prep.planning.model import Geometry, Window
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.sides import EVERY_JOINT, Side, image_side, joints_of, video_side
from wan_prep.planning.turning import turn_only, turn_to_upright, without_corners
from wan_prep.planning.windows import Framing, Match, framings
from wan_prep.report.scoring import evaluate, family_scores, overall

# Judging a pair of windows asks every check again, on this many samples of the clip at most.
_JUDGED = 8
_SAMPLES = 12
# In units of the score's logarithm: half a point of a good score. Where nothing must be changed,
# nothing is changed for less.
_WORTH_CHANGING = 0.005


@dataclass(frozen=True)
class Task:
    """What windows are sought for.

    context: the pair with nothing but the part of the clip that is kept, both files readable.
    parts: the spans to write.
    """

    context: PairContext
    rules: Sequence[Rule]
    parts: tuple[Part, ...]
    fps: Fraction
    options: PlanOptions


@dataclass(frozen=True)
class Chosen:
    """Both geometries and the score (0 … 100) that the checks give the pair seen through them.

    worth: the score's logarithm less the costs of the windows; changed: what is cut off, added,
    shrunk or blown up among them.
    """

    image: Geometry
    video: Geometry
    score: float
    worth: float
    changed: float


def best_framing(task: Task, *, cutting_joints: bool = False) -> Chosen:
    """The windows to write.

    cutting_joints: joints beyond the other medium's shot, and hands, may be cut off.

    Raises:
        WanPrepError: no window of a usable shape holds the person.
    """
    image, video = _sides(task.context, cutting_joints)
    upright = _best(task, image, video)
    degrees = turn_to_upright(task.context)
    if degrees is None:
        return upright
    straight = foresee_image(task.context.image, turn_only(task.context.image, degrees), "png")
    image, _ = _sides(replace(task.context, image=straight), cutting_joints)
    inner = without_corners(image, degrees)
    if inner is None:
        return upright
    turned = _best(task, inner, video, degrees)
    gain = turned.score - upright.score
    is_better = gain >= task.context.profile.limit("offered_gain") and turned.worth > upright.worth
    return turned if is_better else upright


def kept_whole(framing: Chosen, context: PairContext, media: Collection[About]) -> Chosen:
    """The same framing with the pictures of these media ("image", "video") left whole."""
    image = _whole(context.image) if "image" in media else framing.image
    video = _whole(context.video) if "video" in media else framing.video
    return replace(framing, image=image, video=video)


def _whole(evidence: Evidence) -> Geometry:
    """All of the picture in its own size; without its last line or column where a clip, which is
    coded by twos, would have an odd one."""
    info = evidence.info
    assert info is not None
    width, height = info.width, info.height
    if evidence.kind == "video":
        width, height = width - width % 2, height - height % 2
    window = Window(left=0, top=0, width=width, height=height)
    return Geometry(window=window, width=width, height=height)


def _best(task: Task, image: Side, video: Side, rotate_deg: float = 0.0) -> Chosen:
    found = next(
        (
            found
            for give in (_as_it_is, _opened, _opened_wide)
            if (found := _search(task, give(image), give(video)))
        ),
        [],
    )
    if not found:
        raise WanPrepError(
            f"no common shape of {task.context.image.path} and {task.context.video.path} can be "
            "found; crop the larger one to the shape of the other first"
        )
    judged = [_judged(task, rotate_deg, framing) for framing in _shortlist(found)]
    least = min(judged, key=lambda c: c.changed)
    best = max(judged, key=lambda c: c.worth)
    is_fine = not least.changed and best.worth - least.worth < _WORTH_CHANGING
    return least if is_fine else best


def _sides(context: PairContext, cutting_joints: bool) -> tuple[Side, Side]:
    keep_image = keep_video = EVERY_JOINT
    if cutting_joints and context.image_seat is not None and context.template_seat is not None:
        keep_image = joints_of(shot_class(context.template_seat))
        keep_video = joints_of(shot_class(context.image_seat))
    shows_image = context.mode == "animate"
    return (
        image_side(context.image, context.profile, is_shown=shows_image, joints=keep_image),
        video_side(context.video, context.profile, is_shown=not shows_image, joints=keep_video),
    )


# What is given up, one after the other, where the person fills the frame: better than no plan.


def _as_it_is(side: Side) -> Side:
    return side


def _opened(side: Side) -> Side:
    """Borders may be added where the body is cut."""
    return side if side.is_barred else replace(side, closed=frozenset())


def _opened_wide(side: Side) -> Side:
    """Borders may be added to bars, which then stay."""
    return replace(side, closed=frozenset())


def _search(task: Task, image: Side, video: Side) -> list[Framing]:
    context = task.context
    return framings(
        image,
        video,
        _match(context, image, video),
        mode=context.mode,
        resolution=context.resolution,
        profile=context.profile,
        video_area_max=_largest_area(task),
    )


def _match(context: PairContext, image: Side, video: Side) -> Match:
    """The zooms, as if the sides' whole px were what they were measured in."""
    here, there = context.image_seat, context.template_seat
    if here is None or there is None:
        return Match(None, None)
    rounding = (video.content.height / _content_px(context.video)) * (
        _content_px(context.image) / image.content.height
    )
    first = zoom_ratio(here, there)
    seats = (seat(context.video, o.subject) for o in context.video.found if o.subject is not None)
    typical = [ratio for s in seats if (ratio := zoom_ratio(here, s)) is not None]
    return Match(
        None if first is None else first * rounding,
        median(typical) * rounding if typical else None,
    )


def _content_px(evidence: Evidence) -> float:
    assert evidence.info is not None
    return evidence.info.height * evidence.content.height


def _largest_area(task: Task) -> float:
    """px of a frame with which the longest span stays under the limit of a file's bytes."""
    profile, info = task.context.profile, task.context.video.video_info
    assert info is not None
    length = max(part.length for part in task.parts)
    frame_bytes = profile.limit("video_bytes_max") / max(1.0, float(length * task.fps))
    return frame_bytes / bytes_per_px(info, profile)


def _shortlist(found: Sequence[Framing]) -> Iterable[Framing]:
    """The cheapest of the best shapes, the cheapest at all, and what changes least."""
    best_of_shape: dict[Size, Framing] = {}
    for framing in found:
        best_of_shape.setdefault(framing.image_size, framing)
    least = min(found, key=lambda framing: framing.changed)
    return dict.fromkeys([*list(best_of_shape.values())[:_JUDGED], least])


def _judged(task: Task, rotate_deg: float, framing: Framing) -> Chosen:
    image = _geometry(framing.image, framing.image_size, task.options, rotate_deg)
    video = _geometry(framing.video, framing.video_size, task.options)
    part, context = task.parts[0], task.context
    seen = PairContext(
        foresee_image(context.image, image, "png"),
        foresee_video(
            _thinned(context.video), video, part.start, part.end, task.fps, context.profile
        ),
        context.mode,
        context.resolution,
        context.profile,
    )
    score = score_of(seen, task.rules)
    worth = math.log(max(score, 0.01) / 100.0) - framing.changed - framing.unequal
    return Chosen(image, video, score, worth, framing.changed)


def score_of(context: PairContext, rules: Sequence[Rule]) -> float:
    """The overall score, 0 … 100, as the report would have it."""
    scores = family_scores(evaluate(context, rules), context.mode, context.profile)
    asked = {rule.family for rule in rules}
    return overall(scores, context.mode, context.profile, asked)


def _thinned(video: Evidence) -> Evidence:
    count = len(video.observations)
    if count <= _SAMPLES:
        return video
    # The first one is the template; windows move all measures alike, so the rest only has to be
    # typical of the clip.
    chosen = sorted({round(k * (count - 1) / (_SAMPLES - 1)) for k in range(_SAMPLES)})
    kept = tuple(video.observations[k] for k in chosen)
    return video.changed(observations=kept)


def _geometry(
    window: Window, size: Size, options: PlanOptions, rotate_deg: float = 0.0
) -> Geometry:
    return Geometry(
        rotate_deg=rotate_deg,
        window=window,
        width=size.width,
        height=size.height,
        pad=options.pad,
        pad_color=options.pad_color,
    )
