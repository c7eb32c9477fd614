"""The backtesting engine: one interface for all engines.

Belongs here: choosing the engine that the configuration names, what counts as data, and where the report comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_rows import bars_from_daily_bars, bars_from_frame
from aegis.backtesting.bars import Bars
from aegis.backtesting.corporate_events import CorporateEvent, events_from_lake
from aegis.backtesting.event_driven import AnyStrategy, EventDrivenBacktest
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.streaming import BarSource
from aegis.backtesting.vectorized import VectorizedBacktest
from aegis.backtesting.walk_forward import WalkForward, WalkForwardBacktest, WalkForwardResults
from aegis.calendars import TradingCalendar, trading_calendar
from aegis.config import AegisConfig
from aegis.errors import BacktestError
from aegis.reporting.backtest_report import write_backtest_report

Market = Bars | BarSource | pd.DataFrame
Actions = Sequence[CorporateEvent] | pd.DataFrame
Data = Market | tuple[Market, Actions]

_FOLDER: Final = Path("reports/backtest")
_EXCHANGE: Final = "XNYS"


class BacktestingEngine:
    """A strategy over data, by the engine that the configuration names.

    Parameters
    ----------
    strategy : TargetWeights, TargetShares, Signals, JittedStrategy, Strategy or WalkForward
        What decides; a WalkForward for the walk-forward engine, and for no other.
    data : Bars, BarSource, DataFrame, or one of them with its corporate actions
        A frame has one row for each bar: the columns of :func:`aegis.backtesting.bar_rows.bars_from_frame` or those of
        the lake's ``daily_bars``. Its sessions are those of an AegisConfig's calendar; without one, UTC days where it
        has times and the sessions of XNYS where it has dates. Actions are CorporateEvents or rows of the lake's
        ``corporate_actions``; they are added to the configuration's.
    config : BacktestConfig or AegisConfig, optional
        The defaults if not given.

    Raises
    ------
    BacktestError
        The engine cannot run this strategy on these data, or an argument is of another type.
    MalformedData
        The data cannot be bars.
    """

    def __init__(
        self,
        strategy: AnyStrategy | WalkForward,
        data: Data,
        config: BacktestConfig | AegisConfig | None = None,
    ) -> None:
        calendar = trading_calendar(config.market_data.calendar) if isinstance(config, AegisConfig) else None
        settings = _settings(config, calendar)
        market, actions = _market_and_actions(data)
        if isinstance(market, pd.DataFrame):
            market = _bars(market, calendar)
        settings = replace(settings, events=(*settings.events, *_events(actions)))
        self._folder = config.eval.reporting.storage_path / "backtest" if isinstance(config, AegisConfig) else _FOLDER
        self._backtest = _backtest(strategy, market, settings)
        self._walk: WalkForwardResults | None = None
        self._has_begun = False

    def run(self) -> BacktestResults:
        """Simulate and return what came of it; of a walk-forward the chained simulation.

        Raises
        ------
        StrategyFailed
            The strategy went wrong, with the bar's time; :meth:`get_results` returns what was done until then.
        BacktestError
            The engine came upon something that it cannot do, or it was run before.
        """
        self._has_begun = True
        done = self._backtest.run()
        if isinstance(done, WalkForwardResults):
            self._walk = done
            return done.chained
        return done

    def get_results(self) -> BacktestResults:
        """Return what was done so far: everything after :meth:`run`, less if the strategy failed.

        Raises
        ------
        BacktestError
            Nothing was simulated yet.
        """
        if not self._has_begun:
            raise BacktestError("the backtest has no results yet; run it first")
        return self._backtest.results()

    def get_walk_forward_results(self) -> WalkForwardResults:
        """Return the windows of a walk-forward, with parameters and metrics of each.

        Raises
        ------
        BacktestError
            No walk-forward came to its end.
        """
        if self._walk is None:
            raise BacktestError(
                "no walk-forward came to its end; run the engine with a WalkForward and engine='walk_forward'"
            )
        return self._walk

    def generate_report(
        self,
        folder: Path | str | None = None,
        formats: str | Iterable[str] = ("html",),
        *,
        benchmark_returns: pd.Series[float] | None = None,
    ) -> dict[str, Path]:
        """Write the report of the results and return the files by name.

        Parameters
        ----------
        folder : Path or str, optional
            Default is ``backtest`` in the configured folder of reports.
        formats : {"html", "pdf", "csv"} or iterable of them
        benchmark_returns : Series of float, by session, optional

        Raises
        ------
        BacktestError
            Nothing was simulated yet.
        ReportingError
            A format is unknown, or a file cannot be written.
        """
        return write_backtest_report(
            self.get_results(), folder or self._folder, formats, benchmark_returns=benchmark_returns
        )


def _settings(config: BacktestConfig | AegisConfig | None, calendar: TradingCalendar | None) -> BacktestConfig:
    if isinstance(config, AegisConfig) and calendar is not None:
        return BacktestConfig.from_settings(config, calendar)
    if config is None:
        return BacktestConfig()
    if isinstance(config, BacktestConfig):
        return config
    raise BacktestError(
        f"config is {type(config).__name__}, expected BacktestConfig, AegisConfig or None for the defaults; write "
        "BacktestConfig(...) with the settings by name"
    )


def _market_and_actions(data: Data) -> tuple[Market, Actions]:
    if not isinstance(data, tuple):
        return data, ()
    if len(data) != 2:  # noqa: PLR2004 - a pair
        raise BacktestError(f"data are a tuple of {len(data)}, expected (bars, corporate actions); pass the two")
    return data


def _bars(frame: pd.DataFrame, calendar: TradingCalendar | None) -> Bars:
    if "close_raw_usd" in frame:
        return bars_from_daily_bars(frame, calendar or trading_calendar(_EXCHANGE))
    if "time" in frame:
        return bars_from_frame(frame, sessions=calendar or "utc_days")
    return bars_from_frame(frame, sessions=calendar or trading_calendar(_EXCHANGE))


def _events(actions: Actions) -> Sequence[CorporateEvent]:
    if isinstance(actions, pd.DataFrame):
        return events_from_lake(actions)
    if isinstance(actions, Sequence) and all(isinstance(action, CorporateEvent) for action in actions):
        return actions
    raise BacktestError(
        f"corporate actions are {type(actions).__name__}, expected CorporateEvents in a list, or rows of the lake's "
        "corporate_actions in a DataFrame; pass one of them, or leave the actions out"
    )


def _backtest(
    strategy: AnyStrategy | WalkForward, market: Bars | BarSource, config: BacktestConfig
) -> EventDrivenBacktest | VectorizedBacktest | WalkForwardBacktest:
    walks = config.engine == "walk_forward"
    if walks != isinstance(strategy, WalkForward):
        raise BacktestError(
            f"the {config.engine} engine cannot run {type(strategy).__name__}; the walk_forward engine runs "
            "WalkForward(fit=..., splits=...), and the other engines run everything else"
        )
    if isinstance(strategy, WalkForward):
        return WalkForwardBacktest(strategy, market, config)
    engine = VectorizedBacktest if config.engine == "vectorized" else EventDrivenBacktest
    return engine(strategy, market, config)
