"""The command that finds the best pairs of many files. Nothing leaves this machine."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from wan_prep.cli.options import (
    IsolationOptions,
    JudgingOptions,
    PersonOptions,
    QuietOpt,
    RemoteOptions,
    spelled_out,
)
from wan_prep.cli.output import (
    EXIT_FINDINGS,
    EXIT_OK,
    Progress,
    console_on_stdout,
    print_document,
    print_note,
    print_text,
)
from wan_prep.writing import refuse_replacing

if TYPE_CHECKING:
    from wan_prep.ranking.model import Ranking

_LISTS = ("--images", "--videos")


class TableFormat(Enum):
    text = "text"
    json = "json"
    csv = "csv"


class TopPer(Enum):
    image = "image"
    video = "video"


class ListCommand(TyperCommand):
    """A command in which a list option takes all words up to the next option: `--images *.png`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _one_each(args))


def _one_each(args: list[str]) -> list[str]:
    """The same arguments with the option before each word of a list."""
    said: list[str] = []
    option = None
    for word in args:
        if word.startswith("-"):
            option = word if word in _LISTS else None
            said += [] if option else [word]
        else:
            said += [option, word] if option else [word]
    return said


@spelled_out
def rank(
    images: Annotated[
        list[str],
        typer.Option(
            "--images",
            metavar="FILE…",
            help="Pictures: files, folders, patterns, URLs, or @LIST with one of these a line.",
        ),
    ],
    videos: Annotated[
        list[str],
        typer.Option("--videos", metavar="FILE…", help="Videos, named in the same ways."),
    ],
    *,
    top: Annotated[
        int | None,
        typer.Option(
            "--top", metavar="K", min=1, help="How many pairs. [default: 20, or 1 with --top-per]"
        ),
    ] = None,
    top_per: Annotated[
        TopPer | None,
        typer.Option("--top-per", help="The best K pairs of each image, or of each video."),
    ] = None,
    judging: JudgingOptions,
    people: PersonOptions,
    fetching: RemoteOptions,
    isolation: IsolationOptions,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write a page with pictures as well."),
    ] = None,
    parquet: Annotated[
        str | None,
        typer.Option("--parquet", metavar="FILE", help="Write a Parquet file as well."),
    ] = None,
    format: Annotated[
        TableFormat,
        typer.Option("--format", help="text for people, json and csv for programs."),
    ] = TableFormat.text,
    quiet: QuietOpt = False,
) -> None:
    """Find the pairs that go together best, among all images and videos.

    Example: wan-prep rank --images cast/*.png --videos dances/

    Example: wan-prep rank --images @cast.txt --videos dances/ --top-per image --html best.html
    """
    from wan_prep import api

    asked = judging.with_settings(people)
    settings = [path for path in (judging.profile, judging.pose_model) if path]
    for written in (html, parquet):
        if written is not None:
            refuse_replacing(written, [*images, *videos, *settings])
    with Progress(quiet) as progress:
        ranking = api.rank(
            images,
            videos,
            top=top,
            top_per=None if top_per is None else top_per.value,
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
            **isolation.asked,
            progress=progress,
        )
        if html is not None:
            progress("writing the page", 1.0)
            api.write_contact_sheet(ranking, html, remote=fetching.policy())
        if parquet is not None:
            api.write_parquet(ranking, parquet)
    _print(ranking, format, quiet=quiet)
    is_any = any(not asked.is_strict or pair.verdict == "ready" for pair in ranking)
    raise typer.Exit(EXIT_OK if is_any else EXIT_FINDINGS)


def _print(ranking: Ranking, format: TableFormat, *, quiet: bool) -> None:
    if format is TableFormat.json:
        print_document(ranking.to_json())
        return
    if format is TableFormat.csv:
        print_document(ranking.to_csv().rstrip("\n"))
        for file in ranking.set_aside:
            print_note(f"wan-prep: set aside: {file.path}: {file.reason}")
    elif quiet:
        from wan_prep.fragments import printable

        for pair in ranking:
            print_text(
                f"{pair.score_at_best_start:.2f} {printable(pair.image)} {printable(pair.video)}"
            )
    else:
        from wan_prep.ranking.text import render_ranking

        with console_on_stdout() as console:
            render_ranking(ranking, console)
