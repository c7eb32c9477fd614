"""No corporate action is booked that no data check vouches for.

Belongs here: the refusal. A session whose bars are blocked is booked without trading and the book goes on; an action
cannot be left out like that. Booking a wrong one makes cash or shares out of nothing, not booking a right one loses
them, and every later session is decided on the result. So the book stops before the session, and nothing is written.
"""

from __future__ import annotations

from aegis.errors import QualityGateBlocked
from aegis.lake.tables import CORPORATE_ACTIONS
from aegis.live_trading.session_inputs import SessionInputs

_REMEDY = "The book stops before this session, and nothing of this run is booked"


def refuse_unchecked_actions(inputs: SessionInputs) -> None:
    """Refuse to book a session on corporate actions that are blocked, changed or unchecked.

    Parameters
    ----------
    inputs : SessionInputs
        Of the session that is about to be booked.

    Raises
    ------
    QualityGateBlocked
        A check of the actions blocks; or there are actions, and no check that orders need was made on them as they are
        now.
    """
    verdicts = [each for each in inputs.checks if each.table == CORPORATE_ACTIONS.key and each.is_blocking]
    blocking = next((each for each in verdicts if each.outcome == "block"), None)
    if blocking is not None:
        raise QualityGateBlocked(
            f"{inputs.session}: check {blocking.check} blocks the session's corporate actions: {blocking.detail}. "
            f"{_REMEDY}; correct them at the source and run again from this session"
        )
    if not inputs.market.actions:
        return
    pinned = inputs.content_hashes[CORPORATE_ACTIONS.key]
    if not verdicts or any(each.content_hash != pinned for each in verdicts):
        checked = verdicts[0].content_hash[:12] if verdicts else "none"
        first = inputs.market.actions[0]
        raise QualityGateBlocked(
            f"{inputs.session}: {len(inputs.market.actions)} corporate action(s), first {first.action} of "
            f"{first.symbol}, are not as they were checked (rows {pinned[:12]}, checked {checked}). {_REMEDY}; run the "
            "session's checks (materialize daily_bars), then the book"
        )
