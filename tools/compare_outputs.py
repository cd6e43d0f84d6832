"""What check, plan and fix say and write of many pairs: kept, and compared after a change.

    python tools/compare_outputs.py keep FOLDER [--pairs DIR] [--only NAME,…]
    python tools/compare_outputs.py compare FOLDER OTHER [--but-words]

`keep` runs every pair of DIR (a folder a pair, with an image.* and a video.*; ../shared/data/pairs
unless told) in both modes and writes report.json, plan.json, explanations and the files of `fix`
into FOLDER. `compare` holds two such folders against each other, byte by byte, and lists what
differs: exit code 0 where nothing does. A change that claims to keep behaviour shows it so.
`--but-words` leaves out what is said in words: messages, titles and reasons in JSON, the order of
findings, what is advised for what is unknown, pages and explanations.
Only public names are used, so that one version of this script runs before and after.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import wan_prep
from wan_prep import api

PAIRS = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "pairs"


def keep(folder: Path, pairs: Path, only: list[str]) -> None:
    """Run everything, and write down what came of it."""
    folder.mkdir(parents=True)
    commands = [("rules",), *(("explain", code) for code in _codes())]
    said = "".join(_run(*command) for command in commands)
    (folder / "explanations.txt").write_text(said, "utf-8")
    with api.network() as network:
        for place in sorted(pairs.iterdir()):
            if only and place.name not in only:
                continue
            image, video = next(place.glob("image.*")), next(place.glob("video.*"))
            seen = (
                wan_prep.observe(image, kind="image", estimator=network),
                wan_prep.observe(video, kind="video", estimator=network),
            )
            for mode in ("animate", "replace"):
                out = folder / f"{place.name}-{mode}"
                out.mkdir()
                report = wan_prep.check(*seen, mode=mode)
                report.save(out / "check.json")
                plan = wan_prep.plan(report, estimator=network)
                pair = wan_prep.normalize(plan, out / "fixed", estimator=network)
                print(f"{out.name}: {report.score:.2f} → {pair.after.score:.2f}", flush=True)


def _codes() -> list[str]:
    return [rule["code"] for rule in json.loads(_run("rules", "--format", "json"))]


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "wan_prep", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def compare(one: Path, other: Path, *, but_words: bool) -> list[str]:
    """Names of what differs or stands on one side alone."""
    first, second = _contents(one, but_words=but_words), _contents(other, but_words=but_words)
    return sorted(
        name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
    )


def _contents(folder: Path, *, but_words: bool) -> dict[str, str]:
    """Hashes by name. The folder's own path, which plans and reports tell, is cut out of texts."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not (but_words and path.suffix in (".html", ".txt")):
            content = path.read_bytes()
            if path.suffix in (".json", ".html", ".txt"):
                content = content.replace(str(folder.resolve()).encode(), b"FOLDER")
                content = content.replace(str(folder).encode(), b"FOLDER")
            if path.name == "plan.json":
                # It lists hashes of texts that tell the folder's path.
                content = json.dumps(json.loads(content) | {"published": None}).encode()
            if but_words and path.suffix == ".json":
                content = json.dumps(_without_words(json.loads(content))).encode()
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def _without_words(value: Any) -> Any:
    if isinstance(value, list):
        kept = [_without_words(each) for each in value]
        is_findings = kept and all(isinstance(each, dict) and "code" in each for each in kept)
        return sorted(kept, key=json.dumps) if is_findings else kept
    if not isinstance(value, dict):
        return value
    words = {"message", "title", "reason"}
    if value.get("status") == "inconclusive":
        words |= {"fix"}
    return {key: _without_words(each) for key, each in value.items() if key not in words}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    keeping = commands.add_parser("keep")
    keeping.add_argument("folder", type=Path)
    keeping.add_argument("--pairs", type=Path, default=PAIRS)
    keeping.add_argument("--only", default="")
    comparing = commands.add_parser("compare")
    comparing.add_argument("folder", type=Path)
    comparing.add_argument("other", type=Path)
    comparing.add_argument("--but-words", action="store_true")
    given = parser.parse_args()
    if given.command == "keep":
        keep(given.folder, given.pairs, [name for name in given.only.split(",") if name])
        return 0
    differing = compare(given.folder, given.other, but_words=given.but_words)
    for name in differing:
        print(f"differs: {name}")
    print(
        f"{len(differing)} of {len(_contents(given.folder, but_words=given.but_words))} files "
        "differ"
    )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
