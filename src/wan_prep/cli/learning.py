"""The commands around what became of paid jobs: outcome, outcomes, learn. Nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import typer

from wan_prep.cli.options import (
    CacheOpt,
    CacheSizeOpt,
    FormatOpt,
    NoCacheOpt,
    PoseModelOpt,
    ProfileOpt,
    QuietOpt,
    cache_asked,
    profile_asked,
    settings_here,
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
from wan_prep.cli.ranking import TableFormat


class ResultWord(Enum):
    good = "good"
    bad = "bad"


class WhyWord(Enum):
    face = "face"
    limbs = "limbs"
    identity = "identity"
    drift = "drift"
    background = "background"
    other = "other"


def outcome(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job's id, here or at the service.")],
    result: Annotated[
        ResultWord, typer.Argument(metavar="good|bad", help="Was the result worth its price?")
    ],
    *,
    why: Annotated[
        WhyWord | None, typer.Option("--why", help="What is wrong with it, most of all.")
    ] = None,
    format: FormatOpt = Format.text,
    quiet: QuietOpt = False,
) -> None:
    """Note what became of a job that was paid for; a second word replaces the first.

    Example: wan-prep outcome wp-0123456789ab bad --why limbs
    """
    from wan_prep import api

    noted = api.note_outcome(job, result.value, why=None if why is None else why.value)
    said, before = noted.outcome, noted.replaced
    if format is Format.json:
        plain = said.model_dump(mode="json", exclude={"judgement"})
        was = None if before is None else before.result
        print_document(as_json(plain | {"replaced": was, "is_scored": said.judgement is not None}))
        return
    if quiet:
        print_text(said.result)
        return
    reason = f" ({said.why})" if said.why else ""
    changed = f", which was noted as {before.result} before" if before else ""
    print_text(f"{said.name}: {said.result}{reason}{changed}")
    if said.judgement is None:
        print_text(
            "its pair was not checked when it was submitted, so it has no score and nothing is "
            "learned from it; `wan-prep outcomes --import` checks pairs whose files you still have"
        )


@dataclass(frozen=True)
class OutcomesOptions:
    """What `outcomes` is told."""

    imported: Annotated[
        str | None,
        typer.Option(
            "--import",
            metavar="FILE",
            help="First note those of a CSV file: image, video, mode, outcome.",
        ),
    ] = None
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="FILE", help="Write a figure as well, as .png or .svg."),
    ] = None
    format: Annotated[
        TableFormat, typer.Option("--format", help="text for people, json and csv for programs.")
    ] = TableFormat.text
    profile: ProfileOpt = None
    pose_model: PoseModelOpt = None
    cache: CacheOpt = None
    no_cache: NoCacheOpt = False
    cache_size: CacheSizeOpt = None
    quiet: QuietOpt = False


@spelled_out
def outcomes(options: OutcomesOptions) -> None:
    """Hold the scores of pairs against what became of them.

    Example: wan-prep outcomes --plot outcomes.png

    Example: wan-prep outcomes --import results.csv
    """
    from wan_prep import api

    settings = settings_here()
    profile = profile_asked(options.profile, settings)
    if options.imported is not None:
        kept = cache_asked(options.cache, options.cache_size, settings, off=options.no_cache)
        with Progress(options.quiet) as progress:
            done = api.import_outcomes(
                options.imported,
                profile=profile,
                pose_model=options.pose_model or settings.pose_model,
                cache=kept,
                progress=progress,
            )
        if not options.quiet:
            again = f", {done.replaced} of them known before" if done.replaced else ""
            print_note(f"imported: {len(done.outcomes)} outcomes{again}")
    summary = api.outcomes(profile)
    if options.plot is not None:
        api.write_calibration(summary, options.plot)
    if options.format is TableFormat.json:
        print_document(as_json(summary.model_dump(mode="json")))
    elif options.format is TableFormat.csv:
        print_document(summary.to_csv().rstrip("\n"))
    elif options.quiet:
        told = "unknown" if summary.auc is None else f"{summary.auc.value:.2f}"
        print_text(f"{summary.good} good {summary.bad} bad AUC {told}")
    else:
        from wan_prep.learning.text import render_outcomes

        with console_on_stdout() as console:
            render_outcomes(summary, console)


@dataclass(frozen=True)
class LearnOptions:
    """What `learn` is told."""

    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where the learned profile goes."),
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = (
        False
    )
    format: FormatOpt = Format.text
    quiet: QuietOpt = False


@spelled_out
def learn(options: LearnOptions) -> None:
    """Learn tolerances from outcomes, if there are enough, and say what they are worth.

    Example: wan-prep learn -o my-profile.toml
    """
    from wan_prep import api

    learned = api.learn(options.output, overwrite=options.overwrite)
    if options.format is Format.json:
        print_document(as_json(learned.model_dump(mode="json", exclude={"text"})))
    elif options.quiet:
        print_text("refused" if learned.refusal else "learned")
    else:
        from wan_prep.learning.text import render_learned

        with console_on_stdout() as console:
            render_learned(learned, console, options.output)
    is_missing = options.output is not None and learned.refusal is not None
    raise typer.Exit(EXIT_FINDINGS if is_missing else EXIT_OK)
