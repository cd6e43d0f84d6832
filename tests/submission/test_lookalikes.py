"""The id that the POST returned is the job's own, whatever a look-up took for it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import (
    DownloadFailed,
    JournalError,
    NoOutputs,
    Rejected,
    ServiceUnreachable,
    SubmissionError,
    SubmissionUnknown,
)
from wan_prep.rehearsal.server import FakeService, ReceivedRequest, clip
from wan_prep.submission.jobs import Job, JobOutput
from wan_prep.submission.journal import Journal


@pytest.fixture
def journal(tmp_path: Path, tools: Any) -> Journal:
    return Journal(tmp_path / "journal.sqlite3", now=lambda: tools.NOW)


# ---- the journal


STRAY = JobOutput(url="https://a.example/l.mp4", path="/x/l.mp4", sha256="c" * 64)


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"state": "submitted", "status": "processing"},
        {"state": "completed", "status": "completed", "outputs": (STRAY,)},
        {"state": "failed", "status": "failed", "error": "no face"},
    ],
)
@pytest.mark.parametrize("state", ["submitted", "unknown"])
def test_the_posts_own_id_wins_over_one_that_was_found(
    journal: Journal, meanwhile: dict[str, Any], state: Any, tools: Any
) -> None:
    job = journal.claim(tools.entry())
    journal.attach(job.id, ["look-alike"])
    journal.change(job.id, **meanwhile)
    settled = journal.settle(job, state=state, service_id="own", status="created")
    assert (settled.state, settled.service_id, settled.status) == (state, "own", "created")
    assert (settled.error, settled.outputs, settled.is_found) == (None, (), False)
    assert "task look-alike had been taken for this job" in settled.summary()
    assert ("/x/l.mp4" in settled.summary()) == ("outputs" in meanwhile)
    assert journal.jobs() == (settled,)


@pytest.mark.parametrize("state", ["rejected", "not_sent"])
def test_a_clear_no_frees_what_was_found(journal: Journal, state: Any, tools: Any) -> None:
    job = journal.claim(tools.entry())
    journal.attach(job.id, ["look-alike"])
    settled = journal.settle(job, state=state, error="no")
    assert (settled.state, settled.service_id, settled.error) == (state, None, "no")
    assert "task look-alike had been taken for this job" in settled.summary()


def test_what_was_found_rightly_keeps_its_progress(journal: Journal, tools: Any) -> None:
    job = journal.claim(tools.entry())
    journal.attach(job.id, ["own"])
    journal.change(job.id, state="completed", outputs=(STRAY,))
    settled = journal.settle(job, state="submitted", service_id="own", status="created")
    assert (settled.state, settled.outputs, settled.note) == ("completed", (STRAY,), None)
    assert not settled.is_found, "the POST has confirmed it"


def test_a_task_that_was_found_for_another_entry_is_given_back(
    journal: Journal, tools: Any
) -> None:
    other = journal.claim(tools.entry("wp-b", state="unknown"))
    journal.attach(other.id, ["own"])
    journal.change(other.id, state="completed", outputs=(STRAY,))
    job = journal.claim(tools.entry("wp-a"), resubmit=True)
    settled = journal.settle(job, state="submitted", service_id="own")
    assert (settled.service_id, settled.state) == ("own", "submitted")
    assert "wp-b" in settled.summary()
    freed = journal.job("wp-b")
    assert (freed.state, freed.service_id, freed.outputs) == ("unknown", None, ())
    assert "task own had been taken for this job (/x/l.mp4 came from it)" in freed.summary()
    assert "belongs to wp-a" in freed.summary()


def test_an_id_that_two_posts_returned_stays_with_both(journal: Journal, tools: Any) -> None:
    """Then the service takes them for one."""
    first = journal.settle(journal.claim(tools.entry("wp-b")), state="submitted", service_id="own")
    second = journal.claim(tools.entry("wp-a"), resubmit=True)
    journal.settle(second, state="submitted", service_id="own")
    assert [job.service_id for job in journal.jobs()] == ["own", "own"]
    assert journal.job("wp-b") == first


def test_an_entry_that_is_gone_is_written_again(journal: Journal, tools: Any) -> None:
    job = journal.claim(tools.entry())
    journal.path.unlink()
    journal.settle(job, state="submitted", service_id="own")
    assert journal.job("own").id == job.id
    journal.path.unlink()
    assert journal.doubt(job, "reset").state == journal.job(job.id).state == "unknown"


def test_a_doubt_changes_nothing_that_is_clear(journal: Journal, tools: Any) -> None:
    job = journal.claim(tools.entry())
    found, _ = journal.attach(job.id, ["found"])
    assert journal.doubt(job, "reset") == found


@pytest.mark.parametrize(
    ("candidates", "attached", "matches"),
    [(["taken"], None, 0), (["taken", "x"], "x", 1), (["x", "y"], None, 2), ([], None, 0)],
)
def test_one_free_task_is_attached(
    journal: Journal, candidates: list[str], attached: str | None, matches: int, tools: Any
) -> None:
    journal.settle(journal.claim(tools.entry("wp-b")), state="submitted", service_id="taken")
    job = journal.claim(tools.entry("wp-a"), resubmit=True)
    found, count = journal.attach(job.id, candidates)
    assert (found.service_id, count) == (attached, matches)
    assert found.is_found == (attached is not None)


@pytest.mark.parametrize(
    ("state", "service_id"), [("submitted", "own"), ("unknown", "own"), ("rejected", None)]
)
def test_nothing_is_attached_once_the_post_was_answered(
    journal: Journal, state: Any, service_id: str | None, tools: Any
) -> None:
    job = journal.claim(tools.entry())
    settled = journal.settle(job, state=state, service_id=service_id)
    assert journal.attach(job.id, ["look-alike"])[0] == settled


def test_an_output_of_another_task_is_not_kept(journal: Journal, tools: Any) -> None:
    job = journal.claim(tools.entry(outputs=(JobOutput(url="https://a.example/own.mp4"),)))
    assert journal.keep_output(job.id, 0, STRAY) == job
    assert journal.keep_output(job.id, 1, STRAY) == job


# ---- two processes


@pytest.fixture
def elsewhere(desk: Any, service: FakeService, tools: Any, tmp_path: Path) -> str:
    """The service's id of the same work, submitted from another machine."""
    (tmp_path / "elsewhere").mkdir()
    other = tools.Desk(tmp_path / "elsewhere", service.base_url)
    (job,) = other.submit(tools.url_pair())
    return str(job.service_id)


def during(service: FakeService, step: str, act: Callable[[], object]) -> None:
    """Let something happen once, while the answer to a step is awaited."""

    def once(seen: ReceivedRequest) -> None:
        if seen.step == step:
            service.on_seen = lambda _: None
            act()

    service.on_seen = once


def test_a_look_up_while_the_post_is_under_way(
    desk: Any, service: FakeService, tools: Any, elsewhere: str
) -> None:
    """Another process finds the look-alike, waits for it, and has its output."""
    strays = []

    def look_up() -> None:
        strays.append(desk.wait(desk.only_job().id))

    during(service, "submit", look_up)
    (job,) = desk.submit(tools.url_pair())
    (stray,) = strays
    assert (stray.job.service_id, stray.status) == (elsewhere, "completed")
    (own,) = set(service.tasks) - {elsewhere}
    assert (job.service_id, job.state, job.outputs) == (own, "submitted", ())
    assert desk.only_job() == job
    assert elsewhere in job.summary()
    assert stray.outputs[0].path in job.summary()
    service.video = clip(40)
    with pytest.raises(DownloadFailed, match="--overwrite"):
        desk.wait(job.id)
    prediction = desk.wait(job.id, overwrite=True)
    assert prediction.job.service_id == own
    assert Path(prediction.outputs[0].path).read_bytes() == clip(40)


@pytest.mark.parametrize(
    ("fault", "error", "state", "kept"),
    [
        ("submit=402", Rejected, "rejected", False),
        ("submit=code:422", Rejected, "rejected", False),
        ("submit=500", SubmissionUnknown, "submitted", True),
        ("submit=reset", SubmissionUnknown, "submitted", True),
    ],
)
def test_a_look_up_while_the_post_goes_wrong(
    desk: Any,
    service: FakeService,
    tools: Any,
    elsewhere: str,
    fault: str,
    error: type[SubmissionError],
    state: str,
    kept: bool,
) -> None:
    """A clear no sets the look-alike free; a doubt leaves it, because it may be the one."""
    during(service, "submit", lambda: desk.call("reconcile"))
    service.add_faults(fault)
    with pytest.raises(error) as caught:
        desk.submit(tools.url_pair())
    job = desk.only_job()
    assert (job.state, job.service_id) == (state, elsewhere if kept else None)
    assert (elsewhere in str(caught.value)) != kept


def test_nothing_sent_and_yet_found(
    desk: Any, service: FakeService, tools: Any, elsewhere: str
) -> None:
    desk.wrap = lambda inner: Unplugged(inner, lambda: desk.journal)
    Unplugged.found = elsewhere
    with pytest.raises(ServiceUnreachable, match=elsewhere):
        desk.submit(tools.url_pair())
    job = desk.only_job()
    assert (job.state, job.service_id) == ("not_sent", None)


class Unplugged:
    """No byte leaves; meanwhile somebody attaches a task to the only entry."""

    found = ""

    def __init__(self, inner: Any, journal: Callable[[], Journal]) -> None:
        self.inner, self.journal = inner, journal

    def _refused(self) -> Any:
        import httpx

        (job,) = self.journal().jobs()
        self.journal().attach(job.id, [self.found])
        raise httpx.ConnectError("as told")

    def handle_request(self, _request: Any) -> Any:
        self._refused()

    def close(self) -> None:
        self.inner.close()


def test_an_interruption_leaves_what_was_found(
    desk: Any, service: FakeService, tools: Any, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wan_prep.submission import client

    def interrupted(*_args: object) -> object:
        (job,) = desk.journal.jobs()
        desk.journal.attach(job.id, [elsewhere])
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "after_post", interrupted)
    with pytest.raises(KeyboardInterrupt):
        desk.submit(tools.url_pair())
    assert (desk.only_job().state, desk.only_job().service_id) == ("submitted", elsewhere)


def test_an_unclear_answer_with_an_id_is_kept(
    desk: Any, service: FakeService, tools: Any, elsewhere: str
) -> None:
    during(service, "submit", lambda: desk.call("reconcile"))
    service.add_faults("submit=recode:500")
    with pytest.raises(SubmissionUnknown) as caught:
        desk.submit(tools.url_pair())
    (own,) = set(service.tasks) - {elsewhere}
    job = desk.only_job()
    assert (job.state, job.service_id) == ("unknown", own)
    assert own in str(caught.value)
    assert elsewhere in job.summary()
    assert desk.wait(job.id).job.service_id == own


def test_a_freed_task_goes_to_its_owner(desk: Any, service: FakeService, tools: Any) -> None:
    owner = desk.submit_unknown(service, tools.url_pair())
    (lost,) = service.tasks

    def take() -> None:
        (taker,) = (job for job in desk.journal.jobs() if job.id != owner.id)
        assert desk.wait(taker.id).job.service_id == lost

    during(service, "submit", take)
    (job,) = desk.submit(tools.url_pair(), resubmit=True)
    assert job.service_id != lost
    assert lost in job.summary()
    (found,) = desk.call("reconcile")
    assert (found.job.id, found.job.service_id) == (owner.id, lost)


def test_a_task_under_way_that_another_entry_took(
    desk: Any, service: FakeService, tools: Any
) -> None:
    first = desk.submit_unknown(service, tools.url_pair(), fault="submit=500")

    def take(seen: ReceivedRequest) -> None:
        if seen.step == "submit":
            service.on_worked = lambda _: None
            assert desk.wait(first.id).succeeded

    service.on_worked = take
    (job,) = desk.submit(tools.url_pair(), resubmit=True)
    assert (job.service_id, job.state) == (*service.tasks, "submitted")
    assert first.id in job.summary()
    freed = desk.journal.job(first.id)
    assert (freed.state, freed.service_id, freed.outputs) == ("unknown", None, ())
    assert job.id in freed.summary()


@pytest.mark.parametrize("step", ["result", "output"])
def test_who_waits_for_a_look_alike_goes_over_to_the_job(
    desk: Any, service: FakeService, tools: Any, elsewhere: str, step: str
) -> None:
    """The POST's id is noted while an answer about the look-alike is on its way."""
    service.polls_until_completed, service.nsfw = 1, (False, False)
    (job,) = desk.submit(tools.url_pair())
    own = job.service_id
    lost = desk.journal.change(job.id, state="submitting", service_id=None)
    assert desk.journal.attach(job.id, [elsewhere])[0].is_found
    settle = lambda: desk.journal.settle(lost, state="submitted", service_id=own)  # noqa: E731
    during(service, step, settle)
    prediction = desk.wait(job.id, overwrite=True)
    assert prediction.job.service_id == own
    assert own in prediction.outputs[0].url
    assert desk.only_job() == prediction.job


def test_who_waits_for_a_job_that_is_refused_meanwhile(
    desk: Any, service: FakeService, tools: Any, elsewhere: str
) -> None:
    (job,) = desk.submit(tools.url_pair())
    desk.journal.change(job.id, state="submitting", service_id=None)
    desk.journal.attach(job.id, [elsewhere])
    during(service, "result", lambda: desk.journal.settle(job, state="rejected", error="no"))
    with pytest.raises(SubmissionError, match="nothing was accepted"):
        desk.wait(job.id)
    assert (desk.only_job().state, desk.only_job().outputs) == ("rejected", ())


def test_a_look_up_that_comes_late(desk: Any, service: FakeService, tools: Any) -> None:
    """The POST is answered between the look at the history and its note."""
    job = desk.submit_unknown(service, tools.url_pair())
    (own,) = service.tasks
    during(
        service,
        "history",
        lambda: desk.journal.settle(job, state="submitted", service_id=own),
    )
    (found,) = desk.call("reconcile")
    assert (found.is_clear, found.job.service_id) == (True, own)
    assert "never accepted" not in found.said


def test_a_look_up_of_a_job_that_is_refused_meanwhile(
    desk: Any, service: FakeService, tools: Any
) -> None:
    job = desk.submit_unknown(service, tools.url_pair(), fault="submit=500")
    during(service, "history", lambda: desk.journal.settle(job, state="rejected", error="no"))
    with pytest.raises(SubmissionError, match="nothing was accepted"):
        desk.wait(job.id)


# ---- two that wait for one job


def test_an_end_that_another_process_noted_stays(
    desk: Any, service: FakeService, tools: Any
) -> None:
    (job,) = desk.submit(tools.url_pair())
    ended = {"state": "failed", "status": "failed", "error": "no face"}
    during(service, "result", lambda: desk.journal.change(job.id, **ended))
    prediction = desk.wait(job.id)
    assert (prediction.status, prediction.error) == ("failed", "no face")


def test_an_output_that_another_process_fetched_is_not_fetched_again(
    desk: Any, service: FakeService, tools: Any
) -> None:
    service.polls_until_completed = 1
    (job,) = desk.submit(tools.url_pair())
    during(service, "result", lambda: desk.wait(job.id))
    assert desk.wait(job.id).succeeded
    assert service.count("output") == 1


def test_outputs_that_come_after_the_end(desk: Any, service: FakeService, tools: Any) -> None:
    service.polls_until_completed = 1
    (job,) = desk.submit(tools.url_pair())
    service.add_faults("result=no-outputs")
    with pytest.raises(NoOutputs):
        desk.wait(job.id)
    assert (desk.only_job().state, desk.only_job().outputs) == ("completed", ())
    assert len(desk.wait(job.id).outputs) == 1


# ---- both errors are told


def test_a_refusal_that_the_journal_cannot_note(
    desk: Any, service: FakeService, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_options: object) -> Job:
        raise JournalError("disk is full")

    service.restart("submit=402")
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "settle", full)
        with pytest.raises(Rejected) as caught:
            desk.submit(tools.url_pair())
    assert caught.value.status == 402
    assert "402" in str(caught.value)
    assert "disk is full" in str(caught.value)
    assert isinstance(caught.value.__cause__, JournalError)
    job = desk.only_job()
    assert job.id in str(caught.value)
    assert job.state == "submitting"
    with pytest.raises(SubmissionUnknown):
        desk.wait(job.id)


@pytest.mark.parametrize("fault", ["submit=recode:500", "submit=500"])
def test_a_doubt_that_the_journal_cannot_note(
    desk: Any, service: FakeService, tools: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def full(*_args: object, **_options: object) -> Job:
        raise JournalError("disk is full")

    service.restart(fault)
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "settle", full)
        broken.setattr(Journal, "doubt", full)
        with pytest.raises(SubmissionUnknown, match="disk is full") as caught:
            desk.submit(tools.url_pair())
    for service_id in service.tasks:
        assert service_id in str(caught.value)
    assert isinstance(caught.value.__cause__, JournalError)
