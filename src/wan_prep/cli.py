"""The command line: parse, call, render, exit code.

0 done, ready or risky · 1 findings of severity error · 2 the tool could not do its job ·
130 interrupted.  A user's mistake is one line on stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from wan_prep.errors import WanPrepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from wan_prep.findings import Rule
    from wan_prep.profile import Profile
    from wan_prep.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Do a reference image and a driving video fit together for Wan2.2-Animate? "
    "Checks run on this machine; nothing is uploaded.",
)

NARROWEST = 40
"""Columns that the tables need, whatever COLUMNS says."""

EXIT_OK, EXIT_FINDINGS, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 2, 130


class Mode(Enum):
    animate = "animate"
    replace = "replace"


class Resolution(Enum):
    p480 = "480p"
    p720 = "720p"


class Format(Enum):
    text = "text"
    json = "json"


# Paths stay text up to the library: `Path("")` would turn an empty argument into the folder ".".
ImageArg = Annotated[str, typer.Argument(metavar="IMAGE", help="The character's picture.")]
VideoArg = Annotated[str, typer.Argument(metavar="VIDEO", help="The clip that drives it.")]
ModeOpt = Annotated[
    Mode | None,
    typer.Option(
        "--mode",
        help="animate: the image moves like the video; replace: the image's "
        "character takes the person's place. [default: animate]",
    ),
]
ResolutionOpt = Annotated[
    Resolution | None,
    typer.Option("--resolution", help="The resolution you would submit with. [default: 480p]"),
]
FormatOpt = Annotated[Format, typer.Option("--format", help="text for people, json for programs.")]
SelectOpt = Annotated[
    str | None,
    typer.Option("--select", metavar="CODES", help="Only these checks: WP3,WP401 or names."),
]
IgnoreOpt = Annotated[
    str | None, typer.Option("--ignore", metavar="CODES", help="Not these checks.")
]
StrictOpt = Annotated[
    bool | None, typer.Option("--strict/--no-strict", help="Warnings count as errors.")
]
StartOpt = Annotated[
    float | None, typer.Option("--start", metavar="S", help="The clip counts from here, in s.")
]
EndOpt = Annotated[
    float | None, typer.Option("--end", metavar="S", help="The clip counts up to here, in s.")
]
ProfileOpt = Annotated[
    str | None,
    typer.Option("--profile", metavar="FILE", help="Tolerances of your own, as TOML."),
]
PoseModelOpt = Annotated[
    str | None,
    typer.Option("--pose-model", metavar="FILE", help="Another pose landmarker bundle (.task)."),
]
QuietOpt = Annotated[bool, typer.Option("-q", "--quiet", help="One line: the answer alone.")]
VerboseOpt = Annotated[bool, typer.Option("-v", "--verbose", help="Every note and check.")]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        _print(f"wan-prep {version_of('wan-prep')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        _print(context.get_help())
        raise typer.Exit


@app.command()
def check(
    image: ImageArg,
    video: VideoArg,
    mode: ModeOpt = None,
    resolution: ResolutionOpt = None,
    format: FormatOpt = Format.text,  # the option's name
    select: SelectOpt = None,
    ignore: IgnoreOpt = None,
    strict: StrictOpt = None,
    start: StartOpt = None,
    end: EndOpt = None,
    profile: ProfileOpt = None,
    pose_model: PoseModelOpt = None,
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Judge a pair: verdict, scores, findings, cost.

    Example: wan-prep check hero.png dance.mp4 --mode replace --resolution 720p
    """
    from wan_prep import api

    settings = _settings()
    with _Progress(quiet or format is Format.json) as progress:
        report = api.check(
            image,
            video,
            mode=mode.value if mode else settings.mode,
            resolution=resolution.value if resolution else settings.resolution,
            start=0 if start is None else start,
            end=end,
            profile=_profile(settings.profile if profile is None else profile),
            select=_codes(select, settings.select),
            ignore=_codes(ignore, settings.ignore),
            pose_model=settings.pose_model if pose_model is None else pose_model,
            progress=progress,
        )
    if format is Format.json:
        _print_document(report.public_json())
    elif quiet:
        _print(f"{report.verdict} {report.score:.2f}")
    else:
        from wan_prep.report.text import render_report

        with _stdout() as console:
            render_report(report, console, verbose=verbose)
    is_strict = settings.strict if strict is None else strict
    bad = report.verdict == "not_ready" or (is_strict and report.verdict == "risky")
    raise typer.Exit(EXIT_FINDINGS if bad else EXIT_OK)


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An image or a video.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="S[,S…]", help="Look at the frames shown at these times."),
    ] = None,
    mode: ModeOpt = None,
    resolution: ResolutionOpt = None,
    format: FormatOpt = Format.text,
    start: StartOpt = None,
    end: EndOpt = None,
    select: SelectOpt = None,
    ignore: IgnoreOpt = None,
    strict: StrictOpt = None,
    profile: ProfileOpt = None,
    pose_model: PoseModelOpt = None,
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Say what is seen in one file.

    Example: wan-prep inspect dance.mp4 --at 0,2.5
    """
    from wan_prep import api
    from wan_prep.report.assemble import Selection
    from wan_prep.report.inspection import build_inspection

    settings = _settings()
    figures = _profile(settings.profile if profile is None else profile)
    selection = Selection(
        _codes(select, settings.select), _codes(ignore, settings.ignore)
    ).validated()
    with _Progress(quiet or format is Format.json) as progress:
        evidence = api.observe(
            file,
            start=0 if start is None else start,
            end=end,
            at=None if at is None else _times(at),
            profile=figures,
            pose_model=settings.pose_model if pose_model is None else pose_model,
            progress=progress,
        )
    inspection = build_inspection(
        evidence,
        mode=mode.value if mode else settings.mode,
        resolution=resolution.value if resolution else settings.resolution,
        profile=figures,
        tool=api.tool(),
        selection=selection,
    )
    if format is Format.json:
        _print_document(inspection.public_json())
    elif quiet:
        _print("found" if inspection.subject.found else "nobody")
    else:
        from wan_prep.report.text import render_inspection

        with _stdout() as console:
            render_inspection(inspection, console, verbose=verbose)
    is_strict = settings.strict if strict is None else strict
    grave = {"error", "warning"} if is_strict else {"error"}
    bad = any(f.severity in grave for f in inspection.findings)
    raise typer.Exit(EXIT_FINDINGS if bad else EXIT_OK)


@app.command()
def rules(
    format: FormatOpt = Format.text,
) -> None:
    """List every check.

    Example: wan-prep rules --format json
    """
    from wan_prep.analyzers import RULES

    if format is Format.json:
        _print_document(_as_json([_described(rule) for rule in RULES]))
        return
    from wan_prep.report.text import render_rules

    with _stdout() as console:
        render_rules(RULES, console)


@app.command()
def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Code or name, such as WP301.")],
    format: FormatOpt = Format.text,
    profile: ProfileOpt = None,
) -> None:
    """Explain one check: what it measures, why, how to fix it, where its limit comes from.

    Example: wan-prep explain WP301
    """
    from wan_prep.analyzers import RULES

    wanted = code.strip()
    rule = next((r for r in RULES if wanted.upper() == r.code or wanted.lower() == r.name), None)
    if rule is None:
        raise WanPrepError(f"no check is called {code!r}; `wan-prep rules` lists them")
    settings = _settings()
    figures = _profile(settings.profile if profile is None else profile)
    if format is Format.json:
        _print_document(_as_json(_described(rule, figures)))
        return
    from wan_prep.report.text import render_explanation

    with _stdout() as console:
        render_explanation(rule, figures, console)


# ------------------------------------------------------------------ plumbing


def _described(rule: Rule, profile: Profile | None = None) -> dict[str, Any]:
    described: dict[str, Any] = {
        "code": rule.code,
        "name": rule.name,
        "family": rule.family,
        "about": rule.about,
        "at_most": rule.cap.value,
    }
    if profile is not None:
        texts = rule.explanation
        described |= {
            "measures": texts.measures,
            "why": texts.why,
            "fix": texts.fix,
            "limit": texts.limit,
            "figures": texts.figures(profile),
        }
    return described


def _as_json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _settings() -> Settings:
    from wan_prep.settings import Settings, find_settings

    try:
        here = Path.cwd()
    except FileNotFoundError:  # the folder has been removed under us: nothing is set there
        return Settings()
    return find_settings(here)


def _profile(path: str | Path | None) -> Profile:
    from wan_prep.profile import default_profile, load_profile

    return default_profile() if path is None else load_profile(path)


def _codes(given: str | None, configured: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return configured
    return tuple(part.strip() for part in given.split(",") if part.strip())


def _times(given: str) -> list[float]:
    try:
        return [float(part) for part in given.split(",")]
    except ValueError as exc:
        raise WanPrepError(f"--at {given!r}: expected seconds such as 0,2.5") from exc


def _print_document(text: str) -> None:
    """Exactly one document on stdout, in UTF-8 whatever the locale says."""
    _write(text.encode("utf-8", "backslashreplace") + b"\n")


def _print(text: str) -> None:
    """A text on stdout; what its encoding lacks becomes a question mark."""
    _write(f"{text}\n".encode(sys.stdout.encoding or "utf-8", "replace"))


def _write(data: bytes) -> None:
    """Where the reader has left (`… | head`) the answer is lost, but the exit code still tells."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _stdout() -> Iterator[Console]:
    """A console on stdout; what is printed appears at its end, without trailing blanks."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, NARROWEST)
    with console.capture() as captured:
        yield console
    _print("\n".join(line.rstrip() for line in captured.get().splitlines()))


class _Progress:
    """A bar on stderr for whatever takes over a second, where a person is watching."""

    AFTER_S = 1.0

    def __init__(self, hidden: bool) -> None:
        self._hidden = hidden
        self._began = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._stream: TextIO | None = None

    def __enter__(self) -> Callable[[str, float], None]:
        return self._update

    def _update(self, what: str, share: float) -> None:
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
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(file=self._stream),
                transient=True,
            )
            self._task = self._bar.add_task(what, total=1.0)
            self._bar.start()
        self._bar.update(self._task, description=what, completed=share)

    def __exit__(self, *_exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._stream is not None:
            self._stream.close()


def _fail(message: str, code: int = EXIT_FAILED) -> int:
    """One line on stderr."""
    from wan_prep.report.text import printable

    with suppress(OSError):  # nobody may be listening there either
        print(f"wan-prep: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)
    return code


def _open_closed_streams() -> None:
    """A stream that was closed (`>&-`) leads nowhere, and no file takes its descriptor."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    # They stay open until the process ends.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing but the code leaves by exception."""
    try:
        result = app(args=arguments, standalone_mode=False)
    except WanPrepError as exc:
        return _fail(str(exc))
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except SystemExit as exc:
        # How typer ends when the reader of a help text has left (`… --help | head`): code 1 there.
        return EXIT_OK if exc.code in (None, 0, 1) else EXIT_FAILED
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        return _fail(f"{where}{exc.strerror or exc}")
    except Exception as exc:
        # The parser's own errors: wrong options, missing arguments. They know their code.
        if format_message := getattr(exc, "format_message", None):
            return _fail(f"{format_message()} (see wan-prep --help)")
        if type(exc).__name__ == "Abort":
            return _fail("interrupted", EXIT_INTERRUPTED)
        if os.environ.get("WAN_PREP_DEBUG"):
            raise
        return _fail(
            f"internal error, please report it: {type(exc).__name__}: {exc} "
            "(WAN_PREP_DEBUG=1 shows where)"
        )
    if result == EXIT_INTERRUPTED:  # typer's own word for Ctrl-C
        return _fail("interrupted", EXIT_INTERRUPTED)
    return result if isinstance(result, int) else EXIT_OK


def main() -> NoReturn:
    _open_closed_streams()
    sys.exit(run())


if __name__ == "__main__":
    main()
