"""Random markets and random scripts of orders, and three strategies that play a script: direct, Python, jitted.

A script is a table of commands; every player sends the same commands at the same closes, so that whatever differs
afterwards is the players' doing and not the kernel's.
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
from aegis.backtesting.desk import Desk
from aegis.backtesting.financing import Financing
from aegis.backtesting.jitted import jitted_strategy, keep, order_quantity, parameter, recall, step_number
from aegis.backtesting.kernel import submission
from aegis.backtesting.kernel.codes import OrderType, TimeInForce
from aegis.backtesting.kernel.order_checks import times_of
from aegis.backtesting.kernel.records import NEVER
from aegis.backtesting.kernel.vocabulary import ORDER_TYPE_WORDS, TIME_IN_FORCE_WORDS
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.strategy import FillNotice, OrderNotice, Strategy

PLACE, BRACKET, CANCEL, REPLACE, PAIR, CHILD = range(6)
WIDTH = 10
"""Columns of a command: step, what, symbol or order, order type, quantity, limit, stop, trail, time in force, more."""

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
    missing &= n > 1  # a bar of a single symbol is left out, not missing
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
            if rng.random() < 0.02:
                events.append(CorporateEvent(kind="delisting", symbol=symbol, ex_date=day))
                break
            if rng.random() < 0.02:
                events.append(CorporateEvent(kind="cash_merger", symbol=symbol, ex_date=day, amount_usd=42.5))
                break
    return events


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
            command, new = _command(rng, step, symbol, float(price), placed)
            commands.extend(command)
            placed += new
    return np.array(commands, dtype=np.float64).reshape(-1, WIDTH)


def _command(
    rng: np.random.Generator, step: int, symbol: int, price: float, placed: int
) -> tuple[list[list[float]], int]:
    """One random command, and how many orders it places."""
    nan = np.nan
    quantity = float(rng.integers(1, 200)) * (1 if rng.random() < 0.6 else -1)
    what = int(rng.choice([PLACE, BRACKET, CANCEL, REPLACE, PAIR, CHILD], p=[0.4, 0.25, 0.1, 0.1, 0.1, 0.05]))
    if what == BRACKET:
        side = np.sign(quantity)
        stop, profit = price * (1 - side * rng.uniform(0.005, 0.05)), price * (1 + side * rng.uniform(0.005, 0.05))
        kind = OrderType.LIMIT if rng.random() < 0.4 else OrderType.MARKET
        limit = round(price * (1 - side * 0.005), 2) if kind is OrderType.LIMIT else nan
        row = [step, BRACKET, symbol, kind, quantity, limit, stop, profit, rng.integers(0, 2), 0]
        return [row], 3
    if what in (CANCEL, REPLACE) and placed:
        order = int(rng.integers(max(0, placed - 12), placed))
        return [[step, what, order, 0, nan, 0, 0, 0, 0, 0]], 0
    if what == PAIR:
        rows = [_order(rng, step, symbol, price, quantity, OrderType.LIMIT) for _ in range(2)]
        return [*rows, [step, PAIR, placed, 0, 0, 0, 0, 0, 0, 0]], 2
    if what == CHILD:
        parent = _order(rng, step, symbol, price, quantity, OrderType.MARKET)
        limit = round(price * 1.02, 2)
        child = [step, CHILD, symbol, OrderType.LIMIT, -quantity, limit, nan, nan, TimeInForce.GTC, placed]
        return [parent, child], 2
    return [_order(rng, step, symbol, price, quantity, OrderType(int(rng.integers(0, 10))))], 1


def _order(
    rng: np.random.Generator, step: int, symbol: int, price: float, quantity: float, kind: OrderType
) -> list[float]:
    near = lambda: round(price * np.exp(rng.normal(0, 0.02)), 2)  # noqa: E731 - a price for each call
    has_limit = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_ON_OPEN, OrderType.LIMIT_ON_CLOSE)
    has_stop = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    in_force = int(rng.choice([code for code in times_of(kind) if code is not TimeInForce.GTD]))
    limit, stop = near() if has_limit else np.nan, near() if has_stop else np.nan
    trail = round(price * 0.02, 2) if kind is OrderType.TRAILING_STOP else np.nan
    return [step, PLACE, symbol, kind, quantity, limit, stop, trail, in_force, 0]


class Player(Strategy):
    """Play a script through the desk."""

    def __init__(self, script: NDArray[np.float64]) -> None:
        self._commands: dict[int, list[NDArray[np.float64]]] = {}
        for row in script:
            self._commands.setdefault(int(row[0]), []).append(row)
        self.step = -1
        self._placed: list[int] = []
        self.heard: list[tuple[str, int, int]] = []

    def on_bar(self, desk: Desk) -> None:
        """Send the commands of this close."""
        self.step += 1
        for row in self._commands.get(self.step, ()):
            _play(desk, row, self._placed)

    def on_fill(self, desk: Desk, fill: FillNotice) -> None:
        """Write down what is heard."""
        self.heard.append(("fill", fill.order, desk.step))

    def on_order(self, desk: Desk, order: OrderNotice) -> None:
        """Write down what is heard."""
        self.heard.append((order.state, order.order, desk.step))


def _play(desk: Desk, row: NDArray[np.float64], placed: list[int]) -> None:
    what, symbol = int(row[1]), int(row[2])
    if what == CANCEL:
        desk.cancel(placed[symbol])
        return
    if what == PAIR:
        desk.one_cancels_other(placed[symbol], 2)
        return
    if what == REPLACE:
        desk.replace(placed[symbol], quantity_shares=_half(desk.order_quantity(placed[symbol])))
        return
    algorithm, word = ORDER_TYPE_WORDS[OrderType(int(row[3]))]
    terms = {
        "order_type": "vwap" if algorithm == "vwap" else word,
        "time_in_force": TIME_IN_FORCE_WORDS[TimeInForce(int(row[8]))],
        "limit_usd": float(row[5]),
    }
    if what == BRACKET:
        entry = desk.bracket(symbol, row[4], stop_loss_usd=row[6], take_profit_usd=row[7], **terms)  # type: ignore[arg-type]
        placed.extend([entry, entry + 1, entry + 2])
    elif what == CHILD:
        placed.append(desk.child(placed[int(row[9])], symbol, row[4], stop_usd=row[6], **terms))  # type: ignore[arg-type]
    else:
        placed.append(desk.order(symbol, row[4], stop_usd=row[6], trail_usd=row[7], **terms))  # type: ignore[arg-type]


def _half(quantity: float) -> float:
    return float(np.sign(quantity) * max(np.floor(abs(quantity) / 2), 1))


@jitted_strategy
def jitted_player(market: int) -> None:
    """Play a script that is in the parameters: the number of commands, then the commands.

    Kept are the number of commands played, the number of orders placed, and the orders.
    """
    n = int(parameter(market, 0))
    k = int(recall(market, 0))
    placed = int(recall(market, 1))
    step = step_number(market)
    while k < n and int(parameter(market, 1 + k * WIDTH)) == step:
        at = 1 + k * WIDTH
        what, symbol = int(parameter(market, at + 1)), int(parameter(market, at + 2))
        kind, quantity = int(parameter(market, at + 3)), parameter(market, at + 4)
        limit, stop = parameter(market, at + 5), parameter(market, at + 6)
        trail, in_force = parameter(market, at + 7), int(parameter(market, at + 8))
        if what == CANCEL:
            submission.cancel_order(market, int(recall(market, 2 + symbol)))
        elif what == PAIR:
            submission.link(market, int(recall(market, 2 + symbol)), 2)
        elif what == REPLACE:
            order = int(recall(market, 2 + symbol))
            whole = order_quantity(market, order)
            half = np.sign(whole) * max(np.floor(abs(whole) / 2), 1.0)
            submission.replace_order(market, order, half, np.nan, np.nan)
        elif what == BRACKET:
            entry = submission.place_bracket(market, symbol, kind, quantity, limit, np.nan, in_force, stop, trail)
            for i in range(3):
                keep(market, 2 + placed + i, float(entry + i))
            placed += 3
        else:
            if what == CHILD:
                parent = int(recall(market, 2 + int(parameter(market, at + 9))))
                order = submission.place_child(market, parent, symbol, kind, quantity, limit, stop, in_force)
            else:
                order = submission.place(market, symbol, kind, quantity, limit, stop, trail, 0, in_force, NEVER)
            keep(market, 2 + placed, float(order))
            placed += 1
        k += 1
    keep(market, 0, float(k))
    keep(market, 1, float(placed))


def jitted(script: NDArray[np.float64]) -> object:
    """Return the jitted player of a script."""
    return jitted_player.using(float(len(script)), *script.reshape(-1).tolist(), memory_size=2 + 3 * len(script))
