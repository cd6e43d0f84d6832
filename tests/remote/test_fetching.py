"""Files over http from a real server: whole or not at all, bounded, and gone afterwards."""

from __future__ import annotations

import errno
import os
import pickle
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import FetchFailed, FetchRefused, InputPathError, SourceChanged
from wan_prep.profile import Profile, default_profile
from wan_prep.remote.http import fetch_http
from wan_prep.remote.scratch import Scratch, fetched
from wan_prep.remote.sink import FetchLimits, Sink
from wan_prep.remote.sources import RemotePolicy

LOCAL = RemotePolicy(allow_local_hosts=True)
ANYWHERE = RemotePolicy(allow_local_hosts=True, allow_redirects=True)


def limited(**values: float) -> Profile:
    """The default figures with these limits of fetching."""
    profile = default_profile()
    limits = dict(profile.remote.limits)
    for name, value in values.items():
        limits[name] = limits[name].model_copy(update={"value": value})
    remote = profile.remote.model_copy(update={"limits": limits})
    return profile.model_copy(update={"remote": remote})


def left_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


# ---- whole


def test_a_file_arrives_whole_with_the_suffix_of_its_name(server: Any, temporary: Path) -> None:
    url = server.file("/a/dance.MP4", b"moving" * 100_000)
    with fetched(f"{url}?Signature=secret", LOCAL) as path:
        assert Path(path).read_bytes() == b"moving" * 100_000
        assert Path(path).suffix == ".mp4"
        assert "secret" not in str(path)
    assert left_in(temporary) == []
    assert server.asked[0][0] == "/a/dance.MP4?Signature=secret"


def test_one_request_without_range_cookie_or_compression(server: Any, temporary: Path) -> None:
    with fetched(server.file("/x.png", b"x"), LOCAL):
        ((_, headers),) = server.asked
    names = {name.lower() for name in headers}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}
    assert headers["Accept-Encoding"] == "identity"


def test_a_body_of_unknown_length_arrives_whole(server: Any, temporary: Path) -> None:
    url = server.file("/x.png", b"4\r\nabcd\r\n0\r\n\r\n", Transfer_Encoding="chunked")
    plain = server.answers["/x.png"]

    def chunked(request: Any) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"4\r\nabcd\r\n0\r\n\r\n")

    assert plain is not chunked
    server.answers["/x.png"] = chunked
    with fetched(url, LOCAL) as path:
        assert Path(path).read_bytes() == b"abcd"


def test_user_and_password_go_to_their_host_and_into_no_message(
    server: Any, temporary: Path
) -> None:
    url = server.status("/gone.png", 404).replace("//", "//me:pass%20word@")
    with pytest.raises(FetchFailed) as failed, fetched(url, LOCAL):
        pass
    assert server.asked[0][1]["Authorization"] == "Basic bWU6cGFzcyB3b3Jk"
    assert "pass" not in str(failed.value)
    assert f"http://127.0.0.1:{server.port}/gone.png" in str(failed.value)


def test_the_folder_is_for_its_owner_alone(server: Any, temporary: Path) -> None:
    with fetched(server.file("/x.png", b"x"), LOCAL) as path:
        assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
        assert Path(path).parent.parent == temporary


def test_each_address_is_fetched_once_a_scratch(server: Any, temporary: Path) -> None:
    url = server.file("/x.png", b"x")
    with Scratch(LOCAL) as scratch:
        assert scratch.local(url) == scratch.local(url)
        assert len(server.asked) == 1
        with pytest.raises(SourceChanged):
            scratch.local(url, sha256="0" * 64)
    assert left_in(temporary) == []


def test_a_path_passes_untouched_and_nothing_is_made(temporary: Path) -> None:
    with Scratch() as scratch:
        for given in ("dance.mp4", Path("a/b.png"), r"C:\clips\x.mp4", "C:/x.mp4", "http:", ""):
            assert scratch.local(given) is given
        assert left_in(temporary) == []
    code = "import sys; from wan_prep.remote.scratch import fetched\n"
    code += "with fetched('a.png') as p: print(p, sorted({'fsspec', 'httpx', 'httpcore'} & "
    code += "set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "a.png []"


def test_a_policy_can_be_handed_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(ANYWHERE)) == ANYWHERE


# ---- not whole, not there


def test_fewer_bytes_than_announced_are_no_file(server: Any, temporary: Path) -> None:
    url = server.file("/x.mp4", b"half", Content_Length="8")
    with pytest.raises(FetchFailed, match="cut off"), fetched(url, LOCAL):
        pass
    assert left_in(temporary) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "HTTP 404.*it is not there"),
        (403, "HTTP 403.*does not allow"),
        (401, "HTTP 401.*a password"),
        (206, "HTTP 206"),
        (304, "HTTP 304"),
        (500, "HTTP 500.*later"),
    ],
)
def test_a_status_is_said_with_what_to_do(
    server: Any, temporary: Path, status: int, words: str
) -> None:
    url = server.status("/x.png", status)
    with pytest.raises(FetchFailed, match=words) as failed, fetched(f"{url}?key=secret", LOCAL):
        pass
    assert "secret" not in str(failed.value)
    assert failed.value.exit_code == 2
    assert left_in(temporary) == []


def test_what_comes_compressed_is_not_taken_for_the_file(server: Any, temporary: Path) -> None:
    url = server.file("/x.png", b"packed", Content_Encoding="gzip")
    with pytest.raises(FetchFailed, match="compressed"), fetched(url, LOCAL):
        pass


def test_no_server_no_host_and_no_http(server: Any, temporary: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/x.png", "http://nobody.invalid/x.png"):
        with pytest.raises(FetchFailed, match="no connection"), fetched(url, LOCAL):
            pass

    def nonsense(request: Any) -> None:
        request.wfile.write(b"this is not HTTP\r\n\r\n")

    server.answers["/x.png"] = nonsense
    with pytest.raises(FetchFailed, match="not HTTP"), fetched(f"{server.root}/x.png", LOCAL):
        pass


def test_an_endless_body_ends_at_the_largest_size(server: Any, temporary: Path) -> None:
    url = server.endless("/x.mp4", b"x" * 65536)
    small = limited(file_max=1_000_000)
    with pytest.raises(FetchFailed, match="more than 1 MB"), fetched(url, LOCAL, profile=small):
        pass
    assert left_in(temporary) == []


def test_an_announced_size_is_refused_before_a_byte_is_read(server: Any, temporary: Path) -> None:
    url = server.file("/x.mp4", b"", Content_Length="1000001")
    small = limited(file_max=1_000_000)
    with pytest.raises(FetchFailed, match="more than 1 MB"), fetched(url, LOCAL, profile=small):
        pass


def test_all_files_together_are_bounded_and_a_failed_one_takes_no_room(
    server: Any, temporary: Path
) -> None:
    first, second = server.file("/a.mp4", b"x" * 600), server.file("/b.mp4", b"y" * 600)
    cut = server.file("/c.mp4", b"z" * 300, Content_Length="400")
    with Scratch(LOCAL, limited(scratch_max=1000)) as scratch:
        scratch.local(first)
        with pytest.raises(FetchFailed, match="cut off"):
            scratch.local(cut)
        with pytest.raises(FetchFailed, match="does not fit"):
            scratch.local(second)
        assert [p.name for p in left_in(temporary) if p.suffix] == ["0.mp4"]
        scratch.local(server.file("/d.mp4", b"z" * 400))
    assert left_in(temporary) == []


def test_a_server_that_falls_silent_is_left(server: Any, temporary: Path) -> None:
    url = server.silent("/x.mp4", b"part")
    brief = limited(silence=0.05)
    with pytest.raises(FetchFailed, match="nothing came"), fetched(url, LOCAL, profile=brief):
        pass
    assert left_in(temporary) == []


def test_a_server_that_drips_is_left_when_the_time_is_over(tmp_path: Path) -> None:
    limits = FetchLimits(1, 1, transfer_s=60, file_bytes=100, scratch_bytes=100, redirects=0)
    now = iter([0.0, 59.0, 61.0])
    with (tmp_path / "x").open("wb") as file:
        sink = Sink(file, "http://a.example/x", limits, 100, monotonic=lambda: next(now))
        sink.write(b"a")
        with pytest.raises(FetchFailed, match="within 60 s"):
            sink.write(b"b")


class _Full:
    def write(self, _chunk: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said(server: Any) -> None:
    url = server.file("/x.png", b"x")
    limits = FetchLimits(5, 5, 60, 100, 100, 0)
    full: Any = _Full()
    with pytest.raises(FetchFailed, match=r"No space left.*TMPDIR"):
        fetch_http(url, Sink(full, url, limits, 100), LOCAL, limits)


def test_nothing_is_left_after_ctrl_c(
    server: Any, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it arrives, and while it is looked at."""
    url = server.file("/x.png", b"x")

    def look(path: object) -> None:
        assert Path(str(path)).exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), fetched(url, LOCAL) as path:
        look(path)
    assert left_in(temporary) == []

    def interrupted(self: Sink, chunk: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sink, "write", interrupted)
    with pytest.raises(KeyboardInterrupt), fetched(url, LOCAL):
        pass
    assert left_in(temporary) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(
    server: Any, temporary: Path
) -> None:
    abandoned, in_use, new = (temporary / f"wan-prep-remote-{name}" for name in "abc")
    for folder in (abandoned, new, temporary / "another"):
        folder.mkdir()
        (folder / "in-use").touch()
        (folder / "0.mp4").write_bytes(b"x")
    for folder in (abandoned, temporary / "another"):
        os.utime(folder / "in-use", (0, 0))
    with Scratch(LOCAL) as other:
        held = Path(other.local(server.file("/x.png", b"x")))
        os.utime(held.parent / "in-use", (0, 0))
        held.parent.rename(in_use)
        with fetched(server.file("/y.png", b"y"), LOCAL):
            assert not abandoned.exists()
            assert (in_use / "0.png").exists()
            assert (new / "0.mp4").exists()
            assert (temporary / "another" / "0.mp4").exists()
        in_use.rename(held.parent)


# ---- redirects and local addresses


def test_redirects_on_the_same_host_are_followed(server: Any, temporary: Path) -> None:
    server.file("/there/x.png", b"x")
    url = server.status("/x.png", 302, Location="/there/x.png")
    with fetched(url, LOCAL) as path:
        assert Path(path).read_bytes() == b"x"


def test_a_redirect_to_another_host_is_refused_unless_allowed(server: Any, temporary: Path) -> None:
    server.file("/there.png", b"x")
    there = f"http://localhost:{server.port}/there.png?key=secret"
    url = server.status("/x.png", 302, Location=there).replace("//", "//me:word@")
    with pytest.raises(FetchRefused, match="--allow-redirects") as refused, fetched(url, LOCAL):
        pass
    assert f"localhost:{server.port}" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert [path for path, _ in server.asked] == ["/x.png"]
    with fetched(url, ANYWHERE) as path:
        assert Path(path).read_bytes() == b"x"
    assert "Authorization" not in server.asked[-1][1]


def test_another_port_is_another_host(server: Any, temporary: Path) -> None:
    url = server.status("/x.png", 307, Location="http://127.0.0.1:1/x.png")
    with pytest.raises(FetchRefused, match="another host"), fetched(url, LOCAL):
        pass


@pytest.mark.parametrize(
    "location", ["", "file:///etc/passwd", "ftp://a.example/x", "s3://bucket/x"]
)
def test_a_redirect_to_no_http_address_is_refused(
    server: Any, temporary: Path, location: str
) -> None:
    url = server.status("/x.png", 302, Location=location)
    with pytest.raises(FetchRefused, match="no http address"), fetched(url, ANYWHERE):
        pass


def test_redirects_in_a_circle_end(server: Any, temporary: Path) -> None:
    url = server.status("/x.png", 302, Location="/x.png")
    with pytest.raises(FetchFailed, match="more than 5 times"), fetched(url, LOCAL):
        pass
    assert len(server.asked) == 6


def test_a_local_address_is_refused_unless_allowed(server: Any, temporary: Path) -> None:
    url = server.file("/x.png", b"x")
    spellings = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]"]
    for host in spellings:
        spelled = url.replace("127.0.0.1", host)
        with pytest.raises(FetchRefused, match="--allow-local-hosts"), fetched(spelled):
            pass
    assert server.asked == []
    assert left_in(temporary) == []


def test_allowed_redirects_do_not_lead_to_local_addresses(
    server: Any, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.file("/there.png", b"x")
    url = server.status("/x.png", 302, Location=f"http://localhost:{server.port}/there.png")
    monkeypatch.setattr(
        "wan_prep.remote.http.is_local", lambda address: address not in looked_up["a.example"]
    )
    looked_up = {"a.example": ["127.0.0.1"], "localhost": ["127.0.0.2"]}
    _look_up(monkeypatch, looked_up)
    started = url.replace("127.0.0.1", "a.example")
    with (
        pytest.raises(FetchRefused, match="--allow-local-hosts"),
        fetched(started, RemotePolicy(allow_redirects=True)),
    ):
        pass
    assert [path for path, _ in server.asked] == ["/x.png"]


def _look_up(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> None:
    real = socket.getaddrinfo

    def found(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in names:
            return real(host, *args, **options)
        return [each for ip in names[name] for each in real(ip, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def test_one_local_address_among_several_is_enough(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _look_up(monkeypatch, {"a.example": ["93.184.216.34", "10.0.0.1"]})
    with pytest.raises(FetchRefused, match="private network"), fetched("http://a.example/x.png"):
        pass


def test_a_name_that_changes_its_address_is_connected_where_it_was_looked_at(
    server: Any, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second look-up would lead elsewhere, and is never made."""
    url = server.file("/x.png", b"x").replace("127.0.0.1", "a.example")
    real, lookups = socket.getaddrinfo, list[str]()

    def found(host: Any, *args: Any, **options: Any) -> Any:
        if host == "a.example":
            lookups.append(host)
            return real("127.0.0.1" if len(lookups) == 1 else "127.0.0.9", *args, **options)
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with fetched(url, LOCAL) as path:
        assert Path(path).read_bytes() == b"x"
    assert lookups == ["a.example"]
    assert server.asked[0][1]["Host"] == f"a.example:{server.port}"


def test_failures_are_those_of_a_path(server: Any, temporary: Path) -> None:
    """So whoever sets files aside sets these aside, too."""
    assert issubclass(FetchFailed, InputPathError)
    assert issubclass(FetchRefused, InputPathError)
