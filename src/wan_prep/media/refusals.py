"""The errors of `probe` for files that are no readable video, worded for the user."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import av.error

from wan_prep.errors import MediaUnreadable, UnreadableKind
from wan_prep.media.boxes import boxes
from wan_prep.media.files import head_of
from wan_prep.media.sniff import sniff

_ISO_MEDIA = "MP4 or QuickTime"


def raise_still(name: str) -> NoReturn:
    """Raise for a picture where a video is expected."""
    raise MediaUnreadable(
        "wrong_kind",
        f"expected a video, found a still picture ({name}); give the driving video here "
        "and the picture as the reference image",
    )


def raise_not_media(exc: BaseException | None) -> NoReturn:
    """Raise for a file that no decoder knows."""
    raise MediaUnreadable(
        "not_media",
        "expected a video file, found nothing a decoder knows (playlists and scripts are not "
        "followed); give the media file itself, for example an MP4",
    ) from exc


def raise_unopened(path: Path, exc: BaseException) -> NoReturn:
    """Raise MediaUnreadable with the reason why libav did not open the file."""
    family, name = sniff(head_of(path)) or (None, "")
    kind: UnreadableKind
    if isinstance(exc, MemoryError | av.error.MemoryError):
        kind = "too_large"
        message = (
            "found one that does not fit into memory, by its size or its number of streams; scale "
            "it down, and keep one stream of pictures and one of sound"
        )
    elif isinstance(exc, av.error.DecoderNotFoundError | av.error.NotImplementedError):
        kind = "unsupported"
        message = f"found {name or 'a format'} without a decoder here; convert it to H.264 in MP4"
    elif family in ("image", "unread") and name != "GIF":
        raise_still(name)
    elif family is None:
        raise_not_media(exc)
    elif name == _ISO_MEDIA and _is_cut_iso(path):
        kind = "truncated"
        message = "found one cut before its index (moov), so nothing plays; copy it again whole"
    else:
        kind = "corrupt"
        message = f"found a damaged {name} file ({brief(exc)}); export it again"
    raise MediaUnreadable(kind, f"expected a video, {message}") from exc


def brief(exc: BaseException) -> str:
    """What libav says of an error, without the path."""
    return str(getattr(exc, "strerror", None) or type(exc).__name__)


def _is_cut_iso(path: Path) -> bool:
    """Whether an MP4 or QuickTime file ends inside one of its top boxes, without an index."""
    with path.open("rb") as file:
        whole = (0, file.seek(0, 2))
        try:
            for kind, _ in boxes(file, whole):
                if kind == b"moov":
                    return False
        except ValueError:
            return True
    return True
