"""Stepping a book through sessions by the simulated clock.

Belongs here: the run over a range, and what a carried state must satisfy before it is trusted. One session is
:mod:`aegis.live_trading.session_loop`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

from aegis.errors import LakeError
from aegis.execution.order_management import DecisionLedger
from aegis.live_trading.account_books import AccountBooks
from aegis.live_trading.book_state import BookState, state_hash
from aegis.live_trading.kill_switch import HeldSwitch
from aegis.live_trading.session_inputs import InputHistory
from aegis.live_trading.session_loop import BookPolicy, SessionLoop
from aegis.live_trading.session_outcome import SessionOutcome


def run_sessions(
    state: BookState,
    history: InputHistory,
    sessions: Sequence[date],
    *,
    policy: BookPolicy,
    ledger: DecisionLedger,
    kill_switch: HeldSwitch,
    books: AccountBooks | None = None,
    number: int = 1,
) -> list[SessionOutcome]:
    """Advance a book through `sessions` and return what happened in each.

    Parameters
    ----------
    state : BookState
        After the session before the first.
    history : InputHistory
        Inputs of the sessions.
    sessions : sequence of date
        Ascending, without a gap.
    policy : BookPolicy
        How the book decides.
    ledger : DecisionLedger
        Collects what is to be journalled; the caller asks the switch once more and flushes it.
    kill_switch : HeldSwitch
        Asked before each session.
    books : AccountBooks, optional
        Of an account that is traded; simulated without.
    number : int
        Which decision of the last session is asked for; see :meth:`SessionLoop.advance`.

    Raises
    ------
    ExecutionError
        The switch moved meanwhile.
    """
    loop = SessionLoop(policy, ledger, books)
    outcomes: list[SessionOutcome] = []
    for session in sessions:
        kill_switch.require_unmoved()
        outcome = loop.advance(state, history.session(session), number=number if session == sessions[-1] else 1)
        outcomes.append(outcome)
        state = outcome.state
    return outcomes


def restore_state(state_json: str, expected_hash: str) -> BookState:
    """Return the carried state that a row of ``portfolio/book_states`` holds.

    Raises
    ------
    LakeError
        The state is not what was written: its hash differs.
    """
    found = state_hash(state_json)
    if found != expected_hash:
        raise LakeError(
            f"a book state has hash {found[:12]}, expected {expected_hash[:12]}: the row was changed after it was "
            "written; restore the lake from a backup, or materialize the book again from the session before"
        )
    return BookState.from_record(json.loads(state_json))
