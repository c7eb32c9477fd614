"""A restricted name keeps its order back in the session loop, until the list lets it go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.compliance.pre_trade import OrderRules
from aegis.compliance.restricted_list import Restriction
from aegis.execution.journal import Journal
from aegis.execution.order_management import DecisionLedger
from aegis.live_trading.session_loop import SessionLoop
from tests.unit.live_trading.test_session_loop import FRIDAY, POLICY, SALE, THURSDAY, history, opening

RESTRICTED = Restriction(
    symbol="CCC",
    first=FRIDAY,
    last=None,
    known_at_utc=datetime(2020, 6, 11, 12, tzinfo=UTC),
    restriction="no trading",
    reason="tender offer",
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as opened:
        yield opened


@pytest.mark.parametrize(
    ("known_at", "last", "sent"),
    [
        (datetime(2020, 6, 11, 12, tzinfo=UTC), None, []),
        (datetime(2020, 6, 12, 12, tzinfo=UTC), None, SALE),  # told after the decision
        (datetime(2020, 6, 11, 12, tzinfo=UTC), date(2020, 6, 11), SALE),  # ended before the execution
    ],
)
def test_an_exit_from_a_restricted_name_waits(journal, known_at, last, sent) -> None:
    listed = replace(RESTRICTED, known_at_utc=known_at, first=THURSDAY, last=last)
    policy = replace(POLICY, order_rules=OrderRules(restrictions=(listed,)))
    ledger = DecisionLedger(journal, first=THURSDAY, last=THURSDAY)
    outcome = SessionLoop(policy, ledger).advance(opening(), history({THURSDAY: 100.0}).session(THURSDAY))
    row = next(row for row in outcome.verdict.rows if row.rule == "no_order_breaks_a_compliance_rule")

    assert [
        (s.order.symbol, s.order.quantity_shares, s.order.execution_session) for s in outcome.state.account.open_orders
    ] == sent
    assert row.outcome == ("pass" if sent else "refuse order")
