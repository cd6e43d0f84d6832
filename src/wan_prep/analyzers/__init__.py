"""The rule table: every check, in the order of its code."""

from __future__ import annotations

from wan_prep.analyzers import aspect, clip, framing, media, pose, subject
from wan_prep.findings import Rule

RULES: tuple[Rule, ...] = (
    *media.RULES,
    *aspect.RULES,
    *framing.RULES,
    *pose.RULES,
    *subject.RULES,
    *clip.RULES,
)
BY_CODE: dict[str, Rule] = {rule.code: rule for rule in RULES}
