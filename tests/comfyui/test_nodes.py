"""The nodes as ComfyUI sees them: loaded by path, old and new alike, with what they declare."""

from __future__ import annotations

import asyncio
import shutil
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import fake_comfy
import wan_prep
from fake_comfy import PACK, FakeTensor, FakeVideo, inner, load_pack
from wan_prep.media.probe import probe_video
from wan_prep.profile import Mode, Resolution

FIXTURES = Path(__file__).parents[2] / "fixtures"
IDS = ["WanPrepCheckPair", "WanPrepFixPair", "WanPrepRankReferences"]


def v3_nodes(pack: Any) -> dict[str, Any]:
    """As ComfyUI collects them."""
    extension = asyncio.run(pack.comfy_entrypoint())
    assert isinstance(extension, fake_comfy.FakeExtension)
    found = asyncio.run(extension.get_node_list())
    assert isinstance(found, list)
    return {node.define_schema().node_id: node for node in found}


def as_seen(kind: str, id: str, options: Any, more: dict[str, Any]) -> tuple[Any, ...]:
    return id, kind, options, more.get("default"), more["tooltip"], more.get("min"), more.get("max")


def test_exactly_one_way_of_showing_nodes_is_defined(v3: Any) -> None:
    """ComfyUI would take the classic ones where both are."""
    assert not hasattr(v3, "NODE_CLASS_MAPPINGS")
    assert list(v3_nodes(v3)) == IDS


def test_an_older_comfyui_gets_classic_nodes(classic: Any) -> None:
    assert not hasattr(classic, "comfy_entrypoint")
    assert list(classic.NODE_CLASS_MAPPINGS) == list(classic.NODE_DISPLAY_NAME_MAPPINGS) == IDS


def test_a_comfy_api_without_a_schema_is_an_older_one(
    monkeypatch: pytest.MonkeyPatch, host: Any
) -> None:
    fake_comfy.install_v3(monkeypatch)
    monkeypatch.delattr(sys.modules["comfy_api.latest"], "io")
    assert list(load_pack(monkeypatch).NODE_CLASS_MAPPINGS) == IDS


def test_the_nodes_load_without_any_comfy_api(without_comfy: Any) -> None:
    assert list(without_comfy.NODE_CLASS_MAPPINGS) == IDS


def test_a_copy_in_custom_nodes_loads(
    monkeypatch: pytest.MonkeyPatch, host: Any, tmp_path: Path
) -> None:
    """By its path, whatever the folder is called."""
    folder = tmp_path / "custom_nodes" / "wan-prep.nodes"
    shutil.copytree(PACK, folder, ignore=shutil.ignore_patterns("__pycache__"))
    pack = load_pack(monkeypatch, folder)
    assert list(pack.NODE_CLASS_MAPPINGS) == IDS
    assert inner(pack, "pairs").__file__ == str(folder / "pairs.py")


def test_old_and_new_nodes_declare_the_same(v3: Any) -> None:
    classic = import_module(f"{v3.__name__}.classic")
    for id, node in v3_nodes(v3).items():
        schema, old = node.define_schema(), classic.NODE_CLASS_MAPPINGS[id]
        assert schema.display_name == classic.NODE_DISPLAY_NAME_MAPPINGS[id]
        assert (schema.category, schema.description) == (old.CATEGORY, old.DESCRIPTION)
        assert [o.kind for o in schema.outputs] == list(old.RETURN_TYPES)
        assert [o.id for o in schema.outputs] == list(old.RETURN_NAMES)
        assert [o.tooltip for o in schema.outputs] == list(old.OUTPUT_TOOLTIPS)
        declared = old.INPUT_TYPES()
        for part, is_optional in (("required", False), ("optional", True)):
            new_inputs = [
                as_seen(i.kind, i.id, getattr(i, "options", None), vars(i))
                for i in schema.inputs
                if i.optional is is_optional
            ]
            old_inputs = [
                as_seen(
                    "COMBO" if isinstance(kind, list) else kind,
                    id,
                    kind if isinstance(kind, list) else None,
                    more,
                )
                for id, (kind, more) in declared[part].items()
            ]
            assert new_inputs == old_inputs
        order = [i.optional for i in schema.inputs]
        assert order == sorted(order), "widgets stand in one order in both"


def test_what_check_pair_declares(v3: Any) -> None:
    schema = v3_nodes(v3)["WanPrepCheckPair"].define_schema()
    assert [(i.id, i.kind, i.optional) for i in schema.inputs] == [
        ("reference", "IMAGE", False),
        ("mode", "COMBO", False),
        ("resolution", "COMBO", False),
        ("driver", "VIDEO", True),
        ("driver_frames", "IMAGE", True),
        ("fps", "FLOAT", True),
        ("person", "STRING", True),
    ]
    mode, resolution = schema.inputs[1:3]
    assert (mode.options, mode.default) == (["animate", "replace"], "animate")
    assert (resolution.options, resolution.default) == (["480p", "720p"], "480p")
    assert [(o.id, o.kind) for o in schema.outputs] == [
        ("verdict", "STRING"),
        ("score", "FLOAT"),
        ("report", "STRING"),
        ("overlay", "IMAGE"),
    ]


def test_every_choice_of_the_library_can_be_made(classic: Any) -> None:
    nodes = inner(classic, "nodes")
    assert get_args(Mode) == nodes.MODES
    assert get_args(Resolution) == nodes.RESOLUTIONS


@pytest.fixture
def reference() -> FakeTensor:
    with Image.open(FIXTURES / "reference.png") as picture:
        return FakeTensor(np.asarray(picture.convert("RGB"), np.float32)[np.newaxis] / 255)


@pytest.mark.model
@pytest.mark.media
@pytest.mark.usefixtures("looked_at_once")
def test_check_pair_runs_in_both(
    v3: Any, reference: FakeTensor, host: fake_comfy.Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "reference": reference,
        "mode": "animate",
        "resolution": "480p",
        "driver": FakeVideo(str(FIXTURES / "driving.mp4")),
        "fps": 30.0,
        "person": " ",
    }
    new = v3_nodes(v3)["WanPrepCheckPair"].execute(**given).args
    fake_comfy.install_early(monkeypatch)
    monkeypatch.setitem(sys.modules, "comfy_api.latest", None)
    old_pack = load_pack(monkeypatch)
    old_node = old_pack.NODE_CLASS_MAPPINGS["WanPrepCheckPair"]
    old = getattr(old_node(), old_node.FUNCTION)(**given)
    assert new[:2] == old[:2]
    verdict, score, report, overlay = new
    assert verdict == "risky"
    assert score == pytest.approx(79.8, abs=1.0)
    assert report.startswith("RISKY")
    assert isinstance(overlay, FakeTensor)
    shares = [share for bar in host.bars for share in bar]
    assert shares
    assert min(shares) >= 0.0
    assert max(shares) <= 1.0


@pytest.mark.model
@pytest.mark.media
@pytest.mark.slow
@pytest.mark.usefixtures("looked_at_once")
def test_fix_pair_gives_a_tensor_and_a_video_in_comfyuis_own_folder(
    v3: Any, reference: FakeTensor, host: fake_comfy.Comfy
) -> None:
    result = v3_nodes(v3)["WanPrepFixPair"].execute(
        reference=reference,
        mode="animate",
        resolution="480p",
        driver=FakeVideo(str(FIXTURES / "driving.mp4")),
    )
    picture, video, report, before, after = result.args
    assert isinstance(picture, FakeTensor)
    assert picture.shape == (1, 624, 624, 3)
    assert isinstance(video, FakeVideo)
    path = Path(video.get_stream_source())
    assert path.is_relative_to(host.temp)
    assert probe_video(path).width == probe_video(path).height
    assert after > before
    assert str(path.parent) in report


def test_an_error_of_the_library_reaches_the_person(v3: Any, reference: FakeTensor) -> None:
    check = v3_nodes(v3)["WanPrepCheckPair"]
    with pytest.raises(wan_prep.WanPrepError, match="found neither"):
        check.execute(reference=reference, mode="animate", resolution="480p")


def test_the_best_reference_is_a_batch_of_one(
    classic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = inner(classic, "nodes")
    monkeypatch.setattr(
        nodes,
        "rank_references",
        lambda *_: SimpleNamespace(index=1, score=90.0, report="the words"),
    )
    batch = FakeTensor(np.stack([np.full((2, 2, 3), k / 4) for k in range(3)]))
    best, index, score, report = nodes.rank(batch, "animate", "480p", FakeVideo("a.mp4"))
    assert best.shape == (1, 2, 2, 3)
    assert float(best.detach().cpu().float().numpy().max()) == 0.25
    assert (index, score, report) == (1, 90.0, "the words")


def test_outside_comfyui_files_go_to_a_folder_of_this_process(
    without_comfy: Any, monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    own = inner(without_comfy, "host")
    monkeypatch.setitem(sys.modules, "folder_paths", None)
    monkeypatch.setitem(sys.modules, "comfy.utils", None)
    first, second = own.new_folder(), own.new_folder()
    assert first != second
    assert first.parent == second.parent == own.cache_folder().parent
    assert first.parent.parent == scratch
    own.progress_bar()("anything", 0.5)
