"""A session in which a bar of the book's own is quarantined is a blocked session for that book.

Belongs here: the last condition of a quarantine, that nobody holds or targets the symbol. The gate judges bars before
the book of their session exists, whole years in one run, so it cannot know; the book reads what it carried over from
the session before, which is the same in a backfill and day by day.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aegis.backtesting.session_market import BAR_DTYPE
from aegis.execution.account_state import AccountState
from aegis.live_trading.session_inputs import SessionInputs
from aegis.risk.gate_inputs import CheckVerdict


def without_bars_of_a_quarantined_holding(inputs: SessionInputs, account: AccountState) -> SessionInputs:
    """Return the inputs, or the same session blocked where a quarantined symbol is held or targeted.

    Parameters
    ----------
    inputs : SessionInputs
        Of the session that is about to be traded.
    account : AccountState
        After the session before: what it holds is held, and what it has orders for is targeted.

    Returns
    -------
    SessionInputs
        A blocked session has no trusted bars and no freshness, and its verdicts of quarantine are verdicts of block
        that name the symbols. Orders that wait for it expire unfilled, positions keep their mark, nothing is decided.

    Notes
    -----
    Known when: before anything of the session is traded, from the state of the session before.
    """
    held = {position.symbol for position in account.positions if position.quantity_shares}
    targeted = {status.order.symbol for status in account.open_orders if not status.is_final}
    needed = sorted((held | targeted) & inputs.quarantined.keys())
    if not needed:
        return inputs
    reasons = " | ".join(
        f"{symbol} is {'held' if symbol in held else 'targeted'}, so its quarantined bar blocks the session: "
        f"{inputs.quarantined[symbol]}"
        for symbol in needed
    )
    return replace(
        inputs,
        market=replace(inputs.market, rows={}, bars=np.empty(0, dtype=BAR_DTYPE)),
        checks=tuple(_blocking(verdict, reasons) for verdict in inputs.checks),
        inputs_known_at_utc=None,
        outdated_tables=(),
    )


def _blocking(verdict: CheckVerdict, reasons: str) -> CheckVerdict:
    return replace(verdict, outcome="block", detail=reasons) if verdict.outcome == "quarantine" else verdict
