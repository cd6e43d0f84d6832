"""What is kept of a judgement is enough to judge again, without any file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wan_prep.analyzers import BY_CODE, RULES
from wan_prep.errors import EvidenceMissing
from wan_prep.findings import Judged
from wan_prep.learning.judgement import TOLERANCE_OF, Judgement
from wan_prep.profile import default_profile
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import Report, Tool

PROFILE = default_profile()


def pairs(make: Any) -> dict[str, tuple[Any, Any]]:
    turned, small = make.body(make.turned("y", 40)), make.body(px_per_m=300.0)
    return {
        "good": (make.image(), make.video()),
        "turned and smaller": (make.image(turned), make.video((small,) * 8)),
        "hardly seen": (make.image(make.body(visibility=0.45)), make.video()),
        "nobody": (make.image(None), make.video()),
        "heads": (make.image(make.head()), make.video((make.head(yaw=30.0),) * 8)),
        "absent in part": (make.image(), make.video(("adult",) * 4 + (None,) * 6)),
        "unreadable": (make.image(), make.unreadable("video")),
    }


NAMES = (
    "good",
    "turned and smaller",
    "hardly seen",
    "nobody",
    "heads",
    "absent in part",
    "unreadable",
)


def reported(make: Any, name: str, mode: Any, profile: Any = PROFILE, **chosen: Any) -> Report:
    image, video = pairs(make)[name]
    return build_report(
        image,
        video,
        mode=mode,
        resolution="480p",
        profile=profile,
        tool=Tool(name="wan-prep", version="0"),
        selection=Selection(**chosen),
    )


@pytest.mark.parametrize("mode", ["animate", "replace"])
@pytest.mark.parametrize("name", NAMES)
def test_the_score_is_that_of_the_report(make: Any, name: str, mode: str) -> None:
    report = reported(make, name, mode)
    kept = Judgement.of(report, PROFILE)
    assert kept.score == report.score
    again = Judgement.model_validate_json(kept.model_dump_json())
    assert again == kept
    assert again.score_by(PROFILE) == report.score


@pytest.mark.parametrize("mode", ["animate", "replace"])
@pytest.mark.parametrize("name", NAMES)
def test_another_profile_gives_the_score_that_check_would_give(
    make: Any, drawn: Any, name: str, mode: str
) -> None:
    other = drawn.profile(view=0.5, zoom=1.7, face_px=0.6, pose=0.8, template_turn=1.3)
    kept = Judgement.of(reported(make, name, mode), PROFILE)
    assert kept.score_by(other) == reported(make, name, mode, other).score


def test_checks_that_were_left_out_stay_so(make: Any) -> None:
    report = reported(make, "turned and smaller", "animate", ignore=("WP3",))
    kept = Judgement.of(report, PROFILE)
    assert not [a for a in kept.answers if a.code.startswith("WP3")]
    assert kept.score_by(PROFILE) == report.score


@pytest.mark.parametrize("name", NAMES)
def test_each_check_is_judged_by_the_tolerance_that_stands_beside_it(make: Any, name: str) -> None:
    image, video = pairs(make)[name]
    for code, tolerance in TOLERANCE_OF.items():
        answer = make.result(code, make.pair(image, video)).answer
        if isinstance(answer, Judged) and answer.deviation is not None:
            same = answer.deviation.score(PROFILE.tolerance(tolerance, "animate"))
            assert answer.score == same, code


def test_what_follows_from_the_service_is_never_learned() -> None:
    assert set(TOLERANCE_OF) <= {rule.code for rule in RULES}
    fixed = {"aspect_gap", "bars", "clip_overlength", "clip_rate", "absence", "still_share"}
    assert not fixed & set(TOLERANCE_OF.values())
    assert fixed | set(TOLERANCE_OF.values()) == set(PROFILE.tolerances), "each is one or the other"
    assert {BY_CODE[code].family for code in TOLERANCE_OF} == {
        "framing",
        "pose",
        "subject",
        "clip",
    }


def test_no_name_and_no_path_is_kept(make: Any) -> None:
    text = Judgement.of(reported(make, "turned and smaller", "animate"), PROFILE).model_dump_json()
    assert "hero.png" not in text
    assert "dance.mp4" not in text
    assert len(text) < 10_000


def test_a_code_that_is_no_more_is_left_out(drawn: Any) -> None:
    kept = drawn.judgement({"view": 30.0})
    gone = kept.model_copy(
        update={"answers": (*kept.answers, kept.answers[0].model_copy(update={"code": "WP999"}))}
    )
    assert gone.score_by(PROFILE) == kept.score_by(PROFILE)


def test_a_report_without_evidence(report: Callable[..., Report]) -> None:
    with pytest.raises(EvidenceMissing, match="observe"):
        Judgement.of(report(), PROFILE)
