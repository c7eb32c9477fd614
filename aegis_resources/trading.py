"""One traded account put together: broker, market data, rules at the door, trader and monitor, from the configuration.

Belongs here: which parts there are and what each is given. What they do is :mod:`aegis.live_trading` and
:mod:`aegis.live_data`; who starts them is ``aegis_sensors.trade_command``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable

import pandas as pd

from aegis import __version__
from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction, actions_by_session
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.compliance.restricted_list import Restriction
from aegis.compliance.restricted_list_in_use import RestrictedListInUse
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.execution.account_state import AccountState
from aegis.execution.algorithms.planning import PastMarket
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.paper_log import PaperLog
from aegis.execution.journal import Journal
from aegis.live_data.past_market import last_closes, past_market
from aegis.live_data.port import LiveMarketData
from aegis.live_data.registry import live_market_data, played_sessions
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.exit_review import MadeBy
from aegis.live_trading.journalled_rules import restored_risk_manager
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.live_safety import broker_for, require_permission
from aegis.live_trading.live_trader import LiveTrader
from aegis.live_trading.paper_tapes import PlayedTape
from aegis.live_trading.quotes_at_the_door import QuotesAtTheDoor
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.live_trading.session_actions import SessionActions
from aegis.live_trading.symbol_knowledge import symbol_facts
from aegis.live_trading.trading_process import Knowledge, TradingProcess
from aegis.market_data.sources.source import MarketDataSource
from aegis.monitoring.alert_channels import configured_channels
from aegis.monitoring.alert_dispatch import AlertDispatch
from aegis.monitoring.feed_health import LiveDataFeeds
from aegis.monitoring.health_endpoint import HealthEndpoint
from aegis.monitoring.monitor import Monitor
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_view import SymbolFacts
from aegis_resources.desk import Desk, config_hash
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

_BASIS_POINT = 1e-4


@dataclass(frozen=True, kw_only=True)
class TradedAccount:
    """The parts of an account that is being traded.

    Parameters
    ----------
    process : TradingProcess
        Steps all of them.
    system : ExecutionSystem
        The account.
    rules : LiveRiskManager
        At its door.
    calendar : TradingCalendar
        Sessions of the venue.
    trades_real_money : bool
        Whether a person's confirmation let it begin.
    remarks : callable
        What a person should know of the settings as they are now: lines of the restricted list that restrict nothing.
    """

    process: TradingProcess
    system: ExecutionSystem
    rules: LiveRiskManager
    calendar: TradingCalendar
    trades_real_money: bool
    remarks: Callable[[], tuple[str, ...]]


@runtime_checkable
class ConnectedBroker(Protocol):
    """A broker that is reached over a network."""

    def connect(self) -> None:
        """Reach it."""
        ...


@contextmanager
def traded_account(
    config: AegisConfig, *, clock: Clock, lake: LakeResource, listens: bool = True
) -> Iterator[TradedAccount]:
    """Yield the configured account, recovered and reconciled; everything is closed on leaving.

    Parameters
    ----------
    config : AegisConfig
        ``run.account`` is the account, ``eval.live_trading`` how it is traded.
    clock : Clock
        The machine's; a simulation's where broker and market data are simulated.
    lake : LakeResource
        Read only.
    listens : bool
        Whether a thread of its own listens to the broker; a simulated clock steps it instead.

    Raises
    ------
    ConfigurationError
        The account is the simulated one, real money is not confirmed, or a setting cannot be used.
    ExecutionError
        Another process trades the account.
    ComplianceError
        The restricted list cannot be read.
    JournalError, BrokerUnavailable
        The journal was tampered with, or does not hold what the lake has booked; or the broker does not answer. Nothing
        was sent.
    """
    config.require_account()
    if not config.is_traded:
        raise ConfigurationError(
            "run.account: 'simulated' is traded by the assets themselves; name another account, such as 'paper', to "
            "trade one with a process of its own"
        )
    desk, market = Desk.of(config), Market(config, clock)
    require_permission(config, desk.workspace, clock=clock)  # before a vendor is asked for anything
    with lake.open() as store:
        desk.require_recorded_past(store)
    sources = _Sources(config, market, lake, clock)
    with ExitStack() as opened:
        made = broker_for(
            config,
            desk.workspace,
            clock=clock,
            calendar=market.calendar,
            symbols=sources.symbols_by_ticker(),
            paper=lambda: sources.paper_venue(desk),
        )
        opened.callback(made.broker.close)
        if isinstance(made.broker, ConnectedBroker):
            made.broker.connect()
        rules: list[LiveRiskManager] = []
        execution = _execution_config(desk, market, clock, made.why_only_reducing, rules)
        system = ExecutionSystem(made.broker, execution)
        opened.callback(system.close)
        feed = live_market_data(
            config,
            clock,
            calendar=market.calendar,
            ticker_of=sources.ticker_of,
            open_lake=lake.open,
            listener=QuotesAtTheDoor(rules[0]),
        )
        opened.callback(feed.close)
        actions = SessionActions(sources.actions, calendar=market.calendar, clock=clock)
        trader = LiveTrader(
            system,
            opened.enter_context(Journal.open(execution.journal, account=desk.account)),
            calendar=market.calendar,
            clock=clock,
            settings=config.eval.execution,
            feed=feed,
            past=lambda order: sources.past(order.symbol, order.execution_session),
            has_room=rules[0].has_room,
            actions=actions.of,
        )
        monitor = _monitor(opened, system, execution, rules[0], feed, desk, clock)
        if listens:
            system.listen()
        yield TradedAccount(
            process=TradingProcess(
                system,
                trader,
                rules[0],
                feed,
                Knowledge(
                    facts=sources.facts,
                    actions=actions.of,
                    closes=sources.closes,
                    look_at_restrictions=sources.restricted_list.look,
                ),
                venue=made.broker,
                clock=clock,
                watch=monitor.observe,
            ),
            system=system,
            rules=rules[0],
            calendar=market.calendar,
            remarks=lambda: sources.remarks(desk),
            trades_real_money=made.trades_real_money,
        )


def _monitor(
    opened: ExitStack,
    system: ExecutionSystem,
    execution: ExecutionConfig,
    rules: LiveRiskManager,
    feed: LiveMarketData,
    desk: Desk,
    clock: Clock,
) -> Monitor:
    settings, folder = desk.config.monitoring, desk.workspace.monitor(desk.account)
    dispatch = AlertDispatch(folder / "alerts.jsonl", settings.alerts, configured_channels(settings))
    opened.callback(dispatch.close)
    monitor = Monitor(
        system,
        execution,
        rules,
        folder=folder,
        settings=settings,
        feeds=LiveDataFeeds(feed),
        drift=lambda: [response.cause for response in desk.drift_responses.history().standing],
        told=dispatch,
    )
    opened.callback(monitor.close)
    if settings.health.port is not None:
        opened.enter_context(HealthEndpoint(monitor, settings, clock=clock))
    return monitor


class _Sources:
    """What is read for an account from the lake and the source."""

    def __init__(self, config: AegisConfig, market: Market, lake: LakeResource, clock: Clock) -> None:
        self._config, self._market, self._lake, self._clock = config, market, lake, clock
        self.restricted_list = RestrictedListInUse(config.compliance.restricted_list, clock)
        self._remarked: tuple[tuple[Restriction, ...], tuple[str, ...]] = ((), ())
        self._past: dict[tuple[str, date], PastMarket] = {}
        self._listed: tuple[date, tuple[str, ...]] | None = None
        self._opened: tuple[date, MarketDataSource] | None = None
        self._history = played_sessions(config, market.calendar, lake.open)

    @property
    def _source(self) -> MarketDataSource:
        """The source as of the newest final session: one that was opened before tells what was known then."""
        newest = self._market.last_complete_session()
        if self._opened is None or self._opened[0] != newest:
            self._opened = newest, Market(self._config, self._clock).source
        return self._opened[1]

    def paper_venue(self, desk: Desk) -> Broker:
        """Return the account at the paper venue."""
        # The matching kernel takes seconds to load, and who trades at a real venue has no use for it.
        from aegis.execution.brokers.paper import PaperBroker  # noqa: PLC0415

        config = self._config
        return PaperBroker(
            AccountState.opening(desk.account, cash_usd=config.run.initial_cash_usd),
            log=PaperLog(desk.workspace.paper_account(desk.account)),
            tape=PlayedTape(self._history, symbols=self.symbols, actions=self.actions),
            calendar=self._market.calendar,
            costs=CostModel.from_settings(config.eval.backtesting),
            rules=TradingRules(participation_rate=config.eval.execution.participation_rate),
            clock=self._clock,
        )

    def past(self, symbol: str, session: date) -> PastMarket:
        """Return what past sessions tell of a symbol; read once, as the past of a session is known before it."""
        if (symbol, session) not in self._past:
            self._past[symbol, session] = self._read_past(symbol, session)
        return self._past[symbol, session]

    def _read_past(self, symbol: str, session: date) -> PastMarket:
        spread = 2 * self._config.eval.live_trading.market_data.simulated.half_spread_bps * _BASIS_POINT
        with self._lake.open() as store:
            return past_market(store, symbol, session, calendar=self._market.calendar, spread_fraction=spread or None)

    def facts(self, symbols: Iterable[str], session: date) -> Mapping[str, SymbolFacts]:
        """Return what is known of symbols before a session."""
        restrictions = self.restricted_list.restrictions
        return symbol_facts(symbols, session, past=self.past, restrictions=restrictions, clock=self._clock)

    def remarks(self, desk: Desk) -> tuple[str, ...]:
        """Return which lines of the restricted list restrict nothing; looked up once for each list that was read."""
        restrictions = self.restricted_list.restrictions
        if self._remarked[0] is not restrictions:
            today = self._clock.now_utc().date()
            with self._lake.open() as store:
                self._remarked = restrictions, desk.unlisted_restrictions(store, restrictions, today)
        return self._remarked[1]

    def actions(self, session: date) -> tuple[CorporateAction, ...]:
        """Return the corporate actions of a session, as they are known now.

        Notes
        -----
        What pays in shares of an acquirer is booked by the assets of the evening, which know its price. Alpaca is asked
        for the announced splits and dividends of the session that opens; other vendors need not tell of them before the
        evening, and a split that nobody tells of is a difference from the broker: only reducing orders leave.
        """
        if self._config.run.source == "simulated" or self._market.has_ended:
            rows = self._history.actions(session)
        else:
            rows = self._source.corporate_actions(session, session)
        return actions_by_session(rows, {}).get(session, ())

    def closes(self, symbols: Iterable[str], session: date) -> Mapping[str, float]:
        """Return the last raw closes of symbols that were known before the opening of a session."""
        with self._lake.open() as store:
            return last_closes(store, symbols, session, calendar=self._market.calendar)

    def symbols(self, session: date) -> tuple[str, ...]:
        """Return the permanent symbols that are listed in a session; those of the newest are remembered."""
        if self._listed is None or self._listed[0] != session:
            listings = self._source.listings()
            found = listings.loc[listings["first_session"] <= pd.Timestamp(session), "symbol"].unique()
            self._listed = session, tuple(sorted(found))
        return self._listed[1]

    def symbols_by_ticker(self) -> dict[str, str]:
        """Return the permanent symbol of each ticker of today."""
        listings = self._source.listings()
        today = listings[listings["last_session"].isna()]
        return dict(zip(today["ticker"], today["symbol"], strict=True))

    def ticker_of(self, symbol: str) -> str:
        """Return the ticker under which a symbol trades today; a KeyError where it trades no more."""
        return {held: ticker for ticker, held in self.symbols_by_ticker().items()}[symbol]


def _execution_config(
    desk: Desk,
    market: Market,
    clock: Clock,
    why_only_reducing: Callable[[], str],
    made: list[LiveRiskManager],
) -> ExecutionConfig:
    config, switch = desk.config, KillSwitch(desk.workspace.kill_switch(desk.account))
    limits = ExitLimits.from_settings(config.eval.live_trading.risk_limits)

    def rules(journal: Journal) -> LiveRiskManager:
        made.append(
            restored_risk_manager(
                journal, limits=limits, clock=clock, calendar=market.calendar, kill_switch_engaged=switch.is_engaged
            )
        )
        return made[-1]

    return ExecutionConfig(
        account=desk.account,
        journal=desk.workspace.journal(desk.account),
        kill_switch=desk.workspace.kill_switch(desk.account),
        lease=desk.workspace.lease(desk.account),
        calendar=market.calendar,
        rules=rules,
        made_by=MadeBy(code_version=__version__, config_hash=config_hash(config)),
        clock=clock,
        book=config.run.book,
        why_only_reducing=why_only_reducing,
        cash_tolerance_usd=config.eval.live_trading.cash_tolerance_usd,
        anchor=desk.anchor_place(),
    )
