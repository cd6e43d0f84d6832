"""Builders that every test may use: a person made by hand, evidence around it, literal reports.

They come as fixtures, because modules under `--import-mode=importlib` do not import
each other.
"""

from __future__ import annotations

import struct
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import settings

from wan_prep import observing
from wan_prep.analyzers import BY_CODE
from wan_prep.api import judging
from wan_prep.evidence import Defect, Evidence, Face, ModelId, Observation, Subject
from wan_prep.findings import Finding, PairContext
from wan_prep.geometry import UNIT_BOX, Box, Size, ViewAngles, view_from_angles
from wan_prep.measures.side import SubjectInFrame
from wan_prep.media.files import sha256_of
from wan_prep.media.types import ImageInfo, VideoInfo
from wan_prep.planning.model import Plan, Published, PublishedFile
from wan_prep.planning.options import PlanOptions
from wan_prep.pose import body as bodies
from wan_prep.pose import mediapipe
from wan_prep.pose.body import Body
from wan_prep.pose.choice import LARGEST
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import default_profile
from wan_prep.report.model import Report
from wan_prep.report.scoring import Result, evaluate

FIXTURES = Path(__file__).parents[1] / "fixtures"

# A busy machine is no failure, and a failure must be the same one for everybody.
settings.register_profile("wan-prep", deadline=None, derandomize=True)
settings.load_profile("wan-prep")


@pytest.fixture(autouse=True)
def _home_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands keep what they see, and no test may see what another one, or the user, has kept."""
    monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path_factory.getbasetemp() / uuid.uuid4().hex))


# An adult of 1.8 m, standing, arms hanging, facing the camera: metres from the middle of the
# hips in camera axes (x right, y down, z away). The person's left is on the picture's right.
_MIDDLE = {"NOSE": (0.0, -0.68, -0.12)}
_LEFT = {
    "LEFT_EYE_INNER": (0.02, -0.72, -0.1),
    "LEFT_EYE": (0.03, -0.72, -0.1),
    "LEFT_EYE_OUTER": (0.045, -0.72, -0.1),
    "LEFT_EAR": (0.075, -0.70, 0.0),
    "MOUTH_LEFT": (0.025, -0.64, -0.1),
    "LEFT_SHOULDER": (0.2, -0.5, 0.0),
    "LEFT_ELBOW": (0.2, -0.2, 0.0),
    "LEFT_WRIST": (0.2, 0.05, 0.0),
    "LEFT_PINKY": (0.22, 0.13, 0.0),
    "LEFT_INDEX": (0.2, 0.14, 0.0),
    "LEFT_THUMB": (0.18, 0.12, 0.0),
    "LEFT_HIP": (0.15, 0.0, 0.0),
    "LEFT_KNEE": (0.15, 0.45, 0.0),
    "LEFT_ANKLE": (0.15, 0.9, 0.0),
    "LEFT_HEEL": (0.15, 0.95, 0.05),
    "LEFT_FOOT_INDEX": (0.15, 0.95, -0.12),
}
SIZE = Size(720, 1280)
FACE_SPAN_M = 0.1
FACE = Face(box=Box(0.42, 0.14, 0.58, 0.23), yaw_deg=0.0, pitch_deg=0.0, confidence=1.0)


def _adult() -> np.ndarray:
    world = np.zeros((33, 3))
    for name, place in _MIDDLE.items():
        world[Joint[name]] = place
    for name, (x, y, z) in _LEFT.items():
        world[Joint[name]] = (x, y, z)
        world[Joint[name.replace("LEFT", "RIGHT")]] = (-x, y, z)
    return world


class Make:
    """One method a thing; every default is that of a pair with nothing to complain about."""

    size = SIZE
    face = FACE

    @staticmethod
    def adult() -> np.ndarray:
        """(33, 3) m; `view_matrix` is exactly diag(1, -1, -1)."""
        return _adult()

    @staticmethod
    def rotation(axis: str, degrees: float) -> np.ndarray:
        """(3, 3) right-handed turn about the camera's x, y or z axis."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return np.array(
            {
                "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
                "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
                "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
            }[axis]
        )

    def turned(self, axis: str, degrees: float) -> np.ndarray:
        """The adult, turned as a whole."""
        return _adult() @ self.rotation(axis, degrees).T

    @staticmethod
    def body(
        world: np.ndarray | None = None,
        *,
        hips: tuple[float, float] = (360.0, 600.0),
        px_per_m: float = 500.0,
        size: tuple[int, int] = SIZE,
        visibility: float = 1.0,
    ) -> Body:
        """`world` seen from far away: exactly `px_per_m`, the middle of its hips at `hips`."""
        world = _adult() if world is None else world
        points = np.asarray(hips) + px_per_m * world[:, :2]
        return Body(points, np.full(33, visibility), world, world, Size(*size))

    def subject(self, body: Body | None = None, **changes: Any) -> Subject:
        """What evidence keeps of a body."""
        body = self.body() if body is None else body
        width, height = body.size
        facts = {
            "keypoints_xy": body.keypoints_xy / (width, height),
            "visibility": body.visibility,
            "world_xyz": body.world_xyz,
            "px_per_m": bodies.px_per_m(body),
            "view_matrix": bodies.view_matrix(body),
            "box": bodies.body_box(body).scaled(1.0 / width, 1.0 / height),
            "crown_y": bodies.crown_y(body) / height,
            "face": FACE,
            "looks": 1,
        }
        return Subject(**{**facts, **changes})

    def head(
        self,
        *,
        middle: tuple[float, float] = (0.5, 0.4),
        span_px: float = 240.0,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        size: tuple[int, int] = SIZE,
        guess: int = 0,
        **changes: Any,
    ) -> Subject:
        """A head alone: its face, an upright square of 1.25 spans, around `middle` (fractions).

        guess: seeds the places of the hidden joints, which lie anywhere, inside the picture and
        far outside.
        """
        centre, side = np.array(middle) * size, 1.25 * span_px
        world = self._head_world() @ self.rotation("z", roll).T
        points = centre + span_px / FACE_SPAN_M * world[:, :2]
        box = Box(*(centre - side / 2), *(centre + side / 2)).scaled(1 / size[0], 1 / size[1])
        crown_y = (centre[1] - side) / size[1]
        hidden = np.random.default_rng(guess)
        points[11:] = hidden.uniform(-2.0, 3.0, (22, 2)) * size
        world[11:] = hidden.uniform(-1.0, 1.0, (22, 3))
        face = Face(
            box=box, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, confidence=1.0, span_px=span_px
        )
        facts: dict[str, Any] = {
            "keypoints_xy": points / size,
            "visibility": np.arange(33) < 11,
            "world_xyz": world,
            "px_per_m": span_px / FACE_SPAN_M,
            "view_matrix": view_from_angles(ViewAngles(yaw, pitch, roll)),
            "box": Box(box.left, crown_y, box.right, box.bottom).clipped(UNIT_BOX),
            "crown_y": crown_y,
            "face": face,
            "looks": 3,
            "is_head": True,
        }
        return Subject(**{**facts, **changes})

    @staticmethod
    def _head_world() -> np.ndarray:
        """The adult around the middle of the face, in m; the ears beside the eyes."""
        return _adult() - (0.0, -0.69, 0.0)

    def framed(
        self,
        body: Body | None = None,
        *,
        content: Box = UNIT_BOX,
        **changes: Any,
    ) -> SubjectInFrame:
        body = self.body() if body is None else body
        return SubjectInFrame(self.subject(body, **changes), content, body.size)

    @staticmethod
    def image_info(**changes: Any) -> ImageInfo:
        facts: dict[str, Any] = {
            "path": "hero.png",
            "sha256": "a" * 64,
            "size_bytes": 900_000,
            "format": "PNG",
            "width": 720,
            "height": 1280,
            "stored_width": 720,
            "stored_height": 1280,
            "exif_orientation": 1,
            "color_mode": "RGB",
            "bit_depth": 8,
            "has_alpha": False,
            "has_icc_profile": False,
            "frame_count": 1,
        }
        return ImageInfo(**{**facts, **changes})

    @staticmethod
    def video_info(**changes: Any) -> VideoInfo:
        facts: dict[str, Any] = {
            "path": "dance.mp4",
            "sha256": "b" * 64,
            "size_bytes": 3_000_000,
            "container": "mp4",
            "codec": "h264",
            "pixel_format": "yuv420p",
            "bit_depth": 8,
            "width": 720,
            "height": 1280,
            "coded_width": 720,
            "coded_height": 1280,
            "sample_aspect_ratio": Fraction(1),
            "rotation_deg": 0,
            "is_interlaced": False,
            "color_transfer": "bt709",
            "is_hdr": False,
            "duration": Fraction(8),
            "duration_from_header": Fraction(8),
            "fps": Fraction(30),
            "fps_from_header": Fraction(30),
            "is_vfr": False,
            "frame_count": 240,
            "frame_count_from_header": 240,
            "first_pts": 0,
            "time_base": Fraction(1, 15360),
            "is_truncated": False,
            "has_audio": True,
            "audio_codec": "aac",
            "audio_start": Fraction(0),
            "audio_duration": Fraction(8),
        }
        return VideoInfo(**{**facts, **changes})

    def image(
        self,
        subject: Subject | Body | str | None = "adult",
        *,
        others: Sequence[Box] = (),
        evidence: dict[str, Any] | None = None,
        **info: Any,
    ) -> Evidence:
        """Evidence of a still; `info` changes its facts, `evidence` the rest."""
        observation = Observation(
            time=Fraction(0), subject=self._as_subject(subject), others=tuple(others)
        )
        return Evidence(
            kind="image",
            path="hero.png",
            info=self.image_info(**info),
            pose_model=ModelId(name="fake", sha256="c" * 64),
            observations=(observation,),
        ).model_copy(update=evidence or {})

    def video(
        self,
        subjects: Sequence[Subject | Body | str | None] = ("adult",) * 16,
        *,
        others: dict[int, Sequence[Box]] | None = None,
        every: Fraction = Fraction(1, 2),
        evidence: dict[str, Any] | None = None,
        **info: Any,
    ) -> Evidence:
        """Evidence of a clip with one sample `every` so many seconds; `others` by sample."""
        observations = tuple(
            Observation(
                time=every * k,
                subject=self._as_subject(subject),
                others=tuple((others or {}).get(k, ())),
            )
            for k, subject in enumerate(subjects)
        )
        return Evidence(
            kind="video",
            path="dance.mp4",
            info=self.video_info(**info),
            pose_model=ModelId(name="fake", sha256="c" * 64),
            observations=observations,
            sample_interval=every,
        ).model_copy(update=evidence or {})

    @staticmethod
    def unreadable(kind: str) -> Evidence:
        """Evidence of an empty file."""
        return Evidence.model_validate(
            {
                "kind": kind,
                "path": f"empty.{kind}",
                "defects": (Defect(kind="empty", message="the file has 0 bytes"),),
            }
        )

    def pair(
        self, image: Evidence | None = None, video: Evidence | None = None, **settings: Any
    ) -> PairContext:
        """The pair at 720p in animate mode: 720 x 1280 needs no bars there."""
        defaults = {"mode": "animate", "resolution": "720p", "profile": default_profile()}
        return PairContext(image or self.image(), video or self.video(), **{**defaults, **settings})

    def result(self, code: str, context: PairContext) -> Result:
        """One rule's answer, with the finding that the profile makes of it."""
        return evaluate(context, [BY_CODE[code]])[0]

    @cached_property
    def _the_adult(self) -> Subject:
        return self.subject()

    def _as_subject(self, given: Subject | Body | str | None) -> Subject | None:
        if given == "adult":
            return self._the_adult
        return self.subject(given) if isinstance(given, Body) else given  # type: ignore[return-value]


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()


# ---- what is expensive, once a session


@pytest.fixture(scope="session")
def network() -> Iterator[mediapipe.MediapipeEstimator]:
    """The real networks, loaded once: every call of theirs stands alone."""
    with mediapipe.MediapipeEstimator() as estimator:
        yield estimator


@pytest.fixture(scope="session")
def brief_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two thirds of a second of the driving video of the fixtures: soon looked at."""
    path = tmp_path_factory.mktemp("brief") / "driving.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    command += ["-i", str(FIXTURES / "driving.mp4"), "-frames:v", "20"]
    subprocess.run([*command, "-preset", "ultrafast", "-crf", "12", str(path)], check=True)
    return path


class SeenOnce:
    """Looks at each file once, wherever it lies: the same bytes give the same evidence.

    For tests of what is made of the evidence; how it comes about has tests of its own.
    """

    def __init__(self, network: mediapipe.MediapipeEstimator) -> None:
        self._network = network
        self._known: dict[tuple[Any, ...], Evidence] = {}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Until `patch` is undone; the shipped networks are those of the session, too."""
        load, network = mediapipe.MediapipeEstimator, self._network
        observe_image, observe_video = observing.observe_image, observing.observe_video

        def image(path: Any, estimator: Any, profile: Any, *, person: Any = LARGEST) -> Evidence:
            def look() -> Evidence:
                return observe_image(path, estimator, profile, person=person)

            return self._seen((sha256_of(Path(path)), person, estimator.sha256), path, look)

        def video(opened: Any, estimator: Any, **named: Any) -> Evidence:
            def look() -> Evidence:
                return observe_video(opened, estimator, **named)

            if opened.info is None or opened.is_long:
                return look()
            person = named.get("person", LARGEST)
            key = (opened.info.sha256, opened.start, opened.end, person, estimator.sha256)
            return self._seen(key, opened.path, look)

        patch.setattr(observing, "observe_image", image)
        patch.setattr(observing, "observe_video", video)
        patch.setattr(network, "close", lambda: None)
        patch.setattr(
            mediapipe, "MediapipeEstimator", lambda path=None: load(path) if path else network
        )

    def _seen(self, key: tuple[Any, ...], path: Any, look: Callable[[], Evidence]) -> Evidence:
        if key not in self._known:
            seen = look()
            if seen.info is None:  # its defect may name the path
                return seen
            self._known[key] = seen
        seen = self._known[key]
        assert seen.info is not None
        info = seen.info.model_copy(update={"path": str(path)})
        return seen.model_copy(update={"path": str(path), "info": info})


@pytest.fixture(scope="session")
def seen_once(network: mediapipe.MediapipeEstimator) -> SeenOnce:
    return SeenOnce(network)


@pytest.fixture
def looked_at_once(seen_once: SeenOnce, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is looked at twice in a session."""
    seen_once.install(monkeypatch)


# ---- media


def _with_clean_aperture(source: Path, target: Path, *numbers: int) -> None:
    """Put a `clap` box (eight numbers) into the first sample entry of a MOV whose index is last."""
    data = bytearray(source.read_bytes())
    sizes_at: list[int] = []
    start, end = 0, len(data)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        while data[start + 4 : start + 8] != kind:
            start += struct.unpack(">I", data[start : start + 4])[0]
            assert start < end
        sizes_at.append(start)
        end = start + struct.unpack(">I", data[start : start + 4])[0]
        start += 8
    entry = start + 8  # after version and count
    sizes_at.append(entry)
    entry_end = entry + struct.unpack(">I", data[entry : entry + 4])[0]
    data[entry_end:entry_end] = struct.pack(">I4s8i", 40, b"clap", *numbers)
    for at in sizes_at:
        data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + 40)
    target.write_bytes(data)


@pytest.fixture(scope="session")
def with_clean_aperture() -> Callable[..., None]:
    """Makes a MOV whose container hides a border."""
    return _with_clean_aperture


# ---- literal reports

FINDING = {
    "code": "WP201",
    "name": "aspect-mismatch",
    "severity": "warning",
    "status": "fail",
    "subject": "pair",
    "message": "the image is 1.000:1 wide and the video 0.800:1",
    "measured": 1.25,
    "limit": 1.01,
    "unit": "ratio",
    "source": "seed",
    "span_s": None,
    "fix": {"applicability": "safe", "title": "crop and pad both to one ratio"},
}


def _report(verdict: str = "risky", *findings: dict[str, Any], **changes: Any) -> Report:
    """A literal report: what is tested here is the command, not the judgement."""
    facts: dict[str, Any] = {
        "tool": {"name": "wan-prep", "version": "0.0"},
        "profile": {"name": "wan22_animate", "version": "1", "sha256": "a" * 64},
        "pose_model": {"name": "fake", "sha256": "b" * 64},
        "mode": "animate",
        "resolution": "480p",
        "verdict": verdict,
        "score": 93.65,
        "score_at_best_start": 95.0,
        "scores": dict.fromkeys(("media", "aspect", "framing", "pose", "subject", "clip"), 0.5),
        "image": {"path": "hero.png"},
        "video": {"path": "dance.mp4"},
        "subject": {"image": {"found": True}, "video": {"found": True, "presence": 1.0}},
        "measures": {"first": {}, "typical": {}, "best": {}},
        "best_start_s": 2.4,
        "cuts_s": (),
        "output": None,
        "findings": [Finding.model_validate(f) for f in findings or (FINDING,)],
        "passed": ("WP101", "WP102"),
        "not_applicable": (),
        "deselected": ("WP601",),
        "cost": {"seconds": 5.0, "usd_low": 0.2, "usd_high": 0.2},
    }
    return Report.model_validate(facts | changes)


@pytest.fixture(scope="session")
def report() -> Callable[..., Report]:
    """A verdict, findings, and changed facts make a literal report."""
    return _report


@pytest.fixture(scope="session")
def a_plan() -> Callable[..., Plan]:
    """A literal plan that copies both files; `changes` to its fields."""

    def build(**changes: Any) -> Plan:
        cost = {"seconds": 8.0, "usd_low": 0.32, "usd_high": 0.4}
        span = {"name": "driving.mp4", "start": 0, "end": 8}
        facts: dict[str, Any] = {
            "tool": {"name": "wan-prep", "version": "0"},
            "profile": {"name": "p", "version": "1", "sha256": "a" * 64},
            "mode": "animate",
            "resolution": "480p",
            "pose_model": {"name": "fake", "sha256": "b" * 64},
            "deselected": (),
            "checked_from": 0,
            "checked_until": None,
            "options": PlanOptions(),
            "image": {"source": "a", "sha256": "b", "name": "reference.png", "copy_bytes": True},
            "video": {"source": "c", "sha256": "d", "spans": [span], "copy_bytes": True},
            "steps": (),
            "score": 80.0,
            "verdict": "ready",
            "foreseen": {"score": 90.0, "verdict": "ready"},
            "output": {"width": 624, "height": 624, "bars_px": 0, "segments": 1},
            "cost_before": cost,
            "cost": cost,
        }
        return Plan.model_validate(facts | changes)

    return build


@pytest.fixture(scope="session")
def publish(a_plan: Callable[..., Plan]) -> Callable[..., Plan]:
    """Writes the plan.json that makes a folder one of `fix`: it lists what lies there."""

    def write(folder: Path, **changes: Any) -> Plan:
        files = tuple(
            PublishedFile(name=path.name, sha256=sha256_of(path))
            for path in sorted(folder.iterdir())
            if path.name != "plan.json"
        )
        made = a_plan(published=Published(complete=True, files=files), **changes)
        (folder / "plan.json").write_text(made.public_json(), "utf-8")
        return made

    return write


@pytest.fixture
def judged(
    monkeypatch: pytest.MonkeyPatch, make: Make, report: Callable[..., Report]
) -> Callable[[str], list[tuple[str, str, str, str]]]:
    """Lets every check before a submission answer with a verdict about a clip of 8 s, whatever
    the files hold; returns what was checked: image, video, mode, resolution."""

    def install(verdict: str) -> list[tuple[str, str, str, str]]:
        asked: list[tuple[str, str, str, str]] = []

        def check(
            image: Path | str,
            video: Path | str,
            *,
            mode: str,
            resolution: str,
            remote: Any,
            **_: Any,
        ) -> Report:
            asked.append((str(image), str(video), mode, resolution))
            files = [Path(remote.local(given)) for given in (image, video)]
            return report(
                verdict,
                image={"path": str(image), "sha256": sha256_of(files[0])},
                video={"path": str(video), "sha256": sha256_of(files[1])},
                mode=mode,
                resolution=resolution,
                video_evidence=make.video(),
            )

        monkeypatch.setattr(judging, "check", check)
        return asked

    return install


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power fails here, and waiting for the disk would be most of the time."""
    monkeypatch.setattr("wan_prep.submission.journal._SYNCHRONOUS", "OFF")
    monkeypatch.setattr("wan_prep.writing.os.fsync", lambda _descriptor: None)
