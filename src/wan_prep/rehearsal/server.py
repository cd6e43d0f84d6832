"""The rehearsal server: HTTP on this machine, the service's documented protocol, faults on demand.

    python -m wan_prep.submission.fake --video result.mp4 --fault submit=503

It prints the environment that points wan-prep at it. Faults are explained in `faults`.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from wan_prep.profile import default_profile
from wan_prep.rehearsal.faults import Fault, PendingRequest, ServerReply, misbehave, send
from wan_prep.submission.schema import AnimateRequest

_PROFILE = default_profile()
_PATHS = _PROFILE.submission.paths
_SUBMIT = _PATHS.submit.format(model=_PROFILE.service.model_path)
_RESULT_START, _, _RESULT_END = _PATHS.result.partition("{id}")


def clip(grey: int = 128, *, size_px: int = 16, frames: int = 2) -> bytes:
    """A square clip of one grey (0 … 255), 16 frames a second, as uncompressed YUV4MPEG2."""
    head = f"YUV4MPEG2 W{size_px} H{size_px} F16:1 Ip A1:1 C420jpeg\n".encode()
    plane = size_px * size_px
    return head + frames * (b"FRAME\n" + bytes([grey]) * plane + bytes([128]) * (plane // 2))


_STAND_IN = clip()


@dataclass(frozen=True)
class ReceivedRequest:
    """One request that reached the server."""

    step: str
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    content: bytes


@dataclass
class _FakeTask:
    id: str
    request: AnimateRequest
    created_at: datetime
    polls: int = 0


@dataclass
class _Ticket:
    headers: dict[str, str]
    size_bytes: int
    suffix: str


@dataclass
class FakeService:
    """The server and its tasks. A context manager; `base_url` is where it listens meanwhile."""

    faults: Iterable[str] = ()
    video: bytes | None = None
    """The output of every task; None: the driving video, where it was uploaded here."""
    polls_until_completed: int = 2
    nsfw: tuple[bool, ...] = (False,)
    """One output per flag."""
    port: int = 0
    on_seen: Callable[[ReceivedRequest], None] = field(default=lambda _: None)
    """Called for every request before it is worked on."""
    on_worked: Callable[[ReceivedRequest], None] = field(default=lambda _: None)
    """Called for every request once it was worked on, before it is answered."""
    seen: list[ReceivedRequest] = field(default_factory=list)
    tasks: dict[str, _FakeTask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._faults: list[Fault] = []
        self.add_faults(*self.faults)
        self._tickets: dict[str, _Ticket] = {}
        self._files: dict[str, bytes] = {}
        self._server: ThreadingHTTPServer | None = None

    # -------------------------------------------------------------- life

    def __enter__(self) -> Self:
        self._server = _Server(self)
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def restart(self, *faults: str) -> None:
        """Forget all requests, tasks, files and faults; `faults` are the new ones."""
        with self._lock:
            self._faults, self.seen, self.tasks = [], [], {}
            self._tickets, self._files = {}, {}
        self.add_faults(*faults)

    def add_faults(self, *faults: str) -> None:
        """Add faults, to be shown after those that are waiting."""
        with self._lock:
            self._faults += [Fault.parse(text) for text in faults]

    def clear_faults(self) -> None:
        """Drop all faults that are waiting."""
        with self._lock:
            self._faults = []

    @property
    def steps(self) -> list[str]:
        """The steps of all requests, in the order in which they arrived."""
        return [seen.step for seen in self.seen]

    def count(self, step: str) -> int:
        """How many requests of one step arrived."""
        return self.steps.count(step)

    # -------------------------------------------------------------- one request

    def handle(self, handler: BaseHTTPRequestHandler, seen: ReceivedRequest) -> None:
        """Answer one request, properly or as the next fault of its step wants it."""
        self.on_seen(seen)
        with self._lock:
            self.seen.append(seen)
            fault = self._next_fault(seen.step)
            proper = self._reply(seen) if fault is None or fault.needs_work else _done({})
        self.on_worked(seen)
        if fault is None:
            send(handler, proper)
        else:
            misbehave(fault, PendingRequest(handler, proper, self._stopping))

    def _next_fault(self, step: str) -> Fault | None:
        fault = next((fault for fault in self._faults if fault.step == step), None)
        if fault is not None and not fault.every_time:
            self._faults.remove(fault)
        return fault

    def _reply(self, seen: ReceivedRequest) -> ServerReply:
        has_key = "authorization" in seen.headers
        if seen.step in ("put", "file", "output"):
            if has_key:
                return _refused(400, "the API key does not belong here")
        elif not has_key:
            return _refused(401, "no API key")
        reply: Callable[[ReceivedRequest], ServerReply] = getattr(
            self, f"_on_{seen.step}", _not_found
        )
        return reply(seen)

    def _on_submit(self, seen: ReceivedRequest) -> ServerReply:
        try:
            request = AnimateRequest.model_validate_json(seen.content)
        except ValidationError as exc:
            first = exc.errors()[0]
            return _refused(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        task = _FakeTask(secrets.token_hex(16), request, datetime.now(UTC))
        self.tasks[task.id] = task
        return _done(self._shown(task))

    def _on_result(self, seen: ReceivedRequest) -> ServerReply:
        wanted = seen.path.removeprefix(_RESULT_START).removesuffix(_RESULT_END)
        task = self.tasks.get(wanted)
        if task is None:
            return _not_found(seen)
        task.polls += 1
        return _done(self._shown(task))

    def _on_history(self, seen: ReceivedRequest) -> ServerReply:
        query = json.loads(seen.content)
        after, before = (
            datetime.fromisoformat(query[name]) for name in ("created_after", "created_before")
        )
        newest_first = [
            {**self._shown(task), "inputs": task.request.body()}
            for task in reversed(self.tasks.values())
            if query["model"] == _PROFILE.service.model_path and after <= task.created_at <= before
        ]
        size = query["page_size"]
        first = (query["page"] - 1) * size
        return _done({"page": query["page"], "items": newest_first[first : first + size]})

    def _shown(self, task: _FakeTask) -> dict[str, Any]:
        is_completed = task.polls >= self.polls_until_completed
        running = "processing" if task.polls else "created"
        outputs = [
            f"{self.base_url}/output/{task.id}-{k + 1}.mp4?Signature={secrets.token_hex(8)}"
            for k in range(len(self.nsfw))
        ]
        return {
            "id": task.id,
            "model": _PROFILE.service.model_path,
            "outputs": outputs if is_completed else [],
            # As the service does it, and nobody should follow it with a key.
            "urls": {"get": f"{self.base_url}/elsewhere/{task.id}"},
            "has_nsfw_contents": list(self.nsfw) if is_completed else [],
            "status": "completed" if is_completed else running,
            "created_at": task.created_at.isoformat(),
            "error": "",
            "timings": {"inference": 1000 * task.polls},
        }

    # -------------------------------------------------------------- files

    def _on_ticket(self, seen: ReceivedRequest) -> ServerReply:
        wanted = json.loads(seen.content)
        token = secrets.token_hex(8)
        headers = {"Content-Type": wanted["content_type"], "X-Upload-Token": token}
        suffix = Path(wanted["filename"]).suffix
        self._tickets[token] = _Ticket(headers, wanted["size"], suffix)
        upload = {
            "method": "PUT",
            "url": f"{self.base_url}/put/{token}?Signature={secrets.token_hex(8)}",
            "headers": headers,
        }
        return _done({"upload": upload, "download_url": f"{self.base_url}/file/{token}{suffix}"})

    def _on_put(self, seen: ReceivedRequest) -> ServerReply:
        """Takes a file once, of the ticket's size and with exactly its headers."""
        token = seen.path.rpartition("/")[2]
        ticket = self._tickets.pop(token, None)
        own = {k: v for k, v in seen.headers.items() if k not in ("host", "content-length")}
        if ticket is None or own != {k.lower(): v for k, v in ticket.headers.items()}:
            return _refused(403, "the signature does not match")
        if len(seen.content) != ticket.size_bytes:
            return _refused(400, "another size than the ticket's")
        self._files[f"{token}{ticket.suffix}"] = seen.content
        return ServerReply(200, b"")

    def _on_form(self, seen: ReceivedRequest) -> ServerReply:
        boundary = seen.headers["content-type"].partition("boundary=")[2].encode()
        part = seen.content.split(b"--" + boundary)[1]
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' not in head:
            return _refused(400, "expected a field named file")
        suffix = Path(head.decode().rpartition('filename="')[2].partition('"')[0]).suffix
        name = f"{secrets.token_hex(8)}{suffix}"
        self._files[name] = content.removesuffix(b"\r\n")
        return _done({"download_url": f"{self.base_url}/file/{name}"})

    def _on_file(self, seen: ReceivedRequest) -> ServerReply:
        content = self._files.get(seen.path.rpartition("/")[2])
        return _not_found(seen) if content is None else ServerReply(200, content, _VIDEO)

    def _on_output(self, seen: ReceivedRequest) -> ServerReply:
        task = self.tasks.get(seen.path.rpartition("/")[2].partition("-")[0])
        if task is None:
            return _not_found(seen)
        driving = self._files.get(task.request.video.rpartition("/")[2])
        return ServerReply(200, self.video or driving or _STAND_IN, _VIDEO)


_VIDEO = (("Content-Type", "video/mp4"),)


def _done(data: dict[str, Any]) -> ServerReply:
    return ServerReply(200, json.dumps({"code": 200, "message": "success", "data": data}).encode())


def _refused(code: int, message: str) -> ServerReply:
    return ServerReply(code, json.dumps({"code": code, "message": message, "data": None}).encode())


def _not_found(_seen: ReceivedRequest) -> ServerReply:
    return _refused(404, "not found")


def step_of(method: str, path: str) -> str:
    """Which step of a submission a request is; "other" for none."""
    exact = {
        ("POST", _SUBMIT): "submit",
        ("POST", _PATHS.history): "history",
        ("POST", _PATHS.upload): "ticket",
        ("POST", _PATHS.upload_form): "form",
    }
    if (step := exact.get((method, path))) is not None:
        return step
    if method == "GET" and path.startswith(_RESULT_START) and path.endswith(_RESULT_END):
        return "result"
    if method == "PUT" and path.startswith("/put/"):
        return "put"
    if method == "GET" and path.startswith(("/file/", "/output/")):
        return path.split("/")[1]
    return "other"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.close_connection = True
        step = step_of(self.command, path)
        try:
            self.server.fake.handle(
                self, ReceivedRequest(step, self.command, path, headers, content)
            )
        except OSError:
            return  # the client has left; some faults are meant to make it

    do_GET = do_POST = do_PUT = _any  # noqa: N815  # the server's own spelling

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ARG002
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, fake: FakeService) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", fake.port), _Handler)


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m wan_prep.submission.fake",
        description="Rehearse submissions without paying: the service's protocol on this machine.",
    )
    parser.add_argument("--port", type=int, default=8765, help="0: any free one [default: 8765]")
    parser.add_argument("--video", type=Path, help="the finished video [default: the driving one]")
    parser.add_argument(
        "--polls",
        type=int,
        default=2,
        help="looks until it is completed [default: 2]",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="STEP=WHAT",
        help="such as submit=503, submit=done+reset, result=429:7, put=403*; may be repeated",
    )
    given = parser.parse_args(arguments)
    try:
        video = None if given.video is None else given.video.read_bytes()
        service = FakeService(
            faults=given.fault,
            video=video,
            polls_until_completed=given.polls,
            port=given.port,
            on_worked=_say,
        )
        with service:
            _print(f"export WAVESPEED_BASE_URL={service.base_url} WAVESPEED_API_KEY=not-a-real-key")
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (OSError, ValueError) as exc:
        print(f"{parser.prog}: {exc}", file=sys.stderr)
        return 2
    return 0


def _say(seen: ReceivedRequest) -> None:
    """Prints a request without query and headers, which are secret with the real service."""
    _print(f"{seen.step:8} {seen.method} {seen.path} ({len(seen.content)} bytes)")


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
