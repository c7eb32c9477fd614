"""What the report counts and lists, read from the lake of a workspace that ran."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from aegis.clock import FixedClock
from aegis.lake import tables
from aegis.market_data.expectations import CHECKS
from aegis_assets.reporting import read_report
from aegis_resources.market_data import Market
from tests.integration.conftest import CALENDAR, FIRST, LONG_AFTER, Chain, settings


@pytest.mark.long
def test_a_session_that_was_blocked_before_the_first_decision_is_counted_and_listed(
    make_chain: Callable[..., Chain],
) -> None:
    blocked, last = date(2014, 6, 16), date(2014, 9, 30)
    fault = {"symbol": "TVZQ", "session": blocked, "kind": "negative_price"}
    chain = make_chain(market_data={"faults": [fault]}, **settings(last_session=last))
    chain.fetch_and_trade(FIRST, last)
    first_decided = chain.read(tables.ORDERS)["session"].min().date()
    assert first_decided > blocked, "the fault lies in the look-back"

    with chain.lake() as store:
        report = read_report(store, Market(chain.config, FixedClock(LONG_AFTER)), chain.desk)

    assert report.first_session == first_decided
    assert report.data_checks.evaluations == len(CALENDAR.sessions(FIRST, last)) * len(CHECKS)
    assert report.data_checks.sessions_blocked_by_data == 1
    (stretch,) = report.stopped_stretches.to_dict("records")
    assert stretch["first_session"].date() == stretch["last_session"].date() == blocked
    assert stretch["reason"].startswith("prices_are_positive: TVZQ 2014-06-16: ")
    assert report.sessions.loc[0, ["growth", "benchmark_growth"]].tolist() == [1.0, 1.0]
