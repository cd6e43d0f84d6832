"""What must hold for every line of the rule table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from wan_prep.analyzers import BY_CODE, RULES
from wan_prep.analyzers.explanations import explanation_of
from wan_prep.findings import Inconclusive, Judged, NotApplicable, Severity
from wan_prep.report.scoring import evaluate

FAMILY_OF = {"1": "media", "2": "aspect", "3": "framing", "4": "pose", "5": "subject", "6": "clip"}
# A name states a problem; these would state what is done, or promise that all is well.
NOT_FIRST = {"check", "is", "has", "ensure", "verify", "validate", "detect", "measure", "ok"}
# Only what makes a pair impossible, or a measured mismatch of the pair, may be an error.
MAY_BE_ERRORS = {
    *("WP101", "WP102", "WP201", "WP301", "WP302", "WP303", "WP304", "WP305"),
    *("WP401", "WP502", "WP503", "WP515", "WP516", "WP601"),
}
ABOUT_WHOM_ONE_MEANS = {"WP515", "WP516", "WP517"}
AT_START = {
    *("WP301", "WP302", "WP303", "WP304", "WP305", "WP306"),
    *("WP401", "WP504", "WP512", "WP513"),
}


def test_codes_are_in_order_and_codes_and_names_are_used_once() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert len({rule.name for rule in RULES}) == len(RULES) == len(BY_CODE)


def test_every_rule_is_well_formed_and_explained() -> None:
    for rule in RULES:
        assert re.fullmatch(r"WP[1-6]\d\d", rule.code), rule
        assert rule.family == FAMILY_OF[rule.code[2]], rule
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name), rule
        assert rule.name.split("-")[0] not in NOT_FIRST, rule
        explained = explanation_of(rule.code)
        for text in (explained.measures, explained.why, explained.fix, explained.limit):
            assert text.endswith("."), rule
            assert len(text) > 10, rule


def test_which_rules_may_be_errors_and_which_depend_on_the_start() -> None:
    assert {rule.code for rule in RULES if rule.cap is Severity.ERROR} == MAY_BE_ERRORS
    assert {rule.code for rule in RULES if rule.cap is Severity.INFO} == {"WP131", "WP403"}
    assert {rule.code for rule in RULES if rule.at_start} == AT_START
    assert {rule.code for rule in RULES if rule.at_best} == {"WP403"}


def test_a_pair_that_matches_has_no_finding_at_all(make: Any) -> None:
    for mode in ("animate", "replace"):
        results = evaluate(make.pair(mode=mode))
        assert [r.finding for r in results if r.finding is not None] == []
        asked = {r.rule.code for r in results if isinstance(r.answer, Judged)}
        assert asked == {rule.code for rule in RULES} - {"WP403", *ABOUT_WHOM_ONE_MEANS}


@pytest.mark.parametrize("mode", ["animate", "replace"])
@pytest.mark.parametrize("resolution", ["480p", "720p"])
def test_no_rule_breaks_on_the_oddest_evidence(make: Any, mode: str, resolution: str) -> None:
    """Nothing there, nothing seen, nothing in time: an answer, never an exception."""
    bare = make.subject(view_matrix=None, px_per_m=None, face=None, visibility=[0.0] * 33)
    images = [make.image(), make.image(None), make.image(bare), make.unreadable("image")]
    videos = [
        make.video(),
        make.video([]),
        make.video([None]),
        make.video([bare, None]),
        make.video([None, bare], duration=0, fps=0, frame_count=1),
        make.unreadable("video"),
    ]
    for image in images:
        for video in videos:
            results = evaluate(make.pair(image, video, mode=mode, resolution=resolution))
            assert [r.rule for r in results] == list(RULES)
            for r in results:
                assert isinstance(r.answer, Judged | Inconclusive | NotApplicable)
                assert r.score is None or 0.0 < r.score <= 1.0
                if r.finding is not None:
                    assert r.finding.message
                    assert (r.finding.status == "inconclusive") == isinstance(
                        r.answer, Inconclusive
                    )


def test_at_start_tells_the_truth(make: Any) -> None:
    """Another start changes the answers of exactly the rules that say so."""
    turned = make.subject(make.body(make.turned("y", 70.0), hips=(200.0, 900.0), px_per_m=400.0))
    pair = make.pair(video=make.video([turned, "adult", "adult"]))
    first = evaluate(pair)
    later = evaluate(pair.starting_at(pair.video.observations[1]))
    changed = {a.rule.code for a, b in zip(first, later, strict=True) if a.answer != b.answer}
    assert changed <= AT_START
    assert {"WP301", "WP302", "WP304", "WP513"} <= changed
