"""What a person reads of a failed step: the error that carries a remedy, not the library's below it."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest
from rich.console import Console

from aegis.errors import LakeUnreadable
from aegis_sensors.jobs import WHOLE_CHAIN
from aegis_sensors.whole_chain import run_whole_chain

SESSION = date(2014, 6, 5)


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
    @dg.asset(
        key_prefix="market_data", partitions_def=dg.DailyPartitionsDefinition("2014-06-02", end_date="2014-06-07")
    )
    def bars() -> None:
        fail()  # type: ignore[operator]

    job = dg.define_asset_job(WHOLE_CHAIN, selection="*", executor_def=dg.in_process_executor)
    definitions = dg.Definitions(assets=[bars], jobs=[job])
    with dg.DagsterInstance.ephemeral() as instance:
        run = run_whole_chain(definitions, instance, [SESSION], console=Console(quiet=True))
    assert list(run.failures) == [said]
    assert not run.succeeded


def test_without_sessions_nothing_runs() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = run_whole_chain(dg.Definitions(), instance, [], console=Console(quiet=True))
        assert instance.get_runs_count() == 0
    assert run.succeeded
    assert list(run.sessions) == []
