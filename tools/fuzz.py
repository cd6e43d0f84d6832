"""Coverage-guided fuzzing of what is ours to parse, by atheris (pip install atheris).

    python tools/fuzz.py "table.csv" [--seconds 60]
    python tools/fuzz.py --list

Inputs are grown from the example in tests/hostile/documents.py, by what new lines of wan_prep they
reach. It stops at the first one that ends in a traceback, writes it beside itself as crash-…, and
ends with an exit code that is not 0. Whoever finds one adds the smallest to tests/corpus.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", nargs="?", help="by its name in --list")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--list", action="store_true", help="name the targets")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("error: atheris is not installed; pip install atheris", file=sys.stderr)
        return 2
    sys.path.insert(0, str(ROOT / "tests"))
    with atheris.instrument_imports(include=["wan_prep"]):
        from hostile import documents
    with tempfile.TemporaryDirectory() as name:
        folder, corpus = Path(name), Path(name) / "corpus"
        corpus.mkdir()
        targets = {target.name: target for target in documents.targets(folder)}
        if options.list or options.target not in targets:
            print("\n".join(targets))
            return 0 if options.list else 2
        target = targets[options.target]
        (corpus / "example").write_bytes(target.example)

        def one(content: bytes) -> None:
            said = documents.outcome(target, content)
            if said.startswith("traceback"):
                raise RuntimeError(said)

        how = [f"-max_total_time={options.seconds}", "-max_len=20000", "-timeout=60"]
        atheris.Setup([sys.argv[0], *how, str(corpus)], one)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
