"""Wash sales: which realised losses are not deductible, and onto which shares they are carried.

Belongs here: the matching of 26 USC 1091 over one account's trades, first in, first out. Lots as a backtest shows them
are :mod:`aegis.backtesting.lots`: they know neither basis adjustments nor replacement shares, and carry costs apart.

Notes
-----
Losses are taken in the order of their sales (26 CFR 1.1091-1(b)) and replacement shares in the order of their purchase
(1.1091-1(c), (d)); a share replaces once (1.1091-1(e)). Shares of the lot that was sold replace nothing (Rev. Rul.
56-602), nor do shares that were sold themselves before or with the loss. Substantially identical means the same
permanent symbol, whatever its ticker was. A short position is the mirror image: shares sold short again within the
window replace those that were covered at a loss (1091(e)). One account is all that is seen; purchases of a spouse, an
IRA or another broker count too and must be added by whoever files.

What is known when: a loss is complete only 30 days after its sale. ``judged_until`` says up to which day trades were
seen, and a loss whose window is still open is marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from aegis.compliance.effective_rules import WASH_SALE, require_rule
from aegis.compliance.executions import Execution, trades
from aegis.compliance.findings import ComplianceFinding, found_under

_DUST_SHARES = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposal:
    """Shares of one lot that one trade closed.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    acquired, closed : date
        Sessions in which the lot was opened and closed.
    holding_since : date
        From when the holding period counts: earlier than `acquired` by the time that shares were held which these
        replaced (26 USC 1223(3)).
    quantity_shares : float
        Long positive, short negative.
    gain_usd : float
        Realised on the adjusted basis, before any disallowance.
    disallowed_usd : float
        Of a loss, what is not deductible; zero or positive.
    is_window_open : bool
        Whether a purchase after the last trade that was seen could still disallow more.
    """

    symbol: str
    acquired: date
    closed: date
    holding_since: date
    quantity_shares: float
    gain_usd: float
    disallowed_usd: float
    is_window_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLot:
    """Shares that are still held, with their adjusted basis.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    acquired, holding_since : date
        As in :class:`Disposal`.
    quantity_shares : float
        Long positive, short negative.
    basis_usd : float
        Of all of them: cost plus disallowed losses; for a short lot what it brought, less disallowed losses.
    """

    symbol: str
    acquired: date
    holding_since: date
    quantity_shares: float
    basis_usd: float


@dataclass(frozen=True, slots=True)
class TaxLots:
    """What an account realised and holds, lot by lot, in the order of disposal and of purchase."""

    disposals: tuple[Disposal, ...]
    open_lots: tuple[OpenLot, ...]


@dataclass(slots=True)
class _Lot:
    """A lot, or a part of it that shares one basis; parts of one purchase share its `order`."""

    order: tuple[str, date]
    acquired: date
    holding_since: date
    shares: float
    basis_each: float
    replaces: bool = False


@dataclass(slots=True)
class _Loss:
    """A loss that later purchases may still disallow."""

    at: int
    closed: date
    held: timedelta
    shares_left: float
    loss_each: float


@dataclass(slots=True)
class _Symbol:
    """One symbol while trades go by. `side` is 1 while long, -1 while short."""

    side: float = 0.0
    lots: list[_Lot] = field(default_factory=list)
    losses: list[_Loss] = field(default_factory=list)


def tax_lots(executions: Iterable[Execution], *, judged_until: date) -> TaxLots:
    """Match sales with purchases, first in, first out, and carry disallowed losses.

    Parameters
    ----------
    executions : iterable of Execution
        Of one account, all in the same shares; see :func:`~aegis.compliance.executions.in_latest_shares`.
    judged_until : date
        Last day whose trades are among them.

    Returns
    -------
    TaxLots
        `gain_usd` is on the basis as adjusted by earlier wash sales, so that the sum of gains plus disallowances never
        counts a loss twice.
    """
    walk = _Walk(judged_until)
    for trade in trades(executions):
        walk.take(trade)
    return walk.result()


class _Walk:
    """Goes through the trades once; the only place where lots change."""

    def __init__(self, judged_until: date) -> None:
        self._judged_until = judged_until
        self._symbols: dict[str, _Symbol] = {}
        self._disposals: list[Disposal] = []

    def take(self, trade: Execution) -> None:
        state = self._symbols.setdefault(trade.symbol, _Symbol())
        side = math.copysign(1.0, trade.quantity_shares)
        # Per share and costs included: what a purchase costs, what a sale brings.
        each = trade.price_usd + side * trade.commission_usd / abs(trade.quantity_shares)
        left = abs(trade.quantity_shares)
        if state.side == -side:
            left = self._close(state, trade, left, each)
        if left > _DUST_SHARES:
            state.side = side
            self._open(state, trade, left, each)
        elif not state.lots:
            state.side = 0.0

    def result(self) -> TaxLots:
        held = [
            OpenLot(
                symbol=symbol,
                acquired=lot.acquired,
                holding_since=lot.holding_since,
                quantity_shares=state.side * lot.shares,
                basis_usd=lot.shares * lot.basis_each,
            )
            for symbol, state in sorted(self._symbols.items())
            for lot in state.lots
        ]
        return TaxLots(tuple(self._disposals), tuple(held))

    def _close(self, state: _Symbol, trade: Execution, left: float, each: float) -> float:
        """Close the oldest lots, then look for shares bought before that replace those sold at a loss."""
        side, new_losses = state.side, []
        sold_orders = set()
        while state.lots and left > _DUST_SHARES:
            lot = state.lots[0]
            shares = min(lot.shares, left)
            gain_each = side * (each - lot.basis_each)
            sold_orders.add(lot.order)
            self._disposals.append(self._disposal(trade, lot, side * shares, gain_each * shares))
            if gain_each < 0.0:
                held = trade.session - lot.holding_since
                new_losses.append(_Loss(len(self._disposals) - 1, trade.session, held, shares, -gain_each))
            lot.shares -= shares
            left -= shares
            if lot.shares <= _DUST_SHARES:
                state.lots.pop(0)
        for loss in new_losses:
            self._replace_by_earlier(state, loss, side, sold_orders)
        state.losses.extend(loss for loss in new_losses if loss.shares_left > _DUST_SHARES)
        return left if left > _DUST_SHARES else 0.0

    def _disposal(self, trade: Execution, lot: _Lot, quantity: float, gain_usd: float) -> Disposal:
        days = _window(trade.session)[1]
        is_open = gain_usd < 0.0 and trade.session + days > self._judged_until
        return Disposal(
            symbol=trade.symbol,
            acquired=lot.acquired,
            closed=trade.session,
            holding_since=lot.holding_since,
            quantity_shares=quantity,
            gain_usd=gain_usd,
            disallowed_usd=0.0,
            is_window_open=is_open,
        )

    def _replace_by_earlier(self, state: _Symbol, loss: _Loss, side: float, sold: set[tuple[str, date]]) -> None:
        before = _window(loss.closed)[0]
        position = 0
        while position < len(state.lots) and loss.shares_left > _DUST_SHARES:
            lot = state.lots[position]
            if not lot.replaces and lot.order not in sold and loss.closed - lot.acquired <= before:
                position = self._carry(state, position, loss, side)
            position += 1

    def _open(self, state: _Symbol, trade: Execution, shares: float, each: float) -> None:
        """Open a lot, and let it replace shares sold at a loss within the days before."""
        order = (trade.order_id, trade.session)
        state.lots.append(_Lot(order, trade.session, trade.session, shares, each))
        for loss in list(state.losses):
            if trade.session - loss.closed > _window(loss.closed)[1]:
                state.losses.remove(loss)
                continue
            if loss.shares_left > _DUST_SHARES and not state.lots[-1].replaces and self._mirrors(loss, state.side):
                self._carry(state, len(state.lots) - 1, loss, state.side)
        state.losses = [loss for loss in state.losses if loss.shares_left > _DUST_SHARES]

    def _mirrors(self, loss: _Loss, side: float) -> bool:
        """Whether a lot of `side` is what was given up at a loss: longs replace longs, shorts replace shorts."""
        return self._disposals[loss.at].quantity_shares * side > 0.0

    def _carry(self, state: _Symbol, position: int, loss: _Loss, side: float) -> int:
        """Disallow a loss as far as one lot replaces it; return the position of the part that does.

        A lot larger than what it replaces is parted: only the replacing shares take the loss into their basis.
        """
        lot = state.lots[position]
        shares = min(lot.shares, loss.shares_left)
        if lot.shares - shares > _DUST_SHARES:
            rest = _Lot(lot.order, lot.acquired, lot.holding_since, lot.shares - shares, lot.basis_each)
            state.lots.insert(position + 1, rest)
            lot.shares = shares
        lot.basis_each += side * loss.loss_each
        lot.holding_since -= loss.held
        lot.replaces = True
        loss.shares_left -= shares
        known = self._disposals[loss.at]
        self._disposals[loss.at] = replace(
            known,
            disallowed_usd=known.disallowed_usd + shares * loss.loss_each,
            is_window_open=known.is_window_open and loss.shares_left > _DUST_SHARES,
        )
        return position


def _window(session: date) -> tuple[timedelta, timedelta]:
    terms = require_rule(WASH_SALE, session).terms
    return timedelta(days=terms["days_before"]), timedelta(days=terms["days_after"])


def wash_sale_findings(lots: TaxLots, *, account: str) -> list[ComplianceFinding]:
    """Return a finding for each loss that is disallowed, wholly or in part; `observed` is the amount in USD."""
    return [
        found_under(
            require_rule(WASH_SALE, disposal.closed),
            "wash sale",
            session=disposal.closed,
            account=account,
            symbol=disposal.symbol,
            observed=disposal.disallowed_usd,
            threshold=0.0,
            detail=(
                f"{disposal.symbol} {disposal.closed}: {disposal.disallowed_usd:.2f} of a loss of "
                f"{-disposal.gain_usd:.2f} USD is not deductible, as shares were acquired within 30 days; it is in "
                "the basis of those shares: report it so, and count other accounts too"
            ),
        )
        for disposal in lots.disposals
        if disposal.disallowed_usd > 0.0
    ]
