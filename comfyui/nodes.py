"""The nodes: what they take, what they give, and what they run. `v3` and `classic` show them.

None needs `fingerprint_inputs` or IS_CHANGED: what a node gives depends on its inputs alone, so
ComfyUI's own cache is right, and loading nodes notice a changed file themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from . import host
from .pairs import Driver, Mode, Resolution, Settings, check_pair, fix_pair, rank_references

CATEGORY = "wan-prep"
MODES = get_args(Mode)
RESOLUTIONS = get_args(Resolution)


@dataclass(frozen=True)
class Input:
    """kind: ComfyUI's type. options: of a COMBO. least, most, step: of a FLOAT."""

    id: str
    kind: str
    tooltip: str
    is_optional: bool = False
    default: Any = None
    options: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    step: float | None = None


@dataclass(frozen=True)
class Output:
    id: str
    kind: str
    tooltip: str


@dataclass(frozen=True)
class Node:
    id: str
    title: str
    description: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    run: Callable[..., tuple[Any, ...]]
    """Called with the inputs by id; gives the outputs in order."""


def check(
    reference: Any,
    mode: Mode,
    resolution: Resolution,
    driver: Any = None,
    driver_frames: Any = None,
    fps: float = 30.0,
    person: str = "",
) -> tuple[str, float, str, Any]:
    checked = check_pair(
        reference,
        Driver(driver, driver_frames, fps),
        _settings(mode, resolution, person),
        host.progress_bar(),
    )
    return checked.verdict, checked.score, checked.report, host.image_tensor(checked.overlay)


def fix(
    reference: Any,
    mode: Mode,
    resolution: Resolution,
    driver: Any = None,
    driver_frames: Any = None,
    fps: float = 30.0,
    person: str = "",
) -> tuple[Any, Any, str, float, float]:
    fixed = fix_pair(
        reference,
        Driver(driver, driver_frames, fps),
        _settings(mode, resolution, person),
        host.new_folder(),
        host.progress_bar(),
    )
    return (
        host.image_tensor(fixed.reference),
        host.video_of(fixed.driver),
        fixed.report,
        fixed.score_before,
        fixed.score_after,
    )


def rank(
    references: Any,
    mode: Mode,
    resolution: Resolution,
    driver: Any = None,
    driver_frames: Any = None,
    fps: float = 30.0,
    person: str = "",
) -> tuple[Any, int, float, str]:
    ranked = rank_references(
        references,
        Driver(driver, driver_frames, fps),
        _settings(mode, resolution, person),
        host.progress_bar(),
    )
    best = references[ranked.index : ranked.index + 1]
    return best, ranked.index, ranked.score, ranked.report


def _settings(mode: Mode, resolution: Resolution, person: str) -> Settings:
    return Settings(mode, resolution, person.strip() or None, host.cache_folder())


_CHOICES = (
    Input(
        "mode",
        "COMBO",
        "animate: the reference's character moves like the video. replace: the reference's "
        "character takes the place of the video's.",
        default="animate",
        options=MODES,
    ),
    Input(
        "resolution",
        "COMBO",
        "What the result will be made in; shapes and prices depend on it.",
        default="480p",
        options=RESOLUTIONS,
    ),
)
_DRIVER = (
    Input(
        "driver",
        "VIDEO",
        "The driving video. Its file is read as it is, with its frame rate, rotation and sound.",
        is_optional=True,
    ),
    Input(
        "driver_frames",
        "IMAGE",
        "The driving video as a batch of images, instead of `driver`.",
        is_optional=True,
    ),
    Input(
        "fps",
        "FLOAT",
        "Frames a second of `driver_frames`; a `driver` has its own.",
        is_optional=True,
        default=30.0,
        least=1.0,
        most=240.0,
        step=0.001,
    ),
    Input(
        "person",
        "STRING",
        "Whom to look at where there are several people: left, right, center, largest, a number "
        "from left to right, or a place such as 0.3,0.5. Empty: the main one.",
        is_optional=True,
        default="",
    ),
)
_REFERENCE = Input("reference", "IMAGE", "One picture of the character.")

NODES = (
    Node(
        "WanPrepCheckPair",
        "Check Pair (Wan2.2-Animate)",
        "Says whether a reference picture and a driving video fit together, and why not.",
        (_REFERENCE, *_CHOICES, *_DRIVER),
        (
            Output("verdict", "STRING", "ready, risky or not_ready."),
            Output("score", "FLOAT", "0 to 100."),
            Output("report", "STRING", "What is wrong, how much it matters, what to do about it."),
            Output("overlay", "IMAGE", "Both pictures with what was seen in them."),
        ),
        check,
    ),
    Node(
        "WanPrepFixPair",
        "Fix Pair (Wan2.2-Animate)",
        "Crops, pads, resamples and trims copies of both until they fit, and checks them again.",
        (_REFERENCE, *_CHOICES, *_DRIVER),
        (
            Output("reference", "IMAGE", "The picture, made to fit."),
            Output("driver", "VIDEO", "The video, made to fit, with its sound."),
            Output("report", "STRING", "What was done, and what is left to do."),
            Output("score_before", "FLOAT", "0 to 100, of the pair as it came."),
            Output("score_after", "FLOAT", "0 to 100, of the pair that was written."),
        ),
        fix,
    ),
    Node(
        "WanPrepRankReferences",
        "Rank References (Wan2.2-Animate)",
        "Says which of several reference pictures goes best with a driving video.",
        (
            Input("references", "IMAGE", "A batch of pictures to choose from."),
            *_CHOICES,
            *_DRIVER,
        ),
        (
            Output("best", "IMAGE", "The picture that goes best with the video."),
            Output("index", "INT", "Its number in the batch, from 0."),
            Output("score", "FLOAT", "0 to 100, with the video begun where it fits best."),
            Output("report", "STRING", "All of them, best first, with what each still needs."),
        ),
        rank,
    ),
)
CHECK, FIX, RANK = NODES
