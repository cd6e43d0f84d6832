"""ComfyUI nodes of wan-prep: does this pair fit Wan2.2-Animate, and make it fit.

ComfyUI imports this folder from custom_nodes/. It looks for NODE_CLASS_MAPPINGS first, and for
comfy_entrypoint only where there are none, so exactly one of the two is defined here: the V3 nodes
where this ComfyUI has the V3 schema, the classic ones in older releases. Both have the same ids,
inputs and outputs, so workflows go on working when ComfyUI is updated.
"""

try:
    # Early releases of comfy_api.latest have no `io`; that is an ImportError as well.
    from comfy_api.latest import ComfyExtension as _ComfyExtension  # noqa: F401
    from comfy_api.latest import io as _io  # noqa: F401
except ImportError:
    from .classic import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    __all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
else:
    from .v3 import comfy_entrypoint

    __all__ = ["comfy_entrypoint"]
