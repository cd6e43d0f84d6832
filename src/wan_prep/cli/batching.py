"""The command for many pairs. Nothing leaves this machine, unless to the cluster that is named."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from wan_prep.cli.fixing import PlanningOptions
from wan_prep.cli.options import (
    FormatOpt,
    IntervalOptions,
    JudgingOptions,
    PersonOptions,
    QuietOpt,
    RemoteOptions,
    spelled_out,
)
from wan_prep.cli.output import (
    EXIT_FINDINGS,
    EXIT_OK,
    Format,
    Progress,
    as_json,
    console_on_stdout,
    print_document,
    print_note,
    print_text,
)
from wan_prep.errors import WanPrepError

if TYPE_CHECKING:
    from wan_prep.pipelines.batch import BatchProgress, BatchSummary


LINE_EVERY_S = 60.0
"""Where nobody watches a bar, a log gets a line this often."""


class EngineName(Enum):
    local = "local"
    ray = "ray"


@spelled_out
def batch(
    manifest: Annotated[
        str,
        typer.Argument(
            metavar="MANIFEST",
            help="A table with the columns image and video: .csv, .jsonl or .parquet; if wanted "
            "with mode, resolution, prompt, seed and id. Or a folder of images.",
        ),
    ],
    videos: Annotated[
        str | None,
        typer.Argument(
            metavar="[VIDEOS]", help="The folder of videos whose names are those of the images."
        ),
    ] = None,
    *,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FILE", help="The results: .jsonl or .parquet."),
    ] = "",
    fix: Annotated[
        str | None,
        typer.Option(
            "--fix", metavar="DIR", help="Repair each pair into a folder of its own in this one."
        ),
    ] = None,
    with_reports: Annotated[
        bool, typer.Option("--with-reports", help="Put the whole report of each pair into its row.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes at once. [default: one a core]"
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit",
            metavar="S",
            min=0.1,
            help="What looking at one file, or working on one pair, may take. [default: 600]",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="USD",
            help="Stop before the pairs that are ready cost more than this to submit.",
        ),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option("--engine", help="local: this machine; ray: a Ray cluster.")
    ] = EngineName.local,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", metavar="HOST:PORT", help="The cluster. [default: one on this machine]"
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Work again on rows that failed before.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew, whatever the results hold.")
    ] = False,
    judging: JudgingOptions,
    people: PersonOptions,
    fetching: RemoteOptions,
    planning: PlanningOptions,
    format: FormatOpt = Format.text,
    quiet: QuietOpt = False,
) -> None:
    """Check every pair of a table, or repair it; goes on where an earlier run was stopped.

    Example: wan-prep batch pairs.csv -o results.jsonl

    Example: wan-prep batch heroes/ dances/ -o results.parquet --fix fixed/ --budget 50
    """
    from wan_prep.pipelines import Judging, run_batch
    from wan_prep.submission.intent import dollars

    if not output:
        raise WanPrepError("where shall the results go? give a file with -o, as -o results.jsonl")
    if address is not None and engine is not EngineName.ray:
        raise WanPrepError("--address is for --engine ray")
    options = planning.over(IntervalOptions())
    asked = judging.with_settings(people)
    how = Judging(
        mode=asked.mode,
        resolution=asked.resolution,
        image_person=asked.image_person,
        video_person=asked.video_person,
        profile=asked.profile,
        select=asked.select,
        ignore=asked.ignore,
        pose_model=asked.pose_model,
        cache=asked.cache,
        remote=fetching.policy(),
        with_report=with_reports,
    )
    with Progress(quiet) as show:
        try:
            summary = run_batch(
                manifest,
                videos,
                results=output,
                fix=fix,
                options=options,
                engine=engine.value,
                workers=workers,
                address=address,
                time_limit_s=time_limit,
                budget_usd=None if budget is None else dollars(budget.removeprefix("$")),
                retry_failed=retry_failed,
                overwrite=overwrite,
                judging=how,
                progress=_telling(show, quiet=quiet),
            )
        except KeyboardInterrupt:
            print_note("wan-prep: stopped; what is done is kept, and the same command goes on")
            raise
    if summary.ignored:
        print_note(f"wan-prep: columns that mean nothing here: {', '.join(summary.ignored)}")
    for path in summary.unmatched:
        print_note(f"wan-prep: no partner of the same name: {path}")
    _print(summary, format, quiet=quiet)
    is_good = summary.is_all_good and not (asked.is_strict and summary.counts.get("risky"))
    raise typer.Exit(EXIT_OK if is_good else EXIT_FINDINGS)


def _telling(
    show: Callable[[str, float | None], None], *, quiet: bool
) -> Callable[[BatchProgress], None]:
    """Tells how far it is, how fast it goes, and when it may end."""
    began = told_at = time.monotonic()
    first: int | None = None

    def tell(batch: BatchProgress) -> None:
        nonlocal told_at, first
        first = batch.done if first is None else first  # what earlier runs did is not speed
        now = time.monotonic()
        text = _how_far(batch, batch.done - first, now - began)
        show(text, batch.done / batch.total if batch.total else 1.0)
        if not quiet and not sys.stderr.isatty() and now - told_at >= LINE_EVERY_S:
            told_at = now
            print_note(f"wan-prep: {text}")

    return tell


def _how_far(batch: BatchProgress, done_now: int, elapsed_s: float) -> str:
    text = f"{batch.done:,} of {batch.total:,} pairs"
    if done_now == 0 or elapsed_s <= 0:
        return text
    per_minute = 60 * done_now / elapsed_s
    left_s = (batch.total - batch.done) * elapsed_s / done_now
    rate = f"{per_minute:,.0f}" if per_minute >= 10 else f"{per_minute:.1f}"
    return f"{text}, {rate} a minute, {_duration(left_s)} left"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _print(summary: BatchSummary, format: Format, *, quiet: bool) -> None:
    if format is Format.json:
        print_document(
            as_json(
                {
                    "schema_version": 1,
                    "results": str(summary.results),
                    "total": summary.total,
                    "known": summary.known,
                    "counts": summary.counts,
                    "codes": summary.codes,
                    "usd_low": float(summary.usd_low),
                    "usd_high": float(summary.usd_high),
                }
            )
        )
    elif quiet:
        print_text(" ".join(f"{count} {name}" for name, count in summary.counts.items()))
    else:
        from wan_prep.pipelines.text import render_summary

        with console_on_stdout() as console:
            render_summary(summary, console)
