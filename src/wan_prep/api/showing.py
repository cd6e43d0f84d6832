"""The visual report as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wan_prep.errors import InputPathError
from wan_prep.profile import Profile
from wan_prep.remote.scratch import Scratch
from wan_prep.remote.sources import RemotePolicy
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
