"""A session traded on paper through the live path, and the same session in a backtest: the same orders and fills."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_rows import bars_from_minute_bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.desk import Desk
from aegis.backtesting.engine import BacktestingEngine
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.worked_orders import WorkedOrders
from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.execution.journal import Journal
from aegis.execution.order_projections import order_event, recorded_fills
from aegis.execution.orders import OrderEventKind
from aegis.live_data.session_history import GeneratedSessions
from aegis.workspace import Workspace
from aegis_resources.lake import LakeResource
from aegis_resources.trading import traded_account
from tests.integration.conftest import CALENDAR, THE_DAY, settings
from tests.integration.live_trading.committed_rebalances import commit_rebalance

ACCOUNT = "paper"
DECIDED = CALENDAR.offset(THE_DAY, -2)
TRADED = CALENDAR.next(DECIDED)
MINUTE = timedelta(minutes=1)
WANTED = {"AVQR": 900.0, "BQVZ": 400.0, "CRZQ": 1_200.0}
LIMITS = {
    "max_orders_per_second": 1_000,
    "max_orders_per_minute": 10_000,
    "max_position_size": 1.0,
    "max_order_notional_usd": 1e9,
    "max_order_equity_fraction": 2.0,
}


def config_of(home: Path, algorithm: str) -> AegisConfig:
    sections = settings(home=home, account=ACCOUNT, account_since=DECIDED)
    return AegisConfig(
        eval={
            "execution": {"default_algorithm": algorithm, "interval_minutes": 30},
            "live_trading": {
                "broker": "simulated",
                "market_data": {"simulated": {"half_spread_bps": 0}},
                "risk_limits": LIMITS,
            },
        },
        **sections,
    )


Row = tuple[str, datetime, float, float]


def traded(config: AegisConfig) -> tuple[list[Row], list[Row]]:
    """Trade the session on paper, minute by minute; return what was sent and what filled."""
    clock = SimulatedClock(CALENDAR.close_utc(DECIDED))
    lake = LakeResource.of(Workspace.of(config))
    with traded_account(config, clock=clock, lake=lake, listens=False) as account:
        for instant in instants():
            clock.advance_to(instant)
            assert account.process.step().failures == ()
    with Journal.open(Workspace.of(config).journal(ACCOUNT), account=ACCOUNT) as journal:
        fills = recorded_fills(journal, first=TRADED, last=TRADED)
        children = {
            row.client_order_id: row.payload["order"] for row in journal.events() if row.kind == "child recorded"
        }
        sent = [
            order_event(row)
            for row in journal.events()
            if row.kind == OrderEventKind.SUBMITTED and row.client_order_id in children
        ]
    orders = [
        (children[e.client_order_id]["symbol"], e.at_utc, children[e.client_order_id]["quantity_shares"], 0.0)
        for e in sent
    ]
    return sorted(orders), sorted((f.symbol, f.filled_at_utc, f.quantity_shares, f.price_usd) for f in fills)


def instants() -> Iterator[datetime]:
    """Yield when the trader looks: before the opening, and at the close of each minute, as a backtest does."""
    opens = CALENDAR.open_utc(TRADED)
    yield opens - timedelta(minutes=20)
    yield from (opens + MINUTE * k for k in range(1, 391))


class Rebalance(Strategy):
    """Works the same orders from the last bar of the evening before on."""

    def __init__(self, config: AegisConfig) -> None:
        self._settings = config.eval.execution
        self._orders: Any = None

    def on_start(self, desk: Desk) -> None:
        self._orders = WorkedOrders(desk, calendar=CALENDAR, settings=self._settings)

    def on_bar(self, desk: Desk) -> None:
        if desk.closes_session and desk.session == DECIDED:
            for symbol, quantity in WANTED.items():
                self._orders.work(symbol, quantity)
        self._orders.on_bar()


def backtested(config: AegisConfig, minutes) -> tuple[list[Row], list[Row]]:
    rules = TradingRules(participation_rate=config.eval.execution.participation_rate)
    settings = BacktestConfig(
        initial_cash_usd=config.run.initial_cash_usd,
        rules=rules,
        costs=CostModel.from_settings(config.eval.backtesting),
    )
    results = BacktestingEngine(Rebalance(config), bars_from_minute_bars(minutes, CALENDAR), settings).run()
    orders = results.orders
    sent = [(row.symbol, row.submitted_at_utc.to_pydatetime(), row.quantity_shares, 0.0) for row in orders.itertuples()]
    filled = []
    for row in results.fills.itertuples():
        # A backtest tells a fill with its bar's close; a venue dates what it did at the opening by it.
        at = row.at_utc - MINUTE if row.executed_at.startswith("open") else row.at_utc
        filled.append((row.symbol, at.to_pydatetime(), row.quantity_shares, row.price_usd))
    return sorted(sent), sorted(filled)


@pytest.mark.parametrize("algorithm", ["twap", pytest.param("pov", marks=pytest.mark.long)])
def test_a_session_on_paper_is_the_backtest_of_the_same_minutes(eve: Path, tmp_path: Path, algorithm: str) -> None:
    shutil.copytree(eve / "simulated-simulated", tmp_path / f"simulated-{ACCOUNT}")
    config = config_of(tmp_path, algorithm)
    history = GeneratedSessions(config, CALENDAR)
    symbols = sorted(WANTED)
    played = [history.session(session, symbols).minutes for session in (DECIDED, TRADED)]
    closes = played[0].sort_values("closes_at_utc").groupby("symbol")["close_raw_usd"].last().to_dict()
    closed = CALENDAR.close_utc(DECIDED)
    commit_rebalance(config, WANTED, closes, decided=DECIDED, traded=TRADED, algorithm=algorithm, at_utc=closed)
    sent, fills = backtested(config, pd.concat(played, ignore_index=True))
    assert {symbol: sum(row[2] for row in fills if row[0] == symbol) for symbol in WANTED} == WANTED
    assert len(fills) > len(WANTED)
    on_paper = traded(config)
    assert on_paper[0] == sent
    assert on_paper[1] == fills
