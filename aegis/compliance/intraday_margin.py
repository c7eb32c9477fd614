"""Intraday margin: whether equity covered the maintenance requirement at every moment of a day.

Belongs here: FINRA Rule 4210(d)(2) as amended by SR-FINRA-2025-017, which took the place of the pattern-day-trader rule
(:mod:`aegis.compliance.pattern_day_trading`).

Notes
-----
The intraday margin level is equity less the maintenance requirement. It is looked at after each transaction that lowers
it; the largest deficit of the day is what must be made good. Positions are marked at the last price of the symbol that
is known at that moment: an execution of the day, or the previous close. Quotes between executions are not seen, so the
broker's own real-time figure may be larger.

That failing to make deficits good is a customer's *practice* is for the broker to judge. Findings say which deficits
were not covered when they were due, and which are too small to count; they freeze nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from aegis.calendars import TradingCalendar
from aegis.compliance.effective_rules import INTRADAY_MARGIN, require_rule
from aegis.compliance.executions import Execution
from aegis.compliance.findings import ComplianceFinding, found_under
from aegis.compliance.margin import total_maintenance_usd
from aegis.errors import ComplianceError

DEFICIT = "intraday margin deficit"
SMALL_DEFICIT = "small intraday margin deficit"

_CENT = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class IntradayAccount:
    """A margin account as a day begins, and what it did in it.

    Parameters
    ----------
    account : str
        Whose.
    session : date
        The day.
    cash_usd : float
        When it began: negative when borrowed, proceeds of short sales included.
    positions_shares : mapping of str to float
        Signed shares when it began, in the shares of the session.
    previous_closes_usd : mapping of str to float
        Of every symbol held.
    executions : tuple of Execution
        Of the session.
    """

    account: str
    session: date
    cash_usd: float
    positions_shares: Mapping[str, float]
    previous_closes_usd: Mapping[str, float]
    executions: tuple[Execution, ...]


@dataclass(frozen=True, slots=True)
class IntradayDeficit:
    """The largest deficit of a day and the equity at that moment, in USD; 0 where there was none."""

    deficit_usd: float
    equity_usd: float


def intraday_deficit(day: IntradayAccount) -> IntradayDeficit:
    """Return the largest deficit after any transaction of the day that lowered the margin level.

    Raises
    ------
    ComplianceError
        A held symbol has no price.
    """
    positions = dict(day.positions_shares)
    prices = dict(day.previous_closes_usd)
    missing = sorted(symbol for symbol, shares in positions.items() if shares and not prices.get(symbol, 0.0) > 0.0)
    if missing:
        raise ComplianceError(f"{missing[0]} {day.session}: held without a previous close; give its last trusted close")
    cash = day.cash_usd
    largest = IntradayDeficit(0.0, 0.0)
    for execution in sorted(day.executions, key=lambda one: one.at_utc):
        symbol = execution.symbol
        prices[symbol] = execution.price_usd
        before = _level(cash, positions, prices, day.session)[0]
        positions[symbol] = positions.get(symbol, 0.0) + execution.quantity_shares
        cash += execution.cash_usd
        level, equity = _level(cash, positions, prices, day.session)
        if level < before and -level > largest.deficit_usd:
            largest = IntradayDeficit(-level, equity)
    return largest


def _level(
    cash_usd: float, positions: Mapping[str, float], prices: Mapping[str, float], day: date
) -> tuple[float, float]:
    equity = cash_usd + math.fsum(shares * prices[symbol] for symbol, shares in positions.items() if shares)
    held = {symbol: shares for symbol, shares in positions.items() if shares}
    return equity - total_maintenance_usd(held, prices, day=day), equity


def intraday_margin_findings(day: IntradayAccount, *, calendar: TradingCalendar) -> list[ComplianceFinding]:
    """Return the deficit of a day, if it had one, and until when it must be made good.

    Parameters
    ----------
    day : IntradayAccount
        A day on which the account's broker applies the rule.
    calendar : TradingCalendar
        Counts business days.

    Raises
    ------
    ComplianceError
        The rule was not in force that day, or a held symbol has no price.
    """
    rule = require_rule(INTRADAY_MARGIN, day.session)
    found = intraday_deficit(day)
    if found.deficit_usd <= _CENT:
        return []
    terms = rule.terms
    small = min(terms["small_deficit_share_of_equity"] * max(found.equity_usd, 0.0), terms["small_deficit_usd"])
    due = calendar.offset(day.session, int(terms["call_due_business_days"]))
    kind = SMALL_DEFICIT if found.deficit_usd <= small else DEFICIT
    return [
        found_under(
            rule,
            kind,
            session=day.session,
            account=day.account,
            observed=found.deficit_usd,
            threshold=0.0,
            due_session=due,
            detail=(
                f"{day.account} {day.session}: equity was {found.deficit_usd:.2f} USD below the maintenance "
                f"requirement after a trade of the day; pay in or reduce that much, at the latest by {due}"
            ),
        )
    ]
