from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wan_prep
from wan_prep.analyzers import RULES
from wan_prep.errors import EvidenceMissing, InputPathError, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.geometry import Box
from wan_prep.profile import default_profile
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import Report, Tool

CODES = [rule.code for rule in RULES]
RANK = {"error": 0, "warning": 1, "info": 2}


@pytest.fixture(scope="session")
def check(make: Any) -> Any:
    """`build_report` with a pair that matches, 720p and animate, where nothing else is said."""

    def build(
        image: Evidence | None = None, video: Evidence | None = None, **settings: Any
    ) -> Report:
        defaults = {
            "mode": "animate",
            "resolution": "720p",
            "profile": default_profile(),
            "tool": Tool(name="wan-prep", version="0.0"),
        }
        if "select" in settings or "ignore" in settings:
            settings["selection"] = Selection(
                tuple(settings.pop("select", ())), tuple(settings.pop("ignore", ()))
            )
        return build_report(image or make.image(), video or make.video(), **defaults | settings)

    return build


@pytest.fixture(scope="session")
def pairs(make: Any) -> dict[str, tuple[Evidence, Evidence]]:
    """Evidence of many kinds, by what is wrong with it."""
    turned = make.body(make.turned("y", 70.0))
    bare = make.subject(view_matrix=None, px_per_m=None, face=None)
    return {
        "good": (make.image(), make.video()),
        "another view at first": (make.image(), make.video([turned, "adult", "adult"])),
        "nobody in the image": (make.image(None), make.video()),
        "nobody in the video": (make.image(), make.video([None] * 4)),
        "late": (make.image(), make.video([None, None, "adult", "adult"])),
        "unmeasurable": (make.image(bare), make.video([bare, bare])),
        "too long": (make.image(), make.video(duration=Fraction(130), is_vfr=True)),
        "bars and others": (
            make.image(others=[Box(0.0, 0.0, 0.3, 0.5)], format="GIF", frame_count=4),
            make.video(
                others={1: [Box(0.0, 0.0, 0.5, 0.9)]},
                evidence={"content": Box(0.0, 0.1, 1.0, 0.9), "cuts": (Fraction(1, 3),)},
            ),
        ),
        "no image": (make.unreadable("image"), make.video()),
        "no video": (make.image(), make.unreadable("video")),
        "neither": (make.unreadable("image"), make.unreadable("video")),
    }


KINDS = [
    "good",
    "another view at first",
    "nobody in the image",
    "nobody in the video",
    "late",
    "unmeasurable",
    "too long",
    "bars and others",
    "no image",
    "no video",
    "neither",
]


def places(report: Report) -> list[str]:
    return [
        *(f.code for f in report.findings),
        *report.passed,
        *report.not_applicable,
        *report.deselected,
    ]


# ------------------------------------------------------------------ the document


NUMBER = {"type": "number"}
MAYBE_NUMBER = {"type": ["number", "null"]}
TEXT = {"type": "string"}
MAYBE_TEXT = {"type": ["string", "null"]}
TEXTS = {"type": "array", "items": TEXT}
UNIT = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
SHOT = {"enum": ["full", "three_quarter", "half", "bust", "face", None]}
PLACE = {"type": ["array", "null"], "items": NUMBER, "minItems": 2, "maxItems": 2}
SPAN = PLACE


def closed(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
        **more,
    }


def maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


RATIOS = {"type": "object", "additionalProperties": NUMBER}
MEASURES = closed(
    {
        "zoom_ratio": MAYBE_NUMBER,
        "offset_x": MAYBE_NUMBER,
        "offset_y": MAYBE_NUMBER,
        "yaw": MAYBE_NUMBER,
        "pitch": MAYBE_NUMBER,
        "roll": MAYBE_NUMBER,
        "camera_roll": MAYBE_NUMBER,
        "view_angle": MAYBE_NUMBER,
        "pose_angle": MAYBE_NUMBER,
        "aspect_gap": MAYBE_NUMBER,
        "shot": maybe(
            closed({"image": SHOT, "video": SHOT, "only_image": TEXTS, "only_video": TEXTS})
        ),
        "limbs": RATIOS,
        "limbs_in_plane": RATIOS,
        "proportions": RATIOS,
        "confidence": RATIOS,
    }
)
SEEN = {
    "found": {"type": "boolean"},
    "person": {"type": "string"},
    "shot": SHOT,
    "frame_height_m": MAYBE_NUMBER,
    "neck_xy": PLACE,
    "head_xy": PLACE,
    "headroom": MAYBE_NUMBER,
    "cut_edges": TEXTS,
    "yaw_deg": MAYBE_NUMBER,
    "face_px": MAYBE_NUMBER,
    "face_yaw_deg": MAYBE_NUMBER,
    "face_confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
}
MAYBE_WHOLE = {"type": ["integer", "null"]}
MAYBE_TRUTH = {"type": ["boolean", "null"]}
MONEY = {"type": "number", "multipleOf": 0.01}
FINDING = closed(
    {
        "code": {"enum": CODES},
        "name": {"enum": [rule.name for rule in RULES]},
        "severity": {"enum": ["error", "warning", "info"]},
        "status": {"enum": ["fail", "inconclusive"]},
        "subject": {"enum": ["image", "video", "pair"]},
        "message": {"type": "string", "minLength": 10},
        "measured": {"type": ["number", "string", "null"]},
        "limit": {"type": ["number", "string", "null"]},
        "unit": MAYBE_TEXT,
        "source": TEXT,
        "span_s": SPAN,
        "fix": maybe(
            closed(
                {
                    "applicability": {"enum": ["safe", "unsafe", "manual"]},
                    "title": TEXT,
                    "prompt": MAYBE_TEXT,
                }
            )
        ),
    }
)
# The contract's block of `check --format json`, in its order.
DOCUMENT = closed(
    {
        "schema_version": {"const": 1},
        "tool": closed({"name": TEXT, "version": TEXT}),
        "profile": closed({"name": TEXT, "version": TEXT, "sha256": TEXT}),
        "pose_model": closed({"name": TEXT, "sha256": TEXT}),
        "mode": {"enum": ["animate", "replace"]},
        "resolution": {"enum": ["480p", "720p"]},
        "verdict": {"enum": ["ready", "risky", "not_ready"]},
        "score": {"type": "number", "minimum": 0, "maximum": 100},
        "score_at_best_start": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
        "scores": closed(
            {
                "media": UNIT,
                "aspect": UNIT,
                "framing": UNIT,
                "pose": UNIT,
                "subject": UNIT,
                "clip": UNIT,
            }
        ),
        "image": closed(
            {
                "path": TEXT,
                "sha256": MAYBE_TEXT,
                "size_bytes": MAYBE_WHOLE,
                "width": MAYBE_WHOLE,
                "height": MAYBE_WHOLE,
                "format": MAYBE_TEXT,
                "color_mode": MAYBE_TEXT,
                "exif_orientation": MAYBE_WHOLE,
                "frame_count": MAYBE_WHOLE,
            }
        ),
        "video": closed(
            {
                "path": TEXT,
                "sha256": MAYBE_TEXT,
                "size_bytes": MAYBE_WHOLE,
                "width": MAYBE_WHOLE,
                "height": MAYBE_WHOLE,
                "duration_s": MAYBE_NUMBER,
                "fps": MAYBE_NUMBER,
                "frame_count": MAYBE_WHOLE,
                "is_vfr": MAYBE_TRUTH,
                "rotation_deg": MAYBE_WHOLE,
                "is_mirrored": MAYBE_TRUTH,
                "sample_aspect_ratio": MAYBE_NUMBER,
                "is_interlaced": MAYBE_TRUTH,
                "is_hdr": MAYBE_TRUTH,
                "is_truncated": MAYBE_TRUTH,
                "container": MAYBE_TEXT,
                "codec": MAYBE_TEXT,
                "has_audio": MAYBE_TRUTH,
            }
        ),
        "subject": closed(
            {
                "image": closed({**SEEN, "others": {"type": "integer"}}),
                "video": closed(
                    {
                        **SEEN,
                        "presence": UNIT,
                        "people_max": {"type": "integer"},
                        "absent_s": {"type": "array", "items": SPAN},
                        "face_seen": UNIT,
                    }
                ),
            }
        ),
        "measures": closed({"first": MEASURES, "typical": MEASURES, "best": MEASURES}),
        "best_start_s": MAYBE_NUMBER,
        "cuts_s": {"type": "array", "items": NUMBER},
        "output": maybe(
            closed(
                {
                    "width": {"type": "integer"},
                    "height": {"type": "integer"},
                    "bars_px": {"type": "integer"},
                    "segments": {"type": "integer"},
                    "frames": MAYBE_WHOLE,
                    "fps": MAYBE_NUMBER,
                    "duration_s": MAYBE_NUMBER,
                    "segments_most": MAYBE_WHOLE,
                    "segment_frames": MAYBE_WHOLE,
                    "segment_overlap": MAYBE_WHOLE,
                    "segment_overlap_most": MAYBE_WHOLE,
                    "filler_frames": MAYBE_WHOLE,
                    "person_ratio": MAYBE_NUMBER,
                    "person_from": {"enum": ["image", "video"]},
                    "basis": {"const": "wan source"},
                }
            )
        ),
        "findings": {"type": "array", "items": FINDING},
        "passed": TEXTS,
        "not_applicable": TEXTS,
        "deselected": TEXTS,
        "cost": maybe(closed({"seconds": NUMBER, "usd_low": NUMBER, "usd_high": NUMBER})),
    }
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_the_document_is_that_of_the_contract(
    check: Any, pairs: dict, kind: str, mode: str
) -> None:
    report = check(*pairs[kind], mode=mode)
    document = json.loads(report.public_json(), parse_constant=lambda name: pytest.fail(name))
    jsonschema.validate(document, DOCUMENT)
    assert document == report.public_dict()
    assert list(document) == list(DOCUMENT["properties"])


def test_every_pair_is_in_the_list(pairs: dict) -> None:
    assert list(pairs) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_code_stands_in_exactly_one_place(check: Any, pairs: dict, kind: str) -> None:
    report = check(*pairs[kind])
    assert sorted(places(report)) == CODES
    assert report.deselected == ()


@given(
    select=st.lists(st.sampled_from([*CODES, "WP1", "wp3", "WP40", "zoom-mismatch"]), max_size=4),
    ignore=st.lists(st.sampled_from([*CODES, "WP2", "wp5", "clip-has-cuts"]), max_size=4),
    kind=st.sampled_from(KINDS),
)
def test_every_code_stands_in_exactly_one_place_whatever_is_selected(
    check: Any, pairs: dict, select: list[str], ignore: list[str], kind: str
) -> None:
    def named(entries: list[str]) -> set[str]:
        return {
            r.code for r in RULES for e in entries if r.code.startswith(e.upper()) or r.name == e
        }

    wanted = (named(select) if select else set(CODES)) - named(ignore)
    if not wanted:
        with pytest.raises(WanPrepError, match="no check is left"):
            check(*pairs[kind], select=select, ignore=ignore)
        return
    report = check(*pairs[kind], select=select, ignore=ignore)
    assert sorted(places(report)) == CODES
    assert set(report.deselected) == set(CODES) - wanted


# ------------------------------------------------------------------ selecting


@pytest.mark.parametrize(
    ("select", "ignore", "judged"),
    [
        (("WP301",), (), {"WP301"}),
        (("wp301", "WP6"), ("WP603",), {"WP301", *(c for c in CODES if c[2] == "6")} - {"WP603"}),
        (("zoom-mismatch",), (), {"WP301"}),
        (("Zoom-Mismatch",), (), {"WP301"}),
        (("WP30",), ("WP301",), {c for c in CODES if c[2] == "3"} - {"WP301"}),
    ],
)
def test_selecting_by_code_beginning_and_name(
    check: Any, select: tuple, ignore: tuple, judged: set[str]
) -> None:
    report = check(select=select, ignore=ignore)
    assert set(places(report)) - set(report.deselected) == judged


@pytest.mark.parametrize("entry", ["WP9", "WP3011", "zoom", "", "zoom mismatch", "301"])
def test_an_entry_no_check_answers_to_is_an_error(check: Any, entry: str) -> None:
    for choice in ({"select": (entry,)}, {"ignore": ("WP301", entry)}):
        with pytest.raises(WanPrepError) as caught:
            check(**choice)
        assert repr(entry) in str(caught.value)
        assert "wan-prep rules" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_ignored_error_does_not_decide(check: Any, pairs: dict) -> None:
    assert check(*pairs["too long"]).verdict == "not_ready"
    assert check(*pairs["too long"], ignore=("WP601",)).verdict == "risky"


# ------------------------------------------------------------------ verdict, order, facts


@pytest.mark.parametrize(
    ("kind", "verdict", "code"),
    [
        ("good", "ready", None),
        ("another view at first", "risky", "WP304"),
        ("nobody in the image", "risky", "WP501"),
        ("nobody in the video", "not_ready", "WP502"),
        ("late", "risky", "WP504"),
        ("too long", "not_ready", "WP601"),
        ("no image", "not_ready", "WP101"),
        ("no video", "not_ready", "WP102"),
    ],
)
def test_verdicts(check: Any, pairs: dict, kind: str, verdict: str, code: str | None) -> None:
    report = check(*pairs[kind])
    assert report.verdict == verdict
    severities = {f.severity for f in report.findings}
    assert ("error" in severities) == (verdict == "not_ready")
    assert code is None or code in {f.code for f in (*report.errors, *report.warnings)}
    assert len(report.errors) + len(report.warnings) == sum(
        f.severity != "info" for f in report.findings
    )


def test_notes_leave_a_pair_ready(check: Any, make: Any) -> None:
    report = check(make.image(color_mode="CMYK"))
    assert report.verdict == "ready"
    assert [f.code for f in report.findings] == ["WP106"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_gravest_comes_first(check: Any, pairs: dict, kind: str) -> None:
    ranks = [RANK[f.severity] for f in check(*pairs[kind]).findings]
    assert ranks == sorted(ranks)


def test_within_a_severity_the_costliest_comes_first(check: Any, make: Any) -> None:
    """Cuts: 0.6 * -ln 0.3 = 0.72; bars: 0.5 * -ln 0.4 = 0.46; both families weigh 1.5."""
    content, cuts = Box(0.0, 0.1, 1.0, 0.9), (Fraction(1),)
    both = make.video(evidence={"content": content, "cuts": cuts})
    image = make.image(evidence={"content": content})
    report = check(image, both, ignore=("WP203",))
    assert [f.code for f in report.warnings] == ["WP604", "WP204"]


def test_the_scores_of_a_pair_that_matches(check: Any) -> None:
    report = check()
    assert report.score > 99.5
    assert report.score_at_best_start == report.score
    assert report.best_start_s == 0.0
    assert all(v is not None and v > 0.97 for v in report.scores.model_dump().values())


def test_the_score_has_two_decimals(check: Any, pairs: dict) -> None:
    for kind in KINDS:
        report = check(*pairs[kind])
        assert report.score == round(report.score, 2)
        assert report.score > 0


def test_a_better_start_is_reported_and_does_not_enter_the_score(check: Any, pairs: dict) -> None:
    image, video = pairs["another view at first"]
    report = check(image, video)
    assert report.best_start_s == 0.5
    assert report.score_at_best_start > report.score + 5
    assert report.measures.first.view_angle == pytest.approx(70.0, abs=0.1)
    assert report.measures.best.view_angle == pytest.approx(0.0, abs=0.1)
    assert report.measures.typical.view_angle == pytest.approx(0.0, abs=0.1)
    hint = next(f for f in report.findings if f.code == "WP403")
    assert hint.severity == "info"
    assert check(image, video, ignore=("WP403",)).score == report.score


def test_what_is_told_of_the_subjects(check: Any) -> None:
    seen = check().subject
    assert (seen.image.found, seen.image.shot, seen.image.others) == (True, "full", 0)
    assert seen.image.frame_height_m == pytest.approx(2.56)
    assert seen.image.neck_xy == pytest.approx((0.5, 350 / 1280), abs=1e-4)
    assert seen.image.headroom == pytest.approx(172 / 1280, abs=1e-4)
    assert seen.image.face_px == pytest.approx(115.2, abs=0.1)
    assert seen.image.face_confidence == 1.0
    assert (seen.video.presence, seen.video.people_max, seen.video.face_seen) == (1.0, 1, 1.0)


def test_who_comes_late_is_found_though_not_at_first(check: Any, pairs: dict) -> None:
    video = check(*pairs["late"]).subject.video
    assert (video.found, video.shot, video.neck_xy) == (True, None, None)
    assert video.absent_s == ((0.0, 1.0),)
    assert video.presence == pytest.approx(1 - 1 / 8)


def test_people_are_counted(check: Any, pairs: dict) -> None:
    seen = check(*pairs["bars and others"]).subject
    assert (seen.image.others, seen.video.people_max) == (1, 2)


def test_output_and_cost(check: Any, make: Any) -> None:
    report = check(make.image(width=1440, height=1080), resolution="720p")
    assert report.output is not None
    assert report.output.model_dump() == {
        "width": 1104,
        "height": 816,
        "bars_px": 16,
        # 240 frames: 77 and three times 76 are 305, or three times 72 are 293
        "segments": 4,
        "frames": 240,
        "fps": 30.0,
        "duration_s": 8.0,
        "segments_most": 4,
        "segment_frames": 77,
        "segment_overlap": 1,
        "segment_overlap_most": 5,
        "filler_frames": 65,
        # 720 x 1280 in 1104 x 816 has its full height
        "person_ratio": 1.0,
        "person_from": "video",
        "basis": "wan source",
    }
    assert report.cost is not None
    assert report.cost.model_dump() == {"seconds": 8.0, "usd_low": 0.64, "usd_high": 0.8}
    replaced = check(make.image(width=1440, height=1080), mode="replace")
    assert replaced.output is not None
    assert (replaced.output.width, replaced.output.height) == (720, 1280)


def test_over_long_clips_are_rendered_and_billed_up_to_the_limit(check: Any, pairs: dict) -> None:
    report = check(*pairs["too long"], resolution="480p")
    assert report.output is not None
    assert (report.output.segments, report.output.segments_most) == (48, 50)
    assert (report.output.frames, report.output.duration_s) == (3600, 120.0)
    assert report.output.filler_frames == 49
    assert report.cost is not None
    assert report.cost.model_dump() == {"seconds": 120.0, "usd_low": 4.8, "usd_high": 4.8}


def test_a_part_of_a_clip_comes_out_as_long_as_it_is(check: Any, make: Any) -> None:
    """2.5 s of a clip at 24 fps: 60 frames, 75 at 30 fps."""
    part = make.video(
        fps=Fraction(24),
        frame_count=192,
        evidence={"start": Fraction(1, 2), "end": Fraction(3)},
    )
    output = check(video=part).output
    assert (output.frames, output.duration_s) == (75, 2.5)
    assert (output.segments, output.filler_frames) == (1, 2)


@pytest.mark.parametrize(
    ("mode", "image", "video", "px_per_m", "ratio"),
    [
        # animate: a video of 16:9 in a square of 624 x 624 is 351 px high, whoever is in the image
        ("animate", (1000, 1000), (1280, 720), 500.0, 351 / 624),
        ("animate", (1000, 1000), (1280, 720), 250.0, 351 / 624),
        # replace: twice as many pixels per metre in a picture of the same size; 464 px wide, it
        # is 824 of 832 px high
        ("replace", (720, 1280), (720, 1280), 1000.0, 1.9808),
        # … and a square in 464 x 832 is 464 px high: 2 * 1280 / 1000 * 464 / 832
        ("replace", (1000, 1000), (720, 1280), 1000.0, 1.4277),
    ],
)  # fmt: skip
def test_how_large_the_person_will_be(
    check: Any,
    make: Any,
    mode: str,
    image: tuple[int, int],
    video: tuple[int, int],
    px_per_m: float,
    ratio: float,
) -> None:
    still = make.image(
        make.body(hips=(360.0, 600.0), px_per_m=px_per_m, size=image),
        width=image[0],
        height=image[1],
    )
    clip = make.video(
        [make.body(hips=(360.0, 400.0), px_per_m=500.0, size=video)] * 16,
        width=video[0],
        height=video[1],
    )
    output = check(still, clip, mode=mode, resolution="480p").output
    assert output.person_ratio == pytest.approx(ratio, abs=2e-4)
    assert output.person_from == {"animate": "video", "replace": "image"}[mode]


def test_how_large_nobody_will_be_is_not_known(check: Any, pairs: dict) -> None:
    assert check(*pairs["nobody in the image"], mode="replace").output.person_ratio is None
    assert check(*pairs["unmeasurable"], mode="replace").output.person_ratio is None
    assert check(*pairs["nobody in the image"]).output.person_ratio == 1.0


def test_what_comes_out_is_no_finding(check: Any, make: Any) -> None:
    """A person half as large is told, and is no more an error than before."""
    far = make.image(make.body(px_per_m=250.0))
    report = check(far, mode="replace")
    assert report.output.person_ratio == pytest.approx(0.5, abs=1e-3)
    assert not [f for f in report.findings if "person_ratio" in f.message]


def test_a_report_of_before_is_read(check: Any, make: Any) -> None:
    document = json.loads(check().model_dump_json())
    document["output"] = {"width": 720, "height": 1280, "bars_px": 0, "segments": 4}
    assert Report.model_validate(document).output.frames is None


def test_another_picture_is_asked_for_once_and_by_hand(check: Any, make: Any) -> None:
    """View and pose differ: the gravest finding that a crop does not mend has the line."""
    world = make.adult()
    world[[13, 15]] = (0.5, -0.5, 0.0), (0.5, -0.75, 0.0)
    world[[14, 16]] = (-0.5, -0.5, 0.0), (-0.5, -0.75, 0.0)
    image = make.image(make.body(world @ make.rotation("y", 75.0).T))
    report = check(image)
    asked = [f for f in report.findings if f.fix is not None and f.fix.prompt is not None]
    assert len(asked) == 1
    assert asked[0].code in ("WP304", "WP401")
    assert asked[0].severity != "info"
    assert asked[0].fix.applicability == "manual"
    assert asked[0].fix.prompt.startswith("Turn the person to face the camera, both arms hanging")
    kinds = {f.code: RANK[f.severity] for f in report.findings}
    others = [kinds[code] for code in ("WP304", "WP401") if code in kinds]
    assert RANK[asked[0].severity] == min(others)
    assert Report.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize("kind", ["good", "nobody in the image", "unmeasurable", "no video"])
def test_no_picture_is_asked_for_without_a_reason(check: Any, pairs: dict, kind: str) -> None:
    assert not [f for f in check(*pairs[kind]).findings if f.fix and f.fix.prompt]


def test_money_has_two_decimals(check: Any, make: Any) -> None:
    for seconds in ("3.3", "5.01", "77.77", "119.99"):
        cost = check(video=make.video(duration=Fraction(seconds))).cost
        assert cost is not None
        for usd in (cost.usd_low, cost.usd_high):
            assert math.isclose(usd * 100, round(usd * 100), abs_tol=1e-9)


def test_unreadable_files_have_neither_output_nor_cost(check: Any, pairs: dict) -> None:
    report = check(*pairs["no video"])
    assert (report.output, report.cost) == (None, None)
    assert report.video.path == "empty.video"
    assert report.video.width is None
    assert report.pose_model.name == "fake"
    assert check(*pairs["neither"]).pose_model.name == "none"


def test_cuts_are_told_in_seconds(check: Any, pairs: dict) -> None:
    assert check(*pairs["bars and others"]).cuts_s == (0.3333,)


def test_the_same_evidence_gives_the_same_report(check: Any, pairs: dict) -> None:
    for kind in KINDS:
        assert check(*pairs[kind]).public_json() == check(*pairs[kind]).public_json()


# ------------------------------------------------------------------ round trips


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_comes_back_from_json_as_it_was(check: Any, pairs: dict, kind: str) -> None:
    report = check(*pairs[kind])
    again = Report.model_validate_json(report.model_dump_json())
    assert again == report
    assert again.evidence() == report.evidence()
    assert again.model_dump_json() == report.model_dump_json()


def test_a_saved_report_keeps_its_evidence(check: Any, pairs: dict, tmp_path: Path) -> None:
    report = check(*pairs["another view at first"])
    path = tmp_path / "report.json"
    report.save(path)
    again = Report.load(path)
    assert again == report
    image, video = again.evidence()
    assert (
        build_report(
            image,
            video,
            mode="animate",
            resolution="720p",
            profile=default_profile(),
            tool=report.tool,
        )
        == report
    )
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_saving_again_replaces_the_report(check: Any, pairs: dict, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    check().save(path)
    check(*pairs["too long"]).save(str(path))
    assert Report.load(str(path)).verdict == "not_ready"


def test_the_public_document_loads_but_knows_no_evidence(check: Any, tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    path.write_text(check().public_json(), encoding="utf-8")
    loaded = Report.load(path)
    assert loaded.public_dict() == check().public_dict()
    with pytest.raises(EvidenceMissing, match="observe"):
        loaded.evidence()


def test_what_is_no_report_is_refused_in_one_line(tmp_path: Path) -> None:
    for name, content in (("a", b"{}"), ("b", b"\xff\xfe"), ("c", b"not json"), ("d", b"[1]")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(WanPrepError, match="not a report") as caught:
            Report.load(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputPathError, match="cannot read"):
        Report.load(tmp_path / "none.json")


def test_a_report_of_another_schema_is_refused(check: Any, tmp_path: Path) -> None:
    document = check().public_dict() | {"schema_version": 2}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(WanPrepError, match="not a report"):
        Report.load(path)


def test_a_report_is_frozen_and_refuses_what_is_not_finite(check: Any) -> None:
    report = check()
    with pytest.raises(ValueError, match="frozen"):
        report.score = 1.0
    with pytest.raises(ValueError, match="finite"):
        Report.model_validate(report.model_dump() | {"score": math.nan})


def test_what_cannot_be_read_is_never_ready_whatever_is_asked(check: Any, make: Any) -> None:
    nothing = Evidence(kind="video", path="gone.mp4")
    report = check(make.image(), nothing, select=("WP3",))
    assert report.verdict == "not_ready"


def test_a_part_of_evidence_is_refused_not_ignored(make: Any) -> None:
    pair = make.pair()
    with pytest.raises(WanPrepError, match="apply to a path"):
        wan_prep.check(pair.image, pair.video, start=1.0)
