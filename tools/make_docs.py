"""Write docs/checks.md: the table of checks, from the rule table.

python tools/make_docs.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from wan_prep.analyzers import RULES
from wan_prep.analyzers.explanations import explanation_of
from wan_prep.findings import Rule

TARGET = Path(__file__).resolve().parent.parent / "docs" / "checks.md"

_HEAD = """\
# The checks

Written by `python tools/make_docs.py` from the rule table; a test holds the two together.
`wan-prep explain CODE` says the rest of each: why it matters, how to fix it, where its limit comes
from. *At most* is the gravest severity a check may reach; how grave a finding is follows from [its
score](score.md).

| code | name | family | about | at most | measures |
|---|---|---|---|---|---|
"""


def checks_page(rules: Sequence[Rule]) -> str:
    """The page as Markdown: one row a rule, in the order given."""
    return _HEAD + "".join(
        f"| {rule.code} | {rule.name} | {rule.family} | {rule.about} | {rule.cap.value} "
        f"| {explanation_of(rule.code).measures} |\n"
        for rule in rules
    )


def main() -> int:
    TARGET.write_text(checks_page(RULES), encoding="utf-8")
    print(f"docs/{TARGET.name}: {len(RULES)} checks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
