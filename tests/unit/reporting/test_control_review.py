"""Sessions that the controls stopped are counted and shown as sessions, however many rules stopped each of them."""

from __future__ import annotations

import dataclasses

import pandas as pd

from aegis.lake import tables
from aegis.reporting.control_review import control_review
from aegis.reporting.report import ReportInputs

DAYS = [day.strftime("%Y-%m-%d") for day in pd.bdate_range("2024-03-01", periods=25)]
"""2024-03-01 to 2024-04-04; the newest twenty begin on 2024-03-08."""
GATE_ONLY = "2024-04-05"
SESSIONS = pd.DataFrame(
    {
        "session": [pd.Timestamp("2024-02-05")],
        "return_daily": [0.0],
        "gross_exposure": [0.0],
        "net_exposure": [0.0],
    }
)


def _check(session: str, outcome: str) -> tuple[object, ...]:
    return (session, "market_data/raw_bars", "prices_are_positive", "1", outcome, True, 0.0, 0.0, "AAA", "hash", 3)


def _gate(session: str, rule: str) -> tuple[object, ...]:
    return (session, "paper", "d", rule, "refuse", 0.0, 0.0, 0, "why", pd.Timestamp("2024-02-06", tz="UTC"))


def test_a_session_stopped_by_several_rules_is_one_of_the_twenty_shown(inputs: ReportInputs) -> None:
    checks = [_check(day, "block") for day in DAYS] + [_check(GATE_ONLY, "pass")]
    gate = [_gate(day, rule) for day in [*DAYS, GATE_ONLY] for rule in ("data_checks_passed", "inputs_are_fresh")]
    stopped = dataclasses.replace(
        inputs,
        check_results=tables.CHECK_RESULTS.conform(pd.DataFrame(checks, columns=tables.CHECK_RESULTS.column_names)),
        pre_trade_gate=tables.PRE_TRADE_GATE.conform(pd.DataFrame(gate, columns=tables.PRE_TRADE_GATE.column_names)),
    )

    review = control_review(stopped, SESSIONS)

    shown = review.blocked_sessions
    assert [f"{day:%Y-%m-%d}" for day in shown["session"].unique()] == [GATE_ONLY, *reversed(DAYS[6:])]
    assert len(shown) == 2 + 19 * 3  # two rules of the gate in each, and a data check in all but the newest
    assert review.data_checks.sessions_blocked_by_data == 25
    assert review.data_checks.sessions_refused_by_gate == 26
    assert review.data_checks.sessions_stopped == 26


def test_a_blocked_session_that_the_gate_has_not_seen_counts_as_stopped(inputs: ReportInputs) -> None:
    # The five sessions by hand: 2024-01-31 was blocked and refused; now 2024-02-05 is blocked as well.
    later = pd.DataFrame([_check("2024-02-05", "block")], columns=tables.CHECK_RESULTS.column_names)
    checks = pd.concat([inputs.check_results, tables.CHECK_RESULTS.conform(later)], ignore_index=True)

    figures = control_review(dataclasses.replace(inputs, check_results=checks), SESSIONS).data_checks

    assert (figures.sessions_blocked_by_data, figures.sessions_refused_by_gate, figures.sessions_stopped) == (2, 1, 2)
