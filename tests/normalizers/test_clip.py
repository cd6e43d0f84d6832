"""What is really written: frames by their numbers, colours by their codes, sound by its beeps."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from wan_prep.errors import NormalizeFailed
from wan_prep.media.colors import color_tags
from wan_prep.media.frames import decode, frames_at
from wan_prep.media.probe import probe_video
from wan_prep.media.stamps import read_stamps
from wan_prep.normalizers.crop_pad import picture
from wan_prep.planning.model import Geometry, Span, Window

pytestmark = pytest.mark.media

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", "-pix_fmt", "yuv420p")
B_FRAMES = ("-c:v", "libx264", "-qp", "10", "-pix_fmt", "yuv420p", "-bf", "3", "-g", "12")
CONTAINERS = {
    "plain.mp4": B_FRAMES,
    "later.mp4": (*B_FRAMES, "-output_ts_offset", "7.3"),
    "open_gop.mp4": (*B_FRAMES, "-x264-params", "open-gop=1"),
    "fragmented.mp4": (*B_FRAMES, "-movflags", "frag_keyframe+empty_moov"),
    "clock.mkv": B_FRAMES,
    "stream.ts": B_FRAMES,
    "b_frames.avi": B_FRAMES,
    "simple.avi": ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"),
    "flash.flv": B_FRAMES,
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "deep.mp4": ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=0"),
    "raw.h264": B_FRAMES,
    "program.mpg": ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2"),
    "xvid.avi": ("-c:v", "mpeg4", "-q:v", "2", "-bf", "2"),
    "palette.gif": ("-pix_fmt", "rgb8"),
}


def span(start: object, end: object) -> tuple[Span, ...]:
    return (Span(name="driving.mp4", start=Fraction(start), end=Fraction(end)),)


def window(
    left: int,
    top: int,
    width: int,
    height: int,
    size_wh: tuple[int, int] | None = None,
    **changes: object,
) -> Geometry:
    written = size_wh or (width, height)
    shown = Window(left=left, top=top, width=width, height=height)
    return Geometry(window=shown, width=written[0], height=written[1], **changes)


# ---- time


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_frame_of_a_span_is_written_once(media, work, written, name: str) -> None:
    source = media.numbered(name, *CONTAINERS[name])
    # Frame k is shown at k / 25 s: the span begins with number 7, and 31 lies at its end.
    target = written(work.video(source, spans=span("0.28", "1.24"), fps=Fraction(25)))
    assert media.numbers(target) == list(range(7, 31))


def test_an_animated_webp_is_written(media, work, written) -> None:
    gif = media.numbered("for_webp.gif", "-pix_fmt", "rgb8")
    source = gif.with_name("animated.webp")
    with Image.open(gif) as image:
        frames = []
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(image.convert("RGB"))
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    target = written(work.video(source, spans=span("0.28", "1.24"), fps=Fraction(25)))
    assert media.numbers(target) == list(range(7, 31))


def test_a_span_begins_with_the_frame_displayed_at_its_start(media, work, written) -> None:
    source = media.numbered("plain.mp4", *B_FRAMES)
    # At 0.315 s number 7 has been shown for 35 of its 40 ms.
    target = written(work.video(source, spans=span("0.315", "0.555"), fps=Fraction(25)))
    assert media.numbers(target) == [7, 8, 9, 10, 11, 12]


HELD = ",select='lt(n,5)+gte(n,50)'"  # number 4 stands from 0.16 s until number 50 comes at 2 s


@pytest.mark.parametrize("name", ["held.mp4", "held.mkv", "held.ts"])
def test_a_held_frame_lasts_as_long_as_it_is_still_displayed(
    media, work, written, name: str
) -> None:
    source = media.numbered(name, "-fps_mode", "passthrough", *X264, frames=75, filters=HELD)
    target = written(work.video(source, spans=span("1.92", "2.4"), fps=Fraction(25)))
    assert media.numbers(target) == [4, 4, *range(50, 60)]


def test_a_held_frame_that_is_about_to_end_displaces_none(media, work, written) -> None:
    source = media.numbered("held.mp4", "-fps_mode", "passthrough", *X264, frames=75, filters=HELD)
    target = written(work.video(source, spans=span("1.99", "2.4"), fps=Fraction(25)))
    assert media.numbers(target) == [4, *range(50, 59)]


def test_a_span_ends_inside_a_held_frame(media, work, written) -> None:
    source = media.numbered("held.mp4", "-fps_mode", "passthrough", *X264, frames=75, filters=HELD)
    target = written(work.video(source, spans=span("0.08", "1.6"), fps=Fraction(25)))
    assert media.numbers(target) == [2, 3, *[4] * 36]
    inside = written(work.video(source, spans=span("0.4", "1.6"), fps=Fraction(25)))
    assert media.numbers(inside) == [4] * 30


def test_an_animated_webp_that_stands_still_is_cut_at_the_time_asked_for(
    media, work, written
) -> None:
    source = media.folder / "held.webp"
    shades = [Image.new("RGB", (64, 48), (40 * k, 40 * k, 40 * k)) for k in range(6)]
    shades[0].save(
        source,
        save_all=True,
        append_images=shades[1:],
        duration=[40, 1960, 40, 40, 40, 40],
        lossless=True,
    )
    target = written(work.video(source, spans=span("1.92", "2.12"), fps=Fraction(25)))
    levels = [round(f.rgb().mean() / 40) for f in decode(target, probe_video(target))]
    assert levels == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("rate", ["30", "30000/1001", "24"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "webm"])
def test_parts_go_on_without_a_repeated_or_a_lost_frame(
    media, work, written, suffix: str, rate: str
) -> None:
    vp8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8")
    name = f"parts-{rate.replace('/', '_')}.{suffix}"
    source = media.numbered(name, *(vp8 if suffix == "webm" else X264), rate=rate, frames=60)
    fps, parts = probe_video(source).fps, []
    for first, last in ((0, 7), (7, 20), (20, 41), (41, 60)):
        part = (Span(name="driving.mp4", start=first / fps, end=last / fps),)
        parts += media.numbers(written(work.video(source, spans=part, fps=fps)))
    assert parts == list(range(60))


def test_an_ntsc_rate_stays_exact(media, work, written) -> None:
    source = media.numbered("ntsc.mp4", *X264, rate="30000/1001", frames=60)
    target = written(work.video(source))
    assert media.numbers(target) == list(range(60))
    assert probe_video(target).fps == Fraction(30000, 1001)


def test_a_rate_is_changed_by_time(media, work, written) -> None:
    source = media.numbered("plain.mp4", *B_FRAMES)
    target = written(work.video(source, spans=span(0, "0.4"), fps=Fraction(50)))
    assert media.numbers(target) == [n for k in range(10) for n in (k, k)]


def test_a_variable_rate_becomes_constant_by_time(media, work, written) -> None:
    # Of 60 frames a second all are shown in even seconds, every fifth in odd ones.
    keep = ",select='if(lt(mod(t,2),1),1,not(mod(n,5)))'"
    source = media.numbered(
        "variable.mp4", "-fps_mode", "passthrough", *X264, rate="60", frames=168, filters=keep
    )
    target = written(work.video(source, fps=Fraction(30)))
    numbers = media.numbers(target)
    # What is shown at k / 30 s was taken at most half a frame of the output later, or as much
    # earlier as the source stood still.
    late = [number / 60 - k / 30 for k, number in enumerate(numbers)]
    assert max(late) <= 1 / 60 + 1e-9
    assert min(late) >= -5 / 60
    assert numbers[:30] == list(range(0, 60, 2))


def test_a_last_frame_that_stands_long_is_kept(media, work, written) -> None:
    # Numbers 0 to 9, then nothing until 39.
    source = media.numbered(
        *("pause.mp4", "-fps_mode", "passthrough", *X264), filters=",select='lt(n,10)+eq(n,39)'"
    )
    target = written(work.video(source, spans=span(0, "1.2"), fps=Fraction(25)))
    assert media.numbers(target) == [*range(9), *[9] * 21]


@pytest.mark.parametrize("name", ["far.mp4", "far.mkv"])
def test_a_late_span_is_sought_to_the_frame(media, work, written, name: str) -> None:
    far = media.numbered("far.mov", *X264, "-g", "200", frames=800, sound=True)
    source = far.with_name(name)
    media.ffmpeg("-i", far, "-c", "copy", *(() if "mp4" in name else ("-c:a", "aac")), source)
    target = written(work.video(source, spans=span("30.12", "30.6"), fps=Fraction(25)))
    assert media.numbers(target) == list(range(753, 765))


def test_nothing_ends_after_120_seconds(media, work, written) -> None:
    source = media.folder / "long.mp4"
    tone = "sine=frequency=440:sample_rate=44100:duration=130"
    media.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=32x16:r=4:d=130", "-f", "lavfi", "-i", tone),
        *(*X264, "-c:a", "aac", source),
    )
    assert probe_video(source).duration == 130
    target = written(work.video(source, spans=span(0, 120)))
    stamps = read_stamps(target)
    assert len(stamps.pictures) == 480
    assert len(stamps.ends) == 2
    assert max(*stamps.ends, stamps.container) <= 120
    assert min(stamps.ends) > Fraction("119.95")


# ---- streams that change on the way

# Untagged frames that the decoder holds back would take the tags of the part that follows.
TAGGED = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
          "-color_range", "tv")  # fmt: skip
SECOND_PARTS = {
    "size": ("scale=88:32:flags=neighbor", ()),
    "pixels": ("format=yuv444p", ("-pix_fmt", "yuv444p")),
    "range": ("scale=out_range=full,format=yuvj420p", ("-pix_fmt", "yuvj420p")),
}
# Time stamps of the second part: from the start again; two frames early.
BEGINS = {"again": None, "early": "0.72"}


def joined(media, kind: str, begins: str) -> Path:
    """Frames 0 to 19 in limited 4:2:0, then 20 to 39 in another form; transport streams joined."""
    filters, options = SECOND_PARTS[kind]
    plain = (*B_FRAMES, "-muxdelay", "0")
    offset = () if BEGINS[begins] is None else ("-output_ts_offset", BEGINS[begins])
    first = media.numbered("first.ts", *plain, *TAGGED, frames=20)
    second = media.numbered(
        *(f"{kind}-{begins}.ts", *plain, *options, *offset),
        filters=f",trim=start_frame=20,setpts=PTS-STARTPTS,{filters}",
    )
    path = media.folder / f"joined-{kind}-{begins}.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


@pytest.mark.parametrize("kind", SECOND_PARTS)
@pytest.mark.parametrize("begins", BEGINS)
def test_all_of_a_stream_that_changes_is_written_like_its_beginning(
    media, work, written, kind: str, begins: str
) -> None:
    source = joined(media, kind, begins)
    target = written(work.video(source))
    assert media.numbers(target) == list(range(40))
    part = work.video(source, spans=span("0.6", "1.2"), fps=Fraction(25))
    assert media.numbers(written(part, "part.mp4")) == list(range(15, 30))
    grey = [media.planes(target, index)[0][-16:].mean() for index in (10, 30)]
    assert grey == pytest.approx([126, 126], abs=1)


def test_sound_of_joined_parts_stays_with_their_pictures(media, work, written) -> None:
    beeps = f"{BEEPS}:d=2"
    for name in ("sounding0.ts", "sounding1.ts"):
        flashing_part = f"color=black:s=64x48:r=25:d=2,{FLASHES}"
        media.ffmpeg(
            *("-f", "lavfi", "-i", flashing_part, "-f", "lavfi", "-i", beeps),
            *(*X264, "-c:a", "aac", media.folder / name),
        )
    source = media.folder / "sounding.ts"
    parts = (media.folder / f"sounding{k}.ts" for k in (0, 1))
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    target = written(work.video(source))
    flashes, beeps_found = flashes_s(target), beeps_s(target)
    assert len(flashes) == len(beeps_found) == 4
    assert np.abs(flashes - beeps_found).max() < 1 / 30


# ---- sound

FLASHES = "geq=lum='if(lt(mod(T,1),0.1),235,16)':cb=128:cr=128"
BEEPS = "aevalsrc='if(lt(mod(t,1),0.05),0.8*sin(2*PI*1000*t),0)':s=44100"
UNEVEN = "select='if(lt(mod(t,4),2),1,not(mod(n,5)))'"


def flashing(media, name: str, seconds: int, *options: object) -> Path:
    """Each second begins with a flash of 0.1 s and a beep of 0.05 s; the rate varies."""
    path = media.folder / name
    media.ffmpeg(
        *("-f", "lavfi", "-i", f"color=black:s=64x48:r=60:d={seconds},{FLASHES},{UNEVEN}"),
        *("-f", "lavfi", "-i", f"{BEEPS}:d={seconds}", "-fps_mode", "passthrough"),
        *(*X264, "-c:a", "aac", *options, path),
    )
    return path


def flashes_s(path: Path) -> np.ndarray:
    """When each flash begins, s from the first displayed frame."""
    times, was_bright = [], False
    for frame in decode(path, probe_video(path)):
        is_bright = frame.glance().mean() > 128
        if is_bright and not was_bright:
            times.append(float(frame.time))
        was_bright = is_bright
    return np.array(times)


def beeps_s(path: Path) -> np.ndarray:
    """When each beep begins, s on the clock of the file, whose first frame is at 0."""
    assert probe_video(path).first_pts == 0
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-copyts", "-i", str(path)]
    command += ["-vn", "-af", "aresample=48000:first_pts=0", "-ac", "1", "-f", "f32le", "-"]
    sound = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "f4")
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    return loud[np.diff(loud, prepend=-48000) > 9600] / 48000


@pytest.mark.parametrize(
    ("seconds", "options"), [(20, ()), (6, ("-output_ts_offset", "5.7"))], ids=["zero", "later"]
)
def test_beeps_stay_with_their_flashes(media, work, written, seconds: int, options: tuple) -> None:
    source = flashing(media, f"beeps{seconds}.mp4", seconds, *options)
    target = written(work.video(source))
    flashes, beeps = flashes_s(target), beeps_s(target)
    assert len(flashes) == len(beeps) == seconds
    assert np.abs(flashes - beeps).max() < 1 / 30


def test_beeps_stay_with_their_flashes_in_a_part(media, work, written) -> None:
    source = flashing(media, "beeps_part.mp4", 10)
    target = written(work.video(source, spans=span("3.3", "8.7")))
    flashes, beeps = flashes_s(target), beeps_s(target)
    assert len(flashes) == len(beeps) == 5  # those of the seconds 4 to 8
    assert np.abs(flashes - beeps).max() < 1 / 30


def test_sound_of_a_span_that_begins_in_a_held_frame_is_cut_with_it(media, work, written) -> None:
    source = media.folder / "held_sound.mp4"
    media.ffmpeg(
        *("-f", "lavfi", "-i", f"color=gray:s=64x48:r=25:d=4{HELD}"),
        *("-f", "lavfi", "-i", f"{BEEPS}:d=4", "-fps_mode", "passthrough"),
        *(*X264, "-c:a", "aac", source),
    )
    target = written(work.video(source, spans=span("1.6", "3.6")))
    assert beeps_s(target) == pytest.approx([0.4, 1.4], abs=0.01)


def test_sound_that_begins_late_still_does(media, work, written) -> None:
    source = media.folder / "late_sound.mp4"
    media.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=3", "-itsoffset", "1.5"),
        *("-f", "lavfi", "-i", f"{BEEPS}:d=1", *X264, "-c:a", "aac", source),
    )
    assert beeps_s(written(work.video(source))) == pytest.approx([1.5], abs=0.01)


def test_sound_is_copied_where_it_fits(media, work, written) -> None:
    source = media.folder / "copied.mp4"
    media.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=2"),
        *("-f", "lavfi", "-i", f"{BEEPS}:d=1.5", *X264, "-c:a", "aac", source),
    )
    target = written(work.video(source, audio="copy"))
    packets = ["-map", "0:a", "-c", "copy", "-f", "md5", "-"]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    sums = {
        subprocess.run([ffmpeg, "-v", "error", "-i", path, *packets], capture_output=True).stdout
        for path in (source, target)
    }
    assert len(sums) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("surround.mkv", ("-ac", "6", "-c:a", "ac3")),
        ("phone.mov", ("-ar", "8000", "-c:a", "pcm_u8")),
        ("broken.mp4", ("-c:a", "aac", "-bsf:a", "noise=amount=1")),
    ],
)
def test_any_sound_is_written_or_left_out(media, work, written, name: str, options: tuple) -> None:
    source = media.numbered(name, *X264, *options, frames=50, sound=True)
    info = probe_video(written(work.video(source)))
    assert info.has_audio is (name != "broken.mp4")
    if info.has_audio:
        assert info.audio_codec == "aac"
        assert float(info.audio_duration) == pytest.approx(2, abs=0.05)


# ---- odd time, several streams


def plainly(media, source: Path, rate: int) -> list[int]:
    """The numbers of what FFmpeg's own plain decode shows at a constant rate."""
    target = source.with_name(f"plain_{source.name}.mkv")
    media.ffmpeg("-i", source, "-an", "-vf", f"fps={rate}", "-c:v", "ffv1", target)
    return media.numbers(target)


@pytest.mark.parametrize("name", ["packed.avi", "frames.avi", "b.asf"])
def test_frames_are_written_as_ffmpeg_shows_them(media, work, written, name: str) -> None:
    encoders = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-encoders"]
    has_xvid = "libxvid" in subprocess.run(encoders, capture_output=True, text=True).stdout
    if name != "b.asf" and not has_xvid:
        pytest.skip("this ffmpeg writes no packed B-frames: it lacks libxvid")
    bs = () if name == "frames.avi" else ("-bf", "2")
    codec = B_FRAMES if name == "b.asf" else ("-c:v", "libxvid", *bs, "-q:v", "2")
    source = media.numbered(name, *codec, rate="30", frames=90)
    target = written(work.video(source, fps=Fraction(30)))
    theirs = plainly(media, source, 30)
    ours = media.numbers(target)
    assert ours == theirs[: len(ours)]
    assert len(theirs) - len(ours) <= 1


@pytest.mark.parametrize("seconds", ["0.2", "0.7", "2"])
def test_frames_before_zero_are_written(media, work, written, seconds: str) -> None:
    flashes = flashing(media, "flashes.mkv", 4, "-fps_mode", "cfr", "-r", "30")
    shift = f"setts=pts=PTS-{seconds}/TB:dts=DTS-{seconds}/TB"
    source = flashes.with_name(f"below_{seconds}.mkv")
    media.ffmpeg(
        *("-i", flashes, "-c", "copy", "-bsf:v", shift, "-bsf:a", shift),
        *("-avoid_negative_ts", "disabled", source),
    )
    target = written(work.video(source))
    plain = written(work.video(flashes), "plain.mp4")
    assert probe_video(target).frame_count == probe_video(flashes).frame_count
    assert flashes_s(target) == pytest.approx(flashes_s(plain), abs=0.034)
    assert beeps_s(target) == pytest.approx(beeps_s(plain), abs=0.034)


def test_a_span_before_zero_is_written(media, work, written) -> None:
    plain = media.numbered("plain.mp4", *B_FRAMES)
    source = plain.with_name("below_zero.mkv")
    shift = "setts=pts=PTS-1/TB:dts=DTS-1/TB"
    copied = ("-c", "copy", "-bsf:v", shift, "-avoid_negative_ts", "disabled")
    media.ffmpeg("-i", plain, *copied, source)
    # Numbers below 25 have no time stamp.
    target = written(work.video(source, spans=span("0.28", "1.24"), fps=Fraction(25)))
    assert media.numbers(target) == list(range(7, 31))


def test_a_bare_stream_is_written_at_the_rate_it_states(media, work, written) -> None:
    source = media.numbered("bare.h264", *B_FRAMES, rate="30", frames=50)
    target = written(work.video(source))
    assert media.numbers(target) == list(range(50)) == plainly(media, source, 30)
    assert probe_video(target).fps == 30


def test_the_stream_that_was_looked_at_is_written(media, work, written) -> None:
    plain = media.numbered("plain.mp4", *B_FRAMES)
    source = plain.with_name("second.mkv")
    media.ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1.6", "-i", plain, "-map", "0:v"),
        *("-map", "1:v", "-c:v:0", "libx264", "-c:v:1", "copy", "-disposition:v:0", "0"),
        *("-disposition:v:1", "default", source),
    )
    target = written(work.video(source))
    assert media.numbers(target) == list(range(40)) == plainly(media, source, 25)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("field.mkv", ("-af", "aformat=channel_layouts=quad", "-mapping_family", "2")),
        ("discrete.mov", ("-af", "pan=16c|c0=c0", "-c:a", "pcm_s16le")),
        ("high.mov", ("-af", "pan=7.1.4|FL=c0", "-c:a", "pcm_s16le")),
    ],
)
def test_any_set_of_channels_is_heard(media, work, written, name: str, options: tuple) -> None:
    source = media.folder / name
    codec = ("-c:a", "libopus") if name == "field.mkv" else ()
    media.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=2.5"),
        *("-f", "lavfi", "-i", f"{BEEPS}:d=2.5", *X264, *codec, *options, source),
    )
    beeps = beeps_s(written(work.video(source)))
    # A beep at zero may begin within what coders swallow.
    assert beeps[-2:] == pytest.approx([1, 2], abs=0.02)


def test_the_sound_that_decodes_is_written(media, work, written) -> None:
    plain = media.folder / "two_sounds.mp4"
    media.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=2.5", "-f", "lavfi", "-i"),
        *("sine=d=2.5", "-f", "lavfi", "-i", f"{BEEPS}:d=2.5", "-map", "0", "-map", "1"),
        *("-map", "2", *X264, "-c:a", "aac", plain),
    )
    content = plain.read_bytes()
    at = content.index(b"mp4a")
    source = plain.with_name("odd_first.mp4")
    source.write_bytes(content[:at] + b"apac" + content[at + 4 :].replace(b"esds", b"xxxx", 1))
    for audio in ("aac", "copy"):
        target = written(work.video(source, audio=audio), f"{audio}.mp4")
        assert beeps_s(target)[-2:] == pytest.approx([1, 2], abs=0.02)


def test_a_plan_with_sound_is_not_carried_out_without(media, work, written) -> None:
    source = media.numbered("silent_after_all.mp4", *X264)
    with pytest.raises(NormalizeFailed, match=r"expected sound .* as the plan says, found none"):
        written(work.video(source, audio="aac"))


# ---- shape


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("turned90.mp4", ("-display_rotation", "90")),
        ("turned180.mp4", ("-display_rotation", "180")),
        ("turned270.mp4", ("-display_rotation", "270")),
        ("mirrored.mp4", ("-display_hflip",)),
        ("flipped.mp4", ("-display_vflip",)),
        ("turned90_mirrored.mp4", ("-display_rotation", "90", "-display_hflip")),
        ("turned90_flipped.mp4", ("-display_rotation", "90", "-display_vflip")),
    ],
)
@pytest.mark.parametrize("left", [10, 11])
def test_a_window_is_that_of_the_upright_picture(
    media, work, written, name: str, options: tuple, left: int
) -> None:
    stored = media.folder / "unturned.mp4"
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=0.2", *X264, stored)
    source = media.folder / name
    media.ffmpeg(*options, "-i", stored, "-c", "copy", source)
    shape = window(left, -8, 64, 80)
    target = written(work.video(source, geometry=shape))
    assert_shows(target, picture(first_rgb(source), shape))
    info = probe_video(target)
    assert (info.rotation_deg, info.is_mirrored) == (0, False)


MATRICES = {
    "as_is": (),
    "odd": ("-display_rotation", "10"),
    **{
        f"{turn}{flip}": ("-display_rotation", turn, *((f"-display_{flip}",) if flip else ()))
        for turn in ("0", "90", "180", "270")
        for flip in ("", "hflip")
    },
}


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("name", MATRICES)
def test_a_written_clip_is_what_ffmpeg_shows_of_its_source(
    media, work, written, name: str, suffix: str
) -> None:
    stored = media.folder / "to_be_shown.mp4"
    media.ffmpeg("-f", "lavfi", "-i", "testsrc=s=128x96:r=25:d=0.4", *X264, stored)
    source = media.folder / f"shown_{name}.{suffix}"
    media.ffmpeg(*MATRICES[name], "-i", stored, "-c", "copy", source)
    target = written(work.video(source))
    # An odd angle is left undone: the judge then is the clip without a matrix.
    assert luma_psnr_db(target, stored if name == "odd" else source) > 35
    assert probe_video(target).matrix_left_undone is None


@pytest.mark.parametrize("crop", [(96, 64, -6, 2), (95, 63, 0, 0)], ids=["even", "odd"])
@pytest.mark.parametrize("suffix", ["mov", "mkv"])
@pytest.mark.parametrize("turn", [(), ("-display_rotation", "90", "-display_hflip")], ids=str)
def test_a_hidden_border_is_not_written(
    media, work, written, with_clean_aperture, crop: tuple, suffix: str, turn: tuple
) -> None:
    whole, clean = media.folder / "bordered.mov", media.folder / "clean.mov"
    media.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=0.2", *X264, whole)
    width, height, right, down = crop
    with_clean_aperture(whole, clean, width, 1, height, 1, right, 1, down, 1)
    source = media.folder / f"hidden_{len(turn)}_{width}.{suffix}"
    media.ffmpeg(*turn, "-i", clean, "-c", "copy", source)
    info = probe_video(source)
    shape = window(0, 0, info.width, info.height, (info.width // 2 * 2, info.height // 2 * 2))
    target = written(work.video(source, geometry=shape))
    if width % 2 == 0:
        assert luma_psnr_db(target, source) > 35
    assert_shows(target, picture(first_rgb(source), shape))
    assert probe_video(target).hidden_ltrb == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("filters", "options"),
    [
        ("format=yuv444p", ("-pix_fmt", "yuv444p")),
        ("scale=129:97,format=yuv420p", ("-c:v", "libvpx-vp9", "-cpu-used", "8")),
        ("setsar=2", ()),
        ("format=yuv420p10le", ("-pix_fmt", "yuv420p10le")),
    ],
    ids=["full_chroma", "odd_size", "wide_pixels", "deep"],
)
@pytest.mark.parametrize("pad", ["edge", "blur", "color"])
def test_odd_clips_give_the_same_window(
    media, work, written, filters: str, options: tuple, pad: str, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    source = media.folder / f"odd-{name}.{'webm' if 'libvpx-vp9' in options else 'mp4'}"
    made = ("-f", "lavfi", "-i", f"testsrc2=s=128x96:r=25:d=0.2,{filters}")
    codec = options if "-c:v" in options else (*X264, *options)
    media.ffmpeg(*made, *codec, "-colorspace", "smpte170m", source)
    info = probe_video(source)
    shape = window(-12, 10, info.width // 2 * 2 + 24, 64, pad=pad, pad_color="#c02060")
    assert_shows(written(work.video(source, geometry=shape)), picture(first_rgb(source), shape))


def first_rgb(path: Path) -> np.ndarray:
    return frames_at(path, probe_video(path), [Fraction(0)])[0].rgb()


def luma_psnr_db(path: Path, source: Path) -> float:
    """The worst frame's, against what ffmpeg shows of the source."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    compare = ["-lavfi", "[0:v]setsar=1[a];[1:v]setsar=1[b];[a][b]psnr=stats_file=-", "-f", "null"]
    command = [ffmpeg, "-v", "error", "-i", path, "-i", source, *compare, "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return min(float(told) for told in re.findall(r"psnr_y:(\S+)", done.stdout))


def assert_shows(path: Path, expected: np.ndarray) -> None:
    """The first frame is `expected`, but for what coding and halved chroma change."""
    found = first_rgb(path)
    assert found.shape == expected.shape
    luma = np.array([0.299, 0.587, 0.114])
    off = np.abs((found.astype(float) - expected) @ luma)
    assert off.mean() < 3
    # A shift by one pixel would show: a test picture has hard edges.
    shifted = np.abs((np.roll(found, 1, axis=1).astype(float) - expected) @ luma)
    assert shifted.mean() > 1.5 * off.mean()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clear.mov", ("-c:v", "qtrle")),
        ("clear_png.mov", ("-c:v", "png", "-pix_fmt", "rgba")),
        ("clear_prores.mov", ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt",
                              "yuva444p10le")),
        ("clear_hevc.mov", ("-c:v", "libx265", "-pix_fmt", "yuva420p", "-x265-params",
                            "log-level=0", "-crf", "8")),
        ("clear.webm", ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-crf", "8", "-pix_fmt",
                        "yuva420p")),
    ],
    ids=str,
)  # fmt: skip
def test_transparency_is_dropped(media, work, written, name: str, options: tuple) -> None:
    source = media.folder / name
    half = "format=argb,geq=r=200:g=30:b=30:a='if(gt(X,32),255,0)'"
    media.ffmpeg("-f", "lavfi", "-i", f"color=s=64x48:r=25:d=0.2,{half}", *options, source)
    assert probe_video(source).has_alpha
    rgb = first_rgb(written(work.video(source))).astype(int)
    assert np.abs(rgb[24, 8] - (200, 30, 30)).max() <= 8
    assert np.abs(rgb[24, 56] - (200, 30, 30)).max() <= 8


def test_fields_become_frames(media, work, written) -> None:
    # A white block crosses a black picture by 8 px a field: combed frames show it twice.
    source = media.folder / "fields.mp4"
    moving = "color=black:s=160x96:r=50:d=1[b];color=white:s=24x96:r=50:d=1[w];"
    moving += "[b][w]overlay=x='8*mod(n,16)',tinterlace=interleave_top,setfield=tff"
    media.ffmpeg(
        *("-filter_complex", moving, *X264, "-flags", "+ilme+ildct", "-x264-params", "tff=1"),
        source,
    )
    assert probe_video(source).is_interlaced
    target = written(work.video(source))
    info = probe_video(target)
    assert not info.is_interlaced
    assert combing(target) < 0.25 * combing(source)


def combing(path: Path) -> float:
    """How much neighbouring lines differ more than lines two apart, over the clip's middle."""
    rows = media_luma(path)
    near = np.abs(np.diff(rows, axis=0)).mean()
    far = np.abs(rows[2:] - rows[:-2]).mean()
    return float(max(0.0, near - far))


def media_luma(path: Path) -> np.ndarray:
    frame = frames_at(path, probe_video(path), [Fraction(1, 2)])[0]
    return frame.rgb()[8:-8].mean(axis=2)


# ---- colours

PATCHES_YCBCR = [(81, 90, 240), (145, 54, 34), (41, 240, 110), (200, 110, 150), (30, 128, 128)]
BT601 = "range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m"
BT709 = "range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"


def patches(media, name: str, tags: str) -> Path:
    """Five upright patches of 48x96 px in exactly these codes, coded without loss."""
    path = media.folder / name
    planes = [
        np.repeat(np.array([patch[k] for patch in PATCHES_YCBCR], np.uint8), side)[None].repeat(
            rows, 0
        )
        for k, side, rows in ((0, 48, 96), (1, 24, 48), (2, 24, 48))
    ]
    raw = path.with_suffix(".yuv")
    raw.write_bytes(b"".join(plane.tobytes() for plane in planes) * 10)
    video = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "240x96", "-r", "25", "-i", raw)
    media.ffmpeg(
        *video, *(("-vf", f"setparams={tags}") if tags else ()), "-c:v", "libx264", "-qp", "0", path
    )
    return path


@pytest.mark.parametrize(
    ("tags", "matrix"),
    [(BT709, "bt709"), (BT601, "smpte170m"), ("", "smpte170m")],
    ids=["bt709", "bt601", "untagged"],
)
@pytest.mark.parametrize(
    "shape",
    [window(0, 0, 240, 96), window(7, 5, 220, 80), window(0, 0, 240, 96, (160, 64))],
    ids=["whole", "odd", "smaller"],
)
def test_flat_patches_keep_their_codes(media, work, written, tags, matrix, shape, request) -> None:
    source = patches(media, f"{request.node.callspec.id}.mp4", tags)
    target = written(work.video(source, geometry=shape))
    luma, blue, red = media.planes(target, 5)
    for k, expected in enumerate(PATCHES_YCBCR):
        x = round((48 * k + 24 - shape.window.left) * shape.width / shape.window.width)
        y = shape.height // 2
        near, half = slice(y - 4, y + 4), slice(y // 2 - 2, y // 2 + 2)
        found = [luma[near, x - 4 : x + 4]]
        found += [plane[half, x // 2 - 2 : x // 2 + 2] for plane in (blue, red)]
        for plane, code in zip(found, expected, strict=True):
            assert np.abs(plane.astype(int) - code).max() <= 1
    assert color_tags(target).matrix == matrix
    assert None not in (color_tags(target).primaries, color_tags(target).transfer)


def test_full_range_becomes_limited(media, work, written) -> None:
    source = patches(media, "full.mp4", BT709.replace("tv", "pc"))
    target = written(work.video(source))
    luma, blue, red = media.planes(target, 5)
    y, cb, cr = PATCHES_YCBCR[0]
    assert abs(int(luma[48, 24]) - (16 + y * 219 / 255)) <= 1
    assert abs(int(blue[24, 12]) - (128 + (cb - 128) * 224 / 255)) <= 1
    assert abs(int(red[24, 12]) - (128 + (cr - 128) * 224 / 255)) <= 1
    assert not color_tags(target).is_full_range


def test_hdr_keeps_its_middle_tones(media, work, written) -> None:
    """PQ patches of 0, 36.5 (18 % of white), 203 (white) and 1000 cd/m²."""
    codes = [round(64 + 876 * pq(nits)) for nits in (0.0, 36.5, 203.0, 1000.0)]
    row = np.repeat(np.array(codes, "<u2"), 32)
    raw = media.folder / "hdr.yuv"
    raw.write_bytes((np.tile(row, (64, 1)).tobytes() + b"\x00\x02" * (64 * 64)) * 5)
    source = media.folder / "hdr.mp4"
    tags = "range=tv:colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084"
    media.ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", "128x64", "-r", "25", "-i", raw),
        *("-vf", f"setparams={tags}", "-c:v", "libx265", "-x265-params", "lossless=1:log-level=0"),
        source,
    )
    assert probe_video(source).is_hdr
    target = written(work.video(source))
    black, grey, white, bright = (int(first_rgb(target)[32, x, 1]) for x in (16, 48, 80, 112))
    assert black <= 1
    # 18 % of white on a display of gamma 2.4 is 0.18 ** (1 / 2.4) of the code range.
    assert grey == pytest.approx(255 * 0.18 ** (1 / 2.4), abs=3)
    assert 205 <= white <= 230
    assert bright >= 253
    assert color_tags(target).transfer == "bt709"
    assert not probe_video(target).is_hdr


def pq(nits: float) -> float:
    """SMPTE ST 2084: light to signal, 0 … 1."""
    power = (nits / 10000) ** (2610 / 16384)
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    return ((c1 + c2 * power) / (1 + c3 * power)) ** (2523 / 32)


def test_a_clip_is_nearly_what_lossless_coding_gives(media, work, written) -> None:
    source = media.folder / "motion.mp4"
    moving = "testsrc2=s=320x240:r=25:d=1,noise=alls=3:allf=t,gblur=0.7"
    media.ffmpeg(
        "-f", "lavfi", "-i", moving, "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p", source
    )
    target = written(work.video(source))
    errors = [
        np.square(media.planes(source, k)[0].astype(float) - media.planes(target, k)[0]).mean()
        for k in (0, 7, 13, 24)
    ]
    assert 10 * np.log10(255**2 / np.mean(errors)) >= 42


# ---- nothing else


def test_nothing_of_the_source_travels_along(media, work, written) -> None:
    source = media.folder / "private.mp4"
    tags = ("title=At home", "location=+52.5+013.4/", "creation_time=2024-01-01T00:00:00Z")
    media.ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:s=64x48:r=25:d=0.4", *X264),
        *(part for tag in tags for part in ("-metadata", tag)),
        source,
    )
    assert {"title", "location", "creation_time"} <= tags_of(source).keys()
    written_clip = written(work.video(source))
    assert tags_of(written_clip).keys() == {"major_brand", "minor_version", "compatible_brands"}
    assert b"+52.5" not in written_clip.read_bytes()


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


def test_the_same_work_gives_the_same_bytes(media, work, written) -> None:
    clip = work.video(media.numbered("plain.mp4", *B_FRAMES))
    assert written(clip, "one.mp4").read_bytes() == written(clip, "two.mp4").read_bytes()


def test_the_index_stands_before_the_pictures(media, work, written) -> None:
    content = written(work.video(media.numbered("plain.mp4", *B_FRAMES))).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_cut_file_stands_still_for_what_is_missing(media, work, written) -> None:
    noise = ",noise=alls=30:allf=t"
    faststart = ("-movflags", "+faststart")
    whole = media.numbered("whole.mp4", *X264, *faststart, frames=100, filters=noise)
    source = whole.with_name("cut.mp4")
    content = whole.read_bytes()
    source.write_bytes(content[: len(content) * 6 // 10])
    info = probe_video(source)
    assert info.is_truncated
    numbers = media.numbers(written(work.video(source)))
    assert len(numbers) == info.frame_count
    assert numbers[:40] == list(range(40))


def test_a_picture_that_changes_its_size_keeps_the_first(media, work, written) -> None:
    parts = [
        media.numbered(f"part{k}.ts", *X264, size=size, frames=20)
        for k, size in enumerate(("176x64", "352x128"))
    ]
    source = media.folder / "sizes.ts"
    joined = "|".join(str(part) for part in parts)
    media.ffmpeg("-i", f"concat:{joined}", "-c", "copy", source)
    target = written(work.video(source, spans=span(0, "1.6"), fps=Fraction(25)))
    assert media.numbers(target) == [*range(20), *range(20)]


def test_cover_art_is_not_the_picture(media, work, written) -> None:
    clip, source = media.numbered("plain.mp4", *B_FRAMES), media.folder / "covered.mp4"
    streams = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic")
    media.ffmpeg("-i", media.image("cover.png"), "-i", clip, *streams, source)
    assert media.numbers(written(work.video(source))) == list(range(40))


# ---- real files


@pytest.mark.shared_data
def test_every_clip_that_decodes_is_written(shared_data: Path, work, written) -> None:
    unreadable = {
        "audio_only.mp4", "empty.mp4", "garbage.mp4", "truncated60_no_moov.mp4",
    }  # fmt: skip
    folder = shared_data / "robustness" / "same_clip"
    sources = [path for path in sorted(folder.iterdir()) if path.name not in unreadable]
    assert len(sources) == 18
    for source in sources:
        clip = work.video(source)
        small = clip.geometry.model_copy(update={"width": 90, "height": 160})
        target = written(clip.model_copy(update={"geometry": small}), f"{source.stem}.mp4")
        assert (probe_video(target).width, probe_video(target).height) == (90, 160)
