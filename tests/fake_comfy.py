"""A ComfyUI to load the nodes into: as much of its modules as they use, and strict about names.

The parameters are those of comfy_api/latest/_io.py, so a misspelt one fails here as it does there.
"""

from __future__ import annotations

import importlib.util
import io as bytes_io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PACK = ROOT / "comfyui"
_ANY_INPUT = {"display_name", "optional", "tooltip", "lazy", "extra_dict", "raw_link", "advanced"}
_ANY_WIDGET = _ANY_INPUT | {"default", "socketless", "force_input"}
_INPUTS = {
    "IMAGE": _ANY_INPUT,
    "VIDEO": _ANY_INPUT,
    "STRING": _ANY_WIDGET | {"multiline", "placeholder", "dynamic_prompts"},
    "FLOAT": _ANY_WIDGET | {"min", "max", "step", "round", "display_mode", "gradient_stops"},
    "INT": _ANY_WIDGET | {"min", "max", "step", "control_after_generate", "display_mode"},
    "COMBO": (_ANY_WIDGET - {"force_input"})
    | {"options", "control_after_generate", "upload", "image_folder", "remote", "remote_combo"},
}
_OUTPUT = {"display_name", "tooltip", "is_output_list"}


class FakeTensor:
    """A torch tensor on a GPU, in half precision: numpy gets it by the long way only."""

    def __init__(self, values: Any, *, steps: tuple[str, ...] = ()) -> None:
        self._values, self._steps = np.asarray(values, np.float32), steps

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> FakeTensor:
        return FakeTensor(self._values[index])

    def detach(self) -> FakeTensor:
        return FakeTensor(self._values, steps=(*self._steps, "detach"))

    def cpu(self) -> FakeTensor:
        return FakeTensor(self._values, steps=(*self._steps, "cpu"))

    def float(self) -> FakeTensor:
        return FakeTensor(self._values, steps=(*self._steps, "float"))

    def __array__(self, *_arguments: Any, **_named: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def numpy(self) -> Any:
        if set(self._steps) != {"detach", "cpu", "float"}:
            raise TypeError("can't convert cuda:0 bfloat16 tensor that requires grad to numpy")
        return self._values


class FakeVideo:
    """VideoFromFile: a path or a BytesIO, perhaps trimmed."""

    def __init__(self, file: Any, *, start_time: float = 0, duration: float = 0) -> None:
        self.file, self._window = file, (float(start_time), float(duration))

    def get_stream_source(self) -> Any:
        return self.file

    def get_active_trim_window(self) -> tuple[float, float]:
        return self._window


class FakeExtension:
    """ComfyExtension."""


@dataclass
class FakeSchema:
    node_id: str
    category: str
    display_name: str
    description: str
    inputs: list[Any]
    outputs: list[Any]


@dataclass
class Comfy:
    """What the fake modules saw."""

    temp: Path
    bars: list[list[float]] = field(default_factory=list)


def _slot(kind: str, allowed: set[str]) -> Callable[..., SimpleNamespace]:
    def make(id: str, **more: Any) -> SimpleNamespace:
        assert more.keys() <= allowed, f"{kind} takes no {more.keys() - allowed}"
        return SimpleNamespace(id=id, kind=kind, **more)

    return make


def _fake_io() -> ModuleType:
    io = ModuleType("comfy_api.latest.io")
    for kind, allowed in _INPUTS.items():
        slots = SimpleNamespace(Input=_slot(kind, allowed), Output=_slot(kind, _OUTPUT))
        setattr(io, kind.title(), slots)
    io.ComfyNode = type("ComfyNode", (), {})
    io.Schema = FakeSchema
    io.NodeOutput = lambda *values: SimpleNamespace(args=values)
    return io


def install_host(monkeypatch: pytest.MonkeyPatch, temp: Path) -> Comfy:
    """torch, folder_paths and comfy.utils, which every release of ComfyUI has; no comfy_api."""
    comfy = Comfy(temp)

    class ProgressBar:
        def __init__(self, total: int) -> None:
            comfy.bars.append([])

        def update_absolute(self, value: float, total: float | None = None) -> None:
            assert total is not None
            comfy.bars[-1].append(value / total)

    modules: dict[str, dict[str, Any]] = {
        "torch": {"from_numpy": FakeTensor},
        "folder_paths": {"get_temp_directory": lambda: str(comfy.temp)},
        "comfy": {},
        "comfy.utils": {"ProgressBar": ProgressBar},
    }
    for name, content in modules.items():
        _install(monkeypatch, name, content)
    for absent in ("comfy_api", "comfy_api.latest", "comfy_api.input_impl"):
        monkeypatch.setitem(sys.modules, absent, None)
    return comfy


def install_v3(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comfy_api with the V3 schema."""
    latest = {
        "io": _fake_io(),
        "ComfyExtension": FakeExtension,
        "InputImpl": SimpleNamespace(VideoFromFile=FakeVideo),
    }
    _install(monkeypatch, "comfy_api", {})
    _install(monkeypatch, "comfy_api.latest", latest)


def install_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comfy_api with videos, and without nodes."""
    _install(monkeypatch, "comfy_api", {})
    _install(monkeypatch, "comfy_api.input_impl", {"VideoFromFile": FakeVideo})


def _install(monkeypatch: pytest.MonkeyPatch, name: str, content: dict[str, Any]) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


def load_pack(monkeypatch: pytest.MonkeyPatch, folder: Path = PACK) -> Any:
    """Import the folder as ComfyUI imports those in custom_nodes/: by its path, under a name with
    the path in it."""
    name = str(folder).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    for loaded in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    for loaded in [each for each in sys.modules if each.startswith(f"{name}.")]:
        inner = sys.modules[loaded]
        monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, loaded, inner)
    return module


def image_batch(path: Path) -> Any:
    """What Load Image gives: (1, H, W, 3) float32, 0 ... 1."""
    from wan_prep.media.images import probe_image, read_image

    rgb = read_image(path, probe_image(path, max_pixels=10**8), max_pixels=10**8)
    return FakeTensor(rgb[np.newaxis].astype(np.float32) / 255.0)


def frame_batch(path: Path) -> tuple[Any, float]:
    """What Get Video Components gives: (B, H, W, 3) float32, and the rate as a float."""
    from wan_prep.media.frames import decode
    from wan_prep.media.probe import probe_video

    info = probe_video(path)
    frames = np.stack([frame.rgb() for frame in decode(path, info)])
    rate = Fraction(info.fps)
    return FakeTensor(frames.astype(np.float32) / 255.0), float(rate)


def in_memory(path: Path) -> bytes_io.BytesIO:
    return bytes_io.BytesIO(path.read_bytes())


def inner(pack: Any, name: str) -> Any:
    """A module of a loaded pack."""
    return sys.modules[f"{pack.__name__}.{name}"]
