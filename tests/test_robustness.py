"""Bad and odd input: each gives a clear finding, the right verdict, never a traceback or a hang."""

from __future__ import annotations

import json
import struct
import subprocess
import weakref
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from hostile.looking import Nobody
from wan_prep import api, observing
from wan_prep.cli import run
from wan_prep.errors import WanPrepError
from wan_prep.media.frames import DecodedFrame
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import load_profile
from wan_prep.report.model import Report
from wan_prep.tracking import TrackedSample

FIXTURES = Path(__file__).parents[1] / "fixtures"
IMAGE, VIDEO = FIXTURES / "reference.png", FIXTURES / "driving.mp4"
SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the real media of ../shared/data are not on this machine"
)

pytestmark = pytest.mark.media
Maker = Callable[[Path], None]
Check = Callable[..., Report]


@pytest.fixture(scope="module")
def partners() -> dict[str, object]:
    """The good half of every pair, looked at once."""
    return {
        "image": api.observe(IMAGE, estimator=Nobody()),
        "video": api.observe(VIDEO, estimator=Nobody()),
    }


@pytest.fixture
def check(partners: dict[str, object]) -> Check:
    """Judge one file as image or as video beside a good partner."""

    def judge(role: str, path: Path) -> Report:
        pair = partners | {role: path}
        report = api.check(pair["image"], pair["video"], estimator=Nobody())  # type: ignore[arg-type]
        json.loads(report.public_json())
        assert all(f.message.isprintable() for f in report.findings), "one line each"
        return report

    return judge


def severities(report: Report) -> dict[str, str]:
    return {f.code: f.severity.value for f in report.findings}


# ---- makers


def data(content: bytes) -> Maker:
    return lambda path: path.write_bytes(content) and None


def ffmpeg(*arguments: str) -> Maker:
    """Written by ffmpeg; the path comes last."""

    def make(path: Path) -> None:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments, str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    return make


def clip(*options: str, source: str = "testsrc2=s=128x96:r=25:d=1") -> Maker:
    return ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", *options)


def changed(make: Maker, change: Callable[[bytes], bytes]) -> Maker:
    def both(path: Path) -> None:
        make(path)
        path.write_bytes(change(path.read_bytes()))

    return both


def without_pictures(content: bytes) -> bytes:
    """An MP4 whose index is whole and whose pictures are zeros."""
    begin = content.index(b"mdat") + 4
    return content[:begin] + bytes(len(content) - begin)


def scratched(content: bytes) -> bytes:
    """Noise over a tenth of the pictures."""
    begin = content.index(b"mdat") + 4 + (len(content) - content.index(b"mdat")) // 2
    noise = np.random.default_rng(0).integers(0, 256, (len(content) - begin) // 5, np.uint8)
    return content[:begin] + noise.tobytes() + content[begin + noise.size :]


def png_header(width: int, height: int) -> Maker:
    """A PNG that claims a size; refused before a pixel is allocated."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return data(b"\x89PNG\r\n\x1a\n" + body)


def picture(mode: str = "RGB", size: tuple[int, int] = (320, 400), **options: object) -> Maker:
    def make(path: Path) -> None:
        if mode == "I;16":
            Image.fromarray(np.full(size[::-1], 30000, np.uint16)).save(path)
        else:
            Image.new(mode, size).save(path, **options)  # type: ignore[arg-type]

    return make


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 320)).save(path, exif=exif)


def animation(path: Path) -> None:
    frames = [Image.new("RGB", (320, 400), (40 * k, 0, 0)) for k in range(5)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=200)


NOISE = np.random.default_rng(1).integers(0, 256, 20_000, np.uint8).tobytes()
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + NOISE

# role, file name, how it is made, codes that must be there with their severity
BAD: tuple[tuple[str, str, Maker, dict[str, str]], ...] = (
    ("image", "empty.png", data(b""), {"WP101": "error"}),
    ("image", "text.png", data(b"hello\n" * 99), {"WP101": "error"}),
    ("image", "noise.jpg", data(NOISE), {"WP101": "error"}),
    ("image", "cut.png", data(IMAGE.read_bytes()[:9000]), {"WP101": "error"}),
    ("image", "huge.png", png_header(30_000, 30_000), {"WP101": "error"}),
    ("image", "heic.heic", data(HEIC), {"WP101": "error"}),
    ("image", "video.png", data(VIDEO.read_bytes()), {"WP101": "error"}),
    ("image", "dot.png", picture(size=(1, 1)), {"WP105": "warning", "WP501": "warning"}),
    ("image", "animated.gif", animation, {"WP103": "warning", "WP104": "warning"}),
    ("image", "animated.webp", animation, {"WP103": "warning"}),
    ("image", "turned.jpg", turned, {"WP107": "warning"}),
    ("image", "cmyk.jpg", picture("CMYK"), {"WP106": "info"}),
    ("image", "deep.png", picture("I;16"), {"WP106": "info"}),
    ("image", "alpha.png", picture("RGBA"), {"WP106": "warning"}),
    ("video", "empty.mp4", data(b""), {"WP102": "error"}),
    ("video", "text.mp4", data(b"hello\n" * 99), {"WP102": "error"}),
    ("video", "noise.mp4", data(NOISE), {"WP102": "error"}),
    ("video", "list.m3u8", data(PLAYLIST), {"WP102": "error"}),
    ("video", "still.png", data(IMAGE.read_bytes()), {"WP102": "error"}),
    ("video", "sound.mp4", ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac"),
     {"WP102": "error"}),
    ("video", "no_moov.mp4", changed(clip(), lambda b: b[: len(b) // 2]), {"WP102": "error"}),
    ("video", "no_pictures.mp4", changed(clip(), without_pictures), {"WP102": "error"}),
    ("video", "cut.mp4", changed(clip("-movflags", "+faststart", "-g", "5"),
     lambda b: b[: len(b) * 6 // 10]), {"WP117": "warning"}),
    ("video", "scratched.mp4", changed(clip("-g", "5"), scratched), {"WP502": "error"}),
    ("video", "animated.gif", animation, {"WP111": "warning"}),
    ("video", "animated.webp", animation, {"WP111": "warning"}),
    ("video", "one.mp4", clip("-frames:v", "1"), {"WP602": "warning"}),
    ("video", "slow.mp4", clip(source="testsrc2=s=128x96:r=1:d=4"), {"WP605": "warning"}),
    ("video", "tiny.mp4", clip(source="testsrc2=s=16x16:r=25:d=1"), {"WP112": "warning"}),
    ("video", "hdr.mp4", clip("-vf", "setparams=color_trc=smpte2084"), {"WP115": "warning"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("role", "name", "make", "wanted"), BAD, ids=[f"{role}-{name}" for role, name, *_ in BAD]
)
def test_bad_input_is_a_finding(
    role: str, name: str, make: Maker, wanted: dict[str, str], tmp_path: Path, check: Check
) -> None:
    path = tmp_path / name
    make(path)
    report = check(role, path)
    found = severities(report)
    assert {code: found.get(code) for code in wanted} == wanted
    if "error" in wanted.values():
        assert report.verdict == "not_ready"
    unreadable = {"WP101", "WP102"} & set(wanted)
    facts = report.image if role == "image" else report.video
    assert (facts.width is None) == bool(unreadable)


def test_a_turned_video_is_upright(tmp_path: Path, check: Check) -> None:
    plain, path = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    clip()(plain)
    ffmpeg("-display_rotation", "90", "-i", str(plain), "-c", "copy")(path)
    report = check("video", path)
    assert (report.video.width, report.video.height) == (96, 128)
    assert report.video.rotation_deg in (90, 270)
    assert severities(report)["WP113"] == "warning"


def test_a_still_that_cannot_be_read_is_inspected_as_a_picture(tmp_path: Path) -> None:
    for name, content in (("a.heic", HEIC), ("b.png", b"\x89PNG\r\n\x1a\n" + NOISE)):
        path = tmp_path / name
        path.write_bytes(content)
        evidence = api.observe(path, estimator=Nobody())
        assert (evidence.kind, len(evidence.defects)) == ("image", 1)


@pytest.mark.parametrize("far", ["77/30", 99, 1e5, 1e18, 1e300])
def test_a_time_after_the_end_is_refused(far: str | float) -> None:
    """The clip has 77 frames at 30 a second; at its very end nothing is displayed any more."""
    with pytest.raises(WanPrepError, match=r"nothing is displayed at .* the clip lasts 2\.57 s"):
        api.observe(VIDEO, at=[0, Fraction(far), 0.5], estimator=Nobody())


def test_the_last_frame_is_displayed_until_the_end() -> None:
    seen = api.observe(VIDEO, at=[0, 2.56, 0.5], estimator=Nobody())
    times = [float(o.time) for o in seen.observations]
    assert times == [0, pytest.approx(76 / 30, abs=1e-3), 0.5]


def test_times_are_those_of_the_whole_clip() -> None:
    for part in ({"start": 0.5}, {"end": 2}):
        with pytest.raises(WanPrepError, match="without --start and --end"):
            api.observe(VIDEO, at=[1], **part, estimator=Nobody())


def test_many_times_hold_few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[object] = weakref.WeakSet()
    most = 0

    def looked_at(frame: DecodedFrame, *_: object) -> TrackedSample:
        nonlocal most
        alive.add(frame._picture)
        most = max(most, len(alive))
        return TrackedSample(frame.time, 0, None, (), repaired=False)

    monkeypatch.setattr(observing, "_looked_at", looked_at)
    seen = api.observe(VIDEO, at=[Fraction(k, 30) for k in range(40)], estimator=Nobody())
    assert len(seen.observations) == 40
    assert 0 < most <= 3


def test_single_times_keep_to_the_limit_of_pixels(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[limits.video_pixels_max]\nvalue = 1000\n", "utf-8")
    seen = api.observe(VIDEO, at=[0], estimator=Nobody(), profile=load_profile(own))
    assert [defect.kind for defect in seen.defects] == ["too_large"]


# ---- the real media, once with the real network


# name → (size, seconds, frames a second, degrees, varies, unreadable)
SAME_CLIP = {
    "anim.gif": ((270, 476), 5 / 3, 15, 0, False),
    "anim.webp": ((270, 476), 5 / 3, 15, 0, False),
    "av1.mp4": ((544, 960), 5 / 3, 60, 0, False),
    "avi_h264.avi": ((544, 960), 5 / 3, 60, 0, False),
    "base_h264.mp4": ((544, 960), 5 / 3, 60, 0, False),
    "frag.mp4": ((544, 960), 5 / 3, 60, 0, False),
    "hevc10_pq_tagged.mp4": ((544, 960), 5 / 3, 60, 0, False),
    "interlaced_tff.mp4": ((544, 960), 5 / 3, 30, 0, False),
    "mjpeg_full_range.avi": ((544, 960), 1 / 3, 60, 0, False),
    "odd_541x959_yuv444.mp4": ((541, 959), 5 / 3, 60, 0, False),
    "rot180_meta.mp4": ((544, 960), 5 / 3, 60, 180, False),
    "rot90_meta.mp4": ((544, 960), 5 / 3, 60, 270, False),
    "sar2_272x960.mp4": ((544, 960), 5 / 3, 60, 0, False),
    "single_frame.mp4": ((544, 960), 1 / 60, 60, 0, False),
    "truncated60_faststart.mp4": ((544, 960), 0.8, 60, 0, False),
    "ts.ts": ((544, 960), 5 / 3, 60, 0, False),
    "vfr.mp4": ((544, 960), 5 / 3, 38.125, 0, True),
    "vp9.webm": ((544, 960), 5 / 3, 60, 0, False),
}


@needs_shared
@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.parametrize("name", SAME_CLIP)
def test_the_same_clip_in_every_dress(name: str, network: PoseEstimator) -> None:
    size, seconds, fps, degrees, varies = SAME_CLIP[name]
    path = SHARED / "robustness" / "same_clip" / name
    evidence = api.observe(path, kind="video", end=0.4, estimator=network)
    info = evidence.video_info
    assert info is not None
    assert (info.width, info.height) == size
    assert float(info.duration) == pytest.approx(seconds, abs=2e-3)
    assert float(info.fps) == pytest.approx(fps, rel=1e-3)
    assert (info.rotation_deg, info.is_vfr) == (degrees, varies)
    if name != "rot90_meta.mp4":  # stored so that the metadata turn it upside down
        assert all(o.subject is not None for o in evidence.observations)


@needs_shared
@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.parametrize("name", ["audio_only.mp4", "empty.mp4", "garbage.mp4",
                                  "truncated60_no_moov.mp4"])  # fmt: skip
def test_what_is_no_clip(name: str, check: Check) -> None:
    report = check("video", SHARED / "robustness" / "same_clip" / name)
    assert severities(report)["WP102"] == "error"


@needs_shared
@pytest.mark.shared_data
@pytest.mark.model
@pytest.mark.parametrize(
    ("name", "code", "end"),
    [("cat.jpg", "WP501", None), ("camera.png", "WP501", None), ("dog.mp4", "WP502", 2)],
)
def test_nobody_is_said_to_be_nobody(
    name: str, code: str, end: int | None, network: PoseEstimator
) -> None:
    seen = api.observe(SHARED / "absent" / name, end=end, estimator=network)
    assert seen.found == ()
    role = seen.kind
    good = api.observe(IMAGE if role == "video" else VIDEO, estimator=Nobody())
    report = api.check(*((good, seen) if role == "video" else (seen, good)))
    assert code in severities(report)


@needs_shared
@pytest.mark.shared_data
def test_every_file_ends_with_an_answer(check: Check) -> None:
    """The files of four projects' own test suites, each as image and as video."""
    files = [p for d in ("decord", "torchcodec", "pillow", "exif")
             for p in sorted((SHARED / "robustness" / d).iterdir())]  # fmt: skip
    assert len(files) > 50
    for path in files:
        for role in ("image", "video"):
            report = check(role, path)
            facts = report.image if role == "image" else report.video
            code = "WP101" if role == "image" else "WP102"
            assert (facts.width is None) == (severities(report).get(code) == "error"), path


def test_the_command_says_it_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.mp4").touch()
    code = run(["check", str(tmp_path / "empty.mp4"), str(tmp_path / "empty.mp4"), "-q"])
    out, err = capfd.readouterr()
    assert (code, err) == (1, "")
    assert out.startswith("not_ready ")
