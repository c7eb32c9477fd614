"""The benchmark's total return, session by session."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from aegis.market_data.adjustments import total_return_panel


def benchmark_returns(bars: pd.DataFrame, actions: pd.DataFrame, symbol: str, *, first: date) -> dict[date, float]:
    """Return the benchmark's total return for each session from `first` on that has a trusted bar of it.

    Parameters
    ----------
    bars : DataFrame
        ``market_data/daily_bars``, reaching back far enough to hold the bar before `first`.
    actions : DataFrame
        ``market_data/corporate_actions`` of the same sessions.
    symbol : str
        Permanent symbol of the benchmark.
    first : date
        First session wanted.

    Notes
    -----
    The return over a session without a trusted bar accrues at the next one. A session before which there is no bar has
    no return and is absent.
    """
    own = bars[bars["symbol"] == symbol]
    days = [stamp.date() for stamp in sorted(own["session"].unique())]
    if not days:
        return {}
    known_at = pd.DatetimeIndex(own.sort_values("session")["known_at_utc"])
    returns = total_return_panel(own, actions, [symbol], days, as_known_at=known_at)[:, 0]
    return {day: float(r) for day, r in zip(days, returns, strict=True) if day >= first and not np.isnan(r)}
