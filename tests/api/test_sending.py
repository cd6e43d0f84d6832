"""What happens before and around the paid request, with checks that answer as they are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import wan_prep
from wan_prep.api import judging
from wan_prep.api.sending import prepared
from wan_prep.errors import (
    ApiKeyError,
    CostTooHigh,
    GateRefused,
    InputPathError,
    SourceChanged,
    SubmissionError,
    UploadNotAllowed,
    WanPrepError,
)
from wan_prep.rehearsal.server import FakeService, clip

URLS = ("https://media.example/hero.png", "https://media.example/dance.mp4?Signature=x")
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsynced: None
) -> Iterator[FakeService]:
    with FakeService(polls_until_completed=1, video=clip()) as running:
        monkeypatch.setenv("WAVESPEED_BASE_URL", running.base_url)
        monkeypatch.setenv("WAVESPEED_API_KEY", "not-a-real-key")
        monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
        yield running


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two files under the names of `fix`; nobody reads what is in them."""
    image, video = tmp_path / "fixed" / "reference.png", tmp_path / "fixed" / "driving.mp4"
    image.parent.mkdir()
    image.write_bytes(b"image")
    video.write_bytes(b"video")
    return image, video


# ---- what is found out before the long check


def test_no_key_is_said_before_anything_is_looked_at(
    pair: tuple[Path, Path], judged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAVESPEED_API_KEY", raising=False)
    asked = judged("ready")
    with pytest.raises(ApiKeyError):
        wan_prep.submit(*pair, upload=True)
    assert asked == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, UploadNotAllowed),
        ({"upload": True, "seed": -2}, SubmissionError),
        ({"upload": True, "count": 0}, SubmissionError),
        ({"upload": True, "max_cost": "much"}, SubmissionError),
        ({"upload": True, "duration": 0}, WanPrepError),
        ({"upload": True, "duration": float("nan")}, WanPrepError),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_looked_at(
    options: dict[str, Any],
    error: type[Exception],
    pair: tuple[Path, Path],
    service: FakeService,
    judged: Any,
) -> None:
    asked = judged("ready")
    with pytest.raises(error):
        wan_prep.submit(*pair, **options)
    assert (asked, service.seen) == ([], [])


# ---- the gate


def test_a_pair_that_is_not_ready_is_paid_for_only_on_purpose(
    pair: tuple[Path, Path], service: FakeService, judged: Any
) -> None:
    judged("not_ready")
    with pytest.raises(GateRefused, match="not ready"):
        wan_prep.submit(*pair, upload=True)
    assert service.seen == []
    assert wan_prep.submit(*pair, upload=True, allow_not_ready=True).state == "submitted"


def test_the_high_estimate_of_all_variations_is_held_against_the_limit(
    pair: tuple[Path, Path], service: FakeService, judged: Any
) -> None:
    """8 s at 480p: $0.32 to $0.40 each."""
    judged("ready")
    with pytest.raises(CostTooHigh, match=r"up to \$0\.80, above --max-cost 0\.79"):
        wan_prep.submit(*pair, upload=True, max_cost="0.79", count=2)
    assert service.seen == []
    assert len(wan_prep.submit(*pair, upload=True, max_cost="0.80", count=2)) == 2


def test_strict_refuses_warnings(
    pair: tuple[Path, Path], service: FakeService, judged: Any
) -> None:
    judged("risky")
    with pytest.raises(GateRefused, match="--strict"):
        wan_prep.submit(*pair, upload=True, strict=True)
    assert service.seen == []


# ---- what is submitted


def test_submitted_and_waited_for(
    pair: tuple[Path, Path], service: FakeService, judged: Any, tmp_path: Path
) -> None:
    asked = judged("ready")
    job = wan_prep.submit(*pair, upload=True, max_cost="2.00", prompt="a dance", seed=7)
    assert asked == [(str(pair[0]), str(pair[1]), "animate", "480p")]
    assert job.cost is not None
    assert (job.cost.usd_low, job.cost.usd_high) == (Decimal("0.32"), Decimal("0.40"))
    (task,) = service.tasks.values()
    assert (task.request.prompt, task.request.seed) == ("a dance", 7)
    prediction = wan_prep.wait(job, tmp_path / "out")
    (output,) = prediction.outputs
    assert prediction.succeeded
    assert output.sha256 == sha256(clip()).hexdigest()
    assert output.path is not None
    assert Path(output.path).read_bytes() == clip()


def test_a_count_makes_a_tuple(pair: tuple[Path, Path], service: FakeService, judged: Any) -> None:
    judged("ready")
    (only,) = wan_prep.submit(*pair, upload=True, count=1, seed=3)
    assert only.seed == 3
    jobs = wan_prep.submit(*pair, upload=True, count=2, seed=10)
    assert [job.seed for job in jobs] == [10, 11]
    assert service.count("submit") == 3


def test_what_normalize_returned_is_submitted_as_it_was_prepared(
    pair: tuple[Path, Path], service: FakeService, judged: Any, report: Any
) -> None:
    asked = judged("ready")
    facts = [
        {"path": "x", "sha256": sha256(content).hexdigest()} for content in (b"image", b"video")
    ]
    after = report("ready", image=facts[0], video=facts[1], mode="replace", resolution="720p")
    normalized = SimpleNamespace(image=pair[0], videos=(pair[1],), after=after)
    job = wan_prep.submit(normalized, upload=True)
    assert (job.mode, job.resolution, job.cost) == ("replace", "720p", None)
    assert asked == [], "the report it brings along is about these very files"
    split = SimpleNamespace(image=pair[0], videos=pair, after=after)
    with pytest.raises(InputPathError, match="split in 2"):
        wan_prep.submit(split, upload=True)
    with pytest.raises(WanPrepError, match="found both"):
        wan_prep.submit(normalized, pair[1], upload=True)


def test_a_folder_is_submitted_as_it_was_prepared(
    pair: tuple[Path, Path], judged: Any, report: Any, publish: Any
) -> None:
    asked = judged("ready")
    report().save(pair[0].parent / "report.json")
    publish(pair[0].parent, mode="replace", resolution="720p")
    ready = prepared(pair[0].parent, dry_run=True)
    assert asked == [(str(pair[0]), str(pair[1]), "replace", "720p")]
    assert ready.warnings == ()
    ready.pass_gate(strict=True)


def test_a_folder_submitted_at_another_resolution_is_a_warning(
    pair: tuple[Path, Path], judged: Any, report: Any, publish: Any
) -> None:
    judged("ready")
    report().save(pair[0].parent / "report.json")
    publish(pair[0].parent)
    ready = prepared(pair[0].parent, resolution="720p", dry_run=True)
    (warning,) = ready.warnings
    assert warning.startswith("prepared for animate at 480p, submitted as animate at 720p")
    assert ready.intent.notes == (warning,)
    ready.pass_gate()
    with pytest.raises(GateRefused, match="prepared for animate at 480p"):
        ready.pass_gate(strict=True)


def test_the_report_of_a_folder_needs_no_second_check(
    pair: tuple[Path, Path], judged: Any, report: Any, make: Any, publish: Any
) -> None:
    asked = judged("risky")
    image, video = ({"path": "x", "sha256": sha256(c).hexdigest()} for c in (b"image", b"video"))
    saved = report("ready", image=image, video=video, video_evidence=make.video())
    saved.save(pair[0].parent / "report.json")
    publish(pair[0].parent)
    ready = prepared(pair[0].parent, dry_run=True)
    assert (asked, ready.report and ready.report.verdict) == ([], "ready")
    assert ready.intent.total_usd == (Decimal("0.32"), Decimal("0.40"))


@pytest.mark.parametrize(
    ("said", "checked_for"),
    [
        ({}, None),
        ({"video_person": "2"}, None),
        ({"video_person": "right"}, ("largest", "right")),
        ({"person": "left", "video_person": 2}, ("left", "2")),
    ],
)
def test_a_report_counts_for_whom_it_was_made(
    pair: tuple[Path, Path],
    judged: Any,
    report: Any,
    make: Any,
    publish: Any,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Any],
    checked_for: tuple[str, str] | None,
) -> None:
    judged("risky")
    image, video = ({"path": "x", "sha256": sha256(c).hexdigest()} for c in (b"image", b"video"))
    subject = {"image": {"found": True}, "video": {"found": True, "presence": 1.0, "person": "2"}}
    saved = report("ready", image=image, video=video, subject=subject, video_evidence=make.video())
    saved.save(pair[0].parent / "report.json")
    publish(pair[0].parent)
    check, asked = judging.check, list[tuple[str, str]]()

    def watched(*files: Any, **options: Any) -> Any:
        asked.append((str(options["image_person"]), str(options["video_person"])))
        return check(*files, **options)

    monkeypatch.setattr(judging, "check", watched)
    prepared(pair[0].parent, dry_run=True, **said)
    assert asked == ([] if checked_for is None else [checked_for])


def test_a_folder_with_another_file_than_fix_wrote_is_refused(
    pair: tuple[Path, Path], report: Any, publish: Any
) -> None:
    report().save(pair[0].parent / "report.json")
    publish(pair[0].parent)
    pair[1].write_bytes(b"another clip")
    with pytest.raises(SourceChanged, match=r"driving\.mp4 has changed"):
        prepared(pair[0].parent, dry_run=True)


# ---- inputs given by URL


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A plain file server on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_pair_given_by_url_is_fetched_and_checked(
    pair: tuple[Path, Path], service: FakeService, judged: Any
) -> None:
    asked = judged("ready")
    with served(pair[0].parent) as host:
        given = (f"{host}/reference.png", f"{host}/driving.mp4")
        with pytest.raises(wan_prep.FetchRefused, match="allow-local-hosts"):
            wan_prep.submit(*given)
        allowed = wan_prep.RemotePolicy(allow_local_hosts=True)
        job = wan_prep.submit(*given, remote=allowed)
    assert job.image.url == f"{host}/reference.png", "no upload"
    assert job.video.sha256 == sha256(b"video").hexdigest()
    assert job.cost is not None
    assert job.cost.seconds == 8.0
    ((image, video, *_),) = asked
    assert (image, video) == given, "the report names them as they were given"


def test_what_the_service_cannot_fetch_is_refused(service: FakeService) -> None:
    with pytest.raises(wan_prep.SubmissionError, match="http addresses only"):
        wan_prep.submit("s3://bucket/hero.png", URLS[1])


@pytest.mark.parametrize(
    ("duration", "cost"), [(None, None), (7, (Decimal("0.28"), Decimal("0.40")))]
)
def test_a_dry_run_fetches_nothing(duration: float | None, cost: object, judged: Any) -> None:
    asked = judged("ready")
    ready = prepared(*URLS, dry_run=True, duration=duration)
    assert (asked, ready.report, ready.intent.total_usd) == ([], None, cost)
    assert ready.document()["request"]["video"] == URLS[1]


def test_without_a_check_nothing_is_fetched(service: FakeService, judged: Any) -> None:
    asked = judged("not_ready")
    job = wan_prep.submit(*URLS, no_check=True, duration=7)
    assert (asked, job.video.sha256, service.count("submit")) == ([], None, 1)
    with pytest.raises(CostTooHigh, match="--duration"):
        wan_prep.submit(*URLS, no_check=True, max_cost=5, seed=1)


def test_the_length_of_a_local_clip_is_measured(pair: tuple[Path, Path]) -> None:
    """The demo clip lasts 2.57 s, and 5 s are the least that is billed."""
    ready = prepared(pair[0], FIXTURES / "driving.mp4", no_check=True, dry_run=True, duration=60)
    assert ready.intent.total_usd == (Decimal("0.20"), Decimal("0.20"))
    with pytest.raises(GateRefused, match="its length is not known"):
        prepared(*pair, no_check=True, dry_run=True)
