"""A session whose data are blocked, on its way through real ticks of schedules and sensors and real runs.

The embedded market from 2014-06-02 on; on Thursday 2014-06-05 the vendor delivers a negative price of TVZQ. Nothing is
started by hand: each run is the one that a tick asked for. Instants are New York times turned into UTC by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.errors import MalformedData
from aegis.lake import tables
from aegis.market_data.sources.registry import open_source
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.definitions import build_definitions, lake_resource
from aegis_sensors.instance import open_instance
from tests.integration.conftest import SETTINGS, SILENT

WEDNESDAY, THURSDAY, FRIDAY = date(2014, 6, 4), date(2014, 6, 5), date(2014, 6, 6)
FAULT = {"symbol": "TVZQ", "session": THURSDAY, "kind": "negative_price"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Daemon:
    """What Dagster's daemon does with one workspace: evaluates a tick at an instant and runs what it asks for."""

    def __init__(self, home: Any, first_session: date = date(2014, 6, 2), **sections: Any) -> None:
        run = {"home": home, "first_session": first_session}
        self.config = AegisConfig(run=run, universe=SETTINGS["universe"], **sections)
        self.clock = SimulatedClock(utc("2014-12-31 12:00"))
        everything = open_source(self.config, Market(self.config).calendar, self.clock)
        self.clock = SimulatedClock(utc("2014-06-02 12:00"))
        self.vendor_sends_nonsense = False
        daemon = self

        class Vendor:
            """The embedded market, from a vendor that may send what is no table."""

            def __getattr__(self, name: str) -> Any:
                return getattr(everything, name)

            def bars(self, first: date, last: date) -> Any:
                if daemon.vendor_sends_nonsense:
                    raise MalformedData("simulated: expected bars, found an error page; ask the vendor")
                return everything.bars(first, last)

        self.definitions = build_definitions(self.config, clock=self.clock, source=Vendor())
        self.repository = self.definitions.get_repository_def()

    def tick(self, name: str, at_utc: str) -> str:
        """Return ``<run key>: <how the run ended>``, or why nothing was started."""
        self.clock.advance_to(utc(at_utc))
        with open_instance(Workspace.of(self.config)) as instance:
            if self.repository.has_schedule_def(name):
                context = dg.build_schedule_context(
                    instance=instance, scheduled_execution_time=utc(at_utc), repository_def=self.repository
                )
                definition: Any = self.repository.get_schedule_def(name)
            else:
                context = dg.build_sensor_context(instance=instance, repository_def=self.repository)
                definition = self.repository.get_sensor_def(name)
            answer = definition.evaluate_tick(context)
            if not answer.run_requests:
                return str(answer.skip_message)
            (request,) = answer.run_requests
            job = self.definitions.resolve_job_def(definition.job_name)
            with freeze_time(utc(at_utc)):  # Dagster dates the end of the run with the clock of the tick
                result = job.execute_in_process(
                    instance=instance,
                    run_config=SILENT,
                    partition_key=request.partition_key,
                    tags={**request.tags, "dagster/run_key": request.run_key},
                    raise_on_error=False,
                )
            return f"{request.run_key}: {'succeeded' if result.success else 'failed'}"

    def read(self, table: Any, session: date) -> Any:
        with lake_resource(Workspace.of(self.config)).open() as store:
            return store.read(table, first=session, last=session)


@pytest.fixture
def make_daemon(tmp_path: Any) -> Callable[..., Daemon]:
    return lambda **sections: Daemon(tmp_path, **sections)


@pytest.mark.long
def test_after_a_blocked_session_the_schedules_go_on_and_its_book_holds(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(market_data={"faults": [FAULT]})
    for day in (2, 3, 4):
        assert daemon.tick("final_bars_exist", f"2014-06-0{day} 20:15").endswith("succeeded")
        if day > 2:
            assert daemon.tick("trade_at_open", f"2014-06-0{day} 20:16").endswith("succeeded")
    assert daemon.tick("trade_at_open", "2014-06-05 13:30") == "execute_trades-2014-06-04: succeeded"

    assert daemon.tick("final_bars_exist", "2014-06-05 20:15") == "fetch_market_data-2014-06-05: failed"
    assert daemon.tick("final_bars_exist", "2014-06-05 20:40") == "session 2014-06-05 has been fetched", (
        "asking the vendor again for rows that the gate refuses is of no use"
    )
    assert daemon.read(tables.DAILY_BARS, THURSDAY).empty
    assert daemon.tick("trade_at_open", "2014-06-06 13:30") == "execute_trades-2014-06-05: succeeded"
    assert daemon.read(tables.ORDERS, THURSDAY).empty
    assert daemon.read(tables.FILLS, THURSDAY).empty
    gate = daemon.read(tables.PRE_TRADE_GATE, THURSDAY).set_index("rule")["outcome"]
    assert gate["data_checks_passed"] == "refuse"
    assert len(daemon.read(tables.BOOK_STATES, THURSDAY)) == 1

    assert daemon.tick("final_bars_exist", "2014-06-06 20:15") == "fetch_market_data-2014-06-06: succeeded"
    assert daemon.tick("trade_at_open", "2014-06-09 13:30") == "execute_trades-2014-06-06: succeeded"
    friday = daemon.read(tables.PRE_TRADE_GATE, FRIDAY).set_index("rule")["outcome"]
    assert friday["data_checks_passed"] == "pass"


@pytest.mark.long
def test_an_evening_without_the_vendor_is_caught_up_and_the_book_with_it(make_daemon: Callable[..., Daemon]) -> None:
    """The vendor sends nonsense from Wednesday evening until Friday noon; the books of two sessions wait for it."""
    daemon = make_daemon(first_session=date(2014, 6, 3))
    daemon.tick("final_bars_exist", "2014-06-03 20:15")
    assert daemon.tick("book_fell_behind", "2014-06-04 13:36") == "execute_trades-2014-06-03: succeeded"

    daemon.vendor_sends_nonsense = True
    assert daemon.tick("final_bars_exist", "2014-06-04 20:15") == "fetch_market_data-2014-06-04: failed"
    assert daemon.tick("final_bars_exist", "2014-06-04 20:16") == (
        "fetch_market_data-2014-06-04 failed 1 time(s); the next attempt is at 2014-06-04 20:20 UTC"
    )
    assert daemon.tick("final_bars_exist", "2014-06-04 20:20") == "fetch_market_data-2014-06-04-2: failed"
    assert daemon.tick("trade_at_open", "2014-06-05 13:30").startswith("session 2014-06-04 has no verdict")
    assert daemon.tick("final_bars_exist", "2014-06-05 20:15") == "fetch_market_data-2014-06-04-3: failed"
    assert daemon.tick("trade_at_open", "2014-06-06 13:30").startswith("session 2014-06-04 has no verdict")

    daemon.vendor_sends_nonsense = False
    assert [daemon.tick("final_bars_exist", f"2014-06-06 16:0{minute}") for minute in range(3)] == [
        "fetch_market_data-2014-06-04-4: succeeded",
        "fetch_market_data-2014-06-05: succeeded",
        "session 2014-06-05 has been fetched",
    ]
    assert [daemon.tick("book_fell_behind", f"2014-06-06 16:0{minute}") for minute in range(3, 6)] == [
        "execute_trades-2014-06-04: succeeded",
        "execute_trades-2014-06-05: succeeded",
        "the book of session 2014-06-05 exists",
    ]
    for session in (WEDNESDAY, THURSDAY):
        assert len(daemon.read(tables.BOOK_STATES, session)) == 1
