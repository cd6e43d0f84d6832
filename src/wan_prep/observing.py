"""From the path of a file to its `Evidence`: probe, decode, find people, and keep numbers only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2

from wan_prep.errors import MediaUnreadable, WanPrepError
from wan_prep.evidence import Defect, Evidence, Face, ModelId, Observation, Subject
from wan_prep.geometry import UNIT_BOX, Box
from wan_prep.media.bars import BarDetector
from wan_prep.media.cuts import mark_cuts
from wan_prep.media.files import FileState, open_check, unchanged
from wan_prep.media.frames import DecodedFrame, DecodeLog, decode, each_frame_at
from wan_prep.media.images import probe_image, read_image
from wan_prep.media.limits import ClipLimits
from wan_prep.media.picture import fit_size
from wan_prep.media.probe import probe_video
from wan_prep.media.stillness import FreezeDetector, FreezeLimits
from wan_prep.media.types import VideoInfo
from wan_prep.pose import body as bodies
from wan_prep.pose.body import Body
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import PoseEstimator, Rgb
from wan_prep.pose.people import CLOSE_SIDE_PX, WIDE_SIDE_PX, people_in_still
from wan_prep.pose.track import OtherPerson
from wan_prep.profile import Profile
from wan_prep.sampling import AHEAD, WORK_SIDE_PX, Sampler
from wan_prep.tracking import WINDOW, TrackedSample, track_subject, with_steady_facing

# Nothing that is checked may go unseen for longer than half a second. Short clips are sampled more
# densely, as far as the time for a check allows (docs/speed.md).
LONGEST_INTERVAL = Fraction(1, 2)
SHORTEST_INTERVAL = Fraction(1, 5)
SAMPLES_WANTED = 24
# Looks at the subject in a whole clip, so that one of a second or two costs as much as a longer one
# and gets several looks a sample. With three, one may be wrong; with five the view is right to 11
# degrees instead of 12.
LOOKS_WANTED = 45
LOOKS_MOST = 5
# In clips longer than this, from which on the model's drift is reported, frames that no other frame
# needs are not decoded, pictures are smaller, and a body that is alone is followed; every eighth
# sample is searched whole (docs/speed.md).
LONG_FROM_S = 20
LONG_SIDE_PX = 768
LONG_FULL_LOOK_EVERY = 8
# Others are looked for wherever the picture changes beside the people known, and at the end of
# every window in any case.
OTHERS_EVERY = WINDOW
# Distance of the intermediate frames, which tell when the subject appears or disappears, in s; and
# the memory they may take: of large frames fewer are kept (docs/speed.md).
FINEST_INTERVAL = Fraction(1, 10)
INTERMEDIATE_BYTES = 100_000_000
# Black bars last, so that every eighth picture of a long clip is enough to find them.
LONG_BARS_EVERY = 8

Progress = Callable[[float], None]


def _no_progress(_share: float) -> None:
    return None


def observe_image(
    path: str | Path,
    estimator: PoseEstimator,
    profile: Profile,
    *,
    person: PersonChoice = LARGEST,
) -> Evidence:
    """The evidence of a still picture, looked at for this person.

    Raises:
        InputPathError: the path cannot be opened as a file.  What is wrong *in* the file
            becomes a defect of the evidence instead.
        SourceChanged: somebody wrote the file meanwhile.
    """
    open_check(path)
    model = ModelId(name=estimator.name, sha256=estimator.sha256)
    with unchanged(FileState.of(path)):
        return _still_evidence(path, estimator, profile, model, person)


def _still_evidence(
    path: str | Path,
    estimator: PoseEstimator,
    profile: Profile,
    model: ModelId,
    person: PersonChoice,
) -> Evidence:
    max_pixels = int(profile.limit("image_pixels_max"))
    try:
        info = probe_image(path, max_pixels=max_pixels)
        full = read_image(path, info, max_pixels=max_pixels)
    except MediaUnreadable as exc:
        return _unreadable("image", path, model, exc, person)
    meter = BarDetector()
    rgb = _resized(full, fit_size(full.shape[1], full.shape[0], WORK_SIDE_PX))
    meter.add(rgb)
    body, more = people_in_still(rgb, estimator, person)
    subject = None if body is None else _subject(body, info.width)
    return Evidence(
        kind="image",
        path=str(path),
        info=info,
        pose_model=model,
        person=person,
        content=_content(meter),
        observations=(Observation(time=Fraction(0), subject=subject, **_others(more)),),
    )


class VideoReader:
    """A clip that is being decoded, for one call of `observe_video`; a context manager.

    Decoding begins here, so that the model can load and the image be looked at meanwhile.
    start, end: the part that counts, in s; `end` None is the end of the clip.
    every_frame: also decode frames that no other frame needs, to prove that all of them decode.

    Raises:
        InputPathError: the path cannot be opened as a file.
        WanPrepError: the clip ends before `start`.
    """

    def __init__(
        self,
        path: str | Path,
        profile: Profile,
        *,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        every_frame: bool = False,
    ) -> None:
        open_check(path)
        self.state = FileState.of(path)
        self.path, self.start, self.end = path, start, end
        self.info: VideoInfo | None = None
        self.defect: MediaUnreadable | None = None
        try:
            self.info = probe_video(path, limits=ClipLimits.of(profile))
        except MediaUnreadable as exc:
            self.defect = exc
            return
        if start >= self.info.duration:
            raise WanPrepError(
                f"{path}: the part from {float(start):g} s on is empty; the clip lasts "
                f"{float(self.info.duration):.2f} s"
            )
        stop = self.info.duration if end is None else min(end, self.info.duration)
        self.span = stop - start
        self.interval = min(LONGEST_INTERVAL, max(SHORTEST_INTERVAL, self.span / SAMPLES_WANTED))
        self.is_long = self.span > LONG_FROM_S
        self.log = DecodeLog()
        spared = self.is_long and not every_frame
        frames = decode(path, self.info, start=start, end=end, skip_nonref=spared, log=self.log)
        self.side_px = LONG_SIDE_PX if self.is_long else WORK_SIDE_PX
        self.still = FreezeDetector(still_limits(profile))
        self.stop = stop
        self.samples = Sampler(
            mark_cuts(_beginning_at(start, frames), on_glance=self.still.add),
            interval_s=self.interval,
            intermediate_s=intermediate_interval(self.info, self.interval),
            side_px=self.side_px,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.info is not None:
            self.samples.close()


def _beginning_at(start: Fraction, frames: Iterable[DecodedFrame]) -> Iterator[DecodedFrame]:
    """The same frames; one from before `start` that is displayed then gets `start` as time."""
    for frame in frames:
        yield frame if frame.time >= start else replace(frame, time=start)


def still_limits(profile: Profile) -> FreezeLimits:
    """The profile's limits of what counts as a picture that stands still."""
    return FreezeLimits(
        neighbour=profile.limit("still_neighbour_max"),
        drift=profile.limit("still_drift_max"),
        redrawn=profile.limit("still_redrawn_max"),
        shortest_s=Fraction(str(profile.limit("still_min"))),
    )


def intermediate_interval(info: VideoInfo, interval: Fraction) -> Fraction:
    """Distance of the intermediate frames in s: as many frames as fit into FINEST_INTERVAL, or more
    where INTERMEDIATE_BYTES do not suffice.

    interval: longest time between two samples, s.
    """
    bytes_per_sample = 1 if info.bit_depth <= 8 else 2
    # Mostly stored as 4:2:0, which has one and a half samples a pixel.
    frame_bytes = info.width * info.height * bytes_per_sample * 3 // 2
    most = INTERMEDIATE_BYTES // (frame_bytes * (AHEAD + 2))
    finest = max(1, int(FINEST_INTERVAL * info.fps)) / info.fps
    return max(finest, interval / (most + 1))


def observe_video(
    video: VideoReader,
    estimator: PoseEstimator,
    *,
    person: PersonChoice = LARGEST,
    progress: Progress = _no_progress,
) -> Evidence:
    """The evidence of a clip, or of the part of it that was opened.

    Samples are at most `LONGEST_INTERVAL` apart.  person: whom to follow.  progress: called with
    the share done, 0 … 1.

    Raises SourceChanged: somebody wrote the file since it was opened.
    """
    model = ModelId(name=estimator.name, sha256=estimator.sha256)
    with unchanged(video.state):
        return _clip_evidence(video, estimator, model, person, progress)


def _clip_evidence(
    video: VideoReader,
    estimator: PoseEstimator,
    model: ModelId,
    person: PersonChoice,
    progress: Progress,
) -> Evidence:
    if video.info is None:
        return _unreadable("video", video.path, model, video.defect, person)
    meter = BarDetector()
    # The template is larger than the other pictures of a long clip. Shrunk by way of its own size
    # it might come out a row higher than they are.
    bars_wh = fit_size(video.info.width, video.info.height, video.side_px)
    shown = 0

    def on_picture(rgb: Rgb) -> None:
        nonlocal shown
        if not video.is_long or shown % LONG_BARS_EVERY == 0:
            meter.add(_resized(rgb, bars_wh))
        shown += 1

    try:
        seen = track_subject(
            video.samples,
            estimator,
            person=person,
            looks=min(LOOKS_MOST, max(1, int(LOOKS_WANTED * video.interval / video.span))),
            full_look_every=LONG_FULL_LOOK_EVERY if video.is_long else 1,
            others_every=OTHERS_EVERY,
            detector_px=CLOSE_SIDE_PX if video.is_long else WIDE_SIDE_PX,
            on_picture=on_picture,
            on_progress=lambda time: progress(float((time - video.start) / video.span)),
        )
    except MediaUnreadable as exc:
        return _unreadable("video", video.path, model, exc, person)
    if not seen:
        nothing = MediaUnreadable("no_frames", "not one frame of it decodes")
        return _unreadable("video", video.path, model, nothing, person)
    evidence = _video_evidence(
        video.path, video.info, model, seen, meter, start=video.start, end=video.end
    )
    return evidence.changed(
        person=person,
        cuts=tuple(video.samples.cuts),
        still=video.still.spans(video.stop),
        sample_interval=video.interval,
        forms=tuple(video.log.forms),
        decode_errors=video.log.errors,
        decoded_until=video.samples.last_time,
    )


def observe_video_at(
    path: str | Path,
    estimator: PoseEstimator,
    times: Sequence[Fraction],
    profile: Profile,
    *,
    person: PersonChoice = LARGEST,
    person_at: Callable[[Fraction], PersonChoice] | None = None,
) -> Evidence:
    """The evidence of the frames displayed at exactly these times (s), in the order asked.

    Each frame is looked at like a still, for this person, and keeps its own time; front and back
    are then decided over all of them. One picture is in memory at a time.

    person_at: whom the frame of a time is looked at for, where the person is known to move.

    Raises SourceChanged: somebody wrote the file meanwhile.
    """
    open_check(path)
    model = ModelId(name=estimator.name, sha256=estimator.sha256)
    whom = person_at or (lambda _time: person)
    try:
        with unchanged(FileState.of(path)):
            info = probe_video(path, limits=ClipLimits.of(profile))
            meter = BarDetector()
            by_index = {
                index: _looked_at(frame, estimator, meter, whom(frame.time))
                for index, frame in each_frame_at(path, info, times)
            }
    except MediaUnreadable as exc:
        return _unreadable("video", path, model, exc, person)
    seen = _with_steady_facing_by_time([by_index[index] for index in range(len(times))])
    return _video_evidence(path, info, model, seen, meter).changed(person=person)


def _with_steady_facing_by_time(seen: list[TrackedSample]) -> list[TrackedSample]:
    """`with_steady_facing` in the order of time; returned in the order asked."""
    order = sorted(range(len(seen)), key=lambda i: seen[i].time)
    steady = with_steady_facing([seen[i] for i in order])
    back = dict(zip(order, steady, strict=True))
    return [back[i] for i in range(len(seen))]


def _looked_at(
    frame: DecodedFrame, estimator: PoseEstimator, meter: BarDetector, person: PersonChoice
) -> TrackedSample:
    rgb = frame.rgb(WORK_SIDE_PX)
    meter.add(rgb)
    subject, others = people_in_still(rgb, estimator, person)
    return TrackedSample(frame.time, 0, subject, tuple(others), repaired=False)


def _video_evidence(
    path: str | Path,
    info: VideoInfo,
    model: ModelId,
    seen: list[TrackedSample],
    meter: BarDetector,
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
) -> Evidence:
    observations = tuple(
        Observation(
            time=s.time,
            scene=s.scene,
            subject=None if s.subject is None else _subject(s.subject, info.width, s.repaired),
            **_others(s.others),
        )
        for s in seen
    )
    return Evidence(
        kind="video",
        path=str(path),
        info=info,
        pose_model=model,
        content=_content(meter),
        start=start,
        end=end,
        observations=observations,
    )


def _unreadable(
    kind: str,
    path: str | Path,
    model: ModelId,
    exc: MediaUnreadable | None,
    person: PersonChoice,
) -> Evidence:
    exc = exc or MediaUnreadable("corrupt", "it cannot be read")
    defect = Defect(kind=exc.kind, message=str(exc))
    return Evidence.model_validate(
        {
            "kind": kind,
            "path": str(path),
            "pose_model": model,
            "person": person,
            "defects": (defect,),
        }
    )


def _resized(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    """The picture in this (width, height)."""
    if size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _content(meter: BarDetector) -> Box:
    bars = meter.bars()
    box = Box(bars.left, bars.top, 1.0 - bars.right, 1.0 - bars.bottom)
    return box if box.area > 0 else UNIT_BOX


def _others(people: Sequence[OtherPerson]) -> dict[str, Any]:
    return {
        "others": tuple(person.box for person in people),
        "others_confidence": tuple(round(person.confidence, 3) for person in people),
    }


def _share_box(body: Body) -> Box:
    return bodies.body_box(body).scaled(1.0 / body.size.width, 1.0 / body.size.height)


def _subject(body: Body, full_width: int, repaired: bool = False) -> Subject:
    """A body as evidence: px of the picture looked at become fractions, and `px_per_m` that of the
    picture in its full size.

    full_width: of the upright picture, in px.
    """
    width, height = body.size
    scale = bodies.px_per_m(body)
    face = None
    if body.face is not None:
        face = Face(
            box=Box(*(round(v, 5) for v in body.face.box.scaled(1.0 / width, 1.0 / height))),
            yaw_deg=body.face.yaw_deg,
            pitch_deg=body.face.pitch_deg,
            confidence=body.face.confidence,
            span_px=None
            if body.face.span_px is None
            else round(body.face.span_px * full_width / width, 3),
            agreement=round(body.face.agreement, 5),
            roll_deg=body.face.roll_deg,
        )
    return Subject(
        keypoints_xy=body.keypoints_xy / (width, height),
        visibility=body.visibility,
        world_xyz=body.world_xyz,
        px_per_m=None if scale is None else scale * full_width / width,
        view_matrix=bodies.view_matrix(body),
        box=_share_box(body),
        crown_y=bodies.crown_y(body) / height,
        face=face,
        looks=body.looks,
        agreement=round(body.agreement, 5),
        turned=body.turned,
        repaired=repaired,
        is_head=body.is_head,
    )
