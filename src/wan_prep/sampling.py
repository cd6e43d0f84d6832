"""Choose the frames of a clip that are looked at, in one pass over all of them.

Decoding runs in a thread of its own, a few samples ahead, and starts when a `Sampler` is made, so
that the pose model can load and the image be looked at meanwhile.  Decoder and inference release
the interpreter lock, so they run in parallel.
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
AHEAD = 5
"""Samples decoded ahead; each holds a picture of at most WORK_SIDE_PX and its intermediate frames.
More do not help (docs/speed.md)."""


class SampledFrame(NamedTuple):
    """A sample with its picture and the intermediate frames before it."""

    sample: TrackSample
    rgb: Rgb
    intermediate_frames: tuple[Frame, ...] = ()
    """Some frames between the sample before and this one, in case the subject came or left."""


class Sampler:
    """Iterates the samples of a clip with their pictures; use it as a context manager.

    frames: (frame, whether a new shot begins with it), in the order of time.
    interval_s: samples are at most this far apart, where frames are; besides, the first frame of
    every shot and the last frame of the clip are samples.
    intermediate_s: distance of the intermediate frames kept between two samples; None keeps none.
    side_px: longest side of the pictures, except for the first one, the template: WORK_SIDE_PX.
    ahead: how many samples are decoded ahead.

    After the iteration `cuts` (s), `frames` (count) and `last_time` (s) are complete.  What the
    decoder raises is raised by the iteration.
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
        """Stop decoding and close the file."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        sampled = self._pick()
        try:
            for item in sampled:
                if not self._offer(item):
                    return
            self._offer(None)
        except BaseException as exc:  # raised again by __iter__, in the caller's thread
            self._offer(exc)
        finally:
            sampled.close()
            self._source = ()

    def _offer(self, item: SampledFrame | BaseException | None) -> bool:
        """Put an item into the queue; False if the sampler is closed before there is room."""
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
                # The frame before this one is the last that is within the interval.
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
