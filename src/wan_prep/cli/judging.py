"""Commands that look and judge: check, inspect, rules, explain. Nothing leaves this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wan_prep.cli.options import (
    EndOpt,
    Format,
    FormatOpt,
    HtmlOpt,
    IgnoreOpt,
    ImageArg,
    ModeOpt,
    PoseModelOpt,
    ProfileOpt,
    QuietOpt,
    ResolutionOpt,
    SelectOpt,
    StartOpt,
    StrictOpt,
    VerboseOpt,
    VideoArg,
    codes_of,
    profile_of,
    settings_here,
    times_of,
)
from wan_prep.cli.output import (
    EXIT_FINDINGS,
    EXIT_OK,
    Progress,
    as_json,
    console_on_stdout,
    print_document,
    print_text,
)
from wan_prep.errors import WanPrepError
from wan_prep.writing import refuse_replacing

if TYPE_CHECKING:
    from wan_prep.findings import Rule
    from wan_prep.profile import Profile


def check(
    image: ImageArg,
    video: VideoArg,
    mode: ModeOpt = None,
    resolution: ResolutionOpt = None,
    format: FormatOpt = Format.text,  # the option's name
    select: SelectOpt = None,
    ignore: IgnoreOpt = None,
    strict: StrictOpt = None,
    start: StartOpt = None,
    end: EndOpt = None,
    profile: ProfileOpt = None,
    pose_model: PoseModelOpt = None,
    html: HtmlOpt = None,
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Judge a pair: verdict, scores, findings, cost.

    Example: wan-prep check hero.png dance.mp4 --mode replace --resolution 720p
    """
    from wan_prep import api

    settings = settings_here()
    figures = profile_of(settings.profile if profile is None else profile)
    if html is not None:
        refuse_replacing(html, [path for path in (image, video, profile, pose_model) if path])
    with Progress(quiet) as progress:
        report = api.check(
            image,
            video,
            mode=mode.value if mode else settings.mode,
            resolution=resolution.value if resolution else settings.resolution,
            start=0 if start is None else start,
            end=end,
            profile=figures,
            select=codes_of(select, settings.select),
            ignore=codes_of(ignore, settings.ignore),
            pose_model=settings.pose_model if pose_model is None else pose_model,
            progress=progress,
        )
        if html is not None:
            progress("writing the page", 1.0)
            api.write_page(report, html, image=image, video=video, profile=figures)
    if format is Format.json:
        print_document(report.public_json())
    elif quiet:
        print_text(f"{report.verdict} {report.score:.2f}")
    else:
        from wan_prep.report.text import render_report

        with console_on_stdout() as console:
            render_report(report, console, verbose=verbose)
    is_strict = settings.strict if strict is None else strict
    bad = report.verdict == "not_ready" or (is_strict and report.verdict == "risky")
    raise typer.Exit(EXIT_FINDINGS if bad else EXIT_OK)


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An image or a video.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="S[,S…]", help="Look at the frames shown at these times."),
    ] = None,
    mode: ModeOpt = None,
    resolution: ResolutionOpt = None,
    format: FormatOpt = Format.text,
    start: StartOpt = None,
    end: EndOpt = None,
    select: SelectOpt = None,
    ignore: IgnoreOpt = None,
    strict: StrictOpt = None,
    profile: ProfileOpt = None,
    pose_model: PoseModelOpt = None,
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Say what is seen in one file.

    Example: wan-prep inspect dance.mp4 --at 0,2.5
    """
    from wan_prep import api
    from wan_prep.report.assemble import Selection
    from wan_prep.report.inspection import build_inspection

    settings = settings_here()
    figures = profile_of(settings.profile if profile is None else profile)
    selection = Selection(
        codes_of(select, settings.select), codes_of(ignore, settings.ignore)
    ).validated()
    with Progress(quiet) as progress:
        evidence = api.observe(
            file,
            start=0 if start is None else start,
            end=end,
            at=None if at is None else times_of(at),
            profile=figures,
            pose_model=settings.pose_model if pose_model is None else pose_model,
            progress=progress,
        )
    inspection = build_inspection(
        evidence,
        mode=mode.value if mode else settings.mode,
        resolution=resolution.value if resolution else settings.resolution,
        profile=figures,
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
    is_strict = settings.strict if strict is None else strict
    grave = {"error", "warning"} if is_strict else {"error"}
    bad = any(f.severity in grave for f in inspection.findings)
    raise typer.Exit(EXIT_FINDINGS if bad else EXIT_OK)


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
    settings = settings_here()
    figures = profile_of(settings.profile if profile is None else profile)
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
