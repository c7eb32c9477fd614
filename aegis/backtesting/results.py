"""What a backtest did, and everything that can be asked about it.

Belongs here: the one object that holds a finished simulation's records and answers questions about them. Nothing is
computed until it is asked for, so that a sweep of ten thousand backtests pays only for what it reads. How each answer
is worked out stands in the modules that are called here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.backtest_metrics import BacktestMetrics, backtest_metrics
from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.lots import IntArray
from aegis.backtesting.order_events import order_events
from aegis.backtesting.record_frames import fills_frame, orders_frame
from aegis.backtesting.results_storage import RECORD_DTYPES, read_fields, same_fields, stored_fields, write_results
from aegis.backtesting.session_marks import session_closes, session_marks
from aegis.backtesting.trades import RoundTrips, open_lots_frame, round_trips, trades_frame
from aegis.backtesting.vectorbt_portfolio import vectorbt_portfolio
from aegis.errors import BacktestError
from aegis.metrics.returns import SESSIONS_PER_YEAR, FloatArray, simple_returns

if TYPE_CHECKING:
    import vectorbt

_PAYS_AT_MARK: Final = (ActionKind.SPLIT, ActionKind.DELISTING, ActionKind.SHARE_MERGER)


@dataclass(frozen=True, kw_only=True, eq=False)
class BacktestResults:
    """A simulation that has come to its end, or to where its strategy failed.

    Parameters
    ----------
    strategy : str
        Name of what decided.
    source : str
        Where the prices come from.
    is_simulated : bool
        Whether the prices are invented; every report then says so.
    symbols : tuple of str
        Names by symbol number.
    closes_at : ndarray of int64, shape (steps or more,)
        When each step closes, nanoseconds since 1970 in UTC.
    sessions : ndarray of SESSION, shape (sessions + 1 or more,)
        First step and day of each session; the last row ends the history.
    initial_cash_usd : float
        Equity before the first step.
    equity_usd, cash_usd : ndarray of float64, shape (steps,)
        At the close of each step that was taken.
    order_records, fill_records, amendment_records : ndarray of ORDER, FILL and AMENDMENT
    action_records : ndarray of ACTION
        Corporate actions in the order of their ex-dates.
    position_records : ndarray of POSITION, shape (symbols,)
    account_record : ndarray of ACCOUNT, shape (1,)
        The last two as the simulation left them.
    lot_shares : float
        Smallest step of a position: 1 for whole shares.
    closes_usd : ndarray of float64, shape (steps, symbols) or (sessions, symbols), or a function that returns one
        Closes of all bars, or the last of each session (:func:`~aegis.backtesting.session_marks.session_closes`). A
        function is called once, when it is needed. Without closes there are no exposures, and no trades where a split
        left a fraction of a share or a position was delisted.
    price_mode : {"raw", "adjusted"}
        What the prices are.
    settings : mapping of str to mapping
        What a reader must know of how it was simulated, by group: rules, costs, parameters. Numbers, texts, booleans
        and None.
    risk_free_rate_annual : float
        Effective, 1/year.
    sessions_per_year : int
        252 for an exchange with weekends, 365 for a market that never closes.
    code_version, config_hash : str, optional
        What would compute it again.

    Raises
    ------
    BacktestError
        No step was taken, or an array has another dtype or length than it says.

    Notes
    -----
    Arrays are kept as they are, not copied, and never written to: hand over arrays that nothing else changes. Frames
    are made once; copy one before changing it.
    """

    strategy: str
    source: str
    is_simulated: bool
    symbols: tuple[str, ...]
    closes_at: IntArray
    sessions: NDArray[Any]
    initial_cash_usd: float
    equity_usd: FloatArray
    cash_usd: FloatArray
    order_records: NDArray[Any]
    fill_records: NDArray[Any]
    amendment_records: NDArray[Any]
    action_records: NDArray[Any]
    position_records: NDArray[Any]
    account_record: NDArray[Any]
    lot_shares: float = 1.0
    closes_usd: FloatArray | Callable[[], FloatArray] | None = None
    price_mode: Literal["raw", "adjusted"] = "raw"
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    risk_free_rate_annual: float = 0.0
    sessions_per_year: int = SESSIONS_PER_YEAR
    code_version: str | None = None
    config_hash: str | None = None

    def __post_init__(self) -> None:
        for name, dtype in RECORD_DTYPES.items():
            found = getattr(self, name).dtype
            if found is not dtype and found != dtype:
                raise BacktestError(f"results: {name} has dtype {found}; pass the kernel's records ({dtype})")
        steps = len(self.equity_usd)
        if steps == 0 or len(self.cash_usd) != steps or len(self.closes_at) < steps or len(self.sessions) < 2:  # noqa: PLR2004
            raise BacktestError(
                f"results: {steps} values of equity, {len(self.cash_usd)} of cash, {len(self.closes_at)} step times "
                f"and {len(self.sessions)} session rows; at least one step must have been taken, with one of each"
            )
        if len(self.position_records) != len(self.symbols) or len(self.account_record) != 1:
            raise BacktestError(
                f"results: {len(self.position_records)} positions for {len(self.symbols)} symbols and "
                f"{len(self.account_record)} accounts; pass one position for each symbol and one account"
            )

    @cached_property
    def session_days(self) -> IntArray:
        """Day since 1970 of each session that began; shape (sessions,)."""
        return self.sessions["day"][: self._begun].astype(np.int64)

    @cached_property
    def session_first_steps(self) -> IntArray:
        """First step of each session that began, and the number of steps; shape (sessions + 1,)."""
        steps = self.sessions["first_step"][: self._begun + 1].astype(np.int64)
        steps[-1] = len(self.equity_usd)
        return steps

    @cached_property
    def _begun(self) -> int:
        """How many sessions began."""
        return int(self.sessions["first_step"][:-1].searchsorted(len(self.equity_usd)))

    @cached_property
    def session_of_fill(self) -> IntArray:
        """Position of each fill's session; shape (fills,)."""
        return np.searchsorted(self.session_first_steps, self.fill_records["step"], side="right") - 1

    @cached_property
    def step_times_utc(self) -> pd.DatetimeIndex:
        """When each step closed; aware UTC."""
        return pd.DatetimeIndex(self.closes_at[: len(self.equity_usd)], tz="UTC", name="at_utc")

    @cached_property
    def session_dates(self) -> pd.DatetimeIndex:
        """Days of the sessions that began."""
        return pd.DatetimeIndex(self.session_days.astype("datetime64[D]").astype("datetime64[ns]"), name="session")

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Every order; see :func:`~aegis.backtesting.record_frames.orders_frame`."""
        return orders_frame(self.order_records, symbols=self.symbols, step_times_utc=self.step_times_utc)

    @cached_property
    def fills(self) -> pd.DataFrame:
        """Every fill; see :func:`~aegis.backtesting.record_frames.fills_frame`."""
        return fills_frame(
            self.fill_records,
            symbols=self.symbols,
            step_times_utc=self.step_times_utc,
            sessions=self.session_dates,
            session_of_fill=self.session_of_fill,
        )

    @cached_property
    def order_events(self) -> pd.DataFrame:
        """Everything that happened to orders; see :func:`~aegis.backtesting.order_events.order_events`."""
        return order_events(
            self.order_records,
            self.fill_records,
            self.amendment_records,
            symbols=self.symbols,
            step_times_utc=self.step_times_utc,
        )

    @cached_property
    def round_trips(self) -> RoundTrips:
        """Trades and open lots as records; see :func:`~aegis.backtesting.trades.round_trips`."""
        pays = self.action_records.size > 0 and bool(np.isin(self.action_records["kind"], _PAYS_AT_MARK).any())
        return round_trips(
            self.fill_records,
            self.action_records,
            session_first_steps=self.session_first_steps,
            session_days=self.session_days,
            symbols=self.symbols,
            share_steps=np.full(len(self.symbols), self.lot_shares),
            marks_usd=self.session_marks_usd if pays else None,
            closes_usd=self.session_closes_usd if pays else None,
        )

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Every closed lot; see :func:`~aegis.backtesting.trades.trades_frame`."""
        return trades_frame(
            self.round_trips, self.fill_records, symbols=self.symbols, step_times_utc=self.step_times_utc
        )

    @cached_property
    def open_lots(self) -> pd.DataFrame:
        """Every lot still held; see :func:`~aegis.backtesting.trades.open_lots_frame`."""
        return open_lots_frame(
            self.round_trips,
            self.fill_records,
            symbols=self.symbols,
            step_times_utc=self.step_times_utc,
            marks_usd=self.position_records["mark"],
        )

    @cached_property
    def equity(self) -> pd.Series[float]:
        """Equity at the close of each step, USD, by time."""
        return pd.Series(self.equity_usd, index=self.step_times_utc, name="equity_usd")

    @cached_property
    def daily_equity(self) -> pd.Series[float]:
        """Equity when each session ended, USD, by session."""
        return pd.Series(self.equity_usd[self.session_first_steps[1:] - 1], index=self.session_dates, name="equity_usd")

    @cached_property
    def returns(self) -> pd.Series[float]:
        """Return of each session, 1/session; the first from the initial cash.

        Raises
        ------
        RiskError
            An equity is zero or less: from there on no return can be measured.
        """
        levels = np.concatenate(([self.initial_cash_usd], self.daily_equity.to_numpy()))
        return pd.Series(simple_returns(levels), index=self.session_dates, name="return_session")

    @cached_property
    def positions(self) -> pd.DataFrame:
        """Shares held when each session ended: sessions by symbols, from fills and corporate actions."""
        return pd.DataFrame(self.round_trips.positions_shares, index=self.session_dates, columns=list(self.symbols))

    @cached_property
    def session_closes_usd(self) -> FloatArray | None:
        """Last close of each symbol within each session, NaN without a bar: sessions x symbols; None without closes."""
        closes = self.closes
        if closes is None or len(closes) == len(self.session_days):
            return closes
        flat = np.ascontiguousarray(closes).reshape(-1)
        return session_closes(flat, session_first_steps=self.session_first_steps, n_symbols=len(self.symbols))

    @cached_property
    def session_marks_usd(self) -> FloatArray | None:
        """What each symbol was worth when each session ended: sessions by symbols; None without closes."""
        closes = self.session_closes_usd
        return None if closes is None else session_marks(closes, self.action_records, self.session_days)

    @cached_property
    def closes(self) -> FloatArray | None:
        """The closes that were given, of the steps or sessions that were simulated.

        Raises
        ------
        BacktestError
            They are neither one row a step nor one a session, or not one column a symbol.
        """
        closes = self.closes_usd() if callable(self.closes_usd) else self.closes_usd
        if closes is None:
            return None
        given = {len(self.closes_at): len(self.equity_usd), len(self.sessions) - 1: len(self.session_days)}
        given |= {len(self.equity_usd): len(self.equity_usd), len(self.session_days): len(self.session_days)}
        if closes.ndim != 2 or closes.shape[1] != len(self.symbols) or len(closes) not in given:  # noqa: PLR2004
            raise BacktestError(
                f"results: closes have shape {closes.shape}; pass one row for each of {len(self.equity_usd)} steps or "
                f"{len(self.session_days)} sessions and one column for each of {len(self.symbols)} symbols"
            )
        return closes[: given[len(closes)]]

    @cached_property
    def metrics(self) -> BacktestMetrics:
        """Every number; see :class:`~aegis.backtesting.backtest_metrics.BacktestMetrics`."""
        return backtest_metrics(
            session_equity_usd=self.daily_equity,
            initial_cash_usd=self.initial_cash_usd,
            order_count=len(self.order_records),
            fills=self.fill_records,
            session_of_fill=self.session_of_fill,
            account=self.account_record,
            trips=self.round_trips,
            last_marks_usd=self.position_records["mark"],
            session_marks_usd=self.session_marks_usd,
            risk_free_rate_annual=self.risk_free_rate_annual,
            sessions_per_year=self.sessions_per_year,
        )

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Return every answer as a frame, by name: orders, fills, trades, equity and so on.

        Of ``metrics``, indexed by name, numbers are in ``value`` and dates in ``date``.
        """
        by_step = pd.DataFrame({"equity_usd": self.equity, "cash_usd": self.cash_usd})
        return {
            "orders": self.orders,
            "fills": self.fills,
            "order_events": self.order_events,
            "trades": self.trades,
            "open_lots": self.open_lots,
            "equity": by_step,
            "sessions": by_step.iloc[self.session_first_steps[1:] - 1].set_index(self.session_dates),
            "positions": self.positions,
            "metrics": _metrics_frame(self.metrics),
        }

    def write_parquet(self, folder: Path | str) -> None:
        """Write the records and every frame of :meth:`to_frames` into a new folder.

        Parameters
        ----------
        folder : Path or str
            Must not exist, or be empty. It appears whole or not at all.

        Raises
        ------
        BacktestError
            The folder holds something, or cannot be written.

        Notes
        -----
        Of `closes_usd` the last close of each session is kept: enough for every answer but, where a session has several
        steps, :meth:`to_vectorbt`.
        """
        write_results(self, folder)

    @classmethod
    def read_parquet(cls, folder: Path | str) -> BacktestResults:
        """Return the results that :meth:`write_parquet` wrote.

        Raises
        ------
        BacktestError
            The folder holds no results, or those of another version of this format.
        """
        return cls(**read_fields(folder))

    def equals(self, other: BacktestResults) -> bool:
        """Return whether both are the same simulation with the same outcome, bit for bit; NaN equals NaN."""
        return same_fields(stored_fields(self), stored_fields(other))

    def to_vectorbt(self) -> vectorbt.Portfolio:
        """Return the fills as a portfolio of vectorbt; see :mod:`aegis.backtesting.vectorbt_portfolio`.

        Raises
        ------
        BacktestError
            Something happened that vectorbt has no word for.
        """
        return vectorbt_portfolio(self)


def _metrics_frame(metrics: BacktestMetrics) -> pd.DataFrame:
    """Return the numbers in ``value`` and the dates in ``date``, by metric; NaN and NaT where there is none."""
    found = metrics.as_series().rename_axis("metric")
    is_date = found.map(lambda each: isinstance(each, date))
    return pd.DataFrame({"value": found.mask(is_date).astype(np.float64), "date": pd.to_datetime(found.where(is_date))})
