"""The book of the report: exposure at each close, positions and sectors at the last one, and the last orders."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from aegis.reporting.report import ReportInputs

LARGEST_POSITIONS = 20
LAST_ORDERS = 20
LAST_REFUSED_ORDERS = 3
_UNLISTED = "Unlisted"


@dataclass(frozen=True)
class BookReview:
    """What is held at the last close, and what was decided last; columns as in the report."""

    positions: pd.DataFrame
    position_count: int
    sectors: pd.DataFrame
    last_orders: pd.DataFrame
    refused_orders: pd.DataFrame


def exposures(positions: pd.DataFrame) -> pd.DataFrame:
    """Return ``gross_exposure, net_exposure, position_count`` by session, for sessions with a position."""
    held = positions[positions["quantity_shares"] != 0.0]
    weights = held["weight"].groupby(held["session"])
    return pd.DataFrame(
        {
            "gross_exposure": held["weight"].abs().groupby(held["session"]).sum(),
            "net_exposure": weights.sum(),
            "position_count": weights.count(),
        }
    )


def book_review(inputs: ReportInputs) -> BookReview:
    """Return the book at the last session of ``account_values``.

    Notes
    -----
    A position is named by the latest listing that had begun by then: it outlives the listing's last session until it is
    closed. A symbol without one is shown as unlisted.
    """
    last = inputs.account_values["session"].iloc[-1]
    positions = inputs.positions
    now = positions[(positions["session"] == last) & (positions["quantity_shares"] != 0.0)]
    begun = inputs.listings[inputs.listings["first_session"] <= last].sort_values("first_session", kind="stable")
    names = begun.groupby("symbol")[["name", "sector"]].last()
    now = now.join(names, on="symbol").fillna({"name": "", "sector": _UNLISTED})
    order = now["weight"].abs().sort_values(ascending=False, kind="stable").index
    columns = [
        "symbol", "name", "sector", "quantity_shares", "mark_price_usd", "market_value_usd", "weight",
        "average_cost_usd", "unrealised_pnl_usd",
    ]  # fmt: skip
    sectors = now.groupby("sector").agg(
        position_count=("symbol", "count"), market_value_usd=("market_value_usd", "sum"), net_weight=("weight", "sum")
    )
    orders = inputs.orders.sort_values(["session", "symbol"], ascending=[False, True], kind="stable")
    return BookReview(
        positions=now.loc[order, columns].head(LARGEST_POSITIONS).reset_index(drop=True),
        position_count=len(now),
        sectors=sectors.sort_values("net_weight", ascending=False, kind="stable").reset_index(),
        last_orders=orders.head(LAST_ORDERS).reset_index(drop=True),
        refused_orders=orders[orders["gate_outcome"] == "refused"].head(LAST_REFUSED_ORDERS).reset_index(drop=True),
    )
