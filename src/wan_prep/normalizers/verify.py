"""Verify that written files are as planned: their facts, their decoding, and the subject's place.

A clip that is checked again afterwards is decoded for that anyway: `verify_evidence` relies on that
decode. `verify_decoding` decodes a clip that is not checked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from wan_prep.errors import MediaUnreadable, NormalizeFailed
from wan_prep.evidence import Evidence, Observation
from wan_prep.geometry import Floats, Size
from wan_prep.media.files import sha256_of
from wan_prep.media.frames import DecodeLog, decode
from wan_prep.media.images import probe_image
from wan_prep.media.probe import probe_video
from wan_prep.media.stamps import read_stamps
from wan_prep.planning.model import Geometry
from wan_prep.pose.body import VISIBLE

# How much later an end may be through rounding to a track's ticks or to milliseconds.
_CLOCK_S = Fraction(1, 1000)
# Largest median distance of the subject's joints from their planned places, as a share of the
# picture's diagonal. Two looks at one body differ by about a hundredth.
_PLACE_MAX = 0.1


@dataclass(frozen=True)
class ExpectedVideo:
    """What a written clip must be."""

    width: int
    height: int
    fps: Fraction
    frames: int
    has_audio: bool

    @property
    def length(self) -> Fraction:
        """s"""
        return self.frames / self.fps


def verify_copy(path: Path, sha256: str) -> None:
    """The bytes are those of the source; raises NormalizeFailed."""
    if sha256_of(path) != sha256:
        raise NormalizeFailed(
            f"{path.name}: expected a copy of the source, found other bytes; is the disk sound?"
        )


def verify_image(path: Path, geometry: Geometry, *, max_pixels: int) -> None:
    """The picture opens, is upright and of the planned size; raises NormalizeFailed."""
    try:
        info = probe_image(path, max_pixels=max_pixels)
    except MediaUnreadable as exc:
        raise NormalizeFailed(f"{path.name} does not open again: {exc}") from exc
    _same(path, "px", f"{geometry.width}x{geometry.height}", f"{info.width}x{info.height}")
    _same(path, "EXIF orientation", 1, info.exif_orientation)


def verify_video(path: Path, expected: ExpectedVideo) -> None:
    """Size, coding, constant rate by time stamps, duration, and the end of every stream.

    Neither a stream nor the header may end after the pictures, so that no unseen second is billed.
    Reads all packets and decodes the first frames. Raises NormalizeFailed.
    """
    try:
        info = probe_video(path)
        stamps = read_stamps(path)
    except MediaUnreadable as exc:
        raise NormalizeFailed(f"{path.name} does not open again: {exc}") from exc
    _same(path, "px", f"{expected.width}x{expected.height}", f"{info.width}x{info.height}")
    coding = f"{info.codec} {info.pixel_format} in {info.container}"
    _same(path, "coding", "h264 yuv420p in mp4", coding)
    _same(path, "turn by metadata", 0, info.rotation_deg)
    _same(path, "mirroring by metadata", False, info.is_mirrored)
    _same(path, "sound", "aac" if expected.has_audio else "none", info.audio_codec or "none")
    _same(path, "further streams of pictures", 0, info.other_videos)
    _same(path, "frames", expected.frames, len(stamps.pictures))
    step_s = 1 / expected.fps
    if any(later - earlier != step_s for earlier, later in pairwise(stamps.pictures)):
        raise NormalizeFailed(_fault(path, f"a frame every {float(step_s):.6f} s", "other times"))
    end_s = max(*stamps.ends, stamps.container)
    if end_s > expected.length + _CLOCK_S:
        raise NormalizeFailed(
            _fault(path, f"an end at {float(expected.length):.4f} s", f"{float(end_s):.4f} s")
        )


def verify_evidence(evidence: Evidence) -> None:
    """The re-check decoded the file to its end, without an error; raises NormalizeFailed.

    It proves that every frame decodes only if the re-check left none out: of long clips it usually
    leaves out the frames that no other frame needs.
    """
    name = Path(evidence.path).name
    if evidence.defects:
        raise NormalizeFailed(f"{name} cannot be read again: {evidence.defects[0].message}")
    info = evidence.video_info
    if info is None:
        return
    until = evidence.decoded_until or Fraction(0)
    missing = round((info.duration - until) * info.fps) - 1
    if evidence.decode_errors or missing > 0:
        raise NormalizeFailed(_undecodable(name, evidence.decode_errors, missing))


def verify_decoding(path: Path, expected: ExpectedVideo) -> None:
    """Every frame decodes, without an error; raises NormalizeFailed."""
    log = DecodeLog()
    for _ in decode(path, probe_video(path), log=log):
        pass
    if log.errors or log.frames != expected.frames:
        raise NormalizeFailed(_undecodable(path.name, log.errors, expected.frames - log.frames))


def verify_subject(
    before: Evidence, after: Evidence, geometry: Geometry | None, start: Fraction
) -> None:
    """The subject stands where the plan puts it, its joints inside; raises NormalizeFailed.

    before, after: evidence of the source and of the written file. geometry: None for a copy.
    start: of the written span, in s of the source; 0 for an image.
    Where either shows nobody nothing is verified here; the re-check judges that.
    """
    distances = [
        distance
        for written in after.found
        if (source := _at(before, written.time + start)) is not None
        and (distance := _distance(source, written, _size(before), _size(after), geometry))
        is not None
    ]
    if distances and float(np.median(distances)) > _PLACE_MAX:
        raise NormalizeFailed(
            f"{Path(after.path).name}: expected the subject where the plan puts it, found it "
            f"{np.median(distances):.0%} of the picture away; another person may have been taken "
            "for it: crop by hand, or say whom you mean with --person"
        )


def _at(evidence: Evidence, time: Fraction) -> Observation | None:
    """The observation with a subject nearest to `time`, if it is near enough."""
    nearest = min(evidence.found, key=lambda o: abs(o.time - time), default=None)
    reach = evidence.sample_interval or Fraction(0)
    return nearest if nearest is not None and abs(nearest.time - time) <= reach / 2 else None


def _distance(
    source: Observation,
    written: Observation,
    source_size: Size,
    size: Size,
    geometry: Geometry | None,
) -> float | None:
    """Median distance of the joints that the plan leaves inside, as a share of the diagonal."""
    assert source.subject is not None
    assert written.subject is not None
    planned = _mapped(source.subject.keypoints_xy, source_size, geometry)
    inside = ((planned >= 0) & (planned <= 1)).all(axis=1)
    seen = inside & (source.subject.visibility >= VISIBLE) & written.subject.is_located
    if not seen.any():
        return None
    off_px = (planned - written.subject.keypoints_xy)[seen] * size
    return float(np.median(np.linalg.norm(off_px, axis=1)) / np.hypot(*size))


def _mapped(keypoints_xy: Floats, size: Size, geometry: Geometry | None) -> Floats:
    """Fractions of the source's upright picture as fractions of what was written of it."""
    if geometry is None:
        return keypoints_xy
    turn = np.radians(geometry.rotate_deg)
    clockwise = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array(size) / 2
    turned = (keypoints_xy * size - middle) @ clockwise.T + middle
    window = geometry.window
    mapped: Floats = (turned - (window.left, window.top)) / (window.width, window.height)
    return mapped


def _size(evidence: Evidence) -> Size:
    info = evidence.info
    assert info is not None
    return Size(info.width, info.height)


def _same(path: Path, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise NormalizeFailed(_fault(path, f"{what} {expected}", str(found)))


def _fault(path: Path, expected: str, found: str) -> str:
    return (
        f"{path.name}: expected {expected}, found {found}; nothing was kept. If the source is "
        "damaged, leave its damaged end out with --end"
    )


def _undecodable(name: str, errors: int, missing: int) -> str:
    return (
        f"{name}: expected every frame to decode, found {errors} errors and {max(0, missing)} "
        "frames missing; is the disk sound? Nothing was kept"
    )
