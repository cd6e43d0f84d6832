from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from wan_prep.geometry import Box
from wan_prep.planning.model import Plan, Span
from wan_prep.report.model import Report
from wan_prep.stills import Still
from wan_prep.visual.series import context_of
from wan_prep.visual.timeline_tracks import Mark, Timeline, timeline

Check = Callable[..., Report]


def of(report: Report, plan: Plan | None = None, thumbnails: tuple[Still, ...] = ()) -> Timeline:
    made = timeline(report, context_of(report), thumbnails, plan)
    assert made is not None
    return made


def test_nothing_seen_nothing_drawn(check: Check, make: Any) -> None:
    for video in (make.unreadable("video"), make.video([])):
        report = check(video=video)
        assert timeline(report, context_of(report), (), None) is None


def test_a_pair_that_matches(check: Check, still: Callable[..., Still]) -> None:
    t = of(check(), thumbnails=(still(),))
    assert (t.axis.start_s, t.axis.end_s) == (0.0, 8.0)
    assert [track.name for track in t.tracks] == ["Pose distance", "Zoom", "View", "Face size"]
    assert all(track.is_measured for track in t.tracks)
    assert [track.span for track in t.tracks] == ["0°", "1.00×", "0°", "115 px"]
    assert t.tracks[1].tolerance.startswith("fine to 1.08×, warning from")
    assert len(t.cells) == len(t.said) == 16
    assert t.said[1] == "0.50 s: pose 0° away, zoom 1.00×, view 0° away, face 115 px"
    assert (t.presence, t.people, t.people_most) == ("in 100% of the clip", "at most 1", 1)
    assert (t.marks, t.cuts, t.best, t.kept, t.gone) == ((), (), None, (), [])
    assert len(t.thumbnails) == 1


def test_a_part_of_a_clip_has_its_own_axis(check: Check, make: Any) -> None:
    video = make.video(evidence={"start": Fraction(2), "end": Fraction(6)})
    kept = tuple(o for o in video.observations if 2 <= o.time < 6)
    t = of(check(video=video.model_copy(update={"observations": kept})))
    assert (t.axis.start_s, t.axis.end_s) == (2.0, 6.0)
    assert t.cells[0].left == 0.0


def test_findings_stand_where_they_happen(check: Check, make: Any) -> None:
    # Nobody from 4 s on; another person at 1 s; a cut at 2 s; the first frame shows another view.
    turned = make.body(make.turned("y", 70.0))
    subjects = [turned, *["adult"] * 7, *[None] * 8]
    video = make.video(
        subjects, others={2: [Box(0.0, 0.0, 0.9, 0.9)]}, evidence={"cuts": (Fraction(2),)}
    )
    t = of(check(video=video))
    rows = {row.codes[0]: row for row in t.marks}
    (absent,) = rows["WP503"].marks
    assert (absent.left, absent.width) == (0.5, 0.5)
    assert absent.title.startswith("4.00 to 8.00 s: nobody is recognised in")
    assert rows["WP503"].name == "person-absent-in-part"
    (swap,) = rows["WP507"].marks
    assert (swap.left, swap.width) == (0.125, 0.0)
    assert swap.title.startswith("1.00 s: the model follows the largest person")
    assert rows["WP304"].marks == (Mark(0.0, 0.0, rows["WP304"].marks[0].title),)
    assert t.cuts == ((0.25, "cut at 2.00 s"),)
    assert t.best is not None
    assert t.best[1] == "best start, 0.50 s"
    assert t.people_most == 2
    assert t.said[2].endswith(", 2 people")
    assert t.said[-1] == "7.50 s: the person is not recognised"


def test_findings_that_say_the_same_share_a_row(check: Check, make: Any) -> None:
    t = of(check(video=make.video([None, "adult", "adult", "adult"])))
    row = next(row for row in t.marks if "WP301" in row.codes)
    assert set(row.codes) >= {"WP301", "WP302", "WP303", "WP304", "WP305", "WP306", "WP401"}


def test_what_a_plan_keeps(check: Check, planned: Callable[..., Plan]) -> None:
    report = check()
    plan = planned(report)
    t = of(report, plan)
    assert [(k.left, k.right) for k in t.kept] == [(0.125, 0.8)]
    assert t.kept[0].words == "driving.mp4: 1.00 to 6.40 s"
    assert t.gone == [(0.0, 0.125), (0.8, 1.0)]
    spans = tuple(Span(name=f"driving-0{k}.mp4", start=4 * k, end=4 * k + 4) for k in range(2))
    whole = plan.model_copy(update={"video": plan.video.model_copy(update={"spans": spans})})
    assert of(report, whole).gone == []


def test_lanes_that_were_not_measured(check: Check, make: Any) -> None:
    t = of(check(make.image(None)))
    assert [track.is_measured for track in t.tracks] == [False, False, False, True]
    assert t.tracks[0].span == "not measured"
