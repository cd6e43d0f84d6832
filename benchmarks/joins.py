"""How long a pair takes whose two files were looked at before: the join of two pieces of evidence.

    python benchmarks/joins.py [IMAGE CLIP] [--times 20]

The image is held against every sample of the clip, and every sample is judged as a start. Prints
the median in ms of CPU time: of the first pair that evidence is in, and of every further one, for
which what one side alone shows is known. One process, one core; `fixtures/` unless told.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import wan_prep
from wan_prep import api
from wan_prep.evidence import Evidence

FIXTURES = Path(__file__).parents[1] / "fixtures"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", nargs="?", type=Path, default=FIXTURES / "reference.png")
    parser.add_argument("clip", nargs="?", type=Path, default=FIXTURES / "driving.mp4")
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    with api.network() as network:
        image = wan_prep.observe(given.image, kind="image", estimator=network)
        clip = wan_prep.observe(given.clip, kind="video", estimator=network)
    wan_prep.check(image, clip)
    again = [check_ms(image, clip) for _ in range(given.times)]
    first = [check_ms(image.changed(), clip.changed()) for _ in range(given.times)]
    print(f"{len(clip.found)} samples with somebody in them")
    print(f"first pair of its evidence: {median(first):.1f} ms")
    print(f"every further one: {median(again):.1f} ms")


def check_ms(image: Evidence, clip: Evidence) -> float:
    begun = time.process_time()
    wan_prep.check(image, clip)
    return 1000.0 * (time.process_time() - begun)


if __name__ == "__main__":
    main()
