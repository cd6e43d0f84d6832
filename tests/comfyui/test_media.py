"""Pictures and videos of a graph as files: no value, frame, rate or byte is lost on the way."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fake_comfy import FakeTensor, FakeVideo, inner
from wan_prep.errors import WanPrepError
from wan_prep.media.frames import decode
from wan_prep.media.probe import probe_video

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def media(classic: Any) -> Any:
    return inner(classic, "media")


def quiet(_what: str, _share: float | None) -> None:
    pass


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_byte_comes_back(media: Any, tmp_path: Path, dtype: Any) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    every[..., 1] = 255 - every[..., 1]
    path = media.write_picture(every.astype(dtype) / dtype(255), tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(path)), every)
    assert np.array_equal(np.rint(media.read_batch(path)[0] * 255), every)


def test_values_are_rounded_to_the_nearest_and_held_in_range(media: Any) -> None:
    values = np.array([-0.5, 0.0, 0.49 / 255, 0.51 / 255, 254.4 / 255, 1.0, 7.0]).reshape(1, 7, 1)
    assert media.pixels_of(values).ravel().tolist() == [0, 0, 0, 1, 254, 255, 255]


def test_a_tensor_on_another_device_is_brought_over(media: Any) -> None:
    with pytest.raises(TypeError):
        np.asarray(FakeTensor(np.ones((2, 2, 3))))
    assert media.pixels_of(FakeTensor(np.ones((2, 2, 3)))).tolist() == [[[255] * 3] * 2] * 2


def test_grey_becomes_rgb_and_transparency_is_kept(media: Any, tmp_path: Path) -> None:
    grey = np.full((2, 3, 1), 0.2)
    assert (
        np.asarray(Image.open(media.write_picture(grey, tmp_path / "a"))).tolist()
        == [[[51, 51, 51]] * 3] * 2
    )
    clear = np.zeros((2, 3, 4))
    clear[..., 3] = 0.4
    picture = Image.open(media.write_picture(clear, tmp_path / "b"))
    assert (picture.mode, picture.getpixel((0, 0))) == ("RGBA", (0, 0, 0, 102))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.full((4, 4, 3), np.nan), "no numbers"),
        (np.full((4, 4, 3), np.inf), "no numbers"),
        (np.zeros((4, 4, 5)), r"found \(4, 4, 5\)"),
        (np.zeros((4, 4)), r"found \(4, 4\)"),
    ],
)
def test_what_is_no_picture_is_refused(media: Any, picture: Any, words: str) -> None:
    with pytest.raises(WanPrepError, match=words):
        media.pixels_of(picture)


@pytest.mark.parametrize("count", [0, 2])
def test_one_reference_is_expected(media: Any, tmp_path: Path, count: int) -> None:
    with pytest.raises(WanPrepError, match=f"one reference picture, found {count}"):
        media.write_reference(np.zeros((count, 4, 4, 3)), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.media
@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25)])
def test_a_batch_becomes_a_clip_of_its_frames_and_its_exact_rate(
    media: Any, tmp_path: Path, rate: Fraction
) -> None:
    """ComfyUI hands over the rate as a float."""
    batch = np.linspace(0.0, 1.0, 8 * 16 * 24 * 3).reshape(8, 16, 24, 3)
    clip = media.driver_clip(None, FakeTensor(batch), float(rate), tmp_path, quiet)
    info = probe_video(clip.path)
    assert (info.fps, info.frame_count, info.width, info.height) == (rate, 8, 24, 16)
    assert (clip.start, clip.end) == (0.0, None)
    for frame, given in zip(decode(clip.path, info), batch, strict=True):
        assert np.abs(frame.rgb() - given * 255).mean() < 3.0


def test_frames_are_converted_when_they_are_asked_for(media: Any) -> None:
    class Batch:
        asked: list[int] = []  # noqa: RUF012

        def __len__(self) -> int:
            return 10**6

        def __getitem__(self, index: int) -> Any:
            self.asked.append(index)
            return np.ones((2, 2, 4))

    frames = media.Frames(Batch())
    assert (len(frames), Batch.asked) == (10**6, [])
    assert frames[7].shape == (2, 2, 3)
    assert Batch.asked == [7]


def test_a_video_on_disk_is_taken_where_it_lies(media: Any, tmp_path: Path) -> None:
    clip = media.driver_clip(FakeVideo(str(FIXTURES / "driving.mp4")), None, 30.0, tmp_path, quiet)
    assert clip == media.Clip(FIXTURES / "driving.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_video_in_memory_is_written_byte_for_byte(media: Any, tmp_path: Path) -> None:
    content = (FIXTURES / "driving.mp4").read_bytes()
    source = io.BytesIO(content)
    source.read(100)  # somebody has read in it
    clip = media.driver_clip(FakeVideo(source), None, 30.0, tmp_path, quiet)
    assert clip.path.parent == tmp_path
    assert clip.path.read_bytes() == content


@pytest.mark.parametrize(
    ("window", "expected"),
    [((0.0, 0.0), (0.0, None)), ((0.5, 0.0), (0.5, None)), ((0.5, 1.5), (0.5, 2.0))],
)
def test_the_trim_of_a_video_is_kept(
    media: Any, tmp_path: Path, window: tuple[float, float], expected: tuple[float, float | None]
) -> None:
    video = FakeVideo("a.mp4", start_time=window[0], duration=window[1])
    clip = media.driver_clip(video, None, 30.0, tmp_path, quiet)
    assert (clip.start, clip.end) == expected


def test_a_video_of_an_early_release_has_no_trim(media: Any, tmp_path: Path) -> None:
    video = SimpleNamespace(get_stream_source=lambda: "a.mp4")
    assert media.driver_clip(video, None, 30.0, tmp_path, quiet) == media.Clip(Path("a.mp4"))


def test_edits_that_the_file_does_not_have_are_written_by_comfyui(
    media: Any, tmp_path: Path
) -> None:
    """A cropped video still names the whole file as its source."""
    video = SimpleNamespace(
        get_stream_source=lambda: "whole.mp4",
        has_pending_frame_edits=lambda: True,
        get_active_trim_window=lambda: (1.0, 1.0),
        save_to=lambda path: Path(path).write_bytes(b"cropped and trimmed"),
    )
    clip = media.driver_clip(video, None, 30.0, tmp_path, quiet)
    assert clip == media.Clip(tmp_path / "driver.mp4")
    assert clip.path.read_bytes() == b"cropped and trimmed"


def test_one_driver_is_expected(media: Any, tmp_path: Path) -> None:
    with pytest.raises(WanPrepError, match="found neither"):
        media.driver_clip(None, None, 30.0, tmp_path, quiet)
    with pytest.raises(WanPrepError, match="found both"):
        media.driver_clip(FakeVideo("a"), np.zeros((1, 2, 2, 3)), 30.0, tmp_path, quiet)
