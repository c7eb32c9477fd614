from __future__ import annotations

import json
from datetime import date

from aegis.config import RiskSettings
from aegis.risk.breakers import BreakerState, next_breaker_state
from aegis.risk.drift_stop import breaker_under_drift

DAY = date(2014, 1, 2)
SETTINGS = RiskSettings(
    max_drawdown=0.10, max_daily_loss=0.04, tripped_exposure=0.5, rearm_after_sessions=1, rearm_recovery=0.0
)
ARMED = BreakerState.opening(equity_usd=1000.0)


def under(state, equity, *, stopped="", before=1000.0):
    return breaker_under_drift(
        state, DAY, equity_usd=equity, return_daily=equity / before - 1.0, settings=SETTINGS, stopped=stopped
    )


def test_without_a_response_the_breakers_follow_their_own_rule() -> None:
    for equity in (1010.0, 955.0, 890.0):
        own = next_breaker_state(ARMED, DAY, equity_usd=equity, return_daily=equity / 1000 - 1, settings=SETTINGS)
        assert under(ARMED, equity) == own


def test_a_response_trips_an_armed_breaker_and_nothing_but_its_release_arms_it() -> None:
    state, scale, event = under(ARMED, 1010.0, stopped="returns fell")
    assert (state.status, scale) == ("tripped: drift", 0.5)
    assert event == (
        "2014-01-02: breaker 'tripped: drift', returns fell; exposure is cut to 50% until a person releases it"
    )
    for _ in range(5):  # by the breakers' own rule it would be armed after one session
        state, scale, event = under(state, 1020.0, stopped="returns fell", before=1010.0)
        assert (state.status, scale, event) == ("tripped: drift", 0.5, None)
    state, scale, event = under(state, 1020.0, before=1020.0)
    assert (state, scale) == (BreakerState.opening(equity_usd=1020.0), 1.0)
    assert event == "2014-01-02: breaker 'tripped: drift' of 2014-01-02 released by a person"


def test_a_loss_trips_a_breaker_that_drift_holds_and_outlasts_the_release() -> None:
    held = under(ARMED, 1000.0, stopped="returns fell")[0]
    lost, _, event = under(held, 890.0, stopped="returns fell", before=900.0)
    assert lost.status == "tripped: drawdown"
    assert "breaker 'tripped: drawdown', -11.00% against a limit of -10.00%" in event
    after = under(lost, 880.0, before=890.0)[0]
    assert after.is_tripped is (next_breaker_state(
        lost, DAY, equity_usd=880.0, return_daily=880 / 890 - 1, settings=SETTINGS
    )[0].is_tripped)  # fmt: skip


def test_a_loss_in_the_session_of_the_release_trips_the_breaker_anew() -> None:
    held = under(ARMED, 1000.0, stopped="returns fell")[0]
    state, scale, event = under(held, 950.0)
    assert (state.status, scale) == ("tripped: daily loss", 0.5)
    assert "breaker 'tripped: daily loss'" in event


def test_a_held_breaker_survives_its_record() -> None:
    held = under(ARMED, 1000.0, stopped="returns fell")[0]
    assert BreakerState.from_record(json.loads(json.dumps(held.to_record()))) == held
