"""One session of a simulated account on the matching kernel: the account into the kernel's records, and back.

A session is one bar of each symbol, or several bars one after the other.

Belongs here: the translation between :class:`~aegis.execution.account_state.AccountState` and a
:class:`~aegis.backtesting.kernel.simulation.Simulation` of the session's symbols. It decides nothing: fills and
bookings are the kernel's, which orders exist is the broker's. How orders become records is
:mod:`aegis.execution.brokers.kernel_orders`, how what happened to them becomes events is
:mod:`aegis.execution.brokers.kernel_events`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import numpy as np

from aegis.backtesting.bar_times import instant_nanoseconds
from aegis.backtesting.commissions import Tiered
from aegis.backtesting.costs import CostModel
from aegis.backtesting.financing import Financing
from aegis.backtesting.kernel.bookings import book_recorded_fill
from aegis.backtesting.kernel.codes import ActionKind, State
from aegis.backtesting.kernel.order_book import restore_order
from aegis.backtesting.kernel.records import ACTION, NO_SYMBOL, ORDER
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.kernel.stepping import execute_step, open_step, value_step
from aegis.backtesting.market_impact import NoImpact
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction, SessionMarket
from aegis.backtesting.slippage import Volatility
from aegis.errors import ConfigurationError
from aegis.execution.account_state import AccountState, DividendReceivable, Position
from aegis.execution.brokers.kernel_orders import LoadedOrders
from aegis.execution.orders import Fill

_EPOCH: Final = date(1970, 1, 1)
_DAY_ZERO: Final = _EPOCH.toordinal()
_KINDS: Final[Mapping[str, ActionKind]] = {
    "dividend": ActionKind.DIVIDEND,
    "split": ActionKind.SPLIT,
    "delisting": ActionKind.DELISTING,
}
"""Actions that the kernel books, beside mergers; a rename changes a name, and names are kept here."""

_AMENDMENTS_PER_ORDER = 8
_ORDERS_BETWEEN_BARS = 2_000


class KernelAccount:
    """An account in the kernel's records, for one session.

    Parameters
    ----------
    state : AccountState
        After the session before; its open orders are not looked at.
    market : SessionMarket
        The session's corporate actions and its bars; its first bars, where it has several.
    orders : LoadedOrders
        The orders that take part in it.
    recorded : sequence of Fill
        Fills that will be booked as they are recorded.
    others : sequence of str
        Symbols that orders may be placed in while the session trades.
    closes_session : bool
        Whether these bars are all that the session has.
    rules : TradingRules
        The venue's and the account's.
    costs : CostModel
        What a fill costs.

    Raises
    ------
    ConfigurationError
        The costs or rules need to know more than one session's bars and the account's state.
    """

    def __init__(
        self,
        state: AccountState,
        market: SessionMarket,
        *,
        orders: LoadedOrders,
        recorded: Sequence[Fill] = (),
        others: Sequence[str] = (),
        closes_session: bool = True,
        rules: TradingRules,
        costs: CostModel,
    ) -> None:
        refuse_unsupported(rules, costs)
        self._market = market
        self._orders = orders
        self._held = {position.symbol: position for position in state.positions}
        self._tickers = {position.symbol: position.ticker for position in state.positions}
        self._marked: set[str] = set()
        self._claims_before = len(state.receivables)
        owed = [claim.symbol for claim in state.receivables] + [fill.symbol for fill in recorded]
        # The kernel goes through symbols by their numbers: unless given, those of the orders first, in their order.
        own = dict.fromkeys((*others, *orders.symbols, *self._held, *owed))
        self._acquirers = {
            merger.acquirer: merger.acquirer_ticker or merger.acquirer
            for merger in market.actions
            if merger.is_share_merger and merger.acquirer is not None and merger.symbol in own
        }
        symbols = tuple(dict.fromkeys((*own, *self._acquirers)))
        self._tickers = {**self._acquirers, **self._tickers}
        self._numbers = {symbol: number for number, symbol in enumerate(symbols)}
        actions = self._actions()
        self.simulation = Simulation(
            symbols,
            rules=rules,
            costs=costs,
            cash_usd=state.cash_usd,
            actions=actions,
            orders_per_step=1 if closes_session else _ORDERS_BETWEEN_BARS,
            capacity=_AMENDMENTS_PER_ORDER * (len(orders.statuses) + 2) + len(state.receivables) + len(actions),
        )
        self._load_account(state)
        if orders.statuses or not closes_session:
            self._load_orders()
        self._load_bars(opens_session=True, closes_session=closes_session)

    def next_bars(self, market: SessionMarket, *, closes_session: bool) -> None:
        """Go on to later bars of the session, whose actions are booked; `closes_session` says that none follow."""
        self._market = market
        self._load_bars(opens_session=False, closes_session=closes_session)

    def number(self, symbol: str) -> int | None:
        """Return the kernel's number of a symbol, None if nothing can be traded in it in this session."""
        return self._numbers.get(symbol)

    def open(self) -> None:
        """Begin with the bars. Those that open the session book dividends, splits, mergers, payments due, renames."""
        self.simulation.make_room()
        open_step(self.simulation.handle)
        for action in self._market.actions:
            if action.action == "rename" and action.symbol in self._tickers:
                self._tickers[action.symbol] = action.new_ticker or self._tickers[action.symbol]

    def execute(self) -> None:
        """Match the session's orders with its bars."""
        execute_step(self.simulation.handle)

    def note_fill(self, fill: Fill) -> None:
        """Remember under which name a fill was made, and that it marks its position."""
        self._tickers[fill.symbol] = fill.ticker
        self._marked.add(fill.symbol)

    def book_recorded(self, fill: Fill) -> None:
        """Book a fill as it is recorded."""
        book_recorded_fill(
            self.simulation.handle,
            self._numbers[fill.symbol],
            fill.quantity_shares,
            fill.price_usd,
            fill.reference_price_usd,
            fill.commission_usd,
            0.0,
        )
        self.note_fill(fill)

    def value(self) -> None:
        """Mark positions at the closes of the bars; at the session's end turn delisted ones into cash at their mark."""
        value_step(self.simulation.handle)
        self._marked.update(self._market.rows)

    def is_open(self, index: int) -> bool:
        """Return whether the kernel may still execute an order."""
        return bool(self.simulation.orders["state"][index] <= State.PARTIALLY_FILLED)

    def order_progress(self, index: int) -> tuple[float, float, float]:
        """Return an order's watermark, USD per share, what it was charged, USD, and what splits took of its fills."""
        order = self.simulation.orders[index]
        return float(order["watermark"]), float(order["commission"]), float(order["split_away"])

    def new_ticker(self, symbol: str) -> str | None:
        """Return the name that a symbol takes in the session, None if it keeps its own."""
        return self._market.new_ticker(symbol)

    @property
    def has_opened_with_bookings(self) -> bool:
        """Whether the session's opening changed the account."""
        return bool(self._market.actions) or len(self.simulation.receivables) != self._claims_before

    @property
    def cash_usd(self) -> float:
        """Cash now."""
        return float(self.simulation.account["cash"])

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol."""
        found = []
        for symbol, (quantity, mark, average_cost, _) in zip(
            self.simulation.symbols, self.simulation.positions.tolist(), strict=True
        ):
            if quantity != 0:
                found.append(
                    Position(symbol, self._tickers[symbol], quantity, average_cost, mark, self._mark_session(symbol))
                )
        return tuple(sorted(found, key=lambda position: position.symbol))

    def receivables(self) -> tuple[DividendReceivable, ...]:
        """Return dividends not yet paid, sorted by pay session, then symbol."""
        symbols = self.simulation.symbols
        claims = [
            DividendReceivable(_day(pay_day), symbols[number], amount)
            for amount, pay_day, number in self.simulation.receivables.tolist()
        ]
        return tuple(sorted(claims, key=lambda claim: (claim.pay_session, claim.symbol)))

    def _mark_session(self, symbol: str) -> date:
        """Return the session of a position's mark: this one's close or fill, the last one otherwise."""
        return self._market.session if symbol in self._marked else self._held[symbol].mark_session

    def _actions(self) -> np.ndarray:
        """Return the session's actions on the account's symbols in the order of their booking."""
        rows = [self._action(action) for action in self._market.actions if action.symbol in self._numbers]
        booked = [row for row in rows if row is not None]
        booked.sort(key=lambda row: row[-2])
        return np.array(booked, dtype=ACTION)

    def _action(self, action: CorporateAction) -> tuple[float, float, int, int, int, int, int] | None:
        """Return the kernel's record of an action, None for one that it does not book."""
        amount, ratio, acquirer = action.dividend_usd, action.split_ratio, NO_SYMBOL
        if action.is_cash_merger:
            kind, amount = ActionKind.CASH_MERGER, action.merger_cash_usd
        elif action.is_share_merger:
            kind, amount, ratio = ActionKind.SHARE_MERGER, action.merger_cash_usd, action.merger_ratio
            acquirer = self._numbers.get(action.acquirer or "", NO_SYMBOL)
        elif action.action not in _KINDS or (action.action == "split" and ratio == 1.0):
            return None
        else:
            kind = _KINDS[action.action]
        session = _number(self._market.session)
        due = session if action.pay_session is None else _number(action.pay_session)
        return ratio, amount, session, due, self._numbers[action.symbol], int(kind), acquirer

    def _load_account(self, state: AccountState) -> None:
        simulation = self.simulation
        account, positions = simulation.account, simulation.positions
        for symbol, held in self._held.items():
            positions[self._numbers[symbol]] = (held.quantity_shares, held.mark_price_usd, held.average_cost_usd, 0.0)
        values = [position.market_value_usd for position in state.positions]
        account["long_value"] = sum(value for value in values if value > 0)
        account["short_value"] = sum(value for value in values if value < 0)
        account["receivable"] = state.receivables_usd
        account["equity_now"] = state.equity_usd
        simulation.cursor["receivables"] = len(state.receivables)
        simulation.receivables[:] = [
            (claim.amount_usd, _number(claim.pay_session), self._numbers[claim.symbol]) for claim in state.receivables
        ]

    def _load_orders(self) -> None:
        rows = self._orders.rows(self._numbers)
        self.simulation.cursor["orders"] = len(rows)
        self.simulation.orders[:] = np.array(rows, dtype=ORDER)
        self.simulation.cursor["held"] = np.count_nonzero(self.simulation.orders["state"] == State.HELD)
        for index in self._orders.working():
            restore_order(self.simulation.handle, index)

    def _load_bars(self, *, opens_session: bool, closes_session: bool) -> None:
        market, symbols = self._market, self.simulation.symbols
        table = np.full((len(symbols), 5), np.nan)
        numbers = [number for number, symbol in enumerate(symbols) if symbol in market.rows]
        if numbers:
            rows = [market.rows[symbols[number]] for number in numbers]
            table[numbers] = market.bars.view(np.float64).reshape(-1, 5)[rows]
        if closes_session and not opens_session:
            self._quote_acquirers(table)
        self.simulation.feed_bar(
            np.ascontiguousarray(table.T),
            opens_at=instant_nanoseconds(market.opens_at_utc),
            closes_at=instant_nanoseconds(market.closes_at_utc),
            day=_number(market.session),
            opens_session=opens_session,
            closes_session=closes_session,
        )

    def _quote_acquirers(self, table: np.ndarray) -> None:
        """Show the last bars of a session what an acquirer closed at in earlier ones: a quote, which fills nothing."""
        for symbol in self._acquirers:
            if symbol in self._marked and symbol not in self._market.rows:
                number = self._numbers[symbol]
                table[number, :4] = self.simulation.positions["mark"][number]
                table[number, 4] = 0.0


@lru_cache(maxsize=16)
def refuse_unsupported(rules: TradingRules, costs: CostModel) -> None:
    """Refuse what a session's bars and an account's carried state do not hold.

    Raises
    ------
    ConfigurationError
        Costs that read volatility, average volume or the month's shares, financing, regulatory fees, or proceeds that
        settle later.
    """
    unsupported = {
        "slippage by volatility": isinstance(costs.slippage, Volatility),
        "market impact": costs.impact != NoImpact(),
        "tiered commissions": isinstance(costs.commission, Tiered),
        "regulatory fees": costs.regulatory_fees,
        "financing": costs.financing != Financing(),
        "settlement_sessions": rules.settlement_sessions != 0,
    }
    found = [name for name, is_asked in unsupported.items() if is_asked]
    if found:
        raise ConfigurationError(
            f"the simulated broker does not carry {', '.join(found)} from session to session; use another model in "
            "eval.backtesting, or simulate it with the event-driven engine"
        )


def _number(day: date) -> int:
    return day.toordinal() - _DAY_ZERO


def _day(number: int) -> date:
    return _EPOCH + timedelta(days=number)
