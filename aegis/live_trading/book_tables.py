"""The session loop's outcomes as rows of the book's tables.

Belongs here: one function for each table. Nothing is computed that the outcome does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from aegis.execution.orders import Fill, Order
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.live_trading.book_state import state_hash
from aegis.live_trading.session_outcome import SessionOutcome

Rows = Iterator[dict[str, Any]]


def book_tables(outcomes: Sequence[SessionOutcome]) -> dict[TableSchema, pd.DataFrame]:
    """Return each table of the book with the rows of `outcomes`.

    Parameters
    ----------
    outcomes : sequence of SessionOutcome
        Of one account.

    Returns
    -------
    dict of TableSchema to DataFrame
        Every table of :data:`aegis.lake.tables.BOOK_TABLES`, conforming to it.
    """
    makers = {
        tables.FILLS: _fills,
        tables.POSITIONS: _positions,
        tables.ACCOUNT_VALUES: _account_values,
        tables.DAILY_PNL: _daily_pnl,
        tables.TARGET_WEIGHTS: _target_weights,
        tables.RISK_REPORT: _risk_report,
        tables.PRE_TRADE_GATE: _pre_trade_gate,
        tables.ORDERS: _orders,
        tables.BOOK_STATES: _book_states,
    }
    frames = {}
    for table, rows_of in makers.items():
        rows = [row for outcome in outcomes for row in rows_of(outcome)]
        frame = pd.DataFrame.from_records(rows, columns=table.column_names) if rows else table.empty()
        frames[table] = table.conform(frame)
    return frames


def _stamp(outcome: SessionOutcome) -> dict[str, Any]:
    return {"session": outcome.inputs.session, "account": outcome.state.account.account}


def _known(outcome: SessionOutcome) -> dict[str, Any]:
    return {**_stamp(outcome), "known_at_utc": outcome.decided_at_utc}


def _fills(outcome: SessionOutcome) -> Rows:
    for fill in outcome.fills:
        yield _fields(fill)


def _positions(outcome: SessionOutcome) -> Rows:
    account = outcome.state.account
    for position in account.positions:
        yield {
            **_stamp(outcome),
            "symbol": position.symbol,
            "quantity_shares": position.quantity_shares,
            "mark_price_usd": position.mark_price_usd,
            "mark_session": position.mark_session,
            "market_value_usd": position.market_value_usd,
            "average_cost_usd": position.average_cost_usd,
            "unrealised_pnl_usd": position.unrealised_pnl_usd,
            "weight": position.market_value_usd / account.equity_usd,
        }


def _account_values(outcome: SessionOutcome) -> Rows:
    account = outcome.state.account
    equity = account.equity_usd
    yield {
        **_stamp(outcome),
        "cash_usd": account.cash_usd,
        "dividends_receivable_usd": account.receivables_usd,
        "positions_value_usd": account.positions_value_usd,
        "equity_usd": equity,
        "peak_equity_usd": outcome.state.peak_equity_usd,
        "drawdown": equity / outcome.state.peak_equity_usd - 1.0,
        "benchmark_level": outcome.state.benchmark_level,
    }


def _daily_pnl(outcome: SessionOutcome) -> Rows:
    yield {**_stamp(outcome), **asdict(outcome.pnl), "benchmark_return_daily": outcome.inputs.benchmark_return}


def _target_weights(outcome: SessionOutcome) -> Rows:
    for target in outcome.targets:
        yield {**_known(outcome), **asdict(target)}


def _risk_report(outcome: SessionOutcome) -> Rows:
    yield {**outcome.risk.row(), "known_at_utc": outcome.decided_at_utc}


def _pre_trade_gate(outcome: SessionOutcome) -> Rows:
    for row in outcome.verdict.rows:
        yield {**row.row(), "known_at_utc": outcome.decided_at_utc}


def _orders(outcome: SessionOutcome) -> Rows:
    """Yield the committed orders; a decision that was refused as a whole commits none."""
    for decision in outcome.earlier:
        yield from _rows_of(outcome, decision.approved, decision.refused, decision.refusals, decision.input_snapshot_id)
    commit = outcome.commit
    if not commit.is_refused:
        yield from _rows_of(outcome, commit.orders, commit.refused_orders, commit.refusals, commit.input_snapshot_id)


def _rows_of(
    outcome: SessionOutcome,
    approved: Sequence[Order],
    refused: Sequence[Order],
    refusals: Mapping[str, str],
    snapshot_id: int | None,
) -> Rows:
    told = [(order, "approved", order.reason) for order in approved]
    told += [(order, "refused", refusals[order.client_order_id]) for order in refused]
    own = outcome.decision.decision_id
    for order, gate_outcome, reason in told:
        yield {
            **_fields(order),
            "gate_outcome": gate_outcome,
            "reason": reason,
            "input_snapshot_id": snapshot_id,
            "known_at_utc": outcome.decided_at_utc if order.decision_id == own else outcome.inputs.decided_at_utc,
        }


def _book_states(outcome: SessionOutcome) -> Rows:
    state_json = outcome.state.to_json()
    yield {**_stamp(outcome), "state_json": state_json, "state_hash": state_hash(state_json)}


def _fields(value: Order | Fill) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
