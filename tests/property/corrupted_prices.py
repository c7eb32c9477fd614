"""Prices and volumes that are wrong: levels, splits, the shape of a bar, impossible values and stale copies.

Belongs here: faults in the numbers of rows that are there. Rows, times, columns and texts are in
`corrupted_deliveries`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.property.clean_market import LAST, PRICES, SESSIONS, Market
from tests.property.corrupted_bars import Corruption, Fault, scaled, set_to

_CLOSE, _HIGH, _LOW, _OPEN = "close_raw_usd", "high_raw_usd", "low_raw_usd", "open_raw_usd"
_COLUMNS = {"open": _OPEN, "high": _HIGH, "low": _LOW, "close": _CLOSE}


def _beside(column: str, other: str, factor: float) -> Corruption:
    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[at], SESSIONS[at])
        bars.loc[rows, column] = bars.loc[rows, other] * factor
        return market.with_bars(bars)

    return corrupt


def _float_noise(column: str, edge: np.ufunc, noise: float) -> Corruption:
    """Put the high or the low at the edge of the body, missed by some units in the last place."""

    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[at], SESSIONS[at])
        bars.loc[rows, column] = edge(bars.loc[rows, _OPEN], bars.loc[rows, _CLOSE]) * (1 + noise)
        return market.with_bars(bars)

    return corrupt


def _split(
    ratio: float, *, recorded_ratio: float | None, recorded_late: int = 0, volume_ratio: float | None = None
) -> Corruption:
    """Prices of a split by `ratio` from the session on, recorded wrongly or not at all; volume as well by default."""

    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[at], LAST)
        bars.loc[rows, PRICES] /= ratio
        bars.loc[rows, "volume_shares"] *= ratio if volume_ratio is None else volume_ratio
        changed = market.with_bars(bars)
        if recorded_ratio is None:
            return changed
        ex_date = SESSIONS[at + recorded_late]
        return changed.with_action(session=ex_date, symbol=symbol, action="split", split_ratio=recorded_ratio)

    return corrupt


def _copied(columns: list[str], sessions: int) -> Corruption:
    """Repeat the previous session's values of one symbol for some sessions."""

    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        before = bars.loc[market.rows(symbol, SESSIONS[at - 1], SESSIONS[at - 1]), columns].to_numpy()
        bars.loc[market.rows(symbol, SESSIONS[at], SESSIONS[at + sessions - 1]), columns] = before
        return market.with_bars(bars)

    return corrupt


def _yesterday_for_everyone(market: Market, _symbol: str, at: int) -> Market:
    bars = market.bars.copy()
    columns = [*PRICES, "volume_shares"]
    before = bars.loc[bars["session"] == SESSIONS[at - 1], columns].to_numpy()
    bars.loc[bars["session"] == SESSIONS[at], columns] = before
    return market.with_bars(bars)


def _swapped(left: str, right: str) -> Corruption:
    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[at], SESSIONS[at])
        bars.loc[rows, [left, right]] = bars.loc[rows, [right, left]].to_numpy()
        return market.with_bars(bars)

    return corrupt


def _bar_of_another(market: Market, symbol: str, at: int) -> Market:
    """Deliver under this symbol the bar of one whose price is at least four times as far away."""
    bars = market.bars.copy()
    day = bars[bars["session"] == SESSIONS[at]].set_index("symbol")
    distance = np.abs(np.log(day["close_raw_usd"] / day.loc[symbol, "close_raw_usd"]))
    other = str(distance.idxmax())
    columns = [*PRICES, "volume_shares"]
    bars.loc[market.rows(symbol, SESSIONS[at], SESSIONS[at]), columns] = day.loc[other, columns].to_numpy()
    return market.with_bars(bars)


def _gap_open(factor: float) -> Corruption:
    """Move the open by `factor` and stretch the high or low with it, so that the bar stays consistent."""

    def corrupt(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[at], SESSIONS[at])
        bars.loc[rows, "open_raw_usd"] *= factor
        edge = "high_raw_usd" if factor > 1 else "low_raw_usd"
        bars.loc[rows, edge] = bars.loc[rows, "open_raw_usd"]
        return market.with_bars(bars)

    return corrupt


_UNTOLD: dict[str, Any] = {"recorded_ratio": None, "volume_ratio": 1.0}
_PRICE_LEVEL = (
    *(
        Fault(f"one bar × {factor:g}", "quarantine", scaled(PRICES, factor))
        for factor in (100, 0.01, 1000, 0.001, 10, 0.1)
    ),
    *(
        Fault(f"× {factor:g} from the session on", "quarantine", scaled(PRICES, factor, sessions=5))
        for factor in (100, 0.01)
    ),
    Fault("yen for dollars", "quarantine", scaled(PRICES, 110.7)),
    Fault("yuan for dollars", "quarantine", scaled(PRICES, 6.38)),
    Fault("rupees for dollars", "quarantine", scaled(PRICES, 74.3)),
    Fault("pounds for dollars, for one day", "quarantine", scaled(PRICES, 0.741), found_after=1),
    Fault("Australian for US dollars, for one day", "quarantine", scaled(PRICES, 1.387), found_after=1),
    *(
        Fault(f"spike × {factor:g} that reverts", "quarantine", scaled(PRICES, factor), found_after=1)
        for factor in (1.45, 1.3, 0.75, 0.7)
    ),
    *(
        Fault(f"unrecorded split {ratio:g}:1", "quarantine", _split(ratio, recorded_ratio=None))
        for ratio in (2, 2.5, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 0.5, 0.25, 0.2, 0.125, 0.1, 0.05)
    ),
    *(
        Fault(f"unrecorded split {ratio:g}:1, volume as before", "quarantine", _split(ratio, **_UNTOLD))
        for ratio in (2, 5, 0.5, 0.1)
    ),
    Fault("split recorded a session late", "quarantine", _split(2, recorded_ratio=2, recorded_late=1)),
    Fault("split recorded with another ratio", "block", _split(2, recorded_ratio=4)),
    Fault("split recorded upside down", "block", _split(4, recorded_ratio=0.25)),
    Fault("split recorded, prices already adjusted", "block", _split(1, recorded_ratio=2)),
    Fault("reverse split recorded, prices already adjusted", "block", _split(1, recorded_ratio=0.1)),
    Fault("bar of another instrument", "quarantine", _bar_of_another),
)
_BAR_SHAPE = (
    Fault("high below the close", "block", _beside(_HIGH, _CLOSE, 0.99)),
    Fault("high below the open", "block", _beside(_HIGH, _OPEN, 0.98)),
    Fault("low above the close", "block", _beside(_LOW, _CLOSE, 1.01)),
    Fault("low above the open", "block", _beside(_LOW, _OPEN, 1.02)),
    Fault("high and low swapped", "block", _swapped(_HIGH, _LOW)),
    Fault("close beyond the high", "block", _beside(_CLOSE, _HIGH, 1.04)),
    Fault("close beyond the low", "block", _beside(_CLOSE, _LOW, 0.96)),
    Fault("volume in the close's column", "block", _swapped(_CLOSE, "volume_shares")),
    Fault("high below the body by float noise", "repair", _float_noise(_HIGH, np.fmax, -2e-15)),
    Fault("low above the body by float noise", "repair", _float_noise(_LOW, np.fmin, 2e-15)),
    Fault("high at twice the close", "quarantine", _beside(_HIGH, _CLOSE, 2.0)),
    Fault("low at a tenth of the close", "quarantine", _beside(_LOW, _CLOSE, 0.1)),
    Fault("low at one cent", "quarantine", set_to(_LOW, 0.01)),
    Fault("open at three times the close", "quarantine", _gap_open(3.0)),
    Fault("open at a third of the close", "quarantine", _gap_open(0.33)),
)
_VALUES = (
    *(
        Fault(f"{name} of {value:g}", "block", set_to(column, value))
        for name, column in _COLUMNS.items()
        for value in (0.0, -1.0)
    ),
    *(Fault(f"{name} missing", "quarantine", set_to(column, np.nan)) for name, column in _COLUMNS.items()),
    Fault("high infinite", "quarantine", set_to(_HIGH, np.inf)),
    *(
        Fault(f"{name} infinite", "block", set_to(column, np.inf))
        for name, column in _COLUMNS.items()
        if column != _HIGH
    ),
    Fault("close of minus infinity", "block", set_to(_CLOSE, -np.inf)),
    Fault("every price zero", "block", scaled(PRICES, 0.0)),
    Fault("every price negative", "block", scaled(PRICES, -1.0)),
    Fault("every price missing", "quarantine", scaled(PRICES, np.nan)),
    Fault("sentinel 99999.99 as the close", "block", set_to("close_raw_usd", 99999.99)),
    Fault("volume of -1", "quarantine", set_to("volume_shares", -1.0)),
    Fault("volume missing", "quarantine", set_to("volume_shares", np.nan)),
    Fault("volume infinite", "quarantine", set_to("volume_shares", np.inf)),
    Fault("volume in hundreds", "warn", scaled(["volume_shares"], 0.01)),
    Fault("volume × 1000", "warn", scaled(["volume_shares"], 1000.0)),
    Fault("no volume though the price moved", "warn", set_to("volume_shares", 0.0)),
)
_STALE = (
    Fault("yesterday's bar again", "quarantine", _copied([*PRICES, "volume_shares"], 1)),
    Fault("the same bar for five sessions", "quarantine", _copied([*PRICES, "volume_shares"], 5)),
    Fault("the same prices for five sessions", "quarantine", _copied(PRICES, 5), found_after=4),
    Fault("yesterday's copy for everyone", "block", _yesterday_for_everyone, concerns_symbol=False),
)

PRICE_FAULTS = (*_PRICE_LEVEL, *_BAR_SHAPE, *_VALUES, *_STALE)
