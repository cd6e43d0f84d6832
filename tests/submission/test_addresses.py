"""One address, however it is spelled: to what is sent, and to the guard against paying twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from wan_prep.addresses import canonical, is_same_address, service_root
from wan_prep.errors import AlreadySubmitted
from wan_prep.rehearsal.server import FakeService
from wan_prep.submission.environment import Connection, base_url
from wan_prep.submission.intent import intend, url_input
from wan_prep.submission.jobs import Job

ONE = "https://media.example/Clips/dance.mp4?Signature=aB%2f"


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        (ONE, ONE),
        ("HTTPS://media.example/a", "https://media.example/a"),
        ("https://Media.EXAMPLE/a", "https://media.example/a"),
        ("https://media.example:443/a", "https://media.example/a"),
        ("http://media.example:80/a", "http://media.example/a"),
        ("https://media.example:/a", "https://media.example/a"),
        ("https://media.example:0443/a", "https://media.example/a"),
        ("http://media.example:443/a", "http://media.example:443/a"),
        ("https://media.example", "https://media.example/"),
        ("https://media.example?a=1", "https://media.example/?a=1"),
        ("https://media.example/a#t=3", "https://media.example/a"),
        ("https://User:Word@Media.example/a", "https://User:Word@media.example/a"),
        ("http://[::1]:80/A", "http://[::1]/A"),
        ("http://[FE80::1]:8000/A", "http://[fe80::1]:8000/A"),
        # What a signature may stand for stays as it is.
        ("https://a.example/%7ex/../y?b=%2f&a=", "https://a.example/%7ex/../y?b=%2f&a="),
        ("https://a.example/x?", "https://a.example/x?"),
        ("upload:sha256:AB", "upload:sha256:AB"),
        ("/Home/X.mp4", "/Home/X.mp4"),
    ],
)
def test_the_one_spelling(spelling: str, expected: str) -> None:
    assert canonical(spelling) == expected


@pytest.mark.parametrize(
    ("url", "other", "is_same"),
    [
        (ONE, ONE.replace("media", "MEDIA"), True),
        (ONE, ONE.replace("example/", "example:443/"), True),
        (ONE, ONE.replace("%2f", "%2F"), True),
        (ONE, ONE.replace("%2f", "/"), False),
        (ONE, ONE.replace("Clips", "clips"), False),
        (ONE, ONE.replace("https", "http"), False),
        (ONE, ONE.replace("Clips", "%43lips"), True),
        ("https://a.example/x/./y/../z", "https://a.example/x/z", True),
        ("https://a.example/x/y/..", "https://a.example/x/", True),
        ("https://a.example/../x", "https://a.example/x", True),
        ("https://a.example/x/", "https://a.example/x", False),
        ("https://a.example/é", "https://a.example/%c3%a9", True),
        ("https://a.example/?q=a/../b", "https://a.example/?q=b", False),
        ("https://a.example./x", "https://a.example/x", True),
        ("https://a.example.:443/x", "https://a.example/x", True),
        ("https://b\u00fccher.example/x", "https://xn--bcher-kva.example/x", True),
        ("https://B\u00dcCHER.example/x", "https://b\u00fccher.example/x", True),
        ("https://a\u3002example/x", "https://a.example/x", True),
        ("https://stra\u00dfe.example/x", "https://strasse.example/x", False),
        ("https://%61.ex%61mple/x", "https://a.example/x", True),
        ("https://a%2eexample/x", "https://a.example/x", True),
        ("https://a%2fb/x", "https://a/b/x", False),
        ("https://a%40b/x", "https://a@b/x", False),
        ("http://[0:0:0:0:0:0:0:1]/x", "http://[::1]/x", True),
        ("http://[::1]/x", "http://[::2]/x", False),
        ("https://a..example/x", "https://a.example/x", False),
    ],
)
def test_what_one_address_is(url: str, other: str, is_same: bool) -> None:
    assert is_same_address(url, other) is is_same
    assert is_same_address(other, url) is is_same


@given(st.text(alphabet="hHtTpPsS:/.?#@[]%2eE~aA0\u00e9 ", max_size=30))
def test_any_text_has_one_spelling(text: str) -> None:
    for url in (text, f"https://{text}"):
        assert canonical(canonical(url)) == canonical(url)
        assert service_root(service_root(url)) == service_root(url)
        assert is_same_address(url, canonical(url))


@pytest.mark.parametrize(
    "spelling",
    [
        "https://API.WaveSpeed.ai",
        "https://api.wavespeed.ai:443",
        "https://api.wavespeed.ai.",
        "https://api.wavespeed.ai.:443/",
        "HTTPS://api.wavespeed.ai///",
        "https://api.wavespeed.ai/./x/..",
        "https://api.wavespeed.\uff41i",
    ],
)
def test_the_services_one_address(spelling: str) -> None:
    assert base_url({"WAVESPEED_BASE_URL": spelling}) == "https://api.wavespeed.ai"
    assert Connection(spelling, SecretStr("k" * 20)).base_url == "https://api.wavespeed.ai"


def test_a_service_below_a_path() -> None:
    one = "https://xn--prxy-6qa.example:8443/Wave"
    assert service_root("https://Pr\u00f6xy.example:8443/Wave/") == one
    assert service_root("https://xn--prxy-6qa.example.:8443/x/../%57ave") == one


# ---- the guard


def pair(image: str, video: str, **options: Any) -> Any:
    settings: dict[str, Any] = {"mode": "animate", "resolution": "480p", **options}
    return intend(url_input(image, "image"), url_input(video, "video"), **settings)


IMAGE, VIDEO = "https://media.example/hero.png", "https://media.example/dance.mp4"


@pytest.mark.parametrize(
    "again",
    [
        pair(IMAGE, VIDEO, prompt=""),
        pair(IMAGE.replace("media", "Media"), VIDEO),
        pair(IMAGE, VIDEO.replace("https:", "HTTPS:")),
        pair(IMAGE, VIDEO.replace("example", "example:443")),
        pair(IMAGE, f"{VIDEO}#t=2"),
        pair(IMAGE, VIDEO.replace("dance", "%64ance")),
    ],
)
def test_another_spelling_does_not_pay_twice(desk: Any, service: FakeService, again: Any) -> None:
    desk.submit(pair(IMAGE, VIDEO))
    with pytest.raises(AlreadySubmitted):
        desk.submit(again)
    assert service.count("submit") == 1


@pytest.mark.parametrize("port_end", ["/", "//"])
def test_another_spelling_of_the_host_does_not_pay_twice(
    desk: Any, service: FakeService, port_end: str
) -> None:
    (job,) = desk.submit(pair(IMAGE, VIDEO))
    desk.base_url = service.base_url.replace("http", "HTTP") + port_end
    with pytest.raises(AlreadySubmitted):
        desk.submit(pair(IMAGE, VIDEO))
    assert desk.wait(job.id).succeeded, "it is the same service"


def test_what_is_sent_is_what_is_guarded(desk: Any, service: FakeService) -> None:
    (job,) = desk.submit(pair("HTTPS://Media.Example:443/Hero.png", VIDEO, prompt=""))
    (task,) = service.tasks.values()
    assert task.request.image == job.image.url == "https://media.example/Hero.png"
    assert (task.request.prompt, job.prompt) == (None, None)
    assert b"prompt" not in service.seen[0].content


def test_an_entry_of_an_earlier_version_is_read_in_the_one_spelling(desk: Any) -> None:
    (job,) = desk.submit(pair(IMAGE, VIDEO))
    old = job.model_dump(mode="json") | {"base_url": "https://API.example:443/", "prompt": ""}
    read = Job.model_validate(old)
    assert (read.base_url, read.prompt) == ("https://api.example", None)
