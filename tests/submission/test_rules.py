"""What the journal, the service and the user can rely on, over the real rehearsal server."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from wan_prep.errors import (
    AlreadySubmitted,
    DownloadFailed,
    InputPathError,
    JobNotFound,
    JournalError,
    PartlySubmitted,
    RateLimited,
    ServiceUnreachable,
    SubmissionError,
    SubmissionUnknown,
    UploadNotAllowed,
    WaitEnded,
)
from wan_prep.rehearsal.server import FakeService, ReceivedRequest, clip
from wan_prep.submission.jobs import Job
from wan_prep.submission.journal import Journal

# ---- the way of a submission


def test_what_is_sent(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair(prompt="a knight", seed=7, mode="replace"))
    (post,) = service.seen
    assert (post.method, post.path) == ("POST", "/api/v3/wavespeed-ai/wan-2.2/animate")
    assert post.headers["content-type"] == "application/json"
    assert post.headers["authorization"] == f"Bearer {tools.KEY}"
    assert json.loads(post.content) == {
        "image": "https://media.example/hero.png",
        "video": "https://media.example/dance.mp4?Signature=secret-query",
        "prompt": "a knight",
        "mode": "replace",
        "resolution": "480p",
        "seed": 7,
    }
    assert (job.state, job.status, job.service_id) == ("submitted", "created", *service.tasks)
    assert job.cost is not None
    assert (job.cost.usd_low, job.cost.usd_high) == (Decimal("0.28"), Decimal("0.40"))


def test_what_is_asked_while_waiting(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair())
    ticks = []
    prediction = desk.wait(job.id, progress=ticks.append)
    assert service.steps == ["submit", "result", "result", "output"]
    # Never the address that the reply offers.
    assert service.seen[1].path == f"/api/v3/predictions/{job.service_id}/result"
    assert [tick.note for tick in ticks] == ["processing", "completed"]
    assert ticks[0].elapsed_s < ticks[1].elapsed_s
    assert ticks[1].elapsed_s >= 2.0
    assert desk.time.slept == [2.0]
    assert (prediction.status, prediction.job) == ("completed", desk.only_job())


def test_the_journal_comes_first(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    entries: dict[str, Job] = {}

    def look(seen: ReceivedRequest) -> None:
        jobs = desk.journal.jobs()
        entries[seen.step] = jobs[0] if jobs else None

    service.on_seen = look
    intent = tools.local_pair(tmp_path, prompt="a knight")
    (job,) = desk.submit(intent, upload=True)
    desk.wait(job.id)
    assert entries["ticket"] is entries["put"] is None, "nothing is owed yet"
    before = entries["submit"]
    assert (before.state, before.id, before.service_id) == ("submitting", job.id, None)
    assert (before.image.sha256, before.video.sha256) == (intent.image.sha256, intent.video.sha256)
    assert (before.prompt, before.seed, before.cost.usd_high) == ("a knight", -1, Decimal("0.40"))
    assert entries["result"].service_id == job.service_id
    assert entries["output"].state == "completed"


def test_without_a_journal_nothing_is_sent(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    (tmp_path / "journal.sqlite3").write_text("not a database, that is for sure")
    with pytest.raises(JournalError):
        desk.submit(tools.url_pair())
    assert service.seen == []


def test_an_id_that_the_journal_cannot_note_is_told(
    desk: Any, service: FakeService, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_options: object) -> Job:
        raise JournalError("disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "settle", full)
        with pytest.raises(SubmissionUnknown) as caught:
            desk.submit(tools.url_pair())
    (service_id,) = service.tasks
    assert service_id in str(caught.value)
    assert desk.only_job().state == "submitting"
    (found,) = desk.call("reconcile")
    assert (found.job.service_id, found.job.state) == (service_id, "submitted")


# ---- once


@pytest.mark.parametrize(
    ("failure", "error", "slept"),
    [
        (httpx.ConnectError, ServiceUnreachable, [2.0, 3.0]),
        (httpx.ReadError, SubmissionUnknown, []),
    ],
)
def test_a_post_is_tried_again_only_if_nothing_of_it_has_left(
    desk: Any, tools: Any, failure: type[Exception], error: type[Exception], slept: list[float]
) -> None:
    def failing(_request: httpx.Request) -> httpx.Response:
        raise failure("as told")

    desk.wrap = lambda _: httpx.MockTransport(failing)
    with pytest.raises(error):
        desk.submit(tools.url_pair())
    assert desk.time.slept == slept


def test_open_work_is_not_sent_again(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair())
    with pytest.raises(AlreadySubmitted, match=job.id) as caught:
        desk.submit(tools.url_pair())
    assert caught.value.exit_code == 3
    assert service.count("submit") == 1
    desk.submit(tools.url_pair(seed=3))
    desk.wait(job.id)
    desk.submit(tools.url_pair())
    assert service.count("submit") == 3, "other parameters, and work that has ended"


def test_nothing_is_uploaded_for_a_refused_repetition(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    desk.submit(tools.local_pair(tmp_path), upload=True)
    desk.time.slept.append(6 * 24 * 3600.0 + 60.0)  # the first upload is used no longer
    before = len(service.seen)
    with pytest.raises(AlreadySubmitted):
        desk.submit(tools.local_pair(tmp_path), upload=True)
    assert len(service.seen) == before


def test_a_resubmission_says_what_became_of_the_first(
    desk: Any, service: FakeService, tools: Any
) -> None:
    (first,) = desk.submit(tools.url_pair())
    (known,) = desk.call("earlier", tools.url_pair())
    assert (known.id, known.status) == (first.id, "processing")
    (second,) = desk.submit(tools.url_pair(), resubmit=True)
    assert second.resubmits == first.id
    assert service.count("submit") == 2


def test_an_unknown_first_is_looked_up_before_a_resubmission(
    desk: Any, service: FakeService, tools: Any
) -> None:
    desk.submit_unknown(service, tools.url_pair())
    (known,) = desk.call("earlier", tools.url_pair())
    assert (known.state, known.status) == ("submitted", "processing")
    service.restart("history=500*")
    desk.journal.change(known.id, state="unknown", service_id=None)
    (still,) = desk.call("earlier", tools.url_pair())
    assert still.state == "unknown", "the history cannot be read"
    service.clear_faults()
    (still,) = desk.call("earlier", tools.url_pair())
    assert still.state == "unknown", "there is no task in it"


def test_wanted_variations_are_entries_of_their_own(
    desk: Any, service: FakeService, tools: Any
) -> None:
    jobs = desk.submit(tools.url_pair(count=3, seed=7))
    assert [job.seed for job in jobs] == [7, 8, 9]
    assert len({job.id for job in jobs}) == 3
    assert len({job.batch for job in jobs}) == 1
    assert service.count("submit") == 3
    with pytest.raises(AlreadySubmitted):
        desk.submit(tools.url_pair(count=2, seed=9))
    assert len(desk.submit(tools.url_pair(count=3))) == 3, "by chance, all with seed -1"


def test_a_refusal_among_variations_names_those_that_run(
    desk: Any, service: FakeService, tools: Any
) -> None:
    intent = tools.url_pair(count=4)
    service.restart()
    desk.submit(tools.url_pair(seed=1))
    service.restart("submit=is:created", "submit=is:created", "submit=429:60")
    with pytest.raises(PartlySubmitted, match="2 of 4 variations") as caught:
        desk.submit(intent)
    assert isinstance(caught.value.__cause__, RateLimited)
    assert caught.value.exit_code == 3
    assert service.count("submit") == 3
    states = [desk.journal.job(name).state for name in caught.value.job_ids]
    assert states == ["submitted", "submitted"]


def test_local_files_stay_here_unless_asked(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    with pytest.raises(UploadNotAllowed, match=r"hero\.png and .*dance\.mp4") as caught:
        desk.submit(tools.local_pair(tmp_path))
    assert caught.value.exit_code == 2
    assert service.seen == []
    assert desk.journal.jobs() == ()


# ---- unknown submissions


def test_exactly_one_match_is_attached(desk: Any, service: FakeService, tools: Any) -> None:
    job = desk.submit_unknown(service, tools.url_pair())
    (found,) = desk.call("reconcile")
    assert (found.matches, found.is_clear) == (1, True)
    assert desk.journal.job(job.id).service_id == next(iter(service.tasks))
    query = json.loads(service.seen[-1].content)
    assert query.pop("created_after") < query.pop("created_before")
    assert query == {
        "page": 1,
        "page_size": 100,
        "model": "wavespeed-ai/wan-2.2/animate",
        "include_inputs": True,
    }
    assert desk.call("reconcile") == ()


def test_two_matches_are_not_attached(desk: Any, service: FakeService, tools: Any) -> None:
    desk.submit_unknown(service, tools.url_pair())
    desk.submit_unknown(service, tools.url_pair(), resubmit=True)
    first, second = desk.call("reconcile")
    assert (first.matches, first.is_clear, second.matches) == (2, False, 2)
    assert "2 tasks" in first.said


def test_a_task_that_is_another_jobs_is_no_match(
    desk: Any, service: FakeService, tools: Any
) -> None:
    job = desk.submit_unknown(service, tools.url_pair())
    (other,) = desk.submit(tools.url_pair(), resubmit=True)
    (found,) = desk.call("reconcile")
    assert found.matches == 1
    assert desk.journal.job(job.id).service_id != other.service_id


@pytest.mark.parametrize(
    "difference", [{"mode": "replace"}, {"resolution": "720p"}, {"prompt": "x"}, {"seed": 5}]
)
def test_a_task_with_other_parameters_is_no_match(
    desk: Any, service: FakeService, tools: Any, difference: dict[str, Any]
) -> None:
    ours = desk.submit_unknown(service, tools.url_pair(seed=4))
    theirs = desk.submit_unknown(service, tools.url_pair(**{"seed": 4, **difference}))
    desk.call("reconcile")
    for job in (ours, theirs):
        found = desk.journal.job(job.id)
        request = service.tasks[found.service_id].request
        assert (request.mode, request.seed) == (job.mode, job.seed)
        assert (request.resolution, request.prompt) == (job.resolution, job.prompt)


def test_a_task_of_another_time_is_no_match(desk: Any, service: FakeService, tools: Any) -> None:
    desk.time.slept.append(24 * 3600.0)  # our clock, a day ahead of the service's
    desk.submit_unknown(service, tools.url_pair())
    (found,) = desk.call("reconcile")
    assert (found.matches, found.is_clear) == (0, False)
    assert "--resubmit" in found.said


def test_a_task_with_other_inputs_is_no_match(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    job = desk.submit_unknown(service, tools.url_pair())
    desk.submit(tools.local_pair(tmp_path), upload=True)
    service.tasks.pop(next(iter(service.tasks)))
    (found,) = desk.call("reconcile")
    assert (found.job.id, found.matches) == (job.id, 0)


def test_the_history_is_read_page_by_page(
    desk: Any, service: FakeService, tools: Any, tmp_path: Path
) -> None:
    desk.profile = tools.patient(history_page=2)
    desk.submit_unknown(service, tools.url_pair())
    for seed in range(5):
        desk.submit(tools.url_pair(seed=seed))
    (found,) = desk.call("reconcile")
    assert found.is_clear
    assert service.count("history") == 4, "six tasks, two a page, and one page to see the end"


def test_a_history_without_end_is_not_read_to_its_end(
    desk: Any, service: FakeService, tools: Any
) -> None:
    desk.profile = tools.patient(history_page=1, history_pages_max=2)
    desk.submit_unknown(service, tools.url_pair())
    for seed in range(3):
        desk.submit(tools.url_pair(seed=seed))
    (found,) = desk.call("reconcile")
    assert (found.is_clear, service.count("history")) == (False, 2)
    assert "not all of the service's history was read" in found.said
    assert "resubmit" not in found.said


def test_what_the_history_has_forgotten(desk: Any, service: FakeService, tools: Any) -> None:
    desk.submit_unknown(service, tools.url_pair(), fault="submit=500")
    desk.time.slept.append(8 * 24 * 3600.0)
    (found,) = desk.call("reconcile")
    assert "too old" in found.said
    assert desk.call("unfinished") == ()


@pytest.mark.parametrize("days", [8.0, -8.0])
def test_a_wrong_clock_ends_nothing(
    desk: Any, service: FakeService, tools: Any, days: float
) -> None:
    """Eight days ahead, one 404: and the next look finds it."""
    (job,) = desk.submit(tools.url_pair())
    desk.time.slept.append(days * 24 * 3600.0)
    service.add_faults("result=404")
    if days > 0:
        with pytest.raises(WaitEnded, match="older than the 7 days"):
            desk.wait(job.id)
    assert desk.only_job().state == "submitted"
    with pytest.raises(AlreadySubmitted):
        desk.submit(tools.url_pair())
    desk.time.slept.pop()
    assert desk.wait(job.id).succeeded


def test_a_rehearsal_and_the_real_service_do_not_mix(
    desk: Any, service: FakeService, tools: Any
) -> None:
    (job,) = desk.submit(tools.url_pair())
    desk.submit_unknown(service, tools.url_pair(seed=2))
    before = len(service.seen)
    desk.base_url = "http://127.0.0.1:9"
    with pytest.raises(SubmissionError, match=r"WAVESPEED_BASE_URL") as caught:
        desk.wait(job.id)
    assert service.base_url in str(caught.value)
    assert desk.call("reconcile") == ()
    assert len(service.seen) == before


# ---- waiting


@pytest.mark.parametrize(
    ("fault", "pauses"),
    [
        ("result=503:9", [9.0]),
        ("result=429:30", [30.0]),
        ("result=429:1", [2.0]),
        ("result=500", [2.0]),
    ],
)
def test_retry_after_is_honoured(
    desk: Any, service: FakeService, tools: Any, fault: str, pauses: list[float]
) -> None:
    service.polls_until_completed = 1
    (job,) = desk.submit(tools.url_pair())
    service.add_faults(fault)
    desk.wait(job.id)
    assert desk.time.slept == pauses


def test_pauses_grow_and_are_shortened_by_chance(
    desk: Any, service: FakeService, tools: Any
) -> None:
    service.polls_until_completed = 7
    desk.jitter = lambda: 0.5
    (job,) = desk.submit(tools.url_pair())
    desk.wait(job.id)
    # 2 · 1.5^k up to 15, less an eighth, at least 2
    expected = [2.0, 2.625, 3.9375, 5.90625, 8.859375, 13.125]
    assert desk.time.slept == pytest.approx(expected)


def test_a_wait_that_ends_early_is_taken_up_by_another(
    desk: Any, service: FakeService, tools: Any
) -> None:
    service.polls_until_completed = 10
    (job,) = desk.submit(tools.url_pair())
    with pytest.raises(WaitEnded, match="wan-prep wait") as caught:
        desk.wait(job.id, timeout_s=10)
    assert (caught.value.job_id, caught.value.service_id) == (job.id, job.service_id)
    assert job.service_id in str(caught.value)
    assert desk.time.slept == [2.0, 3.0, 4.5, 0.5], "to the deadline, and a last look"
    assert desk.only_job().status == "processing"
    assert desk.wait(job.service_id).status == "completed"
    assert service.count("submit") == 1


@pytest.mark.parametrize("odd_s", [-1.0, math.nan, math.inf])
def test_a_time_that_cannot_be_is_refused_before_anything_is_asked(
    desk: Any, service: FakeService, tools: Any, odd_s: float
) -> None:
    (job,) = desk.submit(tools.url_pair())
    with pytest.raises(SubmissionError, match=r"timeout is (-1|nan|inf); expected 0 or more"):
        desk.wait(job.id, timeout_s=odd_s)
    assert service.count("result") == 0


def test_no_time_is_one_look(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair())
    with pytest.raises(WaitEnded):
        desk.wait(job.id, timeout_s=0)
    assert (service.count("result"), desk.time.slept) == (1, [])


def test_an_unknown_status_is_carried_and_shown(
    desk: Any, service: FakeService, tools: Any
) -> None:
    service.restart("result=is:rendering")
    (job,) = desk.submit(tools.url_pair())
    ticks: list[Any] = []
    desk.wait(job.id, progress=ticks.append)
    assert [(tick.note, tick.job.status) for tick in ticks] == [
        ("rendering", "rendering"),
        ("completed", "completed"),
    ]


def test_a_failed_task_says_why(desk: Any, service: FakeService, tools: Any) -> None:
    service.restart("result=is:failed")
    (job,) = desk.submit(tools.url_pair())
    prediction = desk.wait(job.id)
    assert (prediction.succeeded, prediction.error) == (False, "ended as failed")
    before = len(service.seen)
    assert desk.wait(job.id) == prediction
    assert len(service.seen) == before, "it is in the journal"


def test_a_job_that_nobody_knows(desk: Any, service: FakeService) -> None:
    with pytest.raises(JobNotFound):
        desk.wait("wp-nothing")
    assert service.seen == []


# ---- outputs


def test_outputs_and_their_flags(desk: Any, service: FakeService, tools: Any) -> None:
    service.nsfw, service.video = (False, True), clip(30)
    (job,) = desk.submit(tools.url_pair())
    first, second = desk.wait(job.id).outputs
    assert (first.nsfw, second.nsfw) == (False, True)
    assert Path(second.path) == desk.out / f"{job.id}-2.mp4"
    assert Path(second.path).read_bytes() == clip(30)
    assert second.sha256 == sha256(clip(30)).hexdigest()


def test_what_is_here_is_not_fetched_again(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair())
    prediction = desk.wait(job.id)
    before = len(service.seen)
    assert desk.wait(job.id) == prediction
    assert len(service.seen) == before
    Path(prediction.outputs[0].path).unlink()
    assert desk.wait(job.id).outputs[0].sha256 == prediction.outputs[0].sha256
    assert service.steps[before:] == ["output"]


def test_a_file_in_the_way_stays(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair())
    desk.out.mkdir()
    target = desk.out / f"{job.id}-1.mp4"
    target.write_bytes(b"somebody else's")
    with pytest.raises(DownloadFailed, match="--overwrite"):
        desk.wait(job.id)
    assert target.read_bytes() == b"somebody else's"
    desk.wait(job.id, overwrite=True)
    assert target.read_bytes().startswith(b"YUV4MPEG2")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_page_instead_of_the_video_is_kept_aside_and_fetched_again(
    desk: Any, service: FakeService, tools: Any, overwrite: bool
) -> None:
    (job,) = desk.submit(tools.url_pair())
    service.add_faults("output=html*")
    with pytest.raises(DownloadFailed, match="text/html") as caught:
        desk.wait(job.id, overwrite=overwrite)
    (aside,) = desk.out.iterdir()
    assert aside.read_bytes() == b"<!doctype html><title>Just a moment</title>"
    assert str(aside) in str(caught.value)
    assert desk.only_job().outputs[0].path is None
    with pytest.raises(DownloadFailed):
        desk.wait(job.id, overwrite=overwrite)
    assert list(desk.out.iterdir()) == [aside], "the same page has the same name"
    service.clear_faults()
    (output,) = desk.wait(job.id, overwrite=overwrite).outputs
    assert Path(output.path).read_bytes() == clip()


def test_a_page_that_an_earlier_version_took_for_the_video(
    desk: Any, service: FakeService, tools: Any
) -> None:
    (job,) = desk.submit(tools.url_pair())
    (output,) = desk.wait(job.id).outputs
    page = b"<!doctype html>"
    Path(output.path).write_bytes(page)
    stale = output.model_copy(update={"sha256": sha256(page).hexdigest()})
    desk.journal.keep_output(job.id, 0, stale)
    service.add_faults("output=404")
    with pytest.raises(DownloadFailed, match="404"):
        desk.wait(job.id)
    (aside,) = desk.out.iterdir()
    assert aside.read_bytes() == page
    assert str(aside) in desk.only_job().summary()
    (output,) = desk.wait(job.id).outputs
    assert Path(output.path).read_bytes() == clip()
    assert aside.read_bytes() == page
    assert str(aside) in desk.only_job().summary()


def test_a_file_that_was_changed_since_is_not_moved(
    desk: Any, service: FakeService, tools: Any
) -> None:
    """It is somebody's own by now."""
    (job,) = desk.submit(tools.url_pair())
    (output,) = desk.wait(job.id).outputs
    Path(output.path).write_bytes(b"notes of mine")
    with pytest.raises(DownloadFailed, match="--overwrite"):
        desk.wait(job.id)
    assert Path(output.path).read_bytes() == b"notes of mine"


@pytest.mark.parametrize("link", ["hard", "symbolic"])
@pytest.mark.parametrize("source", ["hero.png", "dance.mp4"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_never_takes_the_place_of_a_source(
    desk: Any,
    service: FakeService,
    tools: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    link: str,
    source: str,
    overwrite: bool,
) -> None:
    """Named relatively when it was submitted, and waited for from another folder."""
    monkeypatch.chdir(tmp_path)
    tools.local_pair(tmp_path)
    (job,) = desk.submit(tools.local_pair(Path()), upload=True)
    desk.out.mkdir()
    monkeypatch.chdir(desk.out)
    target = desk.out / f"{job.id}-1.mp4"
    if link == "hard":
        target.hardlink_to(tmp_path / source)
    else:
        target.symlink_to(tmp_path / source)
    before = (tmp_path / source).read_bytes()
    with pytest.raises(InputPathError, match="would replace the input"):
        desk.wait(job.id, overwrite=overwrite)
    assert service.count("output") == 0
    assert (tmp_path / source).read_bytes() == before
    assert target.samefile(tmp_path / source)


def test_no_place_for_the_outputs(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair())
    desk.out.write_text("a file, not a folder")
    with pytest.raises(DownloadFailed, match="choose another folder"):
        desk.wait(job.id)
    assert desk.only_job().state == "completed"
    assert desk.wait(job.id, folder=desk.home / "other").succeeded


def test_a_folder_in_the_place_of_an_output(desk: Any, service: FakeService, tools: Any) -> None:
    (job,) = desk.submit(tools.url_pair())
    place = desk.out / f"{job.id}-1.mp4"
    place.mkdir(parents=True)
    with pytest.raises(DownloadFailed, match="is not a regular file"):
        desk.wait(job.id, overwrite=True)
    place.rmdir()
    assert desk.wait(job.id).succeeded


def test_a_full_disk(desk: Any, tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = desk.submit(tools.url_pair())

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("wan_prep.submission.transfer.HashingWriter.write", full)
        with pytest.raises(DownloadFailed, match="No space left on device"):
            desk.wait(job.id)
    assert list(desk.out.iterdir()) == []
    assert desk.wait(job.id).succeeded


# ---- interruptions


def test_ctrl_c_while_waiting_leaves_the_job_resumable(
    desk: Any, service: FakeService, tools: Any
) -> None:
    (job,) = desk.submit(tools.url_pair())

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            desk.wait(job.id)
    assert desk.only_job().state == "submitted"
    assert desk.wait(job.id).succeeded


class Interrupting(httpx.BaseTransport):
    """The request is sent; then somebody loses patience."""

    def __init__(self, inner: Any, interruption: type[BaseException]) -> None:
        self.inner, self.interruption = inner, interruption

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.inner.handle_request(request).close()
        raise self.interruption


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_an_interruption_during_the_post_leaves_it_unknown(
    desk: Any, service: FakeService, tools: Any, interruption: type[BaseException]
) -> None:
    desk.wrap = lambda inner: Interrupting(inner, interruption)
    with pytest.raises(interruption):
        desk.submit(tools.url_pair())
    assert desk.only_job().state == "unknown"
    desk.wrap = lambda inner: inner
    with pytest.raises(AlreadySubmitted):
        desk.submit(tools.url_pair())
    assert desk.wait(desk.only_job().id).succeeded
    assert service.count("submit") == 1


def test_what_a_wait_for_everything_waits_for(
    desk: Any, service: FakeService, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, done, *rest = (desk.submit(tools.url_pair(seed=seed))[0] for seed in range(4))
    desk.wait(done.id)
    desk.journal.change(old.id, created_at=datetime.now(UTC) - timedelta(days=8))
    assert [job.id for job in desk.call("unfinished")] == [job.id for job in rest]
    assert [job.id for job in desk.call("overdue")] == [old.id]
