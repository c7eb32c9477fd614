"""The arrays that the kernel's records point to.

Belongs here: keeping them alive, writing their addresses into the header, and giving the ones that fill up more room.
Nobody else may write an address: a wrong one ends the process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.kernel import records
from aegis.backtesting.kernel.codes import Stopped
from aegis.errors import BacktestError

Records = NDArray[np.void]

_GROWTH = 4
_STATE = ("account", "cursor", "positions", "symbols")
"""What must be put back before a simulation can begin again; everything else is written before it is read."""

GROWING: dict[Stopped, tuple[str, ...]] = {
    Stopped.GROW_ORDERS: ("orders", "candidates"),
    Stopped.GROW_FILLS: ("fills",),
    Stopped.GROW_AMENDMENTS: ("amendments",),
    Stopped.GROW_RECEIVABLES: ("receivables",),
}
GROWING_DTYPES = {
    "orders": records.ORDER,
    "candidates": records.CANDIDATE,
    "fills": records.FILL,
    "amendments": records.AMENDMENT,
    "receivables": records.RECEIVABLE,
}


class RecordMemory:
    """A header and everything whose address stands in it."""

    def __init__(self) -> None:
        self.header: Records = np.zeros(1, dtype=records.HEADER)
        self.handle: int = self.header.ctypes.data
        self._header = self.header[0]
        self._keep: dict[str, NDArray[Any]] = {}

    @property
    def account_array(self) -> Records:
        """A view of the `ACCOUNT`, shape (1,)."""
        return self._keep["account"]

    @property
    def cursor_array(self) -> Records:
        """A view of the `CURSOR`, shape (1,)."""
        return self._keep["cursor"]

    @property
    def orders(self) -> Records:
        """The orders placed so far, a view of `ORDER` records."""
        return self._keep["orders"][: self._keep["cursor"][0]["orders"]]

    @property
    def fills(self) -> Records:
        """The fills so far, a view of `FILL` records."""
        return self._keep["fills"][: self._keep["cursor"][0]["fills"]]

    @property
    def amendments(self) -> Records:
        """The changes of orders so far, a view of `AMENDMENT` records."""
        return self._keep["amendments"][: self._keep["cursor"][0]["amendments"]]

    @property
    def receivables(self) -> Records:
        """Dividends not yet paid, a view of `RECEIVABLE` records."""
        return self._keep["receivables"][: self._keep["cursor"][0]["receivables"]]

    @property
    def positions(self) -> Records:
        """A view of the `POSITION` record of each symbol."""
        return self._keep["positions"]

    @property
    def terms(self) -> Records:
        """A view of the `SYMBOL` record of each symbol."""
        return self._keep["symbols"]

    @property
    def state(self) -> list[NDArray[np.int64]]:
        """Views, as words, of what must be put back to begin again: account, cursor, positions and symbols."""
        return [self._keep[name].view(np.int64) for name in _STATE]

    @property
    def memory(self) -> NDArray[np.float64]:
        """A view of what a jitted strategy keeps."""
        return self._keep["memory"]

    def _own(self, name: str, array: NDArray[Any], *, count: str | None = None) -> None:
        """Keep an array alive and write its address into the header."""
        if not array.flags.c_contiguous:
            raise BacktestError(f"the kernel's array '{name}' is not contiguous in memory; pass a contiguous one")
        self._keep[name] = array
        self._header[name] = array.ctypes.data
        if count is not None:
            self._header[count] = len(array)

    def _own_optional(self, name: str, array: NDArray[Any] | None) -> None:
        if array is None:
            self._keep.pop(name, None)
            self._header[name] = 0
        else:
            self._own(name, array)

    def _reserve(self, name: str, capacity: int) -> None:
        """Give a growing array room for `capacity` records; memory is taken by the system as it is written."""
        grown: Records = np.empty(capacity, dtype=GROWING_DTYPES[name])
        before = self._keep.get(name)
        if before is not None and name != "candidates":
            grown[: len(before)] = before
        self._own(name, grown)
        if name != "candidates":
            self._header[f"{name}_capacity"] = capacity

    def _grow(self, stopped: Stopped) -> None:
        for name in GROWING[stopped]:
            self._reserve(name, _GROWTH * len(self._keep[name]))
