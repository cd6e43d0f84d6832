"""What people and other tools look at, as files: the visual report, poses, the skeleton video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from wan_prep.api.judging import selection_of
from wan_prep.api.looking import Progress, exact_s, kind_of, quiet
from wan_prep.errors import InputPathError, MediaUnreadable, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.geometry import Size
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.remote.scratch import Scratch
from wan_prep.remote.sources import RemotePolicy
from wan_prep.report.keypoints import (
    Canvas,
    PoseFormat,
    export,
    file_canvas,
    model_canvas,
)
from wan_prep.report.model import Report
from wan_prep.writing import refuse_replacing, write_text

if TYPE_CHECKING:
    from wan_prep.planning.model import Plan

PathLike = str | Path


def page(
    report: Report,
    image: PathLike | None = None,
    video: PathLike | None = None,
    *,
    plan: Plan | None = None,
    after: tuple[Report, PathLike, PathLike] | None = None,
    profile: Profile | None = None,
    remote: RemotePolicy | Scratch | None = None,
) -> str:
    """The HTML page of a report, with small pictures of both files.

    image, video: where the files are, if elsewhere than the report says.
    plan, after: what `fix` would do; the check of what it wrote, and where that is.
    remote: as for `check`; a file with an address is fetched again.

    Raises:
        EvidenceMissing: the report carries no evidence.
        InputPathError, MediaUnreadable: a file of the pair is gone, or has changed.
        FetchFailed, FetchRefused, SourceChanged: so is what has an address.
    """
    from wan_prep.visual.html import render_html
    from wan_prep.visual.pictures import pair_pictures

    fixed = None if after is None else (after[0], pair_pictures(*after))
    pictures = pair_pictures(report, image, video, remote=remote)
    return render_html(report, pictures, plan=plan, after=fixed, profile=profile)


def write_page(
    report: Report,
    path: PathLike,
    *,
    image: PathLike | None = None,
    video: PathLike | None = None,
    profile: Profile | None = None,
    remote: RemotePolicy | Scratch | None = None,
) -> None:
    """Write the visual report as one HTML file; it appears whole or not at all.

    Raises as `page`, and InputPathError: the page cannot be written, or would replace a file of
    the pair.
    """
    refuse_replacing(path, (image or report.image.path, video or report.video.path))
    text = page(report, image, video, profile=profile, remote=remote)
    try:
        write_text(Path(path), text)
    except OSError as exc:
        raise InputPathError(f"{path}: cannot write this page ({exc.strerror})") from exc


def export_poses(
    evidence: Evidence,
    format: PoseFormat = "openpose",
    *,
    as_model: bool = False,
    mode: Mode = "animate",
    resolution: Resolution = "480p",
    partner: PathLike | Evidence | None = None,
    profile: Profile | None = None,
) -> str:
    """The subject's joints in every picture that was looked at, in a form that other tools take.

    format: `openpose`, a JSON list with one entry a picture: BODY_18, as ControlNet and DWPose have
        it; `coco`, one JSON data set with COCO's 17 keypoints; `csv`, a row for each of the 33
        landmarks in each picture.
    as_model: places are px of the picture that the model is shown, as `write_skeleton` draws it,
        and not of the file's upright picture. mode, resolution and partner count only then.
    partner: the other file of the pair, or its evidence: in animate mode the image decides the
        shape, in replace mode the video. None takes both to have one ratio.

    Where the file cannot be read the document has no pictures in it.

    Raises:
        WanPrepError: there is no such format, mode or resolution, or `partner` is no partner.
        InputPathError, MediaUnreadable: `partner` cannot be opened or read.
    """
    if format not in get_args(PoseFormat):
        raise WanPrepError(f"format {format!r}: expected {', '.join(get_args(PoseFormat))}")
    if evidence.info is None:
        return export(evidence, format, None)
    if not as_model:
        return export(evidence, format, file_canvas(evidence))
    return export(evidence, format, _as_model(evidence, mode, resolution, partner, profile))


def write_skeleton(
    evidence: Evidence,
    path: PathLike,
    *,
    mode: Mode = "animate",
    resolution: Resolution = "480p",
    partner: PathLike | Evidence | None = None,
    profile: Profile | None = None,
    progress: Progress = quiet,
) -> None:
    """Write the subject of a clip as an MP4 of OpenPose's coloured sticks on black.

    It is as large as the picture that the model is shown, at the model's frame rate, and as long as
    the part of the clip that counts. A file of that name is replaced.

    evidence: of a clip that was looked at as a whole, not `at` single times.
    partner: as for `export_poses`.

    Raises:
        WanPrepError: the evidence is of a still, or of single times; there is no such mode or
            resolution, or `partner` is no partner.
        MediaUnreadable: the clip could not be read.
        InputPathError: the file cannot be written there, or would replace one that it is made of.
        NormalizeFailed, DependencyMissing: ffmpeg could not write it.
    """
    from wan_prep.normalizers.drawn import write_drawn
    from wan_prep.visual.pose_frames import frame_count, pose_frames

    _must_have_skeleton(evidence)
    if evidence.defects and evidence.info is None:
        raise MediaUnreadable(evidence.defects[0].kind, evidence.defects[0].message)
    others = () if partner is None or isinstance(partner, Evidence) else (partner,)
    refuse_replacing(path, (evidence.path, *others))
    figures = profile or default_profile()
    canvas = _as_model(evidence, mode, resolution, partner, figures)
    fps = exact_s(figures.limit("model_fps"))
    try:
        if not Path(path).parent.is_dir():
            raise InputPathError(f"{path}: there is no such folder to write into")
        write_drawn(
            (picture.tobytes() for picture in pose_frames(evidence, canvas, fps)),
            canvas.size,
            frame_count(evidence, fps),
            fps,
            Path(path),
            on_share=lambda share: progress("writing the skeleton", share),
        )
    except OSError as exc:
        raise InputPathError(f"{path}: cannot write this video ({exc.strerror})") from exc


def _must_have_skeleton(evidence: Evidence) -> None:
    """Raises WanPrepError: a still, or single frames, between which nobody knows what happens."""
    if evidence.kind == "image":
        raise WanPrepError(
            f"{evidence.path} is a still, and a skeleton is drawn of videos; its joints can be "
            "had with --pose-format"
        )
    if evidence.observations and evidence.sample_interval is None:
        raise WanPrepError(
            "a skeleton is drawn of a clip that was looked at as a whole; leave the single times "
            "out, or give a part with start and end"
        )


def _as_model(
    evidence: Evidence,
    mode: Mode,
    resolution: Resolution,
    partner: PathLike | Evidence | None,
    profile: Profile | None,
) -> Canvas:
    selection_of(mode, resolution, (), ())
    figures = profile or default_profile()
    size = None
    if partner is not None:
        size = _partner_size(evidence, partner, figures)
    return model_canvas(evidence, mode, resolution, figures, partner=size)


def _partner_size(evidence: Evidence, partner: PathLike | Evidence, profile: Profile) -> Size:
    """The upright size of the other file of the pair, in px."""
    from wan_prep.media.images import probe_image
    from wan_prep.media.probe import probe_video

    wanted = "video" if evidence.kind == "image" else "image"
    name = partner.path if isinstance(partner, Evidence) else partner
    found = partner.kind if isinstance(partner, Evidence) else kind_of(partner, profile)
    if found != wanted:
        raise WanPrepError(f"expected the pair's {wanted}, but {name} is of the same kind")
    if isinstance(partner, Evidence):
        if partner.info is None:
            raise MediaUnreadable(partner.defects[0].kind, partner.defects[0].message)
        return Size(partner.info.width, partner.info.height)
    if wanted == "video":
        info = probe_video(partner)
        return Size(info.width, info.height)
    still = probe_image(partner, max_pixels=int(profile.limit("image_pixels_max")))
    return Size(still.width, still.height)
