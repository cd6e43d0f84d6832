"""What the package is made of: nothing that runs what it is given, networks that are known."""

from __future__ import annotations

import ast
import hashlib
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from wan_prep.pose.weights import SHIPPED, shipped_model

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "wan_prep"
SOURCES = {
    str(path.relative_to(PACKAGE)): ast.parse(path.read_text("utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
# Each makes objects, or runs code, out of bytes or text.
MODULES = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"),
    *("code", "codeop", "pty", "commands", "yaml", "jsonpickle"),
}
CALLS = {
    *("eval", "exec", "compile", "__import__", "input", "breakpoint"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("numpy.load", "np.load", "torch.load", "pandas.read_pickle"),
    *("asyncio.create_subprocess_shell", "runpy.run_path", "runpy.run_module"),
}
PREFIXES = ("os.spawn", "os.exec", "os.posix_spawn")
# The one room that starts programs; worker processes are started in another, by multiprocessing.
STARTS_PROGRAMS = {"normalizers/ffmpeg.py"}
STARTS_PROCESSES = {"isolation.py"}


def found_in(tree: ast.Module) -> set[str]:
    """What a source may not hold, in words."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names if each.name.split(".")[0] in MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in MODULES:
                found.add(node.module)
            found |= {
                f"{node.module}.{each.name}"
                for each in node.names
                if f"{node.module}.{each.name}" in CALLS
            }
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS or name.startswith(PREFIXES):
                found.add(name)
            for word in node.keywords:
                is_false = isinstance(word.value, ast.Constant) and not word.value.value
                if (word.arg == "shell" and not is_false) or word.arg == "allow_pickle":
                    found.add(f"{name}({word.arg}=…)")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import marshal as m", "eval(text)",
        "import os\nos.system(line)", "from os import system", "os.execv(path, [])",
        "subprocess.run(line, shell=True)", "subprocess.run(line, shell=flag)",
        "np.load(path, allow_pickle=True)", "exec(compile(text, '', 'exec'))", "__import__(name)",
    ],
)  # fmt: skip
def test_what_runs_what_it_is_given_would_be_found(source: str) -> None:
    assert found_in(ast.parse(source))


@pytest.mark.parametrize("name", SOURCES)
def test_no_pickle_no_eval_and_no_shell(name: str) -> None:
    assert found_in(SOURCES[name]) == set()


def test_programs_and_processes_are_started_in_one_room_each() -> None:
    def importers(module: str) -> set[str]:
        return {
            name
            for name, tree in SOURCES.items()
            for node in ast.walk(tree)
            if (isinstance(node, ast.Import) and module in {e.name for e in node.names})
            or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == module)
        }

    assert importers("subprocess") == STARTS_PROGRAMS
    assert importers("multiprocessing") == STARTS_PROCESSES


def test_every_template_is_escaped() -> None:
    made = [
        node
        for tree in SOURCES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Environment")
    ]
    assert [ast.unparse(w.value) for n in made for w in n.keywords if w.arg == "autoescape"] == [
        "True"
    ]
    assert len(made) == 1
    templates = (PACKAGE / "visual" / "templates").glob("*.html")
    assert [p.name for p in templates if "|safe" in p.read_text("utf-8").replace(" ", "")] == []


# ---- the bill of materials


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "sbom.py"))


def test_the_networks_stand_in_the_bill_of_materials(sbom: dict[str, Any]) -> None:
    given = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"type": "library", "name": "numpy", "bom-ref": "numpy"}],
        "dependencies": [{"ref": "numpy"}, {"ref": "root", "dependsOn": ["numpy"]}],
    }
    made = sbom["with_networks"](given, sbom["shipped"]())
    found = {c["name"]: c["hashes"] for c in made["components"] if "hashes" in c}
    assert found == {n: [{"alg": "SHA-256", "content": sha}] for n, sha in SHIPPED.items()}
    (root,) = (entry for entry in made["dependencies"] if entry["ref"] == "root")
    assert root["dependsOn"] == sorted(["numpy", *(f"network:{name}" for name in SHIPPED)])
    assert given["components"] == [{"type": "library", "name": "numpy", "bom-ref": "numpy"}]


def test_every_network_that_is_shipped_is_known() -> None:
    folder = shipped_model().parent
    weights = {p.name for p in folder.iterdir() if p.suffix in (".task", ".onnx", ".tflite")}
    assert weights == set(SHIPPED)
    for name, sha256 in SHIPPED.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256


# ---- what SECURITY.md says


def test_every_test_that_security_names_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text))
    assert len(named) > 20
    for path, function in named:
        source = (ROOT / path).read_text("utf-8")
        assert not function or f"def {function}(" in source, f"{path}::{function}"


def test_every_local_link_of_security_leads_somewhere() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []
