"""Write the reference image in the plan's geometry."""

from __future__ import annotations

from pathlib import Path

import cv2

from wan_prep.errors import NormalizeFailed
from wan_prep.media.images import probe_image, read_image
from wan_prep.normalizers.crop_pad import picture
from wan_prep.planning.model import Geometry, ImageOperations


def write_still(
    work: ImageOperations, geometry: Geometry, source: Path, target: Path, *, max_pixels: int
) -> None:
    """Write the upright picture, sRGB and without transparency, in the plan's geometry.

    Raises:
        MediaUnreadable: the source does not decode.
        NormalizeFailed: the target cannot be written.
    """
    info = probe_image(source, max_pixels=max_pixels)
    rgb = read_image(source, info, max_pixels=max_pixels, background=work.background)
    options: list[int] = []
    if work.format == "jpeg":
        full_color = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [cv2.IMWRITE_JPEG_QUALITY, work.jpeg_quality]
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_color]
    try:
        bgr = cv2.cvtColor(picture(rgb, geometry), cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(f".{work.format}", bgr, options)
    except cv2.error as exc:  # sides over 32767 px, or more memory than there is
        raise NormalizeFailed(
            f"{target.name}: a picture of {info.width}x{info.height} px could not be made into "
            f"one of {geometry.width}x{geometry.height} ({exc.err}); scale the source down"
        ) from exc
    try:
        target.write_bytes(encoded.tobytes())
    except OSError as exc:
        raise NormalizeFailed(
            f"{target.name} could not be written ({exc.strerror}); free some space, or choose "
            "another folder"
        ) from exc
