from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wan_prep.analyzers import BY_CODE
from wan_prep.errors import ProfileError
from wan_prep.profile import Tolerance, default_profile, load_profile

PROFILE = default_profile()


def tolerance(fine: float, worthless: float) -> Tolerance:
    return Tolerance(fine=fine, worthless=worthless, unit="px", source="here")


def profile_file(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ------------------------------------------------------------------ the curve


def test_the_curve_worked_by_hand() -> None:
    # fine 1, worthless 19: the slope is 2, the middle sqrt(19); 1 / (1 + x² / 19).
    figures = tolerance(1.0, 19.0)
    assert figures.score(2.0) == pytest.approx(19.0 / 23.0)
    assert figures.score(1.0) == pytest.approx(0.95, abs=1e-12)
    assert figures.score(19.0) == pytest.approx(0.05, abs=1e-12)
    assert figures.score(math.sqrt(19.0)) == pytest.approx(0.5, abs=1e-12)
    assert figures.score(0.0) == 1.0
    assert figures.score(190.0) == pytest.approx(1.0 / 1901.0)
    assert figures.score(5e-324) == 1.0  # the least number there is has a logarithm, too


# Where much is bad the ratio is above 1, where little is, below it.
anchors = st.builds(
    lambda fine, ratio, falls: tolerance(fine, fine * (1.0 / ratio if falls else ratio)),
    fine=st.floats(0.001, 1e3),
    ratio=st.floats(1.5, 1e3),
    falls=st.booleans(),
)


@given(figures=anchors, a=st.floats(-3.0, 3.0), step=st.floats(0.01, 2.0))
def test_worse_is_strictly_worse(figures: Tolerance, a: float, step: float) -> None:
    """From a thousandth of the way beyond `fine` to as far beyond `worthless`."""
    ratio = figures.worthless / figures.fine
    middle = math.sqrt(figures.fine * figures.worthless)
    better, worse = (figures.score(middle * ratio**x) for x in (a, a + step))
    assert 0.0 < worse < better <= 1.0


@given(st.floats(0, 1e12), st.floats(0.001, 1e3), st.floats(0.001, 1e3))
def test_no_score_is_ever_zero_or_above_one(measured: float, fine: float, worthless: float) -> None:
    assume(abs(math.log(fine / worthless)) > 0.01)
    assert 0.0 < tolerance(fine, worthless).score(measured) <= 1.0


@given(figures=anchors, score=st.floats(0.001, 0.999))
def test_measured_at_is_the_inverse(figures: Tolerance, score: float) -> None:
    assert figures.score(figures.measured_at(score)) == pytest.approx(score, rel=1e-9)


def test_where_small_is_bad_the_curve_rises() -> None:
    face = PROFILE.tolerances["face_px"]
    assert face.worthless < face.fine
    assert face.score(face.fine) == pytest.approx(0.95)
    assert face.score(512.0) > face.score(96.0) > face.score(40.0) > face.score(16.0)
    assert 0.0 < face.score(0.0) < 1e-6
    assert face.measured_at(0.5) == pytest.approx(math.sqrt(face.fine * face.worthless))


def test_equal_or_impossible_anchors_are_refused() -> None:
    for fine, worthless in ((1.0, 1.0), (0.0, 1.0), (1.0, -2.0)):
        with pytest.raises(ValueError, match=r"fine|worthless"):
            tolerance(fine, worthless)


# ------------------------------------------------------------------ the shipped figures


def test_every_entry_has_a_source_and_a_unit() -> None:
    for entries in (PROFILE.limits, PROFILE.tolerances, PROFILE.flaws):
        for name, entry in entries.items():
            assert entry.source.strip(), name
            assert getattr(entry, "unit", "-").strip(), name
    assert PROFILE.service.source.strip()


@pytest.mark.parametrize("mode", ["animate", "replace"])
def test_every_weight_names_something_that_exists(mode: Any) -> None:
    assert set(PROFILE.check_weights[mode]) <= set(BY_CODE)
    assert set(PROFILE.family_weights[mode]) == {rule.family for rule in BY_CODE.values()}
    assert all(weight > 0 for weight in PROFILE.family_weights[mode].values())


def test_in_replace_mode_place_and_zoom_weigh_less() -> None:
    animate, replace = PROFILE.check_weights["animate"], PROFILE.check_weights["replace"]
    assert replace["WP301"] < animate["WP301"]
    assert replace["WP302"] < animate["WP302"]
    assert replace["WP301"] < replace["WP303"]
    assert replace["WP404"] > animate["WP404"]


def test_an_unnamed_check_weighs_one() -> None:
    assert "WP101" not in PROFILE.check_weights["animate"]
    assert PROFILE.check_weight("animate", "WP101") == 1.0
    assert PROFILE.check_weight("animate", "WP403") == 0.0


def test_an_unknown_name_fails_loudly() -> None:
    with pytest.raises(KeyError):
        PROFILE.limit("clip_maximum")


# ------------------------------------------------------------------ files of one's own


def test_a_file_replaces_single_entries(tmp_path: Path) -> None:
    path = profile_file(
        tmp_path,
        """
        [limits.clip_max]
        value = 60
        [tolerances]
        zoom = { fine = 0.2, worthless = 2.0, unit = "abs log ratio", source = "my own" }
        [check_weights.animate]
        WP101 = 3.0
        """,
    )
    mine = load_profile(path)
    assert mine.name == "mine"
    assert mine.limit("clip_max") == 60
    assert mine.limits["clip_max"].unit == "s"
    assert mine.tolerances["zoom"].source == "my own"
    assert mine.check_weight("animate", "WP101") == 3.0
    untouched = {n: t for n, t in mine.tolerances.items() if n != "zoom"}
    assert untouched == {n: t for n, t in PROFILE.tolerances.items() if n != "zoom"}
    assert mine.flaws == PROFILE.flaws
    assert default_profile().limit("clip_max") == 120


def test_a_file_may_name_itself(tmp_path: Path) -> None:
    assert load_profile(profile_file(tmp_path, 'name = "strict"')).name == "strict"


def test_the_digest_changes_with_a_figure(tmp_path: Path) -> None:
    text = 'name = "{}"\n[limits.clip_max]\nvalue = {}\n'
    digests = [
        load_profile(profile_file(tmp_path, text.format("mine", value))).sha256
        for value in (120, 119, 120)
    ]
    assert digests[0] == digests[2] != digests[1]
    assert re.fullmatch(r"[0-9a-f]{64}", digests[0])


def test_a_file_that_changes_nothing_but_is_named_alike_has_the_same_digest(tmp_path: Path) -> None:
    same = load_profile(profile_file(tmp_path, f'name = "{PROFILE.name}"'))
    assert same.sha256 == PROFILE.sha256


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    message = refusal(path)
    assert str(path) in message
    assert "No such file" in message
    assert "directory" in refusal(tmp_path).lower()


@pytest.mark.parametrize("content", [b"limits = [", b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\x00"])
def test_what_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message
    assert "not a TOML file" in message


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("[limits.clip_maximum]\nvalue = 60", "limits.clip_maximum"),
        ("[tolerance]\n", "tolerance"),
        ("[limits.clip_max]\nvalues = 60", "limits.clip_max.values"),
        ("[family_weights.animate]\nlooks = 2", "family_weights.animate.looks"),
    ],
)
def test_an_entry_that_does_not_exist(tmp_path: Path, text: str, entry: str) -> None:
    path = profile_file(tmp_path, text)
    message = refusal(path)
    assert f"unknown entry {entry}" in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[limits.clip_max]\nvalue = "long"', "limits.clip_max.value"),
        ("[limits]\nclip_max = 60", "limits.clip_max"),
        ("[limits.clip_max]\nvalue = nan", "limits.clip_max.value"),
        ("[limits.clip_max]\nvalue = inf", "limits.clip_max.value"),
        ("[limits.clip_max]\nvalue = -1", "limits.clip_max.value"),
        ("[tolerances.zoom]\nfine = 1\nworthless = 1", "tolerances.zoom"),
        ("[tolerances.zoom]\nfine = 0", "tolerances.zoom.fine"),
        ("[tolerances.zoom]\nworthless = inf", "tolerances.zoom.worthless"),
        ("[flaws.hdr]\nscore = 0", "flaws.hdr.score"),
        ("[flaws.hdr]\nscore = 1.5", "flaws.hdr.score"),
        ("[severity]\nunknown_score = 0", "severity.unknown_score"),
        ("[severity]\nwarning_below = 1.2", "severity.warning_below"),
        ("[family_weights.animate]\npose = -1", "family_weights.animate.pose"),
        (
            "[family_weights.animate]\nmedia = 0\naspect = 0\nframing = 0\npose = 0\nsubject = 0\n"
            "clip = 0",
            "family_weights.animate",
        ),
        ("[check_weights.animate]\nWP301 = -1", "check_weights.animate.WP301"),
        ('[service]\ndefault_resolution = "1080p"', "service.default_resolution"),
        ("limits = 3", "limits"),
    ],
)
def test_a_value_that_cannot_be(tmp_path: Path, text: str, where: str) -> None:
    path = profile_file(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}: {where}")


@pytest.mark.parametrize(
    "text",
    [
        "[limits.billed_min]\nvalue = 0",
        "[limits.size_multiple]\nvalue = 0",
        "[limits.segment_frames]\nvalue = 1",
        "[limits.body_room_full]\nvalue = 1",
    ],
)
def test_what_is_divided_by_is_never_zero(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert "limits." in refusal(path)


def test_replace_forgives_where_the_image_stands() -> None:
    for name in ("zoom", "placement", "typical_zoom"):
        animate, replace = (PROFILE.tolerance(name, mode) for mode in ("animate", "replace"))
        assert animate == PROFILE.tolerances[name]
        assert replace.fine > animate.fine
    assert PROFILE.tolerance("view", "replace") == PROFILE.tolerances["view"]


def test_a_tolerance_of_ones_own_holds_in_both_modes(tmp_path: Path) -> None:
    mine = load_profile(profile_file(tmp_path, "[tolerances.zoom]\nfine = 0.5"))
    assert mine.tolerance("zoom", "replace").fine == mine.tolerance("zoom", "animate").fine == 0.5
    assert mine.tolerance("placement", "replace") == PROFILE.tolerance("placement", "replace")


def test_a_mode_cannot_name_a_tolerance_that_nobody_asks_for(tmp_path: Path) -> None:
    text = "[mode_tolerances.replace.zoom]\nfine = 0.3\n"
    assert load_profile(profile_file(tmp_path, text)).tolerance("zoom", "replace").fine == 0.3
    message = refusal(profile_file(tmp_path, text.replace("zoom", "sharpness")))
    assert "sharpness" in message


def test_a_tolerance_of_ones_own_may_differ_in_one_mode(tmp_path: Path) -> None:
    text = "[tolerances.zoom]\nfine = 0.5\n[mode_tolerances.replace.zoom]\nfine = 0.3\n"
    mine = load_profile(profile_file(tmp_path, text))
    assert mine.tolerance("zoom", "animate").fine == 0.5
    assert mine.tolerance("zoom", "replace").fine == 0.3
    assert mine.tolerance("zoom", "replace").worthless == 1.1, "the shipped one of that mode"


def test_one_mode_may_have_a_tolerance_that_ships_for_all(tmp_path: Path) -> None:
    mine = load_profile(profile_file(tmp_path, "[mode_tolerances.replace.view]\nfine = 20.0\n"))
    assert mine.tolerance("view", "replace").fine == 20.0
    assert mine.tolerance("view", "replace").worthless == PROFILE.tolerances["view"].worthless
    assert mine.tolerance("view", "animate") == PROFILE.tolerances["view"]


def test_an_entry_in_words_says_where_its_score_is_what() -> None:
    # fine 1, worthless 19: slope 2 and one half at sqrt(19); 0.1 where x² / 19 = 9
    figures = tolerance(1.0, 19.0).model_copy(update={"unit": "px", "source": "here"})
    named = PROFILE.model_copy(update={"tolerances": {**PROFILE.tolerances, "zoom": figures}})
    everywhere, replace = named.described("zoom")
    assert everywhere == "zoom: scores 0.95 at 1, 0.5 at 4.36, 0.1 at 13.1 px (here)"
    assert replace.startswith("zoom in replace: scores 0.95 at ")
    assert PROFILE.described("clip_max") == ("clip_max: 120 s (seed)",)
    assert PROFILE.described("hdr")[0].startswith("hdr: scores 0.4 where it is found")
    assert PROFILE.described("sharpness") == ()
