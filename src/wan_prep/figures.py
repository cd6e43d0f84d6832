"""The public name of `plots`: matplotlib figures of reports, plans and outcomes."""

from wan_prep.plots import calibration, overlay, timeline, windows

__all__ = ["calibration", "overlay", "timeline", "windows"]
