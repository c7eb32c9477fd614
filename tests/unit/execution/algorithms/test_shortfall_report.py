from __future__ import annotations

import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.errors import ExecutionError
from aegis.execution.algorithms.shortfall_report import shortfall_report
from aegis.execution.orders import Fill


def _fill(quantity: float, price: float, *, reference: float | None = None, commission: float = 0.0) -> Fill:
    reference = price if reference is None else reference
    return Fill(
        client_order_id="child",
        decision_id="decision",
        account="simulated",
        fill_number=1,
        session=date(2014, 6, 6),
        symbol="ABC",
        ticker="ABC",
        quantity_shares=quantity,
        price_usd=price,
        reference_price_usd=reference,
        commission_usd=commission,
        slippage_usd=quantity * (price - reference),
        arrival_price_usd=40.0,
        filled_at_utc=datetime(2014, 6, 6, 15, tzinfo=UTC),
    )


def test_a_partly_filled_purchase_adds_up_as_worked_by_hand():
    # A published exercise: 1,000 shares decided at 40.00, released at 40.04, 700 bought at 40.05 for fees of 17, the
    # rest given up at 40.08: delay 28, execution 7, fees 17, opportunity 24; 76 of 40,000 is 19 basis points.
    report = shortfall_report(
        1000.0,
        [_fill(700.0, 40.05, reference=40.04, commission=17.0)],
        decision_price_usd=40.0,
        arrival_price_usd=40.04,
        final_price_usd=40.08,
    )
    assert (report.delay_usd, report.impact_usd) == pytest.approx((28.0, 7.0), abs=1e-9)
    assert (report.market_usd, report.spread_usd) == pytest.approx((0.0, 7.0), abs=1e-9)
    assert (report.fees_usd, report.opportunity_usd) == pytest.approx((17.0, 24.0), abs=1e-9)
    assert (report.total_usd, report.total_bps) == pytest.approx((76.0, 19.0), abs=1e-9)


def test_a_sale_is_charged_when_the_price_falls():
    # Decided at 50, released at 49.9; 60 at 49.8 (bid of a mid of 49.85) and 40 at 49.5 (49.5); all sold.
    report = shortfall_report(
        -100.0,
        [_fill(-60.0, 49.8, reference=49.85, commission=1.0), _fill(-40.0, 49.5, commission=0.5)],
        decision_price_usd=50.0,
        arrival_price_usd=49.9,
        final_price_usd=49.4,
    )
    assert report.delay_usd == pytest.approx(10.0, abs=1e-9)
    assert report.market_usd == pytest.approx(60 * 0.05 + 40 * 0.4, abs=1e-9)
    assert report.spread_usd == pytest.approx(60 * 0.05, abs=1e-9)
    assert (report.fees_usd, report.opportunity_usd) == (1.5, 0.0)
    # Sold for 4,968 less 1.5 where 5,000 was on paper.
    assert report.total_usd == pytest.approx(5000 - (60 * 49.8 + 40 * 49.5 - 1.5), abs=1e-9)


@pytest.mark.parametrize(("quantity", "opportunity"), [(100.0, 200.0), (-100.0, -200.0)])
def test_an_order_that_was_cancelled_without_a_fill_cost_its_opportunity(quantity, opportunity):
    report = shortfall_report(quantity, [], decision_price_usd=50.0, arrival_price_usd=51.0, final_price_usd=52.0)
    assert (report.total_usd, report.opportunity_usd, report.delay_usd) == (opportunity, opportunity, 0.0)


prices = st.floats(0.01, 5000)
parts = st.lists(st.tuples(st.integers(1, 100_000), prices, prices, st.floats(0, 100)), max_size=12)


@given(side=st.sampled_from((-1, 1)), parts=parts, unfilled=st.integers(0, 100_000), marks=st.tuples(*(prices,) * 3))
def test_delay_impact_fees_and_opportunity_are_paper_minus_real(side, parts, unfilled, marks):
    fills = [_fill(float(side * q), p, reference=r, commission=f) for q, p, r, f in parts]
    ordered = side * (sum(q for q, *_ in parts) + unfilled)
    if ordered == 0:
        return
    decision, arrival, final = marks
    report = shortfall_report(
        float(ordered), fills, decision_price_usd=decision, arrival_price_usd=arrival, final_price_usd=final
    )
    by_part = math.fsum((report.delay_usd, report.impact_usd, report.fees_usd, report.opportunity_usd))
    size = max(1.0, *(abs(part) for part in (report.delay_usd, report.market_usd, report.spread_usd, by_part)))
    assert abs(by_part - report.total_usd) <= 1e-9 * size
    # Cash and shares at the end, on paper and in truth.
    paper = math.fsum((ordered * final, -ordered * decision))
    bought = math.fsum(fill.quantity_shares * fill.price_usd + fill.commission_usd for fill in fills)
    real = math.fsum((math.fsum(fill.quantity_shares for fill in fills) * final, -bought))
    assert report.total_usd == pytest.approx(paper - real, rel=1e-9, abs=1e-9 * abs(ordered) * max(marks))


@pytest.mark.parametrize(
    ("fills", "price", "why"),
    [
        ([_fill(101.0, 50.0)], 50.0, "on its side and not exceed it"),
        ([_fill(-1.0, 50.0)], 50.0, "on its side and not exceed it"),
        ([], 0.0, "final_price_usd 0.0 must be above 0"),
        ([], math.nan, "final_price_usd nan must be above 0"),
    ],
)
def test_fills_of_another_order_and_prices_that_are_none_are_refused(fills, price, why):
    with pytest.raises(ExecutionError, match=why):
        shortfall_report(100.0, fills, decision_price_usd=50.0, arrival_price_usd=50.0, final_price_usd=price)
