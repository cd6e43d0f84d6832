"""MediaPipe's own log lines taken out of what goes to file descriptor 2, and nothing else.

Its native code writes there while a graph starts, and offers no switch. Meanwhile the descriptor
leads into a pipe, and a thread passes on, at once, all that other code writes.
"""

from __future__ import annotations

import os
import re
import threading
from types import TracebackType
from typing import Self

# What MediaPipe 0.10.30 and 0.10.31 write. A library that has set up its log, as others do that use
# the same one, writes month, day and time of day in place of these zeros.
_OWN = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR\n"
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.\n"
    rb"|ERROR: The model is not a valid Flatbuffer buffer\n"
    rb"|[IWEF]0000 00:00:\d+\.\d+ +\d+ \w+\.cc:\d+\] [^\n]*\n(?:Calculator::[^\n]*\n)*"
)
_WINDOW = threading.Lock()


class NativeLogHeldBack:
    """A context manager around calls of native code; `said` is what it wrote, once it has ended.

    One at a time in a process; it costs less than a millisecond.
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
            # Somebody else may have pointed the descriptor elsewhere meanwhile: then it is theirs.
            if os.path.samestat(os.fstat(2), self._pipe):
                os.dup2(self._saved, 2)
            os.close(self._saved)
            # A process that was started meanwhile may hold the pipe for long; it is served on.
            self._pump.join(timeout=1.0)
        finally:
            _WINDOW.release()

    def _pass_on(self, reader: int, target: int) -> None:
        """Read until nobody can write any more."""
        waiting = b""
        while chunk := os.read(reader, 1 << 16):
            # A line that has not ended may become one of MediaPipe's.
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
            except OSError:  # nobody listens there any more, as nobody would have without us
                return
