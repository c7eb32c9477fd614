"""What the expectations look at: bars with the facts beside them, and the bars that ought to be there.

Belongs here: joining raw bars with calendar, listings and actions, without any verdict. The columns about earlier
closes come from :mod:`aegis.market_data.price_jumps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config_quality import QualitySettings
from aegis.errors import CalendarError, MalformedData
from aegis.instruments import require_symbol
from aegis.market_data.bar_history import bars_in_history
from aegis.market_data.price_jumps import LOOKBACK_SESSIONS, closes_in_context, one_close_each

LONGEST_SOURCE = 120
"""Characters of a source's name at most."""

Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class JudgedSessions:
    """The sessions under judgement, and those before them that are only looked back at.

    Parameters
    ----------
    days : ndarray of datetime64[D]
        Sessions under judgement, ascending, at least one.
    lookback : ndarray of datetime64[D]
        Up to 30 sessions before them, ascending.
    """

    days: Days
    lookback: Days

    @classmethod
    def between(cls, first: date, last: date, calendar: TradingCalendar) -> JudgedSessions:
        """Return the sessions of `calendar` in ``[first, last]``.

        Raises
        ------
        CalendarError
            There is none.
        """
        sessions = calendar.sessions(first, last)
        if not sessions:
            raise CalendarError(f"{first}..{last} holds no session of {calendar.name}; choose a range that does")
        start = calendar.offset(sessions[0], -LOOKBACK_SESSIONS)
        days = np.array(calendar.sessions(start, last), dtype="datetime64[D]")
        return cls(days=days[LOOKBACK_SESSIONS:], lookback=days[:LOOKBACK_SESSIONS])

    @property
    def with_lookback(self) -> Days:
        """Look-back and judged sessions, ascending."""
        return np.concatenate([self.lookback, self.days])

    def numbers_of(self, dates: Days) -> npt.NDArray[np.int64]:
        """Return the judged session that answers for each date, counted from 0; -1 for the look-back and before.

        Notes
        -----
        A closed day belongs to the next session: whoever decides at that session's close has it in front of them,
        and a run of the session alone sees it as well. Dates after the last session belong to the last one.
        """
        numbers = np.minimum(np.searchsorted(self.days, dates, side="left"), len(self.days) - 1)
        return np.where(dates <= self.lookback[-1], -1, numbers).astype(np.int64)


def bar_evidence(
    raw_bars: pd.DataFrame,
    actions: pd.DataFrame,
    *,
    sessions: JudgedSessions,
    calendar: TradingCalendar,
    settings: QualitySettings,
    confirmed: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return each judged row with what the expectations compare it with.

    Parameters
    ----------
    raw_bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS`, rows of the look-back included.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`.
    sessions : JudgedSessions
        What is judged.
    calendar : TradingCalendar
        Decision calendar.
    settings : QualitySettings
        Bounds.
    confirmed : DataFrame, optional
        :data:`aegis.lake.tables.CONFIRMED_CLOSES`; none by default.

    Returns
    -------
    DataFrame
        The columns of raw bars, ``session_number`` (judged session that answers for the row), ``calendar_session``
        (null unless the row's date is a judged session), ``is_after_range``, ``session_close_utc``, ``unclean_text``
        (the symbol's; null when clean), ``unclean_ticker`` (null when clean, or when the symbol is not),
        ``unclean_source``, ``wick_log_length`` (how far high or low lies outside open and close, null where a price is
        not positive and finite), ``body_log_length`` (open and close apart) and the columns of
        :func:`~aegis.market_data.price_jumps.closes_in_context` and
        :func:`~aegis.market_data.bar_history.bars_in_history`.
    """
    dates = raw_bars["session"].to_numpy(dtype="datetime64[D]")
    days = sessions.with_lookback
    context = closes_in_context(raw_bars, actions, days=days, settings=settings, confirmed=confirmed)
    history = bars_in_history(one_close_each(raw_bars, days=days), context, days=days, settings=settings)
    context = pd.concat([context, history.drop(columns=["session", "symbol"])], axis=1)
    numbers = sessions.numbers_of(dates)
    frame = raw_bars.assign(session_number=numbers)[numbers >= 0].reset_index(drop=True)
    at = frame["session_number"].to_numpy()
    closes = calendar.closes_utc([day.item() for day in sessions.days])
    on_session = frame["session"].to_numpy(dtype="datetime64[D]") == sessions.days[at]
    frame["calendar_session"] = frame["session"].where(on_session)
    frame["is_after_range"] = frame["session"].to_numpy(dtype="datetime64[D]") > sessions.days[-1]
    frame["session_close_utc"] = pd.Series(closes[at], index=frame.index).where(on_session)
    symbols = frame["symbol"].map({text: _unclean(text) for text in pd.unique(frame["symbol"])}).astype(object)
    tickers = frame["ticker"].map({text: _unclean(text) for text in pd.unique(frame["ticker"])}).astype(object)
    frame["unclean_text"] = symbols
    frame["unclean_ticker"] = tickers.where(symbols.isna(), None)
    frame["unclean_source"] = frame["source"].map({t: _unnamed(t) for t in pd.unique(frame["source"])}).astype(object)
    frame["wick_log_length"], frame["body_log_length"] = _wick_log_length(frame), _body_log_length(frame)
    return frame.merge(context, on=["session", "symbol"], how="left", validate="many_to_one")


def expected_bars(raw_bars: pd.DataFrame, listings: pd.DataFrame, *, sessions: JudgedSessions) -> pd.DataFrame:
    """Return one row for each bar that the listings promise.

    Parameters
    ----------
    raw_bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS`.
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`: a symbol is due from ``first_session`` to ``last_session``, both included,
        or without end where that is null.
    sessions : JudgedSessions
        What is judged.

    Returns
    -------
    DataFrame
        ``session``, ``symbol``, ``session_number``, ``delivered_rows`` (null when there is none) and
        ``session_rows`` (rows delivered for the whole session).

    Notes
    -----
    A session in which nothing is listed gets a row without a symbol and without a delivery: nothing vouches for it.
    """
    starts = np.searchsorted(sessions.days, listings["first_session"].to_numpy(dtype="datetime64[D]"), side="left")
    open_end = pd.to_datetime(listings["last_session"]).fillna(pd.Timestamp.max).to_numpy(dtype="datetime64[D]")
    lengths = np.maximum(np.searchsorted(sessions.days, open_end, side="right") - starts, 0)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    promised = pd.DataFrame(
        {
            "session_number": np.repeat(starts, lengths) + offsets,
            "symbol": np.repeat(listings["symbol"].to_numpy(dtype=object), lengths),
        }
    ).drop_duplicates()
    unlisted = np.setdiff1d(np.arange(len(sessions.days)), promised["session_number"].to_numpy())
    bare = pd.DataFrame({"session_number": unlisted, "symbol": pd.Series([None] * len(unlisted), dtype=object)})
    frame = pd.concat([part for part in (promised, bare) if not part.empty], ignore_index=True)
    frame["session"] = sessions.days[frame["session_number"].to_numpy(dtype=np.int64)].astype("datetime64[ns]")
    delivered = raw_bars.groupby(["session", "symbol"], sort=False).size().rename("delivered_rows").reset_index()
    frame = frame.merge(delivered, on=["session", "symbol"], how="left")
    whole = raw_bars.groupby("session", sort=False).size()
    frame["session_rows"] = frame["session"].map(whole).fillna(0).astype("int64")
    return frame.sort_values(["session", "symbol"], kind="stable", ignore_index=True)


def _log_prices(bars: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    prices = {name: bars[f"{name}_raw_usd"].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close")}
    return {name: np.log(np.where((p > 0) & np.isfinite(p), p, np.nan)) for name, p in prices.items()}


def _wick_log_length(bars: pd.DataFrame) -> npt.NDArray[np.float64]:
    logs = _log_prices(bars)
    above = logs["high"] - np.maximum(logs["open"], logs["close"])
    below = np.minimum(logs["open"], logs["close"]) - logs["low"]
    longest: npt.NDArray[np.float64] = np.maximum(above, below)
    return longest


def _body_log_length(bars: pd.DataFrame) -> npt.NDArray[np.float64]:
    logs = _log_prices(bars)
    length: npt.NDArray[np.float64] = np.abs(logs["open"] - logs["close"])
    return length


def _unclean(text: object) -> str | None:
    try:
        require_symbol(text)
    except MalformedData:
        return ascii(text)[:80]
    return None


def _unnamed(source: object) -> str | None:
    is_named = (
        isinstance(source, str) and 0 < len(source) <= LONGEST_SOURCE and source.isascii() and source.isprintable()
    )
    return None if is_named else ascii(source)[:80]
