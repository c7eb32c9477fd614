"""The pattern-day-trader rule: counting day trades, and what a pattern day trader must have.

Belongs here: FINRA Rule 4210(f)(8)(B), in force until intraday margin (:mod:`aegis.compliance.intraday_margin`) took
its place at the account's broker.

Notes
-----
A day trade is a purchase and a sale, or a short sale and a purchase, of one security on one day in a margin account.
What opened in the day and then closed is one day trade however many executions each side took; opening again begins the
next (Regulatory Notice 21-13). A position held overnight that is closed before anything is opened in that symbol is
none; once something is opened, a later sale closes that first. The trades of a window are its orders that executed, one
for each session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from aegis.calendars import TradingCalendar
from aegis.compliance.effective_rules import PATTERN_DAY_TRADER, EffectiveRule, require_rule
from aegis.compliance.executions import Execution
from aegis.compliance.findings import ComplianceFinding, found_under
from aegis.errors import ComplianceError

DESIGNATED = "pattern day trader"
MINIMUM_EQUITY = "day trading below minimum equity"
BUYING_POWER = "day-trading buying power exceeded"

_CENT = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingDay:
    """One session of a margin account.

    Parameters
    ----------
    session : date
        The session.
    overnight_shares : mapping of str to float
        Signed shares held when it began, in its own shares.
    executions : tuple of Execution
        Of the session, by instant.
    previous_equity_usd : float
        At the previous close.
    previous_maintenance_usd : float
        Maintenance requirement at the previous close.
    """

    session: date
    overnight_shares: Mapping[str, float]
    executions: tuple[Execution, ...]
    previous_equity_usd: float
    previous_maintenance_usd: float


@dataclass(frozen=True, slots=True)
class DayTrades:
    """What was traded in and out of in one session.

    Parameters
    ----------
    count : int
        Day trades.
    trades : int
        Orders that executed.
    largest_commitment_usd : float
        Most that positions opened in the day, and day-traded, had cost at one time.
    """

    count: int
    trades: int
    largest_commitment_usd: float


def day_trades(day: TradingDay) -> DayTrades:
    """Count the day trades of one session.

    Notes
    -----
    The commitment is taken "time and tick": what was opened in the day and not closed yet, at cost. Symbols that were
    not day-traded commit nothing: they are bought to be held.
    """
    walks: dict[str, _SymbolDay] = {}
    for execution in sorted(day.executions, key=lambda one: one.at_utc):
        symbol = execution.symbol
        walk = walks.setdefault(symbol, _SymbolDay(day.overnight_shares.get(symbol, 0.0)))
        walk.take(execution.quantity_shares)
    count = sum(walk.count for walk in walks.values())
    orders = {execution.order_id for execution in day.executions}
    return DayTrades(count, len(orders), _largest_commitment(day, {s for s, walk in walks.items() if walk.count}))


class _SymbolDay:
    """One symbol's day: what is left of the night, what was opened since, and how often that was turned round."""

    def __init__(self, overnight_shares: float) -> None:
        self._overnight = overnight_shares
        self.opened = 0.0
        self.count = 0
        self._is_counted = False

    def take(self, quantity: float) -> None:
        """Close what was opened today first, then what is left of the night, and open with the rest."""
        left = quantity
        if self.opened * left < 0.0:
            closed = min(abs(left), abs(self.opened))
            if not self._is_counted:
                self.count += 1
                self._is_counted = True
            self.opened += closed if left > 0.0 else -closed
            left -= closed if left > 0.0 else -closed
        if self._overnight * left < 0.0:
            closed = min(abs(left), abs(self._overnight))
            self._overnight += closed if left > 0.0 else -closed
            left -= closed if left > 0.0 else -closed
        if left != 0.0:
            self.opened += left
            self._is_counted = False


def _largest_commitment(day: TradingDay, day_traded: set[str]) -> float:
    walks = {symbol: _SymbolDay(day.overnight_shares.get(symbol, 0.0)) for symbol in day_traded}
    cost: dict[str, float] = dict.fromkeys(day_traded, 0.0)
    largest = 0.0
    for execution in sorted(day.executions, key=lambda one: one.at_utc):
        symbol = execution.symbol
        if symbol not in day_traded:
            continue
        before = walks[symbol].opened
        walks[symbol].take(execution.quantity_shares)
        after = walks[symbol].opened
        if abs(after) < abs(before) and before * after >= 0.0:
            cost[symbol] *= abs(after) / abs(before)
        elif before * after >= 0.0:
            cost[symbol] += (abs(after) - abs(before)) * execution.price_usd
        else:
            cost[symbol] = abs(after) * execution.price_usd
        largest = max(largest, sum(cost.values()))
    return largest


def pattern_day_trading_findings(
    days: Iterable[TradingDay], *, account: str, calendar: TradingCalendar
) -> list[ComplianceFinding]:
    """Return when the account became a pattern day trader, and what it then did without the means.

    Parameters
    ----------
    days : iterable of TradingDay
        Every session with executions in which the rule binds the account, ascending; days without may be left out.
    account : str
        Whose.
    calendar : TradingCalendar
        Counts business days.

    Raises
    ------
    ComplianceError
        The days do not ascend, or one of them is outside the time in which the rule was in force.

    Notes
    -----
    A designation lapses after 90 days without a day trade. The day on which the fourth day trade makes the account a
    pattern day trader is judged by the next one: the minimum must be there before it day-trades again.
    """
    findings: list[ComplianceFinding] = []
    window: list[tuple[date, DayTrades]] = []
    designated: date | None = None
    last_day_trade: date | None = None
    for day in days:
        if window and day.session <= window[-1][0]:
            raise ComplianceError(
                f"{account} {day.session}: follows {window[-1][0]}; give sessions in order, each once"
            )
        rule = require_rule(PATTERN_DAY_TRADER, day.session)
        found = day_trades(day)
        if last_day_trade is not None and (day.session - last_day_trade).days > rule.terms["lapses_after_days"]:
            designated = None
        if designated is not None and found.count:
            findings += _shortfalls(rule, day, found, account, calendar)
        window = _recent([*window, (day.session, found)], int(rule.terms["business_days"]), calendar)
        if found.count:
            last_day_trade = day.session
            if designated is None and _is_pattern(rule, window):
                designated = day.session
                findings.append(_designation(rule, day.session, window, account))
    return findings


def _recent(
    window: Sequence[tuple[date, DayTrades]], business_days: int, calendar: TradingCalendar
) -> list[tuple[date, DayTrades]]:
    first = calendar.offset(window[-1][0], 1 - business_days)
    return [entry for entry in window if entry[0] >= first]


def _is_pattern(rule: EffectiveRule, window: Sequence[tuple[date, DayTrades]]) -> bool:
    count = sum(found.count for _, found in window)
    trades = sum(found.trades for _, found in window)
    return count >= rule.terms["day_trades"] and count > rule.terms["share_of_trades"] * trades


def _designation(
    rule: EffectiveRule, session: date, window: Sequence[tuple[date, DayTrades]], account: str
) -> ComplianceFinding:
    count = sum(found.count for _, found in window)
    trades = sum(found.trades for _, found in window)
    return found_under(
        rule,
        DESIGNATED,
        session=session,
        account=account,
        observed=float(count),
        threshold=rule.terms["day_trades"],
        detail=(
            f"{account} {session}: {count} day trades among {trades} trades since {window[0][0]} make it a pattern day "
            f"trader; keep {rule.terms['minimum_equity_usd']:.0f} USD of equity before it day-trades again"
        ),
    )


def _shortfalls(
    rule: EffectiveRule, day: TradingDay, found: DayTrades, account: str, calendar: TradingCalendar
) -> list[ComplianceFinding]:
    minimum = rule.terms["minimum_equity_usd"]
    excess = max(day.previous_equity_usd - day.previous_maintenance_usd, 0.0)
    power = rule.terms["buying_power_multiple"] * excess
    findings = []
    if day.previous_equity_usd < minimum - _CENT:
        findings.append(
            found_under(
                rule,
                MINIMUM_EQUITY,
                session=day.session,
                account=account,
                observed=day.previous_equity_usd,
                threshold=minimum,
                detail=(
                    f"{account} {day.session}: {found.count} day trade(s) with {day.previous_equity_usd:.2f} USD of "
                    f"equity at the previous close; have {minimum:.0f} before the next, or hold overnight"
                ),
            )
        )
    if found.largest_commitment_usd > power + _CENT:
        due = calendar.offset(day.session, int(rule.terms["call_due_business_days"]))
        findings.append(
            found_under(
                rule,
                BUYING_POWER,
                session=day.session,
                account=account,
                observed=found.largest_commitment_usd,
                threshold=power,
                due_session=due,
                detail=(
                    f"{account} {day.session}: day trades of {found.largest_commitment_usd:.2f} USD at a time exceed "
                    f"the day-trading buying power of {power:.2f}; meet the call by {due} and trade smaller"
                ),
            )
        )
    return findings
