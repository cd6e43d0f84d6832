"""check → plan → fix → fix --plan → submit --dry-run, on tiny media, for any valid options.

The person is a painted board, and the pose network a stand-in that finds it by its colour: what is
held here is that the rooms agree with each other.
"""

from __future__ import annotations

import subprocess
import tempfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import wan_prep
from proposing import proposals_of
from wan_prep.api.sending import prepared
from wan_prep.media.files import sha256_of
from wan_prep.media.probe import probe_video
from wan_prep.normalizers.trim import frame_count
from wan_prep.normalizers.write import published_plan
from wan_prep.planning.model import Plan
from wan_prep.pose.estimator import Proposal, RawFace, RawPose

pytestmark = [pytest.mark.media, pytest.mark.slow]

FPS = 12
# The board holds the adult of the builders, who is 1.9 m from crown to toe and 0.5 m wide.
TOP_M, BOTTOM_M, HALF_WIDTH_M = -0.9, 1.0, 0.25
MAGENTA = (255, 0, 255)


class BoardFinder:
    """A pose network that sees the adult wherever a magenta board stands upright."""

    name, sha256 = "board finder", "f" * 64

    def __init__(self, world: np.ndarray) -> None:
        self._world = world

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        return None

    def poses(self, rgb: np.ndarray) -> list[RawPose]:
        red, green, blue = (rgb[..., k].astype(int) for k in range(3))
        board = (red > 150) & (blue > 150) & (green < 100)
        if board.sum() < 30:
            return []
        rows, columns = np.flatnonzero(board.any(axis=1)), np.flatnonzero(board.any(axis=0))
        px_per_m = (columns[-1] + 1 - columns[0]) / (2 * HALF_WIDTH_M)
        middle = (columns[0] + columns[-1] + 1) / 2
        points = (middle, rows[0] - TOP_M * px_per_m) + px_per_m * self._world[:, :2]
        return [RawPose(points, np.full(33, 0.99), self._world)]

    def proposals(self, rgb: np.ndarray, side_px: int) -> list[Proposal]:
        return proposals_of(self.poses(rgb))

    def follower(self) -> Self:
        return self

    def follow(self, rgb: np.ndarray) -> RawPose | None:
        return next(iter(self.poses(rgb)), None)

    def face(self, rgb: np.ndarray) -> RawFace | None:
        return None


def scene(width: int, height: int, middle_x: float, top_y: float, px_per_m: float) -> np.ndarray:
    """(height, width, 3) RGB: a board before a ramp of greys."""
    ramp = np.linspace(90, 160, width, dtype=np.uint8)
    rgb = np.repeat(np.repeat(ramp[None, :, None], height, axis=0), 3, axis=2)
    left, right = (round(middle_x + side * HALF_WIDTH_M * px_per_m) for side in (-1, 1))
    bottom = round(top_y + (BOTTOM_M - TOP_M) * px_per_m)
    cv2.rectangle(rgb, (left, round(top_y)), (right - 1, bottom - 1), MAGENTA, -1)
    return rgb


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two stills, a clip of 3 s that walks to the right, and one of 2 s with a hard cut."""
    folder = tmp_path_factory.mktemp("media")
    made = {}
    for name, size, placed in (
        ("square.png", (200, 200), (90, 20, 80)),
        ("wide.jpg", (260, 180), (140, 16, 72)),
    ):
        made[name] = folder / name
        cv2.imwrite(str(made[name]), cv2.cvtColor(scene(*size, *placed), cv2.COLOR_RGB2BGR))
    walk = [scene(160, 224, 60 + k, 24, 90) for k in range(3 * FPS)]
    shots = [scene(240, 176, 120, 12, 70 + 12 * (k >= FPS)) for k in range(2 * FPS)]
    for name, frames in (("walk.mp4", walk), ("shots.mp4", shots)):
        made[name] = folder / name
        height, width = frames[0].shape[:2]
        command = [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo"),
            *("-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FPS), "-i", "-"),
            *("-f", "lavfi", "-i", "sine=frequency=440", "-shortest", "-pix_fmt", "yuv420p"),
            *("-c:v", "libx264", "-crf", "14", str(made[name])),
        ]
        subprocess.run(command, input=b"".join(f.tobytes() for f in frames), check=True)
    return made


seconds = st.integers(1, 30).map(lambda tenths: Fraction(tenths, 10))


@st.composite
def options(draw: st.DrawFn) -> wan_prep.PlanOptions:
    start = draw(st.none() | seconds.filter(lambda s: s < 1))
    return wan_prep.PlanOptions(
        unsafe_fixes=draw(st.booleans()),
        keep_start=draw(st.booleans()),
        split=draw(st.booleans()),
        start=start,
        end=draw(st.none() | seconds.map(lambda s: (start or 0) + s)),
        max_seconds=draw(st.none() | seconds),
        max_cost=draw(st.none() | st.sampled_from([Decimal("0.40"), Decimal("0.80")])),
        fps=draw(st.none() | st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(7)])),
        pad=draw(st.sampled_from(["edge", "blur", "color"])),
        pad_color=draw(st.sampled_from(["#000000", "#20c0ff"])),
        image_format=draw(st.sampled_from([None, "png", "jpeg"])),
    )


@given(
    image=st.sampled_from(["square.png", "wide.jpg"]),
    video=st.sampled_from(["walk.mp4", "shots.mp4"]),
    mode=st.sampled_from(["animate", "replace"]),
    resolution=st.sampled_from(["480p", "720p"]),
    ignore=st.sampled_from([(), ("WP5",), ("WP201", "WP6")]),
    chosen=options(),
)
@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
def test_the_rooms_agree(
    make: Any,
    media: dict[str, Path],
    image: str,
    video: str,
    mode: Any,
    resolution: Any,
    ignore: tuple[str, ...],
    chosen: wan_prep.PlanOptions,
) -> None:
    sources = media[image], media[video]
    before = [sha256_of(path) for path in sources]
    finder = BoardFinder(np.asarray(make.subject().world_xyz))
    report = wan_prep.check(
        *sources, mode=mode, resolution=resolution, ignore=ignore, estimator=finder
    )
    assert report.subject.image.found
    assert report.subject.video.found
    plan = wan_prep.plan(report, chosen, estimator=finder)
    with tempfile.TemporaryDirectory() as folder:
        out, again = Path(folder) / "out", Path(folder) / "again"
        pair = wan_prep.normalize(plan, out, estimator=finder)
        repeated = wan_prep.normalize(Plan.load(out / "plan.json"), again, estimator=finder)
        hold_the_folder(pair, repeated)
        hold_the_clips(pair.plan, pair)
        hold_the_submission(pair, out)
    assert [sha256_of(path) for path in sources] == before


def hold_the_folder(pair: wan_prep.NormalizedPair, repeated: wan_prep.NormalizedPair) -> None:
    listed = published_plan(pair.folder).published
    assert listed is not None
    assert sorted([*(file.name for file in listed.files), "plan.json"]) == sorted(
        path.name for path in pair.folder.iterdir()
    )
    for one, other in zip(
        (pair.image, *pair.videos), (repeated.image, *repeated.videos), strict=True
    ):
        assert (one.name, sha256_of(one)) == (other.name, sha256_of(other))
    assert repeated.before == pair.before
    assert [r.score for r in repeated.reports] == [r.score for r in pair.reports]
    assert [r.deselected for r in pair.reports] == [pair.before.deselected] * len(pair.reports)


def hold_the_clips(plan: Plan, pair: wan_prep.NormalizedPair) -> None:
    for span, path, report in zip(plan.video.spans, pair.videos, pair.reports, strict=True):
        info = probe_video(path)
        if plan.video.geometry is not None and plan.video.fps is not None:
            assert (info.width, info.height) == (
                plan.video.geometry.width,
                plan.video.geometry.height,
            )
            assert info.frame_count == frame_count(span.end - span.start, plan.video.fps)
        assert report.video.duration_s == pytest.approx(float(info.duration), abs=1e-3)
        assert report.video.sha256 == sha256_of(path)
        assert report.output is not None
        for name in ("width", "height", "bars_px", "fps", "person_from"):
            assert getattr(report.output, name) == getattr(plan.output, name)
    seconds_written = sum(report.cost.seconds for report in pair.reports if report.cost)
    assert seconds_written == pytest.approx(plan.cost.seconds, abs=0.51 * len(pair.reports))


def hold_the_submission(pair: wan_prep.NormalizedPair, out: Path) -> None:
    """What would be sent are the written files, at the price that their report tells."""
    if len(pair.videos) == 1:
        ready = prepared(out, dry_run=True)
    else:
        with pytest.raises(wan_prep.InputPathError, match="split"):
            prepared(out, dry_run=True)
        plan = pair.plan
        ready = prepared(
            pair.image,
            pair.video,
            mode=plan.mode,
            resolution=plan.resolution,
            no_check=True,
            duration=pair.after.video.duration_s,
            dry_run=True,
        )
    request = ready.document()["request"]
    assert request["image"] == f"upload:sha256:{sha256_of(pair.image)}"
    assert request["video"] == f"upload:sha256:{sha256_of(pair.video)}"
    assert (request["mode"], request["resolution"]) == (pair.plan.mode, pair.plan.resolution)
    assert pair.after.cost is not None
    low, high = ready.intent.total_usd or (None, None)
    assert (float(low or 0), float(high or 0)) == (
        pair.after.cost.usd_low,
        pair.after.cost.usd_high,
    )
