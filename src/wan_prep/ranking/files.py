"""Sets of files by path, pattern, folder or list."""

from __future__ import annotations

import glob
import mimetypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from wan_prep.errors import InputPathError
from wan_prep.media.files import head_of
from wan_prep.media.sniff import sniff
from wan_prep.remote.sources import is_remote

Kind = Literal["image", "video"]
_FAMILIES: dict[Kind, tuple[str, ...]] = {"image": ("image", "heif"), "video": ("media",)}


def files_named(given: Iterable[str | Path], kind: Kind) -> list[Path | str]:
    """The files that are meant, each once, in the order given; addresses as text.

    given: addresses; paths of files, which need not exist; of folders, for the images or videos
        in them; with `*`, `?` or `[…]`, for what they match; `@FILE`, for a list with one of these
        in each line, relative to the list.

    Raises:
        InputPathError: a pattern, a folder or a list that gives no file, or a list that cannot be
            read.
    """
    return list(dict.fromkeys(file for each in given for file in _named(str(each), kind, Path())))


def _named(given: str, kind: Kind, base: Path) -> Iterator[Path | str]:
    path = base / given
    if is_remote(given):
        yield given
    elif given.startswith("@") and not path.exists():
        yield from _listed(base / given[1:], kind)
    elif path.is_dir():
        yield from _some((p for p in sorted(path.iterdir()) if _is_kind(p, kind)), given, kind)
    elif glob.has_magic(given) and not path.exists():
        matches = (Path(m) for m in sorted(glob.iglob(str(path), recursive=True)))  # noqa: PTH207
        yield from _some((match for match in matches if not match.is_dir()), given, kind)
    else:
        yield path


def _listed(path: Path, kind: Kind) -> Iterator[Path | str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not UTF-8 text"
        raise InputPathError(f"@{path}: cannot read this list ({reason})") from exc
    named = (file for line in lines if line.strip() for file in _named(line, kind, path.parent))
    yield from _some(named, f"@{path}", kind)


def _some(files: Iterable[Path | str], given: str, kind: Kind) -> Iterator[Path | str]:
    found = list(files)
    if not found:
        raise InputPathError(f"expected {kind}s, found none by {given}; check the path")
    yield from found


def _is_kind(path: Path, kind: Kind) -> bool:
    """By content; by the end of its name where the content tells nothing."""
    if path.name.startswith(".") or not path.is_file():
        return False
    try:
        known = sniff(head_of(path))
    except OSError:
        known = None
    if known is not None:
        return known[0] in _FAMILIES[kind]
    return (mimetypes.guess_type(path.name)[0] or "").startswith(f"{kind}/")
