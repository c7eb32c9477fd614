"""The money loop on three names at 100 USD and no costs, so that every figure is worked out in the head.

The book holds 300 shares each of AAA, BBB and CCC and 10,000 USD. CCC has left the universe: each session that can
decide sells its 300 shares for the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aegis.backtesting.costs import CostModel
from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.errors import ExecutionError, MalformedData, QualityGateBlocked
from aegis.execution.account_state import AccountState, Position
from aegis.execution.journal import Journal
from aegis.execution.order_management import DecisionLedger
from aegis.execution.order_projections import recorded_fills
from aegis.lake import tables
from aegis.live_trading.book_state import BookState
from aegis.live_trading.kill_switch import HeldSwitch, KillSwitch
from aegis.live_trading.order_making import make_orders
from aegis.live_trading.session_inputs import InputHistory, InputTables, SessionInputs
from aegis.live_trading.session_loop import BookPolicy, SessionLoop
from aegis.live_trading.session_outcome import SessionOutcome
from aegis.live_trading.trader import run_sessions
from aegis.market_data.expectations import CHECKS
from aegis.portfolio.rebalancing import TargetWeight
from aegis.risk.breakers import BreakerState

NEW_YORK = trading_calendar("XNYS")
WEDNESDAY, THURSDAY, FRIDAY, MONDAY = date(2020, 6, 10), date(2020, 6, 11), date(2020, 6, 12), date(2020, 6, 15)
NAMES = ["AAA", "BBB", "CCC"]
DELAY = timedelta(minutes=15)
SETTINGS = AegisConfig()
POLICY = BookPolicy(
    book="main",
    portfolio=SETTINGS.portfolio,
    risk=SETTINGS.risk,
    execution=SETTINGS.eval.execution,
    costs=CostModel(),
    required_checks={check.name: check.version for check in CHECKS if check.is_blocking},
    kill_switch_engaged=False,
    code_version="1",
    config_hash="c",
)


def bars_of(session: date, price: float, known: datetime) -> pd.DataFrame:
    prices = {f"{name}_raw_usd": price for name in ("open", "high", "low", "close")}
    rows = {"session": session, "symbol": NAMES, "ticker": NAMES, "volume_shares": 1e6, "source": "hand"}
    return tables.DAILY_BARS.conform(pd.DataFrame({**rows, **prices, "known_at_utc": known}))


def history(prices: Mapping[date, float | None], calendar: Any = NEW_YORK, **replaced: Any) -> InputHistory:
    """Return sessions with one price for every name; None where the gate let no bar through."""
    times = {day: calendar.close_utc(day) + DELAY for day in prices}
    bars, checks, universe, hashes = [], [], [], {}
    actions = replaced.pop("actions", tables.CORPORATE_ACTIONS.empty())
    for day, price in prices.items():
        raw = bars_of(day, price or -1.0, times[day])
        hashes |= tables.RAW_BARS.content_hashes(tables.RAW_BARS.conform(raw))
        of_actions = tables.CORPORATE_ACTIONS.content_hashes(actions).get(day, tables.CORPORATE_ACTIONS.hash_of_no_rows)
        checks += [
            {
                "session": day,
                "outcome": "pass" if price or check.table is not tables.RAW_BARS else "block",
                "content_hash": hashes[day] if check.table is tables.RAW_BARS else of_actions,
                "table": check.table.key,
                "check": check.name,
                "check_version": check.version,
                "is_blocking": check.is_blocking,
                "observed": 0.0,
                "threshold": 0.0,
                "detail": None,
                "snapshot_id": 1,
            }
            for check in CHECKS
        ]
        if price:
            bars.append(raw)
            universe.append(
                pd.DataFrame({"session": day, "symbol": NAMES, "ticker": NAMES, "known_at_utc": times[day]}).assign(
                    sector="x", is_member=[True, True, False], reason="by hand", median_dollar_volume_usd=1e8
                )
            )
    read: dict[str, Any] = {
        "bars": pd.concat(bars),
        "actions": actions,
        "universe": tables.UNIVERSE.conform(pd.concat(universe)),
        "ensemble": tables.ENSEMBLE_SIGNALS.empty(),
        "covariances": tables.COVARIANCES.empty(),
        "checks": tables.CHECK_RESULTS.conform(pd.DataFrame(checks)),
        "quarantined": tables.QUARANTINED_BARS.empty(),
        "content_hashes": {
            tables.RAW_BARS.key: hashes,
            tables.CORPORATE_ACTIONS.key: tables.CORPORATE_ACTIONS.content_hashes(actions),
        },
        "outdated_tables": {},
        "benchmark_returns": {},
        "snapshot_id": 1,
    }
    return InputHistory(
        InputTables(**{**read, **replaced}), calendar=calendar, decision_times=times, vendor_delay=DELAY
    )


def opening(session: date = WEDNESDAY) -> BookState:
    positions = tuple(Position(name, name, 300.0, 90.0, 100.0, session) for name in NAMES)
    account = AccountState(account="simulated", session=session, cash_usd=10_000.0, positions=positions)
    return BookState(
        account=account,
        breaker=BreakerState.opening(equity_usd=account.equity_usd),
        peak_equity_usd=account.equity_usd,
        benchmark_level=1.0,
        equity_history_usd=(account.equity_usd,),
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="simulated") as opened:
        yield opened


def run(
    journal: Journal, state: BookState, session: date, market: InputHistory, *, killed: bool = False
) -> SessionOutcome:
    ledger = DecisionLedger(journal, first=session, last=session)
    loop = SessionLoop(replace(POLICY, kill_switch_engaged=killed), ledger)
    outcome = loop.advance(state, market.session(session))
    ledger.flush()
    return outcome


def rules(outcome: SessionOutcome) -> dict[str, str]:
    return {row.rule: row.outcome for row in outcome.verdict.rows if row.outcome == "refuse"}


def ordered(outcome: SessionOutcome) -> list[tuple[str, float, date]]:
    return [(o.symbol, o.quantity_shares, o.execution_session) for o in outcome.commit.orders]


SALE = [("CCC", -300.0, FRIDAY)]


def test_an_exit_is_ordered_at_one_close_and_filled_in_the_next_session(journal: Journal) -> None:
    market = history({THURSDAY: 100.0, FRIDAY: 110.0})
    decided = run(journal, opening(), THURSDAY, market)
    assert ordered(decided) == SALE
    assert decided.fills == ()
    filled = run(journal, decided.state, FRIDAY, market)
    assert [(f.symbol, f.quantity_shares, f.price_usd) for f in filled.fills] == [("CCC", -300.0, 110.0)]
    assert filled.state.account.cash_usd == 10_000.0 + 300 * 110.0
    # 900 shares gained 10 each, 300 of them as the sale's price.
    assert filled.pnl.price_pnl_usd + filled.pnl.trading_pnl_usd == pytest.approx(9_000.0, abs=1e-9)


@pytest.mark.parametrize("table", ["market_data/universe", "portfolio/covariances"])
def test_research_that_does_not_follow_the_bars_orders_nothing(journal: Journal, table: str) -> None:
    empty = {"universe": tables.UNIVERSE.empty()} if table == "market_data/universe" else {}
    market = history({THURSDAY: 100.0}, outdated_tables={THURSDAY: (table,)}, **empty)
    outcome = run(journal, opening(), THURSDAY, market)
    assert rules(outcome) == {"research_follows_the_bars": "refuse"}
    assert ordered(outcome) == []
    assert outcome.state.account.open_orders == ()


def test_a_refused_decision_may_be_taken_while_no_later_session_is_booked(journal: Journal) -> None:
    market = history({THURSDAY: 100.0})
    assert rules(run(journal, opening(), THURSDAY, market, killed=True)) == {"kill_switch_is_off": "refuse"}
    assert ordered(run(journal, opening(), THURSDAY, market)) == SALE


def test_a_refused_decision_is_not_taken_after_a_later_session(journal: Journal) -> None:
    market = history({THURSDAY: 100.0, FRIDAY: 100.0})
    refused = run(journal, opening(), THURSDAY, market, killed=True)
    assert ordered(run(journal, refused.state, FRIDAY, market)) == [("CCC", -300.0, MONDAY)]
    events = journal.verify()
    late = run(journal, opening(), THURSDAY, market)
    assert rules(late) == {"no_later_session_is_booked": "refuse"}
    assert ordered(late) == []
    assert journal.verify() == events + 1  # the refusal
    assert rules(run(journal, opening(), THURSDAY, market)) == {"no_later_session_is_booked": "refuse"}
    assert journal.verify() == events + 1


def test_a_committed_decision_stands_when_it_is_computed_again_after_later_sessions(journal: Journal) -> None:
    market = history({THURSDAY: 100.0, FRIDAY: 100.0})
    first = run(journal, opening(), THURSDAY, market)
    run(journal, first.state, FRIDAY, market)
    events = journal.verify()
    again = run(journal, opening(), THURSDAY, market)
    assert (ordered(again), again.conflicts, rules(again)) == (SALE, (), {})
    assert again.state == first.state
    assert journal.verify() == events


def test_a_fill_stands_when_its_price_is_corrected_later(journal: Journal) -> None:
    decided = run(journal, opening(), THURSDAY, history({THURSDAY: 100.0}))
    first = run(journal, decided.state, FRIDAY, history({THURSDAY: 100.0, FRIDAY: 100.0}))
    corrected = history({THURSDAY: 100.0, FRIDAY: 99.0})
    again = run(journal, decided.state, FRIDAY, corrected)
    assert [fill.price_usd for fill in again.fills] == [100.0]
    assert again.state.account.cash_usd == first.state.account.cash_usd == 40_000.0
    assert again.state.account.equity_usd == 40_000.0 + 600 * 99.0
    assert len(again.conflicts) == 1
    assert "'filled' is recorded with other contents" in again.conflicts[0]
    assert abs(again.pnl.residual_usd) < 1e-9
    assert rules(again) == {}


def test_an_order_that_expired_in_a_blocked_session_stays_expired_when_the_bars_come(journal: Journal) -> None:
    decided = run(journal, opening(), THURSDAY, history({THURSDAY: 100.0}))
    blocked = run(journal, decided.state, FRIDAY, history({THURSDAY: 100.0, FRIDAY: None}))
    assert blocked.fills == ()
    assert rules(blocked)["data_checks_passed"] == "refuse"
    repaired = run(journal, decided.state, FRIDAY, history({THURSDAY: 100.0, FRIDAY: 110.0}))
    assert repaired.fills == ()
    assert repaired.state.account.quantity_shares("CCC") == 300.0
    assert repaired.state.account.equity_usd == 10_000.0 + 900 * 110.0
    assert "'filled' after the recorded end of the order" in repaired.conflicts[0]
    assert recorded_fills(journal, first=THURSDAY, last=MONDAY) == []
    assert ordered(repaired) == [("CCC", -300.0, MONDAY)]


def test_a_fill_stands_when_its_session_is_blocked_later(journal: Journal) -> None:
    decided = run(journal, opening(), THURSDAY, history({THURSDAY: 100.0}))
    traded = run(journal, decided.state, FRIDAY, history({THURSDAY: 100.0, FRIDAY: 110.0}))
    blocked = run(journal, decided.state, FRIDAY, history({THURSDAY: 100.0, FRIDAY: None}))
    assert blocked.fills == traded.fills
    assert blocked.state.account.cash_usd == 43_000.0
    assert blocked.state.account.equity_usd == 43_000.0 + 600 * 100.0
    assert abs(blocked.pnl.residual_usd) < 1e-9


def test_where_the_market_never_closes_orders_wait_for_a_session_that_has_not_opened(journal: Journal) -> None:
    """Decided at 00:15 after Thursday: Friday has opened, so the sale is for Saturday, and is not ordered twice."""
    always = trading_calendar("24/7")
    saturday, sunday = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=2)
    market = history({THURSDAY: 100.0, FRIDAY: 100.0, saturday: 105.0}, always)
    thursday = run(journal, opening(), THURSDAY, market)
    assert ordered(thursday) == [("CCC", -300.0, saturday)]
    friday = run(journal, thursday.state, FRIDAY, market)
    assert (friday.fills, ordered(friday)) == ((), [])
    filled = run(journal, friday.state, saturday, market)
    assert [(f.symbol, f.price_usd) for f in filled.fills] == [("CCC", 105.0)]
    assert rules(filled) == {}
    assert sunday not in [order.execution_session for order in filled.commit.orders]


def test_an_action_that_nobody_knew_in_its_session_is_refused() -> None:
    row = {"session": THURSDAY, "symbol": "AAA", "action": "dividend", "split_ratio": 1.0, "dividend_usd": 5.0}
    late = datetime(2020, 6, 15, 13, 30, tzinfo=UTC)
    actions = pd.DataFrame([{**row, "pay_session": None, "new_ticker": None, "source": "hand", "known_at_utc": late}])
    with pytest.raises(MalformedData, match=r"AAA 2020-06-11: dividend known at 2020-06-15 13:30.*date the action to"):
        history({THURSDAY: 100.0}, actions=tables.CORPORATE_ACTIONS.conform(actions))


class EngagingHistory:
    """A market in which somebody stops the account while one session is being looked up."""

    def __init__(self, market: InputHistory, switch: KillSwitch, *, at: date) -> None:
        self._market, self._switch, self._at = market, switch, at

    def session(self, day: date) -> SessionInputs:
        if day == self._at:
            self._switch.engage("stop", actor="ada", at_utc=datetime(2020, 6, 12, 21, tzinfo=UTC))
        return self._market.session(day)


def test_a_switch_engaged_in_the_middle_of_a_range_stops_it_at_the_next_session(
    journal: Journal, tmp_path: Path
) -> None:
    switch = KillSwitch(tmp_path / "switch.json")
    market = history({THURSDAY: 100.0, FRIDAY: 100.0, MONDAY: 100.0})
    ledger = DecisionLedger(journal, first=THURSDAY, last=MONDAY)
    asked: Any = EngagingHistory(market, switch, at=FRIDAY)
    with pytest.raises(ExecutionError, match="engaged since 2020-06-12 21:00 UTC by ada: stop"):
        run_sessions(
            opening(), asked, [THURSDAY, FRIDAY, MONDAY], policy=POLICY, ledger=ledger, kill_switch=HeldSwitch(switch)
        )
    assert journal.verify() == 0


def dividend(session: date, cash: float = 5.0) -> pd.DataFrame:
    row = {"session": session, "symbol": "AAA", "action": "dividend", "split_ratio": 1.0, "dividend_usd": cash}
    known = NEW_YORK.open_utc(session)
    rows = pd.DataFrame([{**row, "pay_session": None, "new_ticker": None, "source": "hand", "known_at_utc": known}])
    return tables.CORPORATE_ACTIONS.conform(rows)


def with_checks(seen: SessionInputs, **changed: Any) -> SessionInputs:
    """Return inputs whose checks of the corporate actions say something else."""
    checks = [replace(c, **changed) if c.table == tables.CORPORATE_ACTIONS.key else c for c in seen.checks]
    return replace(seen, checks=tuple(checks))


def test_a_checked_dividend_is_booked(journal: Journal) -> None:
    outcome = run(journal, opening(), THURSDAY, history({THURSDAY: 95.0}, actions=dividend(THURSDAY)))
    assert outcome.pnl.dividends_usd == 300 * 5.0
    assert rules(outcome) == {}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"outcome": "block", "detail": "AAA: 5000 USD"}, r"blocks the session's corporate actions: AAA: 5000 USD"),
        ({"content_hash": "f" * 64}, r"1 corporate action\(s\), first dividend of AAA, are not as they were checked"),
        ({"table": "elsewhere"}, r"are not as they were checked \(rows [0-9a-f]{12}, checked none\)"),
    ],
    ids=["blocked", "changed since", "never checked"],
)
def test_the_book_stops_before_an_action_that_no_check_vouches_for(
    journal: Journal, changed: dict[str, Any], message: str
) -> None:
    seen = with_checks(history({THURSDAY: 95.0}, actions=dividend(THURSDAY)).session(THURSDAY), **changed)
    ledger = DecisionLedger(journal, first=THURSDAY, last=THURSDAY)
    with pytest.raises(QualityGateBlocked, match=message):
        SessionLoop(POLICY, ledger).advance(opening(), seen)
    assert ledger.flush() == 0


def test_checks_made_on_other_actions_refuse_the_decision(journal: Journal) -> None:
    """An action was withdrawn after the check: nothing to book, and nobody knows what the prices mean."""
    seen = with_checks(history({THURSDAY: 100.0}).session(THURSDAY), content_hash="f" * 64)
    outcome = SessionLoop(POLICY, DecisionLedger(journal, first=THURSDAY, last=THURSDAY)).advance(opening(), seen)
    assert rules(outcome) == {"checks_hold_for_the_pinned_rows": "refuse"}


def test_a_purchase_takes_no_more_than_its_share_of_the_volume() -> None:
    """30,000 USD more of AAA and 10,000 of BBB are wanted; 10 % of what AAA trades is 1,950 USD, 19 shares."""
    seen = replace(
        history({THURSDAY: 100.0}).session(THURSDAY), median_dollar_volume_usd={"AAA": 19_500.0, "BBB": 1e8, "CCC": 1.0}
    )
    account = opening().account
    orders = make_orders(
        account,
        seen,
        [
            TargetWeight("AAA", 0.60, 0.30, 0.0, "optimal"),
            TargetWeight("BBB", 0.40, 0.30, 0.0, "optimal"),
            TargetWeight("CCC", 0.0, 0.30, 0.0, "exit: left the universe"),
        ],
        decision_id="d",
        execution=SETTINGS.eval.execution,
        min_trade_weight=0.0,
        max_participation=0.1,
    )
    assert {o.symbol: (o.quantity_shares, o.is_reducing) for o in orders} == {
        "AAA": (19.0, False),
        "BBB": (100.0, False),
        "CCC": (-300.0, True),
    }
