"""How a run ended: the error that carries a remedy and not the library's below it, and which checks count."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest
from rich.console import Console

from aegis.errors import LakeUnreadable
from aegis_sensors.jobs import WHOLE_CHAIN
from aegis_sensors.whole_chain import ChainRun, FailedCheck, run_whole_chain

SESSION = date(2014, 6, 5)
DAYS = dg.DailyPartitionsDefinition("2014-06-02", end_date="2014-06-07")


def a_librarys_alone() -> None:
    raise OSError("no space left")


def ours_over_a_librarys() -> None:
    try:
        a_librarys_alone()
    except OSError as error:
        raise LakeUnreadable("catalog x cannot be opened: restore it from a backup") from error


@pytest.mark.parametrize(
    ("fail", "said"),
    [
        (ours_over_a_librarys, "market data/bars: catalog x cannot be opened: restore it from a backup"),
        (a_librarys_alone, "market data/bars: OSError: no space left"),
    ],
)
def test_a_failed_step_is_reported_in_the_words_that_help(fail: object, said: str) -> None:
    @dg.asset(key_prefix="market_data", partitions_def=DAYS)
    def bars() -> None:
        fail()  # type: ignore[operator]

    job = dg.define_asset_job(WHOLE_CHAIN, selection="*", executor_def=dg.in_process_executor)
    definitions = dg.Definitions(assets=[bars], jobs=[job])
    with dg.DagsterInstance.ephemeral() as instance:
        run = run_whole_chain(definitions, instance, [SESSION], console=Console(quiet=True))
    assert list(run.failures) == [said]
    assert not run.succeeded


def _run_with_check(name: str, severity: dg.AssetCheckSeverity, *, passed: bool = False) -> ChainRun:
    """Run one asset with one check, and return how it ended."""

    @dg.asset(key_prefix="market_data", partitions_def=DAYS)
    def bars() -> None:
        return

    @dg.asset_check(asset=bars, name=name)
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed, severity=severity, metadata={"detail": "3 of 4", "observed": 3})

    job = dg.define_asset_job(WHOLE_CHAIN, selection="*", executor_def=dg.in_process_executor)
    definitions = dg.Definitions(assets=[bars], asset_checks=[check], jobs=[job])
    with dg.DagsterInstance.ephemeral() as instance:
        return run_whole_chain(definitions, instance, [SESSION], console=Console(quiet=True))


def test_a_failed_check_makes_a_run_that_is_complete_fail() -> None:
    run = _run_with_check("books_balance", dg.AssetCheckSeverity.ERROR)
    assert run.failed_checks == [FailedCheck("market_data/bars books_balance", "3 of 4", is_error=True)]
    assert run.is_complete
    assert not run.succeeded
    assert run.without_check("books_balance").succeeded
    assert not run.without_check("balance").succeeded


def test_a_warning_is_told_and_fails_nothing() -> None:
    run = _run_with_check("books_balance", dg.AssetCheckSeverity.WARN)
    assert [check.is_error for check in run.failed_checks] == [False]
    assert run.succeeded


def test_a_check_that_passes_is_not_told() -> None:
    assert not _run_with_check("books_balance", dg.AssetCheckSeverity.ERROR, passed=True).failed_checks


@pytest.mark.parametrize("name", ["prices_are_positive", "no_session_is_blocked"])
def test_a_session_that_was_stopped_years_ago_is_no_failed_run(name: str) -> None:
    run = _run_with_check(name, dg.AssetCheckSeverity.ERROR)
    assert not run.failed_checks
    assert run.succeeded


def test_the_ui_finds_the_job_of_a_run() -> None:
    @dg.asset(key_prefix="market_data", partitions_def=DAYS)
    def bars() -> None:
        return

    job = dg.define_asset_job(WHOLE_CHAIN, selection="*", executor_def=dg.in_process_executor)
    definitions = dg.Definitions(assets=[bars], jobs=[job])
    with dg.DagsterInstance.ephemeral() as instance:
        run = run_whole_chain(definitions, instance, [SESSION], console=Console(quiet=True))
        recorded = instance.get_run_by_id(run.run_id)
    assert recorded is not None
    assert recorded.remote_job_origin is not None
    selector = recorded.remote_job_origin.repository_origin.get_selector()
    assert (selector.location_name, selector.repository_name) == ("aegis_sensors.definitions", "__repository__")


def test_without_sessions_nothing_runs() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = run_whole_chain(dg.Definitions(), instance, [], console=Console(quiet=True))
        assert instance.get_runs_count() == 0
    assert run.succeeded
    assert list(run.sessions) == []
