"""What the terminal and the page say alike."""

from __future__ import annotations

from collections.abc import Iterable

from wan_prep.findings import Applicability, Finding, Severity
from wan_prep.report.model import CostFigures, ImageFacts, Verdict, VideoFacts

VERDICT_WORDS: dict[Verdict, str] = {
    "ready": "ready to submit",
    "risky": "it may work; read the warnings before you pay",
    "not_ready": "do not submit it as it is: the money would very likely be wasted",
}
APPLICABILITY_WORDS = {
    Applicability.SAFE: "fix can do it",
    Applicability.UNSAFE: "fix can do it, at a cost: --unsafe-fixes",
    Applicability.MANUAL: "by hand",
}


def grouped(findings: Iterable[Finding]) -> list[tuple[list[str], Finding]]:
    """Findings that say the same thing (one missing body hides seven measures) become one."""
    groups: dict[tuple[str, Severity], tuple[list[str], Finding]] = {}
    for finding in findings:
        key = (finding.message, finding.severity)
        groups.setdefault(key, ([], finding))[0].append(finding.code)
    return list(groups.values())


def price(cost: CostFigures) -> str:
    """`$0.20`, or `$0.24 to $0.40` where the service's rounding decides."""
    low, high = cost.usd_low, cost.usd_high
    return f"${low:.2f}" if low == high else f"${low:.2f} to ${high:.2f}"


def image_line(facts: ImageFacts) -> str:
    if facts.width is None:
        return "not readable"
    return f"{facts.width} × {facts.height}, {facts.format}"


def video_line(facts: VideoFacts) -> str:
    if facts.width is None or facts.fps is None:
        return "not readable"
    rate = f"{facts.fps:.2f}".rstrip("0").rstrip(".")
    parts = [
        f"{facts.width} × {facts.height}",
        f"{facts.duration_s:.2f} s",
        f"{rate} fps{', variable' if facts.is_vfr else ''}",
        f"{facts.codec} in {facts.container}",
        "with sound" if facts.has_audio else "silent",
    ]
    told = [f"turned {facts.rotation_deg}°"] if facts.rotation_deg else []
    if facts.is_mirrored:
        told.append("mirrored")
    if told:
        parts.append(f"{' and '.join(told)} by metadata")
    return ", ".join(parts)
