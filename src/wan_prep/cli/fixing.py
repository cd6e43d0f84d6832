"""Commands that mend: plan, fix."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wan_prep.cli.options import (
    EndOpt,
    Format,
    FormatOpt,
    IgnoreOpt,
    ImageArg,
    Mode,
    ModeOpt,
    PoseModelOpt,
    ProfileOpt,
    QuietOpt,
    Resolution,
    ResolutionOpt,
    SelectOpt,
    StartOpt,
    StrictOpt,
    VideoArg,
    codes_of,
    profile_of,
    settings_here,
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from wan_prep.planning.model import Plan
    from wan_prep.planning.options import PlanOptions
    from wan_prep.pose.estimator import PoseEstimator
    from wan_prep.report.model import Report, Verdict


class Pad(Enum):
    edge = "edge"
    blur = "blur"
    color = "color"


class ImageKind(Enum):
    png = "png"
    jpeg = "jpeg"


UnsafeOpt = Annotated[
    bool,
    typer.Option("--unsafe-fixes", help="Also cut visible joints, or more than half of the clip."),
]
KeepStartOpt = Annotated[
    bool, typer.Option("--keep-start", help="The clip's first frame stays the first.")
]
MaxSecondsOpt = Annotated[
    float | None, typer.Option("--max-seconds", metavar="S", help="No longer than this.")
]
MaxCostOpt = Annotated[
    str | None, typer.Option("--max-cost", metavar="USD", help="No dearer than this.")
]
SplitOpt = Annotated[bool, typer.Option("--split", help="One file a shot: driving-01.mp4 …")]
FpsOpt = Annotated[
    float | None, typer.Option("--fps", metavar="N", help="Frames a second to write.")
]
PadOpt = Annotated[Pad, typer.Option("--pad", help="What fills what lies beyond the picture.")]
PadColorOpt = Annotated[
    str, typer.Option("--pad-color", metavar="#RRGGBB", help="For --pad color.")
]
ImageFormatOpt = Annotated[
    ImageKind | None, typer.Option("--image-format", help="[default: png, or as it is]")
]
BackgroundOpt = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="#RRGGBB",
        help="Behind transparent parts of the image. [default: the colours stored there]",
    ),
]


def plan(
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
    unsafe_fixes: UnsafeOpt = False,
    keep_start: KeepStartOpt = False,
    max_seconds: MaxSecondsOpt = None,
    max_cost: MaxCostOpt = None,
    split: SplitOpt = False,
    fps: FpsOpt = None,
    pad: PadOpt = Pad.edge,
    pad_color: PadColorOpt = "#000000",
    image_format: ImageFormatOpt = None,
    background: BackgroundOpt = None,
    profile: ProfileOpt = None,
    pose_model: PoseModelOpt = None,
    quiet: QuietOpt = False,
) -> None:
    """Say what fix would do, and why. Nothing is changed.

    Example: wan-prep plan hero.png dance.mp4 --max-cost 0.40
    """
    from wan_prep import api

    options = _options(
        unsafe_fixes=unsafe_fixes,
        keep_start=keep_start,
        max_seconds=max_seconds,
        max_cost=max_cost,
        start=start,
        end=end,
        split=split,
        fps=fps,
        pad=pad,
        pad_color=pad_color,
        image_format=image_format,
        background=background,
    )
    request = _Request(mode, resolution, select, ignore, profile, pose_model, strict)
    with Progress(quiet) as progress, api.network(request.pose_model) as estimator:
        report = request.report(image, video, estimator, progress)
        if not _is_readable(report):
            _show_unreadable(report, format, quiet=quiet)
        made = api.plan(
            report, options, profile=request.figures, estimator=estimator, progress=progress
        )
    if format is Format.json:
        print_document(made.public_json())
    elif quiet:
        print_text(f"{made.foreseen.verdict} {made.foreseen.score:.2f}")
    else:
        from wan_prep.planning.text import render_plan

        with console_on_stdout() as console:
            render_plan(made, console)
    raise typer.Exit(_exit_code(made.foreseen.verdict, request.is_strict))


def fix(
    context: typer.Context,
    image: Annotated[str | None, typer.Argument(metavar="IMAGE", help="The picture.")] = None,
    video: Annotated[str | None, typer.Argument(metavar="VIDEO", help="The clip.")] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="Where the pair is written.")
    ] = "",
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="Repeat a plan.json instead of IMAGE VIDEO."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there already.")
    ] = False,
    mode: ModeOpt = None,
    resolution: ResolutionOpt = None,
    format: FormatOpt = Format.text,
    select: SelectOpt = None,
    ignore: IgnoreOpt = None,
    strict: StrictOpt = None,
    start: StartOpt = None,
    end: EndOpt = None,
    unsafe_fixes: UnsafeOpt = False,
    keep_start: KeepStartOpt = False,
    max_seconds: MaxSecondsOpt = None,
    max_cost: MaxCostOpt = None,
    split: SplitOpt = False,
    fps: FpsOpt = None,
    pad: PadOpt = Pad.edge,
    pad_color: PadColorOpt = "#000000",
    image_format: ImageFormatOpt = None,
    background: BackgroundOpt = None,
    profile: ProfileOpt = None,
    pose_model: PoseModelOpt = None,
    quiet: QuietOpt = False,
) -> None:
    """Make the pair fit, in a folder of its own, and check it again. Inputs are never touched.

    Example: wan-prep fix hero.png dance.mp4 -o out/
    """
    from wan_prep import api
    from wan_prep.normalizers.write import refuse_sources
    from wan_prep.planning.model import Plan

    if not output:
        raise WanPrepError("where shall the pair be written? give a folder with -o DIR")
    if (plan is None) == (image is None or video is None) or (plan is not None and image):
        raise WanPrepError("give IMAGE and VIDEO, or --plan FILE alone")
    options = _options(
        unsafe_fixes=unsafe_fixes,
        keep_start=keep_start,
        max_seconds=max_seconds,
        max_cost=max_cost,
        start=start,
        end=end,
        split=split,
        fps=fps,
        pad=pad,
        pad_color=pad_color,
        image_format=image_format,
        background=background,
    )
    request = _Request(mode, resolution, select, ignore, profile, pose_model, strict)
    made = None if plan is None else Plan.load(plan)
    if made is not None:
        _must_agree(context, made, options, request)
    sources = (image, video) if made is None else (made.image.source, made.video.source)
    refuse_sources(Path(output), [source for source in sources if source])
    # One network looks at the pair, at candidate starts, and at what was written.
    with Progress(quiet) as progress, api.network(request.pose_model) as estimator:
        if made is None:
            report = request.report(image or "", video or "", estimator, progress)
            if not _is_readable(report):
                _show_unreadable(report, format, quiet=quiet)
            made = api.plan(
                report, options, profile=request.figures, estimator=estimator, progress=progress
            )
        pair = api.normalize(
            made,
            output,
            overwrite=overwrite,
            profile=request.figures,
            estimator=estimator,
            progress=progress,
        )
    if format is Format.json:
        print_document(
            as_json(
                {
                    "schema_version": 1,
                    "folder": str(pair.folder),
                    "image": str(pair.image),
                    "videos": [str(path) for path in pair.videos],
                    "plan": pair.plan.public_dict(),
                    "before": pair.before.public_dict(),
                    "reports": [r.public_dict() for r in pair.reports],
                }
            )
        )
    elif quiet:
        print_text(f"{pair.after.verdict} {pair.after.score:.2f}")
    else:
        from wan_prep.planning.text import render_fixed
        from wan_prep.report.text import printable

        with console_on_stdout() as console:
            render_fixed(pair.plan, pair.before, pair.reports, console)
        print_text(f"\nwritten to {printable(str(pair.folder))}:")
        for path in (pair.image, *pair.videos):
            print_text(f"  {printable(path.name)}")
    raise typer.Exit(max(_exit_code(r.verdict, request.is_strict) for r in pair.reports))


class _Request:
    """How the pair is judged: what was asked for, else the settings found here."""

    def __init__(
        self,
        mode: Mode | None,
        resolution: Resolution | None,
        select: str | None,
        ignore: str | None,
        profile: str | None,
        pose_model: str | None,
        strict: bool | None,
    ) -> None:
        settings = settings_here()
        self.mode = mode.value if mode else settings.mode
        self.resolution = resolution.value if resolution else settings.resolution
        self.select = codes_of(select, settings.select)
        self.ignore = codes_of(ignore, settings.ignore)
        self.figures = profile_of(settings.profile if profile is None else profile)
        self.pose_model = settings.pose_model if pose_model is None else pose_model
        self.is_strict = settings.strict if strict is None else strict

    def report(
        self,
        image: str,
        video: str,
        estimator: PoseEstimator,
        progress: Callable[[str, float], None],
    ) -> Report:
        from wan_prep import api

        return api.check(
            image,
            video,
            mode=self.mode,
            resolution=self.resolution,
            profile=self.figures,
            select=self.select,
            ignore=self.ignore,
            estimator=estimator,
            progress=progress,
        )


def _options(
    *,
    unsafe_fixes: bool,
    keep_start: bool,
    max_seconds: float | None,
    max_cost: str | None,
    start: float | None,
    end: float | None,
    split: bool,
    fps: float | None,
    pad: Pad,
    pad_color: str,
    image_format: ImageKind | None,
    background: str | None,
) -> PlanOptions:
    from wan_prep.planning.options import PlanOptions

    # As they were written: the options make them exact, or say what is wrong with them.
    numbers: dict[str, Any] = {
        "max_seconds": max_seconds,
        "start": start,
        "end": end,
        "fps": fps,
    }
    return PlanOptions(
        **numbers,
        unsafe_fixes=unsafe_fixes,
        keep_start=keep_start,
        max_cost=None if max_cost is None else _dollars(max_cost),
        split=split,
        pad=pad.value,
        pad_color=pad_color,
        image_format=None if image_format is None else image_format.value,
        background=background,
    )


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation as exc:
        raise WanPrepError(f"--max-cost {text!r}: expected US dollars such as 2.00") from exc
    if not amount.is_finite():
        raise WanPrepError(f"--max-cost {text!r}: expected US dollars such as 2.00")
    return amount


def _must_agree(
    context: typer.Context, plan: Plan, options: PlanOptions, request: _Request
) -> None:
    """Raises WanPrepError: an option says other than the plan, which has decided already."""
    from dataclasses import fields

    from wan_prep.report.assemble import Selection

    sources = {name: context.get_parameter_source(name) for name in context.params}
    # By name: typer brings click's classes along under names of its own.
    given = {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    differing = [
        field.name
        for field in fields(options)
        if getattr(options, field.name) != getattr(plan.options, field.name)
    ]
    if request.mode != plan.mode:
        differing.append("mode")
    if request.resolution != plan.resolution:
        differing.append("resolution")
    selection = Selection(request.select, request.ignore).validated()
    if set(selection.deselected()) != set(plan.deselected):
        differing += ["select", "ignore"]
    for name in differing:
        if name in given:
            raise WanPrepError(
                f"--{name.replace('_', '-')} says other than the plan, which has decided already; "
                "leave it out, or give IMAGE and VIDEO to make a new plan"
            )


def _is_readable(report: Report) -> bool:
    return report.image.width is not None and report.video.width is not None


def _show_unreadable(report: Report, format: Format, *, quiet: bool) -> None:
    """Nothing can be made of a file that cannot be read; its findings say why."""
    if format is Format.json:
        print_document(report.public_json())
    elif quiet:
        print_text(f"{report.verdict} {report.score:.2f}")
    else:
        from wan_prep.report.text import render_report

        with console_on_stdout() as console:
            render_report(report, console)
    raise typer.Exit(EXIT_FINDINGS)


def _exit_code(verdict: Verdict, is_strict: bool) -> int:
    bad = verdict == "not_ready" or (is_strict and verdict == "risky")
    return EXIT_FINDINGS if bad else EXIT_OK
