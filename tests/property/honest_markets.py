"""What honest markets do to a clean bar table: rare, real, and not a fault.

Belongs here: the controls and their labels. A control releases every row unchanged; a move that only news explains
may be a warning, nothing else may be more than a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tests.property.clean_market import HALF_DAY, LAST, PRICES, SESSIONS, SYMBOLS, Market, clean_market


@dataclass(frozen=True)
class Control:
    """One honest market and the strictest outcome that it may get."""

    name: str
    expected: str
    build: Callable[[Market, str, int], Market]


def honest(control: Control, seed: int) -> Market:
    """Return the control in the market of `seed`, at a symbol and session drawn from the same seed."""
    random = np.random.default_rng([seed, *control.name.encode()])
    return control.build(clean_market(seed), str(random.choice(SYMBOLS)), int(random.integers(70, 84)))


def _moved(factors: tuple[float, ...], *, everyone: bool = False) -> Callable[[Market, str, int], Market]:
    """Multiply prices by each factor from one session on, one session after another."""

    def build(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        for later, factor in enumerate(factors):
            rows = bars["session"] >= SESSIONS[at + later]
            bars.loc[rows if everyone else rows & (bars["symbol"] == symbol), PRICES] *= factor
        return market.with_bars(bars)

    return build


def _news(factor: float, *, volume: float) -> Callable[[Market, str, int], Market]:
    """Move the price for good, with the burst of trading that such news brings on its day."""

    def build(market: Market, symbol: str, at: int) -> Market:
        moved = _moved((factor,))(market, symbol, at)
        bars = moved.bars.copy()
        bars.loc[moved.rows(symbol, SESSIONS[at], SESSIONS[at]), "volume_shares"] *= volume
        return moved.with_bars(bars)

    return build


def _split(ratio: float) -> Callable[[Market, str, int], Market]:
    def build(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[at], LAST)
        bars.loc[rows, PRICES] /= ratio
        bars.loc[rows, "volume_shares"] *= ratio
        return market.with_bars(bars).with_action(
            session=SESSIONS[at], symbol=symbol, action="split", split_ratio=ratio
        )

    return build


def _dividend(share: float) -> Callable[[Market, str, int], Market]:
    def build(market: Market, symbol: str, at: int) -> Market:
        before = market.bars.loc[market.rows(symbol, SESSIONS[at - 1], SESSIONS[at - 1]), "close_raw_usd"].item()
        moved = _moved((1 - share,))(market, symbol, at)
        return moved.with_action(
            session=SESSIONS[at],
            symbol=symbol,
            action="dividend",
            dividend_usd=round(share * before, 2),
            pay_session=SESSIONS[at + 5],
        )

    return build


def _halted(sessions: int) -> Callable[[Market, str, int], Market]:
    """Stop trading: the last close as every price, and no volume."""

    def build(market: Market, symbol: str, at: int) -> Market:
        bars = market.bars.copy()
        last = bars.loc[market.rows(symbol, SESSIONS[at - 1], SESSIONS[at - 1]), "close_raw_usd"].item()
        rows = market.rows(symbol, SESSIONS[at], SESSIONS[at + sessions - 1])
        bars.loc[rows, PRICES] = last
        bars.loc[rows, "volume_shares"] = 0.0
        return market.with_bars(bars)

    return build


def _listed_late(market: Market, symbol: str, at: int) -> Market:
    listings = market.listings.copy()
    listings.loc[listings["symbol"] == symbol, "first_session"] = SESSIONS[at]
    kept = ~market.rows(symbol, SESSIONS[0], SESSIONS[at - 1])
    return replace(market.with_bars(market.bars[kept]), listings=listings)


def _delisted(market: Market, symbol: str, at: int) -> Market:
    listings = market.listings.copy()
    listings.loc[listings["symbol"] == symbol, "last_session"] = SESSIONS[at]
    kept = ~market.rows(symbol, SESSIONS[at + 1], LAST)
    changed = replace(market.with_bars(market.bars[kept]), listings=listings)
    return changed.with_action(session=SESSIONS[at + 1], symbol=symbol, action="delisting")


def _quiet_half_day(market: Market, _symbol: str, _at: int) -> Market:
    bars = market.bars.copy()
    bars.loc[bars["session"] == HALF_DAY, "volume_shares"] = np.rint(
        bars.loc[bars["session"] == HALF_DAY, "volume_shares"] * 0.4
    )
    return market.with_bars(bars)


def _priced_at(level: float) -> Callable[[Market, str, int], Market]:
    def build(market: Market, symbol: str, _at: int) -> Market:
        bars = market.bars.copy()
        rows = market.rows(symbol, SESSIONS[0], LAST)
        bars.loc[rows, PRICES] *= level / bars.loc[rows, "close_raw_usd"].iloc[0]
        return market.with_bars(bars)

    return build


def _one_price(market: Market, symbol: str, at: int) -> Market:
    bars = market.bars.copy()
    rows = market.rows(symbol, SESSIONS[at], SESSIONS[at])
    for column in PRICES:
        bars.loc[rows, column] = bars.loc[rows, "close_raw_usd"]
    return market.with_bars(bars)


def _in_any_order(market: Market, _symbol: str, at: int) -> Market:
    return market.with_bars(market.bars.sample(frac=1.0, random_state=at))


CONTROLS = (
    Control("nothing happened", "pass", lambda market, _symbol, _at: market),
    *(Control(f"recorded split {ratio:g}:1", "pass", _split(ratio)) for ratio in (2, 3, 1.5, 4, 7, 20, 0.1, 0.05)),
    Control("quarterly dividend", "pass", _dividend(0.008)),
    Control("special dividend of 15 %", "pass", _dividend(0.15)),
    Control("quiet half day", "pass", _quiet_half_day),
    Control("limit up", "warn", _moved((1.2,))),
    Control("limit down", "warn", _moved((0.8,))),
    Control("limit down twice", "warn", _moved((0.8, 0.8))),
    Control("bad news that stays", "warn", _moved((0.7,))),
    Control("good news that stays", "warn", _moved((1.4,))),
    Control("profit warning, on fifteen times the volume", "warn", _news(0.56, volume=15.0)),
    Control("bid for the company, on twenty times the volume", "warn", _news(1.65, volume=20.0)),
    Control("overreaction that half reverts", "warn", _moved((0.86, 1.07))),
    Control("market falls by an eighth", "warn", _moved((0.88,), everyone=True)),
    Control("market falls and comes back", "warn", _moved((0.91, 1.095), everyone=True)),
    Control("halt for a session", "pass", _halted(1)),
    Control("halt for five sessions", "pass", _halted(5)),
    Control("new listing", "pass", _listed_late),
    Control("recorded delisting", "pass", _delisted),
    Control("price of 400 000 a share", "pass", _priced_at(400_000.0)),
    Control("one price all day", "pass", _one_price),
    Control("rows in any order", "pass", _in_any_order),
)
