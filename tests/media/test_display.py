"""What ffmpeg shows with autorotate on is the judge of turn, mirror and hidden border."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from wan_prep.errors import MediaUnreadable
from wan_prep.media.apertures import hidden_ltrb, shown_size
from wan_prep.media.display import Orientation, orientation
from wan_prep.media.frames import decode, frames_at
from wan_prep.media.probe import probe_video
from wan_prep.stills import video_stills

Ffmpeg = Callable[..., None]
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "8", "-pix_fmt", "yuv420p")
ONE, LAST = 1 << 16, 1 << 30
HALF = ONE // 2


def shown(path: Path, height: int, width: int) -> np.ndarray:
    """(frames, height, width, 3) as ffmpeg's command line shows them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-an"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    error = ((one.astype(float) - other.astype(float)) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def assert_shown(path: Path) -> None:
    """Every frame is the one that ffmpeg shows."""
    info = probe_video(path)
    found = [frame.rgb() for frame in decode(path, info)]
    judge = shown(path, info.height, info.width)
    assert len(found) == len(judge)
    assert min(map(psnr_db, found, judge)) > 40


@pytest.fixture(scope="module")
def scene(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coded picture of 96 x 64 px without any symmetry."""
    path = tmp_path_factory.mktemp("display") / "scene.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2", *X264, path)
    return path


# ---- the display matrix

# ffmpeg's options (a counter-clockwise turn, then a mirror) → (clockwise turn, mirrored).
EIGHT = {
    "as_is": (("-display_rotation", 0), 0, False),
    "left": (("-display_rotation", 90), 270, False),
    "upside_down": (("-display_rotation", 180), 180, False),
    "right": (("-display_rotation", 270), 90, False),
    "mirrored": (("-display_hflip",), 0, True),
    "flipped": (("-display_vflip",), 180, True),
    "left_mirrored": (("-display_rotation", 90, "-display_hflip"), 270, True),
    "left_flipped": (("-display_rotation", 90, "-display_vflip"), 90, True),
}


@pytest.mark.media
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", EIGHT)
def test_all_eight_matrices_give_the_picture_that_ffmpeg_shows(
    ffmpeg: Ffmpeg, scene: Path, name: str, suffix: str
) -> None:
    options, rotation_deg, is_mirrored = EIGHT[name]
    path = scene.with_name(name + suffix)
    ffmpeg(*options, "-i", scene, "-c", "copy", path)
    info = probe_video(path)
    if suffix != ".mkv":  # Matroska stores an angle alone
        assert (info.rotation_deg, info.is_mirrored) == (rotation_deg, is_mirrored)
    assert info.matrix_left_undone is None
    assert (info.width, info.height) == ((64, 96) if info.rotation_deg % 180 else (96, 64))
    assert_shown(path)


@pytest.mark.media
@pytest.mark.parametrize("flip", ["", ":flip=horizontal", ":flip=vertical"])
@pytest.mark.parametrize("turn", [0, 90, 180])
def test_a_matrix_inside_the_stream_counts_as_well(
    ffmpeg: Ffmpeg, scene: Path, turn: int, flip: str
) -> None:
    path = scene.with_name(f"inside{turn}{flip[-3:]}.ts")
    message = f"h264_metadata=display_orientation=insert:rotate={turn}{flip}"
    ffmpeg("-i", scene, "-c", "copy", "-bsf:v", message, path)
    assert_shown(path)


@pytest.mark.media
def test_smaller_pictures_and_stills_are_mirrored_too(ffmpeg: Ffmpeg, scene: Path) -> None:
    path = scene.with_name("small.mp4")
    ffmpeg("-display_rotation", 90, "-display_hflip", "-i", scene, "-c", "copy", path)
    info = probe_video(path)
    (frame,) = frames_at(path, info, [Fraction(0)])
    judge = shown(path, info.height, info.width)[0].reshape(48, 2, 32, 2, 3).mean(axis=(1, 3))
    assert psnr_db(frame.rgb(max_side=48), judge) > 20
    (still,) = video_stills(path, info, [Fraction(0)], max_side=48)
    # A JPEG of 32 x 48 px with half its chroma: what is light stays light.
    assert psnr_db(still.rgb().mean(axis=2), judge.mean(axis=2)) > 20


@pytest.mark.media
@pytest.mark.parametrize("angle", [10, 45, 80, 175])
def test_an_odd_angle_is_said_and_left_undone(ffmpeg: Ffmpeg, scene: Path, angle: int) -> None:
    path = scene.with_name(f"odd{angle}.mp4")
    ffmpeg("-display_rotation", angle, "-i", scene, "-c", "copy", path)
    info = probe_video(path)
    assert info.matrix_left_undone == f"a turn of {angle} deg counter-clockwise"
    assert (info.rotation_deg, info.is_mirrored) == (0, False)
    as_stored = [frame.rgb() for frame in decode(scene, probe_video(scene))]
    assert np.array_equal([frame.rgb() for frame in decode(path, info)], as_stored)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([ONE, 0, 0, 0, ONE, 0, 0, 0, LAST], Orientation()),
        ([0, ONE, 0, -ONE, 0, 0, 64 * ONE, 0, LAST], Orientation(90)),  # moved into place: no news
        ([-ONE, 0, 0, 0, ONE, 0, 0, 0, LAST], Orientation(0, True)),
        ([65534, 300, 0, -300, 65534, 0, 0, 0, LAST], Orientation()),  # 0.3 deg
        (
            [64540, 11380, 0, -11380, 64540, 0, 0, 0, LAST],
            Orientation(left_undone="a turn of 10 deg clockwise"),
        ),
        (
            [-64540, -11380, 0, -11380, 64540, 0, 0, 0, LAST],
            Orientation(left_undone="a turn of 10 deg counter-clockwise, mirrored"),
        ),
        (
            [0, HALF, 0, -HALF, 0, 0, 0, 0, LAST],
            Orientation(90, False, "a scaled, sheared or tilted picture"),
        ),
        (
            [ONE, 0, 0, HALF, ONE, 0, 0, 0, LAST],
            Orientation(0, False, "a scaled, sheared or tilted picture"),
        ),
        (
            [ONE, 0, LAST // 100, 0, ONE, 0, 0, 0, LAST],
            Orientation(0, False, "a scaled, sheared or tilted picture"),
        ),
        ([0] * 9, Orientation(left_undone="a picture without a width or a height")),
    ],
    ids=["none", "turn", "mirror", "hair", "odd", "odd_mirror", "scale", "shear", "tilt", "zero"],
)
def test_what_is_not_one_of_eight_is_named(matrix: list[int], expected: Orientation) -> None:
    assert orientation(matrix) == expected


# ---- the border that is not to be shown


@pytest.fixture(scope="module")
def cropped(
    ffmpeg: Ffmpeg,
    with_clean_aperture: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Path]:
    """A MOV, or a Matroska file, of 160 x 96 px of which 128 x 80 are shown: 10 px are hidden at
    the left, 22 at the right, 8 above and below."""
    folder = tmp_path_factory.mktemp("cropped")

    def make(suffix: str, *options: object) -> Path:
        whole, path = folder / "whole.mov", folder / f"cropped{suffix}"
        if not path.exists():
            source = "testsrc2=s=160x96:r=25:d=0.2"
            ffmpeg("-f", "lavfi", "-i", source, *X264, *options, whole)
            clean = folder / f"clean{suffix}.mov"
            with_clean_aperture(whole, clean, 128, 1, 80, 1, -6, 1, 0, 1)
            ffmpeg("-i", clean, "-c", "copy", path)
        return path

    return make


@pytest.mark.media
@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".mp4"])
def test_a_clean_aperture_is_what_is_shown(cropped: Callable[..., Path], suffix: str) -> None:
    path = cropped(suffix)
    info = probe_video(path)
    assert info.hidden_ltrb == (10, 8, 22, 8)
    assert (info.width, info.height) == (128, 80)
    assert (info.coded_width, info.coded_height) == (160, 96)
    assert_shown(path)


@pytest.mark.media
def test_a_border_is_cut_off_before_the_picture_is_turned(
    ffmpeg: Ffmpeg, cropped: Callable[..., Path]
) -> None:
    path = cropped(".mov").with_name("turned.mov")
    turned = ("-display_rotation", 90, "-display_hflip")
    ffmpeg(*turned, "-i", cropped(".mov"), "-c", "copy", path)
    info = probe_video(path)
    assert (info.width, info.height, info.hidden_ltrb) == (80, 128, (10, 8, 22, 8))
    assert_shown(path)
    (frame,) = frames_at(path, info, [Fraction(0)])
    judge = shown(path, 128, 80)[0].reshape(64, 2, 40, 2, 3).mean(axis=(1, 3))
    assert psnr_db(frame.rgb(max_side=64), judge) > 20


@pytest.mark.media
def test_a_title_is_no_border(ffmpeg: Ffmpeg, scene: Path) -> None:
    path = scene.with_name("title.mkv")
    title = "x\n      Frame Cropping: 10/10/10/10\n  Stream #0:0\n      Frame Cropping: 9/9/9/9"
    said = ("-metadata", f"title={title}", "-metadata:s:v", f"title={title}")
    ffmpeg("-i", scene, "-c", "copy", *said, path)
    info = probe_video(path)
    assert (info.hidden_ltrb, info.width) == ((0, 0, 0, 0), 96)


@pytest.mark.media
@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".mp4"])
def test_every_track_has_its_own_border(
    ffmpeg: Ffmpeg, cropped: Callable[..., Path], scene: Path, suffix: str
) -> None:
    path = cropped(".mov").with_name(f"two{suffix}")
    tracks = ("-map", "0:v", "-map", "1:a", "-map", "2:v", "-c:v", "copy", "-c:a", "aac")
    sound = ("-f", "lavfi", "-i", "sine=d=0.2")
    ffmpeg("-i", scene, *sound, "-i", cropped(".mov"), *tracks, path)
    container = "matroska" if suffix == ".mkv" else "mov"
    found = [
        hidden_ltrb(path, container, track_id=track_id, video_index=index, coded_wh=(160, 96))
        for track_id, index in ((1, 0), (3, 1), (4, 2))
    ]
    assert found == [(0, 0, 0, 0), (10, 8, 22, 8), (0, 0, 0, 0)]


@pytest.mark.media
@pytest.mark.parametrize(
    "options",
    [("-movflags", "+faststart"), ("-movflags", "frag_keyframe+empty_moov"), ("-f", "matroska",
     "-live", "1")],
    ids=["index_first", "fragmented", "live"],
)  # fmt: skip
def test_a_border_is_found_wherever_it_stands(
    ffmpeg: Ffmpeg, cropped: Callable[..., Path], options: tuple[object, ...]
) -> None:
    path = cropped(".mov").with_name("elsewhere.mp4")
    ffmpeg("-i", cropped(".mov"), "-c", "copy", *options, path)
    assert probe_video(path).hidden_ltrb == (10, 8, 22, 8)
    assert_shown(path)


def box(kind: bytes, content: bytes, *, is_long: bool = False) -> bytes:
    if is_long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def movie(clap: tuple[int, ...], *, is_long: bool = False) -> bytes:
    """The index of one track (number 7) with a clean aperture."""
    head = bytes([1, 0, 0, 0]) + bytes(16) if is_long else bytes(12)
    track_head = box(b"tkhd", head + struct.pack(">I", 7) + bytes(72))
    entry = box(b"avc1", bytes(78) + box(b"avcC", b"x") + box(b"clap", struct.pack(">8i", *clap)))
    samples = box(b"stbl", box(b"stsd", bytes(4) + struct.pack(">I", 1) + entry))
    track = track_head + box(b"mdia", box(b"minf", samples, is_long=is_long))
    return box(b"free", b"") + box(b"moov", box(b"trak", track), is_long=is_long)


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize(
    ("clap", "expected"),
    [
        ((80, 1, 40, 1, 0, 1, 0, 1), (10, 5, 10, 5)),
        ((80, 1, 40, 1, 20, 2, -5, 1), (20, 0, 0, 10)),
        ((81, 1, 41, 1, 0, 1, 0, 1), (9, 4, 9, 4)),  # half pixels are left to the picture
        ((100, 1, 50, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((80, 1, 40, 1, 11, 1, 0, 1), (0, 0, 0, 0)),  # beyond the right edge
        ((0, 1, 40, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((80, 0, 40, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((-80, 1, 40, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
    ],
    ids=str,
)
def test_the_numbers_of_a_clean_aperture(
    tmp_path: Path, clap: tuple[int, ...], expected: tuple[int, ...], is_long: bool
) -> None:
    path = tmp_path / "index.mov"
    path.write_bytes(movie(clap, is_long=is_long))

    def found(track_id: int) -> tuple[int, ...]:
        return hidden_ltrb(path, "mov", track_id=track_id, video_index=0, coded_wh=(100, 50))

    assert found(7) == expected
    assert found(8) == (0, 0, 0, 0)


@pytest.mark.media
def test_damage_hides_nothing_and_raises_nothing(
    cropped: Callable[..., Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "damaged"
    for suffix, container in ((".mov", "mov"), (".mkv", "matroska")):
        whole = cropped(suffix).read_bytes()
        at = whole.find(b"moov") if container == "mov" else 0
        for _ in range(300):
            data = bytearray(whole)
            for place in rng.integers(at, min(at + 700, len(data)), 4):
                data[place] = rng.integers(0, 256)
            path.write_bytes(bytes(data[: rng.integers(at + 50, len(data))]))
            hidden = hidden_ltrb(path, container, track_id=1, video_index=0, coded_wh=(160, 96))
            assert min(hidden) >= 0
            assert min(shown_size(160, 96, hidden)) > 0


@pytest.mark.media
def test_a_border_that_leaves_nothing_is_none(
    ffmpeg: Ffmpeg, with_clean_aperture: Callable[..., None], scene: Path, tmp_path: Path
) -> None:
    whole, path = tmp_path / "whole.mov", tmp_path / "nothing.mov"
    ffmpeg("-i", scene, "-c", "copy", whole)
    for numbers in ((0, 1, 0, 1, 0, 1, 0, 1), (9, 0, 9, 0, 0, 0, 0, 0), (500, 1, 9, 1, 0, 1, 0, 1)):
        with_clean_aperture(whole, path, *numbers)
        try:
            info = probe_video(path)
        except MediaUnreadable:
            continue
        assert info.width > 0
        assert info.height > 0
        assert next(iter(decode(path, info))).rgb().shape == (info.height, info.width, 3)


# ---- transparency

LEFT_CLEAR = "geq=lum='lum(X,Y)':cb='cb(X,Y)':cr='cr(X,Y)':a='if(lt(X,W/2),0,255)'"
HEVC = ("-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "log-level=0", "-crf", "8")
ALPHA = {
    "prores.mov": ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"),
    "hevc.mov": (*HEVC, "-pix_fmt", "yuva420p"),
    "png.mov": ("-c:v", "png", "-pix_fmt", "rgba"),
    "qtrle.mov": ("-c:v", "qtrle", "-pix_fmt", "argb"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-crf", "8", "-pix_fmt", "yuva420p"),
    "vp8.webm": ("-c:v", "libvpx", "-auto-alt-ref", "0", "-crf", "4", "-b:v", "5M",
                 "-pix_fmt", "yuva420p"),
    "ffv1.mkv": ("-c:v", "ffv1", "-pix_fmt", "yuva420p"),
    "animated.png": ("-f", "apng", "-pix_fmt", "rgba"),
}  # fmt: skip


def transparent(ffmpeg: Ffmpeg, path: Path, alpha: str, options: tuple[object, ...]) -> None:
    source = f"smptebars=s=96x64:r=25:d=0.2,format=yuva420p,{alpha}"
    ffmpeg("-f", "lavfi", "-i", source, *options, path)


@pytest.mark.media
@pytest.mark.parametrize("name", ALPHA)
def test_transparency_is_dropped_and_said(ffmpeg: Ffmpeg, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    transparent(ffmpeg, path, LEFT_CLEAR, ALPHA[name])
    info = probe_video(path)
    assert info.has_alpha
    rgb = next(iter(decode(path, info))).rgb().astype(int)
    # The first two of seven bars: grey and yellow, as under no alpha at all.
    assert np.abs(rgb[20, 6] - (180, 180, 180)).max() < 20
    assert np.abs(rgb[20, 20] - (180, 180, 16)).max() < 40
    assert_shown(path)


@pytest.mark.media
def test_a_gif_shows_what_ffmpeg_shows_of_it(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "clear.gif"
    palette = f"{LEFT_CLEAR},split[a][b];[a]palettegen[p];[b][p]paletteuse"
    transparent(ffmpeg, path, palette, ())
    assert probe_video(path).has_alpha
    assert_shown(path)


def test_an_animated_webp_is_composed_before_transparency_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "clear.webp"
    frames = [Image.new("RGBA", (32, 16), (200, 30, shade, 255)) for shade in (60, 90)]
    for frame in frames:
        frame.paste((10, 200, 30, 0), (0, 0, 16, 16))
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=40, lossless=True, exact=True
    )
    info = probe_video(path)
    assert info.has_alpha
    rgb = next(iter(decode(path, info))).rgb()
    assert rgb[8, 24].tolist() == [200, 30, 60]
    assert rgb[8, 8].tolist() == [0, 0, 0]  # its canvas is empty there


@pytest.mark.media
@pytest.mark.parametrize("name", ["prores.mov", "png.mov", "ffv1.mkv"])
def test_an_alpha_channel_without_transparency_is_none(
    ffmpeg: Ffmpeg, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    transparent(ffmpeg, path, LEFT_CLEAR.replace(",0,255", ",255,255"), ALPHA[name])
    assert not probe_video(path).has_alpha


@pytest.mark.media
def test_other_hevc_has_no_alpha_layer(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    path = tmp_path / "plain.mov"
    transparent(ffmpeg, path, LEFT_CLEAR, (*HEVC, "-pix_fmt", "yuv420p"))
    assert not probe_video(path).has_alpha
