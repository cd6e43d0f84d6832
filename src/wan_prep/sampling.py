"""Which frames of a clip are looked at, chosen while all of them pass by once.

Decoding runs in a thread of its own, a few samples ahead, from the moment a `Sampler` is made:
the pose model loads and the image is looked at meanwhile.  Decoder and inference both leave the
interpreter lock, so they share the machine's cores.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import NamedTuple, Self

from wan_prep.pose.estimator import Rgb
from wan_prep.pose.track import TrackSample
from wan_prep.pose.window import Frame

WORK_SIDE_PX = 1280
"""Longest side of the pictures looked at: the long side of the endpoint's 720p class (seed)."""
AHEAD = 6
"""Samples decoded ahead; each holds a picture of at most WORK_SIDE_PX and its intermediate frames.
Measured: 24 instead of 8 make a 120 s clip no faster, looking is the slower half."""


class SampledFrame(NamedTuple):
    """A sample and its picture."""

    sample: TrackSample
    rgb: Rgb
    intermediate_frames: tuple[Frame, ...] = ()
    """Frames between the sample before and this one, in case something changed there."""


class Sampler:
    """Iterates the samples of a clip with their pictures; use it as a context manager.

    A frame is sampled before more than `interval_s` has gone by since the last one, at the
    beginning of every shot, and at the end.  Between two samples of one shot frames
    `intermediate_s` or a little more apart are kept as they are; None keeps none.  Pictures are
    `side_px` long at most, the first one, the model's template, WORK_SIDE_PX.  `cuts`, `frames` and
    `last_time` are complete once the iteration has ended; an error of the decoder is raised there.
    """

    def __init__(
        self,
        frames: Iterable[tuple[Frame, bool]],
        *,
        interval_s: Fraction,
        intermediate_s: Fraction | None = None,
        side_px: int = WORK_SIDE_PX,
        ahead: int = AHEAD,
    ) -> None:
        self.cuts: list[Fraction] = []
        self.frames = 0
        self.last_time: Fraction | None = None
        self._source = frames
        self._interval_s, self._side_px = interval_s, side_px
        self._intermediate_s = intermediate_s
        self._waiting: queue.Queue[SampledFrame | BaseException | None] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wan-prep-decode", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[SampledFrame]:
        while not self._stop.is_set():
            try:
                item = self._waiting.get(timeout=0.5)
            except queue.Empty:
                if self._thread.is_alive():
                    continue
                return
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the decoding, wherever it is, and free the file."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        sampled = self._pick()
        try:
            for item in sampled:
                if not self._offer(item):
                    return
            self._offer(None)
        except BaseException as exc:  # handed to whoever iterates, which raises it
            self._offer(exc)
        finally:
            sampled.close()
            self._source = ()

    def _offer(self, item: SampledFrame | BaseException | None) -> bool:
        """Whether the item found a place before the sampler was closed."""
        while not self._stop.is_set():
            try:
                self._waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _pick(self) -> Generator[SampledFrame]:
        last_sampled: Fraction | None = None
        waiting: Frame | None = None
        intermediate_frames: list[Frame] = []
        scene = 0
        for frame, cut in self._source:
            if self._stop.is_set():
                return
            self.frames += 1
            self.last_time = frame.time
            due = last_sampled is None or frame.time - last_sampled > self._interval_s
            if due and waiting is not None:
                # The frame before this one is the last that keeps the interval.
                yield self._sampled(waiting, scene, intermediate_frames)
                last_sampled, waiting, intermediate_frames = waiting.time, None, []
                due = frame.time - last_sampled > self._interval_s
            if cut:
                scene += 1
                self.cuts.append(frame.time)
            if last_sampled is None or due or cut:
                side_px = WORK_SIDE_PX if last_sampled is None else self._side_px
                yield SampledFrame(TrackSample(frame.time, scene), frame.rgb(side_px))
                last_sampled, waiting, intermediate_frames = frame.time, None, []
                continue
            waiting = frame
            last_kept = intermediate_frames[-1].time if intermediate_frames else last_sampled
            if self._intermediate_s is not None and frame.time - last_kept >= self._intermediate_s:
                intermediate_frames.append(frame)
        if waiting is not None:
            yield self._sampled(waiting, scene, intermediate_frames)

    def _sampled(self, frame: Frame, scene: int, intermediate_frames: list[Frame]) -> SampledFrame:
        between = tuple(s for s in intermediate_frames if s is not frame)
        return SampledFrame(TrackSample(frame.time, scene), frame.rgb(self._side_px), between)
