from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wan_prep.errors import InputPathError, MediaUnreadable
from wan_prep.media.colors import ColorTags, color_tags

pytestmark = pytest.mark.media

Ffmpeg = Callable[..., None]
FULL_BT709 = "setparams=range=pc:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
PQ = "setparams=range=tv:colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084"


@pytest.mark.parametrize(
    ("name", "filters", "options", "tags"),
    [
        ("none.mp4", "format=yuv420p", ("-c:v", "libx264"), ColorTags()),
        (
            "full.mp4",
            f"format=yuv420p,{FULL_BT709}",
            ("-c:v", "libx264"),
            ColorTags("bt709", "bt709", "bt709", is_full_range=True),
        ),
        (
            "pq.mp4",
            f"format=yuv420p10le,{PQ}",
            ("-c:v", "libx265", "-x265-params", "log-level=0"),
            ColorTags("bt2020nc", "bt2020", "smpte2084"),
        ),
        (
            "alpha.mov",
            "format=argb",
            ("-c:v", "qtrle"),
            ColorTags(is_rgb=True),
        ),
    ],
)
def test_what_the_first_frame_says(
    ffmpeg: Ffmpeg, tmp_path: Path, name: str, filters: str, options: tuple, tags: ColorTags
) -> None:
    source = f"color=gray:s=64x48:r=25:d=0.2,{filters}"
    ffmpeg("-f", "lavfi", "-i", source, *options, tmp_path / name)
    assert color_tags(tmp_path / name) == tags


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputPathError):
        color_tags(tmp_path / "nowhere.mp4")
    (tmp_path / "noise.mp4").write_bytes(bytes(100))
    with pytest.raises(MediaUnreadable, match="does not open"):
        color_tags(tmp_path / "noise.mp4")


def test_sound_alone_has_no_colours(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", "-c:a", "aac", tmp_path / "sound.mp4")
    with pytest.raises(MediaUnreadable, match="no frame"):
        color_tags(tmp_path / "sound.mp4")
