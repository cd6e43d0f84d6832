"""Which task of the history can be an unknown submission: on literal values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from wan_prep.profile import default_profile
from wan_prep.submission.jobs import Job
from wan_prep.submission.lookup import fits, window
from wan_prep.submission.schema import HistoryItem
from wan_prep.submission.session import Session

IMAGE, VIDEO = "https://kept.example/1.png", "https://kept.example/2.mp4"


def item(**changes: Any) -> HistoryItem:
    facts: dict[str, Any] = {
        "id": "s1",
        "model": "wan/animate",
        "created_at": "2026-11-22T12:00:01.948268264Z",
        "inputs": {"image": IMAGE, "video": VIDEO},
    }
    return HistoryItem(**{**facts, **changes})


def can_be(item: HistoryItem, job: Job) -> bool:
    sent = job.created_at
    return fits(item, job, sent - timedelta(minutes=5), sent + timedelta(minutes=10))


def test_the_same_model_time_and_inputs(tools: Any) -> None:
    assert can_be(item(), tools.entry())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": "wan/animate-2"}, False),
        ({"model": ""}, True),
        ({"created_at": "2026-11-22T11:54:59Z"}, False),
        ({"created_at": "2026-11-22T11:55:00Z"}, True),
        ({"created_at": "2026-11-22T12:10:01Z"}, False),
        ({"created_at": "2026-11-22T20:05:00+08:00"}, True),
        # The service has filtered by time already; what it does not tell is no contradiction.
        ({"created_at": ""}, True),
        ({"created_at": "yesterday"}, True),
        ({"inputs": {}}, False),
        ({"inputs": {"image": IMAGE}}, False),
        ({"inputs": {"image": IMAGE.replace("kept", "KEPT"), "video": VIDEO}}, True),
        ({"inputs": {"image": VIDEO, "video": IMAGE}}, False),
        ({"inputs": {"image": IMAGE, "video": f"{VIDEO}?v=2"}}, False),
    ],
)
def test_another_task(change: dict[str, Any], expected: bool, tools: Any) -> None:
    assert can_be(item(**change), tools.entry()) is expected


@pytest.mark.parametrize(
    ("ours", "told", "expected"),
    [
        ({}, {"mode": "animate", "resolution": "480p", "seed": 812, "prompt": ""}, True),
        ({}, {"mode": "replace"}, False),
        ({}, {"resolution": "720p"}, False),
        ({}, {"prompt": "a knight"}, False),
        ({"prompt": "a knight"}, {"prompt": "a knight"}, True),
        ({"seed": 5}, {"seed": 5}, True),
        ({"prompt": "a knight"}, {"prompt": ""}, False),
        ({"prompt": "a knight"}, {"prompt": None}, True),
        ({"prompt": "a knight"}, {}, True),
        ({"seed": 0}, {"seed": 6}, False),
        ({"seed": 5}, {"seed": 6}, False),
        ({"seed": 5}, {"seed": 0}, False),
        ({"seed": 5}, {}, True),
    ],
)
def test_what_a_task_tells_of_its_parameters(
    ours: dict[str, Any], told: dict[str, Any], expected: bool, tools: Any
) -> None:
    inputs = {"image": IMAGE, "video": VIDEO, **told}
    assert can_be(item(inputs=inputs), tools.entry(**ours)) is expected


def test_the_time_window(tools: Any) -> None:
    session = Session(default_profile().submission)
    # 3 tries of 10 s to connect and 15 s of pause, 120 s for the answer, 5 minutes either way
    longest = timedelta(seconds=3 * (10 + 15) + 120)
    slack = timedelta(minutes=5)
    sent = tools.NOW
    assert window(tools.entry(), session) == (sent - slack, sent + longest + slack)
    # A machine that slept in the middle knew only later.
    late = tools.entry(updated_at=sent + timedelta(hours=2))
    assert window(late, session)[1] == sent + timedelta(hours=2) + slack
