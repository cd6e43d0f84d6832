"""Files looked at and judged: from paths to evidence, from evidence to a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, Self, get_args

from wan_prep.errors import DependencyMissing, MediaUnreadable, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import Report, Tool

if TYPE_CHECKING:
    from wan_prep.cache.recall import Recalled
    from wan_prep.cache.store import Cache
    from wan_prep.pose.estimator import PoseFollower, Proposal, RawFace, RawPose, Rgb

    CacheLike = Cache | str | Path

PathLike = str | Path
PersonLike = PersonChoice | str | int
"""Whom a picture is looked at for: as on the command line, `left`, `2` or `0.3,0.5`."""
Progress = Callable[[str, float], None]
"""Called with what is being done and its share done, 0 … 1."""


def quiet(_what: str, _share: float) -> None:
    return None


def tool() -> Tool:
    return Tool(name="wan-prep", version=metadata.version("wan-prep"))


def check(
    image: PathLike | Evidence,
    video: PathLike | Evidence,
    *,
    mode: Mode = "animate",
    resolution: Resolution = "480p",
    start: float | Fraction = 0,
    end: float | Fraction | None = None,
    person: PersonLike | None = None,
    image_person: PersonLike | None = None,
    video_person: PersonLike | None = None,
    profile: Profile | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    pose_model: PathLike | None = None,
    estimator: PoseEstimator | None = None,
    cache: CacheLike | None = None,
    progress: Progress = quiet,
) -> Report:
    """Judge whether a reference image and a driving video fit together.

    image, video: paths, or evidence from `observe`, which is not looked at again.
    start, end: the part of the clip that counts, in s from its first frame; `start` becomes the
        first frame. They apply to a path; evidence has its own.
    person: whom to look at where there are several people: `largest` (the main one, the default),
        `left`, `right`, `center`, a number from 1 from left to right, or `X,Y` in fractions of the
        picture. image_person, video_person: in that file, instead. They apply to paths, too.
    estimator: another pose network behind the same protocol; it is not closed.
    cache: what is seen in a file is kept here, and a file that is known is not looked at again; a
        `Cache`, or a folder. None: nothing is kept, because whoever calls a library does not expect
        it to write to their disk.

    What is wrong with the files or the pair is in the report's findings.

    Raises:
        InputPathError: a path is missing or not a regular file.
        WanPrepError: a setting that cannot be (an unknown check, an empty part of the clip).
    """
    figures = profile or default_profile()
    selection = selection_of(mode, resolution, select, ignore)
    persons = {
        kind: person_in(given, person if own is None else own)
        for kind, given, own in (
            ("image", image, image_person),
            ("video", video, video_person),
        )
    }
    begin, stop = _part(start, end)
    if isinstance(video, Evidence) and (begin > 0 or stop is not None):
        raise WanPrepError(
            "start and end apply to a path; observe the part of the clip instead: "
            "wan_prep.observe(video, start=…, end=…)"
        )
    for given in (image, video):
        if not isinstance(given, Evidence):
            _must_open(given)
    for given, kind in ((image, "image"), (video, "video")):
        if isinstance(given, Evidence) and given.kind != kind:
            raise WanPrepError(
                f"expected evidence of {'an image' if kind == 'image' else 'a video'}, got that of "
                f"{given.path}, which was observed as {given.kind}"
            )
    needs_model = not (isinstance(image, Evidence) and isinstance(video, Evidence))
    with ExitStack() as stack:
        network = stack.enter_context(Estimating(estimator, pose_model, needs_model))
        looking = _Looking(network, figures, cache, progress)
        # The clip's decoding begins here and goes on while the model loads.
        see_video = looking.begin_video(video, persons["video"], begin, stop, stack)
        image_evidence = looking.at_image(image, persons["image"])
        video_evidence = see_video()
    return build_report(
        image_evidence,
        video_evidence,
        mode=mode,
        resolution=resolution,
        profile=figures,
        tool=tool(),
        selection=selection,
    )


def observe(
    path: PathLike,
    *,
    kind: Literal["image", "video"] | None = None,
    start: float | Fraction = 0,
    end: float | Fraction | None = None,
    at: Sequence[float | Fraction] | None = None,
    person: PersonLike | None = None,
    profile: Profile | None = None,
    pose_model: PathLike | None = None,
    estimator: PoseEstimator | None = None,
    cache: CacheLike | None = None,
    progress: Progress = quiet,
) -> Evidence:
    """What is seen in one file: numbers, no pixels; reusable in any number of pairs.

    kind: None decides by the content; an animation counts as a video then.
    at: look at the frames displayed at exactly these times instead of sampling the clip.
    person: whom to look at where there are several people, as for `check`; the one chosen in the
        first frame that shows them is followed through the clip. With `at` each frame stands alone.
    cache: as for `check`; what is seen `at` single times is not kept.

    Raises:
        InputPathError: the path is missing or not a regular file.
        WanPrepError: `end` before `start`, a negative time, one at which the clip is over, or `at`
            together with a part of the clip.
    """
    figures = profile or default_profile()
    begin, stop = _part(start, end)
    meant = PersonChoice.of(person)
    _must_open(path)
    actual = kind or kind_of(path, figures)
    if at is not None and actual == "image":
        raise WanPrepError(f"{path}: a still has no times; --at is for videos")
    if at is not None and (begin > 0 or stop is not None):
        raise WanPrepError(
            "--at looks at frames of the whole clip; give it without --start and --end"
        )
    times = None if at is None else _moments(at)
    with ExitStack() as stack:
        network = stack.enter_context(Estimating(estimator, pose_model, needed=True))
        if times is not None:
            from wan_prep.observing import observe_video_at

            seen = observe_video_at(path, network, times, figures, person=meant)
            _must_be_shown(times, seen)
            return seen
        looking = _Looking(network, figures, cache, progress)
        if actual == "image":
            return looking.at_image(path, meant)
        return looking.begin_video(path, meant, begin, stop, stack)()


def selection_of(
    mode: Mode, resolution: Resolution, select: Sequence[str], ignore: Sequence[str]
) -> Selection:
    """The checks that count.

    Raises:
        WanPrepError: a mode, a resolution or a check that does not exist.
    """
    if mode not in get_args(Mode) or resolution not in get_args(Resolution):
        raise WanPrepError(
            f"mode {mode!r} at {resolution!r}: expected {' or '.join(get_args(Mode))} at "
            f"{' or '.join(get_args(Resolution))}"
        )
    if isinstance(select, str) or isinstance(ignore, str):
        raise WanPrepError("select and ignore take a list of codes, such as ['WP3']")
    return Selection(tuple(select), tuple(ignore)).validated()


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


class _Looking:
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
        kind: Literal["image", "video"],
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


def kind_of(path: PathLike, profile: Profile) -> Literal["image", "video"]:
    """What a file counts as, by its content; an animation as a video."""
    from wan_prep.media.images import probe_image

    try:
        info = probe_image(path, max_pixels=int(profile.limit("image_pixels_max")))
    except MediaUnreadable as exc:
        is_picture = exc.kind in ("too_large", "truncated", "corrupt", "unsupported")
        return "image" if is_picture else "video"
    return "video" if info.frame_count > 1 else "image"


def _part(
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


def _moments(at: Sequence[float | Fraction]) -> list[Fraction]:
    times = [exact_s(t) for t in at]
    if not times or min(times) < 0:
        shown = f"{float(min(times)):g} s" if times else "none"
        raise WanPrepError(f"expected times of 0 s or more to look at, found {shown}")
    return times


def _must_be_shown(times: Sequence[Fraction], seen: Evidence) -> None:
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


def _must_open(path: PathLike) -> None:
    _import_native()
    from wan_prep.media.files import open_check

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
