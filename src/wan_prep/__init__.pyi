"""The public names; they are loaded when they are first used."""

import types

from .api import (
    NormalizedPair,
    check,
    export_poses,
    normalize,
    observe,
    plan,
    rank,
    submit,
    wait,
    write_skeleton,
)
from .cache.store import Cache
from .errors import (
    AlreadySubmitted,
    ApiKeyError,
    CacheError,
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
from .evidence import Evidence
from .findings import Finding
from .planning.model import Plan
from .planning.options import PlanOptions
from .profile import Profile, default_profile, load_profile
from .ranking.model import Ranking
from .report.model import Report
from .submission.jobs import Job, Prediction

__version__: str
figures: types.ModuleType
__all__ = [
    "AlreadySubmitted",
    "ApiKeyError",
    "Cache",
    "CacheError",
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
    "Ranking",
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
    "export_poses",
    "load_profile",
    "normalize",
    "observe",
    "plan",
    "rank",
    "submit",
    "wait",
    "write_skeleton",
]
