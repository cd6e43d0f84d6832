"""What a clip may ask for before memory and time are spent on it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from wan_prep.errors import MediaUnreadable
from wan_prep.profile import Profile, default_profile


@dataclass(frozen=True)
class ClipLimits:
    """The most that is accepted of a clip; more is refused as `too_large`.

    pixels: of one frame.  frames: in the clip.  duration_s, fps: by its time stamps.
    streams: of every kind in the file.  samples: that its index says it has, in all streams.
    header_bytes: of what is read before the pictures, unpacked.
    animation_frames, animation_pixels: of GIF, APNG and WebP, which cost a whole canvas a frame;
        pixels are those of all frames.
    """

    pixels: int
    frames: int
    duration_s: int
    fps: int
    streams: int
    samples: int
    header_bytes: int
    animation_frames: int
    animation_pixels: int

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """The limits that this profile sets."""
        return cls(
            pixels=int(profile.limit("video_pixels_max")),
            frames=int(profile.limit("video_frames_max")),
            duration_s=int(profile.limit("video_s_max")),
            fps=int(profile.limit("video_fps_max")),
            streams=int(profile.limit("video_streams_max")),
            samples=int(profile.limit("video_samples_max")),
            header_bytes=int(profile.limit("video_header_bytes_max")),
            animation_frames=int(profile.limit("animation_frames_max")),
            animation_pixels=int(profile.limit("animation_pixels_max")),
        )

    @classmethod
    def shipped(cls) -> Self:
        """Those of the profile that comes with the package."""
        return cls.of(default_profile())

    def check_size(self, width: int, height: int) -> None:
        """Raises MediaUnreadable(too_large): a frame has more pixels."""
        if width * height > self.pixels:
            raise MediaUnreadable(
                "too_large",
                f"expected at most {self.pixels} px per frame, found {width}x{height}; "
                "scale the video down",
            )

    def check_frames(self, count: int) -> None:
        """Raises MediaUnreadable(too_large): there are more frames."""
        if count > self.frames:
            raise MediaUnreadable(
                "too_large",
                f"expected at most {self.frames} frames, found more; cut the part out that is "
                "wanted",
            )

    def check_times(self, duration: Fraction, fps: Fraction) -> None:
        """Raises MediaUnreadable(too_large): it is longer (s) or has a higher rate (1/s)."""
        if duration > self.duration_s:
            raise MediaUnreadable(
                "too_large",
                f"expected a clip of at most {self.duration_s} s, found one of "
                f"{float(duration):.0f} s by its time stamps; write it again with right ones",
            )
        if fps > self.fps:
            raise MediaUnreadable(
                "too_large",
                f"expected at most {self.fps} frames a second, found {float(fps):.0f} by its time "
                "stamps; write it again with right ones",
            )

    def check_animation(self, count: int, width: int, height: int) -> None:
        """Raises MediaUnreadable(too_large): an animation has more frames, or more pixels."""
        if count > self.animation_frames:
            raise MediaUnreadable(
                "too_large",
                f"expected an animation of at most {self.animation_frames} frames, found more; "
                "convert the part that is wanted to MP4",
            )
        if count * width * height > self.animation_pixels:
            raise MediaUnreadable(
                "too_large",
                f"expected an animation of at most {self.animation_pixels} px in all frames, "
                f"found {count} of {width}x{height} px; convert it to MP4",
            )
