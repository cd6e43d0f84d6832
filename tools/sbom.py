"""The bill of materials of an installation: a CycloneDX document, validated against its schema.

    make sbom                                      # writes build/sbom.cdx.json
    python tools/sbom.py .venv/bin/python FILE     # the same for any interpreter

cyclonedx-py says which packages an environment holds, with licences, URLs and who needs whom. What
no package manager knows of is added here: the networks that ship with wan-prep, by their hashes. It
needs cyclonedx-bom, in an environment of its own, so that it is no part of what it lists.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "src" / "wan_prep" / "pose" / "models"
SPEC_VERSION = "1.6"
NETWORKS = {
    "pose_landmarker_full.task": "MediaPipe pose landmarker: detector and landmarks",
    "face_landmarker.task": "MediaPipe face landmarker: detector and landmarks",
    "movenet_multipose.onnx": "MoveNet multipose, converted to ONNX",
}


def packages_of(python: str) -> dict[str, Any]:
    """The CycloneDX document of an interpreter's environment."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    command += ["--sv", SPEC_VERSION, "--pyproject", str(ROOT / "pyproject.toml"), python]
    made = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    document: dict[str, Any] = json.loads(made.stdout)
    return document


def with_networks(document: dict[str, Any], sha256_by_name: dict[str, str]) -> dict[str, Any]:
    """The document with a component for each network, which the root component contains."""
    root = document["metadata"]["component"]["bom-ref"]
    networks = [
        {
            "type": "machine-learning-model",
            "bom-ref": f"network:{name}",
            "name": name,
            "version": sha256[:12],
            "description": NETWORKS[name],
            "publisher": "Google",
            "licenses": [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}],
            "hashes": [{"alg": "SHA-256", "content": sha256}],
        }
        for name, sha256 in sha256_by_name.items()
    ]
    needs = {entry["ref"]: entry for entry in document.get("dependencies", [])}
    of_root = needs.get(root, {"ref": root})
    refs = [network["bom-ref"] for network in networks]
    needs[root] = of_root | {"dependsOn": sorted([*of_root.get("dependsOn", []), *refs])}
    return document | {
        "components": [*document.get("components", []), *networks],
        "dependencies": [needs[ref] for ref in sorted(needs)],
    }


def shipped() -> dict[str, str]:
    """Hex SHA-256 of each network, by name."""
    return {
        name: hashlib.sha256((MODELS / name).read_bytes()).hexdigest() for name in sorted(NETWORKS)
    }


def must_be_valid(text: str) -> None:
    """Raises SystemExit: the text is not what CycloneDX's schema asks for."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    wrong = JsonStrictValidator(SchemaVersion.from_version(SPEC_VERSION)).validate_str(text)
    if wrong is not None:
        raise SystemExit(f"not a valid CycloneDX {SPEC_VERSION} document: {wrong}")


def main() -> None:
    python, target = sys.argv[1:]
    document = with_networks(packages_of(python), shipped())
    text = json.dumps(document, indent=2) + "\n"
    must_be_valid(text)
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text(text, "utf-8")
    print(f"{target}: {len(document['components'])} components, valid CycloneDX {SPEC_VERSION}")


if __name__ == "__main__":
    main()
