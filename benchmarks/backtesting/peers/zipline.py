"""zipline-reloaded: a Python function for each bar, on its own calendar.

Notes
-----
Its orders fill in the bar after the decision, at whatever price its slippage model says; here the bar's open. The
task's bars are laid on the first minutes or sessions of its New York calendar and are read from memory instead of from
a bundle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import zipline
from sqlalchemy import create_engine
from zipline.algorithm import TradingAlgorithm
from zipline.assets import AssetDBWriter, AssetFinder
from zipline.data.bar_reader import NoDataOnDate
from zipline.data.data_portal import DataPortal
from zipline.data.session_bars import SessionBarReader
from zipline.finance.commission import EquityCommissionModel, PerDollar, PerShare
from zipline.finance.slippage import SlippageModel
from zipline.finance.trading import SimulationParameters
from zipline.utils.calendar_utils import get_calendar

from benchmarks.backtesting import tasks
from benchmarks.backtesting.markets import Bars
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "zipline-reloaded"
ENVIRONMENT = "zipline"
COMPILES = False
INCLUDES = {
    "*": "preparing: an asset database and a data portal over the arrays in memory; run: TradingAlgorithm.run() with "
    "orders, transactions and its daily performance",
}
CANNOT = {
    "C": "stops and limits are checked against closes only, and no order cancels another",
    "D": "one run a pair; task A states its speed",
    "D50": "one run a pair; task A states its speed",
}
LARGEST = {"A": 50_000, "B": 260, "E": 50_000}

CALENDAR = get_calendar("XNYS")
FIRST_SESSION = pd.Timestamp("2010-01-04")


def version() -> str:
    """Return the installed version."""
    return str(zipline.__version__)


class _Columns:
    """Bars in memory under the labels of zipline's calendar; both frequencies read the same way."""

    def __init__(self, bars: Bars, labels: pd.DatetimeIndex) -> None:
        names = ("open", "high", "low", "close", "volume")
        self.columns = {name: np.reshape(getattr(bars, name), (len(labels), -1)) for name in names}
        self.labels = labels
        self.rows = {label: row for row, label in enumerate(labels.asi8.tolist())}

    trading_calendar = CALENDAR
    first_trading_day = FIRST_SESSION

    @property
    def last_available_dt(self) -> pd.Timestamp:
        """The last label."""
        return self.labels[-1]

    def get_value(self, sid: int, dt: pd.Timestamp, field: str) -> float:
        """Return one cell; past the last bar there is no volume and no price."""
        row = self.rows.get(dt.value)
        if row is None:
            if field == "volume":
                return 0
            return np.nan
        return self.columns[field][row, sid]  # type: ignore[no-any-return]

    def get_last_traded_dt(self, _asset: Any, dt: pd.Timestamp) -> pd.Timestamp:
        """Return the last label up to `dt`."""
        return min(dt, self.labels[-1])

    def load_raw_arrays(self, columns: list[str], start: Any, end: Any, sids: Any) -> list[Any]:
        """Return blocks of shape (labels, sids)."""
        if start not in self.labels:
            raise NoDataOnDate(start)
        rows = self.labels.slice_indexer(start, end)
        return [self.columns[name][rows][:, list(sids)] for name in columns]


class _Minutes(_Columns):
    data_frequency = "minute"


class _Sessions(_Columns, SessionBarReader):  # type: ignore[misc]
    data_frequency = "session"
    trading_calendar = CALENDAR
    first_trading_day = FIRST_SESSION
    last_available_dt = _Columns.last_available_dt

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """The labels."""
        return self.labels


class AtOpen(SlippageModel):  # type: ignore[misc]
    """Fill everything at the open of the bar, worse by a fraction."""

    def __init__(self, fraction: float = 0.0) -> None:
        super().__init__()
        self.fraction = fraction

    def process_order(self, data: Any, order: Any) -> tuple[float, int]:
        """Return price and signed shares."""
        return data.current(order.asset, "open") * (1.0 + self.fraction * order.direction), order.amount


def task_a(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross, the averages kept as running sums: its history window is far slower."""

    def initialize(context: Any) -> None:
        context.closes = deque([0.0] * tasks.SLOW_BARS, tasks.SLOW_BARS)
        context.fast_sum = context.slow_sum = 0.0
        context.bar = 0
        context.is_long = False
        context.asset = context.asset_finder.retrieve_asset(0)

    def handle_data(context: Any, data: Any) -> None:
        close, closes = data.current(context.asset, "close"), context.closes
        context.fast_sum += close - closes[-tasks.FAST_BARS]
        context.slow_sum += close - closes[0]
        closes.append(close)
        context.bar += 1
        is_long = (
            context.bar >= tasks.SLOW_BARS and context.fast_sum / tasks.FAST_BARS > context.slow_sum / tasks.SLOW_BARS
        )
        if is_long != context.is_long:
            context.is_long = is_long
            context.order(context.asset, int(tasks.CROSS_SHARES if is_long else -tasks.CROSS_SHARES))

    return _run(task, watch, initialize, handle_data, cash_usd=tasks.CASH_USD)


def task_e(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross on averages made with numpy beforehand."""

    def initialize(context: Any) -> None:
        close = task.bars.close
        fast, slow = (tasks.moving_average(close, window) for window in (tasks.FAST_BARS, tasks.SLOW_BARS))
        context.sides = iter((fast > slow).tolist())
        context.is_long = False
        context.asset = context.asset_finder.retrieve_asset(0)

    def handle_data(context: Any, _data: Any) -> None:
        is_long = next(context.sides, context.is_long)
        if is_long != context.is_long:
            context.is_long = is_long
            context.order(context.asset, int(tasks.CROSS_SHARES if is_long else -tasks.CROSS_SHARES))

    return _run(task, watch, initialize, handle_data, cash_usd=tasks.CASH_USD)


def task_b(task: Task, watch: Stopwatch) -> Outcome:
    """Monthly rebalances."""
    weights = task.weights

    def initialize(context: Any) -> None:
        context.rows = dict(zip(tasks.rebalance_rows(task.bars).tolist(), weights, strict=True))
        context.assets = context.asset_finder.retrieve_all(range(task.bars.close.shape[1]))
        context.bar = -1

    def handle_data(context: Any, data: Any) -> None:
        context.bar += 1
        if context.bar not in context.rows:
            return
        closes = data.current(context.assets, "close").to_numpy()
        positions = context.portfolio.positions
        held = np.array([positions[asset].amount if asset in positions else 0 for asset in context.assets])
        trades = np.trunc(context.rows[context.bar] * context.portfolio.portfolio_value / closes - held)
        for symbol in np.flatnonzero(trades).tolist():
            context.order(context.assets[symbol], int(trades[symbol]))

    return _run(task, watch, initialize, handle_data, cash_usd=tasks.PORTFOLIO_CASH_USD)


def _run(
    task: Task, watch: Stopwatch, initialize: Callable[..., None], handle_data: Callable[..., None], *, cash_usd: float
) -> Outcome:
    is_portfolio = task.name == "B"
    commission: EquityCommissionModel = (
        PerDollar(tasks.COMMISSION_RATE)
        if is_portfolio
        else PerShare(tasks.COMMISSION_PER_SHARE_USD, min_trade_cost=0.0)
    )

    def begin(context: Any) -> None:
        context.set_slippage(us_equities=AtOpen(tasks.SLIPPAGE if is_portfolio else 0.0))
        context.set_commission(us_equities=commission)
        initialize(context)

    with watch.preparing():
        portal, last_session = _portal(task)
        sessions = CALENDAR.sessions_in_range(FIRST_SESSION, last_session)
        algorithm = TradingAlgorithm(
            sim_params=SimulationParameters(
                start_session=FIRST_SESSION,
                end_session=last_session,
                trading_calendar=CALENDAR,
                capital_base=cash_usd,
                data_frequency="daily" if is_portfolio else "minute",
            ),
            data_portal=portal,
            trading_calendar=CALENDAR,
            initialize=begin,
            handle_data=handle_data,
            benchmark_returns=pd.Series(0.0, index=sessions),
        )
    with watch.running():
        performance = algorithm.run()
    fills = [fill for day in performance["transactions"] for fill in day]
    return Outcome(
        fills=len(fills),
        traded_shares=float(sum(abs(fill["amount"]) for fill in fills)),
        traded_usd=float(sum(abs(fill["amount"]) * fill["price"] for fill in fills)),
        final_equity_usd=float(performance["portfolio_value"].iloc[-1]),
    )


def _portal(task: Task) -> tuple[DataPortal, pd.Timestamp]:
    bars = task.bars
    count = len(bars.times)
    if task.name == "B":
        reader: _Columns = _Sessions(bars, _from(CALENDAR.sessions, FIRST_SESSION, count))
        last_session = reader.labels[-1]
        readers = {"equity_daily_reader": reader}
    else:
        reader = _Minutes(bars, _from(CALENDAR.minutes, FIRST_SESSION.tz_localize("UTC"), count))
        last_session = CALENDAR.minute_to_session(reader.labels[-1])
        readers = {"equity_minute_reader": reader}
    return DataPortal(_assets(reader), CALENDAR, FIRST_SESSION, **readers), last_session


def _from(labels: pd.DatetimeIndex, first: pd.Timestamp, count: int) -> pd.DatetimeIndex:
    begin = labels.searchsorted(first)
    return labels[begin : begin + count]


def _assets(reader: _Columns) -> AssetFinder:
    symbols = reader.columns["close"].shape[1]
    equities = pd.DataFrame(
        {
            "symbol": [f"S{symbol}" for symbol in range(symbols)],
            "start_date": FIRST_SESSION,
            "end_date": CALENDAR.sessions[-1],
            "exchange": "NYSE",
        },
        index=range(symbols),
    )
    exchanges = pd.DataFrame({"exchange": ["NYSE"], "country_code": ["US"]})
    database = create_engine("sqlite://")
    AssetDBWriter(database).write(equities=equities, exchanges=exchanges)
    return AssetFinder(database)
