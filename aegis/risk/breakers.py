"""Breakers: when an account has lost too much, what it may still hold, and when it may trade again.

Belongs here: the carried state of one account's breakers and the rule from one session's to the next. That only
reducing orders leave while a breaker is tripped is :mod:`aegis.risk.pre_trade_gate`'s rule.

Notes
-----
The rule, session by session, from the close's equity and the session's return:

1. *Reference peak*: the highest equity since the account began or was last re-armed. The reference drawdown is measured
   from it: ``equity / reference peak - 1``.
2. *Trip*: a reference drawdown at or below ``-max_drawdown`` trips "drawdown"; else a daily return at or below
   ``-max_daily_loss`` trips "daily loss". A tripped "daily loss" becomes "drawdown" when that limit falls too. Every
   new breach restarts the count of sessions; staying below the drawdown limit is no new breach.
3. *Re-arm*, in simulated history only, at a close without a new breach, when both hold:
   (a) at least ``rearm_after_sessions`` sessions have passed since the trip, and
   (b) the account has *recovered*: equity has regained ``rearm_recovery * max_drawdown`` of the reference peak from its
   lowest since the trip; or it has *settled*: no lower trough for :data:`SETTLED_WAITS` times
   ``rearm_after_sessions`` sessions. Without the second way a book that has been cut to cash, or shrinks because
   nothing but reducing orders leave, could never recover and would be tripped for ever.
4. *After a re-arm* the reference peak is the equity at the re-arm, so that the loss which tripped the breaker cannot
   trip it again at once; the account's own drawdown, from its highest equity ever, is reported unchanged.

In live trading :func:`observed` is used alone and a person calls :func:`released`.

References
----------
Grossman, S. and Zhou, Z. (1993), Optimal investment strategies for controlling drawdowns, Mathematical Finance 3:
exposure as a function of the distance to a drawdown limit, of which this is the two-step case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from aegis.config import RiskSettings
from aegis.errors import RiskError

Status = Literal["armed", "tripped: drawdown", "tripped: daily loss", "tripped: drift"]
ARMED: Status = "armed"
TRIPPED_DRAWDOWN: Status = "tripped: drawdown"
TRIPPED_DAILY_LOSS: Status = "tripped: daily loss"
TRIPPED_DRIFT: Status = "tripped: drift"
"""Held by a response to drift, see :mod:`aegis.risk.drift_stop`."""
_STATUSES: dict[str, Status] = {
    status: status for status in (ARMED, TRIPPED_DRAWDOWN, TRIPPED_DAILY_LOSS, TRIPPED_DRIFT)
}

SETTLED_WAITS = 3
"""Waits of ``rearm_after_sessions`` without a lower trough after which an account counts as settled."""

_ROUNDING = 1e-12
"""A return this close to a threshold is at it: 900 / 1000 - 1 is above -0.1 in binary, and must trip all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerState:
    """The breakers of one account after a session.

    Parameters
    ----------
    status : {"armed", "tripped: drawdown", "tripped: daily loss", "tripped: drift"}
        As shown in ``risk/risk_report``.
    reference_peak_usd : float
        Equity that drawdown is measured from.
    tripped_session : date or None
        Session of the last breach; None while armed.
    sessions_since_trip : int
        Sessions since then; 0 in that session and while armed.
    trough_usd : float or None
        Lowest equity since the breaker tripped; None while armed.
    sessions_since_trough : int
        Sessions since that trough; 0 while armed.
    """

    status: Status
    reference_peak_usd: float
    tripped_session: date | None = None
    sessions_since_trip: int = 0
    trough_usd: float | None = None
    sessions_since_trough: int = 0

    @classmethod
    def opening(cls, *, equity_usd: float) -> BreakerState:
        """Return the armed state of an account that begins with `equity_usd`.

        Raises
        ------
        RiskError
            The equity is not a finite number above 0.
        """
        _require_equity("the opening", equity_usd)
        return cls(status=ARMED, reference_peak_usd=equity_usd)

    @property
    def is_tripped(self) -> bool:
        """Whether a breaker is tripped."""
        return self.status != ARMED

    def exposure_scale(self, settings: RiskSettings) -> float:
        """Return the share of the optimizer's exposure that may be held: 1 when armed."""
        return settings.tripped_exposure if self.is_tripped else 1.0

    def to_record(self) -> dict[str, Any]:
        """Return the state as a mapping that JSON can hold; :meth:`from_record` restores it to the bit."""
        return {
            "status": self.status,
            "reference_peak_usd": self.reference_peak_usd,
            "tripped_session": None if self.tripped_session is None else self.tripped_session.isoformat(),
            "sessions_since_trip": self.sessions_since_trip,
            "trough_usd": self.trough_usd,
            "sessions_since_trough": self.sessions_since_trough,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> BreakerState:
        """Return the state that :meth:`to_record` described.

        Raises
        ------
        RiskError
            The status is none of these.
        """
        status = _STATUSES.get(record["status"])
        if status is None:
            raise RiskError(f"breaker status {record['status']!r} is none of {list(_STATUSES)}; restore the book state")
        session = record["tripped_session"]
        return cls(**{**record, "status": status, "tripped_session": session and date.fromisoformat(session)})


def next_breaker_state(
    state: BreakerState, session: date, *, equity_usd: float, return_daily: float, settings: RiskSettings
) -> tuple[BreakerState, float, str | None]:
    """Return the state after a session of simulated history, with trips and re-arms.

    Parameters
    ----------
    state : BreakerState
        After the previous session.
    session : date
        The session that closed.
    equity_usd : float
        Equity at its close.
    return_daily : float
        Equity change / previous equity; 0 in the first session.
    settings : RiskSettings
        Limits and the re-arm rule.

    Returns
    -------
    state : BreakerState
        After the session.
    exposure_scale : float
        Share of the optimizer's exposure allowed for the decision at this close.
    event : str or None
        What happened, for a person; None in most sessions.

    Raises
    ------
    RiskError
        The equity is not a finite number above 0, or the return is not finite. A breaker that cannot see does not stay
        armed silently.
    """
    after, event = observed(state, session, equity_usd=equity_usd, return_daily=return_daily, settings=settings)
    if after.is_tripped and event is None and _may_rearm(after, equity_usd, settings):
        event = (
            f"{session}: breaker re-armed {after.sessions_since_trip} sessions after '{after.status}' of "
            f"{after.tripped_session}, at equity {equity_usd:,.2f} USD; drawdown is measured from here"
        )
        after = BreakerState.opening(equity_usd=equity_usd)
    return after, after.exposure_scale(settings), event


def observed(
    state: BreakerState, session: date, *, equity_usd: float, return_daily: float, settings: RiskSettings
) -> tuple[BreakerState, str | None]:
    """Return the state after a session with trips only: what trips stays tripped until a person releases it.

    Parameters
    ----------
    state, session, equity_usd, return_daily, settings
        As in :func:`next_breaker_state`.

    Raises
    ------
    RiskError
        As in :func:`next_breaker_state`.
    """
    _require_equity(str(session), equity_usd)
    if not math.isfinite(return_daily):
        raise RiskError(f"{session}: daily return {return_daily} is not finite; measure it before the breakers look")
    peak = max(state.reference_peak_usd, equity_usd)
    drawdown = equity_usd / peak - 1.0
    carried = _waited(replace(state, reference_peak_usd=peak), equity_usd)
    breach = _breach(state, drawdown, return_daily, settings)
    if breach is None:
        return carried, None
    limit, value = (
        (settings.max_drawdown, drawdown) if breach == TRIPPED_DRAWDOWN else (settings.max_daily_loss, return_daily)
    )
    status = TRIPPED_DRAWDOWN if TRIPPED_DRAWDOWN in (breach, state.status) else breach
    tripped = replace(
        carried,
        status=status,
        tripped_session=session,
        sessions_since_trip=0,
        trough_usd=equity_usd if carried.trough_usd is None else carried.trough_usd,
    )
    return tripped, (
        f"{session}: breaker '{breach}', {value:.2%} against a limit of {-limit:.2%} at equity {equity_usd:,.2f} USD; "
        f"exposure is cut to {settings.tripped_exposure:.0%}"
    )


def released(
    state: BreakerState, session: date, *, equity_usd: float, actor: str, reason: str
) -> tuple[BreakerState, str]:
    """Return the state after a person released the breaker, and the event to record.

    Parameters
    ----------
    actor, reason : str
        Who releases it, and why; neither may be empty.

    Raises
    ------
    RiskError
        No breaker is tripped, actor or reason is empty, or the equity is not a finite number above 0.
    """
    _require_equity(str(session), equity_usd)
    if not state.is_tripped:
        raise RiskError(f"{session}: no breaker is tripped; there is nothing to release")
    if not actor.strip() or not reason.strip():
        raise RiskError(
            f"{session}: a release needs the name of who releases and a reason; found {actor!r}, {reason!r}"
        )
    event = f"{session}: breaker '{state.status}' of {state.tripped_session} released by {actor}: {reason}"
    return BreakerState.opening(equity_usd=equity_usd), event


def _breach(state: BreakerState, drawdown: float, return_daily: float, settings: RiskSettings) -> Status | None:
    if drawdown <= _ROUNDING - settings.max_drawdown and state.status != TRIPPED_DRAWDOWN:
        return TRIPPED_DRAWDOWN
    return TRIPPED_DAILY_LOSS if return_daily <= _ROUNDING - settings.max_daily_loss else None


def _waited(state: BreakerState, equity_usd: float) -> BreakerState:
    if state.trough_usd is None:
        return state
    lower = equity_usd < state.trough_usd
    return replace(
        state,
        sessions_since_trip=state.sessions_since_trip + 1,
        trough_usd=equity_usd if lower else state.trough_usd,
        sessions_since_trough=0 if lower else state.sessions_since_trough + 1,
    )


def _may_rearm(state: BreakerState, equity_usd: float, settings: RiskSettings) -> bool:
    if state.trough_usd is None or state.sessions_since_trip < settings.rearm_after_sessions:
        return False
    regained = (equity_usd - state.trough_usd) / state.reference_peak_usd
    recovered = regained >= settings.rearm_recovery * settings.max_drawdown - _ROUNDING
    return recovered or state.sessions_since_trough >= SETTLED_WAITS * settings.rearm_after_sessions


def _require_equity(label: str, equity_usd: float) -> None:
    if not math.isfinite(equity_usd) or equity_usd <= 0.0:
        raise RiskError(f"{label}: equity {equity_usd} USD is not a finite amount above 0; reconcile the account first")
