"""Random markets and random scripts of orders.

A script is a table of commands; every player (:mod:`tests.property.script_players`) sends the same commands at the same
closes, so that whatever differs afterwards is the players' doing and not the kernel's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerShare
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.costs import CostModel
from aegis.backtesting.financing import Financing
from aegis.backtesting.kernel.codes import OrderType, TimeInForce
from aegis.backtesting.kernel.order_checks import times_of
from aegis.backtesting.market_impact import NoImpact, SquareRoot
from aegis.backtesting.rules import TradingRules

PLACE, BRACKET, CANCEL, REPLACE, PAIR, CHILD, SIBLING = range(7)
WIDTH = 11
"""Columns of a command: step, what, symbol or order, order type, quantity, limit, stop, trail, time in force, relation,
expiry.

`relation`: the parent of a child, the sibling of an order; 1 for a trail that is a fraction. `expiry`: nanoseconds
since 1970, whole minutes, which a float holds exactly; 0 for none.
"""

MINUTE = 60 * 10**9
FIRST_DAY = date(2024, 3, 4)


@dataclass(frozen=True)
class RandomBacktest:
    """A market, its events, the rules and a script."""

    bars: Bars
    config: BacktestConfig
    script: NDArray[np.float64]


def random_backtest(seed: int) -> RandomBacktest:
    """Return everything that one seed stands for."""
    rng = np.random.default_rng(seed)
    symbols = tuple("ABCD"[: rng.integers(1, 5)])
    sessions, bars_a_session = int(rng.integers(2, 13)), int(rng.integers(1, 5))
    bars = _bars(rng, symbols, sessions, bars_a_session)
    return RandomBacktest(bars, _config(rng, symbols, sessions), _script(rng, bars))


def _bars(rng: np.random.Generator, symbols: tuple[str, ...], sessions: int, per_session: int) -> Bars:
    steps, n = sessions * per_session, len(symbols)
    day = (FIRST_DAY - date(1970, 1, 1)).days + np.repeat(np.arange(sessions), per_session)
    closes_at = (day * 1440 + 14 * 60 + 30 + np.tile(np.arange(1, per_session + 1), sessions)) * MINUTE
    close = np.round(np.exp(np.cumsum(rng.normal(0, 0.03, (steps, n)), axis=0)) * rng.uniform(5, 200, n), 2)
    opened = np.round(np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.02, (steps, n))), 2)
    high = np.round(np.maximum(opened, close) * np.exp(abs(rng.normal(0, 0.02, (steps, n)))), 2)
    low = np.round(np.minimum(opened, close) * np.exp(-abs(rng.normal(0, 0.02, (steps, n)))), 2)
    low = np.minimum(low, np.minimum(opened, close))
    volume = rng.choice([0.0, 40.0, 900.0, 1e5], (steps, n), p=[0.08, 0.12, 0.4, 0.4])
    missing = rng.random((steps, n)) < 0.05
    missing[0] = False
    missing[missing.all(axis=1), 0] = False  # a step has a bar
    for column in (opened, high, low, close, volume):
        column[missing] = np.nan
    return Bars.from_arrays(opened, high, low, close, volume, closes_at=closes_at, symbols=symbols, bar_interval=MINUTE)


def _config(rng: np.random.Generator, symbols: tuple[str, ...], sessions: int) -> BacktestConfig:
    margin = bool(rng.random() < 0.5)
    rules = TradingRules(
        account_type="margin" if margin else "cash",
        participation_rate=float(rng.choice([0.1, 0.5, np.inf])),
        settlement_sessions=0 if margin else int(rng.integers(0, 3)),
        limit_needs_trade_through=bool(rng.random() < 0.5),
        children_act_in_entry_bar=bool(rng.random() < 0.5),
        reject_unaffordable=bool(rng.random() < 0.3),
        min_notional_usd=float(rng.choice([0.0, 200.0])),
    )
    costs = CostModel(
        slippage_bps=float(rng.choice([0.0, 5.0, 50.0])),
        commission=PerShare(0.01, min_usd_per_order=1.0, max_fraction_of_value=0.01),
        financing=Financing(0.02, 0.06, 0.03),
        regulatory_fees=bool(rng.random() < 0.5),
        impact=SquareRoot() if rng.random() < 0.3 else NoImpact(),
    )
    return BacktestConfig(
        initial_cash_usd=float(rng.choice([2_000.0, 50_000.0])),
        rules=rules,
        costs=costs,
        events=_events(rng, symbols, sessions),
    )


def _events(rng: np.random.Generator, symbols: tuple[str, ...], sessions: int) -> list[CorporateEvent]:
    events = []
    for symbol in symbols:
        for session in range(1, sessions):
            day = FIRST_DAY + timedelta(days=session)
            if rng.random() < 0.06:
                ratio = float(rng.choice([2.0, 1.5, 0.1, 3.0]))
                events.append(CorporateEvent(kind="split", symbol=symbol, ex_date=day, ratio=ratio))
            if rng.random() < 0.06:
                pay = day + timedelta(days=int(rng.integers(0, 4)))
                events.append(
                    CorporateEvent(kind="dividend", symbol=symbol, ex_date=day, amount_usd=0.11, pay_date=pay)
                )
            listing = rng.choice(["", "halt", "resume", "rename"], p=[0.8, 0.05, 0.12, 0.03])
            if listing:
                ticker = f"{symbol}{session}" if listing == "rename" else None
                events.append(CorporateEvent(kind=str(listing), symbol=symbol, ex_date=day, new_ticker=ticker))  # type: ignore[arg-type]
            if rng.random() < 0.03:
                events.append(CorporateEvent(kind="delisting", symbol=symbol, ex_date=day))
                # What was delisted may be told to resume, and must not.
                later = day + timedelta(days=1)
                events.append(CorporateEvent(kind="resume", symbol=symbol, ex_date=later))
                break
            if rng.random() < 0.02:
                events.append(CorporateEvent(kind="cash_merger", symbol=symbol, ex_date=day, amount_usd=42.5))
                break
    return [*events, *_share_mergers(rng.spawn(1)[0], symbols, sessions, events)]


def _share_mergers(
    rng: np.random.Generator, symbols: tuple[str, ...], sessions: int, events: list[CorporateEvent]
) -> list[CorporateEvent]:
    """Merge one symbol in a third of the markets; its own generator leaves the other draws as they are."""
    staying = sorted(set(symbols) - {event.symbol for event in events if event.kind in ("delisting", "cash_merger")})
    if rng.random() > 1 / 3 or not staying:
        return []
    symbol = str(rng.choice(staying))
    return [
        CorporateEvent(
            kind="share_merger",
            symbol=symbol,
            ex_date=FIRST_DAY + timedelta(days=int(rng.integers(1, sessions))),
            ratio=float(rng.choice([0.35, 1.0, 2.5])),
            amount_usd=float(rng.choice([0.0, 1.75])),
            acquirer=str(rng.choice([name for name in (*symbols, "STRANGER") if name != symbol])),
        )
    ]


def _script(rng: np.random.Generator, bars: Bars) -> NDArray[np.float64]:
    """Commands around the market's prices; orders are referred to by the numbers they will have."""
    n, commands, placed = len(bars.symbols), [], 0
    close = bars.close.reshape(-1, n)
    for step in range(bars.n_steps - 1):
        for _ in range(rng.integers(0, 4)):
            symbol = int(rng.integers(0, n))
            price = close[step, symbol]
            if np.isnan(price):
                continue
            command, new = _command(rng, bars, step, symbol, float(price), placed)
            commands.extend(command)
            placed += new
    return np.array(commands, dtype=np.float64).reshape(-1, WIDTH)


def _command(
    rng: np.random.Generator, bars: Bars, step: int, symbol: int, price: float, placed: int
) -> tuple[list[list[float]], int]:
    """One random command, and how many orders it places."""
    nan = np.nan
    quantity = float(rng.integers(1, 200)) * (1 if rng.random() < 0.6 else -1)
    kinds = [PLACE, BRACKET, CANCEL, REPLACE, PAIR, CHILD, SIBLING]
    what = int(rng.choice(kinds, p=[0.38, 0.22, 0.1, 0.1, 0.07, 0.06, 0.07]))
    if what == BRACKET:
        side = np.sign(quantity)
        stop, profit = price * (1 - side * rng.uniform(0.005, 0.05)), price * (1 + side * rng.uniform(0.005, 0.05))
        kind = OrderType.LIMIT if rng.random() < 0.4 else OrderType.MARKET
        limit = round(price * (1 - side * 0.005), 2) if kind is OrderType.LIMIT else nan
        row = [step, BRACKET, symbol, kind, quantity, limit, stop, profit, rng.integers(0, 2), 0, 0]
        return [row], 3
    if what in (CANCEL, REPLACE) and placed:
        order = int(rng.integers(max(0, placed - 12), placed))
        return [[step, what, order, 0, nan, 0, 0, 0, 0, 0, 0]], 0
    if what == PAIR:
        rows = [_order(rng, bars, step, symbol, price, quantity, OrderType.LIMIT) for _ in range(2)]
        return [*rows, [step, PAIR, placed, 0, 0, 0, 0, 0, 0, 0, 0]], 2
    if what == CHILD:
        parent = _order(rng, bars, step, symbol, price, quantity, OrderType.MARKET)
        other = int(rng.integers(0, len(bars.symbols)))
        limit = round(price * 1.02, 2)
        child = [step, CHILD, other, OrderType.LIMIT, -quantity, limit, nan, nan, TimeInForce.GTC, placed, 0]
        return [parent, child], 2
    if what == SIBLING:
        ring = [_order(rng, bars, step, symbol, price, quantity, OrderType.LIMIT)]
        for number in range(int(rng.integers(1, 4))):
            kind = OrderType.STOP if number == 0 else OrderType.LIMIT
            sibling = _order(rng, bars, step, symbol, price, np.sign(quantity) * float(rng.integers(1, 200)), kind)
            sibling[1], sibling[9] = SIBLING, placed + int(rng.integers(0, len(ring)))
            ring.append(sibling)
        return ring, len(ring)
    return [_order(rng, bars, step, symbol, price, quantity, OrderType(int(rng.integers(0, 10))))], 1


def _order(
    rng: np.random.Generator, bars: Bars, step: int, symbol: int, price: float, quantity: float, kind: OrderType
) -> list[float]:
    near = lambda: round(price * np.exp(rng.normal(0, 0.02)), 2)  # noqa: E731 - a price for each call
    has_limit = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_ON_OPEN, OrderType.LIMIT_ON_CLOSE)
    has_stop = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    in_force = int(rng.choice(np.array(times_of(kind))))
    expires = 0
    if in_force == TimeInForce.GTD:
        expires = int(bars.closes_at[rng.integers(step, bars.n_steps)]) + int(rng.integers(0, 2)) * MINUTE
    limit, stop = near() if has_limit else np.nan, near() if has_stop else np.nan
    is_fraction = kind is OrderType.TRAILING_STOP and rng.random() < 0.5
    trail = np.nan
    if kind is OrderType.TRAILING_STOP:
        trail = 0.02 if is_fraction else round(price * 0.02, 2)
    return [step, PLACE, symbol, kind, quantity, limit, stop, trail, in_force, int(is_fraction), expires]


def sparse(bars: Bars) -> Bars:
    """Return the same bars with a row only for those that exist."""
    n = len(bars.symbols)
    exists = ~np.isnan(bars.close)
    per_step = exists.reshape(-1, n).sum(axis=1)
    opens_at = np.repeat(bars.closes_at - bars.bar_interval, n)[exists]
    return Bars(
        symbols=bars.symbols,
        **{name: getattr(bars, name)[exists] for name in ("open", "high", "low", "close", "volume")},
        closes_at=bars.closes_at,
        sessions=bars.sessions,
        row_symbol=np.tile(np.arange(n, dtype=np.int32), bars.n_steps)[exists],
        first_row=np.concatenate([[0], np.cumsum(per_step)]).astype(np.int64),
        row_opens_at=opens_at,
    )
