"""Checks of a path before it is opened, whether a file stays as it is, and its hash."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from wan_prep.errors import InputPathError, SourceChanged, WanPrepError

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def open_check(path: str | os.PathLike[str]) -> Path:
    """Return `path` as a `Path` once it is known to be a regular file that opens for reading.

    Nothing but a regular file is opened: opening a pipe would wait for ever.
    Raises InputPathError, one line that says what was expected, found, and what to do.
    """
    checked = Path(path)
    shown = _one_line(checked)
    if not str(path):
        raise InputPathError("expected the path of a file, found an empty string; name a file")
    try:
        mode = checked.stat().st_mode
    except FileNotFoundError as exc:
        hint = "the link points nowhere; repair it" if checked.is_symlink() else "check the path"
        raise InputPathError(f"expected a file, found nothing at {shown}; {hint}") from exc
    except PermissionError as exc:
        raise InputPathError(_no_permission(shown)) from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise InputPathError(
            f"expected a file, but {shown} is no usable path ({reason}); check the path"
        ) from exc
    if stat.S_ISDIR(mode):
        raise InputPathError(
            f"expected a file, found a directory at {shown}; name a file inside it"
        )
    if not stat.S_ISREG(mode):
        found = next((name for is_kind, name in _SPECIAL if is_kind(mode)), "no regular file")
        raise InputPathError(
            f"expected a regular file, found {found} at {shown}; save the media to a file first"
        )
    try:
        with checked.open("rb"):
            pass
    except PermissionError as exc:
        raise InputPathError(_no_permission(shown)) from exc
    except OSError as exc:
        raise InputPathError(
            f"expected a readable file, but opening {shown} failed ({exc.strerror}); "
            "check the disk or the mount"
        ) from exc
    return checked


@dataclass(frozen=True)
class FileState:
    """What changes when somebody writes a file or puts another one in its place."""

    path: Path
    identity: tuple[int, int, int, int] | None
    """device, inode, size in bytes, time of the last change in ns; None where there is none."""

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self:
        try:
            found = Path(path).stat()
        except OSError:
            return cls(Path(path), None)
        return cls(Path(path), (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))


@contextmanager
def unchanged(*states: FileState) -> Iterator[None]:
    """Around all that is made of these files, which is of one content or of none.

    Raises SourceChanged: a file is another one afterwards, or gone, whatever else went wrong.
    """
    try:
        yield
    except WanPrepError as exc:
        _must_be_as_before(states, exc)
        raise
    _must_be_as_before(states, None)


def _must_be_as_before(states: tuple[FileState, ...], cause: WanPrepError | None) -> None:
    for state in states:
        if FileState.of(state.path) != state:
            raise SourceChanged(
                f"expected {_one_line(state.path)} to stay as it is while it is read, but it "
                "changed meanwhile; wait until whatever writes it has finished, then try again"
            ) from cause


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of the content, read in pieces (memory does not grow with the file)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def head_of(path: Path, size_bytes: int = 4096) -> bytes:
    """The first bytes of the file, at most `size_bytes`."""
    with path.open("rb") as file:
        return file.read(size_bytes)


def _no_permission(shown: str) -> str:
    return f"expected a readable file, found no permission to read {shown}; change its permissions"


def _one_line(path: Path) -> str:
    # Paths may contain line breaks and undecodable bytes, messages may not.
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
