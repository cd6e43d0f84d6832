"""What a submission is going to cost, as a low and a high figure, in Decimal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction

from wan_prep.profile import Profile, Resolution

_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Cost:
    """Billed seconds, and US dollars rounded to cents (low down, high up)."""

    seconds: Fraction
    usd_low: Decimal
    usd_high: Decimal


def estimate(duration: Fraction, resolution: Resolution, profile: Profile) -> Cost:
    """Cost of a clip of `duration` seconds.

    b = min(max(d, 5), 120); low = b * rate; high = ceil(b / 5) * 5 * rate.  How the service
    rounds fractions is not documented, so both readings are given.
    """
    shortest = Fraction(int(profile.limit("billed_min")))
    billed = min(max(duration, shortest), Fraction(int(profile.limit("clip_max"))))
    rate = profile.service.usd_per_s[resolution]
    steps = -(-billed // shortest)
    low = Decimal(billed.numerator) * rate / Decimal(billed.denominator)
    high = Decimal(int(steps * shortest)) * rate
    return Cost(
        billed,
        low.quantize(_CENT, rounding=ROUND_FLOOR),
        high.quantize(_CENT, rounding=ROUND_CEILING),
    )
