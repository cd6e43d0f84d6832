"""Files as people have them: every kind is built, inspected, checked and fixed; a row for each.

    python benchmarks/file_kinds.py [--only 1,4,13] [--json FILE] [--keep FOLDER]

The clip is the fixture's, there and back, 3.5 s at 30 a second with a beep at 0.5, 1.5 and 2.5 s.
What `fix` writes is compared with ffmpeg's own plain decode (autorotate on), frame by frame and
beep by beep. A row passes where the result is right and what had to be said is said; it is
*silent* where the result is wrong and no finding and no refusal says so. Exit code 1 if any is.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
from _media import DATA, FFMPEG, ROOT, beeps_s, run_ffmpeg
from PIL import Image

import wan_prep
from wan_prep.errors import WanPrepError
from wan_prep.media.frames import decode
from wan_prep.media.images import probe_image, read_image
from wan_prep.media.probe import probe_video
from wan_prep.normalizers.crop_pad import picture
from wan_prep.pose.mediapipe import MediapipeEstimator
from wan_prep.report.model import Report

FIXTURES = ROOT / "fixtures"
REFERENCE = FIXTURES / "reference.png"
FPS = 30
FRAMES = 105
BEEPS_S = (0.5, 1.5, 2.5)
SIZE = "960x540"
X264 = ("-c:v", "libx264", "-crf", "12", "-preset", "veryfast", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "128k")
COPY = ("-c", "copy")
PSNR_MIN_DB = 36.0  # what one more encoding at CRF 12 and a scaling leave of the luma, at the least
BEEP_OFF_MAX_S = 1 / FPS
SHIFT_MAX_FRAMES = 1
SCORE_OFF_MAX = 4.0  # of the same pictures stored in another way
SCORE_LOST_MAX = 2.0  # by fix, against what it was given


class Missing(Exception):
    """A recipe that cannot be built here; the text says why."""


@dataclass(frozen=True)
class Recipe:
    """How a kind of file is built, and what must come of it.

    frames: pictures in the file. times_s: when each is shown; None: evenly at 30 a second.
    beeps_s: when each sounds; empty for a file without sound.
    says: what some finding must match, where the kind has to be told (a regular expression).
    stream: that ffmpeg's plain decode takes.
    refused: the file is to be refused with a word to the user.
    trims: `fix` may keep a part. same_score: the pictures are the base's, so the score is, too.
    """

    item: int
    name: str
    build: Callable[[Path], Path]
    expected: str = "as the base"
    frames: int = FRAMES
    times_s: Callable[[], Sequence[float]] | None = None
    ffmpeg_times: bool = False
    """Frames are as many as ffmpeg decodes, and shown when it shows them."""
    beeps_s: tuple[float, ...] = BEEPS_S
    says: str = ""
    stream: str = "0:V:0"
    refused: bool = False
    trims: bool = False
    same_score: bool = True
    is_image: bool = False
    as_stored: bool = False
    """What ffmpeg would turn is left as it is stored, and said."""
    psnr_min_db: float = PSNR_MIN_DB

    @property
    def reading(self) -> tuple[str, ...]:
        """Options of ffmpeg's plain decode."""
        return ("-noautorotate",) if self.as_stored else ()


@dataclass
class Found:
    """One row."""

    item: int
    name: str
    expected: str
    outcome: str = "pass"
    """pass, said (wrong, and told), SILENT, or missing."""
    got: str = ""
    frames: str = ""
    picture_off: str = ""
    beeps_off: str = ""
    psnr_db: str = ""
    score: str = ""
    wrong: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


# ------------------------------------------------------------------ the base, and how it is changed


def base(folder: Path) -> Path:
    """The person of the fixture amid edges drawn out, there and back."""
    path = folder / "base.mp4"
    if path.exists():
        return path
    beeps = "aevalsrc='if(lt(mod(t+0.5,1),0.05),0.8*sin(2*PI*1000*t),0)':s=48000:d=3.5"
    graph = (
        "[0:v]split[a][b];[b]reverse[r];[a][r]concat=n=2:v=1:a=0,"
        f"trim=end_frame={FRAMES},scale=432:540,pad=960:540:264:0,"
        "fillborders=left=264:right=264:mode=smear,setsar=1[v]"
    )
    run_ffmpeg(
        *("-i", FIXTURES / "driving.mp4", "-f", "lavfi", "-i", beeps, "-filter_complex", graph),
        *("-map", "[v]", "-map", "1:a", *X264, *AAC, path),
    )
    return path


def made(
    folder: Path, name: str, *options: object, before: Sequence[object] = (), source: str = ""
) -> Path:
    """The base through ffmpeg: `before` the input, then `options`; Missing where it cannot."""
    path = folder / name
    given = folder / source if source else base(folder)
    try:
        run_ffmpeg(*before, "-i", given, *options, path)
    except subprocess.CalledProcessError as exc:
        said = exc.stderr.strip().splitlines()
        raise Missing(said[-1][:90] if said else "ffmpeg gave no word") from exc
    return path


def through(name: str, *options: object, before: Sequence[object] = ()) -> Callable[[Path], Path]:
    return lambda folder: made(folder, name, *options, before=before)


def joined(
    name: str,
    parts: Sequence[tuple[str, Sequence[object]]],
    *,
    codec: Sequence[object] = X264,
    overlap_s: float | None = None,
) -> Callable[[Path], Path]:
    """Parts of the base one after another as joined transport streams, each with its filters and
    coding. overlap_s None: time stamps start again with every part."""

    def build(folder: Path) -> Path:
        frames = FRAMES // len(parts)
        whole = b""
        for k, (filters, options) in enumerate(parts):
            first, last = k * frames, FRAMES if k == len(parts) - 1 else (k + 1) * frames
            cut = f"trim=start_frame={first}:end_frame={last},setpts=PTS-STARTPTS,{filters}"
            sound = f"atrim={first / FPS}:{last / FPS},asetpts=PTS-STARTPTS"
            offset: tuple[object, ...] = ()
            if overlap_s is not None and k:
                offset = ("-output_ts_offset", first / FPS - overlap_s)
            piece = made(
                folder,
                f"{name}-{k}.ts",
                *("-vf", cut, "-af", sound, *codec, *options, *AAC, *offset, "-muxdelay", "0"),
            )
            whole += piece.read_bytes()
        path = folder / name
        path.write_bytes(whole)
        return path

    return build


def vp8_of_two_sizes(folder: Path) -> Path:
    """One VP8 stream whose key frame halfway has another size, as conference recorders write it."""
    path = folder / "size.webm"
    parts = [("scale=960:540", 0, 52), ("scale=640:360", 52, FRAMES)]
    with av.open(str(path), "w") as target:
        stream = None
        for k, (filters, first, last) in enumerate(parts):
            piece = made(
                folder,
                f"size-{k}.webm",
                *(
                    "-vf",
                    f"trim=start_frame={first}:end_frame={last},setpts=PTS-STARTPTS,{filters}",
                ),
                *("-an", "-c:v", "libvpx", "-b:v", "6M", "-auto-alt-ref", "0", "-crf", "6"),
            )
            with av.open(str(piece)) as source:
                if stream is None:
                    stream = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.pts is None:
                        continue
                    packet.pts += round(first * 1000 / FPS)
                    packet.dts = packet.pts
                    packet.stream = stream
                    target.mux(packet)
    return path


# ------------------------------------------------------------------ boxes of ISO media


def with_box(data: bytes, path: Sequence[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """ISO media with one box's content changed; the sizes of what holds it follow. The media data
    must come first: offsets stay."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == path[0]:
            skip = {b"stsd": 8, b"avc1": 78, b"mp4a": 28}.get(kind, 0)
            head, inside = data[at + 8 : at + 8 + skip], data[at + 8 + skip : at + size]
            inside = change(inside) if len(path) == 1 else with_box(inside, path[1:], change)
            whole = head + inside
            return data[:at] + struct.pack(">I4s", len(whole) + 8, kind) + whole + data[at + size :]
        at += size
    raise Missing(f"no box {path[0].decode()} where one was expected")


MOVIE = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def clean_aperture(folder: Path) -> Path:
    """1120 x 640 stored, of which the middle 960 x 540 is to be shown."""
    stored = made(
        folder,
        "bordered.mov",
        *("-vf", "pad=1120:640:80:50:color=0x30a030", *X264, *AAC),
    )
    clap = struct.pack(">8I", 960, 1, 540, 1, 0, 1, 0, 1)
    box = struct.pack(">I4s", len(clap) + 8, b"clap") + clap
    path = folder / "clap.mov"
    path.write_bytes(with_box(stored.read_bytes(), (*MOVIE, b"avc1"), lambda inside: inside + box))
    return path


def matroska_crop(folder: Path) -> Path:
    path = folder / "crop.mkv"
    run_ffmpeg("-i", clean_aperture(folder), *COPY, path)
    if b"\x54\xaa" not in path.read_bytes()[:4096]:
        raise Missing("this ffmpeg writes no PixelCrop")
    return path


def undecodable_first_track(folder: Path, *, last: bool = True) -> Path:
    """The first track of sound says a codec that nobody knows; the second (if any) is AAC."""
    maps = ("-map", "0:a", "-map", "0:v", *(("-map", "0:a") if last else ()))
    source = made(folder, "tracks.mov", *maps, *COPY)

    def renamed(inside: bytes) -> bytes:
        return inside.replace(b"mp4a", b"apac", 1).replace(b"esds", b"dapa", 1)

    path = folder / ("apac.mov" if last else "apac_alone.mov")
    path.write_bytes(with_box(source.read_bytes(), MOVIE, renamed))
    return path


# ------------------------------------------------------------------ pictures


def turned_tiff(folder: Path, orientation: int, suffix: str = "tiff") -> Path:
    """The reference stored so that `orientation` shows it upright."""
    undo = {
        1: (),
        2: (Image.Transpose.FLIP_LEFT_RIGHT,),
        3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,),
        5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }
    with Image.open(REFERENCE) as opened:
        stored = opened.convert("RGB")
    for step in undo[orientation]:
        stored = stored.transpose(step)
    path = folder / f"turned{orientation}.{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if suffix == "tiff" else {"exif": exif}
    stored.save(path, **options)
    return path


def heif(folder: Path) -> Path:
    try:
        import pillow_heif
    except ImportError as exc:
        raise Missing("pillow-heif, which builds it, is not installed") from exc
    path = folder / "phone.heic"
    with Image.open(REFERENCE) as opened:
        pillow_heif.from_pillow(opened.convert("RGB")).save(path, quality=95)
    return path


def jpeg_xl(folder: Path) -> Path:
    path = folder / "picture.jxl"
    try:
        run_ffmpeg("-i", REFERENCE, "-frames:v", "1", path)
    except subprocess.CalledProcessError as exc:
        raise Missing("no JPEG XL encoder") from exc
    return path


def see_through_png(folder: Path) -> Path:
    """Alpha that is 0 everywhere, over a whole picture."""
    path = folder / "invisible.png"
    with Image.open(REFERENCE) as opened:
        rgba = opened.convert("RGBA")
    rgba.putalpha(0)
    rgba.save(path)
    return path


# ------------------------------------------------------------------ the recipes


def even_s(count: int = FRAMES) -> list[float]:
    return [k / FPS for k in range(count)]


def paused_s() -> list[float]:
    """Frame 52 is held for 5 s more."""
    return [k / FPS + (5 if k > 52 else 0) for k in range(FRAMES)]


FLIPPED = tuple((rotation, "hflip") for rotation in (0, 90, 270))
MATRICES = (*FLIPPED, (0, "vflip"), (90, ""), (180, ""), (270, ""))


def matrix(rotation: int, flip: str) -> tuple[object, ...]:
    return ("-display_rotation", rotation, *((f"-display_{flip}",) if flip else ()))


def mirrored(rotation: int, flip: str = "") -> Callable[[Path], Path]:
    """The base with another matrix: it is shown turned."""
    return through(f"matrix{rotation}{flip}.mp4", *COPY, before=matrix(rotation, flip))


def upright(rotation: int, flip: str) -> Callable[[Path], Path]:
    """Stored turned, as telephones do it: with its matrix it is shown as the base."""

    def build(folder: Path) -> Path:
        # Every matrix with a flip is its own inverse.
        back = rotation if flip else -rotation % 360
        stored = f"stored{rotation}{flip}.mp4"
        made(folder, stored, *X264, "-c:a", "copy", before=matrix(back, flip))
        name = f"upright{rotation}{flip}.mp4"
        return made(folder, name, *COPY, before=matrix(rotation, flip), source=stored)

    return build


def earlier(seconds: float, video_base: int = 15360, rate: int = 48000) -> tuple[str, ...]:
    pictures, sound = round(seconds * video_base), round(seconds * rate)
    return (
        *("-bsf:v", f"setts=pts=PTS-{pictures}:dts=DTS-{pictures}"),
        *("-bsf:a", f"setts=pts=PTS-{sound}:dts=DTS-{sound}"),
        *("-avoid_negative_ts", "disabled"),
    )


def two_streams(name: str, *dispositions: object, sizes: str = "320x240") -> Callable[[Path], Path]:
    """Something without a person first, then the base."""

    def build(folder: Path) -> Path:
        dog = DATA / "absent/dog.mp4"
        other = (
            ("-i", dog) if dog.exists() else ("-f", "lavfi", "-i", f"testsrc2=s={sizes}:r=30:d=3.5")
        )
        path = folder / name
        run_ffmpeg(
            *(*other, "-i", base(folder), "-map", "0:v:0", "-map", "1:v", "-map", "1:a"),
            *("-t", "3.5", *X264, "-s:v:0", sizes, *AAC, *dispositions, path),
        )
        return path

    return build


def cover_first(folder: Path) -> Path:
    path = folder / "cover.mp4"
    run_ffmpeg(
        *("-i", REFERENCE, "-i", base(folder), "-map", "0:v", "-map", "1", "-c:v:0", "png"),
        *("-c:v:1", "copy", "-c:a", "copy", "-disposition:v:0", "attached_pic", path),
    )
    return path


def held_at_the_end(folder: Path) -> Path:
    """60 frames, the last of which lasts 30 s."""
    made(folder, "sixty.mp4", "-frames:v", 60, *X264, "-bf", 0, "-an")
    held = ("-bsf:v", r"setts=duration=if(eq(N\,59)\,460800\,DURATION)")
    return made(folder, "held.mp4", *COPY, *held, source="sixty.mp4")


def paused(folder: Path) -> Path:
    """Frame 52 lasts 5 s more."""
    made(folder, "unpaused.mp4", *X264, "-bf", 0, "-an")
    later = r"if(gt(N\,52)\,76800\,0)"
    longer = r"if(eq(N\,52)\,77312\,DURATION)"
    stamps = ("-bsf:v", f"setts=pts=PTS+{later}:dts=DTS+{later}:duration={longer}")
    return made(folder, "paused.mp4", *COPY, *stamps, source="unpaused.mp4")


def one_picture(name: str, *options: object, frames: int) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / name
        loop = ("-loop", "1", "-framerate", FPS) if frames > 1 else ()
        run_ffmpeg(*loop, "-i", REFERENCE, "-frames:v", frames, *X264, *options, path)
        return path

    return build


ALPHA = "format=yuva444p10le,geq=lum='p(X,Y)':cb='p(X,Y)':cr='p(X,Y)':a='if(gt(X,W/3),1023,200)'"
ALPHA_8 = ALPHA.replace("yuva444p10le", "yuva420p").replace("1023", "255").replace("200", "50")
ALPHA_RGB = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(gt(X,W/3),255,50)'"
SMALL = ("scale=640:360", ())
LARGE = ("null", ())
FULL = ("scale=out_range=full,format=yuvj420p", ("-pix_fmt", "yuvj420p", "-color_range", "pc"))
LIMITED = ("null", ("-color_range", "tv"))
FOUR = "pan=4c|c0=c0|c1=0*c0|c2=0*c0|c3=0*c0"
SIZE_TOLD = "a finding; scaled to the first size"


def recipes() -> Iterator[Recipe]:
    yield Recipe(0, "the base itself", base)
    # 1, 2: display matrices
    for rotation, flip in MATRICES:
        title = f"{rotation} deg {flip}".strip()
        told = "WP113"
        yield Recipe(1, f"turned back by its matrix: {title}", upright(rotation, flip), says=told)
        yield Recipe(
            *(1, f"turned by its matrix: {title}", mirrored(rotation, flip)),
            expected="as ffmpeg shows it; a finding",
            says=told,
            same_score=False,
        )
    for degrees in (10, 45, 91):
        yield Recipe(
            *(2, f"matrix: {degrees} deg", mirrored(degrees)),
            expected="a finding; as stored",
            says="WP124",
            same_score=False,
            as_stored=True,
        )
    # 3: time stamps below zero
    yield Recipe(3, "Matroska from -1 s on", through("negative.mkv", *COPY, *earlier(1)))
    yield Recipe(3, "Matroska from -0.1 s on", through("slightly.mkv", *COPY, *earlier(0.1)))
    yield Recipe(3, "MPEG-TS from 26 h on", through("late.ts", *COPY, "-output_ts_offset", 95000))
    # 4, 5: streams that change on the way
    yield from _changing()
    # 6: several pictures
    named = ("-disposition:v:0", 0, "-disposition:v:1", "default")
    plain = ("-disposition:v:0", 0, "-disposition:v:1", 0)
    for suffix in ("mkv", "mp4"):
        yield Recipe(
            *(
                6,
                f"two streams, the second is default ({suffix})",
                two_streams(f"two.{suffix}", *named),
            ),
            expected="the default one; others are told",
            stream="0:v:1",
            says="stream|track",
        )
    yield Recipe(
        *(6, "two streams, none default, the second larger", two_streams("larger.mkv", *plain)),
        expected="the larger one; others are told",
        stream="0:v:1",
        says="stream|track",
    )
    yield Recipe(6, "cover art before the clip", cover_first)
    # 7: hidden borders
    shown = "what is shown (960x540); a finding"
    border = r"aperture|hidden|border|crop"
    yield Recipe(7, "clean aperture in MOV", clean_aperture, shown, says=border)
    yield Recipe(7, "PixelCrop in Matroska", matroska_crop, shown, says=border)
    # 8, 9: nothing moves
    yield from _still()
    # 10: frames without times
    packed = ("-c:v", "libxvid", "-bf", "2", "-q:v", "2", "-c:a", "libmp3lame")
    yield Recipe(
        *(10, "packed Xvid in AVI", through("packed.avi", *packed)),
        expected="frames when ffmpeg shows them",
        ffmpeg_times=True,
        psnr_min_db=34,
    )
    yield Recipe(
        *(10, "raw H.264", through("raw.h264", "-c:v", "copy", "-an")),
        expected="every frame once; no time is told",
        beeps_s=(),
        says="time",
    )
    yield Recipe(
        *(10, "raw H.265", through("raw.hevc", "-c:v", "libx265", "-crf", 12, "-an")),
        expected="every frame once; no time is told",
        beeps_s=(),
        says="time",
        psnr_min_db=34,
    )
    # 11: transparency
    dropped = "alpha by one rule, told"
    for name, build in (
        ("ProRes 4444", through("prores.mov", "-vf", ALPHA, "-c:v", "prores_ks", "-profile:v", 4444,
                                "-c:a", "pcm_s16le")),
        ("QTRLE in MOV", through("qtrle.mov", "-vf", ALPHA_RGB, "-c:v", "qtrle", *AAC)),
        ("PNG in MOV", through("png.mov", "-vf", ALPHA_RGB, "-c:v", "png", *AAC)),
        ("HEVC with alpha", through("alpha_hevc.mov", "-vf", ALPHA_8, "-c:v", "libx265", "-crf", 10,
                                    "-pix_fmt", "yuva420p", "-tag:v", "hvc1", *AAC)),
        ("VP9 with alpha", through("alpha.webm", "-vf", ALPHA_8, "-c:v", "libvpx-vp9", "-crf", 12,
                                   "-b:v", 0, "-deadline", "realtime", "-cpu-used", 8,
                                   "-pix_fmt", "yuva420p", "-c:a", "libopus")),
    ):  # fmt: skip
        yield Recipe(11, name, build, dropped, says="transparen|alpha", psnr_min_db=34)
    # 12: sound
    yield Recipe(
        12,
        "ambisonic Opus in Matroska",
        through(
            "ambisonic.mkv", "-c:v", "copy", "-af", FOUR, "-c:a", "libopus", "-mapping_family", 2
        ),
    )
    yield Recipe(12, "an undecodable first track, AAC after it", undecodable_first_track)
    yield Recipe(
        *(12, "an undecodable track alone", partial(undecodable_first_track, last=False)),
        expected="without sound; a finding",
        beeps_s=(),
        says="sound|audio",
    )
    yield Recipe(12, "5.1 AC-3", through("surround.mkv", "-c:v", "copy", "-ac", 6, "-c:a", "ac3"))
    # 13: pictures
    for orientation in range(1, 9):
        for suffix in ("tiff", "jpg", "png", "webp"):
            yield Recipe(
                *(13, f"{suffix.upper()}, orientation {orientation}",
                  partial(turned_tiff, orientation=orientation, suffix=suffix)),
                is_image=True,
                says="WP107" if orientation > 1 else "",
            )  # fmt: skip
    yield Recipe(13, "HEIC", heif, is_image=True)
    yield Recipe(13, "JPEG XL", jpeg_xl, "refused with a helpful word", is_image=True, refused=True)
    yield Recipe(
        *(11, "PNG, alpha 0 everywhere", see_through_png),
        expected="alpha by one rule, told",
        is_image=True,
        says="transparen|alpha",
    )


def _changing() -> Iterator[Recipe]:
    for name, overlap_s in (("again", None), ("two frames early", 2 / FPS)):
        size = joined(f"size-{name[0]}.ts", (LARGE, SMALL), overlap_s=overlap_s)
        yield Recipe(
            4, f"size changes, stamps {name}", size, SIZE_TOLD, says="WP118", psnr_min_db=32
        )
        pixels = ("format=yuv444p", ("-pix_fmt", "yuv444p"))
        yield Recipe(
            4,
            f"4:2:0 to 4:4:4, stamps {name}",
            joined(f"pixels-{name[0]}.ts", (LARGE, pixels), overlap_s=overlap_s),
        )
        yield Recipe(
            5,
            f"limited to full range, stamps {name}",
            joined(f"range-{name[0]}.ts", (LIMITED, FULL), overlap_s=overlap_s),
        )
    yield Recipe(5, "full to limited range", joined("range2.ts", (FULL, LIMITED)))
    yield Recipe(
        *(4, "size changes twice", joined("thrice.ts", (LARGE, SMALL, LARGE))),
        expected=SIZE_TOLD,
        says="WP118",
        psnr_min_db=32,
    )
    yield Recipe(
        *(4, "size grows", joined("grows.ts", (SMALL, LARGE))),
        expected=SIZE_TOLD,
        says="WP118",
        psnr_min_db=32,
    )
    deep = ("format=yuv420p10le", ("-pix_fmt", "yuv420p10le"))
    hevc = ("-c:v", "libx265", "-crf", "10", "-preset", "superfast", "-pix_fmt", "yuv420p")
    yield Recipe(4, "8 to 10 bit, H.265", joined("deep.ts", (LARGE, deep), codec=hevc))
    mpeg2 = ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2")
    yield Recipe(
        *(4, "size changes, MPEG-2", joined("mpeg2.ts", (LARGE, SMALL), codec=mpeg2)),
        expected=SIZE_TOLD,
        says="WP118",
        psnr_min_db=32,
    )
    yield Recipe(
        *(4, "size changes, VP8 in WebM", vp8_of_two_sizes),
        expected=SIZE_TOLD,
        says="WP118",
        beeps_s=(),
        psnr_min_db=32,
    )


def _still() -> Iterator[Recipe]:
    yield Recipe(
        *(8, "the last frame held for 30 s", held_at_the_end),
        expected="a finding; the still end is cut",
        frames=60,
        times_s=partial(even_s, 60),
        beeps_s=(),
        says="still|stand|frozen|nothing moves",
        trims=True,
        same_score=False,
    )
    frozen = ("-vf", "tpad=stop=300:stop_mode=clone", *X264, "-an")
    yield Recipe(
        *(8, "10 s of the same picture at the end", through("frozen.mp4", *frozen)),
        expected="a finding; the still end is cut",
        frames=FRAMES + 300,
        times_s=partial(even_s, FRAMES + 300),
        beeps_s=(),
        says="still|stand|frozen|nothing moves",
        trims=True,
        same_score=False,
    )
    yield Recipe(
        *(8, "a pause of 5 s in the middle", paused),
        expected="a finding",
        times_s=paused_s,
        beeps_s=(),
        says="still|stand|frozen|nothing moves",
        trims=True,
        same_score=False,
    )
    five = ("-bsf:v", "setts=duration=5/TB")
    for name, build, frames in (
        ("one frame for 5 s", one_picture("one.mp4", *five, frames=1), 1),
        ("5 s of one picture", one_picture("same.mp4", frames=150), 150),
    ):
        yield Recipe(
            *(9, name, build),
            expected="a finding: nothing moves",
            frames=frames,
            times_s=partial(even_s, frames),
            beeps_s=(),
            says="move|still|stand|frozen",
            same_score=False,
            trims=True,
            psnr_min_db=34,
        )


# ------------------------------------------------------------------ what came of it


@cache
def seen_of(path: Path) -> wan_prep.Evidence:
    """What is seen in a file that many rows need."""
    return wan_prep.observe(path, estimator=network())


@cache
def network() -> MediapipeEstimator:
    return MediapipeEstimator()


def plain_decode(recipe: Recipe, path: Path, wh: tuple[int, int]) -> list[np.ndarray]:
    """ffmpeg's own pictures as (h, w, 3) RGB in the upright size that was judged."""
    width, height = wh
    graph = f"scale={width}:{height}:flags=bicubic+accurate_rnd+full_chroma_int"
    command = [FFMPEG, "-v", "error", *recipe.reading, "-i", path, "-map", recipe.stream]
    command += [
        "-fps_mode",
        "passthrough",
        "-vf",
        graph,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout
    return list(np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3))


def size_of_ffmpeg(recipe: Recipe, path: Path) -> tuple[int, int]:
    """(width, height) px in which ffmpeg shows the first frame."""
    options = ("-map", recipe.stream, "-frames:v", 1, "-vf", "showinfo", "-f", "null", "-")
    said = run_ffmpeg(*recipe.reading, "-i", path, *options)
    found = re.search(r" s:(\d+)x(\d+) ", said)
    assert found is not None
    return int(found[1]), int(found[2])


def times_of_ffmpeg(path: Path) -> np.ndarray:
    """When ffmpeg shows each frame, s on the clock of the file."""
    said = run_ffmpeg("-i", path, "-map", "0:V:0", "-vf", "showinfo", "-f", "null", "-")
    return np.array([float(t) for t in re.findall(r"n: *\d+ pts: *\d+ pts_time:([\d.]+)", said)])


def due(recipe: Recipe, path: Path) -> tuple[np.ndarray, list[float]]:
    """Times of the frames and of the beeps, s from the first frame."""
    if not recipe.ffmpeg_times:
        return np.array((recipe.times_s or even_s)()), list(recipe.beeps_s)
    times = times_of_ffmpeg(path)
    return times - times[0], [beep - times[0] for beep in recipe.beeps_s]


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a - b) ** 2).mean())
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def compared(recipe: Recipe, source: Path, pair: wan_prep.NormalizedPair, found: Found) -> None:
    """The written clip against the plain decode: count, order, and likeness of its frames."""
    info = probe_video(source)
    span = pair.plan.video.spans[0]
    geometry = pair.plan.video.geometry
    plain = plain_decode(recipe, source, (info.width, info.height))
    own_wh = size_of_ffmpeg(recipe, source)
    if own_wh != (info.width, info.height):
        found.wrong.append(f"judged as {info.width}x{info.height}, ffmpeg shows {own_wh}")
    if len(plain) != recipe.frames and not recipe.ffmpeg_times:
        print(f"   {recipe.name}: ffmpeg itself decodes {len(plain)} frames", file=sys.stderr)
    times, _ = due(recipe, source)
    written_info = probe_video(pair.video)
    written = [luma(frame.rgb()) for frame in decode(pair.video, written_info)]
    fps = float(written_info.fps)
    wanted_s = float(span.start) + np.arange(len(written)) / fps
    shown = np.clip(np.searchsorted(times, wanted_s + 0.5 / FPS, side="right") - 1, 0, None)
    shown = np.minimum(shown, len(plain) - 1)
    expected = {
        k: luma(plain[k] if geometry is None else picture(plain[k], geometry))
        for k in sorted({min(max(k + d, 0), len(plain) - 1) for k in shown for d in range(-4, 5)})
    }
    if not recipe.trims:
        whole = round((times[-1] + 1 / FPS) * fps)
        found.frames = f"{len(written)}/{whole}"
        if abs(len(written) - whole) > 0:
            found.wrong.append(f"{len(written)} of {whole} frames written")
    else:
        found.frames = f"{len(written)}"
    shifts = []
    for k in range(0, len(written), max(1, len(written) // 12)):
        near = range(max(0, shown[k] - 4), min(len(plain) - 1, shown[k] + 4) + 1)
        likeness = {j: psnr_db(written[k], expected[j]) for j in near if j in expected}
        best = max(likeness, key=lambda j: (round(likeness[j], 1), -abs(j - shown[k])))
        shifts.append(int(best - shown[k]))
    shift = int(np.median(shifts))
    found.picture_off = f"{shift / FPS * 1000:+.0f} ms"
    if abs(shift) > SHIFT_MAX_FRAMES:
        found.wrong.append(f"pictures {shift} frames off")
    likeness = [psnr_db(w, expected[k]) for w, k in zip(written, shown, strict=True)]
    found.psnr_db = f"{min(likeness):.1f}"
    if min(likeness) < recipe.psnr_min_db:
        worst = int(np.argmin(likeness))
        found.wrong.append(f"frame {worst} is {likeness[worst]:.1f} dB from ffmpeg's")


def beeps_compared(
    recipe: Recipe, source: Path, pair: wan_prep.NormalizedPair, found: Found
) -> None:
    has_sound = probe_video(pair.video).has_audio
    start = float(pair.plan.video.spans[0].start)
    end = float(pair.plan.video.spans[0].end)
    wanted = [t - start for t in due(recipe, source)[1] if start <= t < end]
    heard = list(beeps_s(pair.video)) if has_sound else []
    if len(heard) != len(wanted):
        found.wrong.append(f"{len(heard)} of {len(wanted)} beeps")
        found.beeps_off = f"{len(heard)}/{len(wanted)}"
    elif wanted:
        off = max((h - d for h, d in zip(heard, wanted, strict=True)), key=abs)
        found.beeps_off = f"{off * 1000:+.0f} ms"
        if abs(off) > BEEP_OFF_MAX_S:
            found.wrong.append(f"beeps {off * 1000:+.0f} ms off")


def told(report: Report) -> list[str]:
    return [f"{f.code} {f.name}: {f.message}" for f in report.findings]


def tried(recipe: Recipe, folder: Path, usual: float | None) -> Found:
    """Build one file and put it through everything; usual: the score of the base itself."""
    found = Found(recipe.item, recipe.name, recipe.expected)
    try:
        path = recipe.build(folder)
    except Missing as exc:
        found.outcome, found.got = "missing", str(exc)
        return found
    try:
        seen = wan_prep.observe(path, estimator=network())
        pair_of = (seen, seen_of(base(folder))) if recipe.is_image else (seen_of(REFERENCE), seen)
        report = wan_prep.check(*pair_of, estimator=network())
        found.findings = told(report)
        if seen.defects:
            found.got = f"refused: {seen.defects[0].message}"
            found.outcome = "pass" if recipe.refused else "said"
            return found
        plan = wan_prep.plan(report, estimator=network())
        pair = wan_prep.normalize(plan, folder / "out", overwrite=True, estimator=network())
    except WanPrepError as exc:
        found.got = f"refused: {exc}"
        found.outcome = "pass" if recipe.refused else "said"
        return found
    found.score = f"{report.score:.1f} -> {pair.after.score:.1f}"
    _judged(recipe, path, report, pair, found, usual)
    said = any(re.search(recipe.says, line, re.IGNORECASE) for line in found.findings)
    if recipe.says and not said:
        found.wrong.append(f"no finding says {recipe.says!r}")
    if recipe.refused:
        found.wrong.append("taken, though it was to be refused")
    found.got = "; ".join(found.wrong) or "as expected"
    # What was told beside a wrong result is of no use unless it tells of that.
    found.outcome = "SILENT" if found.wrong else "pass"
    return found


def _judged(
    recipe: Recipe,
    path: Path,
    report: Report,
    pair: wan_prep.NormalizedPair,
    found: Found,
    usual: float | None,
) -> None:
    if recipe.is_image:
        info = probe_image(path, max_pixels=10**9)
        rgb = luma(read_image(path, info, max_pixels=10**9))
        with Image.open(REFERENCE) as opened:
            upright = luma(np.asarray(opened.convert("RGB")))
        same_size = rgb.shape == upright.shape
        likeness = psnr_db(rgb, upright) if same_size else 0.0
        found.psnr_db = f"{likeness:.1f}"
        if likeness < recipe.psnr_min_db:
            found.wrong.append(f"{likeness:.1f} dB from the upright picture")
    else:
        compared(recipe, path, pair, found)
        beeps_compared(recipe, path, pair, found)
    if usual is not None and recipe.same_score:
        media = {f.code for f in report.findings if f.code.startswith("WP1")}
        # What the file's own kind costs is told; beyond that the person is seen as in the base.
        allowed = SCORE_OFF_MAX * (1 + len(media))
        if abs(report.score - usual) > allowed:
            found.wrong.append(f"{report.score:.1f} points, the base {usual:.1f}")
    if pair.after.score < report.score - SCORE_LOST_MAX:
        found.wrong.append(f"fix lowers {report.score:.1f} to {pair.after.score:.1f}")


COLUMNS = ("item", "outcome", "name", "expected", "got", "frames", "picture_off", "beeps_off",
           "psnr_db", "score")  # fmt: skip
WIDTHS = (4, 7, 44, 36, 44, 9, 9, 9, 7, 0)


def shown(values: Sequence[object]) -> str:
    cells = (str(v) for v in values)
    return " ".join(
        re.sub(r"\s+", " ", cell)[: width or 99].ljust(width)
        for cell, width in zip(cells, WIDTHS, strict=True)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="items of the issue, comma-separated")
    parser.add_argument("--json", type=Path, help="write the table there too")
    parser.add_argument("--keep", type=Path, help="build the files there, and leave them")
    arguments = parser.parse_args()
    only = {int(k) for k in arguments.only.split(",")} if arguments.only else None
    print(shown([name.replace("_", " ") for name in COLUMNS]))
    rows: list[Found] = []
    usual: float | None = None
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for recipe in recipes():
            if only is not None and recipe.item not in only | {0}:
                continue
            try:
                row = tried(recipe, folder, usual)
            except Exception as exc:  # a row for whatever goes wrong: the others go on
                traceback.print_exc()
                row = Found(recipe.item, recipe.name, recipe.expected, "SILENT", f"{exc!r}")
            if recipe.item == 0 and row.score:
                usual = float(row.score.split()[0])
            shutil.rmtree(folder / "out", ignore_errors=True)
            rows.append(row)
            print(shown([getattr(row, name) for name in COLUMNS]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    counts = {
        name: sum(row.outcome == name for row in rows) for name in ("pass", "said", "missing")
    }
    silent = [row for row in rows if row.outcome == "SILENT"]
    print(
        f"{counts['pass']} pass, {counts['said']} refused with a word, {counts['missing']} missing "
        f"here, {len(silent)} silent wrong results"
    )
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
