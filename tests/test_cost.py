from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.cost import Cost, estimate
from wan_prep.profile import default_profile

PROFILE = default_profile()


@pytest.mark.parametrize(
    ("seconds", "billed", "low", "high"),
    [
        ("0", "5", "0.20", "0.20"),
        ("3", "5", "0.20", "0.20"),
        ("5", "5", "0.20", "0.20"),
        # 5.01 s · $0.04 = $0.2004; the next five seconds begun
        ("5.01", "5.01", "0.20", "0.40"),
        ("7.5", "7.5", "0.30", "0.40"),
        ("10", "10", "0.40", "0.40"),
        # 119.99 s · $0.04 = $4.7996
        ("119.99", "119.99", "4.79", "4.80"),
        ("120", "120", "4.80", "4.80"),
        ("130", "120", "4.80", "4.80"),
    ],
)
def test_cost_at_480p(seconds: str, billed: str, low: str, high: str) -> None:
    cost = estimate(Fraction(seconds), "480p", PROFILE)
    assert cost == Cost(Fraction(billed), Decimal(low), Decimal(high))


@pytest.mark.parametrize(
    ("seconds", "low", "high"),
    [("3", "0.40", "0.40"), ("5.01", "0.40", "0.80"), ("119.99", "9.59", "9.60")],
)
def test_720p_costs_twice_as_much(seconds: str, low: str, high: str) -> None:
    cost = estimate(Fraction(seconds), "720p", PROFILE)
    assert (cost.usd_low, cost.usd_high) == (Decimal(low), Decimal(high))


def test_money_is_decimal_with_two_places() -> None:
    cost = estimate(Fraction(1001, 120), "480p", PROFILE)
    # 8.341666… s · $0.04 = $0.33366…
    assert (str(cost.usd_low), str(cost.usd_high)) == ("0.33", "0.40")


@given(
    st.fractions(0, 200, max_denominator=90000),
    st.fractions(0, 20, max_denominator=1001),
    st.sampled_from(["480p", "720p"]),
)
def test_longer_is_never_cheaper_and_low_never_above_high(
    seconds: Fraction, more: Fraction, resolution: str
) -> None:
    short = estimate(seconds, resolution, PROFILE)
    long = estimate(seconds + more, resolution, PROFILE)
    assert short.usd_low <= short.usd_high
    assert short.usd_low <= long.usd_low
    assert short.usd_high <= long.usd_high
    rate = PROFILE.service.usd_per_s[resolution]
    assert short.usd_high - short.usd_low <= 5 * rate + Decimal("0.01")
