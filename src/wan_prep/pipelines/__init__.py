"""Many pairs at once: callables that any engine can map over columns, and batches of rows.

    from wan_prep.pipelines import CheckPairs
    dataset.map_batches(CheckPairs(cache="evidence/"))

`CheckPairs` and `FixPairs` take a dict of columns and return one; `ObserveFiles` does the expensive
part alone, once a file. `run_batch` is the command `wan-prep batch` as a function.
"""

from wan_prep.pipelines.batch import BatchSummary, run_batch
from wan_prep.pipelines.columns import CheckPairs, FixPairs, ObserveFiles
from wan_prep.pipelines.looking import Judging

__all__ = ["BatchSummary", "CheckPairs", "FixPairs", "Judging", "ObserveFiles", "run_batch"]
