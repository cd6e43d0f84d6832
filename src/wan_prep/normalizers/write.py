"""Files come to be aside, are verified, and then take their names.

The scratch folder lies in the target folder, so that taking a name is a rename.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from wan_prep.errors import NormalizeFailed, OutputExists
from wan_prep.normalizers.verify import ExpectedVideo

_SCRATCH = ".wan-prep-"


@dataclass(frozen=True)
class Written:
    """Where the files of a plan are."""

    image: Path
    videos: tuple[Path, ...]
    """One for each span, in order."""


class Prepared:
    """Files of a plan that are whole, but still aside.

    Look at `image` and `videos`, put more beside them (`aside`), then `publish`. As a context
    manager it discards what was not published.
    """

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        """Raises NormalizeFailed: `folder` can be neither made nor written into."""
        self.folder = folder
        self.image = Path()
        self.videos: tuple[Path, ...] = ()
        self.expected: dict[Path, ExpectedVideo] = {}
        """What each clip must be that was not just copied."""
        self._overwrite = overwrite
        self._is_new = not folder.exists()
        self._aside: list[Path] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_left_behind(folder)
            self._scratch = Path(tempfile.mkdtemp(prefix=f"{_owner()}-", dir=folder))
        except OSError as exc:
            raise NormalizeFailed(
                f"expected a folder to write into, but {folder} is none ({exc.strerror}); choose "
                "another one"
            ) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()

    def aside(self, name: str) -> Path:
        """Where to write a file that will be called `name`.

        Raises:
            OutputExists: something is called so already, and may not be overwritten.
            NormalizeFailed: it is no plain file name, or the name of two files.
        """
        path, target = self._scratch / name, self.folder / name
        is_plain = Path(name).name == name and name not in ("", "..")
        if not is_plain or path in self._aside:
            raise NormalizeFailed(
                f"expected a file name of its own for every file, found {name!r}; plan again"
            )
        if not self._overwrite and os.path.lexists(target):
            raise OutputExists(
                f"expected no {name} in {self.folder}, found one; choose another folder, or allow "
                "it to be overwritten (--overwrite)"
            )
        self._aside.append(path)
        return path

    def publish(self) -> Written:
        """Give every file its name; where one can't have it, none does that was not there before.

        Raises:
            OutputExists: a name was taken meanwhile.
            NormalizeFailed: the folder no longer takes them.
        """
        new: list[Path] = []
        for path in self._aside:
            target = self.folder / path.name
            existed = os.path.lexists(target)
            try:
                _rename(path, target, overwrite=self._overwrite)
            except OSError as exc:
                for published in new:
                    published.unlink(missing_ok=True)
                _raise_unplaced(target, exc)
            if not existed:
                new.append(target)
        written = Written(
            self.folder / self.image.name, tuple(self.folder / path.name for path in self.videos)
        )
        self.discard()
        return written

    def discard(self) -> None:
        """Remove what was not published, and the folder if it was made for nothing."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        if self._is_new:
            with suppress(OSError):
                self.folder.rmdir()  # only where it is empty


def _raise_unplaced(target: Path, exc: OSError) -> NoReturn:
    if isinstance(exc, FileExistsError):
        raise OutputExists(
            f"expected no {target.name} in {target.parent}, but one came to be meanwhile; choose "
            "another folder, or allow it to be overwritten (--overwrite)"
        ) from exc
    raise NormalizeFailed(
        f"{target} could not be put into place ({exc.strerror}); choose another folder"
    ) from exc


def _rename(path: Path, target: Path, *, overwrite: bool) -> None:
    """Move within one file system; FileExistsError where `target` exists and must stay."""
    if overwrite:
        path.replace(target)
        return
    try:
        target.hardlink_to(path)  # unlike a rename it never replaces anything
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError from None
        path.rename(target)
    else:
        path.unlink()


# ---- what a killed run leaves behind


def _owner() -> str:
    """Begins the name of a scratch folder: whose it is."""
    host = re.sub(r"\W", "_", socket.gethostname())
    return f"{_SCRATCH}{host}-{os.getpid()}"


def _remove_left_behind(folder: Path) -> None:
    """Remove scratch folders whose process, on this machine, is no more."""
    if os.name != "posix":
        return  # elsewhere signal 0 is not harmless
    stem = _owner().rpartition("-")[0]
    for path in folder.glob(f"{stem}-*"):
        pid = path.name.removeprefix(f"{stem}-").partition("-")[0]
        if not pid.isdecimal() or int(pid) == os.getpid():
            continue
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # it lives, and is somebody else's
