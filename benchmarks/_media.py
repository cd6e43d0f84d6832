"""Pictures and pairs that the benchmarks measure on, with exact ground truth."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
from PIL import Image

import wan_prep
from wan_prep import api
from wan_prep.evidence import Evidence, Subject
from wan_prep.measures.model import Measures
from wan_prep.measures.pair import measure
from wan_prep.measures.side import subject_in_frame
from wan_prep.media.frames import frames_at
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.profile import default_profile
from wan_prep.report.model import Report

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared/data"
PAIRS = DATA / "pairs"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass
class Row:
    """One figure of a table. target None: reported, not judged."""

    item: str
    what: str
    figure: float
    target: str
    passed: bool | None
    details: dict[str, Any] = field(default_factory=dict)


def at_most(item: str, what: str, figure: float, limit: float, **details: Any) -> Row:
    return Row(item, what, figure, f"<= {limit:g}", bool(figure <= limit), details)


def at_least(item: str, what: str, figure: float, limit: float, **details: Any) -> Row:
    return Row(item, what, figure, f">= {limit:g}", bool(figure >= limit), details)


def run_ffmpeg(*arguments: object) -> str:
    """Run ffmpeg; what it says."""
    command = [FFMPEG, "-hide_banner", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def beeps_s(path: Path) -> np.ndarray:
    command = [FFMPEG, "-v", "error", "-copyts", "-i", str(path), "-vn"]
    command += ["-af", "aresample=48000:first_pts=0", "-ac", "1", "-f", "f32le", "-"]
    sound = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "f4")
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    return loud[np.diff(loud, prepend=-48000) > 9600] / 48000


class Lab:
    """One pose network and every file looked at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.estimator = MediapipeEstimator()
        self._seen: dict[tuple[str, str], Evidence] = {}
        self._count = 0

    def seen(self, path: Path, kind: str) -> Evidence:
        key = (str(path), kind)
        if key not in self._seen:
            self._seen[key] = wan_prep.observe(path, kind=kind, estimator=self.estimator)
        return self._seen[key]

    def at(self, path: Path, times: list[Fraction]) -> Evidence:
        return wan_prep.observe(path, at=times, estimator=self.estimator)

    def picture(self, rgb: np.ndarray) -> Evidence:
        """Evidence of a picture in memory, through a file as a user's would be."""
        self._count += 1
        path = self.folder / f"{self._count}.png"
        Image.fromarray(rgb).save(path, compress_level=1)
        evidence = wan_prep.observe(path, kind="image", estimator=self.estimator)
        path.unlink()
        return evidence


def pair_names() -> list[str]:
    return sorted(p.name for p in PAIRS.iterdir())


def pair_image(name: str) -> Path:
    return next((PAIRS / name).glob("image.*"))


def pair_video(name: str) -> Path:
    return PAIRS / name / "video.mp4"


def frames_of(lab: Lab, path: Path, times: list[Fraction]) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Frames without their black bars: a moved bar would be a picture that nobody means."""
    evidence = lab.seen(path, "video")
    info, content = evidence.video_info, evidence.content
    assert info is not None
    for frame in frames_at(path, info, times):
        rgb = frame.rgb()
        height, width = rgb.shape[:2]
        top, bottom = round(content.top * height), round(content.bottom * height)
        left, right = round(content.left * width), round(content.right * width)
        yield frame.time, np.ascontiguousarray(rgb[top:bottom, left:right])


def in_content(evidence: Evidence, keypoints_xy: np.ndarray) -> np.ndarray:
    """Points as fractions of the picture without its black bars."""
    box = evidence.content
    return (keypoints_xy - (box.left, box.top)) / (box.width, box.height)


def subject_of(evidence: Evidence) -> Subject | None:
    return evidence.first.subject if evidence.first else None


def compare(image: Evidence, video: Evidence) -> Measures | None:
    a, b = subject_of(image), subject_of(video)
    return (
        None
        if a is None or b is None
        else measure(subject_in_frame(image, a), subject_in_frame(video, b), default_profile())
    )


def report(image: Evidence, video: Evidence, mode: str = "animate") -> Report:
    return api.check(image, video, mode=mode)  # type: ignore[arg-type]


# ------------------------------------------------------------------ known transforms


def zoomed(rgb: np.ndarray, zoom: float, center_xy: tuple[float, float]) -> np.ndarray:
    """The window of 1/zoom of both sides, as near to `center_xy` as fits, at the full size."""
    height, width = rgb.shape[:2]
    left, top = (
        min(max(c - length / zoom / 2, 0.0), length - length / zoom)
        for c, length in zip(center_xy, (width, height), strict=True)
    )
    # Pixel centres: p maps to (p + 0.5 - left) * zoom - 0.5.
    matrix = np.array(
        [
            [zoom, 0.0, (0.5 - left) * zoom - 0.5],
            [0.0, zoom, (0.5 - top) * zoom - 0.5],
        ]
    )
    return cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_CUBIC)


def shifted(rgb: np.ndarray, share_x: float, share_y: float) -> np.ndarray:
    """Moved right and down by shares of width and height; the edge is repeated."""
    height, width = rgb.shape[:2]
    matrix = np.array([[1.0, 0.0, share_x * width], [0.0, 1.0, share_y * height]])
    return cv2.warpAffine(
        rgb, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def rolled(rgb: np.ndarray, clockwise_deg: float) -> np.ndarray:
    """Turned about its middle; the edge is repeated."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -clockwise_deg, 1.0)
    return cv2.warpAffine(
        rgb, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def narrowed(rgb: np.ndarray, share: float, center_x: float) -> np.ndarray:
    """Cropped to a share of its width around a column."""
    width = rgb.shape[1]
    keep = max(2, round(width * share))
    left = min(max(round(center_x - keep / 2), 0), width - keep)
    return np.ascontiguousarray(rgb[:, left : left + keep])


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share)) if values else math.nan
