from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from wan_prep.errors import EvidenceMissing, MediaUnreadable, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import Applicability
from wan_prep.geometry import Box
from wan_prep.planning.assemble import make_plan
from wan_prep.planning.foresee import foresee_image, foresee_video
from wan_prep.planning.model import Plan
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.search import rotation_only
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.profile import default_profile
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import Report, Tool
from wan_prep.sizing import output_size

PROFILE = default_profile()


@pytest.fixture
def check(make: Any) -> Any:
    def build(
        image: Evidence | None = None, video: Evidence | None = None, **settings: Any
    ) -> Report:
        defaults = {
            "mode": "animate",
            "resolution": "720p",
            "profile": PROFILE,
            "tool": Tool(name="wan-prep", version="0.0"),
        }
        return build_report(image or make.image(), video or make.video(), **defaults | settings)

    return build


def planned(report: Report, **options: Any) -> Plan:
    return make_plan(report, PlanOptions(**options), profile=PROFILE)


def written(plan: Plan, image: Evidence, video: Evidence) -> tuple[Evidence, Evidence]:
    """What both files would be seen as once the plan is carried out."""
    (span,) = plan.video.spans
    assert plan.image.geometry is not None
    assert plan.video.geometry is not None
    assert plan.video.fps is not None
    return foresee_image(image, plan.image.geometry, "png"), foresee_video(
        video, plan.video.geometry, span.start, span.end, plan.video.fps, PROFILE
    )


def by_title(plan: Plan, words: str) -> Any:
    return next(step for step in plan.steps if words in step.title)


def person(
    make: Any,
    px_per_m: float,
    hips: tuple[float, float],
    size: tuple[int, int] = (720, 1280),
) -> Any:
    """The adult elsewhere, the face with it."""
    (x, y), half = (hips[0], hips[1] - 0.68 * px_per_m), 0.1 * px_per_m
    box = Box(x - half, y - half, x + half, y + half).scaled(1 / size[0], 1 / size[1])
    body = make.body(hips=hips, px_per_m=px_per_m, size=size)
    return make.subject(body, face=make.face.model_copy(update={"box": box}))


# ---- nothing to do, and nothing that can be done


def test_a_pair_that_needs_nothing_is_copied(check: Any) -> None:
    plan = planned(check())
    assert not plan.changes_anything
    assert (plan.image.name, plan.video.spans[0].name) == ("reference.png", "driving.mp4")
    assert not [step for step in plan.steps if step.applied]
    assert plan.foreseen.score == plan.score


def test_a_report_without_evidence_cannot_be_planned(check: Any) -> None:
    bare = Report.model_validate(check().public_dict())
    with pytest.raises(EvidenceMissing, match="observe"):
        planned(bare)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_an_unreadable_file_cannot_be_planned(make: Any, check: Any, kind: str) -> None:
    report = check(**{kind: make.unreadable(kind)})
    with pytest.raises(MediaUnreadable, match=r"no plan can be made .* the file has 0 bytes") as e:
        planned(report)
    assert e.value.kind == "empty"


def test_another_profile_is_refused(check: Any) -> None:
    other = PROFILE.model_copy(update={"name": "mine", "version": "2"})
    with pytest.raises(WanPrepError, match="check again with this one"):
        make_plan(check(), profile=other)


# ---- one shape, one size


@pytest.mark.parametrize("mode", ["animate", "replace"])
@pytest.mark.parametrize("resolution", ["480p", "720p"])
def test_shapes_become_one_without_bars(make: Any, check: Any, mode: Any, resolution: Any) -> None:
    wide = make.image(person(make, 300.0, (640.0, 400.0), (1280, 720)), width=1280, height=720)
    report = check(wide, mode=mode, resolution=resolution)
    plan = planned(report)
    image, video = plan.image.geometry, plan.video.geometry
    assert image is not None
    assert video is not None
    assert image.width * video.height == image.height * video.width
    assert plan.output.bars_px == 0
    assert output_size(image.width, image.height, resolution, PROFILE).bars_px == 0
    assert (plan.output.width, plan.output.height) == (image.width, image.height)
    assert plan.foreseen.score > plan.score
    if mode == "replace":
        assert (video.width, video.height) == (image.width, image.height)
    assert {"WP201"} <= {code for step in plan.steps if step.applied for code in step.codes}


def test_what_is_foreseen_is_what_the_check_of_such_files_says(make: Any, check: Any) -> None:
    small = make.image(person(make, 500.0, (540.0, 900.0), (1080, 1920)), width=1080, height=1920)
    plan = planned(check(small, resolution="480p"))
    again = check(*written(plan, small, make.video()), resolution="480p")
    assert (again.score, again.verdict) == (plan.foreseen.score, plan.foreseen.verdict)


def test_the_person_becomes_as_large_in_both(make: Any, check: Any) -> None:
    # 1.6 times as many px a metre in the image.
    far = make.video([person(make, 312.5, (360.0, 700.0))] * 16)
    report = check(video=far)
    plan = planned(report)
    assert report.measures.first.zoom_ratio == pytest.approx(1.6, abs=0.01)
    assert plan.video.geometry is not None
    zoom = 1.6 * plan.video.geometry.window.height / 1280
    assert zoom == pytest.approx(1.0, abs=0.06)
    step = by_title(plan, "crop the video")
    assert {"WP301"} <= set(step.codes)
    assert "from 1.60 to" in step.reason
    assert step.applicability is Applicability.SAFE


def test_what_cuts_joints_is_offered_and_done_when_asked(make: Any, check: Any) -> None:
    # The image shows head and shoulders: its frame ends 0.4 m under the neck.
    bust = make.image(person(make, 1500.0, (360.0, 1430.0)))
    report = check(bust)
    plan = planned(report)
    offered = by_title(plan, "crop closer")
    assert (offered.applied, offered.applicability) == (False, Applicability.UNSAFE)
    asked = planned(report, unsafe_fixes=True)
    assert asked.foreseen.score > plan.foreseen.score + 1
    done = by_title(asked, "crop the video")
    assert (done.applied, done.applicability) == (True, Applicability.UNSAFE)
    assert not [step for step in asked.steps if step.title.startswith("crop closer")]


def test_a_tilted_image_is_turned_upright(make: Any, check: Any) -> None:
    # Small in the picture, so that no corner is needed.
    body = person(make, 300.0, (360.0, 640.0))
    image = make.image(body)
    tilted = foresee_image(image, rotation_only(image, 12.0), "png")
    plan = planned(check(tilted, make.video([body] * 16)))
    assert plan.image.geometry is not None
    assert plan.image.geometry.rotate_deg == pytest.approx(-12.0, abs=0.1)
    step = by_title(plan, "turn the image")
    assert "counter-clockwise" in step.title
    assert step.codes == ("WP305",)


def test_black_bars_are_cut_off(make: Any, check: Any) -> None:
    barred = make.video(evidence={"content": Box(0.0, 0.1, 1.0, 0.9)})
    plan = planned(check(video=barred))
    window = plan.video.geometry.window if plan.video.geometry else None
    assert window is not None
    assert (window.top >= 128, window.bottom <= 1152) == (True, True)
    step = by_title(plan, "crop the video")
    assert {"WP204"} <= set(step.codes)
    assert "black bars" in step.reason


def test_the_pad_that_was_asked_for_is_planned(make: Any, check: Any) -> None:
    wide = make.video(
        [person(make, 350.0, (x, 400.0), (1280, 720)) for x in (150, 1130)] * 8,
        width=1280,
        height=720,
    )
    plan = planned(check(video=wide), pad="color", pad_color="#808080")
    assert plan.video.geometry is not None
    assert (plan.video.geometry.pad, plan.video.geometry.pad_color) == ("color", "#808080")
    assert "one colour" in by_title(plan, "add ").title


# ---- time


def test_the_plan_trims_and_says_what_it_costs(make: Any, check: Any) -> None:
    video = make.video([None] * 4 + ["adult"] * 12)
    plan = planned(check(video=video, resolution="480p"))
    (part,) = plan.video.spans
    assert (part.start, part.end) == (2, 8)
    assert (plan.cost_before.seconds, plan.cost.seconds) == (8.0, 6.0)
    step = plan.steps[0]
    assert step.title == "cut the clip to 2.00-8.00 s"
    assert {"WP503", "WP504"} <= set(step.codes)


def test_parts_cost_what_each_is_billed(make: Any, check: Any) -> None:
    video = make.video(
        ["adult"] * 24, duration=Fraction(12), evidence={"cuts": (Fraction(4), Fraction(8))}
    )
    plan = planned(check(video=video, resolution="480p"), split=True)
    # Three parts of 4 s, each billed as 5 s.
    assert (plan.cost.seconds, plan.cost.usd_low, plan.cost.usd_high) == (15.0, 0.6, 0.6)
    assert len(plan.video.spans) == 3


def test_money_and_seconds_reach_the_spans(make: Any, check: Any) -> None:
    plan = planned(check(resolution="480p"), max_cost=Decimal("0.20"))
    assert plan.video.spans[0].end == 5
    assert plan.cost.usd_high <= 0.2


def test_a_better_start_is_looked_for_between_samples(make: Any, check: Any) -> None:
    best = Fraction(37, 30)

    def subject(time: Fraction) -> Any:
        return make.subject(make.body(make.turned("y", min(80.0, 200.0 * abs(float(time - best))))))

    video = make.video([subject(Fraction(k, 2)) for k in range(6)], duration=Fraction(3))
    looked: list[Fraction] = []

    def look(times: Any) -> list[Any]:
        looked.extend(Fraction(int(t * 30), 30) for t in times)
        first = video.observations[0]
        return [
            first.model_copy(update={"time": t, "subject": subject(t)})
            for t in looked[-len(times) :]
        ]

    report = check(video=video)
    assert planned(report).video.spans[0].start == 1
    found = make_plan(report, profile=PROFILE, observe_at=look).video.spans[0].start
    # Within two frames; of equal ones the earlier is taken.
    assert abs(found - best) <= Fraction(2, 30)
    assert len(looked) <= 24


def test_the_frame_displayed_at_a_start_that_was_asked_for_is_the_template(
    make: Any, check: Any
) -> None:
    """Nothing moves for most of a second: the frame displayed at 1.9 s came at 1.2 s."""
    looked: list[Fraction] = []

    def look(times: Any) -> list[Any]:
        looked.extend(times)
        turned = make.subject(make.body(make.turned("y", 60.0)))
        shown = video.observations[0].model_copy(
            update={"time": Fraction("1.2"), "subject": turned}
        )
        return [shown for _ in times]

    video = make.video()
    options = PlanOptions(start=Fraction("1.9"))
    plan = make_plan(check(video=video), options, profile=PROFILE, observe_at=look)
    assert looked == [Fraction("1.9")]
    assert plan.video.spans[0].start == Fraction("1.9")
    unseen = make_plan(check(video=video), options, profile=PROFILE)
    assert plan.foreseen.score < unseen.foreseen.score - 5
    sampled = PlanOptions(start=Fraction(2))
    make_plan(check(video=video), sampled, profile=PROFILE, observe_at=look)
    assert looked == [Fraction("1.9")], "a sample is there already"


# ---- steps


def test_every_finding_with_a_fix_is_answered(make: Any, check: Any) -> None:
    turned = make.body(make.turned("y", 100.0))
    video = make.video(
        [None, turned, turned] + ["adult"] * 6,
        others={4: [Box(0.0, 0.0, 0.4, 0.9)]},
        is_vfr=True,
        is_hdr=True,
        rotation_deg=90,
        is_mirrored=True,
        matrix_left_undone="a scaled, sheared or tilted picture",
        hidden_ltrb=(2, 0, 2, 0),
        has_alpha=True,
        audio_start=Fraction(1, 2),
        evidence={"cuts": (Fraction(3),), "content": Box(0.05, 0.0, 0.95, 1.0)},
    )
    image = make.image(format="TIFF", has_alpha=True, exif_orientation=3, width=1280, height=1280)
    report = check(image, video, resolution="480p")
    plan = planned(report)
    answered = {code for step in plan.steps for code in step.codes}
    assert {f.code for f in report.findings if f.fix is not None} <= answered
    order = [(not s.applied, s.applicability is Applicability.MANUAL) for s in plan.steps]
    assert order == sorted(order)
    assert all(step.title and step.reason for step in plan.steps)
    assert (plan.video.tone_map, plan.video.fps, plan.image.format) == (True, 30, "png")


def test_what_only_a_person_can_do_is_said(make: Any, check: Any) -> None:
    behind = make.image(make.body(make.turned("y", 180.0)))
    plan = planned(check(behind))
    step = next(step for step in plan.steps if "WP304" in step.codes)
    assert (step.applied, step.applicability) == (False, Applicability.MANUAL)
    assert "taken from the same side" in step.title


@pytest.mark.parametrize("mode", ["animate", "replace"])
@pytest.mark.parametrize("missing", ["image", "video", "both"])
def test_without_a_person_the_files_are_still_mended(
    make: Any, check: Any, missing: str, mode: Any
) -> None:
    image = make.image(None if missing != "video" else "adult", width=900, height=900)
    video = make.video(
        [None if missing != "image" else "adult"] * 4, duration=Fraction(2), is_vfr=True
    )
    plan = planned(check(image, video, mode=mode, resolution="480p"))
    assert plan.output.bars_px == 0
    assert plan.video.fps == 30
    assert plan.foreseen.score >= plan.score


def test_deselected_checks_stay_deselected(make: Any, check: Any) -> None:
    report = check(make.image(width=1280), selection=Selection(ignore=("WP3", "WP4")))
    plan = planned(report)
    assert not [c for step in plan.steps for c in step.codes if c.startswith(("WP3", "WP4"))]


# ---- the value


def test_a_plan_round_trips_and_the_same_report_gives_the_same(
    make: Any, check: Any, tmp_path: Any
) -> None:
    report = check(make.image(width=1280), resolution="480p")
    plan = planned(report)
    assert planned(report).public_json() == plan.public_json()
    path = tmp_path / "plan.json"
    path.write_text(plan.public_json(), encoding="utf-8")
    again = Plan.load(path)
    assert again.public_dict() == plan.public_dict()
    assert (again.image, again.video, again.before) == (plan.image, plan.video, None)
    assert plan.before is report


@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_the_written_pair_needs_nothing_more(make: Any, check: Any, mode: Any) -> None:
    image = make.image(person(make, 300.0, (640.0, 400.0), (1280, 720)), width=1280, height=720)
    video = make.video(is_vfr=True)
    plan = planned(check(image, video, mode=mode, resolution="480p"))
    again = planned(check(*written(plan, image, video), mode=mode, resolution="480p"))
    assert not again.changes_anything


# ---- the person one means

LEFT, WIDE = {"person": PersonChoice("left")}, (1280, 720)


def duet(make: Any) -> tuple[Evidence, Evidence]:
    """A man at the left, and a larger one at the right who sways, in image and clip."""
    hero = person(make, 250.0, (340.0, 380.0), WIDE)
    sways = [Box(left, 0.05, left + 0.35, 1.0) for left in (0.55, 0.6, 0.5, 0.58)]
    assert sways[0].area > hero.box.area
    size = {"width": 1280, "height": 720}
    coded = {"coded_width": 1280, "coded_height": 720}
    image = make.image(hero, others=sways[:1], evidence=LEFT, **size)
    others = {k: [sways[k % 4]] for k in range(16)}
    return image, make.video([hero] * 16, others=others, evidence=LEFT, **size, **coded)


def larger_ones(seen: Evidence) -> list[Box]:
    return [
        box
        for o in seen.observations
        if o.subject is not None
        for box in o.others
        if box.area > o.subject.box.area
    ]


@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_whoever_is_larger_is_left_out_of_both_windows(check: Any, make: Any, mode: Any) -> None:
    pair = duet(make)
    assert all(larger_ones(one) for one in pair)
    report = check(*pair, mode=mode)
    assert {"WP507", "WP517"} <= {f.code for f in report.findings}
    plan = planned(report)
    image, video = written(plan, *pair)
    assert (larger_ones(image), larger_ones(video)) == ([], [])
    assert max(len(o.others) for o in (*image.observations, *video.observations)) == 0
    for about, code in (("image", "WP517"), ("video", "WP507")):
        step = by_title(plan, f"crop the {about} by")
        assert (step.applied, step.applicability) == (True, Applicability.SAFE)
        assert code in step.codes
        assert "whoever is larger than the person asked for is left out" in step.reason
    assert plan.foreseen.score > report.score
    # In the written files the person is asked for by place, since left means nothing there.
    for one in (image, video):
        assert one.person.point_xy is not None
        first = one.observations[0]
        assert one.person.index_among([first.subject.box, *first.others]) == 0


def test_nobody_is_left_out_where_nobody_was_asked_for(check: Any, make: Any) -> None:
    pair = [one.changed(person=LARGEST) for one in duet(make)]
    plan = planned(check(*pair))
    assert not plan.changes_anything
    assert (plan.image_person, plan.video_person) == (LARGEST, LARGEST)


def test_whoever_cannot_be_left_out_is_left_to_a_person(check: Any, make: Any) -> None:
    image, video = duet(make)
    around = [Box(0.05, 0.0, 0.6, 1.0)]
    seen = tuple(o.changed(others=around) for o in video.observations)
    video = video.changed(observations=seen)
    plan = planned(check(image, video))
    step = next(s for s in plan.steps if "WP507" in s.codes)
    assert (step.applicability, step.applied) == (Applicability.MANUAL, False)
    assert "somebody else is larger at 0.0-8.0 s" in step.reason
    # The image's can, all the same.
    assert larger_ones(written(plan, image, video)[0]) == []


def test_a_plan_says_whom_it_was_made_for(check: Any, make: Any, tmp_path: Any) -> None:
    image, video = duet(make)
    report = check(image, video.changed(person=PersonChoice.at(0.25, 0.5)))
    report.save(tmp_path / "report.json")
    loaded = Report.load(tmp_path / "report.json")
    assert loaded == report
    assert str(loaded.evidence()[0].person) == loaded.public_dict()["subject"]["image"]["person"]
    plan = planned(loaded)
    assert (str(plan.image_person), str(plan.video_person)) == ("left", "0.25,0.5")
    (tmp_path / "plan.json").write_text(plan.public_json(), "utf-8")
    again = Plan.load(tmp_path / "plan.json")
    assert (again.image_person, again.video_person) == (plan.image_person, plan.video_person)
    assert again.public_json() == plan.public_json()


def test_a_plan_of_before_was_made_for_nobody_in_particular(check: Any, tmp_path: Any) -> None:
    document = planned(check()).public_dict()
    del document["image_person"], document["video_person"]
    assert Plan.model_validate(document).image_person == LARGEST
