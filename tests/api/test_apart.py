"""Files looked at in a process of their own: what is lost there is a finding here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scripted
from wan_prep import api
from wan_prep.api import apart
from wan_prep.cli import run
from wan_prep.errors import InputPathError, WanPrepError

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE, VIDEO = FIXTURES / "reference.png", FIXTURES / "driving.mp4"

pytestmark = pytest.mark.slow


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_Eyes", scripted.Eyes)


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def make(name: str) -> Path:
        (tmp_path / name).write_bytes(b"x")
        return tmp_path / name

    return make


@pytest.mark.usefixtures("eyes")
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("crash.png", "WP101", "looking at it failed: its process ended while at work (signal"),
        ("crash.mp4", "WP102", "(signal SIGSEGV); export it again"),
        ("hang.mp4", "WP102", "looking at it took longer than 1 s; trim it or scale it down"),
        ("large.png", "WP101", "it needs more memory than a worker may take"),
    ],
)
def test_what_is_lost_is_a_finding(make: Any, file: Any, name: str, code: str, said: str) -> None:
    good = make.video() if name.endswith("png") else make.image()
    pair = (file(name), good) if name.endswith("png") else (good, file(name))
    report = api.check(*pair, isolated=True, time_limit_s=1)
    assert report.verdict == "not_ready"
    (finding,) = [f for f in report.findings if f.code == code]
    assert said in finding.message
    assert finding.severity == "error"


@pytest.mark.usefixtures("eyes")
def test_a_file_of_a_ranking_that_is_lost_is_set_aside(make: Any, file: Any) -> None:
    ranking = api.rank(
        [make.image(), file("crash.png")], [make.video()], isolated=True, time_limit_s=30
    )
    assert len(ranking.pairs) == 1
    (aside,) = ranking.set_aside
    assert Path(aside.path).name == "crash.png"
    assert "signal SIGSEGV" in aside.reason


@pytest.mark.usefixtures("eyes")
def test_what_is_no_loss_is_raised(file: Any) -> None:
    with pytest.raises(InputPathError, match="nobody looks here"):
        api.observe(file("fine.png"), isolated=True)
    with pytest.raises(WanPrepError, match="leave out isolated"):
        api.observe(file("fine.png"), isolated=True, estimator=object())  # type: ignore[arg-type]


@pytest.mark.model
@pytest.mark.media
def test_a_pair_is_seen_alike(capsys: pytest.CaptureFixture[str]) -> None:
    alone = api.check(IMAGE, VIDEO, isolated=True)
    assert alone.public_json() == api.check(IMAGE, VIDEO).public_json()
    at = api.observe(VIDEO, at=[0.5], isolated=True)
    assert at.model_dump_json() == api.observe(VIDEO, at=[0.5]).model_dump_json()
    assert run(["inspect", str(IMAGE), "--isolated", "-q"]) == 0
    assert capsys.readouterr().out == "found\n"
