"""The numbers that TWS has for our orders, and where each of them stands.

Belongs here: which order of ours a message means, and which of the orders at TWS that have one reference are open. TWS
refuses no second order of the same reference, so there may be more than one. What a message means for our order is
:mod:`aegis.execution.brokers.interactive_brokers_intake`, whose lock is held meanwhile.
"""

from __future__ import annotations

from aegis.execution.brokers.interactive_brokers_reports import ENDED, GatewayExecution, GatewayOrder, GatewayStatus

_OVER_FOR_GOOD = ENDED - {"Inactive"}
"""Statuses after which one that comes out of turn says nothing; what is inactive may work again."""
_ENDING = "PendingCancel"
"""What TWS calls an order whose end was asked for and that is not over yet."""

Number = tuple[int, int]
"""A client id, and the number under which that client placed an order."""


class OrderNumbers:
    """The numbers of one account's orders.

    Parameters
    ----------
    client_id : int
        Ours.
    """

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._names: dict[Number, str] = {}
        # By Interactive Brokers' own number of an order: which of ours it is, where it was placed, its status.
        self._permanent: dict[int, str] = {}
        self._placed: dict[int, Number] = {}
        self._status: dict[int, str] = {}

    def expect(self, client_order_id: str, order_id: int) -> None:
        """Take note of the number under which an order of ours is sent."""
        self._names[self._client_id, order_id] = client_order_id

    def name_of(self, client_id: int = 0, order_id: int = 0, *, permanent_id: int = 0) -> str | None:
        """Return the order of ours that is meant, None for a stranger; a number that is not told is 0."""
        return self._names.get((client_id, order_id)) or self._permanent.get(permanent_id)

    def take(self, name: str, told: GatewayOrder | GatewayStatus | GatewayExecution) -> str:
        """Take note of the numbers of an order of ours, and of where it stands.

        Returns
        -------
        str
            What a second order of its reference means, for a person; empty where this is none, or a known one.
        """
        said, number = "", (told.client_id, told.order_id)
        if told.order_id:
            self._names[number] = name
        if not told.permanent_id:
            return said
        known = {other for other, owner in self._permanent.items() if owner == name}
        if known and told.permanent_id not in known:
            said = (
                f"order {name}: Interactive Brokers has two orders of this reference, {min(known)} and "
                f"{told.permanent_id}; cancel one of them by hand, and find out who sent it"
            )
        self._permanent[told.permanent_id] = name
        if told.order_id:
            self._placed[told.permanent_id] = number
        if not isinstance(told, GatewayExecution) and self._status.get(told.permanent_id) not in _OVER_FOR_GOOD:
            self._status[told.permanent_id] = told.status
        return said

    def newest(self, name: str) -> Number | None:
        """Return the client id and number of an order: our own client's, one that is open, the newest known."""
        open_ones = self._open(name).values()
        keys = [key for key, owner in self._names.items() if owner == name]
        return max(keys, key=lambda key: (key[0] == self._client_id, key in open_ones, key[1]), default=None)

    def awaiting_end(self, name: str) -> tuple[int, ...]:
        """Return our own client's numbers of an order that are neither over nor being cancelled, ascending."""
        return tuple(
            sorted(
                order_id
                for permanent_id, (client_id, order_id) in self._open(name).items()
                if client_id == self._client_id and self._status[permanent_id] != _ENDING
            )
        )

    def unended(self) -> frozenset[str]:
        """Return the references of our own client's orders that are told to be open."""
        return frozenset(
            owner
            for number, owner in self._permanent.items()
            if self._status.get(number, "Cancelled") not in ENDED
            and self._placed.get(number, (-1, 0))[0] == self._client_id
        )

    def is_open(self, name: str) -> bool:
        """Whether any order of this reference is told to be open, whoever placed it."""
        return any(owner == name and self._is_open(number) for number, owner in self._permanent.items())

    def _open(self, name: str) -> dict[int, Number]:
        """Return where the open orders of a reference were placed, by Interactive Brokers' own number."""
        owners = self._permanent
        return {at: placed for at, placed in self._placed.items() if owners[at] == name and self._is_open(at)}

    def _is_open(self, permanent_id: int) -> bool:
        """Whether an order at TWS is told to be open; of one that only executions tell of, nothing is."""
        status = self._status.get(permanent_id)
        return status is not None and status not in ENDED
