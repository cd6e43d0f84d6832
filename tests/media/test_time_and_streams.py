"""Files whose time or streams are not plain: what FFmpeg shows and plays is what counts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from wan_prep.media.colors import color_tags
from wan_prep.media.frames import decode, frames_at
from wan_prep.media.matroska import times_below_zero
from wan_prep.media.probe import probe_video
from wan_prep.media.sound import Sound, find_sound, mixes_down
from wan_prep.media.stamps import read_stamps
from wan_prep.media.types import VideoInfo

pytestmark = pytest.mark.media

Numbered = Callable[..., Path]
Ffmpeg = Callable[..., None]
NumberOf = Callable[[np.ndarray], int]
B_FRAMES = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "12", "-crf", "10")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2.4")


def shown(path: Path, number_of: NumberOf) -> tuple[VideoInfo, list[Fraction], list[int]]:
    """Facts, times and numbers of all frames."""
    info = probe_video(path)
    frames = [(frame.time, number_of(frame.rgb())) for frame in decode(path, info)]
    return info, [time for time, _ in frames], [number for _, number in frames]


def shown_by_ffmpeg(path: Path) -> list[float]:
    """When a plain decode shows the frames, s on the container's clock."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-copyts", "-i", path]
    command += ["-map", "0:v:0", "-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return [float(time) for time in re.findall(r"pts_time:(\S+)", said)]


def with_sound(ffmpeg: Ffmpeg, picture: Path, path: Path, *options: object) -> Path:
    ffmpeg("-i", picture, *TONE, "-c:v", "copy", *options, path)
    return path


def shifted(ffmpeg: Ffmpeg, source: Path, path: Path, seconds: str, *, sound: bool = True) -> Path:
    """The same packets, earlier by so many seconds."""
    shift = f"setts=pts=PTS-{seconds}/TB:dts=DTS-{seconds}/TB"
    moved = ("-bsf:v", shift, *(("-bsf:a", shift) if sound else ()))
    ffmpeg("-i", source, "-c", "copy", *moved, "-avoid_negative_ts", "disabled", path)
    return path


# ---- time stamps below zero


@pytest.mark.parametrize("seconds", ["0.2", "0.6", "1.1", "9"])
@pytest.mark.parametrize(
    "codec",
    [
        B_FRAMES,
        (*B_FRAMES, "-bf", "0"),
        ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    ],
    ids=["b", "no_b", "vp9"],
)
def test_frames_before_zero_are_shown(
    ffmpeg: Ffmpeg,
    numbered: Numbered,
    number_of: NumberOf,
    tmp_path: Path,
    codec: tuple,
    seconds: str,
) -> None:
    name = f"below_{len(codec)}_{codec[1]}.mp4"
    source = with_sound(ffmpeg, numbered(name, *codec), tmp_path / "base.mkv", "-c:a", "libopus")
    path = shifted(ffmpeg, source, tmp_path / "below.mkv", seconds)
    info, times, numbers = shown(path, number_of)
    assert numbers == list(range(30))
    assert [round(1000 * time) for time in times] == [40 * k for k in range(30)]
    assert (info.frame_count, info.fps, info.is_vfr) == (30, 25, False)
    assert info.first_pts * info.time_base == -Fraction(seconds)
    assert info.unstamped_frames == min(30, -(-25 * Fraction(seconds) // 1))
    assert info.audio_start == 0
    assert info.unstamped_audio == Fraction(seconds)
    assert info.audio_duration == pytest.approx(2.4, abs=0.03)


def test_sound_keeps_its_distance_from_frames_before_zero(
    ffmpeg: Ffmpeg, numbered: Numbered, tmp_path: Path
) -> None:
    clip = numbered("below.mp4", *B_FRAMES)
    source = with_sound(ffmpeg, clip, tmp_path / "base.mkv", "-c:a", "libopus")
    path = shifted(ffmpeg, source, tmp_path / "below.mkv", "0.6", sound=False)
    assert abs(probe_video(path).audio_start - Fraction("0.6")) < Fraction(1, 40)


def test_a_moment_before_zero_is_found(
    ffmpeg: Ffmpeg, numbered: Numbered, number_of: NumberOf, tmp_path: Path
) -> None:
    clip = numbered("slow.mp4", *B_FRAMES, rate="2", frames=60)
    path = shifted(ffmpeg, clip, tmp_path / "slow.mkv", "15", sound=False)
    info = probe_video(path)
    assert (info.unstamped_frames, info.frame_count) == (30, 60)
    times = [Fraction(k) for k in (0, 6, 12, 18, 28)]
    found = frames_at(path, info, times)
    assert [number_of(frame.rgb()) for frame in found] == [0, 12, 24, 36, 56]


@pytest.mark.parametrize("name", ["below.asf", "below.webm", "below.ts"])
def test_what_other_containers_make_of_times_before_zero(
    ffmpeg: Ffmpeg, numbered: Numbered, number_of: NumberOf, tmp_path: Path, name: str
) -> None:
    vp9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
    clip = numbered("below_vp9.webm", *vp9) if "webm" in name else numbered("below.mp4", *B_FRAMES)
    path = shifted(ffmpeg, clip, tmp_path / name, "0.6", sound=False)
    _, times, numbers = shown(path, number_of)
    theirs = shown_by_ffmpeg(path)
    assert numbers == list(range(30))
    assert [float(t) for t in times] == pytest.approx([t - theirs[0] for t in theirs], abs=2e-3)


def test_a_plain_file_is_read_no_further_than_its_first_packet(
    numbered: Numbered, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    path = tmp_path / "plain.mkv"
    ffmpeg("-i", numbered("below.mp4", *B_FRAMES), "-c", "copy", path)
    assert times_below_zero(path, 0) == {}
    assert times_below_zero(numbered("below.mp4", *B_FRAMES), 0) == {}


# ---- times of decoding, and none at all


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("packed.avi", ("-c:v", "libxvid", "-bf", "2", "-q:v", "2")),
        ("packed_once.avi", ("-c:v", "libxvid", "-bf", "1", "-q:v", "2")),
        ("xvid_p.avi", ("-c:v", "libxvid", "-q:v", "2")),
        ("mpeg4_b.avi", ("-c:v", "mpeg4", "-bf", "2", "-q:v", "2", "-vtag", "XVID")),
        ("h264_b.avi", B_FRAMES),
        ("h264_b.asf", B_FRAMES),
    ],
)
def test_frames_are_shown_when_ffmpeg_shows_them(
    numbered: Numbered, number_of: NumberOf, name: str, options: tuple
) -> None:
    encoders = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-encoders"]
    has_xvid = "libxvid" in subprocess.run(encoders, capture_output=True, text=True).stdout
    if "libxvid" in options and not has_xvid:
        pytest.skip("this ffmpeg writes no packed B-frames: it lacks libxvid")
    path = numbered(name, *options, rate="30", size="176x144", frames=60)
    info, times, numbers = shown(path, number_of)
    ours = [float(info.first_pts * info.time_base + time) for time in times]
    assert ours == pytest.approx(shown_by_ffmpeg(path), abs=2e-3)
    assert numbers == list(range(numbers[-1] + 1))
    assert len(numbers) >= 58  # the encoder of packed frames gives away two
    assert info.frame_count == len(numbers)
    assert info.duration == pytest.approx(times[-1] + Fraction(1, 30), abs=2e-3)


@pytest.mark.parametrize(
    ("name", "options", "stated"),
    [
        ("bare.h264", B_FRAMES, 30),
        (
            "bare.hevc",
            ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=0"),
            30,
        ),
        ("bare.m2v", ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "2", "-f", "mpeg2video"), 30),
        (
            "silent.hevc",
            (
                *("-c:v", "libx265", "-pix_fmt", "yuv420p"),
                *("-x265-params", "log-level=0:no-vui-timing-info=1"),
            ),
            None,
        ),
        ("bare.obu", ("-c:v", "libaom-av1", "-cpu-used", "8", "-f", "obu"), None),
    ],
)
def test_a_stream_without_time_says_so(
    numbered: Numbered, number_of: NumberOf, name: str, options: tuple, stated: int | None
) -> None:
    path = numbered(name, *options, rate="30", frames=40)
    info, times, numbers = shown(path, number_of)
    rate = stated or 25  # FFmpeg's default
    assert (info.has_time_stamps, info.fps_from_header, info.fps) == (False, stated, rate)
    assert numbers == list(range(40))
    assert [round(time * rate, 3) for time in times] == list(range(40))
    assert (info.frame_count, info.duration) == (40, Fraction(40, rate))


def test_times_of_decoding_that_are_told_for_those_of_display_are_taken_for_what_they_are(
    ffmpeg: Ffmpeg, numbered: Numbered, number_of: NumberOf, tmp_path: Path
) -> None:
    path = tmp_path / "dts.mkv"
    told = ("-bsf:v", "setts=pts=DTS:dts=DTS")
    ffmpeg("-i", numbered("below.mp4", *B_FRAMES), "-c", "copy", *told, path)
    _, times, numbers = shown(path, number_of)
    assert numbers == list(range(30))
    # The last two come out in the wrong order there.
    theirs = shown_by_ffmpeg(path)[:-2]
    assert [float(t) for t in times[:-2]] == pytest.approx(theirs, abs=2e-3)
    steps = [float(times[k] - times[k - 1]) for k in (-2, -1)]
    assert steps == pytest.approx([0.04, 0.04], abs=2e-3)


# ---- several streams of pictures


def several(
    ffmpeg: Ffmpeg, path: Path, first: Path, second: Path, *options: object
) -> tuple[VideoInfo, Path]:
    ffmpeg("-i", first, "-i", second, "-map", "0:v", "-map", "1:v", "-c", "copy", *options, path)
    return probe_video(path), path


FLAGS = {
    "second": ("-disposition:v:0", "0", "-disposition:v:1", "default"),
    "first": ("-disposition:v:0", "default", "-disposition:v:1", "0"),
    "none": ("-disposition:v:0", "0", "-disposition:v:1", "0"),
}


@pytest.mark.parametrize(
    ("flags", "order", "taken"),
    [
        ("second", ("large", "small"), 1),
        ("first", ("small", "large"), 0),
        ("none", ("small", "large"), 1),
        ("none", ("large", "small"), 0),
        ("none", ("small", "small"), 0),
    ],
)
def test_the_stream_that_players_show_is_taken(
    ffmpeg: Ffmpeg, numbered: Numbered, tmp_path: Path, flags: str, order: tuple, taken: int
) -> None:
    clips = {
        "large": numbered("large.mp4", *B_FRAMES, size="192x128"),
        "small": numbered("below.mp4", *B_FRAMES),
    }
    first, second = (clips[name] for name in order)
    info, path = several(ffmpeg, tmp_path / "two.mkv", first, second, *FLAGS[flags])
    assert (info.video_index, info.other_videos) == (taken, 1)
    assert info.width == probe_video((first, second)[taken]).width
    # Every other reader takes the same.
    assert next(iter(decode(path, info))).rgb().shape[1] == info.width
    assert len(read_stamps(path).pictures) == info.frame_count


def test_the_tags_are_those_of_the_stream_that_is_taken(
    ffmpeg: Ffmpeg, numbered: Numbered, tmp_path: Path
) -> None:
    deep = numbered("tagged.mp4", *B_FRAMES, "-colorspace", "bt709")
    _, path = several(
        *(ffmpeg, tmp_path / "two.mkv", numbered("below.mp4", *B_FRAMES), deep), *FLAGS["second"]
    )
    assert color_tags(path).matrix == "bt709"


def test_a_cover_picture_is_no_further_stream(
    ffmpeg: Ffmpeg, numbered: Numbered, tmp_path: Path
) -> None:
    cover = tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=400x400", "-frames:v", "1", cover)
    path = tmp_path / "covered.mp4"
    ffmpeg(
        *("-i", cover, "-i", numbered("below.mp4", *B_FRAMES), "-map", "0", "-map", "1"),
        *("-c", "copy", "-disposition:v:0", "attached_pic", path),
    )
    info = probe_video(path)
    assert (info.width, info.other_videos) == (96, 0)


# ---- sound


def undecodable(path: Path, target: Path, tracks: int) -> Path:
    """The first tracks of AAC become a codec that nobody knows."""
    content = path.read_bytes()
    for _ in range(tracks):
        entry = content.index(b"mp4a")
        setup = content.index(b"esds", entry)
        content = (
            content[:entry] + b"apac" + content[entry + 4 : setup] + b"xxxx" + content[setup + 4 :]
        )
    target.write_bytes(content)
    return target


def test_the_first_sound_that_decodes_is_taken(
    ffmpeg: Ffmpeg, numbered: Numbered, tmp_path: Path
) -> None:
    two = tmp_path / "two.mp4"
    ffmpeg(
        *("-i", numbered("below.mp4", *B_FRAMES), *TONE, *TONE, "-map", "0:v", "-map", "1:a"),
        *("-map", "2:a", "-c:v", "copy", "-c:a", "aac", two),
    )
    both = probe_video(two)
    assert (both.audio_index, both.undecodable_audio) == (1, ())
    second = probe_video(undecodable(two, tmp_path / "second.mp4", 1))
    assert (second.audio_index, second.audio_codec, second.has_audio) == (2, "aac", True)
    assert second.undecodable_audio == ("unknown codec",)
    assert second.audio_duration == both.audio_duration
    none = probe_video(undecodable(two, tmp_path / "none.mp4", 2))
    assert (none.audio_index, none.audio_codec, none.has_audio) == (None, None, False)
    assert none.undecodable_audio == ("unknown codec",) * 2


def test_sound_that_is_flagged_as_default_comes_first(
    ffmpeg: Ffmpeg, numbered: Numbered, tmp_path: Path
) -> None:
    path = tmp_path / "flagged.mkv"
    ffmpeg(
        *("-i", numbered("below.mp4", *B_FRAMES), *TONE, *TONE, "-map", "0:v", "-map", "1:a"),
        *("-map", "2:a", "-c:v", "copy", "-c:a", "aac"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default", path),
    )
    assert find_sound(path) == Sound(2, ())


def test_a_sound_field_is_no_set_of_loudspeakers(
    ffmpeg: Ffmpeg, numbered: Numbered, tmp_path: Path
) -> None:
    clip = numbered("below.mp4", *B_FRAMES)
    quad = ("-af", "aformat=channel_layouts=quad", "-c:a", "libopus")
    field = with_sound(ffmpeg, clip, tmp_path / "field.mkv", *quad, "-mapping_family", "2")
    plain = with_sound(ffmpeg, clip, tmp_path / "quad.mkv", *quad)
    assert not mixes_down(field, 1)
    assert mixes_down(plain, 1)
