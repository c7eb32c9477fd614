"""What all rules say of an account's history, by the text in force on each session.

Belongs here: which rules look at which kind of account, and their findings as rows. The rules are the modules beside
this one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.compliance.account_history import AccountHistory, Book
from aegis.compliance.cash_accounts import cash_account_findings
from aegis.compliance.effective_rules import INTRADAY_MARGIN, RULES, SETTLEMENT_CYCLE, day_trading_rule_on
from aegis.compliance.executions import Execution
from aegis.compliance.findings import ComplianceFinding
from aegis.compliance.intraday_margin import IntradayAccount, intraday_margin_findings
from aegis.compliance.margin import MarginClose, margin_findings, total_maintenance_usd
from aegis.compliance.pattern_day_trading import TradingDay, pattern_day_trading_findings
from aegis.compliance.wash_sales import tax_lots, wash_sale_findings
from aegis.config_compliance import ComplianceSettings
from aegis.execution.order_splits import shares_after_split
from aegis.lake import tables

Family = Literal["wash_sales", "cash_account", "margin", "day_trading"]
_UNITED_STATES = "America/New_York"
FAMILIES: tuple[Family, ...] = ("wash_sales", "cash_account", "margin", "day_trading")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Findings of an account as rows of ``compliance/findings``, and in words what was not judged, and why."""

    findings: pd.DataFrame
    not_judged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCloses:
    """Equity and cash of an account at each close, USD, by session."""

    equity_usd: Mapping[date, float]
    cash_usd: Mapping[date, float]


def judge(
    history: AccountHistory,
    closes: AccountCloses,
    *,
    settings: ComplianceSettings,
    initial_cash_usd: float,
    calendar: TradingCalendar,
) -> Judgement:
    """Return what the rules find in an account's past.

    Parameters
    ----------
    history : AccountHistory
        From the account's beginning.
    closes : AccountCloses
        Of the same sessions.
    settings : ComplianceSettings
        What kind of account it is, and since when its broker applies intraday margin.
    initial_cash_usd : float
        Settled cash before the first session.
    calendar : TradingCalendar
        Of the exchange.

    Raises
    ------
    ComplianceError
        The executions do not fit together: more is sold than a cash account held, or a price is missing.

    Notes
    -----
    The rules are those of the United States for stocks: a market whose calendar is not that of an exchange in New York
    is not judged; nor is a cash account with executions before the first settlement cycle in the table.
    """
    if not history.executions:
        return Judgement(tables.COMPLIANCE_FINDINGS.empty())
    if calendar.time_zone != _UNITED_STATES:
        return Judgement(
            tables.COMPLIANCE_FINDINGS.empty(),
            (f"the rules are those of the United States for stocks, and {calendar.name} is no exchange of them",),
        )
    found: list[tuple[Family, ComplianceFinding]] = [("wash_sales", one) for one in _wash_sales(history)]
    not_judged: list[str] = []
    if settings.account_type == "margin":
        found += [("margin", one) for one in _margin(history, closes, calendar)]
        found += [("day_trading", one) for one in _day_trading(history, closes, settings, calendar)]
    elif (first := history.executions[0].session) < (since := _first_cycle()):
        not_judged.append(f"payment and settlement: trades began on {first}, and no settlement cycle before {since}")
    else:
        found += [("cash_account", one) for one in _cash_account(history, initial_cash_usd, calendar)]
    return Judgement(_rows(found), tuple(not_judged))


def recent(findings: pd.DataFrame, family: Family, *, sessions: Sequence[date], told_sessions: int) -> pd.DataFrame:
    """Return a family's findings that a check tells: of the newest sessions, and calls that are not due yet."""
    if not sessions:
        return findings.iloc[:0]
    since, newest = sessions[-min(told_sessions, len(sessions))], sessions[-1]
    begun = findings["session"] >= pd.Timestamp(since)
    is_told = (begun | (findings["due_session"] >= pd.Timestamp(newest))) & (findings["family"] == family)
    told: pd.DataFrame = findings[is_told]
    return told


def _first_cycle() -> date:
    return min(row.effective_from for row in RULES if row.rule == SETTLEMENT_CYCLE)


def _wash_sales(history: AccountHistory) -> list[ComplianceFinding]:
    lots = tax_lots(history.in_latest_shares, judged_until=history.sessions[-1])
    return wash_sale_findings(lots, account=history.account)


def _cash_account(
    history: AccountHistory, initial_cash_usd: float, calendar: TradingCalendar
) -> list[ComplianceFinding]:
    return cash_account_findings(
        history.in_latest_shares,
        account=history.account,
        settled_cash_usd=initial_cash_usd,
        calendar=calendar,
        deposits=history.deposits,
    )


def _margin(history: AccountHistory, closes: AccountCloses, calendar: TradingCalendar) -> Iterator[ComplianceFinding]:
    """Yield the calls at each close; a book that is long only and paid for owes nothing and is passed over."""
    traded = _by_session(history.executions)
    for session in history.sessions:
        book, equity = history.books.get(session, {}), closes.equity_usd[session]
        if all(shares >= 0.0 for shares, _ in book.values()) and equity >= math.fsum(n * p for n, p in book.values()):
            continue
        opened = {symbol: shares for symbol, (shares, _) in book.items()}
        prices = {symbol: mark for symbol, (_, mark) in book.items()}
        for execution in traded.get(session, ()):
            opened[execution.symbol] = opened.get(execution.symbol, 0.0) - execution.quantity_shares
            prices.setdefault(execution.symbol, execution.price_usd)
        yield from margin_findings(
            MarginClose(
                account=history.account,
                session=session,
                equity_usd=equity,
                positions_shares={symbol: shares for symbol, (shares, _) in book.items()},
                prices_usd=prices,
                opened_positions_shares=opened,
            ),
            calendar=calendar,
        )


def _day_trading(
    history: AccountHistory, closes: AccountCloses, settings: ComplianceSettings, calendar: TradingCalendar
) -> Iterator[ComplianceFinding]:
    """Yield what the rule says that binds the account on each session with executions."""
    before = dict(zip(history.sessions[1:], history.sessions[:-1], strict=True))
    pattern: list[TradingDay] = []
    for session, executions in _by_session(history.executions).items():
        previous = before.get(session)
        if previous is None:
            continue
        book = _in_shares_of(session, history.books.get(previous, {}), history.splits)
        adopted = settings.intraday_margin_adopted
        if day_trading_rule_on(session, intraday_margin_adopted=adopted).rule == INTRADAY_MARGIN:
            yield from intraday_margin_findings(
                IntradayAccount(
                    account=history.account,
                    session=session,
                    cash_usd=closes.cash_usd[previous],
                    positions_shares={symbol: shares for symbol, (shares, _) in book.items()},
                    previous_closes_usd={symbol: mark for symbol, (_, mark) in book.items()},
                    executions=tuple(executions),
                ),
                calendar=calendar,
            )
        else:
            held = history.books.get(previous, {})
            pattern.append(
                TradingDay(
                    session=session,
                    overnight_shares={symbol: shares for symbol, (shares, _) in book.items()},
                    executions=tuple(executions),
                    previous_equity_usd=closes.equity_usd[previous],
                    previous_maintenance_usd=total_maintenance_usd(
                        {symbol: shares for symbol, (shares, _) in held.items()},
                        {symbol: mark for symbol, (_, mark) in held.items()},
                        day=previous,
                    ),
                )
            )
    yield from pattern_day_trading_findings(pattern, account=history.account, calendar=calendar)


def _in_shares_of(session: date, book: Book, splits: Mapping[str, Sequence[tuple[date, float]]]) -> Book:
    """Return the previous close's book in the shares of a session that a split may have begun with."""
    restated: Book = {}
    for symbol, (shares, mark) in book.items():
        ratio = math.prod(ratio for day, ratio in splits.get(symbol, ()) if day == session)
        restated[symbol] = (shares_after_split(shares, ratio), mark / ratio) if ratio != 1.0 else (shares, mark)
    return restated


def _by_session(executions: Sequence[Execution]) -> dict[date, list[Execution]]:
    days: dict[date, list[Execution]] = {}
    for execution in executions:
        days.setdefault(execution.session, []).append(execution)
    return dict(sorted(days.items()))


def _rows(found: Sequence[tuple[Family, ComplianceFinding]]) -> pd.DataFrame:
    if not found:
        return tables.COMPLIANCE_FINDINGS.empty()
    ordered = sorted(found, key=lambda one: (one[1].session, FAMILIES.index(one[0]), one[1].symbol or "", one[1].kind))
    numbers: dict[date, int] = {}
    rows = []
    for family, finding in ordered:
        numbers[finding.session] = numbers.get(finding.session, 0) + 1
        rows.append(
            {
                "session": finding.session,
                "account": finding.account,
                "number": numbers[finding.session],
                "family": family,
                "rule": finding.rule,
                "kind": finding.kind,
                "symbol": finding.symbol,
                "observed": finding.observed,
                "threshold": finding.threshold,
                "due_session": finding.due_session,
                "detail": finding.detail,
                "citation": finding.citation,
                "text": finding.text,
            }
        )
    return tables.COMPLIANCE_FINDINGS.conform(pd.DataFrame(rows, columns=tables.COMPLIANCE_FINDINGS.column_names))
