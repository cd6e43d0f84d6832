"""A folder that `fix` wrote, and what it was prepared for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wan_prep.errors import InputPathError, SourceChanged, WanPrepError
from wan_prep.planning.model import Plan
from wan_prep.report.model import Report
from wan_prep.submission.pairs import Target, fixed_pair, other_target

IMAGE = {"source": "a", "sha256": "b", "name": "reference.jpg", "copy_bytes": True}


def test_a_pair_submitted_as_it_was_prepared_needs_no_word() -> None:
    assert other_target(Target("replace", "720p"), Target("replace", "720p")) is None


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        (Target("animate", "720p"), "prepared for animate at 480p, submitted as animate at 720p"),
        (Target("replace", "480p"), "prepared for animate at 480p, submitted as replace at 480p"),
    ],
)
def test_another_target_is_named_beside_the_first(chosen: Target, named: str) -> None:
    warning = other_target(Target("animate", "480p"), chosen)
    assert warning is not None
    assert warning.startswith(named)


# ---- the folder


@pytest.fixture
def folder(tmp_path: Path, publish: Callable[..., Plan], report: Callable[..., Report]) -> Path:
    for name in ("reference.jpg", "driving.mp4", "before.json", "report.html"):
        (tmp_path / name).write_text(name)
    report().save(tmp_path / "report.json")
    publish(tmp_path, mode="replace", resolution="720p", image=IMAGE)
    return tmp_path


def test_a_folder_is_what_its_plan_says(folder: Path) -> None:
    (folder / "notes.txt").write_text("whoever keeps notes here may")
    found = fixed_pair(folder)
    assert (found.image, found.video) == (folder / "reference.jpg", folder / "driving.mp4")
    assert found.report == Report.load(folder / "report.json")
    assert found.target == Target("replace", "720p")


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    (folder / "report.html").unlink()
    with pytest.raises(InputPathError, match=r"report\.html is missing; run fix again"):
        fixed_pair(folder)


def test_a_file_that_has_changed_is_named(folder: Path) -> None:
    (folder / "driving.mp4").write_text("another clip")
    with pytest.raises(SourceChanged, match=r"driving\.mp4 has changed since fix wrote it"):
        fixed_pair(folder)


@pytest.mark.parametrize("name", ["reference.png", "driving-01.mp4", "report-02.json"])
def test_a_file_that_is_not_listed_is_named(folder: Path, name: str) -> None:
    (folder / name).touch()
    with pytest.raises(InputPathError, match=f"{name} is not one of the files that fix wrote"):
        fixed_pair(folder)


def test_a_folder_in_which_fix_was_stopped_says_so(
    folder: Path, publish: Callable[..., Plan]
) -> None:
    plan = Plan.load(folder / "plan.json")
    assert plan.published is not None
    stopped = plan.published.model_copy(update={"complete": False})
    text = plan.model_copy(update={"published": stopped}).public_json()
    (folder / "plan.json").write_text(text, "utf-8")
    with pytest.raises(InputPathError, match="is incomplete: fix was stopped in it; run fix"):
        fixed_pair(folder)


def test_a_plan_that_nobody_carried_out_lists_nothing(
    folder: Path, a_plan: Callable[..., Plan]
) -> None:
    (folder / "plan.json").write_text(a_plan().public_json(), "utf-8")
    with pytest.raises(InputPathError, match=r"plan\.json does not list the files written"):
        fixed_pair(folder)


def test_files_without_a_plan_are_no_pair(folder: Path) -> None:
    (folder / "plan.json").unlink()
    with pytest.raises(InputPathError, match=r"found no plan\.json in it"):
        fixed_pair(folder)
    with pytest.raises(InputPathError, match="expected a folder written by `wan-prep fix`"):
        fixed_pair(folder / "nothing")


def test_a_list_leads_to_no_file_elsewhere(folder: Path) -> None:
    text = (folder / "plan.json").read_text("utf-8")
    (folder / "plan.json").write_text(text.replace('"driving.mp4"', '"../driving.mp4"'), "utf-8")
    with pytest.raises(WanPrepError, match="not a plan"):
        fixed_pair(folder)


def test_parts_are_submitted_one_by_one(tmp_path: Path, publish: Callable[..., Plan]) -> None:
    spans = [{"name": f"driving-0{k}.mp4", "start": k, "end": k + 1} for k in (1, 2)]
    for name in ("reference.jpg", "driving-01.mp4", "driving-02.mp4"):
        (tmp_path / name).touch()
    geometry = {"window": {"left": 0, "top": 0, "width": 8, "height": 8}, "width": 8, "height": 8}
    video = {"source": "c", "sha256": "d", "spans": spans, "fps": 30, "geometry": geometry}
    publish(tmp_path, image=IMAGE, video=video)
    with pytest.raises(InputPathError, match=r"one by one: driving-01\.mp4, driving-02\.mp4"):
        fixed_pair(tmp_path)
