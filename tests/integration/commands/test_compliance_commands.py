"""``aegis compliance export`` and ``verify`` on a workspace of ten sessions whose journal holds one traded order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.config import load_config
from aegis.execution.decisions import CommittedDecision, Decision
from aegis.execution.journal import Journal
from aegis.execution.journal_entries import commitment_entries
from aegis.workspace import Workspace

SESSION = date(2014, 6, 13)
AT = datetime(2014, 6, 13, 20, 15, tzinfo=UTC)


@pytest.fixture
def traded(own: Path, order_of: Callable) -> Path:
    """Return the configuration of a workspace with an order in its journal, decided by another book."""
    name = f"simulated/second/{SESSION}/rebalance/1"
    order = order_of(session=SESSION, execution_session=date(2014, 6, 16), decision_id=name)
    decision = Decision(
        decision_id=name, account="simulated", session=SESSION, orders=(order,), refusals={}, gate_rows=(),
        input_snapshot_id=1, code_version="1", config_hash="abc",
    )  # fmt: skip
    committed = CommittedDecision(
        orders=(order,), refusals={}, gate_rows=(), input_snapshot_id=1, code_version="1", config_hash="abc"
    )
    location = Workspace.of(load_config(own)).journal("simulated")
    with Journal.open(location, account="simulated") as journal, journal.batch() as batch:
        for entry in commitment_entries(decision, committed, AT):
            batch.append(entry)
    return own


def test_an_export_is_verified_and_a_changed_row_is_located(ask, traded: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    status, printed, errors = ask(traded, "compliance", "export", str(file))
    assert (status, errors) == (0, "")
    assert "Account simulated of workspace simulated-simulated: 2 order events of all sessions written" in printed
    status, printed, _ = ask(traded, "compliance", "verify", str(file))
    assert status == 0
    assert "every row is the journal's, in its order, none is missing" in printed

    file.write_text(file.read_text().replace("buy", "sell", 1))
    status, printed, _ = ask(traded, "compliance", "verify", str(file))
    assert status == 1
    assert "changed: line 2: event " in printed
    assert "side is 'sell', the journal says 'buy'" in printed

    status, _, errors = ask(traded, "compliance", "export", str(file))
    assert status == 2
    assert "an export is never overwritten" in errors


def test_an_export_of_another_account_or_a_range_backwards_is_refused(ask, traded: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.parquet"
    words = ("compliance", "export", str(file), "--from", "2014-06-13", "--to", "2014-06-02")
    status, _, errors = ask(traded, *words)
    assert status == 2
    assert "the range ends before it begins" in errors
    assert ask(traded, "compliance", "export", str(file), "--to", "2014-06-12")[0] == 0
    manifest = tmp_path / "orders.parquet.manifest.json"
    manifest.write_text(manifest.read_text().replace('"account": "simulated"', '"account": "other"'))
    status, _, errors = ask(traded, "compliance", "verify", str(file))
    assert status == 2
    assert "is of account other, this workspace holds simulated" in errors
