"""The real networks once for real, and what every estimator behind the protocol must keep."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import zipfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import imageio_ffmpeg
import numpy as np
import pytest

import wan_prep
from proposing import proposals_of
from wan_prep import observing
from wan_prep.errors import PoseModelError
from wan_prep.media.frames import frames_at
from wan_prep.media.images import probe_image, read_image
from wan_prep.media.probe import probe_video
from wan_prep.pose.estimator import PoseEstimator, Proposal, RawFace, RawPose, Rgb
from wan_prep.pose.inference import find_face, infer_region, size_of, whole_square
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.pose.native_log import NativeLogHeldBack
from wan_prep.pose.plausible import doubts
from wan_prep.pose.skeleton import JOINT_COUNT, Joint
from wan_prep.pose.weights import FACE_BUNDLE, POSE_BUNDLE, SHIPPED, shipped_model

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures"
pytestmark = pytest.mark.model


class OneAdult:
    """A fake: one upright person in the middle of any picture that is not black."""

    name, sha256 = "one adult", "0" * 64

    def __init__(self, world: np.ndarray) -> None:
        self._world = world

    def poses(self, rgb: Rgb) -> list[RawPose]:
        if not rgb.any():
            return []
        height, width = rgb.shape[:2]
        points = (width / 2, height / 2) + self._world[:, :2] * (0.4 * height)
        return [RawPose(points, np.ones(JOINT_COUNT), self._world)]

    def proposals(self, rgb: Rgb, side_px: int) -> list[Proposal]:
        return proposals_of(self.poses(rgb))

    def face(self, rgb: Rgb) -> RawFace | None:
        if not rgb.any():
            return None
        grid = np.random.default_rng(0).uniform(0.3, 0.7, (468, 3))
        return RawFace(grid * (rgb.shape[1], rgb.shape[0], rgb.shape[1]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


@pytest.fixture(scope="module")
def reference() -> Rgb:
    path = FIXTURES / "reference.png"
    limit = 10_000_000
    return read_image(path, probe_image(path, max_pixels=limit), max_pixels=limit)


@pytest.fixture(scope="module")
def driving() -> Rgb:
    path = FIXTURES / "driving.mp4"
    return frames_at(path, probe_video(path), [Fraction(0)])[0].rgb()


@pytest.fixture
def mediapipe(network: MediapipeEstimator) -> MediapipeEstimator:
    return network


@pytest.fixture(params=["fake", "mediapipe"])
def estimator(request: pytest.FixtureRequest) -> PoseEstimator:
    if request.param == "fake":
        return OneAdult(request.getfixturevalue("make").adult())
    return request.getfixturevalue("mediapipe")  # type: ignore[no-any-return]


# ---- conformance: every estimator


def test_it_says_who_it_is(estimator: PoseEstimator) -> None:
    assert estimator.name
    assert re.fullmatch(r"[0-9a-f]{64}", estimator.sha256)


def test_it_finds_a_person(estimator: PoseEstimator, reference: Rgb) -> None:
    found = estimator.poses(reference)
    assert len(found) == 1
    assert found[0].keypoints_xy.shape == (33, 2)
    assert found[0].world_xyz.shape == (33, 3)
    assert ((found[0].visibility >= 0) & (found[0].visibility <= 1)).all()
    points, world = found[0].keypoints_xy, found[0].world_xyz
    assert points[Joint.NOSE, 1] < points[Joint.LEFT_HIP, 1] < points[Joint.LEFT_ANKLE, 1]
    assert world[Joint.NOSE, 1] < world[Joint.LEFT_HIP, 1] < world[Joint.LEFT_ANKLE, 1]
    assert points[Joint.LEFT_SHOULDER, 0] > points[Joint.RIGHT_SHOULDER, 0], "the person's own left"
    assert 1.0 < np.ptp(world[:, 1]) < 2.5, "metres"
    hips = world[[Joint.LEFT_HIP, Joint.RIGHT_HIP]].mean(axis=0)
    assert np.linalg.norm(hips) < 0.1


@pytest.mark.parametrize("shape", [(512, 512), (1, 1), (2, 700), (700, 2)])
def test_it_finds_nobody_in_nothing(estimator: PoseEstimator, shape: tuple[int, int]) -> None:
    black = np.zeros((*shape, 3), np.uint8)
    assert estimator.poses(black) == []
    assert estimator.face(black) is None


def test_it_keeps_nothing_between_calls(
    estimator: PoseEstimator, reference: Rgb, driving: Rgb
) -> None:
    first = estimator.poses(reference)[0]
    estimator.poses(driving)
    again = estimator.poses(reference)[0]
    assert np.array_equal(first.keypoints_xy, again.keypoints_xy)
    assert np.array_equal(first.world_xyz, again.world_xyz)


def test_it_leaves_the_picture_alone(estimator: PoseEstimator, reference: Rgb) -> None:
    before = reference.copy()
    estimator.poses(reference)
    estimator.face(reference)
    assert np.array_equal(before, reference)


def test_it_takes_pictures_that_are_views(estimator: PoseEstimator, reference: Rgb) -> None:
    mirrored = estimator.poses(reference[:, ::-1])
    plain = estimator.poses(np.ascontiguousarray(reference[:, ::-1]))
    assert np.array_equal(mirrored[0].keypoints_xy, plain[0].keypoints_xy)


# ---- the real one


@pytest.mark.parametrize("picture", ["reference", "driving"])
def test_the_person_of_the_fixtures_is_found(
    picture: str, mediapipe: MediapipeEstimator, request: pytest.FixtureRequest
) -> None:
    rgb: Rgb = request.getfixturevalue(picture)
    size = size_of(rgb)
    bodies = infer_region(rgb, whole_square(size), mediapipe)
    assert len(bodies) == 1
    assert doubts(bodies[0]) == ()
    inside = bodies[0].keypoints_xy / size
    assert ((inside > 0) & (inside < 1)).all(), "full body, in the frame"
    assert 0.4 < inside[Joint.NOSE, 0] < 0.6
    assert inside[Joint.NOSE, 1] < 0.35
    face = find_face(rgb, bodies[0], mediapipe)
    assert face is not None
    assert face.box.left < bodies[0].keypoints_xy[Joint.NOSE, 0] < face.box.right


def test_nothing_is_written_to_descriptor_2(
    reference: Rgb, capfd: pytest.CaptureFixture[str]
) -> None:
    with MediapipeEstimator() as estimator:
        assert estimator.poses(np.zeros((64, 64, 3), np.uint8)) == []
        assert estimator.poses(reference)
        estimator.face(reference[40:200, 180:340])
    os.write(2, b"the descriptor is back\n")
    assert capfd.readouterr() == ("", "the descriptor is back\n")


def test_what_others_write_there_meanwhile_arrives_whole_and_in_order(
    reference: Rgb, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [f"line {k}\n" for k in range(400)]
    working, written = threading.Event(), threading.Event()

    def write() -> None:
        working.wait()
        for k, line in enumerate(lines):
            # In two pieces, so that one may end where MediaPipe's begins.
            os.write(2, line[:4].encode())
            os.write(2, line[4:].encode())
            if k == len(lines) // 2:
                written.wait()

    def read_as_it_loads() -> None:
        with MediapipeEstimator() as estimator:
            working.set()
            estimator.poses(reference)
        written.set()

    threads = [threading.Thread(target=write), threading.Thread(target=read_as_it_loads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capfd.readouterr() == ("", "".join(lines))


def test_a_process_started_meanwhile_is_heard_to_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import os, sys; sys.stdin.read(); os.write(2, b'later\\n')"
    with NativeLogHeldBack():
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
        os.write(2, b"W0000 00:00:1795.1   17 feedback.cc:114] held back\nno line end")
    process.communicate(b"")
    heard = ""
    while "later\n" not in heard:
        heard += capfd.readouterr().err
    assert heard == "no line endlater\n"


def test_lines_that_only_resemble_those_of_mediapipe_pass(
    capfd: pytest.CaptureFixture[str],
) -> None:
    others = b"W1127 14:05:09.865721 17 other.cc:114] set up\nINFO: Created\n[W0000] x\n"
    with NativeLogHeldBack() as log:
        os.write(2, others + b"E0000 00:00:1.5 17 graph.cc:9] fail:\nCalculator::Run: x\n")
    assert capfd.readouterr().err.encode() == others
    said = "E0000 00:00:1.5 17 graph.cc:9] fail:\nCalculator::Run: x"
    assert log.said.split() == said.split()


def test_a_network_that_fails_on_a_picture_is_no_traceback(
    tmp_path: Path, reference: Rgb, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "swapped.task"
    with zipfile.ZipFile(shipped_model()) as good, zipfile.ZipFile(path, "w") as bundle:
        one, other = good.namelist()
        bundle.writestr(one, good.read(other))
        bundle.writestr(other, good.read(one))
    with (
        MediapipeEstimator(path) as estimator,
        pytest.raises(PoseModelError, match=r"swapped\.task: MediaPipe cannot use"),
    ):
        estimator.poses(reference)
    assert capfd.readouterr() == ("", "")


def test_no_descriptor_is_left_open() -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no /proc to count descriptors in")
    with MediapipeEstimator():
        pass
    before = len(list(folder.iterdir()))
    for _ in range(2):
        with MediapipeEstimator():
            pass
    assert len(list(folder.iterdir())) <= before


# ---- one estimator, many files


@pytest.fixture
def long_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two clips that count as long, so that the body is followed between full looks."""
    monkeypatch.setattr(observing, "LONG_FROM_S", 2)
    plain, moved = FIXTURES / "driving.mp4", tmp_path / "moved.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(plain), "-an"]
    command += ["-vf", "hflip,crop=iw*0.8:ih:iw*0.2:0", "-preset", "ultrafast", str(moved)]
    subprocess.run(command, check=True)
    return plain, moved


@pytest.mark.slow
@pytest.mark.media
def test_what_is_seen_does_not_depend_on_what_was_seen_before(
    mediapipe: MediapipeEstimator, long_clips: tuple[Path, Path]
) -> None:
    plain, moved = long_clips
    first = wan_prep.observe(plain, estimator=mediapipe)
    other = wan_prep.observe(moved, estimator=mediapipe)
    assert first.observations != other.observations
    assert wan_prep.observe(plain, estimator=mediapipe) == first
    together: dict[Path, Any] = {}

    def look_at(path: Path) -> None:
        together[path] = wan_prep.observe(path, estimator=mediapipe)

    threads = [threading.Thread(target=look_at, args=(path,)) for path in long_clips]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == {plain: first, moved: other}


# ---- bundles


def deflated(path: Path) -> None:
    with zipfile.ZipFile(shipped_model()) as good:
        parts = {name: good.read(name) for name in good.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, part in parts.items():
            bundle.writestr(name, part)


def hollow(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as bundle:
        for name in ("pose_detector.tflite", "pose_landmarks_detector.tflite"):
            bundle.writestr(name, b"not a network")


def of_a_face(path: Path) -> None:
    path.write_bytes(shipped_model(FACE_BUNDLE).read_bytes())


def half(path: Path) -> None:
    path.write_bytes(shipped_model().read_bytes()[:4_000_000])


def half_a_directory(path: Path) -> None:
    content = bytearray(shipped_model().read_bytes())
    content[content.rindex(b"PK\x01\x02") : content.rindex(b"PK\x01\x02") + 4] = b"XXXX"
    path.write_bytes(content)


BAD = (
    deflated,
    hollow,
    of_a_face,
    half,
    half_a_directory,
    lambda path: path.touch(),
    lambda path: path.write_text("hello"),
    lambda path: path.mkdir(),
    lambda path: os.mkfifo(path),
    lambda path: None,
)


@pytest.mark.parametrize("make", BAD, ids=range(len(BAD)))
def test_a_bad_bundle_is_one_line(
    make: object, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.task"
    make(path)  # type: ignore[operator]
    with pytest.raises(PoseModelError) as caught:
        MediapipeEstimator(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_bundle_exchanged_under_its_name_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "own.task"
    path.write_bytes(shipped_model().read_bytes())
    with MediapipeEstimator(path) as estimator:
        before = estimator.sha256
    with zipfile.ZipFile(path, "a") as bundle:
        bundle.writestr("note.txt", "another one")
    with MediapipeEstimator(path) as estimator:
        assert estimator.sha256 != before


def test_the_shipped_bundles_are_those_described() -> None:
    described = shipped_model("README.md").read_text("utf-8")
    for name, sha256 in SHIPPED.items():
        content = shipped_model(name).read_bytes()
        row = next(line for line in described.splitlines() if f"`{name}`" in line)
        assert hashlib.sha256(content).hexdigest() == sha256
        assert sha256 in row
        assert f"{len(content):,}".replace(",", " ") in row.replace("\u202f", " ")
    assert shipped_model("LICENSE").is_file()


def test_the_shipped_bundle_is_named_in_every_report(mediapipe: MediapipeEstimator) -> None:
    digest = hashlib.sha256(shipped_model().read_bytes()).hexdigest()
    assert (mediapipe.name, mediapipe.sha256) == (POSE_BUNDLE, digest)
