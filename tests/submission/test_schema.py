from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.errors import ReplyInvalid, SubmissionError
from wan_prep.submission.schema import (
    AnimateRequest,
    HistoryPage,
    Receipt,
    TaskResult,
    UploadTicket,
    checked_parameters,
    data_of,
    message_of,
    one_line,
    opened,
)

IMAGE, VIDEO = "https://example.com/hero.png", "https://example.com/dance.mp4"


# ---- what is sent


def test_a_request_with_the_services_defaults() -> None:
    assert AnimateRequest(image=IMAGE, video=VIDEO).body() == {
        "image": IMAGE,
        "video": VIDEO,
        "mode": "animate",
        "resolution": "480p",
        "seed": -1,
    }


def test_a_request_with_everything() -> None:
    request = AnimateRequest(
        image=IMAGE,
        video=VIDEO,
        prompt="a knight",
        mode="replace",
        resolution="720p",
        seed=2147483647,
    )
    assert list(request.body()) == ["image", "video", "prompt", "mode", "resolution", "seed"]
    assert request.body()["seed"] == 2147483647


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -2),
        ("seed", 2147483648),
        ("seed", "7"),
        ("seed", 1.5),
        ("seed", True),
        ("mode", "dance"),
        ("resolution", "1080p"),
        ("prompt", 5),
        ("prompt", "\ud800"),
    ],
)
def test_a_parameter_that_cannot_be_is_named_in_one_line(name: str, value: Any) -> None:
    with pytest.raises(SubmissionError, match=f"^{name}: ") as caught:
        checked_parameters(**{name: value})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "address",
    [
        "hero.png",
        "file:///etc/passwd",
        "ftp://example.com/a",
        "https://",
        "https:// x",
        "https://[x",
        "",
    ],
)
def test_an_address_is_an_http_one(address: str) -> None:
    with pytest.raises(ValueError, match="image"):
        AnimateRequest(image=address, video=VIDEO)


def test_an_unknown_field_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="loop"):
        AnimateRequest(image=IMAGE, video=VIDEO, loop=True)  # type: ignore[call-arg]


# ---- what comes back


def test_the_replies_of_the_service_s_page() -> None:
    content = json.dumps(
        {
            "code": 200,
            "message": "success",
            "data": {
                "id": "e6832d4abffb4d79bfbca19783fca133",
                "model": "wavespeed-ai/wan-2.2/animate",
                "outputs": ["https://cdn.example/out.mp4?Signature=1"],
                "urls": {"get": "https://api.example/result"},
                "has_nsfw_contents": [True],
                "status": "completed",
                "created_at": "2026-05-19T06:09:15.948268264Z",
                "error": "",
                "timings": {"inference": 25729},
                "a field of tomorrow": [1],
            },
        }
    ).encode()
    task = data_of(opened(content), TaskResult)
    assert (task.id, task.status) == ("e6832d4abffb4d79bfbca19783fca133", "completed")
    assert task.outputs == ("https://cdn.example/out.mp4?Signature=1",)
    assert (task.nsfw(0), task.nsfw(1)) == (True, None)
    assert data_of(opened(content), Receipt).id == "e6832d4abffb4d79bfbca19783fca133"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON of 0 bytes"),
        (b"  <!doctype html>", "an HTML page"),
        (b'{"code": 200', "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "found a list"),
        (b"null", "found a NoneType"),
        (b"7", "found a int"),
        (b'{"code": "many"}', "code"),
        (b'{"a":' * 100_000, "nested without end"),
    ],
)
def test_what_is_no_answer(content: bytes, said: str) -> None:
    with pytest.raises(ReplyInvalid, match=said):
        opened(content)


@pytest.mark.parametrize(
    "data", ["null", "[]", '"x"', "{}", '{"id": null}', '{"id": 5}', '{"id": ""}']
)
def test_a_receipt_without_an_id(data: str) -> None:
    envelope = opened(f'{{"code": 200, "data": {data}}}'.encode())
    with pytest.raises(ReplyInvalid):
        data_of(envelope, Receipt)


@pytest.mark.parametrize("odd", ["../../x", "a/b", "a b", ".", "..", "a?b", "x" * 300])
def test_an_id_becomes_part_of_a_path_and_must_be_fit_for_it(odd: str) -> None:
    with pytest.raises(ReplyInvalid):
        data_of(opened(json.dumps({"data": {"id": odd}}).encode()), Receipt)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outputs", None),
        ("has_nsfw_contents", None),
        ("has_nsfw_contents", "no"),
        ("has_nsfw_contents", [1]),
        ("error", None),
        ("error", {"why": 1}),
        ("timings", 3),
    ],
)
def test_a_task_is_read_leniently(field: str, value: Any) -> None:
    content = json.dumps({"data": {"id": "a", "status": "created", field: value}}).encode()
    task = data_of(opened(content), TaskResult)
    assert (task.outputs, task.nsfw(0)) == ((), None)


@pytest.mark.parametrize("outputs", ["x", [5], ["file:///x"], ["https://[x/y.mp4"], [{"url": "x"}]])
def test_outputs_that_cannot_be_fetched_are_no_outputs(outputs: Any) -> None:
    content = json.dumps({"data": {"status": "completed", "outputs": outputs}}).encode()
    with pytest.raises(ReplyInvalid, match="outputs"):
        data_of(opened(content), TaskResult)


def refusal(content: bytes, kind: Any) -> str:
    """Why an answer cannot be used; empty where it can."""
    try:
        data_of(opened(content), kind)
    except ReplyInvalid as exc:
        return str(exc)
    return ""


@given(st.binary(max_size=200))
def test_no_bytes_are_anything_but_an_answer_or_a_named_error(content: bytes) -> None:
    assert refusal(content, TaskResult).isprintable()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "message", "data", "id", "status", "outputs", "error"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_no_document_is_anything_but_an_answer_or_a_named_error(document: Any) -> None:
    content = json.dumps(document).encode()
    for kind in (TaskResult, Receipt, UploadTicket, HistoryPage):
        assert "\n" not in refusal(content, kind)
    assert "\n" not in message_of(content)


def test_a_text_that_cannot_be_written_is_mended() -> None:
    envelope = opened(b'{"data": {"status": "a\\ud800b", "error": "\\udfff"}}')
    assert data_of(envelope, TaskResult) == TaskResult(status="a?b", error="?")


def test_an_odd_entry_of_the_history_hides_no_other() -> None:
    good = {"id": "a1", "model": "m", "created_at": "2026-01-01T00:00:00Z", "input": {"seed": 3}}
    content = json.dumps({"data": {"items": [{"id": 7}, good, {}]}}).encode()
    (item,) = data_of(opened(content), HistoryPage).readable()
    assert (item.id, item.inputs) == ("a1", {"seed": 3})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"message": "top up"}', "top up"),
        (b'{"message": "", "error": "top\\nup"}', "top up"),
        (b'{"error": {"message": "top up"}}', "top up"),
        (b'{"detail": "top up"}', "top up"),
        (b'{"detail": [1]}', ""),
        (b"<html>", ""),
        (b"[]", ""),
    ],
)
def test_what_an_error_says(content: bytes, said: str) -> None:
    assert message_of(content) == said


def test_somebody_elses_text_fits_into_a_line() -> None:
    assert one_line("a\x1b[31m\r\n\tb\u202e") == "a [31m b"
    assert one_line("x" * 400) == "x" * 299 + "…"
