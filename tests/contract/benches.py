"""A broker with a way to let its venue trade, one for each broker that the contract holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.brokers.multi import MultiBroker
from aegis.execution.brokers.order_routes import OrderRoutes, Route
from aegis.execution.brokers.paper import PaperBroker
from aegis.execution.brokers.paper_log import PaperLog
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.brokers.template import TemplateBroker
from tests.integration.venues.alpaca.connections import alpaca_settings
from tests.integration.venues.alpaca.server import AFTER_THE_CLOSE, AlpacaVenue
from tests.integration.venues.interactive_brokers.venue import (
    ABC,
    InteractiveBrokersVenue,
    interactive_brokers_settings,
)
from tests.integration.venues.small.client import SmallVenueClient
from tests.integration.venues.small.venue import SmallVenue
from tests.minute_tapes import WrittenTape, flat, minute


class Bench(Protocol):
    """A broker with 10 000 USD and nothing else, after the close of 2014-06-05, and a way to let its venue trade."""

    broker: Broker

    def quote(self, price_usd: float) -> None:
        """Let the venue quote ABC before anything trades; 10 USD until then."""
        ...

    def trade(self, session: date, *, price_usd: float, volume_shares: float) -> None:
        """Let the venue trade ABC for one session at one price; nobody gets more than a tenth of its volume."""
        ...

    def close(self) -> None:
        """End the venue."""
        ...


class SimulatedBench:
    def __init__(self, market_of, *, cash_usd: float = 10_000.0) -> None:
        self._market_of = market_of
        self._clock = SimulatedClock(datetime(2014, 6, 5, 20, 15, tzinfo=UTC))
        self.broker = SimulatedBroker(
            AccountState.opening("simulated", cash_usd=cash_usd),
            costs=CostModel(),
            rules=TradingRules(),
            clock=self._clock,
        )

    def quote(self, price_usd: float) -> None:
        """Do nothing: it judges an order by the bar that it fills on."""

    def trade(self, session: date, *, price_usd: float, volume_shares: float) -> None:
        market = self._market_of(session, bars={"ABC": (price_usd, price_usd, price_usd, price_usd, volume_shares)})
        self.broker.begin_session(market)
        self.broker.end_session()
        self._clock.advance_to(market.closes_at_utc)

    def close(self) -> None:
        self.broker.close()


class PaperBench:
    def __init__(self, folder: Path) -> None:
        self._calendar = trading_calendar("XNYS")
        self._clock = SimulatedClock(AFTER_THE_CLOSE)
        self._tape = WrittenTape()
        self.broker = PaperBroker(
            AccountState.opening("simulated", cash_usd=10_000.0),
            log=PaperLog(folder / "paper.jsonl"),
            tape=self._tape,
            calendar=self._calendar,
            costs=CostModel(),
            rules=TradingRules(),
            clock=self._clock,
        )

    def quote(self, price_usd: float) -> None:
        """Do nothing: it judges an order by the minute that it fills in."""

    def trade(self, session: date, *, price_usd: float, volume_shares: float) -> None:
        opens, closes = self._calendar.open_utc(session), self._calendar.close_utc(session)
        bars = {"ABC": flat(price_usd, volume_shares)}
        self._tape.written.append(minute(session, opens, opens + timedelta(minutes=1), bars))
        self._clock.advance_to(closes)

    def close(self) -> None:
        self.broker.close()


class AlpacaBench:
    def __init__(self, venue: AlpacaVenue) -> None:
        venue.begin_again()
        self._venue = venue
        self._calendar = trading_calendar("XNYS")
        self._clock = SimulatedClock(AFTER_THE_CLOSE)
        self.broker = AlpacaBroker(
            alpaca_settings(venue), account="simulated", calendar=self._calendar, clock=self._clock
        )
        self.broker.connect()

    def quote(self, price_usd: float) -> None:
        self._venue.quote("ABC", price_usd)

    def trade(self, session: date, *, price_usd: float, volume_shares: float) -> None:
        opens, closes = self._calendar.open_utc(session), self._calendar.close_utc(session)
        self._venue.trade_session(opens, closes, symbol="ABC", price_usd=price_usd, volume_shares=volume_shares)
        self._clock.advance_to(closes)
        self.broker.catch_up()

    def close(self) -> None:
        self.broker.close()


class InteractiveBrokersBench:
    def __init__(self, venue: InteractiveBrokersVenue) -> None:
        venue.begin_again()
        self._venue = venue
        self._calendar = trading_calendar("XNYS")
        self._clock = SimulatedClock(AFTER_THE_CLOSE)
        self.broker = InteractiveBrokersBroker(
            interactive_brokers_settings(venue), account="simulated", calendar=self._calendar, clock=self._clock
        )
        self.broker.connect()

    def quote(self, price_usd: float) -> None:
        self._venue.desk.quotes[ABC.con_id] = price_usd

    def trade(self, session: date, *, price_usd: float, volume_shares: float) -> None:
        opens, closes = self._calendar.open_utc(session), self._calendar.close_utc(session)
        # The gateway tells at once that an order has ended, and not when: the broker's clock dates it.
        self._clock.advance_to(closes)
        self._venue.trade_session(opens, closes, symbol="ABC", price_usd=price_usd, volume_shares=volume_shares)
        self.broker.catch_up()

    def close(self) -> None:
        self.broker.close()


class TemplateBench:
    def __init__(self, venue: SmallVenue) -> None:
        venue.begin_again()
        self._venue = venue
        self._calendar = trading_calendar("XNYS")
        self._clock = SimulatedClock(AFTER_THE_CLOSE)
        self.broker = TemplateBroker(
            SmallVenueClient(venue.port, account="simulated"),
            account="simulated",
            calendar=self._calendar,
            clock=self._clock,
        )

    def quote(self, price_usd: float) -> None:
        self._venue.quotes["ABC"] = price_usd

    def trade(self, session: date, *, price_usd: float, volume_shares: float) -> None:
        opens, closes = self._calendar.open_utc(session), self._calendar.close_utc(session)
        self._venue.trade_session(opens, closes, symbol="ABC", price_usd=price_usd, volume_shares=volume_shares)
        self._clock.advance_to(closes)
        self.broker.catch_up()

    def close(self) -> None:
        self.broker.close()


class MultiBench:
    """Several benches for one account: ABC is routed to the first, which has all the cash."""

    def __init__(self, **benches: Bench) -> None:
        self._benches = benches
        first, *_, last = benches
        routes = OrderRoutes([Route(((first, 1.0),), frozenset({"ABC"})), Route(((last, 1.0),))], benches)
        self.broker = MultiBroker(
            {name: bench.broker for name, bench in benches.items()},
            routes,
            account="simulated",
            calendar=trading_calendar("XNYS"),
            clock=SimulatedClock(AFTER_THE_CLOSE),
        )

    def quote(self, price_usd: float) -> None:
        for bench in self._benches.values():
            bench.quote(price_usd)

    def trade(self, session: date, *, price_usd: float, volume_shares: float) -> None:
        for bench in self._benches.values():
            bench.trade(session, price_usd=price_usd, volume_shares=volume_shares)

    def close(self) -> None:
        for bench in self._benches.values():
            bench.close()


def bench_of(name: str, market_of, fixture: Callable[[str], Any]) -> Bench:
    """Return a new bench by the broker's name; `fixture` gives the venues."""
    makers: dict[str, Callable[[], Bench]] = {
        "simulated": lambda: SimulatedBench(market_of),
        "paper": lambda: PaperBench(fixture("tmp_path")),
        "alpaca": lambda: AlpacaBench(fixture("alpaca")),
        "interactive_brokers": lambda: InteractiveBrokersBench(fixture("interactive_brokers")),
        "template": lambda: TemplateBench(fixture("small_venue")),
        "several simulated": lambda: MultiBench(
            one=SimulatedBench(market_of), other=SimulatedBench(market_of, cash_usd=0.0)
        ),
        "several venues": lambda: _several_venues(fixture),
    }
    return makers[name]()


def _several_venues(fixture: Callable[[str], Any]) -> MultiBench:
    without_cash = InteractiveBrokersBench(fixture("interactive_brokers"))
    fixture("interactive_brokers").desk.cash_usd = 0.0
    return MultiBench(alpaca=AlpacaBench(fixture("alpaca")), interactive_brokers=without_cash)
