"""What Alpaca's corporate actions mean in the lake's terms.

Belongs here: splits, stock and cash dividends, renames, mergers and removals as Alpaca states them, and which ticker a
symbol had when. The normal form of an action is :mod:`aegis.market_data.corporate_actions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData
from aegis.instruments import require_symbol
from aegis.market_data.sources.vendor_rows import finite, shown

REQUESTED_TYPES = (
    "forward_split", "reverse_split", "unit_split", "stock_dividend", "cash_dividend", "spin_off", "cash_merger",
    "stock_merger", "stock_and_cash_merger", "redemption", "name_change", "worthless_removal", "rights_distribution",
)  # fmt: skip
"""Alpaca's types of actions; each one is booked or named in a note, none is passed over."""

_SPLITS = ("forward_splits", "reverse_splits")
_ENDS = {
    "cash_mergers": "acquiree_symbol",
    "stock_mergers": "acquiree_symbol",
    "stock_and_cash_mergers": "acquiree_symbol",
    "worthless_removals": "symbol",
    "redemptions": "symbol",
}
"""Actions after which a symbol trades no more, and the field that names it."""
_MERGERS = ("cash_mergers", "stock_mergers", "stock_and_cash_mergers")
_NOT_BOOKED = {
    "unit_splits": "old_symbol",
    "spin_offs": "source_symbol",
    "rights_distributions": "source_symbol",
}
"""Distributions in kind, which the lake has no action for, and the field that names their symbol."""
_BOOKED = (*_SPLITS, "stock_dividends", "cash_dividends", "name_changes")


_LONGEST_TERM = 24


@dataclass(frozen=True)
class Rename:
    """A company's change of ticker: `new` from `day` on."""

    old: str
    new: str
    day: date


@dataclass(frozen=True)
class StatedActions:
    """Actions by type, as Alpaca states them, each one once."""

    by_type: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)

    def with_answer(self, answer: Mapping[str, Any]) -> StatedActions:
        """Return these and those of another answer; an action that two tickers share is in both answers.

        Raises
        ------
        MalformedData
            A type is not known, or its actions are no list of mappings.
        """
        by_type = dict(self.by_type)
        for kind, rows in answer.items():
            if kind not in {*_BOOKED, *_ENDS, *_NOT_BOOKED}:
                raise MalformedData(
                    f"Alpaca states corporate actions of the type {shown(kind)}, which is not known; install a newer "
                    "Aegis, or use another source"
                )
            if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
                raise MalformedData(
                    f"Alpaca: {kind}: expected a list of actions, found {shown(rows)}; use another source"
                )
            known = by_type.get(kind, ())
            by_type[kind] = (*known, *(row for row in rows if row not in known))
        return StatedActions(by_type)

    def of(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        """Return the actions of one of Alpaca's types."""
        return self.by_type.get(kind, ())

    @property
    def renames(self) -> list[Rename]:
        """Changes of ticker, by day."""
        found = [
            Rename(_symbol(row, "old_symbol"), _symbol(row, "new_symbol"), _day(row, "process_date"))
            for row in self.of("name_changes")
        ]
        return sorted((rename for rename in found if rename.old != rename.new), key=lambda rename: rename.day)


def without_later_changes(answer: Mapping[str, Any], last: date) -> dict[str, Any]:
    """Return an answer without what changes, after a day, who trades under which ticker, or whether at all.

    Notes
    -----
    Splits and dividends stay: they are dated, and concern nothing before their day. Bars end with `last`, and tickers
    are traced along them.
    """
    kept = dict(answer)
    for kind in {"name_changes", *_ENDS, *_NOT_BOOKED} & kept.keys():
        if isinstance(kept[kind], list):
            kept[kind] = [row for row in kept[kind] if not isinstance(row, Mapping) or _effective(row) <= last]
    return kept


def _effective(row: Mapping[str, Any]) -> date:
    return _day(row, next((name for name in ("ex_date", "effective_date") if row.get(name)), "process_date"))


@dataclass(frozen=True)
class TickerHistory:
    """Under which ticker a symbol traded when.

    Parameters
    ----------
    spells : mapping of str to tuple of (date, str)
        For each permanent symbol its tickers with the day from which each holds, ascending; the first holds from ever.
    """

    spells: Mapping[str, tuple[tuple[date, str], ...]]

    @property
    def all_tickers(self) -> set[str]:
        """Every ticker that a symbol ever had."""
        return {ticker for spells in self.spells.values() for _, ticker in spells}

    def symbols_of(self, ticker: str, day: date) -> list[str]:
        """Return the permanent symbols that traded under `ticker` on `day`."""
        return [symbol for symbol in self.spells if self.ticker(symbol, day) == ticker]

    def ticker(self, symbol: str, day: date) -> str:
        """Return the ticker of a symbol on a day."""
        return [ticker for since, ticker in self.spells[symbol] if since <= day][-1]

    def of_each(self, symbols: pd.Series, sessions: pd.Series) -> list[str]:
        """Return the ticker of each row of `symbols` and `sessions`."""
        pairs = zip(symbols, sessions, strict=True)
        return [self.ticker(symbol, day.date()) if len(self.spells[symbol]) > 1 else symbol for symbol, day in pairs]


@dataclass(frozen=True)
class ReadActions:
    """Actions for :func:`~aegis.market_data.corporate_actions.normalise_actions`, ends of listings, and remarks."""

    actions: pd.DataFrame
    announced_ends: Mapping[str, Sequence[date]]
    notes: tuple[str, ...]


def earlier_and_later_tickers(
    symbols: Iterable[str], renames: Sequence[Rename], *, as_of: date | None
) -> TickerHistory:
    """Follow renames back and forth from the tickers of `as_of`.

    Parameters
    ----------
    symbols : iterable of str
        Tickers on `as_of`; they are the permanent symbols.
    renames : sequence of Rename
        Ascending by day.
    as_of : date or None
        None: today, so that every rename is in the past.

    Notes
    -----
    Going back only from the day on which a ticker was taken keeps an earlier company of the same ticker out.
    """
    return TickerHistory({symbol: _spells(symbol, renames, as_of or date.max) for symbol in symbols})


def _spells(symbol: str, renames: Sequence[Rename], as_of: date) -> tuple[tuple[date, str], ...]:
    spells: list[tuple[date, str]] = []
    ticker, before = symbol, as_of
    for rename in reversed(renames):
        if rename.new == ticker and rename.day <= before:
            spells.insert(0, (rename.day, ticker))
            ticker, before = rename.old, rename.day
    spells.insert(0, (date.min, ticker))
    ticker = symbol
    for rename in renames:
        if rename.old == ticker and rename.day > as_of:
            spells.append((rename.day, rename.new))
            ticker = rename.new
    return tuple(spells)


def read_actions(stated: StatedActions, tickers: TickerHistory, calendar: TradingCalendar) -> ReadActions:
    """Put Alpaca's actions into the lake's terms.

    Parameters
    ----------
    stated : StatedActions
        About the tickers of `tickers`, and perhaps about others, which are left out.
    tickers : TickerHistory
        Says whose action one is: that of the company with this ticker on that day.
    calendar : TradingCalendar
        Decision calendar.

    Notes
    -----
    A split's ratio is new rate / old rate; a stock dividend of 5 % is a split of 1.05. Dividends are gross USD a share.
    A rename follows from the tickers of the bars. A merger, a redemption or a worthless removal ends the listing with
    the last session before its effective (else process) date, and a note names its terms; what a merger pays is for one
    share of the acquiree. Units, spin-offs and rights are named in notes and not booked.
    """
    rows: list[dict[str, object]] = []
    ends: dict[str, list[date]] = {}
    notes: list[str] = []
    for kind in _SPLITS:
        rows += [_split(row, symbol) for row, symbol in _owned(stated.of(kind), "symbol", "ex_date", tickers)]
    for row, symbol in _owned(stated.of("stock_dividends"), "symbol", "ex_date", tickers):
        rows.append(_event(row, symbol, "split", split_ratio=1.0 + _number(row, "rate")))
    for row, symbol in _owned(stated.of("cash_dividends"), "symbol", "ex_date", tickers):
        days = {"pay_session": _optional_day(row, "payable_date"), "record_session": _optional_day(row, "record_date")}
        rows.append(_event(row, symbol, "dividend", dividend_usd=_number(row, "rate"), **days))
    for kind, name in _ENDS.items():
        for row, symbol in _owned(stated.of(kind), name, _end_field(stated.of(kind)), tickers):
            day = _day(row, _end_field([row]))
            rows.append(
                {"session": pd.Timestamp(day), "symbol": symbol, "action": "delisting"}
                if kind not in _MERGERS
                else _merger(row, symbol, day, tickers)
            )
            ends.setdefault(symbol, []).append(calendar.previous(day))
            notes.append(f"{symbol} {day}: {kind.replace('_', ' ')[:-1]}, {_terms(row)}; its listing ends")
    for kind, name in _NOT_BOOKED.items():
        dated = "effective_date" if kind == "unit_splits" else "ex_date"
        for row, symbol in _owned(stated.of(kind), name, dated, tickers):
            notes.append(f"{symbol} {_day(row, dated)}: {kind.replace('_', ' ')[:-1]}, {_terms(row)}; not booked")
    columns = [
        "session", "symbol", "action", "split_ratio", "dividend_usd", "pay_session", "record_session",
        "merger_cash_usd", "merger_ratio", "acquirer",
    ]  # fmt: skip
    return ReadActions(pd.DataFrame(rows, columns=columns), ends, tuple(notes))


def _owned(
    rows: Iterable[Mapping[str, Any]], name: str, dated: str, tickers: TickerHistory
) -> list[tuple[Mapping[str, Any], str]]:
    """Return each action with the permanent symbols whose it is: the ticker's owner on the session before it."""
    known = tickers.all_tickers
    return [
        (row, symbol)
        for row in rows
        if (ticker := _symbol(row, name)) in known
        for symbol in tickers.symbols_of(ticker, _day(row, dated))
    ]


def _split(row: Mapping[str, Any], symbol: str) -> dict[str, object]:
    new, old = _number(row, "new_rate"), _number(row, "old_rate")
    if new <= 0 or old <= 0:
        raise MalformedData(
            f"Alpaca {symbol} {_day(row, 'ex_date')}: a split of {new:g} for {old:g}; expected positive rates: use "
            "another source until Alpaca corrects it"
        )
    return _event(row, symbol, "split", split_ratio=new / old)


def _event(row: Mapping[str, Any], symbol: str, action: str, **values: object) -> dict[str, object]:
    return {"session": pd.Timestamp(_day(row, "ex_date")), "symbol": symbol, "action": action, **values}


def _merger(row: Mapping[str, Any], symbol: str, day: date, tickers: TickerHistory) -> dict[str, object]:
    """Return what one share of the acquiree is paid with: cash, shares of the acquirer, or both.

    An acquirer that is not followed keeps its ticker, which no bar has. Where another company has that ticker as its
    permanent symbol, the shares would be taken for its own, so the merger is a delisting; a note has its terms.
    """
    cash = next((_number(row, name) for name in ("cash_rate", "rate") if row.get(name)), 0.0)
    ratio = 0.0
    if row.get("acquirer_rate"):
        old = _number(row, "acquiree_rate")
        if old <= 0:
            raise MalformedData(
                f"Alpaca {symbol} {day}: a merger of {old:g} shares; expected a positive acquiree_rate: use another "
                "source until Alpaca corrects it"
            )
        ratio = _number(row, "acquirer_rate") / old
    acquirer = _symbol(row, "acquirer_symbol") if row.get("acquirer_symbol") else None
    owners = [] if acquirer is None else tickers.symbols_of(acquirer, day)
    is_another = acquirer in tickers.spells and not owners
    if (cash <= 0 and (ratio <= 0 or acquirer is None)) or (is_another and ratio > 0):
        return {"session": pd.Timestamp(day), "symbol": symbol, "action": "delisting"}
    return {
        "session": pd.Timestamp(day),
        "symbol": symbol,
        "action": "merger",
        "pay_session": _optional_day(row, "payable_date"),
        "merger_cash_usd": cash,
        "merger_ratio": ratio if acquirer is not None else 0.0,
        "acquirer": next(iter(owners), acquirer),
    }


def _optional_day(row: Mapping[str, Any], name: str) -> date | None:
    return _day(row, name) if row.get(name) else None


def _end_field(rows: Sequence[Mapping[str, Any]]) -> str:
    return "effective_date" if rows and "effective_date" in rows[0] else "process_date"


def _terms(row: Mapping[str, Any]) -> str:
    named = [name for name in sorted(row) if name.endswith(("rate", "_symbol")) and row[name]]
    return ", ".join(f"{name} {ascii(row[name])[:_LONGEST_TERM]}" for name in named) or "no terms stated"


def _symbol(row: Mapping[str, Any], name: str) -> str:
    return require_symbol(row.get(name))


def _number(row: Mapping[str, Any], name: str) -> float:
    return finite(row.get(name), f"Alpaca action of {row.get('symbol')!r} on {row.get('ex_date')!r}, {name}")


def _day(row: Mapping[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(str(row.get(name)))
    except ValueError as error:
        raise MalformedData(
            f"Alpaca: a corporate action has the {name} {shown(row.get(name))}, expected a day such as 2024-06-10; use "
            "another source until Alpaca answers as documented"
        ) from error
