from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import EvidenceMissing
from wan_prep.geometry import Box
from wan_prep.planning.model import Plan
from wan_prep.report.model import Report
from wan_prep.stills import Still
from wan_prep.visual.annotated_frames import (
    AnnotatedFrame,
    overlay,
    pair_annotated_frames,
    planned_crops,
)
from wan_prep.visual.drawing import Placed
from wan_prep.visual.pictures import Pictures, best_observation, pair_pictures, thumbnail_times
from wan_prep.visual.series import context_of

Check = Callable[..., Report]
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def later_better(check: Check, make: Any) -> Report:
    """The clip begins with another view; from its second sample on the pair agrees."""
    turned = make.body(make.turned("y", 70.0))
    return check(video=make.video([turned, *["adult"] * 15]))


def annotated_frames(
    report: Report, pictures: Pictures, prefix: str = ""
) -> tuple[AnnotatedFrame, ...]:
    return pair_annotated_frames(report, context_of(report), pictures, prefix)


# ------------------------------------------------------------------ which pictures


def test_the_best_start_is_shown_where_it_is_another_one(
    check: Check, later_better: Report
) -> None:
    best = best_observation(later_better)
    assert best is not None
    assert float(best.time) == later_better.best_start_s == 0.5
    assert best_observation(check()) is None


def test_thumbnails_are_the_middles_of_equal_parts(make: Any) -> None:
    assert [float(t) for t in thumbnail_times(make.video())][:3] == pytest.approx([1 / 3, 1, 5 / 3])
    assert len(thumbnail_times(make.video())) == 12
    assert len(thumbnail_times(make.video(duration=1))) == 5
    assert thumbnail_times(make.video(duration=0)) == [0]


@pytest.mark.media
def test_pictures_of_real_files(check: Check, make: Any) -> None:
    image, video = FIXTURES / "reference.png", FIXTURES / "driving.mp4"
    from wan_prep.media.images import probe_image
    from wan_prep.media.probe import probe_video

    seen_image = make.image(evidence={"info": probe_image(image, max_pixels=10**7)})
    seen_video = make.video(["adult"] * 5, evidence={"info": probe_video(video)})
    made = pair_pictures(check(seen_image, seen_video), image, video)
    assert made.image is not None
    assert made.first is not None
    assert (made.image.width, made.image.height) == (520, 520)
    assert (made.first.width, made.first.height, made.first.time_s) == (416, 520, 0.0)
    assert made.best is None
    assert len(made.thumbnails) == 12
    assert {(t.width, t.height) for t in made.thumbnails} == {(120, 150)}


def test_files_that_cannot_be_read_have_no_pictures(check: Check, make: Any) -> None:
    report = check(make.unreadable("image"), make.unreadable("video"))
    assert pair_pictures(report) == Pictures()
    with pytest.raises(EvidenceMissing):
        pair_pictures(report.model_copy(update={"video_evidence": None}))


# ------------------------------------------------------------------ what is said of them


def test_a_pair(later_better: Report, pictures: Pictures) -> None:
    image, first, best = annotated_frames(later_better, pictures, prefix="x-")
    assert [s.key for s in (image, first, best)] == ["x-image", "x-first", "x-best"]
    assert [s.title for s in (image, first, best)] == [
        "Reference image", "First frame, 0.00 s", "Best start, 2.00 s"
    ]  # fmt: skip
    assert image.alt == (
        "Reference image: the whole body, the frame shows 2.56 m from top to bottom, "
        "neck at 50%, 27%, face 115 px across"
    )
    assert image.drawing is not None
    assert image.drawing.other_frame is not None
    assert best.drawing is not None


def test_whoever_was_not_recognised(check: Check, make: Any, pictures: Pictures) -> None:
    image, first = annotated_frames(
        check(make.image(None), make.video([make.subject(face=None)])), pictures
    )
    assert image.facts == ("no body recognised",)
    assert image.drawing is None
    assert first.facts[-1] == "no face in the frame"
    guess = make.face.model_copy(update={"confidence": 0.3})
    _, first = annotated_frames(check(video=make.video([make.subject(face=guess)])), pictures)
    assert first.facts[-1] == "face not recognised, head 115 px across"


def test_no_pictures(check: Check) -> None:
    report = check()
    assert annotated_frames(report, Pictures()) == ()
    assert overlay("x", report, context_of(report), ()) is None


def test_the_overlay_lies_in_the_deciding_shape(
    check: Check, make: Any, still: Callable[..., Still]
) -> None:
    # A square image and a 9:16 video.
    square = make.image(width=1280)
    pictures = Pictures(still(64, 64), still(36, 64))
    for mode, canvas, over, under in (
        ("animate", (720, 720), Placed(0, 0, 720, 720), Placed(157.5, 0, 405, 720)),
        ("replace", (405, 720), Placed(0, 157.5, 405, 405), Placed(0, 0, 405, 720)),
    ):
        report = check(square, mode=mode)
        made = overlay("x", report, context_of(report), annotated_frames(report, pictures))
        assert made is not None
        assert made.canvas == canvas
        assert (made.over.placed, made.under.placed) == (over, under)
        assert made.over.frame.kind == "image"
        assert made.over.scale == pytest.approx(over.width / 64)


def test_what_a_plan_takes(check: Check, pictures: Pictures, planned: Callable[..., Plan]) -> None:
    report = check()
    context = context_of(report)
    (image, cut), (video, pad) = planned_crops(
        planned(report), context, annotated_frames(report, pictures)
    )
    assert (image.kind, video.kind) == ("image", "video")
    assert cut is not None
    assert pad is not None
    assert tuple(cut.window) == (60, 40, 660, 1040)
    assert tuple(cut.shown) == (0, 0, 720, 1280)
    assert cut.words == ("turned 2.5° clockwise, 600 × 1000 px from 60, 40, written as 576 × 960")
    assert tuple(pad.shown) == (-24, 0, 744, 1280)
    assert pad.words == (
        "768 × 1280 px from -24, 0, padded with its edge drawn out, written as 576 × 960"
    )


def test_what_a_plan_leaves_alone(
    check: Check, pictures: Pictures, planned: Callable[..., Plan]
) -> None:
    report = check()
    plan = planned(
        report,
        image={"source": "a", "sha256": "", "name": "reference.png", "copy_bytes": True},
        video={
            "source": "b", "sha256": "", "fps": 30,
            "spans": [{"name": "driving.mp4", "start": 0, "end": 8}],
            "geometry": {"window": {"left": 0, "top": 0, "width": 720, "height": 1280},
                         "width": 720, "height": 1280, "rotate_deg": -1},
        },
    )  # fmt: skip
    (_, copied), (_, whole) = planned_crops(
        plan, context_of(report), annotated_frames(report, pictures)
    )
    assert copied is None
    assert whole is not None
    assert whole.words == "turned 1.0° counter-clockwise, taken whole, written as 720 × 1280"
    assert whole.window == Box(0, 0, 720, 1280)
