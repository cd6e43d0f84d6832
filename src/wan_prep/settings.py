"""Defaults of one's own, from `wan-prep.toml` or `[tool.wan-prep]` in `pyproject.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, StrictBool, ValidationError

from wan_prep.errors import ProfileError
from wan_prep.pose.choice import LARGEST, Person
from wan_prep.profile import Mode, Resolution


class Settings(BaseModel):
    """What a settings file may say; paths in it are relative to the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    mode: Mode | Literal["both"] = "animate"
    """both: how `check` judges; everything else is then done in mode animate, the default."""
    resolution: Resolution = "480p"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    strict: bool = False
    profile: Path | None = None
    pose_model: Path | None = None
    cache: StrictBool | Path = True
    """Whether what is seen in files is kept; or the folder where."""
    cache_size: ByteSize | None = None
    person: Person = LARGEST
    image_person: Person | None = None
    video_person: Person | None = None


def find_settings(folder: Path) -> Settings:
    """The settings of the nearest folder, from this one upwards, that has some.

    In one folder `wan-prep.toml` goes before `pyproject.toml`.

    Raises:
        ProfileError: a settings file that is not TOML or says what it may not.
    """
    for parent in (folder, *folder.parents):
        own = parent / "wan-prep.toml"
        if own.is_file():
            return _settings(own, _read(own))
        shared = parent / "pyproject.toml"
        if shared.is_file():
            tool = _read(shared).get("tool", {})
            if isinstance(tool, dict) and "wan-prep" in tool:
                return _settings(shared, tool["wan-prep"])
    return Settings()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:  # numbers without end are no TOML error
        raise ProfileError(f"{path}: cannot read the settings ({exc})") from exc


def _settings(path: Path, given: Any) -> Settings:
    if not isinstance(given, dict):
        raise ProfileError(f"{path}: expected a table [tool.wan-prep], found {given!r}")
    try:
        # Keys as the command line spells them: pose-model and pose_model alike.
        named = {str(key).replace("-", "_"): value for key, value in given.items()}
        settings = Settings.model_validate(named)
    except ValidationError as exc:
        what = exc.errors()[0]
        where = ".".join(map(str, what["loc"]))
        raise ProfileError(f"{path}: {where}: {what['msg']}") from exc
    beside = path.parent
    return settings.model_copy(
        update={
            name: beside / value
            for name in ("profile", "pose_model", "cache")
            if isinstance(value := getattr(settings, name), Path)
        }
    )
