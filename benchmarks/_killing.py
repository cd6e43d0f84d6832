"""The command line, but some files kill the process that looks at them.

No file is known that crashes the decoders or the networks, so crashes are put in here: at the place
where a worker looks at a file, the names that begin with `kills` end it with SIGKILL.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from wan_prep.api.looking import Kind
from wan_prep.cli import main
from wan_prep.evidence import Evidence
from wan_prep.pipelines import batch
from wan_prep.pipelines.columns import CheckPairs
from wan_prep.pipelines.looking import Judging, Looker


class KillingLooker(Looker):
    def look(self, path: str, kind: Kind) -> Evidence:
        if Path(path).name.startswith("kills"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().look(path, kind)


class KillingPairs(CheckPairs):
    def __init__(self, judging: Judging) -> None:
        super().__init__(judging)
        self.looker = KillingLooker(judging)


if __name__ == "__main__":
    # Workers find the class in this module, not in the program that was started.
    from _killing import KillingPairs as Killing

    batch.CheckPairs = Killing  # type: ignore[misc]
    main()
