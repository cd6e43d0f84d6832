"""The state machine alone: outcomes in, steps out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.errors import RateLimited, Rejected
from wan_prep.profile import default_profile
from wan_prep.submission.decisions import (
    Accepted,
    Ended,
    GiveUp,
    NotSent,
    Refused,
    RetryLater,
    Running,
    Unclear,
    Usable,
    after_poll,
    after_post,
    after_query,
    poll_pause_s,
    retry_after_s,
)
from wan_prep.submission.wire import HttpResponse, NoResponse

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
CONFIG = default_profile().submission


def answer(document: Any, status: int = 200, **headers: str) -> HttpResponse:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return HttpResponse(status, {k.replace("_", "-"): v for k, v in headers.items()}, content)


def poll(outcome: HttpResponse | NoResponse, age_s: float = 600.0) -> object:
    return after_poll(outcome, "a1", age_s=age_s, now=NOW, config=CONFIG)


# ---- the paid request


def test_an_id_and_a_status() -> None:
    decision = after_post(answer({"code": 200, "data": {"id": "a1", "status": "created"}}), NOW)
    assert decision == Accepted("a1", "created")


def test_an_id_is_enough() -> None:
    assert after_post(answer({"data": {"id": "a1", "status": 3}}), NOW) == Accepted("a1", None)


def test_nothing_left_the_machine() -> None:
    assert after_post(NoResponse(False, "refused"), NOW) == NotSent("refused")


def test_something_left_the_machine() -> None:
    assert after_post(NoResponse(True, "reset"), NOW) == Unclear("reset")


def test_an_id_beside_a_complaint_is_kept() -> None:
    reply = {"code": 500, "message": "late", "data": {"id": "a1"}}
    assert after_post(answer(reply), NOW) == Unclear("HTTP 200 with code 500: late", "a1")
    assert after_post(answer(reply, 503), NOW) == Unclear("HTTP 503 with code 500: late", "a1")


@pytest.mark.parametrize("status", [200, 400, 402, 404, 409, 422, 429, 302, 500])
@pytest.mark.parametrize("code", [400, 409, 429, "conflict", None])
def test_an_id_beside_a_refusal_is_kept(status: int, code: object) -> None:
    decision = after_post(answer({"code": code, "message": "m", "data": {"id": "a1"}}, status), NOW)
    if (status, code) == (200, None):
        assert decision == Accepted("a1", None)
    else:
        assert isinstance(decision, Unclear)
        assert decision.service_id == "a1"


@pytest.mark.parametrize("odd", [17, ["a1"], {"id": "a1"}, "../../models", True])
def test_an_id_that_cannot_be_one_is_no_clear_refusal(odd: object) -> None:
    decision = after_post(answer({"code": 400, "data": {"id": odd}}, 400), NOW)
    assert isinstance(decision, Unclear)
    assert decision.service_id is None


@pytest.mark.parametrize("status", [302, 500, 503])
def test_a_no_inside_something_else_is_not_clear(status: int) -> None:
    assert isinstance(after_post(answer({"code": 400, "data": None}, status), NOW), Unclear)


@pytest.mark.parametrize("none", [{"id": None}, {"id": ""}, {}, None, [], "a1"])
def test_a_refusal_without_an_id(none: object) -> None:
    assert isinstance(after_post(answer({"code": 400, "data": none}, 400), NOW), Refused)
    assert isinstance(after_post(answer({"code": 400, "data": none}), NOW), Refused)


def test_a_refusal_carries_the_services_words() -> None:
    decision = after_post(answer({"code": 402, "message": "Insufficient\ncredits"}, 402), NOW)
    assert isinstance(decision, Refused)
    assert isinstance(decision.error, Rejected)
    assert decision.error.status == 402
    assert "402: Insufficient credits" in str(decision.error)
    assert "top it up" in str(decision.error)


@pytest.mark.parametrize(
    ("given", "seconds"), [("30", 30.0), ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0), ("soon", None)]
)
def test_a_rate_limit_says_when(given: str, seconds: float | None) -> None:
    decision = after_post(answer({}, 429, retry_after=given), NOW)
    assert isinstance(decision, Refused)
    assert isinstance(decision.error, RateLimited)
    assert decision.error.retry_after_s == seconds


@given(
    st.integers(100, 599),
    st.binary(max_size=60)
    | st.builds(
        lambda code, data: json.dumps({"code": code, "data": data}).encode(),
        st.none() | st.integers(0, 600),
        st.none() | st.fixed_dictionaries({"id": st.text(max_size=5) | st.integers()}),
    ),
)
def test_money_is_never_declared_safe_without_a_clear_no(status: int, content: bytes) -> None:
    """Refused needs a 4xx; accepted needs an id and a 2xx; everything else stays in doubt."""
    decision = after_post(answer(content, status), NOW)
    assert not isinstance(decision, NotSent)
    if isinstance(decision, Refused):
        said_inside = 200 <= status < 300 and 400 <= json.loads(content)["code"] < 500
        assert 400 <= status < 500 or said_inside
        assert b'"id": "' not in content or b'"id": ""' in content
    if isinstance(decision, Accepted):
        assert 200 <= status < 300
        assert json.loads(content)["data"]["id"] == decision.service_id


# ---- questions


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_question_is_asked_again(status: int) -> None:
    decision = after_query(answer({"message": "m"}, status, retry_after="4"), NOW)
    assert decision == RetryLater(f"HTTP {status}: m", 4.0, is_rate_limit=status == 429)


@pytest.mark.parametrize("code", [408, 425, 429])
def test_a_question_is_asked_again_where_only_the_envelope_says_later(code: int) -> None:
    decision = after_query(answer({"code": code, "message": "m"}, retry_after="4"), NOW)
    assert decision == RetryLater(f"code {code}: m", 4.0, is_rate_limit=code == 429)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 413, 422])
def test_a_question_is_refused(status: int) -> None:
    assert isinstance(after_query(answer({}, status), NOW), Refused)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_with_the_key(status: int) -> None:
    decision = after_query(answer({}, status, location="https://elsewhere.example"), NOW)
    assert isinstance(decision, RetryLater)


def test_a_usable_answer() -> None:
    given = answer({"code": 200, "data": {}})
    assert after_query(given, NOW) == Usable(given)


# ---- the result


@pytest.mark.parametrize("status", ["created", "processing", "paused", "sent to the moon"])
def test_what_has_not_ended_goes_on_whatever_it_is_called(status: str) -> None:
    assert poll(answer({"data": {"id": "a1", "status": status}})) == Running(status)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "timeout", "deleted"])
def test_what_has_ended(status: str) -> None:
    decision = poll(answer({"data": {"id": "a1", "status": status}}))
    assert isinstance(decision, Ended)
    assert decision.task.status == status


def test_a_task_just_accepted_may_not_be_found_yet() -> None:
    assert poll(answer({}, 404), age_s=59.0) == RetryLater("HTTP 404: not found yet")
    assert isinstance(poll(answer({}, 404), age_s=60.0), GiveUp)


def test_a_task_that_the_service_has_forgotten_is_not_ended_by_our_clock() -> None:
    week_s = 7 * 24 * 3600.0
    young, old = (poll(answer({}, 404), age_s=week_s + more) for more in (0, 1))
    assert isinstance(young, GiveUp)
    assert isinstance(old, GiveUp)
    assert "the service refused" in str(young.error)
    assert "older than the 7 days" in str(old.error)
    refused = poll(answer({}, 401), age_s=week_s + 1)
    assert isinstance(refused, GiveUp)
    assert "401" in str(refused.error)


def test_another_keys_refusal_ends_the_wait() -> None:
    assert isinstance(poll(answer({}, 401), age_s=1.0), GiveUp)


def test_somebody_elses_task_is_no_answer() -> None:
    assert isinstance(poll(answer({"data": {"id": "b2", "status": "completed"}})), RetryLater)


# ---- time


def test_pauses_grow_from_2_to_15_s() -> None:
    pauses = [poll_pause_s(k, lambda: 0.0, CONFIG) for k in range(7)]
    assert pauses == [2.0, 3.0, 4.5, 6.75, 10.125, 15.0, 15.0]


@given(st.integers(0, 10_000), st.floats(0.0, 1.0))
def test_a_pause_is_between_2_and_15_s(round_: int, chance: float) -> None:
    assert 2.0 <= poll_pause_s(round_, lambda: chance, CONFIG) <= 15.0


def test_chance_shortens_a_pause_by_up_to_a_quarter() -> None:
    assert poll_pause_s(9, lambda: 1.0, CONFIG) == 11.25


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sun, 22 Nov 2026 12:00:05 GMT", 5.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 12:00:05", None),
        ("-5", None),
        ("1e9", None),
        ("nan", None),
        ("٣", None),
        ("", None),
        ("tomorrow", None),
    ],
)
def test_retry_after(given: str, seconds: float | None) -> None:
    assert retry_after_s(answer({}, retry_after=given), NOW) == seconds
