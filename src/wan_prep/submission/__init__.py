"""Paid submissions: journal first, one POST per intent, nothing forgotten."""
