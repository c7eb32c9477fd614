"""Each rule about size just within its limit, exactly at it, and just beyond. Every outcome is worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from aegis.risk.exit_prices import Quote
from aegis.risk.exit_rules import REDUCING_PASS, review
from aegis.risk.exit_view import ExitRow, ExitView, SymbolFacts
from tests.unit.risk.exit_cases import LIMITS, NOW, book_of, order_with, quote_with, view_with

AT_20 = quote_with(19.99, 20.0)
ABOVE = math.nextafter


def _row(rule: str, view: ExitView, **limits: float) -> ExitRow:
    return next(row for row in review(view, replace(LIMITS, **limits)) if row.rule == rule)


def _buy(shares: float, limit: float | None = None, **replaced: Any) -> ExitView:
    order = order_with(quantity_shares=shares, limit_price_usd=limit, order_type="limit" if limit else "market")
    return view_with(order, **{"quote": AT_20, **replaced})


SHARES = "order_shares_within_limit"
NOTIONAL = "order_notional_within_limit"
OF_EQUITY = "order_share_of_equity_within_limit"
OF_VOLUME = "order_share_of_volume_within_limit"
DAY = "day_notional_within_limit"
WEIGHT = "position_weight_within_limit"
GROSS = "gross_exposure_within_limit"
POWER = "buying_power_covers_the_order"
LOSS = "daily_loss_within_limit"
DRAWDOWN = "drawdown_within_limit"


@pytest.mark.parametrize(("shares", "outcome"), [(9_999, "pass"), (10_000, "pass"), (10_001, "refuse")])
@pytest.mark.parametrize("side", [1, -1])
def test_shares_of_an_order(shares: float, side: int, outcome: str) -> None:
    row = _row(SHARES, _buy(side * shares), max_order_shares=10_000)
    assert (row.outcome, row.observed, row.threshold) == (outcome, shares, 10_000)


# 50,000 USD are 2,500 shares at 20.00, a purchase counting at its limit or else at the ask, a sale at the bid.
@pytest.mark.parametrize(
    ("shares", "limit", "observed", "outcome"),
    [
        (2_500, 19.99, 49_975.0, "pass"),
        (2_500, 20.0, 50_000.0, "pass"),
        (2_500, None, 50_000.0, "pass"),
        (2_500, 20.01, 50_025.0, "refuse"),
        (2_501, None, 50_020.0, "refuse"),
        (-2_501, None, 49_994.99, "pass"),
        (-2_501, 19.0, 49_994.99, "pass"),
        (-2_502, 20.0, 50_040.0, "refuse"),
    ],
)
def test_value_of_an_order(shares: float, limit: float | None, observed: float, outcome: str) -> None:
    row = _row(NOTIONAL, _buy(shares, limit), max_order_notional_usd=50_000)
    assert (row.outcome, row.observed) == (outcome, observed)


def test_a_limit_in_cents_is_met_exactly_although_binary_numbers_are_not() -> None:
    # 3 × 33.37 = 100.11; in binary 3 × 33.37 is 100.10999999999999.
    assert _row(NOTIONAL, _buy(3, 33.37), max_order_notional_usd=100.11).outcome == "pass"
    assert _row(NOTIONAL, _buy(3, 33.37), max_order_notional_usd=100.10999999999999).outcome == "refuse"
    # 0.1 + 0.2 shares of 20 USD are 6 USD; in binary 0.1 + 0.2 is more than 0.3.
    day = _row(
        DAY,
        view_with(order_with(quantity_shares=0.2, is_fractional=True), quote=AT_20, day_notional_usd=Decimal(2)),
        max_day_notional_usd=6,
    )
    assert (day.outcome, day.observed) == ("pass", 6.0)


@pytest.mark.parametrize(
    ("equity", "outcome"),
    [
        (ABOVE(20_000, math.inf), "pass"),
        (20_000.0, "pass"),
        (ABOVE(20_000, 0), "refuse"),
        (None, "refuse"),
        (math.nan, "refuse"),
        (0.0, "refuse"),
        (-5.0, "refuse"),
    ],
)
def test_share_of_equity_of_an_order(equity: float | None, outcome: str) -> None:
    # 100 shares at 20 USD are a tenth of 20,000 USD.
    row = _row(OF_EQUITY, _buy(100, equity_usd=equity), max_order_equity_fraction=0.1)
    assert row.outcome == outcome
    assert (row.observed <= row.threshold) is (outcome == "pass")


@pytest.mark.parametrize(
    ("volume", "outcome"),
    [
        (2_000.001, "pass"),
        (2_000.0, "pass"),
        (1_999.999, "refuse"),
        (None, "refuse"),
        (0.0, "refuse"),
        (math.nan, "refuse"),
        (math.inf, "refuse"),
    ],
)
def test_share_of_the_median_volume_of_an_order(volume: float | None, outcome: str) -> None:
    facts = SymbolFacts(median_daily_volume_shares=volume, is_shortable=False)
    assert _row(OF_VOLUME, _buy(100, facts=facts), max_order_volume_fraction=0.05).outcome == outcome


def test_the_volume_of_an_unknown_symbol_is_unmeasured() -> None:
    row = _row(OF_VOLUME, _buy(1, facts=None))
    assert (row.outcome, row.observed) == ("refuse", math.inf)


# This order is worth 2,000 USD.
@pytest.mark.parametrize(
    ("before", "outcome"),
    [("97999.99", "pass"), ("98000", "pass"), ("98000.00000001", "refuse"), ("Infinity", "refuse")],
)
def test_value_of_a_day(before: str, outcome: str) -> None:
    row = _row(DAY, _buy(100, day_notional_usd=Decimal(before)), max_day_notional_usd=100_000)
    assert row.outcome == outcome
    assert (row.observed <= row.threshold) is (outcome == "pass")


@pytest.mark.parametrize(("before", "outcome"), [("99", "pass"), ("100", "pass"), ("100.000001", "refuse")])
@pytest.mark.parametrize("side", [1, -1])
def test_shares_of_a_day(before: str, side: int, outcome: str) -> None:
    row = _row("day_shares_within_limit", _buy(side * 100, day_shares=Decimal(before)), max_day_shares=200)
    assert row.outcome == outcome


# 5 % of 100,000 USD are 250 shares at 20 USD.
@pytest.mark.parametrize(
    ("shares", "book", "outcome"),
    [
        (249, book_of(), "pass"),
        (250, book_of(), "pass"),
        (251, book_of(), "refuse"),
        (50, book_of(200), "pass"),
        (51, book_of(200), "refuse"),
        (50, book_of(100, bought=100), "pass"),
        (51, book_of(100, bought=100), "refuse"),
        (50, book_of(100, bought=100, sold=100), "pass"),
        (51, book_of(200, sold=200), "refuse"),
        # Sold to 150 and on to 100 short, then to 251 short.
        (-350, book_of(100), "pass"),
        (-351, book_of(100, sold=1), "refuse"),
        (-250, book_of(0, bought=100), "pass"),
        (-251, book_of(0, bought=100), "refuse"),
    ],
)
def test_weight_of_a_name_counts_open_orders_on_the_side_of_the_order(shares: float, book: Any, outcome: str) -> None:
    quote = Quote(20.0, 20.0, NOW)
    row = _row(WEIGHT, _buy(shares, book=book, quote=quote), max_position_weight=0.05)
    assert row.outcome == outcome
    assert (row.observed <= row.threshold) is (outcome == "pass")


# Gross exposure of 1 is 100,000 USD.
@pytest.mark.parametrize(
    ("others", "book", "shares", "outcome"),
    [
        ("97999.99", book_of(), 100, "pass"),
        ("98000", book_of(), 100, "pass"),
        ("98000.01", book_of(), 100, "refuse"),
        ("96000", book_of(50, bought=50), 100, "pass"),
        ("96000", book_of(50, bought=51), 100, "refuse"),
        # 50 held and 150 on sale lead to 50 or to 100 short; a purchase of 100 to 150.
        ("97000", book_of(50, sold=150), 100, "pass"),
        ("97000.01", book_of(50, sold=150), 100, "refuse"),
        # The open sale of 250 weighs more than the purchase: 200 short.
        ("96000", book_of(50, sold=250), 100, "pass"),
        ("96000.01", book_of(50, sold=250), 100, "refuse"),
        # Sales as well: 100 short, 200 short with what is on sale, and 200 long by what is bought.
        ("98000", book_of(), -100, "pass"),
        ("98000.01", book_of(), -100, "refuse"),
        ("96000", book_of(sold=100), -100, "pass"),
        ("96000.01", book_of(sold=100), -100, "refuse"),
        ("96000", book_of(50, bought=150), -100, "pass"),
        ("96000.01", book_of(50, bought=150), -100, "refuse"),
        ("Infinity", book_of(), 100, "refuse"),
    ],
)
def test_gross_exposure_counts_each_symbol_on_its_worse_side(
    others: str, book: Any, shares: float, outcome: str
) -> None:
    view = _buy(shares, book=book, other_exposure_usd=Decimal(others), quote=Quote(20.0, 20.0, NOW))
    assert _row(GROSS, view, max_gross_exposure=1.0).outcome == outcome


@pytest.mark.parametrize(
    ("power", "committed", "outcome"),
    [
        (2_000.01, "0", "pass"),
        (2_000.0, "0", "pass"),
        (1_999.99, "0", "refuse"),
        (3_000.0, "1000", "pass"),
        (3_000.0, "1000.01", "refuse"),
        (None, "0", "refuse"),
        (math.nan, "0", "refuse"),
        (math.inf, "0", "refuse"),
        (-1.0, "0", "refuse"),
        (2_000.0, "Infinity", "refuse"),
    ],
)
def test_buying_power_of_a_purchase(power: float | None, committed: str, outcome: str) -> None:
    view = _buy(100, buying_power_usd=power, committed_usd=Decimal(committed))
    assert _row(POWER, view).outcome == outcome


@pytest.mark.parametrize(
    ("book", "power", "outcome"),
    [
        (book_of(100), 0.0, "pass"),
        (book_of(60), 800.0, "pass"),
        (book_of(60), 799.99, "refuse"),
        (book_of(160, sold=100), 800.0, "pass"),
        (book_of(160, sold=100), 799.99, "refuse"),
        (book_of(-60), 2_000.0, "pass"),
        (book_of(-60), 1_999.99, "refuse"),
    ],
)
def test_a_sale_needs_buying_power_for_what_it_sells_short(book: Any, power: float, outcome: str) -> None:
    view = _buy(-100, book=book, buying_power_usd=power, quote=Quote(20.0, 20.0, NOW))
    row = _row(POWER, view)
    assert (row.observed <= row.threshold) is (outcome == "pass")


@pytest.mark.parametrize("rule", [LOSS, DRAWDOWN])
@pytest.mark.parametrize(
    ("now", "since", "outcome"),
    [
        (98_000.01, 100_000.0, "pass"),
        (98_000.0, 100_000.0, "pass"),
        (ABOVE(98_000.0, 0), 100_000.0, "refuse"),
        (100_001.0, 100_000.0, "pass"),
        (0.0, 100_000.0, "refuse"),
        (98_000.0, None, "refuse"),
        (98_000.0, math.nan, "refuse"),
        (98_000.0, 0.0, "refuse"),
        (math.nan, 100_000.0, "refuse"),
    ],
)
def test_losses_against_the_day_and_the_peak(rule: str, now: float, since: float | None, outcome: str) -> None:
    view = view_with(equity_usd=now, **{"first_equity_usd" if rule == LOSS else "peak_equity_usd": since})
    row = _row(rule, view, max_daily_loss=0.02, max_drawdown=0.02)
    assert row.outcome == outcome
    assert (row.observed <= row.threshold) is (outcome == "pass")


@pytest.mark.parametrize("rule", REDUCING_PASS)
def test_an_order_that_only_reduces_passes_and_its_row_tells_what_does_not_hold(rule: str) -> None:
    broken: dict[str, Any] = {
        "equity_usd": 1.0,
        "facts": None,
        "day_notional_usd": Decimal(10**9),
        "day_shares": Decimal(10**9),
        "other_exposure_usd": Decimal(10**9),
        "committed_usd": Decimal("Infinity"),
        "tripped": {"drawdown": "11 % below the peak"},
    }
    # Buying 100 of 150 sold short reduces; buying 151 crosses zero.
    covers = _row(rule, _buy(100, book=book_of(-150), **broken))
    assert covers.outcome == "pass"
    assert covers.observed > covers.threshold
    assert covers.detail
    assert covers.detail.startswith("passes as it only reduces: ABC 2014-06-06 15:00:00 UTC, order o-1")
    crosses = _row(rule, _buy(151, book=book_of(-150), **broken))
    assert crosses.outcome == "refuse"
    # Of 150 held short 51 are being bought back already, so 100 more cross zero.
    assert _row(rule, _buy(100, book=book_of(-150, bought=51), **broken)).outcome == "refuse"


def test_a_position_that_is_not_known_is_not_reduced() -> None:
    view = _buy(-10, book=book_of(math.inf), buying_power_usd=1e9)
    rows = {row.rule: row.outcome for row in review(view, LIMITS)}
    assert rows[POWER] == rows[WEIGHT] == rows[GROSS] == rows["short_sale_is_located"] == "refuse"


def test_a_volume_that_is_not_known_is_told_in_words() -> None:
    view = _buy(100, facts=SymbolFacts(median_daily_volume_shares=None, is_shortable=False))
    row = _row(OF_VOLUME, view)
    assert row.outcome == "refuse"
    assert "100.0 shares at a median daily volume that is not known" in row.detail
