"""The public name of `plots`: matplotlib figures of reports, plans and evidence."""

from wan_prep.plots import overlay, skeleton, timeline, windows

__all__ = ["overlay", "skeleton", "timeline", "windows"]
