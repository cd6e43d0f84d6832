"""The shapes of a timeline: each track is 1 wide and 1 high, y down; the page scales it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wan_prep.profile import Severities, Tolerance
from wan_prep.visual.series import TimelineSample

_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60)
_TICKS_MOST = 8


@dataclass(frozen=True)
class Axis:
    """The part of the clip that is shown, in s."""

    start_s: float
    end_s: float

    def share(self, time_s: float) -> float:
        """The place of a time (s) on the axis: 0 at its start, 1 at its end, clipped to both."""
        span = max(self.end_s - self.start_s, 1e-9)
        return min(1.0, max(0.0, (time_s - self.start_s) / span))

    def ticks_s(self) -> list[float]:
        """Round times on the axis, in s."""
        span = self.end_s - self.start_s
        step = next((s for s in _STEPS_S if span / s < _TICKS_MOST), _STEPS_S[-1])
        first = math.ceil(self.start_s / step - 1e-9)
        last = math.floor(self.end_s / step + 1e-9)
        return [round(k * step, 3) for k in range(first, last + 1)]


@dataclass(frozen=True)
class Band:
    """The heights of a track at which the measure is in one state: fine, info, warning or error."""

    state: str
    top: float
    bottom: float


@dataclass(frozen=True)
class Curve:
    """A measure over time: `path` as an SVG path in a box of 1000 x 100; `dots`, in shares of the
    track, for samples without a neighbour."""

    path: str
    dots: tuple[tuple[float, float], ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Cell:
    """The part of the axis that one sample stands for, in shares of it."""

    left: float
    width: float
    sample: TimelineSample


def limits(tolerance: Tolerance, severity: Severities) -> tuple[float, float, float]:
    """Values of the measure at which a note, a warning and an error begin."""
    return (
        tolerance.measured_at(severity.pass_from),
        tolerance.measured_at(severity.warning_below),
        tolerance.measured_at(severity.error_below),
    )


def curve(
    samples: Sequence[TimelineSample],
    axis: Axis,
    value: Callable[[TimelineSample], float | None],
    tolerance: Tolerance,
    severity: Severities,
    *,
    is_signed: bool = False,
) -> Curve:
    """The curve of one track. Values rise from its lower edge, `is_signed` ones from its middle."""
    note, warning, error = limits(tolerance, severity)
    values = [value(s) for s in samples]
    most = max([abs(v) for v in values if v is not None], default=0.0)
    reach = 1.08 * max(most, 1.25 * note)

    def y_of(v: float) -> float:
        share = min(1.0, max(-1.0, v / reach))
        return 0.5 - share / 2 if is_signed else 1.0 - share

    bands = _bands((0.0, note, warning, error, math.inf), ("fine", "info", "warning", "error"))
    if error < note:  # small values are the bad ones
        bands = _bands((0.0, error, warning, note, math.inf), ("error", "warning", "info", "fine"))
    shapes = [Band(state, y_of(high), y_of(low)) for state, low, high in bands if low < reach]
    if is_signed:
        shapes += [Band(b.state, 1.0 - b.bottom, 1.0 - b.top) for b in shapes]
    return Curve(
        *_joined(
            [
                (s.scene, axis.share(s.time_s), None if v is None else y_of(v))
                for s, v in zip(samples, values, strict=True)
            ]
        ),
        bands=tuple(shapes),
    )


def _bands(edges: Sequence[float], states: Sequence[str]) -> list[tuple[str, float, float]]:
    return [(s, a, b) for s, a, b in zip(states, edges[:-1], edges[1:], strict=True) if a < b]


def _joined(
    points: Sequence[tuple[int, float, float | None]],
) -> tuple[str, tuple[tuple[float, float], ...]]:
    """(SVG path through neighbouring samples of one shot, dots for samples without a neighbour).

    points: (number of the shot, x, y); y None where nothing was measured.
    """
    runs: list[list[tuple[float, float]]] = []
    before: int | None = None
    for scene, x, y in points:
        if y is None:
            before = None
            continue
        if before != scene:
            runs.append([])
        runs[-1].append((x, y))
        before = scene
    path = "".join(
        "".join(f"{'L' if k else 'M'}{1000 * x:.1f} {100 * y:.1f}" for k, (x, y) in enumerate(run))
        for run in runs
        if len(run) > 1
    )
    return path, tuple(run[0] for run in runs if len(run) == 1)


def cells(samples: Sequence[TimelineSample], axis: Axis) -> tuple[Cell, ...]:
    """The cell of each sample: it ends half way to the samples before and after."""
    times = [s.time_s for s in samples]
    edges = [
        axis.start_s,
        *((a + b) / 2 for a, b in pairwise(times)),
        axis.end_s,
    ]
    return tuple(
        Cell(axis.share(a), axis.share(b) - axis.share(a), sample)
        for sample, a, b in zip(samples, edges[:-1], edges[1:], strict=True)
    )
