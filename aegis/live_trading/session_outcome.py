"""What came of one session of a book.

Belongs here: the value. How it comes about is :mod:`aegis.live_trading.session_loop`, how it is stored
:mod:`aegis.live_trading.book_tables`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aegis.execution.accounting import SessionPnl
from aegis.execution.decisions import CommitOutcome, CommittedDecision, Decision
from aegis.execution.orders import Fill
from aegis.live_trading.book_state import BookState
from aegis.live_trading.session_inputs import SessionInputs
from aegis.portfolio.rebalancing import TargetWeight
from aegis.risk.gate_inputs import GateVerdict
from aegis.risk.report import RiskReport


@dataclass(frozen=True)
class SessionOutcome:
    """What happened in one session, and the state it leaves.

    Parameters
    ----------
    inputs : SessionInputs
        What was seen.
    state : BookState
        After the session, with the orders that wait for the next one.
    fills : tuple of Fill
        Executions in this session, of orders decided before.
    pnl : SessionPnl
        What changed equity.
    targets : tuple of TargetWeight
        Wanted and held weights.
    risk : RiskReport
        Risk of the wanted book.
    breaker_event : str or None
        What a breaker did in this session.
    verdict : GateVerdict
        The gate's rows.
    decision : Decision
        What was wanted, refused orders included.
    commit : CommitOutcome
        What is committed: the orders of the first commit, whatever was computed now.
    conflicts : tuple of str
        How this computation differs from what the journal holds.
    decided_at_utc : datetime
        When the decision was taken: after the close, or within the next session for a later one.
    earlier : tuple of CommittedDecision
        Decisions of the session before this one, as they are committed.
    """

    inputs: SessionInputs
    state: BookState
    fills: tuple[Fill, ...]
    pnl: SessionPnl
    targets: tuple[TargetWeight, ...]
    risk: RiskReport
    breaker_event: str | None
    verdict: GateVerdict
    decision: Decision
    commit: CommitOutcome
    conflicts: tuple[str, ...]
    decided_at_utc: datetime
    earlier: tuple[CommittedDecision, ...] = ()
