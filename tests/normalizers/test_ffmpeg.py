from __future__ import annotations

import os
import select
import stat
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from wan_prep.errors import DependencyMissing, NormalizeFailed
from wan_prep.normalizers import ffmpeg
from wan_prep.normalizers.filters import Filter, Over
from wan_prep.normalizers.resample import Colors

REAL = imageio_ffmpeg.get_ffmpeg_exe()
PIPED = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "4x2", "-i", "pipe:0")
BT709 = Colors("bt709", "bt709", "bt709")


def script(folder: Path, body: str) -> str:
    """A program of one's own that passes for an ffmpeg."""
    path = folder / "my-ffmpeg"
    version = 'case "$1" in -version) echo "ffmpeg version 0"; exit 0;; esac'
    path.write_text(f"#!/bin/sh\n{version}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def ignore(_count: int) -> None:
    return None


# ---- which binary


def test_the_binary_comes_with_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAN_PREP_FFMPEG", raising=False)
    assert ffmpeg.binary() == REAL


def test_a_binary_of_ones_own_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = script(tmp_path, "")
    monkeypatch.setenv("WAN_PREP_FFMPEG", own)
    assert ffmpeg.binary() == own


def test_one_that_does_not_run_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no program")
    for path in (tmp_path / "nowhere", text, tmp_path):
        monkeypatch.setenv("WAN_PREP_FFMPEG", str(path))
        with pytest.raises(DependencyMissing, match=r"WAN_PREP_FFMPEG.*unset it"):
            ffmpeg.binary()


def test_another_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAN_PREP_FFMPEG", sys.executable)
    with pytest.raises(DependencyMissing, match="asked for its version"):
        ffmpeg.binary()


# ---- the command


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAN_PREP_FFMPEG", raising=False)


def command(video: list, audio: object = "none", container: str = "mp4") -> list[str]:
    source = ffmpeg.file_input(Path("in put.mp4"), container, Fraction(5, 2))
    return ffmpeg.command(
        source,
        Path("out.mp4"),
        video,
        audio,
        fps=Fraction(25),
        colors=BT709,
        video_index=1,
        audio_index=2,
    )


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


@pytest.mark.usefixtures("plain")
def test_a_file_is_opened_as_what_it_was_probed_as() -> None:
    arguments = command([Filter("null")])
    assert arguments[0] == REAL
    assert option(arguments, "-f") == "mov"
    assert option(arguments, "-protocol_whitelist") == "file"
    assert option(arguments, "-i") == "file:in put.mp4"
    assert option(arguments, "-ss") == "2.500000"
    assert arguments[-1] == "file:out.mp4"
    assert option(command([Filter("null")], container="matroska"), "-f") == "matroska"


@pytest.mark.usefixtures("plain")
def test_steps_become_one_graph() -> None:
    steps = [
        Filter("crop", {"w": 4, "h": 2}),
        Over((Filter("gblur", {"sigma": "3"}),), left=8, top=6),
        Filter("setsar", {"sar": "1"}),
    ]
    assert option(command(steps), "-filter_complex").split(";") == [
        "[0:1]crop=h=2:w=4[s0]",
        "[s0]split=2[s1][s2]",
        "[s1]gblur=sigma=3[s3]",
        "[s3][s2]overlay=format=auto:x=8:y=6[s4]",
        "[s4]setsar=sar=1[s5]",
    ]


@pytest.mark.usefixtures("plain")
def test_sound_is_left_out_copied_or_encoded() -> None:
    silent, copied = command([Filter("null")]), command([Filter("null")], "copy")
    encoded = command([Filter("null")], [Filter("anull")])
    assert "-c:a" not in silent
    assert option(copied, "-c:a") == "copy"
    assert "0:2" in copied
    assert option(encoded, "-c:a") == "aac"
    assert "[0:2]anull" in option(encoded, "-filter_complex")


@pytest.mark.usefixtures("plain")
def test_what_is_written_depends_neither_on_the_machine_nor_on_chance() -> None:
    """Seen: nine different files of one plan in twelve runs, each with pixels of its own."""
    threads = option(command([Filter("null")]), "-x264-params")
    assert threads == "threads=4:sync-lookahead=0"


# ---- running it


def test_frames_are_counted_as_they_are_written() -> None:
    counts: list[int] = []
    source = ["-f", "lavfi", "-i", "color=s=16x16:r=25:d=2", "-f", "null", "-"]
    ffmpeg.run([REAL, "-v", "error", "-progress", "pipe:1", *source], on_frame=counts.append)
    assert counts == sorted(counts)
    assert counts[-1] == 50


def test_pictures_are_piped_in() -> None:
    counts: list[int] = []
    ffmpeg.run(
        [REAL, "-v", "error", "-progress", "pipe:1", *PIPED, "-f", "null", "-"],
        on_frame=counts.append,
        pictures=(bytes(24) for _ in range(7)),
    )
    assert counts[-1] == 7


def test_what_the_pictures_raise_is_raised() -> None:
    def broken():
        yield bytes(24)
        raise NormalizeFailed("the source broke off")

    with pytest.raises(NormalizeFailed, match="broke off"):
        ffmpeg.run(
            [REAL, "-v", "error", *PIPED, "-f", "null", "-"], on_frame=ignore, pictures=broken()
        )


def test_the_last_words_of_ffmpeg_are_kept() -> None:
    with pytest.raises(NormalizeFailed, match=r"exit code \d+.*nowhere\.mp4.*No such file"):
        ffmpeg.run([REAL, "-v", "error", "-i", "nowhere.mp4", "-f", "null", "-"], on_frame=ignore)


@pytest.mark.parametrize(
    ("arguments", "lacking"),
    [
        (["-c:v", "libx264_of_old", "-f", "null"], "Unknown encoder 'libx264_of_old'"),
        (["-vf", "zscale_of_old", "-f", "null"], "No such filter: 'zscale_of_old'"),
    ],
)
def test_what_an_ffmpeg_lacks_is_named(arguments: list[str], lacking: str) -> None:
    source = ["-f", "lavfi", "-i", "color=s=16x16:d=0.1"]
    with pytest.raises(DependencyMissing, match=lacking):
        ffmpeg.run([REAL, "-v", "error", *source, *arguments, "-"], on_frame=ignore)


def test_a_full_disk_is_called_one(tmp_path: Path) -> None:
    said = "av_interleaved_write_frame(): No space left on device"
    own = script(tmp_path, f'echo "{said}" >&2; exit 228')
    with pytest.raises(NormalizeFailed, match="disk filled up"):
        ffmpeg.run([own], on_frame=ignore)


def test_a_signal_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(NormalizeFailed, match="signal 9"):
        ffmpeg.run([script(tmp_path, "kill -9 $$")], on_frame=ignore)


def test_much_talk_does_not_block(tmp_path: Path) -> None:
    talk = "i=0; while [ $i -lt 20000 ]; do echo line $i of many >&2; i=$((i+1)); done; exit 3"
    with pytest.raises(NormalizeFailed, match=r"exit code 3\): line 19997 .* line 19999 of many"):
        ffmpeg.run([script(tmp_path, talk)], on_frame=ignore)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_ffmpeg_dies_with_this_process(tmp_path: Path) -> None:
    own = script(tmp_path, 'echo "frame=$$"; exec sleep 600')
    code = "import sys; from wan_prep.normalizers import ffmpeg\n"
    code += "ffmpeg.run([sys.argv[1]], on_frame=lambda pid: print(pid, flush=True))"
    parent = subprocess.Popen([sys.executable, "-c", code, own], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    try:
        parent.kill()
        parent.wait()
        ended, _, _ = select.select([child], [], [], 60)
        assert ended == [child]
    finally:
        os.close(child)
        parent.stdout.close()
