"""A client fed with whatever a service might say: only errors of ours come out."""

from __future__ import annotations

import contextlib
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from wan_prep.errors import SubmissionError
from wan_prep.submission import journal as journals
from wan_prep.submission.client import Client
from wan_prep.submission.environment import Connection
from wan_prep.submission.intent import intend, url_input
from wan_prep.submission.jobs import OPEN, UNCLEAR
from wan_prep.submission.journal import Journal
from wan_prep.submission.session import TimeSource
from wan_prep.submission.wire import HttpResponse, NoResponse, Outcome

IMAGE, VIDEO = "https://media.example/1.png", "https://media.example/2.mp4"

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 600)
    | st.sampled_from(["", "s1", "completed", "failed", "odd\n\x1b[1m", "https://[x", IMAGE, VIDEO])
    | st.text(max_size=4)
)
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=2), max_leaves=4)
_ITEMS = st.fixed_dictionaries(
    {"id": st.just("s1") | _VALUES},
    optional={
        "model": st.just("wavespeed-ai/wan-2.2/animate") | _VALUES,
        "created_at": _VALUES,
        "inputs": st.just({"image": IMAGE, "video": VIDEO}) | _VALUES,
    },
)
_DATA = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("s1") | _VALUES,
        "status": st.sampled_from(["created", "completed", "failed"]) | _VALUES,
        "outputs": st.lists(st.sampled_from([VIDEO, "https://[x/y"]), max_size=2) | _VALUES,
        "has_nsfw_contents": _VALUES,
        "error": _VALUES,
        "items": st.lists(_ITEMS, max_size=2) | _VALUES,
    },
)
_DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"code": st.sampled_from([200, 401, 500]) | _VALUES, "data": _DATA | _VALUES}
)
_ANSWERS = st.builds(
    lambda status, document, after: HttpResponse(
        status, {"retry-after": after} if after else {}, json.dumps(document).encode()
    ),
    st.sampled_from([200, 200, 200, 302, 401, 404, 429, 500]),
    _DOCUMENTS | _VALUES,
    st.sampled_from(["", "3", "soon"]),
)
OUTCOMES = st.lists(_ANSWERS | st.builds(NoResponse, st.booleans(), st.just("broken")), max_size=12)


class Script(httpx.BaseTransport):
    """Plays outcomes, then says nothing any more; counts the paid requests."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        self.outcomes = list(outcomes)
        self.slept = 0.0
        self.paid = 0
        self.paid_reply: Outcome | None = None

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        outcome = self.outcomes.pop(0) if self.outcomes else NoResponse(True, "silence")
        is_sent = isinstance(outcome, HttpResponse) or outcome.may_have_arrived
        if request.url.path.endswith("/animate") and is_sent:
            self.paid += 1
            self.paid_reply = outcome
        if isinstance(outcome, NoResponse):
            raise (httpx.ReadError if outcome.may_have_arrived else httpx.ConnectError)("told")
        return httpx.Response(outcome.status, headers=outcome.headers, content=outcome.content)


def named_in(reply: Outcome | None) -> str | None:
    """The one id that the service of this test gives, where an answer has it in its place."""
    document = json.loads(reply.content) if isinstance(reply, HttpResponse) else None
    data = document.get("data") if isinstance(document, dict) else None
    return "s1" if isinstance(data, dict) and data.get("id") == "s1" else None


@pytest.fixture(autouse=True, scope="module")
def unsynced_for_all_examples() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "_SYNCHRONOUS", "OFF")
        patch.setattr("wan_prep.writing.os.fsync", lambda _descriptor: None)
        yield


@settings(max_examples=150)
@given(OUTCOMES)
def test_whatever_the_service_says(outcomes: list[Outcome]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Script(outcomes)
        journal = Journal(Path(folder) / "journal", now=script.now)
        client = Client(
            Connection("https://api.example", SecretStr("k" * 20)),
            journal,
            http=script,
            time=TimeSource(script.now, lambda: script.slept, script.sleep, lambda: 0.0),
        )
        intent = intend(
            url_input(IMAGE, "image"), url_input(VIDEO, "video"), mode="animate", resolution="480p"
        )
        with contextlib.suppress(SubmissionError):
            client.submit(intent)
        assert script.paid <= 1
        (job,) = journal.jobs()
        assert job.state != "submitting", "it is known what is not known"
        if (named := named_in(script.paid_reply)) is not None:
            assert job.service_id == named, "an id that was told is kept, whatever else was said"
            assert job.state in ("submitted", "unknown")
        if job.state in OPEN:
            with pytest.raises(SubmissionError):
                client.submit(intent)
        paid = script.paid
        with contextlib.suppress(SubmissionError):
            client.reconcile()
        with contextlib.suppress(SubmissionError):
            prediction = client.wait(job.id, folder=Path(folder) / "out", timeout_s=30)
            assert prediction.status == journal.job(job.id).state
        assert script.paid == paid, "waiting costs nothing"
        after = journal.job(job.id)
        assert (after.service_id is not None) or after.state in (*UNCLEAR, "rejected", "not_sent")
        assert (after.error or "").isprintable()
