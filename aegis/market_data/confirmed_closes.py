"""Closes that a person confirmed: which stored bars they hold for, and what is said of them.

Belongs here: matching confirmations with bars, without any verdict. Making one is
:mod:`aegis.market_data.confirmations`; which checks take it is ``settled_by`` in the rule table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.lake.tables import CONFIRMED_CLOSES
from aegis.market_data.check_definition import CheckDefinition

SAME_PRICE = 1e-6
"""Relative difference up to which a price is the confirmed one: the rounding of a vendor's arithmetic, and less than a
cent of any share below 10,000 USD."""

_KEY = ["session", "symbol"]
COLUMNS = ("confirmed_close", "confirmed_bar", "confirmed_close_before")
"""Columns that :func:`with_confirmations` adds."""


def known_by(confirmed: pd.DataFrame, instant: datetime) -> pd.DataFrame:
    """Return the confirmations that had been given by `instant`."""
    known: pd.DataFrame = confirmed[confirmed["known_at_utc"] <= pd.Timestamp(instant)]
    return known


def confirmations_of(bars: pd.DataFrame, confirmed: pd.DataFrame) -> pd.DataFrame:
    """Return for each bar what a person said of it.

    Parameters
    ----------
    bars : DataFrame
        ``session``, ``symbol``, ``open_raw_usd`` and ``close_raw_usd``; any index.
    confirmed : DataFrame
        :data:`aegis.lake.tables.CONFIRMED_CLOSES`.

    Returns
    -------
    DataFrame
        ``confirmed_close`` (words; null where nobody confirmed this close) and ``confirmed_bar`` (the same where the
        open was confirmed with it), row by row with the index of `bars`.

    Notes
    -----
    A confirmation is of a value: it holds for no other close or open of the same symbol and session, so a bar that the
    vendor restates is doubted again. Of several the newest is named.
    """
    words: dict[str, npt.NDArray[np.object_]] = {
        name: np.full(len(bars), None, dtype=object) for name in ("confirmed_close", "confirmed_bar")
    }
    keys = pd.MultiIndex.from_frame(bars[_KEY])
    close, opened = bars["close_raw_usd"].to_numpy(), bars["open_raw_usd"].to_numpy()
    for row in confirmed.sort_values("known_at_utc", kind="stable").to_dict("records"):
        for at in np.flatnonzero(keys.isin([(row["session"], row["symbol"])])):
            if not is_same_price(close[at], row["close_raw_usd"]):
                continue
            words["confirmed_close"][at] = _words(row)
            if is_same_price(opened[at], row["open_raw_usd"]):
                words["confirmed_bar"][at] = _words(row)
    return pd.DataFrame(words, index=bars.index)


def with_confirmations(
    rows: pd.DataFrame,
    bars: pd.DataFrame,
    confirmed: pd.DataFrame,
    *,
    days: npt.NDArray[np.datetime64],
) -> pd.DataFrame:
    """Return the evidence with what a person confirmed of each row.

    Parameters
    ----------
    rows : DataFrame
        Evidence of the judged rows (:func:`~aegis.market_data.bar_evidence.bar_evidence`).
    bars : DataFrame
        The bars of the range and of the look-back before it.
    confirmed : DataFrame
        :data:`aegis.lake.tables.CONFIRMED_CLOSES` that were known.
    days : ndarray of datetime64[D]
        Sessions, look-back included, ascending.

    Returns
    -------
    DataFrame
        Also ``confirmed_close``, ``confirmed_bar`` and ``confirmed_close_before`` (of the symbol's close in the session
        before): words, null where nobody confirmed it.
    """
    if confirmed.empty:
        return rows.assign(**dict.fromkeys(COLUMNS))
    of_bars = pd.concat([bars[_KEY], confirmations_of(bars, confirmed)["confirmed_close"]], axis=1)
    held = of_bars.dropna(subset=["confirmed_close"]).drop_duplicates(_KEY)
    before = {(session, symbol): words for session, symbol, words in held.itertuples(index=False, name=None)}
    at = np.searchsorted(days, rows["session"].to_numpy(dtype="datetime64[D]"))
    earlier = pd.DatetimeIndex(days[np.maximum(at - 1, 0)])
    said = [before.get(key) for key in zip(earlier, rows["symbol"], strict=True)]
    return pd.concat([rows, confirmations_of(rows, confirmed)], axis=1).assign(
        confirmed_close_before=pd.Series(said, index=rows.index, dtype=object)
    )


def settled_rows(
    rows: pd.DataFrame,
    settled: Mapping[str, npt.NDArray[np.bool_]],
    checks: Sequence[CheckDefinition],
    *,
    days: npt.NDArray[np.datetime64],
) -> pd.DataFrame:
    """Return which rows a confirmation took off the offenders, and whose close was confirmed.

    Parameters
    ----------
    rows : DataFrame
        Evidence with confirmations.
    settled : mapping of str to ndarray of bool
        By check, the rows that would offend if nobody had confirmed them.
    checks : sequence of CheckDefinition
    days : ndarray of datetime64[D]
        Sessions, look-back included, ascending.

    Returns
    -------
    DataFrame
        ``check``, ``session``, ``symbol``, ``confirmed_session``.
    """
    found = []
    for check in checks:
        if check.settled_by is None:
            continue
        own = rows.loc[settled[check.name], _KEY]
        at = np.searchsorted(days, own["session"].to_numpy(dtype="datetime64[D]"))
        back = 1 if check.settled_by == "confirmed_close_before" else 0
        confirmed = days[np.maximum(at - back, 0)].astype("datetime64[ns]")
        found.append(own.assign(check=check.name, confirmed_session=confirmed))
    return pd.concat(found, ignore_index=True)


def is_same_price(price: float, confirmed: float) -> bool:
    """Return whether `price` is the confirmed one; never of a price that is missing."""
    return bool(abs(price - confirmed) <= SAME_PRICE * abs(confirmed))


def new_confirmation(
    bar: pd.Series, *, is_open_confirmed: bool, person: str, reason: str, at_utc: datetime
) -> pd.DataFrame:
    """Return one row of :data:`aegis.lake.tables.CONFIRMED_CLOSES` for a stored bar."""
    row = {
        "session": bar["session"],
        "symbol": bar["symbol"],
        "close_raw_usd": bar["close_raw_usd"],
        "open_raw_usd": bar["open_raw_usd"] if is_open_confirmed else np.nan,
        "person": person,
        "reason": reason,
        "known_at_utc": at_utc,
    }
    return CONFIRMED_CLOSES.conform(pd.DataFrame([row]))


def _words(row: dict[Any, Any]) -> str:
    opened = "" if np.isnan(row["open_raw_usd"]) else f" and open {row['open_raw_usd']:.10g}"
    return (
        f"{row['symbol']} {row['session']:%Y-%m-%d}: close {row['close_raw_usd']:.10g}{opened} confirmed by "
        f"{row['person']} at {row['known_at_utc']:%Y-%m-%d %H:%M} UTC: {row['reason'].replace('|', '/')}"
    )
