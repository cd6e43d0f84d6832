"""The callables for engines: columns in, columns out, each file once, no row raises."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wan_prep import Cache, api
from wan_prep.errors import InputPathError, WanPrepError, WorkerDied
from wan_prep.evidence import Evidence
from wan_prep.pipelines import CheckPairs, FixPairs, Judging, ObserveFiles, looking
from wan_prep.pipelines.looking import bytes_of, evidence_of
from wan_prep.pipelines.rows import PairResult

ROOT = Path(__file__).parents[2]
IMAGE, VIDEO = str(ROOT / "fixtures/reference.png"), str(ROOT / "fixtures/driving.mp4")


@pytest.fixture
def looked_at(make: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let files be seen as made ones; the names of those that were looked at."""
    names: list[str] = []

    def observe(path: str, *, kind: str, **_options: Any) -> Evidence:
        names.append(Path(path).name)
        if Path(path).name.startswith("no"):
            raise InputPathError(f"nothing at {path}")
        made: Evidence = make.image() if kind == "image" else make.video()
        return made.changed(path=path)

    monkeypatch.setattr(looking, "observe", observe)
    return names


def test_columns_go_in_and_out(make: Any, looked_at: list[str], tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "v.mp4"):
        (tmp_path / name).write_text(name)
    at = {name: str(tmp_path / name) for name in ("a.png", "b.png", "v.mp4", "no.png")}
    answer = CheckPairs(resolution="720p")(
        {
            "image": np.array([at["a.png"], at["b.png"], at["a.png"], at["no.png"], ""]),
            "video": np.array([at["v.mp4"]] * 5),
            "mode": ["animate", "replace", None, "animate", "animate"],
            "seed": np.array([1.0, np.nan, 3.0, 4.0, 5.0]),
            "id": np.array([17.0, np.nan, 3.5, 4.0, 5.0]),
            "note": ["kept", "by", "nobody", "at", "all"],
        }
    )
    assert tuple(answer) == tuple(PairResult.model_fields)
    expected = api.check(make.image(), make.video(), resolution="720p")
    assert answer["score"] == [expected.score, answer["score"][1], expected.score, None, None]
    assert answer["mode"] == ["animate", "replace", "animate", "animate", "animate"]
    assert answer["resolution"] == ["720p"] * 5
    assert answer["status"] == ["checked"] * 3 + ["failed"] * 2
    assert answer["error_kind"] == [None, None, None, "InputPathError", "RowInvalid"]
    assert answer["seed"] == [1, None, 3, 4, 5]
    assert answer["id"] == ["17", None, "3.5", "4", "5"]
    assert '"verdict"' in answer["report"][0]
    # Each file once; what cannot be seen may be tried again.
    assert sorted(looked_at) == ["a.png", "b.png", "no.png", "v.mp4"]


def test_a_cache_that_cannot_be_used_keeps_nobody_from_looking(
    looked_at: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    answer = ObserveFiles(cache=tmp_path / "file")({"path": ["a.png"], "kind": ["image"]})
    assert answer["error"] == [None]
    assert looked_at == ["a.png"]


def test_a_file_that_changes_is_looked_at_again(looked_at: list[str], tmp_path: Path) -> None:
    for name in ("a.png", "v.mp4"):
        (tmp_path / name).write_text(name)
    pair = {"image": [str(tmp_path / "a.png")], "video": [str(tmp_path / "v.mp4")]}
    pairs = CheckPairs()
    pairs(pair)
    (tmp_path / "a.png").write_text("another one")
    pairs(pair)
    assert looked_at == ["a.png", "v.mp4", "a.png"]


def test_evidence_that_comes_along_is_not_looked_for(
    make: Any, looked_at: list[str], tmp_path: Path
) -> None:
    seen = ObserveFiles()(
        {"path": ["x.png", "y.mp4", "no.mp4"], "kind": ["image", "video", "video"]}
    )
    assert seen["error_kind"] == [None, None, "InputPathError"]
    looked_at.clear()
    answer = CheckPairs(with_report=False)(
        {
            "image": ["x.png", "x.png"],
            "video": ["y.mp4", "y.mp4"],
            "image_evidence": [seen["evidence"][0]] * 2,
            "video_evidence": [seen["evidence"][1], b"damaged"],
        }
    )
    assert looked_at == []
    assert answer["score"] == [api.check(make.image(), make.video()).score, None]
    assert answer["error"][1] == "the evidence of this row is damaged; observe its files again"
    assert answer["report"] == [None, None]


def test_evidence_is_the_same_after_its_way(make: Any) -> None:
    for seen in (make.image(), make.video()):
        assert evidence_of(bytes_of(seen)).model_dump_json() == seen.model_dump_json()


def test_what_a_worker_remembers_is_bounded(
    looked_at: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "EVIDENCE_KEPT", 2)
    paths = []
    for k in range(3):
        (tmp_path / f"{k}.png").write_text("x")
        paths.append(str(tmp_path / f"{k}.png"))
    files = ObserveFiles()
    files({"path": [*paths, paths[2], paths[0]], "kind": ["image"] * 5})
    assert looked_at == ["0.png", "1.png", "2.png", "0.png"]


@pytest.mark.parametrize(
    "pairs",
    [
        CheckPairs(mode="replace", image_person="left", select=("WP3",)),
        FixPairs("out", Judging(cache=Cache("kept"))),
        ObserveFiles(video_person="2"),
    ],
)
def test_callables_can_be_pickled(pairs: Any) -> None:
    copy = pickle.loads(pickle.dumps(pairs))
    assert type(copy) is type(pairs)
    assert copy.judging.mode == pairs.judging.mode
    assert copy.judging.video_person == pairs.judging.video_person


def test_settings_that_cannot_be_are_refused_before_any_row() -> None:
    for wrong in ({"mode": "dance"}, {"select": ("WP999",)}, {"image_person": "nobody"}):
        with pytest.raises(WanPrepError):
            CheckPairs(**wrong)  # type: ignore[arg-type]
    with pytest.raises(WanPrepError, match="needs isolated=True"):
        CheckPairs(time_limit_s=3)
    with pytest.raises(WanPrepError, match="leave out isolated"):
        CheckPairs(isolated=True, estimator=object())  # type: ignore[arg-type]
    with pytest.raises(WanPrepError, match=r"one length expected, found lengths \[1, 2\]"):
        CheckPairs()({"image": ["a"], "video": ["b", "c"]})
    assert CheckPairs()({"image": [], "video": []})["score"] == []
    assert CheckPairs()({})["score"] == []


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
def test_real_files_in_a_process_of_their_own(tmp_path: Path) -> None:
    pairs = CheckPairs(isolated=True, time_limit_s=300, cache=tmp_path, with_report=False)
    answer = pairs({"image": [IMAGE, IMAGE], "video": [VIDEO, str(tmp_path / "none.mp4")]})
    pairs.close()
    report = api.check(IMAGE, VIDEO)
    assert answer["score"] == [report.score, None]
    assert answer["error_kind"] == [None, "InputPathError"]
    # What was seen there is known here.
    assert Cache(tmp_path).info().entries == 2


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.media
def test_real_files_are_fixed(tmp_path: Path) -> None:
    fix = FixPairs(tmp_path, with_report=False)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    answer = fix({"image": [IMAGE, IMAGE], "video": [VIDEO, str(empty)], "id": ["a", "b"]})
    assert answer["status"] == ["fixed", "failed"]
    assert answer["folder"] == [str(tmp_path / "a"), None]
    assert (tmp_path / "a" / "report.json").is_file()
    assert answer["score"][0] > answer["score_before"][0]
    # A file that cannot be read: the verdict says why, and nothing was made.
    assert answer["verdict"] == ["ready", "not_ready"]
    assert answer["error_kind"] == [None, "MediaUnreadable"]
    assert answer["codes"][1] == ("WP102",)
    again = fix({"image": [IMAGE], "video": [VIDEO], "id": ["a"]})
    assert again["error_kind"] == ["OutputExists"]


def test_what_was_given_up_is_named_without_the_secrets_of_its_address() -> None:
    file = {"kind": "video", "path": "https://me:pass@media.example/a.mp4?signature=secret"}
    given_up = ObserveFiles(Judging()).given_up(file, WorkerDied("its process ended"))
    assert given_up["error_kind"] == "WorkerDied"
    assert given_up["error"] == (
        "https://media.example/a.mp4: looking at this video failed: its process ended"
    )
