"""Which text of a rule is in force on a date, with its numbers and where they are written.

Belongs here: the table. What a rule does with its numbers is in the module of that name; nothing else holds a date
from which, or a number with which, a rule applies.

Notes
-----
A row is in force from ``effective_from`` to the day before ``ends_before``. ``terms`` are the rule's own numbers. Rows
that begin on 1990-01-01 are older than that: no calendar of ours goes back further, so they were traced no further.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from aegis.errors import ComplianceError

SETTLEMENT_CYCLE = "settlement cycle"
CASH_ACCOUNT = "cash account"
WASH_SALE = "wash sale"
INITIAL_MARGIN = "initial margin"
MAINTENANCE_MARGIN = "maintenance margin"
PATTERN_DAY_TRADER = "pattern day trader"
INTRADAY_MARGIN = "intraday margin"

INTRADAY_MARGIN_EFFECTIVE = date(2026, 6, 4)
INTRADAY_MARGIN_PHASED_IN = date(2027, 10, 20)
"""Last day on which a broker may still apply the pattern-day-trader rule in its place."""

_TRACED_TO = date(1990, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRule:
    """One text of one rule, for as long as it is in force.

    Parameters
    ----------
    rule : str
        Name of the rule; its texts follow one another without overlap.
    citation : str
        Where the text stands.
    text : str
        What it says, in our words.
    effective_from : date
        First day.
    ends_before : date or None
        First day on which it is no longer in force; None while no end is known.
    terms : mapping of str to float
        Its numbers, each with its unit in the name.
    """

    rule: str
    citation: str
    text: str
    effective_from: date
    ends_before: date | None = None
    terms: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def is_in_force(self, day: date) -> bool:
        """Whether the text applies on `day`."""
        return self.effective_from <= day and (self.ends_before is None or day < self.ends_before)


def _cycle(citation: str, days: int, effective_from: date, ends_before: date | None) -> EffectiveRule:
    return EffectiveRule(
        rule=SETTLEMENT_CYCLE,
        citation=citation,
        text=f"A trade in stocks settles {days} business day(s) after the trade date (T+{days}).",
        effective_from=effective_from,
        ends_before=ends_before,
        terms={"business_days": days},
    )


def _pattern(citation: str, effective_from: date, ends_before: date) -> EffectiveRule:
    return EffectiveRule(
        rule=PATTERN_DAY_TRADER,
        citation=citation,
        text="Four or more day trades within five business days, if they are more than 6 % of the trades of that "
        "time, make a margin account a pattern day trader: it needs 25,000 USD of equity before it day-trades, and may "
        "have day trades of no more than four times its maintenance margin excess at the previous close.",
        effective_from=effective_from,
        ends_before=ends_before,
        terms={
            "day_trades": 4,
            "business_days": 5,
            "share_of_trades": 0.06,
            "minimum_equity_usd": 25_000,
            "buying_power_multiple": 4,
            "call_due_business_days": 5,
            "lapses_after_days": 90,
        },
    )


def _maintenance(citation: str, effective_from: date, ends_before: date | None) -> EffectiveRule:
    return EffectiveRule(
        rule=MAINTENANCE_MARGIN,
        citation=citation,
        text="Equity of at least 25 % of long stock; for stock sold short 30 % or 5.00 USD a share from 5.00 USD on, "
        "and 100 % or 2.50 USD a share below, whichever is more; at least 2,000 USD in an account that borrows.",
        effective_from=effective_from,
        ends_before=ends_before,
        terms={
            "long_share": 0.25,
            "short_share": 0.30,
            "short_per_share_usd": 5.0,
            "low_price_usd": 5.0,
            "low_priced_short_share": 1.0,
            "low_priced_short_per_share_usd": 2.5,
            "minimum_equity_usd": 2_000,
        },
    )


RULES: tuple[EffectiveRule, ...] = (
    _cycle("Exchange Act Rule 15c6-1(a), Release 34-33023 (1993)", 3, date(1995, 6, 7), date(2017, 9, 5)),
    _cycle("Exchange Act Rule 15c6-1(a), 82 FR 15564 (2017)", 2, date(2017, 9, 5), date(2024, 5, 28)),
    _cycle("Exchange Act Rule 15c6-1(a), 88 FR 13872 (2023)", 1, date(2024, 5, 28), None),
    EffectiveRule(
        rule=CASH_ACCOUNT,
        citation="Regulation T, 12 CFR 220.8",
        text="A cash account pays for a purchase in full before it sells what it bought; where it does not, it may buy "
        "with settled funds only for 90 days.",
        effective_from=_TRACED_TO,
        terms={"freeze_days": 90},
    ),
    EffectiveRule(
        rule=WASH_SALE,
        citation="26 USC 1091; 26 CFR 1.1091-1, 1.1091-2; Rev. Rul. 56-602",
        text="A loss is not deductible as far as substantially identical stock was acquired within 30 days before or "
        "after the sale; it is added to the basis of the stock acquired.",
        effective_from=_TRACED_TO,
        terms={"days_before": 30, "days_after": 30},
    ),
    EffectiveRule(
        rule=INITIAL_MARGIN,
        citation="Regulation T, 12 CFR 220.12(a), (c)(1), 220.4(c)",
        text="Margin of 50 % of the market value of stock bought on margin; 150 % of stock sold short, of which the "
        "proceeds are 100 %. A call is due one payment period after the trade: the settlement cycle and two days.",
        effective_from=_TRACED_TO,
        terms={"long_share": 0.5, "short_share": 0.5, "payment_period_business_days": 2},
    ),
    _maintenance("NASD Rule 2520(c), NYSE Rule 431(c)", _TRACED_TO, date(2010, 12, 2)),
    _maintenance("FINRA Rule 4210(b), (c); Regulatory Notices 10-45, 11-16", date(2010, 12, 2), None),
    _pattern("NASD Rule 2520(f)(8)(B), Notice to Members 01-26", date(2001, 9, 28), date(2010, 12, 2)),
    _pattern("FINRA Rule 4210(f)(8)(B), Regulatory Notices 10-45, 21-13", date(2010, 12, 2), INTRADAY_MARGIN_EFFECTIVE),
    EffectiveRule(
        rule=INTRADAY_MARGIN,
        citation="FINRA Rule 4210(a)(17)-(19), (d)(2); SR-FINRA-2025-017, 91 FR 20731; Regulatory Notice 26-10",
        text="Equity covers the maintenance requirement after each transaction that uses up margin, at any time of the "
        "day. The largest deficit of a day is to be made good as soon as possible; one that is not by the fifth "
        "business day, where that is the customer's practice, freezes the account for 90 days. A deficit of at most "
        "5 % of equity and 1,000 USD does not count towards that.",
        effective_from=INTRADAY_MARGIN_EFFECTIVE,
        terms={
            "call_due_business_days": 5,
            "freeze_days": 90,
            "small_deficit_share_of_equity": 0.05,
            "small_deficit_usd": 1_000,
        },
    ),
)


def rule_on(rule: str, day: date) -> EffectiveRule | None:
    """Return the text of a rule that is in force on a day, None where there is none.

    Raises
    ------
    ComplianceError
        No rule has that name.
    """
    if rule not in {row.rule for row in RULES}:
        raise ComplianceError(f"rule {rule!r} is not in the table; the rules are {sorted({r.rule for r in RULES})}")
    return next((row for row in RULES if row.rule == rule and row.is_in_force(day)), None)


def require_rule(rule: str, day: date) -> EffectiveRule:
    """Return the text of a rule that is in force on a day.

    Raises
    ------
    ComplianceError
        None is: the table says nothing of that day.
    """
    found = rule_on(rule, day)
    if found is None:
        first = min(row.effective_from for row in RULES if row.rule == rule)
        raise ComplianceError(f"{rule} {day}: no text is in force; the table begins on {first}, ask for a later day")
    return found


def day_trading_rule_on(day: date, *, intraday_margin_adopted: date = INTRADAY_MARGIN_EFFECTIVE) -> EffectiveRule:
    """Return which rule about day trading binds an account: the pattern-day-trader rule or intraday margin.

    Parameters
    ----------
    day : date
        Session of the trades.
    intraday_margin_adopted : date
        First day on which the account's broker applies the intraday-margin rule. A broker may keep to the rule before
        it until the phase-in ends.

    Raises
    ------
    ComplianceError
        The adoption is outside the phase-in, or the day lies before both rules.
    """
    last = INTRADAY_MARGIN_PHASED_IN
    if not INTRADAY_MARGIN_EFFECTIVE <= intraday_margin_adopted <= last:
        raise ComplianceError(
            f"intraday margin adopted on {intraday_margin_adopted}: expected a day from {INTRADAY_MARGIN_EFFECTIVE} to "
            f"{last}, the phase-in of FINRA Rule 4210 as amended; ask the broker for the day"
        )
    if day >= intraday_margin_adopted:
        return require_rule(INTRADAY_MARGIN, day)
    before = min(day, date.fromordinal(INTRADAY_MARGIN_EFFECTIVE.toordinal() - 1))
    return require_rule(PATTERN_DAY_TRADER, before)
