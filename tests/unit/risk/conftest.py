"""A decision that passes every rule, with any input replaced."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from aegis.execution.orders import Order
from aegis.risk.breakers import BreakerState
from aegis.risk.gate_inputs import CheckVerdict, GateInputs
from aegis.risk.limits import RiskLimits

SESSION = date(2014, 6, 5)
DECIDED = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)


def _verdict(check: str = "prices_are_positive", **replaced: Any) -> CheckVerdict:
    row = {"check_version": "1", "table": "market_data/raw_bars", "outcome": "pass", "is_blocking": True}
    return CheckVerdict(check=check, snapshot_id=7, **{"content_hash": "h1", **row, **replaced})


@pytest.fixture(scope="session")
def verdict_of() -> Callable[..., CheckVerdict]:
    """Make a passed blocking check of the pinned rows, with any field replaced."""
    return _verdict


@pytest.fixture(scope="session")
def inputs_of(order_of: Callable[..., Order]) -> Callable[..., GateInputs]:
    """Make the inputs of a clean decision: equity 100,000; 400 OLD, 100 ABC held at 10; buy 100 ABC, sell 100 OLD."""

    def make(**replaced: Any) -> GateInputs:
        inputs: dict[str, Any] = {
            "session": SESSION,
            "account": "simulated",
            "decision_id": f"simulated/main/{SESSION}/rebalance/1",
            "orders": (
                order_of(symbol="ABC", quantity_shares=100.0),
                order_of(symbol="OLD", quantity_shares=-100.0),
            ),
            "equity_usd": 100_000.0,
            "positions_shares": {"ABC": 100.0, "OLD": 400.0},
            "open_orders": (),
            "prices_usd": {"ABC": 10.0, "OLD": 10.0, "NEW": 10.0},
            "target_weights": {"ABC": 0.02, "OLD": 0.03},
            "median_dollar_volume_usd": {"ABC": 1e6, "OLD": 1e6, "NEW": 1e6},
            "value_at_risk_95": 0.01,
            "check_results": (_verdict("prices_are_positive"), _verdict("rows_are_unique")),
            "required_checks": {"prices_are_positive": "1", "rows_are_unique": "1"},
            "pinned_content_hashes": {"market_data/raw_bars": "h1"},
            "outdated_tables": (),
            "input_session": SESSION,
            "clock_session": SESSION,
            "inputs_known_at_utc": DECIDED,
            "decision_time_utc": DECIDED,
            "execution_opens_at_utc": datetime(2014, 6, 6, 13, 30, tzinfo=UTC),
            "passed_by_session": None,
            "kill_switch_engaged": False,
            "reconciliation_clean": True,
            "breaker": BreakerState.opening(equity_usd=100_000.0),
            "limits": RiskLimits(
                max_position_weight=0.05,
                max_gross_exposure=1.0,
                max_value_at_risk_95=0.04,
                max_participation_of_volume=0.1,
            ),
        }
        return GateInputs(**{**inputs, **replaced})

    return make
