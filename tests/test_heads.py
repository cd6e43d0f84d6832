"""Pairs in which a side shows nothing but a head: measured by heads, and not asked about limbs."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from wan_prep.evidence import Face, Subject
from wan_prep.findings import HEADS_ONLY
from wan_prep.geometry import (
    FACING,
    UNIT_BOX,
    Box,
    Size,
    ViewAngles,
    view_angle_deg,
    view_angles,
    view_from_angles,
)
from wan_prep.measures import pair
from wan_prep.measures.confidence import room_for_body
from wan_prep.measures.model import Measures, typical
from wan_prep.measures.side import (
    SubjectInFrame,
    anchor_xy,
    cut_edges,
    frame_height_m,
    plumb_deg,
    shot_class,
)
from wan_prep.normalizers.verify import verify_subject
from wan_prep.planning.assemble import make_plan
from wan_prep.planning.crop import image_constraints, video_constraints
from wan_prep.planning.foresee import foresee_image, foresee_video, subject_through
from wan_prep.planning.model import Geometry, Plan, Window
from wan_prep.planning.options import PlanOptions
from wan_prep.profile import default_profile, load_profile
from wan_prep.report.assemble import build_report
from wan_prep.report.inspection import build_inspection
from wan_prep.report.model import Report, Tool
from wan_prep.report.text import render_inspection
from wan_prep.stills import Still
from wan_prep.visual.drawing import draw
from wan_prep.visual.html import render_html
from wan_prep.visual.measured import rows
from wan_prep.visual.pictures import Pictures
from wan_prep.visual.series import context_of

SIZE = Size(720, 1280)
PROFILE = default_profile()
OF_LIMBS = {"WP401", "WP402", "WP404", "WP512", "WP513"}
angles = st.floats(-60.0, 60.0)


def measure(image: SubjectInFrame, video: SubjectInFrame) -> Measures:
    return pair.measure(image, video, PROFILE)


def framed(subject: Subject, content: Box = UNIT_BOX) -> SubjectInFrame:
    return SubjectInFrame(subject, content, SIZE)


@pytest.fixture
def check(make: Any) -> Any:
    def build(image: Subject, *subjects: Subject, mode: str = "animate") -> Report:
        return build_report(
            make.image(image),
            make.video(subjects if len(subjects) > 1 else subjects * 16),
            mode=mode,  # type: ignore[arg-type]
            resolution="720p",
            profile=PROFILE,
            tool=Tool(name="wan-prep", version="0.0"),
        )

    return build


@pytest.fixture
def adult(make: Any) -> Subject:
    """The adult in full view, the face as large as `Make.head` takes it to be."""
    face = Face(
        box=Box(0.44, 0.17, 0.56, 0.23),
        yaw_deg=0.0,
        pitch_deg=0.0,
        roll_deg=0.0,
        confidence=1.0,
        span_px=50.0,
    )
    subject: Subject = make.subject(face=face)
    return subject


# ------------------------------------------------------------------ measures


@given(
    factor=st.floats(0.3, 3.0),
    dx=st.floats(-0.3, 0.3),
    dy=st.floats(-0.3, 0.3),
    roll=angles,
    yaw=angles,
    pitch=angles,
    guess=st.integers(0, 99),
)
def test_known_changes_come_back(
    make: Any,
    factor: float,
    dx: float,
    dy: float,
    roll: float,
    yaw: float,
    pitch: float,
    guess: int,
) -> None:
    changed = make.head(
        middle=(0.5 + dx, 0.4 + dy),
        span_px=200.0 * factor,
        roll=roll,
        yaw=yaw,
        pitch=pitch,
        guess=guess,
    )
    plain = make.head(span_px=200.0, guess=100)
    m, back = measure(framed(changed), framed(plain)), measure(framed(plain), framed(changed))
    assert m.zoom_ratio == pytest.approx(factor, rel=1e-6)
    assert back.zoom_ratio == pytest.approx(1.0 / factor, rel=1e-6)
    assert (m.offset_x, m.offset_y) == pytest.approx((dx, dy), abs=3e-5)
    assert (m.yaw, m.pitch, m.roll) == pytest.approx((yaw, pitch, roll), abs=1e-6)
    assert (back.yaw, back.pitch, back.roll) == pytest.approx((-yaw, -pitch, -roll), abs=1e-6)
    assert m.view_angle == pytest.approx(
        view_angle_deg(FACING, view_from_angles(ViewAngles(yaw, pitch, roll))), abs=1e-3
    )
    assert (m.shot.image, m.shot.video, m.shot_distance) == ("face", "face", 0.0)
    assert (m.pose_angle, m.camera_roll) == (None, None)
    assert m.limbs == m.limbs_in_plane == m.proportions == {}
    assert {m.confidence[name] for name in ("zoom_ratio", "offset", "view_angle")} == {1.0}
    assert set(m.confidence) == {"zoom_ratio", "offset", "view_angle", "shot"}


@given(yaw=angles, pitch=angles, roll=angles)
def test_a_head_against_a_body_is_measured_by_both_heads(
    make: Any, yaw: float, pitch: float, roll: float
) -> None:
    """The torso faces the camera; the face on it looks elsewhere, and is what counts."""
    face = Face(
        box=Box(0.4, 0.1, 0.5, 0.2),
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=roll,
        confidence=1.0,
        span_px=60.0,
    )
    body = framed(make.subject(face=face))
    head = framed(make.head(middle=(0.5, 0.5), span_px=240.0))
    m, back = measure(head, body), measure(body, head)
    assert m.zoom_ratio == pytest.approx(4.0)
    assert back.zoom_ratio == pytest.approx(0.25)
    assert (m.offset_x, m.offset_y) == pytest.approx((0.05, 0.35), abs=1e-5)
    assert (m.yaw, m.pitch, m.roll) == pytest.approx((-yaw, -pitch, -roll), abs=1e-6)
    assert (m.shot.image, m.shot.video, m.shot_distance) == ("face", "full", 4.0)
    assert m.shot.only_image == ()
    assert set(m.shot.only_video) >= {"left shoulder", "right ankle"}
    assert m.limbs == m.proportions == {}
    assert m.by_head
    assert {m.confidence[name] for name in ("zoom_ratio", "offset", "view_angle")} == {1.0}


def test_two_bodies_are_measured_as_bodies(make: Any, adult: Subject) -> None:
    m = measure(framed(adult), framed(adult))
    assert not m.by_head
    assert len(m.limbs) == 8


def test_a_face_that_is_not_recognised_leaves_the_view_open(make: Any) -> None:
    """A head from behind: its place is known roughly, its scale as the head's, no direction."""
    behind = Face(box=Box(0.4, 0.3, 0.6, 0.5), yaw_deg=None, pitch_deg=None, confidence=0.3)
    m = measure(
        framed(make.head(face=behind, px_per_m=None, view_matrix=None)), framed(make.head())
    )
    assert (m.yaw, m.pitch, m.roll, m.view_angle, m.zoom_ratio) == (None,) * 5
    assert (m.offset_x, m.offset_y) == pytest.approx((0.0, 0.0), abs=1e-5)
    assert m.confidence["offset"] == 0.3
    assert m.confidence["zoom_ratio"] == m.confidence["view_angle"] == 0.0


def test_without_a_recognised_face_a_body_lends_its_scale(make: Any) -> None:
    """The face of a whole body is often too small to be recognised; that it is much smaller than a
    head that fills the frame is still known."""
    tiny = Face(box=Box(0.49, 0.19, 0.51, 0.21), yaw_deg=None, pitch_deg=None, confidence=0.1)
    m = measure(framed(make.head(span_px=240.0)), framed(make.subject(face=tiny)))
    assert m.zoom_ratio == pytest.approx(2400.0 / 500.0, rel=1e-4)
    assert 0.45 <= m.confidence["zoom_ratio"] <= 0.5
    assert m.confidence["view_angle"] == 0.0


def test_no_joint_below_a_head_is_read(make: Any) -> None:
    """The hidden joints lie in the picture as a body's would; only the head counts."""
    shown = framed(make.head().changed(keypoints_xy=np.full((33, 2), 0.5)))
    assert (shot_class(shown), cut_edges(shown), plumb_deg(shown)) == ("face", (), None)
    beyond = framed(make.head(middle=(0.05, 0.4)))
    assert cut_edges(beyond) == ("left",)


def test_places_of_a_head_are_those_of_its_content(make: Any) -> None:
    barred = framed(make.head(middle=(0.5, 0.4)), Box(0.0, 0.2, 1.0, 0.7))
    assert anchor_xy(barred) == pytest.approx((0.5, 0.4), abs=1e-5)
    assert frame_height_m(barred) == pytest.approx(1280 * 0.5 / 2400)


def test_over_a_clip_heads_are_typical_where_all_are_heads(make: Any, adult: Subject) -> None:
    head = measure(framed(make.head()), framed(make.head()))
    body = measure(framed(adult), framed(adult))
    assert typical([head, head]).by_head
    mixed = typical([head, body, body])
    assert not mixed.by_head
    assert mixed.pose_angle == pytest.approx(0.0, abs=1e-6)


# ------------------------------------------------------------------ report


@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_equal_portraits_are_ready(make: Any, check: Any, mode: str) -> None:
    report = check(make.head(guess=1), make.head(guess=2), mode=mode)
    assert (report.verdict, report.findings) == ("ready", ())
    assert report.score >= 99.9
    assert set(report.not_applicable) >= OF_LIMBS
    assert report.scores.pose is None
    seen = report.subject.image
    assert (seen.shot, seen.neck_xy, seen.cut_edges) == ("face", None, ())
    assert seen.head_xy == pytest.approx((0.5, 0.4))
    assert seen.frame_height_m == pytest.approx(1280 / 2400, abs=1e-4)


@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_the_guessed_joints_decide_nothing(make: Any, check: Any, mode: str) -> None:
    def told(guess: int) -> tuple[object, ...]:
        image = make.head(span_px=300.0, roll=8.0, middle=(0.45, 0.35), guess=guess)
        report = check(image, make.head(guess=guess + 1), mode=mode)
        plan = make_plan(report, PlanOptions(), profile=PROFILE)
        return report.public_dict(), plan.image.geometry, plan.video.geometry, plan.steps

    assert told(1) == told(5) == told(9)


def test_unlike_portraits_are_told_of_their_heads(make: Any, check: Any) -> None:
    report = check(
        make.head(span_px=380.0, middle=(0.5, 0.6), roll=25.0, yaw=40.0), make.head(span_px=150.0)
    )
    said = {f.code: f.message for f in report.findings}
    assert said["WP301"].startswith("the head is 2.53 times larger in the image")
    assert said["WP302"].startswith("the head is 20% lower in the image")
    assert "show the head from different sides" in said["WP304"]
    assert said["WP305"].startswith("the head leans 25 deg more to the right")
    assert not OF_LIMBS & set(said)
    assert not any(f.status == "inconclusive" for f in report.findings)


@pytest.mark.parametrize("is_image", [True, False])
def test_a_whole_body_against_a_head_is_not_ready(
    make: Any, adult: Subject, check: Any, is_image: bool
) -> None:
    head = make.head(span_px=400.0)
    report = check(adult, head) if is_image else check(head, adult)
    assert report.verdict == "not_ready"
    graves = {f.code for f in report.errors}
    assert {"WP301", "WP303"} <= graves
    assert set(report.not_applicable) >= OF_LIMBS


def test_where_a_body_may_stand_its_shot_is_not_known(
    make: Any, adult: Subject, check: Any
) -> None:
    """A robed figure of which the face alone is recognised: two and a half heads of the picture lie
    below it, and what is in them is unknown."""
    figure = make.head(span_px=60.0, middle=(0.5, 0.2))
    report = check(figure, adult)
    assert report.subject.image.shot == "face"
    (finding,) = [f for f in report.findings if f.code == "WP303"]
    assert (finding.status, finding.severity) == ("inconclusive", "warning")
    assert "room for a body" in finding.message
    assert report.verdict == "risky"
    both = check(figure, make.head(span_px=60.0, middle=(0.5, 0.2)))
    assert "WP303" in both.passed


@pytest.mark.parametrize(("middle_y", "room"), [(0.8, 0.0), (0.7, 0.0), (0.5, 0.5122), (0.2, 1.0)])
def test_room_for_a_body_by_hand(make: Any, middle_y: float, room: float) -> None:
    """The face is 219 px tall, so the head is 300 px; its chin lies 109.5 px below the middle. Of
    the 1280 px, 0.49, 0.91, 1.77 and 3.05 heads lie below it."""
    head = make.head(span_px=219.0 / 1.25, middle=(0.5, middle_y))
    assert room_for_body(framed(head), PROFILE) == pytest.approx(room, abs=1e-3)


def test_how_much_room_a_body_needs_is_a_figure_of_the_profile(make: Any, tmp_path: Path) -> None:
    """1.77 heads of the picture lie below the chin."""
    head = framed(make.head(span_px=219.0 / 1.25, middle=(0.5, 0.5)))
    assert pair.confidences(head, head, PROFILE)["shot"] == pytest.approx(1.0 - 0.5122, abs=1e-3)
    (tmp_path / "own.toml").write_text("[limits.body_room_full]\nvalue = 1.5", "utf-8")
    own = load_profile(tmp_path / "own.toml")
    assert room_for_body(head, own) == 1.0
    assert pair.confidences(head, head, own)["shot"] == 0.0


def test_what_may_be_a_body_is_kept(make: Any) -> None:
    figure = make.image(make.head(span_px=60.0, middle=(0.5, 0.2)))
    portrait = make.image(make.head(span_px=300.0, middle=(0.5, 0.5)))
    kept = image_constraints(figure, PROFILE, is_shown=True).keep
    assert kept.bottom == 1280.0
    assert kept.width > 200.0
    assert image_constraints(portrait, PROFILE, is_shown=True).keep.bottom < 900.0


@pytest.mark.parametrize(
    "steps",
    [
        [{"span_px": 240.0 * factor} for factor in (1.0, 1.25, 1.6, 2.0, 2.5)],
        [{"middle": (0.5 + shift, 0.4)} for shift in (0.0, 0.05, 0.1, 0.2, 0.3)],
        [{"roll": roll} for roll in (0.0, -5.0, -10.0, -20.0, -40.0)],
        [{"yaw": yaw} for yaw in (0.0, 10.0, 20.0, 40.0, 60.0)],
        [{"pitch": pitch} for pitch in (0.0, 10.0, 20.0, 40.0)],
    ],
    ids=["zoom", "shift", "roll", "yaw", "pitch"],
)
def test_each_step_away_costs_points(make: Any, check: Any, steps: list[dict[str, Any]]) -> None:
    scores = [check(make.head(**step), make.head()).score for step in steps]
    assert all(later < before for before, later in pairwise(scores)), scores


def test_the_start_at_which_a_clip_comes_close_is_found(
    make: Any, adult: Subject, check: Any
) -> None:
    """The whole body for 3 s, then the head alone, as large as in the image."""
    report = check(make.head(), *[adult] * 6, *[make.head()] * 10)
    assert report.verdict == "not_ready"
    assert report.best_start_s == 3.0
    assert report.score_at_best_start is not None
    assert report.score_at_best_start > 95.0
    plan = make_plan(report, PlanOptions(), profile=PROFILE)
    assert float(plan.video.spans[0].start) == 3.0


def test_what_does_not_apply_is_not_what_is_unknown(make: Any) -> None:
    result = make.result("WP401", make.pair(make.image(make.head()), make.video([make.head()])))
    assert (result.answer, result.finding) == (HEADS_ONLY, None)


def test_the_scores_of_heads_are_made_of_what_applies(make: Any, check: Any) -> None:
    """In animate mode 3 of 12.5 parts are the pose's, which heads do not have."""
    report = check(make.head(span_px=300.0), make.head(span_px=240.0))
    weights = PROFILE.family_weights["animate"]
    rest = sum(weights.values()) - weights["pose"]
    scores = {name: score for name, score in report.scores if name != "pose"}
    logs = sum(weights[name] * np.log(score) for name, score in scores.items())
    assert report.score == pytest.approx(100.0 * np.exp(logs / rest), abs=0.02)


def test_a_report_of_heads_is_plain_json(make: Any, check: Any) -> None:
    report = check(make.head(), make.head())
    document = json.loads(report.public_json())
    assert document["measures"]["first"]["pose_angle"] is None
    assert Report.model_validate_json(report.model_dump_json()) == report


# ------------------------------------------------------------------ plan


def written(plan: Plan, report: Report) -> Report:
    """The report of the pair as both files would be seen."""
    image, video = report.evidence()
    (span,) = plan.video.spans
    if plan.image.geometry is not None:
        image = foresee_image(image, plan.image.geometry, "png")
    if plan.video.geometry is not None:
        assert plan.video.fps is not None
        video = foresee_video(
            video, plan.video.geometry, span.start, span.end, plan.video.fps, PROFILE
        )
    return build_report(
        image, video, mode="animate", resolution="720p", profile=PROFILE, tool=report.tool
    )


@pytest.mark.parametrize("sizes", [(300.0, 200.0), (200.0, 310.0)])
def test_a_plan_brings_two_heads_together(
    make: Any, check: Any, sizes: tuple[float, float]
) -> None:
    image = make.head(span_px=sizes[0], middle=(0.55, 0.52))
    report = check(image, make.head(span_px=sizes[1], middle=(0.45, 0.56)))
    plan = make_plan(report, PlanOptions(), profile=PROFILE)
    after = written(plan, report)
    before, now = report.measures.first, after.measures.first
    assert abs(np.log(now.zoom_ratio)) < abs(np.log(before.zoom_ratio)) / 4
    assert now.placement < before.placement / 4
    assert after.score > report.score + 5
    assert after.subject.image.cut_edges == after.subject.video.cut_edges == ()
    assert (after.subject.image.shot, after.subject.video.shot) == ("face", "face")


def test_windows_hold_the_heads_of_all_samples(make: Any, check: Any) -> None:
    moving = [make.head(span_px=150.0, middle=(0.3 + 0.02 * k, 0.4)) for k in range(16)]
    report = check(make.head(span_px=240.0), *moving)
    plan = make_plan(report, PlanOptions(), profile=PROFILE)
    assert plan.video.geometry is not None
    w = plan.video.geometry.window
    boxes = [s.box.scaled(*SIZE) for s in moving]
    assert w.left <= min(b.left for b in boxes)
    assert w.right >= max(b.right for b in boxes)
    assert w.top <= min(b.top for b in boxes)
    assert w.bottom >= max(b.bottom for b in boxes)


def test_a_body_is_aligned_with_a_head_by_its_face(make: Any, adult: Subject, check: Any) -> None:
    body, head = make.image(adult), make.video([make.head(middle=(0.6, 0.4))])
    image = image_constraints(body, PROFILE, is_shown=True, by_head=True)
    video = video_constraints(head, PROFILE, is_shown=False, by_head=True)
    assert image.anchor_xy == pytest.approx((360.0, 256.0), abs=0.01)
    assert video.anchor_xy == pytest.approx((432.0, 512.0), abs=0.01)
    assert image.keep.bottom > 1000.0, "the body's feet are kept"
    assert (image.closed_edges, video.closed_edges) == (frozenset(), {"bottom"})
    report = check(adult, make.head(span_px=120.0, middle=(0.5, 0.4)))
    after = written(make_plan(report, PlanOptions(), profile=PROFILE), report)
    assert after.measures.first.placement < report.measures.first.placement
    assert after.score > report.score


@given(degrees=st.floats(-30.0, 30.0), roll=st.floats(-30.0, 30.0), yaw=angles, pitch=angles)
def test_a_turned_picture_turns_the_head(
    make: Any, degrees: float, roll: float, yaw: float, pitch: float
) -> None:
    head = make.head(middle=(0.5, 0.5), span_px=100.0, roll=roll, yaw=yaw, pitch=pitch)
    window = Window(left=60, top=240, width=600, height=800)
    turned = subject_through(
        head, Geometry(rotate_deg=degrees, window=window, width=1200, height=1600), SIZE
    )
    assert turned.is_head
    assert turned.face is not None
    assert turned.view_matrix is not None
    angles_now = view_angles(turned.view_matrix)
    assert tuple(angles_now) == pytest.approx((yaw, pitch, roll + degrees), abs=0.01)
    assert turned.face.roll_deg == pytest.approx(roll + degrees)
    assert (turned.face.yaw_deg, turned.face.pitch_deg) == (yaw, pitch)
    assert turned.face.span_px == pytest.approx(200.0)
    assert turned.px_per_m == pytest.approx(2.0 * head.px_per_m)


# ------------------------------------------------------------------ drawing


def test_a_head_is_drawn_without_limbs(make: Any) -> None:
    drawn = draw(framed(make.head(roll=20.0)), SIZE)
    bones = [*drawn.seen, *drawn.guessed]
    ends = [point for b in bones for point in ((b.x1, b.y1), (b.x2, b.y2))]
    assert max(math.dist(point, (360.0, 512.0)) for point in ends) < drawn.shot_frame.height
    assert drawn.guessed == ()
    assert (drawn.anchor_name, drawn.anchor_xy) == ("head", pytest.approx((360.0, 512.0), abs=0.1))


# ------------------------------------------------------------------ words


def test_the_page_speaks_of_heads(make: Any, check: Any) -> None:
    _, jpeg = cv2.imencode(".jpg", np.full((64, 36, 3), 128, np.uint8))
    still = Still(0.0, 36, 64, jpeg.tobytes())
    pictures = Pictures(still, still, still)
    report = check(make.head(span_px=300.0), make.head())
    page = render_html(report, pictures)
    assert "head at 50%, 40%" in page
    assert "head line</label>" in page
    assert "neck" not in page.split("<body")[1].replace("layer-neck", "").replace("show-neck", "")
    assert "Limb by limb" not in page
    assert "Pose distance" not in page
    by_code = {row.code: row for row in rows(report, context_of(report))}
    assert {by_code[code].state for code in ("WP401", "WP404")} == {"unasked"}
    assert {by_code[code].words for code in ("WP401", "WP404")} == {"heads are compared"}


def test_a_family_that_does_not_apply_is_not_unknown(make: Any, check: Any) -> None:
    heads = check(make.head(), make.head())
    assert heads.family_words("pose") == "not asked"
    assert heads.family_words("framing") == "100"
    assert "pose not asked" in heads._repr_html_()
    assert check(None, make.head()).family_words("pose") == "unknown"


def test_an_unread_file_leaves_every_family_open(make: Any) -> None:
    report = build_report(
        make.unreadable("image"),
        make.video(),
        mode="animate",
        resolution="720p",
        profile=PROFILE,
        tool=Tool(name="wan-prep", version="0.0"),
    )
    assert report.family_words("pose") == "unknown"


def test_an_inspection_of_a_head_says_so(make: Any) -> None:
    inspection = build_inspection(
        make.image(make.head(yaw=12.0)),
        mode="animate",
        resolution="720p",
        profile=PROFILE,
        tool=Tool(name="wan-prep", version="0.0"),
    )
    out = StringIO()
    render_inspection(inspection, Console(file=out, width=100))
    said = " ".join(out.getvalue().split())
    assert "shot face" in said
    assert "head at 50%, 40%" in said
    assert "head turned +12°" in said
    assert "neck" not in said


def test_a_track_tells_heads_and_who_is_beside_them(make: Any) -> None:
    seen = make.image(make.head(), others=[Box(0.1, 0.2, 0.3, 0.7), Box(0.8, 0.0, 1.0, 1.0)])
    sure = seen.observations[0].changed(others_confidence=(1.0, 0.61))
    track = build_inspection(
        seen.changed(observations=(sure,)),
        mode="animate",
        resolution="720p",
        profile=PROFILE,
        tool=Tool(name="wan-prep", version="0.0"),
    ).track
    assert track.is_head == (True,)
    ((first, second),) = track.others
    assert (first.box, first.share, first.confidence) == ((0.1, 0.2, 0.3, 0.7), 0.1, 1.0)
    assert (second.share, second.confidence) == (0.2, 0.61)


def test_a_written_body_seen_as_a_head_is_verified_by_its_head(make: Any, adult: Subject) -> None:
    """After a close crop only the head may be recognised; its guessed joints prove nothing."""
    before = make.image(adult)
    head = make.head().changed(
        keypoints_xy=np.vstack([adult.keypoints_xy[:11], np.full((22, 2), 0.9)])
    )
    verify_subject(before, make.image(head), None, Fraction(0))
