from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from wan_prep.evidence import Face, Subject
from wan_prep.findings import Applicability, Inconclusive, NotApplicable, Severity
from wan_prep.geometry import Box
from wan_prep.pose.body import FACE_SEEN, HEAD_SEEN, HEAD_TINY
from wan_prep.profile import default_profile

SCORES = {name: t.score for name, t in default_profile().tolerances.items()}
OF_VIDEO = ["WP509", "WP511", "WP514"]
OF_IMAGE = ["WP508", "WP510"]


def square_face(
    px: float, confidence: float = FACE_SEEN, yaw: float | None = 0.0, *, at: tuple = (0.4, 0.1)
) -> Face:
    """A square face of so many px in a picture of 720 x 1280; its left top corner `at`."""
    left, top = at
    return Face(
        box=Box(left, top, left + px / 720, top + px / 1280),
        yaw_deg=yaw,
        pitch_deg=None if yaw is None else 0.0,
        confidence=confidence,
    )


def head_only(px: float = 100.0, confidence: float = HEAD_SEEN, **place: Any) -> Face:
    return square_face(px, confidence, None, **place)


def hidden_face(make: Any) -> Subject:
    return make.subject(face=head_only())


def headless(make: Any) -> Subject:
    """Cut at the breast: the eyes lie 160 px above the frame."""
    return make.subject(make.body(hips=(360.0, 200.0)), face=None)


def from_behind(make: Any) -> Subject:
    return make.subject(make.body(make.turned("y", 180.0)), face=head_only())


def tiny(make: Any) -> Subject:
    return make.subject(face=head_only(20.0, HEAD_TINY))


@pytest.mark.parametrize("code", [*OF_IMAGE, *OF_VIDEO])
def test_a_face_towards_the_camera_passes(make: Any, code: str) -> None:
    result = make.result(code, make.pair())
    assert result.finding is None
    assert result.score is not None
    assert result.score >= 0.95


@pytest.mark.parametrize("code", OF_IMAGE)
@pytest.mark.parametrize("is_readable", [True, False])
def test_where_nobody_is_in_the_image_nothing_is_asked(
    make: Any, code: str, is_readable: bool
) -> None:
    image = make.image(None) if is_readable else make.unreadable("image")
    assert isinstance(make.result(code, make.pair(image)).answer, NotApplicable)


@pytest.mark.parametrize("code", OF_VIDEO)
@pytest.mark.parametrize("is_readable", [True, False])
def test_where_nobody_is_in_the_video_nothing_is_asked(
    make: Any, code: str, is_readable: bool
) -> None:
    video = make.video([None] * 16) if is_readable else make.unreadable("video")
    assert isinstance(make.result(code, make.pair(video=video)).answer, NotApplicable)


# ------------------------------------------------------------------ size


@pytest.mark.parametrize(
    ("px", "severity"),
    [(100.0, None), (50.0, Severity.INFO), (26.0, Severity.WARNING), (10.0, Severity.WARNING)],
)
def test_small_faces_in_the_image(make: Any, px: float, severity: Severity | None) -> None:
    image = make.image(make.subject(face=square_face(px)))
    result = make.result("WP508", make.pair(image))
    assert result.score == pytest.approx(SCORES["face_px"](px), rel=1e-3)
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert f"only {px:.0f} px across at the output's size" in result.finding.message
        assert result.finding.measured == pytest.approx(px, rel=1e-3)


def test_the_image_is_measured_at_the_outputs_size(make: Any) -> None:
    """720 x 1280 becomes 464 x 832 at 480p: 0.644 of it."""
    image = make.image(make.subject(face=square_face(60.0)))
    finding = make.result("WP508", make.pair(image, resolution="480p")).finding
    assert finding.measured == pytest.approx(60 * 464 / 720, rel=1e-3)


def test_the_video_is_measured_where_the_mode_takes_the_face_from(make: Any) -> None:
    """The file's own pixels for animate, the output's for replace."""
    small = make.subject(make.body(), face=square_face(60.0))
    video = make.video([small] * 4)
    own = make.result("WP509", make.pair(video=video, resolution="480p")).finding
    assert own.measured == pytest.approx(60.0, rel=1e-3)
    assert "in the file's own pixels" in own.message
    scaled = make.result("WP509", make.pair(video=video, mode="replace", resolution="480p")).finding
    assert scaled.measured == pytest.approx(60 * 464 / 720, rel=1e-3)
    assert "at the output's size" in scaled.message


def test_the_videos_face_is_the_median_of_the_sure_ones(make: Any) -> None:
    faces = [*(square_face(px) for px in (30, 50, 70)), head_only(400), head_only(400)]
    video = make.video([make.subject(face=f) for f in faces])
    finding = make.result("WP509", make.pair(video=video)).finding
    assert finding.measured == pytest.approx(50.0, rel=1e-3)


def test_a_head_without_a_recognised_face_is_inconclusive(make: Any) -> None:
    unsure = make.subject(face=head_only(40.0))
    for code, pair in (
        ("WP508", make.pair(make.image(unsure))),
        ("WP509", make.pair(video=make.video([unsure] * 4))),
    ):
        finding = make.result(code, pair).finding
        assert (finding.status, finding.severity) == ("inconclusive", Severity.INFO)
        assert "40 px" in finding.message


def test_a_tiny_head_has_a_tiny_face(make: Any) -> None:
    for code, pair in (
        ("WP508", make.pair(make.image(tiny(make)))),
        ("WP509", make.pair(video=make.video([tiny(make)] * 4))),
    ):
        finding = make.result(code, pair).finding
        assert (finding.status, finding.severity) == ("fail", Severity.WARNING)
        assert finding.measured == pytest.approx(20.0, rel=1e-3)
    mixed = make.video([tiny(make), make.subject(face=head_only(30.0))])
    assert make.result("WP509", make.pair(video=mixed)).finding.status == "inconclusive"


def test_a_face_outside_the_picture(make: Any) -> None:
    image = make.result("WP508", make.pair(make.image(headless(make))))
    assert image.finding.status == "inconclusive"
    video = make.result("WP509", make.pair(video=make.video([headless(make)] * 3)))
    assert isinstance(video.answer, NotApplicable)


# ------------------------------------------------------------------ direction


@pytest.mark.parametrize(
    ("yaw", "severity"),
    [(6.0, None), (15.0, Severity.INFO), (-80.0, Severity.WARNING)],
)
def test_turned_faces(make: Any, yaw: float, severity: Severity | None) -> None:
    image = make.image(make.subject(face=square_face(200.0, yaw=yaw)))
    result = make.result("WP510", make.pair(image))
    assert result.score == pytest.approx(SCORES["face_turn"](abs(yaw)))
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert f"turned {abs(yaw):.0f} deg" in result.finding.message


@pytest.mark.parametrize(
    ("face", "words"),
    [
        (head_only(200.0), "stylised faces are often missed"),
        (head_only(20.0, HEAD_TINY), "too small to tell"),
        (None, "stylised faces are often missed"),
    ],
)
def test_a_face_that_only_the_pose_tells_of_is_inconclusive(
    make: Any, face: Face | None, words: str
) -> None:
    result = make.result("WP510", make.pair(make.image(make.subject(face=face))))
    assert isinstance(result.answer, Inconclusive)
    assert result.finding.severity is Severity.WARNING
    assert words in result.finding.message


# ------------------------------------------------------------------ over time


def test_frames_without_a_face(make: Any) -> None:
    hidden = hidden_face(make)
    one = make.pair(video=make.video(["adult"] * 15 + [hidden]))
    assert make.result("WP511", one).finding is None
    half = make.pair(video=make.video([hidden] * 4 + ["adult"] * 4))
    finding = make.result("WP511", half).finding
    assert (finding.severity, finding.measured) == (Severity.WARNING, 0.5)
    assert finding.message == (
        "no face is recognised in 50% of the looked-at frames (turned away, hidden or not "
        "recognised: 0.0-2.0 s)"
    )
    assert finding.span_s == (0.0, 2.0)
    some = make.pair(video=make.video([hidden] * 4 + ["adult"] * 12))
    assert make.result("WP511", some).finding.severity is Severity.INFO
    none = make.pair(video=make.video([hidden] * 5))
    assert make.result("WP511", none).finding.severity is Severity.WARNING


def test_why_no_face_is_seen_is_told_by_time(make: Any) -> None:
    """Seconds 1 to 3 from behind, 4 to 4.5 cut at the breast, 6 to the end hidden."""
    samples: list[Any] = ["adult"] * 16
    samples[2:6] = [from_behind(make)] * 4
    samples[8] = headless(make)
    samples[12:] = [hidden_face(make)] * 4
    finding = make.result("WP511", make.pair(video=make.video(samples))).finding
    assert finding.message.endswith(
        "(the back turned: 1.0-3.0 s; outside the frame: 4.0-4.5 s; turned away, hidden or not "
        "recognised: 6.0-8.0 s)"
    )
    assert finding.measured == pytest.approx(9 / 16, abs=1e-4)
    assert finding.span_s == (1.0, 3.0)


@pytest.mark.parametrize(("yaw", "is_back"), [(119.0, False), (121.0, True), (-150.0, True)])
def test_the_back_begins_where_the_profile_says(make: Any, yaw: float, is_back: bool) -> None:
    subject = make.subject(make.body(make.turned("y", -yaw)), face=head_only())
    finding = make.result("WP511", make.pair(video=make.video([subject] * 4))).finding
    assert ("the back turned" in finding.message) is is_back


def test_a_face_that_is_recognised_overrules_the_back(make: Any) -> None:
    mistaken = make.subject(make.body(make.turned("y", 180.0)), face=square_face(100.0))
    assert make.result("WP511", make.pair(video=make.video([mistaken] * 4))).finding is None


def test_faces_too_small_to_tell_are_not_called_unseen(make: Any) -> None:
    few = make.pair(video=make.video([tiny(make)] * 7 + ["adult"] * 9))
    assert make.result("WP511", few).finding is None
    most = make.pair(video=make.video(["adult"] * 7 + [tiny(make)] * 9))
    finding = make.result("WP511", most).finding
    assert (finding.status, finding.severity) == ("inconclusive", Severity.INFO)
    assert "too small to tell whether it is seen, at 3.5-8.0 s" in finding.message
    # Two of the four that can be told.
    video = make.video([tiny(make)] * 4 + [hidden_face(make)] * 2 + ["adult"] * 2)
    assert make.result("WP511", make.pair(video=video)).finding.measured == 0.5


def test_a_face_that_was_not_looked_for_is_not_called_unseen(make: Any) -> None:
    """The head lies in the frame, and evidence knows nothing of its face."""
    unknown = make.subject(face=None)
    one = make.pair(video=make.video([unknown] + ["adult"] * 3))
    assert make.result("WP511", one).score == 1.0
    finding = make.result("WP511", make.pair(video=make.video([unknown] * 4))).finding
    assert (finding.status, finding.severity) == ("inconclusive", Severity.INFO)
    assert make.result("WP514", make.pair(video=make.video([unknown] * 4))).score == 1.0


def test_single_frames_are_moments(make: Any) -> None:
    video = make.video(
        [hidden_face(make), "adult", hidden_face(make)], evidence={"sample_interval": None}
    )
    finding = make.result("WP511", make.pair(video=video)).finding
    assert "recognised: 0.0 s, 1.0 s)" in finding.message
    assert finding.span_s is None


# ------------------------------------------------------------------ the model's own crop


def test_a_head_out_of_the_frame_leaves_the_model_without_a_face(make: Any) -> None:
    """From 1 to 2 s, and in the last of 16 samples."""
    samples: list[Any] = ["adult"] * 16
    samples[2] = samples[3] = samples[15] = headless(make)
    finding = make.result("WP514", make.pair(video=make.video(samples))).finding
    assert (finding.severity, finding.status) == (Severity.WARNING, "fail")
    assert (finding.measured, finding.limit, finding.unit) == (3, 0, "samples")
    assert finding.source == "wan source"
    assert "at 1.0-2.0 s, 7.5-8.0 s; if the service runs the official" in finding.message
    assert finding.span_s == (1.0, 2.0)
    assert finding.fix.applicability is Applicability.MANUAL


@pytest.mark.parametrize("confidence", [FACE_SEEN, HEAD_SEEN])
@pytest.mark.parametrize(
    ("top", "is_cut", "is_mostly_cut"),
    [
        # The crop of a face of 100 px begins 10.5 px above it and ends 3.5 px below: 114 px.
        (11.0, False, False),
        (0.0, True, False),
        (-45.0, True, False),  # 58.5 px left: 51 %
        (-48.0, True, True),  # 55.5 px left: 49 %
        (-200.0, True, True),
    ],
)
def test_a_face_at_the_edge(
    make: Any, confidence: float, top: float, is_cut: bool, is_mostly_cut: bool
) -> None:
    """What the face network saw is judged; of what the head points tell, one can't be sure."""
    is_sure = confidence == FACE_SEEN
    face = square_face(100.0, confidence, 0.0 if is_sure else None, at=(0.4, top / 1280))
    pair = make.pair(video=make.video([make.subject(face=face)] * 4))
    finding = make.result("WP514", pair).finding
    if is_sure:
        assert (finding and finding.status) == ("fail" if is_mostly_cut else None)
    else:
        assert (finding and finding.status) == ("inconclusive" if is_cut else None)
        assert finding is None or finding.severity is Severity.INFO


@pytest.mark.parametrize(
    ("px", "mode", "status"),
    [
        # 1.14 times as large, cut out in whole px from 287.02 to 295.98.
        (7.9, "animate", None),
        # From 287.5 to 294.5.
        (6.2, "animate", "fail"),
        # 464 / 720 of the size at 480p: 11 px become 7.1, their crop 8.1.
        (11.0, "replace", None),
        (10.0, "replace", "fail"),
    ],
)
def test_a_crop_of_a_few_px_is_no_face(make: Any, px: float, mode: str, status: str | None) -> None:
    video = make.video([make.subject(face=square_face(px))] * 4)
    pair = make.pair(video=video, mode=mode, resolution="480p")
    finding = make.result("WP514", pair).finding
    assert (finding and finding.status) == status


def test_a_head_of_a_few_px_leaves_it_open(make: Any) -> None:
    speck = make.subject(face=head_only(5.0, HEAD_TINY))
    finding = make.result("WP514", make.pair(video=make.video([speck] * 4))).finding
    assert (finding.status, finding.severity) == ("inconclusive", Severity.INFO)
    assert "at 0.0-8.0 s" in finding.message


def test_what_is_sure_is_told_before_what_is_not(make: Any) -> None:
    doubtful = make.subject(face=head_only(at=(0.4, -0.03)))
    video = make.video([doubtful, headless(make), "adult"], every=Fraction(1), duration=Fraction(3))
    finding = make.result("WP514", make.pair(video=video)).finding
    assert (finding.status, finding.measured, finding.span_s) == ("fail", 1, (1.0, 2.0))


def test_who_turns_the_back_is_not_out_of_the_frame(make: Any) -> None:
    assert make.result("WP514", make.pair(video=make.video([from_behind(make)] * 4))).score == 1.0
