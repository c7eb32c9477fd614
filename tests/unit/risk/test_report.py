import math
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest

from aegis.config import RiskSettings
from aegis.errors import RiskError
from aegis.lake.tables import RISK_REPORT
from aegis.risk.breakers import BreakerState
from aegis.risk.report import RiskReport, risk_report

SESSION = date(2014, 6, 9)
KNOWN_AT = datetime(2014, 6, 9, 20, 15, tzinfo=UTC)
SETTINGS = RiskSettings(value_at_risk_lookback_sessions=20)


def report(**replaced: Any) -> RiskReport:
    inputs: dict[str, Any] = {
        "weights": [0.5, -0.25],
        "covariance": [[0.0004, 0.0], [0.0, 0.0004]],
        "uncovered_weights": [0.05],
        "equity_history_usd": [1000.0] * 20,
        "drawdown": -0.05,
        "return_daily": 0.01,
        "breaker": BreakerState.opening(equity_usd=1000.0),
        "settings": SETTINGS,
        "known_at_utc": KNOWN_AT,
    }
    return risk_report(SESSION, "simulated", **{**inputs, **replaced})


def test_every_number_of_the_row_by_hand() -> None:
    row = report()
    volatility = math.sqrt(0.0004 * (0.25 + 0.0625)) + 0.02 * 0.05
    assert row.value_at_risk_95 == pytest.approx(1.6448536 * volatility, rel=1e-7)
    assert row.expected_shortfall_95 == pytest.approx(2.0627128 * volatility, rel=1e-7)
    assert row.volatility_annualised == pytest.approx(volatility * math.sqrt(252))
    assert row.gross_exposure == pytest.approx(0.8)
    assert row.net_exposure == pytest.approx(0.3)
    assert row.largest_weight == 0.5
    assert row.concentration_hhi == pytest.approx((0.25 + 0.0625 + 0.0025) / 0.64)
    assert (row.breaker_state, row.exposure_scale) == ("armed", 1.0)


def test_the_row_fits_its_table() -> None:
    frame = RISK_REPORT.conform(
        pd.DataFrame([report().row(), report(equity_history_usd=[1.0] * 21).row() | {"account": "b"}])
    )
    assert frame["historical_value_at_risk_95"].isna().tolist() == [False, True]


def test_historical_value_at_risk_is_missing_until_the_look_back_is_full_and_reads_no_further() -> None:
    assert report(equity_history_usd=[1000.0] * 20).historical_value_at_risk_95 is None
    levels = [1000.0]
    for k in range(1, 21):
        levels.append(levels[-1] * (1 - k / 1000))
    # 20 losses of 1 to 20 tenths of a percent: the second largest is exceeded by 5 % of them
    assert report(equity_history_usd=levels).historical_value_at_risk_95 == pytest.approx(0.019, rel=1e-12)
    earlier = report(equity_history_usd=[5.0, math.nan, 3000.0, *levels])
    assert earlier == report(equity_history_usd=levels)


def test_a_tripped_breaker_shows_its_state_and_scale() -> None:
    tripped = BreakerState(status="tripped: drawdown", reference_peak_usd=1.0, tripped_session=SESSION, trough_usd=0.8)
    row = report(breaker=tripped)
    assert (row.breaker_state, row.exposure_scale) == ("tripped: drawdown", SETTINGS.tripped_exposure)


def test_a_flat_book_without_covariance_risks_nothing() -> None:
    row = report(weights=[], covariance=[], uncovered_weights=[])
    assert (row.value_at_risk_95, row.gross_exposure, row.concentration_hhi) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "replaced",
    [
        {"weights": [0.5, math.nan]},
        {"drawdown": 0.01},
        {"drawdown": math.nan},
        {"return_daily": math.inf},
        {"equity_history_usd": [1000.0, math.nan]},
        {"covariance": [[0.0004]]},
    ],
)
def test_a_number_that_cannot_be_used_is_refused_by_account_and_session(replaced: dict[str, Any]) -> None:
    with pytest.raises(RiskError, match="simulated 2014-06-09"):
        report(**replaced)
