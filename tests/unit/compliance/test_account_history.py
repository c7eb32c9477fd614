"""An account's past put together from rows of the lake: corporate actions as sales, dividends as payments."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.compliance.account_history import AccountTables, account_history
from aegis.compliance.cash_accounts import Deposit
from aegis.compliance.judgement import AccountCloses, judge, recent
from aegis.config_compliance import ComplianceSettings
from aegis.errors import ComplianceError
from aegis.lake import tables

CALENDAR = trading_calendar("XNYS")
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2015, 6, day) for day in (8, 9, 10, 11))
KNOWN = pd.Timestamp("2015-06-01", tz="UTC")


def table(schema, rows):
    """Return rows of a table, with what is not said filled in."""
    blank = {"float": 0.0, "text": "x", "integer": 1, "boolean": False, "instant": KNOWN, "session": MONDAY}
    filled = [
        {
            c.name: row.get(c.name, None if c.nullable else blank[c.kind])
            for c in schema.columns
            if not c.is_added or any(c.name in other for other in rows)
        }
        for row in rows
    ]
    return schema.conform(pd.DataFrame(filled)) if rows else schema.empty()


def fill(session, symbol, shares, price, *, order=None, commission=0.0, clock="14:00"):
    return {
        "session": session, "account": "desk", "client_order_id": order or f"{session} {symbol} {shares:g} {clock}",
        "fill_number": 1, "symbol": symbol, "quantity_shares": shares, "price_usd": price,
        "commission_usd": commission, "filled_at_utc": pd.Timestamp(f"{session} {clock}", tz="UTC"),
    }  # fmt: skip


def position(session, symbol, shares, mark):
    return {
        "session": session, "account": "desk", "symbol": symbol, "quantity_shares": shares, "mark_price_usd": mark,
        "mark_session": session,
    }  # fmt: skip


def value(session, cash, equity=None):
    return {"session": session, "account": "desk", "cash_usd": cash, "equity_usd": equity or cash}


def action(session, symbol, kind, **terms):
    return {"session": session, "symbol": symbol, "action": kind, "split_ratio": 1.0, **terms}


def history_of(*, fills=(), positions=(), values=(), actions=(), bars=(), cash=1000.0):
    rows = AccountTables(
        fills=table(tables.FILLS, fills),
        positions=table(tables.POSITIONS, positions),
        account_values=table(tables.ACCOUNT_VALUES, values),
        corporate_actions=table(tables.CORPORATE_ACTIONS, actions),
        delisting_bars=table(tables.DAILY_BARS, bars),
    )
    return account_history(rows, account="desk", initial_cash_usd=cash, calendar=CALENDAR)


def judged(history, values, *, cash=1000.0, **settings):
    closes = AccountCloses(
        equity_usd={row["session"]: row["equity_usd"] for row in values},
        cash_usd={row["session"]: row["cash_usd"] for row in values},
    )
    said = judge(history, closes, settings=ComplianceSettings(**settings), initial_cash_usd=cash, calendar=CALENDAR)
    return said.findings


def sales(history):
    return [
        (e.order_id, e.quantity_shares, e.price_usd) for e in history.executions if e.order_id.split()[0] in
        ("cash", "delisting")
    ]  # fmt: skip


def test_the_fraction_that_a_split_leaves_is_sold_at_the_mark_before() -> None:
    # 7 shares at a mark of 30; three for two makes 10.5, of which 0.5 is paid out at 30 / 1.5 = 20.
    history = history_of(
        fills=[fill(MONDAY, "AAA", 7.0, 29.0)],
        positions=[position(MONDAY, "AAA", 7.0, 30.0), position(TUESDAY, "AAA", 10.0, 21.0)],
        values=[value(MONDAY, 797.0), value(TUESDAY, 807.0)],
        actions=[action(TUESDAY, "AAA", "split", split_ratio=1.5)],
    )
    assert sales(history) == [(f"cash in lieu AAA {TUESDAY}", -0.5, 20.0)]
    assert history.deposits == (), "ten dollars are what the fraction brought"
    restated = history.in_latest_shares
    assert [(e.quantity_shares, e.price_usd) for e in restated] == [(10.5, pytest.approx(29 / 1.5)), (-0.5, 20.0)]


def test_delisted_shares_are_sold_at_the_session_s_close_or_else_at_the_mark() -> None:
    bar = {"session": TUESDAY, "symbol": "AAA", "close_raw_usd": 26.0, "known_at_utc": KNOWN}
    history = history_of(
        fills=[fill(MONDAY, s, 4.0, 25.0) for s in ("AAA", "BBB")],
        positions=[position(MONDAY, s, 4.0, 25.0) for s in ("AAA", "BBB")],
        values=[value(MONDAY, 800.0), value(TUESDAY, 1004.0)],
        actions=[action(TUESDAY, s, "delisting") for s in ("AAA", "BBB")],
        bars=[bar],
    )
    assert sales(history) == [(f"delisting AAA {TUESDAY}", -4.0, 26.0), (f"delisting BBB {TUESDAY}", -4.0, 25.0)]
    assert history.deposits == ()


def test_a_cash_merger_is_a_sale_at_its_terms_and_the_delisting_beside_it_none() -> None:
    history = history_of(
        fills=[fill(MONDAY, "AAA", 4.0, 25.0)],
        positions=[position(MONDAY, "AAA", 4.0, 25.0)],
        values=[value(MONDAY, 900.0), value(TUESDAY, 1020.0)],
        actions=[
            action(TUESDAY, "AAA", "merger", merger_cash_usd=30.0, merger_ratio=0.0),
            action(TUESDAY, "AAA", "delisting", merger_cash_usd=0.0, merger_ratio=0.0),
        ],
    )
    assert sales(history) == [(f"cash merger AAA {TUESDAY}", -4.0, 30.0)]
    assert history.deposits == ()


def test_a_merger_for_shares_is_a_sale_and_a_purchase_at_the_acquirer_s_close() -> None:
    # 10 shares at 2 USD and 0.35 BBB at 20 are 9 each; 3 BBB are bought at 20: 90 - 60 = 30 in cash.
    bar = {"session": TUESDAY, "symbol": "BBB", "close_raw_usd": 20.0, "known_at_utc": KNOWN}
    terms = {"merger_cash_usd": 2.0, "merger_ratio": 0.35, "acquirer": "BBB"}
    history = history_of(
        fills=[fill(MONDAY, "AAA", 10.0, 10.0)],
        positions=[position(MONDAY, "AAA", 10.0, 10.0), position(TUESDAY, "BBB", 3.0, 20.0)],
        values=[value(MONDAY, 900.0), value(TUESDAY, 930.0)],
        actions=[action(TUESDAY, "AAA", "merger", **terms), action(TUESDAY, "AAA", "delisting")],
        bars=[bar],
    )
    paid = [(e.order_id, e.symbol, e.quantity_shares, e.price_usd) for e in history.executions[1:]]
    assert paid == [
        (f"merger AAA {TUESDAY}", "AAA", -10.0, 9.0),
        (f"shares for AAA in BBB {TUESDAY}", "BBB", 3.0, 20.0),
    ]
    assert history.deposits == ()


def test_a_merger_whose_acquirer_has_no_close_is_its_delisting() -> None:
    terms = {"merger_cash_usd": 2.0, "merger_ratio": 0.35, "acquirer": "BBB"}
    history = history_of(
        fills=[fill(MONDAY, "AAA", 10.0, 10.0)],
        positions=[position(MONDAY, "AAA", 10.0, 10.0)],
        values=[value(MONDAY, 900.0), value(TUESDAY, 1000.0)],
        actions=[action(TUESDAY, "AAA", "merger", **terms), action(TUESDAY, "AAA", "delisting")],
    )
    assert sales(history) == [(f"delisting AAA {TUESDAY}", -10.0, 10.0)]


def test_cash_that_no_execution_explains_is_paid_in_on_its_session() -> None:
    history = history_of(
        fills=[fill(MONDAY, "AAA", 10.0, 50.0, commission=1.0)],
        positions=[position(MONDAY, "AAA", 10.0, 50.0), position(TUESDAY, "AAA", 10.0, 50.0)],
        values=[value(MONDAY, 499.0), value(TUESDAY, 502.0)],
    )
    assert history.deposits == (Deposit(TUESDAY, pytest.approx(3.0)),)


def test_a_cash_account_that_sells_before_the_funds_settled_is_found_in_the_shares_of_today() -> None:
    # 2015: T+3. All cash buys AAA on Monday, which was held since; Tuesday AAA is sold for BBB, and BBB on Wednesday.
    fills = [
        fill(MONDAY, "AAA", 10.0, 100.0),
        fill(TUESDAY, "AAA", -20.0, 50.0, clock="14:00"),
        fill(TUESDAY, "BBB", 10.0, 100.0, clock="15:00"),
        fill(WEDNESDAY, "BBB", -10.0, 100.0),
    ]
    values = [value(MONDAY, 0.0, 1000.0), value(TUESDAY, 0.0, 1000.0), value(WEDNESDAY, 1000.0)]
    history = history_of(
        fills=fills,
        positions=[position(MONDAY, "AAA", 10.0, 100.0), position(TUESDAY, "BBB", 10.0, 100.0)],
        values=values,
        actions=[action(TUESDAY, "AAA", "split", split_ratio=2.0)],
    )
    found = judged(history, values)
    assert found[["session", "family", "kind", "symbol"]].to_dict("records") == [
        {"session": pd.Timestamp(WEDNESDAY), "family": "cash_account", "kind": "good faith violation", "symbol": "BBB"}
    ]
    assert "bought on 2015-06-09 with proceeds that settle on 2015-06-12 and sold before" in found["detail"][0]
    assert judged(history, values, account_type="margin").empty, "a margin account may"


def test_a_wash_sale_is_numbered_and_told_while_it_is_recent() -> None:
    fills = [fill(MONDAY, "AAA", 10.0, 50.0), fill(TUESDAY, "AAA", -10.0, 40.0), fill(THURSDAY, "AAA", 10.0, 41.0)]
    values = [value(MONDAY, 500.0), value(TUESDAY, 900.0), value(THURSDAY, 490.0)]
    history = history_of(
        fills=fills,
        positions=[position(MONDAY, "AAA", 10.0, 50.0), position(THURSDAY, "AAA", 10.0, 41.0)],
        values=values,
    )
    found = judged(history, values)
    row = found.to_dict("records")[0]
    assert len(found) == 1
    assert (row["number"], row["family"], row["observed"], row["rule"]) == (1, "wash_sales", 100.0, "wash sale")
    assert len(recent(found, "wash_sales", sessions=history.sessions, told_sessions=2)) == 1
    assert recent(found, "wash_sales", sessions=history.sessions, told_sessions=1).empty
    assert recent(found, "margin", sessions=history.sessions, told_sessions=2).empty


def test_a_margin_call_is_told_until_it_is_due() -> None:
    # 2,000 of stock on 900 of equity: Regulation T asks for 1,000; the call is due T+3 and two days later.
    values = [value(MONDAY, -1100.0, 900.0), value(TUESDAY, -1100.0, 900.0), value(WEDNESDAY, -1100.0, 900.0)]
    history = history_of(
        fills=[fill(MONDAY, "AAA", 20.0, 100.0)],
        positions=[position(day, "AAA", 20.0, 100.0) for day in (MONDAY, TUESDAY, WEDNESDAY)],
        values=values,
        cash=900.0,
    )
    found = judged(history, values, cash=900.0, account_type="margin")
    assert found["kind"].tolist()[0] == "initial margin call"
    assert found["due_session"][0] == pd.Timestamp("2015-06-15")
    assert len(recent(found, "margin", sessions=history.sessions, told_sessions=1)) >= 1


def test_the_day_trading_rule_is_that_of_the_session() -> None:
    # Four round trips in a day: a pattern before 2026-06-04, nothing by itself under intraday margin.
    def account(day, later):
        fills = [
            fill(day, symbol, shares, 10.0, clock=clock)
            for symbol in ("AAA", "BBB", "CCC", "DDD")
            for shares, clock in ((10.0, "14:00"), (-10.0, "15:00"))
        ]
        values = [value(CALENDAR.previous(day), 1000.0), value(day, 1000.0), value(later, 1000.0)]
        return judged(history_of(fills=fills, values=values), values, account_type="margin")

    before = account(date(2026, 6, 3), date(2026, 6, 4))
    assert before[["family", "kind", "observed"]].to_numpy().tolist() == [["day_trading", "pattern day trader", 4.0]]
    assert account(date(2026, 6, 4), date(2026, 6, 5)).empty


def test_trades_before_the_first_settlement_cycle_of_the_table_are_said_not_to_be_judged() -> None:
    day = date(1995, 6, 6)
    values = [value(day, 500.0)]
    history = history_of(
        fills=[fill(day, "AAA", 10.0, 50.0)], positions=[position(day, "AAA", 10.0, 50.0)], values=values
    )
    closes = AccountCloses(equity_usd={day: 1000.0}, cash_usd={day: 500.0})
    said = judge(history, closes, settings=ComplianceSettings(), initial_cash_usd=1000.0, calendar=CALENDAR)
    assert said.findings.empty
    assert said.not_judged == (
        "payment and settlement: trades began on 1995-06-06, and no settlement cycle before 1995-06-07",
    )


@pytest.mark.parametrize("exchange", ["XLON", "24/7"])
def test_trades_at_an_exchange_elsewhere_are_said_not_to_be_judged(exchange) -> None:
    history = history_of(fills=[fill(MONDAY, "AAA", 10.0, 50.0)], values=[value(MONDAY, 500.0)])
    closes = AccountCloses(equity_usd={MONDAY: 1000.0}, cash_usd={MONDAY: 500.0})
    calendar = trading_calendar(exchange)
    said = judge(history, closes, settings=ComplianceSettings(), initial_cash_usd=1000.0, calendar=calendar)
    assert said.findings.empty
    assert said.not_judged == (
        f"the rules are those of the United States for stocks, and {exchange} is no exchange of them",
    )


def test_shares_that_come_from_nowhere_are_refused() -> None:
    values = [value(MONDAY, 1500.0)]
    history = history_of(fills=[fill(MONDAY, "AAA", -10.0, 50.0)], values=values)
    with pytest.raises(ComplianceError, match="10 more shares of AAA are sold than were bought"):
        judged(history, values)
