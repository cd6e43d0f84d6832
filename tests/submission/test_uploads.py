"""Local files on their way to an address."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import InputPathError
from wan_prep.rehearsal.server import FakeService, ReceivedRequest
from wan_prep.submission.intent import local_input


def posted(service: FakeService) -> dict[str, Any]:
    """The last submission's body."""
    last = [seen for seen in service.seen if seen.step == "submit"][-1]
    found: dict[str, Any] = json.loads(last.content)
    return found


def test_a_ticket_then_the_bytes_with_exactly_its_headers(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    desk.submit(tools.local_pair(tmp_path), upload=True)
    assert service.steps == ["ticket", "put", "ticket", "put", "submit"]
    ticket, put, _, second, _ = service.seen
    # The user's own file names stay here.
    assert json.loads(ticket.content) == {
        "filename": "image.png",
        "size": 5000,
        "content_type": "image/png",
    }
    assert ticket.headers["authorization"] == f"Bearer {tools.KEY}"
    assert put.content == (tmp_path / "hero.png").read_bytes()
    assert set(put.headers) == {"host", "content-length", "content-type", "x-upload-token"}
    assert second.content == (tmp_path / "dance.mp4").read_bytes()
    assert (second.headers["content-type"], second.headers["content-length"]) == (
        "video/mp4",
        str((tmp_path / "dance.mp4").stat().st_size),
    )
    request = posted(service)
    assert request["image"].startswith(f"{service.base_url}/file/")
    assert request["video"].endswith(".mp4")


def test_every_attempt_has_a_ticket_of_its_own(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    service.restart("put=403", "put=reset")
    desk.submit(tools.local_pair(tmp_path), upload=True)
    assert service.steps == [*(["ticket", "put"] * 4), "submit"]
    paths = {seen.path for seen in service.seen if seen.step == "put"}
    assert len(paths) == 4
    assert desk.time.slept == [2.0, 3.0]


def test_the_form_where_there_are_no_tickets(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    service.restart("ticket=404*")
    (job,) = desk.submit(tools.local_pair(tmp_path), upload=True)
    assert service.steps == ["ticket", "form", "ticket", "form", "submit"]
    assert service.seen[1].headers["authorization"] == f"Bearer {tools.KEY}"
    # The rehearsal server hands the driving video back as the result.
    (output,) = desk.wait(job.id).outputs
    assert output.sha256 == job.video.sha256


def test_the_same_bytes_go_up_once_until_they_expire(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    desk.submit(tools.local_pair(tmp_path, seed=1), upload=True)
    first = posted(service)
    (tmp_path / "hero.png").rename(tmp_path / "renamed.png")
    (tmp_path / "renamed.png").rename(tmp_path / "hero.png")
    desk.submit(tools.local_pair(tmp_path, seed=2), upload=True)
    assert posted(service) == {**first, "seed": 2}
    assert service.count("put") == 2
    desk.time.slept.append(6 * 24 * 3600.0 - 60.0)
    desk.submit(tools.local_pair(tmp_path, seed=3), upload=True)
    assert service.count("put") == 2
    desk.time.slept.append(120.0)
    desk.submit(tools.local_pair(tmp_path, seed=4), upload=True)
    assert service.count("put") == 4
    assert posted(service)["image"] != first["image"]


def test_a_mixed_pair_uploads_only_what_is_here(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    mixed = replace(tools.url_pair(), image=tools.local_pair(tmp_path).image)
    desk.submit(mixed, upload=True)
    assert service.steps == ["ticket", "put", "submit"]
    assert posted(service)["video"] == mixed.video.source


@pytest.mark.parametrize(
    ("change", "steps"),
    [(b"longer than before" * 1000, []), (b"IMAGE" * 1000, ["ticket", "put"])],
)
def test_a_file_that_changed_since_the_check(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path, change: bytes, steps: list[str]
) -> None:
    intent = tools.local_pair(tmp_path)
    (tmp_path / "hero.png").write_bytes(change)
    with pytest.raises(InputPathError, match="changed since it was checked"):
        desk.submit(intent, upload=True)
    assert service.steps == steps, "another size is seen before anything is sent"
    assert desk.journal.jobs() == ()
    assert desk.journal.upload_url(intent.image.sha256, service.base_url, reused_s=1e9) is None


def test_a_file_that_is_gone(desk: Any, service: FakeService, tools: Any, tmp_path: Path) -> None:
    intent = tools.local_pair(tmp_path)
    (tmp_path / "dance.mp4").unlink()
    with pytest.raises(InputPathError, match=r"dance\.mp4"):
        desk.submit(intent, upload=True)
    assert service.count("submit") == 0


def test_a_file_that_changes_while_it_is_sent(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    intent = tools.local_pair(tmp_path)

    def meddle(seen: ReceivedRequest) -> None:
        if seen.step == "ticket":
            (tmp_path / "hero.png").write_bytes(b"IMAGE" * 1000)

    service.on_seen = meddle
    with pytest.raises(InputPathError, match="changed"):
        desk.submit(intent, upload=True)
    assert service.count("submit") == 0


@pytest.mark.parametrize("name", ["hero", "hero.JPG", "hero.tiff", "hero.webp"])
def test_the_name_that_is_told(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    mixed = replace(tools.url_pair(), image=local_input(tmp_path / name, "image"))
    desk.submit(mixed, upload=True)
    told = json.loads(service.seen[0].content)
    expected = {
        "hero": ("image.png", "image/png"),
        "hero.JPG": ("image.jpg", "image/jpeg"),
        "hero.tiff": ("image.png", "image/png"),
        "hero.webp": ("image.webp", "image/webp"),
    }
    assert (told["filename"], told["content_type"]) == expected[name]
