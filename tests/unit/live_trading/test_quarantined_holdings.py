"""A quarantined bar of what the book holds or targets blocks the session; any other one blocks nothing."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from aegis.execution.journal import Journal
from aegis.lake import tables
from aegis.live_trading.quarantined_holdings import without_bars_of_a_quarantined_holding
from aegis.live_trading.session_inputs import InputHistory
from tests.unit.live_trading.test_session_loop import (
    DELAY,
    FRIDAY,
    NEW_YORK,
    SALE,
    THURSDAY,
    bars_of,
    history,
    journal,
    opening,
    ordered,
    rules,
    run,
)

__all__ = ["journal"]


def set_aside(symbol: str) -> pd.DataFrame:
    """Return the quarantined bar of one symbol on Friday."""
    row = {
        "session": FRIDAY,
        "symbol": symbol,
        "ticker": symbol,
        **{f"{name}_raw_usd": 900.0 for name in ("open", "high", "low", "close")},
        "volume_shares": 1e6,
        "source": "hand",
        "known_at_utc": NEW_YORK.close_utc(FRIDAY) + DELAY,
        "check": "opens_stay_near_closes",
        "reason": f"{symbol} {FRIDAY}: a slipped price",
    }
    return tables.QUARANTINED_BARS.conform(pd.DataFrame([row]))


def with_quarantine(symbol: str) -> InputHistory:
    """Return Thursday and Friday, Friday's bar of `symbol` set aside by the gate."""
    prices = {THURSDAY: 100.0, FRIDAY: 110.0}
    bars = pd.concat([bars_of(day, price, NEW_YORK.close_utc(day) + DELAY) for day, price in prices.items()])
    kept = bars[(bars["symbol"] != symbol) | (bars["session"] != pd.Timestamp(FRIDAY))]
    return history(prices, bars=tables.DAILY_BARS.conform(kept), quarantined=set_aside(symbol))


@pytest.mark.parametrize("symbol", ["AAA", "CCC"])
def test_a_quarantined_bar_of_a_holding_blocks_the_session_for_the_book(journal: Journal, symbol: str) -> None:
    decided = run(journal, opening(), THURSDAY, history({THURSDAY: 100.0}))
    blocked = run(journal, decided.state, FRIDAY, with_quarantine(symbol))
    assert ordered(decided) == SALE
    assert blocked.fills == ()
    assert blocked.state.account.equity_usd == 10_000.0 + 900 * 100.0
    assert rules(blocked)["inputs_are_fresh"] == "refuse"
    assert ordered(blocked) == []


def test_a_quarantined_bar_of_a_stranger_blocks_nothing(journal: Journal) -> None:
    decided = run(journal, opening(), THURSDAY, history({THURSDAY: 100.0}))
    traded = run(journal, decided.state, FRIDAY, with_quarantine("ZZZ"))
    assert [(fill.symbol, fill.quantity_shares) for fill in traded.fills] == [("CCC", -300.0)]
    assert rules(traded) == {}


def test_a_quarantined_bar_of_a_symbol_that_is_only_ordered_blocks_too(journal: Journal) -> None:
    """CCC is sold, so what counts for it is the order that waits and not the shares."""
    decided = run(journal, opening(), THURSDAY, history({THURSDAY: 100.0}))
    account = decided.state.account
    sold = tuple(p for p in account.positions if p.symbol != "CCC")
    state = replace(decided.state, account=replace(account, positions=sold))
    inputs = without_bars_of_a_quarantined_holding(with_quarantine("CCC").session(FRIDAY), state.account)
    assert inputs.market.rows == {}
    assert inputs.inputs_known_at_utc is None


def test_the_verdict_of_a_quarantined_holding_names_symbol_session_and_reason() -> None:
    inputs = with_quarantine("AAA").session(FRIDAY)
    verdicts = tuple(
        replace(v, outcome="quarantine") if v.check == "opens_stay_near_closes" else v for v in inputs.checks
    )
    blocked = without_bars_of_a_quarantined_holding(replace(inputs, checks=verdicts), opening().account)
    told = [v for v in blocked.checks if v.outcome == "block"]
    assert [v.check for v in told] == ["opens_stay_near_closes"]
    assert told[0].detail == (f"AAA is held, so its quarantined bar blocks the session: AAA {FRIDAY}: a slipped price")
