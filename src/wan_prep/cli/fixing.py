"""Commands that repair: plan, fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wan_prep.cli.options import (
    FormatOpt,
    ImageArg,
    IntervalOptions,
    IsolationOptions,
    Judging,
    JudgingOptions,
    PersonOptions,
    QuietOpt,
    RemoteOptions,
    VideoArg,
    spelled_out,
)
from wan_prep.cli.output import (
    EXIT_FINDINGS,
    Format,
    Progress,
    as_json,
    console_on_stdout,
    print_document,
    print_report,
    print_text,
)
from wan_prep.errors import WanPrepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wan_prep.planning.model import Plan
    from wan_prep.planning.options import PlanOptions
    from wan_prep.pose.estimator import PoseEstimator
    from wan_prep.remote.scratch import Scratch
    from wan_prep.report.model import Report


class Pad(Enum):
    edge = "edge"
    blur = "blur"
    color = "color"


class ImageKind(Enum):
    png = "png"
    jpeg = "jpeg"


@dataclass(frozen=True)
class PlanningOptions:
    """What a person decides about a plan, besides the part of the clip."""

    unsafe_fixes: Annotated[
        bool,
        typer.Option(
            "--unsafe-fixes", help="Also cut visible joints, or more than half of the clip."
        ),
    ] = False
    keep_start: Annotated[
        bool, typer.Option("--keep-start", help="Keep the clip's first frame.")
    ] = False
    max_seconds: Annotated[
        float | None,
        typer.Option("--max-seconds", metavar="S", help="Trim the clip to this length at most."),
    ] = None
    max_cost: Annotated[
        str | None,
        typer.Option("--max-cost", metavar="USD", help="Trim the clip until it costs no more."),
    ] = None
    split: Annotated[
        bool, typer.Option("--split", help="Write one file per shot: driving-01.mp4 …")
    ] = False
    fps: Annotated[
        float | None, typer.Option("--fps", metavar="N", help="The frame rate to write.")
    ] = None
    pad: Annotated[Pad, typer.Option("--pad", help="How added borders are filled.")] = Pad.edge
    pad_color: Annotated[
        str, typer.Option("--pad-color", metavar="#RRGGBB", help="The colour for --pad color.")
    ] = "#000000"
    image_format: Annotated[
        ImageKind | None, typer.Option("--image-format", help="[default: png, or as it is]")
    ] = None
    background: Annotated[
        str | None,
        typer.Option(
            "--background",
            metavar="#RRGGBB",
            help="The colour behind transparent parts of the image. [default: the colours stored "
            "there]",
        ),
    ] = None

    def over(self, interval: IntervalOptions) -> PlanOptions:
        """The library's options; raises WanPrepError for a value that cannot be."""
        from wan_prep.planning.options import PlanOptions
        from wan_prep.submission.intent import dollars

        # As they were written: the options make them exact, or say what is wrong with them.
        numbers: dict[str, Any] = {
            "max_seconds": self.max_seconds,
            "start": interval.start,
            "end": interval.end,
            "fps": self.fps,
        }
        return PlanOptions(
            **numbers,
            unsafe_fixes=self.unsafe_fixes,
            keep_start=self.keep_start,
            max_cost=None if self.max_cost is None else dollars(self.max_cost.removeprefix("$")),
            split=self.split,
            pad=self.pad.value,
            pad_color=self.pad_color,
            image_format=None if self.image_format is None else self.image_format.value,
            background=self.background,
        )


@spelled_out
def plan(
    image: ImageArg,
    video: VideoArg,
    *,
    judging: JudgingOptions,
    people: PersonOptions,
    interval: IntervalOptions,
    planning: PlanningOptions,
    fetching: RemoteOptions,
    isolation: IsolationOptions,
    format: FormatOpt = Format.text,  # the option's name
    quiet: QuietOpt = False,
) -> None:
    """Show what fix would do, and why. Nothing is changed.

    Example: wan-prep plan hero.png dance.mp4 --max-cost 0.40
    """
    from wan_prep import api

    options = planning.over(interval)
    asked = judging.with_settings(people)
    with (
        Progress(quiet) as progress,
        fetching.scratch(asked.profile) as remote,
        api.network(asked.pose_model) as estimator,
    ):
        report = _checked(image, video, asked, isolation, estimator, remote, progress)
        if not _is_readable(report):
            _show_unreadable(report, format, quiet=quiet)
        made = api.plan(
            report,
            options,
            video=video,
            profile=asked.profile,
            estimator=estimator,
            remote=remote,
            progress=progress,
        )
    if format is Format.json:
        print_document(made.public_json())
    elif quiet:
        print_text(f"{made.foreseen.verdict} {made.foreseen.score:.2f}")
    else:
        from wan_prep.planning.text import render_plan

        with console_on_stdout() as console:
            render_plan(made, console)
    raise typer.Exit(asked.exit_code(made.foreseen.verdict))


@spelled_out
def fix(
    context: typer.Context,
    image: Annotated[
        str | None, typer.Argument(metavar="IMAGE", help="The picture, or URL.")
    ] = None,
    video: Annotated[str | None, typer.Argument(metavar="VIDEO", help="The clip, or URL.")] = None,
    *,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="DIR", help="The folder to write to."),
    ] = "",
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan", metavar="FILE", help="Carry out this plan.json instead of IMAGE VIDEO."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    judging: JudgingOptions,
    people: PersonOptions,
    interval: IntervalOptions,
    planning: PlanningOptions,
    fetching: RemoteOptions,
    isolation: IsolationOptions,
    format: FormatOpt = Format.text,
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
    options = planning.over(interval)
    asked = judging.with_settings(people)
    made = None if plan is None else Plan.load(plan)
    if made is not None:
        _must_agree(context, made, options, asked)
    sources = (image, video) if made is None else (made.image.source, made.video.source)
    refuse_sources(Path(output), [source for source in sources if source])
    # One network looks at the pair, at candidate starts, and at what was written.
    with (
        Progress(quiet) as progress,
        fetching.scratch(asked.profile) as remote,
        api.network(asked.pose_model) as estimator,
    ):
        if made is None:
            report = _checked(
                image or "", video or "", asked, isolation, estimator, remote, progress
            )
            if not _is_readable(report):
                _show_unreadable(report, format, quiet=quiet)
            made = api.plan(
                report,
                options,
                video=video,
                profile=asked.profile,
                estimator=estimator,
                remote=remote,
                progress=progress,
            )
        pair = api.normalize(
            made,
            output,
            image=image,
            video=video,
            overwrite=overwrite,
            profile=asked.profile,
            estimator=estimator,
            cache=asked.cache,
            remote=remote,
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
    raise typer.Exit(max(asked.exit_code(r.verdict) for r in pair.reports))


def _checked(
    image: str,
    video: str,
    asked: Judging,
    isolation: IsolationOptions,
    estimator: PoseEstimator,
    remote: Scratch,
    progress: Callable[[str, float], None],
) -> Report:
    from wan_prep import api

    return api.check(
        image,
        video,
        mode=asked.mode,
        resolution=asked.resolution,
        image_person=asked.image_person,
        video_person=asked.video_person,
        profile=asked.profile,
        select=asked.select,
        ignore=asked.ignore,
        pose_model=asked.pose_model,
        # A process of its own loads its own network.
        estimator=None if isolation.is_asked else estimator,
        cache=asked.cache,
        remote=remote,
        **isolation.asked,
        progress=progress,
    )


def _must_agree(context: typer.Context, plan: Plan, options: PlanOptions, asked: Judging) -> None:
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
    if asked.mode != plan.mode:
        differing.append("mode")
    if asked.resolution != plan.resolution:
        differing.append("resolution")
    if asked.image_person != plan.image_person:
        differing += ["image_person", "person"]
    if asked.video_person != plan.video_person:
        differing += ["video_person", "person"]
    selection = Selection(asked.select, asked.ignore).validated()
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
    print_report(report, format, quiet=quiet)
    raise typer.Exit(EXIT_FINDINGS)
