"""One pair in both modes: two reports, which of them is better, and why."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from wan_prep.analyzers import BY_CODE, RULES
from wan_prep.documents import json_text
from wan_prep.findings import Finding, PairContext, Severity
from wan_prep.fragments import card, inert, table
from wan_prep.profile import Mode, Profile
from wan_prep.report.model import Report, Verdict
from wan_prep.report.scoring import effects, evaluate
from wan_prep.report.words import price

_RANK: dict[Verdict, int] = {"not_ready": 0, "risky": 1, "ready": 2}
_MOST_REASONS = 2
_LEAST_SHARE = 0.2
"""Of what speaks for the better mode: below it a reason is not told."""


class ModeDifference(BaseModel):
    """One thing that the modes do differently, in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    animate: str
    replace: str


class ModeComparison(BaseModel):
    """A pair as `check` judges it in mode animate and in mode replace.

    better: the mode with the better verdict; of equal verdicts the one that scores higher by more
    than the scores' noise; None where they fit alike. reason: why, as one sentence. differences:
    verdict, shape, background, proportions, person and cost, side by side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    better: Mode | None
    reason: str
    differences: tuple[ModeDifference, ...]
    animate: Report
    replace: Report

    @property
    def verdict(self) -> Verdict:
        """Of the better mode, or of both."""
        return self.shown.verdict

    @property
    def shown(self) -> Report:
        """The report of the better mode; of animate, the default, where they fit alike."""
        return self.replace if self.better == "replace" else self.animate

    @property
    def other(self) -> Report:
        """The report that is not `shown`."""
        return self.animate if self.better == "replace" else self.replace

    @property
    def reports(self) -> tuple[Report, Report]:
        """(animate, replace)."""
        return self.animate, self.replace

    def public_dict(self) -> dict[str, Any]:
        """The document of `check --mode both --format json`: without the evidence."""
        return {
            "schema_version": self.schema_version,
            "better": self.better,
            "reason": self.reason,
            "differences": [each.model_dump() for each in self.differences],
            "animate": self.animate.public_dict(),
            "replace": self.replace.public_dict(),
        }

    def public_json(self) -> str:
        return json_text(self.public_dict(), indent=2)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = [
            (each.what, f"animate: {inert(each.animate)}<br>replace: {inert(each.replace)}")
            for each in self.differences
        ]
        return card(f"<b>{inert(self.reason)}</b>", table(rows), self.shown._repr_html_())


def compare(animate: Report, replace: Report, profile: Profile) -> ModeComparison:
    """Which of two reports on one pair is better, and why. Both carry their evidence.

    Raises:
        EvidenceMissing: they do not.
    """
    better = _better(animate, replace, profile)
    if better is None:
        reason = _alike(animate, replace)
    else:
        won, lost = (animate, replace) if better == "animate" else (replace, animate)
        reason = _why(won, lost, profile)
    return ModeComparison(
        better=better,
        reason=reason,
        differences=_differences(animate, replace),
        animate=animate,
        replace=replace,
    )


def _differences(animate: Report, replace: Report) -> tuple[ModeDifference, ...]:
    rows = [
        ("verdict", *(f"{_verdict(r)}, {r.score:.1f} of 100" for r in (animate, replace))),
        ("shape", _shape(animate, "image"), _shape(replace, "video")),
        ("background", "the image's", "the video's"),
        (
            "proportions",
            "the image's, if the service adapts the skeleton",
            "the video's: not adapted",
        ),
        ("person", *(_person(r) for r in (animate, replace))),
        ("cost", *(_cost(r) for r in (animate, replace))),
    ]
    return tuple(ModeDifference(what=what, animate=a, replace=b) for what, a, b in rows)


def _shape(report: Report, which: str) -> str:
    if report.output is None:
        return f"the {which}'s"
    out = report.output
    bars = f"{out.bars_px} px of bars" if out.bars_px else "no bars"
    return f"the {which}'s: {out.width} × {out.height}, {bars}"


def _person(report: Report) -> str:
    ratio = None if report.output is None else report.output.person_ratio
    if ratio is None:
        return "not known"
    return f"{ratio:.2f} times as large as in the video"


def _cost(report: Report) -> str:
    return "not known" if report.cost is None else price(report.cost)


def _better(animate: Report, replace: Report, profile: Profile) -> Mode | None:
    ranks = _RANK[animate.verdict], _RANK[replace.verdict]
    if ranks[0] != ranks[1]:
        return "animate" if ranks[0] > ranks[1] else "replace"
    if abs(animate.score - replace.score) <= profile.limit("score_noise"):
        return None
    return "animate" if animate.score > replace.score else "replace"


def _alike(animate: Report, replace: Report) -> str:
    if animate.output is None:
        return "neither mode can be judged: a file cannot be read"
    return (
        f"both modes fit alike ({animate.score:.1f} and {replace.score:.1f} of 100): choose by "
        "what you want to see, the image's background (animate) or the video's (replace)"
    )


def _why(won: Report, lost: Report, profile: Profile) -> str:
    """`animate fits better, 79.8 against 66.1 of 100: … and …`."""
    here, there = f"{won.score:.1f}", f"{lost.score:.1f}"
    if won.verdict != lost.verdict:
        here, there = f"{_verdict(won)} at {here}", f"{_verdict(lost)} at {there}"
    said = f"{won.mode} fits better, {here} against {there} of 100"
    if won.verdict == "not_ready":
        said += ", though neither is ready"
    reasons = _reasons(won, lost, profile)
    return f"{said}: {' and '.join(reasons)}" if reasons else said


def _verdict(report: Report) -> str:
    return report.verdict.replace("_", " ")


# ------------------------------------------------------------------ reasons


def _reasons(won: Report, lost: Report, profile: Profile) -> list[str]:
    """What costs the pair more in the other mode, in words, most first."""
    gains = gain_by_check(won, lost, profile)
    in_favour = sum(gain for gain in gains.values() if gain > 0)
    found: dict[str, float] = {}
    for code, gain in gains.items():
        words = _words(code, won, lost)
        found[words] = found.get(words, 0.0) + gain
    ordered = sorted(found.items(), key=lambda item: -item[1])
    told = [words for words, gain in ordered if gain > _LEAST_SHARE * in_favour]
    graver = _graver(won, lost)
    if graver is not None:
        words = _words(graver.code, won, lost)
        told = [words, *(other for other in told if other != words)]
    return told[:_MOST_REASONS]


def gain_by_check(won: Report, lost: Report, profile: Profile) -> dict[str, float]:
    """By code, how much less a check takes of the score in the mode that won, as a share of it."""
    here, there = _losses(won, profile), _losses(lost, profile)
    return {code: there[code] - here[code] for code in here}


def _losses(report: Report, profile: Profile) -> dict[str, float]:
    image, video = report.evidence()
    context = PairContext(image, video, report.mode, report.resolution, profile)
    rules = [rule for rule in RULES if rule.code not in report.deselected]
    return effects(evaluate(context, rules), report.mode, profile)


def _graver(won: Report, lost: Report) -> Finding | None:
    """What the verdict of the other mode comes from, where the better one has it less grave."""
    if won.verdict == lost.verdict:
        return None
    here = {finding.code: finding.severity.rank for finding in won.findings}
    worst = Severity.ERROR if lost.verdict == "not_ready" else Severity.WARNING
    for finding in lost.findings:
        if finding.severity is worst and here.get(finding.code, -1) < worst.rank:
            return finding
    return None


_FRAMING = ("WP301", "WP302", "WP303", "WP305", "WP306", "WP307")
_FACE_IN_VIDEO = ("WP509", "WP514")


def _words(code: str, won: Report, lost: Report) -> str:
    """Why a check takes less in the mode that won; one text for all checks of one reason."""
    if code == "WP202" and won.output is not None and lost.output is not None:
        which = "image" if won.mode == "animate" else "video"
        return (
            f"the {which}, whose shape the result then takes, needs {won.output.bars_px} px of "
            f"bars and not {lost.output.bars_px}"
        )
    if code == "WP404" and lost.mode == "replace":
        return "replace does not adapt the body's proportions, which differ"
    if code in _FRAMING and won.mode == "replace":
        ratio = lost.measures.first.zoom_ratio
        seen = "" if ratio is None else f" ({ratio:.2f} times as large as in the video)"
        return (
            "the video alone decides the frame, so that it matters less where and how large the "
            f"person stands in the image{seen}"
        )
    if code in _FACE_IN_VIDEO:
        if won.mode == "animate":
            return "the face is taken from the video's own pixels, before they are scaled down"
        return "the face is taken from the video after it is scaled up to the result's size"
    return f"the {BY_CODE[code].name.replace('-', ' ')} ({code}) weighs less there"
