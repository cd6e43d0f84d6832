"""The first frame of a part: the same one for whoever looks at it, shows it or writes it."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from wan_prep.media.frames import decode, frames_at
from wan_prep.media.probe import probe_video
from wan_prep.normalizers import trim
from wan_prep.observing import VideoReader, observe_video, observe_video_at
from wan_prep.planning.model import Span
from wan_prep.pose.estimator import Proposal, RawFace, RawPose
from wan_prep.profile import default_profile
from wan_prep.stills import video_stills

pytestmark = pytest.mark.media


class Nobody:
    """A network that never sees anybody, and keeps the mean of every picture it is given."""

    name, sha256 = "nobody", "0" * 64

    def __init__(self) -> None:
        self.means: list[float] = []

    def poses(self, rgb: np.ndarray) -> list[RawPose]:
        self.means.append(float(rgb.mean()))
        return []

    def proposals(self, _rgb: np.ndarray, side_px: int) -> list[Proposal]:
        return []

    def follow(self, _rgb: np.ndarray) -> RawPose | None:
        return None

    def face(self, _rgb: np.ndarray) -> RawFace | None:
        return None


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 frames a second, each lighter than the one before; none comes between 0.16 and 2 s."""
    path = tmp_path_factory.mktemp("held") / "held.mp4"
    source = "color=black:s=64x64:r=25:d=3,geq=lum='20+3*N':cb=128:cr=128"
    graph = f"{source},select='lt(n,5)+gte(n,50)'"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", graph]
    subprocess.run([*command, "-fps_mode", "passthrough", "-qp", "0", path], check=True)
    return path


def test_a_part_that_begins_in_a_held_frame_begins_with_it_and_at_its_own_start(held: Path) -> None:
    start, network = Fraction("1.9"), Nobody()
    with VideoReader(held, default_profile(), start=start) as opened:
        evidence = observe_video(opened, network)  # type: ignore[arg-type]
    assert evidence.start == start
    times = [o.time for o in evidence.observations]
    assert times[0] == start
    assert times[1] == 2, "the next frame is in its interval already"
    shown = frames_at(held, probe_video(held), [start])[0]
    assert shown.time == Fraction(4, 25)
    assert network.means[0] == pytest.approx(float(shown.rgb().mean()), abs=0.5)


def test_looking_at_a_time_tells_when_its_frame_came(held: Path) -> None:
    times = [Fraction("1.9"), Fraction(2)]
    evidence = observe_video_at(held, Nobody(), times, default_profile())  # type: ignore[arg-type]
    assert [o.time for o in evidence.observations] == [Fraction(4, 25), 2]


def test_stills_and_what_is_written_begin_with_the_same_frame(held: Path) -> None:
    info, start = probe_video(held), Fraction("1.9")
    still = video_stills(held, info, [start], 96)[0]
    first = next(decode(held, info, start=start))
    cut = trim.cut(held, info, Span(name="driving.mp4", start=start, end=Fraction(3)), Fraction(30))
    assert Fraction(still.time_s).limit_denominator(1000) == first.time == Fraction(4, 25)
    assert (cut.begin, cut.frames) == (start, 33)


@pytest.mark.media
def test_pictures_of_one_long_clip_are_compared_in_one_size(tmp_path: Path) -> None:
    """1920 x 1080 of pixels 1215:1216 is shown as 1920 x 1081: 768 x 432, but 768 x 433 when it is
    shrunk to 1280 x 721 first, as the template is."""
    path = tmp_path / "long.mp4"
    source = "color=gray:s=1920x1080:r=1:d=22,setsar=sar=1215/1216:max=2000"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    subprocess.run([*command, "-preset", "ultrafast", path], check=True)
    with VideoReader(path, default_profile()) as opened:
        evidence = observe_video(opened, Nobody())  # type: ignore[arg-type]
    assert (evidence.info.height if evidence.info else None) == 1081
    assert len(evidence.observations) == 22
