from __future__ import annotations

import gc
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wan_prep.errors import MediaUnreadable
from wan_prep.media.cuts import mark_cuts
from wan_prep.media.frames import DecodeLog, decode, each_frame_at, frames_at
from wan_prep.media.picture import fit_size, sane_aspect_ratio, square_pixel_size
from wan_prep.media.probe import probe_video

pytestmark = pytest.mark.media

Numbered = Callable[..., Path]
NumberOf = Callable[[np.ndarray], int]

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "12", "-crf", "10")
NOISE = ",noise=alls=30:allf=t"  # files large enough to be cut and damaged in the middle
# name → encoder options: 30 frames at 25/s, frame k shown at k/25 s, in every container.
BACKENDS = {
    "b_frames.mp4": X264,
    "quicktime.mov": X264,
    "open_gop.mp4": (*X264, "-x264-params", "open-gop=1"),
    "fragmented.mp4": (*X264, "-movflags", "frag_keyframe+empty_moov"),
    "later.mp4": (*X264, "-output_ts_offset", "7.3"),
    "clock.mkv": X264,
    "stream.ts": X264,
    "program.mpg": ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2"),
    "flash.flv": X264,
    "b_frames.avi": X264,
    "xvid.avi": ("-c:v", "mpeg4", "-q:v", "2", "-bf", "2"),
    "simple.avi": ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "hevc10.mp4": ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=0"),
    "ffv1.mkv": ("-c:v", "ffv1", "-pix_fmt", "yuv444p"),
    "raw.h264": X264,
    "palette.gif": (),
    "pillow.webp": None,
}


@pytest.fixture(params=BACKENDS)
def clip(request: pytest.FixtureRequest, numbered: Numbered) -> Path:
    name = request.param
    if BACKENDS[name] is not None:
        return numbered(name, *BACKENDS[name])
    source = numbered("for_webp.gif")
    path = source.with_name(name)
    with Image.open(source) as image:
        frames = []
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(image.convert("RGB"))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    return path


def test_conformance_every_frame_in_order_at_its_time(clip: Path, number_of: NumberOf) -> None:
    info = probe_video(clip)
    log = DecodeLog()
    found = [(frame.time, number_of(frame.rgb())) for frame in decode(clip, info, log=log)]
    tolerance = info.time_base if info.time_base > Fraction(1, 1000) else Fraction(1, 1000)
    assert [number for _, number in found] == list(range(30))
    for index, (time, _) in enumerate(found):
        assert abs(time - Fraction(index, 25)) <= tolerance
    assert (log.frames, log.errors, log.last_time) == (30, 0, found[-1][0])
    assert abs(info.duration - Fraction(30, 25)) <= tolerance
    assert info.fps == 25
    assert info.frame_count == 30
    assert not info.is_vfr
    assert not info.is_truncated


def test_conformance_windows(clip: Path, number_of: NumberOf) -> None:
    info = probe_video(clip)
    middle = Fraction(1, 50)  # between two frames: the earlier one is displayed

    def numbers(start: Fraction, end: Fraction | None) -> list[int]:
        return [number_of(frame.rgb()) for frame in decode(clip, info, start=start, end=end)]

    assert numbers(Fraction(10, 25) + middle, Fraction(13, 25) - middle) == [10, 11, 12]
    assert numbers(Fraction(28, 25) + middle, None) == [28, 29]
    assert numbers(Fraction(100), None) == [29]
    assert numbers(Fraction(1), Fraction(1)) == []


def test_conformance_frames_at(clip: Path, number_of: NumberOf) -> None:
    info = probe_video(clip)
    half = Fraction(1, 50)
    times = [Fraction(k, 25) + half for k in (17, 3, 29, 3, 0)] + [Fraction(-1), Fraction(99)]
    frames = frames_at(clip, info, times)
    assert [number_of(frame.rgb()) for frame in frames] == [17, 3, 29, 3, 0, 0, 29]
    assert abs(frames[0].time - Fraction(17, 25)) <= max(info.time_base, Fraction(1, 1000))
    assert frames[1] is frames[3]
    assert frames_at(clip, info, []) == []
    each = [(index, number_of(frame.rgb())) for index, frame in each_frame_at(clip, info, times)]
    assert [number for _, number in each] == [0, 0, 3, 3, 17, 29, 29], "earliest first"
    assert dict(each) == {0: 17, 1: 3, 2: 29, 3: 3, 4: 0, 5: 0, 6: 29}


@pytest.mark.parametrize("suffix", ["mkv", "flv", "webm"])
def test_a_frame_whose_time_was_rounded_up_is_displayed_at_its_own_time(
    numbered: Numbered, number_of: NumberOf, suffix: str
) -> None:
    # Frame 2 of 30 a second is stamped with 67 ms, a third of one after it is due.
    options = ("-c:v", "libvpx", "-crf", "4") if suffix == "webm" else X264
    clip = numbered(f"rounded.{suffix}", *options, rate="30")
    info = probe_video(clip)
    due = [Fraction(k, 30) for k in range(30)]
    assert [number_of(frame.rgb()) for frame in frames_at(clip, info, due)] == list(range(30))
    for first, last in ((0, 2), (2, 5), (5, 8)):
        part = decode(clip, info, start=due[first], end=due[last])
        assert [number_of(frame.rgb()) for frame in part] == list(range(first, last))


def test_conformance_pictures(clip: Path) -> None:
    info = probe_video(clip)
    frame = next(iter(decode(clip, info)))
    assert frame.rgb().shape == (info.height, info.width, 3) == (64, 96, 3)
    assert frame.rgb(48).shape == (32, 48, 3)
    assert frame.rgb(4000).shape == (64, 96, 3)
    tiny = frame.glance()
    assert tiny.dtype == np.uint8
    assert tiny.shape[0] <= 48
    assert tiny.shape[1] <= 64
    assert tiny.shape[2] == 3


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_far_starts_are_sought_and_exact(
    numbered: Numbered, number_of: NumberOf, suffix: str
) -> None:
    # 60 frames at 2/s: 30 s, a keyframe every 6 s.
    clip = numbered(f"slow.{suffix}", *X264, rate="2", frames=60)
    info = probe_video(clip)
    times = [Fraction(k, 2) + Fraction(1, 4) for k in (55, 2, 33, 34, 12, 13, 59)]
    found = [number_of(frame.rgb()) for frame in frames_at(clip, info, times)]
    assert found == [55, 2, 33, 34, 12, 13, 59]
    for start in (9, 23, 47):
        frames = decode(clip, info, start=Fraction(start, 2), end=Fraction(start + 3, 2))
        assert [number_of(f.rgb()) for f in frames] == [start, start + 1, start + 2]


def test_variable_rate(numbered: Numbered, number_of: NumberOf) -> None:
    # Frames 0-9 at 25/s, then every frame twice as long.
    clip = numbered(
        "vfr.mp4", *X264, "-fps_mode", "vfr", "-enc_time_base", "1/1000",
        filters=",setpts='if(lt(N,10),N,10+(N-10)*2)/25/TB'", frames=20,
    )  # fmt: skip
    info = probe_video(clip)
    assert info.is_vfr
    expected = [Fraction(k if k < 10 else 10 + (k - 10) * 2, 25) for k in range(20)]
    found = [(f.time, number_of(f.rgb())) for f in decode(clip, info)]
    assert [number for _, number in found] == list(range(20))
    assert [time for time, _ in found] == expected
    assert info.fps == Fraction(19) / expected[-1]


@pytest.mark.parametrize(("turn", "clockwise"), [(0, 0), (90, 270), (180, 180), (270, 90)])
def test_rotation_follows_the_display_matrix(
    numbered: Numbered, ffmpeg: Callable[..., None], turn: int, clockwise: int
) -> None:
    # Left half white: after a counter-clockwise quarter turn the bottom half is white.
    source = numbered(
        "halves.mp4", *X264, frames=6, filters=",geq=lum='255*lt(X,48)':cb=128:cr=128"
    )
    clip = source.with_name(f"turned{turn}.mp4")
    ffmpeg("-display_rotation", turn, "-i", source, "-c", "copy", clip)
    info = probe_video(clip)
    assert info.rotation_deg == clockwise
    assert (info.coded_width, info.coded_height) == (96, 64)
    assert (info.width, info.height) == ((64, 96) if turn in (90, 270) else (96, 64))
    rgb = next(iter(decode(clip, info))).rgb()
    height, width = rgb.shape[:2]
    assert (height, width) == (info.height, info.width)
    white = {
        0: rgb[:, : width // 2], 90: rgb[height // 2 :],
        180: rgb[:, width // 2 :], 270: rgb[: height // 2],
    }[turn]  # fmt: skip
    assert white[4:-4, 4:-4].min() > 200
    assert rgb.mean() == pytest.approx(127, abs=8)
    # What ffmpeg itself shows is the judge.
    still = source.with_name(f"turned{turn}.png")
    ffmpeg("-i", clip, "-frames:v", 1, still)
    judge = np.asarray(Image.open(still).convert("RGB")).astype(int)
    assert np.abs(judge - rgb).mean() < 4


def test_square_pixels(numbered: Numbered, number_of: NumberOf) -> None:
    wide = numbered("wide.mp4", *X264, filters=",setsar=2")
    info = probe_video(wide)
    assert (info.width, info.height, info.sample_aspect_ratio) == (192, 64, 2)
    frames = list(decode(wide, info))
    assert frames[21].rgb().shape == (64, 192, 3)
    assert number_of(frames[21].rgb()) == 21
    assert frames[21].rgb(96).shape == (32, 96, 3)
    tall = probe_video(numbered("tall.mp4", *X264, filters=",setsar=1/2"))
    assert (tall.width, tall.height) == (96, 128)


def test_odd_sizes_without_subsampling(numbered: Numbered, number_of: NumberOf) -> None:
    clip = numbered("odd.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p", size="97x63")
    info = probe_video(clip)
    frames = list(decode(clip, info))
    assert frames[5].rgb().shape == (63, 97, 3)
    assert number_of(frames[5].rgb()) == 5
    assert frames[5].rgb(33).shape == (21, 33, 3)


def test_an_edit_list_hides_what_lies_before(
    numbered: Numbered, ffmpeg: Callable[..., None], number_of: NumberOf
) -> None:
    source = numbered("b_frames.mp4", *X264)
    clip = source.with_name("edited.mp4")
    ffmpeg("-ss", "0.6", "-i", source, "-c", "copy", clip)  # frame 15, the keyframe is 12
    info = probe_video(clip)
    found = [(f.time, number_of(f.rgb())) for f in decode(clip, info)]
    assert found == [(Fraction(k - 15, 25), k) for k in range(15, 30)]
    assert info.frame_count == 15
    assert info.duration == Fraction(15, 25)


@pytest.mark.parametrize(("space", "matrix"), [("bt709", "bt709"), ("smpte170m", "bt601")])
@pytest.mark.parametrize("spread", ["tv", "pc"])
def test_colour_space_and_range_are_respected(
    ffmpeg: Callable[..., None], tmp_path: Path, space: str, matrix: str, spread: str
) -> None:
    clip = tmp_path / "colour.mp4"
    ffmpeg(
        "-f", "lavfi", "-i", "color=0xC86432:s=64x48:r=25,format=rgb24,"
        f"scale=out_color_matrix={matrix}:out_range={spread},format=yuv444p",
        "-frames:v", 2, "-c:v", "libx264", "-crf", 1,
        "-colorspace", space, "-color_range", spread, clip,
    )  # fmt: skip
    rgb = next(iter(decode(clip, probe_video(clip)))).rgb()
    assert np.abs(rgb[24, 32].astype(int) - (200, 100, 50)).max() <= 3


def test_scaling_down_averages(ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    clip = tmp_path / "stripes.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "color=black:s=640x480,format=yuv444p,"
        "geq=lum='255*mod(X,2)':cb=128:cr=128",
        "-frames:v", 1, "-c:v", "ffv1", "-pix_fmt", "yuv444p", clip,
    )  # fmt: skip
    rgb = next(iter(decode(clip, probe_video(clip)))).rgb(80)
    assert rgb.shape == (60, 80, 3)
    assert rgb.std() < 3


def test_glance_shows_the_picture(ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    clip = tmp_path / "red.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=640x480", "-frames:v", 2, *X264, clip)
    frame = next(iter(decode(clip, probe_video(clip))))
    blue, green, red = frame.glance().reshape(-1, 3).mean(axis=0)
    assert red > 180
    assert blue < 60
    assert green < 60


def test_skip_nonref_is_a_part_of_the_whole(numbered: Numbered, number_of: NumberOf) -> None:
    clip = numbered("b_frames.mp4", *X264)
    info = probe_video(clip)
    every = {frame.time: number_of(frame.rgb()) for frame in decode(clip, info)}
    some = {f.time: number_of(f.rgb()) for f in decode(clip, info, skip_nonref=True)}
    assert 0 < len(some) < 30
    assert some.items() <= every.items()


def test_damage_is_skipped_counted_and_the_same_each_time(
    numbered: Numbered,
) -> None:
    whole = numbered("noisy.mp4", *X264, size="320x240", filters=NOISE)
    data = bytearray(whole.read_bytes())
    rng = np.random.default_rng(3)
    for place in rng.integers(len(data) // 3, len(data) // 2, 200):
        data[place] = rng.integers(0, 256)
    path = whole.with_name("damaged.mp4")
    path.write_bytes(data)
    info = probe_video(path)
    runs = []
    for _ in range(2):
        log = DecodeLog()
        runs.append([(f.time, f.rgb().tobytes()) for f in decode(path, info, log=log)])
        assert log.frames == len(runs[-1]) > 5
    assert runs[0] == runs[1]
    times = [time for time, _ in runs[0]]
    assert times == sorted(set(times))


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi", "mpg"])
def test_a_cut_file_ends_normally(numbered: Numbered, number_of: NumberOf, suffix: str) -> None:
    codec = ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "0") if suffix == "mpg" else X264
    whole = numbered(f"whole.{suffix}", *codec, size="320x240", filters=NOISE)
    path = whole.with_name(f"cut.{suffix}")
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    info = probe_video(path)
    numbers = [number_of(frame.rgb()) for frame in decode(path, info)]
    assert 5 < len(numbers) < 30
    assert numbers[:5] == [0, 1, 2, 3, 4]
    assert info.is_truncated == (suffix in ("mkv", "avi"))


def test_closing_early_frees_the_file(numbered: Numbered) -> None:
    clip = numbered("b_frames.mp4", *X264)
    info = probe_video(clip)
    frames = decode(clip, info)
    next(frames)
    assert clip.name in open_files()
    frames.close()
    gc.collect()
    assert clip.name not in open_files()


def open_files() -> set[str]:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("open files are listed in /proc only")
    return {entry.readlink().name for entry in descriptors.iterdir() if entry.is_symlink()
            and entry.exists()}  # fmt: skip


def test_a_file_that_changed_since_is_refused(numbered: Numbered, tmp_path: Path) -> None:
    info = probe_video(numbered("b_frames.mp4", *X264))
    path = tmp_path / "other.mp4"
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(MediaUnreadable):
        next(iter(decode(path, info)))


# Untagged frames that the decoder holds back would take the tags of the part that follows.
TAGGED = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
          "-color_range", "tv")  # fmt: skip
SECOND_PARTS = {
    "size": ("scale=64:48", ()),
    "pixels": ("format=yuv444p", ("-pix_fmt", "yuv444p")),
    "range": ("scale=out_range=full,format=yuvj420p", ("-pix_fmt", "yuvj420p")),
    "turned_size": ("scale=64:96", ()),
}
# Time stamps of the second part: from the start again; two frames early; one frame early.
BEGINS = {"again": None, "early": "0.6", "just_early": "0.64"}


@pytest.fixture
def joined(numbered: Numbered, tmp_path: Path) -> Callable[..., Path]:
    """15 frames at 25/s of 96x64 px, 4:2:0, limited range, and 15 in another form."""

    def join(kind: str, begins: str) -> Path:
        filters, options = SECOND_PARTS[kind]
        early = ("-muxdelay", "0")
        first = numbered("first.ts", *X264, *TAGGED, *early, frames=15)
        second = numbered(
            f"{kind}-{begins}.ts",
            *(*X264, *options, *early),
            *(() if BEGINS[begins] is None else ("-output_ts_offset", BEGINS[begins])),
            frames=15,
            filters=f",trim=start_frame=15,setpts=PTS-STARTPTS,{filters}",
        )
        path = tmp_path / "joined.ts"
        path.write_bytes(first.read_bytes() + second.read_bytes())
        return path

    return join


@pytest.mark.parametrize("kind", SECOND_PARTS)
@pytest.mark.parametrize("begins", BEGINS)
def test_frames_of_joined_parts_all_come_in_the_form_of_the_first(
    joined: Callable[..., Path], number_of: NumberOf, kind: str, begins: str
) -> None:
    clip = joined(kind, begins)
    info = probe_video(clip)
    log = DecodeLog()
    frames = list(decode(clip, info, log=log))
    assert [number_of(frame.rgb()) for frame in frames] == list(range(30))
    steps = [b.time - a.time for a, b in pairwise(frames)]
    assert set(steps) == {Fraction(1, 25)}
    assert (info.frame_count, info.duration, len(info.splices)) == (30, Fraction(30, 25), 1)
    assert {frame.rgb().shape for frame in frames} == {(64, 96, 3)}
    # Black and white alone: other levels or another scale would show.
    levels = [np.percentile(frame.rgb(), (10, 90)) for frame in frames if number_of(frame.rgb())]
    assert all(low < 12 and high > 243 for low, high in levels)
    assert [form.time for form in log.forms] == [0, Fraction(15, 25)]
    (late,) = frames_at(clip, info, [Fraction(20, 25)])
    assert number_of(late.rgb()) == 20


@pytest.mark.parametrize("kind", SECOND_PARTS)
def test_frames_that_are_only_stored_in_another_way_are_no_cut(
    ffmpeg: Callable[..., None], tmp_path: Path, kind: str
) -> None:
    filters, options = SECOND_PARTS[kind]
    filters = filters.replace("64:48", "640:360").replace("64:96", "540:960")
    whole = "testsrc2=s=960x540:r=25:d=1.2"
    part = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    for name, cut in (("a.ts", "trim=end_frame=15"), ("b.ts", "trim=start_frame=15")):
        more = f",setpts=PTS-STARTPTS,{filters}" if name == "b.ts" else ""
        coding = (*part, *(options if more else TAGGED))
        ffmpeg("-f", "lavfi", "-i", f"{whole},{cut}{more}", *coding, tmp_path / name)
    clip = tmp_path / "joined.ts"
    clip.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    marked = list(mark_cuts(decode(clip, probe_video(clip))))
    assert len(marked) == 30
    assert not [frame.time for frame, is_cut in marked if is_cut]


def test_sizes() -> None:
    assert square_pixel_size(272, 960, Fraction(2)) == (544, 960)
    assert square_pixel_size(1280, 720, Fraction(26363, 26367)) == (1280, 720)
    assert square_pixel_size(720, 576, Fraction(16, 15)) == (768, 576)
    assert square_pixel_size(720, 480, Fraction(8, 9)) == (720, 540)
    assert sane_aspect_ratio(None) == sane_aspect_ratio(Fraction(0)) == 1
    assert sane_aspect_ratio(Fraction(1, 4000)) == 1
    assert fit_size(1920, 1080, 1280) == (1280, 720)
    assert fit_size(1920, 1080, None) == fit_size(1920, 1080, 1920) == (1920, 1080)
    assert fit_size(5000, 1, 50) == (50, 1)
