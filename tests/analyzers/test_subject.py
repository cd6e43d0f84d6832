from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from wan_prep.analyzers.subject import absent_share, absent_spans
from wan_prep.findings import Applicability, NotApplicable, Severity
from wan_prep.geometry import Box
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import default_profile

SCORES = {name: t.score for name, t in default_profile().tolerances.items()}
OF_VIDEO = ["WP502", "WP503", "WP504", "WP506", "WP507", "WP512", "WP513"]
OF_IMAGE = ["WP501", "WP505"]
LEFT = {"person": PersonChoice("left")}


@pytest.mark.parametrize("code", [*OF_IMAGE, *OF_VIDEO])
def test_one_person_who_stays_and_faces_the_camera_passes(make: Any, code: str) -> None:
    result = make.result(code, make.pair())
    assert result.finding is None
    assert result.score is not None
    assert result.score >= 0.95


@pytest.mark.parametrize("code", OF_IMAGE)
def test_of_an_unreadable_image_nothing_is_asked(make: Any, code: str) -> None:
    result = make.result(code, make.pair(make.unreadable("image")))
    assert isinstance(result.answer, NotApplicable)


@pytest.mark.parametrize("code", OF_VIDEO)
def test_of_an_unreadable_video_nothing_is_asked(make: Any, code: str) -> None:
    result = make.result(code, make.pair(video=make.unreadable("video")))
    assert isinstance(result.answer, NotApplicable)


# ------------------------------------------------------------------ presence


def test_nobody_in_the_image_is_a_warning_and_no_failure(make: Any) -> None:
    finding = make.result("WP501", make.pair(make.image(None))).finding
    assert (finding.severity, finding.status) == (Severity.WARNING, "inconclusive")
    assert finding.message.startswith(
        "no human body is recognised in the image; stylised characters are often missed"
    )


def test_nobody_in_the_video_is_an_error(make: Any) -> None:
    nobody = make.pair(video=make.video([None] * 16))
    finding = make.result("WP502", nobody).finding
    assert (finding.severity, finding.status, finding.measured) == (Severity.ERROR, "fail", 0)
    for code in ("WP503", "WP504", "WP507", "WP512", "WP513"):
        assert isinstance(make.result(code, nobody).answer, NotApplicable)


def test_a_person_absent_in_part_is_a_warning_with_spans(make: Any) -> None:
    """Seconds 2 to 3 and 6 to 8 of 8."""
    samples = [None if k in (4, 5, 12, 13, 14, 15) else "adult" for k in range(16)]
    finding = make.result("WP503", make.pair(video=make.video(samples))).finding
    assert finding.severity is Severity.WARNING
    assert finding.measured == pytest.approx(3 / 8)
    assert "38% of the clip: 2.0-3.0 s, 6.0-8.0 s" in finding.message
    assert finding.span_s == (6.0, 8.0)  # the longest
    assert finding.fix.applicability is Applicability.SAFE


def test_a_short_absence_is_a_note(make: Any) -> None:
    samples = [None if k == 5 else "adult" for k in range(16)]
    finding = make.result("WP503", make.pair(video=make.video(samples))).finding
    assert finding.severity is Severity.INFO
    assert finding.measured == pytest.approx(1 / 16)


@pytest.mark.parametrize("present", [1, 4, 6, 7])
def test_neither_first_frame_nor_most_of_the_clip_is_an_error(make: Any, present: int) -> None:
    samples = [None] * (16 - present) + ["adult"] * present
    finding = make.result("WP503", make.pair(video=make.video(samples))).finding
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("absent", "severity"), [(50, Severity.WARNING), (51, Severity.ERROR), (54, Severity.ERROR)]
)
def test_more_than_half_is_most_of_the_clip(make: Any, absent: int, severity: Severity) -> None:
    adult = make.subject()
    video = make.video([None] * absent + [adult] * (100 - absent), every=Fraction(8, 100))
    assert make.result("WP503", make.pair(video=video)).finding.severity is severity


@pytest.mark.parametrize(
    "samples",
    [
        ["adult"] + [None] * 15,  # the first frame at least
        [None] * 8 + ["adult"] * 8,  # half of the clip
    ],
)
def test_the_first_frame_or_half_of_the_clip_saves_it_from_an_error(
    make: Any, samples: list
) -> None:
    finding = make.result("WP503", make.pair(video=make.video(samples))).finding
    assert finding.severity is Severity.WARNING


def test_a_longer_absence_scores_less(make: Any) -> None:
    scores = [
        make.result("WP503", make.pair(video=make.video([None] * n + ["adult"] * (16 - n)))).score
        for n in range(1, 16)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[7] > scores[8]


def test_a_late_entry(make: Any) -> None:
    late = make.pair(video=make.video([None, None, None, "adult", "adult"]))
    finding = make.result("WP504", late).finding
    assert (finding.severity, finding.measured) == (Severity.WARNING, 1.5)
    assert "the person appears at 1.50 s" in finding.message
    assert finding.span_s == (0.0, 1.5)
    started = late.starting_at(late.video.observations[3])
    assert make.result("WP504", started).finding is None


def test_absent_spans_run_to_the_next_sample_and_to_the_end(make: Any) -> None:
    video = make.video(["adult", None, None, "adult", None], duration=Fraction(3))
    assert absent_spans(video) == ((0.5, 1.5), (2.0, 3.0))
    assert absent_share(video) == pytest.approx(2 / 3)
    assert absent_spans(make.video()) == ()
    assert absent_share(make.video([None, None], duration=Fraction(1))) == 1.0


def test_only_the_part_that_counts_counts(make: Any) -> None:
    """From 2 s to 4 s of 8: the last of four samples shows nobody."""
    clip = make.video(["adult"] * 4)
    shifted = tuple(
        o.model_copy(update={"time": o.time + 2, **({"subject": None} if k == 3 else {})})
        for k, o in enumerate(clip.observations)
    )
    part = clip.model_copy(
        update={"start": Fraction(2), "end": Fraction(4), "observations": shifted}
    )
    assert absent_spans(part) == ((3.5, 4.0),)
    assert absent_share(part) == pytest.approx(0.25)


# ------------------------------------------------------------------ several people


def beside(share_of_subject: float, make: Any) -> Box:
    """Somebody else of so much of the adult's area, in the corner."""
    area = share_of_subject * make.subject().box.area
    return Box(0.0, 0.0, area**0.5, area**0.5)


@pytest.mark.parametrize("code", ["WP505", "WP506"])
@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.1, None), (0.4, Severity.INFO), (0.9, Severity.WARNING), (3.0, Severity.WARNING)],
)
def test_others_beside_the_subject(
    make: Any, code: str, share: float, severity: Severity | None
) -> None:
    other = beside(share, make)
    if code == "WP505":
        pair = make.pair(make.image(others=[other]))
    else:
        pair = make.pair(video=make.video(others={3: [other]}))
    result = make.result(code, pair)
    assert result.score == pytest.approx(SCORES["other_person"](share))
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert f"{share:.0%} as large as the main person" in result.finding.message
        assert f"{other.area:.0%} of the frame" in result.finding.message
        assert ("most at 1.50 s" in result.finding.message) == (code == "WP506")
        assert result.finding.measured == pytest.approx(share, abs=1e-3)


def test_beside_a_head_the_whole_person_counts(make: Any) -> None:
    """A box of 0.2 x 0.3 around the head: the person below it takes 0.6 x 0.7 of the picture."""
    head = make.head(box=Box(0.4, 0.3, 0.6, 0.6))
    assert head.person_area == pytest.approx(0.42)
    behind = Box(0.0, 0.3, 0.3, 0.8)
    result = make.result("WP505", make.pair(make.image(head, others=[behind])))
    assert result.finding is not None
    assert result.finding.measured == pytest.approx(0.15 / 0.42, abs=1e-3)


def test_the_most_people_at_once_are_counted(make: Any) -> None:
    several = {2: [beside(0.5, make)], 5: [beside(0.4, make)] * 3}
    finding = make.result("WP506", make.pair(video=make.video(others=several))).finding
    assert finding.message.startswith("3 other people are in the video, up to 50%")


def test_specks_in_the_crowd_are_not_counted(make: Any) -> None:
    speck = {2: [Box(0.0, 0.0, 0.09, 0.1)]}
    assert make.result("WP506", make.pair(video=make.video(others=speck))).finding is None


def test_the_models_own_rule_takes_the_largest(make: Any) -> None:
    larger = {k: [beside(1.2, make)] for k in (2, 3)}
    finding = make.result("WP507", make.pair(video=make.video(others=larger))).finding
    assert (finding.severity, finding.measured) == (Severity.WARNING, 2)
    assert "at 1.0, 1.5 s that is not the main one" in finding.message
    assert finding.span_s is None  # two moments are no span
    smaller = {k: [beside(0.95, make)] for k in (2, 3)}
    assert make.result("WP507", make.pair(video=make.video(others=smaller))).finding is None


# ------------------------------------------------------------------ the person one means


def test_where_nobody_was_asked_for_it_is_not_asked_whether_they_are_there(make: Any) -> None:
    larger = [beside(1.2, make)]
    pair = make.pair(make.image(others=larger), make.video(others={0: larger}))
    for code in ("WP515", "WP516", "WP517"):
        assert isinstance(make.result(code, pair).answer, NotApplicable)


def test_who_was_asked_for_and_is_there_passes(make: Any) -> None:
    smaller = [beside(0.8, make)]
    pair = make.pair(
        make.image(others=smaller, evidence=LEFT), make.video(others={0: smaller}, evidence=LEFT)
    )
    for code in ("WP515", "WP516", "WP517", "WP507"):
        result = make.result(code, pair)
        assert (result.score, result.finding) == (1.0, None)


@pytest.mark.parametrize(
    ("code", "instead_of", "kind"), [("WP515", "WP501", "image"), ("WP516", "WP502", "video")]
)
def test_who_was_asked_for_and_is_not_there_is_an_error(
    make: Any, code: str, instead_of: str, kind: str
) -> None:
    two = [beside(1.0, make), beside(0.5, make)]
    third = {"person": PersonChoice(number=3)}
    pair = make.pair(
        make.image(None, others=two, evidence=third),
        make.video([None] * 4, others={1: two[:1], 2: two}, evidence=third),
    )
    finding = make.result(code, pair).finding
    assert (finding.severity, finding.status) == (Severity.ERROR, "fail")
    said = f"there are only 2 people in the {kind}; person 3 was asked for"
    assert (finding.message, finding.measured) == (said, 2)
    assert finding.fix.applicability is Applicability.MANUAL
    assert isinstance(make.result(instead_of, pair).answer, NotApplicable)


def test_where_nobody_is_at_all_nobody_in_particular_is_missing(make: Any) -> None:
    pair = make.pair(make.image(None, evidence=LEFT), make.video([None] * 4, evidence=LEFT))
    for code in ("WP515", "WP516", "WP517"):
        assert isinstance(make.result(code, pair).answer, NotApplicable)
    assert make.result("WP502", pair).finding.message == "nobody is recognised in the video"


def test_part_of_the_clip_without_the_one_asked_for_is_said_so(make: Any) -> None:
    pair = make.pair(video=make.video([None, *["adult"] * 15], evidence=LEFT))
    for code in ("WP503", "WP504"):
        message = make.result(code, pair).finding.message
        assert "the person asked for (left) is not seen in" in message
    message = make.result("WP301", pair).finding.message
    assert message == "not measured: the person asked for (left) is not seen in the first frame"


def test_the_model_takes_the_largest_whoever_was_asked_for(make: Any) -> None:
    """Seconds 1 to 2 and from 4 on of 8; the corner can be cut off."""
    larger = [Box(0.7, 0.0, 1.0, 1.0)]
    video = make.video(others=dict.fromkeys((2, 3, *range(8, 16)), larger), evidence=LEFT)
    pair = make.pair(make.image(others=larger, evidence=LEFT), video)
    assert make.subject().box.area < larger[0].area
    finding = make.result("WP507", pair).finding
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        "the model takes the largest person of each picture, and not the one asked for (left): in "
        "the video somebody else is larger at 1.0-2.0 s, 4.0-8.0 s"
    )
    assert (finding.measured, finding.fix.applicability) == (10, Applicability.SAFE)
    finding = make.result("WP517", pair).finding
    assert finding.severity is Severity.WARNING
    assert finding.message.endswith("in the image somebody else is larger")
    assert finding.fix.applicability is Applicability.SAFE


def test_who_cannot_be_cut_off_is_left_to_a_person(make: Any) -> None:
    around = [Box(0.1, 0.0, 0.9, 1.0)]
    pair = make.pair(
        make.image(others=around, evidence=LEFT), make.video(others={3: around}, evidence=LEFT)
    )
    for code in ("WP507", "WP517"):
        fix = make.result(code, pair).finding.fix
        assert fix.applicability is Applicability.MANUAL
        assert fix.title == "use material in which the person asked for is the largest"


# ------------------------------------------------------------------ the template


def hidden_joints(make: Any, *joints: Joint) -> Any:
    visibility = np.ones(33)
    visibility[list(joints)] = 0.2
    return make.subject(visibility=visibility)


@pytest.mark.parametrize(
    ("joints", "share", "severity"),
    [
        ((Joint.LEFT_WRIST,), 1 / 8, None),
        ((Joint.LEFT_ELBOW,), 2 / 8, Severity.INFO),
        ((Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW), 4 / 8, Severity.WARNING),
    ],
)
def test_hidden_limbs_of_the_template(
    make: Any, joints: tuple, share: float, severity: Severity | None
) -> None:
    video = make.video([hidden_joints(make, *joints), "adult", "adult"])
    result = make.result("WP512", make.pair(video=video))
    assert result.score == pytest.approx(SCORES["template_hidden"](share))
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert result.finding.measured == pytest.approx(share)
        assert "left upper arm" in result.finding.message
        assert "left forearm" in result.finding.message


def test_a_limb_that_points_at_the_camera_is_foreshortened(make: Any) -> None:
    world = make.adult()
    for elbow, wrist in (
        (Joint.LEFT_ELBOW, Joint.LEFT_WRIST),
        (Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST),
    ):
        world[wrist] = world[elbow] + (0.0, 0.05, -0.25)
    finding = make.result("WP512", make.pair(video=make.video([make.body(world)]))).finding
    assert finding.measured == pytest.approx(0.25)
    assert "left forearm and right forearm" in finding.message


def test_limbs_outside_the_frame_are_not_hidden(make: Any) -> None:
    """A half shot shows no legs; that is for the shot's check."""
    half = make.body(hips=(360.0, 850.0), px_per_m=1000.0)
    assert make.result("WP512", make.pair(video=make.video([half]))).finding is None
    face = make.body(hips=(360.0, 2050.0), px_per_m=1500.0)
    result = make.result("WP512", make.pair(video=make.video([face])))
    assert isinstance(result.answer, NotApplicable)


def test_the_template_is_the_start_that_is_asked_for(make: Any) -> None:
    elbows = hidden_joints(make, Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW)
    pair = make.pair(video=make.video([elbows, "adult"]))
    later = pair.starting_at(pair.video.observations[1])
    assert make.result("WP512", pair).finding is not None
    assert make.result("WP512", later).finding is None


@pytest.mark.parametrize(
    ("yaw", "severity"),
    [(12.0, None), (-24.0, Severity.INFO), (90.0, Severity.WARNING), (180.0, Severity.WARNING)],
)
def test_a_turned_template(make: Any, yaw: float, severity: Severity | None) -> None:
    video = make.video([make.body(make.turned("y", -yaw)), "adult"])
    result = make.result("WP513", make.pair(video=video))
    assert result.score == pytest.approx(SCORES["template_turn"](abs(yaw)), abs=1e-3)
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert f"turned {abs(yaw):.0f} deg away" in result.finding.message


def test_a_template_without_a_torso_or_without_anybody(make: Any) -> None:
    unknown = make.pair(video=make.video([make.subject(view_matrix=None)]))
    finding = make.result("WP513", unknown).finding
    assert (finding.status, finding.severity) == ("inconclusive", Severity.INFO)
    empty = make.pair(video=make.video([None, "adult"]))
    for code in ("WP512", "WP513"):
        assert isinstance(make.result(code, empty).answer, NotApplicable)


def test_a_limb_at_the_edge_of_being_seen_counts_by_degrees(make: Any) -> None:
    def measured(sight: float) -> float:
        visibility = np.ones(33)
        visibility[Joint.LEFT_WRIST] = 0.1
        visibility[Joint.RIGHT_WRIST] = sight
        video = make.video([make.subject(visibility=visibility), "adult", "adult"])
        return make.result("WP512", make.pair(video=video)).answer.measured

    # One of eight limbs is hidden; another one from 0.8 (seen) to 0.2 (hidden).
    assert [measured(s) for s in (0.8, 0.65, 0.5, 0.35, 0.2)] == pytest.approx(
        [n / 8 for n in (1.0, 1.25, 1.5, 1.75, 2.0)], abs=1e-4
    )
