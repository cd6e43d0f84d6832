"""The service's facts in the profile, and what they may not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from wan_prep.errors import ProfileError
from wan_prep.profile import default_profile, load_profile
from wan_prep.submission.environment import base_url

SUBMISSION = default_profile().submission


def test_the_protocol_of_the_services_page() -> None:
    assert SUBMISSION.base_url == "https://api.wavespeed.ai"
    assert SUBMISSION.paths.submit == "/api/v3/{model}"
    assert SUBMISSION.paths.result == "/api/v3/predictions/{id}/result"
    assert (SUBMISSION.seed.low, SUBMISSION.seed.high, SUBMISSION.seed.default) == (
        -1,
        2147483647,
        -1,
    )
    assert SUBMISSION.limit("upload_warn") == 100e6
    assert SUBMISSION.limit("upload_max") == 200e6
    assert (SUBMISSION.limit("poll_first"), SUBMISSION.limit("poll_longest")) == (2.0, 15.0)


@pytest.mark.parametrize("name", SUBMISSION.limits)
def test_every_figure_has_unit_and_source(name: str) -> None:
    assert SUBMISSION.limits[name].unit.strip()
    assert SUBMISSION.limits[name].source.strip()


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
