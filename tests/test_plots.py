from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wan_prep import figures
from wan_prep.errors import DependencyMissing, EvidenceMissing
from wan_prep.learning.summary import OutcomeSummary
from wan_prep.planning.model import Plan
from wan_prep.profile import default_profile
from wan_prep.report.assemble import build_report
from wan_prep.report.model import Report, Tool
from wan_prep.stills import Still
from wan_prep.visual.pictures import Pictures

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def report(make: Any) -> Report:
    """The clip begins turned away, and its person leaves for the last second."""
    turned = make.body(make.turned("y", 70.0))
    return build_report(
        make.image(), make.video([turned, *["adult"] * 13, None, None]), mode="animate",
        resolution="720p", profile=default_profile(), tool=Tool(name="wan-prep", version="0.0"),
    )  # fmt: skip


@pytest.fixture
def pictures() -> Pictures:
    _, jpeg = cv2.imencode(".jpg", np.full((64, 36, 3), 128, np.uint8))
    still = Still(0.0, 36, 64, jpeg.tobytes())
    return Pictures(still, still, still)


@pytest.fixture
def plan(report: Report, a_plan: Callable[..., Plan]) -> Plan:
    window = {"left": -36, "top": 0, "width": 792, "height": 1280}
    span = {"name": "driving.mp4", "start": 1, "end": 7}
    geometry = {"window": window, "width": 792, "height": 1280, "rotate_deg": 3}
    video = {"source": "b", "sha256": "", "spans": [span], "fps": 30, "geometry": geometry}
    return a_plan(resolution="720p", video=video, before=report)


def pixels(figure: Any) -> np.ndarray:
    """(h, w, 3) as drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn: np.ndarray = np.asarray(canvas.buffer_rgba())[:, :, :3]
    assert drawn.std() > 5, "not an empty sheet"
    return drawn


def test_a_timeline(report: Report, plan: Plan) -> None:
    figure = figures.timeline(report, plan=plan)
    pixels(figure)
    tracks = figure.axes
    assert [ax.get_ylabel() for ax in tracks] == [
        "pose distance", "zoom", "view", "face size", "people"
    ]  # fmt: skip
    times, view = tracks[2].lines[0].get_data()
    assert list(times[:2]) == [0.0, 0.5]
    assert view[:2] == pytest.approx([70.0, 0.0], abs=0.01)
    assert np.isnan(view[-2:]).all(), "nobody there"
    assert list(tracks[4].lines[0].get_ydata()) == [1] * 14 + [0] * 2
    assert tracks[1].yaxis.get_major_formatter()(0.0, 0) == "1.00×"
    assert tracks[0].get_title() == "hero.png against dance.mp4"


@pytest.mark.parametrize("shapes_wh", [((520, 520), (416, 520)), ((320, 180), (320, 180))])
def test_nothing_is_cut_off_at_the_edges_of_a_figure(
    report: Report, shapes_wh: tuple[tuple[int, int], ...]
) -> None:
    """At its first drawing, which is the one that `savefig` keeps."""
    stills = []
    for width, height in (*shapes_wh, shapes_wh[1]):
        _, jpeg = cv2.imencode(".jpg", np.full((height, width, 3), 128, np.uint8))
        stills.append(Still(0.0, width, height, jpeg.tobytes()))
    drawn = pixels(figures.overlay(report, Pictures(*stills)))
    for edge in (drawn[:2], drawn[-2:], drawn[:, :2], drawn[:, -2:]):
        assert edge.min() == 255


def test_a_name_is_no_formula(report: Report) -> None:
    facts = report.image.model_copy(update={"path": "x/$\\alpha$ \u202e.png"})
    figure = figures.timeline(report.model_copy(update={"image": facts}))
    pixels(figure)
    assert figure.axes[0].get_title().startswith(r"alpha\$ \u202e.png against")


def test_an_overlay(report: Report, pictures: Pictures) -> None:
    figure = figures.overlay(report, pictures)
    pixels(figure)
    assert [ax.get_title() for ax in figure.axes] == [
        "Reference image", "First frame, 0.00 s", "Best start, 0.00 s"
    ]  # fmt: skip
    assert figure.axes[0].get_xlim() == (0.0, 36.0)
    assert figure.axes[0].get_ylim() == (64.0, 0.0)
    assert len(figure.axes[0].lines) > 12, "a skeleton"


def test_windows(plan: Plan, report: Report, pictures: Pictures) -> None:
    figure = figures.windows(plan, pictures=pictures)
    pixels(figure)
    image, video = figure.axes
    assert image.get_xlabel() == "copied as it is"
    assert video.get_xlim() == (-36.0, 756.0)
    assert video.get_xlabel().startswith("turned 3.0° clockwise, 792 × 1280 px from -36, 0, padded")
    alone = plan.model_copy(update={"before": None})
    with pytest.raises(EvidenceMissing):
        figures.windows(alone, pictures=pictures)
    assert len(figures.windows(alone, report, pictures).axes) == 2


@pytest.mark.media
def test_pictures_are_taken_where_none_are_given(report: Report) -> None:
    from wan_prep.media.images import probe_image
    from wan_prep.media.probe import probe_video

    image, video = report.evidence()
    paths = FIXTURES / "reference.png", FIXTURES / "driving.mp4"
    real = {
        "image_evidence": image.model_copy(
            update={"path": str(paths[0]), "info": probe_image(paths[0], max_pixels=10**7)}
        ),
        "video_evidence": video.model_copy(
            update={"path": str(paths[1]), "info": probe_video(paths[1])}
        ),
    }
    figure = figures.overlay(report.model_copy(update=real))
    assert figure.axes[0].images[0].get_array().shape == (520, 520, 3)


def test_no_pictures_no_panels(report: Report) -> None:
    assert figures.overlay(report, Pictures()).axes == []


def test_without_matplotlib(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DependencyMissing, match=r"pip install 'wan-prep\[notebook\]'"):
        figures.timeline(report)


def test_a_skeleton(make: Any) -> None:
    clip = make.video(["adult", None]).changed(path="x/dance $1.mp4")
    figure = figures.skeleton(clip, 0.0, mode="replace", resolution="480p")
    pixels(figure)
    (ax,) = figure.axes
    assert (ax.get_title(), ax.get_xlabel()) == (r"dance \$1.mp4, 0.00 s", "464 × 832")
    drawn = ax.images[0].get_array()
    assert drawn.shape == (832, 464, 3)
    # The nose, at half of the width and 260 of 1280 px of the clip, is drawn in red.
    assert tuple(drawn[round(260 * 464 / 720) + 4, 232]) == (255, 0, 0)
    nobody = figures.skeleton(clip, 0.5, mode="replace")
    assert nobody.axes[0].get_xlabel() == "464 × 832, nobody"
    assert not nobody.axes[0].images[0].get_array().any()
    still = make.image(width=1000, height=1000)
    assert figures.skeleton(clip, partner=still).axes[0].get_xlabel() == "624 × 624"
    assert figures.skeleton(still).axes[0].get_title() == "hero.png"
    with pytest.raises(EvidenceMissing, match="could not be read"):
        figures.skeleton(make.unreadable("video"))


def test_a_calibration_names_its_counts_and_says_when_it_is_a_guess() -> None:
    def summary(enough: int) -> OutcomeSummary:
        moment = {"noted_at": "2026-11-22T12:00:00Z", "image": "a", "video": "b"}
        kind = {"mode": "animate", "resolution": "480p", "why": None}
        return OutcomeSummary.model_validate(
            {
                "profile": {"name": "p", "version": "1", "sha256": "a" * 64},
                "count": 2, "scored": 2, "good": 1, "bad": 1, "enough": enough,
                "auc": (1.0, 0.1, 1.0),
                "bins": [{"score_low": 40.0, "score_high": 90.0, "count": 2, "good": 1,
                          "share_good": (0.5, 0.1, 0.9)}],
                "curve": {"alpha": 2.0, "beta": 4.0},
                "outcomes": [
                    {"name": "x", "score": score, "outcome": outcome, **moment, **kind}
                    for score, outcome in ((40.0, "bad"), (90.0, "good"), (None, "good"))
                ],
            }
        )  # fmt: skip

    guess, counts = figures.calibration(summary(30)).axes
    assert [text.get_text() for text in guess.texts] == ["1 of 2"]
    assert [t.get_text() for t in guess.get_legend().texts] == [
        "fitted, of few outcomes: mostly a guess"
    ]
    assert sum(bar.get_height() for bar in counts.patches) == 2, "what has no score is left out"
    sure = figures.calibration(summary(2)).axes[0]
    assert [t.get_text() for t in sure.get_legend().texts] == ["fitted"]
