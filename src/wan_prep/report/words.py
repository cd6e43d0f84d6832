"""What the terminal and the page say alike."""

from __future__ import annotations

from collections.abc import Iterable

from wan_prep.findings import Applicability, Finding, Severity
from wan_prep.report.model import CostFigures, ImageFacts, Output, Verdict, VideoFacts

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


PREDICTED = "if the service runs the official preprocessing (wan source)"
_ALIKE = 1.05
"""Ratio of sizes below which two people are said to be about as large."""


def result_rows(output: Output) -> list[tuple[str, str]]:
    """What comes out, as (what, in words) rows; what a report does not tell is left out."""
    bars = f"{output.bars_px} px of black bars" if output.bars_px else "no bars"
    rows = [("size", f"{output.width} × {output.height} px, {bars}")]
    if output.frames is not None and output.duration_s is not None and output.fps is not None:
        frames = f"{output.frames} frame{'' if output.frames == 1 else 's'}"
        rows.append(("length", f"{output.duration_s:.2f} s: {frames} at {output.fps:g} fps"))
    rows.append(("rendered in", segments_line(output)))
    if output.person_from is not None:
        rows.append(("person", person_line(output)))
    return rows


def segments_line(output: Output) -> str:
    """`4 segments of 77 frames that share 1 or 5; 65 frames fill the last one and are cut off`."""
    most = max(output.segments, output.segments_most or 0)
    count = f"{output.segments}" if most == output.segments else f"{output.segments} to {most}"
    line = f"{count} segment{'' if most == 1 else 's'}"
    if output.segment_frames is None:
        return line
    line += f" of {output.segment_frames} frames"
    if most > 1:
        line += f" that share {output.segment_overlap} or {output.segment_overlap_most}"
    filler = output.filler_frames
    if filler:
        is_one = filler == 1
        line += f"; {filler} frame{'' if is_one else 's'} more than the clip has "
        line += f"{'is' if is_one else 'are'} rendered and cut off"
    return line


def person_line(output: Output) -> str:
    """How large the person will be, and which file that follows from."""
    ratio = output.person_ratio
    if ratio is None:
        return "not known: their size in image and video could not be compared"
    if max(ratio, 1.0 / ratio) < _ALIKE:
        return "about as large as in the video, by the picture's height"
    if output.person_from == "video":
        return (
            f"{ratio:.2f} times as large as in the video, by the picture's height: the video is "
            "fitted into the image's shape"
        )
    return (
        f"{ratio:.2f} times as large as in the video, by the picture's height, if the result "
        "follows the image's framing, as users report of such models"
    )


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
