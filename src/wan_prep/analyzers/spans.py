"""Samples that share something as spans of time; spans, times and names in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wan_prep.evidence import Evidence, Observation

Spans = tuple[tuple[float, float], ...]
"""[start, end] in s each."""


def spans_where(video: Evidence, wanted: Callable[[Observation], bool]) -> Spans:
    """Spans from the first sample that is wanted to the next one that is not, or to the end; just
    the moments where single times were asked for instead of the clip."""
    spans: list[tuple[float, float]] = []
    end_of_clip = float(video.start + video.span)
    for i, observation in enumerate(video.observations):
        if not wanted(observation):
            continue
        begins = float(observation.time)
        if video.sample_interval is None:
            spans.append((begins, begins))
            continue
        following = video.observations[i + 1 :]
        ends = float(following[0].time) if following else end_of_clip
        if spans and abs(spans[-1][1] - begins) < 1e-9:
            spans[-1] = (spans[-1][0], ends)
        else:
            spans.append((begins, ends))
    return tuple(spans)


def spans_in_words(spans: Spans, most: int = 3) -> str:
    said = ", ".join(f"{a:.1f}-{b:.1f} s" if b > a else f"{a:.1f} s" for a, b in spans[:most])
    return said if len(spans) <= most else f"{said} and {len(spans) - most} more spans"


def nobody_in_words(evidence: Evidence) -> str:
    """Of a picture without a subject: nobody is there, or nobody whom it was looked at for."""
    if evidence.person.is_largest:
        return "nobody is recognised"
    return f"the person asked for ({evidence.person}) is not seen"


def in_words(names: Sequence[str]) -> str:
    """`top`, `top and left`, `top, left and right`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def times_in_words(times: Sequence[float], most: int = 4) -> str:
    said = ", ".join(f"{t:.1f}" for t in times[:most])
    return f"{said} s" if len(times) <= most else f"{said} s and {len(times) - most} more"
