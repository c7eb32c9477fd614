"""hftbacktest: an engine for order books in Rust, with strategies compiled by numba.

Notes
-----
It has no bars. Each open comes as a new best bid and ask, a sixteenth of a dollar below and above it, because its book
cannot hold a bid equal to the ask; a rebate of a sixteenth for each share in its fee model gives back what that costs.
The strategy's averages are made with numpy from the closes.
"""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

import numpy as np
from hftbacktest import GTC, MARKET, BacktestAsset, HashMapMarketDepthBacktest, Recorder
from hftbacktest.types import BUY_EVENT, DEPTH_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT, event_dtype
from numba import njit

from benchmarks.backtesting import tasks
from benchmarks.backtesting.markets import Bars
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "hftbacktest"
ENVIRONMENT = "hftbacktest"
COMPILES = True
INCLUDES = {
    "*": "preparing: arrays to book events and an engine; run: averages, the compiled strategy over all opens, its "
    "record of balance and position at each"
}
CANNOT = {
    "B": "no account over many symbols: each asset has its own balance",
    "C": "no stop orders and no orders that depend on others: brackets would be the strategy's own code",
    "D": "one run a pair; task A states its speed",
    "D50": "one run a pair; task A states its speed",
    "E": "its strategies are compiled; the engine cannot be driven by a Python function",
}
LARGEST: dict[str, int] = {}
DIFFERS = {
    "A": "its book needs a spread: purchases are a sixteenth dearer, sales cheaper, and a rebate makes up for it"
}

TICK_USD = 0.0625
FEE_PER_SHARE_USD = tasks.COMMISSION_PER_SHARE_USD - TICK_USD
DEEP_SHARES = 1e9
OPEN_BEFORE_CLOSE_NS = 59_000_000_000


def version() -> str:
    """Return the installed version."""
    return installed_version("hftbacktest")


def task_a(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross."""
    bars = task.bars
    with watch.preparing():
        events = _events(bars)  # the engine keeps an address, not the array
        asset = (
            BacktestAsset()
            .data(events)
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_qty_fee_model(FEE_PER_SHARE_USD, FEE_PER_SHARE_USD)
            .tick_size(TICK_USD)
            .lot_size(1.0)
        )
        engine = HashMapMarketDepthBacktest([asset])
        recorder = Recorder(1, len(bars.times) + 1)
    with watch.running():
        fast, slow = (tasks.moving_average(bars.close, window) for window in (tasks.FAST_BARS, tasks.SLOW_BARS))
        sma_cross(engine, bars.times - OPEN_BEFORE_CLOSE_NS, fast > slow, tasks.CROSS_SHARES, recorder.recorder)
        record = recorder.get(0)
    state = engine.state_values(0)
    outcome = Outcome(
        fills=int(state.num_trades),
        traded_shares=float(state.trading_volume),
        traded_usd=float(state.trading_value),
        final_equity_usd=float(
            tasks.CASH_USD + record["balance"][-1] - record["fee"][-1] + record["position"][-1] * bars.close[-1]
        ),
    )
    engine.close()
    del events
    return outcome


@njit(cache=True)  # type: ignore[untyped-decorator]
def sma_cross(engine: Any, opens_at: Any, is_long: Any, shares: float, recorder: Any) -> None:
    """Act at each open on the side that the close before it decided."""
    held = False
    for bar in range(len(opens_at)):
        engine.elapse(opens_at[bar] + 1 - engine.current_timestamp if bar else 1)
        if bar and is_long[bar - 1] != held:
            held = is_long[bar - 1]
            if held:
                engine.submit_buy_order(0, bar, 0.0, shares, GTC, MARKET, True)  # noqa: FBT003
            else:
                engine.submit_sell_order(0, bar, 0.0, shares, GTC, MARKET, True)  # noqa: FBT003
            engine.clear_inactive_orders(0)
        recorder.record(engine)


def _events(bars: Bars) -> Any:
    events = np.zeros(2 * len(bars.times), event_dtype)
    everywhere = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT
    for first, side, distance in ((0, BUY_EVENT, -TICK_USD), (1, SELL_EVENT, TICK_USD)):
        rows = events[first::2]
        rows["ev"] = everywhere | side
        rows["exch_ts"] = rows["local_ts"] = bars.times - OPEN_BEFORE_CLOSE_NS
        rows["px"] = bars.open + distance
        rows["qty"] = DEEP_SHARES
    return events
