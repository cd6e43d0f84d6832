"""One report as one HTML file: nothing is loaded from anywhere, nothing from outside is markup.

Every text goes through `printable` and the template engine's escaping; pictures are JPEGs made
here; a content security policy in the file forbids whatever else might slip in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wan_prep.analyzers import BY_CODE
from wan_prep.analyzers.explanations import Explanation, explanation_of
from wan_prep.findings import Finding, Rule, Severity
from wan_prep.fragments import printable
from wan_prep.planning.model import Plan
from wan_prep.profile import Profile
from wan_prep.report.model import Report
from wan_prep.report.words import (
    APPLICABILITY_WORDS,
    PREDICTED,
    VERDICT_WORDS,
    grouped,
    image_line,
    price,
    result_rows,
    video_line,
)
from wan_prep.stills import Still
from wan_prep.visual import measured
from wan_prep.visual.annotated_frames import (
    AnnotatedFrame,
    Overlay,
    overlay,
    pair_annotated_frames,
    planned_crops,
)
from wan_prep.visual.drawing import Bone
from wan_prep.visual.pictures import Pictures
from wan_prep.visual.series import context_of
from wan_prep.visual.timeline_tracks import timeline

_TODO_MOST = 2
_WIDE = 1.2
"""Width over height from which pictures are laid out as wide ones, if all of them are."""
_IN_A_ROW, _IN_A_WIDE_ROW = 2, 4


def render_html(
    report: Report,
    pictures: Pictures,
    *,
    plan: Plan | None = None,
    after: tuple[Report, Pictures] | None = None,
    profile: Profile | None = None,
) -> str:
    """The page of a report, as one self-contained document.

    pictures: of `pair_pictures`; an empty `Pictures()` gives a page without pixels.
    plan: what `fix` would do, or did. after: the check of what it wrote, with its pictures.
    profile: the one the report was made with; None is the default one.

    Raises:
        EvidenceMissing: a report carries no evidence.
        WanPrepError: the report was made with another profile.
    """
    now = report if after is None else after[0]
    page = _pair_page(report, pictures, plan, profile) | {
        "now": now,
        "verdict_words": VERDICT_WORDS[now.verdict],
        "todo": _to_do(now),
        "findings": _described(now.findings),
        "predicted": PREDICTED,
    }
    page |= _after_page(report, after, profile)
    overlays = [o for o in (page.pop("overlay"), page.pop("after_overlay")) if o is not None]
    page["has_overlay"] = bool(overlays)
    page["is_wide"] = _are_wide(page["annotated_frames"])
    page["picture_rows"] = _picture_rows(page["annotated_frames"], overlays, page["is_wide"])
    script = asset("page.js")
    page |= {"style": asset("page.css"), "script": script, "policy": _policy(script)}
    return environment().get_template("report.html").render(page)


def _pair_page(
    report: Report, pictures: Pictures, plan: Plan | None, profile: Profile | None
) -> dict[str, Any]:
    """The template's variables for the pair that was checked."""
    context = context_of(report, profile)
    figures = context.profile
    annotated_frames = pair_annotated_frames(report, context, pictures)
    return {
        "report": report,
        "plan": plan,
        "annotated_frames": annotated_frames,
        "place_lines": _place_lines(annotated_frames),
        "overlay": overlay("Image over first frame", report, context, annotated_frames),
        "rows": measured.rows(report, context),
        "limbs": measured.limbs(report, context),
        "pose_tolerance": measured.tolerance_words(
            context.tolerance("pose"), figures, measured.degrees
        ),
        "edges": measured.gauge_edges(figures),
        "timeline": timeline(report, context, pictures.thumbnails, plan),
        "crops": () if plan is None else planned_crops(plan, context, annotated_frames),
        "names": {code: rule.name for code, rule in BY_CODE.items()},
        "rate": figures.service.usd_per_s[report.resolution],
    }


def _place_lines(annotated_frames: tuple[AnnotatedFrame, ...]) -> str:
    """What the lines over the pictures mark: `neck line`, `head line` or both."""
    names = {s.drawing.anchor_name for s in annotated_frames if s.drawing is not None}
    return f"{' and '.join(sorted(names, reverse=True)) or 'neck'} line"


def _picture_rows(
    annotated_frames: tuple[AnnotatedFrame, ...], overlays: Iterable[Overlay], is_wide: bool
) -> list[list[AnnotatedFrame | Overlay]]:
    """Rows of pictures, in order: image, first frame, overlays of the two, best start."""
    shown: list[AnnotatedFrame | Overlay] = [
        *annotated_frames[:2],
        *overlays,
        *annotated_frames[2:],
    ]
    most = _IN_A_WIDE_ROW if is_wide else _IN_A_ROW
    return [shown[k : k + most] for k in range(0, len(shown), most)]


def _are_wide(annotated_frames: tuple[AnnotatedFrame, ...]) -> bool:
    """Whether all pictures are so wide that they are placed above the measures, not beside them."""
    shapes = [s.still.width / s.still.height for s in annotated_frames]
    return bool(shapes) and min(shapes) > _WIDE


def _after_page(
    before: Report, after: tuple[Report, Pictures] | None, profile: Profile | None
) -> dict[str, Any]:
    """The template's variables for the pair that `fix` wrote."""
    if after is None:
        return {"after": None, "after_overlay": None, "after_rows": {}, "mended": []}
    report, pictures = after
    context = context_of(report, profile)
    annotated_frames = pair_annotated_frames(report, context, pictures, prefix="after-")
    left = {finding.code for finding in report.findings}
    return {
        "after": report,
        "after_overlay": overlay("The same after the fix", report, context, annotated_frames),
        "after_rows": {row.code: row for row in measured.rows(report, context)},
        "mended": _described([f for f in before.findings if f.code not in left]),
    }


@dataclass(frozen=True)
class _Entry:
    """One entry in the list of findings; several findings that say the same share one."""

    codes: tuple[str, ...]
    finding: Finding
    word: str
    measured: str
    how: str
    rule: Rule
    explanation: Explanation


def _described(findings: Iterable[Finding]) -> list[_Entry]:
    return [
        _Entry(
            codes=tuple(codes),
            finding=finding,
            word="unknown" if finding.status == "inconclusive" else finding.severity.value,
            measured=_figures(finding),
            how="" if finding.fix is None else APPLICABILITY_WORDS[finding.fix.applicability],
            rule=BY_CODE[codes[0]],
            explanation=explanation_of(codes[0]),
        )
        for codes, finding in grouped(findings)
    ]


def _figures(finding: Finding) -> str:
    """A finding's numbers in words: `measured 1.25, fine is 1.01 (ratio)`."""
    if finding.measured is None:
        return ""
    said = f"measured {_number(finding.measured)}"
    if finding.limit is not None:
        said += f", fine is {_number(finding.limit)}"
    if finding.unit:
        said += f" ({finding.unit})"
    return said


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else value


def _to_do(report: Report) -> list[_Entry]:
    """Entries for the gravest one or two findings that have different fixes."""
    serious = [f for f in report.findings if f.severity is not Severity.INFO]
    chosen: dict[str, _Entry] = {}
    for entry in _described(serious):
        remedy = entry.finding.fix.title if entry.finding.fix else entry.finding.message
        chosen.setdefault(remedy, entry)
    return list(chosen.values())[:_TODO_MOST]


def _policy(script: str) -> str:
    """A content security policy that allows inline styles, inline pictures and this one script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("wan_prep.visual"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Control characters in any text that the template writes become visible.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    made.filters |= {
        "bones": _bones,
        "data_uri": _data_uri,
        "image_line": image_line,
        "name": _name,
        "percent": lambda share: f"{100 * share:.3f}%",
        "price": price,
        "result_rows": result_rows,
        "short": lambda value: f"{value:.1f}".removesuffix(".0"),
        "video_line": video_line,
    }
    return made


def asset(name: str) -> Markup:
    """A file of this package, which needs no escaping."""
    text = (resources.files("wan_prep.visual") / "templates" / name).read_text("utf-8")
    return Markup(text)


def _data_uri(still: Still) -> Markup:
    return Markup("data:image/jpeg;base64," + base64.b64encode(still.jpeg).decode())


def _bones(lines: Iterable[Bone]) -> str:
    return "".join(f"M{b.x1:.1f} {b.y1:.1f}L{b.x2:.1f} {b.y2:.1f}" for b in lines)


def _name(path: str) -> str:
    """The file's name without its folders, whichever system wrote the path."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or path
