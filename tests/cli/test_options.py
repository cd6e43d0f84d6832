"""Options that are declared once, as fields of a dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from wan_prep.cli.options import Format, FormatOpt, spelled_out


@dataclass(frozen=True)
class LookFlags:
    at: Annotated[float, typer.Option("--at", metavar="S", help="When.")]
    near: Annotated[bool, typer.Option("--near/--far", help="How.")] = True


@dataclass(frozen=True)
class SayFlags:
    format: FormatOpt = Format.text


seen: list[Any] = []


@spelled_out
def look(
    file: Annotated[str, typer.Argument(metavar="FILE")],
    look: LookFlags,
    aloud: Annotated[bool, typer.Option("--aloud")] = False,
    *,
    say: SayFlags,
) -> None:
    """Look at a file."""
    seen.append((file, look, aloud, say))


def written_out(
    file: Annotated[str, typer.Argument(metavar="FILE")],
    at: Annotated[float, typer.Option("--at", metavar="S", help="When.")],
    near: Annotated[bool, typer.Option("--near/--far", help="How.")] = True,
    aloud: Annotated[bool, typer.Option("--aloud")] = False,
    format: FormatOpt = Format.text,
) -> None:
    """Look at a file."""


def run(command: Any, *arguments: str) -> None:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command("look")(command)
    app(list(arguments), standalone_mode=False, prog_name="look")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a", "--at", "2"], ("a", LookFlags(2.0), False, SayFlags())),
        (
            ["--format", "json", "a", "--far", "--aloud", "--at", "0.5"],
            ("a", LookFlags(0.5, near=False), True, SayFlags(Format.json)),
        ),
    ],
)
def test_a_command_gets_its_options_as_objects(arguments: list[str], expected: object) -> None:
    seen.clear()
    run(look, *arguments)
    assert seen == [expected]


def test_an_option_without_a_default_is_needed() -> None:
    with pytest.raises(Exception, match="Missing parameter: at"):
        run(look, "a")


def test_the_help_is_that_of_a_command_with_its_options_written_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(written_out, "--help")
    expected = capsys.readouterr().out
    run(look, "--help")
    assert capsys.readouterr().out == expected
    assert expected.index("--at") < expected.index("--near") < expected.index("--aloud")


def test_two_options_of_one_name_are_refused() -> None:
    def command(format: FormatOpt, say: SayFlags) -> None: ...

    with pytest.raises(ValueError, match="duplicate parameter name: 'format'"):
        spelled_out(command)
