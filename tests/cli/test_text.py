"""The words of the command line, letter by letter, for a report written out by hand."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from wan_prep import api
from wan_prep.cli import run
from wan_prep.evidence import Evidence
from wan_prep.report.model import Report
from wan_prep.report.text import printable

OUTPUT = {
    "width": 624, "height": 624, "bars_px": 0, "segments": 1, "frames": 77, "fps": 30.0,
    "duration_s": 2.5667, "segments_most": 1, "segment_frames": 77, "segment_overlap": 1,
    "segment_overlap_most": 5, "filler_frames": 0, "person_ratio": 0.8, "person_from": "video",
}  # fmt: skip
SHOT = {"image": "full", "video": "half"}
FIRST = {
    "zoom_ratio": 0.96,
    "offset_x": 0.0,
    "offset_y": -0.047,
    "view_angle": 6.2,
    "yaw": -5.9,
    "pitch": 2.1,
    "roll": -1.0,
    "shot": SHOT,
    "pose_angle": 12.3,
    "aspect_gap": 1.25,
}


def finding(code: str, severity: str, message: str, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = dict.fromkeys(("measured", "limit", "unit", "span_s", "fix"))
    facts |= {"code": code, "name": "a-problem", "severity": severity, "status": "fail"}
    return facts | {"subject": "pair", "message": message, "source": "seed"} | changes


FINDINGS = [
    finding("WP201", "warning", "the image is 1.000:1 wide and the video 0.800:1; in animate mode "
            "the image decides the result's shape",
            fix={"applicability": "safe", "title": "crop and pad both to one ratio"}),
    finding("WP301", "warning", "nobody could be measured", status="inconclusive"),
    finding("WP401", "warning", "nobody could be measured", status="inconclusive"),
    *(finding(f"WP60{k}", "info", f"note {k}") for k in range(1, 8)),
]  # fmt: skip


def report(**changes: Any) -> Report:
    facts: dict[str, Any] = {
        "tool": {"name": "wan-prep", "version": "0.0"},
        "profile": {"name": "wan22_animate", "version": "1", "sha256": "a" * 64},
        "pose_model": {"name": "fake", "sha256": "b" * 64},
        "mode": "animate",
        "resolution": "480p",
        "verdict": "risky",
        "score": 93.65,
        "score_at_best_start": 95.0,
        "scores": {"media": 1.0, "aspect": 0.728, "framing": 0.05, "pose": None, "subject": 0.3,
                   "clip": 1.0},
        "image": {"path": "hero.png", "width": 520, "height": 520, "format": "PNG"},
        "video": {"path": "dance.mp4", "width": 416, "height": 520, "duration_s": 2.5667,
                  "fps": 29.97, "is_vfr": True, "codec": "h264", "container": "mp4",
                  "rotation_deg": 90, "has_audio": False},
        "subject": {"image": {"found": True}, "video": {"found": True, "presence": 1.0}},
        "measures": {"first": FIRST, "typical": {"zoom_ratio": 1.0}, "best": FIRST},
        "best_start_s": 2.4,
        "cuts_s": (),
        "output": OUTPUT,
        "findings": FINDINGS,
        "passed": ("WP101", "WP102"),
        "not_applicable": (),
        "deselected": ("WP601",),
        "cost": {"seconds": 5.0, "usd_low": 0.2, "usd_high": 0.2},
    }  # fmt: skip
    return Report.model_validate(facts | changes)


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: Report,
          *options: str) -> str:  # fmt: skip
    monkeypatch.setattr(api, "check", lambda *_, **__: given)
    run(["check", "hero.png", "dance.mp4", *options])
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith("\n")
    assert not [line for line in out.splitlines() if line != line.rstrip()]
    return out


def test_whom_a_file_was_looked_at_for_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = shown(monkeypatch, capsys, report())
    assert "looked at for" not in plain
    subject = {"image": {"found": True}, "video": {"found": True, "presence": 1.0, "person": 2}}
    out = shown(monkeypatch, capsys, report(subject=subject))
    assert out.split() != plain.split()
    assert "looked at for the person 2" in " ".join(out.split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bars_px": 28}, "size 624 × 624 px, 28 px of black bars"),
        ({"frames": 1, "duration_s": 0.0333}, "length 0.03 s: 1 frame at 30 fps"),
        (
            {"segments": 4, "segments_most": 4, "filler_frames": 65},
            "rendered in 4 segments of 77 frames that share 1 or 5; 65 frames more than the clip "
            "has are rendered and cut off",
        ),
        (
            {"segments": 48, "segments_most": 50, "filler_frames": 1},
            "rendered in 48 to 50 segments of 77 frames that share 1 or 5; 1 frame more than the "
            "clip has is rendered and cut off",
        ),
        ({"person_ratio": 1.04}, "person about as large as in the video, by the picture's height"),
        (
            {"person_ratio": 1.7, "person_from": "image"},
            "person 1.70 times as large as in the video, by the picture's height, if the result "
            "follows the image's framing, as users report of such models",
        ),
        (
            {"person_ratio": None, "person_from": "image"},
            "person not known: their size in image and video could not be compared",
        ),
    ],
)
def test_what_comes_out(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    words: str,
) -> None:
    out = shown(monkeypatch, capsys, report(output=OUTPUT | changes))
    assert words in " ".join(out.split())


def test_what_to_ask_an_image_editor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fix = {"applicability": "manual", "title": "use another picture", "prompt": "Turn\x1b[2J. Keep"}
    given = report(findings=[finding("WP304", "error", "seen from behind", fix=fix)])
    out = shown(monkeypatch, capsys, given)
    assert "→ use another picture (by hand)\n" in out
    assert "→ or ask an image editor: “Turn\\x1b[2J. Keep”\n" in out


def test_what_a_report_of_before_does_not_tell_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {"width": 624, "height": 624, "bars_px": 0, "segments": 2}
    out = " ".join(shown(monkeypatch, capsys, report(output=old)).split())
    assert "no bars rendered in 2 segments predicted" in out


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


EXPECTED = """\
RISKY  93.7 of 100: it may work; read the warnings before you pay
animate, 480p; $0.20 for 5.0 billed seconds; 95.0 if the clip began at 2.40 s

What to do about it, in order of effect
  WP201 warning the image is 1.000:1 wide and the video 0.800:1; in animate mode
                the image decides the result's shape
                → crop and pad both to one ratio (fix can do it)
  WP301 unknown nobody could be measured
  WP401

Worth knowing
  WP601 info note 1
  WP602 info note 2
  WP603 info note 3
  WP604 info note 4
  WP605 info note 5
  and 2 more, shown by -v

Scores
  media      100.0  ████████████████████
  aspect      72.8  ███████████████
  framing      5.0  █
  pose     unknown
  subject     30.0  ██████
  clip       100.0  ████████████████████

Image against video
                                         first  typical  best (2.40 s)
  zoom (larger in the image: > 1)         0.96     1.00           0.96
  placement, right +                     +0.0%        –          +0.0%
  placement, down +                      -4.7%        –          -4.7%
  view angle                                6°        –             6°
    turned                                 -6°        –            -6°
    tipped                                 +2°        –            +2°
    leaning                                -1°        –            -1°
  pose angle                               12°        –            12°
  shot                             full / half        –    full / half
  aspect gap                             1.250

What comes out
  size         624 × 624 px, no bars
  length       2.57 s: 77 frames at 30 fps
  rendered in  1 segment of 77 frames
  person       0.80 times as large as in the video, by the picture's height: the
               video is fitted into the image's shape
  predicted, if the service runs the official preprocessing (wan source)

Files
  image  hero.png
         520 × 520, PNG
  video  dance.mp4
         416 × 520, 2.57 s, 29.97 fps, variable, h264 in mp4, silent, turned 90°
         by metadata

wan-prep explain CODE says more of each check.
"""


def test_a_report_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = shown(monkeypatch, capsys, report())
    assert out == EXPECTED
    assert max(map(len, out.splitlines())) <= 80


def test_verbose_adds_notes_and_checks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(monkeypatch, capsys, report(), "-v")
    assert "note 7" in out
    assert "and 2 more" not in out
    assert "passed: WP101, WP102\n  not applicable: none\n  deselected: WP601\n" in out


def test_quiet_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(monkeypatch, capsys, report(), "-q") == "risky 93.65\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("LANG", "C")])
def test_no_escape_codes_outside_a_terminal(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = shown(monkeypatch, capsys, report())
    monkeypatch.setenv(name, value)
    assert shown(monkeypatch, capsys, report()) == plain
    assert "\x1b" not in plain


@pytest.mark.parametrize("columns", ["-5", "0", "1", "39", "40", "many", "500"])
def test_any_width_is_survived(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = shown(monkeypatch, capsys, report())
    assert "RISKY" in out
    assert "WP401" in out
    assert max(map(len, out.splitlines())) <= max(80, int(columns) if columns == "500" else 0)


def test_an_unreadable_pair(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty: dict[str, Any] = {"first": {}, "typical": {}, "best": {}}
    given = report(
        verdict="not_ready", image={"path": "a"}, video={"path": "b"}, output=None, cost=None,
        measures=empty, best_start_s=None, score_at_best_start=None, findings=[],
    )  # fmt: skip
    out = shown(monkeypatch, capsys, given)
    assert out.startswith("NOT READY  ")
    assert out.count("not readable") == 2


HOSTILE = [
    "a\nb.png", "\x1b[31mred\x1b]0;title\x07.png", "[red]x[/red].png", "[link=x]y[/link]",
    "\u202egpj.exe", "\r\x08\x7f\x9b", "bad\udcff.png", ":smile:", "tab\there", "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE, ids=lambda p: p[:12].encode("unicode_escape").decode())
def test_hostile_names_are_printed_inertly(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "\udcff" in path:
        given = report().model_copy(
            update={"image": report().image.model_copy(update={"path": path})}
        )
    else:
        given = report(image={"path": path}, findings=[finding("WP101", "error", f"see {path}")])
    out = shown(monkeypatch, capsys, given)
    assert all(character.isprintable() for character in out.replace("\n", ""))
    inert = printable(path)
    assert inert.isprintable()
    assert inert.replace(" ", "") in "".join(out.split()), "shown whole, if wrapped"


def test_a_name_without_controls_is_shown_as_it_is() -> None:
    assert printable("Zoë – 測試 [x].png") == "Zoë – 測試 [x].png"
    assert printable("") == ""


def test_long_paths_are_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = "/".join(["a folder with a rather long name"] * 6) + "/hero.png"
    given = report(image={"path": path, "width": 520, "height": 520, "format": "PNG"})
    out = shown(monkeypatch, capsys, given)
    assert max(map(len, out.splitlines())) <= 80
    assert path.replace(" ", "") in "".join(out.split())


def in_ascii(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What a terminal without UTF-8 is sent."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    run(list(arguments))
    stream.flush()
    return stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]


def test_a_report_without_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(api, "check", lambda *_, **__: report())
    out = in_ascii(monkeypatch, "check", "hero.png", "dance.mp4")
    assert "?" not in out
    assert out == EXPECTED.translate(str.maketrans("█→×°–", "#>x -")).replace(" \n", "\n")


# ------------------------------------------------------------------ inspect


@pytest.fixture
def clip(make: Any) -> Evidence:
    """8 s: the person doubles in size from 500 to 1000 px a metre, and is gone for a second."""
    sizes = [500.0] * 6 + [700.0] * 4 + [1000.0] * 4
    seen = [make.subject(px_per_m=size) for size in sizes]
    video: Evidence = make.video([*seen, None, None], is_vfr=True)
    return video


# A column is 1/8 s: the sizes change at 2.75 and 4.75 s, the person is gone from 6.75 s on.
TIMELINE = f"""
Along the clip
  present  {"█" * 54}{"·" * 6}
  zoom     {"▁" * 22}{"▅" * 16}{"█" * 16}
           0.00 s{" " * 48}7.50 s
  zoom: 0.71 to 1.43 times the person's median size

Findings
"""


def test_a_timeline_of_blocks(
    clip: Evidence, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(api, "observe", lambda *_, **__: clip)
    run(["inspect", "dance.mp4"])
    assert TIMELINE in capsys.readouterr().out


def test_a_timeline_without_utf_8(clip: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(api, "observe", lambda *_, **__: clip)
    out = in_ascii(monkeypatch, "inspect", "dance.mp4")
    assert "?" not in out
    assert TIMELINE.translate(str.maketrans("█·▁▅", "#..+")) in out


@pytest.mark.parametrize("columns", ["1", "40", "500"])
def test_a_timeline_fits_any_width(
    columns: str, clip: Evidence, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(api, "observe", lambda *_, **__: clip)
    run(["inspect", "dance.mp4"])
    out = capsys.readouterr().out
    lines = out[out.index("Along") : out.index("Findings")].splitlines()
    assert max(map(len, lines)) == (40 if columns != "500" else 71)
    assert lines[1].startswith("  present  █")


def test_nobody_and_one_frame_alone(
    make: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "observe", lambda *_, **__: make.video([None] * 4))
    run(["inspect", "dance.mp4"])
    out = capsys.readouterr().out
    assert f"  present  {'·' * 60}\n  zoom\n" in out
    monkeypatch.setattr(api, "observe", lambda *_, **__: make.video(["adult"]))
    run(["inspect", "dance.mp4"])
    assert "Along the clip" not in capsys.readouterr().out
