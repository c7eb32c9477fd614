"""Failed checks and failed runs reach a person once: a real failing run, the alert log, and a webhook over HTTP."""

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

from aegis.config import AegisConfig
from aegis_sensors.instance import open_instance
from aegis_sensors.jobs import FETCH_MARKET_DATA
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


def tick(chain: Chain) -> str:
    """Let the sensor that looks for failed checks look once."""
    repository = chain.definitions.get_repository_def()
    with open_instance(chain.workspace) as instance:
        context = dg.build_sensor_context(instance=instance, repository_def=repository)
        return str(repository.get_sensor_def("checks_failed").evaluate_tick(context).skip_message)


def log_lines(chain: Chain) -> list[dict[str, Any]]:
    file = Path(chain.workspace.alert_log(chain.config.monitoring.alert_log))
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def test_each_failed_evaluation_is_told_once_to_the_log_and_to_the_webhook(
    failed: Chain, failures: list[dg.ExecuteInProcessResult], receiver: Receiver
) -> None:
    refused = {result.run_id: [n for n, passed in failed.checks(result).items() if not passed] for result in failures}
    assert all("prices_are_positive" in names and "volume_is_not_negative" not in names for names in refused.values())
    causes = sorted(f"check_failed/market_data/daily_bars/{n}/{run}" for run, names in refused.items() for n in names)

    assert tick(failed) == f"{len(causes)} new failed check evaluation(s)"
    assert sorted(receiver.causes()) == causes
    assert sorted(line["cause_key"] for line in log_lines(failed) if line["event"] == "alert") == causes
    first = failures[0].run_id
    told = next(c for c in receiver.calls if c["cause_key"].endswith(f"/prices_are_positive/{first}"))
    assert told["title"] == "Check prices_are_positive of market_data/daily_bars failed"
    assert told["severity"] == "critical"
    for word in ("TVZQ", "2014-06-05", first):
        assert word in told["body"]

    lines = log_lines(failed)
    assert tick(failed) == "0 new failed check evaluation(s)"
    assert sorted(receiver.causes()) == causes
    assert log_lines(failed) == lines


def test_a_check_that_only_warns_is_told_as_a_warning(failed: Chain, receiver: Receiver) -> None:
    tick(failed)
    receiver.calls.clear()
    key = dg.AssetKey(["market_data", "daily_bars"])
    with open_instance(failed.workspace) as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=key,
                check_name="volume_is_not_negative",
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={},
            )
        )
    assert tick(failed) == "1 new failed check evaluation(s)"
    assert [call["severity"] for call in receiver.calls] == ["warning"]


def test_a_webhook_that_failed_is_called_again_and_the_log_keeps_one_alert(failed: Chain, receiver: Receiver) -> None:
    receiver.status = 503
    tick(failed)
    tried = receiver.causes()
    assert tried
    receiver.status = 200
    tick(failed)
    assert receiver.causes() == tried * 2
    assert tick(failed) == "0 new failed check evaluation(s)"
    assert receiver.causes() == tried * 2
    assert sorted(line["cause_key"] for line in log_lines(failed) if line["event"] == "alert") == sorted(tried)


def test_a_failed_run_is_told_once(
    failed: Chain, failures: list[dg.ExecuteInProcessResult], receiver: Receiver
) -> None:
    result = failures[0]
    repository = failed.definitions.get_repository_def()
    event = next(event for event in result.all_events if event.is_failure and event.is_job_event)
    with open_instance(failed.workspace) as instance:
        for _ in range(2):
            context = dg.build_run_status_sensor_context(
                sensor_name="runs_failed",
                dagster_event=event,
                dagster_instance=instance,
                dagster_run=result.dagster_run,
            ).for_run_failure()
            repository.get_sensor_def("runs_failed")(context)
    (call,) = receiver.calls
    assert call["cause_key"] == f"run_failed/{result.run_id}"
    assert call["title"] == "Run of fetch_market_data failed"
    assert result.run_id in call["body"]
    assert [line["event"] for line in log_lines(failed)] == ["alert", "delivery"]
