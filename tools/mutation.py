"""Which changes of the code would no test notice? Mutation testing, room by room.

    pip install mutmut
    python tools/mutation.py [ROOM …] [--sample N] [--seed K]

Each room's mutants are held against the room's own tests, in a copy of the working tree; a table
and the diffs of all survivors are printed. A survivor is a place to look: some change nothing that
anybody could see. All mutants of a room take from minutes (report/scoring: 3) to hours (planning);
`--sample` takes N of a room's, chosen by `--seed`. Not part of the suite.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "report/scoring": ("src/wan_prep/report/scoring.py", "tests/report"),
    "media/libav": ("src/wan_prep/media/libav.py", "tests/media"),
    "submission": ("src/wan_prep/submission", "tests/submission"),
    "normalizers": ("src/wan_prep/normalizers", "tests/normalizers"),
    "planning": ("src/wan_prep/planning", "tests/planning"),
}
# What mutmut writes of a mutant: the exit code of the tests that it was held against.
_SURVIVED, _UNTESTED = 0, 33


def mutmut(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout


def copied(folder: Path) -> None:
    """The files of the working tree that git knows or does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def codes(folder: Path) -> dict[str, int | None]:
    """Exit code by mutant; None where it was not run."""
    found: dict[str, int | None] = {}
    for path in sorted((folder / "mutants").rglob("*.meta")):
        found |= json.loads(path.read_text("utf-8"))["exit_code_by_key"]
    return found


def held(room: str, sample: int | None, seed: int) -> tuple[int, list[str]]:
    """(mutants held against the tests, diffs of those that survived)."""
    source, tests = ROOMS[room]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "main"
        copied(folder)
        (folder / "setup.cfg").write_text(
            f"[mutmut]\nsource_paths={source}\npytest_add_cli_args_test_selection={tests}\n"
            "pytest_add_cli_args=-p no:randomly\n"
            "also_copy=\n    src\n    tests\n    fixtures\n    benchmarks\n    tools\n    docs\n"
            "    README.md\n    pyproject.toml\n",
            "utf-8",
        )
        mutmut(folder, "run", "--max-children", "2", "no mutant is called so")
        names = sorted(codes(folder))
        chosen = names
        if sample is not None and sample < len(names):
            chosen = random.Random(seed).sample(names, sample)
        mutmut(folder, "run", "--max-children", "2", *chosen)
        after = codes(folder)
        run = [name for name in chosen if after[name] is not None]
        survivors = [name for name in run if after[name] in (_SURVIVED, _UNTESTED)]
        return len(run), [mutmut(folder, "show", name) for name in survivors]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rooms", nargs="*", help=f"of {', '.join(ROOMS)}; all unless told")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = []
    for room in given.rooms or ROOMS:
        count, survivors = held(room, given.sample, given.seed)
        rows.append(f"| {room} | {count} | {count - len(survivors)} | {len(survivors)} |")
        print(f"\n== {room}: {len(survivors)} of {count} survived", flush=True)
        for diff in survivors:
            lines = [line for line in diff.splitlines() if line[:1] in "+-"]
            print("\n".join(lines) + "\n", flush=True)
    print("\n| room | mutants | killed | survived |\n|---|---|---|---|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
