from __future__ import annotations

from pathlib import Path

import pytest

from wan_prep.errors import ApiKeyError, ProfileError, SubmissionError
from wan_prep.profile import load_profile
from wan_prep.submission.environment import Connection, api_key, base_url

KEY = "wsk_0123456789abcdef"


def test_the_key_does_not_show_itself() -> None:
    connection = Connection.from_environment({"WAVESPEED_API_KEY": KEY})
    for shown in (
        repr(connection),
        str(connection),
        f"{connection.api_key}",
        repr(vars(connection)),
    ):
        assert KEY not in shown
    assert connection.api_key.get_secret_value() == KEY


@pytest.mark.parametrize("given", [{}, {"WAVESPEED_API_KEY": ""}, {"WAVESPEED_API_KEY": " \n"}])
def test_no_key(given: dict[str, str]) -> None:
    with pytest.raises(ApiKeyError, match="no API key: set WAVESPEED_API_KEY"):
        api_key(given)


@pytest.mark.parametrize(
    "odd", [f"{KEY}\n", f" {KEY}", f"{KEY} {KEY}", f"{KEY}\r\nX: y", f"\t{KEY}", f"{KEY}\u00a0"]
)
def test_a_key_with_spaces_or_line_breaks(odd: str) -> None:
    with pytest.raises(ApiKeyError, match="contains a space or a line break") as caught:
        api_key({"WAVESPEED_API_KEY": odd})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("odd", ["schlüssel", f"{KEY}\x00", "\udc80abc"])
def test_a_key_with_characters_that_no_header_has(odd: str) -> None:
    with pytest.raises(ApiKeyError, match="printable ASCII") as caught:
        api_key({"WAVESPEED_API_KEY": odd})
    assert odd not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", "https://api.wavespeed.ai"),
        ("https://proxy.example/wavespeed/", "https://proxy.example/wavespeed"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
        ("http://localhost:8765", "http://localhost:8765"),
    ],
)
def test_the_host(given: str, found: str) -> None:
    assert base_url({"WAVESPEED_BASE_URL": given}) == found


@pytest.mark.parametrize(
    "odd",
    [
        "http://api.wavespeed.ai",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "ftp://127.0.0.1",
        "api.wavespeed.ai",
        "https://user:secret@api.example",
        "https://api.example?key=1",
        "https://api.example#x",
        "https://api.example:port",
        "https://",
    ],
)
def test_a_host_that_the_key_is_not_sent_to(odd: str) -> None:
    with pytest.raises(SubmissionError, match="WAVESPEED_BASE_URL") as caught:
        base_url({"WAVESPEED_BASE_URL": odd})
    assert "secret" not in str(caught.value)


# ---- what a profile of one's own may say


@pytest.mark.parametrize(
    "text",
    [
        "[submission.limits.attempts]\nvalue = 0",
        "[submission.limits.poll_first]\nvalue = 0",
        '[submission.paths]\nsubmit = "https://elsewhere.example/{model}"',
        "[submission.limits.patience]\nvalue = 1",
    ],
)
def test_figures_that_cannot_be(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ProfileError, match="submission"):
        load_profile(tmp_path / "mine.toml")


def test_a_profile_does_not_decide_who_gets_the_key(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[submission]\nbase_url = "https://elsewhere.example"')
    load_profile(tmp_path / "mine.toml")
    assert base_url({}) == "https://api.wavespeed.ai"
