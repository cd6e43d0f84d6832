"""The rule table: every check, in the order of its code."""

from __future__ import annotations

from wan_prep.analyzers import aspect, clip, face, framing, media, pose, subject
from wan_prep.findings import Rule

_EVERY = (media, aspect, framing, pose, subject, face, clip)
RULES: tuple[Rule, ...] = tuple(
    sorted((rule for module in _EVERY for rule in module.RULES), key=lambda rule: rule.code)
)
BY_CODE: dict[str, Rule] = {rule.code: rule for rule in RULES}
