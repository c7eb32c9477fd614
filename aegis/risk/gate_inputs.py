"""What the pre-trade gate looks at and what it answers, as frozen values.

Belongs here: the values. The rules over them are :mod:`aegis.risk.pre_trade_gate`. Who owns a state (kill switch,
reconciliation, journal, lake) turns it into these values; the gate imports none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order
from aegis.risk.breakers import BreakerState
from aegis.risk.limits import RiskLimits

GateOutcome = Literal["pass", "refuse", "reduce only", "refuse order"]


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """What one data check said of the session; a row of ``quality/check_results``.

    Parameters
    ----------
    check, check_version, table : str
        Name and version of the check, and the table it looked at.
    outcome : str
        'pass', 'warn', 'repair', 'quarantine' or 'block'.
    is_blocking : bool
        Whether orders need it.
    content_hash : str
        SHA-256 of the rows it looked at.
    snapshot_id : int
        Lake snapshot of those rows.
    detail : str or None
        What it said of the first offending rows.
    """

    check: str
    check_version: str
    table: str
    outcome: str
    is_blocking: bool
    content_hash: str
    snapshot_id: int
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInputs:
    """Everything the gate may look at for one decision.

    Parameters
    ----------
    session : date
        Decision session.
    account, decision_id : str
        Whose decision it is, and its name.
    orders : tuple of Order
        Proposed, in the order in which they would be sent.
    equity_usd : float
        At the close.
    positions_shares : mapping of str to float
        Signed shares held.
    open_orders : tuple of OrderStatus
        At work already; of final ones only the id counts, which is never used again.
    prices_usd : mapping of str to float
        Mark of every symbol held, at work or ordered, in the shares of the decision session.
    target_weights : mapping of str to float
        Of the target book.
    median_dollar_volume_usd : mapping of str to float
        Median close times volume over the trailing window.
    value_at_risk_95 : float
        Of the target book, as a share of equity; see :mod:`aegis.risk.report`.
    check_results : tuple of CheckVerdict
        All rows of the session.
    required_checks : mapping of str to str
        Checks that must have a row, with the version that vouches for the data today; none at all is refused.
    pinned_content_hashes : mapping of str to str
        Table to SHA-256 of the session's rows as the decision reads them now.
    outdated_tables : tuple of str
        Tables of the decision (adjustment factors, universe, signals, covariances) that were not computed for the
        session since the bars that they rest on were last written.
    input_session : date or None
        Latest session in the pinned inputs; None where there is none.
    clock_session : date
        Last session whose final bars exist at `decision_time_utc`, by the calendar and the vendor's delay. Measured
        from the decision clock, so that a replayed past is not stale.
    inputs_known_at_utc : datetime or None
        Latest ``known_at_utc`` of the pinned inputs; aware UTC.
    decision_time_utc : datetime
        The decision clock; aware UTC.
    execution_opens_at_utc : datetime
        When the session opens in which the orders are to execute; aware UTC.
    passed_by_session : date or None
        A later session that the account was booked in without this decision; None if there is none.
    missed_session : date or None
        The session in which the orders were to execute, where it was over when they were asked for; else None.
    kill_switch_engaged, reconciliation_clean : bool
        Of the account. Anything but False and True, respectively, refuses.
    kill_switch_told, reconciliation_told : str
        Since when, by whom and why the switch is engaged, or that it cannot be read; what differs from the broker. For
        the refusal's words only.
    breaker : BreakerState
        Of the account, after this session.
    limits : RiskLimits
        Of the account.
    vetoes : mapping of str to str
        Orders that compliance stops, by client order id, each with the reason.
    """

    session: date
    account: str
    decision_id: str
    orders: tuple[Order, ...]
    equity_usd: float
    positions_shares: Mapping[str, float]
    open_orders: tuple[OrderStatus, ...]
    prices_usd: Mapping[str, float]
    target_weights: Mapping[str, float]
    median_dollar_volume_usd: Mapping[str, float]
    value_at_risk_95: float
    check_results: tuple[CheckVerdict, ...]
    required_checks: Mapping[str, str]
    pinned_content_hashes: Mapping[str, str]
    outdated_tables: tuple[str, ...]
    input_session: date | None
    clock_session: date
    inputs_known_at_utc: datetime | None
    decision_time_utc: datetime
    execution_opens_at_utc: datetime
    passed_by_session: date | None
    kill_switch_engaged: bool
    reconciliation_clean: bool
    breaker: BreakerState
    limits: RiskLimits
    kill_switch_told: str = ""
    reconciliation_told: str = ""
    missed_session: date | None = None
    vetoes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """Verdict of one rule; a row of ``risk/pre_trade_gate``, fields as there."""

    session: date
    account: str
    decision_id: str
    rule: str
    outcome: GateOutcome
    observed: float
    threshold: float
    orders_refused: int
    detail: str | None
    known_at_utc: datetime

    def row(self) -> dict[str, Any]:
        """Return the row as a mapping of column to value."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RefusedOrder:
    """An order that may not leave, and the first rule that refused it, with its detail."""

    order: Order
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The gate's answer for one decision.

    Parameters
    ----------
    rows : tuple of GateRow
        One for each rule, in the order of :data:`aegis.risk.pre_trade_gate.RULES`, passed or not.
    approved : tuple of Order
        May leave.
    refused : tuple of RefusedOrder
        May not.
    """

    rows: tuple[GateRow, ...]
    approved: tuple[Order, ...]
    refused: tuple[RefusedOrder, ...]
