"""Pre-flight checks for Wan2.2-Animate: do a reference image and a driving video fit?

    import wan_prep
    report = wan_prep.check("hero.png", "dance.mp4")
    print(report.verdict, report.score)

Importing this package loads no OpenCV, MediaPipe or PyAV; the first call does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wan_prep.api import check, observe
    from wan_prep.errors import (
        DependencyMissing,
        EvidenceMissing,
        InputPathError,
        MediaUnreadable,
        PoseModelError,
        ProfileError,
        WanPrepError,
    )
    from wan_prep.evidence import Evidence
    from wan_prep.findings import Finding
    from wan_prep.profile import Profile, default_profile, load_profile
    from wan_prep.report.model import Report

_HOMES = {
    "check": "api",
    "observe": "api",
    "Report": "report.model",
    "Evidence": "evidence",
    "Finding": "findings",
    "Profile": "profile",
    "default_profile": "profile",
    "load_profile": "profile",
    "WanPrepError": "errors",
    "InputPathError": "errors",
    "MediaUnreadable": "errors",
    "ProfileError": "errors",
    "PoseModelError": "errors",
    "DependencyMissing": "errors",
    "EvidenceMissing": "errors",
}

__all__ = [
    "DependencyMissing",
    "Evidence",
    "EvidenceMissing",
    "Finding",
    "InputPathError",
    "MediaUnreadable",
    "PoseModelError",
    "Profile",
    "ProfileError",
    "Report",
    "WanPrepError",
    "check",
    "default_profile",
    "load_profile",
    "observe",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("wan-prep")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
