"""A session that was blocked or mispriced, corrected later and run again: what happened stays, and is told.

The market of 2014, with a negative price planted on 2014-10-15; the correction is the same market without it, and with
every price of the session before two per cent higher.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from rich.console import Console

from aegis.config import AegisConfig
from aegis.execution.order_projections import recorded_fills
from aegis.lake import tables
from aegis.market_data.sources.wrapped import WrappedSource
from aegis_assets.market_data import GATED_TABLES
from aegis_assets.table_assets import asset_key
from aegis_resources.market_data import Market
from aegis_sensors.jobs import EXECUTE_TRADES, FETCH_MARKET_DATA, MONITOR
from aegis_sensors.trace import trace_command
from tests.integration.conftest import CALENDAR, FIRST, THE_DAY, Chain, settings

BLOCKED = THE_DAY
BEFORE, AFTER = CALENDAR.previous(BLOCKED), CALENDAR.next(BLOCKED)
PRICES = ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]
FAULT = {"symbol": "TVZQ", "session": BLOCKED, "kind": "negative_price"}


class Dearer(WrappedSource):
    """The same market with the prices of one session two per cent higher."""

    def bars(self, first: date, last: date) -> pd.DataFrame:
        bars = super().bars(first, last)
        bars.loc[bars["session"] == pd.Timestamp(BEFORE), PRICES] *= 1.02
        return bars


@dataclass
class History:
    """A workspace after the correction, and what it held before."""

    chain: Chain
    orders: pd.DataFrame
    fills: pd.DataFrame
    half_repaired: dg.ExecuteInProcessResult
    half_repaired_gate: pd.DataFrame
    repaired: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def history(eve: Path, tmp_path_factory: pytest.TempPathFactory) -> History:
    sections = settings(home=shutil.copytree(eve, tmp_path_factory.mktemp("corrected") / "home"))
    broken = Chain(AegisConfig(market_data={"faults": [FAULT]}, **sections))
    broken.run(FETCH_MARKET_DATA, BLOCKED, BLOCKED, raise_on_error=False)
    broken.run(EXECUTE_TRADES, BLOCKED, BLOCKED)
    broken.fetch_and_trade(AFTER, AFTER)
    orders, fills = broken.read(tables.ORDERS), broken.read(tables.FILLS)

    config = AegisConfig(**sections)
    chain = Chain(config, Dearer(Market(config).source))
    bars = [asset_key(t) for t in (tables.RAW_BARS, *GATED_TABLES)]
    chain.run(FETCH_MARKET_DATA, BLOCKED, BLOCKED, assets=bars)
    half = chain.run(EXECUTE_TRADES, BLOCKED, AFTER)
    gate = chain.read(tables.PRE_TRADE_GATE, first=BLOCKED, last=BLOCKED)
    chain.run(FETCH_MARKET_DATA, BEFORE, AFTER)
    repaired = chain.run(EXECUTE_TRADES, BEFORE, AFTER)
    return History(chain, orders, fills, half, gate, repaired)


def test_the_blocked_session_had_orders_before_it_and_after_it(history: History) -> None:
    sessions = set(history.orders["session"].dt.date)
    assert BEFORE in sessions
    assert BLOCKED not in sessions
    assert {BLOCKED, AFTER}.isdisjoint(history.fills["session"].dt.date), "none was decided to be filled after it"


def test_bars_without_their_research_order_nothing(history: History) -> None:
    refused = history.half_repaired_gate.set_index("rule").query("outcome == 'refuse'")
    assert list(refused.index) == ["research_follows_the_bars"]
    assert "market_data/universe" in refused["detail"].iloc[0]
    assert history.chain.checks(history.half_repaired)["no_session_is_blocked"] is False


def test_no_order_is_made_with_hindsight_and_none_is_lost(history: History) -> None:
    gate = history.chain.read(tables.PRE_TRADE_GATE, first=BLOCKED, last=BLOCKED).set_index("rule")["outcome"]
    assert list(gate[gate == "refuse"].index) == ["no_later_session_is_booked"]
    terms = ["session", "client_order_id", "quantity_shares", "execution_session", "gate_outcome", "input_snapshot_id"]
    assert history.chain.read(tables.ORDERS)[terms].equals(history.orders[terms])


def test_orders_that_expired_in_the_blocked_session_stay_expired(history: History) -> None:
    fills = history.chain.read(tables.FILLS)
    assert fills.equals(history.fills)
    assert not history.chain.read(tables.DAILY_BARS, first=BLOCKED, last=BLOCKED).empty
    with history.chain.desk.journal() as journal:
        recorded = {
            (f.client_order_id, f.quantity_shares, f.price_usd)
            for f in recorded_fills(journal, first=FIRST, last=AFTER)
        }
    assert recorded == set(zip(fills["client_order_id"], fills["quantity_shares"], fills["price_usd"], strict=True))


def test_what_the_corrected_prices_would_have_done_is_a_failed_check(history: History) -> None:
    checks = history.chain.checks(history.repaired)
    assert checks["orders_match_committed_decisions"] is False
    assert checks["pnl_explains_equity_change"] is True
    assert history.chain.checks(history.chain.run(MONITOR, AFTER, AFTER))["fills_match_the_journal"] is True


def test_an_order_is_traced_to_the_prices_it_was_decided_on(history: History) -> None:
    own = history.orders[history.orders["session"] == pd.Timestamp(BEFORE)].iloc[0]
    now = history.chain.read(tables.DAILY_BARS, first=BEFORE, last=BEFORE).set_index("symbol").loc[own["symbol"]]
    assert now["close_raw_usd"] == pytest.approx(1.02 * own["arrival_price_usd"], rel=1e-12)
    console = Console(record=True, width=250, file=io.StringIO())
    trace_command(history.chain.config, own["client_order_id"], console=console)
    printed = console.export_text()
    assert f"close_raw_usd={own['arrival_price_usd']:.6g}" in printed
    assert f"close_raw_usd={now['close_raw_usd']:.6g}" not in printed
    assert f"target_weight={own['target_weight']:.6g}" in printed
    assert "rules passed" in printed
