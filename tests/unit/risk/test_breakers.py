import json
import math
from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from aegis.config import RiskSettings
from aegis.errors import RiskError
from aegis.risk.breakers import SETTLED_WAITS, BreakerState, next_breaker_state, observed, released

FIRST = date(2014, 1, 2)
SETTINGS = RiskSettings(
    max_drawdown=0.10, max_daily_loss=0.04, tripped_exposure=0.5, rearm_after_sessions=3, rearm_recovery=0.2
)
OPENING = BreakerState.opening(equity_usd=1000.0)

History = list[tuple[BreakerState, float, str | None]]


def walk(
    levels: Sequence[float],
    state: BreakerState = OPENING,
    *,
    before: float = 1000.0,
    settings: RiskSettings = SETTINGS,
) -> History:
    """Carry the breaker through a series of equities, the first following `before`."""
    history: History = []
    for day, equity in enumerate(levels):
        answer = next_breaker_state(
            state,
            FIRST + timedelta(days=day),
            equity_usd=equity,
            return_daily=equity / before - 1.0,
            settings=settings,
        )
        history.append(answer)
        state, before = answer[0], equity
    return history


def statuses(history: History) -> list[str]:
    return [state.status for state, _, _ in history]


def test_an_account_that_loses_little_stays_armed_and_its_peak_follows() -> None:
    history = walk([1010.0, 1050.0, 1020.0])
    assert statuses(history) == ["armed"] * 3
    assert [scale for _, scale, _ in history] == [1.0] * 3
    assert [event for _, _, event in history] == [None] * 3
    assert history[-1][0].reference_peak_usd == 1050.0


@pytest.mark.parametrize(
    ("equity", "status"), [(900.5, "armed"), (900.0, "tripped: drawdown"), (899.5, "tripped: drawdown")]
)
def test_drawdown_trips_at_its_limit_and_not_before(equity: float, status: str) -> None:
    history = walk([980.0, 960.0, 940.0, 920.0, equity])
    assert statuses(history)[:4] == ["armed"] * 4
    state, scale, event = history[4]
    assert state.status == status
    assert scale == (1.0 if status == "armed" else 0.5)
    assert (event is None) == (status == "armed")


@pytest.mark.parametrize(
    ("equity", "status"), [(960.5, "armed"), (960.0, "tripped: daily loss"), (959.5, "tripped: daily loss")]
)
def test_daily_loss_trips_at_its_limit_and_not_before(equity: float, status: str) -> None:
    state, scale, event = walk([equity])[0]
    assert state.status == status
    assert scale == (1.0 if status == "armed" else 0.5)
    assert event is None or ("2014-01-02" in event and "daily loss" in event and "50%" in event)


def test_rearms_only_after_both_the_wait_and_the_recovery() -> None:
    # trip at 900; trough 890; recovered from 910 on (2 % of the peak of 1000 above the trough)
    levels = [980.0, 960.0, 940.0, 920.0, 900.0, 890.0, 912.0, 905.0, 909.0, 910.0, 905.0]
    history = walk(levels)
    assert statuses(history) == ["armed"] * 4 + ["tripped: drawdown"] * 5 + ["armed"] * 2
    assert history[6][0].sessions_since_trip == 2, "recovered, but only two sessions after the trip"
    assert history[8][0].sessions_since_trip == 4, "waited, but 19 above the trough"
    state, scale, event = history[9]
    assert (scale, state.reference_peak_usd) == (1.0, 910.0)
    assert "re-armed 5 sessions after 'tripped: drawdown' of 2014-01-06" in (event or "")


def test_the_loss_that_tripped_it_does_not_trip_it_again_after_the_rearm() -> None:
    levels = [980.0, 960.0, 940.0, 920.0, 900.0, 890.0, 912.0, 905.0, 909.0, 910.0]
    # 10 % below 1000 is 900; after the re-arm the reference is 910 and the limit 819
    after = walk([890.0, 865.0, 840.0, 820.0, 819.0], walk(levels)[-1][0], before=910.0)
    assert statuses(after) == ["armed"] * 4 + ["tripped: drawdown"]


def test_a_book_that_can_no_longer_recover_rearms_once_it_has_settled() -> None:
    wait = SETTLED_WAITS * SETTINGS.rearm_after_sessions
    history = walk([980.0, 960.0, 940.0, 920.0, 900.0] + [900.0] * wait)
    assert statuses(history)[4:] == ["tripped: drawdown"] * wait + ["armed"]


def test_a_lower_trough_restarts_the_settling() -> None:
    wait = SETTLED_WAITS * SETTINGS.rearm_after_sessions
    history = walk([980.0, 960.0, 940.0, 920.0, 900.0] + [900.0] * (wait - 1) + [899.0] + [899.0] * (wait - 1))
    assert statuses(history)[4:] == ["tripped: drawdown"] * (2 * wait)


def test_daily_loss_becomes_drawdown_when_that_limit_falls_too() -> None:
    history = walk([955.0, 930.0, 900.0])
    assert statuses(history) == ["tripped: daily loss", "tripped: daily loss", "tripped: drawdown"]
    assert history[2][0].sessions_since_trip == 0
    assert "drawdown" in (history[2][2] or "")


def test_another_daily_loss_while_tripped_restarts_the_wait_and_keeps_the_worse_status() -> None:
    history = walk([980.0, 960.0, 940.0, 920.0, 900.0, 890.0, 850.0])
    assert history[5][0].sessions_since_trip == 1
    state, _, event = history[6]
    assert (state.status, state.sessions_since_trip, state.trough_usd) == ("tripped: drawdown", 0, 850.0)
    assert "daily loss" in (event or "")


def test_no_exposure_at_all_may_be_what_a_tripped_breaker_allows() -> None:
    settings = SETTINGS.model_copy(update={"tripped_exposure": 0.0})
    assert walk([950.0], settings=settings)[0][1] == 0.0


def test_in_live_trading_nothing_but_a_person_rearms() -> None:
    state, _ = observed(OPENING, FIRST, equity_usd=890.0, return_daily=-0.11, settings=SETTINGS)
    for day in range(1, 100):
        state, event = observed(
            state, FIRST + timedelta(days=day), equity_usd=1200.0, return_daily=0.0, settings=SETTINGS
        )
        assert event is None
    assert state.status == "tripped: drawdown"
    armed, event = released(state, date(2014, 6, 2), equity_usd=1200.0, actor="ada", reason="cause found")
    assert armed == BreakerState(status="armed", reference_peak_usd=1200.0)
    assert "released by ada: cause found" in event


@pytest.mark.parametrize(("actor", "reason"), [("", "x"), ("ada", " ")])
def test_a_release_without_name_or_reason_is_refused(actor: str, reason: str) -> None:
    tripped = walk([890.0])[0][0]
    with pytest.raises(RiskError, match="needs the name"):
        released(tripped, FIRST, equity_usd=900.0, actor=actor, reason=reason)


def test_there_is_nothing_to_release_in_an_armed_breaker() -> None:
    with pytest.raises(RiskError, match="no breaker is tripped"):
        released(OPENING, FIRST, equity_usd=1000.0, actor="ada", reason="x")


@pytest.mark.parametrize(
    ("equity", "daily"),
    [(math.nan, 0.0), (0.0, 0.0), (-1.0, 0.0), (math.inf, 0.0), (1000.0, math.nan), (1000.0, math.inf)],
)
def test_a_breaker_that_cannot_see_refuses(equity: float, daily: float) -> None:
    with pytest.raises(RiskError, match="2014-01-02"):
        next_breaker_state(OPENING, FIRST, equity_usd=equity, return_daily=daily, settings=SETTINGS)


@pytest.mark.parametrize("levels", [[1000.1], [1000.0 / 3.0]])
def test_the_state_survives_json_to_the_bit(levels: list[float]) -> None:
    state = walk(levels)[-1][0]
    assert BreakerState.from_record(json.loads(json.dumps(state.to_record()))) == state


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(RiskError, match="'open' is none of"):
        BreakerState.from_record(OPENING.to_record() | {"status": "open"})
