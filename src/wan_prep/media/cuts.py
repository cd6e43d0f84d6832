"""Shot cuts, by PySceneDetect's adaptive detector, on frames that are decoded anyway."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Protocol, TypeVar

from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from wan_prep.media.picture import Rgb

# Frames before and after that a frame's change is compared with; a pan changes all of them.
_NEIGHBOURS = 2
# The detector only counts frames, and times are kept here, so the rate does not matter.
_COUNTING_RATE = 25.0
SHORTEST_SHOT = Fraction(1, 2)
"""s. A cut sooner after the one before belongs to the same change, as in an end card that is faded
in (docs/calibration.md): edited shots are not that short."""


class Glanced(Protocol):
    """A frame with its time and a tiny picture of itself."""

    @property
    def time(self) -> Fraction: ...

    def glance(self) -> Rgb: ...


FrameT = TypeVar("FrameT", bound=Glanced)


def mark_cuts(
    frames: Iterable[FrameT],
    *,
    on_glance: Callable[[Fraction, Rgb], None] = lambda _time, _glance: None,
) -> Iterator[tuple[FrameT, bool]]:
    """(frame, whether a new shot begins with it) for each frame, in order, two frames late.

    on_glance: given the time (s) and the tiny picture of every frame, in order.

    Every shot lasts SHORTEST_SHOT at least, but for the first and the last.  The detector gets the
    first and the last frame repeatedly, so that cuts next to either end have neighbours, too.
    """
    detector = AdaptiveDetector(window_width=_NEIGHBOURS, min_scene_len=1)
    held: deque[tuple[int, FrameT]] = deque()
    cuts: set[int] = set()
    count = 0
    last_cut: Fraction | None = None

    def feed(picture: Rgb, times: int) -> None:
        nonlocal count
        for _ in range(times):
            found = detector.process_frame(FrameTimecode(count, _COUNTING_RATE), picture)
            cuts.update(cut.frame_num for cut in found)
            count += 1

    def marked(number: int, frame: FrameT) -> tuple[FrameT, bool]:
        nonlocal last_cut
        if number not in cuts or (last_cut is not None and frame.time - last_cut < SHORTEST_SHOT):
            return frame, False
        last_cut = frame.time
        return frame, True

    for frame in frames:
        held.append((count if held or count else _NEIGHBOURS, frame))
        picture = frame.glance()
        on_glance(frame.time, picture)
        feed(picture, 1 if count else _NEIGHBOURS + 1)
        while len(held) > _NEIGHBOURS:
            yield marked(*held.popleft())
    if held:
        feed(picture, _NEIGHBOURS)
    for number, frame in held:
        yield marked(number, frame)
