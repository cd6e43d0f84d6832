"""How long ranking takes, and how many pairs it has to score exactly for the best few.

    python benchmarks/rank.py [--images 1000] [--videos 1000] [--top 20] [--keep FOLDER]

Evidence of the shared pairs, and what it becomes by known transforms: frames of the clips and the
shared images, cut, moved, turned and zoomed; clips cut, moved, zoomed and begun later. Nothing in
it is random but the transforms, which are drawn with a fixed seed. `--keep` holds what was observed
between two runs.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from _media import PAIRS

import wan_prep
from wan_prep.analyzers import RULES
from wan_prep.evidence import Evidence
from wan_prep.media.types import ImageInfo
from wan_prep.planning.foresee import foresee_image, foresee_video
from wan_prep.planning.model import Geometry, Window
from wan_prep.profile import default_profile
from wan_prep.ranking.bounds import Bounds, Judge
from wan_prep.ranking.search import Effort, best_pairs
from wan_prep.report.scoring import best_start


def observed(folder: Path | None) -> list[Evidence]:
    """Evidence of every file of the shared pairs, from `folder` where it is kept."""
    found = []
    for path in sorted(p for p in PAIRS.rglob("*") if p.is_file()):
        kept = None if folder is None else folder / f"pairs_{path.parent.name}_{path.name}.json"
        if kept is not None and kept.exists():
            found.append(Evidence.model_validate_json(kept.read_text("utf-8")))
            continue
        kind = "video" if path.name.startswith("video") else "image"
        found.append(wan_prep.observe(path, kind=kind))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(found[-1].model_dump_json(), "utf-8")
    return found


def drawn(rng: np.random.Generator, width: int, height: int, turn: bool) -> Geometry:
    """A window of 60 to 100 % of the picture, somewhere in it; for images also a turn."""
    share = rng.uniform(0.6, 1.0)
    w, h = int(width * share) // 2 * 2, int(height * share) // 2 * 2
    window = Window(
        left=int(rng.integers(0, width - w + 1)), top=int(rng.integers(0, height - h + 1)),
        width=w, height=h,
    )  # fmt: skip
    return Geometry(
        rotate_deg=float(rng.uniform(-8, 8)) if turn else 0.0, window=window, width=w, height=h
    )


def as_image(video: Evidence, sample: int) -> Evidence:
    """One frame of a clip, as if it had been saved as a picture."""
    info = video.video_info
    assert info is not None
    still = ImageInfo(
        path=video.path, sha256=info.sha256, size_bytes=500_000, format="PNG", width=info.width,
        height=info.height, stored_width=info.width, stored_height=info.height,
        exif_orientation=1, color_mode="RGB", bit_depth=8, has_alpha=False, has_icc_profile=False,
        frame_count=1,
    )  # fmt: skip
    seen = video.found[sample].changed(time=Fraction(0), scene=0)
    return Evidence(
        kind="image", path=f"{video.path}#{sample}", info=still, pose_model=video.pose_model,
        content=video.content, observations=(seen,),
    )  # fmt: skip


def images_of(evidence: list[Evidence], count: int) -> Iterator[Evidence]:
    rng = np.random.default_rng(1)
    stills = [e for e in evidence if e.kind == "image" and e.found]
    clips = [e for e in evidence if e.kind == "video" and e.found]
    while count:
        pick = int(rng.integers(0, 2 * len(clips)))
        if pick < len(stills):
            source = stills[pick]
        else:
            clip = clips[pick % len(clips)]
            source = as_image(clip, int(rng.integers(0, len(clip.found))))
        assert source.info is not None
        made = foresee_image(
            source, drawn(rng, source.info.width, source.info.height, turn=True), "png"
        )
        if made.found:
            count -= 1
            yield made.changed(path=f"image-{count}")


def videos_of(evidence: list[Evidence], count: int) -> Iterator[Evidence]:
    rng = np.random.default_rng(2)
    clips = [e for e in evidence if e.kind == "video" and e.found]
    while count:
        clip = clips[int(rng.integers(0, len(clips)))]
        info = clip.video_info
        assert info is not None
        start = clip.span * Fraction(int(rng.integers(0, 50)), 100)
        made = foresee_video(
            clip, drawn(rng, info.width, info.height, turn=False), start, clip.span, info.fps,
            default_profile(),
        )  # fmt: skip
        if made.found:
            count -= 1
            yield made.changed(path=f"video-{count}")


def timed(what: str, work: Callable[[], object]) -> object:
    began = time.perf_counter()
    result = work()
    print(f"{what:58} {time.perf_counter() - began:8.2f} s", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    if not PAIRS.is_dir():
        raise SystemExit(f"{PAIRS} is absent: there is nothing to make evidence from")
    evidence = observed(asked.keep)
    images = list(images_of(evidence, asked.images))
    videos = list(videos_of(evidence, asked.videos))
    samples = sum(len(v.found) for v in videos)
    print(f"{len(images)} images x {len(videos)} videos with {samples} samples")
    judge = Judge("animate", "480p", default_profile(), RULES)
    bounds = timed("once a file: traits, and the checks of one file",
                   lambda: Bounds(images, videos, judge))  # fmt: skip
    assert isinstance(bounds, Bounds)

    def all_quick() -> None:
        columns = np.arange(len(videos))
        for begin in range(0, len(images), 128):
            for left in range(0, len(videos), 256):
                rows = np.arange(begin, min(begin + 128, len(images)))
                bounds.quick(rows, columns[left : left + 256])

    timed("quick bounds of every pair", all_quick)
    effort = Effort()
    spent = [0.0]

    def score(image: int, video: int) -> float:
        began = time.perf_counter()
        found = best_start(judge.context(images[image], videos[video]))
        assert found is not None
        spent[0] += time.perf_counter() - began
        return found.score

    best = timed(
        f"the best {asked.top}, all in all",
        lambda: best_pairs(bounds, score, asked.top, effort=effort),
    )
    assert isinstance(best, list)
    print(f"{'of it exact scores':58} {spent[0]:8.2f} s")
    print(f"{'pairs bounded closely':58} {effort.close:8}")
    print(f"{'pairs scored exactly':58} {effort.exact:8}")
    print(f"{'scores, first to last':58} {best[0].score:8.2f} {best[-1].score:.2f}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak memory of the process':58} {memory:8.0f} MB")


if __name__ == "__main__":
    main()
