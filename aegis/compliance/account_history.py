"""An account's past as the rules need it: executions in today's shares, payments, and the book at each close.

Belongs here: turning rows of the lake into the values of this package. What the rules say of them is
:mod:`aegis.compliance.judgement`.

Notes
-----
What a corporate action turns to cash is a sale: the fraction that a split leaves, at the mark of the session before;
all shares at a delisting, at the session's close or else that mark; all shares at a merger, at its terms. Shares of an
acquirer that a merger pays are a purchase at the acquirer's close of the session, which prices the sale as well;
without that close the merger is the delisting beside it, as in the account. Cash that no execution explains, such as
dividends and interest, is paid in, or out, on its session.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.compliance.cash_accounts import Deposit
from aegis.compliance.executions import Execution, in_latest_shares
from aegis.execution.order_splits import shares_after_split

Book = dict[str, tuple[float, float]]
"""By symbol: signed shares and mark in USD."""

_CENT = 0.005
_DUST_SHARES = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTables:
    """Rows of one account as read at one snapshot; names as in :mod:`aegis.lake.tables`.

    Parameters
    ----------
    fills, positions, account_values : DataFrame
        Of the account.
    corporate_actions : DataFrame
        Of the market.
    delisting_bars : DataFrame
        ``market_data/daily_bars`` of sessions with a delisting or a merger; others do no harm.
    """

    fills: pd.DataFrame
    positions: pd.DataFrame
    account_values: pd.DataFrame
    corporate_actions: pd.DataFrame
    delisting_bars: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHistory:
    """What an account did.

    Parameters
    ----------
    account : str
        Its name.
    executions : tuple of Execution
        In the shares of their sessions, corporate actions' sales included, by instant.
    splits : mapping of str to tuple of (date, float)
        By symbol: ex-date and new shares for one old share.
    deposits : tuple of Deposit
        Cash that no execution explains, by session; negative when paid out.
    sessions : tuple of date
        Booked sessions, ascending.
    books : mapping of date to mapping of str to (float, float)
        For each close that held anything: by symbol, signed shares and mark in USD.
    """

    account: str
    executions: tuple[Execution, ...]
    splits: Mapping[str, Sequence[tuple[date, float]]]
    deposits: tuple[Deposit, ...]
    sessions: tuple[date, ...]
    books: Mapping[date, Book]

    @property
    def in_latest_shares(self) -> list[Execution]:
        """Executions restated in the shares after every split."""
        return in_latest_shares(self.executions, self.splits)


def account_history(
    rows: AccountTables, *, account: str, initial_cash_usd: float, calendar: TradingCalendar
) -> AccountHistory:
    """Return what the rows say that an account did.

    Parameters
    ----------
    rows : AccountTables
        From the account's first session on.
    account : str
        Its name.
    initial_cash_usd : float
        Before the first session.
    calendar : TradingCalendar
        Says when sessions open and close.

    Raises
    ------
    ComplianceError
        A fill has no usable quantity, price or commission.
    """
    sessions = tuple(stamp.date() for stamp in rows.account_values["session"])
    books = books_by_session(rows.positions)
    filled = _fills(rows.fills)
    turned = _turned_to_cash(rows, filled, sessions, books, account, calendar)
    executions = tuple(sorted([*filled, *turned], key=lambda one: one.at_utc))
    return AccountHistory(
        account=account,
        executions=executions,
        splits=_splits(rows.corporate_actions),
        deposits=tuple(_deposits(rows.account_values, executions, initial_cash_usd)),
        sessions=sessions,
        books=books,
    )


def books_by_session(positions: pd.DataFrame) -> dict[date, Book]:
    """Return what was held at each close that held anything: by symbol, shares and mark."""
    books: dict[date, Book] = {}
    for session, symbol, shares, mark in zip(
        positions["session"].dt.date,
        positions["symbol"],
        positions["quantity_shares"].tolist(),
        positions["mark_price_usd"].tolist(),
        strict=True,
    ):
        books.setdefault(session, {})[symbol] = (shares, mark)
    return books


def _fills(fills: pd.DataFrame) -> list[Execution]:
    columns = ("client_order_id", "account", "symbol", "quantity_shares", "price_usd", "commission_usd")
    return [
        Execution(
            order_id=order,
            account=account,
            session=session,
            at_utc=at.to_pydatetime(),
            symbol=symbol,
            quantity_shares=quantity,
            price_usd=price,
            commission_usd=commission,
        )
        for session, at, order, account, symbol, quantity, price, commission in zip(
            fills["session"].dt.date,
            fills["filled_at_utc"],
            *(fills[column].tolist() for column in columns),
            strict=True,
        )
    ]


def _turned_to_cash(
    rows: AccountTables,
    filled: Sequence[Execution],
    sessions: Sequence[date],
    books: Mapping[date, Book],
    account: str,
    calendar: TradingCalendar,
) -> Iterator[Execution]:
    """Yield the sales that corporate actions are."""
    before = dict(zip(sessions[1:], sessions[:-1], strict=True))
    bars = rows.delisting_bars
    closes = dict(
        zip(zip(bars["session"].dt.date, bars["symbol"], strict=True), bars["close_raw_usd"].tolist(), strict=True)
    )
    traded: dict[tuple[date, str], float] = {}
    for execution in filled:
        key = (execution.session, execution.symbol)
        traded[key] = traded.get(key, 0.0) + execution.quantity_shares
    actions = rows.corporate_actions
    ratios = {(s.date(), name): ratio for s, name, ratio in _rows(actions, "split", "split_ratio")}

    def sale(kind: str, day: date, symbol: str, shares: float, price: float, at: datetime) -> Execution:
        name = f"{kind} {symbol} {day}"
        return Execution(
            order_id=name,
            account=account,
            session=day,
            at_utc=at,
            symbol=symbol,
            quantity_shares=-shares,
            price_usd=price,
        )

    def held(day: date, symbol: str) -> tuple[float, float]:
        """Return shares and mark of the session before, in the shares of after a split of the day."""
        shares, mark = books.get(before.get(day, date.min), {}).get(symbol, (0.0, math.nan))
        ratio = ratios.get((day, symbol), 1.0)
        return shares * ratio, mark / ratio

    for day, symbol in ratios:
        shares, mark = held(day, symbol)
        fraction = shares - shares_after_split(shares, 1.0)
        if abs(fraction) > _DUST_SHARES:
            yield sale("cash in lieu", day, symbol, fraction, mark, calendar.open_utc(day))
    for end in _endings(actions, closes):
        day, symbol, at = end.session, end.symbol, calendar.close_utc(end.session)
        shares, mark = held(day, symbol)
        shares = shares_after_split(shares, 1.0) + traded.get((day, symbol), 0.0)
        if day not in before or abs(shares) <= _DUST_SHARES:
            continue
        yield sale(end.kind, day, symbol, shares, mark if math.isnan(end.price_usd) else end.price_usd, at)
        received = shares_after_split(shares, end.ratio) if end.ratio > 0.0 else 0.0
        if received:
            yield sale(f"shares for {symbol} in", day, end.acquirer, -received, end.acquirer_close_usd, at)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a symbol left the market: what a share of it turned to; a price that is NaN is the mark of before."""

    session: date
    symbol: str
    kind: str
    price_usd: float
    ratio: float = 0.0
    acquirer: str = ""
    acquirer_close_usd: float = math.nan


def _endings(actions: pd.DataFrame, closes: Mapping[tuple[date, str], float]) -> list[_Ending]:
    """Return one ending for each symbol and session, as the account books it."""
    is_end = actions["action"].isin(["merger", "delisting"])
    days = actions["session"].dt.date
    leaving = set(zip(days[is_end], actions.loc[is_end, "symbol"], strict=True))
    found = {key: _Ending(*key, "delisting", closes.get(key, math.nan)) for key in sorted(leaving)}
    for row in actions[actions["action"] == "merger"].to_dict("records"):
        key, acquirer = (row["session"].date(), row["symbol"]), (row["session"].date(), row["acquirer"])
        cash, ratio = (0.0 if pd.isna(row[name]) else row[name] for name in ("merger_cash_usd", "merger_ratio"))
        if ratio == 0.0:
            found[key] = _Ending(*key, "cash merger", cash)
        elif acquirer in closes and acquirer not in leaving:
            close = closes[acquirer]
            found[key] = _Ending(*key, "merger", cash + ratio * close, ratio, acquirer[1], close)
    return list(found.values())


def _rows(actions: pd.DataFrame, action: str, column: str) -> Iterator[tuple[pd.Timestamp, str, float]]:
    """Yield session, symbol and one column of the actions of one kind."""
    found = actions[actions["action"] == action]
    yield from zip(found["session"], found["symbol"], found[column].fillna(0.0).tolist(), strict=True)


def _splits(actions: pd.DataFrame) -> dict[str, list[tuple[date, float]]]:
    splits: dict[str, list[tuple[date, float]]] = {}
    for session, symbol, ratio in _rows(actions, "split", "split_ratio"):
        splits.setdefault(symbol, []).append((session.date(), ratio))
    return splits


def _deposits(values: pd.DataFrame, executions: Sequence[Execution], initial_cash_usd: float) -> Iterator[Deposit]:
    """Yield by session what changed cash besides executions."""
    explained: dict[date, list[float]] = {}
    for execution in executions:
        explained.setdefault(execution.session, []).append(execution.cash_usd)
    cash = initial_cash_usd
    for session, after in zip(values["session"].dt.date, values["cash_usd"].tolist(), strict=True):
        paid = after - cash - math.fsum(explained.get(session, ()))
        if abs(paid) > _CENT:
            yield Deposit(session, paid)
        cash = after
