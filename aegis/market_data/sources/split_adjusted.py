"""Bars that a vendor has adjusted for splits without stating them, put back to as-traded with the user's splits.

Belongs here: reading the user's splits and dividends, and taking the splits out. How stored prices are adjusted on read
is :mod:`aegis.market_data.adjustments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from aegis.errors import ConfigurationError, MalformedData
from aegis.market_data.corporate_actions import shortest_decimal
from aegis.market_data.sources.columns_layout import read_actions_file
from aegis.market_data.sources.delivery import PRICE_COLUMNS

_TICK_USD = 0.01
"""Vendors round the adjusted price to cents, so a price before a split of 4 is known to 2 cents only."""


def stated_splits_and_dividends(file: Path | None, symbols: Sequence[str], *, setting: str) -> pd.DataFrame:
    """Return the user's splits and dividends of `symbols`.

    Parameters
    ----------
    file : Path or None
        CSV or Parquet as :func:`~aegis.market_data.sources.columns_layout.read_actions_file` reads it. A CSV file with
        a heading and no row says that there were none.
    symbols : sequence of str
        Rows of others are passed over, so that one file serves several sources.
    setting : str
        Where the file is configured, for messages.

    Returns
    -------
    DataFrame
        ``session``, ``symbol``, ``action``, ``split_ratio``, ``dividend_usd`` and, where given, the other columns.

    Raises
    ------
    ConfigurationError
        There is no file, or an action is neither a split nor a dividend.
    MalformedData
        The file cannot be read, or a split has no positive ratio.
    """
    if file is None or not file.is_file():
        found = "is not set" if file is None else f"names {file}, which is not a file"
        raise ConfigurationError(
            f"{setting} {found}; the vendor's prices are adjusted for splits that it does not state: give a CSV file "
            "with the columns symbol, ex_date, action, split_ratio, dividend_usd (a heading alone says that there "
            "were none)"
        )
    if _has_no_row(file):
        return pd.DataFrame(
            {
                "session": pd.Series(dtype="datetime64[ns]"),
                "symbol": pd.Series(dtype=object),
                "action": pd.Series(dtype=object),
                "split_ratio": pd.Series(dtype=np.float64),
                "dividend_usd": pd.Series(dtype=np.float64),
            }
        )
    actions = read_actions_file(file, {}, setting=setting)
    actions = actions[actions["symbol"].isin(list(symbols))].reset_index(drop=True)
    other = ~actions["action"].isin(["split", "dividend"])
    if other.any():
        row = actions[other].iloc[0]
        raise ConfigurationError(
            f"{setting}: {row['symbol']} {row['session']:%Y-%m-%d}: {row['action']!r} cannot be used here, expected "
            "'split' or 'dividend'; the vendor knows each instrument under today's ticker only: remove the row, or the "
            "symbol"
        )
    for column, neutral in (("split_ratio", 1.0), ("dividend_usd", 0.0)):
        actions[column] = actions[column].fillna(neutral) if column in actions else neutral
    bad = (actions["action"] == "split") & ~(actions["split_ratio"] > 0)
    if bad.any():
        row = actions[bad].iloc[0]
        raise MalformedData(
            f"{setting}: {row['symbol']} {row['session']:%Y-%m-%d}: split ratio {row['split_ratio']:g}, expected new "
            "shares for one old, more than 0; correct the row"
        )
    return actions


def as_traded(bars: pd.DataFrame, actions: pd.DataFrame, *, today: date) -> tuple[pd.DataFrame, list[str]]:
    """Take the splits out of bars that are adjusted for all of them up to `today`.

    Parameters
    ----------
    bars : DataFrame
        ``session``, ``symbol``, the four prices in USD and ``volume_shares``, adjusted.
    actions : DataFrame
        From :func:`stated_splits_and_dividends`.
    today : date
        The vendor's date: a split with a later ex-date is not in its prices yet.

    Returns
    -------
    bars : DataFrame
        Price x the product of the ratios of splits after the session; volume / the same.
    notes : list of str
        For each symbol how precisely its earlier prices are known.

    Notes
    -----
    The vendor's prices are multiples of a cent, so that a price before a split of 4 comes out within 2 cents of what
    was traded; the shortest decimal within that is taken, and rows after the last split are left as they are.
    """
    splits = actions[(actions["action"] == "split") & (actions["session"] <= pd.Timestamp(today))]
    later = np.ones(len(bars))
    for split in splits.to_dict("records"):
        before = (bars["symbol"] == split["symbol"]) & (bars["session"] < split["session"])
        later[before.to_numpy()] *= split["split_ratio"]
    changed = later != 1.0
    result = bars.copy()
    for column in PRICE_COLUMNS:
        traded = result.loc[changed, column].to_numpy(dtype=np.float64) * later[changed]
        result.loc[changed, column] = shortest_decimal(traded, later[changed] * _TICK_USD / 2)
    shares = result.loc[changed, "volume_shares"].to_numpy(dtype=np.float64) / later[changed]
    result.loc[changed, "volume_shares"] = np.round(shares)
    notes = []
    for symbol in sorted(set(bars.loc[changed, "symbol"])):
        own = (bars["symbol"] == symbol).to_numpy() & changed
        last = bars.loc[own, "session"].max()
        notes.append(
            f"{symbol}: prices up to {last:%Y-%m-%d} were adjusted by the vendor; put back with the stated splits they "
            f"are known within {later[own].max() * _TICK_USD / 2:g} USD"
        )
    return result, notes


def _has_no_row(file: Path) -> bool:
    if file.suffix.lower() != ".csv":
        return False
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        return bool(next(lines, "").strip()) and not any(line.strip() for line in lines)
