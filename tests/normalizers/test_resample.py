from __future__ import annotations

from fractions import Fraction

import pytest

from wan_prep.media.colors import ColorTags
from wan_prep.normalizers.filters import Filter
from wan_prep.normalizers.resample import (
    Colors,
    source_colors,
    tag_steps,
    written_colors,
    written_rate,
    written_steps,
)
from wan_prep.planning.model import Geometry, Window

BT709 = Colors("bt709", "bt709", "bt709")
BT601 = Colors("smpte170m", "smpte170m", "smpte170m")
PQ = Colors("bt2020nc", "bt2020", "smpte2084")
SMALL = {"coded_width": 640, "coded_height": 480}
SHAPE = Geometry(window=Window(left=0, top=0, width=64, height=48), width=32, height=24)


@pytest.mark.parametrize(
    ("fps", "written"),
    [
        (Fraction(30), Fraction(30)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
        (Fraction(8910000, 296999), Fraction(30)),  # 30/s measured on rough stamps
        (Fraction(305, 8), Fraction(305, 8)),
    ],
)
def test_rates_are_ratios_that_containers_count_in(fps: Fraction, written: Fraction) -> None:
    assert written_rate(fps) == written


@pytest.mark.parametrize(
    ("tags", "changes", "meant"),
    [
        (ColorTags(), {}, BT709),
        (ColorTags(), SMALL, BT601),
        (ColorTags(matrix="bt470bg"), {}, Colors("bt470bg", "bt470bg", "smpte170m")),
        (
            ColorTags("bt709", "smpte432", "iec61966-2-1"),
            SMALL,
            Colors("bt709", "smpte432", "iec61966-2-1"),
        ),
        (ColorTags(matrix="bt2020nc"), {}, Colors("bt2020nc", "bt2020", "bt2020-10")),
        (ColorTags(is_rgb=True), SMALL, Colors("gbr", "bt709", "bt709")),
        (ColorTags(matrix="ycgco"), SMALL, Colors("ycgco", "bt709", "bt709")),
    ],
)
def test_what_sdr_colours_mean(make, tags: ColorTags, changes: dict, meant: Colors) -> None:
    assert source_colors(tags, make.video_info(**changes), is_hdr=False) == meant


def test_hdr_is_told_by_its_transfer(make) -> None:
    hlg = ColorTags(transfer="arib-std-b67")
    assert source_colors(hlg, make.video_info(), is_hdr=True) == Colors(
        "bt2020nc", "bt2020", "arib-std-b67"
    )


@pytest.mark.parametrize(
    ("source", "is_hdr", "written"),
    [
        (BT709, False, BT709),
        (BT601, False, BT601),
        (PQ, True, BT709),
        (Colors("bt709", "bt709", "smpte2084"), True, BT709),
        (Colors("bt2020nc", "bt2020", "bt2020-10"), False, BT709),
        (Colors("gbr", "bt709", "bt709"), False, BT709),
    ],
)
def test_colours_written(source: Colors, is_hdr: bool, written: Colors) -> None:
    assert written_colors(source, is_hdr=is_hdr) == written


def test_sdr_is_scaled_and_narrowed_in_one_step() -> None:
    steps = written_steps(SHAPE, BT601, BT601, is_hdr=False)
    assert [step.name for step in steps] == ["zscale", "format", "setsar", "setparams", "sidedata"]
    options = steps[0].options
    assert (options["w"], options["h"], options["m"], options["r"]) == (
        32,
        24,
        "smpte170m",
        "limited",
    )


def test_hdr_is_mapped_in_linear_light() -> None:
    steps = written_steps(SHAPE, PQ, BT709, is_hdr=True)
    assert [step.name for step in steps[:4]] == ["zscale", "format", "tonemap", "zscale"]
    assert steps[0].options["t"] == "linear"
    assert steps[3].options["t"] == "bt709"


@pytest.mark.parametrize(
    ("tags", "color_range"),
    [(ColorTags(), "tv"), (ColorTags(is_full_range=True), "pc"), (ColorTags(is_rgb=True), "pc")],
)
def test_the_range_is_that_of_the_source(tags: ColorTags, color_range: str) -> None:
    (step,) = tag_steps(BT709, tags)
    assert isinstance(step, Filter)
    assert step.options["range"] == color_range
