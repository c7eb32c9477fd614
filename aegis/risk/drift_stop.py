"""A breaker that drift holds tripped, and that a person's release arms again.

Belongs here: how a response to drift and an account's own breakers go together. What trips by itself is
:mod:`aegis.risk.breakers`; which response holds is :mod:`aegis.drift.responses`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from aegis.config import RiskSettings
from aegis.risk.breakers import TRIPPED_DRIFT, BreakerState, next_breaker_state, observed


def breaker_under_drift(
    state: BreakerState, session: date, *, equity_usd: float, return_daily: float, settings: RiskSettings, stopped: str
) -> tuple[BreakerState, float, str | None]:
    """Return the breaker after a session, the exposure that it allows, and what happened.

    Parameters
    ----------
    state, session, equity_usd, return_daily, settings
        As in :func:`~aegis.risk.breakers.next_breaker_state`.
    stopped : str
        Why drift stops the account; empty where it does not.

    Raises
    ------
    RiskError
        As in :func:`~aegis.risk.breakers.next_breaker_state`.

    Notes
    -----
    While drift stops it, nothing arms the breaker: it trips as ever, and is 'tripped: drift' where it was armed. Once
    the response is released, a breaker that drift alone held begins anew at that close, with its drawdown measured from
    there; one that a loss tripped meanwhile follows its own rule.
    """
    if not stopped:
        if state.status != TRIPPED_DRIFT:
            return next_breaker_state(
                state, session, equity_usd=equity_usd, return_daily=return_daily, settings=settings
            )
        after, scale, event = next_breaker_state(
            BreakerState.opening(equity_usd=equity_usd), session,
            equity_usd=equity_usd, return_daily=return_daily, settings=settings,
        )  # fmt: skip
        told = f"{session}: breaker '{TRIPPED_DRIFT}' of {state.tripped_session} released by a person"
        return after, scale, event or told
    after, event = observed(state, session, equity_usd=equity_usd, return_daily=return_daily, settings=settings)
    if not after.is_tripped:
        event = (
            f"{session}: breaker '{TRIPPED_DRIFT}', {stopped}; exposure is cut to {settings.tripped_exposure:.0%} "
            "until a person releases it"
        )
        after = replace(
            after, status=TRIPPED_DRIFT, tripped_session=session, sessions_since_trip=0, trough_usd=equity_usd
        )
    return after, after.exposure_scale(settings), event
