"""What a response to drift does to a session's decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aegis.drift.responses import DriftResponse, ResponseHistory
from aegis.execution.journal import Journal
from aegis.execution.order_management import DecisionLedger
from aegis.live_trading.book_state import BookState
from aegis.live_trading.session_loop import SessionLoop
from aegis.live_trading.session_outcome import SessionOutcome
from tests.unit.live_trading.test_session_loop import (
    FRIDAY,
    POLICY,
    SALE,
    THURSDAY,
    WEDNESDAY,
    history,
    opening,
    ordered,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as opened:
        yield opened


def verdict(outcome: SessionOutcome, rule: str) -> str:
    return next(row.outcome for row in outcome.verdict.rows if row.rule == rule)


def drifted(action: str, *, released_from: date | None = None) -> ResponseHistory:
    response = DriftResponse(
        family="performance", cause="returns fell", action=action, exposure_scale=0.5 if action == "shrink" else 1.0,
        measured_session=WEDNESDAY, at_utc=datetime(2020, 6, 10, 21, tzinfo=UTC), released_from=released_from,
    )  # fmt: skip
    return ResponseHistory((response,))


def run_drifted(journal: Journal, state: BookState, session: date, responses: ResponseHistory) -> SessionOutcome:
    market = history({THURSDAY: 100.0, FRIDAY: 100.0})
    ledger = DecisionLedger(journal, first=session, last=session)
    outcome = SessionLoop(replace(POLICY, drift_responses=responses), ledger).advance(state, market.session(session))
    ledger.flush()
    return outcome


HALVED = [("AAA", -50.0, FRIDAY), ("BBB", -50.0, FRIDAY), *SALE]
"""Of 100,000 USD of equity 60,000 may be held without a signal; at half the exposure 25,000 of each name."""


def test_drift_that_shrinks_scales_the_targets_and_leaves_the_breaker_armed(journal: Journal) -> None:
    outcome = run_drifted(journal, opening(), THURSDAY, drifted("shrink"))
    assert sorted(ordered(outcome)) == HALVED
    assert (outcome.risk.breaker_state, outcome.risk.exposure_scale) == ("armed", 0.5)
    assert verdict(outcome, "breakers_are_armed") == "pass"


def test_drift_that_stops_trips_the_breaker_until_the_release(journal: Journal) -> None:
    responses = drifted("stop", released_from=FRIDAY)
    stopped = run_drifted(journal, opening(), THURSDAY, responses)
    assert sorted(ordered(stopped)) == HALVED, "only reducing orders, down to the exposure of a tripped breaker"
    assert (stopped.risk.breaker_state, stopped.risk.exposure_scale) == ("tripped: drift", 0.5)
    assert verdict(stopped, "breakers_are_armed") == "reduce only"
    after = run_drifted(journal, stopped.state, FRIDAY, responses)
    assert (after.risk.breaker_state, after.risk.exposure_scale) == ("armed", 1.0)
    again = run_drifted(journal, opening(), THURSDAY, responses)
    assert (sorted(ordered(again)), again.conflicts) == (HALVED, ()), (
        "decided again, it is decided under what held for it"
    )
