"""What margin an account must have: when it trades (Regulation T) and for as long as it holds (FINRA Rule 4210).

Belongs here: requirements of stock positions, and the two calls at the close. What is asked during the day is
:mod:`aegis.compliance.pattern_day_trading` and :mod:`aegis.compliance.intraday_margin`. A broker may ask more than the
rules; its own requirements are not here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from aegis.calendars import TradingCalendar
from aegis.compliance.effective_rules import INITIAL_MARGIN, MAINTENANCE_MARGIN, SETTLEMENT_CYCLE, require_rule
from aegis.compliance.findings import ComplianceFinding, found_under
from aegis.compliance.settlement import business_days_after
from aegis.errors import ComplianceError

_CENT = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginClose:
    """A margin account at the close of a session.

    Parameters
    ----------
    account : str
        Whose.
    session : date
        Of the close.
    equity_usd : float
        Cash (proceeds of short sales included) plus long less short market value.
    positions_shares : mapping of str to float
        Signed shares.
    prices_usd : mapping of str to float
        Close of every symbol held.
    opened_positions_shares : mapping of str to float
        Held before the session's trades, in the shares of this session.

    Raises
    ------
    ComplianceError
        A price is missing or not above 0, or an amount is not a number.
    """

    account: str
    session: date
    equity_usd: float
    positions_shares: Mapping[str, float]
    prices_usd: Mapping[str, float]
    opened_positions_shares: Mapping[str, float]

    def __post_init__(self) -> None:
        if not math.isfinite(self.equity_usd):
            raise ComplianceError(f"{self.account} {self.session}: equity {self.equity_usd} USD; reconcile the account")
        for symbol in {*self.positions_shares, *self.opened_positions_shares}:
            price = self.prices_usd.get(symbol, math.nan)
            if not (math.isfinite(price) and price > 0.0):
                raise ComplianceError(f"{symbol} {self.session}: price {price} USD; mark it at its last trusted close")


def initial_requirement_usd(quantity_shares: float, price_usd: float, *, day: date) -> float:
    """Return the margin that Regulation T asks for a position, in USD.

    Notes
    -----
    Of a short position this is what comes on top of its proceeds.
    """
    terms = require_rule(INITIAL_MARGIN, day).terms
    share = terms["long_share"] if quantity_shares > 0.0 else terms["short_share"]
    return share * abs(quantity_shares) * price_usd


def maintenance_requirement_usd(quantity_shares: float, price_usd: float, *, day: date) -> float:
    """Return the equity that must stay behind a position, in USD."""
    terms = require_rule(MAINTENANCE_MARGIN, day).terms
    shares = abs(quantity_shares)
    value = shares * price_usd
    if quantity_shares >= 0.0:
        return terms["long_share"] * value
    if price_usd < terms["low_price_usd"]:
        return max(terms["low_priced_short_share"] * value, terms["low_priced_short_per_share_usd"] * shares)
    return max(terms["short_share"] * value, terms["short_per_share_usd"] * shares)


def total_maintenance_usd(
    positions_shares: Mapping[str, float], prices_usd: Mapping[str, float], *, day: date
) -> float:
    """Return the maintenance requirement of all positions, in USD, without the minimum of the account."""
    return math.fsum(
        maintenance_requirement_usd(shares, prices_usd[symbol], day=day) for symbol, shares in positions_shares.items()
    )


def margin_findings(close: MarginClose, *, calendar: TradingCalendar) -> list[ComplianceFinding]:
    """Return the calls at one close: Regulation T's for what was opened, and the maintenance call.

    Parameters
    ----------
    close : MarginClose
        The account.
    calendar : TradingCalendar
        Counts business days until a call is due.

    Notes
    -----
    Regulation T asks only for what a session's trades opened: the call is the deficiency at the close, and no more than
    the requirement that the trades added. A fall in price alone calls for maintenance margin only.
    """
    calls = (_initial_call(close, calendar), _maintenance_call(close), _minimum_equity_call(close))
    return [call for call in calls if call is not None]


def _initial_call(close: MarginClose, calendar: TradingCalendar) -> ComplianceFinding | None:
    rule = require_rule(INITIAL_MARGIN, close.session)
    required = _initial(close, close.positions_shares)
    added = required - _initial(close, close.opened_positions_shares)
    call = min(required - close.equity_usd, added)
    if call <= _CENT:
        return None
    cycle = require_rule(SETTLEMENT_CYCLE, close.session).terms["business_days"]
    days = int(cycle + rule.terms["payment_period_business_days"])
    due = business_days_after(close.session, days, calendar=calendar)
    return found_under(
        rule,
        "initial margin call",
        session=close.session,
        account=close.account,
        observed=close.equity_usd,
        threshold=required,
        due_session=due,
        detail=(
            f"{close.account} {close.session}: equity {close.equity_usd:.2f} USD is below the initial requirement "
            f"{required:.2f}; pay in {call:.2f} USD, or close positions of twice that, by {due}"
        ),
    )


def _initial(close: MarginClose, positions: Mapping[str, float]) -> float:
    return math.fsum(
        initial_requirement_usd(shares, close.prices_usd[symbol], day=close.session)
        for symbol, shares in positions.items()
    )


def _maintenance_call(close: MarginClose) -> ComplianceFinding | None:
    rule = require_rule(MAINTENANCE_MARGIN, close.session)
    required = total_maintenance_usd(close.positions_shares, close.prices_usd, day=close.session)
    if close.equity_usd >= required - _CENT:
        return None
    return found_under(
        rule,
        "maintenance margin call",
        session=close.session,
        account=close.account,
        observed=close.equity_usd,
        threshold=required,
        detail=(
            f"{close.account} {close.session}: equity {close.equity_usd:.2f} USD is below the maintenance requirement "
            f"{required:.2f}; pay in {required - close.equity_usd:.2f} USD or reduce positions before the broker does"
        ),
    )


def _minimum_equity_call(close: MarginClose) -> ComplianceFinding | None:
    """Ask the minimum of an account that borrows cash or shares; a long one never needs more than its positions cost.

    FINRA Rule 4210(b): the minimum need not exceed the cost of what is bought.
    """
    rule = require_rule(MAINTENANCE_MARGIN, close.session)
    values = [shares * close.prices_usd[symbol] for symbol, shares in close.positions_shares.items()]
    is_short = any(value < 0.0 for value in values)
    borrows = is_short or math.fsum(values) > close.equity_usd + _CENT
    minimum = rule.terms["minimum_equity_usd"]
    if not is_short:
        minimum = min(minimum, math.fsum(values))
    if not borrows or close.equity_usd >= minimum - _CENT:
        return None
    return found_under(
        rule,
        "minimum equity",
        session=close.session,
        account=close.account,
        observed=close.equity_usd,
        threshold=minimum,
        detail=(
            f"{close.account} {close.session}: equity {close.equity_usd:.2f} USD is below the {minimum:.2f} of an "
            "account that borrows; pay in the rest or trade without credit"
        ),
    )
