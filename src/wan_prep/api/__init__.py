"""The stages composed; the only room that knows all of them.

`judging` looks at files and judges them, `sending` submits what was judged and waits for it.
"""

from wan_prep.api.judging import check, observe, tool
from wan_prep.api.sending import submit, wait

__all__ = ["check", "observe", "submit", "tool", "wait"]
