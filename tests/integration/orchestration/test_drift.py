"""The sensor that starts the next decision early: what counts as drift, and what does not."""

from __future__ import annotations

from datetime import date

import pytest

from tests.integration.orchestration.conftest import FETCHED, FRIDAY, THURSDAY, TRADED, Platform, asked


def test_nothing_has_drifted_before_anything_was_decided(platform: Platform) -> None:
    assert platform.sense("positions_drifted", "2014-06-06 15:00") == "nothing has been decided yet"
    platform.decide(THURSDAY, {"TVZQ": (0.05, 0.20)}, account="another")
    assert platform.sense("positions_drifted", "2014-06-06 15:00") == "nothing has been decided yet"


def test_drift_waits_for_the_session_that_would_show_it(platform: Platform) -> None:
    platform.decide(THURSDAY, {"AAAA": (0.05, 0.05)})
    assert platform.sense("positions_drifted", "2014-06-06 15:00") == (
        "session 2014-06-06, which would move the weights of 2014-06-05, is not there yet"
    )


def test_an_order_that_is_still_to_fill_is_no_drift(platform: Platform) -> None:
    """AAAA is held at 5 % and wanted at 20 %: the order on its way brings it there."""
    platform.decide(THURSDAY, {"AAAA": (0.20, 0.05)})
    platform.close(THURSDAY, {"AAAA": 100.0})
    platform.close(FRIDAY, {"AAAA": 101.0})
    platform.materialize(FETCHED, FRIDAY)
    assert platform.sense("positions_drifted", "2014-06-06 20:30") == (
        "after 2014-06-06 all weights are within 2.00% of the targets of 2014-06-05"
    )


def test_a_split_is_no_drift(platform: Platform) -> None:
    platform.decide(THURSDAY, {"AAAA": (0.20, 0.20)})
    platform.close(THURSDAY, {"AAAA": 100.0})
    platform.close(FRIDAY, {"AAAA": 33.5}, splits={"AAAA": 3.0})
    platform.materialize(FETCHED, FRIDAY)
    assert platform.sense("positions_drifted", "2014-06-06 20:30") == (
        "after 2014-06-06 all weights are within 2.00% of the targets of 2014-06-05"
    )


@pytest.mark.parametrize("close", [115.0, pytest.param(87.0, marks=pytest.mark.long)])
def test_prices_that_leave_the_band_start_the_next_decision_once(platform: Platform, close: float) -> None:
    """20 % at 115 for 100 is 0.23 / 1.03 = 22.3 %, at 87 it is 0.174 / 0.974 = 17.9 %."""
    platform.decide(date(2014, 6, 4), {"AAAA": (0.05, 0.05)})
    platform.decide(THURSDAY, {"AAAA": (0.20, 0.20), "BBBB": (0.05, 0.05)})
    platform.close(THURSDAY, {"AAAA": 100.0, "BBBB": 100.0})
    platform.close(FRIDAY, {"AAAA": close, "BBBB": 100.0})
    platform.materialize(FETCHED, FRIDAY)
    now = "2014-06-06 20:30"
    request = platform.sense("positions_drifted", now)
    assert asked(request) == ("execute_trades-2014-06-06", "2014-06-06")
    platform.start(request, "execute_trades")
    again = "execute_trades-2014-06-06 has been requested already"
    platform.materialize_until(TRADED, THURSDAY)
    assert platform.sense("positions_drifted", now) == again
    assert platform.tick("trade_at_open", "2014-06-09 13:30") == again
