"""Write pictures that were drawn here as a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

from wan_prep.geometry import Size
from wan_prep.media.colors import ColorTags
from wan_prep.normalizers import ffmpeg, resample
from wan_prep.normalizers.verify import ExpectedVideo, verify_decoding, verify_video
from wan_prep.planning.model import Geometry, Window
from wan_prep.writing import written_whole


def write_drawn(
    pictures: Iterable[bytes],
    size: Size,
    frames: int,
    fps: Fraction,
    target: Path,
    *,
    on_share: Callable[[float], None],
) -> None:
    """Write packed 8-bit RGB pictures of one even size; the file is verified before it gets its
    name, and replaces one of that name.

    on_share: called with the share written, 0 … 1.

    Raises:
        NormalizeFailed, DependencyMissing: see `ffmpeg.run`; or what was written is not what was
            drawn.
        InputPathError, OSError: see `written_whole`.
    """
    window = Window(left=0, top=0, width=size.width, height=size.height)
    geometry = Geometry(window=window, width=size.width, height=size.height)
    tags = ColorTags(is_rgb=True)
    colors = resample.Colors("gbr", "bt709", "bt709")
    written = resample.written_colors(colors, is_hdr=False)
    steps = (
        *resample.tag_steps(colors, tags),
        *resample.written_steps(geometry, colors, written, is_hdr=False),
    )
    expected = ExpectedVideo(size.width, size.height, fps, frames, has_audio=False)
    with written_whole(target) as scratch:
        scratch.touch()  # where nothing can be written, that is said before pictures are drawn
        source = ffmpeg.piped_input(size.width, size.height, fps)
        ffmpeg.run(
            ffmpeg.command(source, scratch, steps, "none", fps=fps, colors=written),
            on_frame=lambda count: on_share(min(1.0, count / frames)),
            pictures=pictures,
        )
        verify_video(scratch, expected)
        verify_decoding(scratch, expected)
