"""Clips whose every frame says its number, plans around them, and what was written of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from wan_prep.media.files import sha256_of
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video
from wan_prep.planning.model import (
    Geometry,
    ImageOperations,
    Plan,
    Span,
    VideoOperations,
    Window,
)

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"
BITS = 11
SIZE = "176x64"
# Frame k carries k as black or white columns, lowest bit leftmost, in its upper half; the lower
# half is grey, so that no frame is all black.
BLOCKS = (
    f"geq=lum='if(lt(Y,H/2),16+219*mod(floor(N/pow(2\\,floor(X*{BITS}/W)))\\,2),126)':cb=128:cr=128"
)
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", "-pix_fmt", "yuv420p")


def run_ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Media:
    """What the tests of this room make and read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    ffmpeg = staticmethod(run_ffmpeg)

    def numbered(
        self,
        name: str,
        *options: object,
        frames: int = 40,
        rate: str = "25",
        filters: str = "",
        size: str = SIZE,
        sound: bool = False,
    ) -> Path:
        """A clip of numbered frames; encoder options after the source; cached by name."""
        path = self.folder / name
        if path.exists():
            return path
        source = f"color=black:s={size}:r={rate},format=yuv444p,{BLOCKS}"
        source += f",trim=end_frame={frames}{filters}"
        tone = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100") if sound else ()
        self.ffmpeg(
            *("-f", "lavfi", "-i", source, *tone),
            *(("-shortest",) if sound else ()),
            *(options or X264),
            path,
        )
        return path

    @staticmethod
    def numbers(path: Path) -> list[int]:
        """The numbers that the frames of a clip spell, in order."""
        info = probe_video(path)
        found = []
        for frame in decode(path, info):
            row = frame.rgb()[info.height // 8 : info.height * 3 // 8].mean(axis=(0, 2))
            columns = ((np.arange(BITS) + 0.5) * info.width / BITS).astype(int)
            found.append(sum(int(row[x] > 128) << bit for bit, x in enumerate(columns)))
        return found

    @staticmethod
    def planes(path: Path, index: int = 0) -> list[np.ndarray]:
        """Y, Cb and Cr of one frame of a 4:2:0 file, as coded."""
        with av.open(str(path)) as container:
            for k, frame in enumerate(container.decode(video=0)):
                if k == index:
                    return [
                        np.frombuffer(plane, np.uint8)
                        .reshape(plane.height, plane.line_size)[:, : plane.width]
                        .copy()
                        for plane in frame.planes
                    ]
        raise AssertionError(f"{path} has no frame {index}")

    def image(self, name: str = "reference.png") -> Path:
        path = self.folder / name
        if not path.exists():
            ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
            cv2.imwrite(str(path), np.dstack([ramp, ramp[:, ::-1], 255 - ramp]))
        return path


def whole(width: int, height: int, **changes: Any) -> Geometry:
    """All of a picture, at its size cut to even numbers."""
    width, height = width // 2 * 2, height // 2 * 2
    facts = {
        "window": Window(left=0, top=0, width=width, height=height),
        "width": width,
        "height": height,
    }
    return Geometry(**{**facts, **changes})


def video_work(path: Path, **changes: Any) -> VideoOperations:
    """The whole clip as it is, at its rate or 30/s; `changes` to it."""
    info = probe_video(path)
    facts: dict[str, Any] = {
        "source": str(path),
        "sha256": info.sha256,
        "spans": (Span(name="driving.mp4", start=Fraction(0), end=info.duration),),
        "geometry": whole(info.width, info.height),
        "fps": Fraction(30) if info.is_vfr else info.fps,
        "deinterlace": info.is_interlaced,
        "tone_map": info.is_hdr,
        "audio": "aac" if info.has_audio else "none",
    }
    return VideoOperations(**{**facts, **changes})


def image_work(path: Path, **changes: Any) -> ImageOperations:
    height, width = cv2.imread(str(path)).shape[:2]
    facts: dict[str, Any] = {
        "source": str(path),
        "sha256": sha256_of(path),
        "name": "reference.png",
        "geometry": whole(width, height),
    }
    return ImageOperations(**{**facts, **changes})


class Work:
    """Builders of works and plans, as one fixture: test modules do not import each other."""

    whole = staticmethod(whole)
    video = staticmethod(video_work)
    image = staticmethod(image_work)

    def __init__(self, a_plan: Callable[..., Plan]) -> None:
        self._a_plan = a_plan

    def plan(self, image: ImageOperations, video: VideoOperations) -> Plan:
        return self._a_plan(image=image, video=video)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    return Media(tmp_path_factory.mktemp("normalizers"))


@pytest.fixture(scope="session")
def work(a_plan: Callable[..., Plan]) -> Work:
    return Work(a_plan)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real media beside the repository; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real media of ../shared/data are not on this machine")
    return SHARED_DATA


WrittenClip = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> WrittenClip:
    """Write the first span of a video work, verify it, and say where it is."""
    from wan_prep.normalizers.clip import write_clip
    from wan_prep.normalizers.verify import verify_decoding, verify_video

    def write(work: VideoOperations, name: str = "written.mp4") -> Path:
        assert work.geometry is not None
        source, target = Path(work.source), tmp_path / name
        expected = write_clip(
            work,
            work.geometry,
            work.spans[0],
            source,
            probe_video(source),
            target,
            on_share=lambda share: None,
        )
        verify_video(target, expected)
        verify_decoding(target, expected)
        return target

    return write
