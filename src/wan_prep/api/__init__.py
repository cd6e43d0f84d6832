"""The stages composed; the only room that knows all of them.

`judging` looks at files and judges them, `ranking` finds the best pairs of many, `fixing` plans and
makes a pair that fits, `sending` submits it and waits for it, `showing` writes the page that people
look at, and poses for other tools.
"""

from wan_prep.api.fixing import NormalizedPair, normalize, plan
from wan_prep.api.judging import check, network, observe, tool
from wan_prep.api.ranking import rank, write_contact_sheet, write_parquet
from wan_prep.api.sending import submit, wait
from wan_prep.api.showing import export_poses, write_page, write_skeleton

__all__ = [
    "NormalizedPair",
    "check",
    "export_poses",
    "network",
    "normalize",
    "observe",
    "plan",
    "rank",
    "submit",
    "tool",
    "wait",
    "write_contact_sheet",
    "write_page",
    "write_parquet",
    "write_skeleton",
]
