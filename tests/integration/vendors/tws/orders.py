"""The desk for orders and the account: what the broker knows, which outlives every connection, and what it tells.

A test moves the market: :meth:`OrderDesk.fill` and its like change what the broker knows and return the events, which
the test sends in this order or another, twice, in part, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tests.integration.vendors.tws.gateway import Answer, Request, Session
from tests.integration.vendors.tws.order_messages import (
    UNSOLICITED,
    Execution,
    Order,
    commission_report,
    completed_order,
    execution_details,
    open_order,
    order_status,
    portfolio_value,
    position,
)
from tests.integration.vendors.tws.wire import AskedContract, Contract, Fields, ToClient, ToGateway, error, message

_ORDER_AT, _PARENT_AT = 16, 28


class OrderDesk:
    """Orders, fills, holdings and cash of one account.

    Parameters
    ----------
    contracts : sequence of Contract
        What can be traded.
    now : datetime
        The broker's clock, for executions; may be wrong on purpose.
    cash_usd : float
    account : str

    Attributes
    ----------
    orders : list of Order
        All that were received, in order, also those that are over.
    rejections : list of (int, str)
        The next orders meet these errors, one each.
    commission_usd : float
        Charged for each execution.
    quotes : dict of int to float
        Prices by contract id, at which holdings are valued; their cost without one.
    """

    def __init__(
        self, contracts: Sequence[Contract], *, now: datetime, cash_usd: float = 1e6, account: str = "DU0000001"
    ) -> None:
        self.contracts = list(contracts)
        self.now = now
        self.cash_usd = cash_usd
        self.account = account
        self.orders: list[Order] = []
        self.rejections: list[tuple[int, str]] = []
        self.positions: dict[int, tuple[float, float]] = {}
        self.commission_usd = 1.0
        self.quotes: dict[int, float] = {}

    @property
    def answers(self) -> Mapping[int, Answer]:
        return {
            ToGateway.PLACE_ORDER: self._place,
            ToGateway.CANCEL_ORDER: self._cancel,
            ToGateway.GLOBAL_CANCEL: self._cancel_all,
            ToGateway.OPEN_ORDERS: self._open_orders,
            ToGateway.ALL_OPEN_ORDERS: self._all_open_orders,
            ToGateway.AUTO_OPEN_ORDERS: _nothing,
            ToGateway.COMPLETED_ORDERS: self._completed_orders,
            ToGateway.EXECUTIONS: self._executions,
            ToGateway.NEXT_ORDER_ID: self._next_order_id,
            ToGateway.POSITIONS: self._positions,
            ToGateway.CANCEL_POSITIONS: _nothing,
            ToGateway.ACCOUNT_UPDATES: self._account_updates,
            ToGateway.ACCOUNT_UPDATES_MULTI: self._account_updates_multi,
            ToGateway.ACCOUNT_SUMMARY: self._account_summary,
            ToGateway.CANCEL_ACCOUNT_SUMMARY: _nothing,
        }

    def fill(self, order: Order, shares: float, price: float) -> list[Fields]:
        """Fill a part of an order; return the events: the fill, its cost, and how far the order is."""
        assert order.is_open
        assert 0 < shares <= order.remaining
        paid = order.average_price * order.filled + shares * price
        total = order.filled + shares
        number = sum(len(known.executions) for known in self.orders) + 1
        execution_id = f"0000e0d5.{number:08x}.01.01"
        execution = Execution(execution_id, self.now, shares, price, total, paid / total, self.commission_usd)
        order.executions.append(execution)
        order.status = "Submitted" if order.remaining else "Filled"
        self._book(order, execution)
        told = execution_details(UNSOLICITED, order, execution)
        return [told, commission_report(execution), open_order(order), order_status(order)]

    def cancel(self, order: Order, reason: str = "") -> list[Fields]:
        """End an order as the broker does on its own, such as at the close; return the events."""
        order.status, order.reason = "Cancelled", reason or "Cancelled by Trader"
        return [error(order.order_id, 202, f"Order Canceled - reason:{reason}"), order_status(order)]

    def refuse(self, _: Order) -> tuple[int, str] | None:
        """Return the error that a new order meets, None where it is taken."""
        return self.rejections.pop(0) if self.rejections else None

    def next_order_id(self) -> int:
        """Return an id above all that were used."""
        return 1 + max((order.order_id for order in self.orders), default=0)

    def order_of(self, reference: str) -> Order:
        """Return the one order with this ``orderRef``."""
        (found,) = (order for order in self.orders if order.reference == reference)
        return found

    def _book(self, order: Order, execution: Execution) -> None:
        sign = 1 if order.side == "BUY" else -1
        held, cost = self.positions.get(order.contract.con_id, (0.0, 0.0))
        after = held + sign * execution.shares
        if held * sign >= 0:  # opened or grown: the average moves
            cost = (abs(held) * cost + execution.shares * execution.price) / abs(after)
        elif after * held < 0:  # turned round: what is left was bought or sold now
            cost = execution.price
        self.positions[order.contract.con_id] = (after, cost if after else 0.0)
        self.cash_usd -= sign * execution.shares * execution.price + execution.commission_usd

    def _place(self, session: Session, request: Request) -> Sequence[Fields]:
        fields = request.fields
        asked, order_id = AskedContract.of(fields[2:14]), request.request_id
        side, shares, kind, limit, stop, time_in_force, _, account, _, _, reference = fields[_ORDER_AT : _ORDER_AT + 11]
        known = self._find(session.client_id, order_id)
        if known is not None and known.is_open:
            known.shares, known.limit_price, known.stop_price = float(shares), limit, stop
            return [open_order(known), order_status(known)]
        if known is not None:
            return [error(order_id, 103, "Duplicate order id")]
        contracts = [contract for contract in self.contracts if asked.fits(contract)]
        if len(contracts) != 1:
            return [error(order_id, 200, "No security definition has been found for the request")]
        order = Order(
            order_id, session.client_id, 1_000_000 + len(self.orders), contracts[0], side, float(shares), kind,
            limit, stop, time_in_force or "DAY", reference, account or self.account, int(fields[_PARENT_AT] or 0),
        )  # fmt: skip
        self.orders.append(order)
        refusal = self.refuse(order)
        if refusal is not None:
            code, text = refusal
            order.status, order.reason = "Inactive", text
            return [error(order_id, code, text), order_status(order)]
        return [open_order(order), order_status(order)]

    def _cancel(self, session: Session, request: Request) -> Sequence[Fields]:
        order = self._find(session.client_id, request.request_id)
        if order is None:
            text = f"OrderId {request.request_id} that needs to be cancelled is not found."
            return [error(request.request_id, 10147, text)]
        if not order.is_open:
            text = f"OrderId {order.order_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
            return [error(order.order_id, 10148, text)]
        return self.cancel(order)

    def _cancel_all(self, _: Session, __: Request) -> Sequence[Fields]:
        return [event for order in self.orders if order.is_open for event in self.cancel(order)]

    def _open_orders(self, session: Session, _: Request) -> Sequence[Fields]:
        return self._described([order for order in self.orders if order.client_id == session.client_id])

    def _all_open_orders(self, _: Session, __: Request) -> Sequence[Fields]:
        return self._described(self.orders)

    def _described(self, orders: Sequence[Order]) -> list[Fields]:
        told = [fields for order in orders if order.is_open for fields in (open_order(order), order_status(order))]
        return [*told, message(ToClient.OPEN_ORDER_END, 1)]

    def _completed_orders(self, _: Session, __: Request) -> Sequence[Fields]:
        told = [completed_order(order, self.now) for order in self.orders if not order.is_open]
        return [*told, message(ToClient.COMPLETED_ORDERS_END)]

    def _executions(self, _: Session, request: Request) -> Sequence[Fields]:
        client_id = int(request.fields[3] or 0)
        told = [
            fields
            for order in self.orders
            if client_id in (0, order.client_id)
            for execution in order.executions
            for fields in (execution_details(request.request_id, order, execution), commission_report(execution))
        ]
        return [*told, message(ToClient.EXECUTION_END, 1, request.request_id)]

    def _next_order_id(self, _: Session, __: Request) -> Sequence[Fields]:
        return [message(ToClient.NEXT_VALID_ID, 1, self.next_order_id())]

    def _positions(self, _: Session, __: Request) -> Sequence[Fields]:
        by_id = {contract.con_id: contract for contract in self.contracts}
        told = [position(self.account, by_id[con_id], *held) for con_id, held in self.positions.items() if held[0]]
        return [*told, message(ToClient.POSITION_END, 1)]

    def _account_updates(self, _: Session, request: Request) -> Sequence[Fields]:
        if request.fields[2] != "1":
            return []
        told = [
            message(ToClient.ACCOUNT_VALUE, 2, tag, value, "USD", self.account) for tag, value in self._values().items()
        ]
        by_id = {contract.con_id: contract for contract in self.contracts}
        told += [
            portfolio_value(self.account, by_id[con_id], *held, self.quotes.get(con_id, held[1]))
            for con_id, held in self.positions.items()
            if held[0]
        ]
        return [*told, message(ToClient.ACCOUNT_DOWNLOAD_END, 1, self.account)]

    def _account_updates_multi(self, _: Session, request: Request) -> Sequence[Fields]:
        told = [
            message(ToClient.ACCOUNT_UPDATE_MULTI, 1, request.request_id, self.account, "", tag, value, "USD")
            for tag, value in self._values().items()
        ]
        return [*told, message(ToClient.ACCOUNT_UPDATE_MULTI_END, 1, request.request_id)]

    def _account_summary(self, _: Session, request: Request) -> Sequence[Fields]:
        told = [
            message(ToClient.ACCOUNT_SUMMARY, 1, request.request_id, self.account, tag, value, "USD")
            for tag, value in self._values().items()
        ]
        return [*told, message(ToClient.ACCOUNT_SUMMARY_END, 1, request.request_id)]

    def _values(self) -> dict[str, str]:
        held = sum(shares * self.quotes.get(con_id, cost) for con_id, (shares, cost) in self.positions.items())
        cash = f"{self.cash_usd:.2f}"
        return {"TotalCashValue": cash, "NetLiquidation": f"{self.cash_usd + held:.2f}", "BuyingPower": cash}

    def _find(self, client_id: int, order_id: int) -> Order | None:
        return next(
            (order for order in self.orders if (order.client_id, order.order_id) == (client_id, order_id)), None
        )


def _nothing(_: Session, __: Request) -> Sequence[Fields]:
    return []
