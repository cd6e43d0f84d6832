"""No pair scores more than its bounds, whatever is in the evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wan_prep.analyzers import RULES
from wan_prep.findings import PairContext
from wan_prep.geometry import view_angles
from wan_prep.measures.pair import limb_weights, measure
from wan_prep.measures.side import (
    anchor_xy,
    cuts,
    frame_height_m,
    shot_level,
    subject_in_frame,
    view_matrix,
)
from wan_prep.profile import default_profile, load_profile
from wan_prep.ranking.bounds import SLACK, Bounds, Judge, losses
from wan_prep.ranking.traits import Traits
from wan_prep.report.assemble import Selection
from wan_prep.report.scoring import best_start, evaluate

PROFILE = default_profile()


def judge(mode: str = "animate", resolution: str = "480p", **selection: Any) -> Judge:
    chosen = Selection(**selection)
    rules = [rule for rule in RULES if chosen.wants(rule.code, rule.name)]
    return Judge(mode, resolution, PROFILE, rules)


def exact(images: list[Any], videos: list[Any], asked: Judge) -> np.ndarray:
    starts = [[best_start(asked.context(i, v), asked.rules) for v in videos] for i in images]
    return np.array([[start.score for start in row if start] for row in starts])


def both(images: list[Any], videos: list[Any], asked: Judge) -> tuple[np.ndarray, np.ndarray]:
    bounds = Bounds(images, videos, asked)
    rows, columns = np.arange(len(images)), np.arange(len(videos))
    close = [bounds.close(rows, int(video)) for video in columns]
    return bounds.quick(rows, columns), np.stack(close, axis=1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_no_score_is_above_its_bounds(cast: Any, seed: int, mode: str) -> None:
    images, videos = cast(seed, 8, 8)
    asked = judge(mode)
    scores = exact(images, videos, asked)
    quick, close = both(images, videos, asked)
    assert (close >= scores).all()
    assert (quick >= close - 1e-6).all()


@pytest.mark.parametrize(
    "selection",
    [
        {"select": ("WP3",)},
        {"select": ("WP4",)},
        {"select": ("WP401",)},
        {"select": ("WP402", "WP404")},
        {"select": ("WP512",)},
        {"select": ("WP304", "WP305")},
        {"ignore": ("WP5", "WP303", "WP306")},
        {"select": ("WP403",)},
    ],
    ids=str,
)
def test_nor_by_some_of_the_checks(cast: Any, selection: dict[str, Any]) -> None:
    images, videos = cast(11, 6, 6)
    asked = judge(**selection)
    quick, close = both(images, videos, asked)
    assert (close >= exact(images, videos, asked)).all()
    assert (quick >= close - 1e-6).all()


@pytest.mark.parametrize(
    "own",
    [
        "[limits.confidence_full]\nvalue = 0.35\n",
        "[limits.confidence_min]\nvalue = 0.0\n[limits.confidence_full]\nvalue = 1.0\n",
        "[limits.body_room_min]\nvalue = 0.2\n[limits.body_room_full]\nvalue = 9.0\n",
        "[severity]\nunknown_score = 1.0\n",
        "[family_weights.animate]\npose = 0.0\nsubject = 9.0\n",
        "[check_weights.animate]\nWP401 = 0.0\nWP307 = 4.0\nWP303 = 0.0\nWP306 = 0.0\n",
        # Small values are the bad ones.
        "[tolerances.view]\nfine = 100.0\nworthless = 10.0\n"
        "[tolerances.zoom]\nfine = 1.0\nworthless = 0.1\n"
        "[tolerances.shot]\nfine = 1.0\nworthless = 0.1\n",
    ],
)
def test_nor_by_figures_of_ones_own(cast: Any, tmp_path: Any, own: str) -> None:
    (tmp_path / "own.toml").write_text(own, "utf-8")
    images, videos = cast(12, 7, 7)
    asked = Judge("animate", "480p", load_profile(tmp_path / "own.toml"), RULES)
    quick, close = both(images, videos, asked)
    assert (close >= exact(images, videos, asked)).all()
    assert (quick >= close - 1e-6).all()


@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_without_the_pose_the_close_bound_is_the_score(cast: Any, mode: str) -> None:
    images, videos = cast(3, 8, 8)
    asked = judge(mode, ignore=("WP4",))
    _, close = both(images, videos, asked)
    # Rounded scores and confidences are what the slack is for.
    assert np.abs(close - SLACK - exact(images, videos, asked)).max() <= 0.02


@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_of_the_pose_proportions_alone_are_left_out(cast: Any, mode: str) -> None:
    """And what is lost where no pose at all could be measured."""
    images, videos = cast(3, 8, 8)
    asked = judge(mode, ignore=("WP404",))
    _, close = both(images, videos, asked)
    assert np.median(np.abs(close - SLACK - exact(images, videos, asked))) <= 0.02


def test_traits_are_what_measures_gives_one_by_one(cast: Any) -> None:
    images, _ = cast(5, 40, 1)
    framed = [subject_in_frame(e, e.found[0].subject) for e in images]
    traits = Traits(framed, PROFILE)
    assert 4 <= traits.is_head.sum() <= 20
    for k, one in enumerate(framed):
        assert traits.shot_level[k] == pytest.approx(shot_level(one))
        assert traits.is_head[k] == one.subject.is_head
        weights = limb_weights(one, one)
        assert traits.limb_seen[k].sum() == pytest.approx(sum(weights.values()))
        for look, side in ((traits.bodies, one), (traits.heads, one.head)):
            if side.subject.is_head and look is traits.bodies:
                continue
            height, view = frame_height_m(side), view_matrix(side)
            assert np.isnan(look.log_height[k]) == (height is None)
            if height is not None:
                assert look.log_height[k] == pytest.approx(np.log(height))
            assert look.anchor_xy[k] == pytest.approx(anchor_xy(side))
            edges = cuts(side)
            expected = [edges[name] for name in ("top", "bottom", "left", "right")]
            assert look.cuts[k] == pytest.approx(expected)
            assert np.isnan(look.view[k, 0]) == (view is None)
            if view is not None:
                assert look.view[k] == pytest.approx(view.ravel())
                assert look.roll[k] == pytest.approx(view_angles(view).roll)
            sure = measure(one, one, PROFILE).confidence if side is one else {}
            if sure:
                assert look.sure_place[k] == sure["offset"]
                assert look.sure_view[k] == sure["view_angle"]


def test_losses_are_those_of_the_tolerance() -> None:
    for tolerance in (PROFILE.tolerances["zoom"], PROFILE.tolerances["face_px"]):
        measured = [0.0, 1e-6, 0.05, 0.3, 5.0, 40.0, 1e5]
        expected = [-np.log(tolerance.score(value)) for value in measured]
        assert losses(tolerance, np.array(measured)) == pytest.approx(expected, abs=1e-9)


def test_checks_of_one_file_never_ask_for_the_other(make: Any) -> None:
    """They are judged once a file, beside any partner."""
    rules = [r for r in RULES if not r.at_start and r.about in ("image", "video")]
    image, video = make.image(), make.video()
    odd_image = make.image(make.head(), width=300, height=900)
    odd_video = make.video(["adult", None], width=900, height=300, is_vfr=True)

    def answers(context: PairContext, about: str) -> list[Any]:
        return [r.answer for r in evaluate(context, [r for r in rules if r.about == about])]

    for mode in ("animate", "replace"):
        plain = make.pair(image, video, mode=mode)
        assert answers(plain, "image") == answers(make.pair(image, odd_video, mode=mode), "image")
        assert answers(plain, "video") == answers(make.pair(odd_image, video, mode=mode), "video")
