"""Files in an object store: moto's real S3 server on the loopback, asked by the real s3fs."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from wan_prep.errors import DependencyMissing, FetchFailed
from wan_prep.profile import Profile, default_profile
from wan_prep.remote import stores
from wan_prep.remote.scratch import fetched

Put = Callable[[str, bytes], str]


def no_more_than(file_max: int) -> Profile:
    profile = default_profile()
    limit = profile.remote.limits["file_max"].model_copy(update={"value": file_max})
    limits = profile.remote.limits | {"file_max": limit}
    remote = profile.remote.model_copy(update={"limits": limits})
    return profile.model_copy(update={"remote": remote})


@pytest.fixture(scope="module")
def s3_root() -> Iterator[str]:
    moto_server = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def put(s3_root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Put:
    """Puts an object into the store; its address. Credentials come from the environment."""
    pytest.importorskip("s3fs")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_root)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-user")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-user")
    httpx.put(f"{s3_root}/bucket")

    def object_at(key: str, content: bytes) -> str:
        assert httpx.put(f"{s3_root}/bucket/{key}", content=content).status_code == 200
        return f"s3://bucket/{key}"

    return object_at


def test_an_object_of_several_parts_arrives_whole(put: Put, temporary: Path) -> None:
    content = bytes(range(256)) * 70_000  # two requests of 8 MiB and a rest
    address = put("dances/one two.MP4", content)
    with fetched(address) as path:
        assert Path(path).read_bytes() == content
        assert Path(path).suffix == ".mp4"
    assert list(temporary.iterdir()) == []


def test_an_object_that_is_not_there_or_is_a_folder(put: Put, temporary: Path) -> None:
    put("folder/x.png", b"x")
    for address, words in (
        ("s3://bucket/none.png", "it is not there"),
        ("s3://nobody/none.png", "it is not there"),
        ("s3://bucket/folder", "is a folder"),
    ):
        with pytest.raises(FetchFailed, match=words), fetched(address):
            pass
    assert list(temporary.iterdir()) == []


def test_without_credentials_the_user_is_told(
    put: Put, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = put("x.png", b"x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(FetchFailed, match="no credentials were found"), fetched(address):
        pass


def test_an_object_that_is_too_large_is_refused(put: Put, temporary: Path) -> None:
    address = put("large.png", b"x" * 1_000_001)
    small = no_more_than(1_000_000)
    with pytest.raises(FetchFailed, match="more than 1 MB"), fetched(address, profile=small):
        pass
    assert list(temporary.iterdir()) == []


class _Client:
    """A store whose client fails as real ones do, with what is secret in its message."""

    def __init__(self, exc: Exception) -> None:
        self._exc = exc

    def __call__(self, **_options: Any) -> _Client:
        return self

    def open(self, *_args: Any, **_options: Any) -> Any:
        raise self._exc


class ConnectTimeoutError(Exception):
    """As botocore calls it."""


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (PermissionError("secret"), "does not allow it"),
        (FileNotFoundError("secret"), "not there"),
        (TimeoutError("secret"), "no answer in time"),
        (ConnectTimeoutError("secret"), "no answer in time"),
        (ConnectionRefusedError("secret"), "no connection to the store"),
        (RuntimeError("secret"), r"client failed \(RuntimeError\)"),
    ],
)
def test_failures_of_clients_are_said_without_their_texts(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, exc: Exception, words: str
) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda scheme: _Client(exc))
    with pytest.raises(FetchFailed, match=words) as failed, fetched("s3://bucket/x.png"):
        pass
    assert "secret" not in str(failed.value)
    assert failed.value.__cause__ is exc
    assert list(temporary.iterdir()) == []


def test_a_cut_object_is_no_file(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")

    class Cut(_Client):
        details = {"type": "file"}  # noqa: RUF012
        size = 4
        parts = iter([b"ab", b""])

        def open(self, *_args: Any, **_options: Any) -> Any:
            return self

        def read(self, _size: int) -> bytes:
            return next(self.parts)

        def __enter__(self) -> Cut:
            return self

        def __exit__(self, *_exc: object) -> None:
            return None

    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda scheme: Cut(ValueError()))
    with pytest.raises(FetchFailed, match="cut off: 2 bytes came of 4"), fetched("s3://b/x.png"):
        pass


@pytest.mark.parametrize("scheme", ["s3", "gs", "gcs"])
def test_a_missing_package_is_named(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    pytest.importorskip("fsspec")
    for name in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    needed = pytest.raises(DependencyMissing, match=r"pip install 'wan-prep\[remote\]'")
    with needed, fetched(f"{scheme}://bucket/x.png"):
        pass
    assert list(temporary.iterdir()) == []


def test_without_fsspec_it_is_named_too(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(DependencyMissing, match="s3fs"), fetched("s3://bucket/x.png"):
        pass


def test_fsspec_is_loaded_by_stores_alone() -> None:
    assert stores.__name__ == "wan_prep.remote.stores"
    code = "import sys, wan_prep.api, wan_prep.remote.http; print('fsspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
