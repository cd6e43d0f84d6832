"""The best pairs of a ranking on one page, with a small picture of each side.

As the page of a report: one file, nothing is loaded, everything is escaped; this one has no script.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wan_prep.errors import InputPathError, MediaUnreadable, SourceChanged
from wan_prep.ranking.model import RankedPair, Ranking
from wan_prep.ranking.words import headline, shortened
from wan_prep.remote.scratch import Scratch, scratch_of
from wan_prep.remote.sources import RemotePolicy
from wan_prep.report.words import VERDICT_WORDS
from wan_prep.stills import Still, image_still, video_stills
from wan_prep.visual.html import asset, environment

SIDE_PX = 280
Place = tuple[str, float | None]
"""A file, and the time in s of one of its frames; None for an image."""
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)


def sheet_pictures(
    ranking: Ranking, remote: RemotePolicy | Scratch | None = None
) -> dict[Place, Still]:
    """The stills of the pairs listed: each image, and each clip where it would begin.

    remote: what may be fetched again; one file at a time is.
    A file that is gone, or is no longer what was looked at, has none.

    Raises:
        EvidenceMissing: the ranking was read from its JSON.
    """
    found: dict[Place, Still] = {}
    starts: dict[str, list[float]] = {}
    for pair in ranking:
        if pair.best_start_s not in starts.setdefault(pair.video, []):
            starts[pair.video].append(pair.best_start_s)
    for path in {pair.image for pair in ranking}:
        info = ranking.evidence_of("image", path).image_info
        try:
            if info is not None:
                with scratch_of(remote) as scratch:
                    file = scratch.local(path, sha256=info.sha256)
                    found[path, None] = image_still(file, info, SIDE_PX)
        except (InputPathError, MediaUnreadable, SourceChanged):
            continue
    for path, wanted in starts.items():
        seen = ranking.evidence_of("video", path)
        # As sampled, since the seconds of a pair are rounded.
        exact = [min((o.time for o in seen.found), key=lambda t: abs(float(t) - s)) for s in wanted]
        try:
            if seen.video_info is not None:
                with scratch_of(remote) as scratch:
                    file = scratch.local(path, sha256=seen.video_info.sha256)
                    stills = video_stills(file, seen.video_info, exact, SIDE_PX)
                found |= {(path, s): still for s, still in zip(wanted, stills, strict=True)}
        except (InputPathError, MediaUnreadable, SourceChanged):
            continue
    return found


@dataclass(frozen=True)
class _Card:
    """One pair: the names of its files without the folder they share, and its pictures."""

    pair: RankedPair
    image_name: str
    video_name: str
    image: Still | None
    video: Still | None


def render_contact_sheet(ranking: Ranking, pictures: Mapping[Place, Still]) -> str:
    """The page, as one self-contained document; a pair without pictures has a card, too."""
    cards = [
        _Card(
            pair,
            image_name,
            video_name,
            pictures.get((pair.image, None)),
            pictures.get((pair.video, pair.best_start_s)),
        )
        for pair, image_name, video_name in zip(
            ranking,
            shortened([pair.image for pair in ranking]),
            shortened([pair.video for pair in ranking]),
            strict=True,
        )
    ]
    page = environment().get_template("contact_sheet.html")
    return page.render(
        ranking=ranking,
        headline=headline(ranking),
        cards=cards,
        verdict_words=VERDICT_WORDS,
        style=asset("page.css"),
        own_style=asset("contact_sheet.css"),
        policy=_POLICY,
    )
