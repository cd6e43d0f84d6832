"""Whole plans, and everything that may go wrong on the way; no partial file ever has a name."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import imageio_ffmpeg
import pytest

from wan_prep.errors import (
    DependencyMissing,
    InputPathError,
    MediaUnreadable,
    NormalizeFailed,
    OutputExists,
    SourceChanged,
)
from wan_prep.media.files import sha256_of
from wan_prep.normalizers.carry_out import carry_out, prepare
from wan_prep.planning.model import Geometry, Plan, Span, Window

pytestmark = pytest.mark.media

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", "-pix_fmt", "yuv420p")
# Large enough that one second of it takes several to write.
SLOW = Geometry(window=Window(left=0, top=0, width=176, height=64), width=3840, height=2160)


@pytest.fixture
def plan(media, work) -> Plan:
    image = work.image(media.image())
    return work.plan(image, work.video(media.numbered("plain.mp4", *X264)))


@pytest.fixture
def slow(media, work) -> Plan:
    """A plan whose clip takes long enough to be interrupted."""
    image = work.image(media.image())
    noisy = media.numbered("slow.mp4", *X264, frames=100, filters=",noise=alls=40:allf=t")
    return work.plan(image, work.video(noisy, geometry=SLOW))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- what is written


def test_a_pair_is_written(media, plan: Plan, tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []
    written = carry_out(plan, tmp_path, progress=lambda what, share: heard.append((what, share)))
    assert names(tmp_path) == ["driving.mp4", "plan.json", "reference.png"]
    assert media.numbers(written.videos[0]) == list(range(40))
    assert cv2.imread(str(written.image)).shape == (48, 64, 3)
    assert list(dict.fromkeys(what for what, _ in heard)) == [
        "writing the image",
        "writing the video",
        "verifying the video",
    ]
    shares = [share for what, share in heard if what == "writing the video"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_parts_are_written_each_to_its_own_file(media, work, tmp_path: Path) -> None:
    spans = tuple(
        Span(name=f"driving-{k:02d}.mp4", start=Fraction(start), end=Fraction(end))
        for k, (start, end) in enumerate([("0", "0.4"), ("0.8", "1.6")], start=1)
    )
    video = work.video(media.numbered("plain.mp4", *X264), spans=spans)
    written = carry_out(work.plan(work.image(media.image()), video), tmp_path)
    assert names(tmp_path) == ["driving-01.mp4", "driving-02.mp4", "plan.json", "reference.png"]
    assert [media.numbers(path) for path in written.videos] == [
        list(range(10)),
        list(range(20, 40)),
    ]


def test_files_that_need_nothing_are_copied(media, work, tmp_path: Path) -> None:
    image, video = media.image(), media.numbered("plain.mp4", *X264)
    plan = work.plan(
        work.image(image, copy_bytes=True, geometry=None),
        work.video(video, copy_bytes=True, geometry=None, fps=None),
    )
    written = carry_out(plan, tmp_path)
    assert written.image.read_bytes() == image.read_bytes()
    assert written.videos[0].read_bytes() == video.read_bytes()


def test_a_prepared_pair_can_be_looked_at_before_it_has_names(
    media, plan: Plan, tmp_path: Path
) -> None:
    with prepare(plan, tmp_path, also=["report.json"]) as prepared:
        assert names(tmp_path) != ["driving.mp4", "reference.png"]
        assert media.numbers(prepared.videos[0]) == list(range(40))
        assert prepared.expected[prepared.videos[0]].frames == 40
        (prepared.image.parent / "report.json").write_text("{}")
        prepared.publish(plan)
    assert names(tmp_path) == ["driving.mp4", "plan.json", "reference.png", "report.json"]


def test_any_name_will_do(media, work, tmp_path: Path) -> None:
    source = tmp_path / "it's 100%d [odd], really: yes.mp4"
    source.write_bytes(media.numbered("plain.mp4", *X264).read_bytes())
    plan = work.plan(work.image(media.image()), work.video(source))
    written = carry_out(plan, tmp_path / "50% 'off'; [new]")
    assert media.numbers(written.videos[0]) == list(range(40))


# ---- what stops it before anything is written


def test_existing_files_stay(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(OutputExists, match=r"report\.json"):
        prepare(plan, tmp_path, also=["report.json"])
    assert names(tmp_path) == ["report.json"]


def test_a_source_that_vanished_is_said(plan: Plan, tmp_path: Path) -> None:
    video = plan.video.model_copy(update={"source": str(tmp_path / "gone.mp4")})
    with pytest.raises(InputPathError, match=r"gone\.mp4"):
        carry_out(plan.model_copy(update={"video": video}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_source_that_changed_is_said(plan: Plan, tmp_path: Path) -> None:
    image = plan.image.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(SourceChanged, match="plan again"):
        carry_out(plan.model_copy(update={"image": image}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- what stops it halfway


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the id of the running ffmpeg is noted: a wrapper writes it down, then becomes it."""
    note = tmp_path / "pid"
    wrapper = tmp_path / "ffmpeg"
    real = imageio_ffmpeg.get_ffmpeg_exe()
    wrapper.write_text(f'#!/bin/sh\necho $$ > "{note}"\nexec "{real}" "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("WAN_PREP_FFMPEG", str(wrapper))
    return note


def is_running(note: Path) -> bool:
    try:
        os.kill(int(note.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_ffmpeg_leaves_nothing(slow: Plan, watched: Path, tmp_path: Path) -> None:
    def kill(what: str, _share: float) -> None:
        if what == "writing the video":
            os.kill(int(watched.read_text()), signal.SIGKILL)

    with pytest.raises(NormalizeFailed, match="signal 9"):
        carry_out(slow, tmp_path / "out", progress=kill)
    assert not (tmp_path / "out").exists()


def test_an_interrupt_ends_ffmpeg_and_leaves_nothing(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that has written a frame and never ends: whatever the machine's speed, it is
    interrupted while it runs."""
    note, endless = tmp_path / "pid", tmp_path / "ffmpeg"
    endless.write_text(
        f'#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg" && exit\n'
        f'echo $$ > "{note}"\necho frame=1\nexec sleep 3600\n'
    )
    endless.chmod(endless.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("WAN_PREP_FFMPEG", str(endless))
    # Where the suite runs in the background, Ctrl-C may be ignored from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(what: str, share: float) -> None:
        if what == "writing the video" and share > 0:
            assert is_running(note)
            signal.raise_signal(signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            carry_out(plan, tmp_path / "out", progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not is_running(note)
    assert not (tmp_path / "out").exists()


# Long enough for any machine; waited for only where something is wrong.
BUSY_S = 60
SCRIPT = """
import sys
from pathlib import Path
from wan_prep.normalizers.carry_out import carry_out
from wan_prep.planning.model import Plan
plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
carry_out(plan, sys.argv[2], progress=lambda what, share: print(what, flush=True))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_process_leaves_no_file_under_its_name(
    slow: Plan, plan: Plan, watched: Path, tmp_path: Path
) -> None:
    (tmp_path / "plan.json").write_text(slow.public_json())
    out = tmp_path / "out"
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "plan.json"), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while process.stdout.readline().strip() != "writing the video":
        assert process.poll() is None
    ffmpeg = os.pidfd_open(int(watched.read_text()))
    process.kill()
    process.wait()
    process.stdout.close()
    ended, _, _ = select.select([ffmpeg], [], [], BUSY_S)
    os.close(ffmpeg)
    assert ended == [ffmpeg]
    assert [path.name for path in out.glob("[!.]*")] == []
    # The next run clears up.
    carry_out(plan, out)
    assert names(out) == ["driving.mp4", "plan.json", "reference.png"]


@pytest.mark.skipif(os.name != "posix", reason="needs limits of file sizes")
@pytest.mark.parametrize("limit_bytes", [100, 6000], ids=["image", "video"])
def test_a_file_that_cannot_grow_leaves_nothing(
    media, work, tmp_path: Path, limit_bytes: int
) -> None:
    noisy = media.numbered("noisy.mp4", *X264, filters=",noise=alls=40:allf=t")
    plan = work.plan(work.image(media.image()), work.video(noisy))
    (tmp_path / "plan.json").write_text(plan.public_json())
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes},) * 2)\n"
    command = [sys.executable, "-c", limit + SCRIPT, str(tmp_path / "plan.json")]
    done = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("wan_prep.errors.NormalizeFailed:")
    assert not (tmp_path / "out").exists()


def test_a_missing_encoder_is_said(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "ffmpeg"
    real = imageio_ffmpeg.get_ffmpeg_exe()
    bent = 'for a; do shift; [ "$a" = libx264 ] && a=libx264_gone; set -- "$@" "$a"; done'
    wrapper.write_text(f'#!/bin/sh\n{bent}\nexec "{real}" "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("WAN_PREP_FFMPEG", str(wrapper))
    with pytest.raises(DependencyMissing, match="libx264_gone"):
        carry_out(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_that_does_not_decode_stops_all(media, work, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    content = media.image().read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    good = work.image(media.image())
    image = good.model_copy(update={"source": str(cut), "sha256": sha256_of(cut)})
    plan = work.plan(image, work.video(media.numbered("plain.mp4", *X264)))
    with pytest.raises(MediaUnreadable):
        carry_out(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()
