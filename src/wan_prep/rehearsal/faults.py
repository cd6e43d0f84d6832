"""Faults that the rehearsal server shows on demand: wrong replies and broken connections.

A fault is written `step=what`, such as `submit=503`, `result=429:7` (Retry-After 7),
`submit=done+reset` (the task is accepted, then the connection is reset) or `put=403*` (every time,
not once).
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

# What a request is for; a fault names one of them.
STEPS = ("submit", "result", "history", "ticket", "put", "form", "file", "output")
_DRIP_S = 0.02
JSON = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class ServerReply:
    status: int
    content: bytes
    headers: tuple[tuple[str, str], ...] = JSON


@dataclass(frozen=True)
class Fault:
    """One misbehaviour at one step."""

    step: str
    what: str
    argument: str = ""
    after_work: bool = False
    """`done+`: the request is carried out before the answer goes wrong."""
    every_time: bool = False

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Raises ValueError: not written as the module's docstring says."""
        step, _, rest = text.partition("=")
        after_work = rest.startswith("done+")
        every_time = rest.endswith("*")
        what, _, argument = rest.removeprefix("done+").removesuffix("*").partition(":")
        known = {*ANSWERS, *EDITS, *CONNECTIONS}
        is_known = what in known or (what.isdigit() and len(what) == 3)
        if step not in STEPS or not is_known:
            names = ", ".join(sorted(known))
            raise ValueError(
                f"{text!r}: expected step=what, step one of {', '.join(STEPS)}, what a status code "
                f"or one of {names}"
            )
        return cls(step, what, argument, after_work, every_time)

    @property
    def needs_work(self) -> bool:
        """Whether the request is carried out; for a submission that makes a task."""
        return self.after_work or self.what in EDITS or self.step != "submit"


# ------------------------------------------------------------------ other answers

ReplyMaker = Callable[[str], ServerReply]
ReplyEdit = Callable[[ServerReply, str], ServerReply]


def _coded(code: str, status: int = 200, *headers: tuple[str, str]) -> ServerReply:
    said = {"code": int(code), "message": f"this server was told to say {code}", "data": None}
    return ServerReply(status, json.dumps(said).encode(), (*JSON, *headers))


def _status(code: str, retry_after: str) -> ServerReply:
    return _coded(code, int(code), *([("Retry-After", retry_after)] if retry_after else []))


def _constant(content: bytes, *headers: tuple[str, str]) -> ReplyMaker:
    return lambda _: ServerReply(200, content, headers or JSON)


# What is answered instead, given the fault's argument.
ANSWERS: dict[str, ReplyMaker] = {
    "html": _constant(
        b"<!doctype html><title>Just a moment</title>", ("Content-Type", "text/html")
    ),
    "empty": _constant(b""),
    "array": _constant(b"[]"),
    "number": _constant(b"7"),
    "nested": _constant(b'{"a":' * 200_000),
    "not-utf8": _constant(b'{"code": 200, "data": "\xff\xfe"}'),
    "huge": _constant(b" " * 2_000_000),
    "bad-gzip": _constant(b"not compressed", *JSON, ("Content-Encoding", "gzip")),
    "data-null": _constant(b'{"code": 200, "message": "success", "data": null}'),
    "data-list": _constant(b'{"code": 200, "message": "success", "data": []}'),
    "no-data": _constant(b'{"code": 200, "message": "success"}'),
    "code": _coded,
    "redirect": lambda to: ServerReply(302, b"", (("Location", to or "/elsewhere"),)),
}


def _edited(proper: ServerReply, edit: Callable[[dict[str, Any]], object]) -> ServerReply:
    document = json.loads(proper.content)
    edit(document)
    return replace(proper, content=json.dumps(document).encode())


def _in_data(**changes: Any) -> ReplyEdit:
    return lambda proper, _: _edited(proper, lambda document: document["data"].update(changes))


# What becomes of the proper reply, given the fault's argument.
EDITS: dict[str, ReplyEdit] = {
    "cut-json": lambda proper, _: replace(proper, content=proper.content[:-20]),
    "no-id": lambda proper, _: _edited(proper, lambda document: document["data"].pop("id")),
    "wrong-types": _in_data(id=17, status=["created"], outputs="none"),
    "odd-extras": _in_data(has_nsfw_contents="no", timings=[], error=None, surprise={"new": 1}),
    "odd-status": _in_data(status=5),
    "bad-id": _in_data(id="../../models"),
    "other-id": _in_data(id="somebodyelses"),
    "recode": lambda proper, code: _edited(proper, lambda doc: doc.update(code=int(code))),
    # Whole by its header, and yet not the whole file.
    "half-file": lambda proper, _: replace(proper, content=proper.content[:60]),
    "status": lambda proper, code: replace(proper, status=int(code)),
    "is": lambda proper, word: _in_data(status=word, outputs=[], error=f"ended as {word}")(
        proper, ""
    ),
    "no-outputs": _in_data(status="completed", outputs=[]),
    "null-outputs": _in_data(status="completed", outputs=None),
    "odd-outputs": _in_data(status="completed", outputs=[{"url": "x"}]),
}


# ------------------------------------------------------------------ broken connections


@dataclass(frozen=True)
class PendingRequest:
    """A request that waits for its answer."""

    handler: BaseHTTPRequestHandler
    proper: ServerReply
    stopping: Event
    """Set when the server ends."""


def _close(pending: PendingRequest) -> None:
    pending.handler.close_connection = True


def _reset(pending: PendingRequest) -> None:
    """Closes with RST instead of FIN: linger 0, then close."""
    connection = pending.handler.connection
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def _cut(pending: PendingRequest) -> None:
    send_head(pending.handler, pending.proper)
    pending.handler.wfile.write(pending.proper.content[: len(pending.proper.content) // 2])


def _reset_half(pending: PendingRequest) -> None:
    _cut(pending)
    _reset(pending)


def _hang(pending: PendingRequest) -> None:
    """Says nothing until the client closes the connection."""
    pending.handler.connection.recv(1)


def _drip(pending: PendingRequest) -> None:
    send_head(pending.handler, pending.proper)
    for k in range(len(pending.proper.content)):
        pending.handler.wfile.write(pending.proper.content[k : k + 1])
        if pending.stopping.wait(_DRIP_S):
            return


def _garbage(pending: PendingRequest) -> None:
    pending.handler.wfile.write(b"what is HTTP?\r\n\r\n")


def _echo(pending: PendingRequest) -> None:
    """Quotes the key in the answer."""
    key = pending.handler.headers.get("Authorization", "")
    said = {"code": 400, "message": f"cannot serve {key}", "data": None}
    send(pending.handler, ServerReply(400, json.dumps(said).encode()))


# What happens to the connection instead of a proper answer.
CONNECTIONS: dict[str, Callable[[PendingRequest], None]] = {
    "close": _close,
    "reset": _reset,
    "reset-half": _reset_half,
    "cut": _cut,
    "hang": _hang,
    "drip": _drip,
    "garbage": _garbage,
    "echo-key": _echo,
}


def send(handler: BaseHTTPRequestHandler, reply: ServerReply) -> None:
    send_head(handler, reply)
    handler.wfile.write(reply.content)


def send_head(handler: BaseHTTPRequestHandler, reply: ServerReply) -> None:
    """No header says that the connection is closed afterwards, as some proxies do it."""
    handler.send_response_only(reply.status)
    for name, value in (*reply.headers, ("Content-Length", str(len(reply.content)))):
        handler.send_header(name, value)
    handler.end_headers()


def misbehave(fault: Fault, pending: PendingRequest) -> None:
    """Answer as the fault wants it."""
    if fault.what in CONNECTIONS:
        CONNECTIONS[fault.what](pending)
    elif fault.what in EDITS:
        send(pending.handler, EDITS[fault.what](pending.proper, fault.argument))
    elif fault.what in ANSWERS:
        send(pending.handler, ANSWERS[fault.what](fault.argument))
    else:
        send(pending.handler, _status(fault.what, fault.argument))
