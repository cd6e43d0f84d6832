"""What engines know of the files of a table while its pairs are worked on, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wan_prep.api.looking import Kind

FileKey = tuple[Kind, str]
KINDS: tuple[Kind, ...] = ("image", "video")
REMEMBERED_BYTES = 64_000_000
"""Of evidence that is held for rows to come; what was used longest ago goes first."""
LOST_MOST = 10_000
"""Files that cannot be looked at, which are remembered so that nobody tries them again."""


@dataclass(frozen=True)
class NumberedRow:
    """A row that names a pair, and its number in the manifest."""

    number: int
    cells: dict[str, Any]

    @property
    def files(self) -> tuple[FileKey, ...]:
        return tuple((kind, self.cells[kind]) for kind in KINDS)


@dataclass(frozen=True)
class KnownFile:
    """What looking at a file gave: its evidence, or the fields of a result that say why not."""

    evidence: bytes | None
    wrong: dict[str, Any] | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> KnownFile:
        """Of a row that `ObserveFiles` answered with."""
        if answer["evidence"] is not None:
            return cls(answer["evidence"])
        wrong = {name: answer[name] for name in ("error_kind", "error")}
        return cls(None, {"status": "failed", **wrong})


class KnownFiles:
    """Files that were looked at, as long as there is room for what was seen."""

    def __init__(self) -> None:
        self._seen: OrderedDict[FileKey, KnownFile] = OrderedDict()
        self._seen_bytes = 0
        self._lost: OrderedDict[FileKey, KnownFile] = OrderedDict()

    def get(self, file: FileKey) -> KnownFile | None:
        if file in self._lost:
            return self._lost[file]
        if file in self._seen:
            self._seen.move_to_end(file)
        return self._seen.get(file)

    def note(self, file: FileKey, answer: Mapping[str, Any]) -> KnownFile:
        """Remember what `ObserveFiles` answered about a file that is not known."""
        known = KnownFile.of(answer)
        if known.evidence is None:
            self._lost[file] = known
        else:
            self._seen[file] = known
            self._seen_bytes += len(known.evidence)
        self._make_room()
        return known

    def _make_room(self) -> None:
        while self._seen_bytes > REMEMBERED_BYTES and len(self._seen) > 1:
            _, known = self._seen.popitem(last=False)
            self._seen_bytes -= len(known.evidence or b"")
        while len(self._lost) > LOST_MOST:
            self._lost.popitem(last=False)


def with_evidence(
    row: NumberedRow, files: Mapping[FileKey, KnownFile]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The cells of a row with the evidence of its files; or why one of them was not seen.

    Where both were not, it is told of the image, whichever was looked at first.
    """
    cells = dict(row.cells)
    for file in row.files:
        known = files[file]
        if known.wrong is not None:
            return row.cells, known.wrong
        cells[f"{file[0]}_evidence"] = known.evidence
    return cells, None
