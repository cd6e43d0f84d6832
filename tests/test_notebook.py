"""The notebook runs from top to bottom on the fixtures, and is committed lean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOK = FOLDER / "explore_pair.ipynb"


def test_it_is_committed_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert NOTEBOOK.stat().st_size < 30_000
    assert "shared" not in NOTEBOOK.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.model
def test_it_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": FOLDER}}
    )
    client.execute()
    shown = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    assert [o for o in shown if o.get("name") == "stderr"] == []
    kinds = [kind for o in shown for kind in o.get("data", {})]
    assert kinds.count("image/png") == 7, (
        "overlay, timeline, skeleton, windows, overlay, overlay, outcomes"
    )
    assert kinds.count("text/html") == 7, (
        "report, evidence, finding, both modes, plan, report, outcomes"
    )
    words = "".join(o.get("text", "") for o in shown)
    assert "moved/driving.mp4" in words
    assert "3 outcomes with a score are too few" in words
    assert words.index("moved/driving.mp4") < words.index("astronaut/driving.mp4")
