"""Regulatory fees: which rate holds on a day, what a sale pays, and that nothing is guessed."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from aegis.backtesting.regulatory_fees import (
    ACTIVITY_FEE,
    COMPLETE_FROM,
    COMPLETE_THROUGH,
    SECTION_31,
    fee_rate_rows,
    rates_on,
    regulatory_fees_usd,
)
from aegis.errors import ConfigurationError

EPOCH = date(1970, 1, 1)


@pytest.mark.parametrize(
    ("day", "usd_per_million"),
    [
        (date(2014, 1, 2), 17.40),
        (date(2014, 3, 17), 17.40),  # the day before a change, and the change
        (date(2014, 3, 18), 22.10),
        (date(2019, 4, 15), 13.00),
        (date(2019, 4, 16), 20.70),
        (date(2023, 2, 26), 22.90),
        (date(2023, 2, 27), 8.00),
        (date(2025, 5, 13), 27.80),
        (date(2025, 5, 14), 0.00),
        (date(2026, 4, 4), 20.60),
    ],
)
def test_the_section_31_rate_of_a_day(day: date, usd_per_million: float) -> None:
    assert rates_on(day).section31_rate == pytest.approx(usd_per_million / 1e6, rel=1e-15)


@pytest.mark.parametrize(
    ("day", "usd_per_share", "cap_usd"),
    [
        (date(2011, 6, 30), 0.000075, 3.75),
        (date(2012, 6, 30), 0.000095, 4.75),
        (date(2012, 7, 1), 0.000119, 5.95),
        (date(2021, 12, 31), 0.000119, 5.95),
        (date(2022, 1, 1), 0.000130, 6.49),
        (date(2025, 12, 31), 0.000166, 8.30),
        (date(2026, 9, 30), 0.000195, 9.79),
        (date(2026, 10, 1), 0.0, 0.0),
    ],
)
def test_the_activity_fee_of_a_day(day: date, usd_per_share: float, cap_usd: float) -> None:
    assert (rates_on(day).taf_per_share, rates_on(day).taf_cap_usd) == (usd_per_share, cap_usd)


@pytest.mark.parametrize("day", [COMPLETE_FROM - timedelta(days=1), COMPLETE_THROUGH + timedelta(days=1)])
def test_a_day_outside_the_tables_is_refused(day: date) -> None:
    with pytest.raises(ConfigurationError, match=rf"from 2008-04-01 through 2026-12-07, found {day}; add the rates"):
        rates_on(day)
    with pytest.raises(ConfigurationError, match="regulatory fees are known"):
        fee_rate_rows(day, day)


def test_both_tables_ascend_reach_back_to_their_beginning_and_name_a_source_for_each_row() -> None:
    for table in (SECTION_31, ACTIVITY_FEE):
        assert all(before.effective < after.effective for before, after in pairwise(table))
        assert table[0].effective <= COMPLETE_FROM
        assert table[-1].effective <= COMPLETE_THROUGH
        assert all(row.source for row in table)


def test_a_sale_pays_both_fees() -> None:
    # 1 000 shares at 50 USD on 2024-06-03: 50 000 * 27.80 / 1e6 = 1.39 USD, and 1 000 * 0.000166 = 0.166 USD.
    rates = rates_on(date(2024, 6, 3))
    fees = regulatory_fees_usd(rates.section31_rate, rates.taf_per_share, rates.taf_cap_usd, -1_000.0, 50.0, 0.0)
    assert fees == (pytest.approx(1.39, rel=1e-12), pytest.approx(0.166, rel=1e-12))


def test_a_purchase_pays_none() -> None:
    assert regulatory_fees_usd(27.8e-6, 0.000166, 8.30, 1_000.0, 50.0, 0.0) == (0.0, 0.0)


def test_the_cap_of_the_activity_fee_counts_all_fills_of_an_order() -> None:
    # 40 000 shares: 6.64 USD. Twice that would be 13.28 USD; the cap of 8.30 leaves 1.66 for the second fill.
    assert regulatory_fees_usd(0.0, 0.000166, 8.30, -40_000.0, 50.0, 0.0)[1] == pytest.approx(6.64)
    assert regulatory_fees_usd(0.0, 0.000166, 8.30, -40_000.0, 50.0, 6.64)[1] == pytest.approx(1.66)
    assert regulatory_fees_usd(0.0, 0.000166, 8.30, -40_000.0, 50.0, 8.30)[1] == 0.0


def test_a_share_worth_less_than_the_activity_fee_pays_none() -> None:
    assert regulatory_fees_usd(0.0, 0.000166, 8.30, -1_000.0, 0.0001, 0.0)[1] == 0.0
    assert regulatory_fees_usd(0.0, 0.000166, 8.30, -1_000.0, 0.000166, 0.0)[1] == pytest.approx(0.166)


def test_rows_begin_with_the_first_day_and_follow_the_changes() -> None:
    # From 2022-01-01 to 2023-03-01 the rates change on 2022-05-14, 2023-01-01 and 2023-02-27.
    rows = fee_rate_rows(date(2022, 1, 1), date(2023, 3, 1))
    days = [EPOCH + timedelta(days=int(day)) for day in rows["day"]]
    assert days == [date(2022, 1, 1), date(2022, 5, 14), date(2023, 1, 1), date(2023, 2, 27)]
    np.testing.assert_allclose(rows["section31"], [5.1e-6, 22.9e-6, 22.9e-6, 8e-6], rtol=1e-15)
    assert rows["activity_fee"].tolist() == [0.000130, 0.000130, 0.000145, 0.000145]
    assert rows["activity_fee_cap"].tolist() == [6.49, 6.49, 7.27, 7.27]


def test_rows_of_an_empty_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="2022-01-01 is before the first 2022-01-02"):
        fee_rate_rows(date(2022, 1, 2), date(2022, 1, 1))
