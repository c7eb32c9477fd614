"""What tests of several packages share: orders, the market of one session, and services that may be missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
import pytest

from aegis.backtesting.session_market import BAR_DTYPE, CorporateAction, SessionMarket
from aegis.execution.orders import Order

REQUIRE_SERVICES = "AEGIS_REQUIRE_SERVICES"

Bar = tuple[float, float, float, float, float]


def pytest_configure() -> None:
    """Keep the settings of the shell that starts the tests out of them."""
    for variable in list(os.environ):
        if variable == "DAGSTER_HOME" or (variable.startswith("AEGIS_") and variable != REQUIRE_SERVICES):
            del os.environ[variable]


def _require_service(present: object, remedy: str) -> None:
    if present:
        return
    if os.environ.get(REQUIRE_SERVICES) == "1":
        pytest.fail(f"{remedy}; {REQUIRE_SERVICES}=1 promised that it is there")
    pytest.skip(remedy)


def _order(**terms: Any) -> Order:
    session = terms.get("session", date(2014, 6, 5))
    defaults: dict[str, Any] = {
        "client_order_id": f"order-{terms.get('symbol', 'ABC')}",
        "decision_id": f"simulated/main/{session}/rebalance/1",
        "account": "simulated",
        "session": session,
        "execution_session": date(2014, 6, 6),
        "symbol": "ABC",
        "ticker": terms.get("symbol", "ABC"),
        "quantity_shares": 100.0,
        "algorithm": "vwap",
        "time_in_force": "DAY",
        "arrival_price_usd": 10.0,
        "target_weight": 0.05,
        "is_reducing": False,
        "reason": "rebalance",
    }
    return Order(**{**defaults, **terms})


def _market(
    session: date = date(2014, 6, 6),
    *,
    bars: Mapping[str, Bar] | None = None,
    actions: tuple[CorporateAction, ...] = (),
) -> SessionMarket:
    bars = bars or {}
    symbols = sorted(bars)
    return SessionMarket(
        session=session,
        opens_at_utc=datetime.combine(session, time(13, 30), tzinfo=UTC),
        closes_at_utc=datetime.combine(session, time(20), tzinfo=UTC),
        rows={symbol: row for row, symbol in enumerate(symbols)},
        bars=np.array([bars[symbol] for symbol in symbols], dtype=BAR_DTYPE),
        actions=actions,
    )


@pytest.fixture(scope="session")
def order_of() -> Callable[..., Order]:
    """Make an order: 100 ABC by VWAP, decided 2014-06-05 for 2014-06-06, with any term replaced."""
    return _order


@pytest.fixture(scope="session")
def market_of() -> Callable[..., SessionMarket]:
    """Make the market of a session from bars ``{symbol: (open, high, low, close, volume)}`` and actions."""
    return _market


@pytest.fixture(scope="session")
def require_service() -> Callable[[object, str], None]:
    """Skip the test when a service or browser is missing; fail it where ``AEGIS_REQUIRE_SERVICES=1`` promised it.

    Call it with what was found (falsy: missing) and what is missing together with how to get it:
    ``require_service(shutil.which("chromium"), "no chromium; apt install chromium")``.
    """
    return _require_service
