"""For whoever looks at files: what a cache knows of one, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from wan_prep.cache.entry import at_path
from wan_prep.cache.key import EvidenceKey
from wan_prep.cache.store import Cache
from wan_prep.evidence import Evidence
from wan_prep.pose.choice import LARGEST, PersonChoice
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Profile


@dataclass(frozen=True)
class Recalled:
    """What a cache knows of a file, before anybody looks at it.

    evidence: None where it is not known; the file is then looked at, and `kept` told.
    """

    evidence: Evidence | None = None
    cache: Cache | None = None
    key: EvidenceKey | None = None

    def kept(self, seen: Evidence) -> Evidence:
        """The same evidence, kept for next time."""
        # A file that was changed while it was looked at is not what its key says.
        if self.cache and self.key and seen.info and seen.info.sha256 == self.key.sha256:
            self.cache.put(self.key, seen)
        return seen


def recall(
    cache: Cache | None,
    path: str | Path,
    kind: Literal["image", "video"],
    estimator: PoseEstimator,
    profile: Profile,
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    person: PersonChoice = LARGEST,
) -> Recalled:
    """What `cache` knows of the file at `path`, looked at like this. Nothing is decoded."""
    if cache is None:
        return Recalled()
    try:
        sha256 = cache.sha256(Path(path))
    except OSError:  # whoever looks at the file says what is wrong with it
        return Recalled()
    key = EvidenceKey.of(
        Path(path), sha256, kind, estimator, profile, start=start, end=end, person=person
    )
    known = cache.get(key)
    return Recalled(None if known is None else at_path(known, path), cache, key)
