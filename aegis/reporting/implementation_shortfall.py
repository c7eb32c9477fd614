"""What orders cost against the decision to trade: the rows of ``execution/implementation_shortfall``, and their sum.

Belongs here: from stored bars and the journal's orders to rows, and from rows to the figures of a report. What belongs
to an order is :mod:`aegis.execution.order_shortfalls`, the formula :mod:`aegis.execution.algorithms.shortfall_report`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_shortfalls import MarketPrices, OrderShortfall, order_shortfalls
from aegis.lake.tables import IMPLEMENTATION_SHORTFALL

_BPS = 10_000
_PARTS = ("delay_usd", "market_usd", "spread_usd", "fees_usd", "opportunity_usd")


@dataclass(frozen=True)
class ShortfallFigures:
    """What the orders of an account cost against the decision; positive is a cost.

    Parameters
    ----------
    order_count : int
        Orders that ended.
    delay_usd, market_usd, spread_usd, fees_usd, opportunity_usd : float
        As in :class:`aegis.execution.algorithms.shortfall_report.ShortfallReport`, summed.
    shortfall_usd : float
        Their sum.
    shortfall_bps : float
        Of what was decided, at its prices then.
    """

    order_count: int
    delay_usd: float
    market_usd: float
    spread_usd: float
    fees_usd: float
    opportunity_usd: float
    shortfall_usd: float
    shortfall_bps: float

    @property
    def impact_usd(self) -> float:
        """Return what trading cost between release and fills: market and spread."""
        return self.market_usd + self.spread_usd


def shortfall_figures(rows: pd.DataFrame) -> ShortfallFigures | None:
    """Return the sums over rows of ``execution/implementation_shortfall``; None where no order has ended."""
    if rows.empty:
        return None
    decided_usd = math.fsum((rows["ordered_shares"].abs() * rows["decision_price_usd"]).tolist())
    total_usd = math.fsum(rows["shortfall_usd"].tolist())
    return ShortfallFigures(
        order_count=len(rows),
        **{part: math.fsum(rows[part].tolist()) for part in _PARTS},
        shortfall_usd=total_usd,
        shortfall_bps=total_usd / decided_usd * _BPS,
    )


def shortfall_rows(rows: Iterable[JournalRow], bars: pd.DataFrame, actions: pd.DataFrame) -> pd.DataFrame:
    """Return the shortfall of every order of a journal that has ended, as ``execution/implementation_shortfall``.

    Parameters
    ----------
    rows : iterable of JournalRow
        See :func:`~aegis.execution.order_shortfalls.order_shortfalls`.
    bars, actions : DataFrame
        Rows of ``market_data/daily_bars`` and ``market_data/corporate_actions`` of the journal's sessions.

    Raises
    ------
    ExecutionError
        A child has no order, or an order filled more than it wanted.
    """
    found = order_shortfalls(rows, market_prices(bars, actions))
    frame = pd.DataFrame([_row(each) for each in found], columns=IMPLEMENTATION_SHORTFALL.column_names)
    return IMPLEMENTATION_SHORTFALL.conform(frame)


def market_prices(bars: pd.DataFrame, actions: pd.DataFrame) -> MarketPrices:
    """Return raw opens and closes by symbol and session, and splits."""
    cells = list(zip(bars["symbol"], bars["session"].dt.date, strict=True))
    split = actions[actions["action"] == "split"]
    splits: dict[str, dict[date, float]] = {}
    for symbol, day, ratio in zip(
        split["symbol"], split["session"].dt.date, split["split_ratio"].tolist(), strict=True
    ):
        splits.setdefault(symbol, {})[day] = ratio
    return MarketPrices(
        opens_usd=dict(zip(cells, bars["open_raw_usd"].tolist(), strict=True)),
        closes_usd=dict(zip(cells, bars["close_raw_usd"].tolist(), strict=True)),
        splits=splits,
    )


def _row(found: OrderShortfall) -> dict[str, object]:
    order, report = found.order, found.report
    return {
        "session": found.ended_in,
        "account": order.account,
        "client_order_id": order.client_order_id,
        "decision_id": order.decision_id,
        "symbol": order.symbol,
        "decision_session": order.session,
        "algorithm": order.algorithm,
        "ordered_shares": report.ordered_shares,
        "filled_shares": report.filled_shares,
        "fill_count": found.fill_count,
        "decision_price_usd": found.decision_price_usd,
        "release_price_usd": found.release_price_usd,
        "release_source": found.release_source,
        "final_price_usd": found.final_price_usd,
        "delay_usd": report.delay_usd,
        "market_usd": report.market_usd,
        "spread_usd": report.spread_usd,
        "fees_usd": report.fees_usd,
        "opportunity_usd": report.opportunity_usd,
        "shortfall_usd": report.total_usd,
        "shortfall_bps": report.total_bps,
    }
