"""The nodes' work on real media: what a graph gets is what the command line says of the files."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

import wan_prep
from fake_comfy import FakeTensor, FakeVideo, inner
from wan_prep.errors import WanPrepError
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE, VIDEO = FIXTURES / "reference.png", FIXTURES / "driving.mp4"

pytestmark = [pytest.mark.model, pytest.mark.media, pytest.mark.usefixtures("looked_at_once")]


@pytest.fixture
def pairs(classic: Any) -> Any:
    return inner(classic, "pairs")


@pytest.fixture
def animate(pairs: Any) -> Any:
    return pairs.Settings("animate", "480p")


@pytest.fixture
def reference() -> FakeTensor:
    """What Load Image gives of the fixture."""
    return FakeTensor(np.asarray(Image.open(IMAGE).convert("RGB"), np.float32)[np.newaxis] / 255)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the fixture lying on its side, upright by metadata only, with a tone."""
    folder = tmp_path_factory.mktemp("turned")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
    lying = [*ffmpeg, "-i", VIDEO, *tone, "-vf", "transpose=1", "-crf", "8", "-t", "1"]
    subprocess.run([*lying, folder / "lying.mp4"], check=True)
    by_metadata = ["-display_rotation", "90", "-i", folder / "lying.mp4", "-c", "copy"]
    subprocess.run([*ffmpeg, *by_metadata, folder / "turned.mp4"], check=True)
    return folder / "turned.mp4"


def quiet(_what: str, _share: float | None) -> None:
    pass


def test_a_pair_of_a_graph_is_judged_like_its_files(
    pairs: Any, animate: Any, reference: FakeTensor, scratch: Path
) -> None:
    expected = wan_prep.check(IMAGE, VIDEO)
    for source in (str(VIDEO), io.BytesIO(VIDEO.read_bytes())):
        found = pairs.check_pair(reference, pairs.Driver(FakeVideo(source)), animate, quiet)
        assert found.score == pytest.approx(expected.score, abs=0.01)
        assert found.verdict == expected.verdict == "risky"
        assert "WP201 warning the aspect ratios differ" in found.report
        assert found.overlay.dtype == np.float32
        assert found.overlay.shape[0] == 1
        assert found.overlay.shape[3] == 3
        assert (found.overlay.min(), found.overlay.max()) == (0.0, 1.0)
        assert list(scratch.iterdir()) == [], "nothing is left behind"


def test_a_batch_of_frames_is_judged_like_the_file_they_come_from(
    pairs: Any, animate: Any, reference: FakeTensor
) -> None:
    """But for the second encode, and for the sound that images have not."""
    frames = np.stack([frame.rgb() for frame in decode(VIDEO, probe_video(VIDEO))])
    driver = pairs.Driver(frames=FakeTensor(frames / np.float32(255)), fps=30.0)
    found = pairs.check_pair(reference, driver, animate, quiet)
    assert found.score == pytest.approx(wan_prep.check(IMAGE, VIDEO).score, abs=1.0)


def test_mode_person_and_trim_count(pairs: Any, reference: FakeTensor) -> None:
    settings = pairs.Settings("replace", "720p", "1")
    video = FakeVideo(str(VIDEO), start_time=0.5, duration=1.5)
    found = pairs.check_pair(reference, pairs.Driver(video), settings, quiet)
    expected = wan_prep.check(
        IMAGE, VIDEO, mode="replace", resolution="720p", start=0.5, end=2.0, person=1
    )
    assert found.score == pytest.approx(expected.score, abs=0.01)
    assert "replace, 720p" in found.report


def test_an_unreadable_video_is_a_finding(
    pairs: Any, animate: Any, reference: FakeTensor, scratch: Path
) -> None:
    driver = pairs.Driver(FakeVideo(io.BytesIO(b"no video at all")))
    found = pairs.check_pair(reference, driver, animate, quiet)
    assert found.verdict == "not_ready"
    assert "WP1" in found.report
    assert found.overlay.std() > 0.05, "the reference is shown"
    assert list(scratch.iterdir()) == []


def test_an_unreadable_video_cannot_be_fixed_and_the_reason_is_named(
    pairs: Any, animate: Any, reference: FakeTensor, scratch: Path, tmp_path: Path
) -> None:
    driver = pairs.Driver(FakeVideo(io.BytesIO(b"no video at all")))
    with pytest.raises(WanPrepError, match="video"):
        pairs.fix_pair(reference, driver, animate, tmp_path / "fixed", quiet)
    assert not (tmp_path / "fixed").exists()
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_a_pair_is_made_to_fit_and_outlives_the_node(
    pairs: Any, animate: Any, reference: FakeTensor, scratch: Path, tmp_path: Path
) -> None:
    driver = pairs.Driver(FakeVideo(str(VIDEO)))
    fixed = pairs.fix_pair(reference, driver, animate, tmp_path / "temp" / "fixed", quiet)
    assert fixed.score_before == pytest.approx(79.8, abs=1.0)
    assert fixed.score_after > fixed.score_before + 5
    assert fixed.reference.shape == (1, 624, 624, 3)
    info = probe_video(fixed.driver)
    assert info.width == info.height
    assert "risky → ready" in fixed.report
    assert fixed.report.endswith("report.html")
    assert Path(fixed.report.rpartition(": ")[2]).is_file()
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_rotation_and_sound_survive(
    pairs: Any, animate: Any, reference: FakeTensor, turned: Path, tmp_path: Path
) -> None:
    stored = probe_video(turned)
    assert (stored.width, stored.height, stored.rotation_deg) == (416, 520, 270)
    driver = pairs.Driver(FakeVideo(str(turned)))
    checked = pairs.check_pair(reference, driver, animate, quiet)
    assert checked.score == pytest.approx(wan_prep.check(IMAGE, turned).score, abs=0.01)
    assert "turned 270° by metadata" in checked.report
    fixed = pairs.fix_pair(reference, driver, animate, tmp_path / "fixed", quiet)
    info = probe_video(fixed.driver)
    assert info.has_audio
    assert info.rotation_deg == 0
    assert info.width == info.height
    first = next(iter(decode(fixed.driver, info))).rgb().astype(int)
    sky, roof = first[: info.height // 8].mean(), first[-info.height // 8 :].mean()
    assert sky > roof + 40, "upright"


def test_the_best_of_several_references(
    pairs: Any, animate: Any, reference: FakeTensor, scratch: Path
) -> None:
    empty, picture = np.full((520, 520, 3), 0.5, np.float32), reference[0].detach().cpu().float()
    batch = FakeTensor(np.stack([empty, picture.numpy()]))
    ranked = pairs.rank_references(batch, pairs.Driver(FakeVideo(str(VIDEO))), animate, quiet)
    assert ranked.index == 1
    assert ranked.score == wan_prep.rank([IMAGE], [VIDEO])[0].score_at_best_start
    assert "Set aside" in ranked.report
    assert "reference-000.png" in ranked.report
    assert list(scratch.iterdir()) == []


def test_references_without_anybody_cannot_be_ranked(pairs: Any, animate: Any) -> None:
    empty = FakeTensor(np.full((2, 64, 64, 3), 0.5, np.float32))
    with pytest.raises(WanPrepError, match="none of these references can be ranked: "):
        pairs.rank_references(empty, pairs.Driver(FakeVideo(str(VIDEO))), animate, quiet)


class Cancelled(BaseException):
    """What ComfyUI's progress bar raises where the person pressed Cancel."""


def cancelled_at(stage: str) -> Callable[[str, float | None], None]:
    def progress(what: str, _share: float | None) -> None:
        if what == stage:
            raise Cancelled

    return progress


def test_a_cancelled_check_leaves_nothing(
    pairs: Any, animate: Any, reference: FakeTensor, scratch: Path
) -> None:
    driver = pairs.Driver(FakeVideo(io.BytesIO(VIDEO.read_bytes())))
    with pytest.raises(Cancelled):
        pairs.check_pair(reference, driver, animate, cancelled_at("looking at the image"))
    assert list(scratch.iterdir()) == []


def test_a_cancelled_fix_leaves_nothing(
    pairs: Any, animate: Any, reference: FakeTensor, scratch: Path, tmp_path: Path
) -> None:
    driver = pairs.Driver(FakeVideo(str(VIDEO)))
    cancelled = cancelled_at("checking what was written")
    with pytest.raises(Cancelled):
        pairs.fix_pair(reference, driver, animate, tmp_path / "fixed", cancelled)
    assert not (tmp_path / "fixed").exists()
    assert list(scratch.iterdir()) == []
