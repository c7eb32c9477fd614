"""What the chain refuses, and what a repetition changes: nothing. Real parts, the embedded market of 2014."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis_sensors.definitions import build_definitions
from aegis_sensors.jobs import EXECUTE_TRADES, FETCH_MARKET_DATA
from tests.integration.conftest import CALENDAR, FIRST, SESSIONS, SETTINGS, Chain, settings

MakeChain = Callable[..., Chain]
FAULTS = {
    "negative_price": "prices_are_positive",
    "duplicate_row": "primary_key_is_unique",
    "high_below_low": "high_low_bracket_open_close",
    "missing_bar": "bars_cover_every_listed_symbol",
}


@pytest.mark.parametrize(("kind", "check"), FAULTS.items())
def test_a_planted_fault_fails_its_named_check_and_no_order_exists(
    make_chain: MakeChain, kind: str, check: str
) -> None:
    broken = date(2014, 10, 15)
    fault = {"symbol": "TVZQ", "session": broken, "kind": kind}
    chain = make_chain(market_data={"faults": [fault]}, **settings())
    before, after = CALENDAR.previous(broken), CALENDAR.next(broken)
    chain.fetch_and_trade(FIRST, before)
    assert not chain.read(tables.ORDERS, first=date(2014, 10, 1), last=before).empty

    fetched = chain.run(FETCH_MARKET_DATA, broken, broken, raise_on_error=False)
    failed = {name for name, passed in chain.checks(fetched).items() if not passed}
    assert check in failed
    assert not fetched.success
    row = chain.read(tables.CHECK_RESULTS, first=broken, last=broken).set_index("check").loc[check]
    assert row["outcome"] == "block"
    assert "TVZQ" in row["detail"]
    assert broken.isoformat() in row["detail"]

    alone = chain.run(EXECUTE_TRADES, broken, broken)
    assert chain.read(tables.ORDERS, first=broken, last=broken).empty
    assert chain.read(tables.FILLS, first=broken, last=broken).empty
    assert chain.checks(alone)["no_session_is_blocked"] is False
    assert chain.checks(alone)["pnl_explains_equity_change"] is True
    gate = chain.read(tables.PRE_TRADE_GATE, first=broken, last=broken).set_index("rule")["outcome"]
    assert gate["data_checks_passed"] == "refuse"
    targets = chain.read(tables.TARGET_WEIGHTS, first=broken, last=broken)
    assert set(targets["reason"]) == {"hold: session without trusted bars"}
    assert chain.read(tables.RISK_REPORT, first=broken, last=broken)["value_at_risk_95"].isna().all()

    chain.fetch_and_trade(after, after)
    assert chain.read(tables.FILLS, first=after, last=after).empty


def test_materializing_the_book_twice_leaves_one_set_of_orders(make_chain: MakeChain) -> None:
    chain = make_chain(**settings(last_session=date(2014, 10, 31)))
    last = date(2014, 10, 31)
    chain.fetch_and_trade(FIRST, last)
    orders, events = chain.hashes(tables.ORDERS), journal_events(chain)
    again = chain.run(EXECUTE_TRADES, FIRST, last)
    assert chain.checks(again)["orders_match_committed_decisions"] is True
    assert chain.hashes(tables.ORDERS) == orders
    assert journal_events(chain) == events


def test_a_recomputation_that_differs_keeps_the_committed_orders_and_fails_a_check(make_chain: MakeChain) -> None:
    last = date(2014, 10, 31)
    chain = make_chain(**settings(last_session=last))
    chain.fetch_and_trade(FIRST, last)
    before = chain.read(tables.ORDERS)
    other = {**settings(last_session=last, home=chain.config.run.home)}
    other["portfolio"] = {**SETTINGS["portfolio"], "max_position_weight": 0.04}
    changed = Chain(AegisConfig(**other))
    result = changed.run(EXECUTE_TRADES, FIRST, last)
    assert changed.checks(result)["orders_match_committed_decisions"] is False
    after = changed.read(tables.ORDERS)
    terms = ["session", "client_order_id", "symbol", "quantity_shares", "execution_session", "gate_outcome"]
    assert after[terms].equals(before[terms])
    assert set(after["client_order_id"]) == set(journalled_order_ids(changed))


def test_a_book_without_its_previous_session_is_refused(make_chain: MakeChain) -> None:
    chain = make_chain(**settings())
    chain.run(FETCH_MARKET_DATA, FIRST, SESSIONS[2])
    result = chain.run(EXECUTE_TRADES, SESSIONS[2], SESSIONS[2], raise_on_error=False)
    assert not result.success
    assert chain.read(tables.BOOK_STATES).empty


def test_an_open_session_is_not_fetched(make_chain: MakeChain) -> None:
    chain = make_chain(**settings(last_session=None))
    at_noon = FixedClock(datetime(2014, 6, 3, 16, tzinfo=UTC))
    chain.definitions = build_definitions(chain.config, clock=at_noon)
    result = chain.run(FETCH_MARKET_DATA, date(2014, 6, 3), date(2014, 6, 3), raise_on_error=False)
    assert not result.success
    assert chain.read(tables.RAW_BARS).empty


def journal_events(chain: Chain) -> int:
    with chain.desk.journal() as journal:
        return journal.verify()


def journalled_order_ids(chain: Chain) -> list[str]:
    with chain.desk.journal() as journal:
        return [str(row.client_order_id) for row in journal.events(kinds=["intent recorded"])]
