"""The promises of the house: who imports whom, what importing costs, names, rules, README."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.metadata
import json
import os
import pkgutil
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import wan_prep
from wan_prep import errors
from wan_prep.analyzers import RULES
from wan_prep.cache import key
from wan_prep.cli import app, run
from wan_prep.rehearsal.server import FakeService

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "wan_prep"

# The architecture: data flows from the first row to the last, imports point the other way.
# Modules of one row may know each other, but not in a circle. A module stands in the row that
# names it, or in that of the nearest package above it.
ROOMS: tuple[tuple[str, ...], ...] = (
    (
        "errors",
        "profile",
        "geometry",
        "sizing",
        "cost",
        "fragments",
        "documents",
        "writing",
        "home",
        "isolation",
        "parquet",
    ),
    ("addresses",),
    ("remote",),
    ("media",),
    ("pose",),
    ("evidence",),
    ("sampling", "tracking", "observing", "stills"),
    ("cache",),
    ("measures", "findings"),
    ("analyzers",),
    ("report",),
    ("ranking",),
    ("learning",),
    ("planning",),
    ("visual", "plots", "figures"),
    ("normalizers",),
    ("submission",),
    ("rehearsal", "submission.fake"),
    ("api",),
    ("pipelines",),
    ("settings", "cli", "__main__"),
)
# Foreign package → the only rooms that may import it.
KEEPERS = {
    "mediapipe": ("pose.mediapipe",),
    "av": ("media",),
    "PIL": ("media",),
    "scenedetect": ("media",),
    "typer": ("cli",),
    "rich": (
        "cli",
        "report.text",
        "ranking.text",
        "learning.text",
        "planning.text",
        "pipelines.text",
    ),
    "pyarrow": ("parquet",),
    "ray": ("pipelines.on_ray",),
    "jinja2": ("visual.html",),
    "matplotlib": ("plots",),
    "ffmpeg": ("normalizers.ffmpeg",),
    "imageio_ffmpeg": ("normalizers.ffmpeg",),
    "httpx": ("remote.http", "submission.transport", "submission.session", "submission.client"),
    "httpcore": ("remote.http",),
    "fsspec": ("remote.stores",),
    "filelock": (
        "remote.scratch",
        "normalizers.write",
        "submission.journal",
        "cache.store",
        "pipelines.results",
    ),
    "platformdirs": ("home",),
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """(name inside the package, parsed source); `media` stands for its __init__."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text("utf-8"))


ALL = dict(modules())


def inside(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def row_of(name: str) -> int:
    found = [(room, k) for k, row in enumerate(ROOMS) for room in row if inside(name, room)]
    assert found, f"{name or '__init__'} has no room: give it a place in ROOMS"
    return max(found, key=lambda each: len(each[0]))[1]


def type_checking_only(tree: ast.Module) -> set[ast.AST]:
    blocks = (n for n in ast.walk(tree) if isinstance(n, ast.If))
    named = (n for n in blocks if ast.unparse(n.test) == "TYPE_CHECKING")
    return {inner for block in named for inner in ast.walk(block)}


def imported(tree: ast.Module, *, at_run_time: bool = False) -> set[str]:
    """Absolute names of the modules that a source imports, anywhere in it."""
    skipped = type_checking_only(tree) if at_run_time else set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix("wan_prep.")
                found.add(f"wan_prep.{inner}" if inner in ALL else str(node.module))
    return found


def own_imports(name: str) -> set[str]:
    found = imported(ALL[name])
    return {m.removeprefix("wan_prep.") for m in found if m.startswith("wan_prep.")}


# ---- direction


def test_imports_point_backwards() -> None:
    upward = {
        f"{name} imports {other}"
        for name in ALL
        if name
        for other in own_imports(name)
        if row_of(other) > row_of(name)
    }
    assert upward == set()


def test_no_module_is_part_of_a_circle() -> None:
    graph = {name: own_imports(name) - {name} for name in ALL if name}
    assert list(TopologicalSorter(graph).static_order())


def test_the_package_itself_only_names() -> None:
    assert imported(ALL[""], at_run_time=True) == {
        "__future__",
        "typing",
        "importlib",
        "importlib.metadata",
        "lazy_loader",
    }


def test_only_api_composes_observing_and_report() -> None:
    """No other room as a whole, either."""
    known: dict[str, set[str]] = {}
    for name in ALL:
        room = name.partition(".")[0]
        known.setdefault(room, set()).update(other.partition(".")[0] for other in own_imports(name))
    assert [room for room, others in known.items() if {"observing", "report"} <= others] == ["api"]


def test_foreign_packages_stay_in_their_room() -> None:
    strays = {
        f"{name} imports {module}"
        for name, tree in ALL.items()
        for module in imported(tree)
        for foreign, rooms in KEEPERS.items()
        if inside(module, foreign) and not any(inside(name, room) for room in rooms)
    }
    assert strays == set()


# ---- what importing costs


def test_importing_loads_no_heavy_package() -> None:
    heavy = ["cv2", "mediapipe", "av", "PIL", "numpy", "pydantic", "rich", "typer", "httpx"]
    code = f"import sys, wan_prep; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_no_heavy_package() -> None:
    heavy = ["cv2", "mediapipe", "av", "PIL", "numpy", "httpx", "filelock", "jinja2"]
    code = "import sys; from wan_prep.cli import app, run; assert run(['--help']) == 0; "
    code += f"print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# ---- names


def test_no_module_shadows_a_public_name() -> None:
    for found in pkgutil.walk_packages(wan_prep.__path__, "wan_prep."):
        if found.name != "wan_prep.__main__":  # it is a program
            importlib.import_module(found.name)
    for name in wan_prep.__all__:
        assert callable(getattr(wan_prep, name)), name
        assert not hasattr(getattr(wan_prep, name), "__path__")
    assert {"check", "observe", "submit", "wait"} <= set(wan_prep.__all__)
    assert set(wan_prep.__all__) <= set(dir(wan_prep))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = wan_prep.nonsense


def test_the_version_is_that_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert wan_prep.__version__ == project["version"]


def test_every_error_derives_from_the_base() -> None:
    own = [
        c for c in vars(errors).values() if isinstance(c, type) and c.__module__ == errors.__name__
    ]
    assert len(own) >= 7
    assert all(issubclass(c, errors.WanPrepError) for c in own)
    for found in own:
        assert re.search(rf"\b{found.__name__}\b", errors.__doc__ or ""), "its docstring draws them"


def test_only_own_errors_are_defined_elsewhere() -> None:
    for name, tree in ALL.items():
        if name != "errors":
            bases = [b for n in ast.walk(tree) if isinstance(n, ast.ClassDef) for b in n.bases]
            assert not [b for b in bases if ast.unparse(b).endswith(("Error", "Exception"))], name


def test_one_opencv_is_installed() -> None:
    names = {d.metadata["Name"].lower() for d in importlib.metadata.distributions()}
    assert {n for n in names if n.startswith("opencv")} == {"opencv-python"}


# ---- what a cache must know

# The rooms that make evidence; what changes there may change what is seen.
SEEING = ("geometry", "media", "pose", "evidence", "sampling", "tracking", "observing")
# Raised together with `key.OBSERVING_VERSION` where the evidence of any file changes; where it
# does not (another name, another error), the digest alone is written again.
SEEN_BY = (2, "8adfebfa2eb80d4c")


def seeing() -> dict[str, ast.Module]:
    return {name: tree for name, tree in ALL.items() if any(inside(name, r) for r in SEEING)}


def told(node: object) -> object:
    """A source without comments, docstrings and places, alike in every release of Python."""
    if isinstance(node, list):
        return [told(each) for each in node if not is_docstring(each)]
    if not isinstance(node, ast.AST):
        return repr(node)
    held = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *((name, told(value)) for name, value in held)]


def is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_the_version_of_observing_is_raised_when_what_is_seen_changes() -> None:
    digest = hashlib.sha256(
        json.dumps({name: told(tree) for name, tree in seeing().items()}, sort_keys=True).encode()
    ).hexdigest()[:16]
    assert (key.OBSERVING_VERSION, digest) == SEEN_BY, (
        "the code that makes evidence has changed. If the evidence of any file may differ now, "
        "raise OBSERVING_VERSION in src/wan_prep/cache/key.py: caches would go on answering with "
        f"what was seen before. Then write version and digest ({digest!r}) into SEEN_BY here"
    )


def test_observing_stands_on_the_rooms_whose_changes_are_noticed() -> None:
    reached, todo = set[str](), ["observing"]
    while todo:
        name = todo.pop()
        reached.add(name)
        todo += own_imports(name) - reached
    words_and_figures = {"errors", "fragments", "documents", "profile", "media", "pose", "cost"}
    assert {name for name in reached if name not in seeing()} <= words_and_figures


def test_limits_and_libraries_that_observing_uses_are_those_that_a_cache_knows() -> None:
    limits, foreign = set(), set()
    for tree in seeing().values():
        foreign |= {module.partition(".")[0] for module in imported(tree)}
        has_profile = "wan_prep.profile" in imported(tree)
        for node in ast.walk(tree):
            is_read = has_profile and isinstance(node, ast.Attribute)
            if is_read and ast.unparse(node.value) == "profile":
                assert node.attr == "limit"
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("profile.limit"):
                limits.add(ast.literal_eval(node.args[0]))
    assert limits == set(key.OBSERVING_LIMITS)
    known = {name: name for name in ("av", "mediapipe", "numpy", "onnxruntime", "scenedetect")}
    known |= {"cv2": "opencv-python", "PIL": "pillow", "pillow_heif": "pillow-heif"}
    assert {known[module] for module in foreign if module in known} == set(key.OBSERVING_LIBRARIES)
    others = foreign - known.keys() - set(sys.stdlib_module_names)
    assert others == {"wan_prep", "pydantic"}


# ---- the rule table


def test_the_page_of_checks_is_that_of_the_table() -> None:
    make_docs = runpy.run_path(str(ROOT / "tools" / "make_docs.py"))
    page = (ROOT / "docs" / "checks.md").read_text("utf-8")
    assert page == make_docs["checks_page"](RULES), "write it again: python tools/make_docs.py"


# ---- the README


def readme_commands() -> list[str]:
    """Lines of its fenced or indented blocks that call the program."""
    text = (ROOT / "README.md").read_text("utf-8")
    lines = re.findall(r"^[ \t]*(?:\$ )?(wan-prep .*?)\s*(?:#.*)?$", text, flags=re.MULTILINE)
    return [line for line in dict.fromkeys(lines) if not line.startswith("wan-prep explain CODE")]


@pytest.mark.model
@pytest.mark.usefixtures("looked_at_once")
@pytest.mark.parametrize("line", readme_commands() or ["wan-prep rules"])
def test_every_command_of_the_readme_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    shutil.copytree(ROOT / "fixtures", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
    arguments = shlex.split(line)[1:]
    with FakeService() as service:  # whoever pays, pays here
        monkeypatch.setenv("WAVESPEED_BASE_URL", service.base_url)
        monkeypatch.setenv("WAVESPEED_API_KEY", "not-a-real-key")
        assert run(arguments) in (0, 1)
    out, err = capfd.readouterr()
    assert err == ""
    if "json" in arguments:
        json.loads(out)


def test_every_make_target_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    wanted = set(re.findall(r"^\s+make ([a-z]+)", text, flags=re.MULTILINE))
    assert wanted <= targets


def test_every_local_link_of_the_readme_leads_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


COMMANDS = tuple(c.name or c.callback.__name__ for c in app.registered_commands if c.callback)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
    assert run([command, "--help"]) == 0
    assert f"Example: wan-prep {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_the_command_line_names_every_command_and_option(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "200")
    assert run([command, "--help"]) == 0
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", capsys.readouterr().out))
    assert f"`{command}" in page
    short = {"--help", "--no-strict", "--output", "--quiet", "--verbose"}  # -o, -q, -v
    assert {option for option in options if option not in page} <= short
