"""The stages composed; the only room that knows all of them.

`judging` looks at files and judges them, `modes` does so in both modes, `ranking` finds the best
pairs of many, `fixing` plans and makes a pair that fits, `sending` submits it and waits for it,
`showing` writes the page that people look at.
"""

from wan_prep.api.fixing import NormalizedPair, normalize, plan
from wan_prep.api.judging import check, network, observe, tool
from wan_prep.api.modes import compare_modes
from wan_prep.api.ranking import rank, write_contact_sheet, write_parquet
from wan_prep.api.sending import submit, wait
from wan_prep.api.showing import write_page

__all__ = [
    "NormalizedPair",
    "check",
    "compare_modes",
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
]
