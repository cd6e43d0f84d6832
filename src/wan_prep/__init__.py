"""Pre-flight checks for Wan2.2-Animate: do a reference image and a driving video fit?

    import wan_prep
    report = wan_prep.check("hero.png", "dance.mp4")
    print(report.verdict, report.score)

Importing this package loads no OpenCV, MediaPipe, PyAV or HTTP client; the first call does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wan_prep.api import NormalizedPair, check, normalize, observe, plan, submit, wait
    from wan_prep.errors import (
        AlreadySubmitted,
        ApiKeyError,
        CostTooHigh,
        DependencyMissing,
        DownloadFailed,
        EvidenceMissing,
        GateRefused,
        InputPathError,
        JobNotFound,
        JournalError,
        MediaUnreadable,
        NoOutputs,
        NormalizeFailed,
        OutputExists,
        PartlySubmitted,
        PoseModelError,
        ProfileError,
        RateLimited,
        Rejected,
        ReplyInvalid,
        ServiceUnreachable,
        SourceChanged,
        SubmissionError,
        SubmissionUnknown,
        UploadFailed,
        UploadNotAllowed,
        WaitEnded,
        WanPrepError,
    )
    from wan_prep.evidence import Evidence
    from wan_prep.findings import Finding
    from wan_prep.planning.model import Plan
    from wan_prep.planning.options import PlanOptions
    from wan_prep.profile import Profile, default_profile, load_profile
    from wan_prep.report.model import Report
    from wan_prep.submission.jobs import Job, Prediction

_HOMES = {
    "check": "api",
    "normalize": "api",
    "plan": "api",
    "NormalizedPair": "api",
    "Plan": "planning.model",
    "PlanOptions": "planning.options",
    "SourceChanged": "errors",
    "OutputExists": "errors",
    "NormalizeFailed": "errors",
    "observe": "api",
    "submit": "api",
    "wait": "api",
    "Report": "report.model",
    "Job": "submission.jobs",
    "Prediction": "submission.jobs",
    "Evidence": "evidence",
    "Finding": "findings",
    "Profile": "profile",
    "default_profile": "profile",
    "load_profile": "profile",
    "AlreadySubmitted": "errors",
    "ApiKeyError": "errors",
    "CostTooHigh": "errors",
    "DependencyMissing": "errors",
    "DownloadFailed": "errors",
    "EvidenceMissing": "errors",
    "GateRefused": "errors",
    "InputPathError": "errors",
    "JobNotFound": "errors",
    "JournalError": "errors",
    "MediaUnreadable": "errors",
    "NoOutputs": "errors",
    "PartlySubmitted": "errors",
    "PoseModelError": "errors",
    "ProfileError": "errors",
    "RateLimited": "errors",
    "Rejected": "errors",
    "ReplyInvalid": "errors",
    "ServiceUnreachable": "errors",
    "SubmissionError": "errors",
    "SubmissionUnknown": "errors",
    "UploadFailed": "errors",
    "UploadNotAllowed": "errors",
    "WaitEnded": "errors",
    "WanPrepError": "errors",
}

__all__ = [
    "AlreadySubmitted",
    "ApiKeyError",
    "CostTooHigh",
    "DependencyMissing",
    "DownloadFailed",
    "Evidence",
    "EvidenceMissing",
    "Finding",
    "GateRefused",
    "InputPathError",
    "Job",
    "JobNotFound",
    "JournalError",
    "MediaUnreadable",
    "NoOutputs",
    "NormalizeFailed",
    "NormalizedPair",
    "OutputExists",
    "PartlySubmitted",
    "Plan",
    "PlanOptions",
    "PoseModelError",
    "Prediction",
    "Profile",
    "ProfileError",
    "RateLimited",
    "Rejected",
    "ReplyInvalid",
    "Report",
    "ServiceUnreachable",
    "SourceChanged",
    "SubmissionError",
    "SubmissionUnknown",
    "UploadFailed",
    "UploadNotAllowed",
    "WaitEnded",
    "WanPrepError",
    "check",
    "default_profile",
    "load_profile",
    "normalize",
    "observe",
    "plan",
    "submit",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("wan-prep")
    if name == "figures":
        from importlib import import_module

        return import_module(f"{__name__}.figures")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
