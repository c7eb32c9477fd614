"""The journal's order events and executions as rows that a regulator, an auditor or a broker's back office reads.

Belongs here: which columns a row has and how an event becomes one. Files and their manifest are
:mod:`aegis.compliance.export_files`, comparing a file with the journal :mod:`aegis.compliance.export_verification`.

Notes
-----
One row for each event of an order: intent, verdict of the gate, submission, acknowledgement, changes, executions, end.
The orders that a worked order was sent as are orders of their own. What is no event of an order has no row: where a
worked order stood in between, and the figures behind the exit door's verdict.

The terms in a row are those that the order had with the event. ``record_hash`` is the event's hash in the journal's
chain, which covers every column here and the event before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

from aegis.errors import ComplianceError
from aegis.execution.decisions import ASIDES, INTENTS
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_projections import order_event
from aegis.execution.order_records import order_from_record
from aegis.execution.orders import Fill, Order, OrderEventKind

Cell = str | int | float | None
CellKind = Literal["text", "integer", "float"]

_CHANGING = frozenset(
    {
        OrderEventKind.ADJUSTED,
        OrderEventKind.RESCALED,
        OrderEventKind.REPLACED,
        OrderEventKind.REDUCED,
        OrderEventKind.RELEASED,
    }
)


class ExportColumn(NamedTuple):
    """One column of an export; its description stands in the manifest."""

    name: str
    kind: CellKind
    description: str


COLUMNS: tuple[ExportColumn, ...] = (
    ExportColumn("account", "text", "Account of the order."),
    ExportColumn("sequence", "integer", "Place of the event in the account's journal."),
    ExportColumn(
        "event", "text", "What happened: 'intent recorded', 'child recorded', 'approved', 'submitted', 'filled', ..."
    ),
    ExportColumn("session", "text", "Session in which it was booked, ISO 8601."),
    ExportColumn("at_utc", "text", "When, ISO 8601, UTC, microseconds."),
    ExportColumn("decision_id", "text", "Committed decision that the order belongs to."),
    ExportColumn("client_order_id", "text", "The order."),
    ExportColumn("symbol", "text", "Permanent symbol of the instrument."),
    ExportColumn("ticker", "text", "Symbol that it traded under."),
    ExportColumn("side", "text", "'buy' or 'sell'."),
    ExportColumn("order_quantity_shares", "float", "All of the order, without sign."),
    ExportColumn("order_type", "text", "'market', 'limit', 'stop', ..."),
    ExportColumn("time_in_force", "text", "'DAY', 'GTC', ..."),
    ExportColumn("limit_price_usd", "float", "Worst price that it takes; empty without one."),
    ExportColumn("stop_price_usd", "float", "Price that triggers it; empty without one."),
    ExportColumn("algorithm", "text", "How it is worked."),
    ExportColumn("execution_session", "text", "First session in which it may execute, ISO 8601."),
    ExportColumn("fill_number", "integer", "1 for the order's first execution; empty for other events."),
    ExportColumn("execution_id", "text", "The venue's name of the execution."),
    ExportColumn("executed_quantity_shares", "float", "Of this execution, without sign; empty for other events."),
    ExportColumn("execution_price_usd", "float", "Per share; empty for other events."),
    ExportColumn("commission_usd", "float", "Commission and fees of this execution; empty for other events."),
    ExportColumn("reason", "text", "Why, in the journal's words; empty where the event says it all."),
    ExportColumn("record_hash", "text", "SHA-256 of the journal's record, chained to the one before."),
)
COLUMN_NAMES = tuple(column.name for column in COLUMNS)
SEQUENCE_AT, HASH_AT = COLUMN_NAMES.index("sequence"), COLUMN_NAMES.index("record_hash")

ExportRow = tuple[Cell, ...]
"""Values in the order of :data:`COLUMNS`."""


@dataclass(slots=True)
class _OrdersSoFar:
    """Terms that each order had last."""

    terms: dict[str, Order] = field(default_factory=dict)

    def row(self, record: JournalRow) -> ExportRow:
        name = str(record.client_order_id)
        if record.kind in INTENTS:
            order = order_from_record(record.payload["order"])
            self.terms[name] = order
            return _row(record, order, None, order.reason)
        event = order_event(record)
        known = self.terms.get(name)
        if known is None:
            raise ComplianceError(
                f"journal of {record.account}: event {record.sequence} ('{record.kind}') is of order {name}, whose "
                "intent is not among the events before it; `aegis audit verify`, then restore the journal from a backup"
            )
        if event.order is not None and event.kind in _CHANGING:
            self.terms[name] = event.order
        return _row(record, event.order or known, event.fill, event.reason)


def export_rows(
    records: Iterable[JournalRow], *, first: date | None = None, last: date | None = None
) -> list[ExportRow]:
    """Return a row for each order event, in the order of the journal.

    Parameters
    ----------
    records : iterable of JournalRow
        From the journal's first event on, by ascending sequence; an order's terms stand with its intent.
    first, last : date, optional
        Sessions whose events become rows, inclusive; all without.

    Raises
    ------
    ComplianceError
        An event is of an order whose intent is not among the records.
    """
    orders, rows = _OrdersSoFar(), []
    low, high = (first or date.min).isoformat(), (last or date.max).isoformat()
    for record in records:
        if record.client_order_id is None or record.kind in ASIDES:
            continue
        row = orders.row(record)
        if low <= record.session <= high:
            rows.append(row)
    return rows


def _row(record: JournalRow, order: Order, fill: Fill | None, reason: str) -> ExportRow:
    executed: Sequence[Cell] = (None, None, None, None, None)
    if fill is not None:
        quantity = abs(fill.quantity_shares)
        executed = (fill.fill_number, fill.execution_id, quantity, fill.price_usd, fill.commission_usd)
    return (
        record.account,
        record.sequence,
        str(record.kind),
        record.session,
        record.at_utc,
        record.decision_id,
        record.client_order_id,
        order.symbol,
        order.ticker if fill is None else fill.ticker,
        "buy" if order.quantity_shares > 0.0 else "sell",
        abs(order.quantity_shares),
        order.order_type,
        order.time_in_force,
        order.limit_price_usd,
        order.stop_price_usd,
        order.algorithm,
        order.execution_session.isoformat(),
        *executed,
        reason or None,
        record.hash,
    )
