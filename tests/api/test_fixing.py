"""plan and normalize on the fixture pair: real network, real ffmpeg."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wan_prep
from wan_prep import observing
from wan_prep.evidence import Evidence, Subject
from wan_prep.normalizers import carry_out
from wan_prep.normalizers.carry_out import prepare
from wan_prep.planning.model import Plan
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.report.model import Report

FIXTURES = Path(__file__).parents[2] / "fixtures"
DUET = Path(__file__).parents[3] / "shared/data/pairs/steadydancer_m1"
IMAGE, VIDEO = FIXTURES / "reference.png", FIXTURES / "driving.mp4"

pytestmark = [
    pytest.mark.model,
    pytest.mark.media,
    pytest.mark.slow,
    pytest.mark.usefixtures("looked_at_once"),
]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, seen_once: Any) -> wan_prep.NormalizedPair:
    folder = tmp_path_factory.mktemp("fixed") / "out"
    with pytest.MonkeyPatch.context() as patch:
        seen_once.install(patch)
        report = wan_prep.check(IMAGE, VIDEO)
        return wan_prep.normalize(wan_prep.plan(report), folder)


def test_the_fixed_pair_has_one_shape_and_no_bars(pair: wan_prep.NormalizedPair) -> None:
    assert pair.before.measures.first.aspect_gap == pytest.approx(1.25)
    assert pair.after.measures.first.aspect_gap == 1.0
    assert pair.after.output.bars_px == 0
    assert pair.after.score > pair.before.score + 5
    assert pair.after.verdict == "ready"


def test_everything_the_contract_names_is_there_and_nothing_else(
    pair: wan_prep.NormalizedPair,
) -> None:
    assert {p.name for p in pair.folder.iterdir()} == {
        "reference.png",
        "driving.mp4",
        "plan.json",
        "before.json",
        "report.json",
        "report.html",
    }
    after = Report.load(pair.folder / "report.json")
    assert after.score == pair.after.score
    assert after.image.path == str(pair.image)
    assert after.video.path == str(pair.video)
    assert Report.load(pair.folder / "before.json") == pair.before


def test_the_saved_report_is_that_of_the_written_files(
    pair: wan_prep.NormalizedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pair.after.image.sha256 == digest(pair.image)
    assert pair.after.video.sha256 == digest(pair.video)
    monkeypatch.undo()  # looked at again, indeed
    again = wan_prep.check(pair.image, pair.video)
    assert again.score == pytest.approx(pair.after.score, abs=0.5)


def test_a_saved_plan_repeats_the_run_exactly(
    pair: wan_prep.NormalizedPair, tmp_path: Path
) -> None:
    plan = Plan.load(pair.folder / "plan.json")
    assert plan.before is None
    again = wan_prep.normalize(plan, tmp_path / "again")
    assert digest(again.image) == digest(pair.image)
    assert digest(again.video) == digest(pair.video)


def test_what_is_there_stays_unless_it_may_be_replaced(pair: wan_prep.NormalizedPair) -> None:
    before = {p.name: digest(p) for p in pair.folder.iterdir()}
    with pytest.raises(wan_prep.OutputExists, match="--overwrite"):
        wan_prep.normalize(pair.plan, pair.folder)
    assert {p.name: digest(p) for p in pair.folder.iterdir()} == before


def test_a_fixed_pair_needs_nothing_more(pair: wan_prep.NormalizedPair, tmp_path: Path) -> None:
    plan = wan_prep.plan(wan_prep.check(pair.image, pair.video))
    assert not plan.changes_anything
    copied = wan_prep.normalize(plan, tmp_path / "copied")
    assert digest(copied.image) == digest(pair.image)
    assert digest(copied.video) == digest(pair.video)


def test_a_part_that_is_asked_for_is_what_is_written(tmp_path: Path) -> None:
    options = wan_prep.PlanOptions(start=Fraction("0.4"), end=Fraction("1.6"))
    plan = wan_prep.plan(wan_prep.check(IMAGE, VIDEO), options)
    fixed = wan_prep.normalize(plan, tmp_path / "part")
    assert fixed.after.video.duration_s == pytest.approx(1.2, abs=1 / 24)


# ------------------------------------------------------------------ a fix that makes it worse


@pytest.fixture(scope="module")
def brief(network: MediapipeEstimator, brief_clip: Path) -> Report:
    """Each plan that is tried is written and looked at again: of a clip that is soon looked at."""
    return wan_prep.check(IMAGE, brief_clip, estimator=network)


def turned_away(evidence: Evidence) -> Evidence:
    """Everybody in it turned by 90 deg about the vertical, joints where they are in the picture."""
    quarter = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])

    def turned(subject: Subject | None) -> Subject | None:
        if subject is None or subject.view_matrix is None:
            return subject
        return subject.changed(
            world_xyz=subject.world_xyz @ quarter.T, view_matrix=quarter @ subject.view_matrix
        )

    seen = tuple(o.changed(subject=turned(o.subject)) for o in evidence.observations)
    return evidence.changed(observations=seen)


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets `observe_image` or `observe_video` see everybody in written files turned away."""

    def spoiled(name: str) -> None:
        observe = getattr(observing, name)

        def worse(*given: Any, **named: Any) -> Evidence:
            return turned_away(observe(*given, **named))

        monkeypatch.setattr(observing, name, worse)

    return spoiled


def test_a_picture_that_comes_out_worse_is_left_as_it_is(
    brief: Report,
    network: MediapipeEstimator,
    spoil: Callable[[str], None],
    tmp_path: Path,
) -> None:
    spoil("observe_image")
    plan = wan_prep.plan(brief, estimator=network)
    fixed = wan_prep.normalize(plan, tmp_path / "out", estimator=network)
    assert digest(fixed.image) == digest(IMAGE)
    assert fixed.after.score >= fixed.before.score - 3.0
    (step,) = [s for s in fixed.plan.steps if s.title == "leave the framing of the image as it is"]
    assert step.applied
    assert step.reason.endswith(f"and {fixed.before.score:.1f} as it was given")
    assert Plan.load(fixed.folder / "plan.json").image.copy_bytes


def test_where_nothing_comes_out_better_both_files_stay_as_they_are(
    brief: Report,
    network: MediapipeEstimator,
    spoil: Callable[[str], None],
    tmp_path: Path,
) -> None:
    spoil("observe_image")
    spoil("observe_video")
    plan = wan_prep.plan(brief, estimator=network)
    fixed = wan_prep.normalize(plan, tmp_path / "out", estimator=network)
    assert (digest(fixed.image), digest(fixed.video)) == (
        digest(IMAGE),
        digest(Path(str(brief.video.path))),
    )
    assert fixed.after.score == fixed.before.score


def test_a_pair_that_can_only_come_out_worse_is_not_published(
    brief: Report,
    network: MediapipeEstimator,
    spoil: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A rate was asked for, so the clip cannot be copied."""
    spoil("observe_video")
    written: list[Plan] = []

    def prepared(plan: Plan, *given: Any, **named: Any) -> Any:
        written.append(plan)
        return prepare(plan, *given, **named)

    monkeypatch.setattr(carry_out, "prepare", prepared)
    options = wan_prep.PlanOptions(fps=Fraction(20), keep_start=True)
    plan = wan_prep.plan(brief, options, estimator=network)
    with pytest.raises(wan_prep.NormalizeFailed, match="submit the pair as it is"):
        wan_prep.normalize(plan, tmp_path / "out", estimator=network)
    assert not list((tmp_path / "out").glob("*"))
    work = [(plan.image, plan.video) for plan in written]
    assert len(work) >= 2
    assert all(one not in work[:k] for k, one in enumerate(work)), "nothing is written twice"


def test_a_plan_needs_evidence_and_the_figures_it_was_made_with(tmp_path: Path) -> None:
    report = wan_prep.check(IMAGE, VIDEO)
    with pytest.raises(wan_prep.EvidenceMissing):
        wan_prep.plan(Report.model_validate_json(report.public_json()))
    own = tmp_path / "own.toml"
    own.write_text("[tolerances.zoom]\nfine = 0.5\n", "utf-8")
    with pytest.raises(wan_prep.WanPrepError, match="other figures"):
        wan_prep.plan(report, profile=wan_prep.load_profile(own))


# ------------------------------------------------------------------ the person one means


@pytest.mark.shared_data
@pytest.mark.skipif(not DUET.is_dir(), reason="the real media of ../shared/data are not here")
def test_the_smaller_of_two_gets_a_pair_in_which_the_model_takes_her(
    network: MediapipeEstimator, tmp_path: Path
) -> None:
    """He is larger in the image and in most of the clip; one window of each leaves him out."""
    report = wan_prep.check(
        DUET / "image.png", DUET / "video.mp4", person="left", end=2, estimator=network
    )
    assert {"WP507", "WP517"} <= {f.code for f in report.findings}
    options = wan_prep.PlanOptions(end=Fraction(2))
    plan = wan_prep.plan(report, options, estimator=network)
    fixed = wan_prep.normalize(plan, tmp_path / "out", estimator=network)
    assert not {"WP507", "WP517"} & {f.code for f in fixed.after.findings}
    assert fixed.after.score > report.score + 20
    assert fixed.after.verdict == "ready"
    # Whoever looks at what was written finds her without being told.
    untold = wan_prep.observe(fixed.image, estimator=network)
    assert untold.first is not None
    assert untold.first.subject is not None
    written = fixed.after.evidence()[0].first
    assert written is not None
    assert written.subject is not None
    assert untold.first.subject.box.iou(written.subject.box) > 0.9
    # The plan that was saved knows whom it is about.
    saved = Plan.load(fixed.folder / "plan.json")
    assert (str(saved.image_person), str(saved.video_person), saved.before) == ("left",) * 2 + (
        None,
    )
    again = wan_prep.normalize(saved, tmp_path / "again", estimator=network)
    assert (digest(again.image), digest(again.video)) == (digest(fixed.image), digest(fixed.video))
    assert again.after.score == fixed.after.score
    assert again.before.subject.image.person == report.subject.image.person
