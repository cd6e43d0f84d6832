from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wan_prep.errors import InputPathError, MediaUnreadable
from wan_prep.media.frames import decode
from wan_prep.media.limits import ClipLimits
from wan_prep.media.probe import probe_video
from wan_prep.media.timing import Timing, measured_timing, varies

Numbered = Callable[..., Path]
Ffmpeg = Callable[..., None]
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "12", "-crf", "10")
MS = Fraction(1, 1000)


def refused(path: Path) -> MediaUnreadable:
    with pytest.raises(MediaUnreadable) as caught:
        probe_video(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("expected")
    return caught.value


# ---- timing: pure arithmetic


def test_one_frame_lasts_what_is_said() -> None:
    assert measured_timing([7], 40, MS, None) == Timing(Fraction(1, 25), Fraction(25), False)
    assert measured_timing([7], None, MS, Fraction(50)).duration == Fraction(1, 50)


def test_milliseconds_are_no_variable_rate() -> None:
    pts = [round(k * 1000 / 60) for k in range(600)]
    timing = measured_timing(pts, 16, MS, Fraction(60))
    assert (timing.fps, timing.is_vfr) == (60, False)
    assert abs(timing.duration - 10) <= MS


def test_a_claim_that_does_not_fit_is_not_believed() -> None:
    assert measured_timing([0, 40, 80], 40, MS, Fraction(50)).fps == 25


def test_a_last_frame_that_is_held_makes_the_rate_variable() -> None:
    pts = [k * 512 for k in range(60)]
    timing = measured_timing(pts, 30 * 15360, Fraction(1, 15360), Fraction(30))
    assert timing == Timing(Fraction(59, 30) + 30, Fraction(30), is_vfr=True)
    # Muxers let the last frame stand until the sound has ended.
    assert not measured_timing(pts, 2 * 512, Fraction(1, 15360), Fraction(30)).is_vfr


def test_one_lost_frame_in_a_thousand_is_no_variable_rate() -> None:
    pts = [k * 512 for k in range(1001) if k != 400]
    assert not varies(pts)
    assert varies([k * 512 for k in range(100) if k % 10])


def test_two_rates_in_one_clip_vary() -> None:
    slow = [k * 600 for k in range(500)]
    fast = [slow[-1] + 600 + k * 500 for k in range(500)]
    assert varies(slow + fast)
    assert varies([0, 40, 120])
    assert not varies([0, 40])
    assert not varies([0])


def test_a_drift_too_small_for_any_one_frame_varies() -> None:
    slow = [k * 1000 for k in range(2000)]
    fast = [slow[-1] + k * 990 for k in range(1, 2001)]
    assert varies(slow + fast)


# ---- refusals


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("empty.mp4", b"", "empty"),
        ("garbage.mp4", bytes(np.random.default_rng(0).integers(0, 256, 9000, np.uint8)),
         "not_media"),
        ("text.mp4", b"hello world\n" * 400, "not_media"),
        ("zeros.mp4", b"\0" * 9000, "not_media"),
        ("cut.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isomiso2\0\0\xff\xffmdat" + b"\0" * 999,
         "truncated"),
        ("broken.mkv", b"\x1aE\xdf\xa3" + b"\1" * 3000, "corrupt"),
        ("still.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99, "wrong_kind"),
    ],
)  # fmt: skip
def test_what_is_no_video_says_what_it_is(
    tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert refused(path).kind == kind


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_a_still_picture_is_the_wrong_kind(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"still.{suffix}"
    Image.new("RGB", (64, 48), (9, 90, 200)).save(path)
    error = refused(path)
    assert error.kind == "wrong_kind"
    assert "still picture" in str(error)


def test_a_missing_path_is_another_error(tmp_path: Path) -> None:
    with pytest.raises(InputPathError):
        probe_video(tmp_path / "none.mp4")


@pytest.fixture
def trap() -> object:
    """A listening port; `.visited` tells whether anybody connected."""

    class Trap:
        def __init__(self) -> None:
            self.server = socket.create_server(("127.0.0.1", 0))
            self.port = self.server.getsockname()[1]
            self.visited = False
            threading.Thread(target=self.wait, daemon=True).start()

        def wait(self) -> None:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.visited = True
            connection.close()

    trap = Trap()
    yield trap
    trap.server.shutdown(socket.SHUT_RDWR)
    trap.server.close()


SCRIPTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "list.mp4": "ffconcat version 1.0\nfile '{target}'\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "show.mpd": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period>"
    "<BaseURL>{target}</BaseURL></Period></MPD>",
    "list.pls": "[playlist]\nFile1={target}\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.media
def test_scripts_and_playlists_open_nothing_else(
    tmp_path: Path, numbered: Numbered, trap: object, name: str, remote: bool
) -> None:
    clip = numbered("b_frames.mp4", *X264)
    target = f"http://127.0.0.1:{trap.port}/x.ts" if remote else str(clip)
    path = tmp_path / name
    path.write_text(SCRIPTS[name].format(target=target, port=trap.port))
    assert refused(path).kind == "not_media"
    assert not trap.visited


# ---- facts


@pytest.mark.media
def test_the_facts_of_a_plain_clip(numbered: Numbered) -> None:
    path = numbered("b_frames.mp4", *X264)
    info = probe_video(path)
    facts = {k: v for k, v in info if k not in ("path", "sha256", "size_bytes")}
    assert facts == {
        "kind": "video",
        "container": "mp4",
        "codec": "h264",
        "pixel_format": "yuv420p",
        "bit_depth": 8,
        "width": 96,
        "height": 64,
        "coded_width": 96,
        "coded_height": 64,
        "sample_aspect_ratio": Fraction(1),
        "rotation_deg": 0,
        "is_mirrored": False,
        "matrix_left_undone": None,
        "hidden_ltrb": (0, 0, 0, 0),
        "has_alpha": False,
        "is_full_range": False,
        "is_interlaced": False,
        "color_transfer": None,
        "is_hdr": False,
        "duration": Fraction(6, 5),
        "duration_from_header": Fraction(6, 5),
        "fps": Fraction(25),
        "fps_from_header": Fraction(25),
        "is_vfr": False,
        "frame_count": 30,
        "frame_count_from_header": 30,
        "first_pts": 0,
        "time_base": Fraction(1, 12800),
        "splices": (),
        "is_truncated": False,
        "has_audio": False,
        "audio_codec": None,
        "audio_start": None,
        "audio_duration": None,
        "video_index": 0,
        "other_videos": 0,
        "audio_index": None,
        "undecodable_audio": (),
        "has_time_stamps": True,
        "unstamped_frames": 0,
        "unstamped_audio": 0,
    }
    assert info.size_bytes == path.stat().st_size
    assert len(info.sha256) == 64
    assert type(info).model_validate_json(info.model_dump_json()) == info


@pytest.mark.media
def test_sound_is_measured_against_the_first_frame(numbered: Numbered, ffmpeg: Ffmpeg) -> None:
    clip = numbered("b_frames.mp4", *X264)
    path = clip.with_name("sound.mkv")
    ffmpeg(
        "-i", clip, "-itsoffset", "0.5", "-f", "lavfi", "-i", "sine=d=2:r=48000",
        "-map", 0, "-map", 1, "-c:v", "copy", "-c:a", "pcm_s16le", path,
    )  # fmt: skip
    info = probe_video(path)
    assert (info.has_audio, info.audio_codec) == (True, "pcm_s16le")
    assert abs(info.audio_start - Fraction(1, 2)) <= MS
    assert abs(info.audio_duration - 2) <= 30 * MS
    assert abs(info.duration - Fraction(6, 5)) <= MS
    assert not info.is_truncated


@pytest.mark.media
def test_sound_alone_and_cover_art_are_no_video(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    Image.new("RGB", (64, 64), (200, 0, 0)).save(cover)
    tone = ("-f", "lavfi", "-i", "sine=d=1")
    for name in ("a.m4a", "a.mp3", "a.wav", "a.ogg", "a.mkv"):
        codec = ("-c:a", "aac") if name == "a.mkv" else ()
        ffmpeg(*tone, *codec, tmp_path / name)
        assert refused(tmp_path / name).kind == "no_video_stream"
    art = ("-map", 0, "-map", 1, "-c:v", "copy", "-disposition:v", "attached_pic")
    for name in ("art.m4a", "art.mp3"):
        ffmpeg(*tone, "-i", cover, *art, tmp_path / name)
        assert refused(tmp_path / name).kind == "no_video_stream"


@pytest.mark.media
def test_interlaced_and_hdr_are_seen(numbered: Numbered) -> None:
    fields = numbered("fields.mp4", *X264, "-flags", "+ilme+ildct", "-x264-params", "tff=1")
    assert probe_video(fields).is_interlaced
    hdr = numbered(
        "hdr.mp4", "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-color_trc", "arib-std-b67",
        "-x265-params", "log-level=0:transfer=arib-std-b67",
    )  # fmt: skip
    info = probe_video(hdr)
    assert (info.color_transfer, info.is_hdr, info.bit_depth) == ("arib-std-b67", True, 10)


@pytest.mark.media
def test_a_limit_of_pixels_is_kept(numbered: Numbered) -> None:
    clip = numbered("b_frames.mp4", *X264)
    assert probe_video(clip, limits=replace(ClipLimits.shipped(), pixels=96 * 64)).width == 96
    with pytest.raises(MediaUnreadable, match="96x64") as caught:
        probe_video(clip, limits=replace(ClipLimits.shipped(), pixels=96 * 64 - 1))
    assert caught.value.kind == "too_large"


@pytest.mark.media
def test_strange_names_are_plain_names(numbered: Numbered, tmp_path: Path) -> None:
    clip = numbered("b_frames.mp4", *X264)
    for name in ("100%d of %03d.mp4", "file:x|y.mp4", "ü 漢字 'q\".mp4", "-i.mp4"):
        path = tmp_path / name
        path.write_bytes(clip.read_bytes())
        info = probe_video(path)
        assert next(iter(decode(path, info))).time == 0


@pytest.mark.media
def test_libav_keeps_quiet(
    numbered: Numbered, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(numbered("b_frames.mp4", *X264).read_bytes())
    data[200:4000:7] = b"\xff" * len(data[200:4000:7])
    path = tmp_path / "bad.mp4"
    path.write_bytes(data)
    try:
        list(decode(path, probe_video(path)))
    except MediaUnreadable as exc:
        assert exc.__cause__ is not None or exc.kind == "no_frames"  # noqa: PT017
    assert capfd.readouterr() == ("", "")


@pytest.mark.media
@pytest.mark.parametrize("name", ["b_frames.mp4", "clock.mkv", "stream.ts", "b_frames.avi"])
def test_random_damage_never_raises_anything_else(
    numbered: Numbered, tmp_path: Path, name: str
) -> None:
    data = numbered(name, *X264).read_bytes()
    rng = np.random.default_rng(5)
    path = tmp_path / name
    for _ in range(25):
        broken = bytearray(data)
        for place in rng.integers(0, len(broken), 30):
            broken[place] = rng.integers(0, 256)
        path.write_bytes(bytes(broken[: rng.integers(len(broken) // 4, len(broken) + 1)]))
        try:
            info = probe_video(path)
            times = [frame.time for frame in decode(path, info)]
        except MediaUnreadable:
            continue
        assert times == sorted(set(times))


# ---- real media

SAME_CLIP = {
    # name: (width, height, fps, duration in s, rotation); the clip is 544x960, 60/s, 5/3 s
    "base_h264.mp4": (544, 960, 60, 5 / 3, 0),
    "vfr.mp4": (544, 960, 38.125, 5 / 3, 0),
    "anim.gif": (270, 476, 15, 5 / 3, 0),
    "anim.webp": (270, 476, 15, 5 / 3, 0),
    "vp9.webm": (544, 960, 60, 5 / 3, 0),
    "frag.mp4": (544, 960, 60, 5 / 3, 0),
    "sar2_272x960.mp4": (544, 960, 60, 5 / 3, 0),
    "truncated60_faststart.mp4": (544, 960, 60, 0.8, 0),
    "hevc10_pq_tagged.mp4": (544, 960, 60, 5 / 3, 0),
    "odd_541x959_yuv444.mp4": (541, 959, 60, 5 / 3, 0),
    "ts.ts": (544, 960, 60, 5 / 3, 0),
    "interlaced_tff.mp4": (544, 960, 30, 5 / 3, 0),
    "rot90_meta.mp4": (544, 960, 60, 5 / 3, 270),
    "rot180_meta.mp4": (544, 960, 60, 5 / 3, 180),
    "avi_h264.avi": (544, 960, 60, 5 / 3, 0),
    "mjpeg_full_range.avi": (544, 960, 60, 1 / 3, 0),
    "single_frame.mp4": (544, 960, 60, 1 / 60, 0),
    "av1.mp4": (544, 960, 60, 5 / 3, 0),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SAME_CLIP)
def test_one_clip_in_many_shapes(shared_data: Path, name: str) -> None:
    path = shared_data / "robustness" / "same_clip" / name
    info = probe_video(path)
    width, height, fps, duration_s, rotation_deg = SAME_CLIP[name]
    assert (info.width, info.height, info.rotation_deg) == (width, height, rotation_deg)
    assert float(info.fps) == pytest.approx(fps, rel=1e-3)
    assert float(info.duration) == pytest.approx(duration_s, abs=2e-3)
    assert info.is_vfr == (name == "vfr.mp4")
    assert info.is_hdr == (name == "hevc10_pq_tagged.mp4")
    assert info.is_interlaced == (name == "interlaced_tff.mp4")
    assert info.is_truncated == (name == "truncated60_faststart.mp4")
    times = [frame.time for frame in decode(path, info)]
    assert times[0] == 0
    assert times == sorted(set(times))
    if not info.is_truncated:
        assert len(times) == info.frame_count


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", [n for n in SAME_CLIP if n not in ("rot90_meta.mp4", "single_frame.mp4")]
)
def test_one_clip_shows_one_picture(shared_data: Path, name: str) -> None:
    folder = shared_data / "robustness" / "same_clip"
    small = []
    for path in (folder / "base_h264.mp4", folder / name):
        frames = decode(path, probe_video(path), start=Fraction(1, 5))
        rgb = Image.fromarray(next(frames).rgb())
        frames.close()
        small.append(np.asarray(rgb.resize((34, 60)), np.float64))
    assert np.abs(small[0] - small[1]).mean() < 8


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("empty.mp4", "empty"),
        ("garbage.mp4", "not_media"),
        ("audio_only.mp4", "no_video_stream"),
        ("truncated60_no_moov.mp4", "truncated"),
    ],
)
def test_unreadable_shapes(shared_data: Path, name: str, kind: str) -> None:
    assert refused(shared_data / "robustness" / "same_clip" / name).kind == kind


@pytest.mark.shared_data
@pytest.mark.parametrize("folder", ["pillow", "torchcodec", "decord", "exif"])
def test_hostile_real_files_read_or_say_why(shared_data: Path, folder: str) -> None:
    for path in sorted((shared_data / "robustness" / folder).iterdir()):
        try:
            info = probe_video(path)
        except MediaUnreadable:
            continue
        times = [frame.time for frame in decode(path, info)]
        assert times[0] == 0
        assert times == sorted(set(times))
