"""The restricted list: symbols in which an account may not trade, or not open, from one day to another.

Belongs here: reading the file and saying what is in force. What that does to an order is
:mod:`aegis.compliance.pre_trade`.

Notes
-----
A CSV file with the columns ``symbol, from, until, known_at_utc, restriction, reason``. ``symbol`` is the permanent one;
``until`` is the last day, empty while no end is known; ``known_at_utc`` is when the desk was told, so that a past
decision is judged by the list of its time. A restriction is never deleted: it is given an ``until``.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, get_args

from aegis.errors import ComplianceError, MalformedData
from aegis.instruments import require_symbol

RestrictionKind = Literal["no trading", "no opening"]
COLUMNS = ("symbol", "from", "until", "known_at_utc", "restriction", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """One line of the list.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    first : date
        First day on which it binds.
    last : date or None
        Last day; None while no end is known.
    known_at_utc : datetime
        When the desk was told; aware UTC.
    restriction : {"no trading", "no opening"}
        Whether every order is stopped, or only those that do not reduce a position.
    reason : str
        Why, for a person.
    line : int
        Of the file, its header being 1; 0 where it came from no file.
    """

    symbol: str
    first: date
    last: date | None
    known_at_utc: datetime
    restriction: RestrictionKind
    reason: str
    line: int = 0

    def binds(self, day: date, *, known_by: datetime) -> bool:
        """Whether it binds on `day`, as far as was known at `known_by`."""
        return self.known_at_utc <= known_by and self.first <= day and (self.last is None or day <= self.last)


def read_restricted_list(file: Path) -> tuple[Restriction, ...]:
    """Read a restricted list.

    Raises
    ------
    ComplianceError
        The file cannot be read, its columns are not those of a list, or a line cannot be understood. A list that
        cannot be read restricts nothing and so must not be traded on.
    """
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            found = tuple(reader.fieldnames or ())
            if found != COLUMNS:
                raise ComplianceError(f"{file}: expected the columns {', '.join(COLUMNS)}, found {', '.join(found)}")
            return tuple(_restriction(file, reader.line_num, line) for line in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ComplianceError(
            f"{file}: the restricted list cannot be read: {error}; put it there, or take the setting "
            "compliance.restricted_list out if there is none"
        ) from error


def restrictions_in_force(
    restrictions: Iterable[Restriction], day: date, *, known_by: datetime
) -> dict[str, Restriction]:
    """Return by symbol what binds on a day; of several, the one that stops every order."""
    found: dict[str, Restriction] = {}
    for restriction in restrictions:
        if not restriction.binds(day, known_by=known_by):
            continue
        known = found.get(restriction.symbol)
        if known is None or known.restriction == "no opening":
            found[restriction.symbol] = restriction
    return found


def unknown_symbols(
    restrictions: Iterable[Restriction], day: date, *, symbols: Collection[str], tickers: Mapping[str, str]
) -> tuple[str, ...]:
    """Return a sentence for each restriction that restricts nothing, because no listing has its symbol.

    Parameters
    ----------
    restrictions : iterable of Restriction
    day : date
        Restrictions that ended before it are left out.
    symbols : collection of str
        Permanent symbols that are listed. Where none is, nothing can be said.
    tickers : mapping of str to str
        Permanent symbol of each ticker.

    Notes
    -----
    It is told and not refused: the list of a house also names what this market does not have.
    """
    return tuple(
        f"restricted list line {restriction.line}: {restriction.symbol} is no symbol of this market, so the line "
        f"restricts nothing here{_meant(restriction.symbol, symbols, tickers)}"
        for restriction in restrictions
        if symbols and restriction.symbol not in symbols and (restriction.last is None or restriction.last >= day)
    )


def _meant(symbol: str, symbols: Collection[str], tickers: Mapping[str, str]) -> str:
    if symbol in tickers:
        return f"; it is a ticker, of {tickers[symbol]}: write the permanent symbol"
    near = difflib.get_close_matches(symbol, sorted(symbols), n=1, cutoff=0.5)
    return f"; the nearest that is listed is {near[0]}" if near else ""


def _restriction(file: Path, line: int, values: Mapping[str | None, str | None]) -> Restriction:
    if None in values or None in values.values():
        raise ComplianceError(f"{file} line {line}: expected {len(COLUMNS)} fields: {', '.join(COLUMNS)}")
    text = {str(name): str(value).strip() for name, value in values.items()}
    try:
        first = date.fromisoformat(text["from"])
        last = date.fromisoformat(text["until"]) if text["until"] else None
        known_at = datetime.fromisoformat(text["known_at_utc"])
        symbol = require_symbol(text["symbol"])
    except (ValueError, MalformedData) as error:
        raise ComplianceError(f"{file} line {line}: {error}; dates are YYYY-MM-DD, instants end in Z") from error
    if known_at.utcoffset() is None:
        raise ComplianceError(f"{file} line {line}: known_at_utc {text['known_at_utc']} has no time zone; end it in Z")
    if last is not None and last < first:
        raise ComplianceError(f"{file} line {line}: {symbol} is restricted from {first} until {last}; swap the dates")
    if text["restriction"] not in get_args(RestrictionKind):
        raise ComplianceError(
            f"{file} line {line}: restriction {text['restriction']!r} of {symbol}; expected one of "
            f"{', '.join(get_args(RestrictionKind))}"
        )
    kind: RestrictionKind = "no trading" if text["restriction"] == "no trading" else "no opening"
    return Restriction(
        symbol=symbol, first=first, last=last, known_at_utc=known_at, restriction=kind, reason=text["reason"], line=line
    )
