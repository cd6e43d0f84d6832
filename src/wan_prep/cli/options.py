"""What may be said on the command line: options that commands share, and how they are read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from wan_prep.cli.output import EXIT_FINDINGS, EXIT_OK, Format, VerdictFormat, print_trouble
from wan_prep.errors import WanPrepError

if TYPE_CHECKING:
    from wan_prep.cache.store import Cache
    from wan_prep.pose.choice import PersonChoice
    from wan_prep.profile import Profile
    from wan_prep.remote.scratch import Scratch
    from wan_prep.remote.sources import RemotePolicy
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


class JudgedMode(Enum):
    animate = "animate"
    replace = "replace"
    both = "both"


class Resolution(Enum):
    p480 = "480p"
    p720 = "720p"


# Paths stay text up to the library: `Path("")` would turn an empty argument into the folder ".".
ImageArg = Annotated[
    str, typer.Argument(metavar="IMAGE", help="The character's picture, or its URL.")
]
VideoArg = Annotated[
    str, typer.Argument(metavar="VIDEO", help="The video of a person, or its URL.")
]
ModeOpt = Annotated[
    Mode | None,
    typer.Option(
        "--mode",
        help="animate: the image's character moves like the person in the video; replace: it "
        "takes that person's place. [default: animate]",
    ),
]
JudgedModeOpt = Annotated[
    JudgedMode | None,
    typer.Option(
        "--mode",
        help="animate: the image's character moves like the person in the video; replace: it "
        "takes that person's place; both: judge both modes, and say which fits better. "
        "[default: animate]",
    ),
]
ResolutionOpt = Annotated[
    Resolution | None,
    typer.Option("--resolution", help="The resolution you submit with. [default: 480p]"),
]
FormatOpt = Annotated[Format, typer.Option("--format", help="text for people, json for programs.")]
VerdictFormatOpt = Annotated[
    VerdictFormat,
    typer.Option(
        "--format",
        help="text for people, json for programs, github for annotations in GitHub Actions.",
    ),
]
SelectOpt = Annotated[
    str | None,
    typer.Option(
        "--select", metavar="CODES", help="Run only these checks: codes or names, as WP3,WP401."
    ),
]
IgnoreOpt = Annotated[
    str | None, typer.Option("--ignore", metavar="CODES", help="Leave these checks out.")
]
StrictOpt = Annotated[
    bool | None, typer.Option("--strict/--no-strict", help="Treat warnings as errors.")
]
ProfileOpt = Annotated[
    str | None,
    typer.Option("--profile", metavar="FILE", help="A TOML file with tolerances of your own."),
]
PoseModelOpt = Annotated[
    str | None,
    typer.Option("--pose-model", metavar="FILE", help="Another pose landmarker bundle (.task)."),
]
PersonOpt = Annotated[
    str | None,
    typer.Option(
        "--person",
        metavar="WHO",
        help="Whom to look at among several people: largest, left, right, center, a number from 1, "
        "left to right, or X,Y in fractions of the picture, as 0.3,0.5. [default: largest]",
    ),
]
CacheOpt = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Keep what is seen in files here, and look there first. [default: cache in "
        "WAN_PREP_HOME]",
    ),
]
CacheSizeOpt = Annotated[
    str | None,
    typer.Option(
        "--cache-size", metavar="SIZE", help="What that may take, as 500MB. [default: 2GB]"
    ),
]
NoCacheOpt = Annotated[
    bool, typer.Option("--no-cache", help="Look at files anew, and keep nothing.")
]
HtmlOpt = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write the visual report as well.")
]
QuietOpt = Annotated[bool, typer.Option("-q", "--quiet", help="Print the answer as one line.")]
VerboseOpt = Annotated[bool, typer.Option("-v", "--verbose", help="Print every note and check.")]


@dataclass(frozen=True)
class Judging:
    """How a pair is judged: what was asked for, else the settings found in this folder."""

    mode: Literal["animate", "replace"]
    resolution: Literal["480p", "720p"]
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    profile: Profile
    pose_model: str | Path | None
    person: PersonChoice
    image_person: PersonChoice
    video_person: PersonChoice
    is_strict: bool
    cache: Cache | None
    in_both_modes: bool = False
    """`check` was asked for both; `mode` is then the default one."""

    def exit_code(self, verdict: str) -> int:
        is_bad = verdict == "not_ready" or (self.is_strict and verdict == "risky")
        return EXIT_FINDINGS if is_bad else EXIT_OK


@dataclass(frozen=True)
class PersonOptions:
    """Whom the files of a pair are looked at for, where that differs from `--person`."""

    image_person: Annotated[
        str | None,
        typer.Option("--image-person", metavar="WHO", help="As --person, for the image alone."),
    ] = None
    video_person: Annotated[
        str | None,
        typer.Option("--video-person", metavar="WHO", help="As --person, for the video alone."),
    ] = None


@dataclass(frozen=True)
class JudgingOptions:
    mode: ModeOpt = None
    resolution: ResolutionOpt = None
    select: SelectOpt = None
    ignore: IgnoreOpt = None
    strict: StrictOpt = None
    profile: ProfileOpt = None
    pose_model: PoseModelOpt = None
    person: PersonOpt = None
    cache: CacheOpt = None
    no_cache: NoCacheOpt = False
    cache_size: CacheSizeOpt = None

    def with_settings(self, people: PersonOptions = PersonOptions()) -> Judging:
        """What is asked for, with the settings where nothing is said.

        Raises:
            ProfileError: settings or profile are not valid.
            WanPrepError: an option says nothing that can be.
        """
        from wan_prep.pose.choice import PersonChoice

        settings = settings_here()

        def person_in(own: str | None, set_for_it: PersonChoice | None) -> PersonChoice:
            said = self.person if own is None else own
            return PersonChoice.of(set_for_it or settings.person if said is None else said)

        said = settings.mode if self.mode is None else self.mode.value
        return Judging(
            mode="animate" if said == "both" else said,
            in_both_modes=said == "both",
            resolution=self.resolution.value if self.resolution else settings.resolution,
            select=codes_of(self.select, settings.select),
            ignore=codes_of(self.ignore, settings.ignore),
            profile=profile_asked(self.profile, settings),
            pose_model=settings.pose_model if self.pose_model is None else self.pose_model,
            person=person_in(None, None),
            image_person=person_in(people.image_person, settings.image_person),
            video_person=person_in(people.video_person, settings.video_person),
            is_strict=settings.strict if self.strict is None else self.strict,
            cache=cache_asked(self.cache, self.cache_size, settings, off=self.no_cache),
        )


@dataclass(frozen=True)
class CheckingOptions(JudgingOptions):
    """As for the other commands, but in both modes as well."""

    mode: JudgedModeOpt = None  # type: ignore[assignment]


@dataclass(frozen=True)
class IntervalOptions:
    """The part of the clip that counts; None: from its beginning, to its end."""

    start: Annotated[
        float | None,
        typer.Option("--start", metavar="S", help="Use the clip from this time on, in s."),
    ] = None
    end: Annotated[
        float | None,
        typer.Option("--end", metavar="S", help="Use the clip up to this time, in s."),
    ] = None


@dataclass(frozen=True)
class IsolationOptions:
    """Whether files are looked at in a process of their own."""

    isolated: Annotated[
        bool,
        typer.Option(
            "--isolated",
            help="Look at files in a process of its own: one that crashes it is a finding.",
        ),
    ] = False
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            metavar="S",
            min=0.1,
            help="What looking at one file may take, in a process of its own. [default: 600]",
        ),
    ] = None

    @property
    def is_asked(self) -> bool:
        return self.isolated or self.time_limit is not None

    @property
    def asked(self) -> dict[str, Any]:
        """As the library's functions take it."""
        return {"isolated": self.is_asked, "time_limit_s": self.time_limit}


@dataclass(frozen=True)
class RemoteOptions:
    """What may be fetched, besides the addresses that are given."""

    allow_local_hosts: Annotated[
        bool,
        typer.Option(
            "--allow-local-hosts", help="Fetch from this machine and private networks, too."
        ),
    ] = False
    allow_redirects: Annotated[
        bool, typer.Option("--allow-redirects", help="Follow redirects to other hosts.")
    ] = False

    def scratch(self, profile: Profile) -> Scratch:
        """Where files are kept that this command fetches, each once."""
        from wan_prep.remote.scratch import Scratch

        return Scratch(self.policy(), profile)

    def policy(self) -> RemotePolicy:
        """The same for commands that fetch many files, one at a time."""
        from wan_prep.remote.sources import RemotePolicy

        return RemotePolicy(self.allow_local_hosts, self.allow_redirects)


def settings_here() -> Settings:
    from wan_prep.settings import Settings, find_settings

    try:
        here = Path.cwd()
    except FileNotFoundError:  # the folder has been removed under us: nothing is set there
        return Settings()
    return find_settings(here)


def profile_asked(given: str | None, settings: Settings | None = None) -> Profile:
    """The profile that was asked for, else that of the settings found here, else the default one.

    Raises ProfileError: settings or profile are not valid.
    """
    from wan_prep.profile import default_profile, load_profile

    path = given if given is not None else (settings or settings_here()).profile
    return default_profile() if path is None else load_profile(path)


def cache_asked(
    folder: str | None, size: str | None, settings: Settings | None = None, *, off: bool = False
) -> Cache | None:
    """The cache that was asked for, else that of the settings found here, else the default one.

    off: none was asked for.  Raises WanPrepError: a size that is none, or both a folder
    and no cache.
    """
    from wan_prep.cache.store import DEFAULT_SIZE_BYTES, Cache

    if off and folder is not None:
        raise WanPrepError("give --cache DIR or --no-cache, and not both")
    if folder == "":
        raise WanPrepError("--cache: expected the path of a folder, found an empty string")
    said = settings or settings_here()
    limit = said.cache_size if size is None else bytes_of(size)
    if off or (folder is None and said.cache is False):
        return None
    kept_in = folder if folder is not None else said.cache
    return Cache(
        None if isinstance(kept_in, bool) else kept_in,
        size_bytes=DEFAULT_SIZE_BYTES if limit is None else limit,
        warn=print_trouble,
    )


def bytes_of(given: str) -> int:
    """A size such as 500MB, 1.5 GB or 2000000, in bytes; raises WanPrepError: it is none."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        size = TypeAdapter(ByteSize).validate_python(given.strip())
    except (ValidationError, OverflowError) as exc:
        raise WanPrepError(f"--cache-size {given!r}: expected a size such as 500MB or 2GB") from exc
    return int(size)


def codes_of(given: str | None, configured: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return configured
    return tuple(part.strip() for part in given.split(",") if part.strip())


def times_of(given: str) -> list[float]:
    try:
        return [float(part) for part in given.split(",")]
    except ValueError as exc:
        raise WanPrepError(f"--at {given!r}: expected seconds such as 0,2.5") from exc
