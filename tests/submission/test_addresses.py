"""Which spellings of an address are one, to the service and to the guard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.submission.addresses import address_key, base_address, is_usable, plain_url


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("HTTPS://Media.Example/A.mp4", "https://media.example/A.mp4"),
        ("https://media.example:443/a.mp4", "https://media.example/a.mp4"),
        ("HTTP://media.example:80/a.mp4", "http://media.example/a.mp4"),
        ("https://media.example:/a.mp4", "https://media.example/a.mp4"),
        ("https://media.example:80/a.mp4", "https://media.example:80/a.mp4"),
        ("https://media.example", "https://media.example/"),
        ("https://media.example?a=b", "https://media.example/?a=b"),
        ("https://media.example/x/../y/./a.mp4", "https://media.example/y/a.mp4"),
        ("https://media.example/a.mp4#t=3", "https://media.example/a.mp4"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://[::1]:8765/a", "https://[::1]:8765/a"),
        ("https://User:Word@media.example/a", "https://User:Word@media.example/a"),
        # A signature may be over these.
        (
            "https://m.example/%7ea%2fb?Sig=%2fx%7e+y%20z",
            "https://m.example/%7ea%2fb?Sig=%2fx%7e+y%20z",
        ),
        ("https://m.example/a//b/", "https://m.example/a//b/"),
        # Not one of ours to spell.
        ("upload:sha256:AbC", "upload:sha256:AbC"),
        ("ftp://Media.Example/a", "ftp://Media.Example/a"),
    ],
)
def test_the_spelling_that_is_sent(given: str, sent: str) -> None:
    assert plain_url(given) == sent
    assert plain_url(sent) == sent


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://m.example/~a", "https://m.example/%7ea", True),
        ("https://m.example/%7Ea", "https://m.example/%7ea", True),
        ("https://m.example/%C3%BC", "https://m.example/ü", True),
        ("https://m.example/a?b=%2f", "https://m.example/a?b=%2F", True),
        ("https://m.example./a", "https://m.example/a", True),
        ("https://m.example.:443/a", "https://m.example/a", True),
        ("https://m.example/a%2Fb", "https://m.example/a/b", False),
        ("https://m.example/A", "https://m.example/a", False),
        ("https://m.example/a", "https://m.example/a/", False),
        ("https://m.example/a?b", "https://m.example/a?B", False),
        ("https://m.example/a", "http://m.example/a", False),
        ("https://m.example:444/a", "https://m.example/a", False),
        ("https://m.example/a.", "https://m.example/a", False),
        ("https://u:P@m.example/a", "https://u:p@m.example/a", False),
    ],
)
def test_the_same_place(one: str, other: str, is_same: bool) -> None:
    assert (address_key(one) == address_key(other)) is is_same


@pytest.mark.parametrize(
    "spelling",
    [
        "https://api.example/v",
        "HTTPS://API.Example/v/",
        "https://api.example:443/v//",
        "https://api.example./v",
        "https://api.example/%76",
        "https://api.example/x/../v/",
    ],
)
def test_a_host_has_one_address(spelling: str) -> None:
    assert base_address(spelling) == "https://api.example/v"


@given(st.text(max_size=20) | st.text(max_size=20).map("https://{}".format))
def test_no_text_is_too_odd(text: str) -> None:
    assert plain_url(plain_url(text)) == plain_url(text)
    assert address_key(address_key(text)) == address_key(text)
    assert is_usable(plain_url(text)) == is_usable(text)
