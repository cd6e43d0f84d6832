"""Pre-flight checks for Wan2.2-Animate: do a reference image and a driving video fit?

    import wan_prep
    report = wan_prep.check("hero.png", "dance.mp4")
    print(report.verdict, report.score)

Importing this package loads no OpenCV, MediaPipe, PyAV or HTTP client; the first call does. The
public names stand in __init__.pyi, for type checkers and for the loader alike.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

_loaded, _names, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("wan-prep")
    if name == "figures":  # by name only: `import *` would load matplotlib
        from importlib import import_module

        return import_module(f"{__name__}.figures")
    return _loaded(name)


def __dir__() -> list[str]:
    return sorted([*_names(), "__version__"])
