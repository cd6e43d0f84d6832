"""Every limit, price, tolerance and weight, each with its unit and its source.

The figures stand in `profiles/wan22_animate.toml`; a file of the user's own replaces single
entries of it.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from wan_prep.errors import ProfileError

Mode = Literal["animate", "replace"]
Resolution = Literal["480p", "720p"]
Family = Literal["media", "aspect", "framing", "pose", "subject", "clip"]

# A score of 0.95 at "fine" and 0.05 at "worthless" are odds of 19 : 1 and 1 : 19.
ODDS = 19.0


_Score = Annotated[float, Field(gt=0, le=1)]
_Weight = Annotated[float, Field(ge=0)]


def _some_weight(weights: dict[Family, float]) -> dict[Family, float]:
    if sum(weights.values()) <= 0:
        raise ValueError("at least one weight must be above 0")
    return weights


class _ProfileModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Limit(_ProfileModel):
    value: float = Field(ge=0)
    unit: str
    source: str


class Tolerance(_ProfileModel):
    """How fast a measure's score falls. `fine` scores 0.95, `worthless` 0.05.

    `worthless` below `fine` means that small values are the bad ones (a face of few px).
    """

    fine: float = Field(gt=0)
    worthless: float = Field(gt=0)
    unit: str
    source: str

    @model_validator(mode="after")
    def _differ(self) -> Tolerance:
        if self.fine == self.worthless:
            raise ValueError("fine and worthless must differ")
        return self

    def score(self, measured: float) -> float:
        """Score in (0, 1], strictly monotonic: a log-logistic curve through both anchors.

        1 / (1 + (x / x0)^b) with x0 = sqrt(fine * worthless), b = 2 ln 19 / ln(worthless / fine).
        """
        middle = math.sqrt(self.fine * self.worthless)
        slope = 2.0 * math.log(ODDS) / math.log(self.worthless / self.fine)
        if measured <= 0:
            return 1.0 if slope > 0 else 1e-12
        exponent = slope * (math.log(measured) - math.log(middle))
        return max(1e-12, 1.0 / (1.0 + math.exp(min(exponent, 700.0))))

    def measured_at(self, score: float) -> float:
        """The measure that scores `score`; the limit to print beside a finding."""
        middle = math.sqrt(self.fine * self.worthless)
        slope = 2.0 * math.log(ODDS) / math.log(self.worthless / self.fine)
        return float(middle * ((1.0 - score) / score) ** (1.0 / slope))


class Flaw(_ProfileModel):
    score: float = Field(gt=0, lt=1)
    source: str


class Severities(_ProfileModel):
    pass_from: _Score
    warning_below: _Score
    error_below: _Score
    unknown_score: _Score


class Service(_ProfileModel):
    model_path: str
    default_resolution: Resolution
    source: str
    usd_per_s: dict[Resolution, Decimal]
    pixel_budget: dict[Resolution, Annotated[int, Field(ge=65536)]]


_Path = Annotated[str, Field(pattern=r"^/")]


class ServicePaths(_ProfileModel):
    """Paths below the base URL; {model} and {id} are filled in."""

    submit: _Path
    result: _Path
    history: _Path
    upload: _Path
    upload_form: _Path


class SeedRange(_ProfileModel):
    low: int
    high: int
    default: int
    source: str


class Submission(_ProfileModel):
    """The protocol of paid submissions, and how patient this client is."""

    base_url: str
    source: str
    paths: ServicePaths
    seed: SeedRange
    limits: dict[str, Limit]

    @model_validator(mode="after")
    def _at_least_one(self) -> Submission:
        for name in ("attempts", "history_page", "history_pages_max", "poll_first", "poll_growth"):
            if self.limits[name].value < 1:
                raise ValueError(f"limits.{name} must be at least 1")
        return self

    def limit(self, name: str) -> float:
        return self.limits[name].value


class Remote(_ProfileModel):
    """How patient and how generous fetching files by their addresses is."""

    limits: dict[str, Limit]

    def limit(self, name: str) -> float:
        return self.limits[name].value


class Profile(_ProfileModel):
    """All figures of one service. Look-ups by name fail loudly where a name is unknown."""

    name: str
    version: str
    service: Service
    submission: Submission
    remote: Remote
    severity: Severities
    limits: dict[str, Limit]
    tolerances: dict[str, Tolerance]
    mode_tolerances: dict[Mode, dict[str, Tolerance]]
    """Those that differ from `tolerances` in one mode."""
    flaws: dict[str, Flaw]
    family_weights: dict[Mode, Annotated[dict[Family, _Weight], AfterValidator(_some_weight)]]
    check_weights: dict[Mode, dict[str, _Weight]]

    @model_validator(mode="after")
    def _known_tolerances(self) -> Profile:
        for mode, own in self.mode_tolerances.items():
            if unknown := sorted(set(own) - set(self.tolerances)):
                raise ValueError(f"mode_tolerances.{mode} names unknown {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _divisors(self) -> Profile:
        """What sizes and costs are divided by."""
        for name in ("billed_min", "size_multiple", "segment_frames", "model_fps"):
            if self.limits[name].value < 1:
                raise ValueError(f"limits.{name} must be at least 1")
        for name in ("segment_overlap", "segment_overlap_most"):
            if self.limits[name].value >= self.limits["segment_frames"].value:
                raise ValueError(f"limits.{name} must be below segment_frames")
        if self.limits["body_room_min"].value >= self.limits["body_room_full"].value:
            raise ValueError("limits.body_room_min must be below body_room_full")
        return self

    def limit(self, name: str) -> float:
        return self.limits[name].value

    def tolerance(self, name: str, mode: Mode) -> Tolerance:
        return self.mode_tolerances.get(mode, {}).get(name) or self.tolerances[name]

    def described(self, name: str) -> tuple[str, ...]:
        """The entries of one name in words, their source last; empty where there is none."""
        said = []
        if limit := self.limits.get(name):
            said.append(f"{name}: {limit.value:,.10g} {limit.unit} ({limit.source})")
        if flaw := self.flaws.get(name):
            said.append(f"{name}: scores {flaw.score:g} where it is found ({flaw.source})")
        everywhere: list[tuple[Mode | None, dict[str, Tolerance]]] = [(None, self.tolerances)]
        for mode, tolerances in (*everywhere, *self.mode_tolerances.items()):
            if t := tolerances.get(name):
                severity = self.severity
                levels = (severity.pass_from, severity.warning_below, severity.error_below)
                marks = ", ".join(f"{level:g} at {t.measured_at(level):.3g}" for level in levels)
                said.append(
                    f"{name}{f' in {mode}' if mode else ''}: scores {marks} {t.unit} ({t.source})"
                )
        return tuple(said)

    def check_weight(self, mode: Mode, code: str) -> float:
        return self.check_weights[mode].get(code, 1.0)

    @property
    def sha256(self) -> str:
        """Digest of all figures, whatever file they came from."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


@lru_cache(maxsize=1)
def _default_figures() -> dict[str, Any]:
    text = (resources.files("wan_prep") / "profiles" / "wan22_animate.toml").read_text("utf-8")
    return tomllib.loads(text)


@lru_cache(maxsize=1)
def default_profile() -> Profile:
    """The profile that ships with the package."""
    return Profile.model_validate(_default_figures())


def load_profile(path: str | Path) -> Profile:
    """The default profile with the entries of a TOML file in place of its own.

    Raises:
        ProfileError: the file is missing, not TOML, names an entry that does not exist, or
            gives one a value it cannot have.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise ProfileError(f"{path}: expected a TOML file, found a directory or a device")
    try:
        given = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as exc:
        raise ProfileError(f"{path}: cannot read this profile ({exc.strerror})") from exc
    except (ValueError, RecursionError) as exc:  # numbers without end are no TOML error
        raise ProfileError(f"{path}: not a TOML file ({exc})") from exc
    # A profile of one's own is a different profile, also by name.
    try:
        merged = _merged(_own_in_every_mode(given), {"name": Path(path).stem, **given}, ())
        return Profile.model_validate(merged)
    except KeyError as exc:
        raise ProfileError(f"{path}: {exc.args[0]}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ProfileError(f"{path}: {where}: {first['msg']}") from exc


def _own_in_every_mode(given: Mapping[str, Any]) -> dict[str, Any]:
    """The default figures, without what would take a tolerance of one's own back in one mode, and
    with what a tolerance of one's own in one mode begins from."""
    base = _default_figures()
    everywhere, in_modes = _table(given, "tolerances"), _table(given, "mode_tolerances")
    kept = {}
    for mode, tolerances in base["mode_tolerances"].items():
        own = _table(in_modes, mode)
        kept[mode] = {
            name: t for name, t in tolerances.items() if name not in everywhere or name in own
        }
        for name in own:
            if name in base["tolerances"]:
                kept[mode].setdefault(name, base["tolerances"][name])
    return {**base, "mode_tolerances": kept}


def _table(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of a file; an empty one where it has none, or something else in its place."""
    found = given.get(name)
    return found if isinstance(found, Mapping) else {}


def _merged(
    base: Mapping[str, Any], given: Mapping[str, Any], where: tuple[str, ...]
) -> dict[str, Any]:
    result = dict(base)
    for key, value in given.items():
        # Any code may be given a weight; everything else must exist already.
        if key not in base and where[:1] != ("check_weights",):
            known = ", ".join(sorted(base))
            raise KeyError(f"unknown entry {'.'.join((*where, key))}; known here: {known}")
        old = base.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(old, value, (*where, key))
        else:
            result[key] = value
    return result
