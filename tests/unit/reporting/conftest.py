"""Five sessions of one account, worked out by hand.

Equity 1000, 1250, 625, 1250, 937.50: returns 0, 1/4, -1/2, 1, -1/4 (exact in binary), total -6.25 %.
Benchmark levels 1, 1.5, 0.75, 1.5, 1.5. The risk-free rate is 0.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pandas as pd
import pytest

from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.reporting.performance import performance_report
from aegis.reporting.report import PerformanceReport, ReportIdentity, ReportInputs

D1, D2, D3, D4, D5 = SESSIONS = ("2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02", "2024-02-05")
KNOWN = pd.Timestamp("2024-02-06", tz="UTC")
ACCOUNT = "paper"


def frame(table: TableSchema, *rows: tuple[object, ...]) -> pd.DataFrame:
    return table.conform(pd.DataFrame(rows, columns=table.column_names))


def _account_value(session: str, cash: float, equity: float, peak: float, level: float) -> tuple:
    return (session, ACCOUNT, cash, 0.0, equity - cash, equity, peak, equity / peak - 1.0, level)


def _pnl(session: str, change: float, parts: tuple[float, ...], own: float, benchmark: float | None) -> tuple:
    return (session, ACCOUNT, change, *parts, 0.0, own, benchmark)


def _fill(session: str, order: str, symbol: str, shares: float, price: float, costs: tuple[float, float]) -> tuple:
    return (session, ACCOUNT, order, "d", 1, symbol, symbol, shares, price, price, *costs, price, KNOWN)


def _position(session: str, symbol: str, shares: float, mark: float, equity: float) -> tuple:
    value = shares * mark
    return (session, ACCOUNT, symbol, shares, mark, session, value, 50.0, shares * (mark - 50.0), value / equity)


def _order(session: str, order: str, symbol: str, shares: float, execution: str, outcome: str) -> tuple:
    fate = ("vwap", "DAY", execution, 50.0, 0.1, shares < 0, outcome, "rebalance", 7, KNOWN)
    return (session, ACCOUNT, order, "d", symbol, symbol, shares, *fate)


def _risk(session: str, value_at_risk: float, drawdown: float, state: str, scale: float) -> tuple:
    numbers = (value_at_risk, value_at_risk * 1.5, None, 0.2, 0.64, 0.32, 0.48, 0.625, drawdown, 0.0)
    return (session, ACCOUNT, *numbers, state, scale, KNOWN)


def _gate(session: str, rule: str, outcome: str, refused: int, detail: str | None) -> tuple:
    return (session, ACCOUNT, "d", rule, outcome, 0.0, 0.0, refused, detail, KNOWN)


def _check(session: str, check: str, outcome: str, detail: str | None = None) -> tuple:
    return (session, "market_data/raw_bars", check, "1", outcome, True, 0.0, 0.0, detail, "hash", 3)


@pytest.fixture
def identity() -> ReportIdentity:
    return ReportIdentity(
        source="simulated",
        is_simulated=True,
        account=ACCOUNT,
        workspace="simulated-paper",
        snapshot_id=42,
        code_version="abc123",
        config_hash="cafe",
        benchmark_symbol="SIMX",
        risk_free_rate_annual=0.0,
        created_at_utc=datetime(2024, 2, 6, 12, 0, tzinfo=UTC),
    )


@pytest.fixture
def inputs(identity: ReportIdentity) -> ReportInputs:
    return ReportInputs(
        identity=identity,
        account_values=frame(
            tables.ACCOUNT_VALUES,
            _account_value(D1, 1000.0, 1000.0, 1000.0, 1.0),
            _account_value(D2, 700.0, 1250.0, 1250.0, 1.5),
            _account_value(D3, 700.0, 625.0, 1250.0, 0.75),
            _account_value(D4, 700.0, 1250.0, 1250.0, 1.5),
            _account_value(D5, 637.5, 937.5, 1250.0, 1.5),
        ),
        daily_pnl=frame(
            tables.DAILY_PNL,
            _pnl(D1, 0.0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 0.0, None),
            _pnl(D2, 250.0, (0.0, 262.0, 0.0, 0.0, -10.0, -2.0), 0.25, 0.5),
            _pnl(D3, -625.0, (-630.0, 0.0, 5.0, 0.0, 0.0, 0.0), -0.5, -0.5),
            _pnl(D4, 625.0, (620.0, 0.0, 0.0, 5.0, 0.0, 0.0), 1.0, 1.0),
            _pnl(D5, -312.5, (-300.0, -10.0, 0.0, 0.0, -2.0, -0.5), -0.25, 0.0),
        ),
        fills=frame(
            tables.FILLS,
            _fill(D2, "o1", "AAA", 10.0, 50.0, (1.0, 6.0)),
            _fill(D2, "o2", "BBB", -5.0, 40.0, (1.0, 4.0)),
            _fill(D5, "o4", "AAA", -4.0, 75.0, (0.5, 2.0)),
        ),
        positions=frame(
            tables.POSITIONS,
            _position(D2, "AAA", 10.0, 60.0, 1250.0),
            _position(D5, "AAA", 6.0, 75.0, 937.5),
            _position(D5, "BBB", -5.0, 30.0, 937.5),
            _position(D5, "CCC", 0.0, 10.0, 937.5),
        ),
        orders=frame(
            tables.ORDERS,
            _order(D1, "o1", "AAA", 10.0, D2, "approved"),
            _order(D1, "o2", "BBB", -5.0, D2, "approved"),
            _order(D2, "o3", "AAA", 99.0, D3, "refused"),
            _order(D4, "o4", "AAA", -4.0, D5, "approved"),
        ),
        risk_report=frame(
            tables.RISK_REPORT,
            _risk(D1, 0.0, 0.0, "armed", 1.0),
            _risk(D2, 0.3, 0.0, "armed", 1.0),
            _risk(D3, 0.6, -0.5, "tripped: drawdown", 0.5),
            _risk(D4, 0.2, 0.0, "tripped: drawdown", 0.5),
            _risk(D5, 0.1, -0.25, "armed", 1.0),
        ),
        pre_trade_gate=frame(
            tables.PRE_TRADE_GATE,
            _gate(D1, "data_checks_passed", "pass", 0, None),
            _gate(D2, "data_checks_passed", "refuse", 1, "AAA close -3 is not positive"),
            _gate(D2, "no_breaker_is_tripped", "reduce only", 0, "drawdown"),
            _gate(D3, "no_breaker_is_tripped", "reduce only", 0, "drawdown"),
            _gate(D4, "no_breaker_is_tripped", "pass", 0, None),
        ),
        check_results=frame(
            tables.CHECK_RESULTS,
            _check(D1, "prices_are_positive", "pass"),
            _check(D2, "prices_are_positive", "block", "AAA close -3 is not positive"),
            _check(D3, "prices_are_positive", "pass"),
            _check(D3, "jumps_are_explained", "warn", "BBB"),
        ),
        listings=frame(
            tables.LISTINGS,
            ("AAA", "AAA", "2020-01-02", D2, "Alpha", "Hardware", True, "simulated"),
            ("AAA", "AAX", D3, None, "Alpha <Holdings> & Co", "Software", True, "simulated"),
        ),
    )


@pytest.fixture
def report(inputs: ReportInputs) -> PerformanceReport:
    return performance_report(inputs)


@pytest.fixture
def real_report(inputs: ReportInputs) -> PerformanceReport:
    identity = dataclasses.replace(inputs.identity, is_simulated=False, source="files")
    return performance_report(dataclasses.replace(inputs, identity=identity))
