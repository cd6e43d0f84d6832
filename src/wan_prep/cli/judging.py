"""Commands that look and judge: check, inspect, rules, explain. Nothing leaves this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wan_prep.cli.options import (
    FormatOpt,
    HtmlOpt,
    ImageArg,
    IntervalOptions,
    JudgingOptions,
    PersonOptions,
    ProfileOpt,
    QuietOpt,
    RemoteOptions,
    VerboseOpt,
    VideoArg,
    profile_asked,
    spelled_out,
    times_of,
)
from wan_prep.cli.output import (
    EXIT_FINDINGS,
    EXIT_OK,
    Format,
    Progress,
    as_json,
    console_on_stdout,
    print_document,
    print_report,
    print_text,
)
from wan_prep.errors import WanPrepError
from wan_prep.writing import refuse_replacing

if TYPE_CHECKING:
    from wan_prep.findings import Rule
    from wan_prep.profile import Profile


@spelled_out
def check(
    image: ImageArg,
    video: VideoArg,
    *,
    judging: JudgingOptions,
    people: PersonOptions,
    interval: IntervalOptions,
    fetching: RemoteOptions,
    html: HtmlOpt = None,
    format: FormatOpt = Format.text,  # the option's name
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Judge a pair: verdict, scores, findings, cost.

    Example: wan-prep check hero.png dance.mp4 --mode replace --resolution 720p
    Example: wan-prep check hero.png duet.mp4 --video-person left
    Example: wan-prep check https://example.com/hero.png s3://bucket/dance.mp4
    """
    from wan_prep import api

    asked = judging.with_settings(people)
    if html is not None:
        sources = (image, video, judging.profile, judging.pose_model)
        refuse_replacing(html, [path for path in sources if path])
    with Progress(quiet) as progress, fetching.scratch(asked.profile) as remote:
        report = api.check(
            image,
            video,
            mode=asked.mode,
            resolution=asked.resolution,
            start=interval.start or 0,
            end=interval.end,
            image_person=asked.image_person,
            video_person=asked.video_person,
            profile=asked.profile,
            select=asked.select,
            ignore=asked.ignore,
            pose_model=asked.pose_model,
            cache=asked.cache,
            remote=remote,
            progress=progress,
        )
        if html is not None:
            progress("writing the page", 1.0)
            api.write_page(
                report, html, image=image, video=video, profile=asked.profile, remote=remote
            )
    print_report(report, format, quiet=quiet, verbose=verbose)
    raise typer.Exit(asked.exit_code(report.verdict))


@spelled_out
def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An image or a video: path or URL.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="S[,S…]", help="Look at the frames shown at these times."),
    ] = None,
    *,
    judging: JudgingOptions,
    interval: IntervalOptions,
    fetching: RemoteOptions,
    format: FormatOpt = Format.text,
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Show what is seen in one file.

    Example: wan-prep inspect duet.mp4 --at 0,2.5 --person left
    """
    from wan_prep import api
    from wan_prep.report.assemble import Selection
    from wan_prep.report.inspection import build_inspection

    asked = judging.with_settings()
    selection = Selection(asked.select, asked.ignore).validated()
    with Progress(quiet) as progress:
        evidence = api.observe(
            file,
            start=interval.start or 0,
            end=interval.end,
            at=None if at is None else times_of(at),
            person=asked.person,
            profile=asked.profile,
            pose_model=asked.pose_model,
            cache=asked.cache,
            remote=fetching.policy(),
            progress=progress,
        )
    inspection = build_inspection(
        evidence,
        mode=asked.mode,
        resolution=asked.resolution,
        profile=asked.profile,
        tool=api.tool(),
        selection=selection,
    )
    if format is Format.json:
        print_document(inspection.public_json())
    elif quiet:
        print_text("found" if inspection.subject.found else "nobody")
    else:
        from wan_prep.report.text import render_inspection

        with console_on_stdout() as console:
            render_inspection(inspection, console, verbose=verbose)
    grave = {"error", "warning"} if asked.is_strict else {"error"}
    is_bad = any(f.severity in grave for f in inspection.findings)
    raise typer.Exit(EXIT_FINDINGS if is_bad else EXIT_OK)


def rules(
    format: FormatOpt = Format.text,
) -> None:
    """List every check.

    Example: wan-prep rules --format json
    """
    from wan_prep.analyzers import RULES

    if format is Format.json:
        print_document(as_json([_described(rule) for rule in RULES]))
        return
    from wan_prep.report.text import render_rules

    with console_on_stdout() as console:
        render_rules(RULES, console)


def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Code or name, such as WP301.")],
    format: FormatOpt = Format.text,
    profile: ProfileOpt = None,
) -> None:
    """Explain one check: what it measures, why, how to fix it, where its limit comes from.

    Example: wan-prep explain WP301
    """
    from wan_prep.analyzers import RULES

    wanted = code.strip()
    rule = next((r for r in RULES if wanted.upper() == r.code or wanted.lower() == r.name), None)
    if rule is None:
        raise WanPrepError(f"no check is called {code!r}; `wan-prep rules` lists them")
    figures = profile_asked(profile)
    if format is Format.json:
        print_document(as_json(_described(rule, figures)))
        return
    from wan_prep.report.text import render_explanation

    with console_on_stdout() as console:
        render_explanation(rule, figures, console)


def _described(rule: Rule, profile: Profile | None = None) -> dict[str, Any]:
    from wan_prep.analyzers.explanations import explanation_of

    described: dict[str, Any] = {
        "code": rule.code,
        "name": rule.name,
        "family": rule.family,
        "about": rule.about,
        "at_most": rule.cap.value,
    }
    if profile is not None:
        texts = explanation_of(rule.code)
        described |= {
            "measures": texts.measures,
            "why": texts.why,
            "fix": texts.fix,
            "limit": texts.limit,
            "figures": texts.figures(profile),
        }
    return described
