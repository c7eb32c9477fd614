"""How often a source is asked what a session's corporate actions are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.errors import SourceUnavailable
from aegis.live_trading.session_actions import SessionActions, no_actions

MONDAY = date(2014, 6, 9)
OPEN = datetime(2014, 6, 9, 13, 30, tzinfo=UTC)
SPLIT = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)


class Source:
    """Says what it was told to say, and counts."""

    def __init__(self) -> None:
        self.says: tuple[CorporateAction, ...] | None = ()
        self.asked = 0

    def __call__(self, session: date) -> tuple[CorporateAction, ...]:
        self.asked += 1
        if self.says is None:
            raise SourceUnavailable(f"{session}: silent")
        return self.says


def test_what_was_announced_is_asked_for_again_at_the_opening_and_then_stands() -> None:
    source, clock = Source(), SimulatedClock(OPEN - timedelta(hours=2))
    actions = SessionActions(source, calendar=trading_calendar("XNYS"), clock=clock)
    assert (actions.of(MONDAY), actions.of(MONDAY), source.asked) == ((), (), 1)
    clock.advance_to(OPEN - timedelta(hours=1))
    assert (actions.of(MONDAY), source.asked) == ((), 2)
    source.says = (SPLIT,)
    clock.advance_to(OPEN)
    assert (actions.of(MONDAY), source.asked) == ((SPLIT,), 3)
    source.says = ()
    clock.advance_to(OPEN + timedelta(hours=5))
    assert (actions.of(MONDAY), source.asked) == ((SPLIT,), 3)


def test_a_silent_source_is_asked_once_a_minute_and_told_of_each_time() -> None:
    source, clock = Source(), SimulatedClock(OPEN)
    actions, source.says = SessionActions(source, calendar=trading_calendar("XNYS"), clock=clock), None
    for seconds in (0, 1, 59, 60, 61):
        clock.advance_to(OPEN + timedelta(seconds=seconds))
        with pytest.raises(SourceUnavailable, match="2014-06-09: silent"):
            actions.of(MONDAY)
    assert source.asked == 2
    source.says = (SPLIT,)
    clock.advance_to(OPEN + timedelta(seconds=120))
    assert actions.of(MONDAY) == (SPLIT,)


def test_an_account_without_actions_has_none() -> None:
    assert no_actions(MONDAY) == ()
