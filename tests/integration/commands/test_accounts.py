"""``aegis kill``, ``release`` and ``audit verify``: the account that is meant, or a refusal."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from aegis.lake import tables
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement

Answer = tuple[int, str, str]
Ask = Callable[..., Answer]
Contents = Callable[[Path], Mapping[str, bytes]]


def _workspace(config: Path) -> Path:
    return config.parent / "home" / "simulated-simulated"


def _journal(config: Path) -> Path:
    return _workspace(config) / "journals" / "simulated.sqlite"


def test_kill_and_release_say_whom_they_reached_and_keep_their_reasons(own: Path, ask: Ask) -> None:
    folder = _workspace(own)
    status, printed, _ = ask(own, "kill", "--reason", "odd fills")
    assert status == 0
    assert printed.startswith(f"Account simulated of workspace simulated-simulated ({folder}): stopped.")
    assert f'until `AEGIS_CONFIG={own} make release REASON="..."`.' in printed
    assert "KILL SWITCH ENGAGED since " in (summary := ask(own, "summary")[1])
    assert ": odd fills. No new order leaves until" in summary.replace("\n", " ")
    status, printed, _ = ask(own, "release", "--reason", "explained by the broker")
    assert status == 0
    assert "KILL SWITCH" not in ask(own, "summary")[1]
    assert printed.startswith(f"Account simulated of workspace simulated-simulated ({folder}): released by ")
    history = (folder / "kill_switches" / "simulated.history.jsonl").read_text(encoding="utf-8").splitlines()
    assert ["odd fills" in line for line in history] == [True, False]
    assert ["explained by the broker" in line for line in history] == [False, True]


@pytest.mark.parametrize("words", [("kill", "--reason", "x"), ("release", "--reason", "x"), ("audit", "verify")])
def test_a_workspace_that_does_not_exist_is_refused_and_those_that_do_are_named(
    finished: Path, ask: Ask, words: tuple[str, ...]
) -> None:
    home = finished.parent / "home"
    status, printed, errors = ask(finished, *words, AEGIS_RUN__WORKSPACE="simulatde-simulated")
    assert (status, printed) == (2, "")
    assert f"workspace simulatde-simulated does not exist, there is no folder {home}/simulatde-simulated" in errors
    assert f"Workspaces in {home}: files-prices-simulated, simulated-simulated" in errors
    assert not (home / "simulatde-simulated").exists()


@pytest.mark.parametrize("words", [("kill", "--reason", "x"), ("release", "--reason", "x"), ("audit", "verify")])
def test_another_account_in_the_same_workspace_is_refused(
    own: Path, ask: Ask, contents: Contents, words: tuple[str, ...]
) -> None:
    before = contents(own.parent)
    status, _, errors = ask(own, *words, AEGIS_RUN__ACCOUNT="paper", AEGIS_RUN__WORKSPACE="simulated-simulated")
    assert status == 2
    assert "workspace simulated-simulated holds account simulated, not paper; set run.account to simulated" in errors
    assert contents(own.parent) == before


def test_a_workspace_of_an_early_version_can_be_stopped(own: Path, ask: Ask) -> None:
    (_workspace(own) / "identity.json").rename(_workspace(own) / "source.txt")

    assert ask(own, "kill", "--reason", "odd fills")[0] == 0


def test_the_journal_of_a_run_verifies(finished: Path, ask: Ask) -> None:
    status, printed, errors = ask(finished, "audit", "verify")
    assert status == 0, errors
    assert re.search(
        r"journal of [1-9]\d* events verified: every one follows from the one before, and all 0 orders and 0",
        printed,
    )


def test_a_journal_that_is_gone_is_refused_and_not_made(own: Path, ask: Ask, contents: Contents) -> None:
    for file in _journal(own).parent.iterdir():
        file.unlink()
    before = contents(own.parent)

    status, printed, errors = ask(own, "audit", "verify")

    assert (status, printed) == (2, "")
    assert f"{_journal(own)} does not exist, so there is nothing to verify; it had 10 events" in errors
    assert contents(own.parent) == before


def test_an_empty_file_in_the_place_of_the_journal_is_refused(own: Path, ask: Ask) -> None:
    for file in _journal(own).parent.iterdir():
        file.unlink()
    _journal(own).touch()

    status, _, errors = ask(own, "audit", "verify")

    assert status == 2
    assert f"{_journal(own)} is empty, so there is nothing to verify" in errors


def _order_in_the_lake(config: Path, client_order_id: str) -> None:
    """Put an order into the lake that the journal knows nothing of."""
    order = {
        **dict.fromkeys(tables.ORDERS.column_names),
        "session": pd.Timestamp("2014-06-13"),
        "account": "simulated",
        "client_order_id": client_order_id,
        "decision_id": "d",
        "symbol": "TVZQ",
        "ticker": "TVZQ",
        "quantity_shares": 10.0,
        "algorithm": "vwap",
        "time_in_force": "DAY",
        "execution_session": pd.Timestamp("2014-06-16"),
        "arrival_price_usd": 100.0,
        "target_weight": 0.01,
        "is_reducing": False,
        "gate_outcome": "approved",
        "reason": "rebalance",
        "input_snapshot_id": 1,
        "known_at_utc": datetime(2014, 6, 13, 20, 15, tzinfo=UTC),
    }
    rows = pd.DataFrame([order])
    session = rows["session"].iloc[0].date()
    with connect(LakeLocation(_workspace(config) / "lake")) as connection:
        Lake(connection).write(
            [Replacement(tables.ORDERS, rows, session, session, "simulated")],
            CommitMessage(tables.ORDERS.key, str(session), "test", "1"),
        )


def test_a_lost_journal_that_must_explain_orders_is_to_be_restored(own: Path, ask: Ask) -> None:
    _order_in_the_lake(own, "0a" * 16)
    for file in _journal(own).parent.iterdir():
        file.unlink()

    status, _, errors = ask(own, "audit", "verify")

    assert status == 2
    assert "it had 10 events and must explain 1 orders of execution/orders: restore it from a backup" in errors


def test_a_journal_that_lost_its_end_is_refused_though_its_chain_is_whole(own: Path, ask: Ask) -> None:
    _order_in_the_lake(own, "0a" * 16)

    status, printed, errors = ask(own, "audit", "verify")

    assert (status, printed) == (2, "")
    assert (
        "1 of 1 orders and 0 of 0 fills of the lake are not among them, first 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
        in errors
    )
    assert "restore it from a backup" in errors


def test_an_edited_event_is_named(own: Path, ask: Ask) -> None:
    with sqlite3.connect(_journal(own)) as journal:
        journal.execute("DROP TRIGGER journal_events_refuse_update")
        changed = journal.execute("UPDATE journal_events SET payload_json = '{}' WHERE sequence = 2").rowcount
    assert changed == 1

    status, _, errors = ask(own, "audit", "verify")

    assert status == 2
    assert re.search(r"JournalError: .*2", errors)


def test_a_journal_cut_below_its_published_end_is_refused_though_no_order_is_missing(own: Path, ask: Ask) -> None:
    with sqlite3.connect(_journal(own)) as journal:
        journal.execute("DROP TRIGGER journal_events_refuse_delete")
        (last,) = journal.execute("SELECT max(sequence) FROM journal_events").fetchone()
        journal.execute("DELETE FROM journal_events WHERE sequence = ?", [last])
        journal.execute(
            "UPDATE journal_heads SET sequence = ?, hash = (SELECT hash FROM journal_events WHERE sequence = ?)",
            [last - 1, last - 1],
        )

    status, printed, errors = ask(own, "audit", "verify")

    assert (status, printed) == (2, "")
    assert f"expected {last} events, found {last - 1}" in errors


def test_a_lost_lake_leaves_nothing_to_compare_the_journal_with(own: Path, ask: Ask, contents: Contents) -> None:
    shutil.rmtree(_workspace(own) / "lake")
    before = contents(own.parent)

    status, printed, errors = ask(own, "audit", "verify")

    assert (status, printed) == (2, "")
    assert "does not exist, and account simulated has a journal; there is nothing to compare it with" in errors
    assert contents(own.parent) == before
