"""The benchmark's total return, session by session."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pandas as pd

from aegis.market_data.adjustments import PREVIOUS_CLOSE_LOOKBACK, total_return_panel


def benchmark_returns(bars: pd.DataFrame, actions: pd.DataFrame, symbol: str, *, first: date) -> dict[date, float]:
    """Return the benchmark's total return for each session from `first` on that has a trusted bar of it.

    Parameters
    ----------
    bars : DataFrame
        ``market_data/daily_bars``, from :data:`~aegis.market_data.adjustments.PREVIOUS_CLOSE_LOOKBACK` before `first`.
    actions : DataFrame
        ``market_data/corporate_actions`` of the same time.
    symbol : str
        Permanent symbol of the benchmark.
    first : date
        First session wanted.

    Notes
    -----
    The return over sessions without a trusted bar accrues at the next one, with the splits and dividends that went ex
    in them. A session is absent when no bar lies in the look-back before it.
    """
    own = bars[bars["symbol"] == symbol].sort_values("session")
    events = actions[actions["symbol"] == symbol]
    traded = [stamp.date() for stamp in own["session"].unique()]
    days = sorted({*traded, *(stamp.date() for stamp in events["session"])})
    # An action that goes ex without a bar is first used by the next bar, with what is known then.
    known_at = own.drop_duplicates("session").set_index("session")["known_at_utc"].reindex(pd.DatetimeIndex(days))
    returns = total_return_panel(
        own,
        events,
        [symbol],
        days,
        as_known_at=pd.DatetimeIndex(known_at.bfill()),
        max_gap_sessions=len(days),
    )[:, 0]
    found = dict(zip(days, returns.tolist(), strict=True))
    return {
        day: found[day]
        for previous, day in pairwise(traded)
        if day >= first and day - previous <= PREVIOUS_CLOSE_LOOKBACK
    }
