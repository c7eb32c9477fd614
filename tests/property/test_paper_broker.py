"""The paper venue fills as a backtest of the same orders over the same minutes does, also when it is started again.

The backtest is driven through a strategy's desk and the paper broker through the Broker protocol: two ways into one
kernel, of which one goes through all sessions at once and the other minute by minute, through a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerShare
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.costs import CostModel
from aegis.backtesting.desk import Desk
from aegis.backtesting.engine import BacktestingEngine
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.backtesting.strategy import Strategy
from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.paper import PaperBroker
from aegis.execution.brokers.paper_log import PaperLog
from aegis.execution.orders import Order, OrderEvent
from tests.minute_tapes import WrittenTape, minute

CALENDAR = trading_calendar("XNYS")
MINUTE = timedelta(minutes=1)
FIRST = date(2024, 3, 7)  # daylight saving begins within the sessions
CASH = 50_000.0
SYMBOLS = ("AAA", "BBB", "CCC")
LIMITS = ("limit", "stop_limit")
STOPS = ("stop", "stop_limit")
TYPES = ("market", "market", "limit", "stop", "stop_limit", "trailing_stop", "market_on_close", "limit_on_close")


@dataclass(frozen=True)
class Command:
    """One request at a close: an order, or the number of the order to cancel or halve."""

    step: int
    what: str
    order: int = 0
    symbol: str = ""
    quantity_shares: float = 0.0
    order_type: str = "market"
    time_in_force: str = "DAY"
    limit_usd: float | None = None
    stop_usd: float | None = None
    trail_usd: float | None = None


@dataclass(frozen=True)
class Market:
    """Minutes of some sessions, corporate actions, and the script of what is asked at their closes."""

    closes_at: tuple[datetime, ...]
    session_of: tuple[date, ...]
    columns: np.ndarray  # (5, steps, symbols); NaN where nothing traded
    actions: dict[date, tuple[CorporateAction, ...]]
    script: tuple[Command, ...]
    rules: TradingRules
    costs: CostModel


def market_of(seed: int) -> Market:
    rng = np.random.default_rng(seed)
    sessions = CALENDAR.sessions(FIRST, FIRST + timedelta(days=9))[: int(rng.integers(2, 5))]
    closes_at, session_of = [], []
    for session in sessions:
        opens = CALENDAR.open_utc(session)
        length = int((CALENDAR.close_utc(session) - opens) / MINUTE)
        within = sorted(rng.choice(np.arange(2, length), size=int(rng.integers(1, 9)), replace=False).tolist())
        closes_at += [opens + MINUTE * k for k in (1, *within, length)]
        session_of += [session] * (len(within) + 2)
    steps, n = len(closes_at), len(SYMBOLS)
    close = np.round(np.exp(np.cumsum(rng.normal(0, 0.02, (steps, n)), axis=0)) * rng.uniform(10, 90, n), 2)
    opened = np.round(np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.01, (steps, n))), 2)
    high = np.round(np.maximum(opened, close) * np.exp(abs(rng.normal(0, 0.01, (steps, n)))), 2)
    low = np.minimum(np.round(np.minimum(opened, close) * 0.99, 2), np.minimum(opened, close))
    volume = rng.choice([50.0, 900.0, 1e5], (steps, n))
    columns = np.stack([opened, high, low, close, volume])
    ends = {
        i for i, day in enumerate(session_of) if session_of[i - 1] != day or i + 1 == steps or session_of[i + 1] != day
    }
    for step in set(range(steps)) - ends:
        columns[:, step, rng.random(n) < 0.3] = np.nan
    margin = bool(rng.random() < 0.4)
    actions = _actions(rng, sessions)
    for step, day in enumerate(session_of):
        ratio = math.prod(a.split_ratio for ex, group in actions.items() if ex <= day for a in group)
        close[step, 0] /= ratio
        columns[:4, step, 0] /= ratio
    return Market(
        closes_at=tuple(closes_at),
        session_of=tuple(session_of),
        columns=columns,
        actions=actions,
        script=_script(rng, close),
        rules=TradingRules(
            account_type="margin" if margin else "cash",
            participation_rate=float(rng.choice([0.1, 0.5])),
            limit_needs_trade_through=bool(rng.random() < 0.5),
            initial_margin=1.0 if margin else 0.5,  # positions that nothing has to be sold of
            maintenance_margin=0.0 if margin else 0.25,
        ),
        costs=CostModel(slippage_bps=5.0, commission=PerShare(0.01, min_usd_per_order=1.0)),
    )


def _actions(rng, sessions) -> dict[date, tuple[CorporateAction, ...]]:
    found: dict[date, tuple[CorporateAction, ...]] = {}
    for session in sessions[1:]:
        if rng.random() < 0.3:
            found[session] = (CorporateAction(action="split", symbol="AAA", split_ratio=float(rng.choice([2.0, 3.0]))),)
        elif rng.random() < 0.3:
            found[session] = (CorporateAction(action="dividend", symbol="BBB", dividend_usd=0.25, pay_session=session),)
    return found


def _script(rng, close) -> tuple[Command, ...]:
    commands: list[Command] = []
    placed = 0
    for step in range(len(close) - 1):
        for _ in range(int(rng.integers(0, 4))):
            number = int(rng.integers(0, len(SYMBOLS)))
            if placed and rng.random() < 0.3:
                what = str(rng.choice(["cancel", "halve"]))
                commands.append(Command(step, what, order=int(rng.integers(max(0, placed - 6), placed))))
                continue
            price = close[step, number]
            kind = str(rng.choice(TYPES))
            near = lambda p=price: round(float(p * np.exp(rng.normal(0, 0.01))), 2)  # noqa: E731 - a price for each call
            in_force = str(rng.choice(["DAY", "GTC"])) if "close" not in kind else "DAY"
            commands.append(
                Command(
                    step,
                    "order",
                    symbol=SYMBOLS[number],
                    quantity_shares=float(rng.integers(1, 300)) * (1 if rng.random() < 0.65 else -1),
                    order_type=kind,
                    time_in_force=in_force,
                    limit_usd=near() if kind in (*LIMITS, "limit_on_close") else None,
                    stop_usd=near() if kind in STOPS else None,
                    trail_usd=round(float(price) * 0.01, 2) if kind == "trailing_stop" else None,
                )
            )
            placed += 1
    return tuple(commands)


class Player(Strategy):
    """Plays the script through the desk."""

    def __init__(self, market: Market) -> None:
        self._script = market.script
        self.placed: list[int] = []

    def on_bar(self, desk: Desk) -> None:
        for command in self._script:
            if command.step != desk.step:
                continue
            if command.what == "order":
                prices = {"limit_usd": command.limit_usd, "stop_usd": command.stop_usd, "trail_usd": command.trail_usd}
                self.placed.append(
                    desk.order(
                        command.symbol,
                        command.quantity_shares,
                        order_type=command.order_type,
                        time_in_force=command.time_in_force,
                        **{name: price for name, price in prices.items() if price is not None},
                    )
                )
            elif command.what == "cancel":
                desk.cancel(self.placed[command.order])
            else:
                order = self.placed[command.order]
                desk.replace(order, quantity_shares=_half(desk.order_quantity(order)))


def _half(quantity: float) -> float:
    return math.copysign(max(abs(quantity) // 2, 1.0), quantity)


def backtest_fills(market: Market):
    opened, high, low, close, volume = market.columns
    nanoseconds = np.array([int(at.timestamp()) * 10**9 for at in market.closes_at])
    bars = Bars.from_arrays(
        opened, high, low, close, volume, closes_at=nanoseconds, symbols=SYMBOLS, bar_interval=60 * 10**9
    )
    events = [_event(action, day) for day, group in market.actions.items() for action in group]
    config = BacktestConfig(initial_cash_usd=CASH, rules=market.rules, costs=market.costs, events=events)
    player = Player(market)
    results = BacktestingEngine(player, bars, config).run()
    numbers = {order: number for number, order in enumerate(player.placed)}
    fills = [
        (numbers[int(fill["order"])], float(fill["quantity"]), float(fill["price"]), float(fill["commission"]))
        for fill in results.fill_records
    ]
    return fills, results


def _event(action: CorporateAction, day: date) -> CorporateEvent:
    if action.action == "split":
        return CorporateEvent(kind="split", symbol=action.symbol, ex_date=day, ratio=action.split_ratio)
    return CorporateEvent(
        kind="dividend", symbol=action.symbol, ex_date=day, amount_usd=action.dividend_usd, pay_date=action.pay_session
    )


class PaperRun:
    """Plays the script through a broker that is started again now and then."""

    def __init__(self, market: Market, path: Path, *, restarts: np.random.Generator) -> None:
        self._market, self._path, self._restarts = market, path, restarts
        tape = WrittenTape(traded=SYMBOLS, booked=market.actions)
        for step, (closes, session) in enumerate(zip(market.closes_at, market.session_of, strict=True)):
            bars = {
                symbol: tuple(market.columns[:, step, n].tolist())
                for n, symbol in enumerate(SYMBOLS)
                if not math.isnan(market.columns[3, step, n])
            }
            tape.written.append(minute(session, closes - MINUTE, closes, bars))
        self._tape = tape
        self.clock = SimulatedClock(CALENDAR.open_utc(market.session_of[0]) - timedelta(hours=1))
        self.events: dict[str, list[OrderEvent]] = {}
        self.orders: list[Order] = []
        self.broker = self._start()

    def _start(self) -> PaperBroker:
        self._heard = 0
        broker = PaperBroker(
            AccountState.opening("paper", cash_usd=CASH),
            log=PaperLog(self._path),
            tape=self._tape,
            calendar=CALENDAR,
            costs=self._market.costs,
            rules=self._market.rules,
            clock=self.clock,
        )
        for order in self.orders:
            broker.adopt(order, self.events[order.client_order_id])
        return broker

    def listen(self) -> None:
        for item in self.broker.events_since(self._heard):
            self._heard = item.sequence
            self.events.setdefault(item.event.client_order_id, []).append(item.event)

    def play(self) -> None:
        for step, at in enumerate(self._market.closes_at):
            self.clock.advance_to(at)
            if self._restarts.random() < 0.2:
                self.broker = self._start()
            for command in self._market.script:
                if command.step == step:
                    self._ask(command, step)
            if self._restarts.random() < 0.8:
                self.listen()
        self.listen()

    def _ask(self, command: Command, step: int) -> None:
        if command.what == "order":
            order = self._order(command, step)
            self.orders.append(order)
            self.events.setdefault(order.client_order_id, [])
            self.broker.submit(order)
        elif command.what == "cancel":
            self.broker.cancel(self.orders[command.order].client_order_id)
        else:
            name = self.orders[command.order].client_order_id
            now = self.broker.find_order(name).order
            changed = {"quantity_shares": _half(now.quantity_shares)}
            revision = 1 + sum(event.revision > 0 for event in self.events[name]) + step * 100
            self.broker.replace(Order(**{**_fields(now), **changed}), revision=revision)

    def _order(self, command: Command, step: int) -> Order:
        session = self._market.session_of[step]
        is_over = self._market.closes_at[step] >= CALENDAR.close_utc(session)
        execution = CALENDAR.next(session) if is_over else session
        number = len(self.orders)
        return Order(
            client_order_id=f"order-{number:05d}",
            decision_id=f"decision-{number}",
            account="paper",
            session=CALENDAR.previous(execution),
            execution_session=execution,
            symbol=command.symbol,
            ticker=command.symbol,
            quantity_shares=command.quantity_shares,
            algorithm="market",
            time_in_force=command.time_in_force,
            arrival_price_usd=float(self._last_close(command.symbol, step)),
            target_weight=0.0,
            is_reducing=False,
            reason="played",
            order_type=command.order_type,
            limit_price_usd=command.limit_usd,
            stop_price_usd=command.stop_usd,
            trail_usd=command.trail_usd,
        )

    def _last_close(self, symbol: str, step: int) -> float:
        closes = self._market.columns[3, : step + 1, SYMBOLS.index(symbol)]
        return closes[~np.isnan(closes)][-1]

    def fills(self) -> list[tuple[int, float, float, float]]:
        found = [
            (event.fill.filled_at_utc, number, event.fill)
            for number, order in enumerate(self.orders)
            for event in self.events[order.client_order_id]
            if event.fill is not None
        ]
        return [(number, f.quantity_shares, f.price_usd, f.commission_usd) for _, number, f in found]


def _fields(order: Order) -> dict:
    return {name: getattr(order, name) for name in Order.__dataclass_fields__}


def _same(seed: int, folder: Path) -> int:
    market = market_of(seed)
    expected, results = backtest_fills(market)
    run = PaperRun(market, folder / f"{seed}.jsonl", restarts=np.random.default_rng(seed + 1_000_000))
    run.play()
    found, wanted = sorted(run.fills()), sorted(expected)
    assert [row[0] for row in found] == [row[0] for row in wanted], seed
    np.testing.assert_allclose([row[1:] for row in found], [row[1:] for row in wanted], atol=1e-9, err_msg=str(seed))
    balance = run.broker.account()
    assert balance.equity_usd == pytest.approx(float(results.equity.iloc[-1]), abs=1e-6), seed
    return len(expected)


def test_paper_fills_are_those_of_a_backtest(tmp_path):
    assert sum(_same(seed, tmp_path) for seed in range(12)) > 60


@pytest.mark.long
def test_paper_fills_are_those_of_a_backtest_in_many_markets(tmp_path):
    assert sum(_same(seed, tmp_path) for seed in range(1_000, 2_000)) > 5_000
