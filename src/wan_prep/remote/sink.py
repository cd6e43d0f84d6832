"""A file while it arrives: bounded in size and time, and hashed on the way."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from wan_prep.errors import FetchFailed


@dataclass(frozen=True)
class FetchLimits:
    """connect_s: for a connection.  silence_s: without a byte.  transfer_s: for a whole file.
    file_bytes: the largest file.  scratch_bytes: all files of one scratch folder."""

    connect_s: float
    silence_s: float
    transfer_s: float
    file_bytes: int
    scratch_bytes: int
    redirects: int


class Sink:
    """Takes the bytes of one file, as many and as long as it may.

    shown: the address as messages name it.  left_bytes: what the scratch folder still takes.
    """

    def __init__(
        self,
        file: IO[bytes],
        shown: str,
        limits: FetchLimits,
        left_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._shown, self._limits, self._left = file, shown, limits, left_bytes
        self._monotonic = monotonic
        self._deadline = monotonic() + limits.transfer_s
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def expect(self, size_bytes: int) -> None:
        """Raises FetchFailed: a file of this announced size would be too large."""
        if size_bytes > self._limits.file_bytes:
            raise FetchFailed(
                f"{self._shown} has more than {self._limits.file_bytes / 1e6:,.0f} MB, which is "
                "the most that is fetched; shorten or re-encode it"
            )
        if size_bytes > self._left:
            raise FetchFailed(
                f"{self._shown} does not fit: all files fetched at once may take "
                f"{self._limits.scratch_bytes / 1e6:,.0f} MB; shorten or re-encode them"
            )

    def write(self, chunk: bytes) -> None:
        """Raises FetchFailed: too large, too late, or no room on the disk."""
        self.size_bytes += len(chunk)
        self.expect(self.size_bytes)
        if self._monotonic() > self._deadline:
            raise FetchFailed(
                f"{self._shown} did not arrive within {self._limits.transfer_s:g} s; try again, or "
                "download it and give its path"
            )
        self._digest.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as exc:
            raise no_room(self._shown, exc) from exc

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def no_room(shown: str, exc: OSError) -> FetchFailed:
    return FetchFailed(
        f"{shown} cannot be kept in the system's temporary folder ({exc.strerror}); make room "
        "there, or name another folder with TMPDIR"
    )
