from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from wan_prep.addresses import is_url, shown_url
from wan_prep.errors import CostTooHigh, GateRefused, InputPathError, SubmissionError
from wan_prep.report.model import Report
from wan_prep.submission.intent import (
    Input,
    PreparedSubmission,
    dollars,
    intend,
    local_input,
    url_input,
)

IMAGE = Input("image", "hero.png", Path("hero.png"), "a" * 64, 1_000)
VIDEO = Input("video", "dance.mp4", Path("dance.mp4"), "b" * 64, 2_000)


def intent(**options: Any) -> Any:
    settings: dict[str, Any] = {
        "mode": "animate",
        "resolution": "480p",
        "duration": Fraction(7),
        "image": IMAGE,
        "video": VIDEO,
    }
    settings |= options
    return intend(settings.pop("image"), settings.pop("video"), **settings)


@pytest.fixture
def checked(report: Callable[..., Report]) -> Callable[..., Report]:
    """A report about the two files, with what is told changed."""

    def made(verdict: str = "ready", **changes: Any) -> Report:
        about: dict[str, Any] = {
            "image": {"path": "hero.png", "sha256": "a" * 64},
            "video": {"path": "dance.mp4", "sha256": "b" * 64},
        }
        return report(verdict, **{**about, **changes})

    return made


# ---- inputs


def test_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "hero.png"
    path.write_bytes(b"pixels")
    given = local_input(str(path), "image")
    assert given.sha256 == hashlib.sha256(b"pixels").hexdigest()
    assert given.size_bytes == 6
    assert given.placeholder == f"upload:sha256:{given.sha256}"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputPathError):
        local_input(tmp_path / "nothing.png", "image")


def test_an_address() -> None:
    given = url_input("https://example.com/a.mp4?Signature=1", "video")
    assert (given.path, given.sha256) == (None, None)
    assert given.placeholder == "https://example.com/a.mp4?Signature=1"


@pytest.mark.parametrize(
    "odd", ["https://", "http:///a", "https://a b/c", "https://[x", "https://a:b"]
)
def test_an_address_that_leads_nowhere(odd: str) -> None:
    with pytest.raises(SubmissionError, match=r"^video: "):
        url_input(odd, "video")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://a.example/x", True),
        ("HTTP://a.example/x", True),
        ("C:\\clips\\dance.mp4", False),
        ("ftp://a.example/x", False),
        ("https:", False),
        (Path("https://a.example/x"), False),
    ],
)
def test_what_an_address_is(source: str | Path, expected: bool) -> None:
    assert is_url(source) is expected


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    shown = shown_url("https://user:word@a.example:1/x/y.mp4?Signature=secret#part")
    assert shown == "https://a.example:1/x/y.mp4"


# ---- sizes


@pytest.mark.parametrize(
    ("size_bytes", "notes"),
    [(100_000_000, 0), (100_000_001, 1), (200_000_000, 1)],
)
def test_large_files_are_warned_about(size_bytes: int, notes: int) -> None:
    assert len(intent(video=replace(VIDEO, size_bytes=size_bytes)).notes) == notes


def test_too_large_files_are_stopped() -> None:
    with pytest.raises(GateRefused, match="the image is 200 MB, and uploads end at 200 MB"):
        intent(image=replace(IMAGE, size_bytes=200_000_001))


def test_an_address_has_no_size() -> None:
    assert intent(video=url_input("https://a.example/x.mp4", "video")).notes == ()


# ---- parameters and cost


def test_the_document_of_a_dry_run(checked: Any) -> None:
    planned = intent(prompt="a knight", video=url_input("https://a.example/x.mp4", "video"))
    assert PreparedSubmission(planned, checked()).document() == {
        "schema_version": 1,
        "model": "wavespeed-ai/wan-2.2/animate",
        "request": {
            "image": f"upload:sha256:{'a' * 64}",
            "video": "https://a.example/x.mp4",
            "prompt": "a knight",
            "mode": "animate",
            "resolution": "480p",
            "seed": -1,
        },
        "seeds": [-1],
        # 7 s · $0.04 = $0.28; two times five seconds begun, $0.40
        "cost": {"seconds": 7.0, "usd_low": 0.28, "usd_high": 0.4},
        "verdict": "ready",
        "notes": [],
    }


def test_a_dry_run_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_args: object, **_options: object) -> None:
        raise AssertionError("a socket")

    for name in ("socket", "getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, opened)
    (tmp_path / "hero.png").write_bytes(b"pixels")
    planned = intent(
        image=local_input(tmp_path / "hero.png", "image"),
        video=url_input("https://a.example/x.mp4", "video"),
    )
    prepared = PreparedSubmission(planned)
    prepared.pass_gate(max_cost=Decimal(1))
    assert prepared.document()["request"]["video"] == "https://a.example/x.mp4"


def test_an_unknown_length_has_an_unknown_cost() -> None:
    assert PreparedSubmission(intent(duration=None)).document()["cost"] is None


def test_three_variations_cost_three_times_as_much() -> None:
    three = intent(count=3)
    assert three.total_usd == (Decimal("0.84"), Decimal("1.20"))
    cost = PreparedSubmission(three).document()["cost"]
    assert cost == {"seconds": 7.0, "usd_low": 0.84, "usd_high": 1.2}
    assert three.job_cost().usd_high == Decimal("0.40")


@pytest.mark.parametrize(
    ("seed", "seeds"), [(None, [-1, -1, -1]), (-1, [-1, -1, -1]), (0, [0, 1, 2]), (7, [7, 8, 9])]
)
def test_variations_differ_by_chance_or_by_seed(seed: int | None, seeds: list[int]) -> None:
    assert [p.seed for p in intent(seed=seed, count=3).variations()] == seeds


@pytest.mark.parametrize(
    "odd",
    [
        {"seed": -2},
        {"seed": 2**31},
        {"seed": 2**31 - 1, "count": 2},
        {"count": 0},
        {"count": -1},
        {"count": 101},
        {"count": 10**12},
        {"mode": "dance"},
        {"resolution": "1080p"},
    ],
)
def test_parameters_out_of_range(odd: dict[str, Any]) -> None:
    with pytest.raises(SubmissionError) as caught:
        intent(**odd)
    assert caught.value.exit_code == 2


# ---- the gate


@pytest.mark.parametrize("verdict", ["ready", "risky"])
def test_a_pair_that_is_ready_or_risky_passes(checked: Any, verdict: str) -> None:
    PreparedSubmission(intent(), checked(verdict)).pass_gate()


def test_strict_refuses_warnings(checked: Any) -> None:
    risky = PreparedSubmission(intent(), checked("risky"))
    with pytest.raises(GateRefused, match="refused by --strict: the pair is risky"):
        risky.pass_gate(strict=True)
    risky.pass_gate(strict=True, allow_not_ready=True)
    warned = PreparedSubmission(intent(), checked("ready"), ("another resolution",))
    with pytest.raises(GateRefused, match="refused by --strict: another resolution"):
        warned.pass_gate(strict=True)
    warned.pass_gate()
    PreparedSubmission(intent(), checked("ready")).pass_gate(strict=True)


def test_a_pair_that_is_not_ready_is_refused(checked: Any) -> None:
    (finding,) = checked().findings
    errors = [
        {**finding.model_dump(), "code": code, "severity": "error"} for code in ("WP301", "WP401")
    ]
    bad = PreparedSubmission(intent(), checked("not_ready", score=12.34, findings=errors))
    with pytest.raises(GateRefused, match=r"not ready \(12.3 of 100; WP301, WP401\)") as caught:
        bad.pass_gate()
    assert caught.value.exit_code == 1
    bad.pass_gate(allow_not_ready=True)


@pytest.mark.parametrize(
    "other",
    [
        {"image": {"path": "hero.png", "sha256": "c" * 64}},
        {"video": {"path": "dance.mp4", "sha256": "c" * 64}},
        {"image": {"path": "hero.png", "sha256": None}},
        {"mode": "replace"},
        {"resolution": "720p"},
    ],
)
def test_a_report_about_something_else_does_not_count(checked: Any, other: dict[str, Any]) -> None:
    report = checked(**other)
    assert not intent().fits(report)
    with pytest.raises(GateRefused, match="other files"):
        PreparedSubmission(intent(), report).pass_gate()


def test_an_unread_address_fits_no_report(checked: Any) -> None:
    unread = intent(video=url_input("https://a.example/x.mp4", "video"))
    assert not unread.fits(checked(video={"path": "x", "sha256": None}))
    PreparedSubmission(unread).pass_gate()


def test_a_report_in_another_mode_fits_an_intent_in_that_mode(checked: Any) -> None:
    report = checked(mode="replace", resolution="720p")
    assert intent(mode="replace", resolution="720p").fits(report)


def test_the_limit_of_cost_is_held_against_the_high_estimate() -> None:
    one, three = PreparedSubmission(intent()), PreparedSubmission(intent(count=3))
    one.pass_gate(max_cost=Decimal("0.40"))
    with pytest.raises(CostTooHigh, match=r"up to \$0.40, above --max-cost 0.39") as caught:
        one.pass_gate(max_cost=Decimal("0.39"))
    assert caught.value.exit_code == 1
    with pytest.raises(CostTooHigh):
        three.pass_gate(max_cost=Decimal("1.19"))
    three.pass_gate(max_cost=Decimal("1.20"))


def test_a_limit_needs_an_estimate() -> None:
    with pytest.raises(CostTooHigh, match="give --duration"):
        PreparedSubmission(intent(duration=None)).pass_gate(max_cost=Decimal(100))


@pytest.mark.parametrize(
    ("given", "amount"), [("2.00", "2.00"), ("0", "0"), (2, "2"), (0.1, "0.1"), ("1e1", "1E+1")]
)
def test_an_amount(given: Any, amount: str) -> None:
    assert dollars(given) == Decimal(amount)


@pytest.mark.parametrize("odd", ["", "two", "-1", "nan", "inf", "$2", "2,00"])
def test_what_is_no_amount(odd: str) -> None:
    with pytest.raises(SubmissionError, match="max cost"):
        dollars(odd)
