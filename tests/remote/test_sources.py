"""What is an address, how it is named, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan_prep.errors import FetchRefused
from wan_prep.ranking.words import shortened
from wan_prep.remote.scratch import fetched
from wan_prep.remote.sources import is_local, is_remote, scheme_of, shown


@pytest.mark.parametrize(
    "source",
    [
        "dance.mp4",
        r"C:\clips\dance.mp4",
        "C:/clips/dance.mp4",
        "c://clips/dance.mp4",
        r"\\server\share\dance.mp4",
        "http:",
        "http:/dance.mp4",
        "./http://a.example/dance.mp4",
        "clips/a://b.mp4",
        "12://x",
        "a::b.mp4",
        "",
        Path("https://a.example/x.png"),
        b"https://a.example/x.png",
    ],
)
def test_a_path_is_a_path(source: object) -> None:
    assert not is_remote(source)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://a.example/x.png", "https://a.example/x.png"),
        ("HTTPS://u:p@a.example:8443/x.png?sig=s#f", "https://a.example:8443/x.png"),
        ("s3://bucket/a b/x.mp4", "s3://bucket/a b/x.mp4"),
        ("s3://key:secret@bucket/x.mp4?versionId=1", "s3://bucket/x.mp4"),
        ("gs://bucket/x.mp4", "gs://bucket/x.mp4"),
        ("http://[::1/x?s=secret", "http://…"),
    ],
)
def test_an_address_is_named_without_what_may_be_secret(address: str, name: str) -> None:
    assert is_remote(address)
    assert shown(address) == name


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "local:///etc/passwd",
        "ftp://a.example/x.png",
        "sftp://a.example/x.png",
        "ssh://a.example/x.png",
        "memory://x.png",
        "data://text/plain,x",
        "github://org:repo@main/x.png",
        "dask://worker/x.png",
        "reference://x.json",
        "dir://x",
        "zip://x.png",
        "zip://x.png::https://a.example/a.zip",
        "simplecache::s3://bucket/x.png",
        "filecache::zip::s3://bucket/x.zip",
        "simplecache::file:///etc/passwd",
        "https::file:///etc/passwd",
        "s3a://bucket/x.png",
        "hf://datasets/x.png",
        "https://",
        "https:///",
        "s3://",
        "s3://bucket",
        "s3://key:secret@bucket/x.png",
        "https://a.example/x.png\nHost: b.example",
        "https://a.example/\x00x.png",
        "https://:80/x.png",
        "http://[::1/x.png",
        "https://a.example:99999/x.png",
        "https://a.example:no/x.png",
    ],
)
def test_refused_without_a_look_at_the_network(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: object, **_options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket", never)
    monkeypatch.setattr("socket.getaddrinfo", never)
    with pytest.raises(FetchRefused) as refused, fetched(address):
        pass
    assert len(str(refused.value).splitlines()) == 1


def test_a_double_colon_inside_a_key_is_part_of_it() -> None:
    assert scheme_of("s3://bucket/a::b.png") == "s3"


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("93.184.216.34", False),
        ("2606:2800:220:1:248:1893:25c8:1946", False),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("::1", True),
        ("::", True),
        ("fe80::1", True),
        ("fe80::1%1", True),
        ("fd00::1", True),
        ("ff02::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:93.184.216.34", False),
        ("64:ff9b::7f00:1", True),
        ("64:ff9b::5db8:d822", False),
        ("2002:7f00:1::", True),
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str, local: bool) -> None:
    assert is_local(address) is local


@pytest.mark.parametrize(
    ("addresses", "names"),
    [
        (["s3://bucket/a/x.png"], ["x.png"]),
        (["s3://bucket/a/x.png", "s3://bucket/b/x.png"], ["a/x.png", "b/x.png"]),
        (["s3://bucket/a/x.png", "/a/x.png"], ["s3://bucket/a/x.png", "/a/x.png"]),
        (["https://a.example/ab.png", "https://a.example/ac.png"], ["ab.png", "ac.png"]),
    ],
)
def test_a_table_leaves_out_what_all_addresses_share(
    addresses: list[str], names: list[str]
) -> None:
    assert shortened(addresses) == names
