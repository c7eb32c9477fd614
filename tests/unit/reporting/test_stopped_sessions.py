"""A stretch is sessions that follow each other, stopped for one reason, by what checks and gate saw."""

from __future__ import annotations

import dataclasses

import pandas as pd

from aegis.lake import tables
from aegis.reporting.report import ReportInputs
from aegis.reporting.stopped_sessions import stopped_sessions

DAYS = ("2016-01-04", "2016-01-05", "2016-01-06", "2016-01-07", "2016-01-08")


def _gate(session: str, outcome: str, detail: str | None, rule: str = "kill_switch_is_off") -> tuple[object, ...]:
    return (session, "paper", "d", rule, outcome, 0.0, 0.0, 0, detail, pd.Timestamp("2016-02-06", tz="UTC"))


def _check(session: str, outcome: str, detail: str | None = None) -> tuple[object, ...]:
    return (session, "market_data/raw_bars", "prices_are_positive", "1", outcome, True, 0.0, 0.0, detail, "hash", 3)


def _inputs(inputs: ReportInputs, gate: list[tuple[object, ...]], checks: list[tuple[object, ...]]) -> ReportInputs:
    return dataclasses.replace(
        inputs,
        pre_trade_gate=tables.PRE_TRADE_GATE.conform(pd.DataFrame(gate, columns=tables.PRE_TRADE_GATE.column_names)),
        check_results=tables.CHECK_RESULTS.conform(pd.DataFrame(checks, columns=tables.CHECK_RESULTS.column_names)),
    )


def _told(inputs: ReportInputs) -> list[tuple[str, str, int, str]]:
    return [
        (f"{first:%m-%d}", f"{last:%m-%d}", sessions, reason)
        for first, last, sessions, reason in stopped_sessions(inputs).stopped_stretches.itertuples(index=False)
    ]


def test_a_switch_that_stays_engaged_is_one_stretch(inputs: ReportInputs) -> None:
    gate = [_gate(day, "refuse", f"paper {day}: kill switch engaged by ann: odd") for day in DAYS]
    assert _told(_inputs(inputs, gate, [])) == [
        ("01-04", "01-08", 5, "kill_switch_is_off: kill switch engaged by ann: odd")
    ]


def test_a_session_between_that_was_not_stopped_parts_two_stretches(inputs: ReportInputs) -> None:
    gate = [_gate(day, "pass" if day == DAYS[2] else "refuse", f"paper {day}: stopped") for day in DAYS]
    assert [told[:3] for told in _told(_inputs(inputs, gate, []))] == [("01-07", "01-08", 2), ("01-04", "01-05", 2)]


def test_another_reason_begins_another_stretch_and_data_come_before_the_gate(inputs: ReportInputs) -> None:
    gate = [_gate(day, "refuse", f"paper {day}: stopped") for day in DAYS[:2]]
    gate += [_gate(DAYS[1], "refuse", f"paper {DAYS[1]}: fails", "data_checks_passed")]
    checks = [_check(DAYS[0], "pass"), _check(DAYS[1], "block", f"AAA {DAYS[1]}: low -1")]
    assert _told(_inputs(inputs, gate, checks)) == [
        ("01-05", "01-05", 1, "prices_are_positive: AAA 2016-01-05: low -1"),
        ("01-04", "01-04", 1, "kill_switch_is_off: stopped"),
    ]


def test_several_rules_of_one_kind_are_the_first_and_a_count(inputs: ReportInputs) -> None:
    gate = [_gate(DAYS[0], "refuse", None, rule) for rule in ("a", "b", "c")]
    assert _told(_inputs(inputs, gate, [])) == [("01-04", "01-04", 1, "a (and 2 other rules): no detail was recorded")]


def test_without_a_stop_there_is_no_stretch(inputs: ReportInputs) -> None:
    assert _told(_inputs(inputs, [_gate(DAYS[0], "pass", None)], [_check(DAYS[0], "pass")])) == []
