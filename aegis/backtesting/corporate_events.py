"""Corporate actions and changes of listing as the kernel reads them.

Belongs here: what such an event is in simulated history, which ones are refused, and the order in which they apply.
The kernel books them (:mod:`aegis.backtesting.kernel.session_opening`); how they scale prices is
:mod:`aegis.market_data.adjustments`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.bar_checks import FloatColumn
from aegis.backtesting.bar_times import day_number
from aegis.backtesting.bars import Bars
from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.kernel.records import ACTION, NO_SYMBOL
from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData
from aegis.instruments import require_symbol

EventKind = Literal["dividend", "split", "rename", "cash_merger", "share_merger", "delisting", "halt", "resume"]

_KINDS: Final[dict[str, ActionKind]] = {
    "dividend": ActionKind.DIVIDEND,
    "split": ActionKind.SPLIT,
    "rename": ActionKind.RENAME,
    "cash_merger": ActionKind.CASH_MERGER,
    "share_merger": ActionKind.SHARE_MERGER,
    "delisting": ActionKind.DELISTING,
    "halt": ActionKind.HALT,
    "resume": ActionKind.RESUME,
}
_PAYS: Final = ("dividend", "cash_merger")
_MERGERS: Final = (ActionKind.CASH_MERGER, ActionKind.SHARE_MERGER)
_UNKNOWN: Final = -1
"""Stands for a symbol or a kind that is none, until it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateEvent:
    """Something that happens to a listing when the session of its ex-date opens.

    Parameters
    ----------
    kind : {"dividend", "split", "rename", "cash_merger", "share_merger", "delisting", "halt", "resume"}
        What happens. A delisting and a merger for shares take effect after the session's last bar.
    symbol : str
        Permanent symbol.
    ex_date : date
        Session in which it takes effect.
    ratio : float
        New shares for one old share, of the acquirer in a merger for shares; 1 unless one of these.
    amount_usd : float
        Cash per share held before the ex-date, of a dividend or a cash merger, and the cash part of a merger for
        shares; 0 otherwise.
    pay_date : date, optional
        When a dividend is cash; None counts as the ex-date.
    new_ticker : str, optional
        Ticker from the ex-date on, for a rename.
    known_at : datetime, optional
        Aware: when anyone could know of it; None counts as in time.
    acquirer : str, optional
        Permanent symbol whose shares a merger pays; None or a symbol without bars where it is not in the market.
    """

    kind: EventKind
    symbol: str
    ex_date: date
    ratio: float = 1.0
    amount_usd: float = 0.0
    pay_date: date | None = None
    new_ticker: str | None = None
    known_at: datetime | None = None
    acquirer: str | None = None


def events_from_lake(actions: pd.DataFrame) -> list[CorporateEvent]:
    """Return rows of :data:`aegis.lake.tables.CORPORATE_ACTIONS` as events, in the order of the rows.

    Raises
    ------
    MalformedData
        `known_at_utc` has no time zone.

    Notes
    -----
    A merger for cash alone is a cash merger, one with shares of the acquirer, with or without cash, is one for shares.
    """
    return [
        CorporateEvent(
            kind=_kind(row),
            symbol=row["symbol"],
            ex_date=pd.Timestamp(row["session"]).date(),
            ratio=float(row["merger_ratio"] if _kind(row) == "share_merger" else row["split_ratio"]),
            amount_usd=float(row["merger_cash_usd"] if row["action"] == "merger" else row["dividend_usd"]),
            pay_date=None if pd.isna(row["pay_session"]) else pd.Timestamp(row["pay_session"]).date(),
            new_ticker=None if pd.isna(row["new_ticker"]) else str(row["new_ticker"]),
            known_at=None if pd.isna(row["known_at_utc"]) else pd.Timestamp(row["known_at_utc"]).to_pydatetime(),
            acquirer=str(row["acquirer"]) if _kind(row) == "share_merger" and pd.notna(row["acquirer"]) else None,
        )
        for row in actions.to_dict("records")
    ]


def _kind(row: Mapping[Any, Any]) -> Any:
    if row["action"] != "merger":
        return row["action"]
    return "share_merger" if row["merger_ratio"] > 0 else "cash_merger"


def event_records(
    events: Sequence[CorporateEvent],
    *,
    symbols: Sequence[str],
    calendar: TradingCalendar | None = None,
    decision_delay: timedelta = timedelta(0),
) -> NDArray[np.void]:
    """Return the kernel's records of events, in the order in which they apply.

    Parameters
    ----------
    events : sequence of CorporateEvent
        In any order.
    symbols : sequence of str
        All symbols of the simulation; their positions become the records' `symbol`.
    calendar : TradingCalendar, optional
        Says when the session of an ex-date closes; default is the end of the UTC day.
    decision_delay : timedelta
        How long after the close decisions are made.

    Returns
    -------
    ndarray of ACTION, shape (n_events,)
        By ex-date; on one day dividends, splits, renames, cash mergers, delistings, halts, resumptions and mergers for
        shares follow each other, so that a dividend is paid on the shares of before a split; then by symbol.

    Raises
    ------
    MalformedData
        An event names an unknown symbol, cannot be, is given twice, or was known only after the decision of its
        ex-date: to book it would be to know the future. Or the delay is negative.

    Notes
    -----
    An ex-date on which nothing trades takes effect in the next session, as the kernel applies all that is due.
    """
    if decision_delay < timedelta(0):
        raise MalformedData(f"decision_delay is {decision_delay}; decisions follow the close that they know")
    records = np.zeros(len(events), dtype=ACTION)
    if not events:
        return records
    positions = {symbol: position for position, symbol in enumerate(symbols)}
    records["ratio"] = [event.ratio for event in events]
    records["amount"] = [event.amount_usd for event in events]
    records["day"] = [day_number(event.ex_date) for event in events]
    records["pay_day"] = [day_number(event.pay_date or event.ex_date) for event in events]
    records["symbol"] = [positions.get(event.symbol, _UNKNOWN) for event in events]
    records["kind"] = [_KINDS.get(event.kind, _UNKNOWN) for event in events]
    records["acquirer"] = [positions.get(event.acquirer or "", NO_SYMBOL) for event in events]
    # All are looked at at once, and one by one only those that may be wrong.
    for k in np.flatnonzero(_may_be_impossible(records) | _may_be_late(events, records["day"])).tolist():
        _refuse_impossible(events[k], positions)
        _refuse_late(events[k], calendar, decision_delay)
    _refuse_repeated(events, records)
    order = np.lexsort((records["symbol"], records["kind"], records["day"]))
    return records[order]


def refuse_double_counting(bars: Bars, records: NDArray[np.void]) -> None:
    """Refuse to book splits and dividends on prices that are scaled for them already.

    Raises
    ------
    MalformedData
    """
    if bars.price_mode == "raw":
        return
    scaled = np.isin(records["kind"], [ActionKind.DIVIDEND, ActionKind.SPLIT])
    if scaled.any():
        first = records[scaled][0]
        raise MalformedData(
            f"{bars.symbols[first['symbol']]} {np.datetime64(int(first['day']), 'D')}: "
            f"{ActionKind(first['kind']).name.lower()} with adjusted prices would count twice; give raw prices with "
            "the actions, or adjusted prices without splits and dividends"
        )


def refuse_unpayable_dividends(
    bars: Bars, records: NDArray[np.void], *, previous_close: FloatColumn | None = None
) -> None:
    """Refuse a dividend that is not below the last close before its ex-date.

    Parameters
    ----------
    bars : Bars
        Raw prices; dividends with an ex-date outside their sessions are not looked at.
    records : ndarray of ACTION
        From :func:`event_records`.
    previous_close : ndarray of float64, shape (n_symbols,), optional
        Last closes before `bars`, USD, where they continue an earlier chunk; NaN for none. A dividend before any close
        of its symbol meets no position and passes.

    Raises
    ------
    MalformedData
    """
    days = bars.sessions["day"]
    dividends = records[records["kind"] == ActionKind.DIVIDEND]
    dividends = dividends[(dividends["day"] >= days[0]) & (dividends["day"] < days[-1])]
    if not len(dividends):
        return
    steps = bars.sessions["first_step"][np.searchsorted(days, dividends["day"])]
    symbols = np.ascontiguousarray(dividends["symbol"])
    row_symbol = np.zeros(0, np.int32) if bars.row_symbol is None else bars.row_symbol
    ends = steps * len(bars.symbols) if bars.first_row is None else bars.first_row[steps]
    closes = _last_closes(bars.close, row_symbol, ends, symbols, len(bars.symbols))
    if previous_close is not None:
        closes = np.where(np.isnan(closes), previous_close[symbols], closes)
    unpayable = dividends["amount"] >= closes
    if unpayable.any():
        record, close = dividends[unpayable][0], float(closes[unpayable][0])
        raise MalformedData(
            f"{bars.symbols[record['symbol']]} {np.datetime64(int(record['day']), 'D')}: dividend {record['amount']} "
            f"USD is not below the previous close {close}; correct the amount, or record a cash merger if holders were "
            "paid out"
        )


@compiled
def _last_closes(
    close: FloatColumn,
    row_symbol: NDArray[np.int32],
    ends: NDArray[np.int64],
    symbols: NDArray[np.int32],
    n_symbols: int,
) -> NDArray[np.float64]:
    """Return the last close of each symbol in the rows before its end, NaN where it has none.

    Without a `row_symbol`, rows are those of the dense layout.
    """
    found = np.full(len(ends), np.nan)
    is_dense = len(row_symbol) == 0
    for k in range(len(ends)):
        row = ends[k] - n_symbols + symbols[k] if is_dense else ends[k] - 1
        while row >= 0:
            if (is_dense or row_symbol[row] == symbols[k]) and not np.isnan(close[row]):
                found[k] = close[row]
                break
            row -= n_symbols if is_dense else 1
    return found


def _may_be_impossible(records: NDArray[np.void]) -> NDArray[np.bool_]:
    """Say which events :func:`_refuse_impossible` has to look at: all that it refuses, and few others."""
    ratio, amount, kind = records["ratio"], records["amount"], records["kind"]
    good = (records["symbol"] != _UNKNOWN) & (kind != _UNKNOWN) & (kind != ActionKind.RENAME)
    exchanges = kind == ActionKind.SHARE_MERGER
    good &= (ratio > 0) & np.isfinite(ratio) & (exchanges | ((kind == ActionKind.SPLIT) != (ratio == 1.0)))
    pays = np.isin(kind, [_KINDS[name] for name in _PAYS])
    good &= (amount >= 0) & np.isfinite(amount) & (exchanges | (pays == (amount > 0)))
    good &= exchanges == (records["acquirer"] != NO_SYMBOL)
    good &= records["acquirer"] != records["symbol"]
    good &= records["pay_day"] >= records["day"]
    doubtful: NDArray[np.bool_] = ~good
    return doubtful


def _may_be_late(events: Sequence[CorporateEvent], days: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Say which events :func:`_refuse_late` has to look at: a day's distance is in time in every time zone."""
    return np.array(
        [
            event.known_at is not None and (event.known_at.tzinfo is None or day_number(event.known_at) >= day - 1)
            for event, day in zip(events, days.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )


def _refuse_impossible(event: CorporateEvent, positions: dict[str, int]) -> None:
    if event.kind not in _KINDS:
        raise _refusal(event, "is not a known event", f"use one of {', '.join(_KINDS)}")
    if event.symbol not in positions:
        raise _refusal(event, "is of a symbol that has no bars", "add its bars, or leave the event out")
    _refuse_impossible_terms(event)
    if event.pay_date is not None and event.pay_date < event.ex_date:
        raise _refusal(event, f"is paid on {event.pay_date}, before its ex-date", "correct the date or leave it out")
    if event.kind == "rename":
        if event.new_ticker is None:
            raise _refusal(event, "names no new ticker", "fill new_ticker")
        require_symbol(event.new_ticker)


def _refuse_impossible_terms(event: CorporateEvent) -> None:
    """Refuse a ratio, an amount or an acquirer that the kind of the event cannot have."""
    exchanges = event.kind == "share_merger"
    if not (np.isfinite(event.ratio) and event.ratio > 0):
        raise _refusal(event, f"has ratio {event.ratio}", "give new shares for one old share, a positive number")
    if not exchanges and (event.kind == "split") == (event.ratio == 1.0):
        raise _refusal(event, f"has ratio {event.ratio}", "a split changes the number of shares, nothing else does")
    if not (np.isfinite(event.amount_usd) and event.amount_usd >= 0):
        raise _refusal(event, f"has amount {event.amount_usd} USD", "give USD per share, zero or more")
    if not exchanges and (event.kind in _PAYS) != (event.amount_usd > 0):
        raise _refusal(
            event, f"has amount {event.amount_usd} USD", f"{' and '.join(_PAYS)} pay cash, nothing else does"
        )
    if event.acquirer is not None and not exchanges:
        raise _refusal(event, f"names the acquirer {event.acquirer}", "only a merger for shares has one")
    if event.acquirer == event.symbol:
        raise _refusal(event, "names itself as the acquirer", "give the symbol whose shares are paid")


def _refuse_late(event: CorporateEvent, calendar: TradingCalendar | None, decision_delay: timedelta) -> None:
    if event.known_at is None:
        return
    if event.known_at.tzinfo is None:
        raise _refusal(event, f"is known at {event.known_at}, without a time zone", "give an aware datetime")
    if calendar is not None and calendar.is_session(event.ex_date):
        closes_at = calendar.close_utc(event.ex_date)
    else:
        closes_at = datetime.combine(event.ex_date + timedelta(days=1), time(), tzinfo=UTC)
    decided = closes_at + decision_delay
    if event.known_at > decided:
        raise _refusal(
            event,
            f"is known at {event.known_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}, after the decision of its ex-date at "
            f"{decided:%Y-%m-%dT%H:%M:%SZ}",
            "correct known_at, or date the event to the first session that knew of it",
        )


def _refuse_repeated(events: Sequence[CorporateEvent], records: NDArray[np.void]) -> None:
    """Refuse two events of a kind on one day; a halt and a resumption are of a kind here, and so are mergers."""
    about = np.where(records["kind"] == ActionKind.RESUME, ActionKind.HALT, records["kind"])
    about = np.where(np.isin(about, _MERGERS), ActionKind.CASH_MERGER, about)
    order = np.lexsort((about, records["symbol"], records["day"]))
    keys = np.stack((about, records["symbol"], records["day"]))[:, order]
    repeats = np.flatnonzero((keys[:, 1:] == keys[:, :-1]).all(axis=0))
    if len(repeats):
        first = int(order[repeats + 1].min())
        raise _refusal(
            events[first], "is given twice, or both halts and resumes", "keep one event of a kind for each day"
        )


def _refusal(event: CorporateEvent, problem: str, remedy: str) -> MalformedData:
    return MalformedData(f"{event.symbol} {event.ex_date}: {event.kind} {problem}; {remedy}")
