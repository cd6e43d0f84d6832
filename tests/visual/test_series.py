from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from wan_prep.errors import EvidenceMissing, WanPrepError
from wan_prep.geometry import Box
from wan_prep.profile import default_profile
from wan_prep.report.model import Report
from wan_prep.visual.series import context_of, samples


def test_an_empty_clip(make: Any) -> None:
    assert samples(make.pair(video=make.video([]))) == ()


def test_a_pair_that_matches(make: Any) -> None:
    first, *_, last = samples(make.pair(video=make.video(["adult"] * 3)))
    assert (first.time_s, last.time_s) == (0.0, 1.0)
    assert first.is_present
    assert first.people == 1
    assert first.pose_deg == pytest.approx(0.0, abs=1e-3)
    assert first.zoom_ratio == pytest.approx(1.0)
    assert first.view_deg == pytest.approx(0.0, abs=1e-3)
    # 0.16 x 0.09 of 720 x 1280: 115.2 x 115.2 px.
    assert first.face_px == pytest.approx(115.2)


def test_what_is_not_seen_is_none(make: Any) -> None:
    others = {0: [Box(0.0, 0.0, 0.1, 0.1), Box(0.5, 0.0, 0.6, 0.1)]}
    absent, faceless = samples(
        make.pair(video=make.video([None, make.subject(face=None)], others=others))
    )
    assert not absent.is_present
    assert absent.people == 2
    assert (absent.pose_deg, absent.zoom_ratio, absent.view_deg) == (None, None, None)
    assert faceless.face_px is None
    assert faceless.pose_deg is not None
    (alone,) = samples(make.pair(make.image(None), make.video(["adult"])))
    assert alone.is_present
    assert alone.pose_deg is None


def test_a_head_is_no_face(make: Any) -> None:
    guess = make.face.model_copy(update={"confidence": 0.3})
    (sample,) = samples(make.pair(video=make.video([make.subject(face=guess)])))
    assert sample.face_px is None


def test_faces_are_taken_at_output_size_in_replace(make: Any) -> None:
    # 720 x 1280 becomes 464 x 832 at 480p: 464 / 720 of its size.
    (sample,) = samples(make.pair(video=make.video(["adult"]), mode="replace", resolution="480p"))
    assert sample.face_px == pytest.approx(115.2 * 464 / 720)


def test_single_frames_are_put_in_order(make: Any) -> None:
    video = make.video(["adult"] * 3)
    turned = video.model_copy(update={"observations": video.observations[::-1]})
    assert [s.time_s for s in samples(make.pair(video=turned))] == [0.0, 0.5, 1.0]


def test_the_context_of_a_report(check: Callable[..., Report]) -> None:
    report = check()
    context = context_of(report)
    assert (context.image, context.video) == report.evidence()
    assert math.isclose(float(context.video.span), 8.0)
    with pytest.raises(EvidenceMissing):
        context_of(report.model_copy(update={"image_evidence": None}))
    own = default_profile().model_copy(update={"name": "mine"})
    with pytest.raises(WanPrepError, match="profile 'mine'"):
        context_of(report, own)
    assert context_of(check(profile=own), own).profile == own
    assert report.video_evidence is not None
    assert report.video_evidence.span == Fraction(8)
