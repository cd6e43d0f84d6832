"""Files that name other files or addresses, and a watch that notices when one is opened."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import numpy as np
from PIL import Image

from hostile.bombs import mp4, with_box
from hostile.boxes import box, ebml, full_box

CANARY = "canary.mp4"


class Bait:
    """A clip, a picture and an address that no file may lead to; a context manager.

    `bitten` tells whether one of them was opened, from native code too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clip, self.picture = folder / CANARY, folder / "canary.png"

    def __enter__(self) -> Self:
        mp4(self.clip, side=48)
        Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(self.picture)
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._server.listen()
        self._server.setblocking(False)
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._watch = None
        if sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            self._watch = libc.inotify_init1(os.O_NONBLOCK)
            opened = 0x20
            for path in (self.clip, self.picture):
                assert libc.inotify_add_watch(self._watch, os.fsencode(path), opened) >= 0
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        if self._watch is not None:
            os.close(self._watch)

    def bitten(self) -> list[str]:
        """What was opened since the last call; one entry for all files."""
        found = []
        try:
            self._server.accept()[0].close()
            found.append("the address")
        except BlockingIOError:
            pass
        if self._watch is not None:
            try:
                os.read(self._watch, 4096)
                found.append("a file")
            except BlockingIOError:
                pass
        return found


@dataclass(frozen=True)
class Lure:
    """One file that names what it must not open.

    is_read: the file has pictures of its own, which are seen.
    """

    name: str
    make: Callable[[Path, Bait], object]
    role: Literal["image", "video"] = "video"
    is_read: bool = False


def _text(words: str) -> Callable[[Path, Bait], object]:
    def make(path: Path, bait: Bait) -> object:
        return path.write_text(
            words.format(
                clip=bait.clip, name=CANARY, picture=bait.picture, http=f"http://{bait.address}"
            )
        )

    return make


def _external(reference: str) -> Callable[[Path, Bait], object]:
    """A QuickTime clip whose samples lie in another file, named as an alias or as an address."""

    def make(path: Path, bait: Bait) -> object:
        content = mp4(path)
        old = content.index(b"dref") - 4
        size = struct.unpack(">I", content[old : old + 4])[0]
        if reference == "url":
            entry = box(b"url ", bytes(4) + f"file://{bait.clip}".encode() + b"\0")
        elif reference == "http":
            entry = box(b"url ", bytes(4) + f"http://{bait.address}/a.mp4".encode() + b"\0")
        else:
            entry = box(b"alis", bytes(4) + _alias(bait.clip))
        dref = full_box(b"dref", struct.pack(">I", 1) + entry)
        return path.write_bytes(with_box(content, old, size, dref))

    return make


def _alias(path: Path) -> bytes:
    """An alias record of the classic Macintosh to a file in the same folder, and by full path."""
    name = path.name.encode()
    head = bytearray(150)
    head[4:8] = struct.pack(">HH", 0, 2)
    head[10:11] = b"\x01"
    head[11:12] = b"v"
    head[50:51] = bytes((len(name),))
    head[51 : 51 + len(name)] = name
    head[130:132] = struct.pack(">h", 1)  # levels up from the alias …
    head[132:134] = struct.pack(">h", 1)  # … and down to the file
    full, relative = str(path).encode(), b":" + name
    extra = struct.pack(">hH", 2, len(relative)) + relative + b"\0" * (len(relative) % 2)
    extra += struct.pack(">hH", 18, len(full)) + full + b"\0" * (len(full) % 2)
    return bytes(head) + extra + struct.pack(">hH", -1, 0)


def _reference_movie(path: Path, bait: Bait) -> object:
    """A QuickTime movie that is nothing but the address of another one."""
    url = f"file://{bait.clip}".encode() + b"\0"
    rdrf = full_box(b"rdrf", b"url " + struct.pack(">I", len(url)) + url)
    body = box(b"moov", box(b"rmra", box(b"rmda", rdrf)))
    return path.write_bytes(box(b"ftyp", b"qt  \0\0\0\0qt  ") + body)


def _linked(path: Path, bait: Bait) -> object:
    """A Matroska clip that names the file in which it goes on."""
    with av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for k in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), k, np.uint8))
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    content = path.read_bytes()
    at = content.index(b"\x1f\x43\xb6\x75")
    info = ebml(b"\x3e\x83\xbb", bait.clip.name.encode()) + ebml(b"\x3e\xb9\x23", bytes(16))
    linked = ebml(b"\x15\x49\xa9\x66", info)
    return path.write_bytes(content[:at] + linked + content[at:])


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" minBufferTime="PT1S"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1" bandwidth="9"><BaseURL>{http}/a.mp4</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>"
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'width="9" height="9"><image href="{http}/a.png" xlink:href="file://{picture}"/></svg>'
)
LURES: tuple[Lure, ...] = (
    Lure("hls.m3u8", _text(HLS.replace("{}", "{name}"))),
    Lure("hls_http.m3u8", _text(HLS.replace("{}", "{http}/a.ts"))),
    Lure("hls_as.mp4", _text(HLS.replace("{}", "file://{clip}"))),
    Lure("hls_key.m3u8", _text(HLS.replace("#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{http}/k"\n'
         "#EXTINF").replace("{}", "{name}"))),
    Lure("concat.ffconcat", _text("ffconcat version 1.0\nfile {name}\n")),
    Lure("concat_as.avi", _text("ffconcat version 1.0\nfile {name}\n")),
    Lure("session.sdp", _text("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
         "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n")),
    Lure("dash.mpd", _text(DASH)),
    Lure("list.pls", _text("[playlist]\nFile1={http}/a.mp4\nNumberOfEntries=1\n")),
    Lure("list.asx", _text('<asx version="3.0"><entry><ref href="{http}/a"/></entry></asx>')),
    Lure("meta.wvx", _text("[Reference]\nRef1={http}/a.asf\n")),
    Lure("real.ram", _text("{http}/a.rm\nfile://{clip}\n")),
    Lure("subtitles.idx", _text("# VobSub index file, v7 (do not modify this line!)\nid: en, "
         "index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n")),
    Lure("smil.smil", _text('<smil><body><video src="{http}/a.mp4"/></body></smil>')),
    Lure("composition.xml", _text('<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.'
         'smpte-ra.org/schemas/2067-3/2016"><Id>urn:uuid:0</Id></CompositionPlaylist>')),
    Lure("drawing.svg", _text(SVG)),
    Lure("drawing.svg", _text(SVG), "image"),
    Lure("drawing_as.png", _text(SVG), "image"),
    Lure("script.eps", _text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({picture}) (r) "
         "file closefile\nshowpage\n"), "image"),
    Lure("list.m3u8", _text(HLS.replace("{}", "{name}")), "image"),
    Lure("magick.mvg", _text("image over 0,0 9,9 '{http}/a.png'"), "image"),
    Lure("avisynth.avs", _text('AviSource("{clip}")')),
    Lure("alias.mov", _external("alias")),
    Lure("url.mov", _external("url"), is_read=True),
    Lure("http.mov", _external("http"), is_read=True),
    Lure("reference.mov", _reference_movie),
    Lure("linked.mkv", _linked, is_read=True),
)  # fmt: skip


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """With this as the working folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# Names that mean something to a program, and nothing here.
NAMES = (
    "-i", "-y", "--help", "http:x.mp4", "concat:a.mp4|b.mp4", "pipe:0", "file:a.mp4", "data:,x",
    "subfile,,start,0,end,9,,:a.mp4", "crypto:a.mp4", "frame%d.mp4", "frame%03d.mp4", "*.mp4",
    "a?.mp4", "a\\:b'c[d];e=f,g.mp4", "$(touch x).mp4", "`x`.mp4", "a\nb.mp4", "lavfi:testsrc",
    "NUL", "CON.mp4", "~", "a b.mp4", "кино.mp4",
)  # fmt: skip
