"""Failed checks and runs reach a person once a cause: real failing runs, the alert log, and a webhook over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType

from aegis.config import AegisConfig
from aegis_sensors.instance import open_instance
from aegis_sensors.jobs import FETCH_MARKET_DATA, WHOLE_CHAIN
from tests.integration.conftest import Chain

BROKEN = date(2014, 6, 5)


class Receiver:
    """A chat service on this machine: keeps the JSON of each call, and answers as it is told."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def causes(self) -> list[str]:
        return [call["cause_key"] for call in self.calls]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def workspace_of(home: Path, receiver: Receiver, log: str = "alerts.jsonl") -> Chain:
    return Chain(
        AegisConfig(
            run={"home": home, "first_session": date(2014, 6, 2), "last_session": BROKEN},
            market_data={"faults": [{"symbol": "TVZQ", "session": BROKEN, "kind": "negative_price"}]},
            monitoring={"webhook_url": receiver.url, "alert_log": log},
        )
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def failures(home: Path, receiver: Receiver) -> list[dg.ExecuteInProcessResult]:
    """Return two failed runs of one workspace: fetches of a session with a negative price."""
    chain = workspace_of(home, receiver)
    results = [chain.run(FETCH_MARKET_DATA, BROKEN, BROKEN, raise_on_error=False) for _ in range(2)]
    assert not any(result.success for result in results)
    return results


@pytest.fixture
def failed(
    failures: list[dg.ExecuteInProcessResult], home: Path, receiver: Receiver, request: pytest.FixtureRequest
) -> Chain:
    """Return the workspace of the failed runs, with an alert log and a webhook that know nothing yet."""
    assert failures
    receiver.calls.clear()
    receiver.status = 200
    return workspace_of(home, receiver, f"{request.node.name}.jsonl")


@pytest.fixture
def quiet(tmp_path: Path, receiver: Receiver) -> Chain:
    """Return a workspace in which nothing has happened."""
    receiver.calls.clear()
    receiver.status = 200
    return workspace_of(tmp_path, receiver)


class Ticks:
    """A sensor of a workspace, ticking as the daemon lets it: with the cursor that it left."""

    def __init__(self, chain: Chain, sensor: str) -> None:
        self.chain, self.sensor, self.cursor = chain, sensor, ""

    def tick(self) -> str:
        repository = self.chain.definitions.get_repository_def()
        with open_instance(self.chain.workspace) as instance:
            context = dg.build_sensor_context(
                instance=instance, repository_def=repository, cursor=self.cursor or None, sensor_name=self.sensor
            )
            answer = repository.get_sensor_def(self.sensor).evaluate_tick(context)
            self.cursor = answer.cursor or self.cursor
            return str(answer.skip_message)


def log_lines(chain: Chain, event: str = "alert") -> list[dict[str, Any]]:
    file = Path(chain.workspace.alert_log(chain.config.monitoring.alert_log))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    return [line for line in lines if line["event"] == event]


def failed_causes(chain: Chain, failures: list[dg.ExecuteInProcessResult]) -> list[str]:
    refused = {name for result in failures for name, passed in chain.checks(result).items() if not passed}
    assert "prices_are_positive" in refused
    assert "volume_is_not_negative" not in refused
    return sorted(f"check_failed/market_data/daily_bars/{name}/2014-06-05" for name in refused)


def evaluate(chain: Chain, check: str, *, passed: bool, cause: str = "") -> None:
    """Record what an hourly check found."""
    with open_instance(chain.workspace) as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(["market_data", "daily_bars"]),
                check_name=check,
                passed=passed,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"cause": cause},
            )
        )


def test_a_session_that_failed_twice_is_told_once_for_each_check(
    failed: Chain, failures: list[dg.ExecuteInProcessResult], receiver: Receiver
) -> None:
    causes, sensor = failed_causes(failed, failures), Ticks(failed, "checks_failed")

    assert sensor.tick() == f"{len(causes)} new failed check(s)"
    assert sorted(receiver.causes()) == causes
    assert sorted(line["cause_key"] for line in log_lines(failed)) == causes
    first = failures[0].run_id
    told = next(call for call in receiver.calls if "/prices_are_positive/" in call["cause_key"])
    assert told["title"] == "Check prices_are_positive of market_data/daily_bars failed"
    assert told["severity"] == "critical"
    for word in ("TVZQ", "2014-06-05", first):
        assert word in told["body"]

    for again in (sensor, Ticks(failed, "checks_failed")):  # the second has lost its cursor
        assert again.tick() == "0 new failed check(s)"
    assert sorted(receiver.causes()) == causes


def test_what_an_hourly_check_keeps_finding_is_told_once_until_it_has_passed(quiet: Chain, receiver: Receiver) -> None:
    sensor = Ticks(quiet, "checks_failed")
    gap = "check_failed/market_data/daily_bars/bars_are_fresh/session 2014-06-06"

    def look(*, passed: bool) -> list[str]:
        evaluate(quiet, "bars_are_fresh", passed=passed, cause="session 2014-06-06")
        sensor.tick()
        return receiver.causes()

    assert look(passed=True) == []
    assert look(passed=False) == [gap]
    assert receiver.calls[0]["severity"] == "warning"
    assert look(passed=False) == [gap]
    assert look(passed=True) == [gap]
    assert [line["cause_key"] for line in log_lines(quiet, "cleared")] == [gap]
    assert look(passed=False) == [gap, gap]
    assert Ticks(quiet, "checks_failed").tick() == "0 new failed check(s)"


def test_what_a_webhook_missed_is_sent_with_the_next_tick_of_any_sensor(failed: Chain, receiver: Receiver) -> None:
    receiver.status = 503
    Ticks(failed, "checks_failed").tick()
    tried = receiver.causes()
    assert tried
    receiver.status = 200
    Ticks(failed, "runs_stuck").tick()
    assert receiver.causes() == tried * 2
    Ticks(failed, "checks_failed").tick()
    assert receiver.causes() == tried * 2
    assert sorted(line["cause_key"] for line in log_lines(failed)) == sorted(tried)


def test_a_session_whose_fetch_failed_twice_is_told_once_also_when_the_webhook_was_down(
    failed: Chain, failures: list[dg.ExecuteInProcessResult], receiver: Receiver
) -> None:
    """The sensor's first tick finds what failed before it was there."""
    receiver.status = 503
    sensor = Ticks(failed, "runs_failed")
    assert sensor.tick() == "1 new failed run(s)"
    receiver.status = 200
    assert sensor.tick() == "0 new failed run(s)"
    assert Ticks(failed, "runs_failed").tick() == "0 new failed run(s)"
    refused, told = receiver.calls
    assert refused == told
    assert told["cause_key"] == "run_failed/fetch_market_data/2014-06-05"
    assert told["title"] == "Run of fetch_market_data failed"
    assert failures[0].run_id in told["body"]
    assert "quality_gate" in told["body"]


def end_run(chain: Chain, job: str, tags: dict[str, str], how: DagsterEventType) -> None:
    """Record a run of a job and how it ended."""
    with open_instance(chain.workspace) as instance:
        run = instance.add_run(dg.DagsterRun(job, tags=tags, status=dg.DagsterRunStatus.STARTED))
        instance.report_dagster_event(DagsterEvent(how.value, job_name=job), run_id=run.run_id)


def test_after_a_run_that_succeeded_the_same_failure_is_told_again(quiet: Chain, receiver: Receiver) -> None:
    sensor, session = Ticks(quiet, "runs_failed"), {"dagster/partition": "2014-06-05"}
    failure, success = DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_SUCCESS
    cause = "run_failed/fetch_market_data/2014-06-05"
    for how, told in ((failure, 1), (failure, 1), (success, 1), (failure, 2), (failure, 2)):
        end_run(quiet, FETCH_MARKET_DATA, session, how)
        sensor.tick()
        assert receiver.causes() == [cause] * told
    whole = {"dagster/asset_partition_range_start": "2014-06-02", "dagster/asset_partition_range_end": "2014-06-05"}
    end_run(quiet, WHOLE_CHAIN, whole, success)
    end_run(quiet, FETCH_MARKET_DATA, session, failure)
    sensor.tick()
    assert receiver.causes() == [cause] * 3


def test_a_log_that_cannot_be_written_fails_the_tick_and_the_webhook_is_called(
    failed: Chain, failures: list[dg.ExecuteInProcessResult], receiver: Receiver
) -> None:
    causes = failed_causes(failed, failures)
    failed.workspace.alert_log(failed.config.monitoring.alert_log).mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        Ticks(failed, "checks_failed").tick()
    assert sorted(receiver.causes()) == causes
