"""Files looked at in this process: a path and a network become evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, Self

from wan_prep.errors import DependencyMissing, MediaUnreadable, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Profile
from wan_prep.remote.scratch import Scratch
from wan_prep.remote.sources import RemotePolicy, is_remote, shown

if TYPE_CHECKING:
    from wan_prep.cache.recall import Recalled
    from wan_prep.cache.store import Cache
    from wan_prep.pose.estimator import PoseFollower, Proposal, RawFace, RawPose, Rgb

    CacheLike = Cache | str | Path

PathLike = str | Path
PersonLike = PersonChoice | str | int
"""Whom a picture is looked at for: as on the command line, `left`, `2` or `0.3,0.5`."""
RemoteLike = RemotePolicy | Scratch
"""What may be fetched; or a scratch in which what was fetched stays for the next call."""
Progress = Callable[[str, float], None]
"""Called with what is being done and its share done, 0 … 1."""
Kind = Literal["image", "video"]


def quiet(_what: str, _share: float) -> None:
    return None


@dataclass(frozen=True)
class Look:
    """What of a file is looked at.

    kind: None decides by the content; an animation counts as a video then.
    start, end: the part of a clip that counts, in s; `end` None is the clip's own end.
    at: the frames displayed at these times, in s, instead of samples.
    """

    kind: Kind | None = None
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    at: tuple[Fraction, ...] | None = None
    person: PersonChoice = LARGEST
    name: str = "the file"
    """What messages call it."""


def look(
    file: PathLike,
    what: Look,
    network: PoseEstimator,
    figures: Profile,
    cache: CacheLike | None = None,
    progress: Progress = quiet,
) -> Evidence:
    """What is seen in a file on this disk.

    Raises WanPrepError: single times of a still.
    """
    actual = what.kind or kind_of(file, figures)
    if what.at is not None:
        if actual == "image":
            raise WanPrepError(f"{what.name}: a still has no times; --at is for videos")
        from wan_prep.observing import observe_video_at

        return observe_video_at(file, network, what.at, figures, person=what.person)
    looking = Looking(network, figures, cache, progress)
    if actual == "image":
        return looking.at_image(file, what.person)
    with ExitStack() as stack:
        return looking.begin_video(file, what.person, what.start, what.end, stack)()


def at_hand(
    given: PathLike | Evidence, scratch: Scratch, progress: Progress
) -> PathLike | Evidence:
    """A path where the content of an address is; a path or evidence as it is."""
    if isinstance(given, Evidence):
        return given
    return scratch.local(given, progress=progress)


def named(seen: Evidence, file: PathLike | Evidence, source: PathLike | Evidence) -> Evidence:
    """The evidence of `file` under the name of the address that it was fetched from."""
    if file is source or isinstance(source, Evidence):
        return seen
    name = shown(source)
    info = seen.info and seen.info.model_copy(update={"path": name})
    defects = tuple(
        each.model_copy(update={"message": each.message.replace(str(file), name)})
        for each in seen.defects
    )
    return seen.model_copy(update={"path": name, "info": info, "defects": defects})


def person_in(given: PathLike | Evidence, asked: PersonLike | None) -> PersonChoice:
    """Whom this file is looked at for.

    Raises:
        WanPrepError: the choice cannot be read, or is not the one the evidence was made for.
    """
    person = PersonChoice.of(asked)
    if not isinstance(given, Evidence) or asked is None or person == given.person:
        return person
    raise WanPrepError(
        f"the evidence of {given.path} was looked at for the person {given.person}, and not for "
        f"{person}; observe the file again: wan_prep.observe(path, person={str(person)!r})"
    )


class Looking:
    """Looks at files with one network, unless evidence is given or a cache has it."""

    def __init__(
        self,
        network: PoseEstimator,
        figures: Profile,
        cache: CacheLike | None,
        progress: Progress,
    ) -> None:
        self._network, self._figures, self._progress = network, figures, progress
        self._cache = cache

    def at_image(self, path: PathLike | Evidence, person: PersonChoice) -> Evidence:
        if isinstance(path, Evidence):
            return path
        known = self._recalled(path, "image", person=person)
        if known.evidence is not None:
            return known.evidence
        from wan_prep.observing import observe_image

        self._progress("looking at the image", 0.0)
        return known.kept(observe_image(path, self._network, self._figures, person=person))

    def begin_video(
        self,
        path: PathLike | Evidence,
        person: PersonChoice,
        start: Fraction,
        end: Fraction | None,
        stack: ExitStack,
    ) -> Callable[[], Evidence]:
        """Begin to decode a clip, until `stack` is closed; what is returned looks at it."""
        if isinstance(path, Evidence):
            seen_already = path
            return lambda: seen_already
        known = self._recalled(path, "video", person=person, start=start, end=end)
        if known.evidence is not None:
            evidence = known.evidence
            return lambda: evidence
        from wan_prep.observing import VideoReader, observe_video

        opened = stack.enter_context(VideoReader(path, self._figures, start=start, end=end))

        def see() -> Evidence:
            seen = observe_video(
                opened,
                self._network,
                person=person,
                progress=lambda share: self._progress("looking at the video", share),
            )
            return known.kept(seen)

        return see

    def _recalled(
        self,
        path: PathLike,
        kind: Kind,
        *,
        person: PersonChoice,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
    ) -> Recalled:
        from wan_prep.cache.recall import recall
        from wan_prep.cache.store import Cache

        return recall(
            Cache.of(self._cache),
            path,
            kind,
            self._network,
            self._figures,
            person=person,
            start=start,
            end=end,
        )


def kind_of(path: PathLike, profile: Profile) -> Kind:
    """What a file counts as, by its content; an animation as a video."""
    from wan_prep.media.images import probe_image

    try:
        info = probe_image(path, max_pixels=int(profile.limit("image_pixels_max")))
    except MediaUnreadable as exc:
        is_picture = exc.kind in ("too_large", "truncated", "corrupt", "unsupported")
        return "image" if is_picture else "video"
    return "video" if info.frame_count > 1 else "image"


def part_of_clip(
    start: float | Fraction, end: float | Fraction | None
) -> tuple[Fraction, Fraction | None]:
    begin = exact_s(start)
    stop = None if end is None else exact_s(end)
    if begin < 0 or (stop is not None and stop <= begin):
        shown = "its end" if stop is None else f"{float(stop):g} s"
        raise WanPrepError(
            f"the part from {float(begin):g} s to {shown} is empty; expected 0 <= start < end"
        )
    return begin, stop


def moments(at: Sequence[float | Fraction]) -> tuple[Fraction, ...]:
    times = tuple(exact_s(t) for t in at)
    if not times or min(times) < 0:
        shown = f"{float(min(times)):g} s" if times else "none"
        raise WanPrepError(f"expected times of 0 s or more to look at, found {shown}")
    return times


def must_be_shown(times: Sequence[Fraction], seen: Evidence) -> None:
    """After the clip's end no frame is displayed; the last one must not stand in for it."""
    if seen.video_info is not None and max(times) >= seen.video_info.duration:
        raise WanPrepError(
            f"{seen.path}: nothing is displayed at {float(max(times)):g} s; the clip lasts "
            f"{float(seen.video_info.duration):.2f} s"
        )


def exact_s(value: float | Fraction) -> Fraction:
    """A time in s as it was written.

    Raises:
        WanPrepError: not a finite number.
    """
    try:
        # Through its shortest decimal form: 0.1 means a tenth, not the float next to it.
        return value if isinstance(value, Fraction) else Fraction(str(value))
    except (ValueError, ArithmeticError) as exc:
        raise WanPrepError(f"{value!r} is not a time in seconds") from exc


def must_open(path: PathLike) -> None:
    """An address is looked at when it is fetched."""
    _import_native()
    from wan_prep.media.files import open_check

    if not is_remote(path):
        open_check(path)


def _import_native() -> None:
    """OpenCV's wheel links two system libraries that slim containers lack."""
    try:
        import cv2  # noqa: F401
    except ImportError as exc:
        raise DependencyMissing(
            f"OpenCV cannot be loaded ({exc}); on Debian and Ubuntu: "
            "apt-get install libgl1 libglib2.0-0"
        ) from exc


def network(pose_model: PathLike | None = None) -> Estimating:
    """A pose network to hand to several calls, as a context manager that closes it at the end.

    It is loaded when something is first looked at with it.
    """
    return Estimating(None, pose_model, needed=True)


class Estimating:
    """The estimator that was handed in, or one of our own that is closed at the end."""

    def __init__(
        self, given: PoseEstimator | None, pose_model: PathLike | None, needed: bool
    ) -> None:
        self._given, self._pose_model, self._needed = given, pose_model, needed
        self._own: _LoadedOnUse | None = None

    def __enter__(self) -> PoseEstimator:
        if self._given is not None:
            return self._given
        if not self._needed:
            return None  # type: ignore[return-value]  # nothing is going to be observed
        self._own = _LoadedOnUse(self._pose_model)
        return self._own

    def __exit__(self, *exc: object) -> None:
        if self._own is not None:
            self._own.__exit__(*exc)


class _LoadedOnUse:
    """The shipped networks, or another pose bundle, loaded when something is first looked at.

    Until then it is only known which they are: what a cache knows is seen without them.

    Raises PoseModelError: the bundle is missing, or not a pose bundle.
    """

    def __init__(self, pose_model: PathLike | None) -> None:
        _import_native()
        from wan_prep.pose.mediapipe import identity_of

        self._path = None if pose_model is None else Path(pose_model)
        self.name, self.sha256 = identity_of(self._path)
        self._lock = Lock()
        self._made: PoseEstimator | None = None

    @property
    def _loaded(self) -> PoseEstimator:
        with self._lock:
            if self._made is None:
                from wan_prep.pose.mediapipe import MediapipeEstimator

                self._made = MediapipeEstimator(self._path)
            return self._made

    def poses(self, rgb: Rgb) -> list[RawPose]:
        return self._loaded.poses(rgb)

    def proposals(self, rgb: Rgb, side_px: int) -> list[Proposal]:
        return self._loaded.proposals(rgb, side_px)

    def follower(self) -> PoseFollower:
        return self._loaded.follower()

    def face(self, rgb: Rgb) -> RawFace | None:
        return self._loaded.face(rgb)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._made is not None:
            self._made.__exit__(None, None, None)
