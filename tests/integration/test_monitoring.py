"""The hourly checks on a traded workspace: what they find, under which cause, and with which remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis_sensors.definitions import build_definitions
from aegis_sensors.instance import open_instance
from aegis_sensors.jobs import FETCH_MARKET_DATA, MONITOR
from tests.integration.conftest import CALENDAR, FIRST, SILENT, Chain, settings

MakeChain = Callable[..., Chain]
SECOND = CALENDAR.next(FIRST)
THURSDAY = date(2014, 6, 5)


def monitor(chain: Chain) -> dict[str, tuple[bool, dict[str, Any], dg.AssetCheckSeverity]]:
    """Run the monitoring job and return for each check whether it passed, its metadata and its severity."""
    with open_instance(chain.workspace) as instance:
        job = chain.definitions.resolve_job_def(MONITOR)
        result = job.execute_in_process(instance=instance, run_config=SILENT)
    return {
        found.check_name: (found.passed, {n: v.value for n, v in found.metadata.items()}, found.severity)
        for found in result.get_asset_check_evaluations()
    }


def at(chain: Chain, instant: str, source: object = None) -> Chain:
    """Let the workspace be looked at later, or by a vendor that has less."""
    clock = FixedClock(datetime.fromisoformat(instant).replace(tzinfo=UTC))
    chain.definitions = build_definitions(chain.config, clock=clock, source=source)  # type: ignore[arg-type]
    return chain


@pytest.fixture
def traded(eve: Path, tmp_path: Path) -> Chain:
    """Return a workspace with orders and fills."""
    return Chain(AegisConfig(**settings(home=shutil.copytree(eve, tmp_path / "home"))))


@pytest.fixture(scope="module")
def fetched_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a platform with the bars of two sessions, to be copied."""
    home = tmp_path_factory.mktemp("fetched")
    Chain(AegisConfig(**settings(home=home, last_session=None))).run(FETCH_MARKET_DATA, FIRST, SECOND)
    return home


@pytest.fixture
def fetched(fetched_once: Path, tmp_path: Path) -> Chain:
    """Return a workspace with the bars of two sessions and nothing decided."""
    return Chain(AegisConfig(**settings(home=shutil.copytree(fetched_once, tmp_path / "home"), last_session=None)))


def test_bars_are_fresh_until_the_next_session_s_bars_could_exist(fetched: Chain) -> None:
    chain = fetched
    checks = monitor(at(chain, "2014-06-04 20:14"))
    assert checks["bars_are_fresh"][0]
    assert not any("cause" in seen for passed, seen, _ in checks.values() if passed), "what is well has no cause"
    passed, seen, severity = monitor(at(chain, "2014-06-04 20:15"))["bars_are_fresh"]
    assert not passed
    assert (seen["observed"], seen["threshold"], seen["cause"]) == ("2014-06-03", "2014-06-04", "session 2014-06-04")
    assert seen["detail"] == (
        "session 2014-06-04 was due at 2014-06-04 20:15 UTC, 0 min ago; it has not been fetched; run fetch_market_data "
        "for it, or `make run`"
    )
    assert severity == dg.AssetCheckSeverity.ERROR
    later = monitor(at(chain, "2014-06-06 20:15"))["bars_are_fresh"][1]
    assert later["cause"] == seen["cause"], "the same gap is the same cause, however long it lasts"
    assert (later["missing_sessions"], later["late_by_hours"], later["due_utc"]) == (3, 48.0, "2014-06-04 20:15")


def test_a_vendor_that_is_late_is_named_and_only_warned_of(fetched: Chain) -> None:
    chain = fetched
    whole = at(chain, "2014-06-04 20:15").definitions.resources["market"].source  # type: ignore[index]

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

        def session_range(self) -> tuple[date, date]:
            return FIRST, SECOND

    passed, seen, severity = monitor(at(chain, "2014-06-04 20:15", Late()))["bars_are_fresh"]
    assert (passed, severity) == (False, dg.AssetCheckSeverity.WARN)
    assert seen["detail"] == (
        "session 2014-06-04 was due at 2014-06-04 20:15 UTC, 0 min ago; the vendor has no such session yet; the sensor "
        "final_bars_exist fetches it once there is one"
    )
    passed, seen, severity = monitor(at(chain, "2014-06-05 13:30", Late()))["bars_are_fresh"]
    assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR), "the session that trades on it has opened"
    assert seen["detail"] == (
        "session 2014-06-04 was due at 2014-06-04 20:15 UTC, 17 h 15 min ago; the vendor has no such session yet, and "
        "the session that trades on it has opened; ask the vendor, or let another source answer (run.source: multi)"
    )


def test_a_blocked_session_is_fresh_and_named_with_the_check_that_blocks_it(make_chain: MakeChain) -> None:
    fault = {"symbol": "TVZQ", "session": THURSDAY, "kind": "negative_price"}
    chain = make_chain(market_data={"faults": [fault]}, **settings(last_session=None))
    chain.run(FETCH_MARKET_DATA, FIRST, date(2014, 6, 4))
    assert not chain.run(FETCH_MARKET_DATA, THURSDAY, THURSDAY, raise_on_error=False).success
    passed, seen, _ = monitor(at(chain, "2014-06-05 20:15"))["bars_are_fresh"]
    assert passed
    assert seen["detail"] == (
        "session 2014-06-05 was fetched and has no trusted bars: blocked by prices_are_positive; correct the rows at "
        "the source and fetch the session again"
    )


def test_a_workspace_that_never_traded_needs_no_journal_and_gets_none(fetched: Chain) -> None:
    chain = fetched
    found = monitor(chain)
    assert found["journal_chain_verifies"][0]
    assert found["fills_match_the_journal"][0]
    assert not chain.workspace.journal(chain.desk.account).exists()


@pytest.mark.long
def test_a_book_that_has_decided_without_orders_needs_its_journal_as_well(make_chain: MakeChain) -> None:
    chain = make_chain(**settings())
    chain.fetch_and_trade(FIRST, SECOND)
    assert monitor(chain)["journal_chain_verifies"][0]
    chain.workspace.journal(chain.desk.account).unlink()
    passed, seen, _ = monitor(chain)["journal_chain_verifies"]
    assert not passed
    assert "does not exist" in seen["detail"]


@pytest.mark.parametrize("how", ["deleted", "emptied", "begun anew"])
def test_a_journal_that_was_lost_fails_both_checks_and_is_not_made_anew(traded: Chain, how: str) -> None:
    file = traded.workspace.journal(traded.desk.account)
    found = monitor(traded)
    assert found["journal_chain_verifies"][0]
    assert found["fills_match_the_journal"][0]
    assert found["journal_chain_verifies"][1]["events"] > 0
    assert not traded.read(tables.FILLS).empty

    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()
    if how == "emptied":
        file.touch()
    elif how == "begun anew":
        with traded.desk.journal():
            pass
    before = file.exists() and file.stat().st_size
    found = monitor(traded)
    passed, seen, severity = found["journal_chain_verifies"]
    assert (passed, severity) == (False, dg.AssetCheckSeverity.ERROR)
    words = {"deleted": "does not exist", "emptied": "is empty", "begun anew": "events, found 0; sequence 1 is"}
    assert words[how] in seen["detail"]
    assert seen["cause"] == seen["detail"]
    assert not found["fills_match_the_journal"][0]
    assert (file.exists() and file.stat().st_size) == before
