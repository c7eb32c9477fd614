"""Breakers of live trading: losses against the day and the peak, and a system that runs away.

Belongs here: the comparisons, over frozen values. What stands tripped, and who released it, is kept by
:mod:`aegis.live_trading.standing_breakers`; the breakers of simulated history, which judge closes and re-arm by a rule,
are :mod:`aegis.risk.breakers`.

Notes
-----
Unlike those, a live loss limit holds up to and including its value, as every rule of the exit door does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from aegis.risk.exact_amounts import UNMEASURED, exact, share_at_most
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.rule_finding import RuleFinding

BreakerName = Literal["daily loss", "drawdown", "runaway"]
DAILY_LOSS: Final = "daily loss"
DRAWDOWN: Final = "drawdown"
RUNAWAY: Final = "runaway"

Outcome = Literal["accepted", "rejected", "executed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMarks:
    """What losses are measured from.

    Parameters
    ----------
    session : date
        The day of `first_usd`.
    first_usd, peak_usd, now_usd : float
        First equity of that day, highest since the drawdown is measured, newest.
    """

    session: date
    first_usd: float
    peak_usd: float
    now_usd: float


@dataclass(frozen=True, slots=True, order=True)
class OrderOutcome:
    """What a venue did with an order: took it, rejected it, or executed some of it."""

    at_utc: datetime
    client_order_id: str
    number: int
    outcome: Outcome


def marks_with(marks: EquityMarks | None, equity_usd: float, session: date) -> EquityMarks:
    """Return the marks after an equity was stated in `session`, None being those of a new account."""
    if marks is None:
        return EquityMarks(session=session, first_usd=equity_usd, peak_usd=equity_usd, now_usd=equity_usd)
    first = equity_usd if session != marks.session else marks.first_usd
    return replace(
        marks, session=session, first_usd=first, peak_usd=max(marks.peak_usd, equity_usd), now_usd=equity_usd
    )


def loss_at_most(now_usd: float | None, since_usd: float | None, limit: float) -> RuleFinding:
    """Return the finding of a rule that holds when the equity fell by at most `limit` of what it was.

    Parameters
    ----------
    now_usd, since_usd : float or None
        Equity; a loss cannot be measured where one is not known or the second is not above 0.
    limit : float
        Fraction of `since_usd`.
    """
    now, since = exact(now_usd), exact(since_usd)
    known = now.is_finite() and since.is_finite() and since > 0
    return share_at_most(max(Decimal(0), since - now) if known else UNMEASURED, since, exact(limit))


def losses(marks: EquityMarks, limits: ExitLimits) -> dict[BreakerName, str]:
    """Return the breakers for losses that `marks` trip, each with what happened and what to do."""
    now = marks.now_usd

    def told(since: float, name: str, limit: float) -> str:
        return (
            f"{marks.session}: equity {now:,.2f} USD, {name} was {since:,.2f} USD, it may fall by {limit:g} of that; "
            "only reduce until a person has found the cause and released the breaker"
        )

    tripped: dict[BreakerName, str] = {}
    if not loss_at_most(now, marks.first_usd, limits.max_daily_loss).holds:
        tripped[DAILY_LOSS] = told(marks.first_usd, "the day's first", limits.max_daily_loss)
    if not loss_at_most(now, marks.peak_usd, limits.max_drawdown).holds:
        tripped[DRAWDOWN] = told(marks.peak_usd, "its highest", limits.max_drawdown)
    return tripped


def runaway(outcomes: Iterable[OrderOutcome], now_utc: datetime, limits: ExitLimits) -> str | None:
    """Return what runs away and what to do, or None while nothing does.

    Parameters
    ----------
    outcomes : iterable of OrderOutcome
        Since a person last looked into it, oldest first.
    now_utc : datetime
        The end of the window; its beginning is outside it.
    limits : ExitLimits
        Rejections in a row, with no order taken or executed between them, and executions.
    """
    begins = now_utc - timedelta(seconds=limits.runaway_window_seconds)
    rejects = fills = 0
    for outcome in outcomes:
        if outcome.at_utc <= begins:
            continue
        rejects = rejects + 1 if outcome.outcome == "rejected" else 0
        fills += outcome.outcome == "executed"
    for count, limit, what in (
        (rejects, limits.max_rejects_in_a_row, "rejections in a row"),
        (fills, limits.max_fills_in_a_row, "executions"),
    ):
        if count > limit:
            return (
                f"{now_utc:%Y-%m-%d %H:%M:%S} UTC: {count} {what} within {limits.runaway_window_seconds:g} s, "
                f"{limit:g} are allowed; nothing is sent until a person has found the cause and released the breaker"
            )
    return None
