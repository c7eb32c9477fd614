"""A simulation over a few daily bars whose prices are written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from aegis.backtesting.bars import Bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel.codes import Reason, State
from aegis.backtesting.kernel.records import ACTION, NO_SYMBOL
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.rules import TradingRules

FIRST_DAY = date(2024, 3, 4)
CASH = TradingRules(participation_rate=np.inf)
MARGIN = TradingRules(account_type="margin", participation_rate=np.inf)


def session(number: int) -> int:
    """Return the day of a session, numbered from 0, in days since 1970."""
    return (FIRST_DAY + timedelta(days=number) - date(1970, 1, 1)).days


def actions(*rows: tuple[Any, ...]) -> np.ndarray:
    """Return corporate actions: kind, symbol, session, ratio, amount, and the acquirer of a merger for shares."""
    return np.array(
        [
            (ratio, usd, session(day), session(day), symbol, kind, *(acquirer or [NO_SYMBOL]))
            for kind, symbol, day, ratio, usd, *acquirer in rows
        ],
        dtype=ACTION,
    )


def market(
    prices: Mapping[str, Sequence[float]],
    *,
    rules: TradingRules = CASH,
    cash_usd: float = 100_000.0,
    volume: float = 1e6,
    lows: Mapping[str, Sequence[float]] | None = None,
    highs: Mapping[str, Sequence[float]] | None = None,
    **terms: Any,
) -> Simulation:
    """Return a simulation at the close of its first bar; bars are flat but for lows and highs, NaN is no bar."""
    column = np.array(list(prices.values())).T
    low, high = column.copy(), column.copy()
    for number, symbol in enumerate(prices):
        low[:, number] = (lows or {}).get(symbol, low[:, number])
        high[:, number] = (highs or {}).get(symbol, high[:, number])
    days = [FIRST_DAY + timedelta(days=number) for number in range(len(column))]
    bars = Bars.from_arrays(
        column,
        high,
        low,
        column,
        np.where(np.isnan(column), np.nan, volume),
        closes_at=np.array([int(datetime(d.year, d.month, d.day, 21, tzinfo=UTC).timestamp()) * 10**9 for d in days]),
        symbols=tuple(prices),
        bar_interval=int(6.5 * 3600) * 10**9,
    )
    found = Simulation(tuple(prices), rules=rules, cash_usd=cash_usd, **{"costs": CostModel(), **terms})
    found.feed(bars)
    found.advance(1)
    return found


def ends(simulation: Simulation) -> list[tuple[State, Reason]]:
    """Return where each order stands, and why."""
    return [(State(o["state"]), Reason(o["reason"])) for o in simulation.orders]


def fills(simulation: Simulation) -> list[tuple[int, float, float]]:
    """Return the fills: order, shares, USD."""
    return [(int(f["order"]), float(f["quantity"]), float(f["price"])) for f in simulation.fills]
