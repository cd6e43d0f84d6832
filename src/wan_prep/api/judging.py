"""Files looked at and judged: from paths to evidence, from evidence to a report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, get_args

from wan_prep.api.apart import Apart
from wan_prep.api.looking import (
    Estimating,
    Kind,
    Look,
    Looking,
    PathLike,
    PersonLike,
    Progress,
    RemoteLike,
    at_hand,
    look,
    moments,
    must_be_shown,
    must_open,
    named,
    part_of_clip,
    person_in,
    quiet,
)
from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.remote.scratch import scratch_of
from wan_prep.remote.sources import shown
from wan_prep.report.assemble import Selection, build_report
from wan_prep.report.model import Report, Tool

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike


@lru_cache(maxsize=1)
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
    remote: RemoteLike | None = None,
    isolated: bool = False,
    time_limit_s: float | None = None,
    progress: Progress = quiet,
) -> Report:
    """Judge whether a reference image and a driving video fit together.

    image, video: paths; addresses (https, http, s3, gs), which are fetched for as long as they are
        looked at; or evidence from `observe`, which is not looked at again.
    start, end: the part of the clip that counts, in s from its first frame; `start` becomes the
        first frame. They apply to a path; evidence has its own.
    person: whom to look at where there are several people: `largest` (the main one, the default),
        `left`, `right`, `center`, a number from 1 from left to right, or `X,Y` in fractions of the
        picture. image_person, video_person: in that file, instead. They apply to paths, too.
    estimator: another pose network behind the same protocol; it is not closed.
    cache: what is seen in a file is kept here, and a file that is known is not looked at again; a
        `Cache`, or a folder. None: nothing is kept, because whoever calls a library does not expect
        it to write to their disk.
    remote: what may be fetched besides the addresses themselves; None: no local hosts, and no
        redirects to others. Or a `Scratch`, in which files stay for the next call.
    isolated: files are looked at in a process of their own, so that one that crashes a decoder, or
        takes longer than `time_limit_s` (None: the profile's), is a finding and no more.

    What is wrong with the files or the pair is in the report's findings.

    Raises:
        InputPathError: a path is missing or not a regular file.
        FetchFailed, FetchRefused: an address that cannot, or may not, be fetched.
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
    begin, stop = part_of_clip(start, end)
    if isinstance(video, Evidence) and (begin > 0 or stop is not None):
        raise WanPrepError(
            "start and end apply to a path; observe the part of the clip instead: "
            "wan_prep.observe(video, start=…, end=…)"
        )
    for given in (image, video):
        if not isinstance(given, Evidence):
            must_open(given)
    for given, kind in ((image, "image"), (video, "video")):
        if isinstance(given, Evidence) and given.kind != kind:
            raise WanPrepError(
                f"expected evidence of {'an image' if kind == 'image' else 'a video'}, got that of "
                f"{given.path}, which was observed as {given.kind}"
            )
    needs_model = not (isinstance(image, Evidence) and isinstance(video, Evidence))
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_of(remote, figures))
        picture, clip = (at_hand(given, scratch, progress) for given in (image, video))
        if isolated and needs_model:
            apart = stack.enter_context(
                Apart(figures, pose_model, estimator, cache, time_limit_s, progress)
            )
            seen_image = apart.look(picture, Look("image", person=persons["image"]))
            seen_video = apart.look(clip, Look("video", begin, stop, person=persons["video"]))
        else:
            network = stack.enter_context(Estimating(estimator, pose_model, needs_model))
            looking = Looking(network, figures, cache, progress)
            # The clip's decoding begins here and goes on while the model loads.
            see_video = looking.begin_video(clip, persons["video"], begin, stop, stack)
            seen_image = looking.at_image(picture, persons["image"])
            seen_video = see_video()
        image_evidence = named(seen_image, picture, image)
        video_evidence = named(seen_video, clip, video)
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
    kind: Kind | None = None,
    start: float | Fraction = 0,
    end: float | Fraction | None = None,
    at: Sequence[float | Fraction] | None = None,
    person: PersonLike | None = None,
    profile: Profile | None = None,
    pose_model: PathLike | None = None,
    estimator: PoseEstimator | None = None,
    cache: CacheLike | None = None,
    remote: RemoteLike | None = None,
    isolated: bool = False,
    time_limit_s: float | None = None,
    progress: Progress = quiet,
) -> Evidence:
    """What is seen in one file: numbers, no pixels; reusable in any number of pairs.

    kind: None decides by the content; an animation counts as a video then.
    at: look at the frames displayed at exactly these times instead of sampling the clip.
    person: whom to look at where there are several people, as for `check`; the one chosen in the
        first frame that shows them is followed through the clip. With `at` each frame stands alone.
    cache, remote, isolated, time_limit_s: as for `check`; what is seen `at` single times is not
        kept.

    Raises:
        InputPathError: the path is missing or not a regular file.
        FetchFailed, FetchRefused: an address that cannot, or may not, be fetched.
        WanPrepError: `end` before `start`, a negative time, one at which the clip is over, or `at`
            together with a part of the clip.
    """
    figures = profile or default_profile()
    begin, stop = part_of_clip(start, end)
    meant = PersonChoice.of(person)
    must_open(path)
    if at is not None and (begin > 0 or stop is not None):
        raise WanPrepError(
            "--at looks at frames of the whole clip; give it without --start and --end"
        )
    times = None if at is None else moments(at)
    what = Look(kind, begin, stop, times, meant, shown(path))
    with ExitStack() as stack:
        file = stack.enter_context(scratch_of(remote, figures)).local(path, progress=progress)
        if isolated:
            apart = Apart(figures, pose_model, estimator, cache, time_limit_s, progress)
            seen = stack.enter_context(apart).look(file, what)
        else:
            network = stack.enter_context(Estimating(estimator, pose_model, needed=True))
            seen = look(file, what, network, figures, cache, progress)
        seen = named(seen, file, path)
    if times is not None:
        must_be_shown(times, seen)
    return seen


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
