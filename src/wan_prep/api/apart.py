"""Files looked at in a process beside this one: a crash or a hang there is a finding here."""

from __future__ import annotations

import mimetypes
from types import TracebackType
from typing import TYPE_CHECKING, Self

from wan_prep.api.looking import Estimating, Kind, Look, PathLike, Progress, look
from wan_prep.errors import TimeLimitReached, UnreadableKind, WanPrepError, WorkerDied
from wan_prep.evidence import Defect, Evidence, ModelId
from wan_prep.isolation import Workers
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.profile import Profile

if TYPE_CHECKING:
    from wan_prep.api.looking import CacheLike


class Apart:
    """A process that looks at files, one after the other; started when it is first needed.

    time_limit_s: for one file; None is the profile's.

    A context manager; leaving it ends the process.  Raises WanPrepError: a network of one's own,
    which cannot leave its process.
    """

    def __init__(
        self,
        figures: Profile,
        pose_model: PathLike | None,
        estimator: PoseEstimator | None,
        cache: CacheLike | None,
        time_limit_s: float | None,
        progress: Progress,
    ) -> None:
        if estimator is not None:
            raise WanPrepError("an estimator of your own stays in this process: leave out isolated")
        self._figures, self._pose_model, self._progress = figures, pose_model, progress
        self._time_limit_s = time_limit_s or figures.limit("task_time_max")
        self._workers = Workers(
            1,
            _Eyes(figures, pose_model, cache),
            memory_bytes=int(figures.limit("worker_memory_max")),
        )

    def look(self, file: PathLike | Evidence, what: Look) -> Evidence:
        """What is seen in a file; where its process is lost, evidence that says so."""
        if isinstance(file, Evidence):
            return file
        self._progress(f"looking at the {what.kind or 'file'}", 0.0)
        try:
            seen: Evidence = self._workers.submit(
                (file, what), time_limit_s=self._time_limit_s
            ).result()
        except WorkerDied as exc:
            return self._lost(
                file, what, "crashed", f"looking at it failed: {exc}; export it again"
            )
        except TimeLimitReached:
            return self._lost(
                file,
                what,
                "too_slow",
                f"looking at it took longer than {self._time_limit_s:g} s; trim it or scale it "
                "down, or allow more with --time-limit",
            )
        return seen

    def _lost(self, file: PathLike, what: Look, kind: UnreadableKind, message: str) -> Evidence:
        with Estimating(None, self._pose_model, needed=True) as network:
            model = ModelId(name=network.name, sha256=network.sha256)
        return Evidence(
            kind=what.kind or _kind_by_name(file),
            path=str(file),
            pose_model=model,
            person=what.person,
            defects=(Defect(kind=kind, message=message),),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exc: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._workers.close()


class _Eyes:
    """What the process holds: it loads the networks when the first file comes."""

    def __init__(
        self, figures: Profile, pose_model: PathLike | None, cache: CacheLike | None
    ) -> None:
        self._figures, self._pose_model, self._cache = figures, pose_model, cache
        self._network: PoseEstimator | None = None

    def __call__(self, task: tuple[PathLike, Look]) -> Evidence:
        if self._network is None:
            # It lives as long as the process.
            self._network = Estimating(None, self._pose_model, needed=True).__enter__()
        file, what = task
        return look(file, what, self._network, self._figures, self._cache)


def _kind_by_name(file: PathLike) -> Kind:
    is_image = (mimetypes.guess_type(str(file))[0] or "").startswith("image/")
    return "image" if is_image else "video"
