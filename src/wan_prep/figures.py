"""The public name of `plots`: matplotlib figures of reports and plans."""

from wan_prep.plots import overlay, timeline, windows

__all__ = ["overlay", "timeline", "windows"]
