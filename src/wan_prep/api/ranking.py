"""Many files looked at once each, and the best pairs of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from wan_prep.api.apart import Apart
from wan_prep.api.judging import selection_of, tool
from wan_prep.api.looking import (
    Estimating,
    Kind,
    Look,
    PathLike,
    PersonLike,
    Progress,
    RemoteLike,
    look,
    named,
    person_in,
    quiet,
)
from wan_prep.errors import InputPathError, MediaUnreadable, SourceChanged, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.ranking.model import Ranking, SetAside, TopPer
from wan_prep.remote.scratch import scratch_of
from wan_prep.remote.sources import is_remote, shown
from wan_prep.writing import refuse_replacing, write_text, written_whole

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike

_LOOKING = 0.95
"""Share of the work that looking at files is taken for."""


def rank(
    images: Iterable[PathLike | Evidence],
    videos: Iterable[PathLike | Evidence],
    *,
    top: int | None = None,
    top_per: TopPer | None = None,
    mode: Mode = "animate",
    resolution: Resolution = "480p",
    person: PersonLike | None = None,
    image_person: PersonLike | None = None,
    video_person: PersonLike | None = None,
    profile: Profile | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    pose_model: PathLike | None = None,
    estimator: PoseEstimator | None = None,
    cache: CacheLike | None = None,
    remote: RemoteLike | None = None,
    isolated: bool = False,
    time_limit_s: float | None = None,
    progress: Progress = quiet,
) -> Ranking:
    """Which images and videos go together: the best pairs first, by `score_at_best_start`.

    Every image is held against every video. Each file is looked at once, files of the same content
    together. The scores are those of `check`, and no pair that is left out scores more than one
    that is listed.

    images, videos: addresses, as for `check`, each fetched for as long as it is looked at; paths of
        files; of folders, for the files of that kind in them; patterns such as
        `cast/*.png`; `@list.txt`, for a list with one of these in each line; or evidence from
        `observe`, which is not looked at again.
    top: how many pairs; None stands for 20, or for one with `top_per`.
    top_per: the best pairs of each image, or of each video, instead of all.
    The other arguments are those of `check`.

    A file that cannot be fetched or read, or in which nobody is seen, is in `set_aside` with the
    reason.

    Raises:
        InputPathError: a folder, a pattern or a list gives no file.
        WanPrepError: a setting that cannot be.
    """
    from wan_prep.cache.store import Cache
    from wan_prep.ranking.assemble import build_ranking

    figures = profile or default_profile()
    selection = selection_of(mode, resolution, select, ignore)
    if (top is not None and top < 1) or top_per not in (None, *get_args(TopPer)):
        raise WanPrepError(
            f"top {top!r} per {top_per!r}: expected 1 pair or more, of all or per "
            f"{' or '.join(get_args(TopPer))}"
        )
    pictures, clips = _given(images, "image"), _given(videos, "video")
    of_image = person if image_person is None else image_person
    of_video = person if video_person is None else video_person
    for each in pictures:
        person_in(each, of_image)
    for each in clips:
        person_in(each, of_video)
    needs_model = not all(isinstance(each, Evidence) for each in (*pictures, *clips))
    aside: list[SetAside] = []
    kept = Cache.of(cache)
    with ExitStack() as stack:
        see: Callable[[Path, Look], Evidence]
        if isolated:
            see = stack.enter_context(
                Apart(figures, pose_model, estimator, kept, time_limit_s, quiet)
            ).look
        else:
            network = stack.enter_context(Estimating(estimator, pose_model, needs_model))
            see = partial(look, network=network, figures=figures, cache=kept)
        looker = _Looker(see, figures, remote, progress, [*pictures, *clips], aside)
        seen_images = looker.all_of(pictures, "image", PersonChoice.of(of_image))
        seen_videos = looker.all_of(clips, "video", PersonChoice.of(of_video))
    return build_ranking(
        seen_images,
        seen_videos,
        mode=mode,
        resolution=resolution,
        profile=figures,
        tool=tool(),
        selection=selection,
        top=top,
        top_per=top_per,
        set_aside=aside,
        progress=lambda share: progress("comparing", _LOOKING + (1.0 - _LOOKING) * share),
    )


def _given(given: Iterable[PathLike | Evidence], kind: Kind) -> list[PathLike | Evidence]:
    """The files and evidence of one side, in order.

    Raises:
        InputPathError: what is given names no file. WanPrepError: evidence of the other kind.
    """
    from wan_prep.ranking.files import files_named

    if isinstance(given, str | Path | Evidence):
        given = [given]
    sides: list[PathLike | Evidence] = []
    known: set[PathLike] = set()
    for each in given:
        if not isinstance(each, Evidence):
            new = [file for file in files_named([each], kind) if file not in known]
            known.update(new)
            sides += new
        elif each.kind != kind:
            raise WanPrepError(
                f"expected evidence of {kind}s, got that of {each.path}, which was observed as "
                f"{each.kind}"
            )
        else:
            sides.append(each)
    if not sides:
        raise InputPathError(f"expected at least one {kind}, found none; name files or a folder")
    return sides


class _Looker:
    """Looks at each distinct file once."""

    def __init__(
        self,
        see: Callable[[Path, Look], Evidence],
        profile: Profile,
        remote: RemoteLike | None,
        progress: Progress,
        given: Sequence[PathLike | Evidence],
        aside: list[SetAside],
    ) -> None:
        self._see, self._profile, self._remote = see, profile, remote
        self._progress, self._count, self._done = progress, len(given), 0
        self._aside = aside
        self._has_addresses = any(is_remote(each) for each in given)
        self._sizes = Counter(_size_of(each) for each in given if isinstance(each, Path))
        self._known: dict[tuple[Kind, int, str], Evidence] = {}

    def all_of(
        self, given: Iterable[PathLike | Evidence], kind: Kind, person: PersonChoice
    ) -> list[Evidence]:
        """The evidence of one side, in order, without the files that are set aside."""
        seen = []
        for each in given:
            share = _LOOKING * self._done / self._count
            self._progress(f"looking at {self._done + 1} of {self._count} files", share)
            self._done += 1
            if isinstance(each, Evidence):
                seen.append(each)
                continue
            try:
                seen.append(self._look(each, kind, person))
            except (InputPathError, MediaUnreadable, SourceChanged) as exc:
                self._aside.append(SetAside(kind=kind, path=shown(each), reason=str(exc)))
        return seen

    def _look(self, source: PathLike, kind: Kind, person: PersonChoice) -> Evidence:
        from wan_prep.cache.entry import at_path

        # Each address has a scratch of its own, so that one file at a time takes room.
        with scratch_of(self._remote, self._profile) as scratch:
            path = Path(scratch.local(source))
            seen = self._look_at(path, kind, person)
        if is_remote(source):
            return named(seen, path, source)
        return seen if seen.path == str(path) else at_path(seen, path)

    def _look_at(self, path: Path, kind: Kind, person: PersonChoice) -> Evidence:
        """The evidence of this content, under the name of the first file that had it."""
        from wan_prep.media.files import open_check, sha256_of

        size = _size_of(open_check(path))
        # Files of different sizes differ; the others are read. What has an address is not known
        # before it is fetched.
        is_told = self._sizes[size] == 1 and not self._has_addresses
        content = (kind, size, "" if is_told else sha256_of(path))
        if content not in self._known:
            self._known[content] = self._see(path, Look(kind, person=person))
        return self._known[content]


def _size_of(path: Path) -> int:
    """In bytes; -1 of what cannot be asked, which is set aside when its turn comes."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return -1


def write_contact_sheet(
    ranking: Ranking, path: PathLike, *, remote: RemoteLike | None = None
) -> None:
    """Write the ranking as one HTML page with small pictures; whole or not at all.

    remote: as for `check`. Files with an address are fetched again; where that fails, because they
        are gone or their address was signed, the pair has no picture of them.

    Raises:
        EvidenceMissing: the ranking was read from its JSON.
        InputPathError: the page cannot be written, or would replace one that was ranked.
    """
    from wan_prep.visual.contact_sheet import render_contact_sheet, sheet_pictures

    refuse_replacing(path, ranking.paths)
    text = render_contact_sheet(ranking, sheet_pictures(ranking, remote))
    try:
        write_text(Path(path), text)
    except OSError as exc:
        raise InputPathError(f"{path}: cannot write this page ({exc.strerror})") from exc


def write_parquet(ranking: Ranking, path: PathLike) -> None:
    """Write the pairs as a Parquet file; whole or not at all.

    Raises:
        DependencyMissing: pyarrow is not installed.
        InputPathError: the file cannot be written, or would replace one that was ranked.
    """
    refuse_replacing(path, ranking.paths)
    try:
        with written_whole(Path(path)) as scratch:
            ranking.to_parquet(str(scratch))
    except OSError as exc:
        raise InputPathError(f"{path}: cannot write this file ({exc.strerror})") from exc
