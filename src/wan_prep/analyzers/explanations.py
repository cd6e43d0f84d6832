"""What `wan-prep explain` says of each check; the texts stand in explanations.toml beside this."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from wan_prep.profile import Profile


@dataclass(frozen=True)
class Explanation:
    """The same four headings for every check."""

    measures: str
    why: str
    fix: str
    limit: str
    """Names the profile's entries in backticks."""

    def figures(self, profile: Profile) -> tuple[str, ...]:
        """The entries of the profile that `limit` names, with their values and sources."""
        names = re.findall(r"`(\w+)`", self.limit)
        return tuple(said for name in names for said in profile.described(name))


def explanation_of(code: str) -> Explanation:
    """The texts of the check called `code`, such as "WP301"; KeyError where there are none."""
    return explanations()[code]


@lru_cache(maxsize=1)
def explanations() -> dict[str, Explanation]:
    """Code → texts, for every check that has them."""
    text = (resources.files("wan_prep.analyzers") / "explanations.toml").read_text("utf-8")
    return {code: Explanation(**texts) for code, texts in tomllib.loads(text).items()}
