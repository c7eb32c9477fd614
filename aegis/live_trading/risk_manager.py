"""The live risk manager: asks every rule of every order at the exit door, and reserves what it lets through.

Belongs here: the lock around the state that the rules look at. The rules are :mod:`aegis.risk.exit_rules`; positions
and open orders :mod:`aegis.live_trading.live_book`, breakers :mod:`aegis.live_trading.standing_breakers`. It does no
input or output: the exit door writes down what it answers, and whoever hears the broker tells it what was heard.

Notes
-----
A verdict and the reservation of what it lets through are one step under one lock: however many submitters ask at once,
what they are let send together is within the limits. What is let through must be sent, or withdrawn.

It knows nothing until it is told: without a statement of account, a word of the order stream, a measured clock, a clean
reconciliation, the facts of a symbol and a fresh quote, it refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from threading import Lock

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.errors import RiskError
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.orders import Order, OrderEvent
from aegis.live_trading.limit_use import LimitUse, limits_used
from aegis.live_trading.live_book import LiveBook
from aegis.live_trading.live_feeds import EVERY_ORDER, UNLESS_REDUCING, Heard, LiveFeeds, StandingStop, age_seconds
from aegis.live_trading.recent_orders import RecentOrders
from aegis.live_trading.reserved_amounts import DayBounds
from aegis.live_trading.restored_orders import RestoredOrder, restored_orders
from aegis.live_trading.standing_breakers import BreakerRecord, StandingBreakers
from aegis.risk.exact_amounts import exact
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_prices import Quote
from aegis.risk.exit_rules import verdict_on
from aegis.risk.exit_view import ExitVerdict, ExitView, SymbolFacts, TradingDay
from aegis.risk.live_breakers import RUNAWAY, BreakerName


class LiveRiskManager:
    """The exit door's memory of one account; any thread may use it.

    Parameters
    ----------
    limits : ExitLimits
        Of the account.
    account : str
        Its name.
    clock : Clock
        The machine's.
    calendar : TradingCalendar
        Whose sessions are the days that limits count.
    kill_switch_engaged : callable
        Whether the account's kill switch is engaged; asked before each verdict. Anything but False refuses.
    """

    def __init__(
        self,
        limits: ExitLimits,
        *,
        account: str,
        clock: Clock,
        calendar: TradingCalendar,
        kill_switch_engaged: Callable[[], bool],
    ) -> None:
        self.limits = limits
        self.account = account
        self._clock = clock
        self._calendar = calendar
        self._kill_switch_engaged = kill_switch_engaged
        self._lock = Lock()
        self._day, begins = trading_day(calendar, clock.now_utc())
        self._book = LiveBook(DayBounds(begins, self._day.closes_at_utc, None))
        self._breakers = StandingBreakers(limits)
        self._balance: AccountBalance | None = None
        self._facts: dict[str, SymbolFacts] = {}
        self._feeds = LiveFeeds(limits)
        self._recent = RecentOrders(limits)

    def review(self, order: Order, *, is_replacement: bool = False) -> ExitVerdict:
        """Judge an order that is about to be sent, and reserve what it takes if it may leave.

        Parameters
        ----------
        order : Order
            All its terms.
        is_replacement : bool
            Whether it is new terms for an order that was let through. They are judged in place of the old ones; until
            the venue answers, the larger of both is reserved.

        Returns
        -------
        ExitVerdict
            A row for each rule. Write it down with the order before the order is sent.
        """
        killed = self._kill_switch_engaged()
        with self._lock:
            view = self._view(order, killed=killed, is_replacement=is_replacement)
            verdict = verdict_on(view, self.limits)
            if verdict.is_allowed:
                self._book.let_through(order, view.touch_usd, view.now_utc)
                self._recent.add(order, view.now_utc)
            return verdict

    def has_room(self) -> bool:
        """Return whether one more order fits into the order rates now; whoever sends many asks before each."""
        with self._lock:
            return self._recent.has_room(self._now())

    def withdraw(self, client_order_id: str) -> None:
        """Take back what was let through last under an id and was never sent; it counts towards nothing.

        Raises
        ------
        ExecutionError
            The venue told of the order, so it was sent.
        """
        with self._lock:
            self._book.withdraw(client_order_id)
            self._recent.withdraw(client_order_id)

    def settle(self, event: OrderEvent) -> None:
        """Take note of what happened to an order; repeated events, and events in any order, do no harm.

        Raises
        ------
        RiskError
            A fill is no number of shares at a price above 0; what the order takes stays reserved.
        """
        with self._lock:
            now = self._now()
            if self._book.settle(event):
                self._breakers.observe_event(event, now)

    def let_go(self, client_order_ids: Iterable[str]) -> None:
        """Forget orders that have ended and are in the journal; what they took of the day's limits counts on."""
        with self._lock:
            self._book.let_go(client_order_ids)

    def observe_quote(self, symbol: str, *, bid_usd: float, ask_usd: float, at_utc: datetime) -> None:
        """Take note of a symbol's best prices at an instant, aware UTC; older than the known ones changes nothing."""
        with self._lock:
            self._book.observe_quote(symbol, Quote(bid_usd, ask_usd, _aware(at_utc)))

    def observe_account(self, balance: AccountBalance, positions: Iterable[Position], *, at_utc: datetime) -> None:
        """Take note of what the broker says of the account.

        Parameters
        ----------
        balance : AccountBalance
            Money.
        positions : iterable of Position
            All of them.
        at_utc : datetime
            When the broker was *asked*, aware UTC: what executed later is counted besides, so that nothing is missed.

        Raises
        ------
        RiskError
            It is another account's.
        """
        if balance.account != self.account:
            raise RiskError(
                f"account {balance.account!r}: expected a statement of {self.account!r}; ask the broker for that one"
            )
        with self._lock:
            self._now()
            bounds = self._book.bounds
            if bounds.stated_at_utc is not None and _aware(at_utc) < bounds.stated_at_utc:
                return
            self._balance = balance
            self._book.observe_positions(positions, replace(bounds, stated_at_utc=at_utc))
            if math.isfinite(balance.equity_usd):
                day = self._day if bounds.has(at_utc) else trading_day(self._calendar, at_utc)[0]
                self._breakers.observe_equity(balance.equity_usd, day.session, at_utc)

    def observe_clock_skew(self, seconds: float) -> None:
        """Take note of how far our clock is ahead of the broker's."""
        with self._lock:
            self._feeds.observe_clock_skew(seconds, self._now())

    def observe_stream(self, at_utc: datetime) -> None:
        """Take note that the broker's order stream was heard: an event, a heartbeat or a poll that succeeded."""
        with self._lock:
            self._feeds.observe_stream(_aware(at_utc))

    def observe_reconciliation(self, *, is_clean: bool) -> None:
        """Take note of whether our books and the broker's agree."""
        with self._lock:
            self._feeds.reconciliation_clean = is_clean

    def observe_symbols(self, facts: Mapping[str, SymbolFacts]) -> None:
        """Take note of what is known of symbols before the session; others stay as they are."""
        with self._lock:
            self._facts.update(facts)

    def halt(self, symbol: str) -> None:
        """Take note that a symbol's trading is halted; its orders are refused until :meth:`resume`."""
        with self._lock:
            self._feeds.halted.add(symbol)

    def resume(self, symbol: str) -> None:
        """Take note that a symbol trades again."""
        with self._lock:
            self._feeds.halted.discard(symbol)

    def restore(
        self,
        orders: Iterable[Order],
        events: Iterable[OrderEvent],
        *,
        touches_usd: Mapping[str, float],
        record: BreakerRecord,
    ) -> None:
        """Take over, after a restart, what the journal holds of orders and breakers.

        Parameters
        ----------
        orders : iterable of Order
            As they were committed; at least those that are open and those of today.
        events : iterable of OrderEvent
            Of these orders, in any order. An order without an event beyond its approval was not sent: it takes nothing
            and may be asked for.
        touches_usd : mapping of str to float
            ``touch_usd`` of each order's verdict, the highest of several, by client order id. Where it is missing, the
            dearest price in the order's terms and a collar more is taken.
        record : BreakerRecord
            As :meth:`record` gave it last; an empty one for a new account only.
        """
        found = restored_orders(orders, events, touches_usd=touches_usd, collar=self.limits.price_collar_fraction)
        with self._lock:
            now = self._now()
            self._breakers.restore(record)
            for item in found:
                self._restore(item, now)
            self._book.count_by(self._book.bounds)

    def record(self) -> BreakerRecord:
        """Return what has to be written down to survive a restart, besides orders and their events."""
        with self._lock:
            return self._breakers.record()

    def breakers(self) -> tuple[StandingStop, ...]:
        """Return all that stops orders now, and which: breakers, which a person releases, first, then what is stale."""
        with self._lock:
            now, book = self._now(), self._book
            tripped = (
                StandingStop(
                    item.name,
                    EVERY_ORDER if item.name == RUNAWAY else UNLESS_REDUCING,
                    item.since_utc,
                    item.told,
                )
                for item in self._breakers.standing()
            )
            quotes = ((symbol, book.quote(symbol)) for symbol in book.symbols())
            return (*tripped, *self._feeds.stops(now, stated_at_utc=book.bounds.stated_at_utc, quotes=quotes))

    def heard(self) -> Heard:
        """Return how old is what it knows of broker, clock and quotes."""
        with self._lock:
            now, book = self._now(), self._book
            return Heard(
                stream_silence_seconds=self._feeds.stream_silence_seconds(now),
                account_age_seconds=age_seconds(book.bounds.stated_at_utc, now),
                clock_skew_seconds=self._feeds.clock_skew_seconds(now),
                quotes={symbol: book.quote(symbol) for symbol in book.symbols()},
            )

    def limits_used(self) -> tuple[LimitUse, ...]:
        """Return how much of each limit on the whole account is used; infinite where it cannot be measured."""
        with self._lock:
            self._now()
            return limits_used(self._book, self._balance, self._breakers.marks, self.limits)

    def release(self, name: BreakerName, *, actor: str, reason: str) -> str:
        """Release a breaker and return the event to record; see :meth:`StandingBreakers.release`."""
        with self._lock:
            return self._breakers.release(name, actor=actor, reason=reason)

    def view(self, order: Order, *, is_replacement: bool = False) -> ExitView:
        """Return what :meth:`review` would look at, reserving nothing."""
        killed = self._kill_switch_engaged()
        with self._lock:
            return self._view(order, killed=killed, is_replacement=is_replacement)

    def _view(self, order: Order, *, killed: bool, is_replacement: bool) -> ExitView:
        now, book, orders, recent = self._now(), self._book, self._book.orders, self._recent
        recent.forget_old(now)
        name, symbol = order.client_order_id, order.symbol
        sent_at = orders.sent_at(name)
        own = name if is_replacement and sent_at is not None else ""
        marks, balance = self._breakers.marks, self._balance
        return ExitView(
            account=self.account,
            order=order,
            now_utc=now,
            day=self._day,
            quote=book.quote(symbol),
            facts=self._facts.get(symbol),
            is_halted=symbol in self._feeds.halted,
            kill_switch_engaged=killed,
            reconciliation_clean=self._feeds.reconciliation_clean,
            clock_skew_seconds=self._feeds.clock_skew_seconds(now),
            stream_silence_seconds=self._feeds.stream_silence_seconds(now),
            account_age_seconds=age_seconds(book.bounds.stated_at_utc, now),
            equity_usd=None if balance is None else balance.equity_usd,
            first_equity_usd=None if marks is None else marks.first_usd,
            peak_equity_usd=None if marks is None else marks.peak_usd,
            buying_power_usd=None if balance is None else balance.buying_power_usd,
            committed_usd=book.committed_usd(without=own),
            book=book.of_symbol(symbol, without=own),
            other_exposure_usd=book.exposure_usd(without=symbol),
            day_notional_usd=book.day_usd(without=own),
            day_shares=book.day_shares(without=own),
            day_orders=orders.total.day_orders,
            second_orders=recent.within_second(now),
            minute_orders=recent.within_minute(now),
            recent=recent.of_symbol(symbol),
            tripped=self._breakers.told(),
            filled_shares=orders.filled_shares(own),
            asked_before_utc=None if own else sent_at,
        )

    def _now(self) -> datetime:
        """Return the instant; begin the next day where it has come."""
        now = self._clock.now_utc()
        self._feeds.observe_instant(now)
        if now >= self._day.closes_at_utc:  # a clock that goes back begins no day anew; it is refused as skewed
            self._day, begins = trading_day(self._calendar, now)
            self._book.count_by(DayBounds(begins, self._day.closes_at_utc, self._book.bounds.stated_at_utc))
        return now

    def _restore(self, item: RestoredOrder, now: datetime) -> None:
        self._book.let_through(item.order, exact(item.touch_usd), item.sent_at_utc)
        self._recent.add(item.order, item.sent_at_utc)
        for terms, at_utc in item.replacements:
            self._recent.add(terms, at_utc)
        for event in self._book.settle_all(item.events):
            self._breakers.observe_event(event, now)


def trading_day(calendar: TradingCalendar, instant_utc: datetime) -> tuple[TradingDay, datetime]:
    """Return the session that an instant counts to, and when its day begins: at the close of the session before.

    Raises
    ------
    CalendarError
        The calendar does not reach so far.
    """
    session = calendar.previous(instant_utc.date())
    while calendar.close_utc(session) <= instant_utc:
        session = calendar.next(session)
    begins = calendar.close_utc(calendar.previous(session))
    return TradingDay(session, calendar.open_utc(session), calendar.close_utc(session)), begins


def _aware(at_utc: datetime) -> datetime:
    if at_utc.tzinfo is None:
        raise RiskError(f"expected an instant with a time zone, found {at_utc}; make it aware, in UTC")
    return at_utc
