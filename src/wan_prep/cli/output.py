"""What the command line shows: documents, texts, progress, and one line for a mistake."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from wan_prep.errors import WanPrepError

if TYPE_CHECKING:
    from rich.console import Console

    from wan_prep.report.model import Report
    from wan_prep.report.modes import ModeComparison

NARROWEST = 40
"""Columns that the tables need, whatever COLUMNS says."""

EXIT_OK, EXIT_FINDINGS, EXIT_FAILED, EXIT_UNKNOWN, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class Format(Enum):
    text = "text"
    json = "json"


class VerdictFormat(Enum):
    """How a verdict is printed; github: as annotations that GitHub Actions shows at the files."""

    text = "text"
    json = "json"
    github = "github"


def as_json(document: Any) -> str:
    from wan_prep.documents import json_text

    return json_text(document, indent=2)


def print_document(text: str) -> None:
    """Exactly one document on stdout, in UTF-8 whatever the locale says."""
    _write(text.encode("utf-8", "backslashreplace") + b"\n")


def print_text(text: str) -> None:
    """A text on stdout; what its encoding lacks becomes a question mark."""
    _write(f"{text}\n".encode(sys.stdout.encoding or "utf-8", "replace"))


def print_note(text: str) -> None:
    """A line on stderr, beside an answer on stdout that programs read."""
    from wan_prep.report.text import printable

    with suppress(OSError):  # nobody may be listening there
        print(printable(text), file=sys.stderr, flush=True)


def print_trouble(text: str) -> None:
    """A line on stderr about what did not keep the command from its answer."""
    print_note(f"wan-prep: {' '.join(text.split())}")


def _write(data: bytes) -> None:
    """Where the reader has left (`… | head`) the answer is lost, but the exit code still tells.

    Raises WanPrepError: the answer finds no room.
    """
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _to_nowhere()
    except OSError as exc:
        _to_nowhere()  # else what is left of it would be tried again at the end
        raise WanPrepError(f"the answer cannot be written ({exc.strerror})") from exc


def _to_nowhere() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def console_on_stdout() -> Iterator[Console]:
    """A console on stdout; what is printed appears at its end, without trailing blanks."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, NARROWEST)
    with console.capture() as captured:
        yield console
    print_text("\n".join(line.rstrip() for line in captured.get().splitlines()))


class Progress:
    """A bar on stderr for whatever takes over a second, where a person is watching."""

    AFTER_S = 1.0

    def __init__(self, hidden: bool) -> None:
        self._hidden = hidden
        self._began = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._stream: TextIO | None = None

    def __enter__(self) -> Callable[[str, float | None], None]:
        return self._update

    def _update(self, what: str, share: float | None) -> None:
        """share: of the work that is done, 0 … 1; None where nobody knows."""
        if self._hidden or not sys.stderr.isatty():
            return
        if self._bar is None:
            if time.monotonic() - self._began < self.AFTER_S:
                return
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            # A descriptor of its own: descriptor 2 is pointed elsewhere while native code logs.
            self._stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(file=self._stream),
                transient=True,
            )
            self._task = self._bar.add_task(what, total=1.0)
            self._bar.start()
        total = None if share is None else 1.0
        self._bar.update(self._task, description=what, completed=share or 0.0, total=total)

    def __exit__(self, *_exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._stream is not None:
            self._stream.close()


def fail(message: str, code: int = EXIT_FAILED) -> int:
    """One line on stderr; returns the code."""
    print_note(f"wan-prep: {' '.join(message.split())}")
    return code


def open_closed_streams() -> None:
    """A stream that was closed (`>&-`) leads nowhere, and no file takes its descriptor."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    # They stay open until the process ends.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def print_report(
    report: Report, format: Format | VerdictFormat, *, quiet: bool, verbose: bool = False
) -> None:
    """A report as it was asked for: JSON, annotations, one line, or words."""
    if format.value == "json":
        print_document(report.public_json())
    elif format is VerdictFormat.github:
        from wan_prep.report.github import github_lines

        lines = github_lines(report)
        print_document("\n".join(lines[:1] if quiet else lines))
    elif quiet:
        print_text(f"{report.verdict} {report.score:.2f}")
    else:
        from wan_prep.report.text import render_report

        with console_on_stdout() as console:
            render_report(report, console, verbose=verbose)


def print_comparison(
    both: ModeComparison, format: VerdictFormat, *, quiet: bool, verbose: bool = False
) -> None:
    """Both modes as they were asked for: JSON, annotations, one line, or words."""
    if format is VerdictFormat.json:
        print_document(both.public_json())
    elif format is VerdictFormat.github:
        from wan_prep.report.github import comparison_lines

        lines = comparison_lines(both)
        print_document("\n".join(lines[:1] if quiet else lines))
    elif quiet:
        said = "; ".join(f"{r.mode} {r.verdict} {r.score:.2f}" for r in both.reports)
        print_text(f"{both.better or 'either'}: {said}")
    else:
        from wan_prep.report.text import render_comparison

        with console_on_stdout() as console:
            render_comparison(both, console, verbose=verbose)
