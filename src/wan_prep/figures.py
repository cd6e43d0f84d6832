"""The public name of `plots`: matplotlib figures of reports, plans, evidence and outcomes."""

from wan_prep.plots import calibration, overlay, skeleton, timeline, windows

__all__ = ["calibration", "overlay", "skeleton", "timeline", "windows"]
