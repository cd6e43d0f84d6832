"""The stages composed; the only room that knows all of them.

`judging` looks at files and judges them, `modes` does so in both modes, `ranking` finds the best
pairs of many, `fixing` plans and makes a pair that fits, `sending` submits it and waits for it,
`learning` notes what became of it and learns from that, `showing` writes the page that people look
at, and poses for other tools, `exchange` takes pictures from other programs and tells them answers
in words.
"""

from wan_prep.api.exchange import as_text, write_frames
from wan_prep.api.fixing import NormalizedPair, normalize, plan
from wan_prep.api.judging import check, observe, tool
from wan_prep.api.learning import (
    import_outcomes,
    learn,
    note_outcome,
    outcomes,
    write_calibration,
)
from wan_prep.api.looking import network
from wan_prep.api.modes import compare_modes
from wan_prep.api.ranking import rank, write_contact_sheet, write_parquet
from wan_prep.api.sending import submit, wait
from wan_prep.api.showing import export_poses, write_page, write_skeleton

__all__ = [
    "NormalizedPair",
    "as_text",
    "check",
    "compare_modes",
    "export_poses",
    "import_outcomes",
    "learn",
    "network",
    "normalize",
    "note_outcome",
    "observe",
    "outcomes",
    "plan",
    "rank",
    "submit",
    "tool",
    "wait",
    "write_calibration",
    "write_contact_sheet",
    "write_frames",
    "write_page",
    "write_parquet",
    "write_skeleton",
]
