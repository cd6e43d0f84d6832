"""A real server of files on the loopback, which answers what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class FileServer:
    """`answers` by path; `asked` holds path and headers of each request."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def file(self, path: str, content: bytes, **headers: str) -> str:
        """Serve `content`; its address."""
        told = {"Content-Length": str(len(content))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            for name, value in told.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(content)

        self.answers[path] = answer
        return self.root + path

    def status(self, path: str, status: int, **headers: str) -> str:
        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", "0")
            request.end_headers()

        self.answers[path] = answer
        return self.root + path

    def endless(self, path: str, chunk: bytes) -> str:
        """A body without an end; it stops when the other side goes."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.end_headers()
            try:
                while True:
                    request.wfile.write(chunk)
            except OSError:
                pass

        self.answers[path] = answer
        return self.root + path

    def silent(self, path: str, content: bytes) -> str:
        """Announces more than it sends, and keeps the connection open until the server ends."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", str(len(content) + 1))
            request.end_headers()
            request.wfile.write(content)
            request.wfile.flush()
            request.rfile.read(1)  # comes when the other side goes

        self.answers[path] = answer
        return self.root + path


def _server() -> tuple[ThreadingHTTPServer, FileServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            served.asked.append((self.path, dict(self.headers.items())))
            if path in served.answers:
                served.answers[path](self)
            else:
                self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            return None

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = FileServer(http.server_port)
    return http, served


@pytest.fixture
def server() -> Iterator[FileServer]:
    http, served = _server()
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield served
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder
