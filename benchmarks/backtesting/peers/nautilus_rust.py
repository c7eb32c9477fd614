"""NautilusTrader's new engine, in Rust, with strategies in Python: the candidates of its release 2.0.

Notes
-----
As for :mod:`~benchmarks.backtesting.peers.nautilus_cython`, a bar comes as a quote at its open and as the bar at its
close, and orders arrive a nanosecond late, behind the next quote.
"""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel, PerContractFeeModel, StaticLatencyModel
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    Currency,
    Equity,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    Symbol,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy, StrategyConfig

from benchmarks.backtesting import tasks
from benchmarks.backtesting.markets import Bars
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "NautilusTrader (Rust)"
ENVIRONMENT = "nautilus_rust"
COMPILES = False
INCLUDES = {
    "*": "preparing: arrays to Bar and QuoteTick objects and an engine; run: engine.run() without log, risk checks, "
    "analysis and reports"
}
CANNOT = {
    "D": "one run a pair; task A states its speed",
    "D50": "one run a pair; task A states its speed",
}
DIFFERS = {"C": "a target that a bar opens beyond is filled at its own price, not at the better open"}
LARGEST = {"A": 50_000, "B": 260, "C": 20_000, "E": 50_000}

VENUE = Venue("SIM")
USD = Currency.from_str("USD")
PRECISION = 8
"""Decimals of a price: 5 bps of an eighth need eight."""


def version() -> str:
    """Return the installed version."""
    return installed_version("nautilus_trader")


def task_a(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross with the engine's own indicators."""
    return _run(task, watch, SmaCross(), cash_usd=tasks.CASH_USD)


def task_b(task: Task, watch: Stopwatch) -> Outcome:
    """Monthly rebalances, with the slippage as a spread around the open."""
    strategy = Rebalance()
    strategy.weights = task.weights
    return _run(task, watch, strategy, cash_usd=tasks.PORTFOLIO_CASH_USD)


def task_c(task: Task, watch: Stopwatch) -> Outcome:
    """Bracket orders from the order factory."""
    return _run(task, watch, Brackets(), cash_usd=tasks.BRACKET_CASH_USD)


def task_e(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross on averages made with numpy beforehand."""
    return _run(task, watch, PrecomputedCross(), cash_usd=tasks.CASH_USD)


class _Traded(Strategy):  # type: ignore[misc]
    """What the strategies share: their instruments and bars, and how an order is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.bar_index = 0

    def __new__(cls) -> _Traded:
        return super().__new__(cls, StrategyConfig(log_events=False, log_commands=False))  # type: ignore[no-any-return]

    def on_start(self) -> None:
        """Subscribe to the bars of all instruments."""
        for instrument in self.instruments:
            self.subscribe_bars(bar_type(instrument.id))

    def send(self, shares: float, symbol: int = 0) -> None:
        """Submit a market order."""
        side = OrderSide.BUY if shares > 0 else OrderSide.SELL
        self.submit_order(self.order_factory.market(self.instruments[symbol].id, side, Quantity(abs(shares), 0)))


class SmaCross(_Traded):
    """Long while the fast average is above the slow one."""

    def on_start(self) -> None:
        """Subscribe, and prepare what is needed."""
        super().on_start()
        bars = bar_type(self.instruments[0].id)
        self.fast, self.slow = SimpleMovingAverage(tasks.FAST_BARS), SimpleMovingAverage(tasks.SLOW_BARS)
        self.register_indicator_for_bars(bars, self.fast)
        self.register_indicator_for_bars(bars, self.slow)
        self.is_long = False

    def on_bar(self, _bar: Bar) -> None:
        """Decide at a bar."""
        is_long = self.slow.initialized and self.fast.value > self.slow.value
        if is_long != self.is_long:
            self.is_long = is_long
            self.send(tasks.CROSS_SHARES if is_long else -tasks.CROSS_SHARES)


class PrecomputedCross(_Traded):
    """The same on a signal made beforehand."""

    def on_start(self) -> None:
        """Subscribe, and prepare what is needed."""
        super().on_start()
        close = self.task.bars.close
        fast, slow = (tasks.moving_average(close, window) for window in (tasks.FAST_BARS, tasks.SLOW_BARS))
        self.fast, self.slow = fast.tolist(), slow.tolist()
        self.is_long = False

    def on_bar(self, _bar: Bar) -> None:
        """Decide at a bar."""
        index = self.bar_index
        self.bar_index += 1
        is_long = self.fast[index] > self.slow[index]
        if is_long != self.is_long:
            self.is_long = is_long
            self.send(tasks.CROSS_SHARES if is_long else -tasks.CROSS_SHARES)


class Rebalance(_Traded):
    """Sizes every trade at a rebalance's close and sends them when the last symbol's next open is known."""

    def on_start(self) -> None:
        """Subscribe, and prepare what is needed."""
        super().on_start()
        self.subscribe_quotes(self.instruments[-1].id)
        self.rows = dict(zip(tasks.rebalance_rows(self.task.bars).tolist(), self.weights, strict=True))
        self.cash = tasks.PORTFOLIO_CASH_USD
        self.shares = np.zeros(len(self.instruments))
        self.trades = np.zeros(len(self.instruments))

    def on_order_filled(self, event: Any) -> None:
        """Keep cash and positions."""
        symbol = int(event.instrument_id.symbol.value[1:])
        shares = float(event.last_qty) * (1.0 if event.order_side == OrderSide.BUY else -1.0)
        self.shares[symbol] += shares
        self.cash -= shares * float(event.last_px) + float(event.commission)

    def on_bar(self, _bar: Bar) -> None:
        """Decide at a bar."""
        self.bar_index += 1
        session, symbol = divmod(self.bar_index, len(self.instruments))
        if symbol or session - 1 not in self.rows:
            return
        closes = self.task.bars.close[session - 1]
        equity = self.cash + float(self.shares @ closes)
        self.trades = np.trunc(self.rows[session - 1] * equity / closes - self.shares)

    def on_quote(self, _quote: QuoteTick) -> None:
        """Send what the close before decided."""
        trades, self.trades = self.trades, np.zeros(len(self.instruments))
        for symbol in np.flatnonzero(trades).tolist():
            self.send(trades[symbol], symbol)


class Brackets(_Traded):
    """A bracket at every tenth close."""

    def on_bar(self, bar: Bar) -> None:
        """Decide at a bar."""
        index = self.bar_index
        self.bar_index += 1
        if index % tasks.BRACKET_EVERY_BARS != tasks.BRACKET_AT_BAR or index == len(self.task.bars.times) - 1:
            return  # what is on its way at the end would be filled at the last price
        close = float(bar.close)
        orders = self.order_factory.bracket(
            instrument_id=self.instruments[0].id,
            order_side=OrderSide.BUY,
            quantity=Quantity(tasks.BRACKET_SHARES, 0),
            sl_trigger_price=Price(close - tasks.BRACKET_WIDTH_USD, PRECISION),
            tp_price=Price(close + tasks.BRACKET_WIDTH_USD, PRECISION),
            tp_post_only=False,
        )
        self.submit_order_list(orders)


def bar_type(instrument_id: InstrumentId) -> BarType:
    """Return the type of the bars of an instrument."""
    return BarType.from_str(f"{instrument_id}-1-MINUTE-LAST-EXTERNAL")


def _run(task: Task, watch: Stopwatch, strategy: Any, *, cash_usd: float) -> Outcome:
    with watch.preparing():
        is_portfolio = task.name == "B"
        rate = Decimal(str(tasks.COMMISSION_RATE))
        engine = BacktestEngine(
            BacktestEngineConfig(
                bypass_logging=True,
                run_analysis=False,
                logging=LoggerConfig(bypass_logging=True),
                risk_engine=RiskEngineConfig(bypass=True),
            )
        )
        engine.add_venue(
            venue=VENUE,
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=USD,
            starting_balances=[Money(cash_usd, USD)],
            default_leverage=Decimal(10),
            latency_model=None if is_portfolio else StaticLatencyModel(base_latency_nanos=1),
            fee_model=MakerTakerFeeModel(rate, rate) if is_portfolio else PerContractFeeModel(Money(0.01, USD)),
            bar_execution=task.name == "C",
        )
        symbols = 1 if task.bars.close.ndim == 1 else task.bars.close.shape[1]
        instruments = [_instrument(symbol) for symbol in range(symbols)]
        for instrument in instruments:
            engine.add_instrument(instrument)
        engine.add_data(_data(task.bars, instruments, spread=tasks.SLIPPAGE if is_portfolio else 0.0))
        strategy.task, strategy.instruments = task, instruments
        engine.add_strategy(strategy)
    with watch.running():
        engine.run()
    outcome = _outcome(engine, task)
    engine.dispose()
    return outcome


def _instrument(symbol: int) -> Equity:
    name = f"S{symbol}"
    return Equity(
        instrument_id=InstrumentId(Symbol(name), VENUE),
        raw_symbol=Symbol(name),
        currency=USD,
        price_precision=PRECISION,
        price_increment=Price(10.0**-PRECISION, PRECISION),
        lot_size=Quantity(1, 0),
        ts_event=0,
        ts_init=0,
    )


def _data(bars: Bars, instruments: list[Equity], *, spread: float) -> list[Any]:
    types = [bar_type(instrument.id) for instrument in instruments]
    size = Quantity(1_000_000, 0)
    columns = [
        np.reshape(column, (len(bars.times), -1)).tolist() for column in (bars.open, bars.high, bars.low, bars.close)
    ]
    data: list[Any] = []
    for time, opens, highs, lows, closes in zip(bars.times.tolist(), *columns, strict=True):
        began = time - 59_000_000_000
        for instrument, price in zip(instruments, opens, strict=True):
            bid, ask = Price(price * (1.0 - spread), PRECISION), Price(price * (1.0 + spread), PRECISION)
            data.append(QuoteTick(instrument.id, bid, ask, size, size, began, began))
        for symbol, kind in enumerate(types):
            prices = (Price(column[symbol], PRECISION) for column in (opens, highs, lows, closes))
            data.append(Bar(kind, *prices, size, time, time))
    return data


def _outcome(engine: Any, task: Task) -> Outcome:
    orders = [order for order in engine.cache.orders() if float(order.filled_qty) > 0.0]
    shares = [float(order.filled_qty) for order in orders]
    account = engine.cache.account_for_venue(VENUE)
    last_closes = np.atleast_1d(task.bars.close[-1])
    unrealised = 0.0
    for position in engine.cache.positions_open():
        last = last_closes[int(position.instrument_id.symbol.value[1:])]
        unrealised += float(position.unrealized_pnl(Price(last, PRECISION)))
    return Outcome(
        fills=sum(len(order.trade_ids) for order in orders),
        traded_shares=float(sum(shares)),
        traded_usd=float(sum(size * float(order.avg_px) for size, order in zip(shares, orders, strict=True))),
        final_equity_usd=float(account.balance_total(USD)) + unrealised,
    )
