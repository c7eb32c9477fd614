"""What the exit door looks at for one order and what it answers, as frozen values.

Belongs here: the values. The rules over them are :mod:`aegis.risk.exit_rules`; who keeps the state that they are made
from is :mod:`aegis.live_trading.risk_manager`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from aegis.execution.order_records import canonical_json
from aegis.execution.orders import Order
from aegis.risk.exact_amounts import exact, notional_usd
from aegis.risk.exit_prices import Quote, counted_price_usd, touch_usd
from aegis.risk.reducing import are_reducing

ExitOutcome = Literal["pass", "refuse"]
_OUTCOME = attrgetter("outcome")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class TradingDay:
    """The session that a limit of a day counts: from the close of the one before to its own.

    Parameters
    ----------
    session : date
        Its name.
    opens_at_utc, closes_at_utc : datetime
        When its market is open, aware UTC; at the close it is not any more.
    """

    session: date
    opens_at_utc: datetime
    closes_at_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFacts:
    """What is known of a symbol before the session.

    Parameters
    ----------
    median_daily_volume_shares : float or None
        Median over the trailing window, in today's shares; None where it is not known.
    is_shortable : bool
        Whether shares to borrow were located.
    restriction : str
        Why it may not be traded; empty where it may.
    opening_restriction : str
        Why it may be sold off and nothing else; empty where nothing keeps it.
    """

    median_daily_volume_shares: float | None
    is_shortable: bool
    restriction: str = ""
    opening_restriction: str = ""


@dataclass(frozen=True, slots=True)
class SymbolBook:
    """What is held and at work in the order's symbol, the order itself left out; signless shares of open orders."""

    position_shares: Decimal
    open_bought_shares: Decimal
    open_sold_shares: Decimal

    def worst_shares(self, order_shares: Decimal = _ZERO) -> Decimal:
        """Return the largest absolute position that the open orders can lead to: all on one side fill, no other.

        Parameters
        ----------
        order_shares : Decimal
            Of one more order, bought positive.
        """
        bought = self.position_shares + self.open_bought_shares
        sold = self.position_shares - self.open_sold_shares
        if order_shares > 0:
            bought += order_shares
        else:
            sold += order_shares
        return max(abs(self.position_shares), abs(bought), abs(sold))


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order that was let through lately, and when; a replacement is one more."""

    order: Order
    sent_at_utc: datetime


@dataclass(frozen=True, kw_only=True)
class ExitView:
    """Everything the exit door may look at for one order, as known at one instant.

    Parameters
    ----------
    account : str
        The account of the door.
    order : Order
        Asked for; its quantity is all of it, filled or not.
    filled_shares : Decimal
        Filled of it already, signed; only a replacement has any.
    asked_before_utc : datetime or None
        When an order of this id was let through; None for a new order and for a replacement.
    now_utc : datetime
        The clock; aware UTC.
    day : TradingDay
        The session of `now_utc`.
    quote : Quote or None
        The newest of the symbol.
    facts : SymbolFacts or None
        Of the symbol; None where nobody told any.
    is_halted : bool
        Whether the symbol's trading is halted.
    kill_switch_engaged, reconciliation_clean : bool
        Of the account. Anything but False and True, respectively, refuses.
    clock_skew_seconds : float or None
        Our clock less the broker's; None where it was not measured lately.
    stream_silence_seconds, account_age_seconds : float or None
        Since the broker's order stream was heard, and since its statement of account; None for never.
    equity_usd, first_equity_usd, peak_equity_usd : float or None
        Now, first of the day, and highest since the drawdown is measured.
    buying_power_usd : float or None
        As the broker stated it.
    committed_usd : Decimal
        Buying power that open orders, and fills since the statement, need.
    book : SymbolBook
        Of the order's symbol, without the order.
    other_exposure_usd : Decimal
        Gross exposure of all other symbols at their marks, open orders on the worse side included.
    day_notional_usd, day_shares : Decimal
        Traded today and still open, without the order.
    day_orders : int
        Let through today.
    second_orders, minute_orders : int
        Let through within the last second and the last minute; at an instant exactly so long ago is outside.
    recent : tuple of SentOrder
        Of the order's symbol let through lately, oldest first; at least those of the duplicate window.
    tripped : mapping of str to str
        Breakers that stand, by name (:mod:`aegis.risk.live_breakers`), each with since when and why.
    """

    account: str
    order: Order
    now_utc: datetime
    day: TradingDay
    quote: Quote | None
    facts: SymbolFacts | None
    is_halted: bool
    kill_switch_engaged: bool
    reconciliation_clean: bool | None
    clock_skew_seconds: float | None
    stream_silence_seconds: float | None
    account_age_seconds: float | None
    equity_usd: float | None
    first_equity_usd: float | None
    peak_equity_usd: float | None
    buying_power_usd: float | None
    committed_usd: Decimal
    book: SymbolBook
    other_exposure_usd: Decimal
    day_notional_usd: Decimal
    day_shares: Decimal
    day_orders: int
    second_orders: int
    minute_orders: int
    recent: tuple[SentOrder, ...]
    tripped: Mapping[str, str]
    filled_shares: Decimal = Decimal(0)
    asked_before_utc: datetime | None = None

    @cached_property
    def shares(self) -> Decimal:
        """Signed quantity that is still to trade."""
        return exact(self.order.quantity_shares) - self.filled_shares

    @cached_property
    def touch_usd(self) -> Decimal:
        """Price on the quote's side that the order takes; unmeasured without a usable quote."""
        return touch_usd(self.order, self.quote)

    @cached_property
    def price_usd(self) -> Decimal:
        """Price at which the order is counted; see :func:`aegis.risk.exit_prices.counted_price_usd`."""
        return counted_price_usd(self.order, self.touch_usd)

    @cached_property
    def notional_usd(self) -> Decimal:
        """What is still to trade, at that price."""
        return notional_usd(self.shares, self.price_usd)

    @cached_property
    def is_reducing(self) -> bool:
        """Whether the order only reduces the absolute position without crossing zero, open orders counted."""
        symbol, book = self.order.symbol, self.book
        open_shares = ((symbol, float(book.open_bought_shares)), (symbol, -float(book.open_sold_shares)))
        return are_reducing(
            [(symbol, float(self.shares))], {symbol: float(book.position_shares)}, open_orders_shares=open_shares
        )[0]

    @property
    def label(self) -> str:
        """Symbol, instant and order, as every refusal begins."""
        return f"{self.order.symbol} {self.now_utc:%Y-%m-%d %H:%M:%S} UTC, order {self.order.client_order_id}"


class ExitRow(NamedTuple):
    """Verdict of one rule.

    Parameters
    ----------
    rule : str
        A sentence that is true when the rule holds.
    outcome : {"pass", "refuse"}
        'pass' also where the rule does not hold and lets orders pass that only reduce.
    observed, threshold : float
        Measured and allowed; the rule holds when ``observed <= threshold``. Infinite where it cannot be measured.
    detail : str or None
        Symbol, instant, order, value and remedy where the rule does not hold.
    """

    rule: str
    outcome: ExitOutcome
    observed: float
    threshold: float
    detail: str | None


@dataclass(frozen=True, slots=True)
class ExitVerdict:
    """The exit door's answer for one order.

    Parameters
    ----------
    client_order_id : str
        The order.
    decided_at_utc : datetime
        When; aware UTC.
    rows : tuple of ExitRow
        One for each rule, in the order of :data:`aegis.risk.exit_rules.RULES`, passed or not.
    touch_usd : float
        Ask of a purchase, bid of a sale, at which the order was judged; infinite without a quote. A restart needs it,
        see :meth:`aegis.live_trading.risk_manager.LiveRiskManager.restore`.
    """

    client_order_id: str
    decided_at_utc: datetime
    rows: tuple[ExitRow, ...]
    touch_usd: float

    @property
    def refusing_rules(self) -> tuple[str, ...]:
        """The rules that refuse it; empty where it may leave."""
        return tuple(row.rule for row in self.rows if row.outcome != "pass")

    @property
    def is_allowed(self) -> bool:
        """Whether any rule was asked and none refuses."""
        return set(map(_OUTCOME, self.rows)) == {"pass"}

    @property
    def refusal(self) -> str:
        """The rules that keep it, for the order's event; empty where it may leave."""
        return "" if self.is_allowed else ", ".join(self.refusing_rules) or "no rule was asked"

    @property
    def reason(self) -> str:
        """The first refusal in words, for the order's event; empty where it may leave."""
        return next((f"{row.rule}: {row.detail}" for row in self.rows if row.outcome != "pass"), "")

    def to_record(self) -> dict[str, Any]:
        """Return the verdict for the journal, as JSON can hold it: what is infinite is None."""
        return {
            "client_order_id": self.client_order_id,
            "decided_at_utc": self.decided_at_utc.isoformat(),
            "touch_usd": None if self.touch_usd == math.inf else self.touch_usd,
            "rows": [dict(zip(ExitRow._fields, _finite(row), strict=True)) for row in self.rows],
        }

    def to_json(self) -> str:
        """Return the canonical JSON of :meth:`to_record`; an order waits for it, so one that passes is filled in."""
        if not self.is_allowed:
            return canonical_json(self.to_record())
        rules, _, observed, thresholds, details = zip(*self.rows, strict=True)
        numbers = (*chain.from_iterable(zip(observed, thresholds, strict=True)), self.touch_usd)
        if set(details) != {None} or set(map(type, numbers)) != {float} or not all(map(math.isfinite, numbers)):
            return canonical_json(self.to_record())
        named = self.client_order_id, self.decided_at_utc.isoformat()
        return _passed(rules) % (*map(canonical_json, named), *map(float.__repr__, numbers))


@lru_cache(maxsize=8)
def _passed(rules: tuple[str, ...]) -> str:
    """Return the canonical JSON of a verdict that all rules pass, with a place for each value."""
    row = '{"detail":null,"observed":%%s,"outcome":"pass","rule":%s,"threshold":%%s}'
    rows = ",".join(row % canonical_json(rule).replace("%", "%%") for rule in rules)
    return '{"client_order_id":%s,"decided_at_utc":%s,"rows":[' + rows + '],"touch_usd":%s}'


def _finite(row: ExitRow) -> Iterable[object]:
    return [None if value == math.inf else value for value in row] if math.inf in row else row
