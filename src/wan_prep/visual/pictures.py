"""The stills that the page of one report shows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from wan_prep.evidence import Evidence, Observation
from wan_prep.remote.scratch import Scratch, scratch_of
from wan_prep.remote.sources import RemotePolicy
from wan_prep.report.model import Report
from wan_prep.stills import Still, image_still, video_stills

PICTURE_SIDE_PX = 720
THUMBNAIL_SIDE_PX = 150
THUMBNAILS_MOST = 12
THUMBNAIL_EVERY = Fraction(1, 5)
"""Least distance of two thumbnails, in s; closer ones would look the same."""


@dataclass(frozen=True)
class Pictures:
    """The stills of image and clip; None where a file cannot be read."""

    image: Still | None = None
    first: Still | None = None
    best: Still | None = None
    """The frame at the best start, where that is not the first one."""
    thumbnails: tuple[Still, ...] = ()
    """The middles of equal parts of the clip, in the order of time."""


def pair_pictures(
    report: Report,
    image: str | Path | None = None,
    video: str | Path | None = None,
    *,
    remote: RemotePolicy | Scratch | None = None,
) -> Pictures:
    """Read the stills for a report from its two files, seeking in the clip.

    image, video: where the files are; None takes the paths that the evidence names.
    remote: what may be fetched; a file with an address is fetched again.

    Raises:
        EvidenceMissing: the report carries no evidence.
        InputPathError, MediaUnreadable: a file is no longer where or what it was.
        FetchFailed, FetchRefused, SourceChanged: so is what has an address.
    """
    seen = report.evidence()
    with scratch_of(remote) as scratch:
        files = [
            scratch.local(
                given or evidence.path,
                sha256=None if evidence.info is None else evidence.info.sha256,
            )
            for given, evidence in zip((image, video), seen, strict=True)
        ]
        return _read(report, *files)


def _read(report: Report, image: str | Path, video: str | Path) -> Pictures:
    seen_image, seen_video = report.evidence()
    still = None
    if seen_image.image_info is not None:
        still = image_still(image, seen_image.image_info, PICTURE_SIDE_PX)
    info, first = seen_video.video_info, seen_video.first
    if info is None or first is None:
        return Pictures(image=still)
    best = best_observation(report)
    moments = [first] if best is None else [first, best]
    large = video_stills(video, info, [o.time for o in moments], PICTURE_SIDE_PX)
    small = video_stills(video, info, thumbnail_times(seen_video), THUMBNAIL_SIDE_PX)
    return Pictures(still, large[0], large[1] if best else None, small)


def best_observation(report: Report) -> Observation | None:
    """The sample at the best start; None where that is the first one, or unknown."""
    _, video = report.evidence()
    if report.best_start_s is None or not video.found:
        return None
    best = min(video.found, key=lambda o: abs(float(o.time) - (report.best_start_s or 0.0)))
    return None if best is video.first else best


def thumbnail_times(video: Evidence) -> list[Fraction]:
    """The middles of at most `THUMBNAILS_MOST` equal parts of the clip, in s."""
    count = max(1, min(THUMBNAILS_MOST, int(video.span / THUMBNAIL_EVERY)))
    part = video.span / count
    return [video.start + part * k + part / 2 for k in range(count)]
