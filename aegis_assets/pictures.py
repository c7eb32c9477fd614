"""The pictures in asset metadata: which table gets which, shown with the last session of a run.

Belongs here: the choice. Drawing is :mod:`aegis.reporting.asset_plots`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from aegis.lake import tables
from aegis.lake.schema import TableSchema

_FEATURES = ("momentum_12_1", "reversal_5", "volatility_63", "trend_50_200", "liquidity_21")
_SESSIONS_WORTH_DRAWING = 2


def book_pictures(frames: Mapping[TableSchema, pd.DataFrame], earlier: pd.DataFrame) -> dict[str, str]:
    """Return Markdown pictures of the book by table key: equity and drawdown so far, and the newest weights.

    Parameters
    ----------
    frames : mapping of TableSchema to DataFrame
        The book's rows of this run.
    earlier : DataFrame
        ``portfolio/account_values`` of the sessions before.
    """
    from aegis.reporting import asset_plots  # noqa: PLC0415 - loads matplotlib

    values = frames[tables.ACCOUNT_VALUES]
    before = earlier[earlier["session"] < values["session"].min()]
    history = values if before.empty else pd.concat([before, values], ignore_index=True)
    pictures = {
        tables.ACCOUNT_VALUES.key: asset_plots.metadata_picture(
            asset_plots.equity_and_drawdown_chart(history), "equity and drawdown"
        )
    }
    if not frames[tables.TARGET_WEIGHTS].empty:
        pictures[tables.TARGET_WEIGHTS.key] = asset_plots.metadata_picture(
            asset_plots.weights_chart(frames[tables.TARGET_WEIGHTS]), "target weights of the last session"
        )
    return pictures


def backtest_pictures(equity: pd.DataFrame) -> dict[str, str]:
    """Return Markdown pictures of the backtests by table key: equity, and drawdown; none for less than two sessions."""
    from aegis.reporting import asset_plots  # noqa: PLC0415 - loads matplotlib

    if equity["session"].nunique() < _SESSIONS_WORTH_DRAWING:
        return {}
    return {
        table.key: asset_plots.metadata_picture(asset_plots.strategies_chart(equity, column, words), words)
        for table, column, words in (
            (tables.BACKTESTS, "equity_usd", "equity of each strategy's backtest"),
            (tables.BACKTEST_EQUITY, "drawdown", "drawdown of each strategy's backtest"),
        )
    }


def bars_picture(bars: pd.DataFrame) -> str | None:
    """Return a Markdown picture of the number of gated bars by session, None for less than two sessions."""
    from aegis.reporting import asset_plots  # noqa: PLC0415 - loads matplotlib

    if bars["session"].nunique() < _SESSIONS_WORTH_DRAWING:
        return None
    return asset_plots.metadata_picture(asset_plots.bars_by_session_chart(bars), "bars by session")


def features_picture(features: pd.DataFrame) -> str | None:
    """Return a Markdown picture of the features' distributions, None for less than two sessions."""
    from aegis.reporting import asset_plots  # noqa: PLC0415 - loads matplotlib

    if features["session"].nunique() < _SESSIONS_WORTH_DRAWING:
        return None
    chart = asset_plots.histograms_chart(features, _FEATURES, "features of this run")
    return asset_plots.metadata_picture(chart, "histograms of the features")
