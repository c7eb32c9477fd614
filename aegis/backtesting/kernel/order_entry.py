"""What a simulation is asked with its orders, from Python.

Belongs here: placing, linking, changing and cancelling orders, and what the kernel's faults mean. How bars get in and
time goes on is :mod:`aegis.backtesting.kernel.simulation`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from aegis.backtesting.bar_times import instant
from aegis.backtesting.kernel import submission
from aegis.backtesting.kernel.codes import Fault, OrderType, Stopped, TimeInForce
from aegis.backtesting.kernel.faults import fault_text
from aegis.backtesting.kernel.record_memory import RecordMemory
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.errors import StrategyFailed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AMENDMENTS_AT_ONCE = 8


class OrderEntry(RecordMemory):
    """Records whose orders can be placed and changed, at the close of the last step taken."""

    symbols: tuple[str, ...]
    cursor: np.void

    def place(
        self,
        symbol: int,
        quantity: float,
        *,
        order_type: OrderType = OrderType.MARKET,
        time_in_force: TimeInForce = TimeInForce.DAY,
        limit_usd: float = np.nan,
        stop_usd: float = np.nan,
        trail: float = np.nan,
        trail_is_fraction: bool = False,
        expires_ns: int = NEVER,
        sibling_of: int = NO_ORDER,
    ) -> int:
        """Place an order at the close of the last step taken and return its index.

        With `sibling_of` it joins the ring of an earlier order, open or just rejected: what one of them fills is taken
        from the others, and the venue judges them as one.
        """
        return self.ask(
            submission.place_sibling,
            sibling_of,
            symbol,
            int(order_type),
            quantity,
            limit_usd,
            stop_usd,
            trail,
            int(trail_is_fraction),
            int(time_in_force),
            expires_ns,
        )

    def place_bracket(
        self,
        symbol: int,
        quantity: float,
        *,
        stop_loss_usd: float = np.nan,
        take_profit_usd: float = np.nan,
        order_type: OrderType = OrderType.MARKET,
        time_in_force: TimeInForce = TimeInForce.DAY,
        limit_usd: float = np.nan,
        stop_usd: float = np.nan,
    ) -> int:
        """Place an entry with its exits and return its index; the exits have the next ones."""
        return self.ask(
            submission.place_bracket,
            symbol,
            int(order_type),
            quantity,
            limit_usd,
            stop_usd,
            int(time_in_force),
            stop_loss_usd,
            take_profit_usd,
        )

    def place_child(
        self,
        parent: int,
        symbol: int,
        quantity: float,
        *,
        order_type: OrderType = OrderType.MARKET,
        time_in_force: TimeInForce = TimeInForce.DAY,
        limit_usd: float = np.nan,
        stop_usd: float = np.nan,
    ) -> int:
        """Place an order that waits until its parent, placed directly before it, is filled."""
        return self.ask(
            submission.place_child,
            parent,
            symbol,
            int(order_type),
            quantity,
            limit_usd,
            stop_usd,
            int(time_in_force),
        )

    def link(self, first: int, count: int) -> None:
        """Make `count` consecutive orders cancel one another; they must be in no ring and not have ended.

        In a cash account the second of two sales of the same shares is rejected before it can be linked: place it with
        ``sibling_of``.
        """
        self.ask(submission.link, first, count)

    def cancel(self, order: int) -> bool:
        """Cancel the rest of an order; false if it had ended."""
        return bool(self.ask(submission.cancel_order, order))

    def replace(
        self, order: int, *, quantity: float = np.nan, limit_usd: float = np.nan, stop_usd: float = np.nan
    ) -> bool:
        """Change an open order's total quantity and prices; false if it had ended or one is off its step."""
        return bool(self.ask(submission.replace_order, order, quantity, limit_usd, stop_usd))

    @property
    def now_utc(self) -> datetime:
        """Close of the last step taken."""
        return _EPOCH + timedelta(microseconds=int(self.cursor["now"]) // 1000)

    def raise_fault(self) -> None:
        """Raise what a strategy did wrong, if it did.

        Raises
        ------
        StrategyFailed
            With symbol, time, value and remedy.
        """
        fault = Fault(int(self.cursor["error"]))
        if fault is Fault.NONE:
            return
        number = int(self.cursor["error_symbol"])
        symbol = self.symbols[number] if 0 <= number < len(self.symbols) else f"number {number}"
        value = float(self.cursor["error_value"])
        said = fault_text(fault, value=value, symbol_number=number, n_symbols=len(self.symbols))
        self.cursor["error"] = 0
        raise StrategyFailed(f"{symbol} {instant(int(self.cursor['now']))}: {said}"[:600])

    def ask(self, entrance: Callable[..., Any], *arguments: float) -> int:
        """Make room, ask one of the kernel's entrances, and raise the fault if it was one."""
        header, cursor = self._header, self.cursor
        while cursor["orders"] + header["orders_per_step"] + header["n_symbols"] >= header["orders_capacity"]:
            self._grow(Stopped.GROW_ORDERS)
        while cursor["amendments"] + _AMENDMENTS_AT_ONCE * (cursor["working"] + 1) > header["amendments_capacity"]:
            self._grow(Stopped.GROW_AMENDMENTS)
        answer = int(entrance(self.handle, *arguments))
        if cursor["error"]:
            self.raise_fault()
        return answer
