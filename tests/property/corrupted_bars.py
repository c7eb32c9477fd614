"""What vendors do wrong to a clean bar table: one labelled fault each, and the outcome that each deserves.

Belongs here: what a fault is and how one is put into a market. The faults themselves are in `corrupted_prices` and
`corrupted_deliveries`; they were written from the issue and from what vendors do, before the gate's rules were looked
at. Six sizes of unrecorded splits, and those that leave the volume alone, came with the rule after one had been missed.
A label is the strictest outcome that any session of the market may get when nobody holds or targets the symbol; a
quarantine becomes a block when somebody does.

Where the platform promised more, the label followed the promise and became a block: a price that is not positive, high
and low that do not bracket, a row delivered twice and a missing bar always block, a recorded action cannot be set aside
(docs/data_quality.md), and a row without ticker or instant is refused by the table's schema.

Notes
-----
On the day of a move nobody can know that it will revert. A move that honest news could make is therefore a warning on
its day, and a quarantine on the day that takes it back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from tests.property.clean_market import SESSIONS, SYMBOLS, Market, clean_market

SAFE_FIRST, SAFE_LAST = 70, 84  # after enough history for any look-back, and with sessions left to revert in


@dataclass(frozen=True)
class Case:
    """One damaged market: where the fault is, and what the gate owes it."""

    name: str
    market: Market
    session: date
    symbol: str | None
    expected: str


Corruption = Callable[[Market, str, int], Market]


@dataclass(frozen=True)
class Fault:
    """One way in which a vendor is wrong.

    Parameters
    ----------
    name : str
        What went wrong.
    expected : str
        Strictest outcome when nobody holds or targets the symbol.
    corrupt : Callable
        Maps a clean market, a symbol and the position of a session to the damaged market.
    found_after : int
        Sessions after the fault at which the strictest outcome can be known.
    concerns_symbol : bool
        Whether one symbol is at fault, so that a message must name it; else the whole delivery is.
    """

    name: str
    expected: str
    corrupt: Corruption
    found_after: int = 0
    concerns_symbol: bool = True


def corrupted(fault: Fault, seed: int) -> Case:
    """Return the case of `fault` in the market of `seed`, at a symbol and session drawn from the same seed."""
    random = np.random.default_rng([seed, *fault.name.encode()])
    symbol = str(random.choice(SYMBOLS))
    at = int(random.integers(SAFE_FIRST, SAFE_LAST))
    market = fault.corrupt(clean_market(seed), symbol, at)
    session = SESSIONS[at + fault.found_after]
    return Case(fault.name, market, session, symbol if fault.concerns_symbol else None, fault.expected)


def scaled(columns: list[str], factor: float, sessions: int = 1) -> Corruption:
    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        bars.loc[market.rows(symbol, SESSIONS[at], SESSIONS[at + sessions - 1]), columns] *= factor
        return market.with_bars(bars)

    return corrupt


def set_to(column: str, value: object) -> Corruption:
    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        bars.loc[market.rows(symbol, SESSIONS[at], SESSIONS[at]), column] = value
        return market.with_bars(bars)

    return corrupt
