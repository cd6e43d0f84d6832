"""The nodes for ComfyUI's V3 schema."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import ComfyExtension, io

from .nodes import CATEGORY, CHECK, FIX, RANK, Input, Node

_TYPES = {
    "IMAGE": io.Image,
    "VIDEO": io.Video,
    "STRING": io.String,
    "FLOAT": io.Float,
    "INT": io.Int,
    "COMBO": io.Combo,
}


class CheckPair(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(CHECK)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return io.NodeOutput(*CHECK.run(**inputs))


class FixPair(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(FIX)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return io.NodeOutput(*FIX.run(**inputs))


class RankReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(RANK)

    @classmethod
    def execute(cls, **inputs: Any) -> io.NodeOutput:
        return io.NodeOutput(*RANK.run(**inputs))


def _schema(node: Node) -> io.Schema:
    return io.Schema(
        node_id=node.id,
        display_name=node.title,
        category=CATEGORY,
        description=node.description,
        inputs=[_input(each) for each in node.inputs],
        outputs=[
            _TYPES[each.kind].Output(each.id, display_name=each.id, tooltip=each.tooltip)
            for each in node.outputs
        ],
    )


def _input(given: Input) -> Any:
    more: dict[str, Any] = {}
    if given.kind == "COMBO":
        more["options"] = list(given.options)
    if given.kind == "FLOAT":
        more |= {"min": given.least, "max": given.most, "step": given.step}
    if given.default is not None:
        more["default"] = given.default
    return _TYPES[given.kind].Input(
        given.id, optional=given.is_optional, tooltip=given.tooltip, **more
    )


class WanPrepExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [CheckPair, FixPair, RankReferences]


async def comfy_entrypoint() -> WanPrepExtension:
    return WanPrepExtension()
