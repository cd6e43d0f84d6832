"""From a pair to a paid job and its outputs: looked at, priced, let through, sent, waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, overload

from wan_prep.addresses import is_url
from wan_prep.api import judging
from wan_prep.api.looking import PathLike, PersonLike, Progress, RemoteLike, exact_s, quiet
from wan_prep.errors import GateRefused, MediaUnreadable, SubmissionError, WanPrepError
from wan_prep.learning.judgement import Judgement
from wan_prep.media.files import sha256_of
from wan_prep.pose.choice import PersonChoice
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.remote.scratch import Scratch, scratch_of
from wan_prep.remote.sources import is_remote, shown
from wan_prep.report.model import Report
from wan_prep.submission.environment import Connection
from wan_prep.submission.intent import (
    Input,
    InputKind,
    PreparedSubmission,
    dollars,
    intend,
    local_input,
    must_be_allowed,
    priced,
    url_input,
)
from wan_prep.submission.jobs import Job, Prediction
from wan_prep.submission.pairs import Pair, Target, other_target, source_pair

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike
    from wan_prep.submission.client import WaitProgress


class SubmitOptions(TypedDict, total=False):
    """What may be said of a submission besides its pair; see `prepared`."""

    prompt: str | None
    seed: int | None
    mode: Mode | None
    resolution: Resolution | None
    no_check: bool
    duration: float | Fraction | None
    profile: Profile | None
    select: Sequence[str]
    ignore: Sequence[str]
    person: PersonLike | None
    image_person: PersonLike | None
    video_person: PersonLike | None
    pose_model: PathLike | None
    cache: CacheLike | None
    remote: RemoteLike | None
    isolated: bool
    time_limit_s: float | None
    progress: Progress


@overload
def submit(
    pair: PathLike | Pair,
    video: PathLike | None = None,
    *,
    upload: bool = False,
    max_cost: str | Decimal | float | None = None,
    count: None = None,
    allow_not_ready: bool = False,
    resubmit: bool = False,
    strict: bool = False,
    **request: Unpack[SubmitOptions],
) -> Job: ...
@overload
def submit(
    pair: PathLike | Pair,
    video: PathLike | None = None,
    *,
    upload: bool = False,
    max_cost: str | Decimal | float | None = None,
    count: int,
    allow_not_ready: bool = False,
    resubmit: bool = False,
    strict: bool = False,
    **request: Unpack[SubmitOptions],
) -> tuple[Job, ...]: ...
def submit(
    pair: PathLike | Pair,
    video: PathLike | None = None,
    *,
    upload: bool = False,
    max_cost: str | Decimal | float | None = None,
    count: int | None = None,
    allow_not_ready: bool = False,
    resubmit: bool = False,
    strict: bool = False,
    **request: Unpack[SubmitOptions],
) -> Job | tuple[Job, ...]:
    """Check a pair, estimate its cost, and submit it: once, whatever happens.

    pair, video: what `normalize` returned; or a folder that `wan-prep fix` wrote; or an image and
        a video, each a path or a URL.
    upload: whether local files may leave this machine.
    max_cost: US dollars that it may cost at most, by the high estimate; "2.00".
    count: left out, the answer is the one job; a number of wanted variations, 1 included, makes it
        a tuple of as many jobs, and `max_cost` holds for all of them together.
    allow_not_ready: pay for a pair that the check calls not ready.
    resubmit: pay for the same work a second time.
    strict: refuse what has warnings, too.
    request: prompt, seed, mode, resolution (None for what the pair was prepared for), no_check,
        duration (in s, where it is not measured here), profile, select, ignore, person,
        image_person, video_person, pose_model, cache, remote (what may be fetched for the check),
        isolated, time_limit_s and progress.

    Raises:
        ApiKeyError, UploadNotAllowed: before anything is looked at.
        GateRefused, CostTooHigh: not worth paying for, or too expensive.
        AlreadySubmitted, UploadFailed, ServiceUnreachable, Rejected, RateLimited: nothing new was
            accepted.
        SubmissionUnknown: it may have been accepted. PartlySubmitted: some variations were.
    """
    from wan_prep.submission.client import Client

    most = None if max_cost is None else dollars(max_cost)
    ready = prepared(pair, video, upload=upload, count=1 if count is None else count, **request)
    ready.pass_gate(allow_not_ready=allow_not_ready, max_cost=most, strict=strict)
    with Client.from_environment(request.get("profile")) as client:
        jobs = client.submit(
            ready.intent, upload=upload, resubmit=resubmit, judgement=ready.judgement
        )
    return jobs[0] if count is None else jobs


def wait(
    job: Job | str,
    folder: PathLike = ".",
    *,
    timeout_s: float | None = None,
    overwrite: bool = False,
    profile: Profile | None = None,
    progress: Callable[[WaitProgress], None] | None = None,
) -> Prediction:
    """Wait for a job's end and download its outputs; any process may take it up again.

    job: from `submit`, or its id, or the service's.
    folder: where the outputs go.
    timeout_s: the longest wait in s; None for the profile's.
    overwrite: whether an output may replace another file of its name.
    progress: called after each look at the job.

    Raises:
        JobNotFound: not in the journal. SubmissionUnknown: it cannot be found at the service.
        WaitEnded: the task goes on. NoOutputs, DownloadFailed: completed, but nothing is here.
        InputPathError: an output would take the place of one of the job's own inputs.
    """
    from wan_prep.submission.client import Client

    limit_s = None if timeout_s is None else float(exact_s(timeout_s))
    with Client.from_environment(profile) as client:
        return client.wait(
            job if isinstance(job, str) else job.id,
            folder=Path(folder),
            timeout_s=limit_s,
            overwrite=overwrite,
            progress=progress,
        )


def prepared(
    pair: PathLike | Pair,
    video: PathLike | None = None,
    *,
    upload: bool = False,
    count: int = 1,
    prompt: str | None = None,
    seed: int | None = None,
    mode: Mode | None = None,
    resolution: Resolution | None = None,
    no_check: bool = False,
    duration: float | Fraction | None = None,
    dry_run: bool = False,
    profile: Profile | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    person: PersonLike | None = None,
    image_person: PersonLike | None = None,
    video_person: PersonLike | None = None,
    pose_model: PathLike | None = None,
    cache: CacheLike | None = None,
    remote: RemoteLike | None = None,
    isolated: bool = False,
    time_limit_s: float | None = None,
    progress: Progress = quiet,
) -> PreparedSubmission:
    """Everything before the gate. What can be refused without a look at the media is refused first.

    mode, resolution: None for what the pair was prepared for, else animate at 480p.
    no_check: neither check the pair nor fetch what is given by URL.
    duration: of the clip in s, where it is not measured here.
    dry_run: nothing is fetched, and neither key nor permission to upload is needed.
    select, ignore, pose_model, cache: for the check; a report that is there already counts as it
        is.
    person, image_person, video_person: for the check, as there; None for whom a report that is
        there already was made for.
    remote, isolated, time_limit_s: as for `check`; a pair given by URL is fetched to be checked.

    Raises:
        InputPathError: a file or folder that is not there, or not what it must be.
        ApiKeyError, UploadNotAllowed, SubmissionError: settings that cannot lead to a submission.
        FetchFailed, FetchRefused: an input given by URL cannot, or may not, be fetched for the
            check.
        GateRefused: a file too large to be uploaded, or one whose length cannot be read.
    """
    figures = profile or default_profile()
    length = None if duration is None else _positive(duration)
    given = source_pair(pair, video)
    own = given.target or Target()
    target = Target(mode or own.mode, resolution or own.resolution)
    inputs = _input(given.image, "image"), _input(given.video, "video")
    if not dry_run:
        Connection.from_environment()
        must_be_allowed(inputs, upload=upload)
    intent = intend(
        *inputs,
        mode=target.mode,
        resolution=target.resolution,
        prompt=prompt,
        seed=seed,
        count=count,
        profile=figures,
    )
    has_urls = any(one.path is None for one in inputs)
    with scratch_of(remote, figures) as scratch:
        report = None
        clip = intent.video.path
        if not no_check and not (dry_run and has_urls):
            image, _ = _at_hand(intent.image, scratch, progress)
            film, clip = _at_hand(intent.video, scratch, progress)
            intent = replace(intent, image=image, video=film)
            report = given.report
            persons = _persons(
                report,
                person if image_person is None else image_person,
                person if video_person is None else video_person,
            )
            if report is None or not intent.fits(report) or persons != _persons(report):
                report = judging.check(
                    image.path or image.source,
                    film.path or film.source,
                    mode=target.mode,
                    resolution=target.resolution,
                    profile=figures,
                    select=select,
                    ignore=ignore,
                    image_person=persons[0],
                    video_person=persons[1],
                    pose_model=pose_model,
                    cache=cache,
                    remote=scratch,
                    isolated=isolated,
                    time_limit_s=time_limit_s,
                    progress=progress,
                )
        measured = _duration(report, clip, figures, declared=length)
    if measured is not None:
        intent = priced(intent, measured, figures)
    warning = None if given.target is None else other_target(given.target, target)
    warnings = () if warning is None else (warning,)
    return PreparedSubmission(
        replace(intent, notes=intent.notes + warnings),
        report,
        warnings,
        None if dry_run else _judgement(report, figures),
    )


def _judgement(report: Report | None, profile: Profile) -> str | None:
    """What the checks answered; None where a report carries no evidence to ask them about."""
    if report is None or report.image_evidence is None or report.video_evidence is None:
        return None
    return Judgement.of(report, profile).model_dump_json()


def _persons(
    report: Report | None, image: PersonLike | None = None, video: PersonLike | None = None
) -> tuple[PersonChoice, PersonChoice]:
    """Whom image and video are looked at for: who is named here, else whom the report speaks of."""
    subject = None if report is None else report.subject
    return (
        PersonChoice.of(subject.image.person if image is None and subject else image),
        PersonChoice.of(subject.video.person if video is None and subject else video),
    )


def _input(source: PathLike, kind: InputKind) -> Input:
    if is_url(source):
        return url_input(str(source), kind)
    if is_remote(source):
        raise SubmissionError(
            f"{shown(source)}: the service fetches http addresses only; give a signed https "
            "address, or download it and submit the file with --upload"
        )
    return local_input(source, kind)


def _at_hand(given: Input, scratch: Scratch, progress: Progress) -> tuple[Input, Path]:
    """The input with the hash of its content, and a local file with that content."""
    if given.path is not None:
        return given, given.path
    path = Path(scratch.local(given.source, progress=progress))
    return replace(given, sha256=sha256_of(path)), path


def _duration(
    report: Report | None, clip: Path | None, figures: Profile, *, declared: Fraction | None
) -> Fraction | None:
    """Length of the clip in s: as seen by the check, else as probed, else as declared."""
    evidence = None if report is None else report.video_evidence
    if evidence is not None:
        return declared if evidence.video_info is None else evidence.video_info.duration
    if clip is None or (report is not None and report.video.duration_s is None):
        return declared
    from wan_prep.media.limits import ClipLimits
    from wan_prep.media.probe import probe_video

    try:
        return probe_video(clip, limits=ClipLimits.of(figures)).duration
    except MediaUnreadable as exc:
        raise GateRefused(
            f"{clip}: {exc}; its length is not known, so its cost is not; give another file"
        ) from exc


def _positive(duration: float | Fraction) -> Fraction:
    seconds = exact_s(duration)
    if seconds <= 0:
        raise WanPrepError(f"duration: expected more than 0 s, found {float(seconds):g} s")
    return seconds
