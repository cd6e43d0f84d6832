"""Make the media in fixtures/ from files that public packages ship, and check them.

    python tools/make_fixtures.py             # write fixtures/
    python tools/make_fixtures.py --check     # make them aside and compare with what ships

The pictures are taken out of two packages on the package index (see fixtures/README.md for
their licences), each file verified by sha256, then cut with the ffmpeg of imageio-ffmpeg.
Needs `pip` to fetch, and imageio-ffmpeg, opencv-python, PyAV and numpy, which come with
wan-prep.  Bytes depend on the versions of the encoders, so `--check` compares decoded pixels.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import imageio_ffmpeg
import numpy as np

MADE_SUFFIXES = {".png", ".mp4", ".json"}
FIXTURES_DIR = Path(__file__).resolve().parent.parent / "fixtures"


@dataclass(frozen=True)
class Source:
    """One file inside one published wheel."""

    requirement: str
    member: str
    sha256: str


JUMPING_MAN = Source(
    "sports2d==0.8.34",
    "Sports2D/Demo/demo.mp4",
    "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
)
ASTRONAUT = Source(
    "scikit-image==0.26.0",
    "skimage/data/astronaut.png",
    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
)

# --- the demo pair: windows of JUMPING_MAN, 1768x994 at 30 fps, in pixels and frame numbers ---
# Both windows have the same centre line and height, so that zoom and place agree and only the
# shape differs: 4:5 for the video, 1:1 for the image.
DRIVING_WINDOW = "416:520:442:0"
REFERENCE_WINDOW = "520:520:390:0"
REFERENCE_FRAME = 0
# Two whole jumping jacks; 77 frames, which is one segment of the model (4n+1).
DRIVING_FRAMES = (4, 81)
# The man stands against the light: a contrast curve, as any editor would apply, shows his face.
CONTRAST = "curves=all=0/0 0.2/0.05 0.55/0.75 1/1"

# --- known motion: a camera that zooms, shifts and rolls over a still picture ---
FPS = 25
FRAME_COUNT = 50
ZOOM_MAX = 1.5
ROLL_MAX_DEG = 12.0
SHIFT_MAX = (0.06, 0.035)  # fractions of the frame's width and height


@dataclass(frozen=True)
class Camera:
    """What the camera shows of a picture at time 0, and the point it turns and zooms around."""

    folder: str
    reference: str  # relative to the folder
    window_xywh: tuple[int, int, int, int]
    anchor_xy: tuple[float, float]  # pixels of the reference
    crf: int


ASTRONAUT_SIDE_PX = 384  # the 512x512 photograph is scaled to this first
ASTRONAUT_CAMERA = Camera("astronaut", "reference.png", (14, 6, 288, 360), (152.0, 90.0), crf=17)
# Over the picture that fixtures/reference.png is cut from.
MOVED_CAMERA = Camera("moved", "../reference.png", (390, 0, 520, 520), (260.0, 195.0), crf=23)


def fetch(source: Source, cache: Path) -> bytes:
    """Return the verified bytes of `source`, downloading its wheel into `cache` once."""
    name, version = source.requirement.replace("-", "_").split("==")
    pattern = f"{name}-{version}-*.whl"
    if not list(cache.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        # One platform for all, so that everybody opens the same archive.
        command += ["--only-binary=:all:", "--python-version", "3.11"]
        command += ["--platform", "manylinux_2_28_x86_64", "--dest", str(cache)]
        subprocess.run([*command, source.requirement], check=True)
    archive = sorted(cache.glob(pattern))[0]
    with zipfile.ZipFile(archive) as wheel:
        content = wheel.read(source.member)
    digest = hashlib.sha256(content).hexdigest()
    if digest != source.sha256:
        raise SystemExit(f"{source.member}: expected sha256 {source.sha256}, found {digest}")
    return content


def ffmpeg(*arguments: str, stdin: bytes | None = None) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"]
    # Bit-exact muxing and one thread keep dates, encoder names and timing out of the bytes.
    command += [*arguments[:-1], "-fflags", "+bitexact", "-flags", "+bitexact", "-threads", "1"]
    subprocess.run([*command, "-map_metadata", "-1", arguments[-1]], input=stdin, check=True)


def h264(crf: int) -> list[str]:
    encoder = ["-c:v", "libx264", "-preset", "veryslow", "-crf", str(crf), "-pix_fmt", "yuv420p"]
    colour = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    return [*encoder, *colour, "-color_range", "tv", "-movflags", "+faststart"]


def make_demo_pair(out: Path, cache: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "demo.mp4"
        clip.write_bytes(fetch(JUMPING_MAN, cache))
        start, end = DRIVING_FRAMES
        ffmpeg(
            *("-i", str(clip), "-an", "-vf"),
            f"trim=start_frame={start}:end_frame={end},setpts=PTS-STARTPTS,"
            f"crop={DRIVING_WINDOW},{CONTRAST},scale=out_color_matrix=bt709:out_range=tv",
            *h264(crf=20),
            str(out / "driving.mp4"),
        )
        still(clip, out / "reference.png", f"crop={REFERENCE_WINDOW}")


def still(clip: Path, target: Path, crop: str) -> None:
    ffmpeg(
        *("-i", str(clip), "-vf", f"select=eq(n\\,{REFERENCE_FRAME}),{crop},{CONTRAST}"),
        *("-frames:v", "1", "-c:v", "png", "-pix_fmt", "rgb24", "-pred", "mixed"),
        str(target),
    )


def make_moved(out: Path, cache: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        clip, picture = Path(scratch) / "demo.mp4", Path(scratch) / "picture.png"
        clip.write_bytes(fetch(JUMPING_MAN, cache))
        still(clip, picture, "null")
        film(cv2.imread(str(picture)), MOVED_CAMERA, out)


def make_astronaut(out: Path, cache: Path) -> None:
    photograph = cv2.imdecode(np.frombuffer(fetch(ASTRONAUT, cache), np.uint8), cv2.IMREAD_COLOR)
    side = ASTRONAUT_SIDE_PX
    photograph = cv2.resize(photograph, (side, side), interpolation=cv2.INTER_AREA)
    film(photograph, ASTRONAUT_CAMERA, out)
    x, y, width, height = ASTRONAUT_CAMERA.window_xywh
    target = out / ASTRONAUT_CAMERA.folder / ASTRONAUT_CAMERA.reference
    reference = photograph[y : y + height, x : x + width]
    cv2.imwrite(str(target), reference, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def motion(frame: int) -> tuple[float, float, tuple[float, float]]:
    """Zoom, roll (degrees, clockwise in the picture) and shift (shares of the frame) at a frame.

    All are smooth, start at the identity and come back to it.
    """
    u = frame / FRAME_COUNT
    away = math.sin(math.pi * u) ** 2
    # Late in the zoom, when there is picture left around the frame; peaks at ±1.
    swing = away**2 * math.sin(2 * math.pi * u) / (2 * (5 / 6) ** 2.5 * (1 / 6) ** 0.5)
    return ZOOM_MAX**away, ROLL_MAX_DEG * swing, (-SHIFT_MAX[0] * swing, SHIFT_MAX[1] * away)


def similarity(
    zoom: float, roll_deg: float, shift_px: np.ndarray, anchor_xy: tuple[float, float]
) -> np.ndarray:
    """The 2x3 matrix from reference pixels to frame pixels (pixel centres at integers)."""
    angle = math.radians(roll_deg)
    # y points down, so this turns clockwise as seen on the screen.
    linear = zoom * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    anchor = np.array(anchor_xy)
    return np.column_stack([linear, anchor + shift_px - linear @ anchor])


def film(picture: np.ndarray, camera: Camera, out: Path) -> None:
    """Write the moving view of `picture` and the exact transform of every frame."""
    folder = out / camera.folder
    folder.mkdir(parents=True, exist_ok=True)
    x, y, width, height = camera.window_xywh
    from_picture = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], float)
    raw = bytearray()
    frames: list[dict[str, Any]] = []
    for index in range(FRAME_COUNT):
        zoom, roll_deg, shift = motion(index)
        shift_px = np.array(shift) * (width, height)
        matrix = similarity(zoom, roll_deg, shift_px, camera.anchor_xy)
        full = matrix @ from_picture
        require_inside(full, (width, height), picture, f"{camera.folder}: frame {index}")
        view = cv2.warpAffine(
            picture,
            full,
            (width, height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        raw += view.tobytes()
        frames.append(
            {
                "time_s": index / FPS,
                "zoom": round(zoom, 9),
                "roll_deg": round(roll_deg, 9) + 0.0,
                "shift_px": tidy(shift_px),
                "matrix": [tidy(row) for row in matrix],
            }
        )
    ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(FPS)),
        *("-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv"),
        *h264(camera.crf),
        str(folder / "driving.mp4"),
        stdin=bytes(raw),
    )
    truth = {
        "about": "matrix maps pixel (x, y) of the reference to the pixel of that frame of "
        "driving.mp4; pixel centres stand at integers, y points down. zoom > 1: larger in the "
        "frame than in the reference. roll_deg > 0: turned clockwise. shift_px: how far the "
        "anchor went.",
        "reference": camera.reference,
        "size_wh": [width, height],
        "fps": FPS,
        "anchor_xy": list(camera.anchor_xy),
        "frames": frames,
    }
    (folder / "truth.json").write_text(one_frame_a_line(truth), encoding="utf-8")


def tidy(values: np.ndarray) -> list[float]:
    """Nine digits, and no negative zero."""
    return [round(float(value), 9) + 0.0 for value in values]


def one_frame_a_line(truth: dict[str, Any]) -> str:
    """JSON that a person can read, in which a changed frame shows as one changed line."""
    head = [f" {json.dumps(key)}: {json.dumps(truth[key])}" for key in truth if key != "frames"]
    rows = ",\n".join("  " + json.dumps(frame) for frame in truth["frames"])
    return "{\n" + ",\n".join([*head, f' "frames": [\n{rows}\n ]']) + "\n}\n"


def require_inside(
    matrix: np.ndarray, size_wh: tuple[int, int], picture: np.ndarray, where: str
) -> None:
    """Every frame pixel must come from inside the picture, or the border would be invented."""
    width, height = size_wh
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    limit_xy = np.array([picture.shape[1], picture.shape[0]]) - 0.5
    if (seen < -0.5).any() or (seen > limit_xy).any():
        raise SystemExit(f"{where} looks past the picture: {seen.round(1).tolist()}")


def same_media(made: Path, shipped: Path) -> str | None:
    """What differs between two files, or None."""
    if not shipped.exists():
        return "missing"
    if made.suffix == ".json":
        return None if made.read_text("utf-8") == shipped.read_text("utf-8") else "text differs"
    pictures = [decode(path) for path in (made, shipped)]
    if pictures[0].shape != pictures[1].shape:
        return f"shape {pictures[1].shape}, expected {pictures[0].shape}"
    difference = np.abs(pictures[0].astype(np.int16) - pictures[1])
    # A PNG is exact; another build of the encoder may move video pixels a little.
    limit = 0.0 if made.suffix == ".png" else 1.5
    mean = float(difference.mean())
    return None if mean <= limit else f"mean pixel difference {mean:.2f}, limit {limit}"


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=FIXTURES_DIR)
    parser.add_argument("--cache", type=Path, help="folder that may hold the wheels already")
    parser.add_argument("--check", action="store_true", help="compare with what ships")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out" if arguments.check else arguments.out
        cache = arguments.cache or Path(scratch) / "cache"
        for folder in (out, cache):
            folder.mkdir(parents=True, exist_ok=True)
        make_demo_pair(out, cache)
        make_moved(out, cache)
        make_astronaut(out, cache)
        status = 0
        for made in sorted(path for path in out.rglob("*") if path.suffix in MADE_SUFFIXES):
            name = made.relative_to(out)
            if arguments.check and (difference := same_media(made, arguments.out / name)):
                print(f"{name}: {difference}", file=sys.stderr)
                status = 1
            print(f"{made.stat().st_size:8d}  {name}")
    return status


if __name__ == "__main__":
    sys.exit(main())
