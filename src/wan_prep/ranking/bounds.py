"""Scores that no pair exceeds, for many pairs at once.

Two bounds on `score_at_best_start`, both never below it. The quick one takes all samples of a clip
together: for a pair that would need different samples to be good in different respects, it is too
kind. The close one holds the image against every sample; it leaves out the proportions of the
bodies, and is the score itself but for that and rounding.

What depends on one file is judged once a file, by the checks themselves. What depends on both is
computed here in numpy, from the same formulas. A check that is unknown here, or of which something
is in doubt, takes nothing from a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wan_prep.evidence import Evidence
from wan_prep.findings import PairContext, Rule
from wan_prep.geometry import Floats
from wan_prep.measures.pair import HEAD_AGAINST_BODY, HEADS_ALIKE
from wan_prep.measures.side import display_aspect, subject_in_frame
from wan_prep.profile import Family, Mode, Profile, Resolution, Tolerance
from wan_prep.ranking.traits import Look, Traits
from wan_prep.report.scoring import FAMILIES, MOST_LOST, evaluate, possible_starts, tally

SLACK = 0.02
"""Points added to a bound: scores are rounded to 0.01, confidences to 0.0001, before they count."""
_ROUNDED = 1e-4
_MOOT_FOR_HEADS = frozenset({"WP401", "WP512", "WP513"})
_MOOT_FOR_CLIPS_OF_HEADS = frozenset({"WP402", "WP404"})
_COSINE_OFF = 1e-5
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Judge:
    """How pairs are judged: what `check` would be asked with. rules: those that count."""

    mode: Mode
    resolution: Resolution
    profile: Profile
    rules: Sequence[Rule]

    def context(self, image: Evidence, video: Evidence) -> PairContext:
        return PairContext(image, video, self.mode, self.resolution, self.profile)

    def tolerance(self, name: str) -> Tolerance:
        return self.profile.tolerance(name, self.mode)

    @cached_property
    def _weights(self) -> dict[str, float]:
        return {r.code: self.profile.check_weight(self.mode, r.code) for r in self.rules}

    def weight(self, code: str) -> float:
        """Of a check in its family; 0 for one that does not count."""
        return self._weights.get(code, 0.0)

    @cached_property
    def families(self) -> dict[Family, frozenset[str]]:
        """The families that were asked, each with the codes of its checks that weigh anything."""
        return {
            family: frozenset(
                r.code for r in self.rules if r.family == family and self.weight(r.code)
            )
            for family in FAMILIES
            if any(r.family == family for r in self.rules)
        }


class FileLosses:
    """What the checks of single files take of each family: (files,) by family."""

    def __init__(self, per_file: Sequence[dict[Family, tuple[float, bool]]]) -> None:
        self.loss = {f: np.array([each[f][0] for each in per_file]) for f in FAMILIES}
        self.is_measured = {f: np.array([each[f][1] for each in per_file]) for f in FAMILIES}


def losses(tolerance: Tolerance, measured: Floats) -> Floats:
    """-ln of `Tolerance.score`, elementwise; NaN stays NaN."""
    middle = math.sqrt(tolerance.fine * tolerance.worthless)
    slope = 2.0 * math.log(19.0) / math.log(tolerance.worthless / tolerance.fine)
    worst = -math.log(1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = slope * (np.log(np.maximum(measured, 0.0)) - math.log(middle))
        # Beyond that `worst` is reached; so written it is faster than logaddexp.
        lost = np.log(1.0 + np.exp(np.minimum(exponent, 30.0)))
    return np.asarray(np.minimum(lost, worst))


def _least_losses(tolerance: Tolerance, least: Floats) -> Floats:
    """What measures of at least this lose: nothing is known where small ones are the bad ones."""
    return (
        losses(tolerance, least) if tolerance.fine < tolerance.worthless else np.zeros_like(least)
    )


class _Doubt:
    """How confidence moves a loss between its own value and that of an unknown check."""

    def __init__(self, profile: Profile) -> None:
        self.least, self.full = profile.limit("confidence_min"), profile.limit("confidence_full")
        self.unknown = -math.log(profile.severity.unknown_score)

    def _share(self, confidence: Floats) -> Floats:
        if self.full <= self.least:
            return (confidence >= self.full).astype(float)
        return np.asarray(np.clip((confidence - self.least) / (self.full - self.least), 0.0, 1.0))

    def floor(self, loss: Floats, confidence: Floats, *, required: bool = True) -> Floats:
        """At least this is lost, whichever way the confidence was rounded; NaN is unknown."""
        unknown = self.unknown if required else 0.0
        loss = np.where(np.isnan(loss), unknown, loss)
        shares = (self._share(confidence - _ROUNDED), self._share(confidence + _ROUNDED))
        return np.minimum(*(share * loss + (1.0 - share) * unknown for share in shares))

    def is_certain(self, confidence: Floats) -> NDArray[np.bool_]:
        return np.asarray(confidence - _ROUNDED >= self.full)

    def either(self, loss: Floats, certain: NDArray[np.bool_]) -> Floats:
        """The loss where it is certain; the lower one of it and of an unknown check's elsewhere."""
        return np.where(certain, loss, np.fmin(loss, self.unknown))


class Bounds:
    """The bounds of every pair of these images and videos, all of which show somebody."""

    def __init__(
        self, images: Sequence[Evidence], videos: Sequence[Evidence], judge: Judge
    ) -> None:
        self.image_count, self.video_count = len(images), len(videos)
        self._judge, self._doubt = judge, _Doubt(judge.profile)
        self._images = Traits(
            [subject_in_frame(e, o.subject) for e in images for o in e.found[:1] if o.subject],
            judge.profile,
        )
        self._samples = Traits(
            [subject_in_frame(e, o.subject) for e in videos for o in e.found if o.subject],
            judge.profile,
        )
        counts = [len(e.found) for e in videos]
        self._first = np.concatenate([[0], np.cumsum(counts)])
        self._may_start = np.concatenate(
            [
                np.isin(np.arange(n), _places(e, judge.profile))
                for e, n in zip(videos, counts, strict=True)
            ]
            or [np.zeros(0, bool)]
        )
        self._video_of = np.repeat(np.arange(len(videos)), counts)
        is_body = ~self._samples.is_head
        self._all_heads = ~_any_in(is_body, self._first)
        self._log_aspect = [
            np.log([display_aspect(e) or 1.0 for e in es]) for es in (images, videos)
        ]
        self._is_extreme = [
            np.abs(logs) > math.log(judge.profile.limit("aspect_max")) for logs in self._log_aspect
        ]
        self._one_sided(images, videos)
        self._start_loss = self._starts_alone()
        self._groups = [
            _Group(self, self._samples.bodies, is_body, of_heads=False),
            *(
                (_Group(self, self._samples.heads, np.ones(len(is_body), bool), of_heads=True),)
                if self._images.is_head.any()
                else ()
            ),
            *(
                (_Group(self, self._samples.heads, ~is_body, of_heads=True),)
                if not is_body.all()
                else ()
            ),
        ]

    # ------------------------------------------------------------------ one file

    def _one_sided(self, images: Sequence[Evidence], videos: Sequence[Evidence]) -> None:
        judge = self._judge
        settled = [rule for rule in judge.rules if not rule.at_start]
        of_shape = "image" if judge.mode == "animate" else "video"
        rules = {
            side: [
                r for r in settled if r.about == side or (r.code == "WP202" and side == of_shape)
            ]
            for side in ("image", "video")
        }

        def alone(context: PairContext, side: str) -> dict[Family, tuple[float, bool]]:
            told = tally(evaluate(context, rules[side]), judge.mode, judge.profile)
            return {f: (told.loss[f], f in told.measured) for f in FAMILIES}

        self._of_images = FileLosses([alone(judge.context(e, videos[0]), "image") for e in images])
        self._of_videos = FileLosses([alone(judge.context(images[0], e), "video") for e in videos])

    def _starts_alone(self) -> Floats:
        """(samples,) what a sample with a body takes of the family `subject` as a template."""
        hidden = losses(self._judge.tolerance("template_hidden"), self._samples.hidden)
        turned = losses(self._judge.tolerance("template_turn"), np.abs(self._samples.yaw))
        return np.asarray(
            self._judge.weight("WP512") * np.nan_to_num(hidden)
            + self._judge.weight("WP513") * np.nan_to_num(turned)
        )

    # ------------------------------------------------------------------ bounds

    def quick(self, images: Indices, videos: Indices) -> Floats:
        """(len(images), len(videos)) bounds from all samples together; videos: a run of numbers."""
        run = slice(int(videos[0]), int(videos[-1]) + 1)
        best = np.full((len(images), len(videos)), -np.inf)
        for group in self._groups:
            rows = group.rows_of(images)
            if not rows.any():
                continue
            chosen = images[rows]
            framing, of_start, present = group.quick_losses(chosen, run)
            bound = self._score(
                chosen[:, None],
                videos[None, :],
                {"framing": framing, "subject": of_start},
                group.of_heads,
            )
            best[rows] = np.maximum(best[rows], np.where(present, bound, -np.inf))
        return best

    def close(self, images: Indices, video: int) -> Floats:
        """(len(images),) bounds of one video's pairs, from every sample."""
        samples = slice(int(self._first[video]), int(self._first[video + 1]))
        theirs, starts = self._samples, self._may_start[samples]
        shape = (len(images), samples.stop - samples.start)
        compared = _Compared.nothing(shape)
        sample_is_head = theirs.is_head[samples]
        image_is_head = self._images.is_head[images]
        numbers = np.arange(samples.start, samples.stop)
        by_head = image_is_head[:, None] | sample_is_head[None, :]
        for wanted, look in ((~by_head, "bodies"), (by_head, "heads")):
            rows, columns = wanted.any(axis=1), wanted.any(axis=0)
            if rows.any():
                part = self._compare(images[rows], numbers[columns], of_heads=look == "heads")
                compared.take(part, np.ix_(rows, columns), wanted[np.ix_(rows, columns)])
        typical_framing, typical_pose, is_posed = self._typical(compared)
        moot_typically = by_head.all(axis=1)
        typical_pose = np.where(moot_typically, 0.0, typical_pose)
        is_posed &= ~moot_typically
        alone = np.where(by_head, 0.0, self._start_loss[samples][None, :])
        bound = np.full(shape, -np.inf)
        for of_heads in (False, True):
            here = by_head == of_heads
            if not here.any():
                continue
            scores = self._score(
                images[:, None],
                np.full((1, 1), video),
                {
                    "framing": compared.framing + typical_framing[:, None],
                    "pose": compared.pose + typical_pose[:, None],
                    "subject": alone,
                },
                of_heads,
                is_measured={"pose": compared.is_posed | is_posed[:, None]},
            )
            bound = np.where(here & starts[None, :], scores, bound)
        return np.asarray(bound.max(axis=1))

    def _typical(self, compared: _Compared) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Losses of the medians over the clip, of framing and of pose; whether a pose is known."""
        weight, doubt = self._judge.weight, self._doubt
        zoom = np.log(_nan_median(np.exp(compared.zoom)))
        sure = np.median(np.round(compared.sure_size, 4), axis=1)
        of_zoom = losses(self._judge.tolerance("typical_zoom"), np.abs(zoom))
        framing = np.where(
            np.isnan(zoom), doubt.unknown, doubt.floor(of_zoom, sure, required=False)
        )
        weights = np.where(np.isnan(compared.angle), 0.0, np.round(compared.sure_pose, 4))
        is_posed = weights.sum(axis=1) > 0
        angle, sure = (
            _weighted_median(values, weights)
            for values in (compared.angle, np.where(np.isnan(compared.angle), np.nan, weights))
        )
        of_pose = losses(self._judge.tolerance("typical_pose"), angle)
        pose = np.where(is_posed, doubt.floor(of_pose, sure, required=False), 0.0)
        certain = is_posed & (sure - _ROUNDED >= doubt.least) & (weight("WP402") > 0)
        return weight("WP307") * framing, weight("WP402") * pose, certain

    def _compare(self, images: Indices, samples: Indices, *, of_heads: bool) -> _Compared:
        """Images (n) against samples (T), as bodies or as heads."""
        mine, theirs = self._images, self._samples
        a = (mine.heads if of_heads else mine.bodies)[images].column()
        b = (theirs.heads if of_heads else theirs.bodies)[samples].row()
        weight, tolerance, floor = self._judge.weight, self._judge.tolerance, self._doubt.floor
        zoom, sure_size = _zoom(a, b, of_heads)
        sure_place = np.minimum(a.sure_place, b.sure_place)
        sure_view = np.minimum(a.sure_view, b.sure_view)
        apart = np.hypot(*(a.anchor_xy - b.anchor_xy).transpose(2, 0, 1))
        trace = (a.view[:, 0] @ b.view[0].T) if len(samples) else np.zeros(zoom.shape)
        view = np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))
        roll = np.abs((a.roll - b.roll + 180.0) % 360.0 - 180.0)
        shots = np.abs(mine.shot_level[images][:, None] - theirs.shot_level[samples][None, :])
        shot = losses(tolerance("shot"), shots)
        if of_heads:
            sure_shot = np.minimum(
                mine.sure_shot[images][:, None], theirs.sure_shot[samples][None, :]
            )
            shot = np.where(shots > 0, floor(shot, sure_shot), shot)
        cut = np.abs(a.cuts - b.cuts).sum(axis=2)
        framing = (
            weight("WP301") * floor(losses(tolerance("zoom"), np.abs(zoom)), sure_size)
            + weight("WP302") * floor(losses(tolerance("placement"), apart), sure_place)
            + weight("WP303") * shot
            + weight("WP304") * floor(losses(tolerance("view"), view), sure_view)
            + weight("WP305") * floor(losses(tolerance("roll"), roll), sure_view)
            + weight("WP306") * losses(tolerance("cut_edges"), cut)
        )
        made = replace(
            _Compared.nothing(zoom.shape), framing=framing, zoom=zoom, sure_size=sure_size
        )
        return made if of_heads else self._with_pose(made, images, samples)

    def _with_pose(self, compared: _Compared, images: Indices, samples: Indices) -> _Compared:
        mine, theirs = self._images, self._samples
        seen = np.minimum(mine.limb_seen[images][:, None], theirs.limb_seen[samples][None])
        cosines = np.einsum("ilk,slk->isl", mine.limbs[images], theirs.limbs[samples])
        angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
        counts = np.where(np.isnan(angles), 0.0, seen)
        with np.errstate(divide="ignore", invalid="ignore"):
            angle = np.nan_to_num(angles * counts).sum(axis=2) / counts.sum(axis=2)
        known = np.minimum(mine.known[images][:, None], theirs.known[samples][None])
        sure = (1.0 - 0.5 ** seen.sum(axis=2)) * known
        lost = self._doubt.floor(losses(self._judge.tolerance("pose"), angle), sure)
        weight = self._judge.weight("WP401")
        is_posed = ~np.isnan(angle) & (sure - _ROUNDED >= self._doubt.least) & (weight > 0)
        return replace(compared, pose=weight * lost, angle=angle, sure_pose=sure, is_posed=is_posed)

    def _score(
        self,
        images: Indices,
        videos: Indices,
        at_start: dict[Family, Floats],
        of_heads: bool,
        is_measured: dict[Family, NDArray[np.bool_]] | None = None,
    ) -> Floats:
        """The overall score (0 … 100) from the losses at a start, for broadcastable indices."""
        judge, weights = self._judge, self._judge.profile.family_weights[self._judge.mode]
        unknown = self._doubt.unknown
        total, asked = np.zeros((1, 1)), np.zeros((1, 1))
        for family, codes in judge.families.items():
            loss = (
                self._of_images.loss[family][images]
                + self._of_videos.loss[family][videos]
                + at_start.get(family, 0.0)
            )
            measured = (
                self._of_images.is_measured[family][images]
                | self._of_videos.is_measured[family][videos]
            )
            if family == "aspect":
                loss = loss + self._aspect(images, videos)
                measured = measured | (judge.weight("WP201") + judge.weight("WP205") > 0)
            elif family == "framing":
                measured = measured | (judge.weight("WP306") > 0)
                measured = measured | (judge.weight("WP303") > 0 and not of_heads)
            elif family == "subject":
                # The person is in the frame with which the clip begins.
                measured = measured | (judge.weight("WP504") > 0)
            measured = measured | (is_measured or {}).get(family, np.zeros((1, 1), bool))
            lost = np.where(measured, loss, np.minimum(loss, unknown))
            counts = self._is_asked(codes, images, videos, of_heads)
            total = total + weights.get(family, 0.0) * counts * np.minimum(lost, MOST_LOST)
            asked = asked + weights.get(family, 0.0) * counts
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(
                np.asarray(asked) > 0,
                100.0 * np.exp(-np.asarray(total) / asked),
                100.0 * judge.profile.severity.unknown_score,
            )
        return np.asarray(score + SLACK)

    def _aspect(self, images: Indices, videos: Indices) -> Floats:
        (a, b), (wide_a, wide_b) = self._log_aspect, self._is_extreme
        gap = losses(self._judge.tolerance("aspect_gap"), np.abs(a[images] - b[videos]))
        extreme = -math.log(self._judge.profile.flaws["extreme_aspect"].score)
        return np.asarray(
            self._judge.weight("WP201") * gap
            + self._judge.weight("WP205") * extreme * (wide_a[images] | wide_b[videos])
        )

    def _is_asked(
        self, weighty: frozenset[str], images: Indices, videos: Indices, of_heads: bool
    ) -> NDArray[np.bool_]:
        """Where a family with these checks counts: not where heads leave none of them open."""
        open_ = weighty - _MOOT_FOR_HEADS if of_heads else weighty
        if not open_ or not open_ <= _MOOT_FOR_CLIPS_OF_HEADS:
            return np.asarray([[bool(open_) or not weighty]])
        typically_heads = self._images.is_head[images] | self._all_heads[videos]
        return np.asarray(~typically_heads)


@dataclass(frozen=True)
class _Compared:
    """n images against T samples: losses of framing and pose at each, and what medians need.

    zoom: ln of the ratio, NaN unknown; angle: of poses in deg, NaN unknown.
    """

    framing: Floats
    pose: Floats
    zoom: Floats
    sure_size: Floats
    angle: Floats
    sure_pose: Floats
    is_posed: NDArray[np.bool_]

    @classmethod
    def nothing(cls, shape: tuple[int, ...]) -> _Compared:
        unknown, none = np.full(shape, np.nan), np.zeros(shape)
        return cls(
            none.copy(), none.copy(), unknown.copy(), none.copy(), unknown.copy(), none.copy(),
            np.zeros(shape, bool),
        )  # fmt: skip

    def take(self, part: _Compared, where: tuple[Indices, ...], wanted: NDArray[np.bool_]) -> None:
        """Put the wanted values of a part in their places."""
        for name in self.__dataclass_fields__:
            whole = getattr(self, name)
            whole[where] = np.where(wanted, getattr(part, name), whole[where])


class _Group:
    """The samples that are compared as bodies, or as heads, by video: their extremes."""

    def __init__(
        self, bounds: Bounds, look: Look, of_group: NDArray[np.bool_], *, of_heads: bool
    ) -> None:
        self._bounds, self.of_heads = bounds, of_heads
        # All samples are compared as heads where the image is one, else those that are.
        self._for_heads = of_heads and bool(of_group.all())
        rows = np.flatnonzero(of_group & bounds._may_start)
        self._look = look[rows]
        video_of = bounds._video_of[rows]
        count = len(bounds._first) - 1
        self._first = np.searchsorted(video_of, np.arange(count + 1))
        self._view = np.nan_to_num(self._look.view).astype(np.float32)
        samples = bounds._samples

        def extremes(values: Floats) -> tuple[Floats, Floats]:
            known = ~np.isnan(values)
            return (
                _reduced(np.minimum, np.where(known, values, np.inf), self._first, np.inf),
                _reduced(np.maximum, np.where(known, values, -np.inf), self._first, -np.inf),
            )

        self._height = extremes(self._look.log_height)
        self._face = extremes(self._look.log_face)
        self._anchor = [extremes(self._look.anchor_xy[:, k]) for k in (0, 1)]
        self._cuts = [extremes(self._look.cuts[:, k]) for k in range(4)]
        self._shot = extremes(samples.shot_level[rows])
        self._sure_size, self._sure_place, self._sure_view = (
            _reduced(np.minimum, sure, self._first, 0.0) for sure in _sures(self._look, of_heads)
        )
        alone = 0.0 * bounds._start_loss[rows] if of_heads else bounds._start_loss[rows]
        self._alone = _reduced(np.minimum, alone, self._first, 0.0)

    def rows_of(self, images: Indices) -> NDArray[np.bool_]:
        """Which of the images are compared with these samples."""
        return np.asarray(self._bounds._images.is_head[images] == self._for_heads)

    def quick_losses(
        self, images: Indices, videos: slice
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """(n, V) what is lost at least at the best sample: of framing, of the template alone; and
        (1, V) whether the video has such a sample."""
        bounds, judge, doubt = self._bounds, self._bounds._judge, self._bounds._doubt
        mine = bounds._images
        a = (mine.heads if self.of_heads else mine.bodies)[images]
        size, place, view = (
            np.minimum(own[:, None], theirs[videos][None])
            for own, theirs in zip(
                _sures(a, self.of_heads),
                (self._sure_size, self._sure_place, self._sure_view),
                strict=True,
            )
        )
        apart = [_outside(a.anchor_xy[:, k], self._anchor[k], videos) for k in (0, 1)]
        cut = sum((_outside(a.cuts[:, k], self._cuts[k], videos) for k in range(4)), np.zeros(1))
        shot = _least_losses(
            judge.tolerance("shot"), _outside(mine.shot_level[images], self._shot, videos)
        )
        if self.of_heads:
            shot = np.fmin(shot, doubt.unknown)
        framing = (
            judge.weight("WP301")
            * doubt.either(
                _least_losses(judge.tolerance("zoom"), self._least_zoom(a, videos)),
                doubt.is_certain(size),
            )
            + judge.weight("WP302")
            * doubt.either(
                _least_losses(judge.tolerance("placement"), np.hypot(*apart)),
                doubt.is_certain(place),
            )
            + judge.weight("WP303") * shot
            + judge.weight("WP304")
            * doubt.either(
                _least_losses(judge.tolerance("view"), self._least_view(a, videos)),
                doubt.is_certain(view),
            )
            + judge.weight("WP306") * _least_losses(judge.tolerance("cut_edges"), cut)
        )
        present = np.diff(self._first)[videos] > 0
        return framing, self._alone[videos][None], present[None]

    def _least_zoom(self, a: Look, videos: slice) -> Floats:
        """(n, V) the least |ln zoom| that joints, faces or anything between them can give."""
        (low, high), (face_low, face_high) = self._height, self._face
        mine, face = a.log_height[:, None], a.log_face[:, None]
        least = np.fmin(low[videos] - mine, face - face_high[videos])
        most = np.fmax(high[videos] - mine, face - face_low[videos])
        return np.maximum(0.0, np.maximum(least, -most))

    def _least_view(self, a: Look, videos: slice) -> Floats:
        """(n, V) the least angle in deg between the image's view and a sample's."""
        begin, end = int(self._first[videos.start]), int(self._first[videos.stop])
        mine = np.nan_to_num(a.view).astype(np.float32)
        traces = self._view[begin:end] @ mine.T
        first = self._first[videos.start : videos.stop + 1] - begin
        cosine = (_reduced(np.maximum, traces, first, 3.0).T - 1.0) / 2.0 + _COSINE_OFF
        return np.asarray(np.degrees(np.arccos(np.clip(cosine.astype(float), -1.0, 1.0))))


def _places(video: Evidence, profile: Profile) -> list[int]:
    """Which of the samples with a person the clip could begin with."""
    times = {o.time for o in possible_starts(video, profile)}
    return [k for k, o in enumerate(video.found) if o.time in times]


def _sures(look: Look, of_heads: bool) -> tuple[Floats, Floats, Floats]:
    """(K,) how sure size, place and view of a side are at least; 0 where one is unknown."""
    size = np.where(
        np.isnan(look.log_face) if of_heads else np.isnan(look.log_height),
        0.0,
        look.recognised if of_heads else look.sure_size,
    )
    view = np.where(np.isnan(look.view[:, 0]), 0.0, look.sure_view)
    return size, look.sure_place, view


def _zoom(a: Look, b: Look, of_heads: bool) -> tuple[Floats, Floats]:
    """(n, T) ln of `measures.pair.zoom_ratio`, NaN where unknown, and its confidence."""
    joints, faces = b.log_height - a.log_height, a.log_face - b.log_face
    recognised = np.minimum(a.recognised, b.recognised)
    both = np.minimum(a.sure_size, b.sure_size)
    if of_heads:
        no_faces = np.isnan(faces)
        return (
            np.where(no_faces, joints, faces),
            np.where(no_faces, HEAD_AGAINST_BODY * both, recognised),
        )
    alike = np.nan_to_num(np.exp(-(((joints - faces) / HEADS_ALIKE) ** 2)))
    by_faces = recognised * alike
    mixed = (1.0 - by_faces) * joints + by_faces * np.nan_to_num(faces)
    return mixed, np.maximum(both, by_faces)


def _outside(values: Floats, extremes: tuple[Floats, Floats], videos: slice) -> Floats:
    """(n, V) how far each value lies outside of each range."""
    low, high = (edge[videos][None] for edge in extremes)
    return np.maximum(0.0, np.maximum(low - values[:, None], values[:, None] - high))


def _reduced(ufunc: np.ufunc, values: NDArray[Any], first: Indices, empty: float) -> NDArray[Any]:
    """(V, …) ufunc over rows first[k] … first[k + 1] of each k; `empty` where there are none."""
    sizes = np.diff(first)
    out = np.full((len(sizes), *values.shape[1:]), empty, values.dtype)
    full = np.flatnonzero(sizes)
    if len(full):
        out[full] = ufunc.reduceat(values[: first[-1]], first[:-1][full], axis=0)
    return out


def _any_in(flags: NDArray[np.bool_], first: Indices) -> NDArray[np.bool_]:
    return np.asarray(_reduced(np.maximum, flags.astype(float), first, 0.0) > 0)


def _nan_median(values: Floats) -> Floats:
    """(n,) the median of each row's known values, NaN where there are none."""
    known = (~np.isnan(values)).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    rows = np.arange(len(values))
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    high = np.minimum(high, values.shape[1] - 1)
    return np.asarray((ordered[rows, low] + ordered[rows, high]) / 2.0)


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """(n,) `geometry.weighted_median` of each row's known values."""
    order = np.argsort(values, axis=1, kind="stable")
    rows = np.arange(len(values))[:, None]
    value, weight = values[rows, order], weights[rows, order]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = weight / weight.sum(axis=1, keepdims=True)
    place = np.cumsum(share, axis=1) - share / 2.0
    place = np.where(np.isnan(value), np.inf, place)
    below = np.maximum((place <= 0.5).sum(axis=1) - 1, 0)
    above = np.minimum(below + 1, values.shape[1] - 1)
    r = rows[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = (0.5 - place[r, below]) / (place[r, above] - place[r, below])
    step = np.where(np.isfinite(step), np.clip(step, 0.0, 1.0), 0.0)
    step = np.where(np.isnan(value[r, above]), 0.0, step)
    return np.asarray(value[r, below] + step * np.nan_to_num(value[r, above] - value[r, below]))
