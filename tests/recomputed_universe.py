"""The universe of one session, worked out again from stored rows in plain loops.

Belongs here: the rules as docs/own_data.md, docs/instruments.md and the descriptions of the tables say them, and the
exchange's sessions from exchange_calendars itself. Nothing of :mod:`aegis.market_data.universe` or of the modules that
it calls is used, so that both can be compared.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import exchange_calendars
import pandas as pd

from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.lake import Lake

Row = Mapping[str, Any]
SENIORITY_SESSIONS = 10
"""One bar in the first session of the history window or in the nine before it."""


@dataclass(frozen=True)
class Spell:
    """A line of the membership file: both days are included, the last is None while it belongs."""

    symbol: str
    first: date
    last: date | None
    known_at: datetime | None


@dataclass(frozen=True)
class StoredRows:
    """What the lake and the membership file hold.

    Parameters
    ----------
    bars : dict
        Close (USD) and volume (shares) by session and symbol.
    listings, actions, instruments : sequence of dict
        Rows of the tables; days are dates, or None.
    spells : sequence of Spell, optional
        None where no membership file is configured.
    """

    bars: Mapping[date, Mapping[str, tuple[float, float]]]
    listings: Sequence[Row]
    actions: Sequence[Row]
    instruments: Sequence[Row]
    spells: Sequence[Spell] | None

    @classmethod
    def of(cls, lake: Lake, membership_file: Path | None) -> StoredRows:
        """Read them."""
        bars: dict[date, dict[str, tuple[float, float]]] = {}
        frame = lake.read(tables.DAILY_BARS)
        columns = [frame["session"].dt.date, frame["symbol"], frame["close_raw_usd"], frame["volume_shares"]]
        for session, symbol, close, volume in zip(*columns, strict=True):
            bars.setdefault(session, {})[symbol] = (close, volume)
        others = [_rows(lake.read(t)) for t in (tables.LISTINGS, tables.CORPORATE_ACTIONS, tables.INSTRUMENTS)]
        return cls(bars, *others, None if membership_file is None else _spells(membership_file))


class ExchangeDays:
    """Sessions of New York and their decision times: the close and the vendor's delay after it."""

    def __init__(self, first: date, last: date, delay: timedelta) -> None:
        calendar = exchange_calendars.get_calendar("XNYS", start=str(first), end=str(last))
        self.days = [day.date() for day in calendar.sessions]
        self._decided_at = {day.date(): close.to_pydatetime() + delay for day, close in calendar.closes.items()}

    def decided_at(self, session: date) -> datetime:
        """Return when the decision of `session` is taken."""
        return self._decided_at[session]

    def until(self, session: date) -> list[date]:
        """Return the sessions up to `session`, which is the last."""
        return self.days[: self.days.index(session) + 1]


def recomputed_universe(session: date, rows: StoredRows, days: ExchangeDays, config: AegisConfig) -> dict[str, Row]:
    """Return by symbol what table ``market_data/universe`` must hold for `session`."""
    if not rows.bars.get(session):
        return {}  # the gate let nothing through
    decided_at = days.decided_at(session)
    found: dict[str, Row] = {}
    for listing in rows.listings:
        if listing["first_session"] > session or (listing["last_session"] or session) < session:
            continue
        symbol = listing["symbol"]
        reason, median = _reason(symbol, bool(listing["tradable"]), session, rows, days, config)
        found[symbol] = {
            "ticker": listing["ticker"],
            "is_member": reason.startswith("member"),
            "reason": reason,
            "median_dollar_volume_usd": median,
            "known_at_utc": decided_at,
            **_facts(symbol, session, decided_at, rows),
        }
    return found


def stored_universe(lake: Lake) -> dict[date, dict[str, Row]]:
    """Return what the table holds in the same form, by session and symbol."""
    found: dict[date, dict[str, Row]] = {}
    for row in _rows(lake.read(tables.UNIVERSE)):
        median = row["median_dollar_volume_usd"]
        values = {name: value for name, value in row.items() if name not in ("session", "symbol")}
        by_symbol = found.setdefault(row["session"], {})
        by_symbol[row["symbol"]] = values | {"median_dollar_volume_usd": None if pd.isna(median) else median}
    return found


def _reason(
    symbol: str, is_tradable: bool, session: date, rows: StoredRows, days: ExchangeDays, config: AegisConfig
) -> tuple[str, float | None]:
    """Return the first rule that `symbol` fails, or that it is a member, and its median close x volume."""
    settings = config.universe
    sessions = days.until(session)
    median = _median_usd(symbol, sessions[-settings.dollar_volume_window_sessions :], rows)
    decided_at, minimum = days.decided_at(session), settings.min_median_dollar_volume_usd
    failed = []
    if not is_tradable:
        failed.append("not tradable")
    if rows.spells is not None and not _belongs(symbol, session, decided_at, rows.spells):
        failed.append("not in the index")
    for action in rows.actions:
        is_ahead = action["action"] == "delisting" and action["symbol"] == symbol and action["session"] > session
        if is_ahead and action["known_at_utc"] <= decided_at:
            failed.append(f"delisting announced for {action['session']}")
    if symbol not in rows.bars[session]:
        failed.append("no bar in this session")
    count, is_long_enough = _history(symbol, sessions, rows, settings.min_history_sessions)
    if not is_long_enough:
        failed.append(f"history: {count} bars in the last {settings.min_history_sessions} sessions")
    if median is None or median < minimum:
        failed.append(f"median dollar volume {median or 0.0:.0f} USD is below {minimum:.0f} USD")
    is_halted = symbol in rows.bars[session] and rows.bars[session][symbol][1] == 0
    return [*failed, "member; halted in this session, no volume" if is_halted else "member"][0], median


def _history(symbol: str, sessions: Sequence[date], rows: StoredRows, wanted: int) -> tuple[int, bool]:
    """Return how many of the last `wanted` sessions have a bar, and whether that is enough.

    95 % of those that the gate let through, 75 % of all of them, and one bar in the first or in the nine before it.
    """
    let_through = [day for day in sessions[-wanted:] if rows.bars.get(day)]
    count = sum(symbol in rows.bars[day] for day in let_through)
    begin = len(sessions) - wanted
    oldest = sessions[begin - SENIORITY_SESSIONS + 1 : begin + 1]
    is_senior = any(symbol in rows.bars.get(day, {}) for day in oldest)
    return count, is_senior and 20 * count >= 19 * len(let_through) and 4 * count >= 3 * wanted


def _median_usd(symbol: str, sessions: Sequence[date], rows: StoredRows) -> float | None:
    traded = [rows.bars[day][symbol] for day in sessions if symbol in rows.bars.get(day, {})]
    return statistics.median(close * volume for close, volume in traded) if traded else None


def _belongs(symbol: str, session: date, decided_at: datetime, spells: Sequence[Spell]) -> bool:
    for spell in spells:
        is_running = spell.first <= session and (spell.last is None or session <= spell.last)
        if spell.symbol == symbol and is_running and (spell.known_at is None or spell.known_at <= decided_at):
            return True
    return False


def _facts(symbol: str, session: date, decided_at: datetime, rows: StoredRows) -> Row:
    newest: Row | None = None
    for row in rows.instruments:
        if row["symbol"] != symbol or row["first_session"] > session or row["known_at_utc"] > decided_at:
            continue
        if newest is None or row["first_session"] > newest["first_session"]:
            newest = row
    if newest is None:
        return {"sector": "Unclassified", "industry": "Unclassified", "lot_shares": 1.0}
    return {name: newest[name] for name in ("sector", "industry", "lot_shares")}


def _rows(frame: pd.DataFrame) -> list[Row]:
    days = frame.select_dtypes("datetime64[ns]").columns
    plain = frame.astype(object)
    for name in frame.columns:
        if name in days:
            plain[name] = [None if pd.isna(day) else day.date() for day in frame[name]]
        elif name == "known_at_utc":
            plain[name] = [instant.to_pydatetime() for instant in frame[name]]
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def _spells(file: Path) -> list[Spell]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            Spell(
                line["symbol"],
                date.fromisoformat(line["from"]),
                date.fromisoformat(line["to"]) if line["to"] else None,
                datetime.fromisoformat(line["known_at"]) if line["known_at"] else None,
            )
            for line in csv.DictReader(lines)
        ]
