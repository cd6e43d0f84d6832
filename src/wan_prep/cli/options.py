"""What may be said on the command line: options that commands share, and how they are read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from wan_prep.errors import WanPrepError

if TYPE_CHECKING:
    from wan_prep.profile import Profile
    from wan_prep.settings import Settings


def spelled_out(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer in which each parameter of a dataclass type is replaced, in its place, by
    that dataclass's fields.

    So options are declared once, as fields `name: Annotated[type, typer.Option(…)] = default`, and
    the command gets them as one object. Fields of several dataclasses may not share a name.

    Raises:
        ValueError: two parameters have one name.
    """
    given = inspect.signature(command, eval_str=True).parameters.values()
    objects: dict[str, Any] = {p.name: p.annotation for p in given if is_dataclass(p.annotation)}
    parameters = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in given
        for each in (
            _fields_of(objects[parameter.name]) if parameter.name in objects else (parameter,)
        )
    ]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        made = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in objects.items()
        }
        command(**values, **made)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def _fields_of(kind: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=hints[field.name],
        )


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
HtmlOpt = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write the visual report as well.")
]
QuietOpt = Annotated[bool, typer.Option("-q", "--quiet", help="One line: the answer alone.")]
VerboseOpt = Annotated[bool, typer.Option("-v", "--verbose", help="Every note and check.")]


def settings_here() -> Settings:
    from wan_prep.settings import Settings, find_settings

    try:
        here = Path.cwd()
    except FileNotFoundError:  # the folder has been removed under us: nothing is set there
        return Settings()
    return find_settings(here)


def profile_of(path: str | Path | None) -> Profile:
    from wan_prep.profile import default_profile, load_profile

    return default_profile() if path is None else load_profile(path)


def codes_of(given: str | None, configured: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return configured
    return tuple(part.strip() for part in given.split(",") if part.strip())


def times_of(given: str) -> list[float]:
    try:
        return [float(part) for part in given.split(",")]
    except ValueError as exc:
        raise WanPrepError(f"--at {given!r}: expected seconds such as 0,2.5") from exc
