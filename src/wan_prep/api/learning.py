"""What became of jobs: noted, held against their scores, and learned from. Nothing is sent."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from wan_prep.api.judging import check
from wan_prep.api.looking import PathLike, Progress, quiet
from wan_prep.errors import InputPathError, OutputExists, WanPrepError
from wan_prep.learning.judgement import Judgement
from wan_prep.learning.learned import Learned, learned_from
from wan_prep.learning.listing import ListedOutcome, read_listing
from wan_prep.learning.outcome import JobOutcome, Result, Why, parsed_judgement, parsed_outcome
from wan_prep.learning.summary import OutcomeSummary, summarize
from wan_prep.profile import Profile, default_profile, load_profile
from wan_prep.report.model import Report
from wan_prep.submission.jobs import OPEN, Job, utc_now
from wan_prep.submission.journal import Journal
from wan_prep.writing import refuse_replacing, write_text, written_whole

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike


class NotedOutcome(NamedTuple):
    """replaced: what was said of the same job before."""

    outcome: JobOutcome
    replaced: JobOutcome | None


class ImportedOutcomes(NamedTuple):
    """replaced: how many of them were known before."""

    outcomes: tuple[JobOutcome, ...]
    replaced: int


def note_outcome(
    job: Job | str, result: Result, *, why: Why | None = None, journal: Journal | None = None
) -> NotedOutcome:
    """Write into the journal what became of a job that was paid for; a second word replaces the
    first.

    job: from `submit`, or its id, or the service's.
    why: what is wrong with the result most of all.

    Raises:
        JobNotFound: not in the journal.
        WanPrepError: the job has no result to speak of, or a word that is none.
        JournalError: it could not be written.
    """
    if result not in get_args(Result) or why not in (None, *get_args(Why)):
        raise WanPrepError(
            f"outcome {result!r}, why {why!r}: expected {' or '.join(get_args(Result))}, because "
            f"of {', '.join(get_args(Why))}"
        )
    book = journal or Journal.at_home()
    entry = book.job(job if isinstance(job, str) else job.id)
    _must_have_a_result(entry)
    judged = book.judgement(entry.id)
    outcome = JobOutcome(
        name=entry.id,
        result=result,
        why=why,
        noted_at=utc_now(),
        image=entry.image.source,
        video=entry.video.source,
        mode=entry.mode,
        resolution=entry.resolution,
        judgement=None if judged is None else parsed_judgement(judged),
    )
    earlier = _kept(book, [outcome])
    return NotedOutcome(outcome, parsed_outcome(earlier[0]) if earlier else None)


def _kept(journal: Journal, outcomes: Sequence[JobOutcome]) -> tuple[str, ...]:
    """Write outcomes; returns those that they replace.

    Raises JournalError: there are some of a newer version, which is the one to replace them."""
    _noted(journal)
    return journal.keep_outcomes({each.name: each.model_dump_json() for each in outcomes})


def _must_have_a_result(job: Job) -> None:
    if job.state in OPEN:
        raise WanPrepError(
            f"{job.summary()}: it is not known to have ended; `wan-prep wait {job.id}` fetches its "
            "result, then say what became of it"
        )
    if job.state != "completed":
        raise WanPrepError(
            f"{job.summary()}: it has no result that could be good or bad, and is not billed"
        )


def import_outcomes(
    path: PathLike,
    *,
    profile: Profile | None = None,
    pose_model: PathLike | None = None,
    cache: CacheLike | None = None,
    progress: Progress = quiet,
    journal: Journal | None = None,
) -> ImportedOutcomes:
    """Note the outcomes that a CSV file lists, all or none. The pairs are checked, unless a row
    names a report that was saved of it. The same file imported again replaces its own outcomes.

    path: see `read_listing` for its columns.
    profile, pose_model, cache: as for `check`.

    Raises:
        InputPathError: the file, or one that it names, is not there.
        EvidenceMissing: a report without evidence.
        WanPrepError: a column or a word that cannot be.
    """
    figures = profile or default_profile()
    listed = read_listing(path)
    outcomes: list[JobOutcome] = []
    now = utc_now()
    seen: Counter[str] = Counter()
    for k, row in enumerate(listed):
        progress(f"looking at {k + 1} of {len(listed)} pairs", k / len(listed))
        if row.report is None:
            report = check(
                str(row.image),
                str(row.video),
                mode=row.mode or "animate",
                resolution=row.resolution or "480p",
                profile=figures,
                pose_model=pose_model,
                cache=cache,
            )
        else:
            report = _saved(row)
        outcomes.append(_imported(row, report, Judgement.of(report, figures), now, seen))
    replaced = _kept(journal or Journal.at_home(), outcomes)
    return ImportedOutcomes(tuple(outcomes), len(replaced))


def _saved(row: ListedOutcome) -> Report:
    report = Report.load(str(row.report))
    for name in ("mode", "resolution"):
        said, made_for = getattr(row, name), getattr(report, name)
        if said not in (None, made_for):
            raise WanPrepError(f"{row.report} is about {name} {made_for}, and its row says {said}")
    return report


def _imported(
    row: ListedOutcome, report: Report, judgement: Judgement, now: datetime, seen: Counter[str]
) -> JobOutcome:
    """The name tells pairs apart, and of one pair the first row from the second."""
    pair: tuple[Any, ...] = judgement.pair
    if None in pair[:2]:  # what cannot be read has no hash
        pair += (report.image.path, report.video.path)
    digest = hashlib.sha256(repr(pair).encode("utf-8", "backslashreplace")).hexdigest()[:12]
    seen[digest] += 1
    return JobOutcome(
        name=f"csv-{digest}-{seen[digest]}",
        result=row.outcome,
        why=row.why,
        noted_at=now,
        image=report.image.path,
        video=report.video.path,
        mode=report.mode,
        resolution=report.resolution,
        judgement=judgement,
    )


def outcomes(profile: Profile | None = None, *, journal: Journal | None = None) -> OutcomeSummary:
    """Scores held against what became of the pairs: every outcome, how well the score tells good
    from bad, and how probable a good result is by score.

    profile: scores are computed with it, from what the checks measured; None for the shipped one.

    Raises:
        JournalError: the journal cannot be read.
    """
    return summarize(_noted(journal), profile or default_profile())


def learn(
    path: PathLike | None = None, *, overwrite: bool = False, journal: Journal | None = None
) -> Learned:
    """Fit the tolerances of the shipped profile to all outcomes.

    path: where the learned profile is written, if the outcomes are enough for one; `refusal` says
        why not otherwise, and nothing is written. None: nothing is written.
    overwrite: whether it may replace a file.

    Raises:
        OutputExists: there is such a file. InputPathError: it cannot be written.
        JournalError: the journal cannot be read.
    """
    if path is not None and Path(path).exists() and not overwrite:
        raise OutputExists(f"{path} is there already; name another file, or allow --overwrite")
    learned = learned_from(_noted(journal), default_profile(), utc_now().date())
    if path is not None and learned.text is not None:
        try:
            write_text(Path(path), learned.text)
        except OSError as exc:
            raise InputPathError(f"{path}: cannot write this profile ({exc.strerror})") from exc
        load_profile(path)
    return learned


def write_calibration(summary: OutcomeSummary, path: PathLike) -> None:
    """Write the figure of a summary; its format is that of the path's suffix, as .png or .svg.

    Raises:
        DependencyMissing: no matplotlib. InputPathError: it cannot be written.
        WanPrepError: a suffix that no figure has.
    """
    from wan_prep.plots import calibration

    target = Path(path)
    refuse_replacing(target, [Journal.at_home().path])
    figure = calibration(summary)
    kinds = figure.canvas.get_supported_filetypes()
    kind = target.suffix.removeprefix(".").lower()
    if kind not in kinds:
        raise WanPrepError(f"{path}: expected a name that ends in .{', .'.join(sorted(kinds))}")
    try:
        with written_whole(target) as scratch:
            figure.savefig(scratch, format=kind)
    except OSError as exc:
        raise InputPathError(f"{path}: cannot write this figure ({exc.strerror})") from exc


def _noted(journal: Journal | None) -> Sequence[JobOutcome]:
    return [parsed_outcome(text) for text in (journal or Journal.at_home()).outcomes()]
