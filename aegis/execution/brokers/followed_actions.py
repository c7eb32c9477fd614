"""What a venue did to our open orders when a split, a dividend, a new ticker or a delisting took effect.

Belongs here: comparing the terms that a venue holds with ours, and what follows from the difference for an order. How a
venue tells its terms is its broker's; what becomes of orders that were not sent is
:mod:`aegis.live_trading.opening_terms`.

Notes
-----
Nothing is assumed of a venue that it does not show: an order that is gone was ended by it, one on the terms of after
was rescaled, one whose price fell by at most the dividend was reduced for it. An order that still stands on the terms
of before a split, or on terms that no action explains, is named for reconciliation, and blocks what is new.

References
----------
Interactive Brokers, TWS API, order field "tif": GTC orders are cancelled by a split, an exchange for shares or a
distribution of shares, and are not reduced for dividends. Alpaca, "Orders at Alpaca": prices of resting GTC limit
orders are adjusted for corporate actions, and cannot be kept from it; changelog of 2026-08-12: cancellations by Alpaca
for a corporate action give the reason CORPORATE_ACTION.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.us_stock_terms import tick_usd
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_splits import order_after_split
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_E = OrderEventKind
_ENDS_ORDERS = frozenset({"split", "merger", "delisting"})
"""Actions for which a venue may cancel open orders."""
_ABOUT = "corporate actions"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTerms:
    """An open order as a venue holds it.

    Parameters
    ----------
    ticker : str
    quantity_shares : float
        Signed; all of it.
    limit_price_usd, stop_price_usd : float, optional
        A trailing stop's are not looked at: they move by themselves.
    """

    ticker: str
    quantity_shares: float
    limit_price_usd: float | None
    stop_price_usd: float | None


class FollowedActions:
    """The actions of a session and what they did to the orders of one broker.

    Parameters
    ----------
    book : BrokerBook
        The broker's orders; told what follows.
    symbols : mapping of str to str
        Permanent symbols by the ticker of when the broker was made.
    calendar : TradingCalendar
        Sessions of the venue, and its time zone.
    now : callable
        The venue's time.
    """

    def __init__(
        self,
        book: BrokerBook,
        symbols: Mapping[str, str],
        *,
        calendar: TradingCalendar,
        now: Callable[[], datetime],
    ) -> None:
        self._book, self._now = book, now
        self.tickers = dict(symbols)
        """Permanent symbols by the ticker of now; a rename changes it."""
        self._session_of, self._zone = begun_sessions(calendar), ZoneInfo(calendar.time_zone)

    def rename(self, actions: Iterable[CorporateAction]) -> None:
        """Take note of new tickers: what trades under one is the symbol that it was."""
        for action in actions:
            if action.action == "rename" and action.new_ticker is not None:
                for old in [ticker for ticker, symbol in self.tickers.items() if symbol == action.symbol]:
                    del self.tickers[old]
                self.tickers[action.new_ticker] = action.symbol

    def follow(
        self,
        actions: Sequence[CorporateAction],
        *,
        session: date,
        held: Mapping[str, HeldTerms],
        absent: Iterable[str] = (),
    ) -> None:
        """Tell what became of our open orders.

        Parameters
        ----------
        actions : sequence of CorporateAction
            Of the session.
        session : date
            In which they take effect.
        held : mapping of str to HeldTerms
            Our orders that are open at the venue, by client order id.
        absent : iterable of str
            Our orders that the venue acknowledged and tells of no more.
        """
        gone = frozenset(absent)
        for name in self._book.open_ids():
            status = self._book.status(name)
            own = [action for action in actions if action.symbol == status.order.symbol]
            if not own or not self._was_there_before(name, session):
                continue
            if name in gone:
                self._end(status, own, session)
            elif name in held and not self._book.was_told(name, _E.RESCALED, session.toordinal()):
                self._compare(status, held[name], own, session)

    def _was_there_before(self, name: str, session: date) -> bool:
        """Whether an order was at the venue when the day of a session began: actions take effect in the night."""
        since = self._book.acknowledged_at(name)
        return since is not None and since.astimezone(self._zone).date() < session

    def _end(self, status: OrderStatus, own: Sequence[CorporateAction], session: date) -> None:
        ending = next((action for action in own if action.action in _ENDS_ORDERS), None)
        if ending is None or status.state is OrderState.SUBMITTED:
            return  # what was never acknowledged may not have arrived
        symbol = status.order.symbol
        told = f"the venue has it no more since the {ending.action} of {symbol} in session {session}, and tells no fill"
        self._tell(status, _E.CANCELLED, session, reason=reason_text(OrderReason.VENUE, told))

    def _compare(self, status: OrderStatus, held: HeldTerms, own: Sequence[CorporateAction], session: date) -> None:
        name, before = status.order.client_order_id, status.order
        if before.order_type == "trailing_stop":
            held = replace(held, limit_price_usd=before.limit_price_usd, stop_price_usd=before.stop_price_usd)
        ticker = next((action.new_ticker for action in own if action.action == "rename"), None)
        named = replace(before, ticker=held.ticker) if ticker is not None and held.ticker == ticker else before
        ratio = 1.0
        for action in own:
            ratio *= action.split_ratio
        split = order_after_split(named, ratio, filled_shares=status.filled_shares) if ratio != 1.0 else named
        dividend = sum(action.dividend_usd for action in own if action.action == "dividend")
        self._book.doubt(name, _ABOUT, "")
        if split is not None and ratio != 1.0 and _matches(held, split, below_usd=dividend / ratio):
            terms = _with_prices(split, held)
            told = f"ratio {ratio:g}: {before.quantity_shares:g} shares become {terms.quantity_shares:g} at the venue"
            reason = reason_text(OrderReason.SPLIT, told)
            self._tell(status, _E.RESCALED, session, order=terms, split_ratio=ratio, reason=reason)
        elif ratio == 1.0 and _matches(held, named, below_usd=dividend):
            terms = _with_prices(named, held)
            if terms != before:
                word = OrderReason.RENAMED if terms.ticker != before.ticker else OrderReason.DIVIDEND
                self._tell(status, _E.REPLACED, session, order=terms, reason=reason_text(word, _changed(before, terms)))
        else:
            expected = "nothing of it" if split is None else _words(split)
            said = (
                f"order {name} ({before.symbol}, session {session}): after {_actions(own)} the venue holds "
                f"{held.quantity_shares:g} {held.ticker} at {held.limit_price_usd} / {held.stop_price_usd}, expected "
                f"{expected}; cancel it at the broker, and order again on the terms of now"
            )
            self._book.doubt(name, _ABOUT, said)

    def _tell(
        self,
        status: OrderStatus,
        kind: OrderEventKind,
        session: date,
        *,
        reason: str,
        order: Order | None = None,
        split_ratio: float | None = None,
    ) -> None:
        at = self._now()
        self._book.tell(
            OrderEvent(
                kind=kind,
                client_order_id=status.order.client_order_id,
                session=self._session_of(at),
                at_utc=at,
                reason=reason,
                order=order,
                # No request of ours: numbered by the session, beyond any request.
                revision=0 if order is None else session.toordinal(),
                split_ratio=split_ratio,
            )
        )


def _matches(held: HeldTerms, order: Order, *, below_usd: float) -> bool:
    """Whether a venue holds these terms, its prices perhaps put on the tick or lowered by at most a dividend."""
    if held.ticker != order.ticker or abs(held.quantity_shares - order.quantity_shares) > FILL_TOLERANCE_SHARES:
        return False
    return _is_near(held.limit_price_usd, order.limit_price_usd, below_usd) and _is_near(
        held.stop_price_usd, order.stop_price_usd, below_usd
    )


def _is_near(found: float | None, wanted: float | None, below_usd: float) -> bool:
    if found is None or wanted is None:
        return found is wanted
    tick = float(tick_usd(wanted))
    return wanted - below_usd - tick < found < wanted + tick


def _with_prices(order: Order, held: HeldTerms) -> Order:
    return replace(order, limit_price_usd=held.limit_price_usd, stop_price_usd=held.stop_price_usd)


def _words(order: Order) -> str:
    return f"{order.quantity_shares:g} {order.ticker} at {order.limit_price_usd} / {order.stop_price_usd}"


def _changed(before: Order, after: Order) -> str:
    return f"{_words(before)} is {_words(after)} at the venue"


def _actions(own: Sequence[CorporateAction]) -> str:
    return ", ".join(action.action for action in own)
