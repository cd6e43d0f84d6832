"""The MediaPipe Tasks landmarkers behind `PoseEstimator`; the only importer of mediapipe.

What the native code logs while a graph starts is of no use to a user: it is held back, and quoted
only in errors.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from wan_prep.errors import DependencyMissing, PoseModelError
from wan_prep.media.files import sha256_of
from wan_prep.pose.estimator import Floats, Proposal, RawFace, RawPose, Rgb
from wan_prep.pose.movenet import SIDE_PX, MoveNet
from wan_prep.pose.native_log import NativeLogHeldBack
from wan_prep.pose.weights import FACE_BUNDLE, POSE_BUNDLE, found_sha256, verified_model

POSE_PARTS = ("pose_detector.tflite", "pose_landmarks_detector.tflite")
MAX_POSES = 5
FOLLOW_STEP_MS = 5000
# Ten iris points may follow these; the shipped face network has none.
MESH_POINTS = 468


def identity_of(model: Path | None) -> tuple[str, str]:
    """Name and hex SHA-256 by which evidence and reports know a pose bundle; None is the shipped
    one. Nothing is loaded; what a bundle of one's own should hold, nobody knows.

    Raises PoseModelError: it is missing, or not a pose bundle.
    """
    if model is None:
        return POSE_BUNDLE, found_sha256(POSE_BUNDLE)
    _check_bundle(model)
    return model.name, sha256_of(model)


class MediapipeEstimator:
    """Pose and face landmarkers. Each call is independent of those before and of the thread that
    makes it, so runs repeat exactly.

    Raises:
        PoseModelError: the bundle is missing, not a pose bundle, or refused by the runtime; or a
            shipped network is no longer the one that was shipped.
        DependencyMissing: mediapipe, or a system library it links, is not installed.
    """

    def __init__(self, model: Path | None = None) -> None:
        path = model or verified_model(POSE_BUNDLE)
        self.name, self.sha256 = identity_of(model)
        self._path, self._face_path = path, verified_model(FACE_BUNDLE)
        # First, because what loading it takes is free again for the others to use.
        self._people = MoveNet()
        self._mp = _import_mediapipe()
        self._pose = _Landmarker(path, lambda: self._landmarker("IMAGE", MAX_POSES))
        self._face = _Landmarker(path, self._face_landmarker)

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
        vision, model = self._mp.tasks.vision, str(self._face_path)
        return vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=self._mp.tasks.BaseOptions(model_asset_path=model),
                running_mode=vision.RunningMode.IMAGE,
                num_faces=1,
            )
        )

    def poses(self, rgb: Rgb) -> list[RawPose]:
        """The bodies of one (H, W, 3) uint8 picture; square pictures measure best.

        Raises PoseModelError: the runtime failed.
        """
        result = self._pose(lambda pose: pose.detect(self._image(rgb)))
        return _raw_poses(result, rgb)

    def proposals(self, rgb: Rgb, side_px: int = SIDE_PX) -> list[Proposal]:
        """At most six people of one picture, as MoveNet proposes them.

        Raises PoseModelError: the runtime failed.
        """
        return self._people.proposals(rgb, side_px)

    def follower(self) -> _Follower:
        """A follower with a graph of its own, so that clips do not share its memory."""
        return _Follower(_Landmarker(self._path, lambda: self._landmarker("VIDEO", 1)), self._image)

    def face(self, rgb: Rgb) -> RawFace | None:
        """The face of a crop around one head; the detector misses small faces in full pictures.

        Raises PoseModelError: the runtime failed.
        """
        result = self._face(lambda face: face.detect(self._image(rgb)))
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
        self._pose.close()
        self._face.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _native(path: Path, *, logs: bool) -> Iterator[None]:
    """Around a call of native code: hold back its log if `logs`, and map what it raises.

    Raises PoseModelError: the runtime failed.
    """
    held_back = NativeLogHeldBack()
    try:
        with held_back if logs else nullcontext():
            yield
    except (RuntimeError, ValueError, OSError) as exc:
        # The log repeats what the exception says, where it says anything.
        reason = (str(exc).strip() or held_back.said.strip() or "it gives no reason").splitlines()[
            0
        ]
        raise PoseModelError(f"{path}: MediaPipe cannot use this pose model: {reason}") from exc


class _Landmarker:
    """One of MediaPipe's landmarkers behind a lock: one thread uses it at a time."""

    def __init__(self, path: Path, make: Callable[[], Any]) -> None:
        self._path = path
        self._lock = threading.Lock()
        # A graph logs while it starts, and once more when it first finds landmarks.
        self._logs = True
        with _native(path, logs=True):
            self._made = make()

    def __call__(self, use: Callable[[Any], Any]) -> Any:
        with self._lock, _native(self._path, logs=self._logs):
            result = use(self._made)
            found = getattr(result, "pose_landmarks", None) or getattr(
                result, "face_landmarks", None
            )
            self._logs = self._logs and not found
            return result

    def close(self) -> None:
        with self._lock:
            try:
                with _native(self._path, logs=True):
                    self._made.close()
            except PoseModelError:
                # A graph that has failed raises again when it is closed, and would once more when
                # it is collected. Without a handle it counts as closed.
                self._made._handle = None


class _Follower:
    """Tracks one body in MediaPipe's video mode, in which each call remembers the one before."""

    def __init__(self, landmarker: _Landmarker, image: Callable[[Rgb], Any]) -> None:
        self._landmarker, self._image = landmarker, image
        self._time_ms = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._landmarker.close()

    def follow(self, rgb: Rgb) -> RawPose | None:
        """The body of one picture, sought first where the last call found one."""
        # Time stamps far apart keep MediaPipe from smoothing one sample with the next.
        self._time_ms += FOLLOW_STEP_MS
        result = self._landmarker(
            lambda pose: pose.detect_for_video(self._image(rgb), self._time_ms)
        )
        return next(iter(_raw_poses(result, rgb)), None)


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
    """Raise PoseModelError for a file that is no pose bundle, before native code reads it."""
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
