"""The nodes for releases of ComfyUI that have no V3 schema."""

from __future__ import annotations

from typing import Any

from .nodes import CATEGORY, NODES, Input, Node


def _classic(node: Node) -> type:
    class Classic:
        CATEGORY = CATEGORY
        DESCRIPTION = node.description
        FUNCTION = "execute"
        RETURN_TYPES = tuple(each.kind for each in node.outputs)
        RETURN_NAMES = tuple(each.id for each in node.outputs)
        OUTPUT_TOOLTIPS = tuple(each.tooltip for each in node.outputs)

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:  # noqa: N802  # ComfyUI's name
            return {
                "required": {i.id: _declared(i) for i in node.inputs if not i.is_optional},
                "optional": {i.id: _declared(i) for i in node.inputs if i.is_optional},
            }

        def execute(self, **inputs: Any) -> tuple[Any, ...]:
            return node.run(**inputs)

    Classic.__name__ = Classic.__qualname__ = node.id
    return Classic


def _declared(given: Input) -> tuple[Any, dict[str, Any]]:
    """The type, which for a COMBO is the list of its options, and the rest."""
    more: dict[str, Any] = {"tooltip": given.tooltip}
    if given.default is not None:
        more["default"] = given.default
    if given.kind == "FLOAT":
        more |= {"min": given.least, "max": given.most, "step": given.step}
    return (list(given.options) if given.kind == "COMBO" else given.kind), more


NODE_CLASS_MAPPINGS = {node.id: _classic(node) for node in NODES}
NODE_DISPLAY_NAME_MAPPINGS = {node.id: node.title for node in NODES}
