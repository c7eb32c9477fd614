"""An account on the embedded market that is traded through the live code path, day by day: assets in the evening, the
process that trades at the venue by day. The venue is the simulated broker, which fills whole orders in daily bars."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.clock import FixedClock, SimulatedClock
from aegis.config import AegisConfig
from aegis.execution.account_state import AccountState
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.planning import PastMarket
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.journal import Journal
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.exit_review import MadeBy
from aegis.live_trading.live_trader import LiveTrader
from aegis.live_trading.session_inputs import InputHistory
from aegis_assets.book import read_inputs
from aegis_resources.market_data import Market
from aegis_sensors.jobs import EXECUTE_TRADES
from tests.integration.conftest import CALENDAR, Chain, settings
from tests.integration.live_trading.trading_process import NoRules

ACCOUNT = "paper"
MORNING = timedelta(minutes=-30)


def traded_config(home: Path, since: date) -> AegisConfig:
    """Return the settings of the account: whole orders, so that the venue needs no minutes."""
    sections = settings(home=home, account=ACCOUNT, account_since=since)
    execution = {"execution": {"default_algorithm": "market"}, "live_trading": {"broker": "simulated"}}
    return AegisConfig(eval=execution, **sections)


class TradedAccount:
    """The account's workspace, venue and clock.

    Parameters
    ----------
    eve : Path
        Home of a platform with the research of `sessions`; copied.
    home : Path
        Where to.
    sessions : sequence of date
        The account begins with the first.
    """

    def __init__(self, eve: Path, home: Path, sessions: Sequence[date]) -> None:
        shutil.copytree(eve, home)
        (home / "simulated-simulated").rename(home / f"simulated-{ACCOUNT}")
        self.config = traded_config(home, sessions[0])
        self.clock = SimulatedClock(CALENDAR.close_utc(CALENDAR.previous(sessions[0])))
        self.market = Market(self.config, self.clock)
        self.chain = Chain(self.config)
        with self.chain.lake() as store:
            self.history = InputHistory(
                read_inputs(store, self.market, sessions),
                calendar=CALENDAR,
                decision_times=self.market.decision_times(sessions),
                vendor_delay=self.config.market_data.vendor_delay,
            )
        state = AccountState.opening(ACCOUNT, cash_usd=self.config.run.initial_cash_usd)
        self.rules = TradingRules(participation_rate=self.config.eval.execution.participation_rate)
        self.costs = CostModel.from_settings(self.config.eval.backtesting)
        self.venue = SimulatedBroker(state, costs=self.costs, rules=self.rules, clock=self.clock)

    def evening(self, session: date, *, raise_on_error: bool = True, **options: Any) -> dg.ExecuteInProcessResult:
        """Make the book of a session on its evening, or on a later one that the clock has reached."""
        self.until(self.market.decision_times([session])[session] + timedelta(minutes=5))
        # Definitions know the sessions of the instant at which they are loaded.
        self.chain = Chain(self.config, clock=FixedClock(self.clock.now_utc()))
        return self.chain.run(EXECUTE_TRADES, session, session, raise_on_error=raise_on_error, **options)

    def until(self, instant_utc: datetime) -> None:
        self.clock.advance_to(max(instant_utc, self.clock.now_utc()))

    def day(self, session: date) -> None:
        """Trade a session: release its orders in the morning, and hear of what filled after its close."""
        self.until(CALENDAR.open_utc(session) + MORNING)
        with self.journal() as journal, closing(self.system()) as system:
            trader = self.trader(system, journal)
            assert trader.step().failures == ()
            self.venue.begin_session(self.history.session(session).market)
            self.venue.end_session()
            self.until(CALENDAR.close_utc(session) + timedelta(minutes=1))
            assert trader.step().failures == ()

    def pass_by(self, session: date) -> None:
        """Let a session go by at the venue while no process trades."""
        self.until(CALENDAR.open_utc(session))
        self.venue.begin_session(self.history.session(session).market)
        self.venue.end_session()

    def start_and_stop(self) -> None:
        """Start the process that trades, let it look once, and stop it."""
        with self.journal() as journal, closing(self.system()) as system:
            self.trader(system, journal).step()

    def system(self) -> ExecutionSystem:
        folder = self.chain.workspace.folder
        return ExecutionSystem(
            self.venue,
            ExecutionConfig(
                account=ACCOUNT,
                journal=self.chain.workspace.journal(ACCOUNT),
                kill_switch=self.chain.workspace.kill_switch(ACCOUNT),
                lease=folder / "lease.json",
                calendar=CALENDAR,
                rules=lambda _: NoRules(),
                made_by=MadeBy(code_version="test", config_hash="test"),
                clock=self.clock,
            ),
        )

    def trader(self, system: ExecutionSystem, journal: Journal) -> LiveTrader:
        return LiveTrader(
            system,
            journal,
            calendar=CALENDAR,
            clock=self.clock,
            settings=self.config.eval.execution,
            feed=_Quotes(self.clock),
            past=lambda _: PastMarket(),
        )

    def journal(self) -> Journal:
        return Journal.open(self.chain.workspace.journal(ACCOUNT), account=ACCOUNT)


class _Quotes:
    """A feed that quotes every symbol now: the venue fills by its own bars, and no rule looks at a quote."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock

    def watch(self, symbols: frozenset[str]) -> None:
        """Quote all alike."""

    def observe(self, symbol: str) -> MarketObservation:  # noqa: ARG002 - all alike
        return MarketObservation(bid_usd=1.0, ask_usd=1.0, quoted_at_utc=self._clock.now_utc())
