from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.normalizers.trim import (
    FrameRange,
    audio_steps,
    frame_count,
    has_sound,
    paced,
    seek_s,
    sound_fits,
    video_steps,
)

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("length", "fps", "frames"),
    [
        (Fraction(10), Fraction(30), 300),
        (Fraction("3.333"), Fraction(30), 100),  # 100 frames, told in milliseconds
        (Fraction("3.32"), Fraction(30), 99),  # the hundredth would end too late
        (Fraction(120), NTSC, 3596),  # 3597 would end at 120.02 s
        (Fraction(120), Fraction(30), 3600),
        (Fraction("119.9999"), Fraction(3000001, 100000), 3600),
        (Fraction(1, 100), Fraction(25), 1),
    ],
)
def test_frames_that_fit(length: Fraction, fps: Fraction, frames: int) -> None:
    assert frame_count(length, fps) == frames


@given(
    length=st.fractions(Fraction(1, 10), 200, max_denominator=90000),
    fps=st.fractions(5, 120, max_denominator=1001),
)
def test_no_second_is_begun_that_was_not_asked_for(length: Fraction, fps: Fraction) -> None:
    frames = frame_count(length, fps)
    written = frames / fps
    assert frames == 1 or written <= math.ceil(length)
    assert frames == 1 or written - length <= Fraction(1, 20) / fps
    assert length - written < 1 / fps


def cut(begin: object = 0, frames: int = 90, fps: object = 30) -> FrameRange:
    return FrameRange(Fraction(begin), frames, Fraction(fps))


def test_time_stamps_count_from_the_first_frame_written(make) -> None:
    info = make.video_info(first_pts=900, time_base=Fraction(1, 600))
    tick, time, rate, still, end = video_steps(cut(begin="1.5"), info)
    assert tick.options == {"expr": "1/600"}
    # The first frame is number 900 + 1.5 * 600; half an output frame is 10 ticks.
    assert time.options == {"expr": "if(gt(PTS-(1800),0),max(PTS-(1800),10),PTS-(1800))"}
    assert rate.options == {"fps": "30/1", "start_time": 0, "round": "near"}
    assert still.options == {"stop": 15, "stop_mode": "clone"}
    assert end.options == {"end_frame": 90}


def test_frames_without_times_of_their_own_are_counted(make) -> None:
    # Some writers claim the rate of fields.
    facts = {"duration": Fraction(8), "frame_count": 200, "fps_from_header": Fraction(50)}
    facts |= {"fps": Fraction(25), "time_base": Fraction(1, 25)}
    info = make.video_info(container="avi", **facts)
    expression = video_steps(cut(begin=2), info)[1].options["expr"]
    assert expression == "if(gt(N*1/1-(50),0),max(N*1/1-(50),1),N*1/1-(50))"


def test_a_clip_without_time_stamps_is_counted(make) -> None:
    facts = {"fps": Fraction(30), "fps_from_header": None, "time_base": Fraction(1, 1200000)}
    info = make.video_info(container="h264", has_time_stamps=False, **facts)
    expression = video_steps(cut(begin=0), info)[1].options["expr"]
    assert expression.endswith(",N*40000/1-(0))")


def test_frames_without_time_stamps_before_others_are_counted(make) -> None:
    facts = {"first_pts": -1000, "unstamped_frames": 30, "time_base": Fraction(1, 1000)}
    info = make.video_info(container="matroska", **facts)
    expression = video_steps(cut(begin="0.1"), info)[1].options["expr"]
    assert expression.endswith(",if(lt(N,30),N*100/3-(100),PTS-(-900)))")
    # Where N is counted from is known at the beginning of the file alone.
    assert seek_s(cut(begin=60), info) is None


def test_an_avi_that_leaves_a_place_empty_is_not_counted(make) -> None:
    facts = {"duration": Fraction(105, 30), "frame_count": 104, "time_base": Fraction(1, 30)}
    info = make.video_info(container="avi", **facts)
    assert "PTS" in video_steps(cut(begin=0), info)[1].options["expr"]


def test_sound_counts_from_the_same_frame(make) -> None:
    info = make.video_info(first_pts=900, time_base=Fraction(1, 600))
    steps = audio_steps(cut(begin="1.5"), info)
    assert steps[0].options == {"expr": "PTS-(3/1)/TB"}
    assert steps[-1].options == {"end_sample": 144000}


@pytest.mark.parametrize(
    ("start", "duration", "heard"),
    [
        (0, 8, True),
        (0, 2, False),  # over before the cut begins
        (5, 3, False),  # begins as the cut ends
        (Fraction("4.9"), 3, True),
        (None, None, False),
    ],
)
def test_sound_in_the_cut(make, start: object, duration: object, heard: bool) -> None:
    info = make.video_info(
        audio_start=None if start is None else Fraction(start),
        audio_duration=None if duration is None else Fraction(duration),
    )
    assert has_sound(cut(begin=2), info) is heard


def test_sound_without_a_decoder_is_none(make) -> None:
    assert not has_sound(cut(), make.video_info(audio_codec=None))


@pytest.mark.parametrize(
    ("changes", "begin", "fits"),
    [
        ({}, 0, True),
        ({}, 1, False),
        ({"audio_codec": "opus"}, 0, False),
        ({"container": "matroska"}, 0, False),
        ({"first_pts": 512}, 0, False),
        ({"audio_start": Fraction(-1, 10)}, 0, False),
        ({"audio_duration": Fraction("8.01")}, 0, False),
    ],
)
def test_sound_that_can_be_copied(make, changes: dict, begin: int, fits: bool) -> None:
    assert sound_fits(cut(begin=begin, frames=240), make.video_info(**changes)) is fits


@pytest.mark.parametrize(
    ("container", "begin", "expected"),
    [("mp4", 20, None), ("mp4", 21, 11), ("matroska", 100, 90), ("mpegts", 100, None)],
)
def test_decoding_begins_before_a_late_cut(make, container: str, begin: int, expected) -> None:
    assert seek_s(cut(begin=begin), make.video_info(container=container)) == expected


# ---- pictures at hand


def paced_list(times: list[object], cut: FrameRange) -> list[int]:
    return list(paced(((Fraction(t), k) for k, t in enumerate(times)), cut))


def test_paced_pictures_keep_their_times() -> None:
    assert paced_list(["0", "0.1", "0.2", "0.5"], cut(frames=8, fps=10)) == [0, 1, 2, 2, 2, 3, 3, 3]


def test_the_first_paced_picture_is_the_one_displayed_then() -> None:
    # The second one follows within half a frame: it does not displace the first.
    assert paced_list(["1.95", "2.01", "2.2"], cut(begin="1.95", frames=4, fps=10)) == [0, 1, 1, 2]


def test_of_pictures_too_many_the_last_is_shown() -> None:
    assert paced_list(["0", "0.02", "0.08", "0.1", "0.14"], cut(frames=2, fps=10)) == [0, 4]


@given(
    steps=st.lists(st.integers(1, 300), max_size=30),
    frames=st.integers(1, 40),
    fps=st.sampled_from([Fraction(10), Fraction(25), NTSC]),
)
def test_paced_pictures_are_those_rounded_to_their_tick(
    steps: list[int], frames: int, fps: Fraction
) -> None:
    times = [Fraction(sum(steps[:k]), 1000) for k in range(len(steps) + 1)]
    ticks = [math.floor(t * fps + Fraction(1, 2)) for t in times]
    ticks = [0, *(max(1, tick) for tick in ticks[1:])]
    expected = [max(k for k, tick in enumerate(ticks) if tick <= n) for n in range(frames)]
    assert paced_list(times, FrameRange(Fraction(0), frames, fps)) == expected
