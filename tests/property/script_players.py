"""Strategies that play a script of orders, in Python and jitted, and strategies that follow an array of targets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.desk import Desk
from aegis.backtesting.jitted import (
    indicator_of,
    jitted_strategy,
    keep,
    n_symbols,
    order_quantity,
    order_target_shares,
    order_target_weight,
    parameter,
    recall,
    step_number,
)
from aegis.backtesting.kernel import submission
from aegis.backtesting.kernel.codes import OrderType, TimeInForce
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.vocabulary import ORDER_TYPE_WORDS, TIME_IN_FORCE_WORDS
from aegis.backtesting.strategy import FillNotice, OrderNotice, Strategy
from tests.property.random_backtests import BRACKET, CANCEL, CHILD, PAIR, PLACE, REPLACE, SIBLING, WIDTH

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


class Failing(Player):
    """Play a script until a step at which it fails."""

    def __init__(self, script: NDArray[np.float64], at: int) -> None:
        super().__init__(script)
        self._at = at

    def on_bar(self, desk: Desk) -> None:
        """Fail, or send the commands of this close."""
        super().on_bar(desk)
        if self.step == self._at:
            raise ValueError("on purpose")


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
        trail = "trail_fraction" if row[9] and what == PLACE else "trail_usd"
        expires = None if row[10] == 0 else EPOCH + timedelta(microseconds=int(row[10]) // 1000)
        terms |= {trail: float(row[7]), "sibling_of": NO_ORDER if what != SIBLING else placed[int(row[9])]}
        placed.append(desk.order(symbol, row[4], stop_usd=row[6], expires_at_utc=expires, **terms))  # type: ignore[arg-type]


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
            relation, expires = int(parameter(market, at + 9)), int(parameter(market, at + 10))
            if expires == 0:
                expires = NEVER
            if what == CHILD:
                parent = int(recall(market, 2 + relation))
                order = submission.place_child(market, parent, symbol, kind, quantity, limit, stop, in_force)
            elif what == SIBLING:
                sibling = int(recall(market, 2 + relation))
                order = submission.place_sibling(
                    market, sibling, symbol, kind, quantity, limit, stop, trail, 0, in_force, expires
                )
            else:
                order = submission.place(
                    market, symbol, kind, quantity, limit, stop, trail, relation, in_force, expires
                )
            keep(market, 2 + placed, float(order))
            placed += 1
        k += 1
    keep(market, 0, float(k))
    keep(market, 1, float(placed))


def jitted(script: NDArray[np.float64]) -> object:
    """Return the jitted player of a script."""
    return jitted_player.using(float(len(script)), *script.reshape(-1).tolist(), memory_size=2 + 3 * len(script))


@jitted_strategy
def _digits(market: int) -> None:
    """Hold as many shares as the indicator says."""
    for s in range(n_symbols(market)):
        wanted = indicator_of(market, 0, s, 0)
        if not np.isnan(wanted):
            order_target_shares(market, s, wanted)


digits_of_closes = _digits.using(indicators=lambda bars: np.floor(bars.close[np.newaxis] * 100.0) % 50.0)
"""A jitted strategy with an indicator."""


class TargetPlayer(Strategy):
    """Order targets as an array strategy does: symbol by symbol, NaN for nothing."""

    def __init__(self, targets: NDArray[np.float64], *, are_weights: bool) -> None:
        self._targets, self._are_weights = targets, are_weights

    def on_bar(self, desk: Desk) -> None:
        """Order the row of this close."""
        ordered = desk.order_target_weight if self._are_weights else desk.order_target_shares
        for symbol, target in enumerate(self._targets[desk.step]):
            if not np.isnan(target):
                ordered(symbol, float(target))


@jitted_strategy
def jitted_targets(market: int) -> None:
    """Order the row of this close; the parameters are whether they are weights, then the rows."""
    n = n_symbols(market)
    for s in range(n):
        target = parameter(market, 1 + step_number(market) * n + s)
        if not np.isnan(target):
            if parameter(market, 0) == 1.0:
                order_target_weight(market, s, target)
            else:
                order_target_shares(market, s, target)
