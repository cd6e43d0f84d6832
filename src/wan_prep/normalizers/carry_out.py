"""Carry out a plan: write its pair of files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from wan_prep.errors import NormalizeFailed, SourceChanged
from wan_prep.media.files import FileState, open_check, sha256_of, unchanged
from wan_prep.media.limits import ClipLimits
from wan_prep.media.probe import probe_video
from wan_prep.normalizers.clip import write_clip
from wan_prep.normalizers.still import write_still
from wan_prep.normalizers.verify import verify_copy, verify_decoding, verify_image, verify_video
from wan_prep.normalizers.write import PreparedFolder, Written, refuse_sources
from wan_prep.planning.model import ImageOperations, Plan, VideoOperations
from wan_prep.profile import Profile, default_profile

Progress = Callable[[str, float], None]
"""Called with what is being done and its share done, 0 … 1."""


def _quiet(_what: str, _share: float) -> None:
    return None


def prepare(
    plan: Plan,
    folder: str | Path,
    *,
    overwrite: bool = False,
    also: Sequence[str] = (),
    profile: Profile | None = None,
    progress: Progress = _quiet,
) -> PreparedFolder:
    """Write the files of `plan` into a hidden folder, and verify all but their decoding.

    also: names of further files that will be written beside them, without plan.json.
    profile: the one that limits how many pixels a picture may have; None is the default one.
    progress: see `Progress`.

    Raises:
        InputPathError: a source is missing, or stands in `folder` under a name that is written.
        SourceChanged: a source is not the one planned for, or is written meanwhile.
        OutputExists: a file stands where one of these would.
        NormalizeFailed: a file cannot be written or did not come out as planned.
        MediaUnreadable: a source does not decode.
        DependencyMissing: there is no ffmpeg that can do it.
    """
    refuse_sources(Path(folder), (plan.image.source, plan.video.source))
    states = [FileState.of(work.source) for work in (plan.image, plan.video)]
    image_source = _as_planned(plan.image)
    video_source = _as_planned(plan.video)
    profile = profile or default_profile()
    max_pixels = int(profile.limit("image_pixels_max"))
    limits = ClipLimits.of(profile)
    prepared = PreparedFolder(Path(folder), overwrite=overwrite)
    try:
        for name in also:
            prepared.aside(name)
        prepared.image = prepared.aside(plan.image.name)
        prepared.videos = tuple(prepared.aside(span.name) for span in plan.video.spans)
        prepared.earlier()  # raises now if something would prevent the publication
        with unchanged(*states):
            progress("writing the image", 0.0)
            _write_image(plan.image, image_source, prepared.image, max_pixels)
            _write_videos(plan.video, video_source, prepared, limits, progress)
    except BaseException:
        prepared.discard()
        raise
    return prepared


def carry_out(
    plan: Plan,
    folder: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress = _quiet,
) -> Written:
    """Carry out a plan without checking the pair again: write, verify, decode, publish.

    Raises as `prepare`.
    """
    with prepare(plan, folder, overwrite=overwrite, progress=progress) as prepared:
        for path, expected in prepared.expected.items():
            progress("verifying the video", 0.0)
            verify_decoding(path, expected)
        return prepared.publish(plan)


def _write_image(work: ImageOperations, source: Path, target: Path, max_pixels: int) -> None:
    if work.geometry is None:
        _copy(source, target, work.sha256)
        return
    write_still(work, work.geometry, source, target, max_pixels=max_pixels)
    verify_image(target, work.geometry, max_pixels=max_pixels)


def _write_videos(
    work: VideoOperations,
    source: Path,
    prepared: PreparedFolder,
    limits: ClipLimits,
    progress: Progress,
) -> None:
    if work.geometry is None:
        _copy(source, prepared.videos[0], work.sha256)
        return
    info = probe_video(source, limits=limits)
    for index, (span, target) in enumerate(zip(work.spans, prepared.videos, strict=True)):
        on_share = partial(_part_done, progress, index, len(work.spans))
        expected = write_clip(work, work.geometry, span, source, info, target, on_share=on_share)
        verify_video(target, expected)
        prepared.expected[target] = expected


def _copy(source: Path, target: Path, sha256: str) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as exc:
        raise NormalizeFailed(
            f"{target.name} could not be copied ({exc.strerror}); free some space, or choose "
            "another folder"
        ) from exc
    verify_copy(target, sha256)


def _as_planned(work: ImageOperations | VideoOperations) -> Path:
    source = open_check(work.source)
    if sha256_of(source) != work.sha256:
        raise SourceChanged(
            f"expected {source} as it was when the plan was made, found other content; plan again"
        )
    return source


def _part_done(progress: Progress, done: int, count: int, share: float) -> None:
    progress("writing the video", (done + share) / count)
