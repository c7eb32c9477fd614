"""What an order of a journal cost: which prices, which fills, and parts that add up; all worked by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aegis.errors import ExecutionError
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_management import commit_decision
from aegis.execution.order_records import canonical_json
from aegis.execution.order_shortfalls import READ_KINDS, MarketPrices, OrderShortfall, order_shortfalls
from aegis.execution.order_splits import order_after_split
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.lake import tables
from aegis.reporting.implementation_shortfall import market_prices, shortfall_figures, shortfall_rows

THURSDAY, FRIDAY, MONDAY = date(2020, 6, 11), date(2020, 6, 12), date(2020, 6, 15)
EVENING, OPENS = datetime(2020, 6, 11, 20, 15, tzinfo=UTC), datetime(2020, 6, 12, 13, 30, tzinfo=UTC)
DECISION = f"paper/main/{THURSDAY}/rebalance/1"
K = OrderEventKind


def order(name: str, shares: float, arrival: float, **more: Any) -> Order:
    terms: dict[str, Any] = {
        "client_order_id": name, "decision_id": DECISION, "account": "paper", "session": THURSDAY,
        "execution_session": FRIDAY, "symbol": "AAA", "ticker": "AAA", "quantity_shares": shares,
        "algorithm": "market", "time_in_force": "DAY", "arrival_price_usd": arrival, "target_weight": 0.0,
        "is_reducing": False, "reason": "by hand",
    }  # fmt: skip
    return Order(**{**terms, **more})


class Book:
    """A journal that is written as the process that trades writes it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def decide(self, *orders: Order, refusals: dict[str, str] | None = None) -> None:
        decision = Decision(
            decision_id=DECISION, account="paper", session=THURSDAY, orders=orders, gate_rows=(), input_snapshot_id=1,
            code_version="1", config_hash="c", refusals=refusals or {},
        )  # fmt: skip
        commit_decision(self.journal, decision, at_utc=EVENING)

    def child(self, parent: Order, name: str, shares: float) -> Order:
        made = replace(parent, client_order_id=name, quantity_shares=shares, algorithm="market")
        ledger = WorkedLedger(self.journal, first=THURSDAY)
        ledger.commit_child(made, None, session=FRIDAY, at_utc=OPENS)
        ledger.flush()
        return made

    def judge(self, judged: Order, touch: float | None, *, outcome: str = "pass", session: date = FRIDAY) -> None:
        ledger = WorkedLedger(self.journal, first=THURSDAY)
        record = {"touch_usd": touch, "rows": [{"rule": "collar", "outcome": outcome}]}
        ledger.note_verdict(judged, canonical_json(record), session=session, at_utc=OPENS)
        ledger.flush()

    def tell(self, told: Order, kind: OrderEventKind, session: date = FRIDAY, **more: Any) -> None:
        ledger = WorkedLedger(self.journal, first=THURSDAY)
        at_utc = OPENS + timedelta(days=(session - FRIDAY).days)
        event = OrderEvent(kind=kind, client_order_id=told.client_order_id, session=session, at_utc=at_utc, **more)
        assert ledger.record([event]) == ()
        ledger.flush()

    def fill(
        self,
        filled: Order,
        shares: float,
        price: float,
        *,
        reference: float | None = None,
        fee: float = 0.0,
        number: int = 1,
        session: date = FRIDAY,
        last: bool = True,
    ) -> None:
        fill = Fill(
            client_order_id=filled.client_order_id, decision_id=DECISION, account="paper", fill_number=number,
            session=session, symbol=filled.symbol, ticker=filled.ticker, quantity_shares=shares, price_usd=price,
            reference_price_usd=price if reference is None else reference, commission_usd=fee, slippage_usd=0.0,
            arrival_price_usd=filled.arrival_price_usd, filled_at_utc=OPENS + timedelta(minutes=number),
        )  # fmt: skip
        self.tell(filled, K.FILLED if last else K.PARTIALLY_FILLED, session, fill=fill)

    def found(self, prices: MarketPrices) -> list[OrderShortfall]:
        return order_shortfalls(self.journal.events(kinds=READ_KINDS), prices)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Journal.open(tmp_path / "journal.sqlite", account="paper") as journal:
        yield Book(journal)


def prices(opened: float, closed: float, **more: Any) -> MarketPrices:
    return MarketPrices(opens_usd={("AAA", FRIDAY): opened}, closes_usd={("AAA", FRIDAY): closed}, **more)


def parts(found: OrderShortfall) -> tuple[float, ...]:
    report = found.report
    return (report.delay_usd, report.market_usd, report.spread_usd, report.fees_usd, report.opportunity_usd)


def test_an_order_worked_by_children_is_charged_with_all_their_fills(book: Book) -> None:
    # A published exercise: 1,000 shares decided at 40.00, released at 40.04, 700 bought at 40.05 for fees of 17, the
    # rest given up at 40.08: delay 28, execution 7, fees 17, opportunity 24; 76 of 40,000 is 19 basis points.
    parent = order("parent", 1000, 40.0, algorithm="vwap")
    book.decide(parent)
    first, second = book.child(parent, "first", 500), book.child(parent, "second", 500)
    book.judge(first, 41.0, outcome="refuse")  # was not let go, so it was not released then
    book.judge(first, 40.04)
    book.judge(second, 40.07)
    for child, shares, fee in ((first, 500, 12.0), (second, 200, 5.0)):
        book.tell(child, K.SUBMITTED)
        book.fill(child, shares, 40.05, fee=fee, last=child is first)
    book.tell(second, K.EXPIRED)
    assert book.found(prices(40.5, 40.08)) == [], "an order that has not ended has no cost yet"
    book.tell(parent, K.WORKED)
    (found,) = book.found(prices(40.5, 40.08))
    assert parts(found) == pytest.approx((28.0, 7.0, 0.0, 17.0, 24.0), abs=1e-9)
    assert (found.report.total_usd, found.report.total_bps) == pytest.approx((76.0, 19.0), abs=1e-9)
    assert (found.ended_in, found.fill_count, found.release_source) == (FRIDAY, 2, "touch")


def test_a_sale_that_filled_whole_has_no_opportunity(book: Book) -> None:
    # 100 decided at 50 and released at the open of 49.9: 60 sold at 49.8 (49.85 without slippage), 40 at 49.5.
    sale = order("sale", -100, 50.0)
    book.decide(sale)
    book.tell(sale, K.SUBMITTED)
    book.fill(sale, -60, 49.8, reference=49.85, fee=1.0, last=False)
    book.fill(sale, -40, 49.5, fee=0.5, number=2)
    (found,) = book.found(prices(49.9, 49.4))
    assert parts(found) == pytest.approx((10.0, 19.0, 3.0, 1.5, 0.0), abs=1e-9)
    assert found.report.total_usd == pytest.approx(5000 - (60 * 49.8 + 40 * 49.5 - 1.5), abs=1e-9)
    assert found.release_source == "open"


def test_what_was_never_sent_cost_its_opportunity_and_what_was_refused_is_left_out(book: Book) -> None:
    kept, refused = order("kept", 100, 50.0), order("refused", 100, 50.0, symbol="BBB", ticker="BBB")
    book.decide(kept, refused, refusals={"refused": "limits"})
    book.judge(kept, None, outcome="refuse")
    book.tell(kept, K.CANCELLED, MONDAY)  # said on Monday, as nobody was there on Friday
    (found,) = book.found(prices(50.5, 52.0))
    assert parts(found) == (0.0, 0.0, 0.0, 0.0, 200.0)
    assert (found.order.client_order_id, found.ended_in, found.fill_count) == ("kept", FRIDAY, 0)


def test_a_symbol_that_did_not_trade_has_the_price_of_the_decision(book: Book) -> None:
    halted = order("halted", 100, 50.0, symbol="BBB", ticker="BBB")
    book.decide(halted)
    book.tell(halted, K.SUBMITTED)
    book.tell(halted, K.EXPIRED)
    (found,) = book.found(prices(1.0, 1.0))
    assert (found.release_source, found.report.total_usd) == ("decision", 0.0)


def test_a_split_before_the_execution_scales_the_price_of_the_decision(book: Book) -> None:
    # Decided at 80, two for one on Friday: 40. Bought 100 of the new shares at 40.5, released at 40.2.
    bought = order("bought", 100, 80.0)
    book.decide(bought)
    book.judge(bought, 40.2)
    book.tell(bought, K.SUBMITTED)
    book.fill(bought, 100, 40.5)
    (found,) = book.found(prices(40.0, 41.0, splits={"AAA": {FRIDAY: 2.0}, "BBB": {FRIDAY: 5.0}}))
    assert parts(found) == pytest.approx((20.0, 30.0, 0.0, 0.0, 0.0), abs=1e-9)


def test_a_split_on_the_way_counts_all_fills_in_the_shares_of_the_end(book: Book) -> None:
    # 100 good till cancelled at 80: 40 on Friday at 81, then two for one, 80 of the new shares on Monday at 41, and 40
    # given up at 42. In new shares: 200 at 40; 80 at 40.5 and 80 at 41; released at 80.4, which is 40.2.
    resting = order("resting", 100, 80.0, time_in_force="GTC", order_type="limit", limit_price_usd=90.0)
    book.decide(resting)
    book.judge(resting, 80.4)
    book.tell(resting, K.SUBMITTED)
    book.fill(resting, 40, 81.0, last=False)
    after = order_after_split(resting, 2.0, filled_shares=40)
    assert after is not None
    book.tell(resting, K.RESCALED, MONDAY, order=after, split_ratio=2.0)
    book.fill(after, 80, 41.0, number=2, session=MONDAY, last=False)
    book.tell(resting, K.CANCELLED, MONDAY)
    known = MarketPrices(
        opens_usd={}, closes_usd={("AAA", MONDAY): 42.0, ("AAA", FRIDAY): 81.0}, splits={"AAA": {MONDAY: 2.0}}
    )
    (found,) = book.found(known)
    assert (found.report.ordered_shares, found.report.filled_shares) == (200.0, 160.0)
    assert parts(found) == pytest.approx((160 * 0.2, 80 * 0.3 + 80 * 0.8, 0.0, 0.0, 40 * 2.0), abs=1e-9)


def test_a_child_of_no_order_is_refused(book: Book) -> None:
    book.decide(order("one", 1, 50.0), order("other", 2, 50.0))
    book.child(order("one", 1, 50.0), "child", 1)
    with pytest.raises(ExecutionError, match="has 2 orders in the symbol, expected 1"):
        book.found(prices(1.0, 1.0))


def test_rows_of_the_table_add_up_to_the_figures_of_the_report(book: Book) -> None:
    bought = order("bought", 1000, 40.0)
    sold = order("sold", -100, 50.0, symbol="BBB", ticker="BBB")
    book.decide(bought, sold)
    for each, shares, price in ((bought, 1000, 40.5), (sold, -100, 49.0)):
        book.tell(each, K.SUBMITTED)
        book.fill(each, shares, price, fee=2.0)
    bars = pd.DataFrame(
        {"symbol": ["AAA", "BBB"], "session": pd.Timestamp(FRIDAY), "open_raw_usd": [40.1, 50.5], "close_raw_usd": 1.0}
    )
    actions = tables.CORPORATE_ACTIONS.empty()
    assert market_prices(bars, actions).opens_usd[("BBB", FRIDAY)] == 50.5
    rows = shortfall_rows(book.journal.events(kinds=READ_KINDS), bars, actions)
    assert rows["client_order_id"].tolist() == ["bought", "sold"]
    figures = shortfall_figures(rows)
    assert figures is not None
    # 1,000 × (0.1 + 0.4) and 100 × (-0.5 + 1.5), 4 of fees; 45,000 were decided.
    assert (figures.delay_usd, figures.impact_usd, figures.fees_usd) == pytest.approx((50.0, 550.0, 4.0), abs=1e-9)
    assert (figures.shortfall_usd, figures.opportunity_usd) == pytest.approx((604.0, 0.0), abs=1e-9)
    assert figures.shortfall_bps == pytest.approx(604 / 45_000 * 1e4, rel=1e-12)
    assert math.fsum(rows["shortfall_usd"]) == figures.shortfall_usd
    assert shortfall_figures(tables.IMPLEMENTATION_SHORTFALL.empty()) is None
