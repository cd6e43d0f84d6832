"""Commands that look and judge: check, inspect, rules, explain. Nothing leaves this machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wan_prep.cli.options import (
    CheckingOptions,
    FormatOpt,
    HtmlOpt,
    ImageArg,
    IntervalOptions,
    IsolationOptions,
    JudgingOptions,
    PersonOptions,
    ProfileOpt,
    QuietOpt,
    RemoteOptions,
    VerboseOpt,
    VerdictFormatOpt,
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
    VerdictFormat,
    as_json,
    console_on_stdout,
    print_comparison,
    print_document,
    print_note,
    print_report,
    print_text,
)
from wan_prep.errors import WanPrepError
from wan_prep.writing import refuse_replacing

if TYPE_CHECKING:
    from wan_prep.cli.options import Judging
    from wan_prep.evidence import Evidence
    from wan_prep.findings import Rule
    from wan_prep.profile import Profile
    from wan_prep.report.inspection import Inspection


class PoseFormat(Enum):
    openpose = "openpose"
    coco = "coco"
    csv = "csv"


class PoseCanvas(Enum):
    file = "file"
    model = "model"


@dataclass(frozen=True)
class PoseOptions:
    """What is made of the joints for other tools."""

    pose_format: Annotated[
        PoseFormat | None,
        typer.Option(
            "--pose-format",
            help="Print the joints instead, for other tools: openpose (BODY_18, for ControlNet and "
            "ComfyUI), coco (one data set) or csv (all 33 landmarks).",
        ),
    ] = None
    pose_canvas: Annotated[
        PoseCanvas | None,
        typer.Option(
            "--pose-canvas",
            help="Whose px the joints are in: those of the upright file, or of the picture the "
            "model is shown. [default: file]",
        ),
    ] = None
    skeleton: Annotated[
        str | None,
        typer.Option(
            "--skeleton",
            metavar="FILE",
            help="Write the skeleton as a video as well (MP4), as the model is shown it.",
        ),
    ] = None
    partner: Annotated[
        str | None,
        typer.Option(
            "--partner",
            metavar="FILE",
            help="The other file of the pair, which may decide the shape of what the model is "
            "shown: in animate mode the image does, in replace mode the video.",
        ),
    ] = None

    @property
    def is_as_model(self) -> bool:
        return self.pose_canvas is PoseCanvas.model

    def lacks_partner(self, evidence: Evidence, asked: Judging) -> bool:
        """Whether the shape of what the model is shown has to be taken on trust."""
        from wan_prep.report.keypoints import decides_shape

        is_asked = self.skeleton is not None or self.is_as_model
        return is_asked and self.partner is None and not decides_shape(evidence.kind, asked.mode)

    def refuse_clashes(self, file: str, at: str | None, format: Format) -> None:
        """Raises WanPrepError: these options do not go together."""
        if self.pose_format is not None and format is Format.json:
            raise WanPrepError(
                "one document goes to stdout: give --pose-format or --format json, and not both"
            )
        if self.pose_canvas is not None and self.pose_format is None:
            raise WanPrepError("--pose-canvas says where --pose-format puts joints; give both")
        if self.skeleton is not None and at is not None:
            raise WanPrepError(
                "a skeleton is drawn of a clip that is looked at as a whole; give --start and "
                "--end instead of --at"
            )
        if self.partner is not None and self.skeleton is None and not self.is_as_model:
            raise WanPrepError(
                "--partner decides the shape of --skeleton and of --pose-canvas model; give one"
            )
        if self.skeleton is not None:
            refuse_replacing(self.skeleton, [path for path in (file, self.partner) if path])


@spelled_out
def check(
    image: ImageArg,
    video: VideoArg,
    *,
    judging: CheckingOptions,
    people: PersonOptions,
    interval: IntervalOptions,
    fetching: RemoteOptions,
    isolation: IsolationOptions,
    html: HtmlOpt = None,
    format: VerdictFormatOpt = VerdictFormat.text,  # the option's name
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Judge a pair: verdict, scores, findings, cost.

    Example: wan-prep check hero.png dance.mp4 --mode replace --resolution 720p
    Example: wan-prep check hero.png duet.mp4 --video-person left
    Example: wan-prep check hero.png dance.mp4 --mode both
    Example: wan-prep check hero.png dance.mp4 --format github
    Example: wan-prep check https://example.com/hero.png s3://bucket/dance.mp4
    """
    from wan_prep import api

    asked = judging.with_settings(people)
    if html is not None:
        sources = (image, video, judging.profile, judging.pose_model)
        refuse_replacing(html, [path for path in sources if path])
    options: dict[str, Any] = {
        "resolution": asked.resolution,
        "start": interval.start or 0,
        "end": interval.end,
        "image_person": asked.image_person,
        "video_person": asked.video_person,
        "profile": asked.profile,
        "select": asked.select,
        "ignore": asked.ignore,
        "pose_model": asked.pose_model,
        "cache": asked.cache,
    } | isolation.asked
    with Progress(quiet) as progress, fetching.scratch(asked.profile) as remote:
        options["remote"] = remote
        both = None
        if asked.in_both_modes:
            both = api.compare_modes(image, video, progress=progress, **options)
            report = both.shown
        else:
            report = api.check(image, video, mode=asked.mode, progress=progress, **options)
        if html is not None:
            progress("writing the page", 1.0)
            api.write_page(
                report, html, image=image, video=video, profile=asked.profile, remote=remote
            )
    if both is None:
        print_report(report, format, quiet=quiet, verbose=verbose)
    else:
        print_comparison(both, format, quiet=quiet, verbose=verbose)
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
    poses: PoseOptions,
    fetching: RemoteOptions,
    isolation: IsolationOptions,
    format: FormatOpt = Format.text,
    quiet: QuietOpt = False,
    verbose: VerboseOpt = False,
) -> None:
    """Show what is seen in one file, or hand its joints to other tools.

    Example: wan-prep inspect duet.mp4 --at 0,2.5 --person left

    Example: wan-prep inspect dance.mp4 --pose-format openpose > poses.json

    Example: wan-prep inspect dance.mp4 --skeleton skeleton.mp4 --partner hero.png
    """
    from wan_prep import api
    from wan_prep.report.assemble import Selection
    from wan_prep.report.inspection import build_inspection

    poses.refuse_clashes(file, at, format)
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
            **isolation.asked,
            progress=progress,
        )
        if poses.skeleton is not None and evidence.info is not None:
            api.write_skeleton(
                evidence,
                poses.skeleton,
                mode=asked.mode,
                resolution=asked.resolution,
                partner=poses.partner,
                profile=asked.profile,
                progress=progress,
            )
    if not quiet and poses.lacks_partner(evidence, asked):
        print_note(
            f"wan-prep: in {asked.mode} mode the other file of the pair decides the shape; "
            "name it with --partner, else both are taken to have one ratio"
        )
    inspection = build_inspection(
        evidence,
        mode=asked.mode,
        resolution=asked.resolution,
        profile=asked.profile,
        tool=api.tool(),
        selection=selection,
    )
    if poses.pose_format is not None:
        _print_poses(evidence, inspection, poses, asked)
    elif format is Format.json:
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


def _print_poses(
    evidence: Evidence, inspection: Inspection, poses: PoseOptions, asked: Judging
) -> None:
    """The document alone on stdout; what is wrong with the file on stderr."""
    from wan_prep import api

    assert poses.pose_format is not None
    print_document(
        api.export_poses(
            evidence,
            poses.pose_format.value,
            as_model=poses.is_as_model,
            mode=asked.mode,
            resolution=asked.resolution,
            partner=poses.partner,
            profile=asked.profile,
        )
    )
    for finding in inspection.findings:
        if finding.severity == "error":
            print_note(f"wan-prep: {finding.code}: {finding.message}")


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
