"""A pair in both modes: which fits better, why, and that the sentence follows the scores."""

from __future__ import annotations

from typing import Any

import pytest

from wan_prep.analyzers import RULES
from wan_prep.errors import EvidenceMissing
from wan_prep.evidence import Evidence
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import Profile, default_profile
from wan_prep.report.assemble import build_report
from wan_prep.report.github import comparison_lines
from wan_prep.report.model import Report, Tool
from wan_prep.report.modes import ModeComparison, compare, gain_by_check

PROFILE = default_profile()


def both(make: Any, image: Evidence | None = None, video: Evidence | None = None, *,
         profile: Profile = PROFILE, resolution: Any = "720p") -> ModeComparison:  # fmt: skip
    image, video = image or make.image(), video or make.video()
    animate, replace = (
        build_report(
            image,
            video,
            mode=mode,
            resolution=resolution,
            profile=profile,
            tool=Tool(name="wan-prep", version="0.0"),
        )
        for mode in ("animate", "replace")
    )
    return compare(animate, replace, profile)


def short_legged(make: Any) -> Any:
    world = make.adult()
    world[[Joint.LEFT_KNEE, Joint.RIGHT_KNEE], 1] = 0.18
    world[[Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE], 1] = 0.36
    return make.body(world)


def test_a_pair_that_matches_fits_alike(make: Any) -> None:
    made = both(make)
    assert made.better is None
    assert (made.animate.mode, made.replace.mode) == ("animate", "replace")
    assert made.shown is made.animate
    assert made.other is made.replace
    assert made.verdict == "ready"
    assert made.reason == (
        f"both modes fit alike ({made.animate.score:.1f} and {made.replace.score:.1f} of 100): "
        "choose by what you want to see, the image's background (animate) or the video's (replace)"
    )


def test_another_size_speaks_for_replace(make: Any) -> None:
    """The image shows the person 1.6 times as large: worth a warning in animate alone."""
    made = both(make, make.image(make.body(px_per_m=800.0)))
    assert made.better == "replace"
    assert made.shown is made.replace
    assert made.reason.startswith("replace fits better, ")
    assert "the video alone decides the frame" in made.reason
    assert "(1.60 times as large as in the video)" in made.reason
    assert made.replace.score > made.animate.score


def only(code: str, weight: float) -> Profile:
    """A profile to which nothing matters but one check."""
    codes = [rule.code for rule in RULES]
    weights = {mode: dict.fromkeys(codes, 0.0) | {code: weight} for mode in ("animate", "replace")}
    return PROFILE.model_copy(update={"check_weights": weights})


def test_other_proportions_speak_against_replace(make: Any) -> None:
    video = make.video([short_legged(make)] * 16)
    plain = both(make, video=video)
    gains = gain_by_check(plain.animate, plain.replace, PROFILE)
    assert max(gains, key=lambda code: gains[code]) == "WP404"
    weights = {"animate": {"WP404": 0.2}, "replace": {"WP404": 3.0}}
    own = PROFILE.model_copy(
        update={
            "check_weights": {mode: PROFILE.check_weights[mode] | weights[mode] for mode in weights}
        }
    )
    made = both(make, video=video, profile=own)
    assert made.better == "animate"
    assert made.reason.endswith(": replace does not adapt the body's proportions, which differ")


def test_bars_are_told_by_their_px(make: Any) -> None:
    """1280 x 720 needs none at 720p; 2560 x 1080 becomes 1472 x 608, with 13 px above and 31 px
    in all."""
    own = only("WP202", 9.0)
    image, video = make.image(width=1280, height=720), make.video(width=2560, height=1080)
    made = both(make, image, video, profile=own)
    assert made.better == "animate"
    assert made.reason.endswith(
        ": the image, whose shape the result then takes, needs 0 px of bars and not 31"
    )
    turned = both(
        make,
        make.image(width=2560, height=1080),
        make.video(width=1280, height=720),
        profile=own,
    )
    assert turned.better == "replace"
    assert turned.reason.endswith(
        ": the video, whose shape the result then takes, needs 0 px of bars and not 31"
    )


def test_the_verdict_goes_before_the_score(make: Any) -> None:
    """A pair that is not ready is not the better one, whatever it scores."""
    made = both(make)
    animate = made.animate.model_copy(update={"score": 60.0})
    replace = made.replace.model_copy(update={"score": 90.0, "verdict": "risky"})
    judged = compare(animate, replace, PROFILE)
    assert judged.better == "animate"
    assert judged.reason.startswith(
        "animate fits better, ready at 60.0 against risky at 90.0 of 100"
    )


@pytest.mark.parametrize(("score", "better"), [(83.0, None), (83.01, "replace"), (76.9, "animate")])
def test_within_the_noise_of_scores_they_fit_alike(make: Any, score: float, better: Any) -> None:
    made = both(make)
    animate = made.animate.model_copy(update={"score": 80.0})
    replace = made.replace.model_copy(update={"score": score})
    assert compare(animate, replace, PROFILE).better == better


def test_the_better_of_two_that_are_not_ready_is_not_praised(make: Any) -> None:
    made = both(make)
    animate, replace = (
        report.model_copy(update={"score": score, "verdict": "not_ready"})
        for report, score in zip(made.reports, (20.0, 30.0), strict=True)
    )
    reason = compare(animate, replace, PROFILE).reason
    assert reason.startswith(
        "replace fits better, 30.0 against 20.0 of 100, though neither is ready"
    )


def test_a_clip_that_cannot_be_read_is_judged_in_neither_mode(make: Any) -> None:
    made = both(make, video=make.unreadable("video"))
    assert made.better is None
    assert made.verdict == "not_ready"
    assert made.reason == "neither mode can be judged: a file cannot be read"
    assert [d.animate for d in made.differences if d.what == "cost"] == ["not known"]


def test_what_the_modes_do_differently(make: Any) -> None:
    made = both(make, make.image(width=1000, height=1000), resolution="480p")
    rows = {each.what: (each.animate, each.replace) for each in made.differences}
    assert list(rows) == ["verdict", "shape", "background", "proportions", "person", "cost"]
    assert rows["shape"] == (
        "the image's: 624 × 624, no bars",
        "the video's: 464 × 832, 8 px of bars",
    )
    assert rows["background"] == ("the image's", "the video's")
    assert rows["proportions"][1] == "the video's: not adapted"
    assert rows["cost"] == ("$0.32 to $0.40", "$0.32 to $0.40")


def test_it_round_trips_and_its_document_has_no_evidence(make: Any) -> None:
    made = both(make)
    again = ModeComparison.model_validate_json(made.model_dump_json())
    assert again == made
    document = made.public_dict()
    assert list(document) == [
        "schema_version", "better", "reason", "differences", "animate", "replace",
    ]  # fmt: skip
    for mode in ("animate", "replace"):
        assert document[mode]["mode"] == mode
        assert document[mode] == getattr(made, mode).public_dict()
        assert "image_evidence" not in document[mode]


def test_annotations_begin_with_the_comparison(make: Any) -> None:
    made = both(make, make.image(make.body(px_per_m=800.0)))
    lines = comparison_lines(made)
    assert lines[0].startswith("::notice file=hero.png,title=replace fits better::replace fits")
    assert len(lines) > 2


def test_a_notebook_shows_it(make: Any) -> None:
    shown = both(make, make.image().model_copy(update={"path": "<b>.png"}))._repr_html_()
    assert "both modes fit alike" in shown
    assert "<b>.png" not in shown


SIZES = (200.0, 350.0, 500.0, 700.0, 900.0)


@pytest.mark.parametrize("px_per_m", SIZES)
@pytest.mark.parametrize("turn", [0.0, 50.0, 120.0])
def test_the_better_mode_is_never_the_worse_one(make: Any, px_per_m: float, turn: float) -> None:
    made = both(make, make.image(make.body(make.turned("y", turn), px_per_m=px_per_m)))
    order = ("not_ready", "risky", "ready")
    if made.better is None:
        assert made.animate.verdict == made.replace.verdict
        assert abs(made.animate.score - made.replace.score) <= PROFILE.limit("score_noise")
        return
    won, lost = made.shown, made.other
    assert won.mode == made.better
    ranks = order.index(won.verdict), order.index(lost.verdict)
    assert ranks[0] > ranks[1] or (ranks[0] == ranks[1] and won.score > lost.score)
    assert made.reason.startswith(f"{won.mode} fits better, ")
    assert made.reason.count(":") <= 1


def test_reports_without_evidence_are_refused(make: Any) -> None:
    made = both(make, make.image(make.body(px_per_m=800.0)))
    bare = [Report.model_validate(r.public_dict()) for r in made.reports]
    with pytest.raises(EvidenceMissing, match="carries no evidence"):
        compare(*bare, PROFILE)
