"""The MediaPipe Tasks landmarkers behind `PoseEstimator`; the only importer of mediapipe.

MediaPipe's native code writes log lines to file descriptor 2 while a graph starts.  They say
nothing a user could act on, so they are held back there and quoted only when loading fails.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from wan_prep.errors import DependencyMissing, PoseModelError
from wan_prep.pose.estimator import Floats, RawFace, RawPose, Rgb

POSE_BUNDLE = "pose_landmarker_full.task"
FACE_BUNDLE = "face_landmarker.task"
POSE_PARTS = ("pose_detector.tflite", "pose_landmarks_detector.tflite")
MAX_POSES = 5
FOLLOW_STEP_MS = 5000
# What follows are ten iris points, which the shipped face network does not answer.
MESH_POINTS = 468
_STDERR_LOCK = threading.Lock()


def shipped_model(name: str = POSE_BUNDLE) -> Path:
    """Path of a bundle that comes with the package."""
    return Path(str(resources.files("wan_prep.pose") / "models" / name))


class MediapipeEstimator:
    """Pose and face landmarkers; every call but `follow` stands alone, so runs repeat exactly.

    Raises:
        PoseModelError: the bundle is missing, not a pose bundle, or refused by the runtime.
        DependencyMissing: mediapipe, or a system library it links, is not installed.
    """

    def __init__(self, model: Path | None = None) -> None:
        path = model or shipped_model()
        _check_bundle(path)
        self.name = path.name
        self.sha256 = _sha256(path)
        self._pose_seen = self._face_seen = False
        self._path = path
        self._follower: Any = None
        self._followed = 0
        with _native_log_held_back() as held_back:
            try:
                self._mp = _import_mediapipe()
                self._pose = self._landmarker("IMAGE", MAX_POSES)
                self._face = self._face_landmarker()
            except (RuntimeError, ValueError, OSError) as exc:
                raise PoseModelError(
                    f"{path}: MediaPipe cannot load this pose model: {exc} {held_back()}".strip()
                ) from exc

    def _landmarker(self, running_mode: str, num_poses: int) -> Any:
        vision = self._mp.tasks.vision
        return vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=self._mp.tasks.BaseOptions(model_asset_path=str(self._path)),
                running_mode=vision.RunningMode[running_mode],
                num_poses=num_poses,
            )
        )

    def _face_landmarker(self) -> Any:
        vision, model = self._mp.tasks.vision, str(shipped_model(FACE_BUNDLE))
        return vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=self._mp.tasks.BaseOptions(model_asset_path=model),
                running_mode=vision.RunningMode.IMAGE,
                num_faces=1,
            )
        )

    def poses(self, rgb: Rgb) -> list[RawPose]:
        """The bodies of one (H, W, 3) uint8 picture; square pictures measure best."""
        # A graph logs while its threads start and once more at its first landmarks.
        with nullcontext() if self._pose_seen else _native_log_held_back():
            result = self._pose.detect(self._image(rgb))
        self._pose_seen = self._pose_seen or bool(result.pose_landmarks)
        return _raw_poses(result, rgb)

    def follow(self, rgb: Rgb) -> RawPose | None:
        """The body of one picture, sought first where the last call found one."""
        with nullcontext() if self._follower else _native_log_held_back():
            if self._follower is None:
                self._follower = self._landmarker("VIDEO", 1)
            # Far apart in its own time, so that it does not smooth one sample with the next.
            self._followed += FOLLOW_STEP_MS
            result = self._follower.detect_for_video(self._image(rgb), self._followed)
        return next(iter(_raw_poses(result, rgb)), None)

    def face(self, rgb: Rgb) -> RawFace | None:
        """The face of a crop around one head; the detector misses small faces in full pictures."""
        with nullcontext() if self._face_seen else _native_log_held_back():
            result = self._face.detect(self._image(rgb))
        self._face_seen = self._face_seen or bool(result.face_landmarks)
        if not result.face_landmarks:
            return None
        height, width = rgb.shape[:2]
        points = result.face_landmarks[0][:MESH_POINTS]
        mesh: Floats = np.array([(p.x, p.y, p.z) for p in points], dtype=np.float64)
        if not np.isfinite(mesh).all():
            return None
        # MediaPipe scales z like x, by the picture's width.
        return RawFace(mesh * (width, height, width))

    def _image(self, rgb: Rgb) -> Any:
        return self._mp.Image(self._mp.ImageFormat.SRGB, np.ascontiguousarray(rgb))

    def close(self) -> None:
        with _native_log_held_back():
            for landmarker in (self._pose, self._face, self._follower):
                if landmarker is not None:
                    landmarker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _raw_poses(result: Any, rgb: Rgb) -> list[RawPose]:
    """MediaPipe's landmarks as arrays in px of the picture given."""
    height, width = rgb.shape[:2]
    found = []
    for landmarks, world in zip(result.pose_landmarks, result.pose_world_landmarks, strict=True):
        rows = np.array([(p.x, p.y, p.visibility) for p in landmarks], dtype=np.float64)
        world_xyz = np.array([(p.x, p.y, p.z) for p in world], dtype=np.float64)
        if np.isfinite(rows).all() and np.isfinite(world_xyz).all():
            found.append(RawPose(rows[:, :2] * (width, height), rows[:, 2], world_xyz))
    return found


def _import_mediapipe() -> Any:
    try:
        import mediapipe
    except ImportError as exc:
        raise DependencyMissing(
            f"MediaPipe cannot be imported ({exc}); reinstall with: pip install wan-prep"
        ) from exc
    return mediapipe


def _check_bundle(path: Path) -> None:
    """Refuse what is not a pose bundle before native code sees it."""
    if not path.is_file():
        raise PoseModelError(f"{path}: no such pose model; expected a .task bundle")
    if not zipfile.is_zipfile(path):
        raise PoseModelError(f"{path}: not a .task bundle (an uncompressed zip of two networks)")
    try:
        with zipfile.ZipFile(path) as bundle:
            missing = [part for part in POSE_PARTS if part not in bundle.namelist()]
    except (zipfile.BadZipFile, OSError) as exc:
        raise PoseModelError(f"{path}: a damaged .task bundle ({exc})") from exc
    if missing:
        raise PoseModelError(f"{path}: not a pose landmarker bundle, it lacks {missing[0]}")


@lru_cache(maxsize=4)
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _native_log_held_back() -> Iterator[Any]:
    """Point file descriptor 2 at a scratch file; yields a reader of what was written there.

    One at a time: two overlapping spans would restore each other's scratch file.
    """
    with _STDERR_LOCK, tempfile.TemporaryFile() as scratch:
        try:
            saved = os.dup(2)
        except OSError:  # no stderr at all, so nothing to hold back
            yield lambda: ""
            return
        os.dup2(scratch.fileno(), 2)

        def written() -> str:
            scratch.seek(0)
            return scratch.read().decode(errors="replace").strip()[-300:]

        try:
            yield written
        finally:
            os.dup2(saved, 2)
            os.close(saved)
