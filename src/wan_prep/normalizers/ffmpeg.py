"""Build and run ffmpeg commands; no other module does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

import ffmpeg
import imageio_ffmpeg

from wan_prep.documents import read_path, written_path
from wan_prep.errors import DependencyMissing, NormalizeFailed
from wan_prep.media.codecs import DECODERS
from wan_prep.media.libav import DEMUXERS
from wan_prep.normalizers.filters import Filter, Over, Step
from wan_prep.normalizers.resample import Colors

BINARY_VARIABLE = "WAN_PREP_FFMPEG"

# Nearly lossless; a slower preset gains little (docs/speed.md).
_CRF = 12
_PRESET = "veryfast"
# One plan gives one file, on every machine. What x264 writes depends on the number of its threads;
# and with a lookahead thread of its own it wrote one clip in nine ways in twelve runs.
_X264_PARAMS = "threads=4:sync-lookahead=0"
_KEYFRAME_EVERY_S = 2
_AUDIO_BITRATE = "192k"

# Runs ffmpeg so that Linux ends it when this process dies, even by SIGKILL: a small interpreter
# asks the kernel for that and then becomes ffmpeg. (preexec_fn is not safe with threads.)
_LAUNCHER = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"
    "for ignored in (signal.SIGPIPE, signal.SIGXFSZ): signal.signal(ignored, signal.SIG_DFL)\n"
    "if os.getppid() == int(sys.argv[1]): os.execv(sys.argv[2], sys.argv[2:])\n"
)
_FILE = "file:"
"""Whatever follows is a name, never an option or the address of another protocol."""
_ERROR_LINES_KEPT = 40
_ERROR_LINES_SHOWN = 3
_LACKING = re.compile(r"(?:Unknown encoder|No such filter:|Unrecognized option) '[^']+'")
_ADDRESS = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\] ?")


def binary() -> str:
    """The ffmpeg to run: that of WAN_PREP_FFMPEG, or the one that came with pip.

    Raises DependencyMissing: it is not there or does not run.
    """
    own = os.environ.get(BINARY_VARIABLE)
    if not own:
        try:
            return str(imageio_ffmpeg.get_ffmpeg_exe())
        except RuntimeError as exc:
            raise DependencyMissing(
                f"no ffmpeg came with imageio-ffmpeg on this system; install one and name it in "
                f"{BINARY_VARIABLE}"
            ) from exc
    try:
        done = subprocess.run([own, "-version"], capture_output=True, check=False)
        if done.returncode == 0 and done.stdout.startswith(b"ffmpeg"):
            return own
        reason = f"it ended with {done.returncode} when asked for its version"
    except (OSError, ValueError) as exc:
        reason = str(getattr(exc, "strerror", None) or exc)
    raise DependencyMissing(
        f"expected an ffmpeg that runs in {BINARY_VARIABLE}, found {own} ({reason}); correct the "
        "path, or unset it to use the one that came with wan-prep"
    )


def file_input(
    path: Path,
    container: str,
    seek_s: Fraction | None,
    *,
    is_cropped: bool = False,
    max_pixels: int | None = None,
) -> Any:
    """A media file as input of a command, with the demuxer that it was probed with.

    Its time stamps are kept, and it is not turned. Nothing but the file is opened, by the demuxers
    and decoders that read it when it was probed.
    seek_s: where to begin reading, in s from the start of the file; None reads all of it.
    is_cropped: the container hides a border, which is not cropped either: ffmpeg before 7.1 does
    not, and later versions crop to whole chroma samples.
    max_pixels: of one frame; larger ones are errors.
    """
    options: dict[str, Any] = {
        "format": {"mp4": "mov"}.get(container, container),
        "protocol_whitelist": "file",
        "format_whitelist": DEMUXERS,
        "codec_whitelist": DECODERS,
        "reinit_filter:v": 0,
        "max_error_rate": 1,
    }
    if options["format"] == "mov":
        options |= {"enable_drefs": 0, "use_absolute_path": 0}
    if max_pixels is not None:
        options["max_pixels:v"] = max_pixels
    if seek_s is not None:
        options["ss"] = f"{float(seek_s):.6f}"
    if is_cropped:
        options["apply_cropping"] = "codec"
    flags = {"copyts": None, "noautorotate": None, "noaccurate_seek": None}
    return ffmpeg.input(_named(path), **options, **flags)


def piped_input(width: int, height: int, fps: Fraction) -> Any:
    """Packed 8-bit RGB pictures of one size, at a constant rate, through the standard input."""
    return ffmpeg.input(
        "pipe:0",
        format="rawvideo",
        pix_fmt="rgb24",
        s=f"{width}x{height}",
        framerate=f"{fps.numerator}/{fps.denominator}",
    )


def command(
    source: Any,
    target: Path,
    video: Sequence[Step],
    audio: Sequence[Filter] | Literal["none", "copy"],
    *,
    fps: Fraction,
    colors: Colors,
    video_index: int = 0,
    audio_index: int | None = None,
) -> list[str]:
    """The arguments of the one run that writes one file: a decode, a filter graph, an encode.

    video: steps of the filter graph.
    audio: filters; "none" writes no sound, "copy" copies its packets.
    video_index, audio_index: numbers of the streams in the source.
    colors: tags that the encoder writes.
    """
    streams = [_through(source[str(video_index)], video)]
    options: dict[str, Any] = {
        "c:v": "libx264",
        "preset": _PRESET,
        "crf": _CRF,
        "x264-params": _X264_PARAMS,
        "profile:v": "high",
        "g": round(_KEYFRAME_EVERY_S * fps),
        "fps_mode": "passthrough",
        "colorspace": colors.matrix,
        "color_primaries": colors.primaries,
        "color_trc": colors.transfer,
        "color_range": "tv",
        "movflags": "+faststart",
        "brand": "mp42",
        # No metadata of the source is copied: no place, date, name or chapter.
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "flags": "+bitexact",
        "format": "mp4",
    }
    if audio == "copy":
        streams.append(source[str(audio_index)])
        options["c:a"] = "copy"
    elif audio != "none":
        streams.append(_through(source[str(audio_index)], audio))
        options |= {"c:a": "aac", "b:a": _AUDIO_BITRATE}
    arguments: list[str] = ffmpeg.get_args(ffmpeg.output(*streams, _named(target), **options))
    talk = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-progress", "pipe:1")
    names = [read_path(each) if each.startswith(_FILE) else each for each in arguments]
    return [binary(), *talk, "-y", *names]


def run(
    arguments: Sequence[str],
    *,
    on_frame: Callable[[int], None],
    pictures: Iterable[bytes] | None = None,
) -> None:
    """Run a command to its end.

    on_frame: called with the number of frames written so far.
    pictures: frames to pipe in, as bytes.

    Raises:
        NormalizeFailed: ffmpeg ended with an error; the message says which.
        DependencyMissing: this ffmpeg lacks an encoder or a filter.
    """
    launcher: list[str] = []
    if sys.platform == "linux":
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
    try:
        process = subprocess.Popen(
            [*launcher, *arguments],
            stdin=subprocess.DEVNULL if pictures is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as exc:
        raise DependencyMissing(
            f"expected an ffmpeg that runs, but {arguments[0]} does not start ({exc.strerror}); "
            f"name another one in {BINARY_VARIABLE}"
        ) from exc
    assert process.stdout is not None
    assert process.stderr is not None
    said: deque[bytes] = deque(maxlen=_ERROR_LINES_KEPT)
    helpers = [threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)]
    feeder = None
    if pictures is not None:
        assert process.stdin is not None
        feeder = _Feeder(process.stdin, pictures)
        helpers.append(feeder)
    try:
        for helper in helpers:
            helper.start()
        for line in process.stdout:
            if line.startswith(b"frame="):
                on_frame(int(line[6:]))
        process.wait()
    finally:
        process.kill()
        process.wait()
        for helper in helpers:
            helper.join()
        process.stdout.close()
        process.stderr.close()
    if feeder is not None and feeder.failure is not None:
        raise feeder.failure
    if process.returncode != 0:
        _raise_failed(process.returncode, [line.decode("utf-8", "replace") for line in said])


class _Feeder(threading.Thread):
    """Writes pictures into a pipe; an exception of the iterator is kept in `failure`."""

    def __init__(self, pipe: IO[bytes], pictures: Iterable[bytes]) -> None:
        super().__init__(name="wan-prep-feed", daemon=True)
        self.failure: Exception | None = None
        self._pipe, self._pictures = pipe, pictures

    def run(self) -> None:
        try:
            for picture in self._pictures:
                self._pipe.write(picture)
            self._pipe.close()
        except BrokenPipeError:
            return  # ffmpeg has ended; its exit code and log say why
        except Exception as exc:
            self.failure = exc
            self._pipe.close()


def _named(path: Path) -> str:
    """A file as the graph holds it, which must be Unicode; `command` makes a name of it again."""
    return f"{_FILE}{written_path(str(path))}"


def _through(stream: Any, steps: Sequence[Step]) -> Any:
    """`stream` after these steps."""
    for step in steps:
        if isinstance(step, Over):
            both = stream.filter_multi_output("split")
            behind = _through(both[0], step.backdrop)
            place = {"x": step.left, "y": step.top, "format": "auto"}
            stream = ffmpeg.filter([behind, both[1]], "overlay", **place)
        else:
            stream = stream.filter(step.name, **step.options)
    return stream


def _raise_failed(code: int, lines: list[str]) -> NoReturn:
    text = "\n".join(lines)
    lacking = _LACKING.search(text)
    if lacking:
        raise DependencyMissing(
            f"expected an ffmpeg with libx264, aac and zscale, found one without ({lacking[0]}); "
            f"name a complete build in {BINARY_VARIABLE}, or unset it"
        )
    if "No space left on device" in text:
        raise NormalizeFailed(
            "the disk filled up while a file was written; free some space, or choose another folder"
        )
    if code < 0:
        raise NormalizeFailed(
            f"ffmpeg was ended by signal {-code} while it wrote a file; if nobody did that, "
            "memory or the allowed file size ran out"
        )
    told = [_ADDRESS.sub("", line).strip() for line in lines]
    shown = " · ".join(dict.fromkeys(line for line in told[-_ERROR_LINES_SHOWN:] if line))
    raise NormalizeFailed(f"ffmpeg could not write a file (exit code {code}): {shown or 'no word'}")
