"""The command line: parse, call, render, exit code.

0 done, ready or risky · 1 findings of severity error, a gate that refused, a task that failed ·
2 the tool could not do its job · 3 submitted or possibly submitted, outcome not known here ·
130 interrupted, by Ctrl-C or by whoever ends processes.  A user's mistake is one line on stderr.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from wan_prep.cli.batching import batch
from wan_prep.cli.fixing import fix, plan
from wan_prep.cli.judging import check, explain, inspect, rules
from wan_prep.cli.keeping import cache
from wan_prep.cli.learning import learn, outcome, outcomes
from wan_prep.cli.output import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    fail,
    open_closed_streams,
    print_text,
)
from wan_prep.cli.ranking import ListCommand, rank
from wan_prep.cli.sending import jobs, submit, wait
from wan_prep.errors import WanPrepError

__all__ = ["app", "main", "run"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Do a reference image and a driving video fit together for Wan2.2-Animate? "
    "Checks run on this machine; only submit --upload sends files away.",
)
for command in (check, inspect, plan, fix):
    app.command()(command)
app.command(cls=ListCommand)(rank)
for command in (batch, submit, wait, jobs, outcome, outcomes, learn, rules, explain, cache):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print_text(f"wan-prep {version_of('wan-prep')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print_text(context.get_help())
        raise typer.Exit


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing but the code leaves by exception."""
    try:
        result = app(args=arguments, standalone_mode=False)
    except WanPrepError as exc:
        return fail(str(exc), exc.exit_code)
    except KeyboardInterrupt:
        return fail("interrupted", EXIT_INTERRUPTED)
    except SystemExit as exc:
        # How typer ends when the reader of a help text has left (`… --help | head`): code 1 there.
        return EXIT_OK if exc.code in (None, 0, 1) else EXIT_FAILED
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        return fail(f"{where}{exc.strerror or exc}")
    except Exception as exc:
        # The parser's own errors: wrong options, missing arguments. They know their code.
        if format_message := getattr(exc, "format_message", None):
            return fail(f"{format_message()} (see wan-prep --help)")
        if type(exc).__name__ == "Abort":
            return fail("interrupted", EXIT_INTERRUPTED)
        if os.environ.get("WAN_PREP_DEBUG"):
            raise
        return fail(
            f"internal error, please report it: {type(exc).__name__}: {exc} "
            "(WAN_PREP_DEBUG=1 shows where)"
        )
    if result == EXIT_INTERRUPTED:  # typer's own word for Ctrl-C
        return fail("interrupted", EXIT_INTERRUPTED)
    return result if isinstance(result, int) else EXIT_OK


def _interrupt_once(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # what is being put away is not interrupted by another
    raise KeyboardInterrupt


def _end_by_any_signal_as_by_ctrl_c() -> None:
    """Half-written files are put away then, and what was paid for is written down."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What is ignored stays ignored, as by nohup.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt_once)


def main() -> NoReturn:
    _end_by_any_signal_as_by_ctrl_c()
    open_closed_streams()
    sys.exit(run())
