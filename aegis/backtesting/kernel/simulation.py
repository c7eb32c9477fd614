"""The kernel as a Python object: chunks of bars, and what the kernel's return codes mean.

Belongs here: the one door to the kernel from Python, but for its orders (:mod:`aegis.backtesting.kernel.order_entry`).
Strategies of every form and the simulated broker are driven through this class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel import records
from aegis.backtesting.kernel.codes import Stopped
from aegis.backtesting.kernel.feed_checks import check_indicators, check_targets, checked_column
from aegis.backtesting.kernel.order_entry import OrderEntry
from aegis.backtesting.kernel.record_memory import GROWING, GROWING_DTYPES, Records
from aegis.backtesting.kernel.stepping import NOBODY, advance, memory_missing
from aegis.backtesting.rules import TradingRules
from aegis.errors import BacktestError

MOST_ROOM: Final = 1 << 19
"""Orders that there is room for at first in a long history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What an array strategy wants to hold, at the closes at which it decides.

    Parameters
    ----------
    steps : ndarray of int64, shape (decisions,)
        Increasing steps of the chunk.
    values : ndarray of float64, shape (decisions, symbols)
        Weights of equity, or shares; NaN leaves a symbol as it is.
    are_weights : bool
        Which of the two.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    are_weights: bool = True


class Simulation(OrderEntry):
    """An account at the simulated venue, from its first bar on.

    Parameters
    ----------
    symbols : sequence of str
        Permanent symbols; their positions are their numbers.
    rules : TradingRules
        The venue's and the account's.
    costs : CostModel
        What fills, cash and borrowed shares cost.
    cash_usd : float
        To begin with.
    actions : ndarray of ACTION, optional
        Corporate actions of all chunks, in the order of their days.
    fee_rates : ndarray of FEE_RATE, optional
        Regulatory fees by effective day.
    tick_usd, borrow_rates : float or sequence of float
        For each symbol, or for all: smallest step of a price, 0 for none; fee on borrowed shares, a year, NaN for the
        rate of `costs`.
    parameters : sequence of float
        Numbers that a jitted strategy reads.
    memory_size : int
        Numbers that a jitted strategy may keep from one bar to the next.
    orders_per_step : int, optional
        The most orders that a strategy may place at one close, liquidations aside; three for each symbol and 64 if not
        given.
    capacity : int
        Orders that there is room for at first; it grows.

    Notes
    -----
    The records are reached by their addresses, so a Simulation is neither copied nor pickled.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        rules: TradingRules,
        costs: CostModel,
        cash_usd: float,
        actions: Records | None = None,
        fee_rates: Records | None = None,
        tick_usd: float | Sequence[float] = 0.0,
        borrow_rates: float | Sequence[float] = np.nan,
        parameters: Sequence[float] | NDArray[np.float64] = (),
        memory_size: int = 0,
        orders_per_step: int | None = None,
        capacity: int = MOST_ROOM,
    ) -> None:
        super().__init__()
        self.symbols = tuple(symbols)
        self.rules, self.costs, self.cash_usd = rules, costs, cash_usd
        n = len(self.symbols)
        self.actions = np.zeros(0, dtype=records.ACTION) if actions is None else actions
        self._own("account", np.zeros(1, dtype=records.ACCOUNT))
        self._own("cursor", np.zeros(1, dtype=records.CURSOR))
        self._own("rules", rules.pack())
        self._own("costs", costs.pack())
        self._own("positions", np.zeros(n, dtype=records.POSITION))
        self._own("symbols", np.zeros(n, dtype=records.SYMBOL))
        self._own("actions", self.actions, count="n_actions")
        self._own("fee_rates", np.zeros(0, records.FEE_RATE) if fee_rates is None else fee_rates, count="n_fee_rates")
        self.set_parameters(parameters, memory_size=memory_size)
        per_step = 3 * n + 64 if orders_per_step is None else orders_per_step
        self._header["n_symbols"] = n
        self._header["orders_per_step"] = per_step
        for name in GROWING_DTYPES:
            self._reserve(name, max(capacity, 2 * (per_step + n)))
        self.account, self.cursor = self._keep["account"][0], self._keep["cursor"][0]
        self.account["cash"] = self.account["equity_now"] = cash_usd
        self.cursor["session"] = self.cursor["step"] = -1
        self._keep["positions"]["mark"] = np.nan
        terms = self._keep["symbols"]
        terms["lot"], terms["tick"], terms["borrow_rate"] = rules.lot_shares, tick_usd, borrow_rates
        terms["first_order"] = terms["last_order"] = records.NO_ORDER
        self._bars: Bars | None = None
        self.beginning: list[NDArray[np.int64]] = []

    def feed(
        self,
        bars: Bars,
        *,
        targets: Targets | None = None,
        indicators: NDArray[np.float64] | None = None,
        sigma_daily: NDArray[np.float64] | None = None,
        adv_shares: NDArray[np.float64] | None = None,
        warm_up_sessions: int = 0,
    ) -> None:
        """Give the simulation its next bars, after it has used up those of before.

        Parameters
        ----------
        bars : Bars
            Whole sessions, with the symbols of the simulation.
        targets : Targets, optional
            What to hold.
        indicators : ndarray of float64, shape (indicators, n_rows), optional
            Columns beside the bars that a strategy may read up to the current bar.
        sigma_daily, adv_shares : ndarray of float64, shape (n_rows,), optional
            Daily volatility and average daily volume, trailing and excluding the bar's own session.
        warm_up_sessions : int
            Leading sessions of `bars` that were simulated before and are there for history only.

        Raises
        ------
        BacktestError
            Other symbols, arrays of another shape, or bars of before that were not used up.
        """
        self._check_feed(bars)
        self._check_decisions(targets, indicators, len(bars.close))
        header, cursor = self._header, self.cursor
        done = int(cursor["step"]) + 1
        first = int(bars.sessions["first_step"][warm_up_sessions])
        self._bars = bars
        for name in ("open", "high", "low", "close", "volume", "closes_at", "sessions"):
            self._own(name, getattr(bars, name))
        for name in ("opens_at", "row_symbol", "first_row", "row_opens_at"):
            self._own_optional(name, getattr(bars, name))
        for name, column in (("sigma", sigma_daily), ("adv", adv_shares)):
            self._own_optional(name, checked_column(name, column, len(bars.close)))
        header["bar_interval"] = bars.bar_interval
        header["n_steps"], header["n_rows"] = len(bars.closes_at), len(bars.close)
        header["n_sessions"] = len(bars.sessions) - 1
        self._own("equity", np.empty(len(bars.closes_at)))
        self._own("cash", np.empty(len(bars.closes_at)))
        cursor["steps_before"] += done - first
        cursor["step"] = first - 1
        cursor["next_session_step"] = first
        cursor["chunk_session"] = warm_up_sessions
        self.beginning = [words.copy() for words in self.state] if done == first == 0 else []
        self._set_decisions(targets, indicators, first)

    def restart(
        self,
        *,
        targets: Targets | None = None,
        indicators: NDArray[np.float64] | None = None,
        parameters: Sequence[float] | NDArray[np.float64] = (),
        memory_size: int = 0,
    ) -> None:
        """Go back to before the first of the bars that were fed, for other decisions about them.

        Parameters
        ----------
        targets, indicators
            As for :meth:`feed`.
        parameters, memory_size
            As for the simulation.

        Raises
        ------
        BacktestError
            No bars were fed, or these are not the first; or arrays of another shape.

        Notes
        -----
        The records begin anew in the memory that they have: views of those of before show what comes.
        """
        if self._bars is None or not self.beginning:
            raise BacktestError("only a simulation whose first bars are its only ones can begin again; make a new one")
        self._check_decisions(targets, indicators, len(self._bars.close))
        for words, before in zip(self.state, self.beginning, strict=True):
            words[:] = before
        self.set_parameters(parameters, memory_size=memory_size)
        self._set_decisions(targets, indicators, first_step=0)

    def set_parameters(self, parameters: Sequence[float] | NDArray[np.float64], *, memory_size: int) -> None:
        """Give a jitted strategy its numbers, and a memory that is empty."""
        self._own("parameters", np.ascontiguousarray(parameters, dtype=np.float64), count="n_parameters")
        self._own("memory", np.zeros(memory_size), count="n_memory")

    def feed_bar(
        self,
        columns: NDArray[np.float64],
        *,
        opens_at: int,
        closes_at: int,
        day: int,
        opens_session: bool = True,
        closes_session: bool = True,
    ) -> None:
        """Give the simulation its next step, in which each symbol has one bar or none.

        Parameters
        ----------
        columns : ndarray of float64, shape (5, symbols)
            Open, high, low, close, USD; volume, shares. A missing bar is NaN. They were checked where they come from.
        opens_at, closes_at : int
            When the bars open and close: nanoseconds since 1970 in UTC.
        day : int
            The session: whole days since 1970.
        opens_session, closes_session : bool
            Whether it is the first step of its session, and the last.
        """
        for name, column in zip(("open", "high", "low", "close", "volume"), columns, strict=True):
            self._own(name, column)
        self._own("opens_at", np.array([opens_at]))
        self._own("closes_at", np.array([closes_at]))
        following = 1 if closes_session else 2
        self._own("sessions", np.array([(0, day), (following, day + 1)], dtype=records.SESSION))
        self._own("equity", np.empty(1))
        self._own("cash", np.empty(1))
        header, cursor = self._header, self.cursor
        header["n_steps"] = header["n_sessions"] = 1
        header["n_rows"] = len(self.symbols)
        cursor["steps_before"] += cursor["step"] + 1
        cursor["step"] = cursor["chunk_session"] = 0
        cursor["next_session_step"] = 0 if opens_session else following

    def set_fee_rates(self, fee_rates: Records) -> None:
        """Replace the regulatory fees, for the days of the bars that are fed next."""
        self._own("fee_rates", fee_rates, count="n_fee_rates")
        self.cursor["fee_rate"] = 0

    def advance(self, until_step: int | None = None, *, on_bar: Any = None) -> None:
        """Take the steps of the chunk before `until_step`, all of them if it is not given.

        Parameters
        ----------
        until_step : int, optional
            Step of the chunk.
        on_bar : compiled function, optional
            A jitted strategy, called at each close.

        Raises
        ------
        StrategyFailed
            The strategy asked for what cannot be; everything until then stays readable.
        """
        if self._bars is None:
            raise BacktestError("the simulation has no bars; feed it before it advances")
        until = int(self._header["n_steps"]) if until_step is None else until_step
        strategy = NOBODY if on_bar is None else int(on_bar.address)
        stopped = advance(self.handle, until, strategy)
        while stopped in GROWING:
            self._grow(Stopped(stopped))
            stopped = advance(self.handle, until, strategy)
        if stopped == Stopped.STRATEGY_ERROR:
            self.raise_fault()

    def make_room(self) -> None:
        """Let the records grow until the current step cannot overflow them, for a step that is taken part by part."""
        while (missing := Stopped(memory_missing(self.handle, int(self.cursor["step"])))) in GROWING:
            self._grow(missing)

    @property
    def equity(self) -> NDArray[np.float64]:
        """Equity at the steps taken of this chunk, USD."""
        return self._keep["equity"][: self.cursor["step"] + 1]

    @property
    def cash(self) -> NDArray[np.float64]:
        """Cash at the steps taken of this chunk, USD."""
        return self._keep["cash"][: self.cursor["step"] + 1]

    def _set_decisions(self, targets: Targets | None, indicators: NDArray[np.float64] | None, first_step: int) -> None:
        """Give the simulation what is decided or known beside its bars, and was checked."""
        header = self._header
        table = None if indicators is None else np.ascontiguousarray(indicators, dtype=np.float64)
        self._own_optional("indicators", table)
        header["n_indicators"] = 0 if indicators is None else len(indicators)
        self._own_optional("targets", None if targets is None else np.ascontiguousarray(targets.values, np.float64))
        if targets is None:
            header["n_targets"] = 0
            return
        self._own("target_steps", np.ascontiguousarray(targets.steps, np.int64), count="n_targets")
        header["targets_are_weights"] = targets.are_weights
        self.cursor["target"] = targets.steps.searchsorted(first_step)

    def _check_decisions(self, targets: Targets | None, indicators: NDArray[np.float64] | None, n_rows: int) -> None:
        """Refuse arrays of another shape before anything is changed."""
        if targets is not None:
            check_targets(targets.steps, targets.values, len(self.symbols))
        if indicators is not None:
            check_indicators(indicators, n_rows)

    def _check_feed(self, bars: Bars) -> None:
        if bars.symbols != self.symbols:
            raise BacktestError(
                f"the bars are of {len(bars.symbols)} symbols ({', '.join(bars.symbols[:3])}, …), the simulation of "
                f"{len(self.symbols)} ({', '.join(self.symbols[:3])}, …); feed the same symbols in one order"
            )
        if self._bars is not None and self.cursor["step"] + 1 < self._header["n_steps"]:
            raise BacktestError(f"{self.now_utc:%Y-%m-%d %H:%M}Z: the bars of before are not used up; advance first")
