"""Executions as the rules see them, and trades put together from them.

Belongs here: the facts that rules over trades share. How the journal's fills become them is one function; nothing here
judges.

Notes
-----
``symbol`` is the permanent name, so that a rename does not part what was bought from what is sold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from aegis.errors import ComplianceError
from aegis.execution.orders import Fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Shares that changed hands.

    Parameters
    ----------
    order_id : str
        The order that they were bought or sold by: executions of one order in one session are one trade.
    account : str
        Whose.
    session : date
        Trade date.
    at_utc : datetime
        When; aware UTC.
    symbol : str
        Permanent symbol.
    quantity_shares : float
        Bought positive, sold negative, never zero.
    price_usd : float
        Per share, above 0.
    commission_usd : float
        Commission and fees, positive when paid.

    Raises
    ------
    ComplianceError
        A quantity or an amount is not a number, a quantity is zero, or a price is not above 0.
    """

    order_id: str
    account: str
    session: date
    at_utc: datetime
    symbol: str
    quantity_shares: float
    price_usd: float
    commission_usd: float = 0.0

    def __post_init__(self) -> None:
        amounts = (self.quantity_shares, self.price_usd, self.commission_usd)
        if not all(map(math.isfinite, amounts)) or self.quantity_shares == 0.0 or self.price_usd <= 0.0:
            raise ComplianceError(
                f"order {self.order_id} ({self.symbol}, {self.session}): expected a quantity other than 0, a price "
                f"above 0 and a commission, found {amounts}; correct the fill in the journal's source"
            )

    @property
    def cash_usd(self) -> float:
        """What it did to cash: negative for a purchase, costs included."""
        return -self.quantity_shares * self.price_usd - self.commission_usd


def executions_of(fills: Iterable[Fill]) -> list[Execution]:
    """Return fills as executions, in the order of their instants."""
    found = [
        Execution(
            order_id=fill.client_order_id,
            account=fill.account,
            session=fill.session,
            at_utc=fill.filled_at_utc,
            symbol=fill.symbol,
            quantity_shares=fill.quantity_shares,
            price_usd=fill.price_usd,
            commission_usd=fill.commission_usd,
        )
        for fill in fills
    ]
    return sorted(found, key=lambda execution: execution.at_utc)


def trades(executions: Iterable[Execution]) -> list[Execution]:
    """Return executions with those of one order in one session as one: summed, at their average price.

    Notes
    -----
    The instant is that of the first. The order of the instants is kept, whatever order they are given in.
    """
    together: dict[tuple[str, date, bool], Execution] = {}
    for execution in sorted(executions, key=lambda one: one.at_utc):
        key = (execution.order_id, execution.session, execution.quantity_shares > 0)
        known = together.get(key)
        together[key] = execution if known is None else _joined(known, execution)
    return list(together.values())


def _joined(first: Execution, second: Execution) -> Execution:
    quantity = first.quantity_shares + second.quantity_shares
    paid = first.quantity_shares * first.price_usd + second.quantity_shares * second.price_usd
    return replace(
        first,
        quantity_shares=quantity,
        price_usd=paid / quantity,
        commission_usd=first.commission_usd + second.commission_usd,
    )


def in_latest_shares(
    executions: Iterable[Execution], splits: Mapping[str, Sequence[tuple[date, float]]]
) -> list[Execution]:
    """Return executions restated in the shares after every split that is given.

    Parameters
    ----------
    executions : iterable of Execution
        In the shares of their sessions.
    splits : mapping of str to sequence of (date, float)
        By symbol, ex-date and new shares for one old one.

    Notes
    -----
    Amounts do not change. A fraction that a split paid out in cash is not known here and stays in the quantities.
    """
    restated = []
    for execution in executions:
        ratio = math.prod(r for ex_date, r in splits.get(execution.symbol, ()) if ex_date > execution.session)
        restated.append(
            replace(
                execution,
                quantity_shares=execution.quantity_shares * ratio,
                price_usd=execution.price_usd / ratio,
            )
        )
    return restated
