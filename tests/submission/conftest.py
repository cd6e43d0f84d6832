"""A client that never sleeps, against the rehearsal server; a pair; and profiles."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from wan_prep.errors import SubmissionUnknown, WanPrepError
from wan_prep.profile import Profile, default_profile
from wan_prep.rehearsal.server import FakeService, clip
from wan_prep.submission.client import Client
from wan_prep.submission.environment import Connection
from wan_prep.submission.intent import Intent, intend, local_input, url_input
from wan_prep.submission.jobs import Job, JobInput, Prediction
from wan_prep.submission.journal import Journal
from wan_prep.submission.session import TimeSource
from wan_prep.submission.transport import LIMITS

KEY = "canary-key-5f0c9e71d2"
TLS = ssl.create_default_context()
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeTime:
    """Stands still but for what is slept, which takes no time: how fast the machine is makes no
    difference."""

    def __init__(self) -> None:
        self.begun = datetime.now(UTC)
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def monotonic(self) -> float:
        return sum(self.slept)

    def now(self) -> datetime:
        return self.begun + timedelta(seconds=sum(self.slept))


@dataclass
class Desk:
    """Submits and waits, each time through a client of its own, as another process would."""

    home: Path
    base_url: str
    profile: Profile = field(default_factory=default_profile)
    wrap: Callable[[Any], Any] = field(default=lambda transport: transport)
    """Puts something around the real transport."""
    time: FakeTime = field(default_factory=FakeTime)
    jitter: Callable[[], float] = field(default=lambda: 0.0)
    key: str = KEY

    @property
    def journal(self) -> Journal:
        return Journal(self.home / "journal.sqlite3", now=self.time.now)

    @property
    def out(self) -> Path:
        return self.home / "out"

    def client(self) -> Client:
        http = httpx.HTTPTransport(verify=TLS, trust_env=False, limits=LIMITS)
        return Client(
            Connection(self.base_url, SecretStr(self.key)),
            self.journal,
            profile=self.profile,
            http=self.wrap(http),
            time=TimeSource(self.time.now, self.time.monotonic, self.time.sleep, self.jitter),
        )

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """One method of a new client."""
        with self.client() as client:
            return getattr(client, name)(*args, **options)

    def submit(self, intent: Intent, **options: Any) -> tuple[Job, ...]:
        with self.client() as client:
            return client.submit(intent, **options)

    def wait(self, name: str, **options: Any) -> Prediction:
        with self.client() as client:
            return client.wait(name, **{"folder": self.out, **options})

    def submit_unknown(
        self,
        service: FakeService,
        intent: Intent,
        *,
        fault: str = "submit=done+reset",
        **options: Any,
    ) -> Job:
        """The entry of a submission that the service accepted, while its answer was lost."""
        service.add_faults(fault)
        with pytest.raises(SubmissionUnknown) as caught:
            self.submit(intent, **options)
        return self.journal.job(caught.value.job_id)

    def only_job(self) -> Job:
        (job,) = self.journal.jobs()
        return job


def exit_code(error: BaseException | None, prediction: Prediction | None = None) -> int:
    """As the command line ends."""
    if isinstance(error, WanPrepError):
        return error.exit_code
    return 0 if prediction is None or prediction.succeeded else 1


class Tools:
    """What modules of this folder share; they do not import each other."""

    Desk = Desk
    KEY = KEY
    NOW = NOW
    exit_code = staticmethod(exit_code)

    @staticmethod
    def patient(**limits: float) -> Profile:
        """The default profile with other figures for submissions."""
        profile = default_profile()
        changed = {
            name: profile.submission.limits[name].model_copy(update={"value": value})
            for name, value in limits.items()
        }
        submission = profile.submission.model_copy(
            update={"limits": {**profile.submission.limits, **changed}}
        )
        return profile.model_copy(update={"submission": submission})

    @staticmethod
    def url_pair(**options: Any) -> Intent:
        """A pair of addresses that nobody fetches: 7 s at 480p, $0.28 to $0.40."""
        return intend(
            url_input("https://media.example/hero.png", "image"),
            url_input("https://media.example/dance.mp4?Signature=secret-query", "video"),
            **{"mode": "animate", "resolution": "480p", "duration": Fraction(7), **options},
        )

    @staticmethod
    def local_pair(folder: Path, **options: Any) -> Intent:
        """A file that nobody reads, of 5 kB, and a clip of half a second, of 300 kB."""
        image, video = folder / "hero.png", folder / "dance.mp4"
        if not image.exists():
            image.write_bytes(b"image" * 1000)
            video.write_bytes(clip(90, size_px=158, frames=8))
        return intend(
            local_input(image, "image"),
            local_input(video, "video"),
            **{"mode": "animate", "resolution": "480p", "duration": Fraction(7), **options},
        )

    @staticmethod
    def entry(name: str = "wp-a", **changes: Any) -> Job:
        """A job as the journal holds it while its POST is under way, since `NOW`."""
        facts: dict[str, Any] = {
            "id": name,
            "batch": name,
            "state": "submitting",
            "base_url": "https://api.example",
            "model": "wan/animate",
            "image": JobInput(source="hero.png", url="https://kept.example/1.png"),
            "video": JobInput(source="dance.mp4", url="https://kept.example/2.mp4"),
            "mode": "animate",
            "resolution": "480p",
            "seed": -1,
            "created_at": NOW,
            "updated_at": NOW,
        }
        return Job(**{**facts, **changes})


@pytest.fixture(autouse=True)
def _unsynced(unsynced: None) -> None:
    return None


@pytest.fixture(scope="session")
def tools() -> type[Tools]:
    return Tools


@pytest.fixture(scope="session")
def server() -> Iterator[FakeService]:
    """One server for all tests; `service` is how they get it."""
    with FakeService() as running:
        yield running


@pytest.fixture
def service(server: FakeService) -> FakeService:
    """The rehearsal server as new: without faults, tasks or watchers."""
    server.restart()
    server.polls_until_completed, server.nsfw, server.video = 2, (False,), None
    server.on_seen = server.on_worked = lambda _: None
    return server


@pytest.fixture
def desk(tmp_path: Path, service: FakeService) -> Desk:
    return Desk(tmp_path, service.base_url)
