"""The networks that ship with the package, and whether they are still those that were shipped."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from wan_prep.errors import PoseModelError
from wan_prep.media.files import sha256_of

POSE_BUNDLE = "pose_landmarker_full.task"
FACE_BUNDLE = "face_landmarker.task"
PEOPLE_MODEL = "movenet_multipose.onnx"
SHIPPED = {
    POSE_BUNDLE: "234ff9b5f460bb722c75f9e45fd285bb412150dfb24c7e3aa7265267674e8170",
    FACE_BUNDLE: "358020ddf56671350a104ad919fdbd3b87f5c46866d43285d826aebe01e2510d",
    PEOPLE_MODEL: "c9cd8ae70c982f8fed213a63698e76081dda23c6e2f24ec5221d7c65228762cc",
}
"""Hex SHA-256 of each; models/README.md says where they come from."""
BESIDE = (FACE_BUNDLE, PEOPLE_MODEL)
"""The networks that are used beside whichever pose bundle: of faces, and of several people."""


def shipped_model(name: str = POSE_BUNDLE) -> Path:
    """Path of a file that comes with the package; nothing is known of its content yet."""
    return Path(str(resources.files("wan_prep.pose") / "models" / name))


def verified_model(name: str) -> Path:
    """Path of a network whose content is the one that was shipped.

    Native code reads these files, so none is handed to it unverified. Hashed once a process: a file
    that is exchanged under a running one is not noticed.

    Raises PoseModelError: it is missing, or another one.
    """
    path = shipped_model(name)
    if found_sha256(name) != SHIPPED[name]:
        raise PoseModelError(
            f"{path}: expected the network that wan-prep ships (sha256 {SHIPPED[name][:12]}…), "
            f"found another file ({found_sha256(name)[:12]}…); install wan-prep again: pip "
            "install --force-reinstall wan-prep"
        )
    return path


@cache
def found_sha256(name: str) -> str:
    """Hex SHA-256 of a shipped network as it is found. Raises PoseModelError: it is missing."""
    path = shipped_model(name)
    try:
        return sha256_of(path)
    except OSError as exc:
        raise PoseModelError(
            f"{path}: expected a network that wan-prep ships, found none that can be read "
            f"({exc.strerror}); install wan-prep again: pip install --force-reinstall wan-prep"
        ) from exc
