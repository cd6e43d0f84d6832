"""Take MediaPipe's log lines, and only those, out of what is written to file descriptor 2.

Its native code logs there while a graph starts, and cannot be told not to. So the descriptor is
replaced by a pipe for that time, and a thread passes on at once what anything else writes.
"""

from __future__ import annotations

import os
import re
import threading
from types import TracebackType
from typing import Self

# What MediaPipe 0.10.30 and 0.10.31 write. The zeros tell its lines from those of other libraries
# with the same log format, which set up their log and write the date and time there.
_OWN = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR\n"
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.\n"
    rb"|ERROR: The model is not a valid Flatbuffer buffer\n"
    rb"|[IWEF]0000 00:00:\d+\.\d+ +\d+ \w+\.cc:\d+\] [^\n]*\n(?:Calculator::[^\n]*\n)*"
)
_WINDOW = threading.Lock()


class NativeLogHeldBack:
    """A context manager around calls of native code; afterwards `said` is the end of its log.

    Only one is active in a process at a time. It costs less than a millisecond.
    """

    def __init__(self) -> None:
        self.said = ""
        self._saved: int | None = None

    def __enter__(self) -> Self:
        _WINDOW.acquire()
        try:
            self._saved = os.dup(2)
        except OSError:  # no stderr at all, so nothing to hold back
            return self
        reader, writer = os.pipe()
        self._pipe = os.fstat(writer)
        os.dup2(writer, 2)
        os.close(writer)
        self._pump = threading.Thread(
            target=self._pass_on, args=(reader, os.dup(self._saved)), daemon=True
        )
        self._pump.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._saved is None:
                return
            # Other code may have redirected the descriptor meanwhile; that is left as it is.
            if os.path.samestat(os.fstat(2), self._pipe):
                os.dup2(self._saved, 2)
            os.close(self._saved)
            # A process started meanwhile may still hold the pipe; the thread goes on serving it.
            self._pump.join(timeout=1.0)
        finally:
            _WINDOW.release()

    def _pass_on(self, reader: int, target: int) -> None:
        """Copy from the pipe to the real descriptor until all writers have closed it."""
        waiting = b""
        while chunk := os.read(reader, 1 << 16):
            # An unfinished line is held back: it may turn out to be one of MediaPipe's.
            lines, end, rest = (waiting + chunk).rpartition(b"\n")
            waiting = rest
            self._pass_lines(lines + end, target)
        self._pass_lines(waiting, target)
        os.close(reader)
        os.close(target)

    def _pass_lines(self, text: bytes, target: int) -> None:
        for own in _OWN.findall(text):
            self.said = f"{self.said} {own.decode(errors='replace')}"[-300:]
        left = memoryview(_OWN.sub(b"", text))
        while left:
            try:
                left = left[os.write(target, left) :]
            except OSError:  # stderr is closed, as it would be without this
                return
