"""The vectorised engine: vectorbt simulates an array strategy under the kernel's conventions.

Belongs here: what is handed to vectorbt, what is refused because vectorbt cannot do it, and the results in the form of
the other engines. It is the cross-check of the kernel: prices with slippage, commissions, cash and positions are
vectorbt's own (:mod:`aegis.backtesting.vectorbt_orders`), and both agree to 1e-9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.array_strategies import refuse_rows_of_other_times
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import Bps
from aegis.backtesting.event_driven import AnyStrategy, ArrayStrategy, refuse_second_run
from aegis.backtesting.financing import Financing
from aegis.backtesting.kernel.codes import OrderType, Pass, Reason, TimeInForce
from aegis.backtesting.kernel.records import ACTION, AMENDMENT, NEVER, NO_ORDER, ORDER
from aegis.backtesting.kernel.simulation import Targets
from aegis.backtesting.market_impact import NoImpact
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.session_marks import session_closes
from aegis.backtesting.slippage import BASIS_POINT, FixedBps, NoSlippage
from aegis.backtesting.streaming import BarSource
from aegis.backtesting.vectorized_records import account_after, fills_of, positions_after
from aegis.errors import BacktestError

if TYPE_CHECKING:
    import vectorbt

    from aegis.backtesting.vectorbt_orders import Book, Market

_PASSES: Final = {
    OrderType.MARKET: (Pass.OPEN_SELL, Pass.OPEN_BUY),
    OrderType.BAR_AVERAGE: (Pass.AVERAGE_SELL, Pass.AVERAGE_BUY),
    OrderType.MARKET_ON_CLOSE: (Pass.CLOSE_SELL, Pass.CLOSE_BUY),
}


class VectorizedBacktest:
    """An array strategy, bars and settings, to be run once by vectorbt.

    Parameters
    ----------
    strategy : TargetWeights, TargetShares or Signals
        What to hold; nothing may be sold short.
    source : Bars
        Dense, and all in memory.
    config : BacktestConfig
        A cash account that settles at once, slippage of none or fixed basis points, commissions in basis points.

    Raises
    ------
    BacktestError
        The strategy or a setting is one that vectorbt cannot do; the message names it and the remedy.

    Notes
    -----
    A decision at the close of step i executes in step i + 1: at its open, at its average or at the session's close, as
    ``rules.target_orders`` says, sales before purchases. Quantities come from equity and close of the decision. A
    participation cap is allowed as long as no order is above it. Prices, quantities and equity are the kernel's to
    1e-9; only where fractional shares meet the end of the cash does rounding decide over single lots of 1e-6 shares.

    References
    ----------
    vectorbt 1.0, ``Portfolio.from_order_func`` with a flexible order function.
    """

    def __init__(self, strategy: AnyStrategy, source: Bars | BarSource, config: BacktestConfig) -> None:
        if not isinstance(strategy, ArrayStrategy):
            raise _refusal(
                f"{type(strategy).__name__} decides during the run", "pass TargetWeights, TargetShares or Signals"
            )
        if not isinstance(source, Bars) or not source.is_dense:
            raise _refusal(f"{type(source).__name__} is not dense bars in memory", "build Bars with layout='dense'")
        _refuse_settings(config)
        self._strategy: ArrayStrategy = strategy
        self._bars, self._config = source, config
        self._portfolio: vectorbt.Portfolio | None = None
        self._done: BacktestResults | None = None
        self._has_begun = False

    def run(self) -> BacktestResults:
        """Simulate all bars.

        Raises
        ------
        BacktestError
            The targets hold a short position, no number, or an order that vectorbt cannot work as the kernel would;
            or it was run before.
        """
        refuse_second_run(has_begun=self._has_begun)
        self._has_begun = True
        bars, config = self._bars, self._config
        from aegis.backtesting import vectorbt_orders as callbacks  # noqa: PLC0415 - vectorbt takes three seconds

        targets = self._strategy.targets(bars.n_steps, bars.symbols)
        refuse_rows_of_other_times(self._strategy, bars, first_row=0)
        self._refuse_targets(targets)
        market = self._market(targets)
        book = self._empty_book(int(np.count_nonzero(~np.isnan(targets.values))))
        slippage = config.costs.slippage_bps * BASIS_POINT
        on_close = config.rules.target_order_code is OrderType.MARKET_ON_CLOSE
        terms = callbacks.Terms(
            are_weights=targets.are_weights,
            slippage=slippage,
            commission=config.costs.commission_bps * BASIS_POINT,
            lot=config.rules.lot_shares,
            participation_rate=config.rules.participation_rate,
            expiry_reason=int(Reason.MISSED_AUCTION if on_close else Reason.END_OF_SESSION),
        )
        portfolio = _simulate(bars, config, (market, terms, book))
        self._refuse_fault(book)
        self._portfolio = portfolio
        self._done = self._results_of(portfolio, market, book)
        return self._done

    def results(self) -> BacktestResults:
        """Return the results of the run.

        Raises
        ------
        BacktestError
            It was not run to its end.
        """
        if self._done is None:
            raise BacktestError("the vectorized backtest has no results yet; run it first")
        return self._done

    @property
    def portfolio(self) -> vectorbt.Portfolio:
        """The portfolio that vectorbt simulated, for its statistics and its plots.

        Raises
        ------
        BacktestError
            It was not run yet.
        """
        if self._portfolio is None:
            raise BacktestError("the vectorized backtest has no portfolio yet; run it first")
        return self._portfolio

    def _refuse_targets(self, targets: Targets) -> None:
        lot = self._config.rules.lot_shares
        values = np.asarray(targets.values)
        lots = values / lot
        wrong = np.isinf(values) | (values < 0.0)
        if not targets.are_weights:
            wrong |= np.abs(lots - np.round(lots)) > 1e-9 * np.maximum(1.0, np.abs(lots))
        if wrong.any():
            row, symbol = np.argwhere(wrong)[0]
            raise _refusal(
                f"{self._place(int(targets.steps[row]), int(symbol))}: the target {values[row, symbol]:g} is short, no "
                f"number, or no multiple of {lot:g} shares",
                "hold zero or more whole lots, or use the event_driven engine, which refuses or rejects order by order",
            )

    def _market(self, targets: Targets) -> Market:
        from aegis.backtesting.vectorbt_orders import Market  # noqa: PLC0415 - as above

        bars, kind = self._bars, self._config.rules.target_order_code
        shape = (bars.n_steps, len(bars.symbols))
        opened, high, low, close, volume = (column.reshape(shape) for column in bars.columns)
        first_steps = bars.sessions["first_step"]
        ends = np.zeros(bars.n_steps, dtype=np.bool_)
        ends[first_steps[1:] - 1] = True
        executes = (volume > 0.0) & ~np.isnan(close)
        reference = opened
        if kind is OrderType.BAR_AVERAGE:
            reference = (opened + high + low + close) / 4.0
        elif kind is OrderType.MARKET_ON_CLOSE:
            reference = close
            executes &= ends[:, np.newaxis]
        decision = np.full(bars.n_steps, -1, dtype=np.int64)
        decision[targets.steps] = np.arange(len(targets.steps))
        return Market(
            reference=reference,
            executes=executes,
            volume=volume,
            marks=pd.DataFrame(close).ffill().to_numpy(np.float64),
            session=np.repeat(np.arange(len(first_steps) - 1), np.diff(first_steps)),
            ends_session=ends,
            decision=decision,
            targets=np.ascontiguousarray(targets.values),
        )

    def _empty_book(self, decisions: int) -> Book:
        from aegis.backtesting.vectorbt_orders import Book  # noqa: PLC0415 - as above

        kind = self._config.rules.target_order_code
        orders: NDArray[Any] = np.zeros(decisions, dtype=ORDER)
        for name in ("limit", "stop", "trail", "watermark"):
            orders[name] = np.nan
        for name in ("next", "previous", "parent", "sibling", "child"):
            orders[name] = NO_ORDER
        orders["triggered_step"] = orders["closed_step"] = -1
        orders["expires"] = NEVER
        orders["type"] = kind
        orders["time_in_force"] = TimeInForce.CLS if kind is OrderType.MARKET_ON_CLOSE else TimeInForce.DAY
        return Book(
            orders=orders,
            open_order=np.full(len(self._bars.symbols), -1, dtype=np.int64),
            fill_order=np.zeros(decisions, dtype=np.int64),
            equity=np.zeros(self._bars.n_steps),
            cash=np.zeros(self._bars.n_steps),
            counts=np.zeros(3, dtype=np.int64),
            fault=np.zeros(3, dtype=np.int64),
        )

    def _refuse_fault(self, book: Book) -> None:
        from aegis.backtesting.vectorbt_orders import ABOVE_CAP, STILL_OPEN  # noqa: PLC0415 - as above

        fault, step, symbol = book.fault.tolist()
        if fault == 0:
            return
        found = "vectorbt did not execute an order"
        remedy = "use the event_driven engine, and report the bars"
        if fault == ABOVE_CAP:
            found = f"an order is above {self._config.rules.participation_rate:g} of the bar's volume"
            remedy = "set participation_rate to infinity, trade less, or use the event_driven engine for partial fills"
        elif fault == STILL_OPEN:
            found = "another target is decided while an order still waits for a bar"
            remedy = "leave the symbol at NaN until it trades, or use the event_driven engine"
        raise _refusal(f"{self._place(step, symbol)}: {found}", remedy)

    def _place(self, step: int, symbol: int) -> str:
        at = np.datetime64(int(self._bars.closes_at[step]), "ns").astype("datetime64[s]")
        return f"{self._bars.symbols[symbol]} {at}Z"

    def _results_of(self, portfolio: vectorbt.Portfolio, market: Market, book: Book) -> BacktestResults:
        bars, config = self._bars, self._config
        orders = book.orders[: book.counts[0]]
        orders["active_from"] = bars.closes_at[orders["submitted_step"]]
        orders["in_book"] = orders["closed_step"] < 0
        passes = _PASSES[config.rules.target_order_code]
        fills = fills_of(portfolio, market, book, passes)
        positions = positions_after(fills, market.marks[-1])
        shape = (bars.n_steps, len(bars.symbols))
        return BacktestResults(
            strategy=type(self._strategy).__name__,
            source=config.source,
            is_simulated=config.is_simulated,
            symbols=bars.symbols,
            closes_at=bars.closes_at,
            sessions=bars.sessions,
            initial_cash_usd=config.initial_cash_usd,
            equity_usd=book.equity,
            cash_usd=book.cash,
            order_records=orders,
            fill_records=fills,
            amendment_records=np.zeros(0, dtype=AMENDMENT),
            action_records=np.zeros(0, dtype=ACTION),
            position_records=positions,
            account_record=account_after(fills, positions, book),
            lot_shares=config.rules.lot_shares,
            closes_usd=lambda: session_closes(
                bars.close, session_first_steps=bars.sessions["first_step"], n_symbols=shape[1]
            ),
            price_mode=bars.price_mode,
            settings=config.described("vectorized"),
            risk_free_rate_annual=config.risk_free_rate,
            sessions_per_year=config.sessions_per_year,
        )


def _simulate(bars: Bars, config: BacktestConfig, shared: tuple[Any, ...]) -> vectorbt.Portfolio:
    import vectorbt as vbt  # noqa: PLC0415 - three seconds

    from aegis.backtesting.vectorbt_orders import after_order, after_row, next_order  # noqa: PLC0415 - as above

    times = pd.DatetimeIndex(bars.closes_at, tz="UTC", name="at_utc")
    close = pd.DataFrame(bars.close.reshape(bars.n_steps, -1), index=times, columns=list(bars.symbols))
    return vbt.Portfolio.from_order_func(
        close,
        next_order,
        *shared,
        flexible=True,
        post_order_func_nb=after_order,
        post_order_args=shared[-1:],
        post_segment_func_nb=after_row,
        post_segment_args=shared,
        call_post_segment=True,
        init_cash=config.initial_cash_usd,
        cash_sharing=True,
        group_by=True,
        max_orders=max(len(shared[-1].orders), 1),
        fill_pos_record=False,
    )


def _refuse_settings(config: BacktestConfig) -> None:
    """Refuse the first setting that vectorbt cannot do."""
    rules, costs = config.rules, config.costs
    knows_slippage = isinstance(costs.slippage, NoSlippage | FixedBps) and not costs.slippage_within_bar
    for cannot, found, remedy in (
        (rules.account_type != "cash", f"a {rules.account_type} account", "set account_type to 'cash'"),
        (rules.settlement_sessions > 0, "sales that settle later", "set settlement_sessions to 0"),
        (rules.min_notional_usd > 0, "a least order value", "set min_notional_usd to 0"),
        (rules.reject_unaffordable, "orders rejected as a whole", "set reject_unaffordable to False"),
        (bool(config.events), "corporate events", "use adjusted prices without events"),
        (not knows_slippage, f"slippage of {costs.slippage!r}", "set none or fixed basis points, not within the bar"),
        (costs.impact != NoImpact(), f"market impact of {costs.impact!r}", "set none"),
        (not isinstance(costs.commission, Bps), f"commissions of {costs.commission!r}", "set basis points"),
        (costs.financing != Financing(), "interest and borrow fees", "leave costs.financing out"),
        (costs.regulatory_fees, "regulatory fees", "set regulatory_fees to False"),
        (config.sessions_per_chunk is not None, "bars in chunks", "leave sessions_per_chunk out"),
    ):
        if cannot:
            raise _refusal(f"it cannot simulate {found}", remedy)


def _refusal(found: str, remedy: str) -> BacktestError:
    return BacktestError(f"vectorized engine: {found}; {remedy}, or use the event_driven engine")
