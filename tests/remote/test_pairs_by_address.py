"""Pairs by address through the library and the command line: as by path, and nothing is left."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wan_prep
from wan_prep import RemotePolicy, Scratch
from wan_prep.cli import run
from wan_prep.errors import FetchFailed, FetchRefused, SourceChanged
from wan_prep.planning.model import Plan
from wan_prep.report.model import Report

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGE = FIXTURES / "reference.png"
LOCAL = RemotePolicy(allow_local_hosts=True)
Capture = pytest.CaptureFixture[str]

pytestmark = [
    pytest.mark.model,
    pytest.mark.media,
    pytest.mark.usefixtures("looked_at_once", "temporary"),
]


@pytest.fixture
def image(server: Any) -> str:
    """Its address, with what is secret in it."""
    url: str = server.file("/cast/hero.png", IMAGE.read_bytes())
    return url.replace("//", "//me:pass-9713@") + "?Signature=sig-5520"


@pytest.fixture
def video(server: Any, brief_clip: Path) -> str:
    url: str = server.file("/dances/dance.mp4", brief_clip.read_bytes())
    return url + "?Signature=sig-5520"


def told(server: Any, path: str) -> str:
    return f"{server.root}{path}"


def nothing_secret_in(text: str) -> bool:
    return not re.search("sig-5520|pass-9713|wan-prep-remote", text)


def asked(server: Any) -> list[str]:
    return [path.partition("?")[0] for path, _ in server.asked]


def test_a_check_by_address_is_that_by_path(
    server: Any, image: str, video: str, brief_clip: Path, temporary: Path
) -> None:
    by_path = wan_prep.check(IMAGE, brief_clip)
    report = wan_prep.check(image, video, remote=LOCAL)
    assert report.image.path == told(server, "/cast/hero.png")
    assert report.video.path == told(server, "/dances/dance.mp4")
    as_by_path = report.public_json()
    for path, url in ((IMAGE, report.image.path), (brief_clip, report.video.path)):
        as_by_path = as_by_path.replace(json.dumps(url), json.dumps(str(path)))
    assert as_by_path == by_path.public_json()
    assert nothing_secret_in(report.model_dump_json())
    assert asked(server) == ["/cast/hero.png", "/dances/dance.mp4"]
    assert list(temporary.iterdir()) == []


def test_what_was_seen_is_known_again_wherever_it_is_fetched_from(
    server: Any, image: str, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = wan_prep.Cache(tmp_path / "seen")
    wan_prep.observe(image, cache=cache, remote=LOCAL)

    def never(*_args: object, **_options: object) -> None:
        raise AssertionError("looked at again")

    monkeypatch.setattr("wan_prep.observing.observe_image", never)
    moved = server.file("/elsewhere.png", IMAGE.read_bytes())
    seen = wan_prep.observe(moved, cache=cache, remote=LOCAL)
    assert seen.path == moved
    assert seen.info is not None
    assert seen.info.path == moved


def test_what_is_no_picture_is_a_finding_under_its_address(
    server: Any, video: str, temporary: Path
) -> None:
    for content in (b"", b"<html>not a picture</html>"):
        broken = server.file("/x.png", content)
        report = wan_prep.check(broken, video, remote=LOCAL)
        assert report.verdict == "not_ready"
        assert report.image.path == broken
        assert nothing_secret_in(report.model_dump_json())
    assert list(temporary.iterdir()) == []


def test_nothing_is_fetched_from_here_unasked(server: Any, image: str, video: str) -> None:
    with pytest.raises(FetchRefused, match="allow-local-hosts"):
        wan_prep.check(image, video)
    assert server.asked == []


def test_a_local_path_that_is_wrong_is_said_before_anything_is_fetched(
    server: Any, image: str, tmp_path: Path
) -> None:
    with pytest.raises(wan_prep.InputPathError, match="nothing at"):
        wan_prep.check(image, tmp_path / "none.mp4", remote=LOCAL)
    assert server.asked == []


def test_a_plan_names_the_addresses_and_is_carried_out_from_them(
    server: Any, image: str, video: str, temporary: Path, tmp_path: Path
) -> None:
    with Scratch(LOCAL) as scratch:
        report = wan_prep.check(image, video, remote=scratch)
        plan = wan_prep.plan(report, video=video, remote=scratch)
        out = tmp_path / "out"
        pair = wan_prep.normalize(plan, out, image=image, video=video, remote=scratch)
    assert asked(server) == ["/cast/hero.png", "/dances/dance.mp4"]
    assert list(temporary.iterdir()) == []
    for name in ("plan.json", "before.json", "report.json", "report.html"):
        assert nothing_secret_in((out / name).read_text("utf-8")), name
    saved = Plan.load(out / "plan.json")
    assert saved.image.source == told(server, "/cast/hero.png")
    assert saved.video.source == told(server, "/dances/dance.mp4")
    assert Report.load(out / "before.json").image.path == told(server, "/cast/hero.png")
    # From the saved plan alone, where the address needs neither signature nor user.
    again = wan_prep.normalize(saved, tmp_path / "again", remote=LOCAL)
    assert again.image.read_bytes() == pair.image.read_bytes()
    assert list(temporary.iterdir()) == []


def test_an_address_that_holds_something_else_by_now_is_refused(
    server: Any, image: str, video: str, brief_clip: Path, temporary: Path, tmp_path: Path
) -> None:
    report = wan_prep.check(image, video, remote=LOCAL)
    plan = wan_prep.plan(report, remote=LOCAL)
    server.file("/cast/hero.png", (FIXTURES / "driving.mp4").read_bytes())
    with pytest.raises(SourceChanged, match=r"hero\.png"):
        wan_prep.normalize(plan, tmp_path / "out", remote=LOCAL)
    with pytest.raises(SourceChanged, match=r"hero\.png"):
        wan_prep.api.write_page(report, tmp_path / "page.html", remote=LOCAL)  # type: ignore[attr-defined]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["temporary"]
    assert list(temporary.iterdir()) == []


def test_ranking_fetches_each_once_and_sets_aside_what_is_not_there(
    server: Any, image: str, video: str, brief_clip: Path, temporary: Path, tmp_path: Path
) -> None:
    gone = server.root + "/gone.png?Signature=sig-5520"
    (tmp_path / "cast.txt").write_text(f"{image}\n{gone}\n{IMAGE}\n", "utf-8")
    ranking = wan_prep.rank([f"@{tmp_path / 'cast.txt'}"], [video], remote=LOCAL)
    assert {pair.image for pair in ranking} == {told(server, "/cast/hero.png"), str(IMAGE)}
    (aside,) = ranking.set_aside
    assert aside.path == told(server, "/gone.png")
    assert "HTTP 404" in aside.reason
    assert nothing_secret_in(ranking.to_json() + "".join(map(repr, ranking.files)))
    assert asked(server) == ["/cast/hero.png", "/gone.png", "/dances/dance.mp4"]
    assert list(temporary.iterdir()) == []
    wan_prep.api.write_contact_sheet(ranking, tmp_path / "best.html", remote=LOCAL)  # type: ignore[attr-defined]
    page = (tmp_path / "best.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == 4
    assert nothing_secret_in(page)
    assert list(temporary.iterdir()) == []


# ---- the command line


def test_check_on_the_command_line(
    server: Any, image: str, video: str, temporary: Path, tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "page.html"
    line = ["check", image, video, "--allow-local-hosts", "--html", str(page)]
    assert run([*line, "--format", "json"]) in (0, 1)
    out, err = capsys.readouterr()
    assert json.loads(out)["image"]["path"] == told(server, "/cast/hero.png")
    assert nothing_secret_in(out + err + page.read_text("utf-8"))
    assert asked(server) == ["/cast/hero.png", "/dances/dance.mp4"]
    assert list(temporary.iterdir()) == []


def test_fix_on_the_command_line_fetches_each_file_once(
    server: Any, image: str, video: str, temporary: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    assert run(["fix", image, video, "-o", str(out), "--allow-local-hosts"]) in (0, 1)
    assert (out / "driving.mp4").is_file()
    said = "".join(capsys.readouterr())
    assert nothing_secret_in(said)
    assert asked(server) == ["/cast/hero.png", "/dances/dance.mp4"]
    assert list(temporary.iterdir()) == []
    again = ["fix", "--plan", str(out / "plan.json"), "-o", str(tmp_path / "again")]
    assert run(again) == 2
    assert "--allow-local-hosts" in capsys.readouterr().err
    assert run([*again, "--allow-local-hosts"]) in (0, 1)


def test_inspect_on_the_command_line(server: Any, image: str, capsys: Capture) -> None:
    assert run(["inspect", image, "--allow-local-hosts", "--format", "json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["file"]["path"] == told(server, "/cast/hero.png")
    assert run(["inspect", image, "--allow-local-hosts", "--at", "0"]) == 2
    assert "hero.png: a still has no times" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "plan", "fix"])
def test_a_failure_is_one_line_and_exit_code_2(
    server: Any, video: str, temporary: Path, tmp_path: Path, capsys: Capture, command: str
) -> None:
    gone = server.root + "/gone.png?Signature=sig-5520"
    line = [command, gone, video, "--allow-local-hosts", "-q"]
    assert run([*line, "-o", str(tmp_path / "out")] if command == "fix" else line) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "gone.png cannot be fetched (HTTP 404)" in err
    assert nothing_secret_in(err)
    assert list(temporary.iterdir()) == []


def test_ctrl_c_while_it_is_looked_at(
    image: str,
    video: str,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    def interrupted(*_args: object, **_options: object) -> None:
        assert list(temporary.rglob("*.png"))
        raise KeyboardInterrupt

    monkeypatch.setattr("wan_prep.observing.observe_image", interrupted)
    assert run(["check", image, video, "--allow-local-hosts", "--no-cache"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert list(temporary.iterdir()) == []


def test_addresses_in_lists_are_not_taken_for_patterns(
    server: Any, image: str, tmp_path: Path
) -> None:
    from wan_prep.ranking.files import files_named

    address = "https://a.example/hero.png?v=[1]*"
    (tmp_path / "list.txt").write_text(f"{address}\ninner.png\n", "utf-8")
    given = [address, f"@{tmp_path / 'list.txt'}"]
    assert files_named(given, "image") == [address, tmp_path / "inner.png"]


def test_failures_are_public() -> None:
    raised: Callable[..., Exception] = wan_prep.FetchFailed
    assert raised is FetchFailed
