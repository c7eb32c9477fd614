"""Which snapshots of the lake a workspace's history refers to: what may not be given up.

Belongs here: asking the tables and the journal. Giving up the others is :mod:`aegis.lake.retention`.
"""

from __future__ import annotations

from datetime import datetime

from aegis.execution.journal import Journal
from aegis.execution.order_projections import decision_snapshots
from aegis.lake.lake import Lake
from aegis.lake.retention import ExpiryPlan, plan_expiry, referenced_snapshots
from aegis.lake.tables import ALL_TABLES, ORDERS
from aegis.lake.versions import VersionHistory


def expiry_plan(lake: Lake, journal: Journal | None, *, before: datetime) -> ExpiryPlan:
    """Return which snapshots made before `before` may be given up.

    Parameters
    ----------
    lake : Lake
    journal : Journal or None
        Of the workspace's account; None where it never traded.
    before : datetime
        Aware.

    Notes
    -----
    Kept are the snapshots that an order, a check result, a backtest or a journal entry names, those that published
    orders, the newest write of each table, and what a person marked.
    """
    referenced = referenced_snapshots(lake, ALL_TABLES)
    if journal is not None:
        referenced |= dict.fromkeys(decision_snapshots(journal) - referenced.keys(), f"journal of {journal.account}")
    return plan_expiry(VersionHistory.of(lake), before=before, referenced=referenced, publishing=(ORDERS,))
