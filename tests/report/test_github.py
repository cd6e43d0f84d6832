"""Annotations of GitHub Actions, letter by letter, and that nothing hostile becomes a command."""

from __future__ import annotations

import re
from typing import Any

import pytest

from wan_prep.report.github import annotation, github_lines

Parsed = tuple[str, dict[str, str], str]


def as_the_runner_reads(line: str) -> Parsed:
    """Level, properties and message: split at the second `::`, at commas and at the first `=`."""
    assert "\n" not in line
    assert "\r" not in line
    command, data = line.removeprefix("::").split("::", 1)
    level, properties = command.split(" ", 1)
    pairs = dict(each.split("=", 1) for each in properties.split(","))

    def read(text: str, *escapes: str) -> str:
        for escape in escapes:
            text = text.replace(escape, chr(int(escape[1:], 16)))
        return text.replace("%25", "%")

    return (
        level,
        {key: read(value, "%0D", "%0A", "%3A", "%2C") for key, value in pairs.items()},
        read(data, "%0D", "%0A"),
    )


def test_a_line_for_the_verdict_and_one_for_each_finding(report: Any) -> None:
    assert github_lines(report()) == (
        "::warning file=hero.png,title=risky%2C 93.7 of 100::It may work; read the warnings before "
        "you pay. hero.png driven by dance.mp4, animate at 480p, $0.20 for 5.0 billed seconds",
        "::warning file=hero.png,title=WP201 aspect-mismatch::the image is 1.000:1 wide and the "
        "video 0.800:1 (hero.png driven by dance.mp4)%0A→ crop and pad both to one ratio (fix can "
        "do it)",
    )


@pytest.mark.parametrize(
    ("severity", "level"), [("error", "error"), ("warning", "warning"), ("info", "notice")]
)
def test_severities_are_levels(report: Any, severity: str, level: str) -> None:
    finding = report().findings[0].model_dump() | {"severity": severity}
    assert as_the_runner_reads(github_lines(report("risky", finding))[1])[0] == level


@pytest.mark.parametrize(
    ("verdict", "level"), [("ready", "notice"), ("risky", "warning"), ("not_ready", "error")]
)
def test_the_verdict_has_a_level_too(report: Any, verdict: str, level: str) -> None:
    given, properties, message = as_the_runner_reads(github_lines(report(verdict))[0])
    assert given == level
    assert properties["title"].startswith(verdict.replace("_", " "))
    assert "hero.png driven by dance.mp4, animate at 480p" in message


def test_a_finding_is_shown_at_its_file(report: Any) -> None:
    base = report().findings[0].model_dump()
    lines = github_lines(
        report("risky", *(base | {"subject": s, "message": s} for s in ("image", "video", "pair")))
    )
    told = [as_the_runner_reads(line) for line in lines[1:]]
    assert [properties["file"] for _, properties, _ in told] == [
        "hero.png", "dance.mp4", "hero.png",
    ]  # fmt: skip
    assert ["driven by" in message for _, _, message in told] == [False, False, True]


def test_what_to_ask_an_image_editor_is_told(report: Any) -> None:
    fix = {"applicability": "manual", "title": "use another", "prompt": "Turn, 50%.\n::x::"}
    finding = report().findings[0].model_dump() | {"fix": fix, "subject": "image"}
    line = github_lines(report("risky", finding))[1]
    assert line.endswith(
        "%0A→ use another (by hand)%0A→ or ask an image editor: “Turn, 50%25.\\n::x::”"
    )


def test_what_is_said_of_several_checks_is_one_line(report: Any) -> None:
    base = report().findings[0].model_dump() | {"status": "inconclusive", "fix": None}
    given = report("risky", *(base | {"code": code} for code in ("WP301", "WP302", "WP401")))
    lines = github_lines(given)
    assert len(lines) == 2
    assert as_the_runner_reads(lines[1])[1]["title"] == "WP301 and WP302, WP401 (unknown)"


def test_a_pair_with_nothing_found_has_the_verdict_alone(report: Any) -> None:
    ready = report("ready").model_copy(update={"findings": (), "cost": None})
    assert github_lines(ready) == (
        "::notice file=hero.png,title=ready%2C 93.7 of 100::Ready to submit. hero.png driven by "
        "dance.mp4, animate at 480p",
    )


HOSTILE = [
    "a\n::stop-commands::x.png",
    "a\r\n::add-mask::x",
    "::error::x",
    "##[add-mask]x",
    "50%,title=x::y%0A.png",
    "a%2Cb%253A.png",
    "\x1b]0;title\x07.png",
    "\u202egnp.x",
    "\udcff.png",
    ",file=other",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_what_they_are(report: Any, name: str) -> None:
    base = report().findings[0].model_dump() | {"message": f"see {name}"}
    lines = github_lines(report("risky", base, image={"path": name}, video={"path": name}))
    for line in lines:
        # A line that is a command is not searched for `##[…]`.
        assert re.match(r"::(error|warning|notice) file=[^,:]*,title=[^,:]*::", line)
        assert line.isprintable()
        level, properties, message = as_the_runner_reads(line)
        assert level == "warning"
        assert set(properties) == {"file", "title"}
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
        assert properties["file"] == shown
        assert shown in message


def test_percent_signs_are_escaped_first() -> None:
    assert annotation("notice", "a%3A:b", "100%\n::x::", "c,d") == (
        "::notice file=c%2Cd,title=a%253A%3Ab::100%25%0A::x::"
    )
