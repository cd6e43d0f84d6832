"""Write the folder of `fix`: files are made in a hidden folder, then all get their names at once.

plan.json lists the files of a folder with their hashes. While files are renamed the list is marked
as incomplete, so that a run which is killed between two renames leaves a folder that says so.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from wan_prep.errors import (
    InputPathError,
    NormalizeFailed,
    OutputExists,
    SourceChanged,
    WanPrepError,
)
from wan_prep.media.files import sha256_of
from wan_prep.normalizers.verify import ExpectedVideo
from wan_prep.planning.model import OUTPUT_NAME, PLAN_NAME, Plan, Published, PublishedFile
from wan_prep.writing import is_same_file, write_text

_SCRATCH = ".wan-prep-"
_LOCK = ".wan-prep.lock"
_REPLACED = "replaced"


@dataclass(frozen=True)
class Written:
    """Where the files of a plan are."""

    plan: Plan
    """With the list of what was written."""
    image: Path
    videos: tuple[Path, ...]
    """One for each span, in order."""


def refuse_sources(folder: Path, sources: Iterable[str | Path]) -> None:
    """Raises InputPathError: one of `sources` stands in `folder` under a name that `fix` writes.

    Found whatever the path says: by links, hard links, another spelling or another case.
    """
    outputs = list(_outputs_in(folder))
    for source in sources:
        for output in outputs:
            if is_same_file(output, source):
                raise InputPathError(
                    f"{source} would be replaced by the {output.name} that fix writes into "
                    f"{folder}; inputs are never touched, so choose another folder"
                )


def published_plan(folder: Path) -> Plan:
    """The plan of a folder that `fix` wrote, once every file it lists was found as listed.

    Raises:
        InputPathError: no such folder, one without a list of its files, an incomplete one, or one
            in which a file is missing or not listed.
        SourceChanged: a file is not the one that was written. WanPrepError: plan.json is no plan.
    """
    if not folder.is_dir():
        raise InputPathError(
            f"expected a folder written by `wan-prep fix`, found none at {folder}; "
            "or give IMAGE and VIDEO"
        )
    if not (folder / PLAN_NAME).is_file():
        raise InputPathError(
            f"{folder}: expected a folder written by `wan-prep fix`, found no {PLAN_NAME} in it; "
            "run fix again, or give IMAGE and VIDEO"
        )
    plan = Plan.load(folder / PLAN_NAME)
    again = "run fix again, with --overwrite"
    if plan.published is None:
        raise InputPathError(f"{folder}: its {PLAN_NAME} does not list the files written; {again}")
    if not plan.published.complete:
        raise InputPathError(f"{folder} is incomplete: fix was stopped in it; {again}")
    listed = {file.name: file.sha256 for file in plan.published.files}
    for output in _outputs_in(folder):
        if output.name not in listed:
            raise InputPathError(
                f"{folder}: {output.name} is not one of the files that fix wrote; move it away, "
                f"or {again}"
            )
    for name, sha256 in listed.items():
        if not (folder / name).is_file():
            raise InputPathError(f"{folder}: {name} is missing; {again}")
        if sha256_of(folder / name) != sha256:
            raise SourceChanged(f"{folder}: {name} has changed since fix wrote it; {again}")
    return plan


class PreparedFolder:
    """The files of a plan, complete but not published yet, in a hidden folder inside the target.

    `image` and `videos` are their paths; `aside` gives paths for more files; `publish` gives all
    their names. As a context manager it discards unpublished files. The target is locked.
    """

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        """Raises NormalizeFailed: `folder` cannot be written, or another run writes into it."""
        self.folder = folder
        self.image = Path()
        self.videos: tuple[Path, ...] = ()
        self.expected: dict[Path, ExpectedVideo] = {}
        """What each clip must be that was not just copied."""
        self._overwrite = overwrite
        self._is_new = not folder.exists()
        self._aside: list[Path] = []
        self._lock = FileLock(folder / _LOCK, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            # With the lock held, any other scratch folder was left by a killed run.
            for left_behind in folder.glob(f"{_SCRATCH}*"):
                shutil.rmtree(left_behind, ignore_errors=True)
            self._scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder))
        except Timeout as exc:
            raise NormalizeFailed(
                f"another run is writing into {folder}; wait for its end, or choose another folder"
            ) from exc
        except OSError as exc:
            self._unlock()
            raise NormalizeFailed(
                f"expected a folder to write into, but {folder} is none ({exc.strerror}); choose "
                "another one"
            ) from exc
        except BaseException:
            self._unlock()
            raise

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
        """The path at which to write a file that will be published as `name`.

        Raises:
            OutputExists: something is called so already, and may not be overwritten.
            NormalizeFailed: it is not one of the names that `fix` writes, or that of two files.
        """
        path = self._scratch / name
        if not re.fullmatch(OUTPUT_NAME, name) or path in self._aside:
            raise NormalizeFailed(
                f"expected a file name of its own for every file, found {name!r}; plan again"
            )
        self._must_be_free(name)
        self._aside.append(path)
        return path

    def publish(self, plan: Plan) -> Written:
        """Give every file its name and write plan.json: all of them appear, or none.

        Files of an earlier plan that this one does not replace are removed.

        Raises:
            OutputExists: a name was taken meanwhile, or a file stands here that would not belong
                to the pair and that no earlier plan wrote.
            NormalizeFailed: the folder no longer takes them.
        """
        self._must_be_free(PLAN_NAME)
        files = tuple(PublishedFile(name=p.name, sha256=sha256_of(p)) for p in self._aside)
        listed = self._listed()
        earlier = self.earlier(listed)
        pending = Published(complete=False, files=(*files, *sorted(listed - set(files), key=str)))
        whole = plan.model_copy(update={"published": Published(complete=True, files=files)})
        change = _Change(self.folder, self._scratch / _REPLACED, self._aside)
        try:
            change.begin(_document(plan.model_copy(update={"published": pending})))
            if self._overwrite:
                for name in (*earlier, *(file.name for file in files)):
                    change.take_away(name)
            for path in self._aside:
                change.put(path)
            change.end(_document(whole))
        except FileExistsError as exc:
            change.undo()
            raise OutputExists(
                f"{exc.filename2 or exc.filename} came to be while the pair was written; choose "
                "another folder, or allow it to be overwritten (--overwrite)"
            ) from exc
        except OSError as exc:
            change.undo()
            raise NormalizeFailed(
                f"{self.folder} does not take the written files ({exc.strerror}); choose another "
                "folder"
            ) from exc
        except BaseException:
            change.undo()
            raise
        self.discard()
        return Written(
            whole,
            self.folder / self.image.name,
            tuple(self.folder / path.name for path in self.videos),
        )

    def discard(self) -> None:
        """Remove what was not published, and the folder if it was made for nothing."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._unlock()
        if self._is_new:
            with suppress(OSError):
                self.folder.rmdir()  # only where it is empty

    def _unlock(self) -> None:
        if self._lock.is_locked:
            # Removed while it is held, so that a waiting run notices that it is gone.
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()

    def _must_be_free(self, name: str) -> None:
        target = self.folder / name
        if not os.path.lexists(target):
            return
        if not self._overwrite:
            raise OutputExists(
                f"expected no {name} in {self.folder}, found one; choose another folder, or allow "
                "it to be overwritten (--overwrite)"
            )
        if target.is_dir() and not target.is_symlink():
            raise NormalizeFailed(
                f"{target} is a folder, which is not replaced; choose another place for the pair"
            )

    def earlier(self, listed: frozenset[PublishedFile] | None = None) -> tuple[str, ...]:
        """Names that an earlier plan wrote here and this one does not.

        Raises OutputExists: another file has one of the names of a pair, or was changed since.
        """
        listed = self._listed() if listed is None else listed
        names = {path.name for path in self._aside}
        earlier = []
        for output in _outputs_in(self.folder):
            if output.name in names:
                continue
            if PublishedFile(name=output.name, sha256=sha256_of(output)) not in listed:
                raise OutputExists(
                    f"{output} is not part of the new pair, and not as an earlier fix wrote it; "
                    "move it away, or choose another folder"
                )
            earlier.append(output.name)
        return tuple(earlier)

    def _listed(self) -> frozenset[PublishedFile]:
        """What earlier plans wrote here; nothing where no plan can be read."""
        try:
            published = Plan.load(self.folder / PLAN_NAME).published
        except WanPrepError:
            return frozenset()
        return frozenset(published.files if published else ())


class _Change:
    """Replaces files of a folder by new ones; `undo` restores them, wherever that was stopped."""

    def __init__(self, folder: Path, replaced: Path, aside: Sequence[Path]) -> None:
        self._folder, self._replaced, self._aside = folder, replaced, aside
        self._plan = folder / PLAN_NAME

    def begin(self, pending: str) -> None:
        """From here to `end` the folder says that it is incomplete."""
        self._replaced.mkdir()
        if self._plan.exists():
            shutil.copyfile(self._plan, self._replaced / PLAN_NAME)
        write_text(self._plan, pending)

    def take_away(self, name: str) -> None:
        if os.path.lexists(self._folder / name):
            (self._folder / name).rename(self._replaced / name)

    def put(self, path: Path) -> None:
        """Raises FileExistsError: the name was taken meanwhile."""
        target = self._folder / path.name
        try:
            target.hardlink_to(path)  # unlike a rename, it never replaces a file
        except FileExistsError:
            raise
        except OSError as exc:  # a file system without links
            if os.path.lexists(target):
                raise FileExistsError(exc.errno, "exists", str(target)) from None
            path.rename(target)

    def end(self, whole: str) -> None:
        write_text(self._plan, whole)

    def undo(self) -> None:
        """Restore what was before `begin`; if that fails, the folder stays marked incomplete."""
        if not self._replaced.exists():
            return
        with suppress(OSError):
            for path in self._aside:
                target = self._folder / path.name
                if not path.exists() or is_same_file(target, path):  # renamed, or linked
                    target.unlink(missing_ok=True)
            for path in self._replaced.iterdir():
                if path.name != PLAN_NAME:
                    path.rename(self._folder / path.name)
            if (self._replaced / PLAN_NAME).exists():
                (self._replaced / PLAN_NAME).replace(self._plan)
            else:
                self._plan.unlink(missing_ok=True)


def _document(plan: Plan) -> str:
    return plan.public_json() + "\n"


def _outputs_in(folder: Path) -> Iterable[Path]:
    """The files of a folder that have a name which `fix` writes, without plan.json."""
    if not folder.is_dir():
        return ()
    return [path for path in sorted(folder.iterdir()) if re.fullmatch(OUTPUT_NAME, path.name)]
