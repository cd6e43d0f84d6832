"""The commands around paid jobs: submit, wait, jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wan_prep.cli.options import (
    FormatOpt,
    IsolationOptions,
    Judging,
    JudgingOptions,
    PersonOptions,
    ProfileOpt,
    QuietOpt,
    RemoteOptions,
    VerboseOpt,
    profile_asked,
    spelled_out,
)
from wan_prep.cli.output import (
    EXIT_FINDINGS,
    EXIT_OK,
    EXIT_UNKNOWN,
    Format,
    Progress,
    as_json,
    console_on_stdout,
    fail,
    print_document,
    print_note,
    print_text,
)
from wan_prep.errors import GateRefused, Interrupted, WanPrepError

if TYPE_CHECKING:
    from decimal import Decimal

    from wan_prep.profile import Profile
    from wan_prep.submission.client import Client, WaitProgress
    from wan_prep.submission.intent import Intent, PreparedSubmission
    from wan_prep.submission.jobs import Job, Prediction

Say = Callable[[str], None]


@dataclass(frozen=True)
class SubmissionOptions:
    """What `submit` is told besides its pair."""

    prompt: Annotated[
        str | None, typer.Option("--prompt", help="The text prompt for the model.")
    ] = None
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="-1 for a random one. [default: -1]")
    ] = None
    count: Annotated[
        int, typer.Option("--count", metavar="N", help="How many variations; each is paid for.")
    ] = 1
    upload: Annotated[bool, typer.Option("--upload", help="Allow local files to be uploaded.")] = (
        False
    )
    max_cost: Annotated[
        str | None,
        typer.Option("--max-cost", metavar="USD", help="Refuse if all of it may cost more."),
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before paying.")] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the request and its cost; use no network.")
    ] = False
    allow_not_ready: Annotated[
        bool, typer.Option("--allow-not-ready", help="Submit even if the check says not ready.")
    ] = False
    resubmit: Annotated[
        bool, typer.Option("--resubmit", help="Pay a second time for the same work.")
    ] = False
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not check the pair or fetch its URLs.")
    ] = False
    duration: Annotated[
        float | None,
        typer.Option("--duration", metavar="S", help="Length of the clip in s, for --no-check."),
    ] = None
    format: FormatOpt = Format.text
    quiet: QuietOpt = False
    verbose: VerboseOpt = False


@spelled_out
def submit(
    pair: Annotated[
        str,
        typer.Argument(metavar="DIR|IMAGE", help="A folder that fix wrote; or a picture or URL."),
    ],
    video: Annotated[
        str | None, typer.Argument(metavar="[VIDEO]", help="With a picture: the clip, or its URL.")
    ] = None,
    *,
    judging: JudgingOptions,
    people: PersonOptions,
    fetching: RemoteOptions,
    isolation: IsolationOptions,
    options: SubmissionOptions,
) -> None:
    """Check a pair, estimate its cost, and submit it.

    Example: wan-prep submit hero.png dance.mp4 --upload --max-cost 2.00
    """
    if not (options.dry_run or options.yes or _is_watched()):
        raise WanPrepError(
            "nobody can be asked here whether to pay: --yes submits without asking, --dry-run "
            "shows what would be submitted"
        )
    from wan_prep.submission.client import Client
    from wan_prep.submission.intent import dollars

    asked = judging.with_settings(people)
    most = None if options.max_cost is None else dollars(options.max_cost)
    ready = _prepared(pair, video, options, judging, people, fetching, isolation, asked)
    let_through = partial(
        ready.pass_gate,
        allow_not_ready=options.allow_not_ready,
        max_cost=most,
        strict=asked.is_strict,
    )
    if options.dry_run:
        print_document(as_json(ready.document()))
        let_through()
        return
    say = _teller(options.format, options.quiet)
    if options.verbose and options.format is Format.text and ready.report is not None:
        from wan_prep.report.text import render_report

        with console_on_stdout() as console:
            render_report(ready.report, console, verbose=True)
    _introduce(ready, say)
    let_through()
    with Client.from_environment(asked.profile) as client:
        if options.resubmit:
            for earlier in client.earlier(ready.intent):
                say(f"submitted already: {earlier.summary()}")
        if not options.yes:
            _ask(ready.intent)
        jobs = _submitted(client, ready, options)
    if options.format is Format.json:
        print_document(as_json(_document(jobs=jobs)))
    elif options.quiet:
        print_text("\n".join(job.id for job in jobs))
    else:
        for job in jobs:
            say(job.summary())
        say("`wan-prep wait` waits for it" if len(jobs) == 1 else "`wan-prep wait` waits for them")


@dataclass(frozen=True)
class WaitOptions:
    """What `wait` is told besides its job."""

    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="The folder for the outputs.")
    ] = "."
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="S", help="The longest wait for a job, in s."),
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False
    format: FormatOpt = Format.text
    profile: ProfileOpt = None
    quiet: QuietOpt = False


@spelled_out
def wait(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="[JOB]",
            help="A job's id, here or at the service; left out: all unfinished jobs.",
        ),
    ] = None,
    *,
    options: WaitOptions,
) -> None:
    """Wait for jobs to end and download their outputs.

    Example: wan-prep wait -o results
    """
    from wan_prep import api

    profile = profile_asked(options.profile)
    say = _teller(options.format, options.quiet)
    names = [job] if job is not None else _unfinished(profile, say)
    if not names:
        say("nothing to wait for")
    predictions: list[Prediction] = []
    worst = EXIT_OK
    for name in names:
        try:
            with Progress(options.quiet) as progress:
                prediction = api.wait(
                    name,
                    options.output,
                    timeout_s=options.timeout,
                    overwrite=options.overwrite,
                    profile=profile,
                    progress=partial(_show_progress, progress),
                )
        except KeyboardInterrupt as exc:
            raise Interrupted(f"{name} goes on; `wan-prep wait {name}` takes it up again") from exc
        except WanPrepError as exc:  # the other jobs are waited for all the same
            worst = max(worst, fail(str(exc), exc.exit_code))
            continue
        predictions.append(prediction)
        worst = max(worst, EXIT_OK if prediction.succeeded else EXIT_FINDINGS)
        if options.format is Format.text:
            _show_prediction(prediction, options.quiet)
    if options.format is Format.json:
        print_document(as_json(_document(predictions=predictions)))
    raise typer.Exit(worst)


def _unfinished(profile: Profile, say: Say) -> list[str]:
    """The ids of the jobs to wait for; says which ones are left out as too old."""
    from wan_prep.submission.client import Client

    with Client.from_environment(profile) as client:
        names = [unfinished.id for unfinished in client.unfinished()]
        for overdue in client.overdue():
            say(
                f"{overdue.summary()}; left out, because the service keeps nothing for so "
                f"long; if this machine's clock is wrong, `wan-prep wait {overdue.id}` asks"
            )
    return names


@dataclass(frozen=True)
class JobsOptions:
    """What `jobs` is told."""

    reconcile: Annotated[
        bool,
        typer.Option("--reconcile", help="Look up unclear submissions in the service's history."),
    ] = False
    format: FormatOpt = Format.text
    profile: ProfileOpt = None
    quiet: QuietOpt = False


@spelled_out
def jobs(options: JobsOptions) -> None:
    """List what was submitted, from the journal on this machine.

    Example: wan-prep jobs --reconcile
    """
    from wan_prep.submission.client import Client
    from wan_prep.submission.journal import Journal

    say = _teller(options.format, options.quiet)
    found = None
    if options.reconcile:
        profile = profile_asked(options.profile)
        with Client.from_environment(profile) as client:
            found = client.reconcile()
        for one in found:
            say(one.said)
        if not found:
            say("nothing is unclear")
    listed = Journal.at_home().jobs()
    if options.format is Format.json:
        looked_up = found and [
            {"job": r.job.id, "matches": r.matches, "is_clear": r.is_clear, "said": r.said}
            for r in found
        ]
        print_document(as_json(_document(jobs=listed) | {"reconciled": looked_up}))
    elif options.quiet:
        for job in listed:
            print_text(job.id)
    elif found is None:
        for job in listed:
            _show_job(job)
        if not listed:
            say("nothing was submitted yet")
    is_clear = all(one.is_clear for one in found or ())
    raise typer.Exit(EXIT_OK if is_clear else EXIT_UNKNOWN)


# ------------------------------------------------------------------ asking and sending


def _is_watched() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(intent: Intent) -> None:
    """Ask whether to pay, on stderr: stdout is for the answer. Raises GateRefused: no."""
    tasks = "1 task" if intent.count == 1 else f"{intent.count} tasks"
    question = f"Submit {tasks} for {_price(intent)}? [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise GateRefused("not submitted")


def _prepared(
    pair: str,
    video: str | None,
    options: SubmissionOptions,
    judging: JudgingOptions,
    people: PersonOptions,
    fetching: RemoteOptions,
    isolation: IsolationOptions,
    asked: Judging,
) -> PreparedSubmission:
    from wan_prep.api.sending import prepared

    # A folder knows what it was prepared for; settings speak of pairs that do not.
    is_folder = video is None
    is_said = (judging.person, people.image_person, people.video_person) != (None, None, None)
    knows_whom = is_folder and not is_said
    with Progress(options.quiet) as progress:
        return prepared(
            pair,
            video,
            upload=options.upload,
            count=options.count,
            prompt=options.prompt,
            seed=options.seed,
            mode=None if is_folder and judging.mode is None else asked.mode,
            resolution=None if is_folder and judging.resolution is None else asked.resolution,
            no_check=options.no_check,
            duration=options.duration,
            dry_run=options.dry_run,
            profile=asked.profile,
            select=asked.select,
            ignore=asked.ignore,
            image_person=None if knows_whom else asked.image_person,
            video_person=None if knows_whom else asked.video_person,
            pose_model=asked.pose_model,
            remote=fetching.policy(),
            **isolation.asked,
            cache=asked.cache,
            progress=progress,
        )


def _submitted(
    client: Client, ready: PreparedSubmission, options: SubmissionOptions
) -> tuple[Job, ...]:
    try:
        return client.submit(
            ready.intent,
            upload=options.upload,
            resubmit=options.resubmit,
            judgement=ready.judgement,
        )
    except KeyboardInterrupt as exc:
        raise Interrupted(
            "interrupted while submitting; `wan-prep jobs` shows whether something was sent"
        ) from exc


# ------------------------------------------------------------------ words


def _teller(format: Format, quiet: bool) -> Say:
    """How to say things beside the answer: not at all, on stderr beside JSON, or on stdout."""
    if quiet:
        return lambda _: None
    return print_note if format is Format.json else _tell


def _tell(text: str) -> None:
    from wan_prep.report.text import printable

    print_text(printable(text))


def _introduce(ready: PreparedSubmission, say: Say) -> None:
    """What somebody should know before paying."""
    intent, report = ready.intent, ready.report
    if report is None:
        say("not checked")
    else:
        codes = ", ".join(finding.code for finding in (*report.errors, *report.warnings))
        verdict = report.verdict.upper().replace("_", " ")
        say(f"{verdict}  {report.score:.1f} of 100{f' ({codes})' if codes else ''}")
    for note in intent.notes:
        say(f"note: {note}")
    parameters = intent.parameters
    say(f"{parameters.mode}, {parameters.resolution}, {intent.count} x: {_price(intent)}")


def _price(intent: Intent) -> str:
    if intent.total_usd is None:
        return "a price that is not known, because the length of the clip is not"
    return _dollars(*intent.total_usd)


def _dollars(low: Decimal, high: Decimal) -> str:
    return f"${low:.2f}" if low == high else f"${low:.2f} to ${high:.2f}"


def _show_progress(show: Callable[[str, float | None], None], seen: WaitProgress) -> None:
    from wan_prep.report.text import printable

    show(printable(f"{seen.job.id}: {seen.note}, {seen.elapsed_s:.0f} s"), None)


def _show_prediction(prediction: Prediction, quiet: bool) -> None:
    if not quiet:
        _tell(prediction.job.summary())
    for output in prediction.outputs:
        flag = "" if quiet or not output.nsfw else "  (the service flags it as not safe for work)"
        _tell(f"{'' if quiet else '  '}{output.path}{flag}")


def _show_job(job: Job) -> None:
    _tell(job.summary())
    price = "" if job.cost is None else f", {_dollars(job.cost.usd_low, job.cost.usd_high)}"
    _tell(f"  {job.image.source} + {job.video.source}, {job.mode}, {job.resolution}{price}")
    for output in job.outputs:
        _tell(f"  {output.path or 'not downloaded yet'}")


def _document(**lists: Sequence[Any]) -> dict[str, Any]:
    plain = {name: [one.model_dump(mode="json") for one in many] for name, many in lists.items()}
    return {"schema_version": 1, **plain}
