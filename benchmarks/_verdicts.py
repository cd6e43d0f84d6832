"""Items 5 and 7: working pairs pass, bad ones fail with the right code, crosses rank below."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from _media import (
    DATA,
    Lab,
    Row,
    frames_of,
    pair_image,
    pair_names,
    pair_video,
    report,
    subject_of,
    zoomed,
)

from wan_prep.evidence import Evidence


def working_pairs(lab: Lab) -> list[Row]:
    rows = []
    for name in pair_names():
        mode = "replace" if name == "wan22_replace" else "animate"
        result = report(
            lab.seen(pair_image(name), "image"), lab.seen(pair_video(name), "video"), mode
        )
        reasons = [f"{f.code} {f.name}" for f in (*result.errors, *result.warnings)]
        rows.append(
            Row(
                "5",
                f"{name}: {result.verdict}",
                result.score,
                "ready or risky",
                result.verdict != "not_ready",
                {"reasons": reasons},
            )
        )
    return rows


def bad_pairs(lab: Lab) -> list[Row]:
    rows = []
    name = "mimicmotion_fb0"
    image = lab.seen(pair_image(name), "image")

    def must_fail(what: str, image: Evidence, video: Evidence, code: str) -> None:
        result = report(image, video)
        named = [f.code for f in result.errors]
        rows.append(
            Row(
                "7",
                f"{what}: {result.verdict}",
                result.score,
                f"not_ready, {code}",
                result.verdict == "not_ready" and code in named,
                {"errors": named},
            )
        )

    must_fail(
        "a clip in which nobody appears", image, lab.seen(DATA / "absent/dog.mp4", "video"), "WP502"
    )
    must_fail(
        "an undecodable clip",
        image,
        lab.seen(DATA / "robustness/same_clip/garbage.mp4", "video"),
        "WP102",
    )
    video = lab.seen(pair_video(name), "video")
    info = video.video_info
    assert info is not None
    long = video.model_copy(update={"info": info.model_copy(update={"duration": Fraction(121)})})
    must_fail("over 120 s", image, long, "WP601")
    ((_, rgb),) = frames_of(lab, pair_video(name), [Fraction(0)])
    subject = subject_of(video)
    assert subject is not None
    nose = subject.keypoints_xy[0] * (rgb.shape[1], rgb.shape[0])
    for zoom in (4.0, 7.0):
        must_fail(
            f"face alone against full body, {zoom:.0f} times",
            lab.picture(zoomed(rgb, zoom, (float(nose[0]), float(nose[1])))),
            video,
            "WP301",
        )
    back = next(
        o
        for o in reversed(video.found)
        if o.subject is not None
        and o.subject.view_matrix is not None
        and (o.subject.view_matrix.T @ (0.0, 0.0, -1.0))[2] < -0.85
    )
    ((_, rgb_back),) = frames_of(lab, pair_video(name), [back.time])
    must_fail("back against front", lab.picture(rgb_back), video, "WP304")
    rows += crosses(lab)
    return rows


def crosses(lab: Lab) -> list[Row]:
    """Every image with every other pair's video: shipped pairs against crosses that differ."""
    shipped, crossed, confusions = [], [], []
    for a, b in itertools.product(pair_names(), repeat=2):
        image, video = lab.seen(pair_image(a), "image"), lab.seen(pair_video(b), "video")
        result = report(image, video)
        if a == b:
            shipped.append((result.score, a))
            continue
        m = result.measures.first
        shots = m.shot is not None and m.shot.image != m.shot.video
        if shots or (m.view_angle or 0.0) > 45.0:
            crossed.append((result.score, f"{a} image, {b} video"))
    wins = [(s > c) + 0.5 * (s == c) for s, _ in shipped for c, _ in crossed]
    worst = min(shipped)
    confusions = [
        f"{text} {score:.1f}" for score, text in sorted(crossed, reverse=True) if score > worst[0]
    ]
    return [
        Row(
            "7",
            "AUC of the score, shipped pairs against differing crosses",
            float(np.mean(wins)),
            "",
            None,
            {
                "shipped": len(shipped),
                "crosses": len(crossed),
                "crosses above the worst shipped pair": confusions,
                "worst shipped pair": f"{worst[1]} {worst[0]:.1f}",
            },
        ),
    ]
