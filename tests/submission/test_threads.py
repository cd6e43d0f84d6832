"""One client, many threads."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import AlreadySubmitted
from wan_prep.rehearsal.server import FakeService, clip

PAGE = Path(__file__).parents[2] / "docs" / "submission.md"


def test_the_example_of_an_asynchronous_pipeline(
    service: FakeService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = re.findall(r"```python\n(import asyncio\n.*?)```", PAGE.read_text("utf-8"), re.S)
    service.polls_until_completed = 1
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAVESPEED_BASE_URL", service.base_url)
    monkeypatch.setenv("WAVESPEED_API_KEY", "not-a-real-key")
    monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
    Path("reference.png").write_bytes(b"image")
    for name, grey in (("driving-01.mp4", 10), ("driving-02.mp4", 200)):
        Path(name).write_bytes(clip(grey))
    exec(compile(example, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "['completed', 'completed']\n"
    assert service.count("submit") == 2
    results = {path.read_bytes() for path in Path("results").iterdir()}
    assert results == {clip(10), clip(200)}, "each job has the output of its own clip"


def test_threads_that_submit_different_work(desk: Any, service: FakeService, tools: Any) -> None:
    with desk.client() as client, ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda seed: client.submit(tools.url_pair(seed=seed)), range(16))
        jobs = {job.seed: job for (job,) in done}
    assert {job.id: job for job in desk.journal.jobs()} == {job.id: job for job in jobs.values()}
    seeds = {task.id: task.request.seed for task in service.tasks.values()}
    assert seeds == {job.service_id: seed for seed, job in jobs.items()}


def test_threads_that_submit_the_same_work(desk: Any, service: FakeService, tools: Any) -> None:
    def is_accepted(client: Any) -> bool:
        try:
            client.submit(tools.url_pair())
        except AlreadySubmitted:
            return False
        return True

    with desk.client() as client, ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(is_accepted, [client] * 16)) == 1
    assert service.count("submit") == 1
    assert desk.only_job().state == "submitted"
