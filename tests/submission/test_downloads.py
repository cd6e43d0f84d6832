"""Downloading what was made: bounded, without the key, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from wan_prep.addresses import suffix_of
from wan_prep.errors import DownloadFailed
from wan_prep.profile import Profile, default_profile
from wan_prep.rehearsal.server import clip
from wan_prep.submission.session import Session
from wan_prep.submission.transfer import DownloadedFile, downloaded, not_a_clip

CONTENT = bytes(range(256)) * 40

Answering = Callable[[httpx.Request], httpx.Response]


def over(answering: Answering) -> httpx.MockTransport:
    return httpx.MockTransport(answering)


def fetch(
    url: str,
    folder: Path,
    kind: str,
    *,
    profile: Profile | None = None,
    http: httpx.BaseTransport,
) -> DownloadedFile:
    config = (profile or default_profile()).submission
    target = folder / f"{kind}{suffix_of(url, '')}"
    with closing(Session(config, http=http)) as session:
        return downloaded(url, target, session, limit_bytes=int(config.limit("upload_max")))


def plain(request: httpx.Request) -> httpx.Response:
    assert "authorization" not in request.headers
    return httpx.Response(200, content=CONTENT)


def test_what_is_fetched(tmp_path: Path) -> None:
    url = "https://media.example/clips/dance.MOV?Signature=secret-query"
    found = fetch(url, tmp_path, "video", http=over(plain))
    assert found.path == tmp_path / "video.mov"
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.size_bytes) == (hashlib.sha256(CONTENT).hexdigest(), 10240)
    assert list(tmp_path.iterdir()) == [found.path]


def served(content: bytes, **headers: str) -> httpx.MockTransport:
    """Answers with these bytes, whatever the headers say."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return over(lambda _: httpx.Response(200, headers=named, stream=httpx.ByteStream(content)))


@pytest.mark.parametrize(
    "kind",
    [
        *("video/mp4", "Video/MP4; codecs=avc1", "image/png", "application/octet-stream"),
        *("binary/octet-stream", "application/mp4", ""),
    ],
)
def test_types_that_count(tmp_path: Path, kind: str) -> None:
    transport = served(CONTENT, content_type=kind, content_length="10240")
    assert fetch("https://a.example/x", tmp_path, "video", http=transport).size_bytes == 10240


@pytest.mark.parametrize(
    "kind", ["text/html", "TEXT/HTML; charset=utf-8", "application/json", "application/xml", "x"]
)
def test_types_that_do_not_count(tmp_path: Path, tools: Any, kind: str) -> None:
    once = tools.patient(attempts=1)
    with pytest.raises(DownloadFailed, match="which is no media"):
        fetch(
            "https://a.example/x",
            tmp_path,
            "video",
            profile=once,
            http=served(CONTENT, content_type=kind),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", ["10239", "10241", "0"])
def test_another_length_than_was_announced(tmp_path: Path, tools: Any, told: str) -> None:
    once = tools.patient(attempts=1)
    transport = served(CONTENT, content_length=told)
    with pytest.raises(DownloadFailed, match=f"10240 bytes came of {told} that were announced"):
        fetch("https://a.example/x", tmp_path, "video", profile=once, http=transport)
    assert list(tmp_path.iterdir()) == []


def test_a_length_of_packed_content_says_nothing(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    transport = served(packed, content_length=str(len(packed)), content_encoding="gzip")
    assert fetch("https://a.example/x", tmp_path, "video", http=transport).size_bytes == 10240


def test_whether_a_file_is_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    for content, is_clip in (
        (clip(), True),
        (clip(frames=1), True),
        (clip()[:200], False),
        (b"<!doctype html>", False),
        (b"", False),
        (bytes.fromhex("89504e470d0a1a0a"), False),
    ):
        path.write_bytes(content)
        assert (not_a_clip(path) is None) is is_clip, content[:20]


def test_redirects_are_followed_without_a_key(tmp_path: Path) -> None:
    def answering(request: httpx.Request) -> httpx.Response:
        hops = {"/a": "b", "/b": "https://other.example/c"}
        if request.url.path in hops:
            return httpx.Response(302, headers={"Location": hops[request.url.path]})
        assert str(request.url) == "https://other.example/c"
        return plain(request)

    found = fetch("https://media.example/a", tmp_path, "image", http=over(answering))
    assert found.size_bytes == 10240


@pytest.mark.parametrize(
    "location", ["/a", "ftp://x.example/a", "file:///etc/passwd", "https://[x", ""]
)
def test_redirects_that_lead_nowhere(tmp_path: Path, location: str) -> None:
    def answering(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": location})

    with pytest.raises(DownloadFailed, match="HTTP 302"):
        fetch("https://media.example/a", tmp_path, "image", http=over(answering))
    assert list(tmp_path.iterdir()) == []


def test_too_much_is_refused_while_it_arrives(tmp_path: Path, tools: Any) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b"x" * 1_000_000

    def answering(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())

    profile = tools.patient(upload_max=3_000_000)
    with pytest.raises(DownloadFailed, match=r"https://a\.example/x has more than 3 MB"):
        fetch(
            "https://a.example/x?Signature=secret-query",
            tmp_path,
            "video",
            profile=profile,
            http=over(answering),
        )
    assert len(sent) == 4
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_not_there(tmp_path: Path) -> None:
    asked = []

    def answering(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404)

    with pytest.raises(DownloadFailed) as caught:
        fetch("https://a.example/x?key=secret-query", tmp_path, "video", http=over(answering))
    assert "https://a.example/x cannot be downloaded (HTTP 404)" in str(caught.value)
    assert "secret-query" not in str(caught.value)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("url", "suffix"),
    [
        ("https://a.example/x.mp4", ".mp4"),
        ("https://a.example/x.MP4?a=b.png", ".mp4"),
        ("https://a.example/x", ".bin"),
        ("https://a.example/x.tar/", ".tar"),
        ("https://a.example/..%2f..%2fx.p%2fy", ".bin"),
        ("https://a.example/x.averylongone", ".bin"),
        ("https://a.example", ".bin"),
    ],
)
def test_the_extension_of_an_address(url: str, suffix: str) -> None:
    assert suffix_of(url, ".bin") == suffix
