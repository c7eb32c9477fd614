"""The Treasury's and the IRS's own examples, and cases around the edges of the 61 days."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.compliance.executions import in_latest_shares
from aegis.compliance.wash_sales import tax_lots, wash_sale_findings
from tests.unit.compliance.trade_facts import traded

LATER = date(2030, 1, 1)


def figures(executions, judged_until=LATER):
    lots = tax_lots(executions, judged_until=judged_until)
    disposed = [(round(d.gain_usd, 6), round(d.disallowed_usd, 6)) for d in lots.disposals]
    held = [(lot.quantity_shares, round(lot.basis_usd, 6)) for lot in lots.open_lots]
    return disposed, held


# Dates moved to sessions of today where the regulation's are before the calendar; the days between them are kept.
def test_regulation_1_1091_2_example_1_higher_repurchase_adds_to_the_basis() -> None:
    # Bought for 100, sold January 15 for 80, bought February 1 for 90: no loss, basis 110.
    bought = [traded("1995-01-03", "X", 1, 100), traded("2015-01-15", "X", -1, 80), traded("2015-02-02", "X", 1, 90)]

    assert figures(bought) == ([(-20.0, 20.0)], [(1.0, 110.0)])


def test_regulation_1_1091_2_example_2_lower_repurchase() -> None:
    # Bought for 100, sold January 15 for 80, bought February 1 for 70: no loss, basis 90.
    bought = [traded("1995-01-03", "Y", 1, 100), traded("2015-01-15", "Y", -1, 80), traded("2015-02-02", "Y", 1, 70)]

    assert figures(bought) == ([(-20.0, 20.0)], [(1.0, 90.0)])


def test_publication_550_more_sold_than_bought_before() -> None:
    # Publication 550, 2009: 100 bought September 24 for 5,000; 50 on December 18 for 2,750; 25 ten days
    # later for 1,125; the 100 sold January 7 for 4,000. Of the loss of 1,000, 750 are not deductible and 250 are.
    # 26 CFR 1.1091-1(h) example 2 has the same amounts: bases of 3,250 and 1,375.
    trades = [
        traded("2009-09-24", "M", 100, 50.0),
        traded("2009-12-18", "M", 50, 55.0),
        traded("2009-12-28", "M", 25, 45.0),
        traded("2010-01-07", "M", -100, 40.0),
    ]

    assert figures(trades) == ([(-1000.0, 750.0)], [(50.0, 3250.0), (25.0, 1375.0)])


def test_regulation_1_1091_1_example_3_more_bought_than_sold_matches_the_earliest() -> None:
    # 100 bought for 5,000, sold February 1 for 4,000; 50 bought on each of four later days for 2,000. The first two
    # purchases replace: basis 2,500 each; the others keep 2,000.
    trades = [
        traded("2014-09-15", "M", 100, 50.0),
        traded("2016-02-01", "M", -100, 40.0),
        *(traded(f"2016-02-{day}", "M", 50, 40.0) for day in (16, 17, 18, 19)),
    ]

    assert figures(trades) == ([(-1000.0, 1000.0)], [(50.0, 2500.0), (50.0, 2500.0), (50.0, 2000.0), (50.0, 2000.0)])


def test_revenue_ruling_56_602_the_rest_of_the_same_lot_replaces_nothing() -> None:
    trades = [traded("2011-03-01", "A", 200, 50.0), traded("2011-03-18", "A", -100, 40.0)]

    assert figures(trades) == ([(-1000.0, 0.0)], [(100.0, 5000.0)])


def test_executions_of_one_order_are_one_lot() -> None:
    trades = [
        traded("2011-03-01", "A", 100, 50.0, order="o1"),
        traded("2011-03-01", "A", 100, 50.0, order="o1", clock="10:05"),
        traded("2011-03-18", "A", -100, 40.0),
    ]

    assert figures(trades) == ([(-1000.0, 0.0)], [(200.0 - 100.0, 5000.0)])


@pytest.mark.parametrize(
    ("repurchased", "disallowed"),
    [
        ("2024-03-01", 1000.0),  # the same day
        ("2024-03-31", 1000.0),  # the 30th day after
        ("2024-04-01", 0.0),  # the 31st
    ],
)
def test_the_window_ends_30_days_after_the_sale(repurchased, disallowed) -> None:
    trades = [
        traded("2023-01-03", "A", 100, 50.0),
        traded("2024-03-01", "A", -100, 40.0),
        traded(repurchased, "A", 100, 40.0, clock="15:00"),
    ]

    assert figures(trades)[0] == [(-1000.0, disallowed)]


@pytest.mark.parametrize(("bought", "disallowed"), [("2024-01-31", 1000.0), ("2024-01-30", 0.0)])
def test_the_window_begins_30_days_before_the_sale(bought, disallowed) -> None:
    trades = [
        traded("2023-01-03", "A", 100, 50.0),
        traded(bought, "A", 100, 45.0),
        traded("2024-03-01", "A", -100, 40.0),
    ]

    assert figures(trades)[0] == [(-1000.0, disallowed)]


def test_selling_everything_bought_within_the_window_is_no_wash_sale() -> None:
    trades = [
        traded("2024-02-01", "A", 100, 50.0),
        traded("2024-02-08", "A", 100, 45.0),
        traded("2024-03-01", "A", -200, 40.0),
    ]

    assert figures(trades) == ([(-1000.0, 0.0), (-500.0, 0.0)], [])


def test_a_gain_is_never_a_wash_sale() -> None:
    trades = [
        traded("2023-01-03", "A", 100, 50.0),
        traded("2024-03-01", "A", -100, 60.0),
        traded("2024-03-04", "A", 100, 60.0),
    ]

    assert figures(trades) == ([(1000.0, 0.0)], [(100.0, 6000.0)])


def test_a_share_replaces_once() -> None:
    # Two sales of 50 at a loss, 50 bought back: only the earlier loss is disallowed (1.1091-1(b), (e)).
    trades = [
        traded("2023-01-03", "A", 100, 50.0),
        traded("2024-03-01", "A", -50, 40.0),
        traded("2024-03-04", "A", -50, 30.0),
        traded("2024-03-05", "A", 50, 30.0),
    ]

    assert figures(trades) == ([(-500.0, 500.0), (-1000.0, 0.0)], [(50.0, 2000.0)])


def test_a_carried_loss_is_realised_by_the_replacement_shares() -> None:
    trades = [
        traded("2023-01-03", "A", 100, 50.0),
        traded("2024-03-01", "A", -100, 40.0),
        traded("2024-03-04", "A", 100, 40.0),
        traded("2024-09-03", "A", -100, 45.0),
    ]

    # 10 of loss each was carried: 40 + 10 = 50 of basis, sold at 45.
    assert figures(trades) == ([(-1000.0, 1000.0), (-500.0, 0.0)], [])


def test_the_holding_period_of_replaced_shares_is_added() -> None:
    lots = tax_lots(
        [
            traded("2023-03-01", "A", 100, 50.0),
            traded("2024-02-29", "A", -100, 40.0),
            traded("2024-03-04", "A", 100, 40.0),
        ],
        judged_until=LATER,
    )

    # Held 365 days: 26 USC 1223(3) lets March 4, 2024 count from March 5, 2023.
    assert lots.open_lots[0].holding_since == date(2023, 3, 5)


def test_costs_are_part_of_basis_and_proceeds() -> None:
    # 300 shares for 9,000, sold for 4,800 - 300; 500 bought for 5,300 + 400: loss 4,500, basis of 300 is 3,420 + 4,500.
    trades = [
        traded("2022-05-02", "O", 300, 30.0),
        traded("2024-02-01", "O", -300, 16.0, commission=300.0),
        traded("2024-02-20", "O", 500, 10.6, commission=400.0),
    ]

    assert figures(trades) == ([(-4500.0, 4500.0)], [(300.0, 7920.0), (200.0, 2280.0)])


def test_a_rename_between_sale_and_repurchase_hides_nothing() -> None:
    # Fills carry the permanent symbol whatever the ticker is; FB became META on 2022-06-09.
    trades = [
        traded("2022-01-03", "FB", 10, 330.0),
        traded("2022-06-08", "FB", -10, 196.0),
        traded("2022-06-09", "FB", 10, 184.0),
    ]

    assert figures(trades)[0] == [(-1340.0, 1340.0)]


def test_a_split_between_sale_and_repurchase_is_restated() -> None:
    # 100 at 400 sold at 300; after four for one, 400 at 75 are bought: all 10,000 of loss is disallowed.
    trades = [
        traded("2020-01-03", "T", 100, 400.0),
        traded("2020-08-28", "T", -100, 300.0),
        traded("2020-09-01", "T", 400, 75.0),
    ]
    restated = in_latest_shares(trades, {"T": [(date(2020, 8, 31), 4.0)]})

    assert figures(restated) == ([(-10000.0, 10000.0)], [(400.0, 40000.0)])


def test_a_short_position_covered_at_a_loss_and_shorted_again_is_a_wash_sale() -> None:
    trades = [
        traded("2024-01-03", "S", -100, 50.0),
        traded("2024-03-01", "S", 100, 60.0),
        traded("2024-03-04", "S", -100, 60.0),
    ]

    # What the second short brought, 6,000, less the 1,000 that is carried.
    assert figures(trades) == ([(-1000.0, 1000.0)], [(-100.0, 5000.0)])


def test_a_long_purchase_does_not_replace_a_covered_short() -> None:
    trades = [
        traded("2024-01-03", "S", -100, 50.0),
        traded("2024-03-01", "S", 100, 60.0),
        traded("2024-03-04", "S", 100, 60.0),
    ]

    assert figures(trades) == ([(-1000.0, 0.0)], [(100.0, 6000.0)])


def test_a_sale_through_zero_closes_the_long_and_opens_a_short() -> None:
    trades = [traded("2024-01-03", "S", 100, 50.0), traded("2024-03-01", "S", -150, 60.0)]

    assert figures(trades) == ([(1000.0, 0.0)], [(-50.0, 3000.0)])


def test_other_symbols_replace_nothing() -> None:
    trades = [
        traded("2023-01-03", "A", 100, 50.0),
        traded("2024-03-01", "A", -100, 40.0),
        traded("2024-03-04", "B", 100, 40.0),
    ]

    assert figures(trades)[0] == [(-1000.0, 0.0)]


def test_a_loss_says_that_its_window_is_still_open() -> None:
    trades = [traded("2023-01-03", "A", 100, 50.0), traded("2024-03-01", "A", -100, 40.0)]

    assert [d.is_window_open for d in tax_lots(trades, judged_until=date(2024, 3, 30)).disposals] == [True]
    assert [d.is_window_open for d in tax_lots(trades, judged_until=date(2024, 3, 31)).disposals] == [False]


def test_the_order_in_which_executions_are_given_does_not_matter() -> None:
    trades = [
        traded("2009-09-24", "M", 100, 50.0),
        traded("2009-12-18", "M", 50, 55.0),
        traded("2010-01-07", "M", -100, 40.0),
    ]

    assert tax_lots(trades, judged_until=LATER) == tax_lots(reversed(trades), judged_until=LATER)


def test_a_finding_names_symbol_session_and_amount() -> None:
    trades = [
        traded("2009-09-24", "M", 100, 50.0),
        traded("2009-12-18", "M", 75, 55.0),
        traded("2010-01-07", "M", -100, 40.0),
    ]
    (finding,) = wash_sale_findings(tax_lots(trades, judged_until=LATER), account="desk")

    assert (finding.symbol, finding.session, finding.observed) == ("M", date(2010, 1, 7), 750.0)
    assert "750.00 of a loss of 1000.00 USD is not deductible" in finding.detail
    assert "26 USC 1091" in finding.citation
