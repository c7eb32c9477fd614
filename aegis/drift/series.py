"""The series that are watched for drift, one value a session, cut out of the lake's tables.

Belongs here: what stands for a table in a session. How two stretches of a series are compared is
:mod:`aegis.drift.watch`.

Notes
-----
Every value of a session was known at its close or, for fills, in it: nothing here looks ahead. Names and values that
are missing in a session are left out of it; a session without any is left out of the series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from aegis.lake import tables

Family = Literal["features", "signals", "performance", "slippage", "fill_rate", "data"]
FAMILIES: tuple[Family, ...] = ("features", "signals", "performance", "slippage", "fill_rate", "data")
_BPS = 10_000.0
_RELATIVE = ("_rank", "_z")
"""Features that are relative to the other names of their session: their distribution is the same by construction."""

SeriesFrame = pd.DataFrame
"""Index: sessions ascending; one column for each series; NaN where a session has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTables:
    """Rows of one account and its market, as read at one snapshot; names as in :mod:`aegis.lake.tables`."""

    daily_features: pd.DataFrame
    strategy_signals: pd.DataFrame
    ensemble_signals: pd.DataFrame
    daily_bars: pd.DataFrame
    daily_pnl: pd.DataFrame
    orders: pd.DataFrame
    fills: pd.DataFrame


def drift_series(rows: DriftTables) -> Mapping[Family, SeriesFrame]:
    """Return the series of each family."""
    return {
        "features": feature_series(rows.daily_features),
        "signals": signal_series(rows.strategy_signals, rows.ensemble_signals),
        "performance": performance_series(rows.daily_pnl, rows.fills),
        "slippage": slippage_series(rows.fills),
        "fill_rate": fill_rate_series(rows.orders, rows.fills, traded=rows.daily_pnl["session"]),
        "data": delivery_series(rows.daily_bars),
    }


def feature_series(features: pd.DataFrame) -> SeriesFrame:
    """Return each feature's median over the names of a session, without the features that are ranks or z-scores."""
    names = [
        column.name
        for column in tables.DAILY_FEATURES.columns
        if column.kind == "float" and not column.name.endswith(_RELATIVE)
    ]
    return features.groupby("session", sort=True)[names].median()


def signal_series(strategies: pd.DataFrame, ensemble: pd.DataFrame) -> SeriesFrame:
    """Return the mean confidence of each strategy and the ensemble, and how far apart their opinions are.

    Notes
    -----
    Scores average to about zero by construction; what can move is how strongly they are held and how far they spread.
    """
    opinions = strategies.assign(opinion=strategies["score"] * strategies["confidence"])
    by_strategy = opinions.groupby(["session", "strategy"], sort=True).agg(
        confidence=("confidence", "mean"), spread=("opinion", "std")
    )
    wide = by_strategy.reset_index().pivot_table(index="session", columns="strategy", values=["confidence", "spread"])
    wide.columns = wide.columns.map("{0[1]} {0[0]}".format)
    combined = ensemble.groupby("session", sort=True).agg(
        **{"ensemble confidence": ("confidence", "mean"), "ensemble spread": ("expected_return_daily", "std")}
    )
    return wide.join(combined, how="outer") if len(wide) else combined


def performance_series(pnl: pd.DataFrame, fills: pd.DataFrame) -> SeriesFrame:
    """Return the account's returns, and those less the benchmark's, from its first fill on."""
    first = fills["session"].min() if len(fills) else pd.Timestamp.max
    rows = pnl[pnl["session"] >= first].set_index("session").sort_index()
    active = rows["return_daily"] - rows["benchmark_return_daily"]
    return pd.DataFrame({"return": rows["return_daily"], "active return": active})


def slippage_series(fills: pd.DataFrame) -> SeriesFrame:
    """Return by session what fills cost against their reference and their arrival price, in bps of what was traded."""
    shares = fills["quantity_shares"].abs()
    side = np.sign(fills["quantity_shares"])
    parts = pd.DataFrame(
        {
            "session": fills["session"],
            "cost": fills["slippage_usd"],
            "traded": shares * fills["reference_price_usd"],
            "shortfall": side * (fills["price_usd"] - fills["arrival_price_usd"]) * shares,
            "arrived": shares * fills["arrival_price_usd"],
        }
    )
    sums = parts.groupby("session", sort=True).sum()
    return pd.DataFrame(
        {
            "slippage_bps": _BPS * sums["cost"] / sums["traded"],
            "shortfall_bps": _BPS * sums["shortfall"] / sums["arrived"],
        }
    )


def fill_rate_series(orders: pd.DataFrame, fills: pd.DataFrame, *, traded: pd.Series[pd.Timestamp]) -> SeriesFrame:
    """Return by execution session the share of what approved orders wanted that was filled in it, by value.

    Parameters
    ----------
    orders, fills : DataFrame
        Rows of ``execution/orders`` and ``execution/fills``.
    traded : Series
        Sessions that the account has been through; orders that wait for a later one are not counted yet.

    Notes
    -----
    By value at the arrival price, which a split overnight scales against the shares.
    """
    sent = orders[(orders["gate_outcome"] == "approved") & (orders["execution_session"] <= traded.max())]
    wanted = (sent["quantity_shares"].abs() * sent["arrival_price_usd"]).groupby(sent["execution_session"]).sum()
    done = (fills["quantity_shares"].abs() * fills["arrival_price_usd"]).groupby(fills["session"]).sum()
    rate = (done.reindex(wanted.index).fillna(0.0) / wanted).clip(upper=1.0)
    return pd.DataFrame({"filled share": rate}).rename_axis("session").sort_index()


def delivery_series(bars: pd.DataFrame) -> SeriesFrame:
    """Return the logarithm of a session's dollar volume, and the medians of its bars' ranges and moves.

    Notes
    -----
    How many bars there are follows the listings; the gate's checks hold it against them.
    """
    parts = pd.DataFrame(
        {
            "session": bars["session"],
            "dollars": bars["close_raw_usd"] * bars["volume_shares"],
            "range": np.log(bars["high_raw_usd"] / bars["low_raw_usd"]),
            "move": np.abs(np.log(bars["close_raw_usd"] / bars["open_raw_usd"])),
        }
    )
    found = parts.groupby("session", sort=True).agg(
        dollars=("dollars", "sum"), range=("range", "median"), move=("move", "median")
    )
    traded = found["dollars"].where(found["dollars"] > 0.0)
    return pd.DataFrame(
        {"log dollar volume": np.log(traded), "median range": found["range"], "median move": found["move"]}
    )
