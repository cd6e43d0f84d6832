"""How the colours of a clip are coded, as its first frame says."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import av.error
from av.video.frame import VideoFrame

from wan_prep.errors import MediaUnreadable
from wan_prep.media import libav
from wan_prep.media.files import open_check
from wan_prep.media.libav import DecodeLog
from wan_prep.media.refusals import brief

# ISO/IEC 23091-2 code points, as FFmpeg and its filters name them; 2 is "unspecified". PyAV's enums
# lack half of the matrices, and their names are not those of the filters.
_MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c", 14: "ictcp",
}  # fmt: skip
_PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "jedec-p22",
}  # fmt: skip
_TRANSFERS = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
# These are read as what the matrix implies: no camera writes them, and not every filter knows them.
_NOT_CONVERTED = ("log100", "log316", "smpte428")
_HDR_TRANSFERS = ("smpte2084", "arib-std-b67")


def transfer_of(frame: VideoFrame) -> str | None:
    """The transfer characteristics that a frame states; None where it states none."""
    return _TRANSFERS.get(int(frame.color_trc))


def is_hdr(transfer: str | None) -> bool:
    """PQ and HLG."""
    return transfer in _HDR_TRANSFERS


@dataclass(frozen=True)
class ColorTags:
    """Names as FFmpeg's filters take them; None where the clip says nothing."""

    matrix: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    is_full_range: bool = False
    is_rgb: bool = False


def color_tags(path: str | PathLike[str]) -> ColorTags:
    """The tags of the first frame that decodes.

    Raises InputPathError, and MediaUnreadable: the file does not open, or nothing decodes.
    """
    checked = open_check(path)
    try:
        with libav.open_container(checked) as container:
            stream = libav.video_stream(container)
            if stream is not None:
                for _, frame in libav.timed_frames(container, stream, DecodeLog()):
                    return _tags(frame)
    except av.error.FFmpegError as exc:
        raise MediaUnreadable(
            "corrupt", f"expected a video, but {path} does not open ({brief(exc)})"
        ) from exc
    raise MediaUnreadable("no_frames", f"expected a video, but no frame of {path} decodes")


def _tags(frame: VideoFrame) -> ColorTags:
    name, transfer = frame.format.name, transfer_of(frame)
    return ColorTags(
        matrix=_MATRICES.get(int(frame.colorspace)),
        primaries=_PRIMARIES.get(int(frame.color_primaries)),
        transfer=None if transfer in _NOT_CONVERTED else transfer,
        is_full_range=libav.is_full_range(frame),
        is_rgb=bool(frame.format.is_rgb) or name == "pal8",
    )
