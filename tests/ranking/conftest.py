"""Made evidence in which everything differs that a pair is compared by."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from wan_prep.evidence import Evidence, Face, Subject
from wan_prep.geometry import Box

SIZES = ((720, 1280), (1280, 720), (1080, 1080), (640, 1136), (2000, 500))


class Cast:
    """Images and clips of made people: standing, turned, cut off, half hidden, heads alone."""

    def __init__(self, make: Any, seed: int) -> None:
        self._make, self._rng = make, np.random.default_rng(seed)

    def _chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def subject(self, size: tuple[int, int]) -> Subject:
        rng, make = self._rng, self._make
        width, height = size
        if self._chance(0.2):
            made = make.head(
                middle=(float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.2, 0.6))),
                size=size,
                span_px=float(rng.uniform(20, 300)),
                yaw=float(rng.uniform(-60, 60)),
                roll=float(rng.uniform(-20, 20)),
                guess=int(rng.integers(0, 1000)),
            )
        else:
            world = make.turned("y", float(rng.uniform(-70, 70)))
            world = world @ make.rotation("z", float(rng.uniform(-15, 15))).T
            world = world + rng.normal(0.0, 0.05, world.shape)
            body = make.body(
                world,
                hips=(float(width * rng.uniform(0.2, 0.8)), float(height * rng.uniform(0.3, 1.1))),
                px_per_m=float(height * rng.uniform(0.2, 1.2)),
                size=size,
            )
            made = make.subject(body)
        return made.changed(**self._flaws(made))

    def _flaws(self, made: Subject) -> dict[str, Any]:
        rng = self._rng
        changes: dict[str, Any] = {"agreement": round(float(rng.uniform(0.3, 1.0)), 3)}
        if self._chance(0.5):
            changes["visibility"] = made.visibility * rng.uniform(0.2, 1.0, 33)
        if self._chance(0.1):
            changes["view_matrix"] = None
        if self._chance(0.1):
            changes["px_per_m"] = None
        if self._chance(0.2) and not made.is_head:
            changes["turned"] = True
        face = made.face
        if self._chance(0.2):
            face = None
        elif face is None or self._chance(0.5):
            left, top = rng.uniform(0.2, 0.6, 2)
            known = self._chance(0.7)
            face = Face(
                box=Box(float(left), float(top), float(left) + 0.1, float(top) + 0.08),
                yaw_deg=float(rng.uniform(-50, 50)) if known else None,
                pitch_deg=float(rng.uniform(-20, 20)) if known else None,
                roll_deg=float(rng.uniform(-20, 20)) if known else None,
                confidence=1.0 if known else 0.4,
                span_px=float(rng.uniform(20, 200)) if known else None,
                agreement=round(float(rng.uniform(0.1, 1.0)), 3),
            )
        changes["face"] = face
        return changes

    def _content(self) -> Box:
        return Box(0.1, 0.0, 0.9, 1.0) if self._chance(0.2) else Box(0.0, 0.0, 1.0, 1.0)

    def image(self, name: str) -> Evidence:
        size = SIZES[int(self._rng.integers(0, len(SIZES)))]
        subject = self.subject(size)
        made: Evidence = self._make.image(subject, width=size[0], height=size[1])
        return made.changed(path=name, content=self._content())

    def video(self, name: str) -> Evidence:
        size = SIZES[int(self._rng.integers(0, len(SIZES)))]
        count = int(self._rng.integers(1, 8))
        subjects = [None if self._chance(0.2) else self.subject(size) for _ in range(count)]
        subjects[int(self._rng.integers(0, count))] = self.subject(size)
        every = Fraction(1, 2)
        length = count * every
        made: Evidence = self._make.video(
            subjects, every=every, width=size[0], height=size[1], duration=length
        )
        return made.changed(path=name, content=self._content())


@pytest.fixture
def cast(make: Any) -> Callable[[int, int, int], tuple[list[Evidence], list[Evidence]]]:
    def build(seed: int, images: int, videos: int) -> tuple[list[Evidence], list[Evidence]]:
        made = Cast(make, seed)
        return (
            [made.image(f"i{k}.png") for k in range(images)],
            [made.video(f"v{k}.mp4") for k in range(videos)],
        )

    return build
