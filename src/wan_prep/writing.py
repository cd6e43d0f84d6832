"""Atomic writing of single files, which never replaces an input."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wan_prep.errors import InputPathError


def is_same_file(path: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to one file: by link, hard link, another spelling or another case.

    False where either does not exist or cannot be looked at.
    """
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):
        return False


def refuse_replacing(target: str | Path, inputs: Iterable[str | Path]) -> None:
    """Raises InputPathError: `target` is the same file as one of `inputs`."""
    for source in inputs:
        if is_same_file(target, source):
            raise InputPathError(
                f"{target} would replace the input {source}; inputs are never touched, so choose "
                "another name or folder"
            )


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; it is renamed to `target` if the block raises nothing.

    The content is on the disk before it gets the name. Several threads and processes may write the
    same target: the last one to end wins.

    Raises:
        InputPathError: `target` is a device, a pipe or a folder. OSError: it cannot be written.
    """
    if target.exists() and not target.is_file():
        raise InputPathError(f"{target} is not a regular file, so it is not replaced; name a file")
    scratch = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield scratch
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; raises as `written_whole`."""
    with written_whole(target) as scratch:
        scratch.write_text(text, encoding="utf-8")
