"""Splits, cash dividends, renames, mergers and delistings: one normal form, and how to read them out of vendor factors.

Belongs here: what a valid action is, and the unpicking of cumulative factors into dated actions. How actions scale
prices and returns is :mod:`aegis.market_data.adjustments`.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.errors import CalendarError, MalformedData
from aegis.instruments import require_symbol
from aegis.lake.tables import CORPORATE_ACTIONS

ACTIONS = ("split", "dividend", "rename", "merger", "delisting")

FACTOR_RESOLUTION = 2e-7
"""Relative error of the ratio of two vendor factors, which are published with seven decimals."""

LARGEST_SPLIT_RATIO = 1000.0
"""Shares for one share, or one share for shares, beyond which a ratio is a slip of the pen. The largest forward splits
of listed shares are 50:1 (Berkshire Hathaway's B shares 2010, Chipotle 2024); Nasdaq rule 5810(c)(3)(A)(iv) delists
after reverse splits of 1:250 or more within two years."""

_MERGER_AMOUNTS = ("merger_cash_usd", "merger_ratio")
_SPLIT_TOLERANCE = 1e-5
_MAX_SPLIT_DENOMINATOR = 20
_CLOSE_MAX_AGE = pd.Timedelta(days=10)


def normalise_actions(actions: pd.DataFrame, calendar: TradingCalendar, *, source: str) -> pd.DataFrame:
    """Bring actions into the normal form of the lake, or refuse them.

    Parameters
    ----------
    actions : DataFrame
        Columns ``session`` (the ex-date), ``symbol``, ``action``; optional ``split_ratio`` (new shares for one old),
        ``dividend_usd`` (USD per share held before the ex-date), ``pay_session``, ``new_ticker``, ``known_at_utc``.
    calendar : TradingCalendar
        Decision calendar.
    source : str
        Name stored with each row.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`.

    Raises
    ------
    MalformedData
        An unknown action, a split ratio outside 1/1000 to 1000, a dividend that is not positive, a rename without a
        ticker, a merger that pays nothing or shares of nobody, a pay date before the ex-date, or a row given twice.

    Notes
    -----
    An ex-date or pay date that is no session takes effect at the next one. An unknown ``known_at_utc`` becomes the
    opening of the ex-session. Several different dividends with one ex-date (a regular and a special one) become their
    sum, known and paid when the last of them is; two equal ones are refused, as one of them is a copy. A merger says
    what holders get; that the symbol trades no more is a delisting of the same session beside it. Record dates stay as
    given.
    """
    if actions.empty:
        return CORPORATE_ACTIONS.empty()
    frame = _with_defaults(actions)
    _refuse_invalid(frame)
    frame["session"] = _roll_forward(frame, "session", calendar)
    frame["pay_session"] = _roll_forward(frame, "pay_session", calendar)
    late = frame["pay_session"] < frame["session"]
    _refuse(frame, late, "is paid before its ex-date", "correct the pay date or leave it empty")
    opens = calendar.opens_utc([stamp.date() for stamp in frame["session"]])
    known = pd.to_datetime(frame["known_at_utc"], utc=True)
    frame["known_at_utc"] = known.where(known.notna(), pd.Series(opens, index=frame.index))
    frame["source"] = source
    return CORPORATE_ACTIONS.conform(_merge_dividends(frame))


def unpick_factors(factors: pd.DataFrame, closes: pd.DataFrame, calendar: TradingCalendar) -> pd.DataFrame:
    """Read dated splits and dividends out of a vendor's cumulative factors.

    Parameters
    ----------
    factors : DataFrame
        Columns ``symbol``, ``date``, ``price_factor``, ``split_factor`` and optionally ``reference_price`` (raw close
        on that date, USD). A row holds for prices up to and including its date, so what separates it from the next
        row happened in the following session.
    closes : DataFrame
        Columns ``session``, ``symbol``, ``close_raw_usd``: raw closes as traded.
    calendar : TradingCalendar
        Decision calendar.

    Returns
    -------
    DataFrame
        Columns ``session`` (ex-session), ``symbol``, ``action``, ``split_ratio``, ``dividend_usd`` and
        ``reference_price_gap`` (reference price / raw close - 1; NaN where either is unknown).

    Raises
    ------
    MalformedData
        A factor is not positive, a price factor falls from one row to the next (a negative dividend), or a dividend
        between two bars has neither a close nor a reference price.

    Notes
    -----
    Cumulative factors encode the future: every later event scales all earlier rows. Only the ratio of two adjacent rows
    is used, in which later events cancel: split ratio = later / earlier split factor, dividend = close on the
    row's date x (1 - earlier / later price factor). The close is the last raw close at most ten days old, else the
    reference price. Events before an instrument's first bar concern nobody and are left out.

    A split ratio within 1e-5 of p/q or q/p, q <= 20, becomes that fraction; others keep seven decimals (a stock
    dividend of 0.27 % stays 1.0027003). A dividend becomes the shortest decimal of two to six places within the
    factors' resolution, 2e-7 of the close.

    References
    ----------
    QuantConnect Lean, ``CorporateFactorRow``: price factor = later price factor x (1 - dividend / previous close).
    """
    ordered = factors.sort_values(["symbol", "date"], kind="stable", ignore_index=True)
    valid = (ordered["price_factor"] > 0) & (ordered["split_factor"] > 0)
    if not valid.all():
        row = ordered.loc[~valid].iloc[0]
        raise MalformedData(
            f"{row['symbol']} {row['date']:%Y-%m-%d}: factors must be positive, found price {row['price_factor']} and "
            f"split {row['split_factor']}; correct the factor file"
        )
    later = ordered.groupby("symbol", sort=False)[["price_factor", "split_factor"]].shift(-1)
    cash_share = 1.0 - ordered["price_factor"] / later["price_factor"]
    ratio = later["split_factor"] / ordered["split_factor"]
    rising = cash_share < -FACTOR_RESOLUTION
    if rising.any():
        row = ordered.loc[rising].iloc[0]
        raise MalformedData(
            f"{row['symbol']} {row['date']:%Y-%m-%d}: price factor {row['price_factor']} is above the next row's, a "
            "negative dividend; correct the factor file"
        )
    is_split = (ratio - 1.0).abs() > _SPLIT_TOLERANCE
    is_dividend = cash_share > FACTOR_RESOLUTION
    events = ordered.assign(ratio=ratio, cash_share=cash_share, is_split=is_split, is_dividend=is_dividend)
    events = events[(is_split | is_dividend) & later["price_factor"].notna()]
    return _dated(_with_closes(events, closes), calendar)


def shortest_decimal(values: npt.ArrayLike, tolerance: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return for each value the shortest decimal of two to six places within `tolerance`, else six places.

    Parameters
    ----------
    values : array_like of float64
    tolerance : array_like of float64
        Absolute, in the values' unit; broadcast against `values`.

    Returns
    -------
    ndarray of float64
        NaN stays NaN.
    """
    given = np.asarray(values, dtype=np.float64)
    allowed = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), given.shape)
    result = np.round(given, 6)
    for places in (5, 4, 3, 2):
        shorter = np.round(given, places)
        result = np.where(np.abs(shorter - given) <= allowed, shorter, result)
    return result


def split_ratio_from(ratio: float) -> float:
    """Return the small fraction that a ratio of vendor factors stands for, or the ratio with seven decimals.

    Parameters
    ----------
    ratio : float
        Later split factor / earlier split factor, shares per share; positive.
    """
    candidates = (
        float(Fraction(ratio).limit_denominator(_MAX_SPLIT_DENOMINATOR)),
        1.0 / max(float(Fraction(1.0 / ratio).limit_denominator(_MAX_SPLIT_DENOMINATOR)), 1e-12),
    )
    for candidate in candidates:
        if abs(candidate / ratio - 1.0) <= _SPLIT_TOLERANCE:
            return candidate
    return round(ratio, 7)


def _with_defaults(actions: pd.DataFrame) -> pd.DataFrame:
    frame = actions.reset_index(drop=True).copy()
    for name, default in (("split_ratio", 1.0), ("dividend_usd", 0.0)):
        values = frame[name] if name in frame else pd.Series(default, index=frame.index)
        frame[name] = pd.to_numeric(values).astype("float64").fillna(default)
    for name in ("new_ticker", "acquirer"):
        frame[name] = frame[name].astype(object) if name in frame else None
    for name in ("pay_session", "known_at_utc", "record_session"):
        frame[name] = frame.get(name, pd.NaT)
    for name in ("session", "pay_session", "record_session"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[ns]")
    is_merger = frame["action"] == "merger"
    for name in _MERGER_AMOUNTS:
        values = frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
        given = pd.to_numeric(values).astype("float64")
        frame[name] = given.where(~is_merger | given.notna(), 0.0)
    return frame[[name for name in CORPORATE_ACTIONS.column_names if name != "source"]].copy()


def _refuse_invalid(frame: pd.DataFrame) -> None:
    for symbol in frame["symbol"].unique():
        require_symbol(symbol)
    action, ratio, cash = frame["action"], frame["split_ratio"], frame["dividend_usd"]
    _refuse(frame, ~action.isin(ACTIONS), "is not a known action", f"use one of {', '.join(ACTIONS)}")
    _refuse(frame, frame["session"].isna(), "has no ex-date", "add the date or remove the row")
    bad_ratio = ~(np.isfinite(ratio) & (ratio > 0))
    _refuse(frame, bad_ratio, "has a split ratio that is not positive", "give new shares for one old share")
    far = (ratio > LARGEST_SPLIT_RATIO) | (ratio < 1 / LARGEST_SPLIT_RATIO)
    _refuse(frame, far, f"has a split ratio outside 1/{LARGEST_SPLIT_RATIO:g} to {LARGEST_SPLIT_RATIO:g}", "correct it")
    _refuse(frame, (action == "split") & (ratio == 1.0), "is a split of 1 for 1", "give the ratio or remove the row")
    _refuse(frame, (action != "split") & (ratio != 1.0), "carries a split ratio", "record the split as its own row")
    bad_cash = ~np.isfinite(cash) | ((action == "dividend") & (cash <= 0))
    _refuse(frame, bad_cash, "has a dividend that is not positive", "give gross USD per share, or remove the row")
    _refuse(frame, (action != "dividend") & (cash != 0), "carries a dividend", "record the dividend as its own row")
    nameless = (action == "rename") & frame["new_ticker"].isna()
    _refuse(frame, nameless, "names no new ticker", "fill new_ticker")
    for ticker in frame.loc[action == "rename", "new_ticker"].unique():
        require_symbol(ticker)
    _refuse_invalid_mergers(frame)


def _refuse_invalid_mergers(frame: pd.DataFrame) -> None:
    is_merger, amounts = frame["action"] == "merger", frame[list(_MERGER_AMOUNTS)]
    foreign = ~is_merger & (amounts.notna().any(axis=1) | frame["acquirer"].notna())
    _refuse(frame, foreign, "carries the terms of a merger", "record the merger as its own row")
    held = amounts.where(is_merger, 0.0, axis=0)
    bad = ~(held.ge(0.0) & held.lt(np.inf)).all(axis=1) | (is_merger & held.eq(0.0).all(axis=1))
    _refuse(
        frame,
        bad,
        "pays neither cash nor shares",
        "give merger_cash_usd or merger_ratio, or record a delisting alone if holders got nothing or it is not known",
    )
    nameless = (held["merger_ratio"] > 0) & frame["acquirer"].isna()
    _refuse(frame, nameless, "pays shares of nobody", "fill acquirer")
    for symbol in frame["acquirer"].dropna().unique():
        require_symbol(symbol)


def _refuse(frame: pd.DataFrame, bad: pd.Series, problem: str, remedy: str) -> None:
    if not bad.any():
        return
    row = frame.loc[bad].iloc[0]
    raise MalformedData(
        f"{row['symbol']} {str(row['session'])[:10]}: action {row['action']!r} {problem} (split_ratio "
        f"{row['split_ratio']}, dividend_usd {row['dividend_usd']}); {remedy}"
    )


def _roll_forward(frame: pd.DataFrame, column: str, calendar: TradingCalendar) -> pd.Series:
    days, rolled = frame[column], {}
    for day in days.dropna().unique():
        try:
            rolled[day] = day if calendar.is_session(day.date()) else pd.Timestamp(calendar.next(day.date()))
        except CalendarError:
            named = "a pay date" if column == "pay_session" else "an ex-date"
            problem = f"has {named} of {day.date()}, which {calendar.name} does not reach"
            _refuse(frame, days == day, problem, "correct the date, or leave a pay date empty until it is known")
    return days.map(rolled).astype("datetime64[ns]")


def _merge_dividends(frame: pd.DataFrame) -> pd.DataFrame:
    key = ["session", "symbol", "action"]
    repeated = frame.duplicated(key, keep=False)
    if not repeated.any():
        return frame
    copied = frame.duplicated([*key, "split_ratio", "dividend_usd"]) | (repeated & (frame["action"] != "dividend"))
    _refuse(frame, copied, "is given twice", "keep one of the rows")
    return frame.groupby(key, sort=False, as_index=False).agg(
        split_ratio=("split_ratio", "first"),
        dividend_usd=("dividend_usd", "sum"),
        pay_session=("pay_session", "max"),
        new_ticker=("new_ticker", "first"),
        source=("source", "first"),
        known_at_utc=("known_at_utc", "max"),
        record_session=("record_session", "max"),
        **{name: (name, "first") for name in (*_MERGER_AMOUNTS, "acquirer")},
    )


def _with_closes(events: pd.DataFrame, closes: pd.DataFrame) -> pd.DataFrame:
    bars = closes.dropna(subset=["close_raw_usd"]).astype({"session": "datetime64[ns]"})
    spans = bars.groupby("symbol")["session"].agg(["min", "max"])
    events = events.assign(date=events["date"].astype("datetime64[ns]")).join(spans, on="symbol")
    events = events[(events["date"] >= events["min"]) & (events["date"] <= events["max"])].sort_values("date")
    priced = pd.merge_asof(
        events,
        bars.rename(columns={"session": "date", "close_raw_usd": "close"})[["date", "symbol", "close"]].sort_values(
            "date"
        ),
        on="date",
        by="symbol",
        tolerance=_CLOSE_MAX_AGE,
    )
    reference = priced["reference_price"] if "reference_price" in priced else pd.Series(np.nan, index=priced.index)
    reference = reference.where(reference > 0)
    priced["reference_price_gap"] = reference / priced["close"] - 1.0
    priced["close"] = priced["close"].fillna(reference)
    unknown = priced["is_dividend"] & priced["close"].isna()
    if unknown.any():
        row = priced.loc[unknown].iloc[0]
        raise MalformedData(
            f"{row['symbol']} {row['date']:%Y-%m-%d}: the factor of a dividend has no raw close and no reference "
            "price; add the bar, or a reference_price column"
        )
    return priced


def _dated(priced: pd.DataFrame, calendar: TradingCalendar) -> pd.DataFrame:
    next_session = {day: pd.Timestamp(calendar.next(day.date())) for day in priced["date"].unique()}
    priced["session"] = priced["date"].map(next_session).astype("datetime64[ns]")
    splits = priced[priced["is_split"]].assign(action="split", dividend_usd=0.0)
    splits["split_ratio"] = [split_ratio_from(value) for value in splits["ratio"]]
    dividends = priced[priced["is_dividend"]].assign(action="dividend", split_ratio=1.0)
    dividends["dividend_usd"] = shortest_decimal(
        dividends["close"] * dividends["cash_share"], dividends["close"] * FACTOR_RESOLUTION
    )
    columns = ["session", "symbol", "action", "split_ratio", "dividend_usd", "reference_price_gap"]
    both = [part[columns] for part in (splits, dividends) if not part.empty]
    if not both:
        return pd.DataFrame(columns=columns)
    return pd.concat(both, ignore_index=True).sort_values(["session", "symbol", "action"], ignore_index=True)
