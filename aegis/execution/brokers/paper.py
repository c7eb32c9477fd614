"""The paper broker: the matching kernel behind the Broker protocol, moved minute by minute by a clock.

Belongs here: what the venue does with requests between minutes, and when its minutes pass. A session in the kernel is
:mod:`aegis.execution.brokers.kernel_session`, what is remembered over a crash :mod:`aegis.execution.brokers.paper_log`.
Conventions of fills are in ``docs/fills.md``: the same orders over the same minutes fill as in a backtest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import BAR_DTYPE, CorporateAction, SessionMarket
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState, Position
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker import AccountBalance, BrokerEvent
from aegis.execution.brokers.kernel_session import KernelSession
from aegis.execution.brokers.paper_log import PaperLog
from aegis.execution.brokers.paper_tape import Minute, MinuteTape
from aegis.execution.brokers.simulated_balance import balance
from aegis.execution.brokers.submission import why_not, why_not_replaced
from aegis.execution.brokers.venue_orders import VenueOrders
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_records import instant_text, order_from_record, order_record
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order, OrderEvent

_MINUTE: Final = timedelta(minutes=1)


class PaperBroker:
    """An account at an imaginary venue that trades on the minutes of a real or simulated market.

    Parameters
    ----------
    opening : AccountState
        The account where its file is new: :meth:`AccountState.opening`.
    log : PaperLog
        The account's file.
    tape : MinuteTape
        Minutes, as they become known.
    calendar : TradingCalendar
        Sessions of the venue.
    costs : CostModel
        Slippage and commission.
    rules : TradingRules
        The venue's and the account's.
    clock : Clock
        The machine's, or a simulation's.

    Raises
    ------
    ExecutionError
        The file is damaged, or of another account.

    Notes
    -----
    An order takes part in the minutes that open when it was given or later, and a cancellation or replacement takes
    effect at once. A minute passes when it is known: whoever asks the venue for anything learns of all until then, and
    a process that comes back finds what happened meanwhile. An order that depends on others is given before its session
    opens. Safe to share between threads.
    """

    def __init__(
        self,
        opening: AccountState,
        *,
        log: PaperLog,
        tape: MinuteTape,
        calendar: TradingCalendar,
        costs: CostModel,
        rules: TradingRules,
        clock: Clock,
    ) -> None:
        self._tape, self._calendar, self._clock = tape, calendar, clock
        self._session_of = begun_sessions(calendar)
        self._costs, self._rules = costs, rules
        self._log = log
        self._lock = threading.RLock()
        self._state = opening
        self._trading: KernelSession | None = None
        self._orders = VenueOrders(opening.account)
        self._given: dict[str, datetime] = {}
        records = log.take()
        if records:
            self._until = self._began(records[0])
            for record in records[1:]:
                self._do(record)
        else:
            self._until = clock.now_utc()
            log.append({"account": opening.account, "at": instant_text(self._until), "cash_usd": opening.cash_usd})
        self._earlier: dict[str, list[OrderEvent]] = {}
        for event in self._orders.forget_stream():
            self._earlier.setdefault(event.client_order_id, []).append(event)

    def submit(self, order: Order) -> OrderStatus:
        """Accept, hold or reject an order; see :meth:`Broker.submit`."""
        with self._lock:
            self._pass_time()
            if not self._orders.knows(order):
                at, last_usd = instant_text(self._clock.now_utc()), self._unwatched_usd(order.symbol)
                self._ask({"submit": order_record(order), "at": at, "last_usd": last_usd})
            return self._orders[order.client_order_id]

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Cancel what is left of an order, and the children that wait for it; see :meth:`Broker.cancel`."""
        with self._lock:
            self._pass_time()
            if not self._orders.require(client_order_id).is_final:
                self._ask({"cancel": client_order_id, "at": instant_text(self._clock.now_utc())})
            return self._orders[client_order_id]

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Give an open order another quantity or other prices, unless it has them; see :meth:`Broker.replace`."""
        name = order.client_order_id
        with self._lock:
            self._pass_time()
            status = self._orders.require(name)
            if not status.is_final and status.order != order:  # a process that comes back asks for the same again
                at = instant_text(self._clock.now_utc())
                self._ask({"replace": order_record(order), "revision": revision, "at": at})
            return self._orders[name]

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Take note of what is recorded of an order: it is not told again; see :meth:`Broker.adopt`.

        Notes
        -----
        The venue has its own file. An order that it does not know never arrived: it is 'submitted' here until
        :meth:`find_order` says so.
        """
        with self._lock:
            if not self._orders.knows(order):
                return OrderStatus(order, OrderState.SUBMITTED)
            recorded = {(event.kind, event.number) for event in answers}
            for event in self._earlier.pop(order.client_order_id, []):
                if (event.kind, event.number) not in recorded:
                    self._orders.tell(event)
            return self._orders[order.client_order_id]

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands; see :meth:`Broker.find_order`."""
        with self._lock:
            self._pass_time()
            return self._orders.statuses.get(client_order_id)

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id."""
        with self._lock:
            self._pass_time()
            return self._orders.open()

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol."""
        with self._lock:
            self._pass_time()
            return self._account().positions

    def account(self) -> AccountBalance:
        """Return cash, equity at the last closes, and buying power."""
        with self._lock:
            self._pass_time()
            return balance(self._account(), self._rules)

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first."""
        with self._lock:
            self._pass_time()
            return self._orders.events_since(sequence)

    def close(self) -> None:
        """Do nothing: the account holds no connection."""

    # Requests

    def _ask(self, record: dict[str, Any]) -> None:
        """Write a request down, and do it."""
        self._log.append(record)
        self._do(record)

    def _do(self, record: Mapping[str, Any]) -> None:
        if "minute" in record:
            self._trade(Minute.from_record(record["minute"]))
            return
        if "session" in record:
            actions = tuple(CorporateAction.from_record(found) for found in record["actions"])
            self._open_session(date.fromisoformat(record["session"]), actions, record["symbols"])
            return
        at_utc = datetime.fromisoformat(record["at"])
        if "submit" in record:
            self._take(order_from_record(record["submit"]), at_utc, record["last_usd"])
        elif "cancel" in record:
            self._cancel(record["cancel"], at_utc)
        else:
            self._replace(order_from_record(record["replace"]), record["revision"], at_utc)

    def _take(self, order: Order, at_utc: datetime, last_usd: float | None) -> None:
        refusal = self._refusal(order, at_utc)
        self._orders.take(order)
        self._given[order.client_order_id] = at_utc
        trading = self._trading_in(order)
        if trading is not None and not refusal:
            refusal = trading.place(order, given_at_utc=at_utc, last_usd=last_usd)
        self._orders.answer(order, refusal, session=self._session_of(at_utc), at_utc=at_utc)

    def _refusal(self, order: Order, at_utc: datetime) -> str:
        if order.algorithm != "market":
            return reason_text(OrderReason.VENUE, f"it works no orders: send the children of a {order.algorithm} order")
        if at_utc >= self._calendar.close_utc(order.execution_session):
            return reason_text(OrderReason.CLOSED_SESSION, f"session {order.execution_session} has closed")
        if self._trading_in(order) is not None and (order.parent_id is not None or order.oco_group is not None):
            return reason_text(OrderReason.VENUE, "orders that depend on others are given before their session opens")
        return why_not(
            order,
            account=self._account(),
            session=None,
            now_utc=at_utc,
            known=self._orders.statuses,
            waiting=self._orders.open(),
            rules=self._rules,
        )

    def _trading_in(self, order: Order) -> KernelSession | None:
        """Return the session that is trading, if an order that comes now takes part in it."""
        trading = self._trading
        return trading if trading is not None and order.execution_session <= trading.market.session else None

    def _cancel(self, client_order_id: str, at_utc: datetime) -> None:
        for status in self._orders.end_on_request(client_order_id, session=self._session_of(at_utc), at_utc=at_utc):
            if self._trading is not None:
                self._trading.cancel(status.order.client_order_id)

    def _replace(self, order: Order, revision: int, at_utc: datetime) -> None:
        name, orders, trading = order.client_order_id, self._orders, self._trading
        refusal = why_not_replaced(
            orders[name],
            order,
            is_trading=False,
            account=self._account(),
            now_utc=at_utc,
            known=orders.statuses,
            waiting=orders.others(name),
            rules=self._rules,
        )
        if not refusal and trading is not None and trading.has(name) and not trading.replace(order):
            refusal = reason_text(OrderReason.TICK_SIZE)
        orders.change(order, refusal, revision, session=self._session_of(at_utc), at_utc=at_utc)

    # Time

    def _pass_time(self) -> None:
        """Let everything pass that is known by now: sessions open, minutes trade, sessions close."""
        watched = self._watched()
        known = self._tape.known_until(self._clock.now_utc(), watched)
        if known <= self._until:
            return
        for session in self._calendar.sessions(self._session_of(self._until), self._session_of(known)):
            closes = self._calendar.close_utc(session)
            if closes <= self._until:
                continue  # it is over, or was before the account began
            if self._trading is None:
                actions = [action.to_record() for action in self._tape.actions(session)]
                symbols = list(self._tape.symbols(session))
                self._ask({"session": session.isoformat(), "actions": actions, "symbols": symbols})
                watched = watched | self._paying(symbols)
            last, until = self._until, min(known, closes)
            for minute in self._tape.minutes(session, watched, after_utc=last, until_utc=until) if watched else ():
                self._ask({"minute": minute.to_record()})
                last = minute.closes_at_utc
            if last < closes <= known:
                nothing = Minute(session=session, opens_at_utc=closes - _MINUTE, closes_at_utc=closes, bars={})
                self._ask({"minute": nothing.to_record()})
        self._until = known

    def _open_session(self, session: date, actions: tuple[CorporateAction, ...], symbols: Sequence[str]) -> None:
        opens = self._calendar.open_utc(session)
        taking_part = self._orders.decided_before(session)
        self._trading = KernelSession(
            self._state,
            _market(Minute(session=session, opens_at_utc=opens, closes_at_utc=opens, bars={}), actions),
            statuses=self._orders.statuses,
            open_ids=taking_part,
            tell=self._orders.apply,
            rules=self._rules,
            costs=self._costs,
            others=symbols,
            closes_session=False,
        )
        for name in taking_part:
            if self._given[name] > opens:
                self._trading.hold_back(name, self._given[name])
        self._trading.open()
        self._trading.trade()

    def _trade(self, minute: Minute) -> None:
        trading = self._trading
        if trading is None:
            raise ExecutionError(
                f"{self._state.account} {minute.session}: a minute of a session that did not open; the file of this "
                "paper account is damaged: restore it from a backup, or begin another account"
            )
        closes_session = minute.closes_at_utc >= self._calendar.close_utc(minute.session)
        trading.go_on(_market(minute, trading.market.actions), closes_session=closes_session)
        trading.trade()
        self._until = minute.closes_at_utc
        if closes_session:
            self._state, self._trading = replace(trading.closed_account(), session=minute.session), None

    def _unwatched_usd(self, symbol: str) -> float | None:
        """Return what a symbol traded at last in the session that is trading, of one whose minutes were passed over."""
        if self._trading is None or symbol in self._watched():
            return None
        session = self._trading.market.session
        opens = self._calendar.open_utc(session)
        told = self._tape.minutes(session, frozenset({symbol}), after_utc=opens, until_utc=self._until)
        return told[-1].bars[symbol][3] if told else None

    def _account(self) -> AccountState:
        return self._state if self._trading is None else self._trading.account()

    def _watched(self) -> frozenset[str]:
        """Return the symbols whose minutes decide anything: those held and those ordered."""
        held = {position.symbol for position in self._account().positions}
        ordered = {status.order.symbol for status in self._orders.open()}
        traded = () if self._trading is None else self._tape.symbols(self._trading.market.session)
        return frozenset(held | ordered) | self._paying(traded)

    def _paying(self, traded: Sequence[str]) -> frozenset[str]:
        """Return the acquirers of `traded` whose shares a merger of the session pays for what is held."""
        if self._trading is None:
            return frozenset()
        held = {position.symbol for position in self._account().positions}
        mergers = [
            action for action in self._trading.market.actions if action.is_share_merger and action.symbol in held
        ]
        return frozenset(symbol for symbol in traded if any(merger.acquirer == symbol for merger in mergers))

    def _began(self, record: Mapping[str, Any]) -> datetime:
        """Return when the account began, by the first line of its file."""
        if record["account"] != self._state.account or record["cash_usd"] != self._state.cash_usd:
            raise ExecutionError(
                f"the file of paper account {record['account']} that began with {record['cash_usd']:.2f} USD was given "
                f"for {self._state.account} with {self._state.cash_usd:.2f} USD; name the account that it is of"
            )
        return datetime.fromisoformat(record["at"])


def _market(minute: Minute, actions: tuple[CorporateAction, ...]) -> SessionMarket:
    bars = np.array(list(minute.bars.values()), dtype=BAR_DTYPE)
    return SessionMarket(
        session=minute.session,
        opens_at_utc=minute.opens_at_utc,
        closes_at_utc=minute.closes_at_utc,
        rows={symbol: row for row, symbol in enumerate(minute.bars)},
        bars=bars,
        actions=actions,
    )
