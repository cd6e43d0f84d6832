"""The command that looks after what is kept on this machine: cache."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from typing import Annotated, Any

import typer

from wan_prep.cli.options import CacheOpt, CacheSizeOpt, FormatOpt, QuietOpt, cache_asked
from wan_prep.cli.output import (
    EXIT_FINDINGS,
    EXIT_OK,
    Format,
    as_json,
    print_document,
    print_text,
)
from wan_prep.errors import WanPrepError


class Action(Enum):
    info = "info"
    clear = "clear"
    verify = "verify"


def cache(
    action: Annotated[
        Action,
        typer.Argument(
            metavar="info|clear|verify",
            help="info: what is kept, and where; clear: remove all of it; verify: read it again, "
            "and remove what is damaged.",
        ),
    ] = Action.info,
    *,
    cache: CacheOpt = None,
    cache_size: CacheSizeOpt = None,
    format: FormatOpt = Format.text,  # the option's name
    quiet: QuietOpt = False,
) -> None:
    """Look after what was seen in files, which is kept so that none is looked at twice.

    Example: wan-prep cache verify
    """
    kept = cache_asked(cache, cache_size)
    if kept is None:
        raise WanPrepError("the settings say that nothing is kept; name a folder with --cache DIR")
    code = EXIT_OK
    if action is Action.verify:
        found = kept.verify()
        code = EXIT_FINDINGS if found.damaged else EXIT_OK
        facts: dict[str, Any] = asdict(found)
        short = "damaged" if found.damaged else "good"
        said = (
            f"{found.good} good, {found.outdated} of other versions, {found.damaged} damaged and "
            f"removed, {found.leftover} left by killed runs and removed"
        )
    else:
        held = kept.info() if action is Action.info else kept.clear()
        facts = asdict(held)
        short = str(held.entries)
        size = f"{held.entries} files seen, {_mb(held.size_bytes)}"
        said = f"{size} of {_mb(held.limit_bytes)}" if action is Action.info else f"removed: {size}"
    if format is Format.json:
        document = {"schema_version": 1, "action": action.value} | facts
        print_document(as_json(document | {"folder": str(kept.folder)}))
    elif quiet:
        print_text(short)
    else:
        from wan_prep.report.text import printable

        print_text(f"{said}\nin {printable(str(kept.folder))}")
    raise typer.Exit(code)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
