"""submit, wait and jobs in process, against the rehearsal server: codes, words, documents."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from wan_prep.api import judging
from wan_prep.cli import run, sending
from wan_prep.rehearsal.server import FakeService, clip
from wan_prep.submission.journal import Journal

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

URLS = ["https://media.example/hero.png", "https://media.example/dance.mp4"]
ID = r"wp-[0-9a-f]{12}"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: Patch, unsynced: None) -> Iterator[FakeService]:
    with FakeService(polls_until_completed=1, video=clip()) as running:
        monkeypatch.setenv("WAVESPEED_BASE_URL", running.base_url)
        monkeypatch.setenv("WAVESPEED_API_KEY", "not-a-real-key")
        monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
        yield running


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """Two files that nobody reads."""
    (tmp_path / "hero.png").write_bytes(b"image")
    (tmp_path / "dance.mp4").write_bytes(b"video")
    return ["hero.png", "dance.mp4"]


@pytest.fixture
def sent(service: FakeService, capsys: Capture) -> Callable[..., str]:
    """Submits the pair of addresses and returns the job's id."""

    def submit(*options: str) -> str:
        unlooked = ["--no-check", "--duration", "7", "--yes", "-q"]
        assert run(["submit", *URLS, *unlooked, *options]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert re.fullmatch(ID, out.strip())
        return out.strip()

    return submit


# ---- submit --dry-run


def test_a_dry_run_needs_neither_key_nor_permission(
    pair: list[str], judged: Any, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.delenv("WAVESPEED_API_KEY", raising=False)
    judged("risky")
    options = "--dry-run --count 2 --seed 5 --prompt dance --resolution 720p --max-cost 2"
    assert run(["submit", *pair, *options.split()]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "schema_version": 1,
        "model": "wavespeed-ai/wan-2.2/animate",
        "request": {
            "image": f"upload:sha256:{sha256(b'image').hexdigest()}",
            "video": f"upload:sha256:{sha256(b'video').hexdigest()}",
            "prompt": "dance",
            "mode": "animate",
            "resolution": "720p",
            "seed": 5,
        },
        "seeds": [5, 6],
        "cost": {"seconds": 8.0, "usd_low": 1.28, "usd_high": 1.6},
        "verdict": "risky",
        "notes": [],
    }


@pytest.mark.parametrize(
    ("verdict", "options", "code"),
    [
        ("ready", [], 0),
        ("not_ready", [], 1),
        ("not_ready", ["--allow-not-ready"], 0),
        ("risky", ["--strict"], 1),
        ("ready", ["--max-cost", "0.39"], 1),
        ("ready", ["--max-cost", "0.40"], 0),
    ],
)
def test_a_dry_run_shows_what_the_gate_refuses(
    verdict: str, options: list[str], code: int, pair: list[str], judged: Any, capsys: Capture
) -> None:
    judged(verdict)
    assert run(["submit", *pair, "--dry-run", "--format", "json", *options]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == verdict
    assert err.count("\n") == code, "the refusal is one line"


def test_a_dry_run_of_addresses_knows_no_cost(capsys: Capture) -> None:
    assert run(["submit", *URLS, "--dry-run"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["cost"], document["verdict"]) == (None, None)
    assert run(["submit", *URLS, "--dry-run", "--duration", "7"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cost"] == {"seconds": 7.0, "usd_low": 0.28, "usd_high": 0.4}


def test_the_check_is_the_users_own(
    pair: list[str], judged: Any, monkeypatch: Patch, tmp_path: Path
) -> None:
    judged("ready")
    check, seen = judging.check, dict[str, Any]()

    def watched(*files: Any, **options: Any) -> Any:
        seen.update(options)
        return check(*files, **options)

    monkeypatch.setattr(judging, "check", watched)
    own = 'ignore = ["WP202"]\nresolution = "720p"\nmode = "replace"\n'
    (tmp_path / "wan-prep.toml").write_text(own, "utf-8")
    assert run(["submit", *pair, "--dry-run", "--select", "WP2", "--pose-model", "m.task",
                "--person", "left", "--video-person", "2"]) == 0  # fmt: skip
    assert (seen["select"], seen["ignore"]) == (("WP2",), ("WP202",))
    assert (seen["mode"], seen["resolution"]) == ("replace", "720p")
    assert seen["pose_model"] == "m.task"
    assert (str(seen["image_person"]), str(seen["video_person"])) == ("left", "2")


# ---- submit


def test_verbose_shows_the_whole_check(
    pair: list[str], service: FakeService, judged: Any, capsys: Capture
) -> None:
    judged("risky")
    assert run(["submit", *pair, "--upload", "--yes", "-v"]) == 0
    assert "What to do about it, in order of effect" in capsys.readouterr().out


def test_a_submission_in_words(
    pair: list[str], service: FakeService, judged: Any, capsys: Capture
) -> None:
    judged("risky")
    assert run(["submit", *pair, "--upload", "--yes"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.fullmatch(
        r"RISKY  93\.7 of 100 \(WP201\)\n"
        r"animate, 480p, 1 x: \$0\.32 to \$0\.40\n"
        rf"{ID} of \d{{4}}-\d\d-\d\d \d\d:\d\d UTC: created\n"
        r"`wan-prep wait` waits for it\n",
        out,
    )


def test_a_submission_as_a_document(
    pair: list[str], service: FakeService, judged: Any, capsys: Capture
) -> None:
    judged("ready")
    assert run(["submit", *pair, "--upload", "--yes", "--count", "2", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert [job["state"] for job in document["jobs"]] == ["submitted", "submitted"]
    assert document["jobs"][0]["cost"] == {"seconds": 8.0, "usd_low": 0.32, "usd_high": 0.4}
    assert "$0.64 to $0.80" in err, "what it costs is told beside the document"


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("submit=400", 2, "refused"),
        ("submit=429", 2, "no more requests"),
        ("submit=reset", 3, "do not submit again"),
        ("submit=503", 3, "do not submit again"),
        ("ticket=402", 2, "balance"),
    ],
)
def test_what_the_service_says_decides_the_code(
    fault: str,
    code: int,
    said: str,
    pair: list[str],
    service: FakeService,
    judged: Any,
    capsys: Capture,
) -> None:
    judged("ready")
    service.add_faults(fault)
    assert run(["submit", *pair, "--upload", "--yes", "-q"]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--yes"],
        ["--yes", "--upload", "--seed", "-2"],
        ["--yes", "--upload", "--count", "0"],
        ["--yes", "--upload", "--max-cost", "cheap"],
        ["--yes", "--upload", "--duration", "nan"],
    ],
    ids=["nobody to ask", "no upload", "seed", "count", "max cost", "duration"],
)
def test_a_mistake_is_one_line_and_sends_nothing(
    options: list[str], pair: list[str], service: FakeService, judged: Any, one_line: Any
) -> None:
    asked = judged("ready")
    assert run(["submit", *pair, *options]) == 2
    one_line()
    assert (asked, service.seen) == ([], [])


def test_no_key_and_no_folder_are_one_line(
    pair: list[str], monkeypatch: Patch, one_line: Any
) -> None:
    monkeypatch.delenv("WAVESPEED_API_KEY", raising=False)
    assert run(["submit", *pair, "--upload", "--yes"]) == 2
    assert "WAVESPEED_API_KEY" in one_line()
    assert run(["wait"]) == 2
    one_line()
    assert run(["submit", "nowhere", "--yes"]) == 2
    assert "IMAGE and VIDEO" in one_line()


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_a_terminal_is_asked(
    typed: str,
    code: int,
    pair: list[str],
    service: FakeService,
    judged: Any,
    monkeypatch: Patch,
    capsys: Capture,
) -> None:
    judged("ready")
    monkeypatch.setattr(sending, "_is_watched", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert run(["submit", *pair, "--upload", "--format", "json"]) == code
    assert service.count("submit") == (code == 0)
    out, err = capsys.readouterr()
    assert "Submit 1 task for $0.32 to $0.40?" in err
    assert bool(out) == (code == 0)


def test_a_second_payment_says_what_became_of_the_first(
    service: FakeService, sent: Callable[..., str], capsys: Capture
) -> None:
    first = sent()
    again = ["submit", *URLS, "--no-check", "--duration", "7", "--yes"]
    assert run([*again, "-q"]) == 3
    assert first in capsys.readouterr().err
    assert run([*again, "--resubmit"]) == 0
    assert f"submitted already: {first} of " in capsys.readouterr().out
    assert service.count("submit") == 2


# ---- wait


def test_waiting_in_words(
    service: FakeService, sent: Callable[..., str], capsys: Capture, tmp_path: Path
) -> None:
    service.nsfw = (False, True)
    job = sent()
    assert run(["wait", job, "-o", "results"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.endswith(": completed")
    assert second == f"  {tmp_path}/results/{job}-1.mp4"
    assert third == f"  {tmp_path}/results/{job}-2.mp4  (the service flags it as not safe for work)"
    assert (tmp_path / "results" / f"{job}-1.mp4").read_bytes() == clip()
    assert run(["wait"]) == 0
    assert capsys.readouterr() == ("nothing to wait for\n", "")


def test_waiting_for_all_of_them_as_one_document(
    service: FakeService, sent: Callable[..., str], capsys: Capture
) -> None:
    service.add_faults("result=is:failed")
    ids = [sent("--seed", str(seed)) for seed in (1, 2)]
    assert run(["wait", "--format", "json", "-o", "results"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    predictions = json.loads(out)["predictions"]
    assert [p["job"]["id"] for p in predictions] == ids
    assert [p["status"] for p in predictions] == ["failed", "completed"]
    assert predictions[1]["outputs"][0]["sha256"] == sha256(clip()).hexdigest()


def test_what_is_left_out_of_a_wait_for_everything_is_said(
    service: FakeService, sent: Callable[..., str], capsys: Capture
) -> None:
    job = sent()
    Journal.at_home().change(job, created_at=datetime.now(UTC) - timedelta(days=8))
    assert run(["wait"]) == 0
    left_out, nothing = capsys.readouterr().out.splitlines()
    assert left_out.startswith(f"{job} of ")
    assert f"`wan-prep wait {job}` asks" in left_out
    assert nothing == "nothing to wait for"
    assert run(["wait", job, "-q"]) == 0


def test_an_output_that_is_a_source_does_not_keep_the_others_waiting(
    service: FakeService,
    sent: Callable[..., str],
    pair: list[str],
    judged: Any,
    capsys: Capture,
    tmp_path: Path,
) -> None:
    judged("ready")
    assert run(["submit", *pair, "--upload", "--yes", "-q"]) == 0
    first, second = capsys.readouterr().out.strip(), sent()
    (tmp_path / f"{first}-1.mp4").hardlink_to(tmp_path / pair[1])
    assert run(["wait", "-q", "--overwrite"]) == 2
    out, err = capsys.readouterr()
    assert out.endswith(f"{second}-1.mp4\n")
    assert "would replace the input" in err
    assert (tmp_path / pair[1]).read_bytes() == b"video"


@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout", "deleted"])
def test_a_task_without_a_result_is_code_1(
    status: str, service: FakeService, sent: Callable[..., str], capsys: Capture
) -> None:
    service.add_faults(f"result=is:{status}")
    assert run(["wait", sent()]) == 1
    assert f": {status} (ended as {status})" in capsys.readouterr().out


def test_a_wait_that_ends_early_is_code_3_and_can_be_taken_up(
    service: FakeService, sent: Callable[..., str], one_line: Any, capsys: Capture
) -> None:
    service.polls_until_completed = 2
    job = sent()
    assert run(["wait", job, "--timeout", "0", "-q"]) == 3
    assert f"`wan-prep wait {job}` waits again" in one_line()
    assert run(["wait", job, "-q"]) == 0
    assert capsys.readouterr().out.endswith(f"{job}-1.mp4\n")


def test_an_error_of_one_job_does_not_keep_the_others_waiting(
    service: FakeService, sent: Callable[..., str], capsys: Capture, tmp_path: Path
) -> None:
    first, second = sent("--seed", "1"), sent("--seed", "2")
    (tmp_path / f"{first}-1.mp4").write_bytes(b"something else")
    assert run(["wait", "-q"]) == 2
    out, err = capsys.readouterr()
    assert out.endswith(f"{second}-1.mp4\n")
    assert "--overwrite" in err
    assert run(["wait", "-q", "--overwrite"]) == 0
    assert (tmp_path / f"{first}-1.mp4").read_bytes() == clip()


@pytest.mark.parametrize(
    "options", [["wp-nobody"], ["--timeout", "nan"], ["--timeout", "soon"], ["a", "b"]]
)
def test_a_mistaken_wait_is_one_line(
    options: list[str], sent: Callable[..., str], one_line: Any
) -> None:
    sent()
    assert run(["wait", *options]) == 2
    one_line()


# ---- jobs


def test_the_journal_is_listed_without_a_key(
    sent: Callable[..., str], monkeypatch: Patch, capsys: Capture
) -> None:
    ids = [sent("--seed", str(seed)) for seed in (1, 2)]
    monkeypatch.delenv("WAVESPEED_API_KEY")
    assert run(["jobs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == ids
    assert lines[1] == f"  {URLS[0]} + {URLS[1]}, animate, 480p, $0.28 to $0.40"
    assert run(["jobs", "-q"]) == 0
    assert capsys.readouterr().out.split() == ids
    assert run(["jobs", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert ([job["id"] for job in document["jobs"]], document["reconciled"]) == (ids, None)


def test_an_empty_journal(tmp_path: Path, monkeypatch: Patch, capsys: Capture) -> None:
    monkeypatch.setenv("WAN_PREP_HOME", str(tmp_path / "home"))
    assert run(["jobs"]) == 0
    assert capsys.readouterr() == ("nothing was submitted yet\n", "")
    assert run(["jobs", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "home").exists(), "a look makes no file"


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("submit=done+reset", 0, "found, the service calls it"),
        ("submit=reset", 3, "probably never accepted"),
    ],
)
def test_unclear_submissions_are_looked_up(
    fault: str, code: int, said: str, service: FakeService, capsys: Capture
) -> None:
    service.add_faults(fault)
    assert run(["submit", *URLS, "--no-check", "--duration", "7", "--yes", "-q"]) == 3
    capsys.readouterr()
    assert run(["jobs", "--reconcile", "--format", "json"]) == code
    out, err = capsys.readouterr()
    document = json.loads(out)
    (looked_up,) = document["reconciled"]
    assert looked_up["job"] == document["jobs"][0]["id"]
    assert looked_up["is_clear"] == (code == 0)
    assert said in looked_up["said"]
    assert said in err
    assert run(["jobs", "--reconcile"]) == code
