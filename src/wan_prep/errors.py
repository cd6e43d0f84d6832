"""Every error this library raises on purpose.

::

    WanPrepError
    ├── InputPathError      the path itself: missing, a directory, not a regular file, no permission
    ├── MediaUnreadable     the path is fine, its content is not: empty, garbage, cut, over a limit
    ├── ProfileError        a profile or settings file that does not say what it must
    ├── PoseModelError      the pose model is missing, not a bundle, or refused by its runtime
    ├── DependencyMissing   a package, or a system library that a package links, is not there
    └── EvidenceMissing     a report was asked for what only its evidence knows

`InputPathError` ends a command with exit code 2; `MediaUnreadable` never leaves the library
through `check` or `observe`: it becomes a finding about the file (exit code 1).
"""

from __future__ import annotations

from typing import Literal

UnreadableKind = Literal[
    "empty",  # zero bytes
    "not_media",  # no decoder recognises the content
    "wrong_kind",  # a still where a video is expected, a video where an image is expected
    "no_video_stream",  # a media file without moving pictures, audio only
    "no_frames",  # a video stream of which not one frame decodes
    "truncated",  # cut so that nothing can be used
    "corrupt",  # recognised, but its content cannot be decoded
    "too_large",  # over the limit of pixels, refused before allocation
    "unsupported",  # recognised, but no decoder is installed for it
]


class WanPrepError(Exception):
    """Base of all errors of this library."""


class InputPathError(WanPrepError):
    """The path cannot be opened as a regular file."""


class MediaUnreadable(WanPrepError):
    """The file is there, but no picture can be had from it; `kind` says why."""

    def __init__(self, kind: UnreadableKind, message: str) -> None:
        super().__init__(message)
        self.kind: UnreadableKind = kind


class ProfileError(WanPrepError):
    """A profile or settings file is not valid."""


class PoseModelError(WanPrepError):
    """The pose model cannot be loaded."""


class DependencyMissing(WanPrepError):
    """Something that must be installed is not."""


class EvidenceMissing(WanPrepError):
    """The report carries no evidence; `observe` both files again, or load a saved report."""
