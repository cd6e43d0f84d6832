"""Findings become scores, a verdict and words."""
