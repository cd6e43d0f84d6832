"""MoveNet multipose, which proposes people; the only importer of onnxruntime.

The pose network measures one body exactly, but often answers with the most prominent person alone.
MoveNet sees up to six people at once, less exactly.  Its scores are not calibrated, so that a
proposal alone says little: somebody counts when the pose network agrees.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wan_prep.errors import DependencyMissing, PoseModelError
from wan_prep.geometry import Box
from wan_prep.pose.estimator import Floats, Proposal, Rgb
from wan_prep.pose.skeleton import Joint
from wan_prep.pose.weights import PEOPLE_MODEL, verified_model

SIDE_PX = 256
"""Longer side of the picture that the network sees, as its authors recommend."""
_MULTIPLE = 32
"""The network's strides ask for sides that are multiples of this, px."""
JOINTS = (
    *(Joint.NOSE, Joint.LEFT_EYE, Joint.RIGHT_EYE, Joint.LEFT_EAR, Joint.RIGHT_EAR),
    *(Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER, Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW),
    *(Joint.LEFT_WRIST, Joint.RIGHT_WRIST, Joint.LEFT_HIP, Joint.RIGHT_HIP),
    *(Joint.LEFT_KNEE, Joint.RIGHT_KNEE, Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE),
)
"""The 17 COCO joints, in the network's order."""


class MoveNet:
    """The network. Any thread may call it.

    Raises:
        DependencyMissing: onnxruntime is not installed, or a library it links.
        PoseModelError: the runtime refuses the network, or fails; or the shipped one has changed.
    """

    def __init__(self, model: Path | None = None) -> None:
        self._path = model or verified_model(PEOPLE_MODEL)
        self._lock = threading.Lock()
        with _mapped(self._path):
            self._session = _session(self._path)

    def proposals(self, rgb: Rgb, side_px: int = SIDE_PX) -> list[Proposal]:
        """At most six, in px of an (H, W, 3) uint8 picture, the best first.

        side_px: longer side of the picture that the network sees.  Raises: see the class.
        """
        picture, scale = _fitted(rgb, side_px)
        with self._lock, _mapped(self._path):
            (rows,) = self._session.run(None, {"input": picture[None].astype(np.int32)})
        height, width = picture.shape[:2]
        found = [_proposal(row, width / scale, height / scale) for row in rows[0]]
        return sorted(found, key=lambda proposal: -proposal.score)


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """Map what the runtime raises. Raises PoseModelError: the runtime failed."""
    try:
        yield
    except DependencyMissing:
        raise
    except Exception as exc:  # the runtime's errors share no other base
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else "it gives no reason"
        raise PoseModelError(f"{path}: onnxruntime cannot use this network: {reason}") from exc


def _session(path: Path) -> Any:
    onnxruntime = _import_onnxruntime()
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # the other core decodes
    options.enable_cpu_mem_arena = False  # an arena would keep the memory of the largest picture
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _fitted(rgb: Rgb, side_px: int) -> tuple[Rgb, float]:
    """The picture as the network takes it, black at its right and lower edge; and its scale."""
    height, width = rgb.shape[:2]
    scale = side_px / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    shape = [-(-side // _MULTIPLE) * _MULTIPLE for side in (new_height, new_width)]
    picture = np.zeros((*shape, 3), np.uint8)
    picture[:new_height, :new_width] = cv2.resize(rgb, (new_width, new_height), interpolation=kind)
    return picture, scale


def _proposal(row: Floats, width: float, height: float) -> Proposal:
    """One row of (56,) values: 17 times y, x, score; then top, left, bottom, right, score."""
    joints = row[:51].reshape(17, 3).astype(np.float64)
    top, left, bottom, right, score = (float(v) for v in row[51:])
    return Proposal(
        box=Box(left * width, top * height, right * width, bottom * height),
        keypoints_xy=joints[:, 1::-1] * (width, height),
        keypoint_scores=joints[:, 2],
        score=score,
    )


def _import_onnxruntime() -> Any:
    # Releases beyond the bound of pyproject send usage data unless this was set before they load.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as exc:
        raise DependencyMissing(
            f"onnxruntime cannot be imported ({exc}); reinstall with: pip install wan-prep"
        ) from exc
    return onnxruntime
