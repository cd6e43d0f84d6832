from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from wan_prep.findings import Applicability, NotApplicable, Severity
from wan_prep.profile import default_profile

SCORES = {name: t.score for name, t in default_profile().tolerances.items()}
CODES = ["WP601", "WP602", "WP603", "WP604", "WP605", "WP606", "WP607"]


def clip(make: Any, seconds: float | str, **info: Any) -> Any:
    return make.pair(video=make.video(duration=Fraction(seconds), **info))


@pytest.mark.parametrize("code", CODES)
def test_eight_regular_seconds_pass(make: Any, code: str) -> None:
    result = make.result(code, make.pair())
    assert result.finding is None
    assert result.score is not None


@pytest.mark.parametrize("code", CODES)
def test_an_unreadable_clip_is_not_asked(make: Any, code: str) -> None:
    result = make.result(code, make.pair(video=make.unreadable("video")))
    assert isinstance(result.answer, NotApplicable)


@pytest.mark.parametrize("seconds", ["120.01", "130", "3600"])
def test_over_the_limit_is_an_error_however_little(make: Any, seconds: str) -> None:
    result = make.result("WP601", clip(make, seconds))
    finding = result.finding
    assert finding.severity is Severity.ERROR
    assert (finding.measured, finding.limit, finding.unit) == (float(seconds), 120.0, "s")
    assert f"lasts {float(seconds):.2f} s" in finding.message
    assert "120 s at most" in finding.message
    assert finding.fix.applicability is Applicability.SAFE
    assert 0.0 < result.score <= 0.05


def test_longer_over_the_limit_scores_less(make: Any) -> None:
    scores = [make.result("WP601", clip(make, s)).score for s in (121, 130, 600)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3


def test_exactly_the_limit_passes(make: Any) -> None:
    assert make.result("WP601", clip(make, 120)).finding is None


def test_only_the_part_that_counts_is_measured(make: Any) -> None:
    part = make.video(duration=Fraction(300), evidence={"start": Fraction(10), "end": Fraction(40)})
    assert make.result("WP601", make.pair(video=part)).finding is None
    assert "lasts 30 s" in make.result("WP603", make.pair(video=part)).finding.message


def test_too_short(make: Any) -> None:
    finding = make.result("WP602", clip(make, "1.5")).finding
    assert (finding.severity, finding.measured, finding.limit) == (Severity.WARNING, 1.5, 2.0)
    assert "1.50 s" in finding.message
    assert "5 s are billed" in finding.message
    assert make.result("WP602", clip(make, 2)).finding is None


@pytest.mark.parametrize(
    ("seconds", "severity", "segments"),
    [(20, None, 0), (30, Severity.INFO, 12), (100, Severity.WARNING, 40), (500, "warning", 198)],
)
def test_drift(make: Any, seconds: int, severity: Any, segments: int) -> None:
    result = make.result("WP603", clip(make, seconds))
    assert result.score == pytest.approx(SCORES["clip_drift"](seconds))
    assert (result.finding and result.finding.severity) == severity
    if result.finding is not None:
        assert f"20 to 30 s ({segments} segments are rendered)" in result.finding.message
        assert result.finding.fix.applicability is Applicability.UNSAFE


def test_cuts(make: Any) -> None:
    times = (Fraction(1), Fraction(5, 2))
    finding = make.result("WP604", make.pair(video=make.video(evidence={"cuts": times}))).finding
    assert (finding.severity, finding.measured, finding.limit) == (Severity.WARNING, 2, 0)
    assert "has 2 cuts, at 1.00, 2.50 s" in finding.message
    assert finding.span_s is None  # two moments are no span
    many = tuple(Fraction(k) for k in range(1, 8))
    finding = make.result("WP604", make.pair(video=make.video(evidence={"cuts": many}))).finding
    assert "7 cuts, at 1.00, 2.00, 3.00, 4.00, 5.00 and more s" in finding.message
    one = make.video(evidence={"cuts": times[:1]})
    assert "has 1 cut, at" in make.result("WP604", make.pair(video=one)).finding.message


@pytest.mark.parametrize(
    ("fps", "severity"),
    [
        (Fraction(24), None),
        (Fraction(24000, 1001), None),  # 23.976 is what 24 means on television
        (Fraction(20), Severity.INFO),
        (Fraction(15), Severity.WARNING),
        (Fraction(1), Severity.WARNING),
    ],
)
def test_low_rates(make: Any, fps: Fraction, severity: Severity | None) -> None:
    result = make.result("WP605", make.pair(video=make.video(fps=fps)))
    assert (result.finding and result.finding.severity) == severity
    if fps < 24:
        assert result.score == pytest.approx(SCORES["clip_rate"](math.log(24 / fps)))
    if result.finding is not None:
        assert f"{float(fps):.2f} frames a second" in result.finding.message
        assert (result.finding.measured, result.finding.limit) == (float(fps), 24.0)


def test_a_single_frame_has_no_rate(make: Any) -> None:
    video = make.video(frame_count=1, fps=Fraction(2))
    assert isinstance(make.result("WP605", make.pair(video=video)).answer, NotApplicable)


def test_a_variable_rate(make: Any) -> None:
    finding = make.result("WP606", make.pair(video=make.video(is_vfr=True))).finding
    assert (finding.severity, finding.measured) == (Severity.WARNING, 30.0)
    assert finding.limit == "constant"
    assert "if the service runs the official preprocessing" in finding.message
    assert finding.source == "wan source"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (Fraction(1, 4), "0.25 s after the picture"),
        (Fraction(-1, 2), "0.50 s before the picture"),
        (Fraction(9, 100), None),
        (Fraction(-9, 100), None),
    ],
)
def test_sound_that_starts_apart(make: Any, start: Fraction, words: str | None) -> None:
    finding = make.result("WP607", make.pair(video=make.video(audio_start=start))).finding
    if words is None:
        assert finding is None
    else:
        assert finding.severity is Severity.INFO
        assert words in finding.message
        assert finding.measured == float(start)


def test_a_silent_clip_has_no_sound_to_start(make: Any) -> None:
    silent = make.video(has_audio=False, audio_codec=None, audio_start=None)
    assert isinstance(make.result("WP607", make.pair(video=silent)).answer, NotApplicable)


# ---- stillness

STILL_30_S = {"still": ((Fraction(2), Fraction(32)),)}


def test_a_clip_that_moves_throughout(make: Any) -> None:
    assert make.result("WP608", make.pair()).finding is None
    assert make.result("WP609", make.pair()).finding is None


def test_a_still_stretch_says_where_and_what_it_costs(make: Any) -> None:
    video = make.video(evidence=STILL_30_S, duration=Fraction(32))
    finding = make.result("WP608", make.pair(video=video)).finding
    assert (finding.severity, finding.measured, finding.limit) == (Severity.WARNING, 30, 1)
    assert finding.span_s == (2.0, 32.0)
    assert finding.fix.applicability is Applicability.SAFE
    # 720p: 32 s for $2.56 to $2.80, 2 s for $0.40.
    assert finding.message == (
        "nothing moves for 30.0 of 32.0 s (2.0-32.0 s); that costs $2.16 to $2.40"
    )


def test_a_short_pause_in_the_middle_is_a_note(make: Any) -> None:
    video = make.video(evidence={"still": ((Fraction(2), Fraction(7, 2)),)})
    finding = make.result("WP608", make.pair(video=video)).finding
    assert (finding.severity, finding.measured) == (Severity.INFO, 1.5)
    assert finding.fix.applicability is Applicability.MANUAL
    video = make.video(evidence={"still": ((Fraction(1), Fraction(2)),)}, duration=Fraction(4))
    finding = make.result("WP608", make.pair(video=video)).finding
    assert "costs nothing here, since 5 s are billed in any case" in finding.message
    # What is left of a stretch beside a cut of the clip is too short for a word.
    video = make.video(evidence={"still": ((Fraction(0), Fraction(1, 30)),)})
    assert make.result("WP608", make.pair(video=video)).finding is None


@pytest.mark.parametrize(
    ("still", "info", "but"),
    [
        (((0, 8),), {}, ""),
        (((0, 3), (3, 8)), {}, ""),  # a show of slides
        (((Fraction(1, 2), 8),), {}, ", but for 0.50 s"),
        ((), {"frame_count": 1, "duration": Fraction(1, 2)}, ""),
    ],
)
def test_a_clip_in_which_nothing_moves(make: Any, still: tuple, info: dict, but: str) -> None:
    spans = tuple((Fraction(a), Fraction(b)) for a, b in still)
    pair = make.pair(video=make.video(evidence={"still": spans}, **info))
    finding = make.result("WP609", pair).finding
    assert finding.severity is Severity.WARNING
    assert finding.message == (f"nothing moves in the clip{but}: there is no motion to transfer")
    assert isinstance(make.result("WP608", pair).answer, NotApplicable)


def test_single_moments_do_not_tell_whether_anything_moves(make: Any) -> None:
    pair = make.pair(video=make.video(evidence={"sample_interval": None}))
    for code in ("WP608", "WP609"):
        assert isinstance(make.result(code, pair).answer, NotApplicable)
