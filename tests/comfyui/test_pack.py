"""The folder as it is handed over: what it imports, what the registry reads, its example."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import wan_prep
from fake_comfy import PACK, ROOT, inner

SOURCES = {path.name: ast.parse(path.read_text("utf-8")) for path in sorted(PACK.glob("*.py"))}
# Beside the standard library: what ComfyUI brings, and what wan-prep brings.
FOREIGN = {"numpy", "PIL", "torch", "wan_prep", "comfy", "comfy_api", "folder_paths"}
# Nothing is run, fetched or made of text at run time; the registry refuses packs that do.
NOT_USED = {"subprocess", "socket", "urllib", "http", "importlib", "ctypes", "pickle", "pip"}
NOT_CALLED = {"eval", "exec", "compile", "__import__", "system", "popen"}


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module))
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_imports_little_and_runs_nothing(name: str) -> None:
    roots = {module.partition(".")[0] for module in imports(SOURCES[name])}
    assert roots - set(sys.stdlib_module_names) <= FOREIGN
    assert roots.isdisjoint(NOT_USED)
    called = {
        ast.unparse(node.func).rpartition(".")[2]
        for node in ast.walk(SOURCES[name])
        if isinstance(node, ast.Call)
    }
    assert called.isdisjoint(NOT_CALLED)


@pytest.mark.parametrize("name", SOURCES)
def test_only_public_names_of_the_library_are_used(name: str) -> None:
    assert not [m for m in imports(SOURCES[name]) if m.startswith("wan_prep.")]
    used = {
        node.attr
        for node in ast.walk(SOURCES[name])
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "wan_prep"
    }
    assert used <= {*wan_prep.__all__, "figures"}


@pytest.mark.parametrize("name", ["media.py", "pairs.py"])
def test_the_functions_know_no_comfyui(name: str) -> None:
    roots = {module.partition(".")[0] for module in imports(SOURCES[name])}
    assert roots.isdisjoint({"torch", "comfy", "comfy_api", "folder_paths"})


def test_the_registry_finds_what_it_asks_for() -> None:
    document = tomllib.loads((PACK / "pyproject.toml").read_text("utf-8"))
    project, comfy = document["project"], document["tool"]["comfy"]
    library = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", project["name"])
    assert "comfyui" not in project["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert project["license"] == {"file": "LICENSE"}
    assert (PACK / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert project["requires-python"] == library["requires-python"]
    assert project["urls"]["Repository"].startswith("https://")
    assert comfy["PublisherId"]
    assert comfy["DisplayName"]
    listed = (PACK / "requirements.txt").read_text("utf-8").split()
    assert listed == project["dependencies"] == [f"wan-prep[notebook]>={library['version']}"]
    assert any(
        each.startswith("matplotlib") for each in library["optional-dependencies"]["notebook"]
    )


# What the nodes of ComfyUI in the example take and give.
CORE: dict[str, tuple[list[str], list[str]]] = {
    "LoadImage": ([], ["IMAGE", "MASK"]),
    "LoadVideo": ([], ["VIDEO"]),
    "PreviewAny": (["*"], ["STRING"]),
    "PreviewImage": (["IMAGE"], []),
    "SaveVideo": (["VIDEO"], []),
}
WORKFLOW = json.loads((PACK / "example_workflows" / "check_and_fix_pair.json").read_text("utf-8"))


def test_the_example_has_the_form_of_a_workflow() -> None:
    assert WORKFLOW["version"] == 0.4
    ids = [node["id"] for node in WORKFLOW["nodes"]]
    links = [link[0] for link in WORKFLOW["links"]]
    assert (len(set(ids)), max(ids)) == (len(ids), WORKFLOW["last_node_id"])
    assert (len(set(links)), max(links)) == (len(links), WORKFLOW["last_link_id"])
    needed = {"id", "type", "pos", "size", "flags", "order", "mode", "properties"}
    assert all(needed <= node.keys() for node in WORKFLOW["nodes"])
    assert all(len(link) == 6 for link in WORKFLOW["links"])


def test_every_slot_of_the_example_is_one_that_its_node_declares(classic: Any) -> None:
    declared = {node.id: node for node in inner(classic, "nodes").NODES}
    used = set()
    for node in WORKFLOW["nodes"]:
        inputs = [slot["type"] for slot in node["inputs"]]
        outputs = [slot["type"] for slot in node["outputs"]]
        if node["type"] in CORE:
            assert (inputs, outputs) == CORE[node["type"]]
            continue
        ours = declared[node["type"]]
        used.add(ours.id)
        sockets = [i for i in ours.inputs if i.kind in ("IMAGE", "VIDEO")]
        widgets = [i for i in ours.inputs if i not in sockets]
        assert [(s["name"], s["type"]) for s in node["inputs"]] == [(i.id, i.kind) for i in sockets]
        assert [(s["name"], s["type"]) for s in node["outputs"]] == [
            (o.id, o.kind) for o in ours.outputs
        ]
        assert node["widgets_values"] == [i.default for i in widgets]
    assert used == {"WanPrepCheckPair", "WanPrepFixPair"}


def test_every_link_of_the_example_leads_from_an_output_to_an_input_of_its_type() -> None:
    nodes = {node["id"]: node for node in WORKFLOW["nodes"]}
    for number, source, from_slot, target, to_slot, kind in WORKFLOW["links"]:
        output, into = nodes[source]["outputs"][from_slot], nodes[target]["inputs"][to_slot]
        assert number in output["links"]
        assert into["link"] == number
        assert output["type"] == kind
        assert into["type"] in (kind, "*")
    told = {n for node in WORKFLOW["nodes"] for s in node["outputs"] for n in s["links"] or []}
    taken = {s["link"] for node in WORKFLOW["nodes"] for s in node["inputs"]} - {None}
    assert told == taken == {link[0] for link in WORKFLOW["links"]}


def test_the_example_names_the_fixtures() -> None:
    files = {node["widgets_values"][0] for node in WORKFLOW["nodes"] if "Load" in node["type"]}
    assert files == {"reference.png", "driving.mp4"}
    assert all((ROOT / "fixtures" / name).is_file() for name in files)


def test_the_readme_names_every_node_input_and_output(classic: Any) -> None:
    text = (PACK / "README.md").read_text("utf-8")
    for node in inner(classic, "nodes").NODES:
        assert node.title.partition(" (")[0] in text
        for slot in (*node.inputs, *node.outputs):
            assert f"`{slot.id}`" in text, slot.id


def test_every_local_link_of_the_readme_leads_somewhere() -> None:
    """Inside the folder: it is copied alone."""
    text = (PACK / "README.md").read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (PACK / link).is_file()] == []


def test_the_pack_is_part_of_the_source_distribution() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "/comfyui" in document["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert Path(PACK / "__init__.py").is_file()
