"""A file is read, and nothing that it names: no other file, no address, no program."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import pytest

from hostile.bombs import mp4
from hostile.looking import IMAGE, Nobody
from hostile.reaching import LURES, NAMES, Bait, Lure, inside
from wan_prep import api
from wan_prep.errors import InputPathError, NormalizeFailed
from wan_prep.media import codecs, libav
from wan_prep.media.probe import probe_video
from wan_prep.normalizers import ffmpeg
from wan_prep.normalizers.resample import Colors

pytestmark = pytest.mark.media
GREY = Colors(matrix="bt709", primaries="bt709", transfer="bt709")


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[Bait]:
    with Bait(tmp_path) as bait:
        yield bait


# What FFmpeg follows where nobody forbids it: without these the watch below would prove nothing.
FOLLOWED = ("hls.m3u8", "hls_http.m3u8", "concat.ffconcat", "concat_as.avi")


@pytest.mark.parametrize("name", FOLLOWED)
def test_the_watch_notices_what_is_opened(name: str, bait: Bait, tmp_path: Path) -> None:
    path = tmp_path / name
    next(lure for lure in LURES if lure.name == name).make(path, bait)
    bait.bitten()
    everything = {"safe": "0", "protocol_whitelist": "file,http,tcp,crypto,data"}
    with contextlib.suppress(av.error.FFmpegError):
        av.open(str(path), container_options=everything, timeout=0.2).close()
    assert bait.bitten()


def test_the_watch_notices_an_external_track(bait: Bait, tmp_path: Path) -> None:
    path = tmp_path / "alias.mov"
    next(lure for lure in LURES if lure.name == path.name).make(path, bait)
    bait.bitten()
    av.open(str(path), container_options={"enable_drefs": "1"}).close()
    assert bait.bitten() == ["a file"]


@pytest.mark.parametrize("lure", LURES, ids=[f"{lure.role}-{lure.name}" for lure in LURES])
def test_nothing_that_a_file_names_is_opened(lure: Lure, bait: Bait, tmp_path: Path) -> None:
    path = tmp_path / lure.name
    lure.make(path, bait)
    bait.bitten()
    with inside(tmp_path):
        seen = api.observe(path, kind=lure.role, estimator=Nobody())
        assert bait.bitten() == []
        assert bool(seen.defects) != lure.is_read
        if lure.role == "video":
            assert ffmpeg_reads(path, "mov" if path.suffix == ".mov" else "matroska,webm") in (
                lure.is_read,
                False,
            )
            assert bait.bitten() == []


def ffmpeg_reads(path: Path, container: str) -> bool:
    """Whether the command that writes clips gets pictures from this file."""
    source = ffmpeg.file_input(path, container, None)
    target = path.with_name("out.mp4")
    arguments = ffmpeg.command(source, target, (), "none", fps=Fraction(25), colors=GREY)
    try:
        ffmpeg.run(arguments, on_frame=lambda _count: None)
    except NormalizeFailed:
        return False
    return target.stat().st_size > 1000


@pytest.mark.parametrize("container", ["hls", "concat", "image2", "sdp", "dash", "lavfi", "tty"])
def test_ffmpeg_takes_listed_demuxers_alone(container: str, bait: Bait, tmp_path: Path) -> None:
    path = tmp_path / "hls.m3u8"
    next(lure for lure in LURES if lure.name == path.name).make(path, bait)
    bait.bitten()
    with inside(tmp_path):
        assert not ffmpeg_reads(path, container)
    assert bait.bitten() == []


def test_only_listed_decoders_run(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    with av.open(str(path), "w", format="mov") as out:
        stream = out.add_stream("avrp", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "gbrp10le"
        for k in range(5):
            frame = av.VideoFrame(64, 64, "gbrp10le")
            frame.pts = k
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    seen = api.observe(path, kind="video", estimator=Nobody())
    assert [d.kind for d in seen.defects] == ["unsupported"]
    assert not ffmpeg_reads(path, "mov")


def test_no_decoder_of_text_games_or_hardware_is_listed() -> None:
    text = {"ansi", "tty", "bintext", "xbin", "idf", "ass", "srt", "webvtt", "mov_text", "dvbsub"}
    games = {"rasc", "scpr", "rscc", "roqvideo", "smackvid", "binkvideo", "sanm"}
    others = {"h264_cuvid", "hevc_qsv", "h264_v4l2m2m", "wrapped_avframe", "vnull", "cc_dec"}
    assert not (text | games | others) & codecs.ALLOWED
    for name in ("h264", "hevc", "vp9", "libdav1d", "prores", "dnxhd", "mjpeg", "ffv1", "aac"):
        assert name in codecs.ALLOWED
    assert "tty" not in libav.DEMUXERS.split(",")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_just_a_name(name: str, tmp_path: Path) -> None:
    """Of both files, given as they are from the folder that they lie in, and for ffmpeg too."""
    path = tmp_path / name
    mp4(path.with_name("made"), frames=3)
    path.with_name("made").rename(path)
    with inside(tmp_path):
        assert not api.observe(name, kind="video", estimator=Nobody()).defects
        assert probe_video(name).frame_count == 3
        assert ffmpeg_reads(Path(name), "mp4")
        shutil.copyfile(IMAGE, path)
        assert not api.observe(name, kind="image", estimator=Nobody()).defects
    assert {p.name for p in tmp_path.iterdir()} == {name, "out.mp4"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_links_lead_to_regular_files_alone(tmp_path: Path) -> None:
    mp4(tmp_path / "clip.mp4", frames=3)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server, inside(tmp_path):
        server.bind("socket")
        links = {"good": "clip.mp4", "p": "pipe", "s": "socket", "d": os.devnull, "self": "self"}
        for name, target in {**links, "folder": "."}.items():
            Path(name).symlink_to(target)
        assert not api.observe("good", kind="video", estimator=Nobody()).defects
        for name in ("p", "s", "d", "self", "folder", "pipe", "socket", os.devnull):
            for kind in ("image", "video"):
                with pytest.raises(InputPathError):
                    api.observe(name, kind=kind, estimator=Nobody())
