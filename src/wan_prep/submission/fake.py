"""The command `python -m wan_prep.submission.fake`: starts the server of `wan_prep.rehearsal`."""

from __future__ import annotations

import sys

from wan_prep.rehearsal.server import main

if __name__ == "__main__":
    sys.exit(main())
