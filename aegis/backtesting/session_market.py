"""Bars and corporate actions of one session as plain values, and how tables of the lake become them.

Belongs here: the shape in which the matching kernel, the simulated broker and the accounts see a session's market.
Frames are cut once for a range of sessions, because pandas inside a session loop costs more than the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData

BAR_DTYPE: Final = np.dtype(
    [("open_usd", "f8"), ("high_usd", "f8"), ("low_usd", "f8"), ("close_usd", "f8"), ("volume_shares", "f8")]
)
"""Bars of one session, raw as traded."""

_PRICE_COLUMNS = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """One split, cash dividend, rename, merger or delisting; the session it belongs to is its ex-date.

    Parameters
    ----------
    action : {"split", "dividend", "rename", "merger", "delisting"}
        What happens.
    symbol : str
        Permanent symbol.
    split_ratio : float
        New shares for one old share; 1 unless a split.
    dividend_usd : float
        Gross cash per share held before the ex-date; 0 unless a dividend.
    pay_session : date, optional
        When dividend cash arrives; None counts as the ex-date.
    new_ticker : str, optional
        Ticker from this session on, for a rename.
    merger_cash_usd, merger_ratio : float
        Cash and shares of the acquirer for each share; 0 unless a merger.
    acquirer, acquirer_ticker : str, optional
        Permanent symbol of the acquirer, and what it trades as in the session, where it has a bar.
    """

    action: Literal["split", "dividend", "rename", "merger", "delisting"]
    symbol: str
    split_ratio: float = 1.0
    dividend_usd: float = 0.0
    pay_session: date | None = None
    new_ticker: str | None = None
    merger_cash_usd: float = 0.0
    merger_ratio: float = 0.0
    acquirer: str | None = None
    acquirer_ticker: str | None = None

    @property
    def is_cash_merger(self) -> bool:
        """Whether shares turn to a stated amount of cash alone."""
        return self.action == "merger" and self.merger_ratio == 0.0

    @property
    def is_share_merger(self) -> bool:
        """Whether shares turn to shares of an acquirer, and perhaps cash beside them."""
        return self.action == "merger" and self.merger_ratio > 0.0

    def to_record(self) -> dict[str, Any]:
        """Return the action as a mapping that JSON can hold; :meth:`from_record` restores it."""
        return asdict(self) | {"pay_session": None if self.pay_session is None else self.pay_session.isoformat()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CorporateAction:
        """Return the action that :meth:`to_record` described."""
        pay_session = record["pay_session"]
        return cls(**{**record, "pay_session": None if pay_session is None else date.fromisoformat(pay_session)})


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMarket:
    """All that the market does in one session.

    Parameters
    ----------
    session : date
        The session.
    opens_at_utc, closes_at_utc : datetime
        Its opening and closing instants.
    rows : mapping of str to int
        Row of each symbol in `bars`. A symbol without a trusted bar is absent.
    bars : ndarray of BAR_DTYPE, shape (symbols,)
        Raw bars, as traded.
    actions : tuple of CorporateAction
        Actions with their ex-date in this session.
    """

    session: date
    opens_at_utc: datetime
    closes_at_utc: datetime
    rows: Mapping[str, int]
    bars: NDArray[np.void]
    actions: tuple[CorporateAction, ...] = ()

    def close_usd(self, symbol: str) -> float | None:
        """Return the raw close of a symbol, or None where it has no bar."""
        row = self.rows.get(symbol)
        return None if row is None else float(self.bars["close_usd"][row])

    @property
    def closes_usd(self) -> dict[str, float]:
        """The raw close of each symbol that has a bar."""
        closes = self.bars["close_usd"].tolist()
        return {symbol: closes[row] for symbol, row in self.rows.items()}

    def split_ratio(self, symbol: str) -> float:
        """Return new shares for one old share at this session's opening, 1 where nothing splits."""
        for action in self.actions:
            if action.action == "split" and action.symbol == symbol:
                return action.split_ratio
        return 1.0

    def merger_cash_usd(self, symbol: str) -> float | None:
        """Return what each share of a symbol turns to at this session's opening, None where it is not paid in cash."""
        for action in self.actions:
            if action.is_cash_merger and action.symbol == symbol:
                return action.merger_cash_usd
        return None

    def exchange(self, symbol: str) -> CorporateAction | None:
        """Return the merger that turns a symbol into an acquirer's shares when this session closes; None without one.

        Notes
        -----
        The acquirer must have a bar in the session and not leave the market itself. Otherwise its shares have no price,
        and the position turns to cash at its last close.
        """
        for action in self.actions:
            if action.symbol == symbol and action.is_share_merger:
                has_price = action.acquirer is not None and action.acquirer in self.rows
                return action if has_price and not self._leaves(action.acquirer) else None
        return None

    def exchange_value_usd(self, symbol: str) -> float | None:
        """Return what a share of a symbol is exchanged for: cash, and shares at the acquirer's close; None if not."""
        merger = self.exchange(symbol)
        if merger is None or merger.acquirer is None:
            return None
        return merger.merger_cash_usd + merger.merger_ratio * float(self.bars["close_usd"][self.rows[merger.acquirer]])

    def _leaves(self, symbol: str | None) -> bool:
        return any(action.symbol == symbol and action.action in ("merger", "delisting") for action in self.actions)

    def new_ticker(self, symbol: str) -> str | None:
        """Return the ticker that a symbol takes in this session, or None where nothing is renamed."""
        for action in self.actions:
            if action.action == "rename" and action.symbol == symbol:
                return action.new_ticker
        return None


class MarketHistory:
    """Sessions of a market, cut from the lake's tables once.

    Parameters
    ----------
    bars : DataFrame
        :data:`aegis.lake.tables.DAILY_BARS`; more columns do no harm.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`.
    calendar : TradingCalendar
        Says when a session opens and closes.

    Raises
    ------
    MalformedData
        A bar has a price that is not positive and finite, or a volume that is negative or missing; or an action has a
        split ratio or an amount that cannot be.
    """

    def __init__(self, bars: pd.DataFrame, actions: pd.DataFrame, *, calendar: TradingCalendar) -> None:
        ordered = bars.sort_values(["session", "symbol"], kind="stable", ignore_index=True)
        self._calendar = calendar
        self._symbols = ordered["symbol"].to_numpy(dtype=object)
        self._bars = np.empty(len(ordered), dtype=BAR_DTYPE)
        for name, column in zip(BAR_DTYPE.names or (), (*_PRICE_COLUMNS, "volume_shares"), strict=True):
            self._bars[name] = ordered[column].to_numpy(dtype="float64")
        _refuse_malformed(ordered)
        days = ordered["session"].to_numpy(dtype="datetime64[D]")
        starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]]) if len(days) else np.array([], dtype=np.int64)
        ends = np.r_[starts[1:], len(days)]
        self._slices = {days[lo].item(): (int(lo), int(hi)) for lo, hi in zip(starts, ends, strict=False)}
        traded = list(self._slices)
        opens, closes = calendar.opens_utc(traded).to_pydatetime(), calendar.closes_utc(traded).to_pydatetime()
        self._hours = {day: hours for day, *hours in zip(traded, opens, closes, strict=True)}
        self._actions = actions_by_session(actions, _acquirer_tickers(bars, actions))

    def session(self, day: date) -> SessionMarket:
        """Return the market of one session: without bars where the quality gate let none through.

        Raises
        ------
        CalendarError
            `day` is not a session.
        """
        lo, hi = self._slices.get(day, (0, 0))
        hours = self._hours.get(day) or (self._calendar.open_utc(day), self._calendar.close_utc(day))
        return SessionMarket(
            session=day,
            opens_at_utc=_utc(hours[0]),
            closes_at_utc=_utc(hours[1]),
            rows={symbol: row for row, symbol in enumerate(self._symbols[lo:hi])},
            bars=self._bars[lo:hi],
            actions=self._actions.get(day, ()),
        )


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)


def _refuse_malformed(bars: pd.DataFrame) -> None:
    prices = bars[list(_PRICE_COLUMNS)].to_numpy(dtype="float64")
    volume = bars["volume_shares"].to_numpy(dtype="float64")
    good = (np.isfinite(prices) & (prices > 0)).all(axis=1) & np.isfinite(volume) & (volume >= 0)
    if not good.all():
        row = bars.loc[~good].iloc[0]
        found = {name: row[name] for name in (*_PRICE_COLUMNS, "volume_shares")}
        raise MalformedData(
            f"{row['symbol']} {pd.Timestamp(row['session']).date()}: prices must be positive and volume zero or more, "
            f"found {found}; quarantine the row before it is traded on"
        )


def _acquirer_tickers(bars: pd.DataFrame, actions: pd.DataFrame) -> dict[tuple[pd.Timestamp, str], str]:
    """Return what acquirers trade as in the sessions of their mergers, as far as the bars say."""
    if "ticker" not in bars or "acquirer" not in actions or actions["acquirer"].isna().all():
        return {}
    wanted = actions.loc[actions["acquirer"].notna(), ["session", "acquirer"]].rename(columns={"acquirer": "symbol"})
    found = wanted.merge(bars[["session", "symbol", "ticker"]], on=["session", "symbol"])
    return {(session, symbol): ticker for session, symbol, ticker in found.itertuples(index=False, name=None)}


def actions_by_session(
    actions: pd.DataFrame, tickers: Mapping[tuple[pd.Timestamp, str], str]
) -> dict[date, tuple[CorporateAction, ...]]:
    """Return corporate actions by their ex-session, from rows of :data:`aegis.lake.tables.CORPORATE_ACTIONS`.

    Parameters
    ----------
    actions : DataFrame
        The rows.
    tickers : mapping
        What acquirers trade as, by ex-session and permanent symbol; one that is left out is not known to trade.

    Raises
    ------
    MalformedData
        A split ratio or an amount cannot be.
    """
    found: dict[date, list[CorporateAction]] = {}
    ordered = actions.sort_values(["session", "symbol", "action"], kind="stable")
    for row in ordered.to_dict("records"):
        day = pd.Timestamp(row["session"]).date()
        action = CorporateAction(
            action=row["action"],
            symbol=row["symbol"],
            split_ratio=float(row["split_ratio"]),
            dividend_usd=float(row["dividend_usd"]),
            pay_session=None if pd.isna(row["pay_session"]) else pd.Timestamp(row["pay_session"]).date(),
            new_ticker=None if pd.isna(row["new_ticker"]) else str(row["new_ticker"]),
            **_merger_terms(row, tickers),
        )
        _refuse_malformed_action(action, day)
        found.setdefault(day, []).append(action)
    return {day: tuple(group) for day, group in found.items()}


def _merger_terms(row: Mapping[Any, Any], tickers: Mapping[tuple[pd.Timestamp, str], str]) -> dict[str, Any]:
    if row["action"] != "merger":
        return {}
    return {
        "acquirer_ticker": tickers.get((row["session"], row["acquirer"])),
        "merger_cash_usd": float(row["merger_cash_usd"]),
        "merger_ratio": float(row["merger_ratio"]),
        "acquirer": None if pd.isna(row["acquirer"]) else str(row["acquirer"]),
    }


def _refuse_malformed_action(action: CorporateAction, day: date) -> None:
    paid = (action.merger_cash_usd, action.merger_ratio)
    if not all(np.isfinite(amount) and amount >= 0 for amount in paid) or (action.action == "merger" and not any(paid)):
        raise MalformedData(
            f"{action.symbol} {day}: a merger of {paid[0]} USD and {paid[1]} shares of the acquirer for a share; "
            "expected one of them above 0 and none below: correct the action"
        )
    if not (np.isfinite(action.split_ratio) and action.split_ratio > 0 and np.isfinite(action.dividend_usd)):
        raise MalformedData(
            f"{action.symbol} {day}: {action.action} with split ratio {action.split_ratio} and dividend "
            f"{action.dividend_usd} USD; a ratio must be positive and an amount finite: correct the action"
        )
