"""Items 9, 10 and 11: heads, companions, characters, and pictures with nobody in any dress."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from _media import (
    DATA,
    PAIRS,
    Lab,
    Row,
    at_least,
    at_most,
    compare,
    frames_of,
    pair_image,
    percentile,
    report,
    rolled,
    run_ffmpeg,
    shifted,
    subject_of,
    zoomed,
)
from PIL import Image

from wan_prep.evidence import Evidence, Observation, Subject
from wan_prep.findings import Severity
from wan_prep.geometry import Box, bounding_box, view_angles, wrap_deg
from wan_prep.measures.model import Measures
from wan_prep.pose import skeleton
from wan_prep.report.model import Report

HEADS = DATA / "heads"
COCO = DATA / "keypoints/coco"

# ------------------------------------------------------------------ 9: heads

HEAD_ZOOMS = (1.25, 1.6, 2.0, 2.5)
HEAD_SHIFTS = ((0.12, 0.0), (-0.12, 0.0), (0.0, 0.12), (0.06, -0.04))
HEAD_ROLLS = (-20.0, -10.0, 10.0, 20.0)
HEAD_TIMES = (Fraction(0), Fraction(3), Fraction(6))
REQUIRED = ("zoom_ratio", "offset_x", "offset_y", "yaw", "pitch", "roll", "view_angle", "shot")


@dataclass
class _Original:
    """A picture as it is, and what was seen in it."""

    name: str
    rgb: np.ndarray
    evidence: Evidence

    @property
    def face(self) -> Box:
        """Of the face, else of the head points, in shares of the picture; its middle if nobody was
        found."""
        subject = subject_of(self.evidence)
        if subject is None:
            return Box(0.25, 0.25, 0.75, 0.75)
        if subject.face is not None:
            return subject.face.box
        return bounding_box(subject.keypoints_xy[list(skeleton.HEAD)])

    @property
    def face_yaw(self) -> float | None:
        """The mesh's own."""
        subject = subject_of(self.evidence)
        return None if subject is None or subject.face is None else subject.face.yaw_deg


@dataclass
class _HeadErrors:
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    zoom: list[float] = field(default_factory=list)
    zoom_whole: list[float] = field(default_factory=list)
    """Of pictures that hold the whole face."""
    offset: list[float] = field(default_factory=list)
    roll: list[float] = field(default_factory=list)
    yaw: list[float] = field(default_factory=list)


def heads(lab: Lab) -> list[Row]:
    originals = list(_originals(lab))
    errors = _HeadErrors()
    for original in originals:
        _transformed(lab, original, errors)
    recognised = 1.0 - len(errors.lost) / max(errors.tried, 1)
    return [
        at_least(
            "9", "heads transformed: recognised, share", recognised, 1.0, lost=sorted(errors.lost)
        ),
        at_most("9", "heads: zoom error, median", percentile(errors.zoom, 50), 0.04),
        Row("9", "heads: zoom error, p90", percentile(errors.zoom, 90), "", None),
        Row(
            "9",
            "heads: zoom error with the whole face in frame, p90",
            percentile(errors.zoom_whole, 90),
            "",
            None,
        ),
        at_most("9", "heads: offset error, median", percentile(errors.offset, 50), 0.01),
        Row("9", "heads: offset error, p90", percentile(errors.offset, 90), "", None),
        at_most("9", "heads: roll error, median, deg", percentile(errors.roll, 50), 2.0),
        at_most("9", "heads: yaw against the mesh's own, median, deg", _median(errors.yaw), 5.0),
        *_head_identity(lab),
        *_heads_by_heads(lab, originals),
    ]


def _median(values: list[float]) -> float:
    return percentile(values, 50)


def _originals(lab: Lab) -> list[_Original]:
    found = []
    for path in sorted(HEADS.iterdir()):
        if path.suffix == ".png":
            rgb = np.asarray(Image.open(path).convert("RGB"))
            found.append(_Original(path.name, rgb, lab.seen(path, "image")))
        else:
            found += [
                _Original(f"{path.name} at {float(moment):g} s", rgb, lab.at(path, [moment]))
                for moment in HEAD_TIMES
                for _, rgb in frames_of(lab, path, [moment])
            ]
    return found


def _transformed(lab: Lab, original: _Original, errors: _HeadErrors) -> None:
    """Every known transform of one picture against the picture itself."""
    rgb, face = original.rgb, original.face
    height, width = rgb.shape[:2]
    center = (face.center[0] * width, face.center[1] * height)

    def look(what: str, picture: np.ndarray) -> Measures | None:
        errors.tried += 1
        image = lab.picture(picture)
        m = compare(image, original.evidence)
        if m is None or any(getattr(m, name) is None for name in REQUIRED):
            errors.lost.append(f"{original.name}: {what}")
            return None
        subject = subject_of(image)
        if subject is not None and subject.is_head and original.face_yaw is not None:
            assert subject.view_matrix is not None
            own = view_angles(subject.view_matrix).yaw
            errors.yaw.append(abs(wrap_deg(own - original.face_yaw)))
        return m

    for zoom in HEAD_ZOOMS:
        m = look(f"zoom {zoom:g}", zoomed(rgb, zoom, center))
        if m is not None and m.zoom_ratio is not None:
            error = abs(m.zoom_ratio / zoom - 1.0)
            errors.zoom.append(error)
            if max(face.width, face.height) * zoom <= 1.0:
                errors.zoom_whole.append(error)
    for dx, dy in HEAD_SHIFTS:
        m = look(f"shift {dx:g}, {dy:g}", shifted(rgb, dx, dy))
        if m is not None and m.offset_x is not None and m.offset_y is not None:
            errors.offset.append(float(np.hypot(m.offset_x - dx, m.offset_y - dy)))
    for roll in HEAD_ROLLS:
        m = look(f"roll {roll:g}", rolled(rgb, roll))
        if m is not None and m.roll is not None:
            errors.roll.append(abs(wrap_deg(m.roll - roll)))


def _head_identity(lab: Lab) -> list[Row]:
    """The first frame of each clip against the clip."""
    off: dict[str, list[float]] = {"zoom": [], "offset": [], "view": []}
    lost, found = [], []
    for path in sorted(HEADS.glob("*.mp4")):
        ((_, rgb),) = frames_of(lab, path, [Fraction(0)])
        result = report(lab.picture(rgb), lab.seen(path, "video"))
        found += [
            f"{path.name}: {f.code}"
            for f in result.findings
            if f.code.startswith(("WP3", "WP4")) and f.code not in ("WP307", "WP402", "WP403")
        ]
        m = result.measures.first
        if m.zoom_ratio is None or m.placement is None or m.view_angle is None:
            lost.append(path.name)
            continue
        off["zoom"].append(abs(m.zoom_ratio - 1.0))
        off["offset"].append(m.placement)
        off["view"].append(m.view_angle)
    return [
        at_most("9", "heads, identity: not measured", len(lost), 0, clips=lost),
        at_most("9", "heads, identity: zoom error, worst", _worst(off["zoom"]), 0.02),
        at_most("9", "heads, identity: offset, worst", _worst(off["offset"]), 0.005),
        at_most("9", "heads, identity: view angle, worst, deg", _worst(off["view"]), 4.0),
        at_most(
            "9",
            "heads, identity: framing and pose findings at first",
            len(found),
            0,
            findings=found,
        ),
    ]


def _worst(values: list[float]) -> float:
    return max(values, default=float("nan"))


def _heads_by_heads(lab: Lab, originals: Sequence[_Original]) -> list[Row]:
    """Every head as an image against every clip of one: what stays unknown."""
    unknown = {}
    for original in originals:
        image = lab.picture(original.rgb)
        for path in sorted(HEADS.glob("*.mp4")):
            result = report(image, lab.seen(path, "video"))
            if missing := unknown_measures(result):
                unknown[f"{original.name} image, {path.name} video"] = missing
    return [
        at_most(
            "9",
            "heads by heads: required measures unknown",
            sum(len(missing) for missing in unknown.values()),
            0,
            pairs=unknown,
        )
    ]


def unknown_measures(result: Report) -> list[str]:
    """Required measures without a value, and checks of required measures without an answer."""
    m = result.measures
    return [
        f"{at}.{name}"
        for at, measures in (("first", m.first), ("typical", m.typical))
        for name in REQUIRED
        if getattr(measures, name) is None
    ] + [
        f"{f.code} {f.name}"
        for f in result.findings
        if f.status == "inconclusive" and f.severity != Severity.INFO
    ]


# ------------------------------------------------------------------ 10: companions

LEAST_HEIGHT = 0.05
"""People of a smaller share of the picture's height are not asked for."""
REPLACE_CLIP = PAIRS / "wan22_replace/video.mp4"

# By eye: what shows of the man from behind at the left edge, and of the woman behind the stall
# (left, top, right, bottom, in shares of the picture), by the time of the frame in s.
BYSTANDERS: dict[str, tuple[Box, ...]] = {
    "1/24": (Box(0.000, 0.150, 0.103, 0.965), Box(0.120, 0.320, 0.207, 0.540)),
    "14/24": (Box(0.000, 0.165, 0.103, 0.965), Box(0.126, 0.325, 0.216, 0.540)),
    "28/24": (Box(0.000, 0.180, 0.100, 0.965), Box(0.116, 0.345, 0.206, 0.560)),
    "42/24": (Box(0.000, 0.190, 0.098, 0.965), Box(0.114, 0.360, 0.228, 0.570)),
    "55/24": (Box(0.000, 0.205, 0.093, 0.970), Box(0.107, 0.370, 0.214, 0.575)),
    "69/24": (Box(0.000, 0.205, 0.092, 0.970), Box(0.113, 0.370, 0.204, 0.575)),
    "83/24": (Box(0.000, 0.205, 0.092, 0.970), Box(0.108, 0.370, 0.198, 0.575)),
    "96/24": (Box(0.000, 0.205, 0.090, 0.970), Box(0.104, 0.370, 0.192, 0.575)),
    "110/24": (Box(0.000, 0.205, 0.087, 0.970), Box(0.106, 0.370, 0.191, 0.575)),
    "124/24": (Box(0.000, 0.205, 0.087, 0.970), Box(0.108, 0.370, 0.191, 0.575)),
    "137/24": (Box(0.000, 0.205, 0.087, 0.970), Box(0.106, 0.370, 0.191, 0.575)),
    "151/24": (Box(0.000, 0.205, 0.087, 0.970), Box(0.108, 0.370, 0.191, 0.575)),
}


def companions(lab: Lab) -> list[Row]:
    return [*_labelled_photographs(lab), *_bystanders(lab)]


def people_boxes(observation: Observation) -> list[Box]:
    """Everybody who was found, the subject first."""
    subject = observation.subject
    return [*([] if subject is None else [subject.box]), *observation.others]


def matched(
    labels: Sequence[Box], found: Sequence[Box], fits: Callable[[Box, Box], bool]
) -> dict[int, int]:
    """Label → box found, one to one, the closest first, of those that fit."""
    pairs = sorted(
        (
            (-label.iou(box), i, k)
            for i, label in enumerate(labels)
            for k, box in enumerate(found)
            if fits(label, box)
        ),
    )
    taken: dict[int, int] = {}
    for _, i, k in pairs:
        if i not in taken and k not in taken.values():
            taken[i] = k
    return taken


def _half_shared(label: Box, box: Box) -> bool:
    return label.iou(box) >= 0.5


def _labelled_photographs(lab: Lab) -> list[Row]:
    truth = json.loads((COCO / "test_coco.json").read_text())
    hits = misses = false = 0
    per_picture = {}
    for picture in truth["images"]:
        (observation,) = lab.seen(COCO / picture["file_name"], "image").observations
        found = [b for b in people_boxes(observation) if b.height >= LEAST_HEIGHT]
        asked, ignored = [], []
        for entry in truth["annotations"]:
            if entry["image_id"] == picture["id"]:
                x, y, width, height = entry["bbox"]
                box = Box(x, y, x + width, y + height)
                box = box.scaled(1.0 / picture["width"], 1.0 / picture["height"])
                small = box.height < LEAST_HEIGHT
                (ignored if small or not entry["num_keypoints"] else asked).append(box)
        taken = matched(asked, found, _half_shared)
        rest = [box for k, box in enumerate(found) if k not in taken.values()]
        unasked = len(matched(ignored, rest, _half_shared))
        own = (len(taken), len(asked) - len(taken), len(rest) - unasked)
        per_picture[picture["file_name"]] = dict(
            zip(("found", "missed", "false"), own, strict=True)
        )
        hits, misses, false = hits + own[0], misses + own[1], false + own[2]
    f1 = 2.0 * hits / max(2 * hits + misses + false, 1)
    return [at_least("10", "people of labelled photographs, F1", f1, 0.9, per_picture=per_picture)]


def _bystanders(lab: Lab) -> list[Row]:
    """The share of the bystanders that a person sees in the clip who are among the others."""
    evidence = lab.seen(REPLACE_CLIP, "video")
    seen, asked, missed = 0, 0, []
    for when, labels in BYSTANDERS.items():
        time = Fraction(when)
        nearest = min(evidence.observations, key=lambda o: abs(o.time - time))
        taken = matched(labels, nearest.others, _about_there)
        seen, asked = seen + len(taken), asked + len(labels)
        missed += [
            f"{'man' if i == 0 else 'woman'} at {float(time):.2f} s"
            for i in range(len(labels))
            if i not in taken
        ]
    return [
        at_least("10", "bystanders of the replace clip, share", seen / asked, 0.9, missed=missed)
    ]


def _about_there(label: Box, box: Box) -> bool:
    x, y = box.center
    inside = label.left <= x <= label.right and label.top <= y <= label.bottom
    return inside or label.iou(box) >= 0.3


# ------------------------------------------------------------------ 11: characters, and nobody

CLIP_TIMES = tuple(Fraction(k, 2) for k in range(13))


def characters(lab: Lab) -> list[Row]:
    rows = []
    figures: list[tuple[str, Subject | None]] = [
        (name, subject_of(lab.seen(pair_image(name), "image")))
        for name in ("animatex_2", "animatex_3", "animatex_4", "wan22_animate", "wan22_replace")
    ]
    clip = lab.at(REPLACE_CLIP, list(CLIP_TIMES))
    figures += [(f"replace clip at {float(o.time):.2f} s", o.subject) for o in clip.observations]
    rows.append(_recognised("shared characters recognised, share", figures, 0.9))
    rabbit = lab.seen(DATA / "absent/cartoon_rabbit.mp4", "video")
    rows.append(
        Row(
            "11",
            "cartoon rabbit: found, share of samples",
            len(rabbit.found) / max(len(rabbit.observations), 1),
            "",
            None,
        )
    )
    drawn = [(name, subject_of(lab.picture(rgb))) for name, rgb in drawn_figures().items()]
    rows.append(_recognised("drawn figures recognised, share", drawn, None))
    return [*rows, *_nobody(lab)]


def _recognised(
    what: str, figures: Sequence[tuple[str, Subject | None]], least: float | None
) -> Row:
    missed = [name for name, subject in figures if subject is None]
    heads_alone = [name for name, subject in figures if subject is not None and subject.is_head]
    share = 1.0 - len(missed) / len(figures)
    if least is None:
        return Row("11", what, share, "", None, {"missed": missed, "heads alone": heads_alone})
    return at_least("11", what, share, least, missed=missed, heads_alone=heads_alone)


def drawn_figures() -> dict[str, np.ndarray]:
    """Cartoons of a few strokes each: head with face, trunk, arms and legs."""
    return {
        "arms down": _drawn(),
        "arms out": _drawn(arms_deg=(90.0, 90.0)),
        "waving": _drawn(arms_deg=(20.0, 150.0)),
        "large head": _drawn(head=0.135),
        "robed": _drawn(robe=True),
        "green skin": _drawn(skin=(120, 190, 110), arms_deg=(60.0, 60.0)),
        "close": _drawn(enlarged=1.8),
    }


def _drawn(
    *,
    head: float = 0.075,
    arms_deg: tuple[float, float] = (15.0, 15.0),
    skin: tuple[int, int, int] = (240, 200, 170),
    robe: bool = False,
    enlarged: float = 1.0,
) -> np.ndarray:
    """(720, 720, 3) RGB. head: its radius as a share of the height; arms_deg: of the person's right
    and left arm, away from hanging down."""
    side = 720
    rgb = np.full((side, side, 3), (205, 225, 235), np.uint8)
    rgb[int(0.86 * side) :] = (150, 180, 130)
    shirt, trousers, hair, line = (190, 60, 60), (50, 70, 130), (70, 45, 30), (30, 30, 30)

    def px(x: float, y: float) -> tuple[int, int]:
        return (
            round((0.5 + enlarged * (x - 0.5)) * side),
            round((0.3 + enlarged * (y - 0.3)) * side),
        )

    def wide(share: float) -> int:
        return max(1, round(share * enlarged * side))

    def limb(a: tuple[float, float], b: tuple[float, float], width: float, colour: object) -> None:
        cv2.line(rgb, px(*a), px(*b), colour, wide(width), cv2.LINE_AA)

    chin = 0.29
    for sign in (-1, 1):
        if not robe:
            limb((0.5 + 0.045 * sign, 0.56), (0.5 + 0.05 * sign, 0.87), 0.055, trousers)
        limb((0.5 + 0.05 * sign, 0.885), (0.5 + 0.085 * sign, 0.89), 0.035, line)
    hem = 0.88 if robe else 0.58
    spread = 0.16 if robe else 0.085
    trunk = [(0.40, 0.33), (0.60, 0.33), (0.5 + spread, hem), (0.5 - spread, hem)]
    cv2.fillPoly(rgb, [np.array([px(*p) for p in trunk])], shirt, cv2.LINE_AA)
    for sign, angle in zip((-1, 1), np.radians(arms_deg), strict=True):
        shoulder = (0.5 + 0.10 * sign, 0.345)
        hand = (shoulder[0] + 0.24 * sign * np.sin(angle), shoulder[1] + 0.24 * np.cos(angle))
        limb(shoulder, hand, 0.05, shirt)
        cv2.circle(rgb, px(*hand), wide(0.028), skin, -1, cv2.LINE_AA)
    limb((0.5, 0.34), (0.5, chin), 0.045, skin)
    y = chin - 0.9 * head
    cv2.circle(rgb, px(0.5, y - 0.12 * head), wide(1.08 * head), hair, -1, cv2.LINE_AA)
    axes = (wide(0.88 * head), wide(head))
    cv2.ellipse(rgb, px(0.5, y + 0.1 * head), axes, 0, 0, 360, skin, -1, cv2.LINE_AA)
    for sign in (-1, 1):
        eye = px(0.5 + 0.36 * head * sign, y)
        cv2.ellipse(rgb, eye, (wide(0.2 * head), wide(0.15 * head)), 0, 0, 360, (255, 255, 255), -1)
        cv2.circle(rgb, eye, wide(0.1 * head), line, -1, cv2.LINE_AA)
        limb(
            (0.5 + 0.18 * head * sign, y - 0.32 * head),
            (0.5 + 0.56 * head * sign, y - 0.34 * head),
            0.09 * head,
            hair,
        )
    limb((0.5, y + 0.1 * head), (0.5 + 0.06 * head, y + 0.36 * head), 0.06 * head, line)
    smile = (wide(0.3 * head), wide(0.14 * head))
    cv2.ellipse(
        rgb, px(0.5, y + 0.6 * head), smile, 0, 0, 180, (170, 40, 50), wide(0.1 * head), cv2.LINE_AA
    )
    return rgb


ABSENT_TIMES = (Fraction(0), Fraction(2), Fraction(4))
DRESSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda rgb: rgb,
    "mirrored": lambda rgb: np.ascontiguousarray(rgb[:, ::-1]),
    "at half its size": lambda rgb: cv2.resize(
        rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    ),
    "as JPEG 40": lambda rgb: cv2.imdecode(
        cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR
    ),
}
CLIP_DRESSES = {
    "mirrored": ("-vf", "hflip", "-crf", "18"),
    "at half its size": ("-vf", "scale=trunc(iw/4)*2:trunc(ih/4)*2", "-crf", "18"),
    "compressed": ("-crf", "36"),
}


def _nobody(lab: Lab) -> list[Row]:
    """Animals and things, as stills and clips in every dress."""
    pictures, seen = 0, []
    for name, rgb in _absent_pictures(lab):
        for dress, change in DRESSES.items():
            pictures += 1
            (observation,) = lab.picture(change(rgb)).observations
            if people_boxes(observation):
                seen.append(f"{name} {dress}")
    clips = []
    for path in _absent_clips():
        for dress, arguments in CLIP_DRESSES.items():
            other = lab.folder / f"{path.stem}-{dress.replace(' ', '-')}.mp4"
            run_ffmpeg("-i", path, "-an", *arguments, other)
            evidence = lab.seen(other, "video")
            found = sum(bool(people_boxes(o)) for o in evidence.observations)
            if found:
                clips.append(f"{path.name} {dress}: {found} of {len(evidence.observations)}")
    return [
        at_most("11", f"somebody in {pictures} pictures of nobody", len(seen), 0, pictures=seen),
        at_most("11", "clips of nobody, in other dresses, with somebody", len(clips), 0, at=clips),
    ]


def _absent_clips() -> list[Path]:
    return sorted(p for p in (DATA / "absent").glob("*.mp4") if "rabbit" not in p.name)


def _absent_pictures(lab: Lab) -> list[tuple[str, np.ndarray]]:
    stills = [
        (path.name, np.asarray(Image.open(path).convert("RGB")))
        for path in sorted((DATA / "absent").iterdir())
        if path.suffix in (".jpg", ".png")
    ]
    return stills + [
        (f"{path.name} at {float(time):.2f} s", rgb)
        for path in _absent_clips()
        for time, rgb in frames_of(lab, path, list(ABSENT_TIMES))
    ]
