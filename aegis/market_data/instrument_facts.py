"""What an instrument is, as known in a session: sector, industry, currency, lot, tick, shortability.

Belongs here: the normal form of such facts and which of them a decision may see. Who may be held because of them is
:mod:`aegis.market_data.universe`; what text may name an instrument is :mod:`aegis.instruments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData
from aegis.instruments import require_symbol
from aegis.lake.tables import INSTRUMENTS

UNCLASSIFIED = "Unclassified"
CURRENCY = "USD"
SHORTABILITY = ("yes", "no", "unknown")

_DEFAULTS = {
    "sector": UNCLASSIFIED,
    "industry": UNCLASSIFIED,
    "currency": CURRENCY,
    "lot_shares": 1.0,
    "tick_usd": 0.0,
    "shortability": "unknown",
}
NO_FACTS = -1
"""Stands for a session in which nothing is known of a symbol."""


def normalise_instruments(facts: pd.DataFrame, calendar: TradingCalendar, *, source: str) -> pd.DataFrame:
    """Bring facts about instruments into the normal form of the lake, or refuse them.

    Parameters
    ----------
    facts : DataFrame
        ``symbol``, ``first_session``; the other columns of :data:`aegis.lake.tables.INSTRUMENTS` are optional.
    calendar : TradingCalendar
        Decision calendar.
    source : str
        Name stored with each row.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.INSTRUMENTS`.

    Raises
    ------
    MalformedData
        A currency other than USD, a lot that is not positive, a negative tick, a shortability that is no word for one,
        a symbol that is none, a first session that the calendar does not reach, or two rows from one session on.

    Notes
    -----
    A fact that is not given has no effect: lots of one share, no tick, 'Unclassified', shortability 'unknown'. A date
    without a session holds from the next one. Known when the source says so, else from the opening of that session.
    """
    if facts.empty:
        return INSTRUMENTS.empty()
    frame = facts.reset_index(drop=True).copy()
    for name, default in _DEFAULTS.items():
        given = frame[name] if name in frame else pd.Series(None, index=frame.index, dtype=object)
        frame[name] = given.where(given.notna() & (given.astype(str).str.strip() != ""), default)
    frame["name"] = frame["name"].where(frame["name"].notna(), frame["symbol"]) if "name" in frame else frame["symbol"]
    for name in ("listing_session", "delisting_session", "known_at_utc"):
        frame[name] = frame.get(name)
    _refuse_invalid(frame)
    frame = frame.astype({"lot_shares": "float64", "tick_usd": "float64"})
    days = pd.to_datetime(frame["first_session"]).dt.date
    sessions = [day if calendar.is_session(day) else calendar.next(day) for day in days]
    frame["first_session"] = sessions
    opens = pd.Series(calendar.opens_utc(sessions), index=frame.index)
    known = pd.to_datetime(frame["known_at_utc"], utc=True)
    frame["known_at_utc"] = known.where(known.notna(), opens)
    repeated = frame.duplicated(["symbol", "first_session"])
    _refuse(frame, repeated, "is described twice from that session on", "keep one of the rows")
    return INSTRUMENTS.conform(frame.assign(source=source)[INSTRUMENTS.column_names])


def instruments_of_listings(listings: pd.DataFrame, calendar: TradingCalendar) -> pd.DataFrame:
    """Return what listings alone say of instruments, for a source that knows no more.

    Parameters
    ----------
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`.
    calendar : TradingCalendar
        Decision calendar.
    """
    parts = [
        normalise_instruments(facts_of_listings(rows), calendar, source=str(source))
        for source, rows in listings.groupby("source", sort=True)
    ]
    return INSTRUMENTS.conform(pd.concat(parts)) if parts else INSTRUMENTS.empty()


def facts_of_listings(listings: pd.DataFrame) -> pd.DataFrame:
    """Return name, sector and dates of each listed symbol: one row from its first session on."""
    ordered = listings.sort_values(["symbol", "first_session"])
    grouped = ordered.groupby("symbol", sort=True)
    last = grouped.tail(1).set_index("symbol")
    first = grouped["first_session"].first()
    return pd.DataFrame(
        {
            "first_session": first,
            "name": last["name"],
            "sector": last["sector"],
            "listing_session": first,
            "delisting_session": last["last_session"],
        }
    ).reset_index()


def rows_as_known(
    instruments: pd.DataFrame, symbols: Sequence[str], sessions: Sequence[date], known_by: pd.DatetimeIndex
) -> npt.NDArray[np.int64]:
    """Return which row of `instruments` describes each symbol in each session.

    Parameters
    ----------
    instruments : DataFrame
        :data:`aegis.lake.tables.INSTRUMENTS`.
    symbols, sessions : sequence
        Columns and rows of the result; sessions ascend.
    known_by : DatetimeIndex, length (sessions,)
        The decision time of each session; NaT sees nothing.

    Returns
    -------
    ndarray of int64, shape (sessions, symbols)
        Positions in `instruments`; :data:`NO_FACTS` where nothing is known.

    Notes
    -----
    Known when: the newest row that holds by the session, of those known at its decision time. A row that became known
    after the session it begins with is seen from its announcement on, and never before.
    """
    found = np.full((len(sessions), len(symbols)), NO_FACTS, dtype=np.int64)
    days = np.array(sessions, dtype="datetime64[ns]")
    columns = pd.Index(symbols).get_indexer(pd.Index(instruments["symbol"]))
    order = np.lexsort((instruments["first_session"].to_numpy(), columns))
    starts = instruments["first_session"].to_numpy(dtype="datetime64[ns]")
    known = instruments["known_at_utc"]
    for row in order.tolist():
        if columns[row] >= 0:
            visible = (days >= starts[row]) & np.asarray(known_by >= known.iloc[row])
            found[visible, columns[row]] = row
    return found


def tick_sizes(instruments: pd.DataFrame, session: date, *, known_by: datetime) -> dict[str, float]:
    """Return the tick of each symbol that has one in a session, USD, as a backtest's settings take them.

    Parameters
    ----------
    instruments : DataFrame
        :data:`aegis.lake.tables.INSTRUMENTS`.
    session : date
        The row that holds in it; a backtest has one tick for a symbol, so its first session looks into no future.
    known_by : datetime
        Aware UTC, such as the opening of that session: rows that became known later are not seen.
    """
    is_held = (instruments["first_session"] <= pd.Timestamp(session)) & (instruments["known_at_utc"] <= known_by)
    newest = instruments[is_held].sort_values("first_session").drop_duplicates("symbol", keep="last")
    with_tick = newest[newest["tick_usd"] > 0].sort_values("symbol")
    return dict(zip(with_tick["symbol"], with_tick["tick_usd"].tolist(), strict=True))


def _refuse_invalid(frame: pd.DataFrame) -> None:
    for symbol in frame["symbol"].unique():
        require_symbol(symbol)
    foreign = frame["currency"].astype(str).str.upper() != CURRENCY
    _refuse(
        frame,
        foreign,
        "is not priced in USD (column currency)",
        "leave it out, or convert its bars to USD: other currencies are not booked until they are built",
    )
    lots, ticks = (pd.to_numeric(frame[name], errors="coerce") for name in ("lot_shares", "tick_usd"))
    _refuse(frame, ~(lots.gt(0) & lots.lt(np.inf)), "has no positive lot (column lot_shares)", "give whole shares")
    _refuse(frame, lots % 1 != 0, "has a lot of part of a share (column lot_shares)", "give whole shares")
    _refuse(frame, ~(ticks.ge(0) & ticks.lt(np.inf)), "has a negative tick (column tick_usd)", "give USD, 0 for none")
    unknown = ~frame["shortability"].isin(SHORTABILITY)
    _refuse(frame, unknown, "has an unknown shortability", f"use one of {', '.join(SHORTABILITY)}")


def _refuse(frame: pd.DataFrame, bad: pd.Series, problem: str, remedy: str) -> None:
    if bad.any():
        row = frame.loc[bad].iloc[0]
        shown = ", ".join(
            f"{name} {row[name]!s:.40}" for name in ("currency", "lot_shares", "tick_usd", "shortability")
        )
        raise MalformedData(f"{row['symbol']} {str(row['first_session'])[:10]}: {problem} ({shown}); {remedy}")
